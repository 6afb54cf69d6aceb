package evidence

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// phones are the real firmware trees that lie beside the repository.
func phones(t testing.TB) []string {
	list, _ := filepath.Glob("../../shared/phones/*.zip")
	if len(list) == 0 {
		t.Skip("no firmware at ../shared/phones")
	}
	return list
}

// TestPhones opens each phone as a zip and as a folder that the standard library's zip reader made of it.
// Both must give the same phone, with every file of a partition in its place. Of files of more than 64 KiB
// every tenth is compared byte by byte, and the others are laid out as holes, but for the modules, whose files are files of
// the phone.
func TestPhones(t *testing.T) {
	const short = 64 << 10
	for _, p := range phones(t) {
		t.Run(filepath.Base(p), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "phone")
			r, err := zip.OpenReader(p)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			whole := map[string]bool{} // what was laid out as it is
			for i, f := range r.File {
				out := filepath.Join(dir, f.Name)
				os.MkdirAll(filepath.Dir(out), 0o755)
				w, err := os.Create(out)
				if err != nil {
					t.Fatal(err)
				}
				if f.UncompressedSize64 > short && i%10 != 0 && !strings.HasSuffix(f.Name, ".apex") {
					err = w.Truncate(int64(f.UncompressedSize64))
				} else {
					whole[f.Name] = true
					var rc io.ReadCloser
					if rc, err = f.Open(); err == nil {
						_, err = io.Copy(w, rc)
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				w.Close()
			}
			z, d := mustOpen(t, p), mustOpen(t, dir)
			wantList(t, "phone", phonePaths(z), phonePaths(d))
			if rootPaths(z) != rootPaths(d) || d.Under("/system") == nil {
				t.Errorf("roots %s and %s", rootPaths(z), rootPaths(d))
			}
			for i, f := range z.Files() {
				if !whole[f.Ref.Names()[1]] {
					continue
				}
				a, err := f.Data()
				b, err2 := d.Files()[i].Data()
				if err != nil || err2 != nil || !bytes.Equal(a, b) {
					t.Errorf("%s: %d bytes (%v) and %d bytes (%v)", f.Path, len(a), err, len(b), err2)
				}
			}
			files := slices.DeleteFunc(slices.Clone(z.Files()), func(f *File) bool { return strings.HasPrefix(f.Path, "/apex/") })
			placed := 0
			for _, f := range r.File {
				top, _, _ := strings.Cut(f.Name, "/")
				if slices.Contains([]string{"system", "vendor", "product", "boot", "recovery"}, top) && top != f.Name {
					placed++
				}
			}
			if len(files) != placed || placed+len(z.Outside()) != len(r.File) {
				t.Errorf("%d files placed, %d outside; by their names %d of %d belong to the phone", len(files), len(z.Outside()), placed, len(r.File))
			}
			for _, g := range z.Gaps() {
				if g.Reason != Absent {
					t.Errorf("%v", g)
				}
			}
			for _, a := range z.Apexes() {
				if err := a.Verify(); err != nil || a.Mount == "" || a.Why != "" || len(z.Under(a.Mount)) == 0 {
					t.Errorf("%s: mounted at %q with %d files; %s %v", a.File.Path, a.Mount, len(z.Under(a.Mount)), a.Why, err)
				}
			}
			t.Logf("roots %s; %d modules; %d files, %d outside, %d gaps", rootPaths(z), len(z.Apexes()), len(z.Files()), len(z.Outside()), len(z.Gaps()))
		})
	}
}

// BenchmarkOpen opens each phone and reads all its files; the rate is of what comes out.
func BenchmarkOpen(b *testing.B) {
	for _, p := range phones(b) {
		b.Run(filepath.Base(p), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e, err := Open(b.Context(), []string{p}, nil)
				if err != nil {
					b.Fatal(err)
				}
				var n int64
				for _, f := range e.Files() {
					data, err := f.Data()
					if err != nil {
						b.Fatal(err)
					}
					n += int64(len(data))
				}
				e.Inputs()
				e.Close()
				b.SetBytes(n)
			}
		})
	}
}
