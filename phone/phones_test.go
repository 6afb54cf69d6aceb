package phone_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gifthorse/evidence"
	"gifthorse/phone"
)

const phonesDir = "../../shared/phones"

var phoneNames = []string{"archos", "doogee_mix", "redmi_water", "tecno_ba2", "wolder"}

var built = map[string]func() (*phone.Phone, error){}

func init() {
	for _, n := range phoneNames {
		built[n] = sync.OnceValues(func() (*phone.Phone, error) {
			ev, err := evidence.Open(context.Background(), []string{filepath.Join(phonesDir, n+".zip")}, nil)
			if err != nil {
				return nil, err
			}
			return phone.Build(context.Background(), ev, nil), nil
		})
	}
}

// real returns one of the phones that lie beside the repository, built once for all tests.
func real(t testing.TB, name string) *phone.Phone {
	t.Helper()
	if _, err := os.Stat(filepath.Join(phonesDir, name+".zip")); err != nil {
		t.Skip("the phones of ../shared are not here")
	}
	p, err := built[name]()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// leftOut lists the files that were cut from a phone, as paths on it.
func leftOut(t *testing.T, p *phone.Phone) []string {
	t.Helper()
	var list string
	for _, f := range p.Evidence.Outside() {
		if n := f.Ref.Names(); n[len(n)-1] == "LEFT-OUT.txt" {
			b, err := f.Data()
			if err != nil {
				t.Fatal(err)
			}
			list = string(b)
		}
	}
	var out []string
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		for _, r := range p.Evidence.Roots() {
			n := r.At.Names()
			if rest, ok := strings.CutPrefix(line, n[len(n)-1]+"/"); ok && !strings.HasPrefix(r.Path, "/recovery") && (r.Path != "/" || !strings.HasPrefix(rest, "system/")) {
				out = append(out, strings.TrimSuffix(r.Path, "/")+"/"+rest)
				break
			}
		}
	}
	return out
}

// TestLeftOut asks that what was cut from a tree stands in a gap wherever something in the tree leads there:
// compiled code to its APK, an APK to its compiled code, a class path or a permission file to a JAR, an import
// to a file of init.
func TestLeftOut(t *testing.T) {
	for _, name := range phoneNames {
		t.Run(name, func(t *testing.T) {
			p := real(t, name)
			var all strings.Builder
			for _, c := range p.Coverage {
				for _, g := range c.Gaps {
					all.WriteString(g.Detail + "\n")
				}
			}
			gaps := all.String()
			byAPK := map[string]*phone.Package{}
			for _, k := range p.Packages {
				if k.File != nil {
					byAPK[k.File.Path] = k
				}
			}
			named, unnamed := map[string]int{}, map[string]int{}
			for _, f := range leftOut(t, p) {
				ext := filepath.Ext(f)
				refers := false
				switch dir, base, ok := strings.Cut(f, "/oat/"); ext {
				case ".apk":
					refers = len(p.Evidence.Under(filepath.Dir(f)+"/oat")) > 0 || f == "/system/framework/framework-res.apk"
				case ".odex", ".vdex":
					apk := byAPK[dir+"/"+strings.TrimSuffix(filepath.Base(base), ext)+".apk"]
					refers = ok && apk != nil && apk.HasCode && len(apk.Code) == 0
				case ".jar", ".rc":
					refers = true
				case ".oat":
				default:
					continue
				}
				if strings.Contains(gaps, f) {
					named[ext]++
				} else if unnamed[ext]++; refers {
					t.Errorf("no gap names %s", f)
				}
			}
			t.Logf("named %v, nothing refers to %v", named, unnamed)
		})
	}
}

