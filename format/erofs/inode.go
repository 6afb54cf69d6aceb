package erofs

import (
	"encoding/binary"
	"io/fs"
	"math"
	"time"

	"gifthorse/internal/cursor"
	"gifthorse/internal/imgfs"
)

// Data layouts (i_format bits 1 to 3).
const (
	flatPlain = iota
	compressedFull
	flatInline
	compressedCompact
	chunkBased
)

// An inode is what the image says of a file besides its names.
type inode struct {
	nid    uint64
	off    int64 // in the image
	size   int64
	xattr  int64 // offset of the inline xattrs
	end    int64 // offset of what follows them: inline data, indexes or chunk table
	addr   uint32
	mode   fs.FileMode
	layout uint8
	uid    uint32
	gid    uint32
	mtime  time.Time
}

// Node says what the files of every image have.
func (i *inode) Node() imgfs.Node {
	return imgfs.Node{ID: i.nid, Off: i.off, Mode: i.mode, Size: i.size, Time: i.mtime}
}

// inode reads inode nid through w.
func (f *FS) inode(nid uint64, w *window) (*inode, error) {
	if nid > uint64(f.size)>>5 {
		return nil, cursor.Errorf(f.metaStart, "inode %d lies outside the image", nid)
	}
	ino := &inode{nid: nid, off: f.metaStart + int64(nid)<<5}
	b, err := w.at(f, ino.off, 32)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	format := le.Uint16(b)
	ino.layout = uint8(format >> 1 & 7)
	if format>>4 != 0 || ino.layout > chunkBased {
		return nil, unsupported("inode format %#x at byte %#x", format, ino.off)
	}
	icount := int64(le.Uint16(b[2:]))
	mode := le.Uint16(b[4:])
	ino.addr = le.Uint32(b[16:])
	size := uint64(le.Uint32(b[8:]))
	ino.xattr = ino.off + 32
	if format&1 == 0 {
		ino.uid = uint32(le.Uint16(b[24:]))
		ino.gid = uint32(le.Uint16(b[26:]))
		ino.mtime = f.time(f.epoch+int64(le.Uint32(b[12:])), f.epochNsec)
	} else {
		if b, err = w.at(f, ino.off, 64); err != nil {
			return nil, err
		}
		size = le.Uint64(b[8:])
		ino.uid = le.Uint32(b[24:])
		ino.gid = le.Uint32(b[28:])
		ino.mtime = f.time(int64(le.Uint64(b[32:])), int64(le.Uint32(b[40:])))
		ino.xattr = ino.off + 64
	}
	ino.end = ino.xattr
	if icount > 0 {
		ino.end += 12 + 4*(icount-1)
	}

	var ok bool
	if ino.mode, ok = imgfs.Mode(mode); !ok {
		return nil, cursor.Errorf(ino.off+4, "inode of mode %#o", mode)
	}
	if ino.mode&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0 {
		return ino, nil // the kernel gives these no data, whatever their size says
	}
	if size > uint64(f.maxSize(ino)) {
		return nil, cursor.Errorf(ino.off+8, "a file of %d bytes, more than the image can map", size)
	}
	ino.size = int64(size)
	return ino, nil
}

// maxSize returns the largest size that an inode of this layout can have if each part of it is somewhere mapped by bytes
// of the image.
func (f *FS) maxSize(ino *inode) int64 {
	switch ino.layout {
	case flatPlain, flatInline:
		if f.devices > 0 {
			return math.MaxUint32 << f.blockBits // on another device
		}
		return f.size
	case chunkBased:
		// One address maps at most 2^31 blocks. Times the addresses that fit into the image this may pass 63 bits.
		bits := min(f.blockBits+uint(ino.addr&0x1f), 47)
		if n := f.size / 4; n < 1<<(62-bits) {
			return n << bits
		}
		return 1 << 62
	}
	// A compressed file has an index of at least two bytes for each logical cluster, of at most 2^7 blocks; or, as one
	// fragment, it is a part of another compressed file.
	return min(f.size, 1<<40) >> 1 << min(f.blockBits+7, 22)
}

// An Info is what an image tells about a file besides names and data.
type Info struct {
	Mode   fs.FileMode
	UID    int
	GID    int
	Size   int64             // bytes
	Label  string            // SELinux context (xattr security.selinux), "" if there is none
	Caps   uint64            // permitted set of xattr security.capability, bit n being capability n of capability.h
	Xattrs map[string][]byte // all extended attributes by their full names
}

