package dex

import (
	"unicode/utf16"
	"unicode/utf8"
)

// uleb reads an unsigned LEB128 value and returns how many bytes it took, 0 if b ends inside it. Like ART
// (art/libartbase/base/leb128.h) it takes at most five bytes and ignores what does not fit in 32 bits.
func uleb(b []byte) (v uint32, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint32(b[0]), 1
	}
	return ulebLong(b)
}

func ulebLong(b []byte) (v uint32, n int) {
	for n < len(b) {
		c := b[n]
		v |= uint32(c&0x7f) << (7 * n)
		n++
		if c < 0x80 || n == 5 {
			return v, n
		}
	}
	return 0, 0
}

// sleb reads a signed LEB128 value as uleb does an unsigned one.
func sleb(b []byte) (int32, int) {
	v, n := uleb(b)
	if n > 0 && n < 5 {
		shift := 32 - 7*n
		return int32(v<<shift) >> shift, n
	}
	return int32(v), n
}

func ascii(b []byte) bool {
	for len(b) >= 8 {
		if le.Uint64(b)&0x8080808080808080 != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

func decodeMUTF8(b []byte) string {
	if ascii(b) {
		return string(b)
	}
	return string(appendMUTF8(make([]byte, 0, len(b)), b))
}

// appendMUTF8 appends MUTF-8 as UTF-8, taking bytes apart as ART does (art/libdexfile/dex/utf-inl.h, GetUtf16FromUtf8): overlong forms
// are read, a NUL is two bytes, four-byte forms are let through.
func appendMUTF8(dst, b []byte) []byte {
	if ascii(b) {
		return append(dst, b...)
	}
	for len(b) > 0 {
		c := b[0]
		switch {
		case c < 0x80:
			dst = append(dst, c)
			b = b[1:]
		case c&0xe0 == 0xc0 && len(b) >= 2 && b[1]&0xc0 == 0x80:
			dst = utf8.AppendRune(dst, rune(c&0x1f)<<6|rune(b[1]&0x3f))
			b = b[2:]
		case c&0xf0 == 0xe0 && unit(b) >= 0:
			r := unit(b)
			switch {
			case utf16.IsSurrogate(r):
				if len(b) >= 6 {
					if pair := utf16.DecodeRune(r, unit(b[3:])); pair != utf8.RuneError {
						dst = utf8.AppendRune(dst, pair)
						b = b[6:]
						continue
					}
				}
				dst = append(dst, b[:3]...)
			default:
				dst = utf8.AppendRune(dst, r)
			}
			b = b[3:]
		default:
			// Four-byte UTF-8 and plain damage alike: the bytes stay.
			dst = append(dst, c)
			b = b[1:]
		}
	}
	return dst
}

// unit reads a three-byte form, -1 if b does not start with one.
func unit(b []byte) rune {
	if len(b) < 3 || b[0]&0xf0 != 0xe0 || b[1]&0xc0 != 0x80 || b[2]&0xc0 != 0x80 {
		return -1
	}
	return rune(b[0]&0xf)<<12 | rune(b[1]&0x3f)<<6 | rune(b[2]&0x3f)
}
