package ext4

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"strings"
	"sync"
	"testing"
)

// walk reads everything, of each file at most limit bytes, and tells how many files could be read and how many bytes they have.
func walk(f *FS, limit int64) (files int, size int64) {
	fs.WalkDir(f, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		switch info.Mode().Type() {
		case fs.ModeSymlink:
			f.ReadLink(name)
			f.Stat(name)
		case 0:
			file, err := f.Open(name)
			if err != nil {
				return nil
			}
			defer file.Close()
			n, err := io.Copy(io.Discard, io.LimitReader(file, limit))
			size += n
			if err == nil {
				files++
			}
		}
		return nil
	})
	return files, size
}

// readFile reads a file, however large.
func readFile(f *FS, name string) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	b := make([]byte, file.(*File).Size())
	n, err := file.(*File).ReadAt(b, 0)
	if n == len(b) {
		err = nil
	}
	return b[:n], err
}

// A maker makes a file system of one group with blocks of 1 KiB, enough of it for a reader.
type maker struct {
	b    []byte
	next uint32 // block to be given out
}

// Blocks: 1 superblock, 2 group descriptor, 3 to 18 inodes (64 of 256 bytes).
const (
	madeInodes = 64
	madeTable  = 3
)

func newMaker(incompat uint32) *maker {
	m := &maker{b: make([]byte, 128<<10), next: madeTable + madeInodes*256/1024}
	sb := m.b[1024:]
	le.PutUint32(sb, madeInodes)
	le.PutUint32(sb[4:], uint32(len(m.b)/1024))
	le.PutUint32(sb[20:], 1)
	le.PutUint32(sb[32:], 8192)
	le.PutUint32(sb[40:], madeInodes)
	le.PutUint16(sb[56:], 0xef53)
	le.PutUint32(sb[76:], 1)
	le.PutUint16(sb[88:], 256)
	le.PutUint32(sb[96:], incompat)
	copy(sb[120:], "made")
	le.PutUint32(m.b[2048+8:], madeTable)
	return m
}

