package program_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gifthorse/phone"
	"gifthorse/program"

	"golang.org/x/tools/txtar"
)

// found is all that a program says of the ways of a phone's apps.
func found(p *program.Program) []any {
	return []any{p.Paths(), p.Remote(), p.Sent(), p.Redirects(), p.Told(), p.Gaps(), p.Stats.Unknown}
}

// entriesOf reads what lies in a cache.
func entriesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries := map[string][]byte{}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if entries[n], err = os.ReadFile(n); err != nil {
			t.Fatal(err)
		}
	}
	return entries
}

// TestCacheSaysTheSame builds every text phone with one cache, twice. They are many apps of one name, each with code of its own. The
// second time nothing is worked out again, and both times the same is found as without a cache.
func TestCacheSaysTheSame(t *testing.T) {
	dir := t.TempDir()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no phones", err)
	}
	var first map[string][]byte
	for range 2 {
		for _, n := range names {
			ph := readPhone(t, n).open(t)
			want := found(program.Build(context.Background(), ph, "", nil))
			if got := found(program.Build(context.Background(), ph, dir, nil)); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: with a cache %+v\nwithout %+v", n, got, want)
			}
		}
		now := entriesOf(t, dir)
		if first != nil && !maps.EqualFunc(first, now, bytes.Equal) {
			t.Error("the second time something was worked out again")
		}
		first = now
	}
	if len(first) < len(names)/2 {
		t.Errorf("%d phones, %d entries", len(names), len(first))
	}
}

// A phone with two apps. What the first does depends on what the second, and the phone, say.
const twoApps = `
-- system/build.prop --
ro.build.version.sdk=23
ro.t.mode=open
-- system/priv-app/A/AndroidManifest.xml --
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="t.a">
<application><receiver android:name="t.A" android:exported="true"/></application></manifest>
-- system/priv-app/A/A.smali --
.class public Lt/A;
.super Landroid/content/BroadcastReceiver;
.method public constructor <init>()V
    .registers 1
    invoke-direct {p0}, Landroid/content/BroadcastReceiver;-><init>()V
    return-void
.end method
.method public onReceive(Landroid/content/Context;Landroid/content/Intent;)V
    .registers 6
    const-string v0, "t.c.Gone"
    invoke-static {v0}, Ljava/lang/Class;->forName(Ljava/lang/String;)Ljava/lang/Class;
    const-string v0, "t.permission.ASK"
    invoke-virtual {p1, v0}, Landroid/content/Context;->checkCallingPermission(Ljava/lang/String;)I
    move-result v0
    if-nez v0, :no
    const-string v0, "ro.t.mode"
    invoke-static {v0}, Landroid/os/SystemProperties;->get(Ljava/lang/String;)Ljava/lang/String;
    move-result-object v0
    const-string v1, "open"
    invoke-virtual {v1, v0}, Ljava/lang/String;->equals(Ljava/lang/Object;)Z
    move-result v0
    if-eqz v0, :no
    const-string v0, "cmd"
    invoke-virtual {p2, v0}, Landroid/content/Intent;->getStringExtra(Ljava/lang/String;)Ljava/lang/String;
    move-result-object v0
    invoke-static {}, Ljava/lang/Runtime;->getRuntime()Ljava/lang/Runtime;
    move-result-object v1
    invoke-virtual {v1, v0}, Ljava/lang/Runtime;->exec(Ljava/lang/String;)Ljava/lang/Process;
    :no
    return-void
.end method
-- system/priv-app/B/AndroidManifest.xml --
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="t.b" android:versionCode="1">
<permission android:name="t.permission.ASK" android:protectionLevel="normal"/>
<application><receiver android:name="t.B" android:exported="true"/></application></manifest>
-- system/priv-app/B/B.smali --
.class public Lt/B;
.super Landroid/content/BroadcastReceiver;
.method public onReceive(Landroid/content/Context;Landroid/content/Intent;)V
    .registers 5
    const-string v0, "cmd"
    invoke-virtual {p2, v0}, Landroid/content/Intent;->getStringExtra(Ljava/lang/String;)Ljava/lang/String;
    move-result-object v0
    invoke-static {}, Ljava/lang/Runtime;->getRuntime()Ljava/lang/Runtime;
    move-result-object v1
    invoke-virtual {v1, v0}, Ljava/lang/Runtime;->exec(Ljava/lang/String;)Ljava/lang/Process;
    return-void
.end method
`

