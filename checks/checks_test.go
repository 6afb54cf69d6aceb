package checks

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"gifthorse/check"
)

// maxLines is what a check's code may take: more is a sign that it does the work of a model.
const maxLines = 150

var (
	expectation = regexp.MustCompile("(?m)(^|# ?|<!-- ?)want ([a-z]+ )?[\"`]")
	nameForm    = regexp.MustCompile(`^[a-z][a-z0-9]*$`)
	// A check that is not run stands in the list as a comment: // name.Check: the reason
	leftOut = regexp.MustCompile(`(?m)^\s*//\s*(\w+)\.Check,?\s*(?::|//)\s*\S`)
)

// broken returns the promises that the checks of list, whose folders are in dir, do not keep.
func broken(dir fs.FS, list []*check.Check) (problems []string) {
	say := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	read := func(name string) string {
		b, err := fs.ReadFile(dir, name)
		say(err != nil, "%v", err)
		return string(b)
	}
	listed := map[string]bool{}
	for _, c := range list {
		say(listed[c.Name], "%s: listed twice", c.Name)
		listed[c.Name] = true
		say(!nameForm.MatchString(c.Name), "%s: a name is one lower-case word", c.Name)
		say(c.Run == nil, "%s: it does nothing", c.Name)
		say(len(c.Messages) == 0, "%s: no messages", c.Name)
		for id, m := range c.Messages {
			say(m == "" || m[0] >= 'A' && m[0] <= 'Z' || strings.HasSuffix(m, "."), "%s: message %s: lower case, no full stop: %q", c.Name, id, m)
		}
		known := false
		for _, q := range check.Questions {
			known = known || q == c.Question
		}
		say(!known, "%s: %q is no question", c.Name, c.Question)

		say(c.Doc != read(c.Name+"/doc.md"), "%s: Doc is not doc.md", c.Name)
		first, _, _ := strings.Cut(c.Doc, "\n")
		say(strings.TrimSpace(first) == "" || first[0] == '#', "%s: the first line of doc.md says what a finding means", c.Name)
		for _, section := range []string{"Why", "Not seen", "Innocent", "Measured", "Sources"} {
			_, after, ok := strings.Cut(c.Doc, "\n# "+section+"\n")
			text, _, _ := strings.Cut(after, "\n# ")
			say(!ok || strings.TrimSpace(text) == "", "%s: doc.md says nothing under # %s", c.Name, section)
		}
		say(!strings.Contains(read(c.Name+"/check_test.go"), "checktest.Run(t, "), "%s: check_test.go does not call checktest.Run", c.Name)
		n := strings.Count(read(c.Name+"/check.go"), "\n")
		say(n > maxLines, "%s: check.go has %d lines, %d at most", c.Name, n, maxLines)

		var with, without bool
		phones, _ := fs.Glob(dir, c.Name+"/testdata/*.txtar")
		for _, p := range phones {
			if expectation.MatchString(read(p)) {
				with = true
			} else {
				without = true
			}
		}
		say(!with, "%s: no phone in testdata on which it finds something", c.Name)
		say(!without, "%s: no innocent phone in testdata", c.Name)
	}
	source := read("checks.go")
	for _, m := range leftOut.FindAllStringSubmatch(source, -1) {
		say(listed[m[1]], "%s: both listed and left out", m[1])
		listed[m[1]] = true
	}
	dirs, _ := fs.Glob(dir, "*/check.go")
	for _, d := range dirs {
		name := path.Dir(d)
		say(!listed[name], "%s: not in All; list it, or leave it out as a comment with the reason: // %s.Check: too noisy", name, name)
	}
	return problems
}

// TestComplete holds every check to the same promises: it is listed, documented, small, and tested on a phone that
// has the behaviour and on one that has not.
func TestComplete(t *testing.T) {
	for _, p := range broken(os.DirFS("."), All) {
		t.Error(p)
	}
}

func TestCompleteFails(t *testing.T) {
	const doc = "any app can do it\n\n# Why\nx\n# Not seen\nx\n# Innocent\nx\n# Measured\nx\n# Sources\nx\n"
	one := func() (*check.Check, fstest.MapFS) {
		file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
		return &check.Check{Name: "one", Doc: doc, Question: check.Wire, Messages: map[string]string{"a": "any app can"}, Run: func(*check.Pass) error { return nil }},
			fstest.MapFS{"checks.go": file("\tone.Check,\n\t// two.Check: too noisy\n"), "one/check.go": file("package one\n"), "two/check.go": file("package two\n"),
				"one/doc.md": file(doc), "one/check_test.go": file("checktest.Run(t, Check)"), "one/testdata/open.txtar": file("-- a --\nb # want weak \"any app can\"\n"),
				"one/testdata/guarded.txtar": file("What the others want \"not\".\n-- a --\nb\n")}
	}
	for want, spoil := range map[string]func(*check.Check, fstest.MapFS){
		"":                                   func(*check.Check, fstest.MapFS) {},
		"one: no innocent phone in testdata": func(_ *check.Check, d fstest.MapFS) { delete(d, "one/testdata/guarded.txtar") },
		"one: no phone in testdata on which": func(_ *check.Check, d fstest.MapFS) { delete(d, "one/testdata/open.txtar") },
		"one: doc.md says nothing under # Why": func(c *check.Check, d fstest.MapFS) {
			c.Doc = strings.Replace(doc, "# Why\nx", "# Why\n", 1)
			d["one/doc.md"].Data = []byte(c.Doc)
		},
		"one: Doc is not doc.md":      func(c *check.Check, _ fstest.MapFS) { c.Doc += "more" },
		"one: check.go has 151 lines": func(_ *check.Check, d fstest.MapFS) { d["one/check.go"].Data = []byte(strings.Repeat("\n", 151)) },
		"does not call checktest.Run": func(_ *check.Check, d fstest.MapFS) { d["one/check_test.go"].Data = nil },
		"two: not in All":             func(_ *check.Check, d fstest.MapFS) { d["checks.go"].Data = []byte("// two.Check:\n") },
		"one: both listed and left out": func(_ *check.Check, d fstest.MapFS) {
			d["checks.go"].Data = []byte("// one.Check // noisy\n// two.Check: x")
		},
		`one: "" is no question`: func(c *check.Check, _ fstest.MapFS) { c.Question = "" },
		"one: message a":         func(c *check.Check, _ fstest.MapFS) { c.Messages["a"] = "Any app." },
		"one/check_test.go":      func(_ *check.Check, d fstest.MapFS) { delete(d, "one/check_test.go") },
	} {
		c, dir := one()
		spoil(c, dir)
		got := strings.Join(broken(dir, []*check.Check{c}), "\n")
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("no %q in %q", want, got)
		}
	}
	c, dir := one()
	if got := strings.Join(broken(dir, []*check.Check{c, c}), "\n"); !strings.Contains(got, "one: listed twice") {
		t.Errorf("got %q", got)
	}
}
