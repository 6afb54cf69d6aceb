package checktest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/knowledge"
	"gifthorse/phone"
	"gifthorse/program"

	"golang.org/x/tools/txtar"
)

// fake reports exported components without a guard, commands that callers steer, services of root, fixed hosts, user
// authorities, and labels: one thing for each kind of place.
func fake(knows func(word string) bool) *check.Check {
	return &check.Check{Name: "fake", Question: check.Backdoor, Messages: map[string]string{
		"open":    "any app can reach {what} of {app}",
		"command": "any app can make {app} run a command, with {input}",
		"root":    "init runs {what} as root",
		"host":    "the name {what} is fixed",
		"trusted": "the phone trusts {what}",
		"app":     "{app} is called {what} by {who}",
	}, Run: func(p *check.Pass) error {
		var steps []program.Step
		report := func(id string, grade check.Grade, at evidence.Ref, app string, what ...string) {
			args := []check.Arg{{Name: "app", Value: app}, {Name: "what", Value: strings.Join(what, ", ")}, {Name: "input", Value: strings.Join(what, ", ")}}
			if len(what) == 2 && id == "app" {
				args[1].Value = what[0]
				args = append(args, check.Arg{Name: "who", Value: what[1]})
			}
			if !slices.ContainsFunc(what, func(w string) bool { return knows != nil && !knows(w) }) {
				p.Report(check.Finding{MessageID: id, Grade: grade, At: at, Subject: app, Args: args, Witness: steps, Innocent: "it is a test"})
			}
		}
		for _, pkg := range p.Phone.Packages {
			for _, c := range pkg.Components {
				if c.Exported && c.Guard.Holds == phone.None {
					report("open", check.Weak, c.At, pkg.Name, c.Class())
				}
			}
			if pkg.Label != "" {
				report("app", check.Lead, pkg.Manifest, pkg.Name, pkg.Label, pkg.Signature.Signers[0].Subject)
			}
		}
		for _, path := range p.Program.Paths() {
			if path.Effect.ID == "run-command" && path.Open() && len(path.Steered) > 0 {
				var in []string
				for _, s := range path.Steered {
					in = append(in, s.String())
				}
				steps = path.Steps
				report("command", check.Proven, path.At, path.Entry.Package.Name, in...)
				steps = nil
			}
		}
		for _, s := range p.Phone.Services {
			if s.User == "root" {
				report("root", check.Lead, s.At, s.Name, s.Args[0])
			}
		}
		for _, h := range p.Phone.Hosts {
			report("host", check.Lead, h.At, "hosts", h.Name)
		}
		for _, c := range p.Phone.Trust {
			report("trusted", check.Weak, c.At, "trust", c.Subject)
		}
		return nil
	}}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The fake check finds in both runs what the phone says, everywhere where an expectation can stand.
func TestRun(t *testing.T) { Run(t, fake(nil)) }

// What is wrong must be said, each thing once and with the line where it is.
func TestFails(t *testing.T) {
	good := string(read(t, "open.txtar"))
	line := func(part string) int {
		return 1 + strings.Count(good[:strings.Index(good, part)], "\n")
	}
	for _, c := range []struct {
		name, old, new string
		check          *check.Check
		want           []string
	}{
		{"unexpected", "# want proven `any", "# `any", fake(nil), []string{
			fmt.Sprintf(`open.txtar:%d: found and not wanted: proven "any app can make com.oem.updater run a command, with extra \"cmd\""`, line("Runtime;->exec")),
			"1. "}},
		{"missing", ".class public Lcom/oem/updater/Command;", `.class public Lcom/oem/updater/Command; # want weak "nothing"`, fake(nil), []string{
			fmt.Sprintf("open.txtar:%d: wanted and not found: weak \"nothing\"", line(".class public Lcom/oem/updater/Command;")), "what was seen of the phone", "package com.oem.updater"}},
		{"grade", `want weak "any app can reach com.oem.updater.Command`, `want lead "any app can reach com.oem.updater.Command`, fake(nil), []string{
			"wanted and not found: lead", "found and not wanted: weak"}},
		{"moved", "    invoke-virtual {v0, v1}, Ljava/lang/Runtime;->exec", "    nop\n    invoke-virtual {v0, v1}, Ljava/lang/Runtime;->exec", fake(nil), nil},
		{"bad grade", "# want proven `", "# want sure `", fake(nil), []string{`an expectation is GRADE "text"`}},
		{"assembler", "    return-void", "    return-voids", fake(nil), []string{`Command.smali:`, `"return-voids" is not an instruction`}},
		{"knows a name", "", "", fake(func(w string) bool { return !strings.HasSuffix(w, "example") || w == "ads.example" }), []string{
			`renamed: open.txtar:`, `wanted and not found: lead "the name ads.example is fixed"`, "the check may know a name"}},
	} {
		got := strings.Join(examine(c.check, "open.txtar", []byte(strings.Replace(good, c.old, c.new, 1)), t.TempDir), "\n")
		if (got == "") != (c.want == nil) {
			t.Errorf("%s: got %q", c.name, got)
		}
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, got)
			}
		}
	}
}

