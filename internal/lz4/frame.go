package lz4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// What frames begin with (lz4_Frame_format.md). The last hexadecimal digit of a frame to be skipped is anything.
const (
	frameMagic  = 0x184d2204
	legacyMagic = 0x184c2102
	skipMagic   = 0x184d2a50
)

const (
	window      = 64 << 10 // how far back a match of a linked block reaches
	legacyBlock = 8 << 20
)

// ErrDictionary says that a frame needs bytes that are not in it.
var ErrDictionary = fmt.Errorf("lz4: a frame that needs a dictionary: %w", errors.ErrUnsupported)

// A Reader reads what a file of LZ4 frames holds, one after the other: those of lz4(1) and, of its old form (-l), those of
// the kernel. It holds one block and what the next may look back at, 8 MiB at most. Checksums are compared where there are some.
type Reader struct {
	in   []byte
	off  int
	buf  []byte // the window, then the block
	from int    // of what is not yet read in buf
	to   int    // and its end
	err  error

	some, open, legacy             bool // a frame was read; one is open; of the old form
	linked, blockSums, contentSums bool
	most                           int // bytes a block may have
	left                           int64
	sized                          bool // the frame says how long it is; left says what is left of that
	sum                            xxh32
}

// NewReader returns a reader of what is packed in in.
func NewReader(in []byte) *Reader { return &Reader{in: in} }

// Read implements [io.Reader]. The error of damage wraps [ErrCorrupt].
func (r *Reader) Read(b []byte) (int, error) {
	for r.from == r.to && r.err == nil {
		if r.open {
			r.err = r.block()
		} else {
			r.err = r.header()
		}
	}
	if r.from == r.to {
		return 0, r.err
	}
	n := copy(b, r.buf[r.from:r.to])
	r.from += n
	return n, nil
}

func (r *Reader) take(n int) []byte {
	if n < 0 || n > len(r.in)-r.off {
		return nil
	}
	b := r.in[r.off : r.off+n]
	r.off += n
	return b
}

func (r *Reader) damaged(what string) error {
	return fmt.Errorf("%w: %s at byte %#x", ErrCorrupt, what, r.off)
}

// header reads up to the first block of the next frame.
func (r *Reader) header() error {
	if r.some && r.off == len(r.in) {
		return io.EOF
	}
	m := r.take(4)
	if m == nil {
		return io.ErrUnexpectedEOF
	}
	switch magic := binary.LittleEndian.Uint32(m); {
	case magic == legacyMagic:
		r.some, r.open, r.legacy, r.linked, r.sized, r.most = true, true, true, false, false, legacyBlock
		r.blockSums, r.contentSums = false, false
		return nil
	case magic&^15 == skipMagic:
		n := r.take(4)
		if n == nil || r.take(int(min(binary.LittleEndian.Uint32(n), 1<<31-1))) == nil {
			return io.ErrUnexpectedEOF
		}
		r.some = true
		return nil
	case magic != frameMagic:
		r.off -= 4
		return r.damaged("no frame")
	}
	start := r.off
	d := r.take(2)
	if d == nil {
		return io.ErrUnexpectedEOF
	}
	flags, size := d[0], d[1]>>4&7
	if flags>>6 != 1 || flags&2 != 0 || d[1]&0x8f != 0 || size < 4 {
		return r.damaged("a frame of unknown form")
	}
	r.legacy, r.linked, r.blockSums, r.sized, r.contentSums = false, flags&0x20 == 0, flags&0x10 != 0, flags&8 != 0, flags&4 != 0
	r.most = 1 << (8 + 2*size)
	if r.sized {
		n := r.take(8)
		if n == nil {
			return io.ErrUnexpectedEOF
		}
		if r.left = int64(binary.LittleEndian.Uint64(n)); r.left < 0 {
			return r.damaged("a frame that is too long")
		}
	}
	if flags&1 != 0 {
		return ErrDictionary
	}
	var h xxh32
	h.reset()
	h.write(r.in[start:r.off])
	c := r.take(1)
	switch {
	case c == nil:
		return io.ErrUnexpectedEOF
	case byte(h.sum()>>8) != c[0]:
		return r.damaged("a frame's header of another checksum")
	}
	r.some, r.open = true, true
	r.from, r.to = 0, 0 // frames do not look back at others
	r.sum.reset()
	return nil
}