// TestWolderTruth compares exported components and their guards with a list that was made by hand from
// the decompiled manifests.
func TestWolderTruth(t *testing.T) {
	p := real(t, "wolder")
	text, err := os.ReadFile(filepath.Join(phonesDir, "wolder-truth.tsv"))
	if err != nil {
		t.Skip(err)
	}
	// A filter without an action is none to PackageParser.parseActivity, so the activity is not exported.
	notExported := "com.mediatek.calendarimporter/com.mediatek.calendarimporter.ShowHandleResultActivity"

	byID := map[string]*phone.Component{}
	for _, k := range p.Packages {
		for _, c := range k.Components {
			kind := string(c.Kind)
			if c.Alias != "" {
				kind = "alias"
			}
			byID[k.Name+"/"+c.Class()+" "+kind] = c
		}
	}
	worth := func(words string) (phone.Worth, string) {
		name, level, _ := strings.Cut(words, " ")
		switch {
		case words == "none":
			return phone.None, ""
		case strings.Contains(level, "signature"):
			return phone.Holds, name
		case strings.Contains(level, "dangerous"):
			return phone.Consent, name
		case strings.Contains(level, "normal"):
			return phone.DoesNotHold, name
		}
		t.Errorf("what is %q", words)
		return phone.Unknown, name
	}
	rows, missing := 0, 0
	for line := range strings.Lines(string(text)) {
		col := strings.Split(strings.TrimSpace(line), "\t")
		if strings.HasPrefix(line, "#") || col[0] == "component" || len(col) < 7 {
			continue
		}
		rows++
		pkg, _, _ := strings.Cut(col[0], "/")
		if p.Package(pkg) == nil { // its APK was cut from the tree
			missing++
			continue
		}
		c := byID[col[0]+" "+col[1]]
		if c == nil {
			t.Errorf("%s %s: not found", col[1], col[0])
			continue
		}
		if c.Exported == (col[0] == notExported) || !c.Enabled || c.Package.UID() != col[2] {
			t.Errorf("%s: exported %v, enabled %v, uid %s; want uid %s", col[0], c.Exported, c.Enabled, c.Package.UID(), col[2])
		}
		words, paths := strings.CutSuffix(col[3], " +path-permissions")
		if paths != (len(c.Paths) > 0) {
			t.Errorf("%s: path permissions %v", col[0], c.Paths)
		}
		check := func(g phone.Guard, words string) {
			if w, name := worth(words); g.Holds != w || g.Permission != name {
				t.Errorf("%s: guard %s %s (%s, %s), want %s", col[0], g.Permission, g.Holds, g.Level, g.Why, words)
			}
		}
		switch {
		case strings.HasPrefix(words, "r:"):
			r, w, _ := strings.Cut(strings.TrimPrefix(words, "r:"), " w:")
			check(c.Read, r)
			check(c.Write, w)
		case c.Kind == phone.KindProvider:
			check(c.Read, words)
			check(c.Write, words)
		default:
			check(c.Guard, words)
		}
	}
	if rows != 125 || missing != 18 {
		t.Errorf("%d rows, %d of them of an app that is not in the tree", rows, missing)
	}
}

// TestBadging compares a sample of apps with what aapt says of them.
func TestBadging(t *testing.T) {
	aapt, err := exec.LookPath("aapt")
	if err != nil {
		t.Skip("aapt is not installed")
	}
	quoted := func(line, key string) string {
		_, v, _ := strings.Cut(line, key+"='")
		v, _, _ = strings.Cut(v, "'")
		return v
	}
	compared := 0
	for _, name := range phoneNames {
		p := real(t, name)
		for i, k := range p.Packages {
			if i%12 != 0 || k.File == nil {
				continue
			}
			data, err := k.File.Data()
			if err != nil {
				t.Fatal(err)
			}
			tmp := filepath.Join(t.TempDir(), "a.apk")
			if err := os.WriteFile(tmp, data, 0o600); err != nil {
				t.Fatal(err)
			}
			out, _ := exec.Command(aapt, "dump", "badging", tmp).Output() // it fails behind what is compared on some
			var asked []string
			for line := range strings.Lines(string(out)) {
				switch head, rest, _ := strings.Cut(strings.TrimSpace(line), ":"); head {
				case "package":
					if n, v, c := quoted(rest, "name"), quoted(rest, "versionName"), quoted(rest, "versionCode"); n != k.Name ||
						v != k.VersionName && !strings.HasPrefix(k.VersionName, "@") || c != strconv.FormatInt(k.VersionCode&0xffffffff, 10) {
						t.Errorf("%s: %s %s %d; aapt: %s", k.File.Path, k.Name, k.VersionName, k.VersionCode, line)
					}
				case "targetSdkVersion":
					if v := strings.Trim(rest, "'"); v != strconv.Itoa(k.TargetSDK) {
						t.Errorf("%s: target %d; aapt: %s", k.File.Path, k.TargetSDK, v)
					}
				case "application-label":
					if v := strings.Trim(rest, "'"); v != k.Label {
						t.Errorf("%s: label %q; aapt: %q", k.File.Path, k.Label, v)
					}
				case "uses-permission", "uses-permission-sdk-23":
					if !strings.Contains(rest, "maxSdkVersion") {
						asked = append(asked, quoted(rest, "name"))
					}
				}
			}
			slices.Sort(asked)
			if asked = slices.Compact(asked); len(asked) > 0 && !slices.Equal(asked, k.Requested) {
				t.Errorf("%s: asks for %v; aapt: %v", k.File.Path, k.Requested, asked)
			}
			compared++
		}
	}
	if compared < 30 {
		t.Errorf("only %d apps were compared", compared)
	}
}

