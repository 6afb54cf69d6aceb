package squashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"gifthorse/internal/imgfs"
	"gifthorse/internal/imgtest"
)

// tree writes a directory of everything that an image can hold. Owners, devices and xattrs need root and are left out without.
func tree(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return b
	}
	text := func(n int) []byte {
		var b bytes.Buffer
		for b.Len() < n {
			fmt.Fprintf(&b, "line %d of %d says %x\n", rnd.IntN(n), n, rnd.Uint32()>>uint(rnd.IntN(32)))
		}
		return b.Bytes()[:n]
	}
	write := func(name string, b []byte) {
		name = filepath.Join(dir, name)
		must(os.MkdirAll(filepath.Dir(name), 0o755))
		must(os.WriteFile(name, b, 0o644))
	}
	for _, n := range []int{0, 1, 4095, 4096, 4097, 65535, 131071, 131072, 131073, 1<<19 + 4095} {
		write(fmt.Sprintf("random/%d", n), random(n))
		write(fmt.Sprintf("text/%d", n), text(n))
		write(fmt.Sprintf("mixed/%d", n), append(text(n/2), random(n-n/2)...))
	}
	write("sparse", append(append(make([]byte, 3<<20), "the middle"...), make([]byte, 5<<20)...))
	write("zeros", make([]byte, 300_000))
	for i := range 700 {
		write(fmt.Sprintf("many/%03d %s", i, strings.Repeat("n", i%200)), fmt.Appendf(nil, "file %d", i))
	}
	write("with\xffbytes", []byte("a name that is not UTF-8"))
	write("modes/setuid", []byte("su"))
	must(os.Chmod(filepath.Join(dir, "modes/setuid"), 0o751|fs.ModeSetuid))
	write("modes/none", nil)
	must(os.Chmod(filepath.Join(dir, "modes/none"), 0))
	must(os.Mkdir(filepath.Join(dir, "modes/dir"), 0o755))
	must(os.Chmod(filepath.Join(dir, "modes/dir"), 0o770|fs.ModeSticky|fs.ModeSetgid))
	must(os.Link(filepath.Join(dir, "text/131073"), filepath.Join(dir, "hardlink")))
	must(os.Symlink("/system/bin/toybox", filepath.Join(dir, "absolute")))
	must(os.Symlink(strings.Repeat("../long", 500), filepath.Join(dir, "long")))
	must(syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	if os.Getuid() != 0 {
		return dir
	}
	must(os.Lchown(filepath.Join(dir, "modes/none"), 1000, 2000))
	must(os.Lchown(filepath.Join(dir, "text/4096"), 100_000, 2_000_000_000))
	must(syscall.Mknod(filepath.Join(dir, "null"), syscall.S_IFCHR|0o666, 1<<8|3))
	set := func(name, attr, value string) {
		if err := syscall.Setxattr(filepath.Join(dir, name), attr, []byte(value), 0); err != nil {
			t.Logf("no xattr %s here: %v", attr, err)
		}
	}
	for i := range 100 {
		name := fmt.Sprintf("many/%03d %s", i, strings.Repeat("n", i%200))
		set(name, "security.selinux", "u:object_r:system_file:s0\x00")
		set(name, fmt.Sprint("user.number", i), strings.Repeat("v", i))
	}
	set("pipe", "trusted.what", "pipe")
	set("null", "security.selinux", "u:object_r:null:s0\x00")
	set("modes", "security.selinux", "u:object_r:a_dir:s0\x00")
	set("text/65535", "security.capability", capability)
	set("text/65535", "user.empty", "")
	set("random/4097", "user.big", strings.Repeat("0123456789", 300))
	set("random/4096", "user.big", strings.Repeat("0123456789", 300)) // the same, which is stored once
	return dir
}

