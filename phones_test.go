package gifthorse

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"gifthorse/check"
	"gifthorse/program"
	"gifthorse/verdict"
)

// The real phones lie beside the checkout. They are read, never run, and where they are absent the tests say so.
var scans struct {
	sync.Mutex
	of map[string]*Result
}

func realPhone(t *testing.T, name string) *Result {
	t.Helper()
	if testing.Short() {
		t.Skip("real phones take a while")
	}
	path := filepath.Join("..", "shared", "phones", name+".zip")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not beside the checkout", path)
	}
	scans.Lock()
	defer scans.Unlock()
	if r := scans.of[name]; r != nil {
		return r
	}
	r, err := Scan(context.Background(), []string{path}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if scans.of == nil {
		scans.of = map[string]*Result{}
	}
	scans.of[name] = r
	return r
}

// TestNextBuild takes one app out of a real phone that has been looked at: what is found in the rest is what is found without
// what the first look kept.
func TestNextBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("real phones take a while")
	}
	dir, cache := t.TempDir(), t.TempDir()
	z, err := zip.OpenReader(costPhone(t, "archos"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if err := os.CopyFS(dir, z); err != nil {
		t.Fatal(err)
	}
	look := func(cache string) *Result {
		r, err := Scan(t.Context(), []string{dir}, cache, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return r
	}
	first := look(cache)
	kept, err := os.ReadDir(cache)
	if err != nil || len(kept) == 0 {
		t.Fatal("nothing was kept", err)
	}
	gone := ""
	for _, k := range first.Phone.Packages { // the first app that can be taken out whole
		if k.File != nil && len(k.Code) > 0 && k.SharedUID == "" && len(k.Defines) == 0 {
			gone = k.File.Path
			break
		}
	}
	if err := os.Remove(filepath.Join(dir, filepath.FromSlash(gone))); err != nil {
		t.Fatal(err)
	}
	got, want := look(cache), look("")
	if len(want.Findings) == 0 || len(got.Findings) != len(want.Findings) {
		t.Fatalf("%d findings, without the cache %d", len(got.Findings), len(want.Findings))
	}
	for i := range want.Findings {
		g, w := got.Findings[i], want.Findings[i]
		g.Package, g.Entry, w.Package, w.Entry = nil, nil, nil, nil // of two readings of the phone
		if !reflect.DeepEqual(g, w) {
			t.Errorf("%s %s is another without the cache", g.ID(), g.Text())
		}
	}
	if !reflect.DeepEqual(got.Coverage, want.Coverage) || !reflect.DeepEqual(got.Gaps, want.Gaps) {
		t.Error("other gaps")
	}
	// What is left of the app, and what asks who holds its permissions or shares its uid, is another; the rest is not.
	if now, err := os.ReadDir(cache); err != nil || len(now) > len(kept)+len(kept)/8 {
		t.Errorf("%d entries became %d, %v", len(kept), len(now), err)
	}
}

func level(r *Result, q check.Question) verdict.Level {
	for _, a := range r.Verdict.Answers {
		if a.Question == q {
			return a.Level
		}
	}
	return ""
}

func find(r *Result, grade check.Grade, text, component string) *check.Finding {
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Grade == grade && strings.HasPrefix(f.Text(), text) && (component == "" || f.Entry != nil && f.Entry.Component == component) {
			return f
		}
	}
	return nil
}

// TestWolder follows the documented backdoor of a real phone.
func TestWolder(t *testing.T) {
	r := realPhone(t, "wolder")
	if l := level(r, check.Backdoor); l != verdict.Found {
		t.Errorf("backdoor: %s", l)
	}
	const app = "com.adups.fota.sysoper"
	for _, w := range []struct {
		grade           check.Grade
		text, component string
		extra, last     string
	}{
		{check.Proven, "any app can make " + app + " run a command", app + ".WriteCommandReceiver", "cmd", "Ljava/lang/Runtime;.exec:"},
		{check.Proven, "any app can make " + app + " run a command", app + ".SysService", "", "Ljava/lang/Runtime;.exec:"},
		{check.Proven, "any app can read text messages through " + app, app + ".provider.InfoProvider", "", "Landroid/content/ContentResolver;.query:"},
		{check.Proven, "any app can read the call log through " + app, app + ".provider.InfoProvider", "", "Landroid/content/ContentResolver;.query:"},
		{check.Proven, "any app can read a file whose path it names through " + app, app + ".provider.InfoProvider", "", "Ljava/io/FileInputStream;.<init>:"},
		{check.Proven, "any app can write a file whose path it names through " + app, app + ".provider.InfoProvider", "filePath", "Ljava/io/FileOutputStream;.<init>:"},
		{check.Weak, "any app can ask " + app + " to restart the phone into recovery", app + ".WriteCommandReceiver", "PackageFileName", "Landroid/os/RecoverySystem;.installPackage:"},
	} {
		f := find(r, w.grade, w.text, w.component)
		if f == nil {
			t.Errorf("not found: %s %q in %s", w.grade, w.text, w.component)
			continue
		}
		if f.Package.UID() != "android.uid.system" {
			t.Errorf("%s: runs as %s", f.Text(), f.Package.UID())
		}
		if w.extra != "" && !slices.Contains(f.Entry.Extras, w.extra) {
			t.Errorf("%s: extras %q, want %q", f.Text(), f.Entry.Extras, w.extra)
		}
		if s := f.Witness[len(f.Witness)-1]; !strings.Contains(s.What, w.last) {
			t.Errorf("%s: the witness ends in %q", f.Text(), s.What)
		}
	}
	if f := find(r, check.Weak, "any app can ask "+app+" to restart", ""); f != nil &&
		!slices.ContainsFunc(f.Gates, func(g check.Gate) bool { return g.Holds == program.GateUnknown }) {
		t.Errorf("recovery's own check is no unknown gate: %v", f.Gates)
	}
}

// TestWolderTruth compares what is reported with components that were judged by hand.
func TestWolderTruth(t *testing.T) {
	r := realPhone(t, "wolder")
	b, err := os.ReadFile(filepath.Join("..", "shared", "phones", "wolder-truth.tsv"))
	if err != nil {
		t.Skip(err)
	}
	got := map[string]check.Grade{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Entry == nil {
			continue
		}
		k := f.Subject + "/" + f.Entry.Component
		if old, ok := got[k]; !ok || slices.Index(check.Grades, f.Grade) < slices.Index(check.Grades, old) {
			got[k] = f.Grade
		}
	}
	var open, found, minor, absent int
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		c := strings.Split(s.Text(), "\t")
		if len(c) < 8 || strings.HasPrefix(c[0], "#") || c[0] == "component" {
			continue
		}
		grade := got[c[0]]
		pkg, _, _ := strings.Cut(c[0], "/")
		p := r.Phone.Package(pkg)
		if p == nil || len(p.Code) == 0 {
			absent++
			continue
		}
		switch c[6] {
		case "open":
			open++
			if grade != "" {
				found++
			} else if strings.Contains(c[7], "(minor)") {
				minor++
			} else {
				t.Logf("open, and not reported: %s: %s", c[0], c[7])
			}
		case "holds", "harmless":
			if grade == check.Proven || grade == check.Concealed || grade == check.Weak {
				t.Errorf("%s is reported %s; by hand it is judged %s: %s", c[0], grade, c[6], c[7])
			}
		case "unknown":
			if grade == check.Proven {
				t.Errorf("%s is reported proven; by hand it could not be decided: %s", c[0], c[7])
			}
		}
	}
	t.Logf("open by hand %d: reported %d, minor and not reported %d; %d rows have no code in this tree", open, found, minor, absent)
	if found < 14 {
		t.Errorf("only %d of %d open components are reported", found, open)
	}
}

