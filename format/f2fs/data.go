package f2fs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"gifthorse/internal/cursor"
	"gifthorse/internal/lz4"
)

// Compression algorithms: enum compress_algorithm_type of f2fs.h.
const (
	packLZO = iota
	packLZ4
	packZstd
	packLZORLE
	notPacked = 0xff
)

const (
	newAddr    = 1<<32 - 1 // a block not written yet: zeros
	packedAddr = 1<<32 - 2 // COMPRESS_ADDR: the addresses that follow are those of a packed cluster

	// clusterHeader is what a packed cluster begins with: the size of what follows, its checksum, and nothing.
	clusterHeader = 24
)

// decoders keeps decoders that cost much to make.
type decoders struct {
	zstd sync.Pool // of *zstd.Decoder
}

// inInode returns how many addresses of data an inode holds, inBlock how many a direct node does. A cluster never lies in
// two nodes (data.c, addrs_per_page).
func (f *FS) inInode(ino *inode) int64 { return f.aligned(ino, (f.addrBytes()-ino.extra-ino.room)/4) }
func (f *FS) inBlock(ino *inode) int64 { return f.aligned(ino, (f.block-footerSize)/4) }

func (f *FS) aligned(ino *inode, n int64) int64 {
	if ino.packer != notPacked {
		return n &^ (1<<ino.cluster - 1)
	}
	return n
}

// maxBlocks returns how many blocks a file can have: super.c, max_file_blocks.
func (f *FS) maxBlocks(ino *inode) int64 {
	nids := (f.block - footerSize) / 4
	return f.inInode(ino) + f.inBlock(ino)*(2+2*nids+nids*nids)
}

// A content is the data of an inode.
type content struct {
	fs     *FS
	ino    *inode
	inline []byte // all there is, if the data are in the inode

	mu      sync.Mutex
	top     []byte // the inode's block
	nodes   [3]level
	raw     []byte // a packed cluster
	cluster []byte // an unpacked one
	have    int64  // which that is; -1 if none is
}

// A level is the node that was last used on the way to a direct node, which is the last level.
type level struct {
	nid uint32
	b   []byte
}

// content prepares to read the data of ino.
func (f *FS) content(ino *inode) (*content, error) {
	if ino.advise&adviseEncrypted != 0 {
		return nil, fmt.Errorf("inode %d: %w", ino.num, ErrEncrypted)
	}
	c := &content{fs: f, ino: ino, have: -1, top: make([]byte, f.block)}
	if err := f.read(c.top, ino.at); err != nil {
		return nil, err
	}
	if ino.inline&inlineData != 0 {
		c.inline = f.inlineData(c.top, ino)[:ino.size]
	}
	return c, nil
}

// address returns the address of a block of the file, 0 for a hole: node.c, get_node_path.
func (c *content) address(i int64) (uint32, error) {
	f := c.fs
	n := f.inInode(c.ino)
	if i < n {
		return le.Uint32(c.top[addrOffset+c.ino.extra+4*i:]), nil
	}
	i -= n
	per, nids := f.inBlock(c.ino), (f.block-footerSize)/4
	// Which of the five nodes the inode names, and which entries of the nodes below.
	var first int64
	var way [3]int64
	depth := 0
	step := func(k int64) { way[depth] = k; depth++ }
	switch {
	case i < 2*per:
		first = i / per
	case i < 2*per+2*per*nids:
		i -= 2 * per
		first = 2 + i/(per*nids)
		step(i / per % nids)
	default:
		i -= 2*per + 2*per*nids
		first = 4
		step(i / (per * nids))
		step(i / per % nids)
		if way[0] >= nids {
			return 0, cursor.Errorf(c.ino.at, "a block beyond what nodes can map")
		}
	}
	step(i % per)
	nid := le.Uint32(c.top[f.block-footerSize-nidsSize+4*first:])
	for k := range depth {
		if nid == 0 {
			return 0, nil
		}
		l := &c.nodes[2-(depth-1-k)]
		if l.nid != nid {
			l.nid = 0
			if l.b == nil {
				l.b = make([]byte, f.block)
			}
			if _, err := f.node(l.b, nid); err != nil {
				return 0, err
			}
			l.nid = nid
		}
		nid = le.Uint32(l.b[4*way[k]:])
	}
	return nid, nil
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
	if c.ino.inline&inlineData != 0 {
		n = copy(p, c.inline[off:])
	} else {
		c.mu.Lock()
		defer c.mu.Unlock()
		for n < len(p) {
			k, err := c.read(p[n:], off+int64(n))
			n += k
			if err != nil {
				return n, err
			}
		}
	}
	if short {
		return n, io.EOF
	}
	return n, nil
}

