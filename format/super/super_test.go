package super

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

func tool(t testing.TB, name, pkg string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		p = "/usr/sbin/" + name
		if _, err := os.Stat(p); err != nil {
			t.Skipf("no %s on this machine (Debian: %s)", name, pkg)
		}
	}
	return p
}

func sh(t testing.TB, cmd string, args ...string) string {
	t.Helper()
	out, err := exec.Command(cmd, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", cmd, args, err, out)
	}
	return string(out)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func part(name string, b []byte) Part { return Part{name, bytes.NewReader(b), int64(len(b))} }

func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func readAll(t testing.TB, r *io.SectionReader, err error) []byte {
	t.Helper()
	must(t, err)
	b, err := io.ReadAll(r)
	must(t, err)
	return b
}

func u32(v ...uint32) (b []byte) {
	for _, v := range v {
		b = le.AppendUint32(b, v)
	}
	return b
}

func u64(v ...uint64) (b []byte) {
	for _, v := range v {
		b = le.AppendUint64(b, v)
	}
	return b
}

// sparse makes a sparse image with blocks of 16 bytes. A chunk is its type, number of blocks, and data.
type chunk struct {
	kind   uint16
	blocks uint32
	data   string
}

func sparse(blocks uint32, chunks ...chunk) []byte {
	b := u32(sparseMagic, 1, 28|12<<16, 16, blocks, uint32(len(chunks)), 0)
	for _, c := range chunks {
		b = append(b, u32(uint32(c.kind), c.blocks, uint32(12+len(c.data)))...)
		b = append(b, c.data...)
	}
	return b
}

func TestSparse(t *testing.T) {
	const one = "0123456789abcdef"
	a := sparse(8, chunk{chunkRaw, 2, one + one}, chunk{chunkFill, 2, "abcd"}, chunk{chunkCRC32, 0, "...."}, chunk{chunkDontCare, 4, ""})
	b := sparse(8, chunk{chunkDontCare, 1, ""}, chunk{chunkFill, 2, "WXYZ"}, chunk{chunkDontCare, 2, ""}, chunk{chunkRaw, 1, one}, chunk{chunkDontCare, 2, ""})
	abcd, wxyz, zero := strings.Repeat("abcd", 4), strings.Repeat("WXYZ", 4), strings.Repeat("\x00", 16)
	for _, c := range []struct {
		parts []Part
		want  string
	}{
		{[]Part{part("a", a)}, one + one + abcd + abcd + strings.Repeat(zero, 4)},
		{[]Part{part("a", a), part("b", b)}, one + wxyz + wxyz + abcd + zero + one + zero + zero},
		{[]Part{part("b", b), part("a", a)}, one + one + abcd + abcd + zero + one + zero + zero},
	} {
		s, err := NewSparse(c.parts...)
		must(t, err)
		if got := readAll(t, io.NewSectionReader(s, 0, s.Size()), nil); string(got) != c.want || len(s.Gaps) > 0 {
			t.Errorf("%q, want %q, %v", got, c.want, s.Gaps)
		}
		for off := range len(c.want) { // from every byte, across every border
			p := make([]byte, min(35, len(c.want)-off))
			if n, err := s.ReadAt(p, int64(off)); err != nil || n != len(p) || string(p) != c.want[off:off+n] {
				t.Fatalf("at %d: %q, %v", off, p[:n], err)
			}
		}
	}

	// Cut in its first chunk: a block is there, what follows is not zero but unknown.
	s, err := NewSparse(part("a", a[:28+12+20]))
	must(t, err)
	p := make([]byte, 128)
	var format *FormatError
	if n, err := s.ReadAt(p, 0); n != 16 || !errors.As(err, &format) || format.Off != 16 || len(s.Gaps) != 1 || string(p[:n]) != one {
		t.Errorf("%d, %v, %v", n, err, s.Gaps)
	}
	for what, b := range map[string][]byte{
		"more blocks than announced":  sparse(1, chunk{chunkFill, 2, "abcd"}),
		"fewer blocks than announced": sparse(3, chunk{chunkFill, 2, "abcd"}),
		"raw chunk of another size":   sparse(2, chunk{chunkRaw, 2, one}),
		"unknown chunk":               sparse(2, chunk{0xcac5, 2, ""}),
		"2^32 blocks":                 sparse(8, chunk{chunkDontCare, 1<<32 - 1, ""}),
	} {
		if s, err := NewSparse(part("x", b)); err != nil || len(s.Gaps) != 1 || !errors.As(s.Gaps[0], &format) {
			t.Errorf("%s: %v, %v", what, s, err)
		}
	}
	for _, b := range [][]byte{nil, a[:27], []byte(strings.Repeat("x", 100)), sparse(1)[4:]} {
		if _, err := NewSparse(part("x", b)); !errors.As(err, &format) {
			t.Errorf("%q: %v", b, err)
		}
	}
}

// TestImg2simg has libsparse's own tools make the images, cut them, and say what is in them.
func TestImg2simg(t *testing.T) {
	img2simg := tool(t, "img2simg", "android-sdk-libsparse-utils")
	dir := t.TempDir()
	raw := make([]byte, 4<<20)
	for k := 0; k < len(raw); k += 4096 {
		switch b := raw[k : k+4096]; k / 4096 % 7 {
		case 0, 1, 5:
			copy(b, noise(byte(k/4096), 4096))
		case 3:
			copy(b, bytes.Repeat([]byte("fill"), 1024))
		}
	}
	must(t, os.WriteFile(dir+"/raw", raw, 0o600))
	sh(t, img2simg, dir+"/raw", dir+"/sparse")
	b, err := os.ReadFile(dir + "/sparse")
	must(t, err)
	s, err := NewSparse(part("sparse", b))
	must(t, err)
	if got := readAll(t, io.NewSectionReader(s, 0, s.Size()), nil); !bytes.Equal(got, raw) || len(s.Gaps) > 0 || len(b) > len(raw)/2 {
		t.Errorf("%d bytes from %d, %v", len(got), len(b), s.Gaps)
	}

	sh(t, tool(t, "simg2simg", "android-sdk-libsparse-utils"), dir+"/sparse", dir+"/cut", "500000")
	names, _ := filepath.Glob(dir + "/cut*")
	if len(names) < 3 {
		t.Fatalf("%q", names)
	}
	sh(t, tool(t, "simg2img", "android-sdk-libsparse-utils"), append(slices.Clone(names), dir+"/expanded")...)
	want, err := os.ReadFile(dir + "/expanded")
	must(t, err)
	var parts []Part
	for _, n := range names {
		b, err := os.ReadFile(n)
		must(t, err)
		parts = append(parts, part(n, b))
	}
	s, err = NewSparse(parts...)
	must(t, err)
	if got := readAll(t, io.NewSectionReader(s, 0, s.Size()), nil); !bytes.Equal(got, want) || !bytes.Equal(got, raw) || len(s.Gaps) > 0 {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), s.Gaps)
	}
}

