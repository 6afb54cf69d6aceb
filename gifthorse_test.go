package gifthorse

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gifthorse/check"
	"gifthorse/checks"
	"gifthorse/evidence"
	"gifthorse/verdict"
)

// aPhone is a folder that is a phone, if barely.
func aPhone(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "system", "build.prop")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("ro.product.model=Test\nro.build.version.sdk=23\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func testCheck(name string, run func(*check.Pass) error) *check.Check {
	return &check.Check{Name: name, Question: check.Identity, Needs: []evidence.Kind{evidence.Properties}, Messages: map[string]string{"m": "{who} can do it"}, Run: run}
}

func at(name string) evidence.Ref { return evidence.Ref{}.Inner(name) }

func report(p *check.Pass, who, where string, grade check.Grade) {
	p.Report(check.Finding{Grade: grade, MessageID: "m", Args: []check.Arg{{Name: "who", Value: who}}, At: at(where), Innocent: "none"})
}

func TestScan(t *testing.T) {
	dir := aPhone(t)
	silent := testCheck("silent", func(*check.Pass) error { return nil })
	r, err := scan(context.Background(), []string{dir}, "", []*check.Check{silent}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Phone.Device.Model != "Test" {
		t.Errorf("the model is %q", r.Phone.Device.Model)
	}
	if l := r.Verdict.Answers[0].Level; l != verdict.NothingFound {
		t.Errorf("identity is %q; %+v", l, r.Coverage)
	}
	seen := map[evidence.Kind]bool{}
	for _, c := range r.Coverage {
		if seen[c.What] {
			t.Errorf("%s is counted twice", c.What)
		}
		seen[c.What] = true
		for _, g := range c.Gaps {
			found := false
			for _, h := range r.Gaps {
				found = found || g == h
			}
			if !found {
				t.Errorf("the gap %v of %s is not among the gaps", g, c.What)
			}
		}
	}
}

// A check that fails or panics does not hide what it and others found, and its silence counts for nothing.
func TestScanOutlivesChecks(t *testing.T) {
	list := []*check.Check{
		testCheck("panics", func(p *check.Pass) error { report(p, "before", "x", check.Lead); panic("oh") }),
		testCheck("breaks", func(p *check.Pass) error { p.Report(check.Finding{MessageID: "unknown"}); return nil }),
		testCheck("fails", func(p *check.Pass) error { return errors.New("out of luck") }),
		testCheck("works", func(p *check.Pass) error { report(p, "other", "x", check.Lead); return nil }),
	}
	r, err := scan(context.Background(), []string{aPhone(t)}, "", list, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if len(r.Findings) != 2 {
		t.Errorf("%d findings, want 2", len(r.Findings))
	}
	if l := r.Verdict.Answers[0].Level; l != verdict.CannotTell {
		t.Errorf("identity is %q though checks failed", l)
	}
	n := 0
	for _, g := range r.Gaps {
		if strings.Contains(g.Detail, "please report it") {
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d gaps of failed checks, want 3: %v", n, r.Gaps)
	}
	if list[0].Needs[0] != evidence.Properties || len(list[0].Needs) != 1 {
		t.Error("the scan changed a check")
	}
}

// The same finding in several places is one, whatever the order in which the places were met.
func TestMerge(t *testing.T) {
	for _, order := range [][]string{{"a", "b", "c"}, {"c", "a", "b", "a"}} {
		c := testCheck("twice", func(p *check.Pass) error {
			for _, place := range order {
				report(p, "somebody", place, check.Weak)
			}
			report(p, "another", "a", check.Weak)
			return nil
		})
		r, err := scan(context.Background(), []string{aPhone(t)}, "", []*check.Check{c}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if len(r.Findings) != 2 {
			t.Fatalf("%d findings, want 2", len(r.Findings))
		}
		f := r.Findings[1]
		if f.At != at("a") || !reflect.DeepEqual(f.Also, []evidence.Ref{at("b"), at("c")}) {
			t.Errorf("order %v: at %v, also %v", order, f.At, f.Also)
		}
	}
}

func TestScanStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c := testCheck("cancels", func(*check.Pass) error { cancel(); return nil })
	if _, err := scan(ctx, []string{aPhone(t)}, "", []*check.Check{c}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled scan returned %v", err)
	}
	dir := aPhone(t)
	stages := map[string]bool{}
	if _, err := scan(context.Background(), []string{dir}, "", nil, func(p evidence.Progress) { stages[p.Stage] = true }); err != nil {
		t.Fatal(err)
	}
	for stage := range stages {
		ctx, cancel := context.WithCancel(context.Background())
		_, err := scan(ctx, []string{dir}, "", nil, func(p evidence.Progress) {
			if p.Stage == stage {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a scan cancelled while %s returned %v", stage, err)
		}
	}
	if _, err := Scan(context.Background(), []string{filepath.Join(t.TempDir(), "none")}, "", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a scan of nothing returned %v", err)
	}
}

// Every check on the list keeps the promises of package check.
func TestChecks(t *testing.T) {
	names := map[string]bool{}
	for _, c := range checks.All {
		if c.Name == "" || names[c.Name] {
			t.Errorf("a check has no name, or one of its own: %q", c.Name)
		}
		names[c.Name] = true
		if c.Doc == "" || len(c.Messages) == 0 || c.Run == nil {
			t.Errorf("check %s lacks its doc, messages or function", c.Name)
		}
		if !strings.Contains("identity backdoor wire reports", string(c.Question)) || c.Question == "" {
			t.Errorf("check %s answers no question: %q", c.Name, c.Question)
		}
		if _, err := os.Stat(filepath.Join("checks", c.Name)); err != nil {
			t.Errorf("check %s does not live in a folder of its name", c.Name)
		}
	}
}
