package apk

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func testTable() []byte {
	strs := makeStrings(true, "zero", "one", "eins", "res/a.xml")
	types, keys := makeStrings(false, "string", "bool", "array"), makeStrings(true, "title", "flag", "list", "gone")
	dense := func(offs ...uint32) []byte { return new(bin).put(offs).Bytes() }
	return makeTable(strs, makePackage(0x7f, types, keys,
		makeChunk(0x0202, new(bin).put(uint32(1), uint32(2)).Bytes(), make([]byte, 8)),
		makeType(1, 0, "de", 0, 2, dense(0, none), makeEntry(0, TypeString, 2)),
		makeType(1, 0, "", 0, 2, dense(0, 16), append(makeEntry(0, TypeString, 1), makeEntry(3, TypeReference, 0x7f010000)...)),
		// sparse: index 5 at word 0, index 9 at word 4
		makeType(2, typeSparse, "", 0, 2, new(bin).put([]uint16{5, 0, 9, 4}).Bytes(),
			append(makeEntry(1, TypeIntBoolean, none), makeEntry(1, TypeReference, 0x7f020005)...)),
		makeType(2, typeSparse, "", 24, 1, new(bin).put([]uint16{5, 0}).Bytes(), makeEntry(1, TypeIntBoolean, 0)),
		makeChunk(0x0204, make([]byte, 512), nil), // overlayable
		// offsets of 16 bits: a compact entry, none, a bag
		makeType(3, typeOffset16, "", 0, 3, new(bin).put([]uint16{0, 0xffff, 2}).Bytes(),
			new(bin).put(uint16(2), uint16(entryCompact|TypeIntDec<<8), uint32(42),
				uint16(16), uint16(entryComplex), uint32(2), uint32(0x01030005), uint32(2),
				uint32(0x02000000), uint16(8), uint8(0), uint8(TypeString), uint32(0),
				uint32(0x02000001), uint16(8), uint8(0), uint8(TypeReference), uint32(0x7f020009)).Bytes()),
	))
}

func TestResources(t *testing.T) {
	r, err := ParseResources(testTable())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		id         uint32
		name, text string
		found      bool
	}{
		{0x7f010000, "string/title", "one", true},
		{0x7f010001, "string/gone", "one", true}, // a reference
		{0x7f010002, "", "", false},
		{0x7f020005, "bool/flag", "true", true},
		{0x7f020006, "", "", false},
		{0x7f020009, "bool/flag", "true", true},
		{0x7f030000, "array/list", "42", true},
		{0x7f030001, "", "", false},
		{0x7f030002, "array/list", "", true},
		{0x7f000000, "", "", false},
		{0x01010003, "", "", false},
		{0x7f040000, "", "", false},
	} {
		v, ok := r.Value(test.id)
		if ok != test.found || v.Text() != test.text || r.Name(test.id) != test.name {
			t.Errorf("%#x: %q = %q, %v", test.id, r.Name(test.id), v.Text(), ok)
		}
	}
	v, _ := r.Value(0x7f030002)
	if !v.IsBag || v.Parent != 0x01030005 || len(v.Bag) != 2 || v.Bag[0].String != "zero" || r.Resolve(Attr{Type: v.Bag[1].Type, Data: v.Bag[1].Data}) != "true" {
		t.Errorf("bag %+v", v)
	}
	if vs := r.Values(0x7f010000); len(vs) != 2 || vs[0].Config != "de" || vs[0].String != "eins" || vs[1].Config != "" {
		t.Errorf("values %+v", vs)
	}
	if vs := r.Values(0x7f020005); len(vs) != 2 || vs[1].Config != "v24" || vs[1].Bool(true) {
		t.Errorf("values %+v", vs)
	}
	var all []string
	for id, v := range r.All() {
		all = append(all, fmt.Sprintf("%x%s=%s", id, v.Config, v.Text()))
	}
	if got := strings.Join(all, " "); got != "7f010000de=eins 7f010000=one 7f010001=@0x7f010000 7f020005=true 7f020009=@0x7f020005 "+
		"7f020005v24=false 7f030000=42 7f030002=" {
		t.Error(got)
	}
	if got := fmt.Sprint(r.Packages()); got != "[app]" {
		t.Error("packages", got)
	}
}

func TestResourcesCircle(t *testing.T) {
	r, err := ParseResources(makeTable(makeStrings(true, "s"), makePackage(0x7f, makeStrings(true, "t"), makeStrings(true, "k"),
		makeType(1, 0, "", 0, 1, make([]byte, 4), makeEntry(0, TypeReference, 0x7f010000)))))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := r.Value(0x7f010000); !ok || v.Text() != "@0x7f010000" {
		t.Errorf("%+v, %v", v, ok)
	}
}

