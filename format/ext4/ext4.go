// Package ext4 reads the file systems ext2, ext3 and ext4 in place, as the partitions of Android phones have them.
//
// [New] looks at the superblock only. The [FS] it returns is an [io/fs.FS]: directories, inodes and blocks are read when they
// are asked for, straight from the image, and an opened file is an [io.ReaderAt] over it. What only an image knows
// of a file (owner, SELinux label, capabilities) is in [Info]. An FS and its files may be used by several goroutines.
//
// Names are paths from the file system's own root, as io/fs has them; names that are no UTF-8 can be opened as well. Where
// the file system is mounted is not known here ([FS.LastMounted] may tell), so Open and Stat follow only relative symbolic
// links that stay inside; for any other, ReadLink says where it points.
//
// # Hostile images
//
// Every address is checked against the image, every walk has an end, and nothing is allocated by a count that the
// image claims. A directory has one place, as in Linux (d_splice_alias): whoever comes to it by another name gets an
// error, so a tree cannot contain itself. What is damaged is an error of the file or directory it concerns (a
// *[FormatError], in a *[fs.PathError]); the others are read. A damaged directory still lists what was read of it.
// A file's size is what its inode says: holes cost nothing in an image, so a small image may hold a file of
// terabytes, and whoever reads files to their end has to look at the size first.
//
// # Layout
//
// Documentation/filesystems/ext4 of Linux, and fs/ext4: ext4.h, super.c (descriptor_loc), extents.c, indirect.c, inline.c,
// xattr.c, dir.c, symlink.c. Read are: extents of any depth and indirect blocks, data in the inode, directories with and
// without file types and hash trees (in the order stored, which is how the trees are meant to be readable), 64bit,
// flex_bg, meta_bg, bigalloc, sparse_super2, shared_blocks, extended attributes in inodes, blocks and inodes of their own.
//
// # Not read
//
// The journal is not replayed: [FS.NeedsRecovery] says that it holds writes which are not in place. Checksums are not
// verified. Backup superblocks and backup group descriptors are not consulted. Encrypted files and directories ([ErrEncrypted]),
// ext2 compression (e2compr), file systems of Lustre (dirdata) and external journals. In a directory that ignores case, names are looked up as
// written. Hash trees are not used, so of two entries with one name the first stored is taken. Verity's trees are skipped.
package ext4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
	"sync"

	"gifthorse/internal/cursor"
)

// FormatError says what is wrong with a file system, and at which byte of the image.
type FormatError = cursor.FormatError

// ErrEncrypted is the error of files and directories that fscrypt has encrypted. It wraps errors.ErrUnsupported.
var ErrEncrypted = fmt.Errorf("encrypted: %w", errors.ErrUnsupported)

const (
	superOff = 1024
	rootIno  = 2

	// maxDirBytes bounds all blocks of directories together. A directory takes at least a block, so 1 GiB is 262144
	// directories of 4 KiB; the system image of the phones read here (Android 6 to 13) have at most some thousand.
	maxDirBytes = 1 << 30

	// maxEntries bounds the names in all directories together, because they are held in memory. A phone's data partition
	// has hundreds of thousands; sixteen million names need about a gigabyte.
	maxEntries = 1 << 24

	// maxLinks is how many symbolic links a path may lead through: MAXSYMLINKS of Linux.
	maxLinks = 40

	// maxPath is PATH_MAX of Linux: no longer name can be opened there. It also holds down the work for very deep trees.
	maxPath = 4096

	// maxXattrBytes bounds the values of one inode's extended attributes. Linux takes 64 KiB for one (XATTR_SIZE_MAX).
	maxXattrBytes = 128 << 10

	// maxLogical is the number of blocks a file can have: block numbers in a file have 32 bits.
	maxLogical = 1 << 32
)

// Features of the superblock: fs/ext4/ext4.h.
const (
	roSparseSuper = 0x1
	roHugeFile    = 0x8
	roBigalloc    = 0x200

	compatSparseSuper2 = 0x200

	incompatFiletype   = 0x2
	incompatRecover    = 0x4
	incompatMetaBG     = 0x10
	incompatExtents    = 0x40
	incompat64bit      = 0x80
	incompatMMP        = 0x100
	incompatFlexBG     = 0x200
	incompatEAInode    = 0x400
	incompatCsumSeed   = 0x2000
	incompatLargedir   = 0x4000
	incompatInlineData = 0x8000
	incompatEncrypt    = 0x10000
	incompatCasefold   = 0x20000

	incompatRead = incompatFiletype | incompatRecover | incompatMetaBG | incompatExtents | incompat64bit | incompatMMP |
		incompatFlexBG | incompatEAInode | incompatCsumSeed | incompatLargedir | incompatInlineData | incompatEncrypt | incompatCasefold
)

