package erofs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
	ulzma "github.com/ulikunitz/xz/lzma"

	"gifthorse/internal/imgtest"
)

// A maker makes images in memory, from erofs_fs.h and erofs.rst. It is for what Debian's mkfs.erofs cannot make, so of these features
// it is maker and test of our reader both: our understanding of the format, not a proof of it.
type maker struct {
	bits     uint
	features uint32
	compat   uint32
	packed   uint64
	prefixes []byte // records of long xattr name prefixes, written into blocks
	shared   []byte // shared xattrs
	data     []byte // blocks from first() on
	meta     []byte
	names    map[string]uint64
	dirs     map[string]bool
}

func newMaker(bits uint, features uint32) *maker {
	return &maker{bits: bits, features: features, names: map[string]uint64{}, dirs: map[string]bool{}}
}

func (m *maker) size() int64  { return 1 << m.bits }
func (m *maker) first() int64 { return roundUp(superOffset+superSize, m.size()) }

// blocks appends b, at the end of whole blocks if right, and returns the address.
func (m *maker) blocks(b []byte, right bool) uint32 {
	addr := (m.first() + int64(len(m.data))) >> m.bits
	pad := make([]byte, roundUp(int64(len(b)), m.size())-int64(len(b)))
	if right {
		m.data = append(append(m.data, pad...), b...)
	} else {
		m.data = append(append(m.data, b...), pad...)
	}
	return uint32(addr)
}

// inode appends an extended inode. tail makes what follows it and its xattrs from the offset that has in the metadata.
func (m *maker) inode(mode uint16, layout int, size int64, u uint32, xattr []byte, tail func(at int64) []byte) uint64 {
	// Nothing crosses a block but indexes: begin a block if there is less than a half left.
	if in := int64(len(m.meta)) & (m.size() - 1); in+128 > m.size() || tail != nil && in > m.size()/2 {
		m.meta = append(m.meta, make([]byte, m.size()-in)...)
	}
	at := len(m.meta)
	b := make([]byte, 64)
	le := binary.LittleEndian
	le.PutUint16(b, uint16(1|layout<<1))
	if len(xattr) > 0 {
		le.PutUint16(b[2:], uint16((len(xattr)-12)/4+1))
	}
	le.PutUint16(b[4:], mode)
	le.PutUint64(b[8:], uint64(size))
	le.PutUint32(b[16:], u)
	le.PutUint32(b[24:], 70_000) // uid
	le.PutUint32(b[28:], 80_000)
	le.PutUint32(b[44:], 1)
	m.meta = append(append(m.meta, b...), xattr...)
	if tail != nil {
		m.meta = append(m.meta, tail(int64(len(m.meta)))...)
	}
	m.meta = append(m.meta, make([]byte, roundUp(int64(len(m.meta)), 32)-int64(len(m.meta)))...)
	return uint64(at) >> 5
}

// directory makes one from names to inodes and puts it into blocks.
func (m *maker) directory(names map[string]uint64) uint64 {
	var body []byte
	le := binary.LittleEndian
	all := append([]string{".", ".."}, slices.Sorted(maps.Keys(names))...)
	for len(all) > 0 {
		n, size := 0, 0
		for n < len(all) && size+12+len(all[n]) <= int(m.size()) {
			size += 12 + len(all[n])
			n++
		}
		block := make([]byte, m.size())
		off := 12 * n
		for i, name := range all[:n] {
			le.PutUint64(block[12*i:], names[name])
			le.PutUint16(block[12*i+8:], uint16(off))
			block[12*i+10] = 1
			off += copy(block[off:], name)
		}
		if all = all[n:]; len(all) == 0 {
			block = block[:off]
		}
		body = append(body, block...)
	}
	at := len(m.data)
	nid := m.inode(0o40755, flatPlain, int64(len(body)), m.blocks(body, false), nil, nil)
	for i := range 2 { // "." and "..", which is right for the root only
		le.PutUint64(m.data[at+12*i:], nid)
		m.data[at+12*i+10] = 2
	}
	return nid
}