// TestGateInCode wants the check of the caller's signature named, and nobody else said to pass it.
func TestGateInCode(t *testing.T) {
	r := realPhone(t, "doogee_mix")
	f := find(r, check.Lead, "who passes this check can make com.adups.fota.sysoper run a command", "")
	if f == nil {
		t.Fatal("the gated command path is not named")
	}
	if !slices.ContainsFunc(f.Gates, func(g check.Gate) bool {
		return g.Holds == program.GateHolds && strings.Contains(g.What, "signature")
	}) {
		t.Errorf("gates: %+v", f.Gates)
	}
	// Followed by hand: a.c reads the list with i.b (a file of OtaCache, its name the hash of the key), and l.a writes it there for the
	// command "oper put", which comes over the same binder.
	if !strings.Contains(f.Text(), "whoever was let in once can let others in") {
		t.Errorf("that the list can be written by the command it guards is not said: %s", f.Text())
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Grade == check.Proven && f.Question == check.Backdoor && f.Check != "remotecommand" {
			t.Errorf("proven: %s", f.Text())
		}
	}
}

// TestThroughTwoApps follows the path that lies behind that check: the updater passes it, and does what a server says.
// Followed by hand: the answer (read in r.a +0x82 with OkHttp's ResponseBody.string) is checked and decrypted with a key of the app's, taken
// apart as JSON, and each task's "command" goes over Command.execute, SysBinder and the binder of SysService to l.a, which runs it.
// The check a.a compares SHA-256 of the caller's name and certificate with constants; both are the updater's.
func TestThroughTwoApps(t *testing.T) {
	r := realPhone(t, "doogee_mix")
	if got := level(r, check.Backdoor); got != verdict.Found {
		t.Errorf("backdoor: %s", got)
	}
	f := find(r, check.Proven, "whoever speaks for the server that com.adups.fota asks can make com.adups.fota.sysoper run a command", "com.adups.library.ac.CommandService")
	if f == nil {
		t.Fatal("the way over both apps is not found")
	}
	if f.Reach != check.Network || f.State != check.Active || f.Package.Name != "com.adups.fota" {
		t.Errorf("reach %s, state %s, of %s", f.Reach, f.State, f.Package.Name)
	}
	if !slices.ContainsFunc(f.Gates, func(g check.Gate) bool {
		return g.Holds == program.GateDoesNotHold && strings.Contains(g.What, "passed by com.adups.fota")
	}) {
		t.Errorf("gates: %+v", f.Gates)
	}
	for _, want := range []string{"AdupsFota.apk!", "calls a binder of com.adups.fota.sysoper", "AdupsFotaReboot.odex!", "Runtime;.exec:"} {
		if !slices.ContainsFunc(f.Witness, func(s program.Step) bool { return strings.Contains(s.At.String()+" "+s.What, want) }) {
			t.Errorf("no step of the witness has %q", want)
		}
	}
}