// The super images of these tests are our own making, after metadata_format.h: Debian has no lpmake.
type lpPart struct {
	name         string
	attr         uint32
	group        uint32
	first, count uint32
}

type lpExtent struct {
	sectors uint64
	kind    uint32
	data    uint64
	source  uint32
}

type lpDevice struct {
	name  string
	size  uint64
	flags uint32
}

type lpMeta struct {
	minor   uint16
	flags   uint32
	parts   []lpPart
	extents []lpExtent
	groups  []string // suffixed by slot if they end in an asterisk
	devs    []lpDevice
}

const lpMax = 4096 // bytes of metadata for each slot

func fixed(s string) []byte { return append([]byte(s), make([]byte, 36-len(s))...) }

func (m lpMeta) bytes() []byte {
	var tables, desc []byte
	table := func(n, size int, entry func(k int) []byte) {
		desc = append(desc, u32(uint32(len(tables)), uint32(n), uint32(size))...)
		for k := range n {
			tables = append(tables, entry(k)...)
		}
	}
	table(len(m.parts), 52, func(k int) []byte {
		p := m.parts[k]
		return append(fixed(p.name), u32(p.attr, p.first, p.count, p.group)...)
	})
	table(len(m.extents), 24, func(k int) []byte {
		e := m.extents[k]
		return slices.Concat(u64(e.sectors), u32(e.kind), u64(e.data), u32(e.source))
	})
	table(len(m.groups), 48, func(k int) []byte {
		name, suffixed := strings.CutSuffix(m.groups[k], "*")
		flags := uint32(0)
		if suffixed {
			flags = 1
		}
		return slices.Concat(fixed(name), u32(flags), u64(0))
	})
	table(len(m.devs), 64, func(k int) []byte {
		return slices.Concat(u64(64), u32(0, 0), u64(m.devs[k].size), fixed(m.devs[k].name), u32(m.devs[k].flags))
	})
	size := 128
	if m.minor == 2 {
		size = 256
	}
	h := make([]byte, size)
	copy(h, headerMagic)
	le.PutUint16(h[4:], 10)
	le.PutUint16(h[6:], m.minor)
	le.PutUint32(h[8:], uint32(size))
	le.PutUint32(h[44:], uint32(len(tables)))
	sum := sha256.Sum256(tables)
	copy(h[48:], sum[:])
	copy(h[80:], desc)
	if m.minor == 2 {
		le.PutUint32(h[128:], m.flags)
	}
	sum = sha256.Sum256(h)
	copy(h[12:], sum[:])
	return append(h, tables...)
}

