package report

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
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
	"gifthorse/verdict"
)

var update = flag.Bool("update", false, "write the golden files")

// hostile is a name as a phone could choose it: markup, a terminal's escape sequences, a change of the direction of
// writing, letters that nobody sees, a line of its own, and bytes that are no text.
const hostile = "<script>alert(1)</script>\x1b[31m\u202ereversed\u3164\u200b\r\n\x9b2J\u009b2J\xff\"'` end"

// sample is a scan of a phone that does not exist.
func sample(label string) Scan {
	phoneRef := evidence.Ref{}.Inner("phone.zip").Inner("system/app/Updater/Updater.apk")
	dex := phoneRef.Inner("classes.dex")
	pkg := &phone.Package{Name: "com.oem.updater", VersionName: "1.2", VersionCode: 12, Label: label, SharedUID: "android.uid.system",
		Manifest:  phoneRef.Inner("AndroidManifest.xml"),
		Signature: phone.Signature{Verdict: "verified", Schemes: []string{"v1"}, Signers: []phone.Signer{{SHA256: strings.Repeat("ab", 32), Subject: "CN=OEM"}}}}
	other := &phone.Package{Name: "com.oem.日本語の長いラベルの付いたアプリ", Manifest: phoneRef, Signature: phone.Signature{Verdict: "stripped"}}
	ph := &phone.Phone{API: 23, Packages: []*phone.Package{pkg, other}, Device: phone.Device{Brand: "OEM", Model: "Phone " + label, Android: "6.0", Patch: "2016-05-05",
		BuildType: "user", BuildTags: "release-keys", Fingerprint: "oem/phone/phone:6.0/MRA58K/1:user/release-keys"}}
	var findings []check.Finding
	open := &check.Check{Name: "openreceiver", Question: check.Backdoor, Needs: []evidence.Kind{evidence.Code, evidence.Permissions},
		Messages: map[string]string{"command": "any app can make {app} run a command of its choosing as {uid}", "hidden": "{app} holds a hidden command that runs as {uid}",
			"lead": "{app} listens to a code typed at the dialer"}}
	posture := &check.Check{Name: "posture", Question: check.Identity, Needs: []evidence.Kind{evidence.Properties}, Messages: map[string]string{"patch": "the last security update is of {date}, {years} years old"}}
	talk := &check.Check{Name: "talk", Question: check.Reports, Needs: []evidence.Kind{evidence.Code}, Messages: map[string]string{}}
	pass := func(c *check.Check) *check.Pass {
		return check.NewPass(context.Background(), c, ph, nil, func(f check.Finding) { findings = append(findings, f) })
	}
	step := func(method string, off int64, what string) program.Step {
		return program.Step{At: dex.At(method, off), What: what}
	}
	args := []check.Arg{{Name: "app", Value: pkg.Name}, {Name: "uid", Value: "android.uid.system"}}
	pass(open).Report(check.Finding{Grade: check.Proven, Subject: pkg.Name, MessageID: "command", Args: args, Effect: "run a command", Reach: check.AnyApp,
		Disclosure: "not shown: no screen of the app names it", Vouchers: []check.Voucher{check.PhoneItself}, At: dex.At("Lcom/oem/updater/CommandReceiver;.run:(Ljava/lang/String;)V", 0x1a),
		Witness: []program.Step{
			step("Lcom/oem/updater/CommandReceiver;.onReceive:(Landroid/content/Context;Landroid/content/Intent;)V", 0, "enters Lcom/oem/updater/CommandReceiver;.onReceive:(Landroid/content/Context;Landroid/content/Intent;)V"),
			step("Lcom/oem/updater/CommandReceiver;.onReceive:(Landroid/content/Context;Landroid/content/Intent;)V", 0x12, `reads extra "cmd" with Landroid/content/Intent;.getStringExtra:(Ljava/lang/String;)Ljava/lang/String;`),
			step("Lcom/oem/updater/CommandReceiver;.run:(Ljava/lang/String;)V", 0x1a, "Ljava/lang/Runtime;.exec:(Ljava/lang/String;)Ljava/lang/Process;: runs a command"),
		},
		Also:     []evidence.Ref{dex.At("Lcom/oem/updater/Second;.run:()V", 4)},
		Innocent: "an update service that its maker left open for its own tools", CWE: 78, Package: pkg,
		Entry: &check.Entry{Component: "receiver Lcom/oem/updater/CommandReceiver;", Action: "com.oem.action.COMMAND", Extras: []string{`extra "cmd"`}}})
	pass(open).Report(check.Finding{Grade: check.Concealed, Subject: label, MessageID: "hidden", Args: []check.Arg{{Name: "app", Value: label}, {Name: "uid", Value: "root"}},
		Effect: "run a command", Reach: check.PreinstalledApp, Gates: []check.Gate{
			{What: "permission com.oem.permission.INTERNAL (declared nowhere)", Holds: program.GateUnknown, At: phoneRef.Inner("AndroidManifest.xml").At("receiver", 512)},
			{What: "the extra \"key\" must be " + label, Holds: program.GateDoesNotHold, At: dex.At("La;.b:()V", 4)}},
		At: phoneRef, Innocent: "a test function of the factory", Entry: &check.Entry{Component: "service La/b/C;"}})
	pass(posture).Report(check.Finding{Grade: check.Weak, Subject: "the build", MessageID: "patch", Args: []check.Arg{{Name: "date", Value: "2016-05-05"}, {Name: "years", Value: "10"}},
		At: evidence.Ref{}.Inner("phone.zip").Inner("system/build.prop").Sym("line 12"), Innocent: "the maker stopped to support the model"})
	for _, n := range strings.Split(strings.Repeat("app ", 24), " ")[:24] {
		pass(open).Report(check.Finding{Grade: check.Lead, Subject: n, MessageID: "lead", Args: []check.Arg{{Name: "app", Value: n + string(rune('A'+len(findings)))}}, At: phoneRef, Innocent: "a service menu"})
	}
	gap := evidence.Gap{At: phoneRef.Inner("classes2.dex"), Reason: evidence.Damaged, Detail: "code item outside the file " + label}
	coverage := []evidence.Coverage{
		{What: evidence.Code, Listed: 120, Read: 119, Failed: 1, Gaps: []evidence.Gap{gap}},
		{What: evidence.Permissions, Listed: 1, Read: 1},
		{What: evidence.Properties, Listed: 4, Read: 4},
		{What: evidence.TrustStore},
	}
	gaps := []evidence.Gap{gap, {At: evidence.Ref{}.Inner("phone.zip").Inner("system/framework/framework-res.apk"), Reason: evidence.Absent, Detail: "listed, and not in what was given"}}
	return Scan{Version: "0.1.0", Commit: "0123456789abcdef", Inputs: []evidence.Input{{Name: "phone.zip", Kind: "zip", Size: 123 << 20, SHA256: [32]byte{1, 2, 3}}},
		Phone: ph, Findings: findings, Coverage: coverage, Gaps: gaps, Verdict: verdict.Of(findings, coverage, []*check.Check{open, posture, talk})}
}

