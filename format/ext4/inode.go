package ext4

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"gifthorse/internal/cursor"
)

// Flags of an inode: fs/ext4/ext4.h.
const (
	flagEncrypted = 0x800
	flagHugeFile  = 0x40000
	flagExtents   = 0x80000
	flagVerity    = 0x100000
	flagEAInode   = 0x200000
	flagInline    = 0x10000000
)

// An Info is what a file system's inode says. [fs.FileInfo.Sys] of what this package returns is an *Info.
type Info struct {
	Ino      uint32
	Mode     fs.FileMode // type, permissions, set-user-ID, set-group-ID and sticky bits
	UID, GID int
	Size     int64 // bytes
	Links    int   // names that lead to the inode
	ModTime  time.Time

	Label  string  // the SELinux label, security.selinux, "" if there is none
	Caps   uint64  // file capabilities: the permitted set in security.capability, bit n for capability n
	Xattrs []Xattr // all extended attributes, in order of name

	// XattrErr says what is wrong with the extended attributes: Label, Caps and Xattrs hold what could be read.
	XattrErr error

	Encrypted bool // by fscrypt: content, names and link targets cannot be read
	Verity    bool // fs-verity guards the content
}

// An Xattr is an extended attribute, with its name as getfattr prints it: "security.selinux", "user.x".
type Xattr struct {
	Name  string
	Value []byte
}

// An inode is an inode as stored.
type inode struct {
	num   uint32
	at    int64 // in the image
	raw   []byte
	mode  uint16
	flags uint32
	size  int64
}

// inodeOff returns where an inode is stored.
func (f *FS) inodeOff(n uint32) (int64, error) {
	if n == 0 || n > f.inodes {
		return 0, cursor.Errorf(superOff, "inode %d of %d", n, f.inodes)
	}
	table, err := f.inodeTable(uint64((n - 1) / f.inodesPerGroup))
	// The table lies below 2^63 less one block, and an index is below 2^32 of at most 64 KiB.
	off := table + int64((n-1)%f.inodesPerGroup)*f.inodeSize
	if err == nil && (off < 0 || off > f.size-f.inodeSize) {
		err = cursor.Errorf(off, "inode %d wanted, the image ends at %#x", n, f.size)
	}
	return off, err
}

func (f *FS) inode(n uint32) (*inode, error) {
	off, err := f.inodeOff(n)
	if err != nil {
		return nil, err
	}
	i := &inode{num: n, at: off, raw: make([]byte, f.inodeSize)}
	if err := f.read(i.raw, off); err != nil {
		return nil, err
	}
	i.mode, i.flags = le.Uint16(i.raw), le.Uint32(i.raw[32:])
	if i.mode == 0 {
		return nil, cursor.Errorf(off, "inode %d is not in use", n)
	}
	size := uint64(le.Uint32(i.raw[4:]))
	if i.mode&sIFMT == sIFREG || f.incompat&incompatLargedir != 0 { // ext4_isize
		size |= uint64(le.Uint32(i.raw[108:])) << 32
	}
	if size > maxLogical*uint64(f.BlockSize) {
		return nil, cursor.Errorf(off+4, "inode %d has %d bytes", n, size)
	}
	i.size = int64(size)
	return i, nil
}

// fileACL returns the block of an inode's extended attributes, or 0.
func (f *FS) fileACL(i *inode) uint64 {
	n := uint64(le.Uint32(i.raw[104:]))
	if f.incompat&incompat64bit != 0 {
		n |= uint64(le.Uint16(i.raw[118:])) << 32
	}
	return n
}

// Types in i_mode: include/uapi/linux/stat.h.
const (
	sIFMT  = 0xf000
	sIFREG = 0x8000
	sIFDIR = 0x4000
	sIFLNK = 0xa000
)

func fileMode(m uint16) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	switch m & sIFMT {
	case sIFREG:
	case sIFDIR:
		mode |= fs.ModeDir
	case sIFLNK:
		mode |= fs.ModeSymlink
	case 0x6000:
		mode |= fs.ModeDevice
	case 0x2000:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case 0x1000:
		mode |= fs.ModeNamedPipe
	case 0xc000:
		mode |= fs.ModeSocket
	default:
		mode |= fs.ModeIrregular
	}
	if m&0o4000 != 0 {
		mode |= fs.ModeSetuid
	}
	if m&0o2000 != 0 {
		mode |= fs.ModeSetgid
	}
	if m&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

