package f2fs

import (
	"bytes"
	"io/fs"
	"time"

	"gifthorse/internal/cursor"
	"gifthorse/internal/imgfs"
)

const (
	// Bits of i_inline.
	inlineXattr  = 0x01
	inlineData   = 0x02
	inlineDentry = 0x04
	extraAttr    = 0x20

	// Bits of i_advise.
	adviseEncrypted = 0x04
	adviseVerity    = 0x40

	flagCompressed = 0x4 // F2FS_COMPR_FL in i_flags

	addrOffset = 360 // of i_addr, in an inode
	nidsSize   = 20  // of i_nid, which is the last thing in it

	maxPath = 4096 // PATH_MAX of Linux, for paths and the targets of links
)

// An inode is what an inode says, without data, addresses and attributes, which are read again when they are wanted.
type inode struct {
	num     uint32
	at      int64 // in the image
	mode    fs.FileMode
	inline  uint8
	advise  uint8
	packer  uint8 // compression algorithm, and notPacked if there is none
	cluster uint8 // log2 of the blocks in a cluster
	uid     uint32
	gid     uint32
	size    int64
	mtime   time.Time
	xattr   uint32 // the node with more attributes
	extra   int64  // bytes that extra attributes take off the addresses
	room    int64  // bytes that extended attributes take off them, at their end
}

// Node says what the files of every image have.
func (i *inode) Node() imgfs.Node {
	return imgfs.Node{ID: uint64(i.num), Off: i.at, Mode: i.mode, Size: i.size, Time: i.mtime}
}

// inode reads an inode: inode.c, do_read_inode and sanity_check_inode.
func (f *FS) inode(num uint32) (*inode, error) {
	buf := f.buffer()
	defer f.buffers.Put(buf)
	return f.inodeInto(*buf, num)
}

// inodeInto leaves the block in b.
func (f *FS) inodeInto(b []byte, num uint32) (*inode, error) {
	at, err := f.node(b, num)
	if err != nil {
		return nil, err
	}
	if n := le.Uint32(b[f.block-footerSize+4:]); n != num {
		return nil, cursor.Errorf(at, "node %d is no inode, it belongs to inode %d", num, n)
	}
	ino := &inode{num: num, at: at, advise: b[2], inline: b[3], packer: notPacked}
	mode := le.Uint16(b)
	var ok bool
	if ino.mode, ok = imgfs.Mode(mode); !ok {
		return nil, cursor.Errorf(at, "inode of mode %#o", mode)
	}
	ino.uid, ino.gid = le.Uint32(b[4:]), le.Uint32(b[8:])
	ino.mtime = time.Unix(int64(le.Uint64(b[48:])), int64(le.Uint32(b[64:]))).UTC()
	ino.xattr = le.Uint32(b[76:])

	flexible := f.features&featFlexible != 0
	switch {
	case ino.inline&extraAttr != 0:
		ino.extra = int64(le.Uint16(b[addrOffset:]))
		if f.features&featExtra == 0 || ino.extra%4 != 0 || ino.extra > f.addrBytes() {
			return nil, cursor.Errorf(at+addrOffset, "extra attributes of %d bytes", ino.extra)
		}
	case flexible:
		return nil, cursor.Errorf(at+3, "an inode without extra attributes")
	}
	switch {
	case flexible:
		ino.room = int64(le.Uint16(b[addrOffset+2:])) * 4
	case ino.inline&(inlineXattr|inlineDentry) != 0:
		ino.room = 200 // DEFAULT_INLINE_XATTR_ADDRS
	}
	if ino.extra+ino.room > f.addrBytes()-4 {
		return nil, cursor.Errorf(at+addrOffset+2, "%d bytes for extended attributes", ino.room)
	}
	// The kernel asks for the feature, for extra attributes that reach that far, and for the flag.
	if ino.mode.IsRegular() && f.features&featCompression != 0 && ino.extra >= 34 && le.Uint32(b[80:])&flagCompressed != 0 {
		ino.packer, ino.cluster = b[addrOffset+32], b[addrOffset+33]
		if ino.cluster < 2 || ino.cluster > 8 || ino.packer > packLZORLE { // MIN_COMPRESS_LOG_SIZE, MAX_COMPRESS_LOG_SIZE
			return nil, cursor.Errorf(at+addrOffset+32, "compression %d with clusters of 2^%d blocks", ino.packer, ino.cluster)
		}
	}
	if ino.mode&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0 {
		return ino, nil // the kernel gives these no data, whatever their size says
	}
	size := le.Uint64(b[16:])
	if size > uint64(f.maxBlocks(ino)*f.block) {
		return nil, cursor.Errorf(at+16, "a file of %d bytes, more than its nodes can map", size)
	}
	ino.size = int64(size)
	if ino.inline&inlineData != 0 && ino.size > f.inlineSize(ino) {
		return nil, cursor.Errorf(at+16, "%d bytes of data in the inode, where %d can be", size, f.inlineSize(ino))
	}
	return ino, nil
}

