package ext4

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
	"syscall"
	"testing"
	"testing/fstest"
)

// The oracle of these tests is mke2fs: it makes an image of a tree, and the tree says what has to be read from it.

func tool(t testing.TB, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		p = "/usr/sbin/" + name
		if _, err := os.Stat(p); err != nil {
			t.Skipf("no %s on this machine (Debian: e2fsprogs)", name)
		}
	}
	return p
}

func sh(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(tool(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noise returns n bytes that depend on seed only.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

const near = 3 << 20

// tree makes files of every kind that a phone's partition holds. One has holes and ends behind byte far.
func tree(t testing.TB, far int64) string {
	t.Helper()
	top := t.TempDir()
	write := func(name string, b []byte, mode fs.FileMode) {
		p := filepath.Join(top, name)
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		must(t, os.WriteFile(p, b, 0o600))
		must(t, os.Chmod(p, mode))
	}
	for _, n := range []int{0, 1, 59, 60, 61, 100, 140, 500, 1023, 1024, 1025, 4095, 4096, 4097, 12 << 10, 13<<10 + 5, 1 << 20} {
		write(fmt.Sprintf("sizes/%d", n), noise(uint64(n), n), 0o644)
	}
	for k := range 300 { // several blocks of names, in inodes none
		write(fmt.Sprintf("many/a file with a number and a long name, %d", k), []byte(fmt.Sprint(k)), 0o640)
	}
	write("bin/su", noise(1, 5000), 0o755|fs.ModeSetuid|fs.ModeSetgid)
	write("a/b/c/d/e/f", []byte("deep\n"), 0o400)
	write("odd/\xff\xfe latin", []byte("no UTF-8"), 0o644)
	must(t, os.Mkdir(filepath.Join(top, "empty"), 0o700|fs.ModeSticky))

	// More extents than the leaves directly below the root have room for, with blocks of 1 KiB.
	f, err := os.Create(filepath.Join(top, "holes"))
	must(t, err)
	for k := range int64(400) {
		_, err = f.WriteAt(noise(uint64(k), 700), k*5000)
		must(t, err)
	}
	_, err = f.WriteAt([]byte("end"), far)
	must(t, err)
	must(t, f.Close())

	long := strings.Repeat("long/", 30) + "target"
	for name, target := range map[string]string{
		"links/fast": "../bin/su", "links/59": strings.Repeat("x", 59), "links/60": strings.Repeat("y", 60), "links/slow": long,
		"links/out": "/system/bin/sh", "links/up": "../../etc", "links/loop": "loop2", "links/loop2": "./loop", "links/dir": "../a/b",
	} {
		must(t, os.MkdirAll(filepath.Join(top, "links"), 0o755))
		must(t, os.Symlink(target, filepath.Join(top, name)))
	}
	must(t, os.Link(filepath.Join(top, "bin/su"), filepath.Join(top, "bin/su2")))
	must(t, syscall.Mkfifo(filepath.Join(top, "pipe"), 0o600))

	if os.Getuid() == 0 {
		must(t, os.Chown(filepath.Join(top, "bin/su"), 0, 2000))
		must(t, os.Chmod(filepath.Join(top, "bin/su"), 0o755|fs.ModeSetuid|fs.ModeSetgid))
		must(t, os.Lchown(filepath.Join(top, "links/fast"), 100000, 2000000000))
		must(t, syscall.Mknod(filepath.Join(top, "null"), syscall.S_IFCHR|0o666, 1<<8|3))
		must(t, syscall.Mknod(filepath.Join(top, "loop0"), syscall.S_IFBLK|0o660, 7<<8))
	}
	set := func(name, attr string, v []byte) {
		if err := syscall.Setxattr(filepath.Join(top, name), attr, v, 0); err != nil {
			t.Logf("%s not set: %v", attr, err)
		}
	}
	set("bin/su", "security.selinux", []byte("u:object_r:su_exec:s0\x00"))
	set("bin/su", "security.capability", []byte{1, 0, 0, 2, 0, 0x30, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0})
	set("a", "security.selinux", []byte("u:object_r:system_file:s0\x00"))
	set("sizes/60", "user.much", noise(7, 900)) // more than an inode holds
	set("sizes/61", "user.x", []byte("x"))
	set("sizes/100", "security.selinux", []byte("u:object_r:a:s0"))
	return top
}

// image makes a file system image of a tree, in memory where it can: e2fsprogs waits for the disk.
func image(t testing.TB, top string, args ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ext4")
	if err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
	} else {
		dir = t.TempDir()
	}
	img := filepath.Join(dir, "img")
	sh(t, "mkfs.ext4", append(append([]string{"-q", "-F", "-d", top}, args...), img, "32M")...)
	return img
}

func open(t testing.TB, img string) *FS {
	t.Helper()
	f, err := os.Open(img)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	must(t, err)
	fsys, err := New(f, st.Size())
	must(t, err)
	return fsys
}

func xattrsOf(t *testing.T, p string) map[string]string {
	t.Helper()
	m := map[string]string{}
	names := make([]byte, 4096)
	n, err := syscall.Listxattr(p, names)
	if err != nil {
		return m
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		v := make([]byte, 1<<16)
		if n, err := syscall.Getxattr(p, name, v); err == nil && name != "" {
			m[name] = string(v[:n])
		}
	}
	return m
}

// compare walks a file system and the tree that it was made from. It tells how many files there were.
func compare(t *testing.T, fsys *FS, top string) (files int) {
	t.Helper()
	seen := map[string]bool{"lost+found": true}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return nil
		}
		if name == "lost+found" {
			return fs.SkipDir
		}
		files++
		seen[name] = true
		p := filepath.Join(top, name)
		want, err := os.Lstat(p)
		if err != nil {
			t.Errorf("%q is not in the tree", name)
			return nil
		}
		i, err := fsys.Inode(name)
		if err != nil || i.XattrErr != nil {
			t.Errorf("%q: %v, %v", name, err, i.XattrErr)
			return nil
		}
		sys := want.Sys().(*syscall.Stat_t)
		if name != "." && (i.Mode != want.Mode() || i.UID != int(sys.Uid) || i.GID != int(sys.Gid)) || d.Type() != want.Mode().Type() {
			t.Errorf("%q: %v %d:%d, want %v %d:%d", name, i.Mode, i.UID, i.GID, want.Mode(), sys.Uid, sys.Gid)
		}
		if name != "." && i.ModTime.Unix() != want.ModTime().Unix() {
			t.Errorf("%q: of %v, want %v", name, i.ModTime, want.ModTime())
		}
		switch {
		case i.Mode&fs.ModeSymlink != 0:
			got, err := fsys.ReadLink(name)
			if want, _ := os.Readlink(p); got != want {
				t.Errorf("%q leads to %q, %v, want %q", name, got, err, want)
			}
			return nil
		case i.Mode.IsRegular():
			want, err := os.ReadFile(p)
			must(t, err)
			got, err := readFile(fsys, name)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%q: %d bytes, %v, want %d others", name, len(got), err, len(want))
			}
		}
		wantX := xattrsOf(t, p)
		for _, x := range i.Xattrs {
			if wantX[x.Name] != string(x.Value) {
				t.Errorf("%q: %s is %q, want %q", name, x.Name, x.Value, wantX[x.Name])
			}
			delete(wantX, x.Name)
		}
		if len(wantX) > 0 {
			t.Errorf("%q: no %q", name, wantX)
		}
		return nil
	})
	must(t, err)
	must(t, filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if name, _ := filepath.Rel(top, p); !seen[name] {
			t.Errorf("%q is missing", name)
		}
		return err
	}))
	return files
}

