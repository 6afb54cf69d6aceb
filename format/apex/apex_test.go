package apex

import (
	"archive/zip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestParse(t *testing.T) {
	const name = "\x0a\x07com.a.b"
	for _, c := range []struct {
		what, b string
		want    Manifest
		bad     bool
	}{
		{"all", name + "\x10\xe6\x07" + "\x2a\x013" + "\x30\x01" + "\x42\x04l.so" + "\x58\x01" + "\x62\x04\x0a\x02ab", Manifest{"com.a.b", 998, "3", "ab", true, true}, false},
		{"little", name + "\x10\x01", Manifest{Name: "com.a.b", Version: 1}, false},
		{"no version", name, Manifest{}, true},
		{"no name", "\x10\x01", Manifest{}, true},
		{"a name that climbs", "\x0a\x04a/..\x10\x01", Manifest{}, true},
		{"cut", "\x0a\x70com", Manifest{}, true},
	} {
		m, err := Parse([]byte(c.b))
		if c.bad {
			if _, ok := errors.AsType[*FormatError](err); !ok {
				t.Errorf("%s: %+v, %v", c.what, m, err)
			}
		} else if err != nil || *m != c.want {
			t.Errorf("%s: %+v, %v", c.what, m, err)
		}
	}
}

func TestParseJSON(t *testing.T) {
	for b, want := range map[string]*Manifest{
		`{"name": "com.a.b", "version": 2, "versionName": "x", "provideNativeLibs": ["l.so"]}`: {Name: "com.a.b", Version: 2, VersionName: "x"},
		`{"name": "com.a.b", "version": "290000000"}`:                                          {Name: "com.a.b", Version: 290000000},
		`{"name": "com.a.b"}`:                   nil,
		`{"name": "com.a.b", "version": 1`:      nil,
		`{"name": "..", "version": 1}`:          nil,
		`{"name": ["com.a.b"], "version": "1"}`: nil,
	} {
		m, err := ParseJSON([]byte(b))
		if _, ok := errors.AsType[*FormatError](err); want == nil && !ok || want != nil && (err != nil || *m != *want) {
			t.Errorf("%s: %+v, %v", b, m, err)
		}
	}
}

// The corpus: apexd's own test files.
func TestCorpus(t *testing.T) {
	dir := "../../../shared/corpus/apex"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no " + dir)
	}
	for file, want := range map[string]Manifest{
		"com.android.apex.cts.shim.v2.apex":                  {Name: "com.android.apex.cts.shim", Version: 2},
		"com.android.apex.cts.shim.v2_signed_bob_rot.apex":   {Name: "com.android.apex.cts.shim", Version: 2},
		"com.android.apex.cts.shim.v2_unsigned_payload.apex": {Name: "com.android.apex.cts.shim", Version: 2, NoCode: false},
		"com.android.apex.test.foo.v1.libvX.apex":            {Name: "com.android.apex.test.foo", Version: 1},
		"corrupted_b146895998.apex":                          {Name: "com.d2yp.apex.poc", Version: 1},
	} {
		m, err := Parse(member(t, filepath.Join(dir, file), ManifestName))
		if err != nil || *m != want {
			t.Errorf("%s: %+v, %v", file, m, err)
		}
	}
}

func member(t *testing.T, file, name string) []byte {
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	r, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("\x0a\x07com.a.b\x10\x01\x62\x04\x0a\x02ab"), false)
	f.Add([]byte(`{"name": "com.a.b", "version": "2"}`), true)
	f.Fuzz(func(t *testing.T, b []byte, isJSON bool) {
		parse := Parse
		if isJSON {
			parse = ParseJSON
		}
		m, err := parse(b)
		if err != nil {
			if _, ok := errors.AsType[*FormatError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
		} else if m.Name == "" || m.Version == 0 {
			t.Fatalf("%+v", m)
		}
	})
}