func lpGeometry(slots int) []byte {
	b := append([]byte(geometryMagic), make([]byte, 48)...)
	copy(b[4:], u32(geometrySize))
	copy(b[40:], u32(lpMax, uint32(slots), 4096))
	sum := sha256.Sum256(b)
	copy(b[8:], sum[:])
	return b
}

// lpImage makes an image of size bytes whose contents are noise.
func lpImage(size int, slots ...lpMeta) []byte {
	b := noise(1, size)
	clear(b[:12288+2*lpMax*len(slots)])
	copy(b[4096:], lpGeometry(len(slots)))
	copy(b[8192:], lpGeometry(len(slots)))
	for k, m := range slots {
		copy(b[12288+lpMax*k:], m.bytes())
		copy(b[12288+lpMax*(len(slots)+k):], m.bytes())
	}
	return b
}

var lpSample = lpMeta{
	parts:   []lpPart{{"system", SlotSuffixed | ReadOnly, 1, 0, 3}, {"vendor_a", ReadOnly, 0, 3, 1}, {"vendor_b", 0, 0, 0, 0}},
	extents: []lpExtent{{2, 0, 100, 0}, {3, 1, 0, 0}, {1, 0, 80, 0}, {4, 0, 110, 0}},
	groups:  []string{"default", "main*"},
	devs:    []lpDevice{{"super", 64 << 10, 0}},
}

