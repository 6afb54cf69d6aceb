package gifthorse

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	mk "gifthorse/internal/make"
	"gifthorse/verdict"
)

// A phone in images is the phone in the folder that they were made of: the same findings, the same answers.
func TestImagesAreTheFolder(t *testing.T) {
	const folder = "examples/giftphone"
	if _, err := os.Stat(folder); err != nil {
		t.Skip("no " + folder)
	}
	want := scanPath(t, folder)
	if len(want.Findings) == 0 {
		t.Fatal("the folder has no findings to compare")
	}
	wantIDs := ids(want)
	for _, kind := range []struct{ what, pkg, tool string }{
		{"ext4", "e2fsprogs", "mkfs.ext4"}, {"erofs", "erofs-utils", "mkfs.erofs"},
	} {
		t.Run(kind.what, func(t *testing.T) {
			dir := t.TempDir()
			img := filepath.Join(dir, "system.img")
			args := []string{"-zlz4", "--quiet", img, folder}
			if kind.what == "ext4" {
				args = []string{"-q", "-d", folder, img, "16m"}
			}
			tool, err := exec.LookPath(kind.tool)
			if err != nil {
				tool = "/usr/sbin/" + kind.tool
				if _, err := os.Stat(tool); err != nil {
					t.Skipf("no %s on this machine (Debian: %s)", kind.tool, kind.pkg)
				}
			}
			if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			b, err := os.ReadFile(img)
			if err != nil {
				t.Fatal(err)
			}
			super, err := mk.Super(mk.Image{Name: "system_a", Data: b}, mk.Image{Name: "system_b"})
			if err != nil {
				t.Fatal(err)
			}
			sparse := filepath.Join(dir, "super.img")
			if err := os.WriteFile(sparse, mk.Sparse(super, 1)[0], 0o644); err != nil {
				t.Fatal(err)
			}
			for _, p := range []string{img, sparse} {
				got := scanPath(t, p)
				if g := ids(got); !slices.Equal(g, wantIDs) {
					t.Errorf("%s: findings %q, in the folder %q", filepath.Base(p), g, wantIDs)
				}
				if got.Verdict.Decision.ID != want.Verdict.Decision.ID {
					t.Errorf("%s: the decision is %s, of the folder %s", filepath.Base(p), got.Verdict.Decision.ID, want.Verdict.Decision.ID)
				}
				level := func(a, b verdict.Answer) bool { return a.Question == b.Question && a.Level == b.Level }
				if !slices.EqualFunc(got.Verdict.Answers, want.Verdict.Answers, level) {
					t.Errorf("%s: answers %v, of the folder %v", filepath.Base(p), got.Verdict.Answers, want.Verdict.Answers)
				}
				if len(got.Gaps) != len(want.Gaps) {
					t.Errorf("%s: gaps %v, of the folder %v", filepath.Base(p), got.Gaps, want.Gaps)
				}
			}
		})
	}
}

func scanPath(t *testing.T, path string) *Result {
	t.Helper()
	r, err := Scan(t.Context(), []string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func ids(r *Result) (out []string) {
	for i := range r.Findings {
		out = append(out, r.Findings[i].ID()+" "+r.Findings[i].Text())
	}
	return out
}
