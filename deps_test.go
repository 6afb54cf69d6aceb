package gifthorse

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// deps says what each package may import besides the standard library: packages of this module by their folder ("." is
// the root), third-party modules by their name. A package that is not here may not exist, and a module that is on no
// line may not be used. It is a statement of policy: do not change it to fix a build. Tests are exempt.
var deps = map[string]string{
	"internal/*":      "",
	"internal/imgfs":  "internal/cursor",
	"knowledge":       "",
	"format/*":        "internal/*",
	"format/apk":      "internal/* github.com/klauspost/compress",
	"format/boot":     "internal/* github.com/klauspost/compress github.com/ulikunitz/xz",
	"format/erofs":    "internal/* github.com/klauspost/compress",
	"format/f2fs":     "internal/* github.com/klauspost/compress",
	"format/squashfs": "internal/* github.com/klauspost/compress github.com/ulikunitz/xz",
	"format/ota":      "internal/* github.com/klauspost/compress github.com/ulikunitz/xz github.com/andybalholm/brotli",
	"evidence":        "format/* internal/cursor internal/lz4 github.com/klauspost/compress github.com/ulikunitz/xz golang.org/x/sys",
	"adb":             "",
	"collect":         "adb evidence",
	"phone":           "evidence format/* knowledge",
	"program":         "evidence format/* knowledge phone",
	"traffic":         "evidence format/* knowledge phone",
	"check":           "evidence phone program traffic knowledge",
	"check/checktest": ". adb check checks checks/* collect evidence format/* internal/* knowledge phone program traffic verdict golang.org/x/tools",
	"checks/*":        "check evidence phone program traffic knowledge",
	"checks":          "check checks/*",
	"verdict":         "check evidence knowledge",
	"report":          "check evidence knowledge phone program traffic verdict golang.org/x/text github.com/CycloneDX/cyclonedx-go",
	".":               "adb check checks collect evidence format/* knowledge phone program traffic verdict",
	"server":          ". adb check checks collect evidence report",
	"cmd/*":           ". adb check checks collect evidence report golang.org/x/term",
	"cmd/gifthorse":   ". adb check checks collect evidence report server golang.org/x/term",
}

// packages reads the import lines of every package of this module. The files are read here, not by "go list": the test
// cache sees only what the test itself opens, and would answer for a breach that it did not see.
func packages(t *testing.T) map[string][]*ast.File {
	t.Helper()
	byDir := map[string][]*ast.File{}
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); base == "testdata" || base != "." && strings.HasPrefix(base, ".") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		byDir[path.Dir(name)] = append(byDir[path.Dir(name)], f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return byDir
}

func TestDependencies(t *testing.T) {
	for dir, files := range packages(t) {
		allowed, ok := rule(dir)
		if !ok {
			t.Errorf("package %s is not in the dependency rule", dir)
			continue
		}
		for _, f := range files {
			for _, spec := range f.Imports {
				imp, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				if !permitted(allowed, imp) {
					t.Errorf("%s may not import %s", dir, imp)
				}
			}
		}
	}
}

// rule returns the line for a package: its own, else the most special pattern that fits.
func rule(pkg string) (string, bool) {
	if v, ok := deps[pkg]; ok {
		return v, true
	}
	best, found := "", false
	for k := range deps {
		if ok, _ := path.Match(k, pkg); ok && len(k) > len(best) {
			best, found = k, true
		}
	}
	return deps[best], found
}

func permitted(allowed, imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	if !strings.Contains(first, ".") && first != "gifthorse" {
		return true // standard library
	}
	rel, ours := strings.CutPrefix(imp, "gifthorse")
	rel = cmp.Or(strings.TrimPrefix(rel, "/"), ".")
	for p := range strings.FieldsSeq(allowed) {
		if ours {
			if ok, _ := path.Match(p, rel); ok {
				return true
			}
		} else if imp == p || strings.HasPrefix(imp, p+"/") {
			return true
		}
	}
	return false
}

// The rule itself must be able to fail.
func TestDependencyRuleRefuses(t *testing.T) {
	for _, x := range []struct{ pkg, imp string }{
		{"format/dex", "gifthorse/evidence"},
		{"format/dex", "gifthorse/format/apk"},
		{"format/dex", "github.com/klauspost/compress/flate"},
		{"checks/confuseddeputy", "gifthorse/format/dex"},
		{"check", "gifthorse/format/dex"},
		{"verdict", "gifthorse/report"},
		{"report", "gifthorse"},
		{"knowledge", "gifthorse/evidence"},
		{".", "gifthorse/report"},
		{"server", "gifthorse/format/dex"},
		{"evidence", "github.com/other/module"},
		{"evidence", "github.com/klauspost/compressed"},
		{"internal/cursor", "gifthorse/internal/make"},
	} {
		allowed, ok := rule(x.pkg)
		if !ok {
			t.Errorf("%s has no rule", x.pkg)
		}
		if permitted(allowed, x.imp) {
			t.Errorf("%s may import %s", x.pkg, x.imp)
		}
	}
	if _, ok := rule("utils"); ok {
		t.Error("a package that is not in the rule has one")
	}
	if allowed, _ := rule("evidence"); !permitted(allowed, "github.com/klauspost/compress/zstd") || !permitted(allowed, "gifthorse/format/apk") || !permitted(allowed, "os") {
		t.Error("evidence may not import what it needs")
	}
}

// Every package says what it is for.
func TestPackageComments(t *testing.T) {
	for dir, files := range packages(t) {
		if !slices.ContainsFunc(files, func(f *ast.File) bool { return f.Doc != nil && len(f.Doc.Text()) > 40 }) {
			t.Errorf("package %s has no comment that says what it is for", dir)
		}
	}
}