// A finding that breaks a promise is refused even if it is wanted.
func TestWrong(t *testing.T) {
	for want, f := range map[string]check.Finding{
		"has an argument left": {MessageID: "left"},
		"has no full stop":     {MessageID: "stop"},
		"never says backdoor":  {MessageID: "word"},
		"no subject":           {MessageID: "good", Subject: "-"},
		"is no grade":          {MessageID: "good", Grade: "sure"},
		"a gate may stop it":   {MessageID: "good", Grade: check.Proven, Gates: []check.Gate{{What: "a permission", Holds: program.GateHolds}}},
		"says nothing":         {MessageID: "good", Witness: []program.Step{{}}},
		"":                     {MessageID: "good"},
	} {
		if f.Subject == "" {
			f.Subject = "it"
		}
		f.Subject, f.Innocent = strings.Trim(f.Subject, "-"), "a test"
		if f.Grade == "" {
			f.Grade = check.Lead
		}
		c := &check.Check{Question: check.Backdoor, Messages: map[string]string{"left": "a {b}", "stop": "a.", "word": "a backdoor", "good": "a"},
			Run: func(p *check.Pass) error { p.Report(f); return nil }}
		raw := "want \"" + strings.TrimSpace(c.Messages[f.MessageID]) + "\"\n-- system/build.prop --\nro.a=b\n"
		got := strings.Join(examine(c, "a.txtar", []byte(raw), t.TempDir), "\n")
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("no %q in %q", want, got)
		}
	}
	n := 0
	moody := &check.Check{Question: check.Wire, Messages: map[string]string{"a": "a"}, Run: func(p *check.Pass) error {
		if n++; n > 1 {
			p.Report(check.Finding{MessageID: "a", Subject: "it", Grade: check.Lead, Innocent: "a test"})
		}
		return nil
	}}
	if got := examine(moody, "a.txtar", []byte("-- system/build.prop --\nro.a=b\n"), t.TempDir); len(got) == 0 || !strings.Contains(got[0], "run again") {
		t.Errorf("a check that changes its mind: %q", got)
	}
}

// A check that rests on a published fact says so, and must then lose its findings, or its innocence.
func TestPublished(t *testing.T) {
	const phone = "-- system/build.prop --\nro.build.version.sdk=23\n-- system/etc/hosts --\n127.0.0.1 known.example"
	const wanted = phone + " # want \"the name known.example is fixed\"\n"
	only := fake(func(w string) bool { return w == "known.example" })
	never := fake(func(w string) bool { return w != "known.example" })
	for _, c := range []struct {
		check *check.Check
		raw   string
		want  string
	}{
		{only, "published: it is documented\n" + wanted, ""},
		{only, wanted, "wanted and not found"},
		{fake(nil), "published: it is documented\n" + wanted, "without the published fact"},
		{never, "published: it is documented\n" + phone, ""},
		{never, phone, "found and not wanted"},
		{fake(func(string) bool { return false }), "published: it is documented\n" + phone, "does not rest on that"},
		{only, "published:\n" + wanted, "without a reason"},
		{only, "keep: known\n" + wanted, ""},
	} {
		got := strings.Join(examine(c.check, "a.txtar", []byte(c.raw), t.TempDir), "\n")
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%q: no %q in %q", c.raw, c.want, got)
		}
	}
}

