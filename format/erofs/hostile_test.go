package erofs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"gifthorse/internal/imgtest"
	"gifthorse/internal/lz4"
)

// sample is a small image with a bit of everything, made in memory.
func sample(t testing.TB) []byte {
	m := newMaker(10, featZeroPadding|featBigPcluster|featFragments|featXattrPrefixes)
	var packed []byte
	for i, p := range []packing{
		{alg: algLZ4, compact: true, two: true},
		{alg: algLZMA, compact: true},
		{alg: algDeflate},
		{alg: algZstd, compact: true, fragment: true},
		{alg: algLZ4, fragment: true, inter: true},
		{alg: algLZ4, big: 4},
		{alg: algLZ4, inline: true},
	} {
		n := 20_000
		p.cut = cuts(1024, 1, n)
		if p.big > 0 {
			p.cut = []int{3000, 6000, 9000, 12000, 15000, 18000}
		}
		if p.inline {
			n = 5*1024 + 2
			p.cut = []int{1025, 2049, 3073, 4097, 5121}
		}
		m.names[fmt.Sprint("file", i)] = m.compressed(t, words(uint64(i), n), p, func(rest []byte) uint64 {
			packed = append(packed, rest...)
			return uint64(len(packed) - len(rest))
		})
	}
	m.names["flat"] = m.inode(0o104755, flatPlain, 1500, m.blocks(words(8, 1500), false), nil, nil)
	m.names["inline"] = m.inode(0o100644, flatInline, 5, 0, nil, func(int64) []byte { return []byte("hello") })
	m.names["link"] = m.inode(0o120777, flatInline, 4, 0, nil, func(int64) []byte { return []byte("flat") })
	m.names["chunks"] = m.inode(0o100644, chunkBased, 2500, 1|0x20, nil, func(at int64) []byte {
		b := make([]byte, roundUp(at, 8)-at+16)
		binary.LittleEndian.PutUint32(b[len(b)-12:], m.blocks(words(9, 2048), false))
		binary.LittleEndian.PutUint32(b[len(b)-4:], 0xffffffff)
		return b
	})
	m.prefixes = append([]byte{7, 0, 4}, "prefix\x00\x00\x00\x04\x00\x06cap"...)
	m.compat = compatPlainPrefixes
	// One shared, two inline: with a long prefix, and a capability set.
	m.shared = append([]byte{7, 6, 4, 0}, "selinuxu:r\x00\x00"...)
	m.names["xattrs"] = m.inode(0o100644, flatPlain, 0, 0, xattrBody([]uint32{0}, 0x80, "x", "long", 0x81, "ability", string(capability)), nil)
	m.names["dir"] = m.directory(map[string]uint64{"sub": m.directory(map[string]uint64{"flat": m.names["flat"]})})
	m.packed = m.compressed(t, packed, packing{cut: cuts(1024, 5, len(packed))}, nil)
	return m.image()
}

// xattrBody makes inline xattrs from name index, name and value.
func xattrBody(shared []uint32, entries ...any) []byte {
	b := make([]byte, 12)
	b[4] = byte(len(shared))
	for _, id := range shared {
		b = binary.LittleEndian.AppendUint32(b, id)
	}
	for i := 0; i < len(entries); i += 3 {
		name, value := entries[i+1].(string), entries[i+2].(string)
		b = append(b, byte(len(name)), byte(entries[i].(int)))
		b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
		b = append(append(b, name...), value...)
		b = append(b, make([]byte, roundUp(int64(len(b)), 4)-int64(len(b)))...)
	}
	return b
}

func formatError(err error) bool {
	var fe *FormatError
	return errors.As(err, &fe)
}

func TestSample(t *testing.T) {
	f := open(t, sample(t))
	if good, errs := imgtest.Walk(f, 1<<20); good != 13 || errs != nil {
		t.Errorf("%d files read, errors %v", good, errs)
	}
	if err := fstest.TestFS(f, "flat", "dir/sub/flat", "file6"); err != nil {
		t.Error(err)
	}
	info, err := f.Info("xattrs")
	if err != nil || info.Label != "u:r" || info.Caps != 1<<13|1<<21|1<<39 || info.UID != 70_000 || info.GID != 80_000 ||
		len(info.Xattrs) != 3 || string(info.Xattrs["trusted.prefixx"]) != "long" {
		t.Errorf("info %+v, %v", info, err)
	}
	if info, _ := f.Info("flat"); info.Mode != fs.ModeSetuid|0o755 || info.Size != 1500 {
		t.Errorf("info %+v", info)
	}
	if b, err := imgtest.ReadFile(f, "chunks"); err != nil || !bytes.Equal(b, append(words(9, 2048), make([]byte, 452)...)) {
		t.Errorf("chunks: %d bytes, %v", len(b), err)
	}
	for _, name := range []string{"no", "flat/no", "dir/no"} {
		if _, err := f.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnsupported(t *testing.T) {
	img := sample(t)
	for _, x := range []struct {
		name string
		bit  byte
		at   int
	}{{"48-bit", 0x80, 80}, {"metabox", 1, 81}, {"0x10000", 1, 82}, {"directory blocks", 1, 90}} {
		b := bytes.Clone(img)
		b[superOffset+x.at] |= x.bit
		if _, err := New(bytes.NewReader(b), int64(len(b))); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), x.name) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	// Data on another device are not there, the rest is.
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "big"), words(1, 100_000), 0o644)
	os.Symlink("big", filepath.Join(dir, "link"))
	f := open(t, mkfs(t, dir, "--chunksize=4096", "--blobdev="+filepath.Join(t.TempDir(), "blob")))
	if _, err := imgtest.ReadFile(f, "big"); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "extra device 1") {
		t.Errorf("a file on an extra device: %v", err)
	}
	if got, err := f.ReadLink("link"); got != "big" {
		t.Errorf("link %q, %v", got, err)
	}
}

