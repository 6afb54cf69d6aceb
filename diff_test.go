package gifthorse_test

import (
	"archive/zip"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gifthorse"
	"gifthorse/check/checktest"
	"gifthorse/report"
	"gifthorse/verdict"

	"golang.org/x/tools/txtar"
)

// onePhone and its twin differ in what the comments say.
const onePhone = `
-- system/build.prop --
ro.product.model=Test
ro.build.version.sdk=23
ro.debuggable=0
ro.gone=1
-- init.rc --
on boot
    class_start main
service one /system/bin/one
    class main
    user system
service old /system/bin/old
    class main
-- system/bin/one --
the same size
-- system/bin/same --
the same
-- system/etc/hosts --
127.0.0.1 localhost
-- system/etc/security/cacerts/00000000.0 --
make: "An Authority"
-- system/app/Both/AndroidManifest.xml --
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="com.oem.both" android:versionCode="1" android:versionName="1.0">
  <uses-permission android:name="android.permission.INTERNET"/>
  <application><receiver android:name=".Door" android:exported="true" android:permission="android.permission.REBOOT"/></application>
</manifest>
-- system/app/Both/Door.smali --
.class public Lcom/oem/both/Door;
.super Landroid/content/BroadcastReceiver;
-- system/app/Both/key --
oem
-- system/app/Same/AndroidManifest.xml --
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="com.oem.same"><application/></manifest>
-- system/app/Same/key --
oem
-- system/app/Old/AndroidManifest.xml --
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="com.oem.old"><application/></manifest>
-- vendor/app/Not/vendor.txt --
what lies on a partition that the twin lacks
`

const twinPhone = `
-- system/build.prop --
ro.product.model=Test
ro.build.version.sdk=23
ro.debuggable=1
ro.new=1
-- init.rc --
on boot
    class_start main
    start new
service one /system/bin/one
    class main
    user root
service new /system/bin/new
    class main
-- system/bin/one --
the same SIZE
-- system/bin/same --
the same
-- system/etc/hosts --
127.0.0.1 localhost
10.0.0.1 update.oem.example
-- system/etc/security/cacerts/00000000.0 --
make: "Another Authority"
-- adb_keys --
QAAAAA== somebody@work
-- system/app/Both/AndroidManifest.xml --
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="com.oem.both" android:versionCode="2" android:versionName="1.0">
  <uses-permission android:name="android.permission.INTERNET"/>
  <uses-permission android:name="android.permission.NFC"/>
  <application><receiver android:name=".Door" android:exported="true"/></application>
</manifest>
-- system/app/Both/Door.smali --
.class public Lcom/oem/both/Door;
.super Landroid/content/BroadcastReceiver;
.method public constructor <init>()V
    .registers 1
    invoke-direct {p0}, Landroid/content/BroadcastReceiver;-><init>()V
    return-void
.end method
-- system/app/Both/key --
somebody else
-- system/app/Same/AndroidManifest.xml --
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="com.oem.same"><application/></manifest>
-- system/app/Same/key --
oem
-- system/app/New/AndroidManifest.xml --
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="com.oem.fresh"><application/></manifest>
`

func scanText(t *testing.T, text string) *gifthorse.Result {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "phone")
	if err := checktest.Write(dir, txtar.Parse([]byte(text))); err != nil {
		t.Fatal(err)
	}
	return scanAt(t, dir)
}

func scanAt(t *testing.T, dir string) *gifthorse.Result {
	t.Helper()
	r, err := gifthorse.Scan(context.Background(), []string{dir}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// told says a difference in lines: "apps + com.oem.new", "apps ~ com.oem.both version -1.0 (1) +1.0 (2)".
func told(d *verdict.Difference) (lines []string) {
	for _, a := range d.Areas {
		for _, x := range a.Added {
			lines = append(lines, a.Name+" + "+x.Name)
		}
		for _, x := range a.Removed {
			lines = append(lines, a.Name+" - "+x.Name)
		}
		for _, c := range a.Changed {
			for _, f := range c.Facts {
				l := a.Name + " ~ " + c.Name + " " + f.Name
				if f.Name == "signer" || f.Name == "code" || f.Name == "sha256" || f.Name == "size" { // what they are does not matter here
					lines = append(lines, l)
					continue
				}
				for _, v := range f.Removed {
					l += " -" + v
				}
				for _, v := range f.Added {
					l += " +" + v
				}
				lines = append(lines, l)
			}
		}
	}
	return lines
}

func TestDiffTwins(t *testing.T) {
	got := told(gifthorse.Diff(scanText(t, onePhone), scanText(t, twinPhone)))
	for _, want := range []string{
		"signers ~ com.oem.both signer",
		"apps + com.oem.fresh",
		"apps - com.oem.old",
		"apps ~ com.oem.both code",
		"apps ~ com.oem.both permissions it has +android.permission.NFC",
		"apps ~ com.oem.both version -1.0 (1) +1.0 (2)",
		"apps ~ com.oem.both ways in -receiver com.oem.both.Door: android.permission.REBOOT (holds) +receiver com.oem.both.Door: no guard",
		"trust + CN=Another Authority",
		"trust - CN=An Authority",
		"services + new",
		"services - old",
		"services ~ one user -system +root",
		"actions ~ on boot commands +start new",
		"hosts + update.oem.example",
		"posture ~ ro.debuggable value -0 +1",
		"properties + ro.new",
		"properties - ro.gone",
		"partitions - /vendor",
		"files ~ /system/bin/one sha256",
		"files + /system/app/New/New.apk",
		"files - /system/app/Old/Old.apk",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("not told: %s", want)
		}
	}
	if !slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, "adbkeys + ") }) {
		t.Error("the key in adb_keys is not told")
	}
	for _, l := range got {
		for _, not := range []string{"com.oem.same", "/system/bin/same", "Same.apk", "vendor.txt", "localhost", "properties ~ ro.debuggable"} {
			if strings.Contains(l, not) {
				t.Errorf("told, though it is the same: %s", l)
			}
		}
	}
	if t.Failed() {
		t.Logf("told:\n%s", strings.Join(got, "\n"))
	}
}