func TestSuper(t *testing.T) {
	meta := lpSample
	meta.minor, meta.flags = 2, 1
	b := lpImage(64<<10, meta, meta)
	s, err := New(part("some.img", b))
	must(t, err)
	var got []string
	for _, p := range s.Partitions {
		got = append(got, fmt.Sprintf("%s%d %d %s %d", p.Name, p.Slots, p.Attributes, p.Group, p.Size))
	}
	if want := "system_a[0] 3 main_a 3072, vendor_a[0 1] 1 default 2048, vendor_b[0 1] 0 default 0, system_b[1] 3 main_b 3072"; strings.Join(got, ", ") != want {
		t.Errorf("%q", got)
	}
	if s.Version != "10.2" || s.Slots != 2 || !s.VirtualAB || len(s.Gaps) != 0 {
		t.Errorf("%+v", s)
	}
	r, err := s.Open("system_a")
	if want := slices.Concat(b[100*512:102*512], make([]byte, 3*512), b[80*512:81*512]); !bytes.Equal(readAll(t, r, err), want) {
		t.Error("wrong bytes")
	}
	r, err = s.Open("vendor_b")
	if len(readAll(t, r, err)) != 0 {
		t.Error("an empty partition has content")
	}
	if _, err := s.Open("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}

	// What the copies are for.
	for what, at := range map[string]int{"geometry": 4096 + 40, "header": 12288 + 60, "tables": 12288 + 256} {
		c := bytes.Clone(b)
		c[at] ^= 1
		s, err := New(part("super", c))
		if err != nil || len(s.Gaps) != 1 || len(s.Partitions) != 4 {
			t.Errorf("%s damaged: %+v, %v", what, s, err)
		}
		var format *FormatError
		if err == nil && !errors.As(s.Gaps[0], &format) {
			t.Errorf("%s damaged: %v", what, s.Gaps)
		}
	}
	c := bytes.Clone(b)
	clear(c[12288:][:4*lpMax])
	var format *FormatError
	if _, err := New(part("super", c)); !errors.As(err, &format) || format.Off != 12288 {
		t.Errorf("without metadata: %v", err)
	}
	copy(c[12288:], append([]byte(headerMagic), 11))
	if _, err := New(part("super", c)); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("version 11: %v", err)
	}
	if _, err := New(part("super", make([]byte, 20000))); !errors.As(err, &format) {
		t.Errorf("zeros: %v", err)
	}

	// super_empty.img
	e := append(append(lpGeometry(1), make([]byte, 4096-geometrySize)...), append(lpSample.bytes(), make([]byte, lpMax)...)...)
	if s, err := New(part("super_empty.img", e)); err != nil || len(s.Partitions) != 3 || s.Version != "10.0" {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestDevices has a phone whose logical partitions lie on what were system and vendor.
func TestDevices(t *testing.T) {
	meta := lpSample
	meta.devs = []lpDevice{{"system", 64 << 10, 1}, {"vendor", 8 << 10, 1}}
	meta.extents = []lpExtent{{2, 0, 100, 0}, {3, 0, 5, 1}, {1, 0, 80, 0}, {4, 0, 110, 0}}
	b, v := lpImage(64<<10, meta, meta), noise(9, 8<<10)
	s, err := New(part("vendor_a", v), part("system_a", b))
	must(t, err)
	r, err := s.Open("system_a")
	if want := slices.Concat(b[100*512:102*512], v[5*512:8*512], b[80*512:81*512]); !bytes.Equal(readAll(t, r, err), want) {
		t.Error("wrong bytes")
	}
	if _, err := s.Open("system_b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without vendor_b: %v", err)
	}
	r, err = s.Open("vendor_a")
	readAll(t, r, err)
}

// TestExtents has metadata with right checksums that lie.
func TestExtents(t *testing.T) {
	for what, lie := range map[string]func(m *lpMeta){
		"behind the device":     func(m *lpMeta) { m.extents[0].data = 127 },
		"2^63 sectors":          func(m *lpMeta) { m.extents[0].sectors = 1 << 63 },
		"2^64 bytes in two":     func(m *lpMeta) { m.extents[0] = lpExtent{1 << 53, 1, 0, 0}; m.extents[1] = lpExtent{1 << 53, 1, 0, 0} },
		"sum that overflows":    func(m *lpMeta) { m.extents[0].data = 1<<64 - 1 },
		"unknown device":        func(m *lpMeta) { m.extents[2].source = 1 },
		"more than there are":   func(m *lpMeta) { m.parts[0].count = 5 },
		"first that overflows":  func(m *lpMeta) { m.parts[0].first = 1<<32 - 1 },
		"a device of 2^64 size": func(m *lpMeta) { m.devs[0].size = 1<<64 - 1; m.extents[0].data = 1 << 54 },
	} {
		m := lpSample
		m.parts, m.extents, m.devs = slices.Clone(m.parts), slices.Clone(m.extents), slices.Clone(m.devs)
		lie(&m)
		s, err := New(part("super", lpImage(64<<10, m)))
		must(t, err)
		var format *FormatError
		r, err := s.Open("system_a")
		if err == nil { // as with the last, where it is the image that ends
			_, err = r.ReadAt(make([]byte, 1), 0)
		}
		if !errors.As(err, &format) {
			t.Errorf("%s: %v", what, err)
		}
		r, err = s.Open("vendor_a")
		if err != nil || r.Size() != 2048 {
			t.Errorf("%s: another partition: %v", what, err)
		}
	}
	// Extents that two partitions claim: the second is refused, or tables of 16 MiB would give terabytes of views.
	m := lpSample
	m.parts = []lpPart{{"a", 0, 0, 0, 4}, {"b", 0, 0, 0, 4}}
	s, err := New(part("super", lpImage(64<<10, m)))
	must(t, err)
	if _, err := s.Open("b"); err == nil {
		t.Error("extents claimed twice")
	}
	// A dump that was cut short.
	s, err = New(part("super", lpImage(64<<10, lpSample)[:101*512]))
	must(t, err)
	r, err := s.Open("system_a")
	must(t, err)
	if n, err := r.ReadAt(make([]byte, 512), 0); n != 512 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := r.ReadAt(make([]byte, 512), 512); err == nil {
		t.Error("bytes behind the image's end")
	}
}

// gpt makes a disk with two partitions: sectors 40 to 47 and 48 to 49, of 60.
func gpt(sector int) []byte {
	b := noise(3, 60*sector)
	clear(b[:40*sector])
	entry := func(name string, first, last uint64) []byte {
		e := slices.Concat(noise(byte(first), 32), u64(first, last, 4), make([]byte, 72))
		for k, c := range utf16.Encode([]rune(name)) {
			le.PutUint16(e[56+2*k:], c)
		}
		return e
	}
	entries := make([]byte, 128*8)
	copy(entries, entry("super", 40, 47))
	copy(entries[256:], entry("boot_ä", 48, 49))
	header := func(me, other, table uint64) []byte {
		h := slices.Concat([]byte("EFI PART"), u32(0x10000, 92, 0, 0), u64(me, other, 40, 50), noise(5, 16), u64(table), u32(8, 128, crc32.ChecksumIEEE(entries)))
		le.PutUint32(h[16:], crc32.ChecksumIEEE(h))
		return h
	}
	copy(b[sector:], header(1, 59, 2))
	copy(b[2*sector:], entries)
	copy(b[59*sector:], header(59, 1, 57))
	copy(b[57*sector:], entries)
	return b
}

func TestGPT(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		good := gpt(sector)
		for what, c := range map[string]struct {
			lie  func(b []byte) []byte
			gaps int
		}{
			"nothing":                        {func(b []byte) []byte { return b }, 0},
			"no first header":                {func(b []byte) []byte { clear(b[sector:][:92]); return b }, 1},
			"wrong sum in the first header":  {func(b []byte) []byte { b[sector+40]++; return b }, 1},
			"wrong sum of the first entries": {func(b []byte) []byte { b[2*sector+1024-1]++; return b }, 2},
			"wrong sum of the other header":  {func(b []byte) []byte { b[59*sector+40]++; return b }, 1},
			"cut behind the partitions":      {func(b []byte) []byte { return b[:50*sector] }, 1},
		} {
			b := c.lie(bytes.Clone(good))
			g, err := NewGPT(bytes.NewReader(b), int64(len(b)))
			if err != nil || len(g.Partitions) != 2 || g.SectorSize != int64(sector) || len(g.Gaps) != c.gaps {
				t.Errorf("%s: %+v, %v", what, g, err)
				continue
			}
			r, err := g.Open("boot_ä")
			if !bytes.Equal(readAll(t, r, err), good[48*sector:50*sector]) {
				t.Errorf("%s: wrong bytes", what)
			}
		}
		var format *FormatError
		g, err := NewGPT(bytes.NewReader(good[:45*sector]), int64(45*sector))
		must(t, err)
		if _, err := g.Open("boot_ä"); !errors.As(err, &format) {
			t.Errorf("partition behind the end: %v", err)
		}
	}
	var format *FormatError
	for _, b := range [][]byte{nil, make([]byte, 100000), gpt(512)[:600]} {
		if _, err := NewGPT(bytes.NewReader(b), int64(len(b))); !errors.As(err, &format) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

// TestSgdisk compares with what gdisk makes and prints.
func TestSgdisk(t *testing.T) {
	sgdisk := tool(t, "sgdisk", "gdisk")
	img := t.TempDir() + "/disk"
	b := noise(4, 4<<20)
	clear(b[:1<<20])
	clear(b[len(b)-1<<20:])
	must(t, os.WriteFile(img, b, 0o600))
	sh(t, sgdisk, "-n", "1:2048:4095", "-c", "1:super", "-t", "1:EF00", "-n", "3:4096:+100", "-c", "3:vbmeta_a", "-A", "3:set:60", img)
	b, err := os.ReadFile(img)
	must(t, err)
	g, err := NewGPT(bytes.NewReader(b), int64(len(b)))
	must(t, err)
	if len(g.Gaps) > 0 || len(g.Partitions) != 2 || !strings.Contains(sh(t, sgdisk, "-p", img), g.ID) {
		t.Fatalf("%+v", g)
	}
	for k, n := range []string{"1", "3"} {
		p, info := &g.Partitions[k], sh(t, sgdisk, "-i", n, img)
		for _, want := range []string{
			"GUID code: " + p.Type, "unique GUID: " + p.ID, fmt.Sprintf("First sector: %d ", p.First), fmt.Sprintf("Last sector: %d ", p.Last),
			fmt.Sprintf("Attribute flags: %016X", p.Attributes), "name: '" + p.Name + "'",
		} {
			if !strings.Contains(info, want) {
				t.Errorf("no %q in\n%s", want, info)
			}
		}
		r, err := p.Open()
		if !bytes.Equal(readAll(t, r, err), b[p.First*512:(p.Last+1)*512]) {
			t.Errorf("%s: wrong bytes", p.Name)
		}
	}
}

// skim reads a little from the beginning, the middle and the end.
func skim(r *io.SectionReader, err error) {
	if err != nil {
		return
	}
	p := make([]byte, 5000)
	for _, off := range []int64{0, 1, r.Size() / 2, r.Size() - 100} {
		r.ReadAt(p, off)
	}
}

func FuzzSparse(f *testing.F) {
	f.Add(sparse(8, chunk{chunkRaw, 2, strings.Repeat("x", 32)}, chunk{chunkFill, 2, "abcd"}, chunk{chunkCRC32, 0, "...."}, chunk{chunkDontCare, 4, ""}),
		sparse(8, chunk{chunkDontCare, 1, ""}, chunk{chunkFill, 2, "WXYZ"}, chunk{chunkDontCare, 5, ""}))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		s, err := NewSparse(part("a", a), part("b", b))
		if err != nil {
			return
		}
		for k, seg := range s.segments {
			if seg.from >= seg.to || k > 0 && seg.from < s.segments[k-1].to || seg.to > s.size {
				t.Fatalf("segments %+v", s.segments)
			}
		}
		skim(io.NewSectionReader(s, 0, s.Size()), nil)
	})
}