// image puts the image together, with a root directory of the names.
func (m *maker) image() []byte {
	root := m.directory(m.names)
	le := binary.LittleEndian
	sb := make([]byte, superSize)
	le.PutUint32(sb, superMagic)
	le.PutUint32(sb[8:], m.compat)
	sb[12] = byte(m.bits)
	le.PutUint64(sb[24:], 1234567890)
	le.PutUint32(sb[80:], m.features)
	le.PutUint64(sb[96:], m.packed)
	if m.shared != nil {
		le.PutUint32(sb[44:], m.blocks(m.shared, false))
	}
	if m.prefixes != nil {
		sb[91] = 2
		le.PutUint32(sb[92:], m.blocks(m.prefixes, false)<<m.bits>>2)
	}
	le.PutUint32(sb[40:], uint32((m.first()+int64(len(m.data)))>>m.bits))
	if root > 0xffff {
		panic("root inode too far")
	}
	le.PutUint16(sb[14:], uint16(root))
	img := make([]byte, m.first())
	copy(img[superOffset:], sb)
	img = append(append(img, m.data...), m.meta...)
	return append(img, make([]byte, roundUp(int64(len(img)), m.size())-int64(len(img)))...)
}

// A packing says how to compress a file.
type packing struct {
	alg      byte
	compact  bool
	two      bool // packs of 16
	big      int  // blocks of a pcluster at most
	inline   bool // the last extent
	fragment bool // the last extent, or all of it if nothing else is asked
	inter    bool // turn plain extents
	head2    bool // every other extent uses the second algorithm, which is LZ4
	cut      []int
}

// A piece is an extent to be.
type piece struct {
	typ        uint8
	start, end int64
	block      uint32
	blocks     int
	partial    bool
}

// compressed adds a compressed file. The places where it is cut into extents are given: each at least a block and at
// most what fits. rest takes the end of the file if that is a fragment and gives its offset in the packed inode.
func (m *maker) compressed(t testing.TB, body []byte, p packing, rest func([]byte) uint64) uint64 {
	t.Helper()
	le := binary.LittleEndian
	bs := m.size()
	var pieces []piece
	header := make([]byte, 8)
	var inline []byte
	cuts := append(slices.Clone(p.cut), len(body))
	start := int64(0)
	for i, cut := range cuts {
		end := int64(cut)
		if end <= start {
			continue
		}
		last := i == len(cuts)-1
		pc := piece{typ: lcHead1, start: start, end: end, blocks: 1}
		alg := p.alg
		if p.head2 && i%2 == 1 {
			alg, pc.typ = algLZ4, lcHead2
		}
		raw := body[start:end]
		switch {
		case last && p.fragment:
			off := rest(raw)
			le.PutUint32(header, uint32(off))
			pc.block = uint32(off >> 32)
		case len(raw) <= int(bs) && !last:
			pc.typ = lcPlain
			if p.inter {
				first := min(int(bs-start&(bs-1)), len(raw))
				b := make([]byte, bs)
				copy(b[start&(bs-1):], raw[:first])
				copy(b, raw[first:])
				raw = b
			}
			pc.block = m.blocks(raw, false)
		default:
			enc := encode(t, alg, raw)
			if last && p.inline {
				if len(enc) >= len(raw) {
					enc, pc.typ = raw, lcPlain
				}
				inline = enc
				le.PutUint16(header[2:], uint16(len(enc)))
				break
			}
			pc.blocks = int(roundUp(int64(len(enc)), bs) >> m.bits)
			if pc.blocks > max(p.big, 1) {
				t.Fatalf("%d bytes give %d blocks", len(raw), pc.blocks)
			}
			pc.block = m.blocks(enc, m.features&featZeroPadding != 0)
		}
		pieces = append(pieces, pc)
		start = end
	}
	var advise uint16
	set := func(on bool, bit uint16) {
		if on {
			advise |= bit
		}
	}
	set(p.two, adviseCompact2B)
	set(p.big > 1, adviseBig1|adviseBig2)
	set(p.inline, adviseInline)
	set(p.fragment, adviseFragment)
	set(p.inter, adviseInterlaced)
	le.PutUint16(header[4:], advise)
	header[6] = p.alg | algLZ4<<4
	layout := compressedFull
	if p.compact {
		layout = compressedCompact
	}
	return m.inode(0o100644, layout, int64(len(body)), 0, nil, func(at int64) []byte {
		pad := make([]byte, roundUp(at, 8)-at)
		b := append(pad, header...)
		if p.compact {
			b = append(b, m.compactIndexes(pieces, int64(len(body)), at+int64(len(b)), p)...)
		} else {
			b = append(append(b, make([]byte, 8)...), m.fullIndexes(pieces, int64(len(body)), p)...)
		}
		if o := (at + int64(len(b))) & (bs - 1); len(inline) > 0 && o+int64(len(inline)) > bs {
			t.Fatalf("the inline extent crosses a block: %d + %d", o, len(inline))
		}
		return append(b, inline...)
	})
}

