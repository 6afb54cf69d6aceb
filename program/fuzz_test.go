package program

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"gifthorse/evidence"
	"gifthorse/internal/make"
	"gifthorse/knowledge"
	"gifthorse/phone"

	"golang.org/x/tools/txtar"
)

// theApp is a phone with one app: its DEX, and an exported component of each kind of every class t.A to t.S.
func theApp(dex []byte) *phone.Phone {
	at := evidence.Ref{}.Inner("app.apk")
	pkg := &phone.Package{Name: "t.app", Manifest: at.Inner("AndroidManifest.xml"), HasCode: true,
		Code: []phone.CodeFile{{Ref: at.Inner("classes.dex"), Data: dex}}}
	for _, name := range []string{"Lt/A;", "Lt/S;", "Lt/P;"} {
		for _, kind := range []phone.Kind{phone.KindReceiver, phone.KindService, phone.KindActivity, phone.KindProvider} {
			pkg.Components = append(pkg.Components, &phone.Component{Package: pkg, Kind: kind, Name: name, Enabled: true, Exported: true, At: pkg.Manifest})
		}
	}
	return &phone.Phone{API: 23, Packages: []*phone.Package{pkg}, Evidence: &evidence.Evidence{}}
}

// seeds assembles the code of every text phone.
func seeds(t testing.TB) (out [][]byte) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no phones in testdata", err)
	}
	for _, n := range names {
		raw, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		var files []make.SmaliFile
		for _, f := range txtar.Parse(raw).Files {
			if strings.HasSuffix(f.Name, ".smali") {
				files = append(files, make.SmaliFile{Name: f.Name, Text: string(f.Data)})
			}
		}
		dex, _, err := make.DEX(files)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, dex)
	}
	return out
}

// buildTime is what one small DEX may take, in the race detector on a busy machine: twelve ways in of maxSteps.
const buildTime = 20 * time.Second

// FuzzBuild changes code at random. Whatever comes of it, Build returns in time, and without having failed within.
func FuzzBuild(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s, uint32(0), uint32(0))
		f.Add(s, uint32(len(s)-40), uint32(0x1234_0e00))
	}
	f.Fuzz(func(t *testing.T, dex []byte, at, with uint32) {
		dex = append([]byte(nil), dex...)
		for i := range uint32(4) { // a change of the code itself, which the fuzzer seldom hits
			if k := uint64(at) + uint64(i); k < uint64(len(dex)) {
				dex[k] ^= byte(with >> (8 * i))
			}
		}
		stop := time.AfterFunc(buildTime, func() { panic("Build does not come to its end") })
		defer stop.Stop()
		p := Build(context.Background(), theApp(dex), "", nil)
		for _, g := range p.gaps {
			if strings.Contains(g.Detail, "please report it") {
				t.Error(g)
			}
		}
		for _, e := range sanity(p) {
			t.Error(e)
		}
		for i := range p.paths {
			x := &p.paths[i]
			for _, s := range x.Steps {
				if back, err := evidence.ParseRef(s.At.String()); err != nil || back != s.At {
					t.Errorf("%s: %v", s.At, err)
				}
			}
		}
	})
}

// FuzzCache reads an entry of the cache that anybody may have written. What is taken from it can be written and read again.
func FuzzCache(f *testing.F) {
	ph := theApp(seeds(f)[0])
	p := &Program{Phone: ph, syms: newSymtab(), contents: contentsOf(ph), spaces: []space{{pkg: ph.Packages[0]}},
		asked: []map[question]bool{{{askProperty, "ro.debuggable"}: true, {askPackage, "t.app"}: true}}}
	pkg := ph.Packages[0]
	at := pkg.Code[0].Ref.At("Lt/A;.a:()V", 4)
	e := &Entry{Package: pkg, Component: pkg.Components[0], What: "receiver Lt/A;", Actions: []string{"a"}, At: pkg.Manifest}
	path := Path{Entry: e, Effect: knowledge.Kind("run-command"), Steered: []Input{{"extra", "cmd"}}, Gates: []Gate{{What: "a gate", Holds: GateHolds, At: at}},
		Steps: []Step{{at, "enters"}, {at, "runs"}}, At: at, In: pkg}
	entry, err := p.encode(0, &followed{Paths: []Path{path, path}, Remote: []Path{path}, Gaps: []evidence.Gap{{Detail: "cut"}}, Unknown: 3,
		Sent: []Sending{{Entry: e, Data: knowledge.Kind("identifiers"), Over: knowledge.Kind("network"), At: at, Read: at}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(entry)
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := p.decode(0, data)
		if err != nil {
			return
		}
		again, err := p.encode(0, a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := p.decode(0, again)
		if err != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v\nbecame %+v, %v", a, b, err)
		}
	})
}
