package evidence

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
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
	"syscall"
	"testing"

	mk "gifthorse/internal/make"

	"golang.org/x/sys/unix"
)

// run runs a tool of Debian's, or skips the test where it is not installed.
func run(t testing.TB, pkg, name string, args ...string) {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		if p = "/usr/sbin/" + name; exec.Command("test", "-x", p).Run() != nil {
			t.Skipf("no %s on this machine (Debian: %s)", name, pkg)
		}
	}
	if out, err := exec.Command(p, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// mkfs makes a file system of a folder: "ext4", "f2fs", "squashfs", or "erofs" with the algorithm that compresses.
func mkfs(t testing.TB, dir, kind string, args ...string) []byte {
	t.Helper()
	img := filepath.Join(t.TempDir(), "made.img")
	switch kind {
	case "squashfs":
		run(t, "squashfs-tools", "mksquashfs", append([]string{dir, img, "-noappend", "-no-progress", "-quiet"}, args...)...)
	case "f2fs":
		if err := os.WriteFile(img, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		size := int64(128 << 20)
		if os.Getenv("GIFTHORSE_IMAGES") != "" { // see TestPhoneImages: F2FS keeps much of its room back
			size = 512 << 20
		}
		if err := os.Truncate(img, size); err != nil {
			t.Fatal(err)
		}
		run(t, "f2fs-tools", "mkfs.f2fs", append(args, "-f", "-q", img)...)
		run(t, "f2fs-tools", "sload.f2fs", "-f", dir, "-t", "/", "-P", img)
	case "ext4":
		var n int64
		filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if st, err := d.Info(); err == nil {
				n += st.Size() + 8192
			}
			return nil
		})
		run(t, "e2fsprogs", "mkfs.ext4", append(args, "-q", "-d", dir, img, fmt.Sprintf("%dk", n*5/4>>10+1024))...)
	default:
		run(t, "erofs-utils", "mkfs.erofs", append(args, "--quiet", img, dir)...)
	}
	return must[[]byte](t)(os.ReadFile(img))
}

