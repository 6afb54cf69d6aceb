package evidence

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"gifthorse/internal/lz4"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A stream is the source of what a compressed file holds.
type stream struct {
	of   *File
	kind string
	tick func(n int64) // is told how much has come out; nil if nobody asks
}

// maxRatio and freeSize cut what inflates without measure. Deflate reaches 1032:1 on zeros, and images hold
// zeros, so only what is large as well is cut.
const (
	maxRatio = 1000
	freeSize = 64 << 20
)

// tooDense is the rule for what says how long it will be, or has become.
func tooDense(packed, unpacked int64) bool {
	return unpacked > freeSize && unpacked/maxRatio > packed
}

func (s stream) load(e *Evidence) ([]byte, string, error) {
	in, err := s.of.blob.load()
	if err != nil {
		return nil, "", err
	}
	r, err := decompress(s.kind, in)
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	b, err := e.spool.stream(e.ctx, min(e.inflation, max(freeSize, int64(len(in))*maxRatio)), r, s.tick)
	if err == nil || e.ctx.Err() != nil {
		return b, "", err
	}
	switch {
	case errors.Is(err, errTooLong):
		return b, "", &failure{TooLarge, fmt.Sprintf("its %d bytes hold more than %d bytes", len(in), len(b))}
	case errors.Is(err, gzip.ErrHeader) && len(b) > 0:
		return b, "bytes behind its end", nil // gzip(1) says "trailing garbage ignored"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return b, "", &failure{CutShort, fmt.Sprintf("it ends after %d bytes of what it holds", len(b))}
	}
	if w := explain(err); w.reason != Damaged {
		return b, "", w
	}
	return b, "", &failure{Damaged, fmt.Sprintf("it does not decompress after %d bytes", len(b))}
}

func (s stream) head(e *Evidence, n int) ([]byte, error) {
	in, err := s.of.blob.load()
	if err != nil {
		return nil, err
	}
	r, err := decompress(s.kind, in)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readHead(r, n)
}

// maxWindow bounds how much a decompressor keeps to look back at. xz -9 needs 64 MiB, zstd --ultra -22 and
// zstd --long 128 MiB.
const maxWindow = 256 << 20

// decompress starts to read in, which is of a kind whose handling is unwrap.
func decompress(kind string, in []byte) (io.ReadCloser, error) {
	switch kind {
	case "gzip":
		return gzip.NewReader(bytes.NewReader(in))
	case "bzip2":
		return io.NopCloser(bzip2.NewReader(bytes.NewReader(in))), nil
	case "xz":
		return io.NopCloser(&xzReader{in: in}), nil
	case "lz4":
		return io.NopCloser(lz4.NewReader(in)), nil
	}
	d, err := zstd.NewReader(bytes.NewReader(in), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return zstdReader{d.IOReadCloser()}, nil
}

// A zstdReader says in our words that a window is too large.
type zstdReader struct{ io.ReadCloser }

func (z zstdReader) Read(b []byte) (int, error) {
	n, err := z.ReadCloser.Read(b)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = errWindow
	}
	return n, err
}

var errWindow = &failure{TooLarge, fmt.Sprintf("its decompressor needs a window of more than %d bytes", maxWindow)}
