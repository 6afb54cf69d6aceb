// Package xz unpacks one .xz stream held in memory and says where it ends.
//
// It reads the container (https://tukaani.org/xz/xz-file-format.txt); the caller brings a decoder of LZMA2, such as that of
// github.com/ulikunitz/xz/lzma. Two things that module's own container reader lacks are needed here: branch filters (kernels are
// packed with them, scripts/xz_wrap.sh, and the programs in an update, update_engine's payload_generator/xz_android.cc) and the
// end of a stream with other bytes after it.
//
// # Not read
//
// The filters delta, x86, PowerPC, IA-64, SPARC and RISC-V.
package xz

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"io"
)

// An Error says what is wrong with a stream, and at which byte of it.
type Error struct {
	Off int64
	Msg string
}

func (e *Error) Error() string { return fmt.Sprintf("%s at byte %#x", e.Msg, e.Off) }

func errorf(off int64, format string, args ...any) *Error {
	return &Error{off, fmt.Sprintf(format, args...)}
}

// LZMA2 returns a reader of the LZMA2 stream that in stands at, with a dictionary of dict bytes. It must not read on behind the end.
type LZMA2 func(in io.Reader, dict int) (io.Reader, error)

// Magic is what a stream begins with.
const Magic = "\xfd7zXZ\x00"

// maxDictionary bounds what a stream may ask for: xz -9 uses 64 MiB.
const maxDictionary = 128 << 20

const (
	filterARM      = 0x07
	filterARMThumb = 0x08
	filterARM64    = 0x0a
	filterLZMA2    = 0x21
)

// Decode unpacks the stream that b begins with, to at most limit bytes, and returns how many bytes of b it takes.
// On an error out holds what came before it; damage is an *[Error], a filter that is not read wraps [errors.ErrUnsupported].
func Decode(b []byte, limit int64, lzma2 LZMA2) (out []byte, used int64, err error) {
	c := reader{b: b}
	if string(c.bytes(6)) != Magic {
		return nil, 0, errorf(0, "no xz stream")
	}
	flags := c.bytes(2)
	c.bytes(4) // CRC of the flags
	if c.err != nil {
		return nil, 0, c.err
	}
	check := flags[1] & 15
	for {
		start := c.off
		n := c.u8()
		if c.err != nil {
			return out, c.off, c.err
		}
		if n == 0 {
			break // the index
		}
		header := c.bytes(int64(n)*4 + 3)
		if header == nil {
			return out, c.off, c.err
		}
		sum := crc32.ChecksumIEEE(b[start : c.off-4])
		if binary.LittleEndian.Uint32(header[len(header)-4:]) != sum {
			return out, c.off, errorf(start, "damaged xz block header")
		}
		branch, dict, err := blockHeader(header[:len(header)-4], start)
		if err != nil {
			return out, c.off, err
		}
		in := bytes.NewReader(b[c.off:])
		z, err := lzma2(in, int(dict))
		if err != nil {
			return out, c.off, errorf(c.off, "damaged xz: %v", err)
		}
		block, err := drain(z, limit-int64(len(out)))
		if branch != nil {
			branch(block)
		}
		if len(out) == 0 {
			out = block
		} else {
			out = append(out, block...)
		}
		c.bytes(int64(len(b)) - c.off - int64(in.Len()))
		if err != nil {
			return out, c.off, errorf(c.off, "damaged xz: %v", err)
		}
		for (c.off-start)%4 != 0 && c.err == nil {
			c.bytes(1)
		}
		at := c.off
		if sum := c.bytes(checkSize[check]); !verify(check, block, sum) {
			return out, c.off, errorf(at, "xz check does not match")
		}
	}
	index := c.off - 1
	for n := 2 * uvarint(&c); n > 0 && c.err == nil; n-- {
		uvarint(&c)
	}
	for (c.off-index)%4 != 0 && c.err == nil {
		c.bytes(1)
	}
	c.bytes(4 + 12) // CRC of the index, footer
	if c.err != nil {
		return out, c.off, c.err
	}
	return out, c.off, nil
}

var checkSize = [16]int64{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}

var crc64Table = crc64.MakeTable(crc64.ECMA)

// verify compares the checks that are in use. Others are passed over, as the specification allows.
func verify(check byte, block, sum []byte) bool {
	switch check {
	case 1:
		return len(sum) == 4 && binary.LittleEndian.Uint32(sum) == crc32.ChecksumIEEE(block)
	case 4:
		return len(sum) == 8 && binary.LittleEndian.Uint64(sum) == crc64.Checksum(block, crc64Table)
	case 10:
		h := sha256.Sum256(block)
		return bytes.Equal(sum, h[:])
	}
	return int64(len(sum)) == checkSize[check]
}