// systemFolder makes the contents of a system partition with files of many kinds.
func systemFolder(t testing.TB) string {
	t.Helper()
	dir := makeFolder(t, filepath.Join(t.TempDir(), "system"), append(files(
		"build.prop", "app/A/A.apk", "priv-app/B/B.apk", "framework/f.jar", "etc/hosts", "bin/sh", "bin/su", "bin/ls -> toybox", "bin/toybox",
		"vendor -> /vendor", "etc/abs -> /vendor/etc/v", "lib/deep/er/and/deeper/l.so", "etc/empty dir/name with spaces"),
		member{"empty", ""}, member{"fonts/large.ttf", string(bytesOf(3<<20, 1))}, member{"media/zeros", strings.Repeat("\x00", 300<<10)},
		member{"media/text", strings.Repeat("a text that can be compressed ", 20000)}))
	for name, mode := range map[string]fs.FileMode{"bin/sh": 0o755, "bin/su": 0o750 | fs.ModeSetuid, "etc/hosts": 0o600} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	os.Chown(filepath.Join(dir, "bin/sh"), 0, 2000) // needs root, without which all belong to one
	if err := os.Link(filepath.Join(dir, "bin/toybox"), filepath.Join(dir, "bin/second")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func bytesOf(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	r.Read(b)
	return b
}

// describe tells all of the files below a directory of a phone: what must be the same in a folder and an image.
// Owners in a folder are the disk's.
func describe(t testing.TB, e *Evidence, under string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range e.Under(under) {
		uid, gid := f.UID, f.GID
		if d, ok := blobSource(f).(diskFile); ok {
			st := must[fs.FileInfo](t)(os.Lstat(string(d)))
			uid, gid = int(st.Sys().(*syscall.Stat_t).Uid), int(st.Sys().(*syscall.Stat_t).Gid)
		}
		if f.Link != "" {
			out[f.Path] = "link " + f.Link
			continue
		}
		sum, err := f.SHA256()
		if err != nil {
			t.Errorf("%s: %v", f.Ref, err)
		}
		data, err := f.Data()
		if err != nil || int64(len(data)) != f.Size {
			t.Errorf("%s has %d bytes of %d, %v", f.Ref, len(data), f.Size, err)
		}
		out[f.Path] = fmt.Sprintf("%v %d:%d %d %x %x", f.Mode, uid, gid, f.Size, sum[:8], crc(data))
	}
	return out
}

func blobSource(f *File) source {
	if f.blob == nil {
		return nil
	}
	return f.blob.src
}

func crc(b []byte) (n uint32) {
	for _, c := range b {
		n = n*31 + uint32(c)
	}
	return n
}

func wantSame(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	for p, w := range want {
		if got[p] != w {
			t.Errorf("%s: %s is %q, want %q", what, p, got[p], w)
		}
	}
	for p := range got {
		if _, ok := want[p]; !ok {
			t.Errorf("%s: %s is too much", what, p)
		}
	}
}

func stored(h *zip.FileHeader) { h.Method = zip.Store }

// TestSystemImage opens a system partition as a folder and in every form in which firmware has it.
func TestSystemImage(t *testing.T) {
	dir := systemFolder(t)
	want := describe(t, mustOpen(t, dir), "/system")
	if len(want) < 15 {
		t.Fatalf("the folder is %v", want)
	}
	ext4 := mkfs(t, dir, "ext4")
	plain := mkfs(t, dir, "erofs")
	lz4 := mkfs(t, dir, "erofs", "-zlz4")
	super := must[[]byte](t)(mk.Super(mk.Image{Name: "system_b"}, mk.Image{Name: "vendor_a"}, mk.Image{Name: "system_a", Data: ext4}))
	superLZ4 := must[[]byte](t)(mk.Super(mk.Image{Name: "system", Data: lz4}))
	zipOf := func(edit func(*zip.FileHeader), list ...member) []byte { return makeZip(t, list, edit) }
	deflated := func(*zip.FileHeader) {}

	for _, c := range []struct {
		name string
		b    []byte
		at   string // of build.prop
	}{
		{"system.img", ext4, "system.img!build.prop"},
		{"system_a.img", plain, "system_a.img!build.prop"},
		{"anything", lz4, "anything!build.prop"},
		{"system.img", mk.Sparse(ext4, 1)[0], "system.img!build.prop"},
		{"system.img.gz", gz(ext4), "system.img.gz!system.img!build.prop"},
		{"super.img", super, "super.img!system_a!build.prop"},
		{"super.img", mk.Sparse(super, 1)[0], "super.img!system_a!build.prop"},
		{"super.img", mk.Sparse(superLZ4, 1)[0], "super.img!system!build.prop"},
		{"fw.zip", zipOf(stored, member{"image/system.img", string(ext4)}), "fw.zip!image/system.img!build.prop"},
		{"fw.zip", zipOf(deflated, member{"image.zip", string(zipOf(deflated, member{"system.img", string(mk.Sparse(ext4, 1)[0])}))}), "fw.zip!image.zip!system.img!build.prop"},
		{"fw.tgz", gz(makeTar(t, []member{{"images/super.img", string(mk.Sparse(super, 1)[0])}})), "fw.tgz!images/super.img!system_a!build.prop"},
		{"pieces.zip", zipOf(stored, pieces("super.img_sparsechunk.%d", mk.Sparse(super, 12))...), "pieces.zip!super.img_sparsechunk.0!system_a!build.prop"},
		{"pieces.zip", zipOf(stored, pieces("x/system_%d.img", mk.Sparse(lz4, 3))...), "pieces.zip!x/system_0.img!build.prop"},
		{"fw.zip", zipOf(stored, pieces("system.img_sparsechunk.%d", mk.Sparse(ext4, 11))...), "fw.zip!system.img_sparsechunk.0!build.prop"},
		{"AP_X.tar.md5", append(makeTar(t, []member{{"super.img.lz4", string(lz4Frame(mk.Sparse(super, 1)[0]))}}), "0123456789abcdef0123456789abcdef  AP_X.tar\n"...), "AP_X.tar.md5!super.img.lz4!super.img!system_a!build.prop"},
		{"system.img.lz4", lz4Frame(ext4), "system.img.lz4!system.img!build.prop"},
		{"fw.tar.lz4", lz4Frame(makeTar(t, []member{{"system.img", string(plain)}})), "fw.tar.lz4!system.img!build.prop"},
		{"devices.zip", zipOf(stored, devices(t, "super_%s.img", ext4, true)...), "devices.zip!super_system.img!system_a!build.prop"},
		{"devices.zip", zipOf(stored, devices(t, "dump/%s", ext4, false)...), "devices.zip!dump/system!system_a!build.prop"},
		{"disk.bin", disk(super), "disk.bin!super!system_a!build.prop"},
		{"ota.zip", zipOf(stored, member{"payload.bin", string(makePayload(t, "system", ext4))}), "ota.zip!payload.bin!system!build.prop"},
		{"ota.zip", zipOf(deflated, member{"system.new.dat", string(pad(ext4))}, member{"system.transfer.list", transferList(ext4)}, member{"system.patch.dat", ""}), "ota.zip!system.new.dat!build.prop"},
		{"fw.zip", zipOf(stored, member{"system_b.img", string(lz4)}, member{"system_a.img", string(ext4)}), "fw.zip!system_a.img!build.prop"},
	} {
		e := mustOpenBytes(t, c.name, c.b)
		got := describe(t, e, "/system")
		wantSame(t, c.at, got, want)
		if f := e.File("/system/build.prop"); f == nil || f.Ref.String() != c.at {
			t.Errorf("%s: build.prop is %+v", c.at, f)
		}
		for _, g := range e.Gaps() {
			name := g.At.Names()
			switch last := name[len(name)-1]; {
			case last == "vendor" || last == "etc/abs": // links to a partition that is not there
			case strings.Contains(c.at, "system_a.img!") && strings.HasPrefix(g.Detail, "the second slot's tree for /system; the first slot is read"):
			default:
				t.Errorf("%s: gap %v", c.at, g)
			}
		}
		if rootPaths(e) != "/system" {
			t.Errorf("%s: roots %s", c.at, rootPaths(e))
		}
		for _, f := range append(slices.Clone(e.Files()), e.Outside()...) {
			roundTrip(t, f.Ref)
		}
	}
}

// TestFlashFileSystems opens a system partition as an image of the file systems that not every phone has.
func TestFlashFileSystems(t *testing.T) {
	dir := systemFolder(t)
	want := describe(t, mustOpen(t, dir), "/system")
	for _, kind := range []string{"squashfs", "f2fs"} {
		t.Run(kind, func(t *testing.T) {
			img := mkfs(t, dir, kind)
			super := must[[]byte](t)(mk.Super(mk.Image{Name: "system_a", Data: img}))
			for _, c := range []struct {
				name string
				b    []byte
				at   string // of build.prop
			}{
				{"system.img", img, "system.img!build.prop"},
				{"anything", mk.Sparse(img, 1)[0], "anything!build.prop"},
				{"fw.zip", makeZip(t, []member{{"super.img", string(mk.Sparse(super, 1)[0])}}), "fw.zip!super.img!system_a!build.prop"},
			} {
				e := mustOpenBytes(t, c.name, c.b)
				wantSame(t, c.at, describe(t, e, "/system"), want)
				if f := e.File("/system/build.prop"); f == nil || f.Ref.String() != c.at || !f.HasOwner {
					t.Errorf("%s: build.prop is %+v", c.at, f)
				}
				if rootPaths(e) != "/system" {
					t.Errorf("%s: roots %s", c.at, rootPaths(e))
				}
				for _, g := range e.Gaps() {
					if name := g.At.Names(); g.Reason != Absent || name[len(name)-1] != "vendor" && name[len(name)-1] != "etc/abs" { // links to a partition that is not there
						t.Errorf("%s: gap %v", c.at, g)
					}
				}
				for _, f := range append(slices.Clone(e.Files()), e.Outside()...) {
					roundTrip(t, f.Ref)
				}
			}
		})
	}
	// By what it holds it is a data partition.
	data := makeFolder(t, t.TempDir(), files("app/x/base.apk", "data/c/x", "misc/m", "system/packages.xml", "user/0/x"))
	if e := mustOpenBytes(t, "x", mkfs(t, data, "f2fs")); rootPaths(e) != "/data" || e.File("/data/app/x/base.apk") == nil {
		t.Errorf("roots %s, files %q", rootPaths(e), phonePaths(e))
	}
	cut := mkfs(t, data, "f2fs")
	e := mustOpenBytes(t, "userdata.img", cut[:len(cut)-1<<20])
	if e.File("/data/misc/m") == nil || !slices.ContainsFunc(e.Gaps(), func(g Gap) bool { return g.Reason == CutShort }) {
		t.Errorf("cut short: files %q, gaps %v", phonePaths(e), e.Gaps())
	}
}

func pieces(format string, list [][]byte) (out []member) {
	for i, p := range list {
		out = append(out, member{fmt.Sprintf(format, i), string(p)})
	}
	slices.Reverse(out) // the order of names in a zip means nothing
	return out
}

func pad(b []byte) []byte { return append(bytes.Clone(b), make([]byte, -len(b)&4095)...) }

// lz4Frame packs b as Samsung does, though without making it smaller: blocks of literals only.
func lz4Frame(b []byte) []byte {
	out := []byte("\x04\x22\x4d\x18\x60\x40\x82") // independent blocks of 64 KiB
	for ; len(b) > 0; b = b[min(len(b), 64<<10):] {
		piece := b[:min(len(b), 64<<10)]
		out = binary.LittleEndian.AppendUint32(out, 1<<31|uint32(len(piece)))
		out = append(out, piece...)
	}
	return append(out, 0, 0, 0, 0)
}

// devices makes a super partition on the devices of a phone that got it in an update, with the system on the second.
func devices(t testing.TB, format string, system []byte, sparse bool) (out []member) {
	parts := []mk.Partition{{Name: "other_a", Size: 4096}, {Name: "system_a", Size: int64(len(system)), Device: 1}}
	head := must[[]byte](t)(mk.Metadata([]string{"system", "vendor"}, parts))
	first := append(head, make([]byte, 4096)...)
	second := append(make([]byte, parts[1].At), pad(system)...)
	for name, b := range map[string][]byte{"system": first, "vendor": second} {
		if sparse {
			b = mk.Sparse(b, 1)[0]
		}
		out = append(out, member{fmt.Sprintf(format, name), string(b)})
	}
	slices.SortFunc(out, func(a, b member) int { return strings.Compare(b.name, a.name) }) // what it needs comes first
	return out
}

// disk makes a disk with one partition, super, by UEFI's specification 2.10, 5.3. Its table has no copy.
func disk(super []byte) []byte {
	const sector, first = 512, 40
	b := make([]byte, first*sector)
	le := binary.LittleEndian
	copy(b[sector:], "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00")
	end := first + len(super)/sector
	for off, v := range map[int]int{24: 1, 32: end, 40: first, 48: end - 1, 72: 2} {
		le.PutUint64(b[sector+off:], uint64(v))
	}
	le.PutUint32(b[sector+80:], 1)
	le.PutUint32(b[sector+84:], 128)
	ent := b[2*sector:]
	ent[0], ent[16] = 1, 1 // type and ID
	le.PutUint64(ent[32:], first)
	le.PutUint64(ent[40:], uint64(end-1))
	for i, c := range "super" {
		ent[56+2*i] = byte(c)
	}
	le.PutUint32(b[sector+88:], crc32.ChecksumIEEE(ent[:128]))
	le.PutUint32(b[sector+16:], crc32.ChecksumIEEE(b[sector:sector+92]))
	b = append(b, super...)
	copy2 := bytes.Clone(b[sector : 2*sector])
	le.PutUint64(copy2[24:], uint64(end+1))
	le.PutUint64(copy2[32:], 1)
	le.PutUint64(copy2[72:], uint64(end))
	clear(copy2[16:20])
	le.PutUint32(copy2[16:], crc32.ChecksumIEEE(copy2[:92]))
	le.PutUint64(b[sector+32:], uint64(end+1))
	clear(b[sector+16 : sector+20])
	le.PutUint32(b[sector+16:], crc32.ChecksumIEEE(b[sector:sector+92]))
	return append(append(b, b[2*sector:3*sector]...), copy2...)
}

// payload makes a payload.bin that writes a partition in pieces, packed and not
// (system/update_engine/update_metadata.proto).
func makePayload(t testing.TB, name string, b []byte, edit ...func(blob []byte)) []byte {
	field := func(n, kind int, v uint64) []byte {
		return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(n<<3|kind)), v)
	}
	msg := func(n int, parts ...[]byte) []byte {
		b := bytes.Join(parts, nil)
		return append(field(n, 2, uint64(len(b))), b...)
	}
	b = pad(b)
	const step = 1 << 20
	var blob []byte
	var ops [][]byte
	for off := 0; off < len(b); off += step {
		piece := b[off:min(off+step, len(b))]
		kind, data := uint64(0), piece
		if off/step%2 == 1 {
			kind, data = 14, zst(piece)
		}
		ops = append(ops, msg(8, field(1, 0, kind), field(2, 0, uint64(len(blob))), field(3, 0, uint64(len(data))),
			msg(6, field(1, 0, uint64(off/4096)), field(2, 0, uint64(len(piece)/4096)))))
		blob = append(blob, data...)
	}
	for _, e := range edit {
		e(blob)
	}
	manifest := msg(13, append([][]byte{msg(1, []byte(name)), msg(7, field(1, 0, uint64(len(b))))}, ops...)...)
	h := binary.BigEndian.AppendUint64([]byte("CrAU\x00\x00\x00\x00\x00\x00\x00\x02"), uint64(len(manifest)))
	return bytes.Join([][]byte{h, {0, 0, 0, 0}, manifest, blob}, nil)
}

