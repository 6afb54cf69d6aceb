package erofs

import (
	"bytes"
	"encoding/binary"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"gifthorse/internal/cursor"
)

// decoders keeps decoders that cost much to make.
type decoders struct {
	deflate sync.Pool // of io.ReadCloser that are flate.Resetter
	zstd    sync.Pool // of *zstd.Decoder
	lzma    sync.Pool // of *lzma
}

// decode decodes an extent into dst, which has its size. A deduplicated extent may decode to more than that; then dst gets the beginning.
func (c *content) decode(dst []byte, e extent) error {
	f := c.fs
	if int64(cap(c.in)) < e.encSize {
		c.in = make([]byte, e.encSize)
	}
	in := c.in[:e.encSize]
	if err := f.read(in, e.off); err != nil {
		return err
	}
	if e.alg != algLZ4 || f.features&featZeroPadding != 0 {
		// The data end where the extent does; the zeros before them are less than a block.
		n := f.blockSize() - e.off&(f.blockSize()-1)
		pad := in[:min(n, e.encSize)]
		zeros := len(pad) - len(bytes.TrimLeft(pad, "\x00"))
		if zeros == len(pad) {
			return cursor.Errorf(e.off, "an extent of zeros")
		}
		in = in[zeros:]
	}
	var n int
	var msg string
	switch e.alg {
	case algLZ4:
		n, msg = lz4(dst, in)
	case algLZMA:
		l, _ := f.decoders.lzma.Get().(*lzma)
		if l == nil {
			l = new(lzma)
		}
		n, msg = l.decode(dst, in)
		f.decoders.lzma.Put(l)
	case algDeflate:
		r, _ := f.decoders.deflate.Get().(io.ReadCloser)
		if r == nil {
			r = flate.NewReader(bytes.NewReader(in))
		} else if err := r.(flate.Resetter).Reset(bytes.NewReader(in), nil); err != nil {
			return err
		}
		n, msg = readStream(r, dst)
		f.decoders.deflate.Put(r)
	case algZstd:
		z, _ := f.decoders.zstd.Get().(*zstd.Decoder)
		if z == nil {
			var err error
			// With a concurrency of one it decodes here and starts nothing.
			z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxEncoded))
			if err != nil {
				return err
			}
		}
		if err := z.Reset(bytes.NewReader(in)); err != nil {
			return cursor.Errorf(e.off, "zstd: %v", err)
		}
		n, msg = readStream(z, dst)
		f.decoders.zstd.Put(z)
	}
	if msg == "" && n < len(dst) {
		msg = "data end early"
	}
	if msg != "" {
		return cursor.Errorf(e.off, "extent of %d bytes for %d: %s after %d", len(in), len(dst), msg, n)
	}
	return nil
}

func readStream(r io.Reader, dst []byte) (int, string) {
	n, err := io.ReadFull(r, dst)
	if err != nil {
		return n, err.Error()
	}
	return n, ""
}

// lz4 decodes a raw LZ4 block (lz4_Block_format.md of the LZ4 project) until src ends or dst is full. It returns how
// many bytes it wrote and what was wrong.
func lz4(dst, src []byte) (d int, msg string) {
	s := 0
	for s < len(src) {
		token := src[s]
		s++
		lit := int(token >> 4)
		if lit < 15 && len(src)-s >= 16 && len(dst)-d >= 16 {
			// Most runs are short: a move of a fixed size costs less than a call. What it moves too much is overwritten.
			copy(dst[d:d+16], src[s:s+16])
			d += lit
			s += lit
		} else {
			if lit == 15 {
				for {
					if s == len(src) {
						return d, "run length cut off"
					}
					b := src[s]
					s++
					lit += int(b)
					if b != 255 {
						break
					}
				}
			}
			if lit > len(src)-s {
				return d, "literals cut off"
			}
			n := copy(dst[d:], src[s:s+lit])
			d += n
			s += lit
			if n < lit || d == len(dst) || s == len(src) {
				return d, ""
			}
		}
		if len(src)-s < 2 {
			return d, "match cut off"
		}
		dist := int(binary.LittleEndian.Uint16(src[s:]))
		s += 2
		if dist == 0 || dist > d {
			return d, "match before the beginning"
		}
		n := int(token & 15)
		if n < 15 && dist >= 16 && len(dst)-d >= 32 {
			from := dst[d-dist:]
			copy(dst[d:d+16], from[:16])
			binary.LittleEndian.PutUint16(dst[d+16:], binary.LittleEndian.Uint16(from[16:]))
			d += n + 4
			continue
		}
		if n == 15 {
			for {
				if s == len(src) {
					return d, "match length cut off"
				}
				b := src[s]
				s++
				n += int(b)
				if b != 255 {
					break
				}
			}
		}
		end := min(d+n+4, len(dst))
		repeat(dst, d, dist, end)
		d = end
		if d == len(dst) {
			return d, ""
		}
	}
	return d, "data end with a match"
}

// repeat fills dst[d:end] with what lies dist before it.
func repeat(dst []byte, d, dist, end int) {
	for start := d - dist; d < end; {
		d += copy(dst[d:end], dst[start:d])
	}
}