// read reads some bytes: of as many blocks as lie behind each other, or of a cluster.
func (c *content) read(p []byte, off int64) (int, error) {
	bs := c.fs.block
	i, in := off/bs, off%bs
	if c.ino.packer != notPacked {
		k := i >> c.ino.cluster
		a, err := c.address(k << c.ino.cluster)
		if err != nil {
			return 0, err
		}
		if a == packedAddr {
			if c.have != k {
				if err := c.unpack(k); err != nil {
					return 0, err
				}
			}
			return copy(p, c.cluster[off-k<<c.ino.cluster*bs:]), nil
		}
	}
	a, err := c.address(i)
	if err != nil {
		return 0, err
	}
	n := min(int64(len(p)), bs-in)
	for n < int64(len(p)) && !c.clusterStart(i+1) {
		next, err := c.address(i + 1)
		hole := a == 0 || a == newAddr
		if err != nil || hole && next != a || !hole && int64(next) != int64(a)+(i+1-off/bs) {
			break
		}
		i++
		n = min(int64(len(p)), n+bs)
	}
	if a == 0 || a == newAddr {
		clear(p[:n])
		return int(n), nil
	}
	if last := int64(a) + (in+n-1)/bs; !c.fs.valid(a) || last >= int64(c.fs.end) {
		return 0, cursor.Errorf(c.ino.at, "data of inode %d in block %#x", c.ino.num, a)
	}
	return c.fs.readSome(p[:n], int64(a)*bs+in)
}

// clusterStart tells whether a block may be the first of a packed cluster, which its address would say.
func (c *content) clusterStart(i int64) bool {
	return c.ino.packer != notPacked && i&(1<<c.ino.cluster-1) == 0
}

// readSome fills p from off, and says how much of it could be read.
func (f *FS) readSome(p []byte, off int64) (int, error) {
	n := int64(len(p))
	if off < f.size && n > f.size-off {
		n = (f.size - off) / f.block * f.block
		if n > 0 {
			if err := f.read(p[:n], off); err != nil {
				return 0, err
			}
		}
		return int(n), f.read(p[n:], off+n)
	}
	if err := f.read(p, off); err != nil {
		return 0, err
	}
	return len(p), nil
}

// unpack unpacks a cluster: compress.c, f2fs_decompress_cluster.
func (c *content) unpack(k int64) error {
	f := c.fs
	switch c.ino.packer {
	case packLZO:
		return fmt.Errorf("a cluster packed with LZO: %w", errors.ErrUnsupported)
	case packLZORLE:
		return fmt.Errorf("a cluster packed with LZO-RLE: %w", errors.ErrUnsupported)
	}
	c.have = -1
	blocks := int64(1) << c.ino.cluster
	c.raw = c.raw[:0]
	at := c.ino.at
	for i := int64(1); i < blocks; i++ {
		a, err := c.address(k<<c.ino.cluster + i)
		if err != nil {
			return err
		}
		if a == 0 || a == newAddr { // room that is kept for the day the cluster is written anew
			break
		}
		if !f.valid(a) {
			return cursor.Errorf(c.ino.at, "data of inode %d in block %#x", c.ino.num, a)
		}
		if i == 1 {
			at = int64(a) * f.block
		}
		n := int64(len(c.raw))
		c.raw = slices.Grow(c.raw, int(f.block))[:n+f.block]
		if err := f.read(c.raw[n:], int64(a)*f.block); err != nil {
			return err
		}
	}
	if len(c.raw) == 0 {
		return cursor.Errorf(c.ino.at, "a packed cluster of inode %d without blocks", c.ino.num)
	}
	n := int64(le.Uint32(c.raw))
	if n > int64(len(c.raw))-clusterHeader {
		return cursor.Errorf(at, "a packed cluster of %d bytes in %d", n, len(c.raw))
	}
	src := c.raw[clusterHeader:][:n]
	size := int(blocks * f.block)
	c.cluster = slices.Grow(c.cluster[:0], size)[:size]
	got, err := 0, error(nil)
	if c.ino.packer == packLZ4 {
		got, err = lz4.Decode(c.cluster, src)
	} else {
		got, err = f.unzstd(c.cluster, src)
	}
	if err != nil {
		return cursor.Errorf(at, "%d packed bytes of a cluster of %d: %v", n, size, err)
	}
	if got != size {
		return cursor.Errorf(at, "a cluster that unpacks to %d bytes, not %d", got, size)
	}
	c.have = k
	return nil
}

func (f *FS) unzstd(dst, src []byte) (int, error) {
	z, _ := f.decoders.zstd.Get().(*zstd.Decoder)
	if z == nil {
		var err error
		// The kernel takes no window larger than a cluster, which is at most 4 MiB.
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(4<<20))
		if err != nil {
			return 0, err
		}
	}
	defer f.decoders.zstd.Put(z)
	if err := z.Reset(bytes.NewReader(src)); err != nil {
		return 0, err
	}
	return io.ReadFull(z, dst)
}

// Slice gives what lies in one piece of an image in memory: see [cursor.Slice].
func (c *content) Slice(off, n int64) []byte {
	if off < 0 || n <= 0 || off > c.ino.size || n > c.ino.size-off || c.ino.packer != notPacked {
		return nil
	}
	if c.ino.inline&inlineData != 0 {
		return c.inline[off:][:n:n]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	bs := c.fs.block
	first, err := c.address(off / bs)
	last := (off + n - 1) / bs
	if err != nil || !c.fs.valid(first) || int64(first)+last-off/bs >= int64(c.fs.end) {
		return nil
	}
	for i := off/bs + 1; i <= last; i++ {
		if a, err := c.address(i); err != nil || int64(a) != int64(first)+i-off/bs {
			return nil
		}
	}
	return cursor.Slice(c.fs.r, int64(first)*bs+off%bs, n)
}