// addrBytes is how many bytes of an inode are for addresses, if nothing else needs them.
func (f *FS) addrBytes() int64 { return f.block - addrOffset - nidsSize - footerSize }

// inlineSize is how many bytes of data an inode can hold (MAX_INLINE_DATA). The first address is never among them.
func (f *FS) inlineSize(ino *inode) int64 { return f.addrBytes() - ino.extra - 4 - ino.room }

// inlineData returns the part of the inode's block in b that is for data: inline.c.
func (f *FS) inlineData(b []byte, ino *inode) []byte {
	return b[addrOffset+ino.extra+4:][:f.inlineSize(ino)]
}

// An Info is what a file system's inode says.
type Info struct {
	Mode      fs.FileMode
	UID       int
	GID       int
	Size      int64             // bytes
	Label     string            // SELinux context (xattr security.selinux), "" if there is none
	Caps      uint64            // permitted set of xattr security.capability, bit n being capability n of capability.h
	Xattrs    map[string][]byte // all extended attributes by their full names
	Encrypted bool              // by fscrypt: content, names and link targets cannot be read
	Verity    bool              // fs-verity guards the content
}

// info returns what is stored about a file; an error may come with it.
func (f *FS) info(ino *inode) (info Info, err error) {
	info = Info{Mode: ino.mode, UID: int(ino.uid), GID: int(ino.gid), Size: ino.size,
		Encrypted: ino.advise&adviseEncrypted != 0, Verity: ino.advise&adviseVerity != 0}
	info.Xattrs, err = f.xattrs(ino)
	info.Label = string(bytes.TrimRight(info.Xattrs["security.selinux"], "\x00"))
	info.Caps = imgfs.Capabilities(info.Xattrs["security.capability"])
	return info, err
}

// xattrPrefix has what e_name_index stands for. Linux lists no attributes of other indexes: they are what fscrypt and
// fs-verity keep.
var xattrPrefix = [...]string{
	1: "user.",
	2: "system.posix_acl_access",
	3: "system.posix_acl_default",
	4: "trusted.",
	6: "security.",
}

// xattrs reads the extended attributes of an inode: those in it, which go on in a node of their own (xattr.c,
// read_all_xattrs). Of two with one name the first counts. On an error it returns what it has.
func (f *FS) xattrs(ino *inode) (map[string][]byte, error) {
	inlined := ino.inline&inlineXattr != 0 && ino.room > 0
	if !inlined && ino.xattr == 0 {
		return nil, nil
	}
	buf := f.buffer()
	defer f.buffers.Put(buf)
	var body []byte
	var damaged error
	if inlined {
		if err := f.read(*buf, ino.at); err != nil {
			return nil, err
		}
		body = append(body, (*buf)[addrOffset+f.addrBytes()-ino.room:][:ino.room]...)
	}
	if ino.xattr != 0 {
		if _, err := f.node(*buf, ino.xattr); err != nil {
			damaged = err
		} else {
			body = append(body, (*buf)[:f.block-footerSize]...)
		}
	}
	m := map[string][]byte{}
	for i := 24; ; { // behind the header
		// A table that fills the room there is has no end.
		if i+4 > len(body) || le.Uint32(body[i:]) == 0 {
			break
		}
		index, nameLen, n := int(body[i]), int(body[i+1]), int(le.Uint16(body[i+2:]))
		next := i + (4+nameLen+n+3)&^3
		if next > len(body) {
			if damaged == nil {
				damaged = cursor.Errorf(ino.at, "an extended attribute of inode %d passes the end of the table", ino.num)
			}
			break
		}
		if index < len(xattrPrefix) && xattrPrefix[index] != "" {
			name := xattrPrefix[index] + string(body[i+4:i+4+nameLen])
			if _, ok := m[name]; !ok {
				m[name] = body[i+4+nameLen : i+4+nameLen+n : i+4+nameLen+n]
			}
		}
		i = next
	}
	if len(m) == 0 {
		m = nil
	}
	return m, damaged
}