// TestRealPhones holds what was seen by hand to be so.
func TestRealPhones(t *testing.T) {
	for _, c := range []struct {
		name, model   string
		api           int
		packages      int // at least
		signer        string
		privileged    string // a package with privilege
		notPrivileged string
	}{
		{"wolder", "WIAM #24", 23, 89, "2f3ae1ed", "com.adups.fota.sysoper", "com.adups.fota"},
		{"doogee_mix", "MIX", 24, 84, "665f1004", "com.android.settings.provider", "com.android.dreams.basic"},
		{"redmi_water", "water", 33, 85, "c9009d01", "com.facebook.system", "com.miui.calculator.go"},
		{"archos", "Archos 50 Saphir", 23, 73, "9b73904d", "com.android.keychain", "com.android.htmlviewer"},
		{"tecno_ba2", "TECNO BA2", 27, 91, "657b6fb2", "com.android.keychain", "com.android.dreams.basic"},
	} {
		p := real(t, c.name)
		if p.API != c.api || p.Device.Model != c.model || len(p.Packages) < c.packages || !strings.HasPrefix(p.PlatformSigner.SHA256, c.signer) {
			t.Errorf("%s: API %d, model %q, %d packages, signer %s", c.name, p.API, p.Device.Model, len(p.Packages), p.PlatformSigner.SHA256)
		}
		if k := p.Package(c.privileged); k != nil && !k.Privileged {
			t.Errorf("%s: %s has no privilege", c.name, k.Name)
		}
		if k := p.Package(c.notPrivileged); k != nil && k.Privileged {
			t.Errorf("%s: %s has privilege", c.name, k.Name)
		}
		code, gaps := 0, 0
		worth := map[phone.Worth]int{}
		for _, k := range p.Packages {
			if len(k.Code) > 0 {
				code++
			} else if k.CodeGap != nil {
				gaps++
			} else if k.HasCode {
				t.Errorf("%s: %s has neither code nor a gap", c.name, k.Name)
			}
			for _, x := range k.Components {
				if k.SharedUID == "" || !x.Exported || !x.Enabled {
					continue
				}
				w := x.Guard.Holds
				if x.Kind == phone.KindProvider {
					w = min(x.Read.Holds, x.Write.Holds)
				}
				worth[w]++
			}
		}
		for _, v := range p.Coverage {
			if v.Listed != v.Read+v.Failed {
				t.Errorf("%s: %s: listed %d, read %d, failed %d", c.name, v.What, v.Listed, v.Read, v.Failed)
			}
			if !slices.IsSortedFunc(v.Gaps, func(a, b evidence.Gap) int { return evidence.Compare(a.At, b.At) }) {
				t.Errorf("%s: %s: gaps are not sorted", c.name, v.What)
			}
		}
		t.Logf("%s: %d packages, %d with code, %d with a gap, %d libraries, %d services, %d authorities; exported with a shared uid, by guard: %v",
			c.name, len(p.Packages), code, gaps, len(p.Libraries), len(p.Services), len(p.Trust), worth)
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, name := range phoneNames {
		b.Run(name, func(b *testing.B) {
			file := filepath.Join(phonesDir, name+".zip")
			if _, err := os.Stat(file); err != nil {
				b.Skip("the phones of ../shared are not here")
			}
			b.ReportAllocs()
			for b.Loop() {
				ev, err := evidence.Open(context.Background(), []string{file}, nil)
				if err != nil {
					b.Fatal(err)
				}
				phone.Build(context.Background(), ev, nil)
				ev.Close()
			}
		})
	}
}