// Nothing differs from itself, from a copy or from itself in another container; A to B is B to A the other way round;
// and the bytes do not depend on the cores.
func TestDiffLaws(t *testing.T) {
	a, b := scanText(t, onePhone), scanText(t, twinPhone)
	for _, other := range []*gifthorse.Result{a, scanText(t, onePhone)} {
		if d := gifthorse.Diff(a, other); !d.Same() {
			t.Errorf("a phone differs from itself: %q", told(d))
		}
	}
	ab, ba := gifthorse.Diff(a, b), gifthorse.Diff(b, a)
	if ab.Same() {
		t.Fatal("two phones are the same")
	}
	for i := range ba.Areas {
		x := &ba.Areas[i]
		x.Added, x.Removed = x.Removed, x.Added
		x.UnseenA, x.UnseenB = x.UnseenB, x.UnseenA
		for _, c := range x.Changed {
			for k := range c.Facts {
				c.Facts[k].Added, c.Facts[k].Removed = c.Facts[k].Removed, c.Facts[k].Added
			}
		}
		if !reflect.DeepEqual(ab.Areas[i], *x) {
			t.Errorf("%s: A to B is\n%+v\nB to A, turned round, is\n%+v", x.Name, ab.Areas[i], *x)
		}
	}
	for i, c := range ba.Conformance {
		if c.Added, c.Removed = c.Removed, c.Added; ab.Conformance[i] != c {
			t.Errorf("A to B is %+v, B to A, turned round, is %+v", ab.Conformance[i], c)
		}
	}
	wire := func() []byte {
		a, b := scanText(t, onePhone), scanText(t, twinPhone)
		var out bytes.Buffer
		if err := report.NewDiff(report.Scan{Phone: a.Phone}, report.Scan{Phone: b.Phone}, gifthorse.Diff(a, b)).JSON(&out); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one := wire()
	runtime.GOMAXPROCS(4)
	if four := wire(); !bytes.Equal(one, four) {
		t.Error("the bytes depend on the number of cores")
	}
}

// A phone of which a copy has one file changed shows that file, and what follows from it.
func TestDiffOneChange(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "giftphone")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("examples", "giftphone"))); err != nil {
		t.Fatal(err)
	}
	const file = "system/bin/netstat_log"
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	data[0] ^= 1
	if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
		t.Fatal(err)
	}
	d := gifthorse.Diff(scanAt(t, filepath.Join("examples", "giftphone")), scanAt(t, dir))
	if got, want := told(d), []string{"files ~ /" + file + " sha256"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	changed, same := 0, 0
	for _, c := range d.Conformance {
		changed, same = changed+c.Changed, same+c.Same
		if c.Added+c.Removed+c.Unseen > 0 {
			t.Errorf("%+v", c)
		}
	}
	if changed != 1 || same == 0 {
		t.Errorf("%d changed, %d the same: %+v", changed, same, d.Conformance)
	}
}

// A phone as a folder and in a zip is the same phone.
func TestDiffContainers(t *testing.T) {
	file := filepath.Join("..", "shared", "phones", "archos.zip")
	if testing.Short() {
		t.Skip("real phones take a while")
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Skipf("%s is not beside the checkout", file)
	}
	defer z.Close()
	dir := filepath.Join(t.TempDir(), "archos")
	if err := os.CopyFS(dir, z); err != nil {
		t.Fatal(err)
	}
	a, b := scanAt(t, file), scanAt(t, dir)
	if len(a.Phone.Packages) < 50 {
		t.Fatalf("only %d apps", len(a.Phone.Packages))
	}
	if got := told(gifthorse.Diff(a, b)); len(got) > 0 {
		t.Errorf("the same phone differs: %q", got)
	}
}

// An update of an app on /data is one app more, not another one.
func TestDiffUpdatedApp(t *testing.T) {
	const app = `
-- system/build.prop --
ro.build.version.sdk=23
-- system/app/X/AndroidManifest.xml --
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="com.oem.x" android:versionCode="1"><application/></manifest>
-- data/misc/other.txt --
x
-- data/dalvik-cache/other.txt --
x
-- data/local/other.txt --
x
`
	const update = `-- data/app/com.oem.x-1/AndroidManifest.xml --
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="com.oem.x" android:versionCode="2"><application/></manifest>
`
	got := told(gifthorse.Diff(scanText(t, app), scanText(t, app+update)))
	const file = "/data/app/com.oem.x-1/com.oem.x-1.apk"
	if want := []string{"apps + com.oem.x at " + file, "files + " + file}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