// TestDelta: of an update from one version to the next what stands alone is read, and the rest is named.
func TestDelta(t *testing.T) {
	img := mkfs(t, systemFolder(t), "erofs")
	p := makePayload(t, "system", img)
	n := binary.BigEndian.Uint64(p[12:])
	// A partition (13) of a name (1), new information (7) with a size, and an operation (8) SOURCE_COPY (1: 4) from (4) and to (6).
	const vendor = "\x6a\x1b\x0a\x06vendor\x3a\x03\x08\x80\x20\x42\x0c\x08\x04\x22\x02\x10\x01\x32\x04\x08\x00\x10\x01"
	manifest := string(p[24:24+n]) + vendor
	p = slices.Concat(binary.BigEndian.AppendUint64(bytes.Clone(p[:12]), uint64(len(manifest))), []byte{0, 0, 0, 0}, []byte(manifest), p[24+n:])
	list := "4\n3\n0\n0\nnew 2,0,1\nbsdiff 0 0 0000 1111 2,1,2 1 2,1,2\n"
	e := mustOpenBytes(t, "ota.zip", makeZip(t, []member{{"payload.bin", string(p)}, {"product.transfer.list", list}, {"product.new.dat", strings.Repeat("x", 4096)}, {"product.patch.dat", "x"}}))
	wantSame(t, "system", describe(t, e, "/system"), describe(t, mustOpenBytes(t, "system.img", img), "/system"))
	wantList(t, "gaps", slices.DeleteFunc(gapLines(e), func(s string) bool { return strings.Contains(s, "a link to") }), []string{
		`ota.zip!payload.bin!vendor: unsupported: it is made from the phone's old partition: partition "vendor": operation 0, SOURCE_COPY, takes the old partition: unsupported operation`,
		"ota.zip!product.transfer.list: unsupported: it is made from the phone's old partition: transfer list: bsdiff at byte 0x12 takes the old partition: unsupported operation",
	})
}