func (f *FS) info(i *inode) *Info {
	info := &Info{
		Ino:       i.num,
		Mode:      fileMode(i.mode),
		UID:       int(le.Uint16(i.raw[2:])) | int(le.Uint16(i.raw[120:]))<<16,
		GID:       int(le.Uint16(i.raw[24:])) | int(le.Uint16(i.raw[122:]))<<16,
		Size:      i.size,
		Links:     int(le.Uint16(i.raw[26:])),
		ModTime:   i.modTime(),
		Encrypted: i.flags&flagEncrypted != 0,
		Verity:    i.flags&flagVerity != 0,
	}
	total := 0
	info.XattrErr = f.xattrs(i, func(x xattr) error {
		if x.index == xattrSystem && x.name == "data" {
			return nil // the file's content, see inline
		}
		prefix, ok := xattrPrefix[x.index]
		if !ok {
			return nil // Linux lists no attribute of an index it does not know
		}
		if total += int(x.size); int64(x.size) > maxXattrBytes || total > maxXattrBytes {
			return cursor.Errorf(x.at, "extended attributes of more than %d bytes", maxXattrBytes)
		}
		v, err := f.xattrValue(x)
		if err != nil {
			return err
		}
		info.Xattrs = append(info.Xattrs, Xattr{prefix + x.name, v})
		return nil
	})
	slices.SortStableFunc(info.Xattrs, func(a, b Xattr) int { return cmp.Compare(a.Name, b.Name) })
	for _, x := range slices.Backward(info.Xattrs) { // of two with one name the first stored holds, as in ext4_xattr_get
		switch x.Name {
		case "security.selinux":
			info.Label = strings.TrimRight(string(x.Value), "\x00")
		case "security.capability":
			info.Caps = permitted(x.Value)
		}
	}
	return info
}

func (i *inode) modTime() time.Time {
	sec := int64(int32(le.Uint32(i.raw[16:])))
	var nsec int64
	// i_mtime_extra, at 136: two bits more of the seconds, thirty of nanoseconds.
	if len(i.raw) >= 140 && le.Uint16(i.raw[128:]) >= 12 {
		extra := le.Uint32(i.raw[136:])
		sec += int64(extra&3) << 32
		nsec = int64(extra >> 2)
	}
	return time.Unix(sec, nsec).UTC()
}

// permitted returns the permitted set in a value of security.capability: include/uapi/linux/capability.h, versions 1 to 3.
func permitted(v []byte) uint64 {
	if len(v) < 4 {
		return 0
	}
	switch version := le.Uint32(v) >> 24; {
	case version == 1 && len(v) == 12:
		return uint64(le.Uint32(v[4:]))
	case version == 2 && len(v) == 20, version == 3 && len(v) == 24:
		return uint64(le.Uint32(v[4:])) | uint64(le.Uint32(v[12:]))<<32
	}
	return 0
}

const (
	xattrMagic  = 0xea020000
	xattrSystem = 7
)

// xattrPrefix has what e_name_index stands for: fs/ext4/xattr.h.
var xattrPrefix = map[byte]string{
	1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security.",
	xattrSystem: "system.", 8: "system.richacl", 10: "gnu.",
}

// An xattr is an attribute's entry in a table.
type xattr struct {
	index byte
	name  string
	size  uint32
	inum  uint32 // the inode that holds the value, or 0
	value []byte // if inum is 0
	at    int64  // of the entry, in the image
}

// xattrs calls fn for the attributes of an inode, those in the inode first, until it returns an error. A damaged table in the inode does not hide
// the block.
func (f *FS) xattrs(i *inode, fn func(xattr) error) error {
	var first error
	if len(i.raw) >= 132 {
		at := 128 + int64(le.Uint16(i.raw[128:]))
		// Without room or magic the inode holds no attributes: __ext4_iget.
		if at+4 <= int64(len(i.raw)) && le.Uint32(i.raw[at:]) == xattrMagic {
			first = f.xattrTable(i.raw[at+4:], 0, i.at+at+4, fn)
		}
	}
	n := f.fileACL(i)
	if n == 0 {
		return first
	}
	b, err := f.block(n, i.at+104)
	if err == nil {
		at := int64(n) * f.BlockSize
		if le.Uint32(b) != xattrMagic || le.Uint32(b[8:]) != 1 {
			err = cursor.Errorf(at, "no block of extended attributes")
		} else {
			err = f.xattrTable(b, 32, at, fn)
		}
	}
	return cmp.Or(first, err)
}

