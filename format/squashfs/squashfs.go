// Package squashfs reads Squashfs 4.0, the compressed read-only file system that some phones with Android have as their
// system partition, and that ships in firmware of other makes and in snap packages.
//
// [New] checks the superblock of an image and returns an [FS], which is an io/fs file system. Everything else is read when
// asked for: a path is followed directory by directory, a file's blocks are decompressed one by one as they are read. The
// image is only ever read, and no name, size or offset in it is believed further than the bytes of the image bear it out.
// Besides data and modes [FS.Info] gives what decides over power on a phone: owner, SELinux label, file capabilities and
// all other extended attributes. An FS and its files may be used by several goroutines.
//
// Symbolic links are not followed, neither within a path nor at its end: an image does not know where it will be mounted.
// [FS.ReadLink] gives the target, and so does reading the opened link.
//
// # Errors
//
// What is damaged gives a *[FormatError] at an offset of the image, what is known but not read an error that wraps
// errors.ErrUnsupported; an *fs.PathError is around both, but not around errors of reading an opened file. One broken
// inode, block or attribute does not spoil the others: ReadDir returns the entries it could read together with the first error.
//
// A directory may be reached by one path only. If an image offers a second one (a directory that contains itself or its
// parent, or hard links to directories), the path used first is good and the other gives a *FormatError, so a walk ends.
//
// # Format
//
// Linux, fs/squashfs/squashfs_fs.h and the readers beside it (super.c, cache.c, block.c, inode.c, dir.c, namei.c, file.c, fragment.c,
// id.c, xattr.c, xattr_id.c, *_wrapper.c); Documentation/filesystems/squashfs.rst. Read are: all types of inodes,
// fragments, sparse blocks, blocks of 4 KiB to 1 MiB, stored or packed with gzip, xz, lz4 or zstd; attributes in line and out of line.
//
// # Not read
//
// LZO and LZMA, xz with the filters for x86, PowerPC, IA-64 and SPARC: errors that wrap errors.ErrUnsupported. So are big-endian images,
// and those of Squashfs 1 to 3; the changed magics of some makers of routers are not known here. The export table (it serves NFS)
// and the index in large directories are passed over, as are link counts, device numbers and compressor options.
package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"gifthorse/internal/cursor"
	"gifthorse/internal/imgfs"
)

// FormatError says what is wrong with an image, and at which byte of it.
type FormatError = cursor.FormatError

const (
	superSize = 96

	metaSize = 8192 // bytes of metadata that are packed together

	// none stands for a table that an image does not have (SQUASHFS_INVALID_BLK), or for no fragment and no attributes.
	none   = 1<<64 - 1
	none32 = 1<<32 - 1

	// maxMeta is how many unpacked metadata blocks are kept: 1 MiB, the inodes and directories of some thousand files.
	maxMeta = 128

	// maxFragments is how many unpacked fragment blocks are kept. Small files that lie beside each other share one.
	maxFragments = 4
)

var le = binary.LittleEndian

// An FS is an opened image.
type FS struct {
	*imgfs.Tree[*inode, Info] // the files

	r    io.ReaderAt
	size int64

	blockLog  uint
	packer    uint16 // compression id
	fragments uint32
	ids       uint16
	root      uint64
	idTable   int64
	inodes    int64
	dirs      int64
	fragTable int64
	xattrs    func() (*xattrTable, error)
	decoders  decoders

	mu    sync.Mutex
	meta  ring[*metaBlock]
	frags ring[[]byte]
}

// New opens the image of size bytes in r. It reads the superblock only, so an image with a broken root directory opens too.
func New(r io.ReaderAt, size int64) (*FS, error) {
	f := &FS{r: r, size: size}
	f.meta.max, f.frags.max = maxMeta, maxFragments
	var sb [superSize]byte
	if err := f.read(sb[:], 0); err != nil {
		return nil, err
	}
	switch string(sb[:4]) {
	case "hsqs":
	case "sqsh":
		return nil, unsupported("big-endian image")
	default:
		return nil, cursor.Errorf(0, "no Squashfs superblock: magic is %q", sb[:4])
	}
	if major, minor := le.Uint16(sb[28:]), le.Uint16(sb[30:]); major != 4 || minor != 0 {
		return nil, unsupported("version %d.%d", major, minor)
	}
	f.blockLog = uint(le.Uint16(sb[22:]))
	if f.blockLog < 12 || f.blockLog > 20 || le.Uint32(sb[12:]) != 1<<f.blockLog {
		return nil, cursor.Errorf(12, "blocks of %d bytes, and of 2^%d", le.Uint32(sb[12:]), f.blockLog)
	}
	f.packer = le.Uint16(sb[20:])
	switch f.packer {
	case packGzip, packXz, packLZ4, packZstd:
	case packLZMA:
		return nil, unsupported("packed with LZMA")
	case packLZO:
		return nil, unsupported("packed with LZO")
	default:
		return nil, unsupported("compression %d", f.packer)
	}
	f.fragments = le.Uint32(sb[16:])
	f.ids = le.Uint16(sb[26:])
	f.root = le.Uint64(sb[32:])
	for _, t := range []struct {
		at   int
		to   *int64
		name string
	}{{48, &f.idTable, "owner"}, {64, &f.inodes, "inode"}, {72, &f.dirs, "directory"}, {80, &f.fragTable, "fragment"}} {
		v := le.Uint64(sb[t.at:])
		if v > uint64(size) && (v != none || t.to != &f.fragTable) {
			return nil, cursor.Errorf(int64(t.at), "%s table at byte %#x of %#x", t.name, v, size)
		}
		*t.to = int64(v)
	}
	xattrStart := le.Uint64(sb[56:])
	f.xattrs = sync.OnceValues(func() (*xattrTable, error) { return f.readXattrTable(xattrStart) })
	f.Tree = imgfs.New(imgfs.Format[*inode, Info]{Root: f.root, Inode: f.inode, Dir: f.readDir, Content: f.data, Info: f.info})
	return f, nil
}