var le = binary.LittleEndian

// An FS is an opened file system.
type FS struct {
	Volume      string   // the label given when it was made: often "system", "vendor" or "/"
	LastMounted string   // where it was mounted, or meant to be: "/", "/system", "/vendor"
	UUID        [16]byte // as stored, that is, in the order it is printed
	BlockSize   int64    // bytes
	Size        int64    // bytes, as the superblock has it; the image may be shorter or longer

	// NeedsRecovery says that the file system was not unmounted: its journal may hold writes that are not in place.
	NeedsRecovery bool

	// Gaps is what is known at opening to be missing: an image that ends before its file system is a *FormatError.
	Gaps []error

	r    io.ReaderAt
	size int64

	blocks         uint64 // number of blocks
	firstData      uint64 // block that group 0 begins with
	blocksPerGroup uint64
	inodes         uint32
	inodesPerGroup uint32
	inodeSize      int64
	descSize       int64
	cluster        int64 // bytes
	firstMetaBG    uint64
	backupGroups   [2]uint32 // sparse_super2
	compat         uint32
	incompat       uint32
	roCompat       uint32

	tables sync.Map // group number (uint64) → address of its inode table (int64)

	mu        sync.Mutex
	dirs      map[uint32]*dir
	claims    map[uint32]claim
	dirBlocks int64 // how many blocks of directories may still be read
	entries   int   // how many names may still be held
}

// New opens the file system in the first size bytes of r. The error is a *FormatError if there is none, or its superblock makes no
// sense; it wraps errors.ErrUnsupported if the superblock demands a feature that is not read.
func New(r io.ReaderAt, size int64) (*FS, error) {
	f := &FS{r: r, size: size, dirs: map[uint32]*dir{}, claims: map[uint32]claim{rootIno: {parent: rootIno}}, entries: maxEntries}
	sb := make([]byte, 1024)
	if err := f.read(sb, superOff); err != nil {
		return nil, err
	}
	bad := func(field int64, format string, args ...any) (*FS, error) {
		return nil, cursor.Errorf(superOff+field, format, args...)
	}
	if le.Uint16(sb[56:]) != 0xef53 {
		return bad(56, "no ext superblock")
	}
	f.compat, f.incompat, f.roCompat = le.Uint32(sb[92:]), le.Uint32(sb[96:]), le.Uint32(sb[100:])
	if not := f.incompat &^ incompatRead; not != 0 {
		return nil, fmt.Errorf("ext4 features %#x: %w", not, errors.ErrUnsupported)
	}
	log := le.Uint32(sb[24:])
	if log > 6 { // EXT4_MAX_BLOCK_SIZE is 64 KiB
		return bad(24, "block size 1024<<%d", log)
	}
	f.BlockSize = 1024 << log
	f.cluster = f.BlockSize
	if f.roCompat&roBigalloc != 0 {
		log := le.Uint32(sb[28:])
		if log > 20 { // EXT4_MAX_CLUSTER_LOG_SIZE 30, from 1 KiB
			return bad(28, "cluster size 1024<<%d", log)
		}
		f.cluster = 1024 << log
	}
	f.blocks = uint64(le.Uint32(sb[4:]))
	f.descSize = 32
	if f.incompat&incompat64bit != 0 {
		f.blocks |= uint64(le.Uint32(sb[336:])) << 32
		f.descSize = int64(le.Uint16(sb[254:]))
		if f.descSize < 64 || f.descSize > 1024 || f.descSize&(f.descSize-1) != 0 {
			return bad(254, "group descriptors of %d bytes", f.descSize)
		}
	}
	f.firstData = uint64(le.Uint32(sb[20:]))
	if f.blocks > math.MaxInt64/uint64(f.BlockSize) || f.firstData >= f.blocks {
		return bad(4, "%d blocks of %d bytes, the first for data %d", f.blocks, f.BlockSize, f.firstData)
	}
	f.Size = int64(f.blocks) * f.BlockSize
	f.blocksPerGroup = uint64(le.Uint32(sb[32:]))
	f.inodes, f.inodesPerGroup = le.Uint32(sb), le.Uint32(sb[40:])
	if f.blocksPerGroup == 0 || f.inodesPerGroup == 0 {
		return bad(32, "groups of %d blocks and %d inodes", f.blocksPerGroup, f.inodesPerGroup)
	}
	f.inodeSize = 128
	if le.Uint32(sb[76:]) > 0 { // s_rev_level
		f.inodeSize = int64(le.Uint16(sb[88:]))
	}
	if f.inodeSize < 128 || f.inodeSize > f.BlockSize || f.inodeSize&(f.inodeSize-1) != 0 {
		return bad(88, "inodes of %d bytes", f.inodeSize)
	}
	f.firstMetaBG = uint64(le.Uint32(sb[260:]))
	f.backupGroups = [2]uint32{le.Uint32(sb[588:]), le.Uint32(sb[592:])}
	f.Volume, f.LastMounted = cString(sb[120:136]), cString(sb[136:200])
	copy(f.UUID[:], sb[104:120])
	f.NeedsRecovery = f.incompat&incompatRecover != 0
	if f.Size > size {
		f.Gaps = append(f.Gaps, cursor.Errorf(size, "the image ends here, its file system at %#x", f.Size))
	}
	f.dirBlocks = min(size, maxDirBytes)/f.BlockSize + 1
	return f, nil
}

