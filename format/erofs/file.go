package erofs

import (
	"encoding/binary"
	"io"
	"math/bits"
	"sync"

	"gifthorse/internal/cursor"
)

// A content is the data of an inode.
type content struct {
	fs  *FS
	ino *inode
	z   *zmap // of a compressed inode

	mu    sync.Mutex // guards the rest, which is for compressed data and chunk tables
	win   window
	in    []byte    // an encoded pcluster
	cache [2]extent // decoded, the last used first
}

// content prepares to read the data of ino.
func (f *FS) content(ino *inode) (*content, error) {
	c := &content{fs: f, ino: ino}
	switch {
	case ino.size == 0:
	case ino.layout == compressedFull || ino.layout == compressedCompact:
		z, err := c.newZmap()
		if err != nil {
			return nil, err
		}
		c.z = z
	case ino.layout == chunkBased && ino.addr&0xffc0 != 0:
		return nil, unsupported("chunk format %#x at byte %#x", ino.addr&0xffff, ino.off)
	}
	return c, nil
}

// openPacked opens the inode that holds the fragments of others. It is kept open: many small files lie in one of its extents.
func (f *FS) openPacked() (*content, error) {
	var w window
	ino, err := f.inode(f.packedNid, &w)
	if err != nil {
		return nil, err
	}
	c, err := f.content(ino)
	if err != nil {
		return nil, err
	}
	if c.z != nil && c.z.advise&adviseFragment != 0 {
		return nil, cursor.Errorf(ino.off, "the packed inode has fragments itself")
	}
	return c, nil
}

// Slice gives what lies in one piece of an image in memory: see [cursor.Slice].
func (c *content) Slice(off, n int64) []byte {
	f, ino, bs := c.fs, c.ino, c.fs.blockSize()
	if off < 0 || n <= 0 || off > ino.size || n > ino.size-off || ino.layout != flatPlain && ino.layout != flatInline {
		return nil
	}
	at := int64(ino.addr)<<f.blockBits + off
	if tail := (ino.size - 1) &^ (bs - 1); ino.layout == flatInline && off+n > tail {
		if off < tail {
			return nil
		}
		at = ino.end + off - tail
	}
	if at < 0 || at > f.size || n > f.size-at {
		return nil
	}
	return cursor.Slice(f.r, at, n)
}

// readFull fills b with the data at off.
func (c *content) readFull(b []byte, off int64) error {
	n, err := c.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		err = cursor.Errorf(c.ino.off, "%d bytes wanted at %#x of an inode of %d", len(b), off, c.ino.size)
	}
	return err
}

// ReadAt does what io.ReaderAt says.
func (c *content) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 || off >= c.ino.size {
		return 0, io.EOF
	}
	short := false
	if int64(len(p)) > c.ino.size-off {
		p, short = p[:c.ino.size-off], true
	}
	for n < len(p) {
		var k int
		switch c.ino.layout {
		case flatPlain, flatInline:
			k, err = c.readFlat(p[n:], off+int64(n))
		case chunkBased:
			k, err = c.readChunk(p[n:], off+int64(n))
		default:
			k, err = c.readExtent(p[n:], off+int64(n))
		}
		n += k
		if err != nil {
			return n, err
		}
	}
	if short {
		return n, io.EOF
	}
	return n, nil
}

// readFlat reads data that lie in one piece, or with their last block behind the inode (data.c, erofs_map_blocks).
func (c *content) readFlat(p []byte, off int64) (int, error) {
	bs := c.fs.blockSize()
	tail := c.ino.size // where the inline part begins
	if c.ino.layout == flatInline {
		tail = (c.ino.size - 1) &^ (bs - 1)
	}
	if off >= tail {
		return readAll(c.fs, p, c.ino.end+off-tail)
	}
	return readAll(c.fs, p[:min(int64(len(p)), tail-off)], int64(c.ino.addr)<<c.fs.blockBits+off)
}

func readAll(f *FS, p []byte, off int64) (int, error) {
	if err := f.read(p, off); err != nil {
		return 0, err
	}
	return len(p), nil
}

// readChunk reads within one chunk of a chunk-based file.
func (c *content) readChunk(p []byte, off int64) (int, error) {
	f := c.fs
	shift := f.blockBits + uint(c.ino.addr&0x1f)
	indexes := c.ino.addr&0x20 != 0 // eight bytes with a device, else just an address
	unit := int64(4)
	if indexes {
		unit = 8
	}
	at := roundUp(c.ino.end, unit) + unit*(off>>shift)
	c.mu.Lock()
	b, err := c.win.at(f, at, int(unit))
	var addr uint32
	var device uint16
	if err == nil {
		addr = binary.LittleEndian.Uint32(b[unit-4:])
		if indexes {
			device = binary.LittleEndian.Uint16(b[2:])
		}
	}
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	in := off & (1<<shift - 1)
	p = p[:min(int64(len(p)), 1<<shift-in)]
	if addr == 0xffffffff { // a hole
		clear(p)
		return len(p), nil
	}
	device &= 1<<bits.Len16(f.devices) - 1 // other bits are not the device's (super.c, device_id_mask)
	if device != 0 {
		return 0, unsupported("data on extra device %d", device)
	}
	return readAll(f, p, int64(addr)<<f.blockBits+in)
}
