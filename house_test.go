package gifthorse

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gifthorse/check"
	reports "gifthorse/report"
	"gifthorse/verdict"
)

// Tests of the house: promises that no single package can keep.

// scanned returns the report of what stands at paths, in its wire form, without the input's own name and hash.
func scanned(t *testing.T, paths ...string) []byte {
	t.Helper()
	r, err := Scan(context.Background(), paths, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if err := reportOf(r).JSON(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func reportOf(r *Result) *reports.Report {
	return reports.New(reports.Scan{Version: Version, Phone: r.Phone, Findings: r.Findings, Coverage: r.Coverage, Gaps: r.Gaps, Verdict: r.Verdict})
}

// The same phone gives the same report, whatever the number of cores and the order of its files.
func TestSameBytesOut(t *testing.T) {
	gift := filepath.Join(t.TempDir(), "giftphone") // what a thing is called is told in the report
	pack(t, gift, phoneFiles(t))
	real := filepath.Join("..", "shared", "phones", "archos.zip")
	for _, file := range []string{gift, real} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			if _, err := os.Stat(file); err != nil {
				t.Skipf("%s is not beside the checkout", file)
			}
			if file == real && testing.Short() {
				t.Skip("real phones take a while")
			}
			shuffled := filepath.Join(t.TempDir(), filepath.Base(file))
			shuffle(t, file, shuffled)
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			want := scanned(t, file)
			if !bytes.Contains(want, []byte(`"findings": [`)) {
				t.Fatalf("this is no report: %.100s", want)
			}
			for _, x := range []struct {
				cores int
				file  string
			}{{4, file}, {4, shuffled}} {
				runtime.GOMAXPROCS(x.cores)
				if got := scanned(t, x.file); !bytes.Equal(got, want) {
					t.Errorf("%s with %d cores: the report differs at byte %d: %s", x.file, x.cores, differ(got, want), around(got, differ(got, want)))
				}
			}
		})
	}
	if folder, zipped := told(t, filepath.Join("examples", "giftphone")), told(t, gift); !slices.Equal(folder, zipped) || len(folder) < 3 {
		t.Errorf("a phone as a folder and as a zip: %q and %q", folder, zipped)
	}
}