// index is a logical cluster's index before it is packed.
type index struct {
	typ    uint8
	ofs    int64
	pc     *piece
	d0, d1 int
	count  int // of blocks, in the first nonhead
}

func (m *maker) indexes(pieces []piece, size int64, p packing) []index {
	list := make([]index, roundUp(size, m.size())>>m.bits)
	for i := range list {
		list[i].typ = lcNonhead
	}
	for i := range pieces {
		pc := &pieces[i]
		n := pc.start >> m.bits
		list[n] = index{typ: pc.typ, ofs: pc.start & (m.size() - 1), pc: pc}
	}
	head := 0
	for i := range list {
		if list[i].typ != lcNonhead {
			head = i
			continue
		}
		list[i].d0 = i - head
		for j := i; j < len(list) && list[j].typ == lcNonhead; j++ {
			list[i].d1++
		}
		if i == head+1 && p.big > 1 {
			list[i].count = list[head].pc.blocks
		}
	}
	return list
}

func (m *maker) fullIndexes(pieces []piece, size int64, p packing) (b []byte) {
	le := binary.LittleEndian
	for _, x := range m.indexes(pieces, size, p) {
		e := make([]byte, 8)
		le.PutUint16(e, uint16(x.typ))
		if x.typ == lcNonhead {
			d0 := uint16(x.d0)
			if x.count > 0 {
				d0 = blocksFlag | uint16(x.count)
			}
			le.PutUint16(e[4:], d0)
			le.PutUint16(e[6:], uint16(x.d1))
		} else {
			if x.pc.partial {
				e[1] |= 0x80
			}
			le.PutUint16(e[2:], uint16(x.ofs))
			le.PutUint32(e[4:], x.pc.block)
		}
		b = append(b, e...)
	}
	return b
}

func (m *maker) compactIndexes(pieces []piece, size, at int64, p packing) (b []byte) {
	le := binary.LittleEndian
	list := m.indexes(pieces, size, p)
	for len(list) > 0 {
		count, width, n := 2, 16, 8
		if p.two && (at+int64(len(b)))%32 == 0 && len(list) >= 16 {
			count, width, n = 16, 14, 32
		}
		pack := make([]byte, n)
		base, found := uint32(0), false
		for i := range min(count, len(list)) {
			x := list[i]
			var v uint64
			switch {
			case x.typ != lcNonhead:
				if !found {
					found = true
					base = x.pc.block
					if p.big <= 1 {
						base--
					} else if list[0].count > 0 {
						base -= uint32(list[0].count)
					}
				}
				v = uint64(x.ofs)
			case x.count > 0:
				v = uint64(blocksFlag | x.count)
			case i == count-1:
				v = uint64(x.d1)
			default:
				v = uint64(x.d0)
			}
			v |= uint64(x.typ) << max(m.bits, 12)
			for j := range width {
				if v>>j&1 != 0 {
					pack[(i*width+j)/8] |= 1 << ((i*width + j) % 8)
				}
			}
		}
		le.PutUint32(pack[n-4:], base)
		b = append(b, pack...)
		list = list[min(count, len(list)):]
	}
	return b
}

var zstdEncoder, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<17))

func encode(t testing.TB, alg byte, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	switch alg {
	case algLZ4:
		return lz4Encode(b)
	case algLZMA:
		w, err := ulzma.WriterConfig{DictCap: 1 << 16, SizeInHeader: true, Size: int64(len(b))}.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(b)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		enc := out.Bytes()
		enc[ulzma.HeaderLen] = ^enc[0]
		return enc[ulzma.HeaderLen:]
	case algDeflate:
		w, _ := flate.NewWriter(&out, 9)
		w.Write(b)
		w.Close()
		return out.Bytes()
	case algZstd:
		return zstdEncoder.EncodeAll(b, nil)
	}
	t.Fatal("no such algorithm")
	return nil
}

