package evidence

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/ulikunitz/xz"
)

func TestUsersMistakes(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	os.WriteFile(text, []byte("nothing of a phone"), 0o644)
	empty := filepath.Join(dir, "empty")
	os.Mkdir(empty, 0o755)
	for _, paths := range [][]string{nil, {filepath.Join(dir, "none")}, {text}, {empty}, {os.DevNull}} {
		if e, err := Open(t.Context(), paths, nil); err == nil {
			t.Errorf("%v was opened as %v", paths, e.Inputs())
		}
	}
	// Beside something that is a phone's, what is not is a gap.
	e := mustOpen(t, makeFolder(t, filepath.Join(dir, "d"), files("system/app/A/A.apk")), text)
	wantList(t, "gaps", gapLines(e), []string{"notes.txt: unsupported: nothing in it was recognised"})
}

func TestHostileNames(t *testing.T) {
	in := files("system/app/A/A.apk", "../../etc/passwd", "system/app/../../../x", "/system/etc/absolute", "./system//etc/./dots",
		"system/etc/not\xffutf8", "system/etc/a!b#c+d%e", "system/etc/nul\x00nul", "system/etc/\x1b[31m", "system/app/A/A.apk", `C:\x`, "", "/", "..")
	want := []string{"/system/app/A/A.apk", "/system/etc/\x1b[31m", "/system/etc/a!b#c+d%e", "/system/etc/absolute", "/system/etc/dots", "/system/etc/not\xffutf8", "/system/etc/nul\x00nul"}
	e := mustOpenBytes(t, "h.zip", makeZip(t, in))
	slices.Sort(want)
	wantList(t, "phone", phonePaths(e), want)
	var about []string
	for _, g := range gapLines(e) {
		about = append(about, strings.SplitN(g, ": ", 3)[2])
	}
	const climbs, second = "its name leads out of the archive; it belongs to no path of the phone", "a second file of the same path /system/app/A/A.apk"
	wantList(t, "gaps", about, []string{climbs, climbs, climbs, second})
	if n := len(e.Files()) + len(e.Outside()); n != len(in)-1 { // "/" is a directory
		t.Errorf("%d files of %d", n, len(in))
	}
	for _, f := range append(slices.Clone(e.Files()), e.Outside()...) {
		if got, err := ParseRef(f.Ref.String()); err != nil || got != f.Ref {
			t.Errorf("%s does not round-trip: %v", f.Ref, err)
		}
	}
}

func TestLFSPointer(t *testing.T) {
	const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
	e := mustOpenBytes(t, "d.zip", makeZip(t, []member{{"system/app/A/A.apk", pointer}, {"system/app/B/B.apk", "x"}, {"vendor.img", pointer}}))
	wantList(t, "phone", phonePaths(e), []string{"/system/app/B/B.apk"})
	wantList(t, "outside", outsideRefs(e), []string{"d.zip!system/app/A/A.apk", "d.zip!vendor.img"})
	const says = ": absent: a git-LFS pointer stands for a file of 12345 bytes"
	wantList(t, "gaps", gapLines(e), []string{"d.zip!system/app/A/A.apk" + says, "d.zip!vendor.img" + says})
}

func TestListing(t *testing.T) {
	in := append(files("d/system/app/A/A.apk", "d/system/bin/sh"),
		member{"d/all_files.txt", "README\nsystem/app/A/A.apk\r\nsystem/app/B/B.apk\n../system/x\nsystem/bin/sh\n"})
	e := mustOpenBytes(t, "d.zip", makeZip(t, in))
	wantList(t, "gaps", gapLines(e), []string{"d.zip!d/system/app/B/B.apk: absent: listed in all_files.txt, and not in what was given"})
}