func transferList(b []byte) string {
	n := len(pad(b)) / 4096
	return fmt.Sprintf("4\n%d\n0\n0\nnew 2,0,%d\n", n, n)
}

func TestBrotli(t *testing.T) {
	dir := systemFolder(t)
	img := mkfs(t, dir, "ext4")
	dat := filepath.Join(t.TempDir(), "system.new.dat")
	if err := os.WriteFile(dat, pad(img), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "brotli", "brotli", "-q", "1", dat)
	packed := must[[]byte](t)(os.ReadFile(dat + ".br"))
	in := []member{{"system.new.dat.br", string(packed)}, {"system.transfer.list", transferList(img)}}
	wantSame(t, "brotli", describe(t, mustOpenBytes(t, "ota.zip", makeZip(t, in)), "/system"), describe(t, mustOpenBytes(t, "system.img", img), "/system"))

	// Cut short, it gives what was there.
	in[0].body = in[0].body[:len(packed)/2]
	e := mustOpenBytes(t, "ota.zip", makeZip(t, in))
	if !slices.ContainsFunc(e.Gaps(), func(g Gap) bool { return g.At.String() == "ota.zip!system.new.dat.br" }) {
		t.Errorf("no gap among %q", gapLines(e))
	}
}

func TestAttributes(t *testing.T) {
	dir := systemFolder(t)
	sh := filepath.Join(dir, "bin/sh")
	const label, caps = "u:object_r:shell_exec:s0", 1<<12 | 1<<38
	for name, value := range map[string]string{"security.selinux": label, "security.capability": fmt.Sprintf("0x01000002%08x00000000%08x00000000", 0x00100000, 0x40000000)} {
		if out, err := exec.Command("setfattr", "-n", name, "-v", value, sh).CombinedOutput(); err != nil {
			t.Skipf("attributes cannot be set here: %v, %s", err, out)
		}
	}
	for _, kind := range []string{"ext4", "erofs", "squashfs"} {
		e := mustOpenBytes(t, "system.img", mkfs(t, dir, kind))
		if f := e.File("/system/bin/sh"); f.Label != label || f.Caps != caps || !f.HasOwner || f.Mode != 0o755 {
			t.Errorf("%s: %+v", kind, f)
		}
		if f := e.File("/system/bin/su"); f.Label != "" || f.Caps != 0 || f.Mode&fs.ModeSetuid == 0 {
			t.Errorf("%s: %+v", kind, f)
		}
	}
}

