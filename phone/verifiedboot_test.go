package phone

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"gifthorse/evidence"
	"gifthorse/internal/make"
	"gifthorse/internal/verity"
)

func buildFolder(t testing.TB, files map[string][]byte) *Phone {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ev, err := evidence.Open(context.Background(), []string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ev.Close() })
	return Build(context.Background(), ev, nil)
}

func root(t testing.TB, image []byte) []byte {
	_, sum, err := verity.Tree(bytes.NewReader(image), int64(len(image)), 4096, nil, sha256.New())
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// A chain over a footer, a second slot, a sparse image inside a super partition, and images of another build in another folder.
func TestVerifiedBoot(t *testing.T) {
	vendor := bytes.Repeat([]byte("vendor  "), 4096)
	super, err := make.Super(make.Image{Name: "vendor_a", Data: vendor}, make.Image{Name: "vendor_b"})
	if err != nil {
		t.Fatal(err)
	}
	kernel := []byte("a kernel")
	inner := make.VBMeta{Seed: "boot", Rollback: 5, Descriptors: [][]byte{make.AVBHash("boot", kernel)}}.Bytes()
	top := make.VBMeta{Seed: "oem", Descriptors: [][]byte{make.AVBChain("boot", "boot"), make.AVBHashtree("vendor", len(vendor), root(t, vendor)), make.AVBHash("dtbo", kernel)}}.Bytes()
	ph := buildFolder(t, map[string][]byte{
		"system/build.prop":         []byte("ro.build.version.sdk=31\n"),
		"images/vbmeta_a.img":       top,
		"images/vbmeta_b.img":       make.VBMeta{Seed: "other"}.Bytes(),
		"images/boot_a.img":         make.AVBFooter(kernel, inner),
		"images/boot_b.img":         []byte("nothing"),
		"images/super.img":          make.Sparse(super, 1)[0],
		"a/boot.img":                []byte("another build"),
		"a/recovery.img":            []byte("another build"),
		"images/modem.img":          kernel,
		"images/system.new.dat.img": kernel,
	})
	v := ph.VerifiedBoot
	sum := sha256.Sum256(append(bytes.Clone(top), inner...))
	if !v.Complete || v.Digest != hex.EncodeToString(sum[:]) || len(v.Chain) != 2 || !v.Whole() {
		t.Fatalf("%+v", v)
	}
	for i, want := range []VBMeta{{Partition: "vbmeta", Signature: "verified"}, {Partition: "boot", Signature: "verified", RollbackIndex: 5}} {
		key := sha256.Sum256(make.AVBKey([]string{"oem", "boot"}[i]))
		if g := v.Chain[i]; g.Partition != want.Partition || g.Signature != want.Signature || g.RollbackIndex != want.RollbackIndex || g.KeySHA256 != hex.EncodeToString(key[:]) {
			t.Errorf("%+v", g)
		}
	}
	for i, want := range []VerifiedPartition{{Name: "vendor", By: 0, Hashtree: true, Match: Matches}, {Name: "dtbo", Match: NotGiven}, {Name: "boot", By: 1, Match: Matches}} {
		found := false
		for _, g := range v.Partitions {
			found = found || g.Name == want.Name && g.By == want.By && g.Hashtree == want.Hashtree && g.Match == want.Match
		}
		if !found {
			t.Errorf("%d: no %+v in %+v", i, want, v.Partitions)
		}
	}
	if got := v.LeftOut(); got != nil {
		t.Errorf("left out: %q", got)
	}
}

// A list that names a partition again and again is not followed without end.
func TestVerifiedBootBudget(t *testing.T) {
	var many [][]byte
	for range 5 {
		many = append(many, make.AVBHashtree("system", 8<<30, bytes.Repeat([]byte{1}, 32)))
	}
	v := buildFolder(t, map[string][]byte{"vendor/build.prop": []byte("ro.build.version.sdk=31\n"), "vendor/etc/a": nil,
		"vbmeta.img": make.VBMeta{Seed: "oem", Descriptors: many}.Bytes(), "system.img": []byte("short")}).VerifiedBoot
	if len(v.Partitions) != 5 || v.Partitions[4].Match != NotRead || v.Partitions[4].Why != "the partitions of the list are larger than what is hashed" {
		t.Errorf("%+v", v.Partitions)
	}
}

func TestPartitionName(t *testing.T) {
	for file, want := range map[string][2]string{
		"a/b/boot.img": {"boot", ""}, "vbmeta_system_a.img": {"vbmeta_system", "a"}, "VENDOR_B.bin": {"vendor", "b"}, "vendor_boot": {"vendor_boot", ""},
		"system.new.dat": {"", ""}, "super.img_sparsechunk.0": {"", ""}, "system.raw.img": {"system", ""},
	} {
		if name, slot := partitionName(file); name != want[0] || slot != want[1] {
			t.Errorf("%s: %q %q", file, name, slot)
		}
	}
}

// The hash tree of a partition is the heavy part: the cost is that of SHA-256 over all of it.
func BenchmarkVerifiedBoot(b *testing.B) {
	image := bytes.Repeat([]byte("system  "), 32<<20/8)
	top := make.VBMeta{Seed: "oem", Descriptors: [][]byte{make.AVBHashtree("system", len(image), root(b, image))}}.Bytes()
	dir := b.TempDir()
	for name, data := range map[string][]byte{"vbmeta.img": top, "system.img": image, "vendor/build.prop": []byte("ro.build.version.sdk=31\n"), "vendor/etc/a": nil} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(image)))
	for b.Loop() {
		ev, err := evidence.Open(context.Background(), []string{dir}, nil)
		if err != nil {
			b.Fatal(err)
		}
		if v := Build(context.Background(), ev, nil).VerifiedBoot; len(v.Partitions) != 1 || v.Partitions[0].Match != Matches {
			b.Fatalf("%+v", v)
		}
		ev.Close()
	}
}