func TestMke2fs(t *testing.T) {
	tool(t, "mkfs.ext4")
	top, farTop := tree(t, near), tree(t, 70<<20)
	for _, args := range []string{
		"-b 4096",
		"-b 1024",
		"-b 1024 -I 128",
		"-b 4096 -I 512 -O ^64bit,^metadata_csum",
		"-b 1024 -O ^extents,^64bit",
		"-b 4096 -O ^extents,^64bit,^flex_bg -I 128",
		"-b 2048 -O inline_data",
		"-b 4096 -O inline_data -I 1024",
		"-b 1024 -O meta_bg,^resize_inode",
		"-b 1024 -g 256 -O meta_bg,^resize_inode,^sparse_super,^flex_bg,^has_journal,^extents,^64bit",
		"-b 1024 -g 256 -O meta_bg,^resize_inode,sparse_super2,^flex_bg,^has_journal",
		"-b 1024 -g 256 -O ^flex_bg,^has_journal,^metadata_csum",
		"-b 4096 -O bigalloc -C 16384",
		"-b 1024 -O bigalloc,meta_bg,^resize_inode -C 8192",
		"-b 4096 -O ^filetype,^has_journal",
		"-b 1024 -O ea_inode",
		"-b 4096 -O casefold,encrypt,verity,project,quota,large_dir",
		"-t ext2 -b 1024 -r 1 -I 128",
		"-t ext3 -b 4096",
	} {
		t.Run(args, func(t *testing.T) {
			top := top
			if strings.Contains(args, "-b 1024 -O ^extents") {
				top = farTop // a block of blocks of blocks of 1 KiB begins at 64 MiB
			}
			img := image(t, top, strings.Fields(args)...)
			if n := compare(t, open(t, img), top); n != 346 {
				t.Errorf("%d files", n)
			}
			// e2fsck -D makes hash trees of large directories, and sorts the others.
			out, err := exec.Command(tool(t, "e2fsck"), "-fyD", img).CombinedOutput()
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() > 1 { // 1: it changed something
				t.Fatalf("e2fsck: %v\n%s", err, out)
			}
			fsys := open(t, img)
			compare(t, fsys, top)
			if i, err := fsys.find("", "many", false); err != nil || i.flags&0x1000 == 0 { // EXT4_INDEX_FL
				t.Errorf("e2fsck made no hash tree of a large directory: flags %#x, %v", i.flags, err)
			}
		})
	}
}