// Where an image says nothing by its name, what it holds says which partition it is.
func TestWhichPartition(t *testing.T) {
	root := makeFolder(t, t.TempDir(), files("init.environ.rc", "system/app/A/A.apk", "system/build.prop", "system/etc/hosts", "bin -> /system/bin"))
	vendor := makeFolder(t, t.TempDir(), files("etc/v", "lib/x.so", "firmware/f", "build.prop"))
	odd := makeFolder(t, t.TempDir(), files("x/y", "z"))
	data := makeFolder(t, t.TempDir(), files("app/x/base.apk", "data/c/x", "misc/m", "system/packages.xml", "user/0/x"))
	for _, c := range []struct {
		name, dir string
		args      []string
		roots     string
		path      string
	}{
		{"system.img", root, nil, "/ /system", "/init.environ.rc"},
		{"x", root, nil, "/ /system", "/system/app/A/A.apk"},
		{"vendor_a.img", vendor, nil, "/vendor", "/vendor/etc/v"},
		{"x", vendor, nil, "/vendor", "/vendor/etc/v"},
		{"x", odd, []string{"-M", "/odm"}, "/odm", "/odm/x/y"},
		{"x", odd, []string{"-L", "product"}, "/product", "/product/z"},
		{"my_region.img", odd, nil, "/my_region", "/my_region/z"},
		{"x", odd, nil, "", ""},
		{"userdata.img", odd, nil, "/data", "/data/z"},
		{"x", data, nil, "/data", "/data/system/packages.xml"},
	} {
		e := mustOpenBytes(t, c.name, mkfs(t, c.dir, "ext4", c.args...))
		if rootPaths(e) != c.roots || c.path != "" && e.File(c.path) == nil {
			t.Errorf("%s %q: roots %q, want %q; files %q", c.name, c.args, rootPaths(e), c.roots, phonePaths(e))
		}
		if c.roots == "" && len(e.Outside()) != 2 {
			t.Errorf("what belongs to no partition: %q", outsideRefs(e))
		}
	}
}

// cpio makes an archive of the kernel's form; folders come of themselves.
func cpio(list []member) []byte {
	var b bytes.Buffer
	put := func(name, body string, mode int) {
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00", 0, mode, 0, 2000, 1, 0, len(body), 0, 0, 0, 0, len(name)+1, 0, name)
		b.Write(make([]byte, -b.Len()&3))
		b.WriteString(body)
		b.Write(make([]byte, -b.Len()&3))
	}
	for _, m := range list {
		if to, ok := m.link(); ok {
			put(m.name, to, 0o120777)
		} else {
			put(m.name, m.body, 0o100750)
		}
	}
	put("TRAILER!!!", "", 0)
	return b.Bytes()
}

// bootImage makes a boot image of version 3 (system/tools/mkbootimg/include/bootimg/bootimg.h).
func bootImage(ramdisk []byte) []byte {
	le := binary.LittleEndian
	h := make([]byte, 4096)
	copy(h, "ANDROID!")
	le.PutUint32(h[8:], 6) // kernel
	le.PutUint32(h[12:], uint32(len(ramdisk)))
	le.PutUint32(h[20:], 1580)
	le.PutUint32(h[40:], 3)
	return append(append(h, pad([]byte("kernel"))...), pad(ramdisk)...)
}

func TestRamdisks(t *testing.T) {
	start := files("init.rc", "sbin/adbd", "init -> /system/bin/init")
	recovery := files("init.rc", "sbin/recovery")
	system := member{"system/app/A/A.apk", "x"}
	for _, c := range []struct {
		what  string
		in    []member
		roots string
		path  string
		at    string
	}{
		{"the first ramdisk is the root", []member{system, {"boot.img", string(bootImage(gz(cpio(start))))}, {"recovery.img", string(bootImage(gz(cpio(recovery))))}},
			"/ /recovery-ramdisk /system", "/sbin/adbd", "fw.zip!boot.img!ramdisk!sbin/adbd"},
		{"a ramdisk that starts recovery is not", []member{system, {"boot_a.img", string(bootImage(gz(cpio(recovery))))}}, "/boot-ramdisk /system", "/boot-ramdisk/sbin/recovery", "fw.zip!boot_a.img!ramdisk!sbin/recovery"},
		{"a ramdisk alone", []member{system, {"ramdisk.img", string(gz(cpio(start)))}}, "/ /system", "/init.rc", "fw.zip!ramdisk.img!ramdisk!init.rc"},
		{"a plain one of recovery", []member{system, {"ramdisk-recovery.cpio", string(cpio(recovery))}}, "/recovery-ramdisk /system", "/recovery-ramdisk/init.rc", "fw.zip!ramdisk-recovery.cpio!init.rc"},
	} {
		e := mustOpenBytes(t, "fw.zip", makeZip(t, c.in))
		f := e.File(c.path)
		if rootPaths(e) != c.roots || f == nil || f.Ref.String() != c.at {
			t.Errorf("%s: roots %q, %s is %+v; gaps %q", c.what, rootPaths(e), c.path, f, gapLines(e))
			continue
		}
		if b, err := f.Data(); err != nil || !strings.HasPrefix(string(b), "content of") || f.Mode != 0o750 || !f.HasOwner || f.GID != 2000 {
			t.Errorf("%s: %q, %v, %+v", c.what, b, err, f)
		}
	}
	e := mustOpenBytes(t, "boot.img", bootImage(gz(cpio(start))))
	wantList(t, "outside", outsideRefs(e), []string{"boot.img!kernel", "boot.img!ramdisk"})
	if e.byPath["/init"].Link != "/system/bin/init" {
		t.Error("a link in a ramdisk is none")
	}
}

// Pieces can be given one by one.
func TestPiecesGiven(t *testing.T) {
	img := mkfs(t, systemFolder(t), "ext4")
	super := must[[]byte](t)(mk.Super(mk.Image{Name: "system", Data: img}))
	dir := t.TempDir()
	var paths []string
	for _, m := range pieces("super.img_sparsechunk.%d", mk.Sparse(super, 11)) {
		paths = append(paths, filepath.Join(makeFolder(t, dir, []member{m}), m.name))
	}
	e := mustOpen(t, paths...)
	wantSame(t, "pieces", describe(t, e, "/system"), describe(t, mustOpenBytes(t, "system.img", img), "/system"))
	if f := e.File("/system/build.prop"); f == nil || f.Ref.String() != "super.img_sparsechunk.0!system!build.prop" || len(e.Inputs()) != 11 {
		t.Errorf("%+v", f)
	}
	// One that is missing is not zeros.
	e = mustOpen(t, slices.Delete(paths, 4, 5)...)
	if len(e.Gaps()) == 0 {
		t.Error("a piece is missing, and nothing says so")
	}
}