// told returns the findings without their addresses, which lead through the containers.
func told(t *testing.T, file string) (all []string) {
	t.Helper()
	r, err := Scan(context.Background(), []string{file}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range r.Findings {
		f := &r.Findings[i]
		all = append(all, fmt.Sprint(f.ID(), " ", f.Grade, ": ", f.Text()))
	}
	return all
}

func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func around(b []byte, i int) []byte { return b[max(0, i-100):min(len(b), i+100)] }

// shuffle copies a zip with its entries in another order; their bytes are not touched.
func shuffle(t *testing.T, from, to string) {
	t.Helper()
	in, err := zip.OpenReader(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(len(in.File)) {
		if err := out.Copy(in.File[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A phoneFile is a file of the phone in examples.
type phoneFile struct {
	name string
	data []byte
}

func phoneFiles(t testing.TB) (all []phoneFile) {
	t.Helper()
	root := os.DirFS(filepath.Join("examples", "giftphone"))
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, name)
		all = append(all, phoneFile{name, data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func pack(t testing.TB, to string, all []phoneFile) {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range all {
		m, err := w.Create(f.name)
		if err == nil {
			_, err = m.Write(f.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Broken phones end in a report or in an error that says what is wrong: no panic, bounded memory, nothing of the phone
// that a terminal would obey.
func TestBrokenPhones(t *testing.T) {
	rng := rand.New(rand.NewPCG(20261122, 7))
	files := phoneFiles(t)
	whole := filepath.Join(t.TempDir(), "whole.zip")
	pack(t, whole, files)
	packed, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "phone")
	write := func(name string, data []byte) string {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, f := range files {
		write(f.name, f.data)
	}
	tried(t, "nothing broken", dir)
	levels := map[verdict.Level]int{}
	for range 300 {
		f := files[rng.IntN(len(files))]
		if path.Ext(f.name) != ".apk" && rng.IntN(3) > 0 {
			continue // most of what can break is in the apps
		}
		data, how := damage(rng, f.data)
		write(f.name, data)
		levels[tried(t, f.name+": "+how, dir)]++
		write(f.name, f.data)
	}
	broken := filepath.Join(t.TempDir(), "broken.zip")
	for range 150 {
		data, how := damage(rng, packed)
		if err := os.WriteFile(broken, data, 0o644); err != nil {
			t.Fatal(err)
		}
		levels[tried(t, "zip: "+how, broken)]++
	}
	t.Logf("the answer about backdoors: %v", levels)
	if levels[verdict.Found] == 0 || len(levels) < 2 {
		t.Errorf("the damage is too great or too slight to try anything: %v", levels)
	}
}

// damage returns a copy of data with one fault, and which.
func damage(rng *rand.Rand, data []byte) ([]byte, string) {
	b := bytes.Clone(data)
	if len(b) < 8 {
		return nil, "emptied"
	}
	i := rng.IntN(len(b) - 4)
	switch rng.IntN(6) {
	case 0:
		return b[:i], fmt.Sprintf("cut at %d", i)
	case 1:
		b[i] ^= 1 << rng.IntN(8)
		return b, fmt.Sprintf("a bit flipped at %d", i)
	case 2:
		for range 16 {
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		}
		return b, "16 bits flipped"
	case 3: // sizes, offsets and counts that lie
		for range 4 {
			j := rng.IntN(len(b)-4) &^ 3
			v := [...][]byte{{255, 255, 255, 255}, {255, 255, 255, 127}, {0, 0, 0, 128}, {0, 0, 0, 0}, {255, 255, 0, 0}, {0, 0, 16, 0}}[rng.IntN(6)]
			copy(b[j:], v)
		}
		return b, "four words overwritten"
	case 4:
		j := rng.IntN(len(b) - 4)
		n := rng.IntN(min(64, len(b)-max(i, j)))
		copy(b[i:i+n], data[j:j+n])
		return b, fmt.Sprintf("%d bytes copied from %d to %d", n, j, i)
	default:
		n := rng.IntN(min(64, len(b)-i))
		return append(b[:i], b[i+n:]...), fmt.Sprintf("%d bytes left out at %d", n, i)
	}
}

// tried scans what stands at file and returns the answer about backdoors, "" for an error.
func tried(t *testing.T, how, file string) verdict.Level {
	t.Helper()
	defer func() {
		if x := recover(); x != nil {
			t.Fatalf("%s: panic: %v", how, x)
		}
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := Scan(context.Background(), []string{file}, "", nil)
	if err != nil {
		if err.Error() == "" {
			t.Errorf("%s: an error that says nothing", how)
		}
		return ""
	}
	defer r.Close()
	var page, terminal bytes.Buffer
	rep := reportOf(r)
	if err := rep.JSON(io.Discard); err != nil {
		t.Errorf("%s: %v", how, err)
	}
	if err := rep.HTML(&page); err != nil {
		t.Errorf("%s: %v", how, err)
	}
	if err := rep.Text(&terminal, reports.Style{}); err != nil {
		t.Errorf("%s: %v", how, err)
	}
	runtime.ReadMemStats(&after)
	// All that was ever allocated, so more than what was in use at once.
	if n := after.TotalAlloc - before.TotalAlloc; n > 256<<20 {
		t.Errorf("%s: %d MB were allocated for a phone of a few KB", how, n>>20)
	}
	for _, b := range [][]byte{page.Bytes(), terminal.Bytes()} {
		if i := bytes.IndexFunc(b, func(c rune) bool { return c < ' ' && c != '\n' && c != '\t' || c == 0x7f || c >= 0x80 && c < 0xa0 }); i >= 0 {
			t.Errorf("%s: a control character is in the report: %q", how, around(b, i))
		}
	}
	for _, g := range r.Gaps {
		if strings.Contains(g.Detail, "please report it") {
			t.Errorf("%s: %s", how, g.Detail)
		}
	}
	for _, a := range r.Verdict.Answers {
		if !slices.Contains([]verdict.Level{verdict.Found, verdict.Signs, verdict.CannotTell, verdict.NothingFound}, a.Level) {
			t.Errorf("%s: the answer to %s is %q", how, a.Question, a.Level)
		}
	}
	return level(r, check.Backdoor)
}

// overTheWire are the packages that may speak to the world: those of the phone on the cable and of the browser. A scan
// uses neither.
var overTheWire = []string{"adb", "server"}

// No code of ours that a scan runs can reach the network or start a program: it imports and calls nothing that does. What the
// packages of others import is not looked at (crypto/x509 has net, a module for brotli has net/http); .ci/run watches a
// scan's system calls for that.
func TestNoNetworkNothingExecuted(t *testing.T) {
	n := 0
	for name, f := range sources(t) {
		n++
		if dir := path.Dir(name); !slices.Contains(overTheWire, dir) {
			for _, breach := range reachesOut(f) {
				t.Errorf("%s: %s", name, breach)
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d files were looked at", n)
	}
	for _, src := range []string{
		`import "net"`, `import "net/http"`, `import x "os/exec"`, `import "plugin"`, `import "C"`, `import "log/syslog"`,
		`import "os"; var _ = os.StartProcess`, `import s "syscall"; func f() { s.Exec("", nil, nil) }`, `import "golang.org/x/sys/unix"; var _, _ = unix.Socket(0, 0, 0)`,
		"import _ \"unsafe\"\n//go:linkname start os.StartProcess\nfunc start()", `import . "syscall"`,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if len(reachesOut(f)) == 0 {
			t.Errorf("this would pass: %s", src)
		}
	}
	for _, src := range []string{`import "net/netip"`, `import "net/url"`, `import "os"; var _ = os.Open`, `import "syscall"; var _ = syscall.ENOSPC`} {
		f, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if b := reachesOut(f); len(b) > 0 {
			t.Errorf("%s: %s", src, b)
		}
	}
}

// sources are the files of the program, without tests, by name.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	all := map[string]*ast.File{}
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || name != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		all[name], err = parser.ParseFile(token.NewFileSet(), name, src, parser.ParseComments|parser.SkipObjectResolution)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// reachesOut names what in a file could reach the network, start a program or load code.
func reachesOut(f *ast.File) (breaches []string) {
	system := map[string]bool{} // names under which the file knows packages that hold good and bad
	for _, s := range f.Imports {
		p, _ := strconv.Unquote(s.Path.Value)
		top, _, _ := strings.Cut(p, "/")
		switch {
		case p == "net/netip" || p == "net/url": // they only parse
		case top == "net" || p == "os/exec" || p == "plugin" || p == "C" || p == "log/syslog" || strings.HasPrefix(p, "golang.org/x/net"):
			breaches = append(breaches, "imports "+p)
		case p == "os" || p == "syscall" || strings.HasPrefix(p, "golang.org/x/sys/"):
			name := path.Base(p)
			if s.Name != nil {
				name = s.Name.Name
			}
			if system[name] = true; name == "." {
				breaches = append(breaches, "imports all names of "+p)
			}
		}
	}
	for _, group := range f.Comments {
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:linkname") {
				breaches = append(breaches, c.Text)
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := s.X.(*ast.Ident)
		if !ok || !system[x.Name] {
			return true
		}
		for _, bad := range []string{"StartProcess", "Exec", "ForkExec", "CreateProcess", "ShellExecute", "Socket", "Connect", "Sendto", "Sendmsg", "WSA", "Syscall", "RawSyscall", "SyscallN", "NewLazy", "LoadLibrary", "LoadDLL", "MustLoadDLL"} {
			if strings.HasPrefix(s.Sel.Name, bad) && s.Sel.Name != "Executable" {
				breaches = append(breaches, "uses "+x.Name+"."+s.Sel.Name)
			}
		}
		return true
	})
	return breaches
}

// testModules may be used by tests alone.
var testModules = []string{"github.com/rogpeppe/go-internal"}

// Every module that this one needs is allowed to some package by the dependency table, and stands for itself: nothing is
// put in its place.
func TestModules(t *testing.T) {
	b, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, breach := range modFaults(string(b)) {
		t.Error(breach)
	}
	for _, mod := range []string{
		"module gifthorse\nrequire github.com/other/module v1.0.0\n",
		"module gifthorse\nrequire (\n\tgolang.org/x/sys v0.1.0\n\tgithub.com/klauspost/compressed v1.0.0\n)\n",
		"module gifthorse\nreplace golang.org/x/sys => ../sys\n",
		"module gifthorse\nreplace (\n\tgolang.org/x/sys => ../sys\n)\n",
	} {
		if len(modFaults(mod)) == 0 {
			t.Errorf("this would pass:\n%s", mod)
		}
	}
}

// modFaults says what in a go.mod breaks the rule. What only other modules need ("// indirect") is theirs to choose.
func modFaults(text string) (faults []string) {
	var allowed []string
	for _, line := range deps {
		allowed = append(allowed, strings.Fields(line)...)
	}
	block := ""
	for l := range strings.Lines(text) {
		l, comment, _ := strings.Cut(l, "//")
		f := strings.Fields(l)
		if block != "" {
			f = append([]string{block}, f...)
		}
		switch {
		case len(f) == 2 && f[1] == "(":
			block = f[0]
		case len(f) == 2 && f[1] == ")":
			block = ""
		case len(f) > 1 && (f[0] == "replace" || f[0] == "exclude"):
			faults = append(faults, "go.mod: "+strings.Join(f, " "))
		case len(f) > 2 && f[0] == "require" && !strings.Contains(comment, "indirect") && !slices.Contains(allowed, f[1]) && !slices.Contains(testModules, f[1]):
			faults = append(faults, "go.mod: "+f[1]+" is in no line of the dependency table")
		}
	}
	return faults
}