// info returns what is stored about a file; an error may come with it.
func (f *FS) info(ino *inode) (info Info, err error) {
	info = Info{Mode: ino.mode, UID: int(ino.uid), GID: int(ino.gid), Size: ino.size}
	info.Xattrs, err = f.xattrs(ino)
	if v, ok := info.Xattrs["security.selinux"]; ok {
		for len(v) > 0 && v[len(v)-1] == 0 {
			v = v[:len(v)-1]
		}
		info.Label = string(v)
	}
	info.Caps = imgfs.Capabilities(info.Xattrs["security.capability"])
	return info, err
}

// xattrPrefix has the name prefixes by e_name_index.
var xattrPrefix = [...]string{
	1: "user.",
	2: "system.posix_acl_access",
	3: "system.posix_acl_default",
	4: "trusted.",
	5: "lustre.",
	6: "security.",
}

// xattrs reads the extended attributes of an inode. Of two with one name the first counts, those in the inode before the shared,
// as in xattr.c. On an error it returns what it has.
func (f *FS) xattrs(ino *inode) (map[string][]byte, error) {
	n := ino.end - ino.xattr
	if n <= 12 {
		return nil, nil // nothing, or just the header, of which xattr.c says that its meaning is not defined
	}
	body := make([]byte, min(n, f.size)) // at most 256 KiB, as i_xattr_icount has 16 bits
	if err := f.read(body, ino.xattr); err != nil {
		return nil, err
	}
	m := map[string][]byte{}
	var first error
	fail := func(err error) {
		if first == nil {
			first = err
		}
	}
	add := func(entry []byte, off int64) {
		nameLen := int(entry[0])
		name, err := f.xattrName(entry[1], entry[4:4+nameLen], off)
		if err != nil {
			fail(err)
			return
		}
		if _, ok := m[name]; !ok {
			m[name] = entry[4+nameLen:]
		}
	}
	le := binary.LittleEndian
	shared := int(body[4])
	i := 12 + 4*shared
	if i > len(body) {
		return nil, cursor.Errorf(ino.xattr+4, "%d shared xattrs in %d bytes", shared, len(body))
	}
	for j := i; j < len(body); {
		e := body[j:]
		if len(e) < 4 {
			fail(cursor.Errorf(ino.xattr+int64(j), "xattr passes the end of its inode"))
			break
		}
		n := 4 + int(e[0]) + int(le.Uint16(e[2:]))
		if n > len(e) {
			fail(cursor.Errorf(ino.xattr+int64(j), "xattr passes the end of its inode"))
			break
		}
		add(e[:n:n], ino.xattr+int64(j))
		j += int(roundUp(int64(n), 4))
	}
	for j := 12; j < i; j += 4 {
		off := f.xattrStart + 4*int64(le.Uint32(body[j:]))
		var head [4]byte
		if err := f.read(head[:], off); err != nil {
			fail(err)
			continue
		}
		e := make([]byte, 4+int(head[0])+int(le.Uint16(head[2:])))
		if err := f.read(e, off); err != nil {
			fail(err)
			continue
		}
		add(e, off)
	}
	return m, first
}

// xattrName puts the full name of an attribute together.
func (f *FS) xattrName(index byte, suffix []byte, off int64) (string, error) {
	if index&0x80 != 0 {
		long, err := f.prefixes()
		if err != nil {
			return "", err
		}
		if i := int(index & 0x7f); i < len(long) {
			return long[i] + string(suffix), nil
		}
	} else if int(index) < len(xattrPrefix) && index > 0 {
		return xattrPrefix[index] + string(suffix), nil
	}
	return "", cursor.Errorf(off, "xattr %q with name index %#x", suffix, index)
}

// readPrefixes reads the long xattr name prefixes: records of a length, the index of a short prefix and what comes after it.
// They lie in the packed inode where there is one (xattr.c, erofs_xattr_prefixes_init).
func (f *FS) readPrefixes() ([]string, error) {
	read := f.read
	if f.packedNid != 0 && f.features&featFragments != 0 && f.compat&compatPlainPrefixes == 0 {
		packed, err := f.packed()
		if err != nil {
			return nil, err
		}
		read = packed.readFull
	}
	var list []string
	off := f.prefixStart
	for range f.prefixCount {
		off = roundUp(off, 4)
		var b [2 + 1 + 255]byte
		if err := read(b[:2], off); err != nil {
			return nil, err
		}
		n := int(binary.LittleEndian.Uint16(b[:]))
		if n < 1 || n > 256 {
			return nil, cursor.Errorf(off, "xattr name prefix of %d bytes", n)
		}
		if err := read(b[2:2+n], off+2); err != nil {
			return nil, err
		}
		if int(b[2]) >= len(xattrPrefix) {
			return nil, cursor.Errorf(off+2, "xattr name prefix with name index %#x", b[2])
		}
		list = append(list, xattrPrefix[b[2]]+string(b[3:2+n]))
		off += int64(2 + n)
	}
	return list, nil
}
