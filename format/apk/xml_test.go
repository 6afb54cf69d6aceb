package apk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// aapt runs Debian's aapt over an APK and returns what it prints.
func aapt(t *testing.T, apk []byte, args ...string) (string, error) {
	t.Helper()
	tool, err := exec.LookPath("aapt")
	if err != nil {
		t.Skip("aapt is not installed")
	}
	p := filepath.Join(t.TempDir(), "x.apk")
	if err := os.WriteFile(p, apk, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		if a == "APK" {
			args[i] = p
		}
	}
	out, err := exec.Command(tool, args...).Output()
	return string(out), err
}

func manifest(t testing.TB, strs []byte, parts ...[]byte) *Node {
	t.Helper()
	n, err := ParseXML(makeXML(append([][]byte{strs, makeIDs(0x01010003, 0x01010006, 0x01010010)}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestXML(t *testing.T) {
	for _, utf8 := range []bool{false, true} {
		strs := makeStrings(utf8, "", "permission", "exported", AndroidNS, "receiver", "p.PÄ", "text", "package")
		n := manifest(t, strs,
			makeStart(7, 4,
				makeAttr(3, 0, 5, TypeString, 5), // the name is blank, its id is not
				makeAttr(3, 1, none, TypeString, 5),
				makeAttr(3, 2, none, TypeIntBoolean, none),
				makeAttr(none, 7, 6, TypeString, 6)),
			makeText(6), makeStart(8, 4), makeEnd(), makeText(5), makeEnd(),
			makeStart(9, 4), makeEnd())
		if n.Name != "receiver" || n.Line != 7 || n.Text != "textp.PÄ" || len(n.Children) != 1 || n.Children[0].Line != 8 {
			t.Errorf("utf8 %v: %+v", utf8, n)
		}
		for name, want := range map[string]string{"name": "p.PÄ", "permission": "p.PÄ", "exported": "true", "package": "", "enabled": ""} {
			if got := n.String(name); got != want {
				t.Errorf("utf8 %v: %s = %q", utf8, name, got)
			}
		}
		if a, ok := n.Attr("", "package"); !ok || a.Value != "text" || a.Raw != "text" {
			t.Errorf("package %+v", a)
		}
		if _, ok := n.Attr(AndroidNS, "name"); ok {
			t.Error("an attribute with a blank name was found by name")
		}
	}
}

// Android walks attributes and wanted ids side by side.
func TestXMLAttributeOrder(t *testing.T) {
	strs := makeStrings(false, "name", "permission", "exported", AndroidNS, "e", "first", "second")
	n := manifest(t, strs, makeStart(1, 4,
		makeAttr(3, 1, none, TypeString, 5),
		makeAttr(3, 1, none, TypeString, 6),
		makeAttr(3, 0, none, TypeString, 5)))
	if got := n.String("permission"); got != "first" {
		t.Errorf("of two permissions %q counts", got)
	}
	if _, ok := n.AttrID(0x01010003); ok {
		t.Error("an attribute behind one with a higher id was found")
	}
	if a, ok := n.Find("name"); ok {
		t.Errorf("found it by its name: %+v", a)
	}
	if _, ok := n.Attr(AndroidNS, "name"); !ok {
		t.Error("getAttributeValue would find it")
	}
}

func TestXMLNameWithoutID(t *testing.T) {
	b := makeXML(makeStrings(false, "permission", AndroidNS, "e", "p"), makeStart(1, 2, makeAttr(1, 0, none, TypeString, 3)))
	n, err := ParseXML(b)
	if err != nil || n.String("permission") != "p" {
		t.Errorf("%v, %+v", err, n)
	}
}

// What Android reads although no packer should write it.
func TestXMLLeniency(t *testing.T) {
	strs := makeStrings(false, "e", "v", "a")
	attr := makeAttr(none, 2, none, TypeString, 1)
	fat := func(header, attrSize int) []byte { // a start tag with padding in its header and behind its attribute
		body := new(bin).put(uint32(none), uint32(0), uint16(24), uint16(attrSize), uint16(1), uint16(0), uint16(0), uint16(0), uint32(0xbad),
			attr, make([]byte, attrSize-20))
		return makeChunk(chunkStartElement, append(new(bin).put(uint32(5), uint32(none)).Bytes(), make([]byte, header)...), body.Bytes())
	}
	junk := makeChunk(0x7777, make([]byte, 8), make([]byte, 12))
	type change func([]byte) []byte
	same := func(b []byte) []byte { return b }
	for _, test := range []struct {
		name   string
		b      []byte
		change change
		damage bool // an error comes with the tree
	}{
		{"plain", makeXML(strs, makeStart(5, 0, attr), makeEnd()), same, false},
		{"junk chunks", makeXML(junk, strs, junk, makeStart(5, 0, attr), junk, makeEnd()), same, false},
		{"the last pool counts", makeXML(makeStrings(false, "x"), strs, makeStart(5, 0, attr), makeEnd()), same, false},
		{"a pool behind the root does not", makeXML(strs, makeStart(5, 0, attr), makeEnd(), makeStrings(false, "x")), same, false},
		{"no end tag", makeXML(strs, makeStart(5, 0, attr)), same, false},
		{"end tags in excess", makeXML(strs, makeEnd(), makeStart(5, 0, attr), makeEnd(), makeEnd()), same, false},
		{"large headers", makeXML(strs, fat(8, 32), makeEnd()), same, false},
		{"another magic", makeXML(strs, makeStart(5, 0, attr), makeEnd()), func(b []byte) []byte { b[0], b[1] = 0, 8; return b }, false},
		{"size over the end", makeXML(strs, makeStart(5, 0, attr), makeEnd()), func(b []byte) []byte { b[5]++; return b }, false},
		{"bytes behind", makeXML(strs, makeStart(5, 0, attr), makeEnd()), func(b []byte) []byte { return append(b, 1, 2, 3) }, false},
		{"damage behind the root", makeXML(strs, makeStart(5, 0, attr), make([]byte, 16)), same, true},
		{"styles that are not there", makeXML(strs, makeStart(5, 0, attr), makeEnd()), func(b []byte) []byte { b[8+12] = 9; return b }, false},
	} {
		n, err := ParseXML(test.change(bytes.Clone(test.b)))
		if n == nil || (err != nil) != test.damage {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if a, ok := n.Attr("", "a"); !ok || a.Value != "v" || n.Name != "e" || n.Line != 5 {
			t.Errorf("%s: %+v", test.name, n)
		}
	}
	for _, b := range [][]byte{nil, []byte("<manifest/>"), makeXML(strs), makeXML(strs, makeEnd()), make([]byte, 64)} {
		if n, err := ParseXML(b); err == nil {
			t.Errorf("%q was read as %+v", b, n)
		}
	}
}

func TestXMLDepth(t *testing.T) {
	parts := [][]byte{makeStrings(true, "e", "text")}
	for range 100_000 {
		parts = append(parts, makeStart(1, 0), makeText(1))
	}
	n, err := ParseXML(makeXML(parts...))
	depth := 0
	for ; n != nil; depth++ {
		if len(n.Children) == 0 {
			break
		}
		n = n.Children[0]
	}
	if err != nil || depth != maxDepth-1 {
		t.Errorf("depth %d, %v", depth, err)
	}
}

// A few bytes must not become many.
func TestXMLAmplification(t *testing.T) {
	start := makeStart(1, 0)
	start[16+12], start[16+13] = 0xff, 0xff // 65535 attributes
	start[16+10], start[16+11] = 0, 0       // of no bytes
	n, err := ParseXML(makeXML(makeStrings(true, "e"), start, makeEnd()))
	if err != nil || len(n.Attrs) != 1 {
		t.Errorf("%d attributes, %v", len(n.Attrs), err)
	}
	parts := [][]byte{makeStrings(false, "e", strings.Repeat("long", 5000)), makeStart(1, 0)}
	for range 10_000 {
		parts = append(parts, makeText(1))
	}
	if n, err = ParseXML(makeXML(append(parts, makeEnd())...)); err == nil || len(n.Text) > 400_000 {
		t.Errorf("%d bytes of text, %v", len(n.Text), err)
	}
}

func TestXMLOverlappingStrings(t *testing.T) {
	strs := makeStrings(false, append([]string{strings.Repeat("long", 5000)}, make([]string, 5000)...)...)
	clear(strs[28 : 28+4*5001]) // every string is the first one
	parts := [][]byte{strs}
	for i := range uint32(5000) {
		parts = append(parts, makeStart(1, i))
	}
	n, err := ParseXML(makeXML(parts...))
	total := 0
	for n != nil {
		total += len(n.Name)
		if len(n.Children) == 0 {
			break
		}
		n = n.Children[0]
	}
	if err == nil || total == 0 || total > 1<<20 {
		t.Errorf("%d bytes of names, %v", total, err)
	}
}

func TestStrings(t *testing.T) {
	long8 := "x" + strings.Repeat("y", 0x8000+5) // aapt keeps 15 bits of its length
	data := new(bin).put(uint8(0x80), uint8(6), uint8(0x80), uint8(6), long8, uint8(0)).Bytes()
	p := stringPool{entries: make([]byte, 4), strings: data, utf8: true}
	if s, ok := p.str(0); !ok || s != long8 {
		t.Errorf("long string: %d bytes, %v", len(s), ok)
	}
	long16 := strings.Repeat("z", 0x8001)
	units := new(bin).put(uint16(0x8000), uint16(0x8001))
	for range long16 {
		units.put(uint16('z'))
	}
	p = stringPool{entries: make([]byte, 4), strings: units.put(uint16(0)).Bytes()}
	if s, ok := p.str(0); !ok || s != long16 {
		t.Errorf("long UTF-16 string: %d bytes, %v", len(s), ok)
	}
	for in, want := range map[string]string{
		"\xed\xa0\xbd\xed\xb8\x80": "\U0001f600", "\xc0\x80": "\x00", "\xed\xa0\xbdx": "\xed\xa0\xbdx", "\xc3\xa9": "é", "\xed\x95\x9c": "한",
	} {
		if got := string(fromModified([]byte(in))); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
	for in, want := range map[string]string{
		"\x3d\xd8\x00\xde": "\U0001f600", "\x3d\xd8x\x00": "\xed\xa0\xbdx", "\x00\xde": "\xed\xb8\x80", "\x3d\xd8": "\xed\xa0\xbd", "\x5c\xd5": "한",
	} {
		if got := string(fromUTF16([]byte(in))); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}

func TestFrameworkAttrs(t *testing.T) {
	for name, id := range map[string]uint32{"theme": 0x01010000, "name": 0x01010003, "permission": 0x01010006, "readPermission": 0x01010007,
		"writePermission": 0x01010008, "protectionLevel": 0x01010009, "sharedUserId": 0x0101000b, "enabled": 0x0101000e,
		"debuggable": 0x0101000f, "exported": 0x01010010, "process": 0x01010011, "authorities": 0x01010018,
		"grantUriPermissions": 0x0101001b, "priority": 0x0101001c, "minSdkVersion": 0x0101020c, "versionCode": 0x0101021b,
		"versionName": 0x0101021c, "targetSdkVersion": 0x01010270, "usesCleartextTraffic": 0x010104ec,
		"networkSecurityConfig": 0x01010527, "nosuch": 0} {
		if got := FrameworkAttr(name); got != id {
			t.Errorf("%s is %#x, want %#x", name, got, id)
		}
	}
	for line := range strings.Lines(attrsFile) {
		if name := strings.TrimSpace(line[strings.Index(line, "\t")+1:]); line[0] != '#' && FrameworkAttr(name) == 0 {
			t.Errorf("line not read: %q", line)
		}
	}
}

// TestXMLAgainstAapt prints every manifest as aapt does and compares.
func TestXMLAgainstAapt(t *testing.T) {
	files, lines := 0, 0
	corpus(t, 10, func(name string, b []byte) {
		z, err := NewZip(bytes.NewReader(b), int64(len(b)))
		if err != nil || z.Entry("AndroidManifest.xml") == nil {
			return
		}
		data, err := z.ReadFile(z.Entry("AndroidManifest.xml"), 8<<20)
		if err != nil && !errors.Is(err, ErrChecksum) {
			t.Errorf("%s: %v", name, err)
			return
		}
		out, err := aapt(t, b, "dump", "xmltree", "APK", "AndroidManifest.xml")
		if err != nil {
			return // aapt cannot read it
		}
		n, err := ParseXML(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		want, prefixes := readXMLTree(out)
		var got []string
		printXMLTree(n, 0, prefixes, &got)
		for i := range max(len(got), len(want)) {
			g, w := "", ""
			if i < len(got) {
				g = got[i]
			}
			if i < len(want) {
				w = want[i]
			}
			if g != w {
				t.Errorf("%s:\n got %q\nwant %q", name, g, w)
				return
			}
		}
		files++
		lines += len(got)
		checkAttrNames(t, name, n)
	})
	t.Logf("%d manifests, %d elements, attributes and texts", files, lines)
}

// checkAttrNames compares attrs.txt with the names real files give to the ids.
func checkAttrNames(t *testing.T, file string, n *Node) {
	for _, a := range n.Attrs {
		id := FrameworkAttr(a.Name)
		// bundletool writes "value" over the id of "resource".
		if a.Space == AndroidNS && id != a.ID && a.Name != "value" {
			t.Errorf("%s: %s is %#x, the table says %#x", file, a.Name, a.ID, id)
		}
	}
	for _, c := range n.Children {
		checkAttrNames(t, file, c)
	}
}

// readXMLTree returns aapt's lines with the depth of each element in place of its indentation, and the prefix
// of each namespace.
func readXMLTree(out string) (lines []string, prefixes map[string]string) {
	prefixes = map[string]string{}
	var spaces []int // indentation of open namespaces
	depth := 0
	sc := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for _, line := range sc {
		text := strings.TrimLeft(line, " ")
		indent := len(line) - len(text)
		if len(text) < 3 || text[1:3] != ": " || !strings.Contains("NEAC", text[:1]) {
			if len(lines) > 0 { // a line break inside a value
				lines[len(lines)-1] += "\n" + line
			}
			continue
		}
		for text[0] != 'A' && len(spaces) > 0 && spaces[len(spaces)-1] >= indent {
			spaces = spaces[:len(spaces)-1]
		}
		switch text[0] {
		case 'N':
			prefix, uri, _ := strings.Cut(text[3:], "=")
			prefixes[uri] = prefix
			spaces = append(spaces, indent)
			continue
		case 'E':
			depth = indent/2 - len(spaces)
		}
		lines = append(lines, fmt.Sprint(depth, " ", strings.TrimSuffix(text, ` (Raw: "")`)))
	}
	return lines, prefixes
}

func printXMLTree(n *Node, depth int, prefixes map[string]string, out *[]string) {
	name := func(space, name string) string {
		if space == "" {
			return name
		}
		p, ok := prefixes[space]
		if !ok {
			p = space
		}
		return p + ":" + name
	}
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace
	*out = append(*out, fmt.Sprintf("%d E: %s (line=%d)", depth, name(n.Space, n.Name), n.Line))
	for _, a := range n.Attrs {
		s := fmt.Sprintf("%d A: %s", depth, name(a.Space, a.Name))
		if a.ID != 0 {
			s += fmt.Sprintf("(0x%08x)", a.ID)
		}
		switch a.Type {
		case TypeNull:
			s += "=(null)"
		case TypeDynamicReference:
			if a.Data>>24 == 0 { // aapt gives a library the first free number
				a.Data |= 2 << 24
			}
			fallthrough
		case TypeReference:
			s += fmt.Sprintf("=@0x%08x", a.Data)
		case TypeAttribute:
			s += fmt.Sprintf("=?0x%08x", a.Data)
		case TypeString:
			s += `="` + quote(a.Value) + `"`
		default:
			s += fmt.Sprintf("=(type 0x%x)0x%x", a.Type, a.Data)
		}
		if a.Raw != "" {
			s += ` (Raw: "` + quote(a.Raw) + `")`
		}
		*out = append(*out, s)
	}
	for _, c := range n.Children {
		printXMLTree(c, depth+1, prefixes, out)
	}
}

func FuzzXML(f *testing.F) {
	strs := makeStrings(true, "name", "e", "v", AndroidNS)
	f.Add(makeXML(strs, makeIDs(0x01010003), makeStart(1, 1, makeAttr(3, 0, 2, TypeString, 2)), makeText(2), makeEnd()))
	f.Add(makeXML(makeStrings(false, "a", "ü"), makeStart(1, 1), makeStart(2, 0), makeEnd(), makeEnd()))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := ParseXML(b)
		if err != nil {
			if _, ok := errors.AsType[*FormatError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
		} else if n == nil {
			t.Fatal("nothing, and no error")
		}
		attrs := 0
		var walk func(n *Node, depth int)
		walk = func(n *Node, depth int) {
			if depth > maxDepth {
				t.Fatal("too deep")
			}
			attrs += len(n.Attrs)
			n.String("name")
			for _, a := range n.Attrs {
				_ = a.String()
			}
			for _, c := range n.Children {
				walk(c, depth+1)
			}
		}
		if n != nil {
			walk(n, 1)
		}
		if attrs > len(b) {
			t.Fatalf("%d attributes in %d bytes", attrs, len(b))
		}
	})
}

func BenchmarkParseXML(b *testing.B) {
	parts := [][]byte{makeStrings(true, "name", "receiver", "com.example.Receiver", AndroidNS, "exported"), makeIDs(0x01010003, 0, 0, 0, 0x01010010),
		makeStart(1, 1)}
	for i := range uint32(2000) {
		parts = append(parts, makeStart(i, 1, makeAttr(3, 0, 2, TypeString, 2), makeAttr(3, 4, none, TypeIntBoolean, 1)), makeEnd())
	}
	data := makeXML(append(parts, makeEnd())...)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseXML(data); err != nil {
			b.Fatal(err)
		}
	}
}