// Directories that contain themselves, their parents, or one directory twice have an end.
func TestCycles(t *testing.T) {
	m := newMaker(12, 0)
	file := m.inode(0o100644, flatInline, 2, 0, nil, func(int64) []byte { return []byte("ok") })
	// Inode numbers are given in order, so those to come are known: each directory takes two.
	next := uint64(len(m.meta)) >> 5
	a, b, root := next, next+2, next+4
	m.directory(map[string]uint64{"self": a, "b": b, "root": root, "file": file})
	m.directory(map[string]uint64{"a": a, "again": b})
	m.names = map[string]uint64{"a": a, "a2": a, "a3": a, "b": b, "file": file}
	f := open(t, m.image())
	good, errs := imgtest.Walk(f, 100)
	if good != 2 {
		t.Errorf("%d files read, want file and a/file", good)
	}
	for _, err := range errs {
		if !formatError(err) {
			t.Error(err)
		}
	}
	if len(errs) < 5 {
		t.Errorf("only %v", errs)
	}
}

// Numbers that lie give a FormatError at an offset in the image.
func TestLies(t *testing.T) {
	le := binary.LittleEndian
	img := sample(t)
	f := open(t, img)
	at := func(name string) int64 {
		n, err := f.Node(name)
		if err != nil {
			t.Fatal(err)
		}
		return n.Off
	}
	for _, x := range []struct {
		name, file string
		lie        func(b, inode []byte)
	}{
		{"2^60 bytes flat", "flat", func(_, i []byte) { le.PutUint64(i[8:], 1<<60) }},
		{"2^63 bytes compressed", "file0", func(_, i []byte) { le.PutUint64(i[8:], 1<<63) }},
		{"2^60 bytes compressed", "file2", func(_, i []byte) { le.PutUint64(i[8:], 1<<60) }},
		{"more than the indexes", "file2", func(_, i []byte) { le.PutUint64(i[8:], 1<<26) }},
		{"2^62 bytes of chunks", "chunks", func(_, i []byte) { le.PutUint64(i[8:], 1<<62) }},
		{"blocks outside", "flat", func(_, i []byte) { le.PutUint32(i[16:], 0xfffffff0) }},
		{"no type", "flat", func(_, i []byte) { i[5] = 0 }},
		{"xattrs to the end and on", "xattrs", func(_, i []byte) { le.PutUint16(i[2:], 0xffff) }},
		{"shared xattr outside", "xattrs", func(_, i []byte) { le.PutUint32(i[64+12:], 0xffffffff) }},
		{"255 shared xattrs", "xattrs", func(_, i []byte) { i[64+4] = 255 }},
		{"xattr longer than the inode has", "xattrs", func(_, i []byte) { i[64+16+2] = 255 }},
		{"no such prefix", "xattrs", func(_, i []byte) { i[64+16+1] = 0xff }},
		{"index to a distance of 0", "file2", func(_, i []byte) { clear(i[64+16+8*1+4:][:2]); i[64+16+8] = 2 }},
		{"index to before the file", "file2", func(_, i []byte) { i[64+16+4] = 9; i[64+16] = 2 }},
		{"data outside", "file2", func(_, i []byte) { le.PutUint32(i[64+16+4:], 0xffff0000) }},
		{"data of another kind", "file1", func(_, i []byte) { i[64+6] = algZstd }},
		{"fragment outside", "file3", func(_, i []byte) { le.PutUint32(i[64:], 0xffff0000) }},
		{"huge fragment offset", "file3", func(_, i []byte) { le.PutUint64(i[64:], 1<<64-1) }},
		{"packed inode with fragments", "file3", func(b, _ []byte) { le.PutUint64(b[superOffset+96:], uint64(at("file3")-f.metaStart)>>5) }},
		{"packed inode outside", "file3", func(b, _ []byte) { le.PutUint64(b[superOffset+96:], 1<<60) }},
		{"directory without names", "dir/sub", func(b, i []byte) { le.PutUint16(b[int64(le.Uint32(i[16:]))<<10+8:], 0xffff) }},
		{"inode outside", "dir/sub/flat", func(b, _ []byte) { le.PutUint64(b[int64(le.Uint32(b[at("dir/sub")+16:]))<<10+24:], 1<<59-1) }},
	} {
		b := bytes.Clone(img)
		x.lie(b, b[at(x.file):])
		g := open(t, b)
		_, err := g.Info(x.file)
		if err == nil {
			if info, _ := g.Stat(x.file); info.IsDir() {
				_, err = g.ReadDir(x.file)
			} else {
				_, err = imgtest.ReadFile(g, x.file)
			}
		}
		if !formatError(err) {
			t.Errorf("%s: %v", x.name, err)
		}
		if good, _ := imgtest.Walk(g, 1<<20); good < 11 {
			t.Errorf("%s: only %d files left", x.name, good)
		}
	}
	// An inode that is its own shared xattr is but bytes.
	b := bytes.Clone(img)
	le.PutUint32(b[at("xattrs")+64+12:], uint32(at("xattrs")-f.xattrStart)/4)
	open(t, b).Info("xattrs")
	for _, n := range []int{0, 1024, 1100, 1151, 1152, len(img) / 2, len(img) - 1} {
		if g, err := New(bytes.NewReader(img[:n]), int64(n)); err == nil {
			imgtest.Walk(g, 1<<20)
		} else if !formatError(err) {
			t.Error(err)
		}
	}
}