// A file that its inode says is larger than anything is not read.
func TestHoles(t *testing.T) {
	dir := makeFolder(t, filepath.Join(t.TempDir(), "system"), files("build.prop", "app/A/A.apk"))
	huge := filepath.Join(dir, "huge")
	if err := os.WriteFile(huge, nil, 0o644); err != nil || os.Truncate(huge, 1<<40) != nil {
		t.Skip("no holes in files here")
	}
	img := filepath.Join(t.TempDir(), "system.img")
	run(t, "e2fsprogs", "mkfs.ext4", "-q", "-d", dir, img, "8m")
	e := mustOpen(t, img)
	if _, err := e.File("/system/huge").Data(); !errors.Is(err, TooLarge) {
		t.Errorf("a terabyte of nothing: %v", err)
	}
	wantList(t, "gaps", gapLines(e), []string{"system.img!huge: too large: 1099511627776 bytes, in an image of 8388608",
		"system.img!huge: too large: 1099511627776 bytes, more than the 2147483648 that are read as a whole"})
	if _, err := e.File("/system/build.prop").Data(); err != nil {
		t.Error(err)
	}
}

// A fragment is a ramdisk of a vendor_boot image.
type fragment struct {
	kind uint32
	name string
	b    []byte
}

// vendorBoot makes a vendor_boot image of version 4 (system/tools/mkbootimg/include/bootimg/bootimg.h).
func vendorBoot(list ...fragment) []byte {
	le := binary.LittleEndian
	var ramdisks, table []byte
	for _, f := range list {
		for _, v := range []uint32{uint32(len(f.b)), uint32(len(ramdisks)), f.kind} {
			table = le.AppendUint32(table, v)
		}
		table = append(append(table, f.name...), make([]byte, 96-len(f.name))...)
		ramdisks = append(ramdisks, f.b...)
	}
	h := make([]byte, 4096)
	copy(h, "VNDRBOOT")
	for off, v := range map[int]int{8: 4, 12: 4096, 24: len(ramdisks), 2096: 2128, 2112: len(table), 2116: len(list), 2120: 108} {
		le.PutUint32(h[off:], uint32(v))
	}
	return append(append(h, pad(ramdisks)...), pad(table)...)
}

func TestVendorBoot(t *testing.T) {
	b := vendorBoot(fragment{1, "", gz(cpio(files("first_stage_ramdisk/fstab.x", "lib/m.ko")))},
		fragment{3, "modules", gz(cpio([]member{{"lib/m.ko", "newer"}, {"lib/n.ko", "x"}}))},
		fragment{2, "recovery", gz(cpio(files("system/bin/recovery")))})
	e := mustOpenBytes(t, "vendor_boot.img", b)
	wantList(t, "paths", phonePaths(e), []string{"/recovery-ramdisk/system/bin/recovery", "/vendor-ramdisk/first_stage_ramdisk/fstab.x", "/vendor-ramdisk/lib/m.ko", "/vendor-ramdisk/lib/n.ko"})
	wantList(t, "gaps", gapLines(e), nil)
	f := e.File("/vendor-ramdisk/lib/m.ko")
	if f == nil {
		return
	}
	if b, err := f.Data(); string(b) != "newer" || err != nil || f.Ref.String() != "vendor_boot.img!modules!lib/m.ko" {
		t.Errorf("the module is %q, %v, at %s", b, err, f.Ref)
	}
}

func TestMkbootimg(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	kernel, dtb := put("kernel", []byte("kernel")), put("dtb", []byte("dtb"))
	first := put("first", gz(cpio(files("init.rc", "sbin/adbd"))))
	vendor := put("vendor", gz(cpio(files("first_stage_ramdisk/fstab.x"))))
	for v := range 4 {
		out := []string{filepath.Join(dir, "boot.img")}
		args := []string{"--header_version", fmt.Sprint(v), "--kernel", kernel, "--ramdisk", first, "-o", out[0]}
		want := []string{"/init.rc", "/sbin/adbd"}
		if v > 1 {
			args = append(args, "--dtb", dtb)
		}
		if v > 2 {
			out = append(out, filepath.Join(dir, "vendor_boot.img"))
			args = append(args, "--vendor_boot", out[1], "--vendor_ramdisk", vendor)
			want = append(want, "/vendor-ramdisk/first_stage_ramdisk/fstab.x")
		}
		run(t, "mkbootimg", "mkbootimg", args...)
		e := mustOpen(t, out...)
		wantList(t, "paths", phonePaths(e), want)
		wantList(t, "gaps", gapLines(e), nil)
	}
}