// TestValueInode has an attribute too large for a block, so that it gets an inode.
func TestValueInode(t *testing.T) {
	tool(t, "mkfs.ext4")
	top := t.TempDir()
	p := filepath.Join(top, "f")
	must(t, os.WriteFile(p, []byte("content"), 0o644))
	if err := syscall.Setxattr(p, "user.large", noise(3, 3500), 0); err != nil {
		t.Skipf("the temporary directory takes no such attribute: %v", err)
	}
	fsys := open(t, image(t, top, "-b", "1024", "-O", "ea_inode"))
	compare(t, fsys, top)
	if i, err := fsys.Inode("f"); err != nil || len(i.Xattrs) != 1 || len(i.Xattrs[0].Value) != 3500 {
		t.Errorf("%+v, %v", i.Xattrs, err)
	}
}

func TestDebugfs(t *testing.T) {
	top := tree(t, near)
	img := image(t, top, "-b", "1024", "-L", "system", "-M", "/system")
	fsys := open(t, img)
	if fsys.Volume != "system" || fsys.LastMounted != "/system" || fsys.Size != 32<<20 || fsys.BlockSize != 1024 || fsys.NeedsRecovery || len(fsys.Gaps) != 0 {
		t.Errorf("%+v", fsys)
	}
	if u := fsys.UUID; !strings.Contains(sh(t, "debugfs", "-R", "stats", img), fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])) {
		t.Errorf("UUID %x", u)
	}
	out, err := exec.Command(tool(t, "debugfs"), "-R", "cat /holes", img).Output()
	must(t, err)
	got, err := readFile(fsys, "holes")
	if err != nil || !bytes.Equal(got, out) {
		t.Errorf("debugfs reads %d bytes, we others: %d, %v", len(out), len(got), err)
	}
	if s := sh(t, "debugfs", "-R", "ex /holes", img); !strings.Contains(s, "2/ 2") {
		t.Errorf("the tree of extents has no depth of two: test something deeper\n%s", s[:300])
	}
	if os.Getuid() == 0 {
		i, err := fsys.Inode("bin/su")
		if err != nil || i.Label != "u:object_r:su_exec:s0" || i.Caps != 1<<12|1<<13|1<<35 || i.GID != 2000 || i.Links != 2 || i.Mode != 0o755|fs.ModeSetuid|fs.ModeSetgid {
			t.Errorf("%+v, %v", i, err)
		}
	}

	// What mke2fs does not make: an encrypted file, and a file system that was not unmounted.
	sh(t, "debugfs", "-w", "-R", "set_inode_field /a/b/c/d/e/f flags 0x80800", img)
	sh(t, "debugfs", "-w", "-R", "feature needs_recovery shared_blocks", img)
	fsys = open(t, img)
	if !fsys.NeedsRecovery {
		t.Error("NeedsRecovery is not set")
	}
	if _, err := fsys.Open("a/b/c/d/e/f"); !errors.Is(err, ErrEncrypted) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("encrypted file: %v", err)
	}
	if i, _ := fsys.Inode("a/b/c/d/e/f"); !i.Encrypted || i.Size != 5 {
		t.Errorf("%+v", i)
	}
}

