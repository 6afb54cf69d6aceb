package squashfs

import (
	"bytes"
	"io"
	"slices"
	"sync"

	"gifthorse/internal/cursor"
)

// data gives what a regular file holds, or the target of a link.
func (f *FS) data(ino *inode) (io.ReaderAt, error) {
	if ino.mode.IsRegular() {
		return f.content(ino), nil
	}
	p := ino.body
	b, err := f.take(&p, int(ino.size))
	return bytes.NewReader(b), err
}

// groupSize is how many sizes of blocks are held at once. Of each group before them only the place is held, so that what a
// file of many holes needs in memory stays small beside what it needs in the image.
const groupSize = 1024

// A group is where some blocks of a file begin, and the list of their sizes.
type group struct {
	list position
	data int64
}

// A content is the data of a regular file.
type content struct {
	fs     *FS
	ino    *inode
	blocks int64 // without the fragment

	mu     sync.Mutex
	groups []group
	loaded int      // the group that is in sizes and places; -1 if none is
	sizes  []uint32 // of its blocks, as stored
	places []int64  // where they begin
	raw    []byte   // a packed block
	buf    []byte   // an unpacked block
	have   int64    // which block that is; -1 if none is
}

func (f *FS) content(ino *inode) *content {
	c := &content{fs: f, ino: ino, blocks: ino.size >> f.blockLog, loaded: -1, have: -1}
	if ino.frag == none32 && ino.size&(f.blockSize()-1) != 0 {
		c.blocks++
	}
	c.groups = []group{{ino.body, ino.start}}
	return c
}

// ReadAt does what io.ReaderAt says.
func (c *content) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 || off >= c.ino.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > c.ino.size-off
	if short {
		p = p[:c.ino.size-off]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for n < len(p) {
		at := off + int64(n)
		i, in := at>>c.fs.blockLog, at&(c.fs.blockSize()-1)
		if i < c.blocks {
			err = c.block(p[n:], i, in)
		} else {
			err = c.fragment(p[n:], in)
		}
		if err != nil {
			return n, err
		}
		n += int(min(int64(len(p)-n), c.fs.blockSize()-in))
	}
	if short {
		return n, io.EOF
	}
	return n, nil
}

// block fills p with what stands from byte in on in the i-th block, as far as that reaches: file.c, squashfs_readpage_block.
func (c *content) block(p []byte, i, in int64) error {
	f := c.fs
	size := min(f.blockSize(), c.ino.size-i<<f.blockLog)
	p = p[:min(int64(len(p)), size-in)]
	if i == c.have {
		copy(p, c.buf[in:])
		return nil
	}
	if err := c.load(int(i / groupSize)); err != nil {
		return err
	}
	word, at := c.sizes[i%groupSize], c.places[i%groupSize]
	if word == 0 {
		clear(p)
		return nil
	}
	packed := stored(word)
	if word>>25 != 0 || packed > f.blockSize() {
		return cursor.Errorf(at, "a block of %d bytes", word)
	}
	if word&plain != 0 {
		if packed != size {
			return cursor.Errorf(at, "a block of %d bytes for %d", packed, size)
		}
		return f.read(p, at+in)
	}
	if at < 0 || packed > f.size-at { // before it is allocated
		return cursor.Errorf(at, "a block of %d bytes in an image of %d", packed, f.size)
	}
	c.raw = slices.Grow(c.raw[:0], int(packed))[:packed]
	if err := f.read(c.raw, at); err != nil {
		return err
	}
	dst := p
	if int64(len(p)) < size {
		c.have = -1
		c.buf = slices.Grow(c.buf[:0], int(size))[:size]
		dst = c.buf
	}
	n, err := f.decode(dst, c.raw, at)
	if err != nil {
		return err
	}
	if int64(n) != size {
		return cursor.Errorf(at, "a block that unpacks to %d bytes, not %d", n, size)
	}
	if int64(len(p)) < size {
		c.have = i
		copy(p, c.buf[in:])
	}
	return nil
}

// plain is the bit in a block's size that says that it is not packed.
const plain = 1 << 24

// stored returns how many bytes of the image a block takes.
func stored(word uint32) int64 { return int64(word &^ plain) }

// load brings the sizes of a group of blocks.
func (c *content) load(g int) error {
	if c.loaded == g {
		return nil
	}
	for k := min(g, len(c.groups)-1); k <= g; k++ {
		c.loaded = -1
		list, at := c.groups[k].list, c.groups[k].data
		n := min(groupSize, c.blocks-int64(k)*groupSize)
		b, err := c.fs.take(&list, int(4*n))
		if err != nil {
			return err
		}
		c.sizes, c.places = c.sizes[:0], c.places[:0]
		for i := range n {
			word := le.Uint32(b[4*i:])
			c.sizes, c.places = append(c.sizes, word), append(c.places, at)
			at += stored(word)
		}
		if k+1 == len(c.groups) {
			c.groups = append(c.groups, group{list, at})
		}
		c.loaded = k
	}
	return nil
}

// fragment fills p with the end of the file from byte in of its last block on.
func (c *content) fragment(p []byte, in int64) error {
	b, at, err := c.fs.fragment(c.ino.frag)
	if err != nil {
		return err
	}
	size := c.ino.size & (c.fs.blockSize() - 1)
	if off := int64(c.ino.off); off > int64(len(b)) || size > int64(len(b))-off {
		return cursor.Errorf(at, "bytes %d to %d of a fragment of %d", off, off+size, len(b))
	}
	copy(p, b[int64(c.ino.off)+in:])
	return nil
}

// fragment returns the block that holds the ends of several files, and where it lies: fragment.c.
func (f *FS) fragment(i uint32) ([]byte, int64, error) {
	if i >= f.fragments || f.fragTable < 0 {
		return nil, 0, cursor.Errorf(16, "fragment %d of %d", i, f.fragments)
	}
	e, err := f.entry(f.fragTable, i, 16)
	if err != nil {
		return nil, 0, err
	}
	at, word := int64(le.Uint64(e)), le.Uint32(e[8:])
	packed := stored(word)
	if at < 0 || at > f.size || word>>25 != 0 || packed > f.blockSize() || packed > f.size-at {
		return nil, 0, cursor.Errorf(f.fragTable, "fragment of %d bytes at %#x of %#x", packed, at, f.size)
	}
	f.mu.Lock()
	b := f.frags.m[at]
	f.mu.Unlock()
	if b != nil {
		return b, at, nil
	}
	b = make([]byte, packed)
	if err := f.read(b, at); err != nil {
		return nil, at, err
	}
	if word&plain == 0 {
		raw := b
		b = make([]byte, f.blockSize())
		n, err := f.decode(b, raw, at)
		if err != nil {
			return nil, at, err
		}
		b = b[:n]
	}
	f.mu.Lock()
	f.frags.put(at, b)
	f.mu.Unlock()
	return b, at, nil
}
