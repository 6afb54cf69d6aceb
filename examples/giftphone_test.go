// Package examples keeps a phone to try gifthorse on: giftphone, made of the text in giftphone.txtar. It has no code but
// the tests that hold the two together.
package examples

import (
	"bytes"
	"context"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gifthorse"
	"gifthorse/check"
	"gifthorse/check/checktest"
	"gifthorse/evidence"
	"gifthorse/program"
	"gifthorse/verdict"

	"golang.org/x/tools/txtar"
)

//go:generate go test -count=1 -run TestGiftphoneIsUpToDate -update .

var update = flag.Bool("update", false, "write giftphone anew")

// The phone in the repository is what its text says, byte for byte.
func TestGiftphoneIsUpToDate(t *testing.T) {
	a, err := txtar.ParseFile("giftphone.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.RemoveAll("giftphone"); err != nil {
			t.Fatal(err)
		}
		if err := checktest.Write("giftphone", a); err != nil {
			t.Fatal(err)
		}
	}
	made := t.TempDir()
	if err := checktest.Write(made, a); err != nil {
		t.Fatal(err)
	}
	want, have := files(t, made), files(t, "giftphone")
	if len(want) == 0 {
		t.Fatal("the text is no phone")
	}
	size := 0
	for name, data := range want {
		size += len(data)
		if kept, ok := have[name]; !ok {
			t.Errorf("giftphone/%s is missing; run: go generate ./examples", name)
		} else if !bytes.Equal(kept, data) {
			t.Errorf("giftphone/%s is not what giftphone.txtar says; run: go generate ./examples", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[name]; !ok {
			t.Errorf("giftphone/%s is not in giftphone.txtar; run: go generate ./examples", name)
		}
	}
	if size > 100<<10 { // it is in every clone
		t.Errorf("giftphone has %d bytes", size)
	}
}

func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[name], err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The phone shows what its text says that it shows: a way in, a leak, a gate that holds, and two gaps.
func TestGiftphoneShows(t *testing.T) {
	r, err := gifthorse.Scan(context.Background(), []string{"giftphone"}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Verdict.Decision.ID != "do-not-use" {
		t.Errorf("the decision is %s", r.Verdict.Decision.ID)
	}
	for _, a := range r.Verdict.Answers {
		if a.Question == check.Backdoor && a.Level != verdict.Found {
			t.Errorf("backdoor: %s", a.Level)
		}
	}
	var proven []string
	gate := false
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Grade == check.Proven {
			proven = append(proven, f.Text())
		}
		if f.Subject == "com.example.care" {
			gate = f.Grade == check.Lead && slices.ContainsFunc(f.Gates, func(g check.Gate) bool { return g.Holds == program.GateHolds })
		}
	}
	slices.Sort(proven)
	want := []string{"any app can make com.example.updater run a command", "any app can read text messages through com.example.diagnostics"}
	if !slices.Equal(proven, want) {
		t.Errorf("proven: %q, want %q", proven, want)
	}
	if !gate {
		t.Error("the gate of com.example.care is not told, or does not hold")
	}
	for _, missing := range []string{"Weather.odex", "framework-res.apk"} {
		if !slices.ContainsFunc(r.Gaps, func(g evidence.Gap) bool { return g.Reason == evidence.Absent && strings.Contains(g.Detail, missing) }) {
			t.Errorf("no gap says that %s is absent: %v", missing, r.Gaps)
		}
	}
}