func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// read fills p from the image.
func (f *FS) read(p []byte, off int64) error {
	if off < 0 || off > f.size || int64(len(p)) > f.size-off {
		return cursor.Errorf(off, "%d bytes wanted, the image ends at %#x", len(p), f.size)
	}
	n, err := f.r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || err == io.EOF:
		return cursor.Errorf(off+int64(n), "the image ends here, not at %#x", f.size)
	}
	return fmt.Errorf("at byte %#x of the image: %w", off, err)
}

// block returns the bytes of a block that something at byte from refers to.
func (f *FS) block(n uint64, from int64) ([]byte, error) {
	if n < f.firstData || n >= f.blocks {
		return nil, cursor.Errorf(from, "block %d of %d", n, f.blocks)
	}
	if f.size/f.BlockSize <= int64(n) { // before a block is allocated
		return nil, cursor.Errorf(int64(n)*f.BlockSize, "block wanted, the image ends at %#x", f.size)
	}
	b := make([]byte, f.BlockSize)
	return b, f.read(b, int64(n)*f.BlockSize)
}

// inodeTable returns the address of a group's inode table.
func (f *FS) inodeTable(group uint64) (int64, error) {
	if v, ok := f.tables.Load(group); ok {
		return v.(int64), nil
	}
	perBlock := uint64(f.BlockSize / f.descSize)
	at := f.descBlock(group / perBlock)
	if group >= (f.blocks-f.firstData+f.blocksPerGroup-1)/f.blocksPerGroup || at >= f.blocks {
		return 0, cursor.Errorf(superOff+40, "group %d is not in the file system", group)
	}
	off := int64(at)*f.BlockSize + int64(group%perBlock)*f.descSize
	d := make([]byte, f.descSize)
	if err := f.read(d, off); err != nil {
		return 0, err
	}
	table := uint64(le.Uint32(d[8:]))
	if len(d) >= 64 {
		table |= uint64(le.Uint32(d[40:])) << 32
	}
	if table < f.firstData || table == 0 || table >= f.blocks {
		return 0, cursor.Errorf(off+8, "inode table of group %d in block %d of %d", group, table, f.blocks)
	}
	v := int64(table) * f.BlockSize
	f.tables.Store(group, v)
	return v, nil
}

// descBlock returns the block that holds the nr-th block of group descriptors: descriptor_loc in super.c.
func (f *FS) descBlock(nr uint64) uint64 {
	if f.incompat&incompatMetaBG == 0 || nr < f.firstMetaBG {
		return superOff/uint64(f.BlockSize) + nr + 1
	}
	group := uint64(f.BlockSize/f.descSize) * nr
	at := group*f.blocksPerGroup + f.firstData
	if f.hasSuper(group) {
		at++
	}
	if f.BlockSize == 1024 && nr == 0 && f.firstData == 0 {
		at++
	}
	return at
}

// hasSuper tells whether a group begins with a copy of the superblock: ext4_bg_has_super.
func (f *FS) hasSuper(group uint64) bool {
	switch {
	case group == 0:
		return true
	case f.compat&compatSparseSuper2 != 0:
		return group == uint64(f.backupGroups[0]) || group == uint64(f.backupGroups[1])
	case group == 1 || f.roCompat&roSparseSuper == 0:
		return true
	}
	for _, base := range [...]uint64{3, 5, 7} {
		n := base
		for n < group {
			n *= base
		}
		if n == group {
			return true
		}
	}
	return false
}

// Open opens a file or directory. What it returns is a *[File], or for a directory an fs.ReadDirFile.
func (f *FS) Open(name string) (fs.File, error) {
	i, err := f.find("open", name, true)
	if err != nil {
		return nil, err
	}
	fi := fileInfo{base(name), f.info(i)}
	var content io.ReaderAt = strings.NewReader("")
	size := int64(0)
	switch i.mode & sIFMT {
	case sIFDIR:
		return &dirFile{fs: f, i: i, name: name, fi: fi}, nil
	case sIFREG:
		if content, err = f.data(i); err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		size = i.size
	}
	return &File{io.NewSectionReader(content, 0, size), fi}, nil
}
