// Package checktest runs a check on phones that are written as text.
//
// A text phone is a txtar archive whose paths are the phone's paths:
//
//	any app can run a command as system
//	-- system/build.prop --
//	ro.build.version.sdk=23
//	-- system/priv-app/Updater/AndroidManifest.xml --
//	<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="com.oem.updater"> ...
//	  <receiver android:name=".Command" android:exported="true"/>  <!-- want weak "..." -->
//	-- system/priv-app/Updater/Command.smali --
//	.class public Lcom/oem/updater/Command;
//	...
//	    invoke-virtual {v0, p2}, Ljava/lang/Runtime;->exec(...)Ljava/lang/Process;  # want proven "any app can ..."
//
// [Write] makes real files of it:
//
//   - A folder with an AndroidManifest.xml becomes an app: system/priv-app/Updater/Updater.apk, or, if the
//     folder's name ends in .apk, the APK itself. A folder that ends in .jar becomes a JAR of code.
//   - *.smali in such a folder, at any depth, becomes classes.dex, but for assets/NAME/*.smali, of which the asset NAME is made; the manifest and res/*/*.xml become
//     binary XML; res/values/*.xml (string, bool, integer, color, dimen, and arrays) and the names of the files in
//     res become resources.arsc; all else is a member as it is. Every app is signed with the schemes v1 to v3.
//   - The file "key" in an app's folder is the seed of its signing key; if it is empty, the app is not signed. Without
//     it the seed is "platform" for an app that shares a uid android.uid.*, and for the package android; else it is
//     the first two labels of the package's name: apps of com.oem share a signer.
//   - A file that begins with make: "Some CA" becomes a self-signed certificate of that name, in PEM.
//   - A file that begins with the line "make: vbmeta" becomes a signed list of digests, of what the other lines say: key SEED (else it is not
//     signed), flags N, after N (flags set after it was signed), rollback N, chain PARTITION SEED, hash PARTITION or hashtree
//     PARTITION of the file PARTITION.img beside it; with more words, of these words and a line feed.
//   - A file that begins with the line "make: attestation" becomes a chain of key attestation, in PEM, of what the other lines say: root SEED
//     (else one that stands in for a published root: only these tests take it for one), version N, level software, tee or strongbox,
//     state verified, self-signed, unverified or failed, unlocked, bootkey SEED, boothash FILE ... (of vbmeta structures beside it),
//     brand, device, name, manufacturer or model TEXT, android, patch, vendorpatch or bootpatch N, made DAY, purpose N, spoiled (a
//     signature is damaged), below (what follows says what the attested key signed in turn).
//   - A file that begins with the line "make: boot" becomes a boot image without a kernel, whose command line is the next line.
//   - A file "PATH ->" becomes a symbolic link to what its text says.
//   - Every other file is written as it is, without the expectations at the ends of its lines.
//
// An expectation stands on the line that the finding's address leads to: in code the instruction, in a manifest the
// element (anywhere on the lines of its start tag), in other files the line:
//
//	# want GRADE "text"          in XML: <!-- want GRADE "text" -->
//
// The text is the finding's, whole. The grade may be left out; several expectations may follow each other. A
// finding whose address has a file but no line is wanted anywhere in that file, or in the manifest of that app; one without a
// file in the head of the archive, on a line of its own: want GRADE "text". A phone without
// expectations is an innocent one.
//
// # Renaming
//
// Every phone is checked twice: as written, and with everything renamed that the phone itself defines (see
// rename.go). The same must be found. Two lines in the head of an archive speak to that:
//
//	keep: word word       names that belong to the platform, though platform.txt does not know them, or that
//	                      code decodes; they are not renamed
//	published: reason     what is found rests on a published fact (a public key, a documented code). In the
//	                      renamed run this phone must lose all findings; if it is an innocent one, it must have some
//
// # Not written
//
// Native code, DEX outside of its APK or JAR, images of file systems. Owners and modes of files are not set, but they can stand in a list as
// AOSP's build makes it, in META/filesystem_config.txt: path, uid, gid, mode, capabilities=N.
package checktest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/phone"
	"gifthorse/program"

	"golang.org/x/tools/txtar"
)

