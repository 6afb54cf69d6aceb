package boot

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func shared(t testing.TB, name string) string {
	t.Helper()
	p := filepath.Join("../../../shared", name)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("%s is absent", p)
	}
	return p
}

// The boot image of AOSP's recovery tests: its kernel is cut short, ramdisk and signature are whole.
func TestRealBoot(t *testing.T) {
	b, err := os.ReadFile(shared(t, "corpus/ota/recovery/boot.img"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if f.HeaderVersion != 0 || f.PageSize != 4096 || f.OSVersion != "7.0.0" || f.PatchLevel != "2016-08" || f.End != 782336 ||
		f.Cmdline != "androidboot.hardware=angler androidboot.console=ttyHSL0 msm_rtb.filter=0x37 ehci-hcd.park=3 "+
			"lpm_levels.sleep_disabled=1 boot_cpus=0-3 buildvariant=userdebug" {
		t.Errorf("%+v", f)
	}
	s, err := f.BootSignature()
	if err != nil || s == nil {
		t.Fatal(s, err)
	}
	if s.Target != "/boot" || s.Length != f.End || s.Certificate.Subject.CommonName != "Android" {
		t.Errorf("%q over %d bytes by %v", s.Target, s.Length, s.Certificate.Subject)
	}
	if err := s.Verify(); err != nil {
		t.Error(err)
	}
	bad := bytes.Clone(b)
	bad[5000] ^= 1
	if f, err := New(bytes.NewReader(bad), int64(len(bad))); err != nil {
		t.Error(err)
	} else if s, err := f.BootSignature(); err != nil || !errors.Is(s.Verify(), ErrMismatch) {
		t.Errorf("an altered image verifies: %v", err)
	}

	d, err := f.OpenRamdisk(f.Ramdisks[0])
	if err != nil || d.Damage != nil {
		t.Fatal(err, d.Damage)
	}
	if len(d.Entries) != 46 || len(d.Segments) != 1 || d.Segments[0].Packing != "gzip" || d.Segments[0].Unpacked != 2332928 {
		t.Errorf("%d entries, %+v", len(d.Entries), d.Segments)
	}
	for name, want := range map[string]string{
		"init": "-rwxr-x---", "sbin": "drwxr-x---", "sbin/ueventd": "Lrwxr-x---", "fstab.angler": "-rw-r-----", "data": "drwxrwx--x",
	} {
		if st, err := d.Lstat(name); err != nil || st.Mode().String() != want {
			t.Errorf("%s: %v, %v, want %s", name, st.Mode(), err, want)
		}
	}
	a, _ := d.ReadFile("init")
	u, err := d.ReadFile("sbin/ueventd")
	if err != nil || !bytes.Equal(a, u) || !bytes.HasPrefix(a, []byte("\x7fELF")) {
		t.Errorf("sbin/ueventd is a link to init: %d and %d bytes, %v", len(a), len(u), err)
	}
}

// What AOSP's apexd tests expect of these files (system/apex/apexd/apex_file_test.cpp).
func TestRealFooters(t *testing.T) {
	dir := shared(t, "corpus/apex")
	member := func(name, member string) []byte {
		z, err := zip.OpenReader(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		f, err := z.Open(member)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err != nil && !errors.Is(err, zip.ErrChecksum) { // the corrupted one
			t.Fatal(err)
		}
		return b
	}
	for name, stored := range map[string]bool{
		"com.android.apex.cts.shim.v2.apex":                true,
		"com.android.apex.cts.shim.v2_signed_bob_rot.apex": true,
		"com.android.apex.test.foo.v1.libvX.apex":          false, // made with --no_hashtree
	} {
		img, key := member(name, "apex_payload.img"), member(name, "apex_pubkey")
		f, v, err := NewFooter(bytes.NewReader(img), int64(len(img)))
		if err != nil || v == nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.Version != "1.0" || v.Off != f.VBMetaOff || v.Algorithm.String() != "SHA256_RSA4096" || v.Release != "avbtool 1.2.0" || !bytes.Equal(v.PublicKey, key) {
			t.Errorf("%s: %+v %v %q", name, f, v.Algorithm, v.Release)
		}
		if err := v.Verify(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(v.Hashtrees) != 1 || int64(v.Hashtrees[0].ImageSize) != f.OriginalSize || v.Hashtrees[0].TreeSize > 0 != stored {
			t.Fatalf("%s: %+v", name, v.Hashtrees)
		}
		h := &v.Hashtrees[0]
		if string(img[h.Off+7]) != "\x01" {
			t.Errorf("%s: no hash tree descriptor at %#x", name, h.Off)
		}
		if err := VerifyHashtree(h, bytes.NewReader(img)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		bad := bytes.Clone(img)
		bad[h.ImageSize-1] ^= 1
		if err := VerifyHashtree(h, bytes.NewReader(bad)); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: altered data: %v", name, err)
		}
		if stored {
			bad = bytes.Clone(img)
			bad[h.TreeOff+100] ^= 1
			if err := VerifyHashtree(h, bytes.NewReader(bad)); !errors.Is(err, ErrMismatch) {
				t.Errorf("%s: altered tree: %v", name, err)
			}
		}
		var fe *FormatError
		if err := VerifyHashtree(h, bytes.NewReader(img[:4096])); !errors.As(err, &fe) || fe.Off != h.Off {
			t.Errorf("%s: image cut short: %v", name, err)
		}
		bad = bytes.Clone(img)
		bad[f.VBMetaOff+300] ^= 1 // in the signature or the digest
		if _, v, err := NewFooter(bytes.NewReader(bad), int64(len(bad))); err != nil || !errors.Is(v.Verify(), ErrMismatch) {
			t.Errorf("%s: altered signature: %v", name, err)
		}
	}
	img := member("com.android.apex.cts.shim.v2_unsigned_payload.apex", "apex_payload.img")
	if f, v, err := NewFooter(bytes.NewReader(img), int64(len(img))); f != nil || v != nil || err != nil {
		t.Errorf("a payload without a footer: %+v, %+v, %v", f, v, err)
	}
	img = member("corrupted_b146895998.apex", "apex_payload.img")
	var fe *FormatError
	if f, _, err := NewFooter(bytes.NewReader(img), int64(len(img))); f == nil || !errors.As(err, &fe) || fe.Off < f.VBMetaOff {
		t.Errorf("the corrupted payload: %+v, %v", f, err)
	}
}

// BenchmarkRamdisk unpacks a real ramdisk and builds its tree.
func BenchmarkRamdisk(b *testing.B) {
	img, err := os.ReadFile(shared(b, "corpus/ota/recovery/boot.img"))
	if err != nil {
		b.Fatal(err)
	}
	f, err := New(bytes.NewReader(img), int64(len(img)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(2332928)
	for b.Loop() {
		if _, err := f.OpenRamdisk(f.Ramdisks[0]); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleNew() {
	img := makeBoot(4, []byte("kernel"), cpio(entry{name: "init", mode: 0100750, data: "#!"}), "console=ttyS0")
	f, err := New(bytes.NewReader(img), int64(len(img)))
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := f.OpenRamdisk(f.Ramdisks[0])
	if err != nil {
		fmt.Println(err)
		return
	}
	fs.WalkDir(d, ".", func(name string, e fs.DirEntry, err error) error {
		fmt.Println(e)
		return err
	})
	fmt.Println(f.Cmdline)
	// Output:
	// d ./
	// - init
	// console=ttyS0
}