func TestNested(t *testing.T) {
	inner := makeZip(t, files("system/app/A/A.apk", "system/build.prop"))
	stored := func(h *zip.FileHeader) { h.Method = zip.Store }
	outer := makeTar(t, []member{{"fw/inner.zip", string(makeZip(t, []member{{"x/firmware.zip", string(inner)}}, stored))}, {"fw/vendor.tgz", string(gz(makeTar(t, files("etc/v", "lib/l.so"))))}})
	blocks := xz.WriterConfig{BlockSize: 1000}
	e := mustOpenBytes(t, "all.tar.xz", xzip(t, outer, blocks))
	wantList(t, "phone", phonePaths(e), []string{"/system/app/A/A.apk", "/system/build.prop", "/vendor/etc/v", "/vendor/lib/l.so"})
	if got, want := e.File("/system/build.prop").Ref.String(), "all.tar.xz!fw/inner.zip!x/firmware.zip!system/build.prop"; got != want {
		t.Errorf("at %s, want %s", got, want)
	}
	if got, want := e.File("/vendor/etc/v").Ref.String(), "all.tar.xz!fw/vendor.tgz!etc/v"; got != want {
		t.Errorf("at %s, want %s", got, want)
	}
	if in := e.Inputs()[0]; in.Kind != "tar.xz" || in.Size == 0 {
		t.Errorf("input is %+v", in)
	}
	if b, err := e.File("/vendor/etc/v").Data(); err != nil || string(b) != "content of etc/v" {
		t.Errorf("%q, %v", b, err)
	}

	// An archive inside of a partition is a file of the phone.
	e = mustOpenBytes(t, "d.zip", makeZip(t, []member{{"system/media/boot.zip", string(inner)}, {"system/app/A/A.apk", "x"}}))
	wantList(t, "phone", phonePaths(e), []string{"/system/app/A/A.apk", "/system/media/boot.zip"})
}

func TestCompressors(t *testing.T) {
	plain := makeTar(t, files("system/app/A/A.apk", "system/etc/hosts"))
	// bzip2 has no writer in Go: printf hello | bzip2
	bz := "BZh91AY&SY\x19\x31\x65\x3d\x00\x00\x00\x81\x00\x02\x44\xa0\x00\x21\x9a\x68\x33\x4d\x07\x33\x8b\xb9\x22\x9c\x28\x48\x0c\x98\xb2\x9e\x80"
	for kind, b := range map[string][]byte{"tar": plain, "tar.gz": gz(plain), "tar.zst": zst(plain), "tar.xz": xzip(t, plain, xz.WriterConfig{CheckSum: xz.CRC32})} {
		e := mustOpenBytes(t, "some.name", b)
		if got := e.Inputs()[0].Kind; got != kind {
			t.Errorf("%s is taken for %s", kind, got)
		}
		wantList(t, kind, phonePaths(e), []string{"/system/app/A/A.apk", "/system/etc/hosts"})
	}
	e := mustOpenBytes(t, "hello.bz2", []byte(bz))
	if b, err := e.Outside()[0].Data(); err != nil || string(b) != "hello" && string(b) != "hello\n" {
		t.Errorf("bzip2 gives %q, %v; gaps %q", b, err, gapLines(e))
	}
}

func TestTooDeep(t *testing.T) {
	b := makeZip(t, files("system/app/A/A.apk"))
	for range maxDepth {
		b = makeZip(t, []member{{"in.zip", string(b)}})
	}
	e := mustOpenBytes(t, "deep.zip", b)
	if len(e.Files()) != 0 {
		t.Errorf("%q were found deeper than allowed", phonePaths(e))
	}
	want := "deep.zip" + strings.Repeat("!in.zip", maxDepth) + ": too large: nested deeper than 8 archives"
	wantList(t, "gaps", gapLines(e), []string{want})
}

func TestImages(t *testing.T) {
	ext4 := make([]byte, 8192)
	ext4[1080], ext4[1081], ext4[1082] = 0x53, 0xef, 1
	in := []member{
		{"system.img", string(ext4)}, {"boot.img", "ANDROID!" + strings.Repeat("x", 5000)}, {"odd.img.gz", string(gz([]byte("hsqs" + strings.Repeat("x", 5000))))},
		{"data.img", strings.Repeat("\x00", 1024) + "\x10\x20\xf5\xf2" + strings.Repeat("x", 5000)},
		{"vendor.img", strings.Repeat("encrypted ", 10000)}, {"vbmeta.img", "AVB0xxxx"}, {"fw.ozip", "OPPOENCRYPT!xxxx"}, {"notes.txt", "text"},
	}
	e := mustOpenBytes(t, "fw.zip", makeZip(t, in))
	wantList(t, "gaps", gapLines(e), []string{
		"fw.zip!boot.img: damaged: boot image: page size of 2021161080 bytes at byte 0x24",
		"fw.zip!data.img: damaged: f2fs: blocks of 2^2021161080 bytes at byte 0x410",
		"fw.zip!fw.ozip: encrypted: encrypted update",
		"fw.zip!odd.img.gz!odd.img: unsupported: squashfs: version 30840.30840: unsupported operation",
		"fw.zip!system.img: damaged: ext4: 0 blocks of 1024 bytes, the first for data 0 at byte 0x404",
		"fw.zip!vendor.img: unsupported: an image by its name, of unknown content, not read by this version",
	})
	if n := len(e.Outside()); n != len(in)+1 {
		t.Errorf("%d files outside", n)
	}
}