func (m *maker) fs(t testing.TB) *FS {
	t.Helper()
	f, err := New(bytes.NewReader(m.b), int64(len(m.b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// block stores b in blocks of its own and returns the first.
func (m *maker) block(b []byte) uint32 {
	n := m.next
	copy(m.b[n*1024:], b)
	m.next += uint32(max(1, (len(b)+1023)/1024))
	return n
}

func (m *maker) raw(ino uint32) []byte { return m.b[madeTable*1024+(ino-1)*256:][:256] }

func (m *maker) inode(ino uint32, mode uint16, flags uint32, size int64, block ...byte) {
	i := m.raw(ino)
	le.PutUint16(i, mode)
	le.PutUint32(i[4:], uint32(size))
	le.PutUint32(i[108:], uint32(size>>32))
	le.PutUint16(i[26:], 1)
	le.PutUint32(i[32:], flags)
	copy(i[40:100], block)
	le.PutUint16(i[128:], 32)
}

type name struct {
	name string
	ino  uint32
}

// entries returns a directory's content of size bytes.
func entries(size int, names ...name) []byte {
	var b []byte
	for k, n := range names {
		length := (8 + len(n.name) + 3) &^ 3
		if k == len(names)-1 {
			length = size - len(b)
		}
		e := make([]byte, length)
		le.PutUint32(e, n.ino)
		le.PutUint16(e[4:], uint16(length))
		e[6] = byte(len(n.name))
		copy(e[8:], n.name)
		b = append(b, e...)
	}
	return b
}

func u32s(v ...uint32) (b []byte) {
	for _, v := range v {
		b = le.AppendUint32(b, v)
	}
	return b
}

// node returns a node of an extent tree of which each entry is block, length or nothing, and address.
func node(depth uint16, entries ...[3]uint32) []byte {
	b := le.AppendUint16(nil, extentMagic)
	b = le.AppendUint16(b, uint16(len(entries)))
	b = le.AppendUint16(b, uint16(max(4, len(entries))))
	b = append(le.AppendUint16(b, depth), 0, 0, 0, 0)
	for _, e := range entries {
		if depth == 0 {
			b = append(b, u32s(e[0], e[1], e[2])...)
		} else {
			b = append(b, u32s(e[0], e[2], 0)...)
		}
	}
	return b
}

// attrs returns a table of extended attributes, all of the security space, with the values at the end of size bytes.
func attrs(index byte, size, head int, pairs ...string) []byte {
	b := make([]byte, size)
	le.PutUint32(b, xattrMagic)
	if head > 4 {
		le.PutUint32(b[8:], 1)
	}
	base := 0
	if head == 4 {
		base = 4 // in an inode, values count from the first entry
	}
	at, end := head, size
	for k := 0; k < len(pairs); k += 2 {
		b[at], b[at+1] = byte(len(pairs[k])), index
		end -= (len(pairs[k+1]) + 3) &^ 3
		le.PutUint16(b[at+2:], uint16(end-base))
		le.PutUint32(b[at+8:], uint32(len(pairs[k+1])))
		copy(b[at+16:], pairs[k])
		copy(b[end:], pairs[k+1])
		at += (16 + len(pairs[k]) + 3) &^ 3
	}
	return b
}

// full makes a file system with something of everything.
func full() *maker {
	m := newMaker(incompatExtents | incompatInlineData | incompatEAInode)
	text := strings.Repeat("0123456789abcdef", 64) // a block
	data := m.block([]byte(text + text))
	leafA, leafB := m.block(node(0, [3]uint32{0, 2, data})), m.block(node(0, [3]uint32{5, maxExtent + 2, data}, [3]uint32{9, 1, data + 1}))

	m.inode(12, sIFREG|0o644, flagExtents, 2048, node(0, [3]uint32{0, 2, data})...)
	m.inode(13, sIFREG|0o644, flagExtents, 10<<10, node(1, [3]uint32{0, 0, leafA}, [3]uint32{5, 0, leafB})...)
	single := m.block(u32s(0, data, data+1))
	double := m.block(u32s(single))
	triple := m.block(u32s(double))
	per := int64(256)
	m.inode(14, sIFREG|0o644, 0, (12+per+per*per+3)<<10,
		u32s(data, data+1, 0, data, 0, 0, 0, 0, 0, 0, 0, 0, single, double, triple)...)
	m.inode(15, sIFREG|0o600, flagInline, 70, []byte(text[:60])...)
	copy(m.raw(15)[160:], attrs(xattrSystem, 96, 4, "data", text[60:70]))
	m.inode(16, sIFLNK|0o777, 0, 7, []byte("extents")...)
	m.inode(17, sIFLNK|0o777, flagExtents, 1000, node(0, [3]uint32{0, 1, data})...)
	le.PutUint32(m.raw(17)[28:], 2)

	m.inode(18, sIFREG|0o4755, 0, 0)
	copy(m.raw(18)[160:], attrs(6, 96, 4, "selinux", "u:object_r:su:s0\x00"))
	le.PutUint32(m.raw(18)[104:], m.block(attrs(6, 1024, 32, "capability", string(u32s(2<<24|1, 0x80, 0, 1, 0)))))
	m.inode(19, sIFREG, flagExtents|flagEAInode, 300, node(0, [3]uint32{0, 1, data})...)
	x := attrs(1, 96, 4, "big", "")
	le.PutUint32(x[4+4:], 19)
	le.PutUint32(x[4+8:], 300)
	m.inode(20, sIFREG|0o644, 0, 0)
	copy(m.raw(20)[160:], x)
	m.inode(21, sIFREG|0o644, flagExtents|flagEncrypted, 10)

	sub := append(u32s(rootIno), entries(56, name{"inline", 15})...)
	m.inode(11, sIFDIR|0o755, flagInline, 60, sub...)
	root := m.block(entries(1024, name{".", 2}, name{"..", 2}, name{"sub", 11}, name{"extents", 12}, name{"tree", 13}, name{"indirect", 14}))
	m.block(entries(1024, name{"fast", 16}, name{"slow", 17}, name{"su", 18}, name{"ea", 20}, name{"secret", 21}))
	m.inode(rootIno, sIFDIR|0o755, flagExtents, 2048, node(0, [3]uint32{0, 2, root})...)
	return m
}

func TestMade(t *testing.T) {
	f := full().fs(t)
	one := strings.Repeat("0123456789abcdef", 64)
	hole := strings.Repeat("\x00", 1024)
	for path, want := range map[string]string{
		"extents":    one + one,
		"tree":       one + one + strings.Repeat(hole, 7) + one,
		"sub/inline": one[:70],
		"fast":       one + one,
	} {
		if b, err := readFile(f, path); err != nil || string(b) != want {
			t.Errorf("%s: %d bytes, %v, want %d", path, len(b), err, len(want))
		}
	}
	b, err := readFile(f, "indirect")
	in := func(block int) string { return string(b[block<<10:][:1024]) }
	if err != nil || len(b) != (12+256+65536+3)<<10 {
		t.Fatalf("indirect: %d bytes, %v", len(b), err)
	}
	for _, from := range []int{12, 12 + 256, 12 + 256 + 65536} {
		if in(from) != hole || in(from+1) != one || in(from+2) != one {
			t.Errorf("wrong bytes at block %d", from)
		}
	}
	if in(0) != one || in(2) != hole || in(3) != one || in(4) != hole {
		t.Error("wrong bytes in direct blocks")
	}
	if s, err := f.ReadLink("slow"); err != nil || s != one[:1000] {
		t.Errorf("%q, %v", s, err)
	}
	su, err := f.Inode("su")
	if err != nil || su.XattrErr != nil || su.Label != "u:object_r:su:s0" || su.Caps != 0x80|1<<32 || su.Mode != 0o755|fs.ModeSetuid || len(su.Xattrs) != 2 {
		t.Errorf("%+v, %v", su, err)
	}
	if ea, err := f.Inode("ea"); err != nil || len(ea.Xattrs) != 1 || ea.Xattrs[0].Name != "user.big" || string(ea.Xattrs[0].Value) != one[:300] {
		t.Errorf("%+v, %v", ea, err)
	}
	if _, err := f.Open("secret"); !errors.Is(err, ErrEncrypted) {
		t.Errorf("%v", err)
	}
	if x, err := f.Inode("sub/inline"); err != nil || len(x.Xattrs) != 0 {
		t.Errorf("content shown as an attribute: %+v, %v", x, err)
	}
	file, _ := f.Open("tree")
	p := make([]byte, 3000)
	if n, err := file.(io.ReaderAt).ReadAt(p, 1<<10-1); n != 3000 || err != nil || string(p) != (one + one + hole + hole)[1023:4023] {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := file.(io.ReaderAt).ReadAt(p, 9<<10); n != 1024 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

// TestTogether is for the race detector.
func TestTogether(t *testing.T) {
	f := full().fs(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if files, _ := walk(f, 1<<20); files != 6 {
				t.Errorf("%d files", files)
			}
		})
	}
	wg.Wait()
}

// TestLies has file systems that lie. Each must give a FormatError where it lies, and everything else.
func TestLies(t *testing.T) {
	for what, c := range map[string]struct {
		lie  func(m *maker)
		path string
	}{
		"a directory in itself": {func(m *maker) { m.blockDir(11, name{"again", 11}) }, "sub/again"},
		"the root below itself": {func(m *maker) { m.blockDir(11, name{"root", 2}) }, "sub/root"},
		"two directories in a ring": {func(m *maker) {
			m.blockDir(11, name{"a", 30})
			m.blockDir(30, name{"b", 11})
		}, "sub/a/b"},
		"overlapping extents": {func(m *maker) {
			m.inode(12, sIFREG, flagExtents, 4096, node(0, [3]uint32{0, 3, 30}, [3]uint32{2, 1, 30})...)
		}, "extents"},
		"a tree that is its own child": {func(m *maker) {
			n := m.block(nil)
			copy(m.b[n*1024:], node(1, [3]uint32{0, 0, n}))
			m.inode(12, sIFREG, flagExtents, 4096, node(2, [3]uint32{0, 0, n})...)
		}, "extents"},
		"an extent outside of the image":  {func(m *maker) { m.inode(12, sIFREG, flagExtents, 4096, node(0, [3]uint32{0, 4, 126})...) }, "extents"},
		"2^60 bytes":                      {func(m *maker) { m.inode(12, sIFREG, flagExtents, 1<<60, node(0)...) }, "extents"},
		"2^40 bytes in an indirect map":   {func(m *maker) { m.inode(12, sIFREG, 0, 1<<40) }, "extents"},
		"an indirect block outside":       {func(m *maker) { le.PutUint32(m.raw(14)[88:], 4000) }, "indirect"},
		"an inode not in use":             {func(m *maker) { clear(m.raw(12)) }, "extents"},
		"a directory's entry of 0 bytes":  {func(m *maker) { m.damageRoot(1024+4, 0, 0) }, "gone"},
		"a name with a slash":             {func(m *maker) { m.damageRoot(1024+9, '/') }, "f/st"},
		"an inode number outside":         {func(m *maker) { m.damageRoot(1024, 0, 1) }, "fast"},
		"data of an inode in its own map": {func(m *maker) { m.inode(12, sIFREG, flagExtents, 1024, node(9)...) }, "extents"},
		"a link to itself":                {func(m *maker) { copy(m.raw(16)[40:], "./fast\x00") }, "fast"},
	} {
		t.Run(what, func(t *testing.T) {
			m := full()
			c.lie(m)
			f := m.fs(t)
			files, _ := walk(f, 1<<30)
			if files < 4 {
				t.Errorf("only %d files read", files)
			}
			var format *FormatError
			if _, err := readFile(f, c.path); !errors.As(err, &format) {
				t.Errorf("%s: %v", c.path, err)
			}
		})
	}

	// The attributes of an inode that is its own block of attributes, or its own value.
	m := full()
	le.PutUint32(m.raw(18)[104:], madeTable+17*256/1024)
	le.PutUint32(m.raw(20)[160+4+4:], 20)
	for _, path := range []string{"su", "ea"} {
		var format *FormatError
		if i, err := m.fs(t).Inode(path); err != nil || !errors.As(i.XattrErr, &format) || path == "su" && i.Label == "" {
			t.Errorf("%s: %+v, %v", path, i, err)
		}
	}
}

// blockDir makes a directory in a block, with names.
func (m *maker) blockDir(ino uint32, names ...name) {
	b := m.block(entries(1024, append([]name{{".", ino}, {"..", 2}}, names...)...))
	m.inode(ino, sIFDIR|0o755, flagExtents, 1024, node(0, [3]uint32{0, 1, b})...)
}

func (m *maker) damageRoot(off int, with ...byte) {
	root := le.Uint32(m.raw(rootIno)[60:])
	copy(m.b[int(root)*1024+off:], with)
}

func TestNew(t *testing.T) {
	for what, lie := range map[string]func(sb []byte){
		"no magic":     func(sb []byte) { sb[56] = 0 },
		"block size":   func(sb []byte) { sb[24] = 7 },
		"2^60 blocks":  func(sb []byte) { sb[96] |= incompat64bit; sb[254] = 64; le.PutUint32(sb[336:], 1<<28) },
		"no groups":    func(sb []byte) { le.PutUint32(sb[32:], 0) },
		"no inodes":    func(sb []byte) { le.PutUint32(sb[40:], 0) },
		"inode size":   func(sb []byte) { le.PutUint16(sb[88:], 100) },
		"descriptors":  func(sb []byte) { sb[96] |= incompat64bit; sb[254] = 33 },
		"no data":      func(sb []byte) { le.PutUint32(sb[20:], math.MaxUint32) },
		"cluster size": func(sb []byte) { le.PutUint32(sb[100:], roBigalloc); le.PutUint32(sb[28:], 60) },
	} {
		m := full()
		lie(m.b[1024:])
		var format *FormatError
		if _, err := New(bytes.NewReader(m.b), int64(len(m.b))); !errors.As(err, &format) || format.Off < 1024 || format.Off > 2048 {
			t.Errorf("%s: %v", what, err)
		}
	}
	m := full()
	m.b[1024+96] |= 1 // compression
	if _, err := New(bytes.NewReader(m.b), int64(len(m.b))); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("compression: %v", err)
	}
	if _, err := New(bytes.NewReader(nil), 0); err == nil {
		t.Error("nothing is a file system")
	}

	m = full()
	cut := int64(m.next-1) * 1024 // without the root's second block
	f, err := New(bytes.NewReader(m.b[:cut]), cut)
	if err != nil || len(f.Gaps) != 1 {
		t.Fatalf("%v, %v", f, err)
	}
	list, err := f.ReadDir(".")
	var format *FormatError
	if !errors.As(err, &format) || format.Off != cut || len(list) != 4 {
		t.Errorf("%v, %v", list, err)
	}
	if b, err := readFile(f, "extents"); err != nil || len(b) != 2048 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// FuzzNew does best with -fuzzminimizetime=10x: the engine takes a minute to make an image of 40 KiB smaller by a byte.
func FuzzNew(f *testing.F) {
	m := full()
	f.Add(m.b[:m.next<<10])
	m = newMaker(0)
	m.inode(rootIno, sIFDIR, 0, 1024, u32s(m.block(entries(1024, name{".", 2}, name{"..", 2}, name{"a", 12})))...)
	m.inode(12, sIFREG, 0, 3, u32s(m.block([]byte("abc")))...)
	f.Add(m.b[:m.next<<10])
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys, err := New(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		walk(fsys, 1<<20)
	})
}