func FuzzNew(f *testing.F) {
	m := lpSample
	m.minor = 2
	f.Add(lpSample.bytes())
	f.Add(m.bytes())
	f.Fuzz(func(t *testing.T, meta []byte) {
		// With the sums right, or nothing but sums would be tested.
		if len(meta) < 256 || len(meta) > lpMax {
			return
		}
		meta = bytes.Clone(meta)
		size := 128
		if le.Uint16(meta[6:]) == 2 {
			size = 256
		}
		le.PutUint32(meta[44:], uint32(len(meta)-size))
		sum := sha256.Sum256(meta[size:])
		copy(meta[48:], sum[:])
		clear(meta[12:44])
		sum = sha256.Sum256(meta[:size])
		copy(meta[12:], sum[:])
		b := make([]byte, 12288+lpMax)
		copy(b[4096:], lpGeometry(1))
		copy(b[12288:], meta)
		s, err := New(part("super", b))
		if err != nil {
			return
		}
		for k := range s.Partitions {
			skim(s.Partitions[k].Open())
		}
	})
}

func FuzzGPT(f *testing.F) {
	f.Add(gpt(512))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := NewGPT(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for k := range g.Partitions {
			skim(g.Partitions[k].Open())
		}
	})
}

func BenchmarkSparse(b *testing.B) {
	const block = 4096
	img := u32(sparseMagic, 1, 28|12<<16, block, 4096, 4096, 0)
	raw := noise(1, block)
	for k := range 2048 {
		img = append(append(img, u32(chunkRaw, 1, 12+block)...), raw...)
		img = append(img, u32(chunkFill, 1, 16, uint32(k))...)
	}
	p := make([]byte, 1<<20)
	b.SetBytes(4096 * block)
	b.ReportAllocs()
	for b.Loop() {
		s, err := NewSparse(part("s", img))
		must(b, err)
		for off := int64(0); off < s.Size(); off += int64(len(p)) {
			if _, err := s.ReadAt(p, off); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkSuper(b *testing.B) {
	img := lpImage(64<<10, lpSample, lpSample, lpSample)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(part("super", img)); err != nil {
			b.Fatal(err)
		}
	}
}
