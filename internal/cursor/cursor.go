// Package cursor reads fixed-size little-endian values from bytes nobody vouches for.
//
// A Cursor remembers the first thing that went wrong and where. After that every read
// returns zero and moves nothing, so a reader can take a whole record and ask once.
// It never allocates from a size it has not checked against the bytes it holds.
package cursor

import (
	"encoding/binary"
	"fmt"
)

// A FormatError says what is wrong with a file, and at which byte of it.
type FormatError struct {
	Off int64
	Msg string
}

func (e *FormatError) Error() string { return fmt.Sprintf("%s at byte %#x", e.Msg, e.Off) }

// Errorf returns a FormatError at off.
func Errorf(off int64, format string, args ...any) *FormatError {
	return &FormatError{off, fmt.Sprintf(format, args...)}
}

// A Cursor is a position in bytes.
type Cursor struct {
	b   []byte
	off int
	err *FormatError
}

// At returns a cursor over b that stands at off. An offset outside b is the cursor's first error.
func At(b []byte, off int64) Cursor {
	c := Cursor{b: b}
	c.Move(off)
	return c
}

// Err returns the first error, or nil.
func (c *Cursor) Err() error {
	if c.err == nil {
		return nil
	}
	return c.err
}

// Fail records an error at the present offset if there is none yet.
func (c *Cursor) Fail(format string, args ...any) {
	if c.err == nil {
		c.err = Errorf(int64(c.off), format, args...)
	}
}

// Off returns the present offset.
func (c *Cursor) Off() int64 { return int64(c.off) }

// Len returns how many bytes are left.
func (c *Cursor) Len() int { return len(c.b) - c.off }

// Move goes to off.
func (c *Cursor) Move(off int64) {
	if c.err != nil {
		return
	}
	if off < 0 || off > int64(len(c.b)) {
		c.err = Errorf(off, "offset outside the %d bytes there are", len(c.b))
		return
	}
	c.off = int(off)
}

// Bytes returns the next n bytes, which share memory with the input, or nil.
func (c *Cursor) Bytes(n int64) []byte {
	if c.err != nil {
		return nil
	}
	if n < 0 || n > int64(c.Len()) {
		c.Fail("%d bytes wanted, %d left", n, c.Len())
		return nil
	}
	b := c.b[c.off : c.off+int(n) : c.off+int(n)]
	c.off += int(n)
	return b
}

// Skip passes over n bytes.
func (c *Cursor) Skip(n int64) { c.Bytes(n) }

// U8 reads one byte.
func (c *Cursor) U8() uint8 {
	if b := c.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// U16 reads two bytes.
func (c *Cursor) U16() uint16 {
	if b := c.Bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// U32 reads four bytes.
func (c *Cursor) U32() uint32 {
	if b := c.Bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// U64 reads eight bytes.
func (c *Cursor) U64() uint64 {
	if b := c.Bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Uleb128 reads an unsigned LEB128 value of at most 32 bits, as DEX has them.
func (c *Cursor) Uleb128() uint32 {
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		b := c.U8()
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	c.Fail("LEB128 value longer than five bytes")
	return 0
}

// Sleb128 reads a signed LEB128 value of at most 32 bits.
func (c *Cursor) Sleb128() int32 {
	var v int32
	for shift := 0; shift < 35; shift += 7 {
		b := c.U8()
		v |= int32(b&0x7f) << shift
		if b < 0x80 {
			if shift+7 < 32 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	c.Fail("LEB128 value longer than five bytes")
	return 0
}