// A damaged image gives what can be read, and says what cannot.
func TestDamagedImages(t *testing.T) {
	dir := systemFolder(t)
	ext4 := mkfs(t, dir, "ext4")
	lz4 := mkfs(t, dir, "erofs", "-zlz4")
	whole := phonePaths(mustOpenBytes(t, "system.img", ext4))
	read := func(e *Evidence) (n int) {
		for _, f := range e.Files() {
			if _, err := f.Data(); err == nil || f.Link != "" {
				n++
			}
		}
		return n
	}
	for what, b := range map[string][]byte{
		"ext4, cut": ext4[:len(ext4)/2], "erofs, cut": lz4[:len(lz4)*3/4], "sparse, cut": mk.Sparse(ext4, 1)[0][:len(ext4)/3],
		"super, cut":       must[[]byte](t)(mk.Super(mk.Image{Name: "system", Data: ext4}))[:len(ext4)/2],
		"payload, damaged": makePayload(t, "system", ext4, func(blob []byte) { copy(blob[1<<20+100:], make([]byte, 1000)) }),
	} {
		e := mustOpenBytes(t, "system.img", b)
		n := read(e)
		if len(e.Gaps()) < 3 || n == 0 && what != "super, cut" || n == len(whole) && what != "payload, damaged" {
			t.Errorf("%s: %d of %d files were read; gaps %q", what, n, len(whole), gapLines(e))
		}
	}
	// Partitions that should hold files and do not are named; others may hold what they like.
	e := mustOpenBytes(t, "super.img", must[[]byte](t)(mk.Super(mk.Image{Name: "system_a", Data: ext4}, mk.Image{Name: "vendor_a", Data: bytesOf(8192, 2)},
		mk.Image{Name: "product_a", Data: make([]byte, 8192)}, mk.Image{Name: "product_b", Data: make([]byte, 8192)}, mk.Image{Name: "modem_a", Data: bytesOf(8192, 3)})))
	wantList(t, "gaps", slices.DeleteFunc(gapLines(e), func(s string) bool { return strings.Contains(s, ": a link to ") }), []string{
		"super.img!product_a: absent: the partition is empty: it begins with zeros",
		"super.img!vendor_a: unsupported: a partition of unknown content, not read by this version",
	})
	// An update of what the phone has is named.
	e = mustOpenBytes(t, "ota.zip", makeZip(t, []member{{"system.new.dat", "x"}, {"system.transfer.list", "4\n8\n0\n0\nmove abc 2,0,4 4 2,4,8\n"}, {"vendor.new.dat", string(ext4)}}))
	if len(e.Gaps()) != 2 || e.Gaps()[0].Reason != Unsupported || e.Gaps()[1].Reason != Unsupported {
		t.Errorf("gaps %q", gapLines(e))
	}
}

// What lies in one piece is not copied, and a file with two names is one.
func TestInPlace(t *testing.T) {
	dir := systemFolder(t)
	flat := mkfs(t, dir, "erofs")
	large := must[[]byte](t)(mustOpenBytes(t, "system.img", flat).File("/system/fonts/large.ttf").Data())
	if i := bytes.Index(flat, large[:4096]); i < 0 || &flat[i] != &large[0] {
		t.Error("a large file was copied from an erofs image")
	}
	img := must[[]byte](t)(mk.Super(mk.Image{Name: "system", Data: mkfs(t, dir, "ext4")}))
	b := mk.Sparse(img, 1)[0]
	e := mustOpenBytes(t, "super.img", b)
	large = must[[]byte](t)(e.File("/system/fonts/large.ttf").Data())
	if i := bytes.Index(b, large[:4096]); i < 0 || &b[i] != &large[0] {
		t.Error("a large file was copied")
	}
	one, two := must[[]byte](t)(e.File("/system/bin/toybox").Data()), must[[]byte](t)(e.File("/system/bin/second").Data())
	if &one[0] != &two[0] {
		t.Error("a file with two names was read twice")
	}
	if e.spool.f != nil || e.heap.Load() > 1<<20 {
		t.Errorf("%d bytes in the heap, or something in the spool", e.heap.Load())
	}
	// A partition can be hashed and read without being copied.
	i := slices.IndexFunc(e.Outside(), func(f *File) bool { return f.Ref.String() == "super.img!system" })
	if i < 0 {
		t.Fatalf("outside %q", outsideRefs(e))
	}
	part := e.Outside()[i]
	r := must[io.ReaderAt](t)(part.ReaderAt())
	head := make([]byte, 4096)
	if _, err := r.ReadAt(head, 0); err != nil || Identify(head) != "ext4" {
		t.Errorf("the partition reads as %q, %v", Identify(head), err)
	}
	if _, err := part.SHA256(); err != nil || e.spool.f != nil {
		t.Errorf("hashing: %v", err)
	}
}

// imageSeeds are small images of every kind; those of file systems need the tools that make them.
func imageSeeds(f *testing.F) [][]byte {
	seeds := [][]byte{bootImage(gz(cpio(files("init.rc", "sbin/adbd -> ../x")))), cpio(files("init.rc")), vendorBoot(fragment{1, "x", gz(cpio(files("a")))}, fragment{2, "", cpio(files("b"))})}
	dir := makeFolder(f, filepath.Join(f.TempDir(), "system"), files("build.prop", "app/A/A.apk", "etc/l -> ../x", "lib/deep/l.so"))
	img := filepath.Join(f.TempDir(), "img")
	for _, args := range [][]string{{"mkfs.ext4", "-q", "-b", "1024", "-N", "32", "-O", "^has_journal", "-d", dir, img, "128k"}, {"mkfs.erofs", "--quiet", "-zlz4", img, dir}} {
		os.Remove(img)
		p, err := exec.LookPath(args[0])
		if err != nil {
			p = "/usr/sbin/" + args[0]
		}
		if exec.Command(p, args[1:]...).Run() != nil {
			continue
		}
		b := must[[]byte](f)(os.ReadFile(img))
		super := must[[]byte](f)(mk.Super(mk.Image{Name: "system_a", Data: b}))
		seeds = append(seeds, b, mk.Sparse(b, 1)[0], mk.Sparse(super, 1)[0], disk(b), makePayload(f, "system", b),
			makeZip(f, pieces("super.img_sparsechunk.%d", mk.Sparse(super, 2))), makeZip(f, []member{{"x.new.dat", string(pad(b))}, {"x.transfer.list", transferList(b)}}))
	}
	return seeds
}