func layText(t *testing.T, text string) *phone.Phone {
	t.Helper()
	return (&textPhone{archive: txtar.Parse([]byte(text))}).open(t)
}

// TestNextBuild changes a phone whose apps are in the cache. Only what the change may bear on is worked out again, and what is found
// is what is found without a cache.
func TestNextBuild(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		again          int  // apps
		other          bool // something else is found
	}{
		{"nothing", "", "", 0, false},
		{"a version", `versionCode="1"`, `versionCode="2"`, 0, false},
		{"a property that nobody asks for", "ro.t.mode=open", "ro.t.mode=open\nro.t.more=1", 0, false},
		{"a property that the code asks for", "ro.t.mode=open", "ro.t.mode=shut", 1, true},
		{"a permission of another app", `protectionLevel="normal"`, `protectionLevel="signature"`, 2, true},
		{"a class that the code names by its text", `const-string v0, "cmd"`, `const-class v0, Lt/c/Gone;` + "\n    " + `const-string v0, "cmd"`, 2, false},
		{"code of the other app", `"cmd"`, `"other"`, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			before := found(program.Build(context.Background(), layText(t, twoApps), dir, nil))
			was := entriesOf(t, dir)
			text := twoApps
			if i := strings.LastIndex(text, c.old); c.old != "" {
				text = text[:i] + c.new + text[i+len(c.old):]
			}
			next := layText(t, text)
			want := found(program.Build(context.Background(), next, "", nil))
			if got := found(program.Build(context.Background(), next, dir, nil)); !reflect.DeepEqual(got, want) {
				t.Errorf("with a cache %+v\nwithout %+v", got, want)
			}
			again := 0
			for n, data := range entriesOf(t, dir) {
				if !bytes.Equal(was[n], data) {
					again++
				}
			}
			if again != c.again {
				t.Errorf("%d apps were worked out again, want %d", again, c.again)
			}
			if plain(before) == plain(want) == c.other {
				t.Errorf("what is found differs: %t", !c.other)
			}
		})
	}
}

// plain is what is found without its addresses, which differ from folder to folder.
func plain(found []any) string {
	var b strings.Builder
	for _, p := range found[0].([]program.Path) {
		fmt.Fprint(&b, p.Entry.Package.Name, p.Effect.ID, p.Steered)
		for _, g := range p.Gates {
			b.WriteString(g.What + g.Holds.String())
		}
	}
	return b.String()
}

// TestCacheDamaged reads entries that something else wrote. They are as good as none.
func TestCacheDamaged(t *testing.T) {
	dir := t.TempDir()
	ph := layText(t, twoApps)
	want := found(program.Build(context.Background(), ph, dir, nil))
	good := entriesOf(t, dir)
	if len(good) != 2 {
		t.Fatalf("%d entries of two apps", len(good))
	}
	resealed := func(b []byte) []byte {
		sum := sha256.Sum256(b[sha256.Size:])
		return slices.Concat(sum[:], b[sha256.Size:])
	}
	for _, damage := range []func(b []byte) []byte{
		func(b []byte) []byte { return nil },
		func(b []byte) []byte { return b[:len(b)-1] },
		func(b []byte) []byte { return resealed(b[:len(b)-1]) },
		func(b []byte) []byte { return resealed(append(b, 0)) },
		func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
	} {
		for n, b := range good {
			if err := os.WriteFile(n, damage(bytes.Clone(b)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := found(program.Build(context.Background(), ph, dir, nil)); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v\nwant %+v", got, want)
		}
		if !maps.EqualFunc(good, entriesOf(t, dir), bytes.Equal) {
			t.Error("the entries were not mended")
		}
	}
	// Where nothing can be kept, nothing is lost.
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := found(program.Build(context.Background(), ph, file, nil)); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}
