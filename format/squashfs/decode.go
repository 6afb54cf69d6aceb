package squashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz/lzma"

	"gifthorse/internal/cursor"
	"gifthorse/internal/lz4"
	"gifthorse/internal/xz"
)

// Compression ids: squashfs_fs.h.
const (
	packGzip = 1 + iota // a zlib stream, in spite of its name
	packLZMA
	packLZO
	packXz
	packLZ4
	packZstd
)

// maxWindow bounds the window of a zstd frame: what is unpacked is a block of at most 1 MiB, and mksquashfs never asks
// for more than 8 MiB.
const maxWindow = 8 << 20

// decoders keeps decoders that cost much to make.
type decoders struct {
	zlib sync.Pool // of io.ReadCloser that are zlib.Resetter
	zstd sync.Pool // of *zstd.Decoder
}

// decode unpacks src, which lies at off, into dst, and returns how many bytes that gave. More than dst holds is an error.
func (f *FS) decode(dst, src []byte, off int64) (int, error) {
	n, err := f.unpack(dst, src)
	var where *xz.Error
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, errors.ErrUnsupported):
		return n, fmt.Errorf("at byte %#x: %w", off, err)
	case errors.As(err, &where):
		return n, cursor.Errorf(off+where.Off, "%s", where.Msg)
	}
	return n, cursor.Errorf(off, "%d packed bytes, for at most %d: %v", len(src), len(dst), err)
}

func (f *FS) unpack(dst, src []byte) (int, error) {
	switch f.packer {
	case packLZ4:
		return lz4.Decode(dst, src)
	case packXz:
		b, _, err := xz.Decode(src, int64(len(dst)), func(in io.Reader, dict int) (io.Reader, error) {
			// mksquashfs takes a block for the dictionary. More than that cannot be of use, and costs.
			return lzma.Reader2Config{DictCap: max(lzma.MinDictCap, min(dict, len(dst)))}.NewReader2(in)
		})
		return copy(dst, b), err
	case packZstd:
		z, _ := f.decoders.zstd.Get().(*zstd.Decoder)
		if z == nil {
			var err error
			z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecodeAllCapLimit(true))
			if err != nil {
				return 0, err
			}
		}
		defer f.decoders.zstd.Put(z)
		b, err := z.DecodeAll(src, dst[:0:len(dst)])
		if err != nil {
			return 0, err
		}
		return len(b), nil
	}
	z, _ := f.decoders.zlib.Get().(io.ReadCloser)
	if z == nil {
		var err error
		if z, err = zlib.NewReader(bytes.NewReader(src)); err != nil {
			return 0, err
		}
	} else if err := z.(zlib.Resetter).Reset(bytes.NewReader(src), nil); err != nil {
		return 0, err
	}
	defer f.decoders.zlib.Put(z)
	n, err := io.ReadFull(z, dst)
	switch err {
	case nil:
		// The checksum is looked at where the stream ends.
		var more [1]byte
		if k, err := z.Read(more[:]); k > 0 {
			return n, errors.New("there is more")
		} else if err != io.EOF {
			return n, err
		}
	case io.EOF, io.ErrUnexpectedEOF:
		// ReadFull says this of a stream that ends well and early. One that is cut off says it too.
		if _, again := z.Read(make([]byte, 1)); again != io.EOF {
			return n, again
		}
	default:
		return n, err
	}
	return n, nil
}