// blockHeader reads a block header without its size and CRC, whose block stands at off.
func blockHeader(h []byte, off int64) (branch func([]byte), dict uint32, err error) {
	c := reader{b: h}
	flags := c.u8()
	if flags&0x40 != 0 {
		uvarint(&c)
	}
	if flags&0x80 != 0 {
		uvarint(&c)
	}
	for i := range flags&3 + 1 {
		id, n := uvarint(&c), uvarint(&c)
		if c.err != nil || n > uint64(len(c.b))-uint64(c.off) {
			return nil, 0, errorf(off, "xz filter properties of %d bytes", n)
		}
		props := c.bytes(int64(n))
		if id == filterLZMA2 {
			if len(props) != 1 || props[0] > 40 || i != flags&3 {
				return nil, 0, errorf(off, "xz filter LZMA2 with properties %x", props)
			}
			size := (2 | uint64(props[0]&1)) << (props[0]/2 + 11)
			if size > maxDictionary {
				return nil, 0, errorf(off, "xz dictionary of %d bytes", size)
			}
			return branch, uint32(size), nil
		}
		if branch != nil || len(props) != 0 {
			return nil, 0, fmt.Errorf("xz filters in a chain or with a start: %w", errors.ErrUnsupported)
		}
		switch id {
		case filterARM:
			branch = arm
		case filterARMThumb:
			branch = armThumb
		case filterARM64:
			branch = arm64
		default:
			return nil, 0, fmt.Errorf("xz filter %#x: %w", id, errors.ErrUnsupported)
		}
	}
	return nil, 0, errorf(off, "xz block without LZMA2")
}

// A reader remembers the first error; after it everything reads as zero.
type reader struct {
	b   []byte
	off int64
	err *Error
}

func (r *reader) fail(msg string) {
	if r.err == nil {
		r.err = &Error{r.off, msg}
	}
}

func (r *reader) bytes(n int64) []byte {
	if n < 0 || n > int64(len(r.b))-r.off {
		r.fail("xz stream ends early")
	}
	if r.err != nil {
		return nil
	}
	r.off += n
	return r.b[r.off-n : r.off]
}

func (r *reader) u8() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func uvarint(c *reader) uint64 {
	var v uint64
	for shift := 0; shift < 63; shift += 7 {
		b := c.u8()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	c.fail("xz number longer than nine bytes")
	return 0
}

func drain(r io.Reader, limit int64) ([]byte, error) {
	var b bytes.Buffer
	_, err := b.ReadFrom(io.LimitReader(r, limit+1))
	if int64(b.Len()) > limit {
		return b.Bytes()[:max(limit, 0)], fmt.Errorf("unpacks to more than %d bytes", limit)
	}
	return b.Bytes(), err
}

// The branch filters turn absolute branch targets back into relative ones, in place.

func arm(b []byte) {
	for i := 0; i+4 <= len(b); i += 4 {
		if b[i+3] == 0xeb { // BL
			v := uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16
			v = (v<<2 - uint32(i+8)) >> 2
			b[i], b[i+1], b[i+2] = byte(v), byte(v>>8), byte(v>>16)
		}
	}
}

func armThumb(b []byte) {
	for i := 0; i+4 <= len(b); i += 2 {
		if b[i+1]&0xf8 == 0xf0 && b[i+3]&0xf8 == 0xf8 { // BL
			v := uint32(b[i+1]&7)<<19 | uint32(b[i])<<11 | uint32(b[i+3]&7)<<8 | uint32(b[i+2])
			v = (v<<1 - uint32(i+4)) >> 1
			b[i+1], b[i] = 0xf0|byte(v>>19&7), byte(v>>11)
			b[i+3], b[i+2] = 0xf8|byte(v>>8&7), byte(v)
			i += 2
		}
	}
}

func arm64(b []byte) {
	for i := 0; i+4 <= len(b); i += 4 {
		p, pc := b[i:i+4], uint32(i)
		v := binary.LittleEndian.Uint32(p)
		switch {
		case v>>26 == 0x25: // BL
			binary.LittleEndian.PutUint32(p, 0x94000000|(v-pc>>2)&0x03ffffff)
		case v&0x9f000000 == 0x90000000: // ADRP, within 512 MiB
			src := v>>29&3 | v>>3&0x1ffffc
			if (src+0x020000)&0x1c0000 != 0 {
				continue
			}
			dest := src - pc>>12
			binary.LittleEndian.PutUint32(p, v&0x9000001f|dest&3<<29|dest&0x03fffc<<3|(0-dest&0x020000)&0xe00000)
		}
	}
}
