// Package erofs reads EROFS, the compressed read-only file system in which Android since 10 ships its system, vendor and
// product partitions, and APEX payloads.
//
// [New] checks the superblock of an image and returns an [FS], which is an io/fs file system. Everything else is read when
// asked for: a path is followed directory by directory, a file's data are mapped and decompressed extent by extent. The
// image is only ever read, at the offsets its own metadata name, and no name, size or offset in it is believed further
// than the bytes of the image bear it out. Besides data and modes [FS.Info] gives what decides over power on a phone: owner,
// SELinux label, file capabilities and all other extended attributes.
//
// Symbolic links are not followed, neither within a path nor at its end: an image does not know where it will be mounted.
// [FS.ReadLink] gives the target, and so does reading the opened link.
//
// # Errors
//
// What is damaged gives a *[FormatError] at an offset of the image, what is known but not read an error that wraps
// errors.ErrUnsupported; both are inside the *fs.PathError that io/fs asks for. One broken inode, directory block or extent does
// not spoil the others: ReadDir returns the entries it could read together with the first error.
//
// A directory may be reached by one path only. If an image offers a second one (a directory that contains itself or
// its parent, or hard links to directories), the path used first is good and the other gives a *FormatError, so a walk ends.
//
// # Format
//
// The Linux kernel's fs/erofs/erofs_fs.h defines the format, Documentation/filesystems/erofs.rst describes it, and the
// kernel's reader (super.c, inode.c, dir.c, data.c, xattr.c, zmap.c, decompressor*.c of releases 5.4 to 6.12) says what a phone accepts.
// Read are: compact and extended inodes; plain, inline, chunk-based and compressed data with legacy and compact
// indexes; LZ4 with and without 0padding, MicroLZMA, DEFLATE and Zstandard; big pclusters, tail packing, fragments,
// deduplicated extents, interlaced plain blocks; inline and shared xattrs and long xattr name prefixes; blocks of 512 bytes to 64 KiB.
//
// # Not read
//
// Data on extra devices (device table), 48-bit block addresses and extent-based indexes, the metabox, directory blocks of
// another size than the file system's: errors that wrap errors.ErrUnsupported. The superblock's checksum is not checked: a kernel would
// refuse the image, but an examiner wants its files. The xattr name filter (a hint that saves lookups), device numbers and
// link counts are passed over.
package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"gifthorse/internal/cursor"
	"gifthorse/internal/imgfs"
)

// FormatError says what is wrong with an image, and at which byte of it.
type FormatError = cursor.FormatError

const (
	superOffset = 1024
	superSize   = 128
	superMagic  = 0xe0f5e1e2

	// Bits of feature_incompat.
	featZeroPadding   = 0x01
	featBigPcluster   = 0x02 // also COMPR_CFGS
	featDeviceTable   = 0x08 // also COMPR_HEAD2
	featFragments     = 0x20 // also DEDUPE
	featXattrPrefixes = 0x40
	feat48Bit         = 0x80
	featMetabox       = 0x100
	featRead          = 0x7f

	compatPlainPrefixes = 0x10 // bit of feature_compat: name prefixes do not lie in the packed inode
)

// An FS is an opened image. It is safe for concurrent use.
type FS struct {
	*imgfs.Tree[*inode, Info] // the files

	r    io.ReaderAt
	size int64

	blockBits  uint
	compat     uint32
	features   uint32
	metaStart  int64 // inode 0 would be here
	xattrStart int64 // shared xattr 0 is here
	root       uint64
	packedNid  uint64
	devices    uint16 // besides the image
	epoch      int64
	epochNsec  int64

	prefixStart int64
	prefixCount int
	prefixes    func() ([]string, error) // long xattr name prefixes
	packed      func() (*content, error) // the packed inode, in which the fragments lie
	decoders    decoders

	windows sync.Pool // of *window
}