// bomb is a deflate stream of n MiB of zeros.
func bomb(n int) []byte {
	var buf bytes.Buffer
	w, _ := flate.NewWriter(&buf, 9)
	w.Write(make([]byte, 1<<20))
	w.Flush()
	block := bytes.Clone(buf.Bytes())
	buf.Reset()
	w.Reset(&buf)
	w.Close()
	return append(bytes.Repeat(block, n), buf.Bytes()...)
}

func rawZip(t *testing.T, list ...member) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, m := range list {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate, CompressedSize64: uint64(len(m.body)), UncompressedSize64: 1 << 30}
		fw, err := w.CreateRaw(h)
		if err != nil {
			t.Fatal(err)
		}
		fw.Write([]byte(m.body))
	}
	w.Close()
	return buf.Bytes()
}

func TestBomb(t *testing.T) {
	b := rawZip(t, member{"system/app/A/A.apk", string(bomb(1024))}, member{"system/lies", "\x03\x00"})
	before := heapInUse()
	e := mustOpenBytes(t, "bomb.zip", b)
	for _, f := range e.Files() {
		if _, err := f.Data(); !errors.Is(err, TooLarge) {
			t.Errorf("%s: %v", f.Path, err)
		}
	}
	if n := len(e.Gaps()); n != 2 {
		t.Errorf("gaps %q", gapLines(e))
	}
	// What no header announces is cut as it comes out.
	e2 := mustOpenBytes(t, "bomb.tar.zst", zst(makeTar(t, []member{{"system/app/A/A.apk", "x"}, {"system/zeros", strings.Repeat("\x00", 70<<20)}})))
	wantList(t, "before the cut", phonePaths(e2), []string{"/system/app/A/A.apk", "/system/zeros"})
	if !slices.ContainsFunc(e2.Gaps(), func(g Gap) bool { return g.Reason == TooLarge && g.At.String() == "bomb.tar.zst" }) {
		t.Errorf("gaps %q", gapLines(e2))
	}
	if grown := int64(heapInUse()) - int64(before); grown > 300<<20 { // the tars made above included
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// Many members over the same bytes cost more to inflate than the input allows; later ones are cut, the same
// ones whoever reads first.
func TestInflationBudget(t *testing.T) {
	data := bomb(60) // 60 MiB, less than what is free of the ratio
	var list []member
	for i := range 40 {
		list = append(list, member{fmt.Sprintf("system/app/A%02d", i), string(data)})
	}
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, m := range list {
		fw, _ := w.CreateRaw(&zip.FileHeader{Name: m.name, Method: zip.Deflate, CompressedSize64: uint64(len(data)), UncompressedSize64: 60 << 20})
		fw.Write(data)
	}
	w.Close()
	e := mustOpenBytes(t, "many.zip", buf.Bytes())
	cut := 0
	for _, g := range e.Gaps() {
		if g.Reason == TooLarge {
			cut++
		}
	}
	if cut != 40-inflateFree/(60<<20) {
		t.Errorf("%d members were cut", cut)
	}
}

// noise is bytes that do not shrink.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

func TestDamagedZip(t *testing.T) {
	in := files("system/app/A/A.apk", "system/app/B/B.apk", "system/etc/hosts")
	long := noise(2 << 20)
	in = append(in, member{"system/lib/long.so", string(long)}, member{"system/lib/next.so", "next"})
	whole := makeZip(t, in) // with data descriptors
	for _, cut := range []int{len(whole) - 30, len(whole) / 2} {
		e := mustOpenBytes(t, "cut.zip", whole[:cut])
		if f := e.File("/system/app/B/B.apk"); f == nil {
			t.Errorf("cut at %d: %q, gaps %q", cut, phonePaths(e), gapLines(e))
		} else if b, err := f.Data(); err != nil || string(b) != "content of system/app/B/B.apk" {
			t.Errorf("%q, %v", b, err)
		}
		if g := e.Gaps(); len(g) != 1 || g[0].Reason != CutShort {
			t.Errorf("gaps %q", gapLines(e))
		}
	}

	// One bad member does not spoil the others; a wrong checksum does not hide what is there.
	bad := bytes.Clone(whole)
	i := bytes.Index(bad, long[:100])
	bad[i+1000] ^= 1
	j := bytes.Index(bad, []byte("system/app/A/A.apk")) + len("system/app/A/A.apk")
	bad[j] = 0xff // a block type that is none
	e := mustOpenBytes(t, "bad.zip", bad)
	if b, err := e.File("/system/lib/long.so").Data(); err != nil || len(b) != len(long) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if _, err := e.File("/system/app/A/A.apk").Data(); !errors.Is(err, Damaged) {
		t.Errorf("no error but %v", err)
	}
	if b, err := e.File("/system/app/B/B.apk").Data(); err != nil || len(b) == 0 {
		t.Errorf("%q, %v", b, err)
	}
	var at []string
	for _, g := range e.Gaps() {
		at = append(at, g.At.String()+" "+g.Reason.String())
	}
	wantList(t, "gaps", at, []string{"bad.zip!system/app/A/A.apk damaged", "bad.zip!system/lib/long.so damaged"})

	// Headers with sizes, as zip(1) writes them.
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, m := range files("system/app/A/A.apk", "system/etc/hosts") {
		fw, _ := w.CreateRaw(&zip.FileHeader{Name: m.name, CRC32: crc32.ChecksumIEEE([]byte(m.body)), CompressedSize64: uint64(len(m.body)), UncompressedSize64: uint64(len(m.body))})
		fw.Write([]byte(m.body))
	}
	w.Flush()
	e = mustOpenBytes(t, "cut.zip", buf.Bytes())
	wantList(t, "phone", phonePaths(e), []string{"/system/app/A/A.apk", "/system/etc/hosts"})
}

func TestMembersThatCannotBeRead(t *testing.T) {
	list := files("system/app/locked", "system/app/odd", "system/app/A/A.apk")
	b := makeZip(t, list)
	// The central directory decides: set the flag and the method there.
	le := binary.LittleEndian
	for p := bytes.Index(b, []byte("PK\x01\x02")); p+46 < len(b) && string(b[p:p+4]) == "PK\x01\x02"; {
		n := int(le.Uint16(b[p+28:]))
		switch string(b[p+46 : p+46+n]) {
		case "system/app/locked":
			b[p+8] |= 1
		case "system/app/odd":
			le.PutUint16(b[p+10:], 99)
		}
		p += 46 + n + int(le.Uint16(b[p+30:])) + int(le.Uint16(b[p+32:]))
	}
	e := mustOpenBytes(t, "x.zip", b)
	want := []string{"x.zip!system/app/locked: encrypted: an encrypted member of a zip", "x.zip!system/app/odd: unsupported: compression method 99 of zip"}
	wantList(t, "gaps", gapLines(e), want)
	for _, f := range e.Files() {
		_, err := f.Data()
		var g Gap
		if bad := f.Path != "/system/app/A/A.apk"; bad != errors.As(err, &g) || bad && g.At != f.Ref {
			t.Errorf("%s: %v", f.Path, err)
		}
	}
	wantList(t, "gaps after reading", gapLines(e), want)
}

func TestCutStreams(t *testing.T) {
	long := noise(1 << 19)
	plain := makeTar(t, []member{{"system/app/A/A.apk", "a"}, {"system/lib/long.so", string(long)}, {"system/etc/z", "z"}})
	for _, b := range [][]byte{plain[:400_000], gz(plain)[:400_000], zst(plain)[:400_000], xzip(t, plain, xz.WriterConfig{})[:400_000]} {
		e := mustOpenBytes(t, "cut", b)
		wantList(t, "phone", phonePaths(e), []string{"/system/app/A/A.apk", "/system/lib/long.so"})
		if got, err := e.File("/system/app/A/A.apk").Data(); err != nil || string(got) != "a" {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := e.File("/system/lib/long.so").Data(); !errors.Is(err, CutShort) {
			t.Errorf("a member that was cut: %v", err)
		}
		if !slices.ContainsFunc(e.Gaps(), func(g Gap) bool { return g.At.String() == "cut" && g.Reason == CutShort }) {
			t.Errorf("gaps %q", gapLines(e))
		}
	}
	bad := xzip(t, plain, xz.WriterConfig{})
	bad[len(bad)/2] ^= 1
	e := mustOpenBytes(t, "bad.tar.xz", bad)
	if !slices.ContainsFunc(e.Gaps(), func(g Gap) bool { return g.Reason == Damaged }) {
		t.Errorf("a flipped bit in xz leaves the gaps %q", gapLines(e))
	}
	// gzip(1) ignores what follows.
	e = mustOpenBytes(t, "x.tar.gz", append(gz(plain), make([]byte, 512)...))
	if len(e.Files()) != 3 {
		t.Errorf("%q, gaps %q", phonePaths(e), gapLines(e))
	}
}

func TestXZWindow(t *testing.T) {
	b := xzip(t, []byte("x"), xz.WriterConfig{})
	// The block header starts at 12: size, flags, filter, its size, the window's code.
	b[16] = 40 // 4 GiB less one byte
	n := (int(b[12]) + 1) * 4
	binary.LittleEndian.PutUint32(b[12+n-4:], crc32.ChecksumIEEE(b[12:12+n-4]))
	e := mustOpenBytes(t, "x.xz", b)
	if g := e.Gaps(); len(g) != 1 || g[0].Reason != TooLarge {
		t.Errorf("gaps %q", gapLines(e))
	}
}

func TestTarKnowsOwners(t *testing.T) {
	caps := make([]byte, 20)
	binary.LittleEndian.PutUint32(caps, 0x02000001)
	binary.LittleEndian.PutUint32(caps[4:], 1<<21)
	binary.LittleEndian.PutUint32(caps[12:], 1)
	b := makeTar(t, files("system/bin/su", "system/app/A/A.apk"), func(h *tar.Header) {
		h.Uid, h.Gid, h.Mode = 0, 2000, 0o6755
		h.PAXRecords = map[string]string{"SCHILY.xattr.security.selinux": "u:object_r:su_exec:s0\x00", "SCHILY.xattr.security.capability": string(caps)}
	})
	f := mustOpenBytes(t, "x.tar", b).File("/system/bin/su")
	if !f.HasOwner || f.UID != 0 || f.GID != 2000 || f.Label != "u:object_r:su_exec:s0" || f.Caps != 1<<32|1<<21 || f.Mode != os.ModeSetuid|os.ModeSetgid|0o755 {
		t.Errorf("%+v", f)
	}
	f = mustOpenBytes(t, "x.zip", makeZip(t, files("system/bin/su", "system/app/A"), func(h *zip.FileHeader) { h.SetMode(os.ModeSetuid | 0o755) })).File("/system/bin/su")
	if f.HasOwner || f.UID != -1 || f.Mode != os.ModeSetuid|0o755 {
		t.Errorf("%+v", f)
	}
}

func TestTarSparseAndHardLinks(t *testing.T) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	w.WriteHeader(&tar.Header{Name: "system/app/A/A.apk", Size: 1, Typeflag: tar.TypeReg})
	w.Write([]byte("a"))
	w.WriteHeader(&tar.Header{Name: "system/app/B", Linkname: "system/app/A/A.apk", Typeflag: tar.TypeLink})
	w.WriteHeader(&tar.Header{Name: "system/app/C", Linkname: "system/none", Typeflag: tar.TypeLink})
	w.WriteHeader(&tar.Header{Name: "dev/null", Devmajor: 1, Devminor: 3, Typeflag: tar.TypeChar})
	// GNU sparse, version 1.0: the map is in the data.
	mapped := "1\n5\n3\n"
	body := mapped + strings.Repeat("\x00", 512-len(mapped)) + "xyz"
	w.Close()
	list := buf.Bytes()[:buf.Len()-1024]
	list = append(list, paxSparse("system/lib/sparse", 10, body)...)
	e := mustOpenBytes(t, "x.tar", append(list, make([]byte, 1024)...))
	for path, want := range map[string]string{"/system/app/B": "a", "/system/lib/sparse": "\x00\x00\x00\x00\x00xyz\x00\x00"} {
		f := e.File(path)
		if f == nil {
			t.Fatalf("%s is missing: %q %q", path, phonePaths(e), gapLines(e))
		}
		if b, err := f.Data(); err != nil || string(b) != want || f.Size != int64(len(want)) {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
	if _, err := e.File("/system/app/C").Data(); !errors.Is(err, Absent) {
		t.Errorf("a hard link to nothing: %v", err)
	}
	if f := e.Outside()[0]; f.Mode&os.ModeCharDevice == 0 {
		t.Errorf("a device is %v", f.Mode)
	} else if _, err := f.Data(); err == nil {
		t.Error("a device has data")
	}
}

// paxSparse is a member in the form of GNU tar --format=posix --sparse.
func paxSparse(name string, size int, body string) []byte {
	record := func(k, v string) string {
		n := len(k) + len(v) + 3
		for s := fmt.Sprint(n); n != len(s)+len(k)+len(v)+3; s = fmt.Sprint(n) {
			n = len(s) + len(k) + len(v) + 3
		}
		return fmt.Sprintf("%d %s=%s\n", n, k, v)
	}
	header := func(name string, size int, kind byte) []byte {
		h := make([]byte, 512)
		copy(h, name)
		copy(h[100:], "0000644\x000000000\x000000000\x00")
		copy(h[124:], fmt.Sprintf("%011o\x00%011o\x00", size, 0))
		copy(h[148:], "        ")
		h[156] = kind
		copy(h[257:], "ustar\x0000")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		return h
	}
	pad := func(b []byte) []byte { return append(b, make([]byte, -len(b)&511)...) }
	x := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.name", name) + record("GNU.sparse.realsize", fmt.Sprint(size))
	out := pad(append(header("x", len(x), 'x'), x...))
	return append(out, pad(append(header("GNUSparseFile.0/s", len(body), '0'), body...))...)
}

func TestDataOnce(t *testing.T) {
	var in []member
	for i := range 22 {
		in = append(in, member{fmt.Sprintf("system/lib/%d.so", i), strings.Repeat(fmt.Sprint(i), 1<<i)})
	}
	in = append(in, files("system/app/A/A.apk")...)
	e := mustOpenBytes(t, "d.zip", makeZip(t, in))
	var wg sync.WaitGroup
	got := make([][][]byte, 8)
	for g := range got {
		wg.Go(func() {
			for i := range in {
				f := e.File("/" + in[(i+g*7)%len(in)].name)
				b, err := f.Data()
				if err != nil {
					t.Error(err)
				}
				f.SHA256()
				got[g] = append(got[g], b)
				e.Gaps()
			}
		})
	}
	wg.Wait()
	for i, m := range in {
		for g := range got {
			b := got[g][(i-g*7%len(in)+len(in))%len(in)]
			if string(b) != m.body && m.name != "system/app/A/A.apk" {
				t.Fatalf("%s differs", m.name)
			}
			if len(b) > 0 && &b[0] != &got[0][i][0] {
				t.Fatalf("%s was read twice", m.name)
			}
		}
		if sum, err := e.File("/" + m.name).SHA256(); err != nil || sum != sha256.Sum256([]byte(m.body)) {
			t.Fatalf("%s: wrong hash, %v", m.name, err)
		}
	}
}

func TestInputs(t *testing.T) {
	in := files("system/app/A/A.apk", "system/bin/ls -> toybox", "notes")
	dir := makeFolder(t, filepath.Join(t.TempDir(), "d"), in)
	first, second := mustOpen(t, dir).Inputs()[0], mustOpen(t, dir).Inputs()[0]
	sum := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	want := sha256.Sum256([]byte("notes\x0016\x00" + sum("content of notes") + "\nsystem/app/A/A.apk\x0029\x00" + sum("content of system/app/A/A.apk") + "\nsystem/bin/ls\x00link\x00toybox\n"))
	if first != second || first.SHA256 != want || first.Kind != "folder" || first.Name != "d" || first.Size != 45 {
		t.Errorf("%+v, %+v", first, second)
	}
	z := filepath.Join(t.TempDir(), "x.zip")
	b := makeZip(t, in)
	os.WriteFile(z, b, 0o644)
	if got := mustOpen(t, z).Inputs()[0]; got != (Input{"x.zip", "zip", int64(len(b)), sha256.Sum256(b)}) {
		t.Errorf("%+v", got)
	}
}

func TestCancel(t *testing.T) {
	dir := makeFolder(t, filepath.Join(t.TempDir(), "d"), files("system/app/A/A.apk"))
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, []string{dir}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("opened with %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	z := filepath.Join(t.TempDir(), "x.tar.gz")
	os.WriteFile(z, gz(makeTar(t, files("system/app/A/A.apk"))), 0o644)
	unpacking := false
	_, err := Open(ctx, []string{z}, func(p Progress) {
		if p.Stage == "unpack" {
			unpacking = true
			cancel()
		}
	})
	if !unpacking || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while unpacking (%v): %v", unpacking, err)
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

func TestDeniedFolder(t *testing.T) {
	if os.Getuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("nothing is denied to this user")
	}
	dir := makeFolder(t, filepath.Join(t.TempDir(), "d"), files("system/app/A/A.apk", "system/etc/hosts", "system/priv/x"))
	os.Chmod(filepath.Join(dir, "system/priv"), 0)
	os.Chmod(filepath.Join(dir, "system/etc/hosts"), 0)
	t.Cleanup(func() { os.Chmod(filepath.Join(dir, "system/priv"), 0o755) })
	e := mustOpen(t, dir)
	if _, err := e.File("/system/etc/hosts").Data(); !errors.Is(err, Denied) {
		t.Errorf("read with %v", err)
	}
	wantList(t, "gaps", gapLines(e), []string{"system/etc/hosts: denied: reading it is not permitted",
		"system/priv: denied: the folder cannot be listed: reading it is not permitted"})
}

func TestReaderAt(t *testing.T) {
	e := mustOpenBytes(t, "d.zip", makeZip(t, files("system/app/A/A.apk")))
	r, err := e.File("/system/app/A/A.apk").ReaderAt()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 7)
	if n, err := r.ReadAt(b, 3); n != 7 || err != nil && err != io.EOF || string(b) != "tent of" {
		t.Errorf("%q, %v", b[:n], err)
	}
}

func TestIdentify(t *testing.T) {
	for want, b := range map[string][]byte{
		"zip": makeZip(t, files("x")), "apk": makeZip(t, files("AndroidManifest.xml")), "jar": makeZip(t, files("classes.dex")),
		"apex": makeZip(t, files("AndroidManifest.xml", "apex_payload.img")), "tar": makeTar(t, files("x")), "gzip": gz(nil), "zstd": zst([]byte("x")),
		"xz": xzip(t, nil, xz.WriterConfig{}), "": []byte("text"), "pcap": []byte("\xd4\xc3\xb2\xa1xxxx"), "elf": []byte("\x7fELF"),
	} {
		if got := Identify(b); got != want {
			t.Errorf("%s is taken for %q", want, got)
		}
	}
}

func FuzzOpenBytes(f *testing.F) {
	tree := files("system/app/A/A.apk", "system/lib/l.so -> ../x", "vendor/etc/v", "../up")
	f.Add(makeZip(f, tree))
	f.Add(makeZip(f, tree)[:200])
	f.Add(makeTar(f, tree))
	f.Add(gz(makeTar(f, tree)))
	f.Add(zst(makeTar(f, tree)))
	f.Add(xzip(f, makeTar(f, tree), xz.WriterConfig{}))
	f.Add(xzip(f, makeTar(f, tree), xz.WriterConfig{BlockSize: 100}))
	f.Add(makeZip(f, []member{{"in.zip", string(makeZip(f, tree))}}))
	f.Add(append(paxSparse("system/app/s", 10, "1\n5\n3\n"+strings.Repeat("\x00", 506)+"xyz"), make([]byte, 1024)...))
	for _, b := range imageSeeds(f) {
		f.Add(b)
		f.Add(makeZip(f, []member{{"system.img", string(b)}}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := openBytes(t.Context(), "f", b)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for i, fl := range e.Files() {
			if i > 0 && e.Files()[i-1].Path >= fl.Path {
				t.Fatalf("%q after %q", fl.Path, e.Files()[i-1].Path)
			}
		}
		for _, fl := range append(slices.Clone(e.Files()), e.Outside()...) {
			roundTrip(t, fl.Ref)
			data, err := fl.Data()
			if err == nil && fl.Link == "" && fl.Size >= 0 && int64(len(data)) != fl.Size {
				t.Fatalf("%s: %d bytes, not %d", fl.Ref, len(data), fl.Size)
			}
			if fl.Path != "" {
				e.File(fl.Path)
			}
		}
		for _, g := range e.Gaps() {
			if g.Reason.String() == "no reason" {
				t.Fatalf("%v", g)
			}
		}
	})
}
