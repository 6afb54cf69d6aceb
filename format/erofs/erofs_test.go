package erofs

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gifthorse/internal/imgtest"
)

// tree writes a directory of everything that a file system image can hold. Owners, devices and xattrs need root and are left out without.
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
	shared := text(300_000)
	for _, n := range []int{0, 1, 59, 4035, 4095, 4096, 4097, 8191, 8192, 8193, 12288, 65535, 65536, 65537, 131073, 1<<19 + 4095} {
		write(fmt.Sprintf("random/%d", n), random(n))
		write(fmt.Sprintf("zeros/%d", n), make([]byte, n))
		write(fmt.Sprintf("text/%d", n), text(n))
		// Compressible and not, in turns.
		var b []byte
		for len(b) < n {
			b = append(b, text(1+rnd.IntN(20_000))...)
			b = append(b, random(1+rnd.IntN(9_000))...)
		}
		write(fmt.Sprintf("mixed/%d", n), b[:n])
		write(fmt.Sprintf("shared/%d", n), append(text(n%5000), shared...))
	}
	write("runs", bytes.Repeat([]byte("gift horse "), 200_000))
	write("sparse", append(make([]byte, 3<<20), "the end"...))
	for i := range 400 {
		write(fmt.Sprintf("many/%03d %s", i, strings.Repeat("n", i%200)), fmt.Appendf(nil, "file %d", i))
	}
	write("with\xffbytes", []byte("a name that is not UTF-8"))
	write("modes/setuid", []byte("su"))
	must(os.Chmod(filepath.Join(dir, "modes/setuid"), 0o4751|fs.ModeSetuid))
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
	// Those of two files are inlined, those of many are shared.
	for i := range 100 {
		set(fmt.Sprintf("many/%03d %s", i, strings.Repeat("n", i%200)), "security.selinux", "u:object_r:system_file:s0\x00")
		set(fmt.Sprintf("many/%03d %s", i, strings.Repeat("n", i%200)), fmt.Sprint("user.number", i), strings.Repeat("v", i))
	}
	set("runs", "security.selinux", "u:object_r:only_here:s0\x00")
	set("runs", "trusted.overlay.opaque", "y")
	set("modes", "security.selinux", "u:object_r:a_dir:s0\x00")
	set("text/65536", "security.capability", string(capability))
	set("text/65536", "user.empty", "")
	set("random/4097", "user.big", strings.Repeat("0123456789", 300))
	return dir
}

// capability is CAP_NET_RAW (13), CAP_SYS_ADMIN (21) and CAP_BPF (39) permitted, as revision 2.
var capability = []byte{1, 0, 0, 2, 0, 0x20, 0x20, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0}

// mkfs makes an image of dir.
func mkfs(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("mkfs.erofs"); err != nil {
		t.Skip("no mkfs.erofs here: apt-get install erofs-utils")
	}
	img := filepath.Join(t.TempDir(), "img")
	out, err := exec.Command("mkfs.erofs", append(append([]string{"-d0", "-T1234567890"}, args...), img, dir)...).CombinedOutput()
	if err != nil {
		t.Fatalf("mkfs.erofs %v: %v\n%s", args, err, out)
	}
	b, err := os.ReadFile(img)
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
func same(t *testing.T, f *FS, dir string, xattrs bool) {
	t.Helper()
	imgtest.Same(t, f, dir, func(name, path string, want fs.FileInfo, got Info) {
		st := want.Sys().(*syscall.Stat_t)
		if got.Mode != want.Mode() || got.UID != int(st.Uid) || got.GID != int(st.Gid) {
			t.Errorf("%q: mode %v owner %d:%d, want %v %d:%d", name, got.Mode, got.UID, got.GID, want.Mode(), st.Uid, st.Gid)
		}
		if xattrs && want.Mode().Type() != fs.ModeSymlink {
			if w := imgtest.Xattrs(path); !maps.EqualFunc(got.Xattrs, w, bytes.Equal) {
				t.Errorf("%q: xattrs %q, want %q", name, got.Xattrs, w)
			}
		}
		if want.Mode().IsRegular() && got.Size != want.Size() {
			t.Errorf("%q: size %d, want %d", name, got.Size, want.Size())
		}
	})
}

// variants are the ways of Debian's mkfs.erofs to make an image.
var variants = []struct {
	name string
	args []string
}{
	{"plain", nil},
	{"extended", []string{"-Eforce-inode-extended"}},
	{"noinline_data", []string{"-Enoinline_data"}},
	{"chunks, block map", []string{"--chunksize=4096", "-Eforce-inode-blockmap"}},
	{"chunks, indexes", []string{"--chunksize=65536", "-Eforce-chunk-indexes"}},
	{"lz4", []string{"-zlz4"}},
	{"lz4hc", []string{"-zlz4hc,12"}},
	{"lz4, legacy", []string{"-zlz4", "-Elegacy-compress"}},
	{"lz4, 64 KiB pclusters", []string{"-zlz4", "-C65536"}},
	{"lz4, 1 MiB pclusters", []string{"-zlz4", "-C1048576"}},
	{"lz4, 64 KiB pclusters, legacy", []string{"-zlz4", "-C65536", "-Elegacy-compress"}},
	{"ztailpacking", []string{"-zlz4", "-Eztailpacking"}},
	{"ztailpacking, 64 KiB pclusters", []string{"-zlz4hc,3", "-C65536", "-Eztailpacking"}},
	{"ztailpacking, extended", []string{"-zlz4", "-Eztailpacking,force-inode-extended"}},
	{"short extents", []string{"-zlz4", "--max-extent-bytes=8192"}},
	{"xattrs inline", []string{"-x1000"}},
	{"xattrs shared", []string{"-x1", "-zlz4"}},
}

func TestMkfs(t *testing.T) {
	dir := tree(t)
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			img := mkfs(t, dir, v.args...)
			same(t, open(t, img), dir, true)
		})
	}
}
