// Package lz4 decodes LZ4 blocks, and the frames of the program lz4.
//
// A block is a run of sequences, each some literals and one copy of bytes already decoded, as
// https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md describes. A block carries neither its
// size nor a checksum: the container (a ramdisk's chunk, an EROFS cluster) knows both, and the caller
// brings a buffer of that size. Nothing is allocated and nothing is read or written outside the two slices.
//
// [NewReader] reads what lies in frames, https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md.
//
// # Not read
//
// Dictionaries.
package lz4

import "errors"

// ErrCorrupt says that the bytes are no LZ4 block, or one that does not fit the destination.
var ErrCorrupt = errors.New("lz4: damaged block")

const minMatch = 4 // a match length of zero means four bytes

// Decode decodes the whole of src into dst and returns how many bytes it wrote. It is an error
// if dst is too small. On an error the bytes written before it stand in dst[:n].
func Decode(dst, src []byte) (n int, err error) { return decode(dst, 0, src, false) }

// DecodePartial decodes until dst is full or src has ended, whichever comes first, as
// LZ4_decompress_safe_partial does: EROFS wants the first bytes of a cluster, and bytes that
// follow a block inside its cluster are not part of it.
func DecodePartial(dst, src []byte) (n int, err error) { return decode(dst, 0, src, true) }

// decode decodes behind the d bytes that dst begins with, which matches may reach.
func decode(dst []byte, d int, src []byte, partial bool) (int, error) {
	s := 0
	for s < len(src) {
		token := src[s]
		s++

		lits := int(token >> 4)
		if lits < 15 && len(src)-s >= 16 && len(dst)-d >= 16 {
			// Most runs are short; a copy of fixed size is two moves and no call. What it writes too much is written over.
			*(*[16]byte)(dst[d:]) = *(*[16]byte)(src[s:])
			d += lits
			s += lits
		} else {
			if lits == 15 {
				var ok bool
				if lits, s, ok = length(src, s, lits, len(src)); !ok {
					return d, ErrCorrupt
				}
			}
			if room := len(dst) - d; lits > room {
				if !partial {
					return d, ErrCorrupt
				}
				lits = room
			}
			if lits > len(src)-s {
				return d, ErrCorrupt
			}
			copy(dst[d:d+lits], src[s:s+lits])
			d += lits
			s += lits
			if s == len(src) || partial && d == len(dst) {
				return d, nil // the last sequence has no match
			}
		}

		if s+2 > len(src) {
			return d, ErrCorrupt
		}
		offset := int(src[s]) | int(src[s+1])<<8
		s += 2
		if offset == 0 || offset > d {
			return d, ErrCorrupt
		}
		match := int(token & 15)
		if match < 15 && offset >= 16 && len(dst)-d >= 32 {
			from := d - offset // 18 bytes at most
			*(*[16]byte)(dst[d:]) = *(*[16]byte)(dst[from:])
			*(*[2]byte)(dst[d+16:]) = *(*[2]byte)(dst[from+16:])
			d += match + minMatch
			continue
		}
		if match == 15 {
			var ok bool
			if match, s, ok = length(src, s, match, len(dst)); !ok {
				return d, ErrCorrupt
			}
		}
		match += minMatch
		if room := len(dst) - d; match > room {
			if !partial {
				return d, ErrCorrupt
			}
			match = room
		}
		// A match may run into the bytes it writes. Each round copies what is there already, and
		// so doubles the distance to the source.
		for from := d - offset; match > 0; {
			k := copy(dst[d:d+match], dst[from:d])
			d += k
			match -= k
		}
	}
	return d, nil
}

// length reads the bytes that extend a length of 15. A length above limit by more than a sequence
// is refused while it is read, so that it cannot overflow an int of 32 bits.
func length(src []byte, s, n, limit int) (int, int, bool) {
	for s < len(src) {
		b := src[s]
		s++
		n += int(b)
		if b != 255 {
			return n, s, true
		}
		if n > limit+1<<20 {
			// Nothing that long fits; a partial decode would fill dst before it ends.
			for s < len(src) && src[s] == 255 {
				s++
			}
			if s == len(src) {
				return n, s, false
			}
			return n, s + 1, true
		}
	}
	return n, s, false
}
