package apk

import (
	"encoding/binary"
	"unicode/utf8"

	"gifthorse/internal/cursor"
)

// A chunk is a piece of binary XML or of a resource table (ResChunk_header in ResourceTypes.h).
type chunk struct {
	kind   uint16
	header int    // length of its header
	off    int    // of its first byte
	b      []byte // the whole chunk
}

const (
	chunkStrings = 0x0001
	chunkTable   = 0x0002
	chunkXML     = 0x0003
)

// chunkAt reads the header of the chunk at off of b. A chunk that claims to be longer than b is an error,
// as it is to validate_chunk in ResourceTypes.cpp; unlike there it need not be aligned.
func chunkAt(b []byte, off int) (chunk, error) {
	if off < 0 || len(b)-off < 8 {
		return chunk{}, cursor.Errorf(int64(off), "no room for a chunk header")
	}
	h := b[off:]
	c := chunk{kind: binary.LittleEndian.Uint16(h), header: int(binary.LittleEndian.Uint16(h[2:])), off: off}
	size := int64(binary.LittleEndian.Uint32(h[4:]))
	if c.header < 8 || size < int64(c.header) || size > int64(len(h)) {
		return chunk{}, cursor.Errorf(int64(off), "chunk %#04x: header of %d bytes in %d bytes, %d left", c.kind, c.header, size, len(h))
	}
	c.b = h[:size:size]
	return c, nil
}

// stringPool reads the strings of a ResStringPool on demand.
type stringPool struct {
	entries []byte // offsets of the strings, four bytes each
	strings []byte
	utf8    bool
}

// newStringPool follows ResStringPool::setTo. What that refuses as a whole, a missing NUL at the very end or
// a damaged style section, is taken here: each string is checked on its own.
func newStringPool(c chunk) stringPool {
	le := binary.LittleEndian
	if c.header < 28 {
		return stringPool{}
	}
	count, styles := int64(le.Uint32(c.b[8:])), le.Uint32(c.b[12:])
	flags, start, stylesStart := le.Uint32(c.b[16:]), int64(le.Uint32(c.b[20:])), int64(le.Uint32(c.b[24:]))
	end := int64(len(c.b))
	if styles > 0 && stylesStart > start && stylesStart < end {
		end = stylesStart
	}
	if start > end {
		return stringPool{}
	}
	entries := c.b[c.header:]
	return stringPool{
		entries: entries[:min(count*4, int64(len(entries)))&^3],
		strings: c.b[start:end],
		utf8:    flags&(1<<8) != 0,
	}
}

func (p *stringPool) len() int { return len(p.entries) / 4 }

// bytes returns string i as it lies in the pool.
func (p *stringPool) bytes(i uint32) ([]byte, bool) {
	if int64(i) >= int64(p.len()) {
		return nil, false
	}
	off := int64(binary.LittleEndian.Uint32(p.entries[i*4:]))
	if p.utf8 {
		return p.bytes8(off)
	}
	return p.bytes16(off &^ 1)
}

// bytes8 is ResStringPool::string8At and stringDecodeAt. The length is that of the UTF-16 form first, then
// that of the bytes, each of 15 bits. aapt cut longer ones short, and Android looks for the NUL in steps of 32 KiB.
func (p *stringPool) bytes8(off int64) ([]byte, bool) {
	s := p.strings
	if off >= int64(len(s)) {
		return nil, false
	}
	s = s[off:]
	var n int
	for range 2 {
		if len(s) == 0 {
			return nil, false
		}
		n = int(s[0])
		s = s[1:]
		if n&0x80 != 0 {
			if len(s) == 0 {
				return nil, false
			}
			n = n&0x7f<<8 | int(s[0])
			s = s[1:]
		}
	}
	for end := n; end < len(s); end += 1 << 15 {
		if s[end] == 0 {
			return s[:end], true
		}
	}
	return nil, false
}

// bytes16 is ResStringPool::stringAt for UTF-16.
func (p *stringPool) bytes16(off int64) ([]byte, bool) {
	s := p.strings
	if off > int64(len(s))-2 {
		return nil, false
	}
	s = s[off:]
	n := int64(binary.LittleEndian.Uint16(s))
	s = s[2:]
	if n&0x8000 != 0 {
		if len(s) < 2 {
			return nil, false
		}
		n = n&0x7fff<<16 | int64(binary.LittleEndian.Uint16(s))
		s = s[2:]
	}
	n *= 2
	if n > int64(len(s))-2 || s[n] != 0 || s[n+1] != 0 {
		return nil, false
	}
	return s[:n], true
}

// str returns string i. Android sees none where the index is outside or the string is not terminated.
func (p *stringPool) str(i uint32) (string, bool) {
	b, ok := p.bytes(i)
	if !ok {
		return "", false
	}
	if p.utf8 {
		return string(fromModified(b)), true
	}
	return string(fromUTF16(b)), true
}

// fromModified turns the modified UTF-8 that aapt2 writes (a surrogate pair as two sequences of three bytes,
// NUL as two bytes) into UTF-8. Anything else stays as it is, valid or not, so that two different texts
// never become one.
func fromModified(b []byte) []byte {
	i := 0
	for i < len(b) && b[i] != 0xed && b[i] != 0xc0 {
		i++
	}
	if i == len(b) {
		return b
	}
	out := append(make([]byte, 0, len(b)), b[:i]...)
	for i < len(b) {
		hi, ok := surrogate(b[i:], 0xa0)
		if lo, ok2 := surrogate(b[min(i+3, len(b)):], 0xb0); ok && ok2 {
			out = utf8.AppendRune(out, 0x10000+hi<<10+lo)
			i += 6
			continue
		}
		if b[i] == 0xc0 && i+1 < len(b) && b[i+1] == 0x80 {
			out = append(out, 0)
			i += 2
			continue
		}
		out = append(out, b[i])
		i++
	}
	return out
}

// surrogate decodes a surrogate of three bytes; second is 0xa0 for a high one, 0xb0 for a low one.
func surrogate(b []byte, second byte) (rune, bool) {
	if len(b) < 3 || b[0] != 0xed || b[1]&0xf0 != second || b[2]&0xc0 != 0x80 {
		return 0, false
	}
	return rune(b[1]&0xf)<<6 | rune(b[2]&0x3f), true
}

// fromUTF16 turns little-endian UTF-16 into UTF-8. A surrogate without its other half becomes three bytes
// that are not valid UTF-8, for the same reason as in fromModified.
func fromUTF16(b []byte) []byte {
	out := make([]byte, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		r := rune(binary.LittleEndian.Uint16(b[i:]))
		switch {
		case r < 0x80:
			out = append(out, byte(r))
			continue
		case r&0xfc00 == 0xd800 && i+3 < len(b) && b[i+3]&0xfc == 0xdc:
			lo := rune(binary.LittleEndian.Uint16(b[i+2:]))
			r = 0x10000 + (r&0x3ff)<<10 + lo&0x3ff
			i += 2
		case r&0xf800 == 0xd800:
			out = append(out, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
			continue
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}
