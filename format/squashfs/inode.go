package squashfs

import (
	"bytes"
	"cmp"
	"io/fs"
	"time"

	"gifthorse/internal/cursor"
	"gifthorse/internal/imgfs"
)

// Types of inodes. From typeLong on they are the same again, with attributes and room for larger numbers.
const (
	typeDir = 1 + iota
	typeFile
	typeSymlink
	typeBlock
	typeChar
	typePipe
	typeSocket
	typeLong = typeSocket
)

// fileTypes has the modes of the types.
var fileTypes = [...]fs.FileMode{
	0:           fs.ModeIrregular,
	typeDir:     fs.ModeDir,
	typeFile:    0,
	typeSymlink: fs.ModeSymlink,
	typeBlock:   fs.ModeDevice,
	typeChar:    fs.ModeDevice | fs.ModeCharDevice,
	typePipe:    fs.ModeNamedPipe,
	typeSocket:  fs.ModeSocket,
}

const (
	maxPath = 4096 // PATH_MAX of Linux, for paths and the targets of links

	// maxXattrBytes bounds the attributes of one inode. Linux takes 64 KiB for one value (XATTR_SIZE_MAX).
	maxXattrBytes = 128 << 10
)

// An inode is what the image says of a file besides its names.
type inode struct {
	ref   uint64 // place in the inode table: block << 16 | byte
	at    int64  // of its metadata block in the image
	mode  fs.FileMode
	uid   uint16 // index in the table of owners
	gid   uint16
	xattr uint32 // index in the table of attributes
	mtime uint32
	size  int64
	start int64    // of the data, in the image; of a directory's listing, in its table
	off   uint32   // in the fragment, or in the listing's metadata block
	frag  uint32   // index of the fragment with the end of the data
	body  position // what follows the fixed part: the sizes of the blocks, or a link's target
}

// Node says what the files of every image have.
func (i *inode) Node() imgfs.Node {
	return imgfs.Node{ID: i.ref, Off: i.at, Mode: i.mode, Size: i.size, Time: time.Unix(int64(i.mtime), 0).UTC()}
}

// inode reads the inode at ref: inode.c, squashfs_read_inode.
func (f *FS) inode(ref uint64) (*inode, error) {
	p := position{f.inodes + int64(ref>>16), int(ref & 0xffff)}
	ino := &inode{ref: ref, at: p.block, xattr: none32, frag: none32}
	if p.block < f.inodes { // a number of more than 63 bits
		return nil, cursor.Errorf(f.inodes, "inode at %#x lies outside the image", ref)
	}
	b, err := f.take(&p, 16)
	if err != nil {
		return nil, err
	}
	typ, mode := le.Uint16(b), le.Uint16(b[2:])
	ino.uid, ino.gid, ino.mtime = le.Uint16(b[4:]), le.Uint16(b[6:]), le.Uint32(b[8:])
	long := typ > typeLong
	if long {
		typ -= typeLong
	}
	if typ < typeDir || typ > typeSocket {
		return nil, cursor.Errorf(ino.at, "inode of type %d", le.Uint16(b))
	}
	ino.mode = fileTypes[typ] | fs.FileMode(mode&0o777)
	if mode&0o4000 != 0 {
		ino.mode |= fs.ModeSetuid
	}
	if mode&0o2000 != 0 {
		ino.mode |= fs.ModeSetgid
	}
	if mode&0o1000 != 0 {
		ino.mode |= fs.ModeSticky
	}
	// The sizes of the fixed parts behind the header, short and long.
	n := [...][2]int{typeDir: {16, 24}, typeFile: {16, 40}, typeSymlink: {8, 8}, typeBlock: {8, 12}, typeChar: {8, 12}, typePipe: {4, 8}, typeSocket: {4, 8}}[typ]
	k := n[0]
	if long {
		k = n[1]
	}
	if b, err = f.take(&p, k); err != nil {
		return nil, err
	}
	ino.body = p
	switch typ {
	case typeDir:
		// The size counts three bytes for "." and "..", which are not stored (dir.c, squashfs_readdir).
		if long {
			ino.size, ino.start, ino.off = int64(le.Uint32(b[4:])), int64(le.Uint32(b[8:])), uint32(le.Uint16(b[18:]))
			ino.xattr = le.Uint32(b[20:])
		} else {
			ino.start, ino.size, ino.off = int64(le.Uint32(b)), int64(le.Uint16(b[8:])), uint32(le.Uint16(b[10:]))
		}
	case typeFile:
		var start, size uint64
		if long {
			start, size = le.Uint64(b), le.Uint64(b[8:])
			ino.frag, ino.off, ino.xattr = le.Uint32(b[28:]), le.Uint32(b[32:]), le.Uint32(b[36:])
		} else {
			start, size = uint64(le.Uint32(b)), uint64(le.Uint32(b[12:]))
			ino.frag, ino.off = le.Uint32(b[4:]), le.Uint32(b[8:])
		}
		// A block needs four bytes of metadata, and 8192 of these at least three of the image.
		if size>>f.blockLog > uint64(f.size)*(metaSize/4)/3 || size >= 1<<62 {
			return nil, cursor.Errorf(ino.at, "a file of %d bytes, more than the image can map", size)
		}
		if start > uint64(f.size) && size > 0 {
			return nil, cursor.Errorf(ino.at, "data at byte %#x of an image of %#x", start, f.size)
		}
		ino.start, ino.size = int64(start), int64(size)
	case typeSymlink:
		ino.size = int64(le.Uint32(b[4:]))
		if ino.size > maxPath {
			return nil, cursor.Errorf(ino.at, "a symbolic link of %d bytes", ino.size)
		}
		if long {
			if _, err = f.take(&p, int(ino.size)); err != nil {
				return nil, err
			}
			if b, err = f.take(&p, 4); err != nil {
				return nil, err
			}
			ino.xattr = le.Uint32(b)
		}
	default:
		if long {
			ino.xattr = le.Uint32(b[k-4:])
		}
	}
	return ino, nil
}

