package evidence

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gifthorse/internal/make"
)

const smali = `.class public Lcom/a/B;
.super Ljava/lang/Object;
.method public static run(Ljava/lang/String;)V
    .registers 2
    invoke-static {}, Ljava/lang/Runtime;->getRuntime()Ljava/lang/Runtime;
    move-result-object v0
    invoke-virtual {v0, p0}, Ljava/lang/Runtime;->exec(Ljava/lang/String;)Ljava/lang/Process;
    return-void
.end method
`

// anApp is an APK with a manifest and one class.
func anApp(t testing.TB, store bool) []byte {
	t.Helper()
	code, _, err := make.DEX([]make.SmaliFile{{Name: "B.smali", Text: smali}})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := make.XML([]byte(`<manifest package="com.a"><application><receiver name=".B"/></application></manifest>`), nil)
	if err != nil {
		t.Fatal(err)
	}
	z, err := make.Zip([]make.Entry{{Name: "AndroidManifest.xml", Data: manifest}, {Name: "classes.dex", Data: code, Store: store}})
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func lines(f func(func(string))) string {
	var b strings.Builder
	f(func(s string) { b.WriteString(s + "\n") })
	return b.String()
}

// What stands at an address is found again, through all that holds it.
func TestFind(t *testing.T) {
	for _, store := range []bool{true, false} {
		outer := makeZip(t, []member{{"system/app/A/A.apk", string(anApp(t, store))}, {"system/build.prop", "a=1\nb=2\n"}})
		file := filepath.Join(t.TempDir(), "phone.zip")
		if err := os.WriteFile(file, outer, 0o644); err != nil {
			t.Fatal(err)
		}
		e, err := Open(context.Background(), []string{file}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for _, x := range []struct {
			ref  string
			want []string
		}{
			{"phone.zip!system/app/A/A.apk!classes.dex#Lcom/a/B;.run:(Ljava/lang/String;)V+0x8",
				[]string{"/system/app/A/A.apk", "sha256  ", "bytes   6e 20", "--> 0004  invoke-virtual {v0, v1}, Ljava/lang/Runtime;->exec", "        0007  return-void"}},
			{"phone.zip!system/app/A/A.apk!classes.dex#Lcom/a/B;.run:(Ljava/lang/String;)V+0x3", []string{"no instruction begins at 0x3"}},
			{"phone.zip!system/app/A/A.apk!classes.dex#Lcom/a/B;.none:()V+0x0", []string{"no code of Lcom/a/B;.none:()V"}},
			{"phone.zip!system/app/A/A.apk!classes.dex#Lcom/a/B;.run:(Ljava/lang/String;)V+0xffff", []string{"no instruction begins at 0xffff"}},
			{"phone.zip!system/app/A/A.apk!classes.dex#Lcom/a/B;.run:(Ljava/lang/String;)V+-0x2", []string{"no instruction begins at -0x2"}},
			{"phone.zip!system/build.prop#line 2", []string{"offset  0x4", "text    b=2"}},
			{"phone.zip!system/build.prop#line 9", []string{"no line 9"}},
			{"phone.zip!system/build.prop#x+0x7fffffffffffffff", []string{"outside of the 8 bytes"}},
		} {
			ref, err := ParseRef(x.ref)
			if err != nil {
				t.Fatal(err)
			}
			p, err := e.Find(ref)
			if err != nil {
				t.Errorf("%s: %v", x.ref, err)
				continue
			}
			got := lines(p.Show)
			for _, w := range x.want {
				if !strings.Contains(got, w) {
					t.Errorf("%s lacks %q:\n%s", x.ref, w, got)
				}
			}
		}
		for _, ref := range []string{"", "none", "phone.zip!none", "phone.zip!system/build.prop!inner", "phone.zip!system/app/A/A.apk!none"} {
			r, _ := ParseRef(ref)
			if _, err := e.Find(r); err == nil {
				t.Errorf("%q leads somewhere", ref)
			}
		}
		p, err := e.Find(Ref{}.Inner("phone.zip").Inner("system/app/A/A.apk").Inner("classes.dex"))
		if err != nil {
			t.Fatal(err)
		}
		if (p.Off > 0) != store {
			t.Errorf("stored is %v, the offset in the file %d", store, p.Off)
		}
	}
}

func TestDump(t *testing.T) {
	file := filepath.Join(t.TempDir(), "A.apk")
	if err := os.WriteFile(file, anApp(t, false), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		inner string
		want  []string
	}{
		{"", []string{"A.apk: apk, ", "2 entries", "AndroidManifest.xml", "deflated", "signatures: none"}},
		{"AndroidManifest.xml", []string{`<manifest package="com.a">`, `<receiver name=".B">`}},
		{"classes.dex", []string{"DEX version 035", "class Lcom/a/B;", "method Lcom/a/B;.run:(Ljava/lang/String;)V"}},
		{"classes.dex#Lcom/a/B;", []string{"0004  invoke-virtual"}},
	} {
		ref, err := ParseRef(x.inner)
		if err != nil {
			t.Fatal(err)
		}
		got := lines(func(line func(string)) {
			if err := Dump(context.Background(), file, ref, line); err != nil {
				t.Errorf("%s: %v", x.inner, err)
			}
		})
		for _, w := range x.want {
			if !strings.Contains(got, w) {
				t.Errorf("%q lacks %q:\n%s", x.inner, w, got)
			}
		}
	}
	if err := Dump(context.Background(), file, Ref{}.Inner("none"), func(string) {}); err == nil {
		t.Error("what is not there was told")
	}
}

// Whatever a file is, it is told without a panic and without end.
func FuzzDump(f *testing.F) {
	f.Add(anApp(f, true), "Lcom/a/B;.run:(Ljava/lang/String;)V", int64(8))
	code, _, err := make.DEX([]make.SmaliFile{{Name: "B.smali", Text: smali}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(code, "Lcom/a/B;.run:(Ljava/lang/String;)V", int64(8))
	f.Add([]byte("a=1\nb=2\n"), "line 2", int64(0))
	f.Fuzz(func(t *testing.T, b []byte, symbol string, off int64) {
		e := &Evidence{ctx: context.Background(), gaps: map[Gap]struct{}{}}
		file := newFile(Ref{}.Inner("x"), int64(len(b)), 0)
		file.blob = &blob{ev: e, src: memory(b)}
		p := &Place{Ref: file.Ref.At(symbol, off), File: file, Data: b}
		n := 0
		count := func(string) { n++ }
		p.Show(count)
		p.dump(count)
		if limit := 10000 + 20*len(b); n > limit {
			t.Errorf("%d bytes make %d lines", len(b), n)
		}
		p.enter("classes.dex")
		p.dump(count)
	})
}