func TestResourcesSharedLibrary(t *testing.T) {
	strs := makeStrings(true, "s")
	r, err := ParseResources(makeTable(strs, makePackage(0, makeStrings(true, "string"), makeStrings(true, "k"),
		makeType(1, 0, "", 0, 1, make([]byte, 4), makeEntry(0, TypeString, 0)))))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Resolve(Attr{Type: TypeDynamicReference, Data: 0x00010000}); got != "s" {
		t.Errorf("a library's own reference gave %q", got)
	}
}

func TestResourcesDamaged(t *testing.T) {
	whole := testTable()
	cut := bytes.Clone(whole)
	// The last chunk claims to be longer than its package.
	at := bytes.LastIndex(cut, []byte{1, 2, byte(8 + 12 + 64), 0})
	cut[at+6] = 1
	r, err := ParseResources(cut)
	if err == nil || r == nil {
		t.Fatalf("%v, %v", r, err)
	}
	if v, _ := r.Value(0x7f010000); v.Text() != "one" {
		t.Errorf("what is whole was not read: %+v", v)
	}
	for _, b := range [][]byte{nil, []byte("<resources/>"), makeXML(), whole[:len(whole)-1]} {
		if r, err := ParseResources(b); err == nil {
			t.Errorf("%d bytes read as %+v", len(b), r)
		}
	}
	var nothing *Resources
	if got := nothing.Resolve(Attr{Type: TypeReference, Data: 0x7f010000}); got != "@0x7f010000" {
		t.Error(got)
	}
}

// A long string named over and over must not become a longer one.
func TestResourcesAmplification(t *testing.T) {
	const items = 20_000
	bag := new(bin).put(uint16(16), uint16(entryComplex), uint32(0), uint32(0), uint32(items))
	for range items {
		bag.put(uint32(0), uint16(8), uint8(0), uint8(TypeString), uint32(0))
	}
	r, err := ParseResources(makeTable(makeStrings(false, strings.Repeat("long", 5000)), makePackage(0x7f, makeStrings(true, "array"),
		makeStrings(true, "k"), makeType(1, 0, "", 0, 1, make([]byte, 4), bag.Bytes()))))
	if err != nil {
		t.Fatal(err)
	}
	v, _ := r.Value(0x7f010000)
	n := 0
	for _, b := range v.Bag {
		n += len(b.String)
	}
	if len(v.Bag) != items || n == 0 || n > 1<<20 {
		t.Errorf("%d bytes of text in %d items", n, len(v.Bag))
	}
}

func BenchmarkAll(b *testing.B) {
	data := benchTable()
	r, err := ParseResources(data)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		for range r.All() {
		}
	}
}

func TestValueText(t *testing.T) {
	for _, test := range []struct {
		typ  uint8
		data uint32
		want string
	}{
		{TypeReference, 0x0104000a, "@android:0x0104000a"}, {TypeReference, 0, ""}, {TypeAttribute, 0x7f010000, "?0x7f010000"},
		{TypeIntDec, none, "-1"}, {TypeIntHex, 0x7f, "0x7f"}, {TypeIntBoolean, none, "true"}, {TypeIntBoolean, 0, "false"},
		{TypeFloat, 0x3fc00000, "1.5"}, {TypeDimension, 0x1001, "16dp"}, {TypeDimension, 0xfffff001, "-16dp"}, {TypeDimension, 0x00008011, "1dp"},
		{TypeDimension, 0x40000022, "0.5sp"[:0] + "128sp"}, {TypeFraction, 0x40000030, "50%"}, {TypeFraction, 0x40000031, "50%p"},
		{TypeIntColorARGB8, 0xff00ff00, "#ff00ff00"}, {TypeNull, 0, ""}, {0xee, 1, ""},
	} {
		if got := (Value{Type: test.typ, Data: test.data}).Text(); got != test.want {
			t.Errorf("type %#x, %#x: %q, want %q", test.typ, test.data, got, test.want)
		}
	}
	for s, want := range map[string]int32{"12": 12, "-0x10": -16, "#ff": 255, "010": 8, "0": 0, "x": -7, "1_0": -7, "": -7} {
		if got := (Value{Type: TypeString, String: s}).Int(-7); got != want {
			t.Errorf("%q is %d", s, got)
		}
	}
	for s, want := range map[string]bool{"1": true, "true": true, "TRUE": true, "True": false, "no": false, "": true} {
		if got := (Value{Type: TypeString, String: s}).Bool(true); got != want {
			t.Errorf("%q is %v", s, got)
		}
	}
}