// TestPhoneImages: a part of a real phone's system partition, with modes, owners, labels and capabilities of many kinds, comes back
// byte for byte from each image that Debian's tools make of it. With GIFTHORSE_IMAGES=all it is all of the partition.
func TestPhoneImages(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	most := int64(4 << 20)
	if os.Getenv("GIFTHORSE_IMAGES") != "" {
		most = 1 << 40
	}
	dir, n := phoneFolder(t, most)
	type attributes struct {
		label string
		caps  uint64
	}
	set := map[string]attributes{}
	i := 0
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		a := attributes{[]string{"u:object_r:system_file:s0", "u:object_r:shell_exec:s0", strings.Repeat("u:object_r:long_", 9) + ":s0"}[i%3], 0}
		os.Chown(p, i%5*1000, i%7*1000) // needs root, without which all belong to one
		os.Chmod(p, []fs.FileMode{0o644, 0o755, 0o600, 0o750 | fs.ModeSetuid, 0o755 | fs.ModeSetgid}[i%5])
		if err := unix.Lsetxattr(p, "security.selinux", []byte(a.label+"\x00"), 0); err != nil {
			t.Skipf("attributes cannot be set here: %v", err)
		}
		if i%4 == 0 {
			a.caps = 1<<12 | uint64(i)<<32&(1<<40-1)
			v := binary.LittleEndian.AppendUint32(nil, 0x02000001)
			for _, x := range []uint32{uint32(a.caps), 0, uint32(a.caps >> 32), 0} {
				v = binary.LittleEndian.AppendUint32(v, x)
			}
			if err := unix.Lsetxattr(p, "security.capability", v, 0); err != nil {
				t.Skipf("attributes cannot be set here: %v", err)
			}
		}
		set["/system"+strings.TrimPrefix(p, dir)] = a
		i++
		return nil
	})
	want := describe(t, mustOpen(t, dir), "/system")
	for _, kind := range [][]string{{"ext4"}, {"ext4", "-b", "1024"}, {"erofs"}, {"erofs", "-zlz4"}, {"erofs", "-zlz4hc", "-C65536"}, {"f2fs"}, {"squashfs"}, {"squashfs", "-comp", "lz4"}, {"squashfs", "-comp", "xz"}, {"squashfs", "-comp", "zstd"}} {
		what := strings.Join(kind, " ")
		e := mustOpenBytes(t, "system.img", mkfs(t, dir, kind[0], kind[1:]...))
		wantSame(t, what, describe(t, e, "/system"), want)
		for p, a := range set {
			if kind[0] == "f2fs" { // sload.f2fs copies no attributes
				break
			}
			if f := e.File(p); f == nil || f.Label != a.label || f.Caps != a.caps {
				t.Errorf("%s: %s is %+v, want %+v", what, p, f, a)
			}
		}
		t.Logf("%s: %d files of %d bytes; heap %d", what, len(want), n, e.heap.Load())
	}
	// As img2simg makes it.
	img := filepath.Join(t.TempDir(), "raw")
	if err := os.WriteFile(img, mkfs(t, dir, "ext4"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "android-sdk-libsparse-utils", "img2simg", img, img+".sparse")
	wantSame(t, "img2simg", describe(t, mustOpenBytes(t, "system.img", must[[]byte](t)(os.ReadFile(img+".sparse"))), "/system"), want)
	// A ramdisk of it, as mkbootimg makes it.
	cpio := exec.Command("sh", "-c", "find . | cpio -o -H newc --quiet | lz4 -l -c")
	cpio.Dir = dir
	packed, err := cpio.Output()
	if err != nil {
		t.Skipf("no cpio or lz4 on this machine: %v", err)
	}
	if err := os.WriteFile(img+".ramdisk", packed, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "mkbootimg", "mkbootimg", "--header_version", "1", "--kernel", "/dev/null", "--ramdisk", img+".ramdisk", "-o", img+".boot")
	e := mustOpenBytes(t, "boot.img", must[[]byte](t)(os.ReadFile(img+".boot")))
	got := map[string]string{}
	for p, s := range describe(t, e, "/boot-ramdisk") {
		got["/system"+strings.TrimPrefix(p, "/boot-ramdisk")] = s
	}
	wantSame(t, "mkbootimg", got, want)
}

// phoneFolder lays out the system partition of a real phone, up to so many bytes.
func phoneFolder(t testing.TB, most int64) (dir string, n int64) {
	r := must[*zip.ReadCloser](t)(zip.OpenReader(phones(t)[len(phones(t))-1]))
	defer r.Close()
	dir = filepath.Join(t.TempDir(), "system")
	for _, f := range r.File {
		name, ok := strings.CutPrefix(f.Name, "system/")
		if !ok || strings.HasSuffix(name, "/") || n+int64(f.UncompressedSize64) > most {
			continue
		}
		n += int64(f.UncompressedSize64)
		in := must[io.ReadCloser](t)(f.Open())
		makeFolder(t, dir, []member{{name, string(must[[]byte](t)(io.ReadAll(in)))}})
		in.Close()
	}
	return dir, n
}

// BenchmarkImage lists an image and hashes all its files; the rate is of what comes out.
func BenchmarkImage(b *testing.B) {
	dir, n := phoneFolder(b, 200<<20)
	for _, kind := range [][]string{{"ext4"}, {"erofs"}, {"erofs", "-zlz4hc"}} {
		img := mk.Sparse(must[[]byte](b)(mk.Super(mk.Image{Name: "system", Data: mkfs(b, dir, kind[0], kind[1:]...)})), 1)[0]
		p := filepath.Join(b.TempDir(), "super.img")
		if err := os.WriteFile(p, img, 0o644); err != nil {
			b.Fatal(err)
		}
		for _, what := range []string{"list", "hash"} {
			b.Run(strings.Join(append(kind, what), " "), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(n)
				for b.Loop() {
					e, err := Open(b.Context(), []string{p}, nil)
					if err != nil {
						b.Fatal(err)
					}
					if what == "hash" {
						for _, f := range e.Files() {
							if _, err := f.SHA256(); err != nil && f.Link == "" {
								b.Fatal(err)
							}
						}
					}
					e.Close()
				}
			})
		}
	}
}