func mksquashfs(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("mksquashfs"); err != nil {
		t.Skip("no mksquashfs here: apt-get install squashfs-tools")
	}
	name := filepath.Join(t.TempDir(), "img")
	out, err := exec.Command("mksquashfs", append([]string{dir, name, "-noappend", "-no-progress", "-quiet", "-processors", "1"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("mksquashfs %v: %v\n%s", args, err, out)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, img []byte) *FS {
	t.Helper()
	f, err := New(bytes.NewReader(img), int64(len(img)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// same demands that f holds what dir holds.
func same(t *testing.T, f *FS, dir string, owners bool) {
	t.Helper()
	imgtest.Same(t, f, dir, func(name, path string, want fs.FileInfo, got Info) {
		st := want.Sys().(*syscall.Stat_t)
		if got.Mode != want.Mode() || owners && (got.UID != int(st.Uid) || got.GID != int(st.Gid)) {
			t.Errorf("%q: mode %v owner %d:%d, want %v %d:%d", name, got.Mode, got.UID, got.GID, want.Mode(), st.Uid, st.Gid)
		}
		if fi, err := f.Stat(name); err != nil || fi.ModTime().Unix() != want.ModTime().Unix() {
			t.Errorf("%q: time %v, %v, want %v", name, fi.ModTime(), err, want.ModTime())
		}
		if want.Mode().Type() != fs.ModeSymlink && owners {
			if w := imgtest.Xattrs(path); !maps.EqualFunc(got.Xattrs, w, bytes.Equal) {
				t.Errorf("%q: xattrs %q, want %q", name, got.Xattrs, w)
			}
		}
		if want.Mode().IsRegular() && got.Size != want.Size() {
			t.Errorf("%q: size %d, want %d", name, got.Size, want.Size())
		}
	})
}

func TestMksquashfs(t *testing.T) {
	dir := tree(t)
	for name, args := range map[string][]string{
		"gzip":                {"-comp", "gzip"},
		"gzip, other options": {"-comp", "gzip", "-Xcompression-level", "1", "-Xstrategy", "huffman_only"},
		"lz4":                 {"-comp", "lz4", "-Xhc"},
		"xz":                  {"-comp", "xz", "-Xdict-size", "16K"},
		"xz, for arm":         {"-comp", "xz", "-Xbcj", "arm", "-Xdict-size", "8K", "-b", "32K"},
		"zstd":                {"-comp", "zstd", "-Xcompression-level", "3"},
		"small blocks":        {"-comp", "lz4", "-b", "4K"},
		"large blocks":        {"-comp", "zstd", "-Xcompression-level", "3", "-b", "1M"},
		"not packed":          {"-noI", "-noD", "-noF", "-noX"},
		"no fragments":        {"-comp", "lz4", "-no-fragments"},
		"ends in fragments":   {"-comp", "lz4", "-always-use-fragments"},
		"no holes":            {"-comp", "lz4", "-no-sparse", "-no-exports", "-no-duplicates"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same(t, open(t, mksquashfs(t, dir, args...)), dir, true)
		})
	}
	for _, pack := range []string{"lzo", "lzma"} {
		img := mksquashfs(t, dir, "-comp", pack)
		if _, err := New(bytes.NewReader(img), int64(len(img))); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), strings.ToUpper(pack)) {
			t.Errorf("%s: %v", pack, err)
		}
	}
}

// A part of a real system partition.
func TestPhone(t *testing.T) {
	dir := imgtest.Phone(t, 6<<20)
	imgtest.Own(t, dir)
	for _, pack := range []string{"gzip", "lz4"} {
		same(t, open(t, mksquashfs(t, dir, "-comp", pack)), dir, true)
	}
}

// What unsquashfs takes out of an image is what is read of it.
func TestUnsquashfs(t *testing.T) {
	img := sample(t, packGzip)
	name, out := filepath.Join(t.TempDir(), "img"), filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(name, img, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("unsquashfs"); err != nil {
		t.Skip("no unsquashfs here: apt-get install squashfs-tools")
	}
	if b, err := exec.Command("unsquashfs", "-no-progress", "-d", out, name).CombinedOutput(); err != nil {
		t.Fatalf("unsquashfs: %v\n%s", err, b)
	}
	same(t, open(t, img), out, os.Getuid() == 0)
}

func formatError(err error) bool {
	var fe *FormatError
	return errors.As(err, &fe)
}

func TestSample(t *testing.T) {
	for _, pack := range []uint16{packGzip, packXz, packLZ4, packZstd} {
		f := open(t, sample(t, pack))
		if good, errs := imgtest.Walk(f, 1<<20); good != 8 || errs != nil {
			t.Errorf("%d files read, errors %v", good, errs)
		}
		if err := fstest.TestFS(f, "text", "sub/again", "holes"); err != nil {
			t.Error(err)
		}
		info, err := f.Info("holes")
		if err != nil || info.Label != "u:object_r:system_file:s0" || info.Caps != 1<<13|1<<21|1<<39 || info.UID != 0 || info.GID != 70_000 ||
			info.Mode != 0o755|fs.ModeSetuid || len(info.Xattrs) != 3 || string(info.Xattrs["user.long"]) != string(words(300)) {
			t.Errorf("info %+v, %v", info, err)
		}
		if b, err := imgtest.ReadFile(f, "sub/text"); err != nil || !bytes.Equal(b, words(3*makerBlock+100)) {
			t.Errorf("text: %d bytes, %v", len(b), err)
		}
		if b, err := imgtest.ReadFile(f, "link"); err != nil || string(b) != "text" {
			t.Errorf("link: %q, %v", b, err)
		}
		for _, name := range []string{"no", "text/no", "link/no"} {
			if _, err := f.Stat(name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestUnsupported(t *testing.T) {
	img := sample(t, packGzip)
	for name, lie := range map[string]func(b []byte){
		"big-endian":    func(b []byte) { copy(b, "sqsh") },
		"3.1":           func(b []byte) { b[28], b[30] = 3, 1 },
		"compression 9": func(b []byte) { b[20] = 9 },
	} {
		b := bytes.Clone(img)
		lie(b)
		if _, err := New(bytes.NewReader(b), int64(len(b))); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A filter that is not read is one file's error. For other systems than x86 mksquashfs finds no use for it.
	dir := t.TempDir()
	program, err := os.ReadFile("/bin/ls")
	if err != nil {
		t.Skip(err)
	}
	os.WriteFile(filepath.Join(dir, "ls"), program, 0o644)
	os.Symlink("ls", filepath.Join(dir, "link"))
	f := open(t, mksquashfs(t, dir, "-comp", "xz", "-Xbcj", "x86", "-no-fragments"))
	if b, err := imgtest.ReadFile(f, "ls"); err != nil && !errors.Is(err, errors.ErrUnsupported) || err == nil && !bytes.Equal(b, program) {
		t.Errorf("x86: %v", err)
	}
	if got, err := f.ReadLink("link"); got != "ls" {
		t.Errorf("link %q, %v", got, err)
	}
}

// Directories that contain themselves, their parents, or one directory twice have an end.
func TestCycles(t *testing.T) {
	m := newMaker(packGzip)
	file := m.file(t, 0o644, []byte("ok"))
	// A directory's inode takes 40 bytes, so those to come are known.
	a := place(len(m.inodes))
	b, root := a+40, a+80
	m.dir(item{"self", a, typeDir}, item{"b", b, typeDir}, item{"root", root, typeDir}, item{"file", file, typeFile})
	m.dir(item{"a", a, typeDir}, item{"again", b, typeDir})
	f := open(t, m.image(m.dir(item{"a", a, typeDir}, item{"a2", a, typeDir}, item{"b", b, typeDir}, item{"file", file, typeFile})))
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

// Numbers that lie give a FormatError, of that file alone.
func TestLies(t *testing.T) {
	img := sample(t, packGzip)
	f := open(t, img)
	inodes := f.inodes + 2
	at := func(name string) int64 {
		n, err := f.Node(name)
		if err != nil {
			t.Fatal(err)
		}
		return inodes + int64(n.ID&0xffff)
	}
	for _, x := range []struct {
		name, file string
		lie        func(inode []byte)
	}{
		{"4 GiB", "text", func(i []byte) { le.PutUint32(i[16+12:], 1<<32-1) }},
		{"2^63 bytes", "holes", func(i []byte) { le.PutUint64(i[16+8:], 1<<63) }},
		{"2^50 bytes", "holes", func(i []byte) { le.PutUint64(i[16+8:], 1<<50) }},
		{"no fragment", "text", func(i []byte) { le.PutUint32(i[16+4:], 7) }},
		{"outside of the fragment", "text", func(i []byte) { le.PutUint32(i[16+8:], 4000) }},
		{"data elsewhere", "text", func(i []byte) { le.PutUint32(i[16:], 3) }},
		{"data outside", "text", func(i []byte) { le.PutUint32(i[16:], 1<<31) }},
		{"a block of too many bytes", "text", func(i []byte) { le.PutUint32(i[32:], 5000) }},
		{"a size with other bits", "text", func(i []byte) { le.PutUint32(i[32:], 1<<28|10) }},
		{"no type", "text", func(i []byte) { i[0] = 0 }},
		{"no owner", "text", func(i []byte) { i[4] = 9 }},
		{"no attributes", "holes", func(i []byte) { le.PutUint32(i[16+36:], 5) }},
		{"a long link", "link", func(i []byte) { le.PutUint32(i[20:], 1<<30) }},
		{"a listing elsewhere", "sub", func(i []byte) { le.PutUint32(i[16+8:], 1<<30) }},
		{"a large listing", "sub", func(i []byte) { le.PutUint32(i[16+4:], 1<<31) }},
		{"a listing that begins late", "sub", func(i []byte) { le.PutUint16(i[16+18:], 1<<15) }},
	} {
		b := bytes.Clone(img)
		x.lie(b[at(x.file):])
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
		if good, _ := imgtest.Walk(g, 1<<20); good < 5 {
			t.Errorf("%s: only %d files left", x.name, good)
		}
	}
	for n := 0; n < len(img); n += 1 + n/50 {
		if g, err := New(bytes.NewReader(img[:n]), int64(n)); err == nil {
			imgtest.Walk(g, 1<<20)
		} else if !formatError(err) {
			t.Error(err)
		}
	}
}

// Random damage ends in errors and files, and soon.
func TestDamage(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	start := time.Now()
	var samples [][]byte
	for _, pack := range []uint16{packGzip, packXz, packLZ4, packZstd} {
		samples = append(samples, sample(t, pack))
	}
	for i := range 300 {
		b := bytes.Clone(samples[i%4])
		for range 1 + rnd.IntN(20) {
			b[superSize+rnd.IntN(len(b)-superSize)] = byte(rnd.Uint32())
		}
		_, errs := imgtest.Walk(open(t, b), 1<<20)
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

// ReadAt and the rest may be called from everywhere at once.
func TestConcurrent(t *testing.T) {
	f := open(t, sample(t, packZstd))
	want := words(3*makerBlock + 100)
	r, err := f.Open("text")
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
			for off := 100 * i; off < 9_000; off += 2500 {
				if _, err := r.(*imgfs.File).ReadAt(b, int64(off)); err != nil || !bytes.Equal(b, want[off:off+3000]) {
					t.Errorf("at %d: %v", off, err)
				}
			}
		})
	}
	wg.Wait()
}

// A file of more blocks than are looked at in one go, read from its end to its beginning.
func TestBackwards(t *testing.T) {
	m := newMaker(packLZ4)
	body := make([]byte, 3000*makerBlock+5)
	for i := 0; i < len(body); i += 7 * makerBlock {
		copy(body[i:], fmt.Sprint("block ", i))
	}
	big := m.file(t, 0o644, body)
	f := open(t, m.image(m.dir(item{"big", big, typeFile})))
	r, err := f.Open("big")
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 9000)
	for off := len(body) - len(b); off > 0; off -= 50_000 {
		if _, err := r.(*imgfs.File).ReadAt(b, int64(off)); err != nil || !bytes.Equal(b, body[off:off+len(b)]) {
			t.Fatalf("at %d: %v", off, err)
		}
	}
}

func FuzzNew(f *testing.F) {
	for _, pack := range []uint16{packGzip, packXz, packLZ4, packZstd} {
		f.Add(sample(f, pack))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys, err := New(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		imgtest.Walk(fsys, 1<<18)
	})
}

func BenchmarkRead(b *testing.B) {
	for _, pack := range []string{"gzip", "lz4", "xz", "zstd"} {
		b.Run(pack, func(b *testing.B) {
			dir := b.TempDir()
			var body []byte
			rnd := rand.New(rand.NewPCG(1, 1))
			for len(body) < 8<<20 {
				body = fmt.Appendf(body, "line %d says %x\n", len(body), rnd.Uint32()>>uint(rnd.IntN(32)))
			}
			if err := os.WriteFile(filepath.Join(dir, "file"), body, 0o644); err != nil {
				b.Fatal(err)
			}
			f := open(b, mksquashfs(b, dir, "-comp", pack))
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := f.Open("file")
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, r); err != nil || n != int64(len(body)) {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkWalk(b *testing.B) {
	img := mksquashfs(b, tree(b))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		fs.WalkDir(open(b, img), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				b.Fatal(err)
			}
			if _, err := d.Info(); err == nil {
				n++
			}
			return nil
		})
		if n < 700 {
			b.Fatal(n)
		}
	}
}