func TestConfigName(t *testing.T) {
	set := func(pairs ...any) []byte {
		c := make([]byte, 64)
		for i := 0; i < len(pairs); i += 2 {
			copy(c[pairs[i].(int):], pairs[i+1].(string))
		}
		return c
	}
	for _, test := range []struct {
		config []byte
		want   string
	}{
		{set(), ""}, {nil, ""}, {make([]byte, 28), ""},
		{set(4, "\x06\x01", 8, "enUS"), "mcc262-en-rUS"},
		{set(8, "\xad\x05"), "fil"},
		{set(8, "sr", 36, "Latn"), "b+sr+Latn"},
		{set(8, "sr", 36, "Latn", 52, "\x01"), "sr"},
		{set(8, "es\xa4\x24"), "es-r419"},
		{set(12, "\x02", 14, "\xf0\x00", 24, "\x15\x00", 28, "\x84", 29, "\x23", 30, "\x58\x02"), "ldrtl-sw600dp-xlarge-land-car-night-hdpi-v21"},
		{set(14, "\xff\xff", 13, "\x03", 16, "\x02", 17, "\x04", 18, "\x06"), "nodpi-finger-keyshidden-qwerty-navexposed-wheel"},
		{set(14, "\x23\x00", 20, "\x20\x03\xe0\x01", 12, "\x09"), "orientation=9-35dpi-800x480"},
	} {
		if got := configName(test.config); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

var (
	aaptConfig = regexp.MustCompile(`^      config (.*):$`)
	aaptValue  = regexp.MustCompile(`^        resource 0x([0-9a-f]{8}) [^:]*:(\S+): (?:t=0x([0-9a-f]+) d=0x([0-9a-f]+)|(<bag>))`)
	aaptString = regexp.MustCompile(`^          \(string(?:8|16)\) "(.*)$`)
	aaptParent = regexp.MustCompile(`^          Parent=0x([0-9a-f]+)\(Resolved=.*\), Count=(\d+)`)
)

// TestResourcesAgainstAapt compares every value of every configuration with what aapt prints.
func TestResourcesAgainstAapt(t *testing.T) {
	hex := func(s string) uint32 {
		v, _ := strconv.ParseUint(s, 16, 32)
		return uint32(v)
	}
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace
	files, values := 0, 0
	corpus(t, 12, func(name string, b []byte) {
		z, err := NewZip(bytes.NewReader(b), int64(len(b)))
		if err != nil || z.Entry("resources.arsc") == nil {
			return
		}
		data, err := z.ReadFile(z.Entry("resources.arsc"), 64<<20)
		if err != nil || len(data) > 300<<10 {
			return // the larger ones make aapt print for seconds
		}
		out, err := aapt(t, b, "dump", "--values", "resources", "APK")
		if err != nil || !strings.Contains(out, "Package Group 0") {
			return // aapt cannot read it
		}
		r, err := ParseResources(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		files++
		config, bad := "", 0
		var cur *Value
		complain := func(format string, args ...any) {
			if bad++; bad < 5 {
				t.Errorf("%s: %s", name, fmt.Sprintf(format, args...))
			}
		}
		count := map[uint32]int{} // values aapt prints
		for line := range strings.SplitSeq(out, "\n") {
			if m := aaptConfig.FindStringSubmatch(line); m != nil {
				if config = m[1]; config == "(default)" {
					config = ""
				}
				continue
			}
			if m := aaptValue.FindStringSubmatch(line); m != nil {
				values++
				id := hex(m[1])
				all := r.Values(id)
				if len(all) == 0 && id>>24 == 2 { // aapt gives a library the first free number
					id &= 0xffffff
					all = r.Values(id)
				}
				cur = nil
				if n := count[id]; n < len(all) {
					cur = &all[n]
				}
				count[id]++
				switch {
				case cur == nil:
					complain("no value for %s", line)
				case cur.Config != config:
					complain("%s: configuration %q, want %q", line, cur.Config, config)
				case r.Name(id) != m[2]:
					complain("%s: name %q", line, r.Name(id))
				case m[5] == "" && (uint32(cur.Type) != hex(m[3]) || cur.Data != hex(m[4])), cur.IsBag != (m[5] != ""):
					complain("%s: %+v", line, *cur)
				}
				continue
			}
			if m := aaptString.FindStringSubmatch(line); m != nil && cur != nil {
				if want := strings.TrimSuffix(m[1], `"`); quote(cur.String) != want && !strings.Contains(cur.String, "\n") {
					complain("%q, want %q", cur.String, want)
				}
			}
			if m := aaptParent.FindStringSubmatch(line); m != nil && cur != nil {
				if cur.Parent != hex(m[1]) || strconv.Itoa(len(cur.Bag)) != m[2] {
					complain("%s: %+v", line, *cur)
				}
			}
		}
		for id := range r.All() {
			count[id]--
		}
		for id, n := range count {
			if n != 0 {
				complain("%#x: aapt prints %d values more", id, n)
			}
		}
	})
	t.Logf("%d tables, %d values", files, values)
}

var (
	aaptPackage = regexp.MustCompile(`(?m)^package: name='([^']*)' versionCode='([^']*)' versionName='([^']*)'`)
	aaptLabel   = regexp.MustCompile(`(?m)^application-label:'(.*)'$`)
	aaptPerm    = regexp.MustCompile(`(?m)^uses-permission: name='([^']*)'`)
)

// TestManifestAgainstAapt compares what a manifest says once its references are followed.
func TestManifestAgainstAapt(t *testing.T) {
	files := 0
	corpus(t, 12, func(name string, b []byte) {
		z, err := NewZip(bytes.NewReader(b), int64(len(b)))
		if err != nil || z.Entry("AndroidManifest.xml") == nil {
			return
		}
		data, _ := z.ReadFile(z.Entry("AndroidManifest.xml"), 8<<20)
		n, err := ParseXML(data)
		if err != nil {
			return
		}
		var r *Resources
		if e := z.Entry("resources.arsc"); e != nil {
			data, _ := z.ReadFile(e, 64<<20)
			r, _ = ParseResources(data)
		}
		out, err := aapt(t, b, "dump", "badging", "APK")
		m := aaptPackage.FindStringSubmatch(out)
		if err != nil || m == nil {
			return
		}
		files++
		get := func(n *Node, name string) string {
			a, _ := n.Find(name)
			return r.Resolve(a)
		}
		pkg, _ := n.Attr("", "package")
		if pkg.Value != m[1] || get(n, "versionCode") != m[2] || get(n, "versionName") != m[3] {
			t.Errorf("%s: %s %s %s, want %q", name, pkg.Value, get(n, "versionCode"), get(n, "versionName"), m[1:])
		}
		var perms []string
		for _, c := range n.Children {
			switch c.Name {
			case "uses-permission":
				perms = append(perms, get(c, "name"))
			case "application":
				if l := aaptLabel.FindStringSubmatch(out); l != nil && !strings.HasPrefix(get(c, "label"), "@") && get(c, "label") != l[1] && l[1] != "" {
					t.Errorf("%s: label %q, want %q", name, get(c, "label"), l[1])
				}
			}
		}
		var want []string
		for _, p := range aaptPerm.FindAllStringSubmatch(out, -1) {
			want = append(want, p[1])
		}
		// What the platform adds for old apps stands last.
		want = want[:len(want)-strings.Count(out, "\nuses-implied-permission:")]
		if fmt.Sprint(perms) != fmt.Sprint(want) {
			t.Errorf("%s: permissions %q, want %q", name, perms, want)
		}
	})
	t.Logf("%d manifests", files)
}

func FuzzResources(f *testing.F) {
	f.Add(testTable())
	f.Add(makeTable(makeStrings(false, "ü"), makePackage(0, makeStrings(true, "t"), makeStrings(true, "k"),
		makeType(1, 0, "", 0, 1, make([]byte, 4), makeEntry(0, TypeString, 0)))))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseResources(b)
		if err != nil {
			if _, ok := errors.AsType[*FormatError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
		}
		n := 0
		for id := range r.All() {
			if n++; n > 200 {
				break
			}
			r.Name(id)
			v, _ := r.Value(id)
			_ = v.Text()
			for _, v := range r.Values(id) {
				if len(v.Bag) > len(b)/12 {
					t.Fatalf("%d items in %d bytes", len(v.Bag), len(b))
				}
			}
		}
	})
}

func benchTable() []byte {
	var strs []string
	for i := range 20_000 {
		strs = append(strs, fmt.Sprintf("text number %d of the table", i))
	}
	var types [][]byte
	for lang := range 60 {
		var offs, entries bin
		for i := range uint32(2000) {
			offs.put(uint32(entries.Len()))
			entries.put(makeEntry(i, TypeString, i*10))
		}
		types = append(types, makeType(1, 0, string([]byte{byte('a' + lang/26), byte('a' + lang%26)}), 0, 2000, offs.Bytes(), entries.Bytes()))
	}
	return makeTable(makeStrings(true, strs...), makePackage(0x7f, makeStrings(true, "string"), makeStrings(true, strs[:2000]...), types...))
}

func BenchmarkParseResources(b *testing.B) {
	data := benchTable()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseResources(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValue(b *testing.B) {
	r, err := ParseResources(benchTable())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	id := uint32(0x7f010000)
	for b.Loop() {
		if _, ok := r.Value(id); !ok {
			b.Fatal("not found")
		}
		id = 0x7f010000 | (id+1)%2000
	}
}
