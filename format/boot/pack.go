package boot

import (
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz/lzma"

	"gifthorse/internal/cursor"
	"gifthorse/internal/lz4"
	"gifthorse/internal/xz"
)

// The packings the kernel knows (lib/decompress.c), by their first bytes.
var packings = []struct {
	name, magic string
}{
	{"gzip", "\x1f\x8b"},
	{"gzip", "\x1f\x9e"},
	{"bzip2", "BZh"},
	{"lzma", "\x5d\x00\x00"},
	{"xz", "\xfd7zXZ\x00"},
	{"lzo", "\x89LZO"},
	{"lz4", "\x02\x21\x4c\x18"},
	{"lz4 frame", "\x04\x22\x4d\x18"},
	{"zstd", "\x28\xb5\x2f\xfd"},
}

const (
	lz4Magic = 0x184c2102
	lz4Chunk = 8 << 20 // unpacked size of a chunk of a legacy lz4 stream (lib/decompress_unlz4.c)
	// maxDictionary bounds what an lzma or zstd stream may ask for: lzma -9 uses 64 MiB, zstd --ultra -22 128 MiB.
	maxDictionary = 128 << 20
)

// packing names the packing that b begins with, "" for none.
func packing(b []byte) string {
	for _, p := range packings {
		if bytes.HasPrefix(b, []byte(p.magic)) {
			return p.name
		}
	}
	return ""
}

// unpack unpacks the one stream that b begins with. It returns the bytes got, at most limit, and how many bytes of b
// the stream takes; on an error, the bytes got before it. Errors carry offsets into b.
func unpack(b []byte, kind string, limit int64) (out []byte, used int64, err error) {
	in := bytes.NewReader(b)
	at := func() int64 { return int64(len(b) - in.Len()) }
	switch kind {
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, at(), packError(kind, at(), err)
		}
		z.Multistream(false)
		out, err = drain(z, limit)
		return out, at(), packError(kind, at(), err)

	case "bzip2":
		// The standard reader goes on into streams that follow; so does this.
		out, err = drain(bzip2.NewReader(in), limit)
		return out, at(), packError(kind, at(), err)

	case "lzma":
		z, err := lzma.ReaderConfig{DictCap: maxDictionary}.NewReader(in)
		if err != nil {
			return nil, at(), packError(kind, at(), err)
		}
		out, err = drain(z, limit)
		return out, at(), packError(kind, at(), err)

	case "xz":
		out, used, err = xz.Decode(b, limit, func(in io.Reader, dict int) (io.Reader, error) {
			return lzma.Reader2Config{DictCap: dict}.NewReader2(in)
		})
		if xe := (*xz.Error)(nil); errors.As(err, &xe) {
			err = cursor.Errorf(xe.Off, "%s", xe.Msg)
		}
		return out, used, err

	case "lz4":
		return unpackLZ4(b, limit)

	case "zstd":
		used, err := zstdFrame(b)
		if err != nil {
			return nil, used, err
		}
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxDictionary), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, 0, err
		}
		defer z.Close()
		if err := z.Reset(bytes.NewReader(b[:used])); err != nil {
			return nil, 0, packError(kind, 0, err)
		}
		out, err = drain(z, limit)
		return out, used, packError(kind, used, err)
	}
	return nil, 0, unsupported("%s", kind)
}

// unpackLZ4 follows the kernel: chunks of a size and a block, the magic may come again between chunks,
// a size of zero ends the stream. A size that cannot be one ends it too, where the kernel gives up.
func unpackLZ4(b []byte, limit int64) (out []byte, used int64, err error) {
	off := int64(0)
	chunk := make([]byte, lz4Chunk)
	for int64(len(b))-off >= 4 {
		n := int64(binary.LittleEndian.Uint32(b[off:]))
		if n == lz4Magic {
			off += 4
			continue
		}
		if n == 0 || n > int64(len(b))-off-4 {
			break
		}
		k, err := lz4.Decode(chunk, b[off+4:off+4+n])
		if err != nil {
			return append(out, chunk[:k]...), off, cursor.Errorf(off, "damaged lz4 chunk of %d bytes", n)
		}
		if int64(len(out)+k) > limit {
			return append(out, chunk[:limit-int64(len(out))]...), off, tooLarge(off, limit)
		}
		out = append(out, chunk[:k]...)
		off += 4 + n
	}
	return out, off, nil
}

// zstdFrame returns the length of the frame that b begins with (RFC 8878, 3.1.1).
func zstdFrame(b []byte) (int64, error) {
	c := cursor.At(b, 4)
	d := c.U8()
	single := d&0x20 != 0
	if !single {
		c.Skip(1)
	}
	c.Skip([]int64{0, 1, 2, 4}[d&3])
	switch d >> 6 {
	case 0:
		if single {
			c.Skip(1)
		}
	case 1:
		c.Skip(2)
	case 2:
		c.Skip(4)
	case 3:
		c.Skip(8)
	}
	for last := false; !last && c.Err() == nil; {
		h := uint32(c.U8()) | uint32(c.U16())<<8
		last = h&1 != 0
		n := int64(h >> 3)
		if h>>1&3 == 1 { // one byte, repeated
			n = 1
		}
		c.Skip(n)
	}
	if d&4 != 0 {
		c.Skip(4)
	}
	return c.Off(), c.Err()
}

// drain reads r to its end. More than limit bytes are an error.
func drain(r io.Reader, limit int64) ([]byte, error) {
	var b bytes.Buffer
	_, err := b.ReadFrom(io.LimitReader(r, limit+1))
	if int64(b.Len()) > limit {
		return b.Bytes()[:limit], tooLarge(0, limit)
	}
	return b.Bytes(), err
}

func tooLarge(off, limit int64) error {
	return cursor.Errorf(off, "unpacks to more than %d bytes", limit)
}

func packError(kind string, off int64, err error) error {
	if err == nil {
		return nil
	}
	if fe := (*FormatError)(nil); errors.As(err, &fe) {
		return err
	}
	return cursor.Errorf(off, "damaged %s: %v", kind, err)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), errors.ErrUnsupported)
}