// New opens the image of size bytes in r. It reads the superblock only, so an image with a broken root directory opens too.
func New(r io.ReaderAt, size int64) (*FS, error) {
	f := &FS{r: r, size: size}
	var sb [superSize]byte
	if err := f.read(sb[:], superOffset); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if m := le.Uint32(sb[:]); m != superMagic {
		return nil, cursor.Errorf(superOffset, "no EROFS superblock: magic is %#x", m)
	}
	f.blockBits = uint(sb[12])
	if f.blockBits < 9 || f.blockBits > 16 {
		return nil, cursor.Errorf(superOffset+12, "blocks of 2^%d bytes", f.blockBits)
	}
	f.compat = le.Uint32(sb[8:])
	f.features = le.Uint32(sb[80:])
	switch f := f.features; {
	case f&feat48Bit != 0:
		return nil, unsupported("48-bit block addresses")
	case f&featMetabox != 0:
		return nil, unsupported("metabox")
	case f&^featRead != 0:
		return nil, unsupported("incompatible features %#x", f&^featRead)
	case sb[90] != 0:
		return nil, unsupported("directory blocks of another size")
	}
	f.root = uint64(le.Uint16(sb[14:]))
	f.epoch = int64(le.Uint64(sb[24:]))
	f.epochNsec = int64(le.Uint32(sb[32:]))
	f.metaStart = int64(le.Uint32(sb[40:])) << f.blockBits
	f.xattrStart = int64(le.Uint32(sb[44:])) << f.blockBits
	f.packedNid = le.Uint64(sb[96:])
	if f.features&featDeviceTable != 0 {
		f.devices = le.Uint16(sb[86:])
	}
	if f.features&featXattrPrefixes != 0 {
		f.prefixCount = int(sb[91])
		f.prefixStart = int64(le.Uint32(sb[92:])) << 2
	}
	f.prefixes = sync.OnceValues(f.readPrefixes)
	f.packed = sync.OnceValues(f.openPacked)
	f.Tree = imgfs.New(imgfs.Format[*inode, Info]{Root: f.root, Inode: f.pooled, Dir: f.readDir, Content: f.data, Info: f.info})
	return f, nil
}

// read fills b from the image at off.
func (f *FS) read(b []byte, off int64) error {
	if off < 0 || off > f.size || int64(len(b)) > f.size-off {
		if f.devices > 0 && off >= 0 {
			return unsupported("data on an extra device")
		}
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
	return fmt.Errorf("erofs: %s: %w", fmt.Sprintf(format, args...), errors.ErrUnsupported)
}

// A window is the part of an image that was read last. It makes one read of many small ones that lie close together.
type window struct {
	buf []byte
	off int64
}

// windowSize holds the compact indexes of 6 MiB of data or 100 inodes: more is seldom wanted in one go.
const windowSize = 4096

// at returns n bytes at off, good until the next call. n is at most windowSize.
func (w *window) at(f *FS, off int64, n int) ([]byte, error) {
	if i := off - w.off; i >= 0 && i+int64(n) <= int64(len(w.buf)) {
		return w.buf[i : i+int64(n)], nil
	}
	want := int64(n)
	if off >= 0 && off < f.size {
		want = max(want, min(windowSize, f.size-off))
	}
	if int64(cap(w.buf)) < want {
		w.buf = make([]byte, windowSize)
	}
	w.buf = w.buf[:want]
	if err := f.read(w.buf, off); err != nil {
		w.buf = w.buf[:0]
		return nil, err
	}
	w.off = off
	return w.buf[:n], nil
}

// pooled reads inode nid through a window that others used before, who mostly read beside it.
func (f *FS) pooled(nid uint64) (*inode, error) {
	w, _ := f.windows.Get().(*window)
	if w == nil {
		w = new(window)
	}
	defer f.windows.Put(w)
	return f.inode(nid, w)
}

func (f *FS) data(ino *inode) (io.ReaderAt, error) { return f.content(ino) }

// roundUp rounds n up to a multiple of the power of two to.
func roundUp(n, to int64) int64 { return (n + to - 1) &^ (to - 1) }

func (f *FS) blockSize() int64 { return 1 << f.blockBits }

func (f *FS) time(sec, nsec int64) time.Time { return time.Unix(sec, nsec).UTC() }
