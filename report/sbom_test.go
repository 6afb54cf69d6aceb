package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gifthorse/evidence"
	"gifthorse/phone"
)

// smallPhone is a folder with an app's place, native code, what only looks like it, and a service.
func smallPhone(t *testing.T) Scan {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"system/build.prop":          "ro.product.model=Test\u202e\nro.product.brand=Oem\nro.build.version.release=6.0\nro.build.version.sdk=23\n",
		"init.rc":                    "service one /system/bin/one\n    class main\nservice two /system/bin/one --two\n    class main\n",
		"system/bin/one":             "\x7fELF one",
		"system/lib/libreal.so":      "\x7fELF real",
		"system/lib/libtext.so":      "a text",
		"system/etc/lookslike.so":    "\x7fELF elsewhere",
		"system/app/X/lib/arm/y.so":  "\x7fELF of an app",
		"system/framework/own.jar":   "no zip",
		"system/lib64/lib+odd ü#.so": "\x7fELF odd",
	} {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ev, err := evidence.Open(t.Context(), []string{dir}, func(evidence.Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ev.Close() })
	return Scan{Version: "1", Inputs: ev.Inputs(), Phone: phone.Build(t.Context(), ev, func(evidence.Progress) {})}
}

func sbom(t *testing.T, s Scan) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := SBOM(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type bom struct {
	Schema       string `json:"$schema"`
	BOMFormat    string
	SpecVersion  string
	SerialNumber string
	Version      int
	Metadata     struct {
		Timestamp string
		Tools     struct{ Components []component }
		Component component
	}
	Components   []component
	Compositions []struct {
		Aggregate  string
		Assemblies []string
	}
}

type component struct {
	Type, Name, Version string
	Ref                 string                             `json:"bom-ref"`
	Hashes              []struct{ Alg, Content string }    `json:"hashes"`
	Properties          []struct{ Name, Value string }     `json:"properties"`
	Evidence            struct{ Occurrences []occurrence } `json:"evidence"`
}

type occurrence struct{ Location string }

// The form is that of bom-1.6.schema.json: what it requires is there, and what it enumerates is in its lists.
func TestSBOM(t *testing.T) {
	for _, s := range []Scan{smallPhone(t), {}} {
		raw := sbom(t, s)
		var doc bom
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		if doc.Schema != "http://cyclonedx.org/schema/bom-1.6.schema.json" || doc.BOMFormat != "CycloneDX" || doc.SpecVersion != "1.6" || doc.Version != 1 {
			t.Errorf("the head is %+v", doc)
		}
		if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(doc.SerialNumber) && s.Phone != nil {
			t.Errorf("the serial number is %q", doc.SerialNumber)
		}
		if doc.Metadata.Timestamp != "" || len(doc.Compositions) != 1 || doc.Compositions[0].Aggregate != "unknown" {
			t.Errorf("a time stamp, or no word on completeness: %+v", doc)
		}
		seen := map[string]bool{}
		sha := regexp.MustCompile(`^[0-9a-f]{64}$`)
		for _, c := range slices.Concat([]component{doc.Metadata.Component}, doc.Components, doc.Metadata.Tools.Components) {
			if c.Name == "" || !slices.Contains([]string{"application", "library", "operating-system", "device", "file"}, c.Type) {
				t.Errorf("a component is %+v", c)
			}
			if c.Ref != "" && seen[c.Ref] {
				t.Errorf("%s is there twice", c.Ref)
			}
			seen[c.Ref] = true
			for _, h := range c.Hashes {
				if h.Alg != "SHA-256" || !sha.MatchString(h.Content) {
					t.Errorf("the hash of %s is %+v", c.Name, h)
				}
			}
			for _, p := range c.Properties {
				if !strings.HasPrefix(p.Name, "gifthorse:") || p.Value == "" {
					t.Errorf("a property of %s is %+v", c.Name, p)
				}
			}
		}
		if bytes.Contains(raw, []byte("\u202e")) {
			t.Error("characters that nobody sees are in the document")
		}
	}
}

func TestSBOMLists(t *testing.T) {
	var doc bom
	if err := json.Unmarshal(sbom(t, smallPhone(t)), &doc); err != nil {
		t.Fatal(err)
	}
	var got []string
	services := 0
	for _, c := range doc.Components {
		l := c.Type + " " + c.Name
		for _, o := range c.Evidence.Occurrences {
			l += " " + o.Location
		}
		if len(c.Hashes) > 0 {
			l += " hashed"
		}
		for _, p := range c.Properties {
			if p.Name == "gifthorse:init-service" {
				services++
			}
		}
		got = append(got, l)
	}
	want := []string{
		"operating-system Android",
		"library own /system/framework/own.jar hashed",
		"library y.so /system/app/X/lib/arm/y.so hashed",
		"library libreal.so /system/lib/libreal.so hashed",
		"library lib+odd ü#.so /system/lib64/lib+odd ü#.so hashed",
		"application one /system/bin/one hashed",
	}
	// A folder without a readable app may still be listed as one; that is package phone's to say.
	got = slices.DeleteFunc(got, func(l string) bool { return strings.HasPrefix(l, "application X") })
	if !slices.Equal(got, want) || services != 2 {
		t.Errorf("%d services; got %q, want %q", services, got, want)
	}
	if doc.Components[len(doc.Components)-2].Ref != "pkg:generic/lib+odd%20%C3%BC%23.so?path=%2Fsystem%2Flib64%2Flib%2Bodd+%C3%BC%23.so" {
		t.Errorf("the reference is %s", doc.Components[len(doc.Components)-2].Ref)
	}
}

// The same input gives the same bytes, another one another serial number, and one that was not read whole none.
func TestSBOMIsStable(t *testing.T) {
	s := smallPhone(t)
	if !bytes.Equal(sbom(t, s), sbom(t, s)) {
		t.Error("the bytes differ")
	}
	in := func(n ...byte) (list []evidence.Input) {
		for _, b := range n {
			list = append(list, evidence.Input{SHA256: [32]byte{b}})
		}
		return list
	}
	if serialNumber(in(1, 2)) != serialNumber(in(2, 1)) || serialNumber(in(1)) == serialNumber(in(2)) || serialNumber(in(1, 0)) != "" {
		t.Error("the serial number does not follow from the hashes of the inputs")
	}
}
