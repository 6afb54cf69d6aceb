package program

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gifthorse/evidence"
	"gifthorse/internal/make"
	"gifthorse/phone"

	"golang.org/x/tools/txtar"
)

// tlsApps assembles the code of each app of the check's text phones.
func tlsApps(t testing.TB) (out [][]byte) {
	names, err := filepath.Glob("../checks/brokentls/testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no phones for the check brokentls", err)
	}
	for _, n := range names {
		raw, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		apps := map[string][]make.SmaliFile{}
		var order []string
		for _, f := range txtar.Parse(raw).Files {
			if dir := strings.Join(strings.SplitN(path.Dir(f.Name), "/", 4)[:min(3, strings.Count(f.Name, "/"))], "/"); strings.HasSuffix(f.Name, ".smali") {
				if apps[dir] == nil {
					order = append(order, dir)
				}
				apps[dir] = append(apps[dir], make.SmaliFile{Name: f.Name, Text: string(f.Data)})
			}
		}
		for _, dir := range order {
			dex, _, err := make.DEX(apps[dir])
			if err != nil {
				t.Fatal(n, err)
			}
			out = append(out, dex)
		}
	}
	return out
}

// callsOnly reads the code of one app without following its ways in.
func callsOnly(dex []byte, service string) *Program {
	ph := theApp(dex)
	for _, c := range ph.Packages[0].Components {
		c.Name = service
	}
	p := &Program{Phone: ph, api: ph.API}
	p.load(ph)
	p.scan()
	return p
}

// FuzzBrokenTLS changes code at random. Whatever comes of it, BrokenTLS, Hidings and Stops return in time, and BrokenTLS the same twice.
func FuzzBrokenTLS(f *testing.F) {
	for _, s := range tlsApps(f) {
		f.Add(s, uint32(0), uint32(0))
		f.Add(s, uint32(len(s)-200), uint32(0x1234_0e00))
	}
	f.Fuzz(func(t *testing.T, dex []byte, at, with uint32) {
		dex = append([]byte(nil), dex...)
		for i := range uint32(4) {
			if k := uint64(at) + uint64(i); k < uint64(len(dex)) {
				dex[k] ^= byte(with >> (8 * i))
			}
		}
		stop := time.AfterFunc(buildTime, func() { panic("BrokenTLS does not come to its end") })
		defer stop.Stop()
		var service string
		if i := strings.Index(string(dex), "/Poll;"); i > 0 {
			service = string(dex[max(0, strings.LastIndexByte(string(dex[:i]), 'L')):i]) + "/Poll;"
		}
		p := callsOnly(dex, service)
		one, two := p.BrokenTLS(), p.BrokenTLS()
		if len(one) != len(two) {
			t.Fatalf("%d holes, then %d", len(one), len(two))
		}
		for i := range one {
			if one[i] != two[i] {
				t.Errorf("%v, then %v", one[i], two[i])
			}
		}
		p.Hidings()
		for _, c := range p.Phone.Packages[0].Components[:1] {
			p.Stops(c)
		}
	})
}

// TestBrokenTLSBounds sees to it that an app which is made to take long does not.
func TestBrokenTLSBounds(t *testing.T) {
	var b strings.Builder
	b.WriteString(`.class public Lt/Poll;
.super Landroid/app/Service;
.implements Ljavax/net/ssl/X509TrustManager;
.method public checkServerTrusted([Ljava/security/cert/X509Certificate;Ljava/lang/String;)V
    .registers 8
    const/4 v0, 0x0
    sget v1, Lt/Poll;->x:I
`)
	for range 12 { // forks that no budget may follow one by one
		for range 100 {
			b.WriteString("    sget v2, Lt/Poll;->x:I\n    if-eqz v2, :a" + strings.Repeat("x", 1) + "\n")
		}
	}
	b.WriteString(`    :ax
    invoke-static {p1}, Lt/Poll;->again([Ljava/security/cert/X509Certificate;)V
    return-void
.end method
.method static again([Ljava/security/cert/X509Certificate;)V
    .registers 2
    invoke-static {p0}, Lt/Poll;->again([Ljava/security/cert/X509Certificate;)V
    return-void
.end method
.method public onCreate()V
    .registers 6
    const-string v0, "TLS"
    invoke-static {v0}, Ljavax/net/ssl/SSLContext;->getInstance(Ljava/lang/String;)Ljavax/net/ssl/SSLContext;
    move-result-object v0
    filled-new-array {p0}, [Ljavax/net/ssl/TrustManager;
    move-result-object v1
    const/4 v2, 0x0
    invoke-virtual {v0, v2, v1, v2}, Ljavax/net/ssl/SSLContext;->init([Ljavax/net/ssl/KeyManager;[Ljavax/net/ssl/TrustManager;Ljava/security/SecureRandom;)V
    return-void
.end method
.field static x:I
`)
	dex, _, err := make.DEX([]make.SmaliFile{{Name: "Poll.smali", Text: b.String()}})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if holes := callsOnly(dex, "Lt/Poll;").BrokenTLS(); len(holes) != 0 {
		t.Errorf("what could not be judged to its end is taken for a hole: %v", holes)
	}
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("it took %v", d)
	}
}

// TestBrokenTLSPhones holds the judgement of real apps to what was found in them by hand.
func TestBrokenTLSPhones(t *testing.T) {
	for name, want := range map[string][]string{
		"tecno_ba2": {
			"names on demand: Lcom/facebook/acra/util/UnsafeConnectionProvider$1;.verify", "trust on demand: Lcom/facebook/acra/util/TrustEveryoneTrustManager;.checkServerTrusted",
			"names idle: Lorg/apache/http/conn/ssl/SSLSocketFactory;.ALLOW_ALL_HOSTNAME_VERIFIER", "trust idle: Lcom/loopj/android/http/MySSLSocketFactory$1;.checkServerTrusted"},
	} {
		file := "../../shared/phones/" + name + ".zip"
		if _, err := os.Stat(file); err != nil || testing.Short() {
			t.Skip("the phone is not here, or the tests shall be short:", err)
		}
		ev, err := evidence.Open(context.Background(), []string{file}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ph := phone.Build(context.Background(), ev, nil)
		p := &Program{Phone: ph, api: ph.API}
		p.load(ph)
		p.scan()
		var got []string
		for _, h := range p.BrokenTLS() {
			state := " idle: "
			if h.Live {
				if state = " on demand: "; h.Fixed {
					state = " in use: "
				}
			}
			_, body, _ := strings.Cut(h.Body.What, ": ")
			body, _, _ = strings.Cut(body, ":")
			got = append(got, string(h.Kind)+state+body)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		ev.Close()
	}
}

// BenchmarkBrokenTLS takes the holes of one app with every index made.
func BenchmarkBrokenTLS(b *testing.B) {
	apps := tlsApps(b)
	p := callsOnly(apps[len(apps)-1], "Lcom/oem/updater/Poll;")
	b.ReportAllocs()
	for b.Loop() {
		p.BrokenTLS()
	}
}