// read fills b from the image at off.
func (f *FS) read(b []byte, off int64) error {
	if off < 0 || off > f.size || int64(len(b)) > f.size-off {
		return cursor.Errorf(off, "%d bytes wanted of an image of %d", len(b), f.size)
	}
	n, err := f.r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		return cursor.Errorf(off+int64(n), "image ends early")
	}
	return fmt.Errorf("at byte %#x: %w", off, err)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), errors.ErrUnsupported)
}

func (f *FS) blockSize() int64 { return 1 << f.blockLog }

// A ring keeps the last few things put into it.
type ring[T any] struct {
	max  int
	m    map[int64]T
	keys []int64 // in the order put, from next on
	next int
}

func (r *ring[T]) put(key int64, v T) {
	if r.m == nil {
		r.m = map[int64]T{}
	}
	if _, ok := r.m[key]; ok {
		return
	}
	if len(r.keys) < r.max {
		r.keys = append(r.keys, key)
	} else {
		delete(r.m, r.keys[r.next])
		r.keys[r.next] = key
		r.next = (r.next + 1) % r.max
	}
	r.m[key] = v
}

// A metaBlock is an unpacked metadata block.
type metaBlock struct {
	data []byte
	next int64 // where the following one begins in the image
}

// metaBlock returns the metadata block at off: two bytes of size, whose top bit says that what follows is not packed
// (block.c, squashfs_read_data).
func (f *FS) metaBlock(off int64) (*metaBlock, error) {
	f.mu.Lock()
	b := f.meta.m[off]
	f.mu.Unlock()
	if b != nil {
		return b, nil
	}
	var head [2]byte
	if err := f.read(head[:], off); err != nil {
		return nil, err
	}
	word := le.Uint16(head[:])
	n := int64(word &^ 0x8000)
	if n == 0 {
		n = 0x8000 // SQUASHFS_COMPRESSED_SIZE
	}
	if n > metaSize {
		return nil, cursor.Errorf(off, "metadata block of %d bytes", n)
	}
	raw := make([]byte, n)
	if err := f.read(raw, off+2); err != nil {
		return nil, err
	}
	if word&0x8000 == 0 {
		data := make([]byte, metaSize)
		n, err := f.decode(data, raw, off+2)
		if err != nil {
			return nil, err
		}
		raw = data[:n]
	}
	if len(raw) == 0 {
		return nil, cursor.Errorf(off, "empty metadata block")
	}
	b = &metaBlock{raw, off + 2 + n}
	f.mu.Lock()
	f.meta.put(off, b)
	f.mu.Unlock()
	return b, nil
}

// A position is a place in the metadata: that of a block in the image, and a byte in what it unpacks to.
type position struct {
	block int64
	off   int
}

// take returns the n bytes at p and moves on; n is at most a few blocks. They are to be read only.
func (f *FS) take(p *position, n int) ([]byte, error) {
	var whole []byte // of parts
	for {
		b, err := f.metaBlock(p.block)
		if err != nil {
			return nil, err
		}
		if p.off > len(b.data) {
			return nil, cursor.Errorf(p.block, "byte %d of a metadata block of %d", p.off, len(b.data))
		}
		rest := b.data[p.off:]
		if whole == nil && len(rest) >= n {
			p.off += n
			return rest[:n:n], nil
		}
		k := min(len(rest), n-len(whole))
		whole = append(whole, rest[:k]...)
		p.off += k
		if len(whole) == n {
			return whole, nil
		}
		*p = position{b.next, 0}
	}
}

// entry returns the i-th entry of n bytes of a table: a list of the places of metadata blocks, which hold the entries.
func (f *FS) entry(table int64, i uint32, n int) ([]byte, error) {
	at := int64(i) * int64(n)
	var b [8]byte
	if err := f.read(b[:], table+at/metaSize*8); err != nil {
		return nil, err
	}
	return f.take(&position{int64(le.Uint64(b[:])), int(at % metaSize)}, n)
}
