package f2fs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

	"gifthorse/internal/cursor"
	"gifthorse/internal/imgfs"
	"gifthorse/internal/imgtest"
)

// tree writes a directory of what sload.f2fs can load.
func tree(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	write := func(name string, n int) {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		name = filepath.Join(dir, name)
		must(os.MkdirAll(filepath.Dir(name), 0o755))
		must(os.WriteFile(name, b, 0o644))
	}
	// Data in the inode, addresses in the inode, in direct nodes, and in the nodes of an indirect one.
	for _, n := range []int{0, 1, 100, 3487, 3488, 3489, 4095, 4096, 4097, 900 * 4096, 923*4096 + 1, 2000 * 4096, (923 + 2*1018 + 50) * 4096} {
		write(fmt.Sprintf("sizes/%d", n), n)
	}
	for i := range 700 {
		write(fmt.Sprintf("many/%03d %s", i, strings.Repeat("n", i%200)), i%50)
	}
	for i := range 30 {
		write(fmt.Sprintf("deep%s/file", strings.Repeat(fmt.Sprintf("/%d", i), i)), i)
	}
	must(os.Chmod(filepath.Join(dir, "sizes/100"), 0o751|fs.ModeSetuid))
	must(os.Chmod(filepath.Join(dir, "deep"), 0o770|fs.ModeSticky|fs.ModeSetgid))
	must(os.Symlink("/system/bin/toybox", filepath.Join(dir, "absolute")))
	must(os.Symlink(strings.Repeat("../long", 300), filepath.Join(dir, "long")))
	if os.Getuid() == 0 {
		must(os.Lchown(filepath.Join(dir, "sizes/1"), 1000, 2000))
		must(os.Lchown(filepath.Join(dir, "sizes/4096"), 50_000, 60_000)) // sload.f2fs cuts them to 16 bits
	}
	return dir
}

// mkfs makes an image of dir. sload.f2fs takes the labels from a file_contexts.
func mkfs(t testing.TB, dir, features string, load ...string) *os.File {
	t.Helper()
	for _, tool := range []string{"mkfs.f2fs", "sload.f2fs"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here: apt-get install f2fs-tools", tool)
		}
	}
	img, err := os.Create(filepath.Join(t.TempDir(), "img"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	if err := img.Truncate(128 << 20); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) {
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	run("mkfs.f2fs", "-f", "-q", "-l", "gift", "-O", features, img.Name())
	run("sload.f2fs", append(append([]string{"-f", dir, "-t", "/", "-P"}, load...), img.Name())...)
	return img
}

func openFile(t testing.TB, img *os.File) *FS {
	t.Helper()
	st, err := img.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(img, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Gaps) > 0 {
		t.Errorf("gaps: %v", f.Gaps)
	}
	return f
}

func open(t testing.TB, img sparse) *FS {
	t.Helper()
	f, err := New(img, imageSize)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// same demands that f holds what dir holds.
func same(t *testing.T, f *FS, dir string) {
	t.Helper()
	imgtest.Same(t, f, dir, func(name, _ string, want fs.FileInfo, got Info) {
		st := want.Sys().(*syscall.Stat_t)
		// The root is that of mkfs.
		if name != "." && (got.Mode != want.Mode() || got.UID != int(st.Uid) || got.GID != int(st.Gid)) {
			t.Errorf("%q: mode %v owner %d:%d, want %v %d:%d", name, got.Mode, got.UID, got.GID, want.Mode(), st.Uid, st.Gid)
		}
	}, "lost+found")
}

// Images as Debian's tools make them. The last is what a phone with Android gets.
func TestSload(t *testing.T) {
	dir := tree(t)
	for name, features := range map[string]string{
		"nothing":   "lost_found",
		"extra":     "extra_attr,inode_checksum,sb_checksum,inode_crtime",
		"read only": "extra_attr,ro,compression",
		"android":   "encrypt,project_quota,extra_attr,quota,verity,casefold,compression",
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{}
			if name == "android" {
				contexts := filepath.Join(t.TempDir(), "file_contexts")
				if err := os.WriteFile(contexts, []byte("/.* u:object_r:system_file:s0\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				args = []string{"-s", contexts}
			}
			img := mkfs(t, dir, features, args...)
			f := openFile(t, img)
			same(t, f, dir)
			if f.Volume != "gift" || f.NeedsRecovery || f.Size < 100<<20 {
				t.Errorf("volume %q of %d bytes, needs recovery: %v", f.Volume, f.Size, f.NeedsRecovery)
			}
			if name == "android" {
				labelled(t, f)
			}
			dumped(t, f, img.Name(), "sizes/4095", "sizes/8192000")
		})
	}
}

// A part of a real system partition.
func TestPhone(t *testing.T) {
	dir := imgtest.Phone(t, 6<<20)
	imgtest.Own(t, dir)
	same(t, openFile(t, mkfs(t, dir, "extra_attr,compression")), dir)
}

// labelled demands the label of the test's file_contexts, if Debian's sload.f2fs was made with SELinux.
func labelled(t *testing.T, f *FS) {
	n := 0
	for _, name := range []string{"sizes/100", "many", "absolute"} {
		info, err := f.Info(name)
		if err != nil {
			t.Error(err)
		}
		if info.Label == "u:object_r:system_file:s0" {
			n++
		} else if info.Label != "" || n > 0 {
			t.Errorf("%s: label %q", name, info.Label)
		}
	}
	t.Logf("%d labels of 3", n)
}

// dumped compares files with what dump.f2fs takes out of the image by inode number.
func dumped(t *testing.T, f *FS, img string, names ...string) {
	t.Helper()
	for _, name := range names {
		n, err := f.Node(name)
		if err != nil {
			t.Error(err)
			continue
		}
		cmd := exec.Command("dump.f2fs", "-i", fmt.Sprintf("%#x", n.ID), img)
		cmd.Dir = t.TempDir()
		cmd.Stdin = strings.NewReader("Y\n")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("dump.f2fs: %v\n%s", err, out)
			continue
		}
		want, err := os.ReadFile(filepath.Join(cmd.Dir, "lost_found", filepath.Base(name)))
		if err != nil {
			t.Error(err)
			continue
		}
		if b, err := imgtest.ReadFile(f, name); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s: %d bytes, %v, dump.f2fs has %d", name, len(b), err, len(want))
		}
	}
}