// Random damage ends in errors and files, and soon.
func TestDamage(t *testing.T) {
	img := sample(t)
	rnd := rand.New(rand.NewPCG(4, 4))
	start := time.Now()
	for range 150 {
		b := bytes.Clone(img)
		for range 1 + rnd.IntN(20) {
			b[superOffset+rnd.IntN(len(b)-superOffset)] = byte(rnd.Uint32())
		}
		f, err := New(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			continue
		}
		_, errs := imgtest.Walk(f, 1<<20)
		for _, err := range errs {
			if !formatError(err) && !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("neither damaged nor unsupported: %v", err)
			}
		}
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("took %v", d)
	}
}

func FuzzNew(f *testing.F) {
	f.Add(sample(f))
	m := newMaker(9, 0)
	m.names["a"] = m.inode(0o100644, flatInline, 2, 0, nil, func(int64) []byte { return []byte("ok") })
	m.names["b"] = m.compressed(f, words(1, 3000), packing{compact: true, two: true, cut: cuts(512, 1, 3000)}, nil)
	f.Add(m.image())
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys, err := New(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		imgtest.Walk(fsys, 1<<18)
	})
}

func FuzzDecode(f *testing.F) {
	for alg := range byte(2) {
		f.Add(alg, 5000, encode(f, alg, words(1, 5000)))
	}
	f.Fuzz(func(t *testing.T, alg byte, n int, b []byte) {
		dst := make([]byte, min(uint(n), 1<<16))
		if alg == algLZ4 {
			lz4.DecodePartial(dst, b)
		} else {
			new(lzma).decode(dst, b)
		}
	})
}

// A wanted length of less than there is gives the beginning; of more, an error. What lies behind dst is left alone.
func TestDecodePartly(t *testing.T) {
	body := words(3, 700)
	for alg, decode := range map[byte]func(dst, src []byte) (int, string){algLZMA: new(lzma).decode, algLZ4: func(dst, src []byte) (int, string) {
		n, err := lz4.DecodePartial(dst, src)
		if err != nil {
			return n, err.Error()
		}
		return n, ""
	}} {
		enc := encode(t, alg, body)
		for n := range len(body) + 10 {
			dst := bytes.Repeat([]byte{0xa5}, n+40)
			d, msg := decode(dst[:n:n], enc)
			if n <= len(body) && (d != n || msg != "" || !bytes.Equal(dst[:n], body[:n])) {
				t.Fatalf("algorithm %d, %d bytes: %d, %s", alg, n, d, msg)
			}
			if n > len(body) && d == n && msg == "" {
				t.Fatalf("algorithm %d: %d bytes of %d", alg, n, len(body))
			}
			if bytes.Count(dst[n:], []byte{0xa5}) != 40 {
				t.Fatalf("algorithm %d, %d bytes: wrote behind", alg, n)
			}
		}
		for n := range enc {
			if d, msg := decode(make([]byte, len(body)), enc[:n]); d == len(body) && msg == "" && alg == algLZ4 {
				t.Fatalf("%d of %d encoded bytes are enough", n, len(enc))
			}
		}
	}
}

// ReadAt and the rest may be called from everywhere at once.
func TestConcurrent(t *testing.T) {
	f := open(t, sample(t))
	want := words(3, 20_000)
	r, err := f.Open("file3") // with a fragment
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, errs := imgtest.Walk(f, 1<<20); errs != nil {
				t.Error(errs)
			}
			b := make([]byte, 3000)
			for off := 100 * i; off < 16_000; off += 2500 {
				if _, err := r.(io.ReaderAt).ReadAt(b, int64(off)); err != nil || !bytes.Equal(b, want[off:off+3000]) {
					t.Errorf("at %d: %v", off, err)
				}
			}
		})
	}
	wg.Wait()
}