// The same text gives the same files. The sums change only with the formats written, on purpose.
func TestWrite(t *testing.T) {
	a := txtar.Parse(read(t, "open.txtar"))
	sum := func() string {
		dir := t.TempDir()
		if err := Write(dir, a); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, _ := filepath.Rel(dir, name)
			if d.Type() == fs.ModeSymlink {
				target, err := os.Readlink(name)
				fmt.Fprintf(&b, "%s -> %s\n", rel, target)
				return err
			}
			data, err := os.ReadFile(name)
			sum := sha256.Sum256(data)
			fmt.Fprintf(&b, "%s %s\n", rel, hex.EncodeToString(sum[:4]))
			if bytes.Contains(data, []byte("want ")) && !strings.HasSuffix(rel, ".xml") {
				t.Errorf("%s holds an expectation", rel)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	first := sum()
	if again := sum(); again != first {
		t.Errorf("not the same:\n%s\n%s", first, again)
	}
	golden(t, "open.sums", first)
}

func TestWriteErrors(t *testing.T) {
	for raw, want := range map[string]string{
		"-- ../a --\n": "not a path inside the phone",
		"-- /a --\n":   "not a path inside the phone",
		"-- system/app/A/AndroidManifest.xml --\n<manifest/>\n":                                                     "system/app/A/AndroidManifest.xml: no package",
		"-- system/app/A/AndroidManifest.xml --\n<manifest package='a' a='1'\n b:c='1'/>":                           "system/app/A/AndroidManifest.xml: ",
		"-- system/app/A/AndroidManifest.xml --\n<manifest package='a'/>\n-- system/app/A/res/values-de/s.xml --\n": "default configuration",
		"-- system/app/A/AndroidManifest.xml --\n<manifest package='a'/>\n-- system/app/A/A.apk/a.smali --\n.class": "a.smali:1: ",
	} {
		if err := Write(t.TempDir(), txtar.Parse([]byte(raw))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", raw, err)
		}
	}
	if _, err := parse("a", []byte("-- a --\n-- a --\n")); err == nil {
		t.Error("one name twice was taken")
	}
}

// What renaming makes of a phone, for reading.
func TestRename(t *testing.T) {
	p, err := parse("open.txtar", read(t, "open.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	a, r, err := rename(p)
	if err != nil {
		t.Fatal(err)
	}
	out := string(txtar.Format(a))
	golden(t, "open.renamed", out)
	for to, from := range r.from {
		if r.to[from] != to || strings.ContainsAny(strings.ToLower(to), "aeiou") && !isHex.MatchString(to) {
			t.Errorf("%s became %s", from, to)
		}
	}
	for i, f := range a.Files[:len(p.archive.Files)] {
		if from := p.archive.Files[i]; r.paths[f.Name] != from.Name || bytes.Count(f.Data, []byte("\n")) != bytes.Count(from.Data, []byte("\n")) {
			t.Errorf("%s became %s, with other lines", from.Name, f.Name)
		}
	}
	for _, w := range []string{"android.intent.action.BOOT_COMPLETED", "Landroid/content/BroadcastReceiver;", "onReceive(", "->getStringExtra(", "/system/bin/sh", "content://sms/inbox", "ro.build.type"} {
		if !strings.Contains(out, w) {
			t.Errorf("%s is gone", w)
		}
	}
}

func TestWord(t *testing.T) {
	r := &renamer{keep: map[string]bool{"sh": true}, to: map[string]string{}, from: map[string]string{}}
	for _, s := range []string{"sh", "100", "0x1f", "_", "02d", "exec"} {
		if got := r.word(s); got != s {
			t.Errorf("%s became %s", s, got)
		}
	}
	for s, shape := range map[string]string{"a": "aaaaa", "ACTION_RUN": "AAAAAA_AAA", "RunIt": "AaaAa", "3646633": "0000000", "X8": "A0aaaa",
		"0123456789abcdef": "0123456789abcdef", "m_f": "a_aaaa", "getX": "aaaAA"} {
		got := r.word(s)
		ok := got != s && len(got) == len(shape) && r.word(got) == got && r.back(got) == hash.ReplaceAllString(s, "…")
		for i := range min(len(got), len(shape)) {
			upper, digit := got[i] >= 'A' && got[i] <= 'Z', got[i] >= '0' && got[i] <= '9'
			ok = ok && upper == (shape[i] >= 'A' && shape[i] <= 'Z') && digit == (shape[i] >= '0' && shape[i] <= '9')
		}
		if !ok && s != "0123456789abcdef" || len(got) != len(shape) {
			t.Errorf("%s became %s, and back %s", s, got, r.back(got))
		}
	}
	if knowledge.Facts("exec") == nil {
		t.Error("exec is not known")
	}
}

// golden compares with testdata/name. GIFTHORSE_UPDATE=1 writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = "testdata/" + name
	if os.Getenv("GIFTHORSE_UPDATE") != "" {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil || string(want) != got {
		t.Errorf("%s differs (%v); GIFTHORSE_UPDATE=1 writes\n%s", name, err, got)
	}
}