// Run checks every phone in testdata/*.txtar of the calling package with c, each as written and renamed.
func Run(t *testing.T, c *check.Check) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no phones in testdata/*.txtar")
	}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			for _, p := range examine(c, name, raw, t.TempDir) {
				t.Error(p)
			}
		})
	}
}

// A place is a line of a file of the archive; line 0 is the file as a whole, the zero place its head.
type place struct {
	file string
	line int
}

// A found is a finding as it is compared: in the names of the phone as written.
type found struct {
	check.Finding
	place place
	text  string
}

// examine runs c on a text phone and returns what is wrong. dir makes empty folders.
func examine(c *check.Check, name string, raw []byte, dir func() string) []string {
	p, err := parse(name, raw)
	if err != nil {
		return []string{err.Error()}
	}
	first, problems := p.run(c, dir(), p.archive, nil)
	if p.seen == "" { // it could not be laid out or opened
		return problems
	}
	problems = append(problems, p.compare(first, p.wants, "")...)

	renamed, r, err := rename(p)
	if err != nil {
		return append(problems, err.Error())
	}
	second, more := p.run(c, dir(), renamed, r)
	for _, m := range more {
		problems = append(problems, "renamed: "+m)
	}
	switch {
	case len(problems) > 0: // renaming would only say it again
	case p.published == "":
		problems = p.compare(second, p.wants, "renamed: ")
		if len(problems) == 0 {
			problems = p.same(first, second)
		}
		if len(problems) > 0 {
			problems = append(problems, "the check may know a name; or a word of the platform was renamed, then say keep: in the head. "+r.String())
		}
	case len(p.wants) > 0 && len(second) > 0:
		problems = append(problems, p.compare(second, nil, "renamed, and without the published fact ("+p.published+"): ")...)
	case len(p.wants) == 0 && len(second) == 0:
		problems = append(problems, fmt.Sprintf("%s: published: %s: the renamed phone has no finding either, so its innocence does not rest on that", name, p.published))
	}
	return problems
}

// run lays a phone out and checks it. With r the phone is renamed, and what is found is told in the old names.
func (p *textPhone) run(c *check.Check, dir string, a *txtar.Archive, r *renamer) (all []found, problems []string) {
	l, err := layOut(a)
	if err == nil {
		err = l.write(dir)
	}
	if err != nil {
		return nil, []string{p.name + ": " + err.Error()}
	}
	ctx := context.Background()
	ev, err := evidence.Open(ctx, []string{dir}, nil)
	if err != nil {
		return nil, []string{p.name + ": " + err.Error()}
	}
	defer ev.Close()
	ph := phone.Build(ctx, ev, nil)
	publish(ph)
	pr := program.Build(ctx, ph, "", nil)
	once := func() (fs []check.Finding, lines []string) {
		if e := c.Run(check.NewPass(ctx, c, ph, pr, func(f check.Finding) { fs = append(fs, f) })); e != nil {
			err = e
		}
		for i := range fs {
			f := &fs[i]
			lines = append(lines, fmt.Sprintln(f.ID(), f.Grade, f.At, f.Text(), f.Reach, f.State, f.Gates, f.Witness, f.Also))
		}
		slices.Sort(lines)
		return fs, lines
	}
	fs, lines := once()
	if _, again := once(); !slices.Equal(lines, again) {
		problems = append(problems, p.name+": the check finds something else when it is run again on the same phone")
	}
	if err != nil {
		problems = append(problems, fmt.Sprintf("%s: the check failed: %v", p.name, err))
	}
	for _, f := range fs {
		x := found{f, l.place(f.At), f.Text()}
		for _, e := range wrong(&f) {
			problems = append(problems, fmt.Sprintf("%s: %s\n%s", p.at(x.place), e, witness(&f)))
		}
		if r != nil {
			x.place.file = r.paths[x.place.file]
			x.text = r.back(x.text)
		}
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.place.file, b.place.file), cmp.Compare(a.place.line, b.place.line), cmp.Compare(a.text, b.text))
	})
	if r == nil {
		p.seen = describe(ph, pr)
	}
	for i := range all {
		all[i].Finding = r.backFinding(all[i].Finding)
	}
	return all, problems
}

var unresolved = regexp.MustCompile(`\{\w+\}`)

// wrong returns the promises that a finding breaks whatever it is about.
func wrong(f *check.Finding) (list []string) {
	say := func(bad bool, format string, args ...any) {
		if bad {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	text := f.Text()
	say(unresolved.MatchString(text), "the text has an argument left: %q", text)
	say(text == "" || strings.HasSuffix(text, ".") || strings.ContainsAny(text[:1], "ABCDEFGHIJKLMNOPQRSTUVWXYZ") && !strings.HasPrefix(text, f.Subject),
		"a text is lower case and has no full stop: %q", text)
	say(strings.Contains(strings.ToLower(text), "backdoor"), "a single finding never says backdoor: %q", text)
	say(strings.TrimSpace(f.Innocent) == "", "no innocent explanation: %q", text)
	say(f.Subject == "", "no subject: %q", text)
	say(!slices.Contains(check.Grades, f.Grade), "%q is no grade: %q", f.Grade, text)
	say(!slices.Contains(check.Questions, f.Question), "%q is no question: %q", f.Question, text)
	refs := append([]evidence.Ref{f.At}, f.Also...)
	for _, g := range f.Gates {
		refs = append(refs, g.At)
		say(f.Grade == check.Proven && f.Question == check.Backdoor && g.Holds != program.GateDoesNotHold,
			"proven, though a gate may stop it (%s: %s): %q", g.What, g.Holds, text)
	}
	for _, s := range f.Witness {
		refs = append(refs, s.At)
		say(s.What == "", "a step of the witness says nothing: %q", text)
	}
	for _, r := range refs {
		back, err := evidence.ParseRef(r.String())
		say(err != nil || back != r, "the address %s does not read back: %v", r, err)
	}
	return list
}

// compare holds findings against expectations.
func (p *textPhone) compare(all []found, wants []want, prefix string) (problems []string) {
	met := make([]bool, len(wants))
	for _, f := range all {
		i := 0
		for i < len(wants) && (met[i] || !wants[i].is(f)) {
			i++
		}
		if i == len(wants) {
			problems = append(problems, fmt.Sprintf("%s%s: found and not wanted: %s %q\n%s", prefix, p.at(f.place), f.Grade, f.text, witness(&f.Finding)))
			continue
		}
		met[i] = true
	}
	lost := false
	for i, w := range wants {
		if !met[i] {
			lost = true
			problems = append(problems, strings.Join(strings.Fields(fmt.Sprintf("%s%s: wanted and not found: %s", prefix, p.at(w.place), w.grade)), " ")+fmt.Sprintf(" %q", w.text))
		}
	}
	if lost && prefix == "" {
		problems = append(problems, p.seen)
	}
	return problems
}

// same reports findings that say something else of a renamed phone in what expectations do not state.
func (p *textPhone) same(first, second []found) (problems []string) {
	line := func(f found) string {
		f.Finding = (&renamer{}).backFinding(f.Finding) // for hashes and the order of extras
		what := fmt.Sprintf("%s %s, effect %q, reach %q, state %q, about %s, %d gates", f.Question, f.Grade, f.Effect, f.Reach, f.State, f.Subject, len(f.Gates))
		if f.Entry != nil {
			what += fmt.Sprintf(", way in %+v", *f.Entry)
		}
		return what
	}
	for i := range first {
		if a, b := line(first[i]), line(second[i]); a != b {
			problems = append(problems, fmt.Sprintf("%s: %q is another finding on the renamed phone:\n  %s\n  %s", p.at(first[i].place), first[i].text, a, b))
		}
	}
	return problems
}

func witness(f *check.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "    at %s\n", f.At)
	for i, s := range f.Witness {
		fmt.Fprintf(&b, "    %d. %s\n       %s\n", i+1, s.What, s.At)
	}
	for _, g := range f.Gates {
		fmt.Fprintf(&b, "    gate, %s: %s\n", g.Holds, g.What)
	}
	return b.String()
}

// describe says what the models saw of a phone, for one who wonders why a finding is missing.
func describe(ph *phone.Phone, pr *program.Program) string {
	lines := map[string]bool{}
	for _, p := range ph.Packages {
		lines[fmt.Sprintf("  package %s: system %v, privileged %v, platform %v, signature %s, %d components", p.Name, p.System, p.Privileged, p.Platform, p.Signature.Verdict, len(p.Components))] = true
	}
	for _, p := range pr.Paths() {
		s := fmt.Sprintf("  path from %s to %q, open %v, steered %v", p.Entry.What, p.Effect.Words, p.Open(), p.Steered)
		for _, g := range p.Gates {
			s += fmt.Sprintf(", gate %q %s", g.What, g.Holds)
		}
		lines[s] = true
	}
	gaps := slices.Clone(ph.Evidence.Gaps())
	for _, c := range append(slices.Clone(ph.Coverage), pr.Coverage()) {
		gaps = append(gaps, c.Gaps...)
	}
	for _, g := range gaps {
		if !errors.Is(g, evidence.Absent) { // text phones lack most of a phone
			lines["  gap "+g.Error()] = true
		}
	}
	return "what was seen of the phone:\n" + strings.Join(slices.Sorted(maps.Keys(lines)), "\n")
}
