package evidence

import (
	"math"
	"testing"
	"testing/quick"
)

func TestRefPrints(t *testing.T) {
	at := Ref{}.Inner("fw.zip").Inner("system/app/Foo/Foo.apk").Inner("classes2.dex").At("Lcom/a/B;.run:()V", 0x1a)
	const want = "fw.zip!system/app/Foo/Foo.apk!classes2.dex#Lcom/a/B;.run:()V+0x1a"
	if at.String() != want {
		t.Errorf("got %s, want %s", at, want)
	}
	odd := Ref{}.Inner("a!b").Inner("").Inner("\xff\n+#%é\u202e").Sym("x+y")
	if got, want := odd.String(), "a%21b!%!%FF%0A%2B%23%25é%E2%80%AE#x%2By"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := (Ref{}); got.String() != "" {
		t.Errorf("the zero Ref prints %q", got)
	}
}

func TestParseRefRefuses(t *testing.T) {
	for _, s := range []string{"a!", "!a", "a%2", "a%zz", "a#b+", "a#b+x", "a#%", "a#b+1+2"} {
		if r, err := ParseRef(s); err == nil {
			t.Errorf("%q was read as %#v", s, r)
		}
	}
}

// makeRef makes some address from what quick and the fuzzer think of.
func makeRef(names []string, symbol string, off int64, hasOff bool) Ref {
	var r Ref
	for _, n := range names {
		r = r.Inner(n)
	}
	if hasOff {
		return r.At(symbol, off)
	}
	return r.Sym(symbol)
}

func roundTrip(t *testing.T, r Ref) {
	t.Helper()
	got, err := ParseRef(r.String())
	if err != nil || got != r {
		t.Fatalf("%#v prints as %q, which is read as %#v, %v", r, r, got, err)
	}
}

func TestRefRoundTrip(t *testing.T) {
	err := quick.Check(func(names [][]byte, symbol []byte, off int64, hasOff bool) bool {
		var list []string
		for _, n := range names {
			list = append(list, string(n))
		}
		r := makeRef(list, string(symbol), off, hasOff)
		wantList(t, "names", r.Names(), list)
		got, err := ParseRef(r.String())
		return err == nil && got == r && Compare(got, r) == 0
	}, nil)
	if err != nil {
		t.Error(err)
	}
	roundTrip(t, Ref{}.At("", math.MinInt64))
}

func FuzzParseRef(f *testing.F) {
	f.Add("fw.zip!a.apk!classes.dex#La;.b:()V+0x1a")
	f.Add("a%21b!%#+-0x1")
	f.Fuzz(func(t *testing.T, s string) {
		roundTrip(t, makeRef([]string{s, "x"}, s, int64(len(s)), len(s)%2 == 0))
		if r, err := ParseRef(s); err == nil {
			roundTrip(t, r)
		}
	})
}
