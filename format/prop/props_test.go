package prop

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseProps(t *testing.T) {
	p := ParseProps([]byte("# comment\n" +
		"\n" +
		"  ro.a = one two \t\r\n" +
		"ro.b=#not a comment\n" +
		"ro.c==x\n" +
		"nothing here\n" +
		"=value\n" +
		" import   /vendor/more.prop   ro.x.* \n" +
		"import\t/not/an/import\n" +
		"importer=1\n" +
		"ro.empty=\n" +
		"last=no newline"))
	want := []Prop{
		{"ro.a", "one two", 3}, {"ro.b", "#not a comment", 4}, {"ro.c", "=x", 5},
		{"importer", "1", 10}, {"ro.empty", "", 11}, {"last", "no newline", 12},
	}
	if !reflect.DeepEqual(p.Set, want) {
		t.Errorf("set\n%v, want\n%v", p.Set, want)
	}
	if want := []Import{{"/vendor/more.prop", "ro.x.*", 8}}; !reflect.DeepEqual(p.Imports, want) {
		t.Errorf("imports %v", p.Imports)
	}
	var lines []int
	for _, pr := range p.Problems {
		lines = append(lines, pr.Line)
	}
	if !reflect.DeepEqual(lines, []int{6, 7, 9}) {
		t.Errorf("problems %v", p.Problems)
	}
}

func TestParsePropsZeroByte(t *testing.T) {
	p := ParseProps([]byte("a=1\nb=2\x00\nc=3\n"))
	if want := []Prop{{"a", "1", 1}}; !reflect.DeepEqual(p.Set, want) || len(p.Problems) != 1 || p.Problems[0].Line != 2 {
		t.Errorf("%+v", p)
	}
}

func TestRefusal(t *testing.T) {
	long := strings.Repeat("x", 92)
	for _, c := range []struct {
		api         int
		name, value string
		refused     bool
	}{
		{33, "ro.ok", long, false},
		{23, "ro.ok", long, true},
		{33, "persist.long", long, true},
		{33, "persist.fits", long[1:], false},
		{33, "a..b", "", true},
		{33, ".a", "", true},
		{33, "a.", "", true},
		{33, "a b", "", true},
		{33, "", "", true},
		{33, "init.svc.x@1.0", "", false},
		{23, "init.svc.x@1.0", "", true},
		{23, "a234567890123456789012345678901", "", false},
		{23, "a2345678901234567890123456789012", "", true},
		{26, "a2345678901234567890123456789012", "", false},
		{33, "ctl.start", "adbd", true},
		{28, "ctl.start", "adbd", false},
	} {
		if got := Refusal(c.api, Prop{Name: c.name, Value: c.value}); (got != "") != c.refused {
			t.Errorf("Refusal(%d, %q of %d bytes) = %q", c.api, c.name, len(c.value), got)
		}
	}
}

func file(path, text string) PropFile { return PropFile{path, ParseProps([]byte(text))} }

// values are name=value of each property, with where a value comes from.
func values(rs []Resolved) map[string]string {
	m := map[string]string{}
	for _, r := range rs {
		m[r.Name] = r.Value + " from " + r.From + r.Derived
	}
	return m
}

func TestMerge(t *testing.T) {
	files := []PropFile{ // not in load order
		file("/vendor/build.prop", "ro.x=vendor\nx=vendor\n"),
		file("/system/build.prop", "ro.x=system\nx=system\nro.debuggable=0\n"),
		file("/default.prop", "ro.d=legacy\n"),
		file("/system/etc/prop.default", "ro.d=default\n"),
		file("/data/other.prop", "ro.other=1\n"),
	}
	for _, c := range []struct {
		api           int
		ro, rw, deflt string
	}{
		{23, "system from /system/build.prop", "vendor from /vendor/build.prop", "legacy from /default.prop"},
		{27, "system from /system/build.prop", "vendor from /vendor/build.prop", "default from /system/etc/prop.default"},
		{29, "vendor from /vendor/build.prop", "vendor from /vendor/build.prop", "default from /system/etc/prop.default"},
		{33, "vendor from /vendor/build.prop", "vendor from /vendor/build.prop", ""},
	} {
		got := values(Merge(c.api, files))
		if got["ro.x"] != c.ro || got["x"] != c.rw || got["ro.d"] != c.deflt || got["ro.other"] != "" {
			t.Errorf("api %d: %v", c.api, got)
		}
	}
	r := Merge(23, files)
	want := Resolved{Name: "ro.x", Value: "system", From: "/system/build.prop", Line: 1,
		Overridden: []Setting{{"vendor", "/vendor/build.prop", 1, "read-only and already set"}}}
	for _, got := range r {
		if got.Name == "ro.x" && !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
	}
}

