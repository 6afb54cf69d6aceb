// Package xz unpacks one .xz stream held in memory and says where it ends.
//
// It reads the container itself (https://tukaani.org/xz/xz-file-format.txt) and leaves LZMA2 to
// github.com/ulikunitz/xz/lzma. Two things that module's own container reader lacks are needed here: branch filters
// (kernels are packed with them, scripts/xz_wrap.sh) and the end of a stream with other bytes after it.
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

	"github.com/ulikunitz/xz/lzma"

	"gifthorse/internal/cursor"
)

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
// On an error out holds what came before it; damage is a *cursor.FormatError with an offset into b.
func Decode(b []byte, limit int64) (out []byte, used int64, err error) {
	c := cursor.At(b, 0)
	if string(c.Bytes(6)) != Magic {
		return nil, 0, cursor.Errorf(0, "no xz stream")
	}
	flags := c.Bytes(2)
	c.U32() // CRC of the flags
	if err := c.Err(); err != nil {
		return nil, 0, err
	}
	check := flags[1] & 15
	for {
		start := c.Off()
		n := c.U8()
		if c.Err() != nil {
			return out, c.Off(), c.Err()
		}
		if n == 0 {
			break // the index
		}
		header := c.Bytes(int64(n)*4 + 3)
		if header == nil {
			return out, c.Off(), c.Err()
		}
		branch, dict, err := blockHeader(header[:len(header)-4], start)
		if err != nil {
			return out, c.Off(), err
		}
		in := bytes.NewReader(b[c.Off():])
		z, err := lzma.Reader2Config{DictCap: int(dict)}.NewReader2(in)
		if err != nil {
			return out, c.Off(), cursor.Errorf(c.Off(), "damaged xz: %v", err)
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
		c.Skip(int64(len(b)) - c.Off() - int64(in.Len()))
		if err != nil {
			return out, c.Off(), cursor.Errorf(c.Off(), "damaged xz: %v", err)
		}
		for (c.Off()-start)%4 != 0 && c.Err() == nil {
			c.Skip(1)
		}
		at := c.Off()
		if sum := c.Bytes(checkSize[check]); !verify(check, block, sum) {
			return out, c.Off(), cursor.Errorf(at, "xz check does not match")
		}
	}
	index := c.Off() - 1
	for n := 2 * uvarint(&c); n > 0 && c.Err() == nil; n-- {
		uvarint(&c)
	}
	for (c.Off()-index)%4 != 0 && c.Err() == nil {
		c.Skip(1)
	}
	c.Skip(4 + 12) // CRC of the index, footer
	return out, c.Off(), c.Err()
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
	c := cursor.At(h, 0)
	flags := c.U8()
	if flags&0x40 != 0 {
		uvarint(&c)
	}
	if flags&0x80 != 0 {
		uvarint(&c)
	}
	for i := range flags&3 + 1 {
		id, n := uvarint(&c), uvarint(&c)
		if n > uint64(c.Len()) {
			return nil, 0, cursor.Errorf(off, "xz filter properties of %d bytes", n)
		}
		props := c.Bytes(int64(n))
		if id == filterLZMA2 {
			if len(props) != 1 || props[0] > 40 || i != flags&3 {
				return nil, 0, cursor.Errorf(off, "xz filter LZMA2 with properties %x", props)
			}
			size := (2 | uint64(props[0]&1)) << (props[0]/2 + 11)
			if size > maxDictionary {
				return nil, 0, cursor.Errorf(off, "xz dictionary of %d bytes", size)
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
	return nil, 0, cursor.Errorf(off, "xz block without LZMA2")
}

func uvarint(c *cursor.Cursor) uint64 {
	var v uint64
	for shift := 0; shift < 63; shift += 7 {
		b := c.U8()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	c.Fail("xz number longer than nine bytes")
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
