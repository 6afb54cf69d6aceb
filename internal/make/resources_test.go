package make

import (
	"strings"
	"testing"
)

func TestResources(t *testing.T) {
	long := strings.Repeat("ä", 200)
	list := []Resource{
		{Type: "string", Name: "app", Value: `it\'s "X"`},
		{Type: "bool", Name: "open", Value: "true"},
		{Type: "string", Name: "long", Value: long},
		{Type: "integer", Name: "n", Value: "0x10"},
		{Type: "xml", Name: "net", Value: "res/xml/net.xml"},
		{Type: "string", Name: "same", Value: "@string/app"},
		{Type: "array", Name: "hosts", Items: []string{"a.example", "@string/app", "12"}},
	}
	table, resolve, err := Resources("com.a", list)
	if err != nil {
		t.Fatal(err)
	}
	if again, _, _ := Resources("com.a", list); string(again) != string(table) {
		t.Error("the same list gave other bytes")
	}
	for name, want := range map[string]uint32{"string/app": 0x7f010000, "com.a:string/same": 0x7f010002, "array/hosts": 0x7f050000, "string/none": 0, "com.b:string/app": 0} {
		if id, ok := resolve(name); id != want || ok != (want != 0) {
			t.Errorf("%s is %#x %v", name, id, ok)
		}
	}
	manifest, err := XML([]byte(`<manifest xmlns:android="`+androidNamespace+`" package="com.a"><application android:label="@string/same"/></manifest>`), resolve)
	if err != nil {
		t.Fatal(err)
	}
	apk, err := Zip([]Entry{{Name: "AndroidManifest.xml", Data: manifest}, {Name: "resources.arsc", Data: table, Store: true}})
	if err != nil {
		t.Fatal(err)
	}
	file := writeTemp(t, "a.apk", apk)
	got := run(t, "aapt", "dump", "--values", "resources", file)
	for _, want := range []string{
		"Package Group 0 id=0x7f packageCount=1 name=com.a", `resource 0x7f010000 com.a:string/app: t=0x03`, `(string8) "it's \"X\""`,
		`resource 0x7f020000 com.a:bool/open: t=0x12 d=0xffffffff`, `(string8) "` + long + `"`, "com.a:integer/n: t=0x11 d=0x00000010",
		`(string8) "res/xml/net.xml"`, "com.a:string/same: t=0x01 d=0x7f010000", "com.a:array/hosts: <bag>", "#2 (Key=0x02000002)",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if got := run(t, "aapt", "dump", "badging", file); !strings.Contains(got, `application: label='it's \"X\"'`) {
		t.Errorf("the label does not resolve:\n%s", got)
	}
}

func TestResourcesErrors(t *testing.T) {
	for want, list := range map[string][]Resource{
		"the resource string/a is given twice":        {{Type: "string", Name: "a"}, {Type: "string", Name: "a"}},
		`bool/a: "maybe": the platform wants boolean`: {{Type: "bool", Name: "a", Value: "maybe"}},
		`string/a: "@string/b": no such resource`:     {{Type: "string", Name: "a", Value: "@string/b"}},
		`array/a: "@string/b": no such resource`:      {{Type: "array", Name: "a", Items: []string{"@string/b"}}},
	} {
		if _, _, err := Resources("com.a", list); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, _, err := Resources(strings.Repeat("a", 128), nil); err == nil {
		t.Error("a package name that does not fit was taken")
	}
}