// stable takes out what changes with the facts, not with this package.
func stable(r *Report) *Report {
	r.Tool.KnowledgeSHA256, r.Tool.KnowledgeDate = strings.Repeat("0", 64), "2000-01-01"
	r.Decision.Text, r.Decision.Next = "This is the text of the decision: it says why.\n\nAnd it has a second paragraph.", []string{"Do this first.", "Then do that."}
	r.Limits = r.Limits[:2]
	return r
}

func text(t *testing.T, r *Report, st Style) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Text(&b, st); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func pageOf(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func doc(t *testing.T, r *Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.JSON(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has changed; look at it and run go test ./report -update\n%s", file, got)
	}
}

func TestGolden(t *testing.T) {
	r := stable(New(sample("an updater")))
	golden(t, "sample.txt", []byte(text(t, r, Style{Width: 80})))
	golden(t, "sample.json", doc(t, r))
}

func TestSameBytes(t *testing.T) {
	s := sample(hostile)
	r := New(s)
	mixed := s
	mixed.Findings = slices.Clone(s.Findings)
	slices.Reverse(mixed.Findings)
	mixed.Gaps = slices.Clone(s.Gaps)
	slices.Reverse(mixed.Gaps)
	mixed.Coverage = slices.Clone(s.Coverage)
	slices.Reverse(mixed.Coverage)
	q := New(mixed)
	if !bytes.Equal(doc(t, r), doc(t, q)) || text(t, r, Style{}) != text(t, q, Style{}) || pageOf(t, r) != pageOf(t, q) {
		t.Error("the order of findings, gaps or coverage changes the report")
	}
	back, err := Read(bytes.NewReader(doc(t, New(sample("x")))))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(doc(t, back), doc(t, New(sample("x")))) || pageOf(t, back) != pageOf(t, New(sample("x"))) {
		t.Error("a report that was read back is another")
	}
}

func TestLineWidth(t *testing.T) {
	for _, label := range []string{"an updater", hostile, strings.Repeat("長い名前", 40), strings.Repeat("x", 500), strings.Repeat("e\u0301", 100)} {
		r := New(sample(label))
		for _, width := range []int{40, 60, 80, 100} {
			for l := range strings.Lines(text(t, r, Style{Width: width})) {
				if n := columns(strings.TrimSuffix(l, "\n")); n > width {
					t.Errorf("a line of %d columns, more than %d: %q", n, width, l)
				}
			}
		}
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestHostileText(t *testing.T) {
	r := New(sample(hostile))
	plain := text(t, r, Style{})
	coloured := text(t, r, Style{Color: true})
	if escapes.ReplaceAllString(coloured, "") != plain {
		t.Error("colours change the words")
	}
	if !strings.Contains(coloured, "\x1b[") {
		t.Error("no colours")
	}
	for name, s := range map[string]string{"text": plain, "page": pageOf(t, r), "JSON": string(doc(t, r))} {
		for _, c := range s {
			if c != '\n' && !seen(c) && c >= 0x7f || c < ' ' && c != '\n' {
				t.Errorf("%s holds %U", name, c)
			}
		}
	}
	if !strings.Contains(plain, `\u{202e}`) || !strings.Contains(plain, `\u{1b}[31m`) || !strings.Contains(plain, `\xff`) {
		t.Error("what was escaped is not visible")
	}
}

func TestPage(t *testing.T) {
	p := pageOf(t, New(sample(hostile)))
	if regexp.MustCompile(`(?i)<script|<img|<link|<iframe|\son[a-z]+=|javascript:|url\(|@import|https?://`).MatchString(p) {
		t.Error("the page has a script, a handler or something that is loaded")
	}
	for _, want := range []string{"&lt;script&gt;", "default-src &#39;none&#39;", `name="viewport"`, `lang="en"`, backdoorMeans, "@media print", "prefers-color-scheme: dark"} {
		if !strings.Contains(p, want) && !strings.Contains(p, strings.ReplaceAll(want, "&#39;", "'")) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(p, "ZgotmplZ") {
		t.Error("the template refused a value")
	}
	for _, m := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(p, -1) {
		if !strings.Contains(p, `id="`+m[1]+`"`) {
			t.Errorf("a link to %s leads nowhere", m[1])
		}
	}
}

// The words of a report never promise what no scan can know.
func TestWords(t *testing.T) {
	r := New(sample("x"))
	for name, s := range map[string]string{"text": text(t, r, Style{}), "page": pageOf(t, r), "JSON": string(doc(t, r))} {
		if strings.Contains(strings.ToLower(s), "clean") || strings.Contains(s, "score") {
			t.Errorf("%s says clean or score", name)
		}
		if strings.Contains(strings.ReplaceAll(s, "<!DOCTYPE", ""), "! ") {
			t.Errorf("%s shouts", name)
		}
	}
	for _, q := range check.Questions {
		if questionWords[q] == "" {
			t.Errorf("no words for the question %s", q)
		}
		for _, l := range []verdict.Level{verdict.Found, verdict.Signs, verdict.NothingFound} {
			if answerWords[q][l][0] == "" {
				t.Errorf("no words for %s %s", q, l)
			}
		}
	}
	for _, g := range check.Grades {
		if gradeWords[g] == "" {
			t.Errorf("no words for the grade %s", g)
		}
	}
	for reason := evidence.Damaged; reason.String() != "no reason"; reason++ {
		if !slices.ContainsFunc(reasonWords, func(w struct{ reason, words string }) bool { return w.reason == reason.String() }) {
			t.Errorf("no words for the reason %s", reason)
		}
	}
}

// The keys are those that the design fixes; none is missing and no list is null.
func TestKeys(t *testing.T) {
	var m map[string]any
	if err := json.Unmarshal(doc(t, New(sample("x"))), &m); err != nil {
		t.Fatal(err)
	}
	has := func(where string, v any, keys string) {
		t.Helper()
		if l, ok := v.([]any); ok {
			v = l[0]
		}
		for _, k := range strings.Fields(keys) {
			if x, ok := v.(map[string]any)[k]; !ok {
				t.Errorf("%s has no key %s", where, k)
			} else if x == nil && k != "origin" && k != "entry" && k != "tls" {
				t.Errorf("%s: %s is null", where, k)
			}
		}
	}
	has("the report", m, "schema tool inputs device decision answers findings indicators apps modules conversations gaps coverage limits")
	has("tool", m["tool"], "version commit knowledge_sha256 knowledge_date")
	has("inputs", m["inputs"], "name kind sha256 size")
	has("device", m["device"], "brand model fingerprint android patch build_type")
	has("decision", m["decision"], "id text because")
	has("answers", m["answers"], "question level text because unseen")
	has("findings", m["findings"], `id check question grade subject message message_id args effect reach gates disclosure state vouchers at witness
		innocent cwe origin entry`)
	f := m["findings"].([]any)[0].(map[string]any)
	has("origin", f["origin"], "package version_code signer file_sha256")
	has("entry", f["entry"], "component action extras")
	has("witness", f["witness"], "at what")
	has("gates", m["findings"].([]any)[1].(map[string]any)["gates"], "what holds at")
	has("apps", m["apps"], "package version path sha256 signature schemes signers uid privileged")
	has("gaps", m["gaps"], "id at reason detail")
	has("coverage", m["coverage"], "what listed read failed")
	if strings.Contains(string(doc(t, New(Scan{}))), ": null") {
		t.Error("the report of nothing has a null")
	}
	for _, a := range m["apps"].([]any) {
		if s := a.(map[string]any)["signature"]; s != "verified" && s != "broken" && s != "none" {
			t.Errorf("an app's signature is %q", s)
		}
	}
}

func TestRead(t *testing.T) {
	for _, s := range []string{"", "[]", "{}", `{"schema":"gifthorse.report/2"}`, "null"} {
		if _, err := Read(strings.NewReader(s)); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, x := range []struct {
		s    string
		max  int
		want string
	}{
		{"one two three", 8, "one two|three"},
		{"", 10, ""},
		{"a phone.zip!system/app/Updater.apk!classes.dex", 24, "a|phone.zip!system/app/|Updater.apk!classes.dex"},
		{"ああああああ", 8, "ああああ|ああ"},
		{"xxxxxxxxxxxx yy", 8, "xxxxxxxx|xxxx yy"},
	} {
		if got := strings.Join(wrap(x.s, x.max), "|"); got != x.want {
			t.Errorf("wrap(%q, %d) = %q, want %q", x.s, x.max, got, x.want)
		}
	}
}

func TestShortNames(t *testing.T) {
	for in, want := range map[string]string{
		"enters Lcom/a/B;.run:(Landroid/os/Bundle;[I)Ljava/lang/String;":                  "enters B.run",
		"Ljava/lang/Runtime;.exec:(Ljava/lang/String;)Ljava/lang/Process;: run a command": "Runtime.exec: run a command",
		"La;.b:()V":                            "a.b",
		"receiver Lcom/a/B$C;":                 "receiver B$C",
		"Lcom/a/B;.<init>:()V":                 "B.<init>",
		"permission com.oem.SEND; Later more;": "permission com.oem.SEND; Later more;",
	} {
		if got := shortNames(in); got != want {
			t.Errorf("shortNames(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestWayIn(t *testing.T) {
	f := &Finding{Reach: check.AnyApp, Effect: "run a command", Entry: &Entry{"com.a.b.Receiver", "com.a.DO", []string{"cmd", `extra "x"`}}, Origin: &Origin{Package: "com.a", UID: "android.uid.system"}}
	if got, want := strings.Join(flow(f), " → "), `any app → Receiver → no guard → with extra "cmd", extra "x" → run a command, as android.uid.system`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got, want := f.wayIn(), `com.a.b.Receiver, action com.a.DO, extra "cmd", extra "x"`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{"a.zip": "a.zip", "a b": "'a b'", "$(x)": "'$(x)'", "it's": `'it'\''s'`, "-v": "'./-v'", "": "''"} {
		if got := shellQuote(in); got != want {
			t.Errorf("shellQuote(%q) = %s, want %s", in, got, want)
		}
	}
}

func FuzzVisible(f *testing.F) {
	f.Add(hostile)
	f.Add("plain")
	f.Add("e\u0301\u0301\u0301\u0301\u0301\u0301")
	f.Fuzz(func(t *testing.T, s string) {
		v := Visible(s)
		for _, c := range v {
			if c < ' ' || c >= 0x7f && !seen(c) {
				t.Errorf("%q holds %U", v, c)
			}
		}
		for _, l := range wrap(v, 20) {
			if columns(l) > 20 {
				t.Errorf("%q has more than 20 columns", l)
			}
		}
	})
}
