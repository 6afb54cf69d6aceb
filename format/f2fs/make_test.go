package f2fs

import (
	"bytes"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// A maker puts a file system of our own making together: what Debian's tools cannot make or would take megabytes for.
// Nothing here is from a phone. The areas lie as mkfs.f2fs would have them, with the least of segments.
type maker struct {
	blocks   sparse
	features uint32
	next     uint32 // block of the main area
	version  uint64 // of the checkpoint
	flags    uint32
	copies   bool              // the second copies of the node address table are in force
	journal  map[uint32]uint32 // node to block, instead of in the table
}

const (
	bs        = 4096
	cpAt      = 512
	natAt     = 2048
	mainAt    = 3072
	mainEnd   = mainAt + 2<<9
	imageSize = mainEnd * bs
)

// A sparse image has the blocks that are not zero. It can be written down as these with their numbers.
type sparse map[uint32][]byte

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) && off < imageSize {
		k := min(len(p)-n, int(bs-off%bs))
		if b := s[uint32(off/bs)]; b != nil {
			copy(p[n:n+k], b[off%bs:])
		} else {
			clear(p[n : n+k])
		}
		n, off = n+k, off+int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (s sparse) block(n uint32) []byte {
	if s[n] == nil {
		s[n] = make([]byte, bs)
	}
	return s[n]
}

func (s sparse) bytes() []byte {
	var b []byte
	keys := make([]uint32, 0, len(s))
	for n := range s {
		keys = append(keys, n)
	}
	slices.Sort(keys)
	for _, n := range keys {
		b = append(le.AppendUint32(b, n), s[n]...)
	}
	return b
}

func (s sparse) clone() sparse { return parse(s.bytes()) }

func parse(b []byte) sparse {
	s := sparse{}
	for ; len(b) >= 4+bs; b = b[4+bs:] {
		s[le.Uint32(b)%mainEnd] = bytes.Clone(b[4 : 4+bs])
	}
	return s
}

func newMaker(features uint32) *maker {
	return &maker{blocks: sparse{}, features: features, next: mainAt, version: 1, flags: cpUmount | cpCompact, journal: map[uint32]uint32{}}
}

// data puts bytes into new blocks behind each other and returns the first.
func (m *maker) data(b []byte) uint32 {
	first := m.next
	for ; len(b) > 0; b = b[min(len(b), bs):] {
		copy(m.blocks.block(m.next), b)
		m.next++
	}
	return first
}

// node places a node of an inode.
func (m *maker) node(nid, ino uint32) []byte {
	b := m.blocks.block(m.next)
	le.PutUint32(b[bs-24:], nid)
	le.PutUint32(b[bs-20:], ino)
	if _, ok := m.journal[nid]; ok {
		m.journal[nid] = m.next
	} else {
		at := uint32(natAt) + nid/455
		if m.copies {
			at += 1 << 9
		}
		e := m.blocks.block(at)[nid%455*9:]
		le.PutUint32(e[1:], ino)
		le.PutUint32(e[5:], m.next)
	}
	m.next++
	return b
}

// A file is an inode's block.
type file struct {
	b     []byte
	extra int
	room  int
}

func (m *maker) inode(num uint32, mode int, size int64, inline byte) file {
	f := file{b: m.node(num, num)}
	le.PutUint16(f.b, uint16(mode))
	le.PutUint32(f.b[4:], 1000)
	le.PutUint32(f.b[8:], 70_000)
	le.PutUint64(f.b[16:], uint64(size))
	le.PutUint64(f.b[48:], 1_000_000)
	if m.features&featExtra != 0 {
		inline |= extraAttr
		f.extra = 36
		le.PutUint16(f.b[addrOffset:], 36)
	}
	if m.features&featFlexible != 0 {
		f.room = 64
		le.PutUint16(f.b[addrOffset+2:], 16)
	} else if inline&(inlineXattr|inlineDentry) != 0 {
		f.room = 200
	}
	f.b[3] = inline
	return f
}

func (f file) addr(i int, block uint32) { le.PutUint32(f.b[addrOffset+f.extra+4*i:], block) }
func (f file) nid(i int, nid uint32)    { le.PutUint32(f.b[bs-44+4*i:], nid) }

func (f file) inline() []byte {
	return f.b[addrOffset+f.extra+4 : bs-44-f.room]
}

func (f file) xattrs(table []byte) { copy(f.b[bs-44-f.room:bs-44], table) }

// packed makes the file a compressed one.
func (f file) packed(alg, log byte) {
	le.PutUint32(f.b[80:], flagCompressed)
	f.b[addrOffset+32], f.b[addrOffset+33] = alg, log
}

func (m *maker) text(num uint32, mode int, body string) {
	f := m.inode(num, mode, int64(len(body)), inlineData)
	copy(f.inline(), body)
}

// An item is an entry of a directory.
type item struct {
	name string
	num  uint32
	typ  byte
}

func dentries(b []byte, items ...item) {
	slots := len(b) * 8 / 153
	at := len(b) - slots*19
	items = append([]item{{".", 9, 2}, {"..", 9, 2}}, items...)
	i := 0
	for _, it := range items {
		e := b[at+11*i:]
		le.PutUint32(e[4:], it.num)
		le.PutUint16(e[8:], uint16(len(it.name)))
		e[10] = it.typ
		copy(b[at+11*slots+8*i:], it.name)
		for range (len(it.name) + 7) / 8 {
			b[i/8] |= 1 << (i % 8)
			i++
		}
	}
}

func (m *maker) dir(num uint32, items ...item) {
	dentries(m.inode(num, 0o40755, 3000, inlineDentry).inline(), items...)
}

// attr appends an attribute to a table.
func attr(b []byte, index int, name, value string) []byte {
	if b == nil {
		b = le.AppendUint32(nil, 0xf2f52011)
		b = append(b, make([]byte, 20)...)
	}
	b = append(b, byte(index), byte(len(name)))
	b = le.AppendUint16(b, uint16(len(value)))
	b = append(append(b, name...), value...)
	return append(b, make([]byte, -len(b)&3)...)
}

// super writes the superblocks.
func (m *maker) super() {
	for n := range uint32(2) {
		sb := m.blocks.block(n)[1024:]
		for at, v := range map[int]uint32{0: superMagic, 16: 12, 20: 9, 36: mainEnd, 60: 2, 68: (mainEnd - mainAt) >> 9, 76: cpAt, 84: natAt, 92: mainAt, 96: 3, 2180: m.features} {
			le.PutUint32(sb[at:], v)
		}
		copy(sb[124:], "o\x00u\x00r\x00s\x00")
	}
}

// checkpoint writes pack 0 or 1.
func (m *maker) checkpoint(k uint32) {
	at := uint32(cpAt) + k<<9
	const total = 8
	for _, n := range []uint32{at, at + total - 1} {
		b := m.blocks.block(n)
		clear(b)
		le.PutUint64(b, m.version)
		for at, v := range map[int]uint32{132: m.flags, 136: total, 140: 1, 156: 64, 160: 64, 164: bs - 4} {
			le.PutUint32(b[at:], v)
		}
		if m.copies {
			b[cpBitmap+64] = 0x80
		}
		le.PutUint32(b[bs-4:], ^crc32.Update(^uint32(superMagic), crc32.IEEETable, b[:bs-4]))
	}
	j := m.blocks.block(at + 1)
	switch {
	case m.flags&cpCompact != 0:
	case m.flags&(cpUmount|cpFastboot) != 0:
		j = m.blocks.block(at + total - 7)[3584:]
	default:
		j = m.blocks.block(at + total - 4)[3584:]
	}
	le.PutUint16(j, uint16(len(m.journal)))
	i := 2
	for nid, block := range m.journal {
		le.PutUint32(j[i:], nid)
		le.PutUint32(j[i+9:], block)
		i += 13
	}
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

// cluster packs body.
func cluster(t testing.TB, alg byte, body []byte) []byte {
	t.Helper()
	var e []byte
	if alg == packZstd {
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		e = w.EncodeAll(body, nil)
	} else { // LZ4: sixteen literals that are repeated to the end but for five
		n := len(body) - 16 - 5 - 4
		e = append([]byte{0xff, 1}, body[:16]...)
		e = append(e, 16, 0)
		for n -= 15; n >= 255; n -= 255 {
			e = append(e, 255)
		}
		e = append(append(e, byte(n), 0x50), body[len(body)-5:]...)
	}
	b := le.AppendUint32(nil, uint32(len(e)))
	return append(append(b, make([]byte, 20)...), e...)
}

// periodic repeats every 16 bytes.
func periodic(n int) []byte { return bytes.Repeat([]byte("sixteen letters "), n/16) }

// capability is CAP_NET_RAW (13), CAP_SYS_ADMIN (21) and CAP_BPF (39) permitted, as revision 2.
const capability = "\x01\x00\x00\x02\x00\x20\x20\x00\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00"

const everything = featExtra | featFlexible | featCompression

// sparseSize is the size of the sample's file whose blocks lie in nodes of every kind, one block each.
const sparseSize = (923 + 2*1018 + 2*1018*1018 + 1018*1018 + 5000) * bs

// sample is a small file system with a bit of everything. Numbers of files are those of their inodes.
func sample(t testing.TB, features uint32) *maker {
	m := newMaker(features)
	m.journal[4] = 0
	m.text(4, 0o104755, "data in the inode")
	text := m.inode(5, 0o100644, 3*bs+100, inlineXattr)
	first := m.data(words(2 * bs))
	text.addr(0, first)
	text.addr(1, first+1)
	text.addr(2, 0)
	text.addr(3, m.data(words(100)))
	table := attr(nil, 6, "selinux", "u:o:s0\x00")
	table = attr(table, 6, "capability", capability)
	table = attr(attr(table, 1, "long", string(words(1000))), 9, "c", "a key")
	text.xattrs(table)
	if len(table) > text.room {
		copy(m.node(6, 5), table[text.room:])
		le.PutUint32(text.b[76:], 6)
	}
	m.text(7, 0o120777, "text")
	dir := m.inode(8, 0o40755, 3*bs, 0)
	block := make([]byte, bs)
	dentries(block, item{"a name of more than one slot", 5, 1}, item{"text", 5, 1})
	dir.addr(0, m.data(block))
	clear(block)
	dentries(block, item{"in another bucket", 4, 1})
	dir.addr(2, m.data(block))
	m.inode(9, 0o10600, 0, 0)

	big := m.inode(10, 0o100644, sparseSize, 0)
	data := m.data(words(bs))
	for i, nid := range []uint32{20, 21, 22, 23, 24} {
		big.nid(i, nid)
		b := m.node(nid, 10)
		for depth := i / 2; depth > 0; depth-- {
			le.PutUint32(b, nid+10*uint32(depth))
			b = m.node(nid+10*uint32(depth), 10)
		}
		le.PutUint32(b[4:], data)
	}
	items := []item{{"inline", 4, 1}, {"text", 5, 1}, {"link", 7, 7}, {"dir", 8, 2}, {"pipe", 9, 5}, {"big", 10, 1},
		{"secret", 11, 1}, {"secrets", 12, 2}, {"guarded", 13, 1}}
	for num, bit := range map[uint32]byte{11: adviseEncrypted, 13: adviseVerity} {
		m.text(num, 0o100600, "secret")
		m.blocks[m.next-1][2] = bit
	}
	m.dir(12, item{"\x13\x37\xff", 5, 1})
	m.blocks[m.next-1][2] = adviseEncrypted
	if features&featCompression != 0 {
		for i, alg := range []byte{packLZ4, packZstd, packLZO, packLZORLE} {
			num := uint32(14 + i)
			items = append(items, item{[]string{"lz4", "zstd", "lzo", "lzo-rle"}[i], num, 1})
			f := m.inode(num, 0o100644, 10*bs+7, 0)
			f.packed(alg, 2)
			f.addr(0, packedAddr)
			f.addr(1, m.data(cluster(t, alg, periodic(4*bs))))
			f.addr(2, newAddr)
			plain := m.data(words(4 * bs))
			for k := range uint32(4) {
				f.addr(4+int(k), plain+k)
			}
			f.addr(8, packedAddr)
			f.addr(9, m.data(cluster(t, alg, periodic(4*bs))))
		}
	}
	m.dir(3, items...)
	m.super()
	m.checkpoint(0)
	return m
}

var _ fs.ReadLinkFS = (*FS)(nil)
