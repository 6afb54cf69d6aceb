package erofs

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"gifthorse/internal/cursor"
	"gifthorse/internal/lz4"
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
		var err error
		if n, err = lz4.DecodePartial(dst, in); err != nil {
			msg = err.Error()
		}
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