// owner returns the user or group at an index of the table of owners.
func (f *FS) ownerID(i uint16) (int, error) {
	if i >= f.ids {
		return 0, cursor.Errorf(f.idTable, "owner %d of %d", i, f.ids)
	}
	b, err := f.entry(f.idTable, uint32(i), 4)
	if err != nil {
		return 0, err
	}
	return int(le.Uint32(b)), nil
}

// An Info is what an image tells about a file besides names and data.
type Info struct {
	Mode   fs.FileMode
	UID    int
	GID    int
	Size   int64             // bytes; of a directory, those of its listing
	Label  string            // SELinux context (xattr security.selinux), "" if there is none
	Caps   uint64            // permitted set of xattr security.capability, bit n being capability n of capability.h
	Xattrs map[string][]byte // all extended attributes by their full names
}

// info returns what is stored about a file; an error may come with it.
func (f *FS) info(ino *inode) (info Info, err error) {
	info = Info{Mode: ino.mode, Size: ino.size}
	var err2, err3 error
	info.UID, err = f.ownerID(ino.uid)
	info.GID, err2 = f.ownerID(ino.gid)
	info.Xattrs, err3 = f.readXattrs(ino)
	info.Label = string(bytes.TrimRight(info.Xattrs["security.selinux"], "\x00"))
	info.Caps = imgfs.Capabilities(info.Xattrs["security.capability"])
	return info, cmp.Or(err, err2, err3)
}

// An xattrTable is the head of the table of attributes.
type xattrTable struct {
	start int64 // of the metadata with the attributes
	count uint32
	index int64 // of the places of the metadata with the entries
}

// readXattrTable returns nil for an image without attributes: xattr_id.c, squashfs_read_xattr_id_table.
func (f *FS) readXattrTable(at uint64) (*xattrTable, error) {
	if at == none {
		return nil, nil
	}
	var b [16]byte
	if at > uint64(f.size) {
		return nil, cursor.Errorf(56, "table of attributes at byte %#x of %#x", at, f.size)
	}
	if err := f.read(b[:], int64(at)); err != nil {
		return nil, err
	}
	start := le.Uint64(b[:])
	if start > uint64(f.size) {
		return nil, cursor.Errorf(int64(at), "attributes at byte %#x of %#x", start, f.size)
	}
	return &xattrTable{int64(start), le.Uint32(b[8:]), int64(at) + 16}, nil
}

// xattrPrefix has what the types of attributes stand for. Linux does not list those of another type.
var xattrPrefix = [...]string{"user.", "trusted.", "security."}

// readXattrs reads the extended attributes of an inode. Of two with one name the first counts, as in xattr.c. On an error it
// returns what it has.
func (f *FS) readXattrs(ino *inode) (map[string][]byte, error) {
	if ino.xattr == none32 {
		return nil, nil
	}
	t, err := f.xattrs()
	if t == nil || err != nil {
		return nil, err
	}
	if ino.xattr >= t.count {
		return nil, cursor.Errorf(t.index-8, "attributes %d of %d", ino.xattr, t.count)
	}
	b, err := f.entry(t.index, ino.xattr, 16)
	if err != nil {
		return nil, err
	}
	m := map[string][]byte{}
	p, err := t.position(le.Uint64(b))
	left := maxXattrBytes
	for count := le.Uint32(b[8:]); count > 0 && err == nil; count-- {
		var typ uint16
		var name, value []byte
		if b, err = f.take(&p, 4); err != nil {
			break
		}
		typ = le.Uint16(b)
		if name, err = f.take(&p, int(le.Uint16(b[2:]))); err != nil {
			break
		}
		at := p
		if value, err = f.value(&p, left-len(name)); err != nil {
			break
		}
		if typ&0x100 != 0 { // SQUASHFS_XATTR_VALUE_OOL: the value is the place of the value
			if len(value) != 8 {
				err = cursor.Errorf(at.block, "attribute %q elsewhere, at a place of %d bytes", name, len(value))
				break
			}
			var q position
			if q, err = t.position(le.Uint64(value)); err != nil {
				break
			}
			if value, err = f.value(&q, left-len(name)); err != nil {
				break
			}
		}
		left -= 4 + len(name) + len(value)
		if k := int(typ & 0xff); k < len(xattrPrefix) {
			full := xattrPrefix[k] + string(name)
			if _, ok := m[full]; !ok {
				m[full] = bytes.Clone(value)
			}
		}
	}
	return m, err
}

func (t *xattrTable) position(ref uint64) (position, error) {
	p := position{t.start + int64(ref>>16), int(ref & 0xffff)}
	if p.block < t.start {
		return p, cursor.Errorf(t.start, "attributes at %#x lie outside the image", ref)
	}
	return p, nil
}

// value reads an attribute's value, of at most limit bytes.
func (f *FS) value(p *position, limit int) ([]byte, error) {
	b, err := f.take(p, 4)
	if err != nil {
		return nil, err
	}
	n := le.Uint32(b)
	if limit < 0 || n > uint32(limit) {
		return nil, cursor.Errorf(p.block, "extended attributes of more than %d bytes", maxXattrBytes)
	}
	return f.take(p, int(n))
}
