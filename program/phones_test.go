package program_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gifthorse/check/checktest"
	"gifthorse/evidence"
	"gifthorse/internal/make"
	"gifthorse/phone"
	"gifthorse/program"

	"golang.org/x/tools/txtar"
)

// The phones in testdata are text. The head of an archive holds words for the reader, elements of the manifest
// (their attributes without the prefix android:), and properties:
//
//	An object's field is told from another's.
//	<receiver name="t.A" exported="true"/>
//	ro.debuggable=0
//	-- A.smali --
//
// What the analysis must find stands at the end of the line of the instruction:
//
//	# path EFFECT       a path from an exported component ends here, and no gate on it holds or is unknown
//	# held EFFECT       a path ends here, and a gate on it holds
//	# unknown EFFECT    a path ends here, none of its gates holds, and one is not known
//	# nopath            no path ends here
//
// Behind the effect may stand what more is known of the path: extra "name" that steers it, fixed "text" among its
// constants, composed "text" if that stands nowhere in the code as it is, action "name", from "class" of the component, gate "words".
// A line may hold several, one for each path. A path that ends where none is expected is an error, so nopath is for the
// reader and for this:
//
//	# todo path EFFECT, # todo nopath    as it should be, and is not yet
//
// The harness insists that what is still to be done is not done: who repairs it must change the line.
type textPhone struct {
	name    string
	archive *txtar.Archive
	wants   map[place][]want
}

type place struct {
	file string
	line int
}

type want struct {
	todo                 bool
	state, effect        string
	extra, fixed, action string
	composed             string
	from, gate           string
}

var (
	expectation = regexp.MustCompile(`# (todo )?(path|held|unknown|nopath)\b([^#]*)`)
	detail      = regexp.MustCompile(`(extra|fixed|composed|action|from|gate) ("(?:[^"\\]|\\.)*")`)
	attribute   = regexp.MustCompile(` (\w+)=`)
	property    = regexp.MustCompile(`^[\w.]+=`)
)

const folder = "system/priv-app/App/"

func readPhone(t testing.TB, file string) *textPhone {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	in := txtar.Parse(raw)
	p := &textPhone{name: strings.TrimSuffix(filepath.Base(file), ".txtar"), archive: &txtar.Archive{}, wants: map[place][]want{}}
	var above, inside, props bytes.Buffer
	props.WriteString("ro.build.version.sdk=23\n")
	in4 := false // within a component of several lines
	for line := range strings.SplitSeq(string(in.Comment), "\n") {
		switch {
		case property.MatchString(line):
			props.WriteString(line + "\n")
		case strings.HasPrefix(line, "<uses-") || strings.HasPrefix(line, "<permission") || strings.HasPrefix(line, "<protected"):
			above.WriteString(attribute.ReplaceAllString(line, " android:$1=") + "\n")
		case strings.HasPrefix(line, "<") || in4:
			inside.WriteString(attribute.ReplaceAllString(line, " android:$1=") + "\n")
			in4 = (in4 || !strings.HasSuffix(line, "/>")) && !strings.HasPrefix(line, "</") && !strings.Contains(line[1:], "</")
		}
	}
	p.archive.Files = []txtar.File{
		{Name: "system/build.prop", Data: props.Bytes()},
		{Name: folder + "AndroidManifest.xml", Data: fmt.Appendf(nil,
			`<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="t.app">%s<application>%s</application></manifest>`, above.Bytes(), inside.Bytes())},
	}
	for _, f := range in.Files {
		if !strings.Contains(f.Name, "/") {
			f.Name = folder + f.Name
		}
		p.archive.Files = append(p.archive.Files, f)
		if !strings.HasSuffix(f.Name, ".smali") {
			continue
		}
		for i, line := range strings.Split(string(f.Data), "\n") {
			for _, m := range expectation.FindAllStringSubmatch(line, -1) {
				w := want{todo: m[1] != "", state: m[2]}
				w.effect, _, _ = strings.Cut(strings.TrimSpace(m[3]), " ")
				for _, d := range detail.FindAllStringSubmatch(m[3], -1) {
					s, err := strconv.Unquote(d[2])
					if err != nil {
						t.Fatal(file, line, err)
					}
					*map[string]*string{"extra": &w.extra, "fixed": &w.fixed, "composed": &w.composed, "action": &w.action, "from": &w.from, "gate": &w.gate}[d[1]] = s
				}
				if rest := strings.Fields(detail.ReplaceAllString(m[3], "")); w.state != "nopath" && len(rest) != 1 || w.state == "nopath" && m[3] != "" && strings.TrimSpace(m[3]) != "" {
					t.Fatalf("%s: no expectation: %s", file, line)
				}
				at := place{f.Name, i + 1}
				p.wants[at] = append(p.wants[at], w)
			}
		}
	}
	return p
}

// open lays the phone out and reads it.
func (p *textPhone) open(t testing.TB) *phone.Phone {
	dir := t.TempDir()
	if err := checktest.Write(dir, p.archive); err != nil {
		t.Fatal(err)
	}
	return openPhone(t, dir)
}

func openPhone(t testing.TB, path string) *phone.Phone {
	ev, err := evidence.Open(context.Background(), []string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ev.Close() })
	return phone.Build(context.Background(), ev, nil)
}