func TestTestFS(t *testing.T) {
	tool(t, "mkfs.ext4")
	top := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(top, "a/b"), 0o755))
	must(t, os.WriteFile(filepath.Join(top, "a/b/f"), noise(1, 10000), 0o644))
	must(t, os.WriteFile(filepath.Join(top, "a/g"), nil, 0o644))
	must(t, os.Symlink("b/f", filepath.Join(top, "a/link")))
	if err := fstest.TestFS(open(t, image(t, top)), "a/b/f", "a/g"); err != nil {
		t.Error(err)
	}
}

func TestLinks(t *testing.T) {
	fsys := open(t, image(t, tree(t, near)))
	if b, err := fsys.ReadFile("links/dir/c/d/e/f"); err != nil || string(b) != "deep\n" {
		t.Errorf("%q, %v", b, err)
	}
	if i, err := fsys.Stat("links/fast"); err != nil || i.Size() != 5000 || i.Name() != "fast" {
		t.Errorf("%v, %v", i, err)
	}
	var format *FormatError
	if _, err := fsys.Open("links/loop"); !errors.As(err, &format) {
		t.Errorf("loop: %v", err)
	}
	for _, name := range []string{"links/out", "links/up", "nothing", "bin/su/x", "links/59"} {
		if _, err := fsys.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBroken writes noise over an image: some files are lost, the walk ends, nothing panics.
func TestBroken(t *testing.T) {
	img := image(t, tree(t, near), "-b", "1024")
	good, err := os.ReadFile(img)
	must(t, err)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		b := bytes.Clone(good[:rnd.IntN(len(good)/2)+len(good)/2])
		for range 2000 {
			b[4096+rnd.IntN(len(b)-4096)/16] ^= byte(1 << rnd.IntN(8))
		}
		fsys, err := New(bytes.NewReader(b), int64(len(b)))
		must(t, err)
		files, _ := walk(fsys, 4<<20)
		if files == 0 {
			t.Error("not one file was read")
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	img := image(b, tree(b, near))
	var n int64
	for b.Loop() {
		fsys := open(b, img)
		_, n = walk(fsys, 1<<40)
	}
	b.SetBytes(n)
}

func BenchmarkRead(b *testing.B) {
	top := b.TempDir()
	must(b, os.WriteFile(filepath.Join(top, "f"), noise(1, 16<<20), 0o644))
	fsys := open(b, image(b, top))
	buf := make([]byte, 1<<20)
	b.SetBytes(16 << 20)
	for b.Loop() {
		f, err := fsys.Open("f")
		must(b, err)
		for {
			_, err := f.Read(buf)
			if err == io.EOF {
				break
			}
			must(b, err)
		}
	}
}