func formatError(err error) bool {
	var fe *FormatError
	return errors.As(err, &fe)
}

func TestSample(t *testing.T) {
	for _, features := range []uint32{0, featExtra, featExtra | featCompression, everything} {
		f := open(t, sample(t, features).blocks)
		packed := features&featCompression != 0
		files, bad := 9, 2 // a secret file and a secret folder
		if packed {
			files, bad = 11, 4
		}
		good, errs := imgtest.Walk(f, 1<<20)
		if good != files || len(errs) != bad {
			t.Errorf("%#x: %d files read, errors %v", features, good, errs)
		}
		for _, err := range errs {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Error(err)
			}
		}
		if f.Volume != "ours" || f.NeedsRecovery || len(f.Gaps) > 0 {
			t.Errorf("volume %q, needs recovery %v, gaps %v", f.Volume, f.NeedsRecovery, f.Gaps)
		}
		info, err := f.Info("dir/text")
		if err != nil || info.Label != "u:o:s0" || info.Caps != 1<<13|1<<21|1<<39 || info.UID != 1000 || info.GID != 70_000 ||
			info.Mode != 0o644 || len(info.Xattrs) != 3 || string(info.Xattrs["user.long"]) != string(words(1000)) {
			t.Errorf("%#x: info %+v, %v", features, info, err)
		}
		if info, _ := f.Info("inline"); info.Mode != 0o755|fs.ModeSetuid || info.Size != 17 || info.Xattrs != nil {
			t.Errorf("info %+v", info)
		}
		want := map[string]string{
			"inline": "data in the inode", "link": "text", "guarded": "secret",
			"dir/a name of more than one slot": string(words(2*bs)) + string(make([]byte, bs)) + string(words(100)),
		}
		if packed {
			want["lz4"] = string(periodic(4*bs)) + string(words(4*bs)) + string(periodic(4 * bs)[:2*bs+7])
			want["zstd"] = want["lz4"]
		}
		for name, want := range want {
			if b, err := imgtest.ReadFile(f, name); err != nil || string(b) != want {
				t.Errorf("%#x: %s: %d bytes, %v, want %d", features, name, len(b), err, len(want))
			}
		}
		for _, name := range []string{"no", "text/no", "link/no", "dir/no"} {
			if _, err := f.Stat(name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if info, err := f.Info("guarded"); err != nil || !info.Verity || info.Encrypted {
			t.Errorf("guarded: %+v, %v", info, err)
		}
		if info, err := f.Info("secret"); err != nil || info.Verity || !info.Encrypted {
			t.Errorf("secret: %+v, %v", info, err)
		}
		if _, err := f.ReadDir("secrets"); !errors.Is(err, ErrEncrypted) {
			t.Errorf("secrets: %v", err)
		}
		sparseFile(t, f)
	}
}

// sparseFile reads the blocks that nodes of every kind give, and the holes beside them.
func sparseFile(t *testing.T, f *FS) {
	t.Helper()
	n, err := f.Node("big")
	if err != nil {
		t.Fatal(err)
	}
	ino, err := f.inode(uint32(n.ID))
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.Open("big")
	if err != nil {
		t.Fatal(err)
	}
	first := f.inInode(ino)
	want := append(append(make([]byte, bs), words(bs)...), make([]byte, bs)...)
	got := make([]byte, 3*bs)
	for _, i := range []int64{0, 1018, 2 * 1018, 2*1018 + 1018*1018, 2*1018 + 2*1018*1018} {
		if _, err := r.(*imgfs.File).ReadAt(got, (first+i)*bs); err != nil || !bytes.Equal(got, want) {
			t.Errorf("block %d: %v", i, err)
		}
	}
	if _, err := r.(*imgfs.File).ReadAt(got, sparseSize-int64(len(got))); err != nil || len(bytes.Trim(got, "\x00")) > 0 {
		t.Errorf("the end: %v", err)
	}
}

// The rules of io/fs hold where nothing is encrypted.
func TestRules(t *testing.T) {
	m := newMaker(everything)
	m.text(4, 0o100644, "hello")
	m.text(5, 0o120777, "hello")
	m.dir(6, item{"hello", 4, 1})
	m.dir(3, item{"dir", 6, 2}, item{"link", 5, 7}, item{"hello", 4, 1})
	m.super()
	m.checkpoint(1) // and no first
	f := open(t, m.blocks)
	if err := fstest.TestFS(f, "hello", "dir/hello"); err != nil {
		t.Error(err)
	}
	if r, err := f.Open("hello"); err != nil {
		t.Error(err)
	} else if b := r.(*imgfs.File); b.Size() != 5 {
		t.Errorf("%d bytes", b.Size())
	}
}

// The newest checkpoint counts, of those that are whole, with its journal and its choice of copies.
func TestCheckpoints(t *testing.T) {
	for _, flags := range []uint32{cpUmount | cpCompact, cpUmount, 0, cpFastboot} {
		m := newMaker(0)
		m.flags = flags
		m.journal[4] = 0
		m.text(4, 0o100644, "old")
		m.dir(3, item{"file", 4, 1})
		m.super()
		m.checkpoint(0)
		m.version++
		m.text(4, 0o100644, "new")
		m.checkpoint(1)
		read := func(want string, gaps int) {
			t.Helper()
			f := open(t, m.blocks)
			if b, err := imgtest.ReadFile(f, "file"); err != nil || string(b) != want || len(f.Gaps) != gaps || f.NeedsRecovery != (flags&cpUmount == 0) {
				t.Errorf("flags %#x: %q, %v, gaps %v", flags, b, err, f.Gaps)
			}
		}
		read("new", 0)
		m.blocks[cpAt+512+7][0]++ // the last block of the second pack is another's
		read("old", 0)
		m.blocks[cpAt][300]++
		read("new", 1)
	}
	m := newMaker(0)
	m.text(4, 0o100644, "old")
	m.dir(3, item{"file", 4, 1})
	m.copies = true
	m.text(4, 0o100644, "new")
	m.dir(3, item{"file", 4, 1})
	m.super()
	m.checkpoint(0)
	if b, err := imgtest.ReadFile(open(t, m.blocks), "file"); err != nil || string(b) != "new" {
		t.Errorf("%q, %v", b, err)
	}
	delete(m.blocks, 0)
	f := open(t, m.blocks)
	if b, err := imgtest.ReadFile(f, "file"); err != nil || string(b) != "new" || len(f.Gaps) != 1 {
		t.Errorf("without the first superblock: %q, %v, gaps %v", b, err, f.Gaps)
	}
	m.blocks[cpAt][136] = 0
	if _, err := New(m.blocks, imageSize); !formatError(err) {
		t.Errorf("without a checkpoint: %v", err)
	}
}

// Directories that contain themselves, their parents, or one directory twice have an end.
func TestCycles(t *testing.T) {
	m := newMaker(0)
	m.text(4, 0o100644, "ok")
	m.dir(5, item{"self", 5, 2}, item{"b", 6, 2}, item{"root", 3, 2}, item{"file", 4, 1})
	m.dir(6, item{"a", 5, 2}, item{"again", 6, 2})
	m.dir(3, item{"a", 5, 2}, item{"a2", 5, 2}, item{"b", 6, 2}, item{"file", 4, 1})
	m.super()
	m.checkpoint(0)
	good, errs := imgtest.Walk(open(t, m.blocks), 100)
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
	m := sample(t, everything)
	f := open(t, m.blocks)
	block := func(nid uint32) uint32 {
		a, err := f.address(nid)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, x := range []struct {
		name, file string
		nid        uint32
		lie        func(b []byte)
	}{
		{"2^63 bytes", "text", 5, func(b []byte) { le.PutUint64(b[16:], 1<<63) }},
		{"2^50 bytes", "text", 5, func(b []byte) { le.PutUint64(b[16:], 1<<50) }},
		{"more than an inode holds", "inline", 4, func(b []byte) { le.PutUint64(b[16:], 4000) }},
		{"more, and a directory too", "inline", 4, func(b []byte) { b[3] |= inlineDentry; le.PutUint64(b[16:], 4000) }},
		{"no type", "text", 5, func(b []byte) { b[1] = 0 }},
		{"data in the checkpoint", "text", 5, func(b []byte) { le.PutUint32(b[addrOffset+36:], cpAt) }},
		{"data outside", "text", 5, func(b []byte) { le.PutUint32(b[addrOffset+36:], 1<<31) }},
		{"a packed cluster where none can be", "text", 5, func(b []byte) { le.PutUint32(b[addrOffset+36:], packedAddr) }},
		{"another node", "text", 5, func(b []byte) { b[bs-24] = 4 }},
		{"no inode", "text", 5, func(b []byte) { b[bs-20] = 4 }},
		{"all extra", "text", 5, func(b []byte) { le.PutUint16(b[addrOffset:], 0xfffc) }},
		{"no extra", "text", 5, func(b []byte) { b[3] &^= extraAttr }},
		{"all attributes", "text", 5, func(b []byte) { le.PutUint16(b[addrOffset+2:], 0xffff) }},
		{"a long attribute", "text", 5, func(b []byte) { le.PutUint16(b[bs-44-64+26:], 0xffff) }},
		{"no node of attributes", "text", 5, func(b []byte) { le.PutUint32(b[76:], 99) }},
		{"no node of any", "text", 5, func(b []byte) { le.PutUint32(b[76:], 1<<31) }},
		{"clusters of a block", "lz4", 14, func(b []byte) { b[addrOffset+33] = 0 }},
		{"clusters of 2^255 blocks", "lz4", 14, func(b []byte) { b[addrOffset+33] = 255 }},
		{"no such algorithm", "lz4", 14, func(b []byte) { b[addrOffset+32] = 7 }},
		{"another algorithm", "lz4", 14, func(b []byte) { b[addrOffset+32] = packZstd }},
		{"a cluster without blocks", "lz4", 14, func(b []byte) { le.PutUint32(b[addrOffset+36+4:], 0) }},
		{"a cluster elsewhere", "lz4", 14, func(b []byte) { le.PutUint32(b[addrOffset+36+4:], 77) }},
		{"larger clusters", "zstd", 15, func(b []byte) { b[addrOffset+33] = 3 }},
		{"a long link", "link", 7, func(b []byte) { le.PutUint64(b[16:], 1<<20) }},
		{"a large directory", "dir", 8, func(b []byte) { le.PutUint64(b[16:], 1<<40) }},
		{"a directory that repeats itself", "dir", 8, func(b []byte) { copy(b[addrOffset+36+4:], b[addrOffset+36:addrOffset+40]) }},
		{"a directory elsewhere", "dir", 8, func(b []byte) { le.PutUint32(b[addrOffset+36:], 3) }},
	} {
		b := m.blocks.clone()
		x.lie(b[block(x.nid)])
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
		if good, _ := imgtest.Walk(g, 1<<20); good < 8 {
			t.Errorf("%s: only %d files left", x.name, good)
		}
	}
	for _, n := range []int64{0, 1024, 3000, 5000, cpAt * bs, natAt * bs, natAt*bs + 1, mainAt*bs + 5, mainAt*bs + 20*bs} {
		if g, err := New(m.blocks, n); err == nil {
			imgtest.Walk(g, 1<<20)
			if len(g.Gaps) == 0 {
				t.Errorf("cut at %d, and no gap", n)
			}
		} else if !formatError(err) {
			t.Error(err)
		}
	}
}

// Random damage ends in errors and files, and soon.
func TestDamage(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	start := time.Now()
	whole := sample(t, everything).blocks.bytes()
	opened := 0
	for range 300 {
		b := bytes.Clone(whole)
		for range 1 + rnd.IntN(100) {
			i := rnd.IntN(len(b))
			b[i] = byte(rnd.Uint32())
		}
		f, err := New(parse(b), imageSize)
		if err != nil {
			continue
		}
		opened++
		_, errs := imgtest.Walk(f, 1<<20)
		for _, err := range errs {
			if !formatError(err) && !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("neither damaged nor unsupported: %v", err)
			}
		}
	}
	if d := time.Since(start); d > 30*time.Second || opened < 100 {
		t.Errorf("took %v, %d could be opened", d, opened)
	}
}

// ReadAt and the rest may be called from everywhere at once.
func TestConcurrent(t *testing.T) {
	f := open(t, sample(t, everything).blocks)
	want := append(append(periodic(4*bs), words(4*bs)...), periodic(4 * bs)[:2*bs+7]...)
	r, err := f.Open("zstd")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if good, _ := imgtest.Walk(f, 1<<20); good != 11 {
				t.Errorf("%d files", good)
			}
			b := make([]byte, 3000)
			for off := 100 * i; off < 37_000; off += 2500 {
				if _, err := r.(*imgfs.File).ReadAt(b, int64(off)); err != nil || !bytes.Equal(b, want[off:off+3000]) {
					t.Errorf("at %d: %v", off, err)
				}
			}
		})
	}
	wg.Wait()
}