func TestMergeImports(t *testing.T) {
	files := []PropFile{
		file("/system/build.prop", "a=before\nb=before\nimport /extra.prop a\na2=x\nimport /extra.prop ro.*\nimport ${ro.k}\n"),
		file("/extra.prop", "a=imported\nb=imported\nro.k=/more.prop\nimport /never.prop\n"),
		file("/never.prop", "never=1\n"),
		file("/more.prop", "more=1\nimport /more.prop\n"),
	}
	got := values(Merge(33, files))
	want := map[string]string{
		"a": "imported from /extra.prop", "b": "before from /system/build.prop", "a2": "x from /system/build.prop",
		"ro.k": "/more.prop from /extra.prop", "more": "1 from /more.prop",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	if got := values(Merge(29, files)); got["more"] != "" {
		t.Error("Android 10 does not expand the path of an import")
	}
}

// Files that import each other twice double the work with each level; the loader must stop.
func TestMergeImportBomb(t *testing.T) {
	bomb := strings.Repeat("import /system/build.prop\n", 1000)
	Merge(33, []PropFile{file("/system/build.prop", bomb)})
}

func TestMergeDerived(t *testing.T) {
	files := []PropFile{
		file("/system/build.prop", "ro.debuggable=1\nro.build.id=ID\nro.product.system.model=S\nro.product.system.name=n\n"+
			"persist.sys.usb.config=mtp\nro.build.version.release_or_codename=13\n"),
		file("/system/vendor/build.prop", "ro.product.vendor.model=V\n"),
	}
	got := values(Merge(33, files))
	for name, want := range map[string]string{
		"ro.product.model":       "V from ro.product.vendor.model",
		"ro.product.name":        "n from ro.product.system.name",
		"persist.sys.usb.config": "mtp,adb from ro.debuggable",
		"ro.build.fingerprint":   "unknown/n/unknown:13/ID/unknown:unknown/unknown from ro.product.brand",
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	files = append(files, file("/product/etc/build.prop", "ro.product.property_source_order=system,vendor\nro.build.fingerprint=f\n"))
	got = values(Merge(33, files))
	if got["ro.product.model"] != "S from ro.product.system.model" || got["ro.build.fingerprint"] != "f from /product/etc/build.prop" {
		t.Errorf("%v", got)
	}
	if got := values(Merge(23, files)); got["ro.product.model"] != "" || got["persist.sys.usb.config"] != "mtp from /system/build.prop" {
		t.Errorf("Android 6 derives nothing: %v", got)
	}
	old := []PropFile{
		file("/default.prop", "ro.debuggable=1\n"),
		file("/system/build.prop", "persist.sys.usb.config=mtp\n"),
	}
	if got := values(Merge(27, old)); got["persist.sys.usb.config"] != "mtp from /system/build.prop" {
		t.Errorf("Android 8 adds adb before it reads build.prop: %v", got)
	}
}

func FuzzProps(f *testing.F) {
	f.Add([]byte("a=b\nimport /system/build.prop x\nro.x=${y}\n"), 33)
	f.Add([]byte("import ${a:-/system/build.prop} ro.*\na=/system/build.prop\x00"), 30)
	f.Fuzz(func(t *testing.T, b []byte, api int) {
		p := ParseProps(b)
		for _, s := range p.Set {
			if s.Name == "" || s.Line < 1 || s.Name != trimSpace(s.Name) || s.Value != trimSpace(s.Value) {
				t.Fatalf("%+v", s)
			}
		}
		seen := map[string]bool{}
		for _, r := range Merge(api, []PropFile{{"/system/build.prop", p}, {"/vendor/build.prop", p}}) {
			if seen[r.Name] {
				t.Fatalf("%s twice", r.Name)
			}
			seen[r.Name] = true
		}
	})
}

func BenchmarkProps(b *testing.B) {
	text := []byte(strings.Repeat("# comment\nro.some.property.name=some value\n", 2000))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		ParseProps(text)
	}
}
