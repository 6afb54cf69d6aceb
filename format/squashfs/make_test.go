package squashfs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io/fs"
	"slices"
	"testing"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// A maker puts an image of our own making together. The blocks have 4 KiB.
type maker struct {
	pack   uint16
	data   []byte // from the superblock's end on
	inodes []byte // unpacked
	dirs   []byte
	frag   []byte // one fragment block for all
	attrs  []byte
	ids    []uint32
	sets   []byte // entries of the table of attributes
	nsets  uint32
	number uint32
	fixed  func(m *maker) // is called before the tables are written
}

const makerBlock = 4096

func newMaker(pack uint16) *maker { return &maker{pack: pack, ids: []uint32{0}} }

func u16(b []byte, v ...int) []byte {
	for _, v := range v {
		b = le.AppendUint16(b, uint16(v))
	}
	return b
}

func u32(b []byte, v ...int) []byte {
	for _, v := range v {
		b = le.AppendUint32(b, uint32(v))
	}
	return b
}

func encode(t testing.TB, pack uint16, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var err error
	switch pack {
	case packGzip:
		w := zlib.NewWriter(&out)
		w.Write(b)
		err = w.Close()
	case packXz:
		w, e := xz.NewWriter(&out)
		if e != nil {
			t.Fatal(e)
		}
		w.Write(b)
		err = w.Close()
	case packZstd:
		w, e := zstd.NewWriter(nil)
		if e != nil {
			t.Fatal(e)
		}
		out.Write(w.EncodeAll(b, nil))
	case packLZ4: // literals alone
		n := len(b)
		if n < 15 {
			out.WriteByte(byte(n << 4))
		} else {
			out.WriteByte(0xf0)
			for n -= 15; n >= 255; n -= 255 {
				out.WriteByte(255)
			}
			out.WriteByte(byte(n))
		}
		out.Write(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// An attr is an extended attribute by its type.
type attr struct {
	typ         int
	name, value string
}

// inode appends an inode; ref is its place if every metadata block is stored unpacked in 8192 bytes.
func (m *maker) inode(typ, mode int, rest []byte) uint64 {
	at := len(m.inodes)
	m.number++
	m.inodes = u32(u16(m.inodes, typ, mode, 0, len(m.ids)-1), 1_000_000, int(m.number))
	m.inodes = append(m.inodes, rest...)
	return place(at)
}

// place is where a byte of unpacked metadata lies. The blocks are stored as they are, for their places to be known.
func place(at int) uint64 { return uint64(at/metaSize*(metaSize+2))<<16 | uint64(at%metaSize) }

// file adds a regular file whose full blocks are packed, the end in the fragment.
func (m *maker) file(t testing.TB, mode int, body []byte, attrs ...attr) uint64 {
	start := superSize + len(m.data)
	var sizes []int
	n := len(body)
	for ; len(body) >= makerBlock; body = body[makerBlock:] {
		b := body[:makerBlock]
		switch e := encode(t, m.pack, b); {
		case len(bytes.Trim(b, "\x00")) == 0:
			sizes = append(sizes, 0)
		case len(e) < makerBlock:
			m.data = append(m.data, e...)
			sizes = append(sizes, len(e))
		default:
			m.data = append(m.data, b...)
			sizes = append(sizes, makerBlock|plain)
		}
	}
	frag, off := -1, 0
	if len(body) > 0 {
		frag, off = 0, len(m.frag)
		m.frag = append(m.frag, body...)
	}
	if attrs == nil {
		return m.inode(typeFile, mode, u32(u32(nil, start, frag, off, n), sizes...))
	}
	b := le.AppendUint64(le.AppendUint64(le.AppendUint64(nil, uint64(start)), uint64(n)), 0)
	return m.inode(typeFile+typeLong, mode, u32(u32(b, 1, frag, off, m.set(attrs)), sizes...))
}

// set adds a set of attributes and returns its number. Values of more than 100 bytes are put elsewhere.
func (m *maker) set(attrs []attr) int {
	var away []byte
	base := len(m.attrs)
	for _, a := range attrs {
		if len(a.value) > 100 {
			away = append(u32(away, len(a.value)), a.value...)
		}
	}
	m.attrs = append(m.attrs, away...)
	at := len(m.attrs)
	for _, a := range attrs {
		typ := a.typ
		if len(a.value) > 100 {
			typ |= 0x100
		}
		m.attrs = append(u16(m.attrs, typ, len(a.name)), a.name...)
		if len(a.value) > 100 {
			m.attrs = le.AppendUint64(u32(m.attrs, 8), place(base))
			base += 4 + len(a.value)
		} else {
			m.attrs = append(u32(m.attrs, len(a.value)), a.value...)
		}
	}
	m.sets = u32(le.AppendUint64(m.sets, place(at)), len(attrs), len(m.attrs)-at)
	m.nsets++
	return int(m.nsets) - 1
}

func (m *maker) symlink(target string) uint64 {
	return m.inode(typeSymlink, 0o777, append(u32(nil, 1, len(target)), target...))
}

// An item is an entry of a directory.
type item struct {
	name string
	ref  uint64
	typ  int
}

// dir adds a directory.
func (m *maker) dir(items ...item) uint64 {
	at := len(m.dirs)
	slices.SortStableFunc(items, func(a, b item) int { return cmp.Compare(a.name, b.name) })
	for _, it := range items {
		m.dirs = u32(m.dirs, 0, int(it.ref>>16), 1) // a header for each
		m.dirs = append(u16(m.dirs, int(it.ref&0xffff), 0, it.typ, len(it.name)-1), it.name...)
	}
	p := place(at)
	return m.inode(typeDir+typeLong, 0o755, u32(u16(u32(nil, 2, len(m.dirs)-at+3, int(p>>16), 1), 0, int(p&0xffff)), -1))
}

// image finishes the image.
func (m *maker) image(root uint64) []byte {
	img := append(make([]byte, superSize), m.data...)
	sb := img[:superSize:superSize]
	fragAt := len(img)
	img = append(img, m.frag...)
	meta := func(b []byte) (at int, blocks []int) {
		at = len(img)
		for ; len(b) > 0; b = b[min(len(b), metaSize):] {
			part := b[:min(len(b), metaSize)]
			blocks = append(blocks, len(img))
			img = append(u16(img, len(part)|0x8000), part...)
		}
		return at, blocks
	}
	table := func(b []byte) int {
		_, blocks := meta(b)
		at := len(img)
		for _, b := range blocks {
			img = le.AppendUint64(img, uint64(b))
		}
		return at
	}
	inodes, _ := meta(m.inodes)
	dirs, _ := meta(m.dirs)
	frags := table(u32(u32(le.AppendUint64(nil, uint64(fragAt)), len(m.frag)|plain), 0))
	var ids []byte
	for _, id := range m.ids {
		ids = le.AppendUint32(ids, id)
	}
	owners := table(ids)
	xattrs := uint64(none)
	if m.nsets > 0 {
		at, _ := meta(m.attrs)
		_, blocks := meta(m.sets)
		xattrs = uint64(len(img))
		img = u32(le.AppendUint64(img, uint64(at)), int(m.nsets), 0)
		img = le.AppendUint64(img, uint64(blocks[0]))
	}
	sb = img[:superSize]
	copy(sb, "hsqs")
	for at, v := range map[int]uint64{4: uint64(m.number), 12: makerBlock, 16: 1} {
		binary.LittleEndian.PutUint32(sb[at:], uint32(v))
	}
	for at, v := range map[int]uint16{20: m.pack, 22: 12, 26: uint16(len(m.ids)), 28: 4} {
		binary.LittleEndian.PutUint16(sb[at:], v)
	}
	for at, v := range map[int]uint64{32: root, 40: uint64(len(img)), 48: uint64(owners), 56: xattrs, 64: uint64(inodes), 72: uint64(dirs), 80: uint64(frags), 88: none} {
		binary.LittleEndian.PutUint64(sb[at:], v)
	}
	return img
}

// words is text that is not all the same.
func words(n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		b = append(b, "gift horse "[i%7:]...)
		b = append(b, byte(i), byte(i>>8))
	}
	return b[:n]
}

// capability is CAP_NET_RAW (13), CAP_SYS_ADMIN (21) and CAP_BPF (39) permitted, as revision 2.
const capability = "\x01\x00\x00\x02\x00\x20\x20\x00\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00"

// sample is a small image with a bit of everything.
func sample(t testing.TB, pack uint16) []byte {
	m := newMaker(pack)
	text := m.file(t, 0o644, words(3*makerBlock+100))
	m.ids = append(m.ids, 70_000)
	holes := m.file(t, 0o4755, append(make([]byte, 2*makerBlock), words(makerBlock)...),
		attr{2, "selinux", "u:object_r:system_file:s0\x00"}, attr{2, "capability", capability}, attr{0, "long", string(words(300))})
	empty := m.file(t, 0o600, nil)
	link := m.symlink("text")
	pipe := m.inode(typePipe, 0o600, u32(nil, 1))
	null := m.inode(typeChar+typeLong, 0o666, u32(nil, 1, 0x103, -1))
	sub := m.dir(item{"again", text, typeFile}, item{"text", text, typeFile})
	return m.image(m.dir(item{"text", text, typeFile}, item{"holes", holes, typeFile}, item{"empty", empty, typeFile}, item{"link", link, typeSymlink},
		item{"pipe", pipe, typePipe}, item{"null", null, typeChar}, item{"sub", sub, typeDir}))
}

var _ fs.ReadLinkFS = (*FS)(nil)