// TestOrdinaryPhones holds the phones without a known backdoor to what was followed by hand.
func TestOrdinaryPhones(t *testing.T) {
	for _, name := range []string{"redmi_water", "archos", "tecno_ba2"} {
		t.Run(name, func(t *testing.T) {
			r := realPhone(t, name)
			for i := range r.Findings {
				f := &r.Findings[i]
				by := ""
				if f.Entry != nil {
					by = f.Entry.Component
				}
				if (f.Grade == check.Proven || f.Grade == check.Concealed) && !followed[name+": "+by+": "+f.Text()] {
					t.Errorf("not followed by hand yet: %s: %s: %s", f.Grade, by, f.Text())
				}
			}
			if len(r.Gaps) == 0 {
				t.Error("no gaps in a tree from which much was cut")
			}
		})
	}
}

// followed lists the decisive findings on these phones that were followed by hand in the code and found true.
var followed = map[string]bool{
	// PersonalDataRestoreActivity has a filter and no permission, runs as android.uid.system, and makes a File of the whole
	// extra. If it exists and PATH/record.xml does not, BackupFilePreview.checkRestored +0xb8 deletes it, folders with all they hold.
	// NotificationReceiver, exported by its filter, hands its own extra of the same name on to that screen unless notify_type is 1.
	"tecno_ba2: com.transsion.datatransfer.PersonalDataRestoreActivity: any app can make com.transsion.datatransfer delete a file whose path it names": true,
	"tecno_ba2: com.transsion.datatransfer.NotificationReceiver: any app can make com.transsion.datatransfer delete a file whose path it names":        true,
}

// BenchmarkScan reads a whole phone to its findings: the real one if it is there, else the example.
func BenchmarkScan(b *testing.B) {
	path := filepath.Join("..", "shared", "phones", "wolder.zip")
	if _, err := os.Stat(path); err != nil {
		path = filepath.Join("examples", "giftphone")
	}
	for b.Loop() {
		r, err := Scan(context.Background(), []string{path}, "", nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}