// positions assembles the app's code once more, for the lines.
func (p *textPhone) positions(t testing.TB) *make.Positions {
	var files []make.SmaliFile
	for _, f := range p.archive.Files {
		if strings.HasPrefix(f.Name, folder) && strings.HasSuffix(f.Name, ".smali") {
			files = append(files, make.SmaliFile{Name: f.Name, Text: string(f.Data)})
		}
	}
	_, pos, err := make.DEX(files)
	if err != nil {
		t.Fatal(err)
	}
	return pos
}

func state(p *program.Path) string {
	switch {
	case p.Open():
		return "path"
	case p.Held():
		return "held"
	}
	return "unknown"
}

// is reports whether p is what w wants.
func (w want) is(p *program.Path) bool {
	steered := w.extra == "" || slices.ContainsFunc(p.Steered, func(i program.Input) bool { return i.Name == w.extra })
	return w.state == state(p) && w.effect == p.Effect.ID && steered && (w.fixed == "" || slices.Contains(p.Fixed, w.fixed)) &&
		(w.composed == "" || slices.Contains(p.Composed, w.composed)) && (w.fixed == "" || !slices.Contains(p.Composed, w.fixed)) &&
		(w.gate == "" || slices.ContainsFunc(p.Gates, func(g program.Gate) bool { return g.What == w.gate })) &&
		w.action == p.Action && (w.from == "" || strings.HasSuffix(p.Entry.What, " L"+w.from+";"))
}

// open lists the text phones.
func textPhones(t testing.TB) (all []*textPhone) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no phones in testdata", err)
	}
	for _, n := range names {
		all = append(all, readPhone(t, n))
	}
	return all
}

func TestPhones(t *testing.T) {
	for _, p := range textPhones(t) {
		t.Run(p.name, func(t *testing.T) {
			ph := p.open(t)
			pr := program.Build(context.Background(), ph, "", nil)
			for _, g := range pr.Gaps() {
				t.Error("gap:", g)
			}
			p.hold(t, pr)
			for _, x := range paths(pr) {
				for _, e := range program.Replay(pr, &x) {
					t.Error(e)
				}
			}
			for _, e := range program.Sanity(pr) {
				t.Error(e)
			}
			first := tell(paths(pr))
			procs := runtime.GOMAXPROCS(0)
			defer runtime.GOMAXPROCS(procs)
			for _, n := range []int{1, 4} {
				runtime.GOMAXPROCS(n)
				if again := tell(paths(program.Build(context.Background(), ph, "", nil))); again != first {
					t.Errorf("with %d threads:\n%s\nand before:\n%s", n, again, first)
				}
			}
		})
	}
}

// paths returns what an outsider can set off: effects, and intents of his that go on.
func paths(pr *program.Program) []program.Path {
	return slices.Concat(pr.Paths(), pr.Redirects())
}

// hold compares the paths found with those expected.
func (p *textPhone) hold(t *testing.T, pr *program.Program) {
	pos := p.positions(t)
	found := map[place][]*program.Path{}
	for _, p := range paths(pr) {
		x := &p
		if c := x.Entry.Component; c != nil && !c.Exported {
			t.Errorf("a path begins at %s, which is not exported", x.Entry.What)
		}
		file, line, ok := pos.Lookup(x.At.Symbol, int(x.At.Off/2))
		if !ok {
			t.Errorf("%s is not in the code", x.At)
		}
		found[place{file, line}] = append(found[place{file, line}], x)
	}
	for at, wants := range p.wants {
		here := found[at]
		delete(found, at)
		todo := false
		for _, w := range wants {
			i := slices.IndexFunc(here, w.is)
			met := i >= 0
			if w.state == "nopath" {
				met = len(here) == 0
			}
			switch {
			case w.todo && met:
				t.Errorf("%s:%d: this is found by now; take the todo away: %+v", at.file, at.line, w)
			case !w.todo && !met:
				t.Errorf("%s:%d: %s %s wanted, found:%s", at.file, at.line, w.state, w.effect, tell(deref(here)))
			}
			if met && i >= 0 {
				here = slices.Delete(slices.Clone(here), i, i+1)
			}
			todo = todo || w.todo
		}
		if len(here) > 0 && !todo && !slices.ContainsFunc(wants, func(w want) bool { return w.state == "nopath" }) {
			t.Errorf("%s:%d: found and not expected:%s", at.file, at.line, tell(deref(here)))
		}
	}
	for at, here := range found {
		t.Errorf("%s:%d: found and not expected:%s", at.file, at.line, tell(deref(here)))
	}
}

func deref(list []*program.Path) (out []program.Path) {
	for _, p := range list {
		out = append(out, *p)
	}
	return out
}

// tell writes paths out in full.
func tell(paths []program.Path) string {
	var b strings.Builder
	for i := range paths {
		p := &paths[i]
		fmt.Fprintf(&b, "\n  %s %s data %v steered %v fixed %q action %q gesture %v at %s, from %s %v %q", state(p), p.Effect.ID, p.Data, p.Steered, p.Fixed, p.Action,
			p.Gesture, p.At, p.Entry.What, p.Entry.Actions, p.Entry.Permission)
		for _, g := range p.Gates {
			fmt.Fprintf(&b, "\n    gate %s: %s, at %s", g.Holds, g.What, g.At)
		}
		for _, s := range p.Steps {
			fmt.Fprintf(&b, "\n      %s  %s", s.At, s.What)
		}
	}
	return b.String()
}
