package make

import (
	"os"
	"strings"
	"testing"
)

func TestXML(t *testing.T) {
	resolve := func(name string) (uint32, bool) {
		id, ok := map[string]uint32{"string/app": 0x7f010001, "id/new": 0x7f020000, "attr/own": 0x7f030000}[name]
		return id, ok
	}
	for _, name := range []string{"manifest", "layout"} {
		text, err := os.ReadFile("testdata/" + name + ".xml")
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		b, err := XML(text, resolve)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := XML(text, resolve); string(again) != string(b) {
			t.Error("the same text gave other bytes")
		}
		apk, err := Zip([]Entry{{Name: "AndroidManifest.xml", Data: b}})
		if err != nil {
			t.Fatal(err)
		}
		got := run(t, "aapt", "dump", "xmltree", writeTemp(t, "a.apk", apk), "AndroidManifest.xml")
		if d := diff(string(want), got); d != "" {
			t.Errorf("%s differs at:\n%s", name, d)
		}
	}
}

func TestXMLErrors(t *testing.T) {
	in := func(attr string) string {
		return "<manifest xmlns:android=\"" + androidNamespace + "\">\n<a android:" + attr + "/></manifest>"
	}
	for text, want := range map[string]string{
		"":                                 "line 1: 0 root elements, 1 wanted",
		"<a/>\n<b/>":                       "line 2: 2 root elements, 1 wanted",
		"<a>\n":                            "line 2: <a> is not closed",
		"<a>\n</b>":                        "line 2: </b> closes nothing",
		"<a/>x":                            "line 1: text outside the root element",
		"\n<a x:y='1'/>":                   `line 2: <a>: namespace prefix "x" is not bound`,
		"<a>\n<b c='1' c='2'/></a>":        "line 2: <b>: attribute c is given twice",
		in(`nosuch="1"`):                   "line 2: <a>: android:nosuch is not in framework.txt",
		in(`exported="yes"`):               `line 2: <a>: exported="yes": the platform wants boolean`,
		in(`launchMode="standard|single"`): `line 2: <a>: launchMode="standard|single": the platform wants enum`,
		in(`label="@string/none"`):         `line 2: <a>: label="@string/none": no such resource`,
		in(`versionCode="4294967296"`):     `line 2: <a>: versionCode="4294967296": the platform wants integer`,
	} {
		if _, err := XML([]byte(text), nil); err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

// Every line of framework.txt is read, and no id stands twice among the attributes.
func TestFramework(t *testing.T) {
	f := framework()
	ids := map[uint32]string{}
	for name, a := range f.attributes {
		if other, ok := ids[a.id]; ok || a.id>>16 != 0x0101 {
			t.Errorf("%s: id %#x, as %q", name, a.id, other)
		}
		ids[a.id] = name
		for _, format := range a.formats {
			if !strings.Contains(" reference string integer boolean color float dimension fraction enum flags any ", " "+format+" ") {
				t.Errorf("%s: format %q", name, format)
			}
		}
	}
	lines := 0
	for line := range strings.Lines(frameworkText) {
		if s := strings.TrimSpace(line); s != "" && s[0] != '#' {
			lines++
		}
	}
	if lines != len(f.resources) || lines < 1500 {
		t.Errorf("%d lines, %d resources", lines, len(f.resources))
	}
}

func FuzzXML(f *testing.F) {
	f.Add(`<a xmlns:android="` + androidNamespace + `" android:protectionLevel="signature|privileged"><b c="1.5dp">x</b></a>`)
	f.Add(`<a b="-33.3%p" c="#fff" d="0x1f" e="@0x7f010001" f="?x" g="\u00e4\n" h="1e30in"/>`)
	f.Fuzz(func(t *testing.T, text string) {
		b, err := XML([]byte(text), nil)
		if err == nil && len(b) < 8+28 {
			t.Error("no error and no document")
		}
		if err != nil && !strings.HasPrefix(err.Error(), "line ") {
			t.Errorf("an error without a place: %v", err)
		}
	})
}