// lz4Encode is a plain greedy encoder.
func lz4Encode(b []byte) (out []byte) {
	length := func(n int) {
		for n -= 15; n >= 255; n -= 255 {
			out = append(out, 255)
		}
		out = append(out, byte(n))
	}
	last := map[uint32]int{}
	lit, i := 0, 0
	for i+12 < len(b) {
		key := binary.LittleEndian.Uint32(b[i:])
		from, ok := last[key]
		last[key] = i
		if !ok || i-from > 65535 {
			i++
			continue
		}
		n := 4
		for i+n < len(b)-5 && b[i+n] == b[from+n] {
			n++
		}
		out = append(out, byte(min(i-lit, 15)<<4|min(n-4, 15)))
		if i-lit >= 15 {
			length(i - lit)
		}
		out = append(out, b[lit:i]...)
		out = append(out, byte(i-from), byte((i-from)>>8))
		if n-4 >= 15 {
			length(n - 4)
		}
		i += n
		lit = i
	}
	out = append(out, byte(min(len(b)-lit, 15)<<4))
	if len(b)-lit >= 15 {
		length(len(b) - lit)
	}
	return append(out, b[lit:]...)
}

// words is text that compresses.
func words(seed uint64, n int) []byte {
	rnd := rand.New(rand.NewPCG(seed, 7))
	list := []string{"gift ", "horse ", "mouth ", "look ", "in ", "the ", "never ", "\n", "0123456789abcdef", "Q"}
	var b []byte
	for len(b) < n {
		if b = append(b, list[rnd.IntN(len(list))]...); rnd.IntN(6) == 0 {
			b = append(b, byte(rnd.Uint32()))
		}
	}
	return b[:n]
}