// A memory is an image that lies in memory in one piece.
type memory struct{ *bytes.Reader }

var held []byte

func (m memory) Slice(off, n int64) []byte { return held[off : off+n] }

// What lies in one piece is given without copying it.
func TestSlice(t *testing.T) {
	m := sample(t, everything)
	held = make([]byte, imageSize)
	m.blocks.ReadAt(held, 0)
	f, err := New(memory{bytes.NewReader(held)}, imageSize)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name   string
		off, n int64
		want   []byte
	}{
		{"text", 5, 2*bs - 5, words(2 * bs)[5:]},
		{"text", 3 * bs, 100, words(100)},
		{"text", 0, 3 * bs, nil}, // a hole
		{"text", 0, 3*bs + 101, nil},
		{"text", -1, 5, nil},
		{"inline", 5, 12, []byte("in the inode")},
		{"lz4", 4 * bs, 10, nil},
	} {
		r, err := f.Open(x.name)
		if err != nil {
			t.Fatal(err)
		}
		if b := cursor.Slice(r.(*imgfs.File), x.off, x.n); !bytes.Equal(b, x.want) || x.want != nil && b == nil {
			t.Errorf("%s from %d on: %d bytes, want %d", x.name, x.off, len(b), len(x.want))
		}
	}
}

func FuzzNew(f *testing.F) {
	f.Add(sample(f, everything).blocks.bytes())
	f.Add(sample(f, 0).blocks.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys, err := New(parse(b), imageSize)
		if err != nil {
			return
		}
		imgtest.Walk(fsys, 1<<18)
	})
}

func BenchmarkRead(b *testing.B) {
	m := newMaker(everything)
	const blocks = 512
	plain, packed := m.inode(4, 0o100644, blocks*bs, 0), m.inode(5, 0o100644, blocks*bs, 0)
	packed.packed(packLZ4, 2)
	first := m.data(words(blocks * bs))
	one := m.data(cluster(b, packLZ4, periodic(4*bs)))
	for i := range blocks {
		plain.addr(i, first+uint32(i))
		if i%4 == 0 {
			packed.addr(i, packedAddr)
			packed.addr(i+1, one)
		}
	}
	m.dir(3, item{"plain", 4, 1}, item{"packed", 5, 1})
	m.super()
	m.checkpoint(0)
	img := make([]byte, imageSize)
	m.blocks.ReadAt(img, 0)
	f, err := New(bytes.NewReader(img), imageSize)
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"plain", "packed"} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(blocks * bs)
			b.ReportAllocs()
			for b.Loop() {
				r, err := f.Open(name)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, r); err != nil || n != blocks*bs {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkWalk(b *testing.B) {
	img := mkfs(b, tree(b), "extra_attr")
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		fs.WalkDir(openFile(b, img), ".", func(name string, d fs.DirEntry, err error) error {
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
