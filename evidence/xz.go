package evidence

import (
	"bytes"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"gifthorse/internal/cursor"

	"github.com/ulikunitz/xz/lzma"
)

// An xzReader decompresses the .xz format (tukaani.org/xz/xz-file-format.txt, version 1.2) with one LZMA2
// filter, which is what xz writes unless asked otherwise. It frames the blocks itself, because each of them
// names the size of its own window, and that must be judged before it is allocated. Contents that do not
// have the checksum named (CRC-32 or CRC-64) are damaged; SHA-256 is not checked. The index is skipped.
type xzReader struct {
	in    []byte
	off   int
	block io.Reader // of the present block, nil between blocks
	src   *bytes.Reader
	start int // of the present block's LZMA2 data
	check byte
	sum   hash.Hash
	open  bool // between a stream header and its index
	some  bool // one stream header has been read
	err   error

	produced int64 // bytes given
	windows  int64 // bytes of windows allocated
}

const (
	xzMagic  = "\xfd7zXZ\x00"
	xzCRC32  = 1
	xzCRC64  = 4
	xzFilter = 0x21 // LZMA2
)

// xzCheckSizes are the sizes of the checks by their ID (section 2.1.1.2).
var xzCheckSizes = [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}

var crc64Table = crc64.MakeTable(crc64.ECMA)

func (x *xzReader) Read(b []byte) (int, error) {
	for x.err == nil {
		if x.block == nil {
			x.err = x.next()
			continue
		}
		n, err := x.block.Read(b)
		if x.sum != nil {
			x.sum.Write(b[:n])
		}
		if err == io.EOF {
			err = x.endBlock()
		}
		x.err = err
		if n > 0 {
			x.produced += int64(n)
			return n, nil
		}
	}
	return 0, x.err
}

// take returns the next n bytes of the file.
func (x *xzReader) take(n int) ([]byte, error) {
	if n > len(x.in)-x.off {
		return nil, io.ErrUnexpectedEOF
	}
	b := x.in[x.off : x.off+n]
	x.off += n
	return b, nil
}

func (x *xzReader) damaged(what string) error { return cursor.Errorf(int64(x.off), "%s", what) }

// next reads up to the LZMA2 data of the next block, or to the end of the file.
func (x *xzReader) next() error {
	if !x.open {
		for x.some && x.off < len(x.in) && x.in[x.off] == 0 {
			x.off++ // stream padding
		}
		if x.some && x.off == len(x.in) {
			return io.EOF
		}
		h, err := x.take(12)
		if err != nil {
			return err
		}
		if string(h[:6]) != xzMagic || h[6] != 0 || h[7] > 15 || crc32.ChecksumIEEE(h[6:8]) != binary.LittleEndian.Uint32(h[8:]) {
			return x.damaged("no xz stream header")
		}
		x.check, x.open, x.some = h[7], true, true
	}
	if x.off == len(x.in) {
		return io.ErrUnexpectedEOF
	}
	if x.in[x.off] == 0 {
		x.open = false
		return x.skipIndex()
	}
	h, err := x.take((int(x.in[x.off]) + 1) * 4)
	if err != nil {
		return err
	}
	body, crc := h[:len(h)-4], h[len(h)-4:]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(crc) {
		return x.damaged("xz block header damaged")
	}
	flags := body[1]
	p := body[2:]
	for _, there := range []bool{flags&0x40 != 0, flags&0x80 != 0} { // compressed and uncompressed size
		if there {
			if _, p = xzInt(p); p == nil {
				return x.damaged("xz block header damaged")
			}
		}
	}
	if flags&0x3f != 0 || len(p) < 3 || p[0] != xzFilter || p[1] != 1 {
		return &failure{Unsupported, "xz with filters other than LZMA2"}
	}
	window, err := lzma.DecodeDictCap(p[2])
	if err != nil {
		return x.damaged("xz window size makes no sense")
	}
	if window > maxWindow {
		return errWindow
	}
	// xz makes blocks of three windows. A million blocks of one byte, each with a large window, cost hours.
	if x.windows += window; x.windows > 4*maxWindow+16*x.produced {
		return &failure{TooLarge, "its blocks need far more memory than they hold"}
	}
	x.start = x.off
	x.src = bytes.NewReader(x.in[x.off:])
	x.block, err = lzma.Reader2Config{DictCap: int(max(window, lzma.MinDictCap))}.NewReader2(x.src)
	if err != nil {
		return err
	}
	x.sum = nil
	switch x.check {
	case xzCRC32:
		x.sum = crc32.NewIEEE()
	case xzCRC64:
		x.sum = crc64.New(crc64Table)
	}
	return nil
}

// endBlock reads the padding and the check behind a block.
func (x *xzReader) endBlock() error {
	x.block = nil
	x.off = len(x.in) - x.src.Len()
	for (x.off-x.start)%4 != 0 {
		if _, err := x.take(1); err != nil {
			return err
		}
	}
	c, err := x.take(xzCheckSizes[x.check])
	if err != nil {
		return err
	}
	var want uint64
	switch x.check {
	case xzCRC32:
		want = uint64(binary.LittleEndian.Uint32(c))
	case xzCRC64:
		want = binary.LittleEndian.Uint64(c)
	default:
		return nil
	}
	got := x.sum.Sum(nil) // big-endian
	var v uint64
	for _, b := range got {
		v = v<<8 | uint64(b)
	}
	if v != want {
		return x.damaged("xz block has another checksum")
	}
	return nil
}

// skipIndex passes over the index and the stream footer.
func (x *xzReader) skipIndex() error {
	start := x.off
	n, p := xzInt(x.in[x.off+1:])
	if p == nil {
		return io.ErrUnexpectedEOF
	}
	for range n {
		if _, p = xzInt(p); p == nil {
			return io.ErrUnexpectedEOF
		}
		if _, p = xzInt(p); p == nil {
			return io.ErrUnexpectedEOF
		}
	}
	x.off = len(x.in) - len(p)
	pad := -(x.off - start) & 3
	_, err := x.take(pad + 4 + 12)
	return err
}

// xzInt reads a variable-length integer and returns it with what follows, which is nil if there is none.
func xzInt(b []byte) (uint64, []byte) {
	var v uint64
	for i := 0; i < len(b) && i < 9; i++ {
		v |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return v, b[i+1:]
		}
	}
	return 0, nil
}