// block unpacks the next block, or ends the frame.
func (r *Reader) block() error {
	if r.legacy && r.off == len(r.in) {
		r.open = false
		return nil
	}
	b := r.take(4)
	if b == nil {
		return io.ErrUnexpectedEOF
	}
	n := binary.LittleEndian.Uint32(b)
	if r.legacy {
		if n == legacyMagic || n == frameMagic || n&^15 == skipMagic {
			r.off -= 4
			r.open = false
			return nil
		}
	} else if n == 0 {
		return r.end()
	}
	raw := !r.legacy && n>>31 != 0
	n &^= 1 << 31
	if limit := r.most + r.most/255 + 16; int64(n) > int64(limit) || raw && int64(n) > int64(r.most) {
		return r.damaged("a block that is too long")
	}
	src := r.take(int(n))
	if src == nil {
		return io.ErrUnexpectedEOF
	}
	if r.blockSums {
		c := r.take(4)
		if c == nil {
			return io.ErrUnexpectedEOF
		}
		var h xxh32
		h.reset()
		h.write(src)
		if h.sum() != binary.LittleEndian.Uint32(c) {
			return r.damaged("a block of another checksum")
		}
	}
	if len(r.buf) < window+r.most {
		buf := make([]byte, window+r.most)
		copy(buf, r.buf[:r.to])
		r.buf = buf
	}
	back := 0
	if r.linked {
		back = copy(r.buf, r.buf[max(0, r.to-window):r.to])
	}
	var err error
	d := back
	if raw {
		d += copy(r.buf[back:], src)
	} else {
		d, err = decode(r.buf[:back+r.most], back, src, false)
	}
	r.from, r.to = back, d
	r.left -= int64(d - back)
	if r.contentSums {
		r.sum.write(r.buf[back:d])
	}
	if err != nil {
		return r.damaged("a damaged block ends")
	}
	if r.sized && r.left < 0 {
		return r.damaged("a frame longer than it says")
	}
	return nil
}

func (r *Reader) end() error {
	r.open = false
	if r.contentSums {
		c := r.take(4)
		if c == nil {
			return io.ErrUnexpectedEOF
		}
		if r.sum.sum() != binary.LittleEndian.Uint32(c) {
			return r.damaged("a frame of another checksum")
		}
	}
	if r.sized && r.left != 0 {
		return r.damaged("a frame shorter than it says")
	}
	return nil
}

// An xxh32 computes XXH32 with seed 0 (xxhash_spec.md of the xxHash project).
type xxh32 struct {
	v     [4]uint32
	tail  [16]byte
	n     int // in tail
	total uint64
}

const (
	prime1 uint32 = 2654435761
	prime2 uint32 = 2246822519
	prime3 uint32 = 3266489917
	prime4 uint32 = 668265263
	prime5 uint32 = 374761393
)

func (h *xxh32) reset() {
	p1, p2 := prime1, prime2 // sums that leave 32 bits, which constants may not
	*h = xxh32{v: [4]uint32{p1 + p2, p2, 0, -p1}}
}

func (h *xxh32) write(b []byte) {
	h.total += uint64(len(b))
	if h.n > 0 {
		k := copy(h.tail[h.n:], b)
		h.n += k
		b = b[k:]
		if h.n < 16 {
			return
		}
		h.stripes(h.tail[:])
		h.n = 0
	}
	whole := len(b) &^ 15
	h.stripes(b[:whole])
	h.n = copy(h.tail[:], b[whole:])
}

func (h *xxh32) stripes(b []byte) {
	v0, v1, v2, v3 := h.v[0], h.v[1], h.v[2], h.v[3]
	for ; len(b) >= 16; b = b[16:] {
		v0 = bits.RotateLeft32(v0+binary.LittleEndian.Uint32(b)*prime2, 13) * prime1
		v1 = bits.RotateLeft32(v1+binary.LittleEndian.Uint32(b[4:])*prime2, 13) * prime1
		v2 = bits.RotateLeft32(v2+binary.LittleEndian.Uint32(b[8:])*prime2, 13) * prime1
		v3 = bits.RotateLeft32(v3+binary.LittleEndian.Uint32(b[12:])*prime2, 13) * prime1
	}
	h.v = [4]uint32{v0, v1, v2, v3}
}

func (h *xxh32) sum() uint32 {
	s := prime5
	if h.total >= 16 {
		s = bits.RotateLeft32(h.v[0], 1) + bits.RotateLeft32(h.v[1], 7) + bits.RotateLeft32(h.v[2], 12) + bits.RotateLeft32(h.v[3], 18)
	}
	s += uint32(h.total)
	b := h.tail[:h.n]
	for ; len(b) >= 4; b = b[4:] {
		s = bits.RotateLeft32(s+binary.LittleEndian.Uint32(b)*prime3, 17) * prime4
	}
	for _, c := range b {
		s = bits.RotateLeft32(s+uint32(c)*prime5, 11) * prime1
	}
	s = (s ^ s>>15) * prime2
	s = (s ^ s>>13) * prime3
	return s ^ s>>16
}