// check demands that the files of an image are as wanted.
func check(t *testing.T, img []byte, want map[string][]byte) {
	t.Helper()
	f := open(t, img)
	list, err := f.ReadDir(".")
	if err != nil || len(list) != len(want) {
		t.Errorf("lists %v, %v, want %d names", list, err, len(want))
	}
	for name, w := range want {
		b, err := imgtest.ReadFile(f, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(b, w) {
			i := 0
			for i < min(len(b), len(w)) && b[i] == w[i] {
				i++
			}
			t.Errorf("%s: %d bytes that differ at %#x from the %d wanted", name, len(b), i, len(w))
			continue
		}
		imgtest.Random(t, f, name, w)
	}
}

// cuts places the beginnings of extents: some of less than a block, which are stored plain and so must be of a block exactly, some longer.
func cuts(bs int, seed uint64, n int) (list []int) {
	rnd := rand.New(rand.NewPCG(seed, 9))
	for at := 0; ; {
		if rnd.IntN(4) == 0 {
			at += bs
		} else {
			at += bs + 1 + rnd.IntN(bs/2)
		}
		if at >= n {
			return list
		}
		list = append(list, at)
	}
}

// Every algorithm, index layout and block size, with each kind of last extent. Our own making.
func TestMade(t *testing.T) {
	for _, bits := range []uint{9, 12, 14, 16} {
		for _, zeroPadding := range []uint32{0, featZeroPadding} {
			m := newMaker(bits, zeroPadding|featBigPcluster|featFragments)
			want := map[string][]byte{}
			var packed []byte
			bs := 1 << bits
			add := func(name string, body []byte, p packing) {
				t.Helper()
				want[name] = body
				m.names[name] = m.compressed(t, body, p, func(rest []byte) uint64 {
					packed = append(packed, rest...)
					return uint64(len(packed) - len(rest))
				})
			}
			algs := map[string]byte{"lz4": algLZ4}
			if zeroPadding != 0 {
				algs = map[string]byte{"lz4": algLZ4, "lzma": algLZMA, "deflate": algDeflate, "zstd": algZstd}
			}
			sizes := []int{1, bs - 1, bs, bs + 1, 5*bs + 7, 20*bs + 100}
			if bits > 12 {
				sizes = []int{5*bs + 7}
				delete(algs, "lzma")
				delete(algs, "deflate")
			}
			for _, n := range sizes {
				for alg, id := range algs {
					seed := uint64(n)
					body := words(seed, n)
					c := cuts(bs, seed, n)
					big := []int{}
					for at := 2*bs + 3; at < n; at += 3*bs + 17 {
						big = append(big, at)
					}
					add(fmt.Sprint(alg, " full ", n), body, packing{alg: id, cut: c})
					add(fmt.Sprint(alg, " full, interlaced ", n), body, packing{alg: id, cut: c, inter: true})
					add(fmt.Sprint(alg, " full, two heads ", n), body, packing{alg: id, cut: c, head2: true})
					add(fmt.Sprint(alg, " full, big ", n), body, packing{alg: id, cut: big, big: 4})
					add(fmt.Sprint(alg, " full, fragment ", n), body, packing{alg: id, cut: c, fragment: true})
					if bits <= 14 {
						add(fmt.Sprint(alg, " compact ", n), body, packing{alg: id, compact: true, cut: c})
						add(fmt.Sprint(alg, " compact, big ", n), body, packing{alg: id, compact: true, cut: big, big: 4})
						add(fmt.Sprint(alg, " compact, fragment ", n), body, packing{alg: id, compact: true, cut: c, fragment: true, inter: true})
					}
					if bits <= 12 {
						add(fmt.Sprint(alg, " compact 2B ", n), body, packing{alg: id, compact: true, two: true, cut: c})
						add(fmt.Sprint(alg, " compact 2B, big ", n), body, packing{alg: id, compact: true, two: true, cut: big, big: 4})
					}
					var short []int // to a last extent that is short
					for at := bs + min(5, (n-1)%bs); at < n; at += bs {
						short = append(short, at)
					}
					if tail := n - append([]int{0}, short...)[len(short)]; bits >= 12 && n < 9*bs && tail < bs/3 {
						add(fmt.Sprint(alg, " inline ", n), body, packing{alg: id, compact: bits <= 14, cut: short, inline: true})
						add(fmt.Sprint(alg, " inline, interlaced ", n), body, packing{alg: id, cut: short, inline: true, inter: true})
					}
				}
			}
			// A deduplicated file: its extent is the beginning of what another's decodes to.
			body := words(99, 3*bs)
			enc := encode(t, algLZ4, body)
			pieces := []piece{{typ: lcHead1, end: int64(3 * bs), partial: true, block: m.blocks(enc, zeroPadding != 0), blocks: int(roundUp(int64(len(enc)), int64(bs))) >> bits}}
			m.names["dedupe"], want["dedupe"] = m.inode(0o100644, compressedFull, int64(2*bs+5), 0, nil, func(at int64) []byte {
				h := make([]byte, roundUp(at, 8)-at+16)
				h[len(h)-12] = adviseBig1 | adviseBig2
				return append(h, m.fullIndexes(pieces, int64(2*bs+5), packing{big: 4})...)
			}), body[:2*bs+5]
			// A whole file as a fragment.
			off := len(packed)
			packed = append(packed, "all of it"...)
			m.names["whole"], want["whole"] = m.inode(0o100644, compressedCompact, 9, 0, nil, func(at int64) []byte {
				h := make([]byte, roundUp(at, 8)-at+8)
				binary.LittleEndian.PutUint64(h[len(h)-8:], uint64(off)|1<<63)
				return h
			}), []byte("all of it")
			m.packed = m.compressed(t, packed, packing{cut: cuts(bs, 5, len(packed))}, nil)
			check(t, m.image(), want)
		}
	}
}

// What fsck.erofs can read of our own making it reads as we do.
func TestMadeFsck(t *testing.T) {
	if _, err := exec.LookPath("fsck.erofs"); err != nil {
		t.Skip("no fsck.erofs here: apt-get install erofs-utils")
	}
	m := newMaker(12, featZeroPadding|featBigPcluster|0x10)
	n := 37*4096 + 100
	body := words(1, n)
	var big []int
	for at := 2*4096 + 3; at < n; at += 3*4096 + 17 {
		big = append(big, at)
	}
	short := []int{4096 + 5, 2*4096 + 5, 3*4096 + 5}
	want := map[string][]byte{}
	for name, p := range map[string]packing{
		"full":         {cut: cuts(4096, 1, n)},
		"full, big":    {cut: big, big: 4},
		"compact":      {cut: cuts(4096, 1, n), compact: true},
		"compact, big": {cut: big, compact: true, big: 4},
		"two":          {cut: cuts(4096, 1, n), compact: true, two: true},
		"two, big":     {cut: big, compact: true, two: true, big: 4},
		"inline":       {cut: short, compact: true, inline: true},
	} {
		want[name] = body
		if p.inline {
			want[name] = body[:3*4096+500]
		}
		m.names[name] = m.compressed(t, want[name], p, nil)
	}
	img := m.image()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/img", img, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("fsck.erofs", "--extract="+dir+"/out", dir+"/img").CombinedOutput(); err != nil {
		t.Fatalf("fsck.erofs: %v\n%s", err, out)
	}
	for name, w := range want {
		if b, err := os.ReadFile(dir + "/out/" + name); err != nil || !bytes.Equal(b, w) {
			t.Errorf("fsck.erofs takes out %s as %d bytes, %v", name, len(b), err)
		}
	}
	check(t, img, want)
}