// xattrTable calls fn for the entries that begin at off in b, which lies at byte at of the image.
func (f *FS) xattrTable(b []byte, off int, at int64, fn func(xattr) error) error {
	for {
		if off+4 > len(b) {
			return cursor.Errorf(at+int64(off), "extended attributes without an end")
		}
		if le.Uint32(b[off:]) == 0 {
			return nil
		}
		if off+16 > len(b) || off+16+int(b[off]) > len(b) {
			return cursor.Errorf(at+int64(off), "extended attribute outside of its table")
		}
		e := b[off:]
		x := xattr{
			index: e[1], name: string(e[16 : 16+int(e[0])]),
			inum: le.Uint32(e[4:]), size: le.Uint32(e[8:]), at: at + int64(off),
		}
		if x.inum == 0 {
			from := int64(le.Uint16(e[2:]))
			if from+int64(x.size) > int64(len(b)) {
				return cursor.Errorf(x.at, "value of an extended attribute outside of its table")
			}
			x.value = b[from : from+int64(x.size)]
		}
		if err := fn(x); err != nil {
			return err
		}
		off += (16 + int(e[0]) + 3) &^ 3
	}
}

func (f *FS) xattrValue(x xattr) ([]byte, error) {
	if x.inum == 0 {
		return slices.Clone(x.value), nil
	}
	i, err := f.inode(x.inum)
	if err != nil {
		return nil, err
	}
	// ext4_xattr_inode_iget and ext4_xattr_inode_get. With data in the inode the value would be an attribute again.
	if i.flags&flagEAInode == 0 || i.flags&(flagInline|flagEncrypted) != 0 || i.size != int64(x.size) {
		return nil, cursor.Errorf(x.at, "inode %d holds no value of %d bytes", x.inum, x.size)
	}
	d, err := f.data(i)
	if err != nil {
		return nil, err
	}
	v := make([]byte, x.size)
	if n, err := d.ReadAt(v, 0); n < len(v) {
		return nil, err
	}
	return v, nil
}

var errFound = errors.New("found")

// inline returns the content of a file that is kept in its inode: 60 bytes there, the rest in the attribute system.data.
func (f *FS) inline(i *inode) ([]byte, error) {
	b := slices.Clone(i.raw[40:100])
	err := f.xattrs(i, func(x xattr) error {
		if x.index != xattrSystem || x.name != "data" {
			return nil
		}
		if x.inum != 0 { // EXT4_FEATURE_INCOMPAT_EA_INODE never moves it: ext4_find_inline_data_nolock
			return cursor.Errorf(x.at, "data of inode %d in another inode", i.num)
		}
		b = append(b, x.value...)
		return errFound
	})
	if err == errFound || err == nil {
		return b, nil
	}
	return nil, err
}

// link returns the target of a symbolic link.
func (f *FS) link(i *inode) (string, error) {
	if i.flags&flagEncrypted != 0 {
		return "", fmt.Errorf("inode %d: %w", i.num, ErrEncrypted)
	}
	if i.size <= 0 || i.size > maxPath {
		return "", cursor.Errorf(i.at+4, "symbolic link of %d bytes", i.size)
	}
	b := make([]byte, i.size)
	if i.size < 60 && f.fastLink(i) {
		copy(b, i.raw[40:])
	} else {
		d, err := f.data(i)
		if err != nil {
			return "", err
		}
		if n, err := d.ReadAt(b, 0); n < len(b) {
			return "", err
		}
	}
	return cString(b), nil
}

// fastLink tells whether a link's target is where others have block numbers: ext4_inode_is_fast_symlink.
func (f *FS) fastLink(i *inode) bool {
	if i.flags&flagInline != 0 {
		return false
	}
	sectors := uint64(le.Uint32(i.raw[28:])) // i_blocks
	if f.roCompat&roHugeFile != 0 {
		sectors |= uint64(le.Uint16(i.raw[116:])) << 32
		if i.flags&flagHugeFile != 0 {
			sectors *= uint64(f.BlockSize / 512)
		}
	}
	if f.fileACL(i) != 0 {
		sectors -= uint64(f.cluster / 512)
	}
	return sectors == 0
}

// A fileInfo is an Info with the name by which it was asked for.
type fileInfo struct {
	name string
	info *Info
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.info.Size }
func (i fileInfo) Mode() fs.FileMode  { return i.info.Mode }
func (i fileInfo) ModTime() time.Time { return i.info.ModTime }
func (i fileInfo) IsDir() bool        { return i.info.Mode.IsDir() }
func (i fileInfo) Sys() any           { return i.info }

// A File is an opened file that is no directory. What is no regular file has no content.
type File struct {
	*io.SectionReader
	fi fileInfo
}

// Stat returns what the inode says; Sys of it is an *Info.
func (f *File) Stat() (fs.FileInfo, error) { return f.fi, nil }

// Close does nothing: the image belongs to whoever opened it.
func (f *File) Close() error { return nil }
