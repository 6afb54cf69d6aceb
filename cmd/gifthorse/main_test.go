package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"gifthorse/evidence"
	"gifthorse/report"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gifthorse": main})
}

// TestScript runs the user stories in testdata/script.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			example, err := filepath.Abs("../../examples/giftphone")
			env.Setenv("EXAMPLE", example)
			return err
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits,
			"width": width,
			"json":  validJSON,
			"none":  none,
		},
	})
}

// exits runs a command and compares its exit code: exits 2 gifthorse check
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if e, ok := err.(interface{ ExitCode() int }); ok {
		code = e.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

// none fails if a file's name fits the pattern: none .second*
func none(ts *testscript.TestScript, neg bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(found) > 0 {
		ts.Fatalf("there is %q", found)
	}
}

// width fails if a line of the file is longer, or if the file holds an escape sequence: width stdout 80
func width(ts *testscript.TestScript, neg bool, args []string) {
	most, err := strconv.Atoi(args[1])
	ts.Check(err)
	n := 0
	for l := range strings.Lines(ts.ReadFile(args[0])) {
		n++
		if c := utf8.RuneCountInString(strings.TrimRight(l, "\n")); c > most {
			ts.Fatalf("%d columns: %q", c, l)
		}
		if strings.ContainsAny(l, "\x1b\r\b") {
			ts.Fatalf("control characters: %q", l)
		}
	}
	if n == 0 {
		ts.Fatalf("%s is empty", args[0])
	}
}

// json fails if the file is not one JSON document with that schema: json stdout gifthorse.report/1
func validJSON(ts *testscript.TestScript, neg bool, args []string) {
	var doc struct{ Schema string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc))
	if doc.Schema != args[1] {
		ts.Fatalf("schema %q, want %q", doc.Schema, args[1])
	}
}

func TestExitCode(t *testing.T) {
	for _, x := range []struct {
		levels string
		want   int
	}{
		{"nothing found|nothing found|nothing found|nothing found", 0},
		{"nothing found|cannot tell|nothing found|nothing found", 4},
		{"signs|nothing found|nothing found|nothing found", 4},
		{"cannot tell|found|signs|nothing found", 3},
		{"nothing found|nothing found|nothing found|found", 3},
	} {
		b, _ := json.Marshal(map[string]any{"schema": report.Schema, "answers": answers(x.levels)})
		r, err := report.Read(strings.NewReader(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		if got := exitCode(r); got != x.want {
			t.Errorf("%s: exit code %d, want %d", x.levels, got, x.want)
		}
	}
}

func answers(levels string) (out []map[string]string) {
	for l := range strings.SplitSeq(levels, "|") {
		out = append(out, map[string]string{"level": l})
	}
	return out
}

func TestDifferences(t *testing.T) {
	base := func() *report.Report {
		r := report.New(report.Scan{Version: "1", Commit: "a"})
		r.Inputs = []report.Input{{Name: "x", SHA256: "00"}}
		r.Answers = []report.Answer{{Question: "backdoor", Level: "signs"}}
		r.Findings = []report.Finding{{ID: "a-1", Grade: "weak", Message: "one"}}
		return r
	}
	if d := differences(base(), base()); len(d) != 0 {
		t.Errorf("the same reports differ: %q", d)
	}
	for _, x := range []struct {
		change func(r *report.Report)
		want   string
	}{
		{func(r *report.Report) { r.Inputs[0].SHA256 = "11" }, "the input differs"},
		{func(r *report.Report) { r.Tool.Version = "2" }, "the program differs"},
		{func(r *report.Report) { r.Tool.KnowledgeSHA256 = "2" }, "the knowledge differs"},
		{func(r *report.Report) { r.Answers[0].Level = "found" }, `the answer to backdoor was "signs" and is "found"`},
		{func(r *report.Report) { r.Findings = r.Findings[:0] }, "no longer found: weak, a-1: one"},
		{func(r *report.Report) { r.Findings = r.Findings[:0] }, "please report it"},
		{func(r *report.Report) { r.Findings[0].Innocent = "other" }, "differ in details"},
	} {
		now := base()
		x.change(now)
		if d := strings.Join(differences(base(), now), "\n"); !strings.Contains(d, x.want) {
			t.Errorf("%q does not say %q", d, x.want)
		}
	}
}

func TestSplitAddress(t *testing.T) {
	dir := t.TempDir()
	odd := dir + "/odd!name#1.zip"
	if err := os.WriteFile(odd, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ in, path, inner string }{
		{odd, odd, ""},
		{odd + "!a/b.apk!classes.dex", odd, "a/b.apk!classes.dex"},
		{odd + "#La;.b:()V+0x2", odd, "#La;.b:()V+0x2"},
		{odd + "!x#La;", odd, "x#La;"},
		{dir + "!system/build.prop", dir, "system/build.prop"},
	} {
		path, inner, err := splitAddress(x.in)
		if err != nil || path != x.path || inner.String() != x.inner {
			t.Errorf("splitAddress(%q) = %q, %q, %v", x.in, path, inner, err)
		}
	}
	if _, _, err := splitAddress(dir + "/not there!x"); err == nil {
		t.Error("a file that is not there was found")
	}
}

// Without a terminal nothing is drawn; the test's own standard error is none.
func TestBarIsSilent(t *testing.T) {
	b := newBar()
	if b.on {
		t.Skip("standard error is a terminal")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stderr
	os.Stderr = w
	b.show(evidence.Progress{Stage: "open", Item: "x", Done: 1, Total: 2})
	b.say("x")
	b.end()
	os.Stderr = old
	w.Close()
	if n, _ := r.Read(make([]byte, 10)); n != 0 {
		t.Error("a bar was drawn into a pipe")
	}
}
