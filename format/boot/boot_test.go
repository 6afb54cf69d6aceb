package boot

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"gifthorse/internal/verity"
)

func newFile(t testing.TB, b []byte) *File {
	t.Helper()
	f, err := New(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func part(t testing.TB, f *File, name string) string {
	t.Helper()
	s, err := f.Part(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMkbootimg(t *testing.T) {
	if _, err := exec.LookPath("mkbootimg"); err != nil {
		t.Skip("mkbootimg is not installed")
	}
	dir := t.TempDir()
	file := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	contents := map[string]string{
		"kernel": strings.Repeat("k", 5000), "ramdisk": strings.Repeat("r", 4096), "second": "s", "dtb": strings.Repeat("d", 9000),
	}
	long := strings.Repeat("a", 511) + "b" + strings.Repeat("c", 300) // goes on in the second field
	for version := range 4 {
		want := map[string]bool{"kernel": true, "ramdisk": true}
		out := filepath.Join(dir, "boot.img")
		args := []string{"--header_version", fmt.Sprint(version), "--os_version", "13.1.2", "--os_patch_level", "2023-05", "-o", out,
			"--kernel", file("kernel", contents["kernel"]), "--ramdisk", file("ramdisk", contents["ramdisk"]), "--cmdline", long}
		if version < 3 {
			args = append(args, "--pagesize", "2048", "--board", "horse", "--second", file("second", "s"))
			want["second"] = true
		}
		// Debian's mkbootimg fails over --recovery_dtbo (a division that is no integer in Python 3); see TestRecoveryDTBO.
		if version == 2 {
			args = append(args, "--dtb", file("dtb", contents["dtb"]))
			want["dtb"] = true
		}
		if out, err := exec.Command("mkbootimg", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		f := newFile(t, b)
		if f.HeaderVersion != uint32(version) || f.OSVersion != "13.1.2" || f.PatchLevel != "2023-05" || f.Cmdline != long || f.End != int64(len(b)) {
			t.Errorf("version %d: %+v", version, f)
		}
		if version < 3 && f.Name != "horse" {
			t.Errorf("version %d: board %q", version, f.Name)
		}
		for name := range want {
			if got := part(t, f, name); got != contents[name] {
				t.Errorf("version %d: %s has %d bytes, want %d", version, name, len(got), len(contents[name]))
			}
		}
		if len(f.Parts) != len(want) {
			t.Errorf("version %d: %+v", version, f.Parts)
		}
	}

	out := filepath.Join(dir, "vendor_boot.img")
	if b, err := exec.Command("mkbootimg", "--header_version", "3", "--vendor_boot", out, "--vendor_ramdisk", file("vr", "vvv"), "--dtb", file("dtb", contents["dtb"]),
		"--vendor_cmdline", long, "--board", "horse", "--pagesize", "2048").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	f := newFile(t, b)
	if !f.Vendor || f.HeaderVersion != 3 || f.PageSize != 2048 || f.Cmdline != long || f.Name != "horse" || f.End != int64(len(b)) ||
		part(t, f, "vendor_ramdisk") != "vvv" || part(t, f, "dtb") != contents["dtb"] || len(f.Ramdisks) != 1 {
		t.Errorf("vendor_boot: %+v", f)
	}
}

// A recovery image of our own making, version 2, with every part.
func TestRecoveryDTBO(t *testing.T) {
	h := join([]byte("ANDROID!"), le(1, 0, 2, 0, 3, 0, 0, 2048, 2, 9<<25|2<<4|1), fixed("", 1632-48), le(4, 0, 0, 1660, 5, 6, 7))
	img := pad(h, 2048)
	for _, p := range []string{"k", "rr", "sss", "oooo", "ddddd"} {
		img = join(img, pad([]byte(p), 2048))
	}
	f := newFile(t, img)
	if f.OSVersion != "9.0.0" || f.PatchLevel != "2002-01" || part(t, f, "recovery_dtbo") != "oooo" || part(t, f, "dtb") != "ddddd" ||
		part(t, f, "second") != "sss" || f.Parts[4].Addr != 7<<32|6 || f.End != int64(len(img)) {
		t.Errorf("%+v", f)
	}
}

func TestVersion4(t *testing.T) {
	f := newFile(t, makeBoot(4, []byte("kk"), cpio(), "x=1"))
	if f.OSVersion != "13.0.0" || f.PatchLevel != "2023-05" || part(t, f, "kernel") != "kk" || part(t, f, "signature") != "sig" || f.Cmdline != "x=1" {
		t.Errorf("%+v", f)
	}
	// init_boot: no kernel.
	f = newFile(t, makeBoot(4, nil, cpio(entry{name: "init", mode: 0100755}), ""))
	if _, err := f.Kernel(); err == nil || len(f.Ramdisks) != 1 {
		t.Errorf("%+v, %v", f, err)
	}

	b := makeVendor(4096, "androidboot.hardware=horse\n",
		fragment{1, "", cpio(entry{name: "fstab", mode: 0100644, data: "a"})},
		fragment{2, "recovery", cpio(entry{name: "sbin/recovery", mode: 0100755, data: "b"})},
		fragment{3, "dlkm", cpio(entry{name: "lib/m.ko", mode: 0100644, data: "c"})})
	f = newFile(t, b)
	if f.Bootconfig != "androidboot.hardware=horse\n" || f.Cmdline != "vendor=1" || f.Name != "board" || part(t, f, "dtb") != "dtb!" || len(f.Ramdisks) != 3 {
		t.Fatalf("%+v", f)
	}
	for i, want := range []struct{ kind, name, file string }{{"platform", "", "fstab"}, {"recovery", "recovery", "sbin/recovery"}, {"dlkm", "dlkm", "lib/m.ko"}} {
		fr := f.Ramdisks[i]
		d, err := f.OpenRamdisk(fr)
		if err != nil || fr.Type != want.kind || fr.Name != want.name || len(d.Entries) != 1 || d.Entries[0].Name != want.file {
			t.Errorf("%d: %+v, %v", i, fr, err)
		}
	}
	// Bootloaders put the fragments one behind the other: so they read as one.
	s, err := f.Part("vendor_ramdisk")
	if err != nil {
		t.Fatal(err)
	}
	if d, err := NewRamdisk(s, s.Size()); err != nil || len(d.Entries) != 3 || d.Damage != nil {
		t.Errorf("%+v, %v", d, err)
	}
}

// Qualcomm's device trees in a header of version 0, and MediaTek's header before kernel and ramdisk.
func TestVendorHeaders(t *testing.T) {
	mtk := func(name string, b []byte) []byte {
		h := join(le(mediatekMagic, uint32(len(b))), fixed(name, 32))
		return join(h, bytes.Repeat([]byte{0xff}, 512-len(h)), b)
	}
	kernel, ramdisk := mtk("KERNEL", []byte("kk")), mtk("ROOTFS", cpio(entry{name: "init", mode: 0100755}))
	h := join([]byte("ANDROID!"), le(uint32(len(kernel)), 1, uint32(len(ramdisk)), 2, 0, 3, 4, 2048, 7 /* size of dt */, 0), fixed("", 1632-48))
	img := join(pad(h, 2048), pad(kernel, 2048), pad(ramdisk, 2048), pad([]byte("QCDT..."), 2048))
	f := newFile(t, img)
	if f.HeaderVersion != 0 || part(t, f, "dt") != "QCDT..." || part(t, f, "kernel") != "kk" {
		t.Errorf("%+v", f)
	}
	if d, err := f.OpenRamdisk(f.Ramdisks[0]); err != nil || d.Entries[0].Name != "init" {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := NewRamdisk(bytes.NewReader(ramdisk), int64(len(ramdisk))); err != nil || d.Entries[0].Name != "init" {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestBadImage(t *testing.T) {
	vendor := func(change func([]byte)) []byte {
		b := makeVendor(4096, "x", fragment{1, "", []byte("abc")})
		change(b)
		return b
	}
	put := func(off int, v uint32) func([]byte) {
		return func(b []byte) { binary.LittleEndian.PutUint32(b[off:], v) }
	}
	for name, b := range map[string][]byte{
		"nothing":           nil,
		"other magic":       make([]byte, 5000),
		"cut short":         makeBoot(4, nil, nil, "")[:1000],
		"page size":         vendor(put(12, 0)),
		"page size of 1000": vendor(put(12, 1000)),
		"fragment size":     vendor(put(4096*3, 1<<31)),
		"fragment offset":   vendor(put(4096*3+4, 4)),
		"entry count":       vendor(put(2116, 1<<30)),
		"entry size":        vendor(put(2120, 10)),
	} {
		var fe *FormatError
		if f, err := New(bytes.NewReader(b), int64(len(b))); !errors.As(err, &fe) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	if _, err := New(bytes.NewReader(vendor(put(8, 9))), 5*4096); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("version 9: %v", err)
	}
	b := makeBoot(3, make([]byte, 10000), []byte("r"), "")
	f := newFile(t, b[:8192])
	var fe *FormatError
	if _, err := f.Kernel(); !errors.As(err, &fe) || fe.Off != 4096 {
		t.Errorf("kernel cut short: %v", err)
	}
}

func ramdisk(t testing.TB, b []byte) *Ramdisk {
	t.Helper()
	d, err := NewRamdisk(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var tree = []entry{
	{name: ".", mode: 0040755},
	{name: "dev", mode: 0040755},
	{name: "dev/null", mode: 0020666, rmaj: 1, rmin: 3},
	{name: "dev/block", mode: 0060600, rmaj: 179, rmin: 1},
	{name: "init", mode: 0100750, gid: 2000, data: "one"},
	{name: "bin", mode: 0120777, data: "/system/bin"},
	{name: "system", mode: 0040755},
	{name: "system/bin", mode: 0040751, gid: 2000},
	{name: "system/bin/su", mode: 0106755, data: "#!"},
	{name: "up", mode: 0120777, data: "system/../init"},
	{name: "loop", mode: 0120777, data: "loop"},
}

func TestRamdisk(t *testing.T) {
	d := ramdisk(t, cpio(tree...))
	if d.Damage != nil || len(d.Entries) != len(tree) {
		t.Fatalf("%d entries, %v", len(d.Entries), d.Damage)
	}
	for name, want := range map[string]string{"dev/null": "Dcrw-rw-rw-", "dev/block": "Drw-------", "bin": "Lrwxrwxrwx", "system/bin/su": "ugrwxr-xr-x", ".": "drwxr-xr-x"} {
		if st, err := d.Lstat(name); err != nil || st.Mode().String() != want {
			t.Errorf("%s: %v, %v, want %s", name, st, err, want)
		}
	}
	if st, err := d.Stat("init"); err != nil || st.Sys().(*Entry).GID != 2000 || st.Size() != 3 || st.ModTime().Unix() != 1700000000 {
		t.Errorf("%+v, %v", st, err)
	}
	if e := d.Entries[2]; e.Major != 1 || e.Minor != 3 {
		t.Errorf("%+v", e)
	}
	for name, want := range map[string]string{"bin/su": "#!", "up": "one"} {
		if b, err := d.ReadFile(name); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if l, err := d.ReadLink("bin"); err != nil || l != "/system/bin" {
		t.Errorf("%q, %v", l, err)
	}
	for _, name := range []string{"loop", "none", "init/x"} {
		if _, err := d.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain := ramdisk(t, cpio(tree[:10]...))
	if err := fstest.TestFS(plain, "dev/null", "init", "system/bin/su", "bin"); err != nil {
		t.Error(err)
	}
}

// What the kernel makes of archives that follow each other (init/initramfs.c).
func TestRamdiskLater(t *testing.T) {
	first := cpio(
		entry{name: "a", mode: 0100644, data: "old"},
		entry{name: "d", mode: 0040700},
		entry{name: "d/kept", mode: 0100644, data: "kept"},
		entry{name: "lib", mode: 0120777, data: "system/lib"},
		entry{name: "system/lib", mode: 0040755},
		entry{name: "gone", mode: 0040755},
		entry{name: "gone/file", mode: 0100644},
	)
	second := cpio(
		entry{name: "/a", mode: 0100600, data: "new"},
		entry{name: "./d", mode: 0040755},
		entry{name: "lib/x.ko", mode: 0100644, data: "module"},
		entry{name: "gone", mode: 0100644, data: "file now"},
		entry{name: ".", mode: 0100644, data: "no root"},
		entry{name: "../../out", mode: 0100644, data: "in"},
		entry{name: "no\xff\xfeutf8", mode: 0100644, data: "bytes"},
	)
	d := ramdisk(t, join(first, make([]byte, 508), second, make([]byte, 4)))
	if d.Damage != nil {
		t.Fatal(d.Damage)
	}
	for name, want := range map[string]string{"a": "new", "d/kept": "kept", "system/lib/x.ko": "module", "lib/x.ko": "module", "gone": "file now", "out": "in", "no\xff\xfeutf8": "bytes"} {
		if b, err := d.ReadFile(name); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if st, _ := d.Stat("d"); st.Mode().Perm() != 0755 {
		t.Errorf("d: %v", st.Mode())
	}
	var over []string
	for _, e := range d.Entries {
		if e.Overridden {
			over = append(over, e.Name)
		}
	}
	// lib/x.ko stands at another name: through the link.
	if want := []string{"a", "d", "gone", "gone/file", "."}; !reflect.DeepEqual(over, want) {
		t.Errorf("overridden: %q, want %q", over, want)
	}
}

// Contents come with the first name (the kernel's own gen_init_cpio) or the last (GNU cpio).
func TestHardLinks(t *testing.T) {
	for _, data := range [][3]string{{"x", "", ""}, {"", "", "x"}} {
		d := ramdisk(t, join(cpio(
			entry{name: "a", mode: 0100644, ino: 7, nlink: 3, data: data[0]},
			entry{name: "b", mode: 0100644, ino: 7, nlink: 3, data: data[1]},
			entry{name: "c", mode: 0100644, ino: 7, nlink: 3, data: data[2]},
		), cpio(entry{name: "other", mode: 0100644, ino: 7, nlink: 3, data: "y"})))
		for _, name := range []string{"a", "b", "c"} {
			if b, err := d.ReadFile(name); err != nil || string(b) != "x" {
				t.Errorf("%v: %s is %q, %v", data, name, b, err)
			}
		}
		if b, _ := d.ReadFile("other"); string(b) != "y" {
			t.Errorf("an inode of another archive: %q", b)
		}
	}
}

var packers = map[string][]string{
	"gzip": {"gzip", "-c"}, "lz4": {"lz4", "-l", "-c"}, "xz": {"xz", "-c", "--check=crc32"}, "lzma": {"xz", "-c", "--format=lzma"},
	"zstd": {"zstd", "-c"}, "bzip2": {"bzip2", "-c"},
}

func TestPackings(t *testing.T) {
	for kind, cmd := range packers {
		t.Run(kind, func(t *testing.T) {
			n := 20000
			if kind == "lz4" {
				n = 400000 // more than a chunk
			}
			files := cpio(entry{name: "f", mode: 0100644, data: strings.Repeat("some words, some more; ", n)})
			b := run(t, files, cmd[0], cmd[1:]...)
			d := ramdisk(t, b)
			if d.Damage != nil || len(d.Entries) != 1 || len(d.Entries[0].Data()) != 23*n || d.Segments[0] != (Segment{0, int64(len(b)), kind, int64(len(files))}) {
				t.Errorf("%d entries, %+v, %v", len(d.Entries), d.Segments, d.Damage)
			}
			// As a vendor's ramdisk and the generic one behind it; bzip2 takes what follows for its own.
			if kind == "bzip2" {
				return
			}
			more := run(t, cpio(entry{name: "g", mode: 0100644, data: "g"}), "gzip", "-c")
			d = ramdisk(t, join(b, make([]byte, 12), more))
			if d.Damage != nil || len(d.Entries) != 2 || len(d.Segments) != 2 {
				t.Errorf("with another behind it: %d entries, %+v, %v", len(d.Entries), d.Segments, d.Damage)
			}
			// Cut short, what came before counts.
			d, err := NewRamdisk(bytes.NewReader(b[:len(b)-len(b)/4]), int64(len(b)-len(b)/4))
			if err == nil && d.Damage == nil {
				t.Error("a stream cut short has no damage")
			}
		})
	}
}

func TestBadRamdisk(t *testing.T) {
	good := cpio(entry{name: "first", mode: 0100644, data: "1"})
	for name, tail := range map[string][]byte{
		"junk":          []byte("junk"),
		"half a header": []byte("070701"),
		"a huge file":   []byte("070701" + strings.Repeat("f", 104)),
		"lzo":           []byte("\x89LZO..."),
		"the old form":  []byte("070707" + strings.Repeat("0", 104)),
	} {
		d := ramdisk(t, join(good, tail))
		if d.Damage == nil || len(d.Entries) != 1 {
			t.Errorf("%s: %d entries, %v", name, len(d.Entries), d.Damage)
		}
		if unread := name == "lzo" || name == "the old form"; errors.Is(d.Damage, errors.ErrUnsupported) != unread {
			t.Errorf("%s: %v", name, d.Damage)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, 100), []byte("junk")} {
		var fe *FormatError
		if d, err := NewRamdisk(bytes.NewReader(b), int64(len(b))); !errors.As(err, &fe) {
			t.Errorf("%q: %+v, %v", b, d, err)
		}
	}
	// A size that the file does not have.
	if _, err := NewRamdisk(bytes.NewReader(good), 400<<20); err == nil {
		t.Error("400 MB in a small file")
	}
}

func TestCpioProgram(t *testing.T) {
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("cpio is not installed")
	}
	dir := t.TempDir()
	for name, data := range map[string]string{"a": "contents of a", "sub/b": strings.Repeat("b", 5000), "empty": ""} {
		p := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(p), 0o755)
		if err := os.WriteFile(p, []byte(data), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "z")); err != nil {
		t.Fatal(err)
	}
	os.Symlink("a", filepath.Join(dir, "link"))
	cmd := exec.Command("sh", "-c", "find . | LC_ALL=C sort | cpio --quiet -o -H newc")
	cmd.Dir = dir
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	d := ramdisk(t, b)
	if err := fstest.TestFS(d, "a", "sub/b", "empty", "z", "link"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"a", "sub/b", "empty", "z", "link"} {
		want, _ := os.ReadFile(filepath.Join(dir, name))
		if got, err := d.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

const linux = "Linux version 4.19.191-g1a2b (build@host) (clang version 11) #1 SMP PREEMPT Mon May 1 00:00:00 UTC 2023"

// kernel makes an arm64 Image that holds a banner and a configuration.
func kernel(t testing.TB) []byte {
	b := make([]byte, 64)
	copy(b[0x38:], "ARM\x64")
	b = append(b, "%s version %s\x00Linux version %s\x00junk\x1f\x8b\x08\x00"...)
	b = append(b, linux+"\n\x00"...)
	b = append(b, "IKCFG_ST"...)
	b = append(b, run(t, []byte("CONFIG_MODULES=y\n# CONFIG_DEVMEM is not set\nCONFIG_LOCALVERSION=\"-g1a2b\"\n"), "gzip", "-nc")...)
	return append(b, "IKCFG_ED and more"...)
}

func TestKernel(t *testing.T) {
	plain := kernel(t)
	zImage := make([]byte, 0x28+5000)
	binary.LittleEndian.PutUint32(zImage[0x24:], 0x016f2818)
	copy(zImage[100:], "\x1f\x8b\x08\x00 only looks like it")
	for kind, b := range map[string][]byte{
		"": plain, "gzip": run(t, plain, "gzip", "-c"), "lz4": run(t, plain, "lz4", "-l", "-c"), "xz": run(t, plain, "xz", "--arm", "--lzma2", "-c"),
	} {
		for how, b := range map[string][]byte{
			"as it is": b, "with a device tree behind": join(b, []byte("\xd0\x0d\xfe\xed and so on")), "in a zImage": join(zImage, b),
			"in an EFI image": join([]byte("MZ\x00\x00zimg"), le(24, uint32(len(b)), 0, 0), b),
		} {
			k, err := NewKernel(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(kind, how, err)
			}
			if k.Banner != linux || k.Version != "4.19.191-g1a2b" || k.Option("CONFIG_MODULES") != "y" || k.Option("CONFIG_LOCALVERSION") != "-g1a2b" || k.Option("CONFIG_DEVMEM") != "" {
				t.Errorf("%q %s: %+v", kind, how, k)
			}
			if k.Packing != kind || kind != "" && k.Arch != "arm64" {
				t.Errorf("%q %s: packing %q, arch %q", kind, how, k.Packing, k.Arch)
			}
		}
	}
	if k, err := NewKernel(bytes.NewReader(make([]byte, 100)), 100); err != nil || k.Banner != "" || k.Config != "" {
		t.Errorf("%+v, %v", k, err)
	}
}

func TestDTBO(t *testing.T) {
	b := join(be(dtboMagic, 0, 32, 32, 2, 32, 2048, 1),
		be(4, 96, 7, 1, 2, 0xa, 0xb, 0xc), be(3, 100, 8, 2, 0, 0, 0, 0), []byte("aaaabbb"))
	d, err := NewDTBO(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if want := []DTBOEntry{{96, 4, 7, 1, [4]uint32{2, 0xa, 0xb, 0xc}, "gzip"}, {100, 3, 8, 2, [4]uint32{}, ""}}; !reflect.DeepEqual(d.Entries, want) {
		t.Errorf("%+v", d)
	}
	var fe *FormatError
	if _, err := NewDTBO(bytes.NewReader(b), int64(len(b))-1); !errors.As(err, &fe) || fe.Off != 64 {
		t.Errorf("cut short: %v", err)
	}
	binary.BigEndian.PutUint32(b[16:], 1<<31)
	if _, err := NewDTBO(bytes.NewReader(b), int64(len(b))); !errors.As(err, &fe) {
		t.Errorf("2^31 entries: %v", err)
	}
}

func vbmeta(t testing.TB, b []byte) *VBMeta {
	t.Helper()
	v, err := NewVBMeta(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVBMeta(t *testing.T) {
	key := avbKey(&testKey().PublicKey)
	image := bytes.Repeat([]byte("partition"), 1000)
	salt := []byte("salt")
	sum := sha256.Sum256(append(bytes.Clone(salt), image...))
	sum512 := sha512.Sum512(append(bytes.Clone(salt), image...))
	descriptors := [][]byte{
		property("com.android.build.boot.security_patch", "2023-05-05"),
		hashDescriptor("boot", "sha256", len(image), salt, sum[:], 1),
		hashDescriptor("dtbo", "sha512", len(image), salt, sum512[:], 0),
		hashDescriptor("kept", "sha256", len(image), nil, nil, 0),
		cmdlineDescriptor(1, "dm=\"1 vroot\""),
		chainDescriptor("vbmeta_system", 2, key),
		descriptor(99, []byte("what is to come")),
	}
	for alg := Algorithm(1); alg <= 4; alg += 3 { // SHA256_RSA2048, SHA512_RSA2048
		b := makeVBMeta(alg, 3, 1683244800, descriptors...)
		v := vbmeta(t, append(bytes.Clone(b), make([]byte, 5000)...))
		if v.Size != int64(len(b)) || v.RequiredVersion != "1.2" || v.RollbackIndex != 1683244800 || v.RollbackLocation != 3 || !v.HashtreeDisabled() ||
			!v.VerificationDisabled() || v.Release != "avbtool 1.3.0" || !bytes.Equal(v.PublicKey, key) || v.Algorithm != alg {
			t.Errorf("%+v", v)
		}
		if err := v.Verify(); err != nil {
			t.Error(err)
		}
		if len(v.Properties) != 1 || string(v.Properties[0].Value) != "2023-05-05" || v.Properties[0].Key != "com.android.build.boot.security_patch" ||
			len(v.Hashes) != 3 || v.Hashes[0].Partition != "boot" || !v.Hashes[0].DoNotUseAB || v.Hashes[1].DoNotUseAB ||
			len(v.Cmdlines) != 1 || v.Cmdlines[0].Flags != 1 || v.Cmdlines[0].Cmdline != "dm=\"1 vroot\"" ||
			len(v.Chains) != 1 || v.Chains[0].Partition != "vbmeta_system" || v.Chains[0].RollbackLocation != 2 || !bytes.Equal(v.Chains[0].PublicKey, key) ||
			!reflect.DeepEqual(v.Unknown, []uint64{99}) {
			t.Errorf("%+v", v)
		}
		for i := range 2 {
			if err := VerifyHash(&v.Hashes[i], bytes.NewReader(image)); err != nil {
				t.Error(err)
			}
			bad := bytes.Clone(image)
			bad[0] ^= 1
			if err := VerifyHash(&v.Hashes[i], bytes.NewReader(bad)); !errors.Is(err, ErrMismatch) {
				t.Errorf("altered: %v", err)
			}
		}
		var fe *FormatError
		if err := VerifyHash(&v.Hashes[0], bytes.NewReader(image[1:])); !errors.As(err, &fe) || fe.Off != v.Hashes[0].Off {
			t.Errorf("short: %v", err)
		}
		if err := VerifyHash(&v.Hashes[2], bytes.NewReader(image)); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("kept elsewhere: %v", err)
		}
		// Every byte that is signed counts.
		for _, at := range []int{8, 115, 120, 130, len(b) - 1, int(v.aux)} {
			bad := bytes.Clone(b)
			bad[at] ^= 0x10
			if v, err := NewVBMeta(bytes.NewReader(bad), int64(len(bad))); err == nil && !errors.Is(v.Verify(), ErrMismatch) {
				t.Errorf("verifies with byte %d altered", at)
			}
		}
	}
	if err := vbmeta(t, makeVBMeta(0, 0, 0)).Verify(); err != ErrUnsigned {
		t.Errorf("algorithm NONE: %v", err)
	}
	b := makeVBMeta(1, 0, 0)
	b[31] = 9
	if err := vbmeta(t, b).Verify(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("algorithm 9: %v", err)
	}
	// libavb would compute with the wrong values.
	bad := bytes.Clone(key)
	bad[7] ^= 1
	var fe *FormatError
	if _, err := ParseKey(bad); !errors.As(err, &fe) {
		t.Errorf("key with another n0inv: %v", err)
	}
	sum256, sum1 := KeyFingerprints(key)
	if sum256 != sha256.Sum256(key) || len(sum1) != 20 {
		t.Error("fingerprints")
	}
}

func TestVBMetaDigest(t *testing.T) {
	a, b := makeVBMeta(1, 0, 0, property("a", "1")), makeVBMeta(0, 0, 0, property("b", "2"))
	want := sha256.Sum256(join(a, b))
	if got := VBMetaDigest(crypto.SHA256, vbmeta(t, append(bytes.Clone(a), 1, 2, 3)), vbmeta(t, b)); !bytes.Equal(got, want[:]) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestFooter(t *testing.T) {
	image := bytes.Repeat([]byte{1, 2, 3, 4}, 300<<10)
	salt := []byte("salt of a tree")
	tree, root, err := verity.Tree(bytes.NewReader(image), int64(len(image)), 4096, salt, sha256.New())
	if err != nil {
		t.Fatal(err)
	}
	meta := makeVBMeta(1, 0, 0, treeDescriptor("system", "sha256", len(image), len(tree), salt, root), treeDescriptor("system", "blake2b-256", 0, 0, nil, nil))
	b := join(image, tree)
	at := len(b)
	b = pad(join(b, meta), 4096)
	b = join(b, make([]byte, 4096-64), []byte("AVBf"), be(1, 0), be64(uint64(len(image)), uint64(at), uint64(len(meta))), make([]byte, 28))
	f, v, err := NewFooter(bytes.NewReader(b), int64(len(b)))
	if err != nil || f.OriginalSize != int64(len(image)) || v.Off != int64(at) || v.Verify() != nil {
		t.Fatalf("%+v, %+v, %v", f, v, err)
	}
	h := &v.Hashtrees[0]
	if h.Partition != "system" || !h.CheckAtMost1 || h.DoNotUseAB || binary.BigEndian.Uint64(b[h.Off:]) != 1 {
		t.Errorf("%+v", h)
	}
	if err := VerifyHashtree(h, bytes.NewReader(b)); err != nil {
		t.Error(err)
	}
	if err := VerifyHashtree(&v.Hashtrees[1], bytes.NewReader(b)); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("blake2b: %v", err)
	}
	huge := *h
	huge.ImageSize = 1 << 50
	var fe *FormatError
	if err := VerifyHashtree(&huge, bytes.NewReader(b)); !errors.As(err, &fe) {
		t.Errorf("a petabyte: %v", err)
	}
	bad := bytes.Clone(b)
	binary.BigEndian.PutUint64(bad[len(bad)-64+20:], 1<<40)
	if f, _, err := NewFooter(bytes.NewReader(bad), int64(len(bad))); f != nil || !errors.As(err, &fe) {
		t.Errorf("vbmeta elsewhere: %+v, %v", f, err)
	}
}

func TestBadVBMeta(t *testing.T) {
	for name, d := range map[string][]byte{
		"longer than there is": be64(0, 800),
		"property key":         descriptor(0, be64(1<<60, 0)),
		"property too short":   descriptor(0, be64(0)),
		"hash tree too short":  descriptor(1, make([]byte, 100)),
		"hash name":            descriptor(2, make([]byte, 40), be(1<<31), make([]byte, 72)),
		"chain key":            descriptor(4, be(0, 0, 1000, 0), make([]byte, 60)),
	} {
		b := makeVBMeta(0, 0, 0, d)
		var fe *FormatError
		if v, err := NewVBMeta(bytes.NewReader(b), int64(len(b))); !errors.As(err, &fe) || fe.Off != 256 {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	b := makeVBMeta(1, 0, 0)
	for _, at := range []int{12, 20, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104} { // sizes and offsets
		bad := bytes.Clone(b)
		bad[at] = 0xff
		var fe *FormatError
		if v, err := NewVBMeta(bytes.NewReader(bad), int64(len(bad))); !errors.As(err, &fe) {
			t.Errorf("field at %d: %+v, %v", at, v, err)
		}
	}
}

// A signature of Android 5 to 7 of our own making, with the attributes that BootSignature.java writes.
func TestBootSignature(t *testing.T) {
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "verity"}}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, testKey().Public(), testKey())
	if err != nil {
		t.Fatal(err)
	}
	img := makeBoot(3, []byte("kernel"), cpio(), "")
	type attributes struct {
		Target string `asn1:"printable"`
		Length int
	}
	attr := attributes{"/recovery", len(img)}
	der, err := asn1.Marshal(attr)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(join(img, der))
	sig, err := testKey().Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := asn1.Marshal(struct {
		Format int
		Cert   asn1.RawValue
		Alg    pkix.AlgorithmIdentifier
		Attr   attributes
		Sig    []byte
	}{1, asn1.RawValue{FullBytes: cert}, pkix.AlgorithmIdentifier{Algorithm: oidSHA256RSA}, attr, sig})
	if err != nil {
		t.Fatal(err)
	}
	f := newFile(t, pad(join(img, whole), 4096))
	s, err := f.BootSignature()
	if err != nil || s.Target != "/recovery" || s.Length != f.End || s.Certificate.Subject.CommonName != "verity" {
		t.Fatalf("%+v, %v", s, err)
	}
	if err := s.Verify(); err != nil {
		t.Error(err)
	}
	img[5000] ^= 1
	s, err = newFile(t, join(img, whole)).BootSignature()
	if err != nil || !errors.Is(s.Verify(), ErrMismatch) {
		t.Errorf("altered: %v", err)
	}
	if s, err := newFile(t, img).BootSignature(); s != nil || err != nil {
		t.Errorf("none: %v, %v", s, err)
	}
}

func FuzzNew(f *testing.F) {
	f.Add(makeBoot(4, []byte("kk"), cpio(tree...), "x"))
	f.Add(makeVendor(2048, "a=b\n", fragment{1, "", cpio(tree[:3]...)}, fragment{2, "recovery", cpio()}))
	f.Add(join([]byte("ANDROID!"), le(9, 1, 9, 2, 9, 3, 4, 2048, 2, 0), fixed("", 1600), le(5, 0, 0, 1660, 5, 0, 0), make([]byte, 12<<10)))
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := New(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, p := range img.Parts {
			if s, err := img.Part(p.Name); err == nil && s.Size() > int64(len(b)) {
				t.Fatalf("%s has %d bytes", p.Name, s.Size())
			}
		}
		for _, fr := range img.Ramdisks {
			img.OpenRamdisk(fr)
		}
		img.Kernel()
		if s, _ := img.BootSignature(); s != nil {
			s.Verify()
		}
	})
}

func FuzzRamdisk(f *testing.F) {
	f.Add(cpio(tree...))
	for _, cmd := range packers {
		if _, err := exec.LookPath(cmd[0]); err == nil {
			f.Add(run(f, cpio(tree[:5]...), cmd[0], cmd[1:]...))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := NewRamdisk(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		n := 0
		err = fs.WalkDir(d, ".", func(name string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if n++; n > 2000 {
				return fs.SkipAll
			}
			if _, err := d.Lstat(name); err != nil {
				return err
			}
			if e.Type().IsRegular() {
				_, err = d.ReadFile(name)
			} else {
				d.Stat(name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzKernel(f *testing.F) {
	f.Add(kernel(f))
	f.Add(run(f, kernel(f), "gzip", "-c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := NewKernel(bytes.NewReader(b), int64(len(b)))
		if err == nil && (k.Banner == "") != (k.Version == "") {
			t.Fatalf("%+v", k)
		}
	})
}

func FuzzVBMeta(f *testing.F) {
	f.Add(makeVBMeta(1, 0, 0, property("a", "b"), hashDescriptor("boot", "sha256", 100, []byte("s"), make([]byte, 32), 0)))
	f.Add(makeVBMeta(0, 0, 0, treeDescriptor("x", "sha256", 4096, 0, nil, make([]byte, 32)), chainDescriptor("y", 1, []byte("key")), cmdlineDescriptor(1, "z")))
	f.Add(join(make([]byte, 64), []byte("AVBf"), be(1, 0), be64(0, 0, 0), make([]byte, 28)))
	f.Add(join(be(dtboMagic, 0, 32, 32, 1, 32, 2048, 0), be(4, 64, 7, 1, 2, 0, 0, 0), []byte("aaaa")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		NewDTBO(r, int64(len(b)))
		_, foot, _ := NewFooter(r, int64(len(b)))
		v, _ := NewVBMeta(r, int64(len(b)))
		for _, v := range []*VBMeta{foot, v} {
			if v == nil {
				continue
			}
			v.Verify()
			VBMetaDigest(crypto.SHA256, v)
			for i := range v.Hashes {
				VerifyHash(&v.Hashes[i], r)
			}
			for i := range v.Hashtrees {
				VerifyHashtree(&v.Hashtrees[i], r)
			}
		}
	})
}
