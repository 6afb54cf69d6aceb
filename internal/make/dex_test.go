package make

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

const corpus = "../../../shared/corpus/droidbench"

// tool skips the test if a program is not installed.
func tool(t testing.TB, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return p
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(tool(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// baksmali disassembles a DEX file (or an APK) into one text per class.
func baksmali(t testing.TB, file string, args ...string) []SmaliFile {
	t.Helper()
	out := t.TempDir()
	run(t, "baksmali", append([]string{"d", "-j", "1", "-o", out, file}, args...)...)
	var files []SmaliFile
	err := filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files = append(files, SmaliFile{strings.TrimPrefix(path, out+"/"), string(b)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Slice(files, func(i, j int) bool { return files[i].Name < files[j].Name })
	return files
}

func writeTemp(t testing.TB, name string, b []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// diff returns the first line where two texts differ.
func diff(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range max(len(x), len(y)) {
		var l, r string
		if i < len(x) {
			l = x[i]
		}
		if i < len(y) {
			r = y[i]
		}
		if l != r {
			return l + "\n" + r
		}
	}
	return ""
}

func same(t *testing.T, want, got []SmaliFile) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%d classes, want %d", len(got), len(want))
	}
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			t.Errorf("%s / %s differ at:\n%s", want[i].Name, got[i].Name, diff(want[i].Text, got[i].Text))
		}
	}
}

// What baksmali prints of an app with a support library must come back the same. GIFTHORSE_CORPUS=all takes
// every app of the corpus, which is some minutes of baksmali.
func TestRoundTrip(t *testing.T) {
	apks := []string{filepath.Join(corpus, "Lifecycle__FragmentLifecycle1.apk")}
	if os.Getenv("GIFTHORSE_CORPUS") == "all" {
		apks, _ = filepath.Glob(filepath.Join(corpus, "*.apk"))
	}
	for _, apk := range apks {
		if _, err := os.Stat(apk); err != nil {
			t.Skip("no corpus: ", err)
		}
		want := baksmali(t, apk)
		dex, _, err := DEX(want)
		if err != nil {
			t.Fatal(apk, err)
		}
		if again, _, _ := DEX(want); !bytes.Equal(dex, again) {
			t.Error("the same text gave other bytes")
		}
		same(t, want, baksmali(t, writeTemp(t, "classes.dex", dex)))
	}
}

// instructions returns a class with every instruction that smali assembles too, from the opcode table.
func instructions() SmaliFile {
	operands := map[string]string{"10x": "", "12x": "v0, v1", "11n": "v0, -0x8", "11x": "v0", "10t": ":here", "20t": ":here",
		"30t": ":here", "22x": "v0, v300", "21t": "v0, :here", "21s": "v0, -0x8000", "21h": "v0, -0x80000000", "21c": "v0, REF",
		"23x": "v0, v1, v255", "22b": "v0, v1, -0x80", "22t": "v0, v1, :here", "22s": "v0, v1, 0x7fff", "22c": "v0, v1, REF",
		"32x": "v0, v300", "31i": "v0, 0x7fffffff", "31c": "v0, REF", "51l": "v0, 0x7fffffffffffffffL",
		"35c": "{v0, v1, v2, v3, v15}, REF", "3rc": "{v299 .. v301}, REF"}
	refs := map[byte]string{refString: `"text"`, refType: "[Lt/T;", refField: "Lt/T;->f:I", refMethod: "Lt/T;->m(IJ[Lt/T;)V"}
	var names []string
	for name, op := range opcodes {
		if op.format != "31t" && op.value < 0xe3 && op.value != 0x73 {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var b strings.Builder
	b.WriteString(".class Lt/All;\n.super Ljava/lang/Object;\n.method static all()V\n.registers 302\n.line 1\n:here\n")
	for i, name := range names {
		op := opcodes[name]
		o := strings.ReplaceAll(operands[op.format], "REF", refs[op.ref])
		if name == "const-wide/high16" {
			o = "v0, -0x8000000000000000L"
		}
		if op.format == "10t" {
			o = fmt.Sprintf(":near%d\n:near%d", i, i)
		}
		fmt.Fprintf(&b, "%s %s\n", name, o)
	}
	b.WriteString("return-void\n.end method\n")
	return SmaliFile{"all.smali", b.String()}
}

// What smali makes of a text and what we make of it must read the same, and dexdump, which verifies as the
// runtime does, must take it.
func TestAgainstSmali(t *testing.T) {
	tool(t, "smali")
	files := []SmaliFile{instructions()}
	for _, name := range []string{"features.smali", "api28.smali"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, SmaliFile{name, string(b)})
	}
	var paths []string
	for _, f := range files {
		paths = append(paths, writeTemp(t, f.Name, []byte(f.Text)))
	}
	theirs := filepath.Join(t.TempDir(), "theirs.dex")
	run(t, "smali", append([]string{"a", "-a", "28", "-o", theirs}, paths...)...)
	dex, _, err := DEX(files)
	if err != nil {
		t.Fatal(err)
	}
	ours := writeTemp(t, "ours.dex", dex)
	same(t, baksmali(t, theirs), baksmali(t, ours))
	if _, err := exec.LookPath("dexdump"); err == nil {
		run(t, "dexdump", "-a", "-d", ours)
	}
}

// uncommented drops the comment lines at the top of a test file.
func uncommented(s string) string {
	for strings.HasPrefix(s, "#") {
		_, s, _ = strings.Cut(s, "\n")
	}
	return s
}

func TestBeyondSmali(t *testing.T) {
	b, err := os.ReadFile("testdata/own.smali")
	if err != nil {
		t.Fatal(err)
	}
	dex, _, err := DEX([]SmaliFile{{"own.smali", string(b)}})
	if err != nil {
		t.Fatal(err)
	}
	got := baksmali(t, writeTemp(t, "own.dex", dex), "-a", "23", "--allow-odex-opcodes", "--seq")
	same(t, []SmaliFile{{"t/Own.smali", uncommented(string(b))}}, got)
}

const positionsText = `# a comment
.class public Lt/A;
.super Lt/B;

.field x:I

.method m(I)V
    .registers 3
    const-wide v0, 0x1L # five units

    nop
    goto/16 :next   # want "nothing"
    :next
    return-void
.end method
.class Lt/B;
.super Ljava/lang/Object;
`

func TestPositions(t *testing.T) {
	_, pos, err := DEX([]SmaliFile{{"a.smali", positionsText}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		pc   int
		line int
	}{
		{"Lt/A;", -1, 2}, {"Lt/B;", -1, 16}, {"Lt/A;.x:I", -1, 5}, {"Lt/A;.m:(I)V", -1, 7}, {"Lt/A;.m:(I)V", 0, 9},
		{"Lt/A;.m:(I)V", 4, 9}, {"Lt/A;.m:(I)V", 5, 11}, {"Lt/A;.m:(I)V", 6, 12}, {"Lt/A;.m:(I)V", 8, 14}, {"Lt/A;.m:(I)V", 99, 14},
	} {
		if file, line, ok := pos.Lookup(c.name, c.pc); file != "a.smali" || line != c.line || !ok {
			t.Errorf("%s+%d is at %s:%d, want line %d", c.name, c.pc, file, line, c.line)
		}
	}
	if _, _, ok := pos.Lookup("Lt/A;.none:()V", 0); ok {
		t.Error("a method that is not there has a position")
	}
}

// A method without .line gets the lines of its text, which is what a reader of the DEX then reports.
func TestLineTable(t *testing.T) {
	dex, _, err := DEX([]SmaliFile{{"a.smali", positionsText}})
	if err != nil {
		t.Fatal(err)
	}
	out := run(t, "dexdump", "-d", writeTemp(t, "a.dex", dex))
	for _, want := range []string{"0x0000 line=9", "0x0005 line=11", "0x0006 line=12", "0x0008 line=14"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestVersions(t *testing.T) {
	in := func(class, body string) string {
		return ".class " + class + " Lt/A;\n.super Ljava/lang/Object;\n" + body
	}
	for want, text := range map[string]string{
		"035": in("", ".method static a()V\n.registers 0\nreturn-void\n.end method"),
		"037": in("interface", ".method public a()V\n.registers 1\nreturn-void\n.end method"),
		"038": in("", ".method static a()V\n.registers 1\ninvoke-polymorphic {v0}, Lt/A;->a()V, ()V\nreturn-void\n.end method"),
		"039": in("", ".method static a()V\n.registers 1\nconst-method-type v0, ()V\nreturn-void\n.end method"),
	} {
		dex, _, err := DEX([]SmaliFile{{"a", text}})
		if err != nil || string(dex[:8]) != "dex\n"+want+"\x00" {
			t.Errorf("version %s wanted: %.8q, %v", want, dex, err)
		}
	}
}

func TestErrors(t *testing.T) {
	in := func(body string) string { // line 4 is the first of the body
		return ".class La;\n.super Lb;\n.method static a(I)V\n" + body + "\n.end method"
	}
	for text, want := range map[string]string{
		"x":                                                       `a.smali:1: ".class" wanted, "x" found`,
		".class La":                                               `a.smali:1: "La" is not a type`,
		".class La;\n.foo":                                        `a.smali:2: ".foo" is out of place in a class`,
		".class La;\n.source \"a":                                 `a.smali:2: literal without its closing "`,
		".class La;\n.class La;":                                  `a.smali:2: class La; is already in a.smali:1`,
		".class La;\n.field a:I = 1":                              `a.smali:2: only a static field has an initial value`,
		".class La;\n.field a:I\n.field a:I":                      `a.smali:3: field a:I is already at line 2`,
		in(".registers 1\nconst/4 v0, 8\nxx"):                     `a.smali:6: "xx" is not an instruction`,
		in(".registers 1\nconst/4 v0, 0x10"):                      `a.smali:5: 0x10 does not fit 4 bits`,
		in(".registers 1\nreturn v1"):                             `a.smali:5: v1: the method has 1 registers`,
		in(".registers 1\nreturn p1"):                             `a.smali:5: p1: the parameters take 1 registers`,
		in(".registers 0\nreturn-void"):                           `a.smali:4: 0 registers, where 1 are parameters`,
		in(".locals 16\nmove v0, p0"):                             `a.smali:5: register 16 does not fit 4 bits of this instruction`,
		in(".locals 1\ngoto :a"):                                  `a.smali:5: label :a is not defined`,
		in(".locals 1\n:"):                                        `a.smali:5: ":" is not an instruction`,
		in(".locals 1\n:a\ngoto :a\n:a\nnop"):                     `a.smali:7: label :a is defined twice`,
		in(".locals 1\npacked-switch v0, :a\n:a\nreturn-void"):    `a.smali:5: :a is not the data of a packed-switch`,
		in(".locals 1\n:a\n.packed-switch 1\n.end packed-switch"): `a.smali:6: no switch uses this table`,
		in(""):            `a.smali:5: a method that is neither abstract nor native needs code`,
		in("return-void"): `a.smali:4: code needs .registers or .locals`,
		in(".locals 1\nconst/high16 v0, 0x12345"): `a.smali:5: only the highest 16 bits of a high16 literal may be set`,
	} {
		_, _, err := DEX([]SmaliFile{{"a.smali", text}})
		if err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestLiteral(t *testing.T) {
	for s, want := range map[string]value{
		"0x10": {kind: valueInt, bits: 16}, "-0x1": {kind: valueInt, bits: -1}, "0xffffffff": {kind: valueInt, bits: -1}, "010": {kind: valueInt, bits: 8},
		"-0x80000000": {kind: valueInt, bits: -1 << 31}, "0x7ft": {kind: valueByte, bits: 127}, "-1s": {kind: valueShort, bits: -1},
		"0xffffffffffffffffL": {kind: valueLong, bits: -1}, "1.0f": {kind: valueFloat, bits: 0x3f800000}, "-Infinityf": {kind: valueFloat, bits: 0xff800000},
		"NaNf": {kind: valueFloat, bits: 0x7fc00000}, "NaN": {kind: valueDouble, bits: 0x7ff8 << 48}, "1d": {kind: valueDouble, bits: 0x3ff0 << 48},
		"1e0": {kind: valueDouble, bits: 0x3ff0 << 48}, "0x1f": {kind: valueInt, bits: 31}, "true": {kind: valueBoolean, bits: 1},
	} {
		if kind, bits, ok := literal(s); !ok || kind != want.kind || bits != want.bits {
			t.Errorf("%s is %#x %#x %v", s, kind, bits, ok)
		}
	}
	for _, s := range []string{"", "-", "x", "0x", "0x100000000", "0x100t", "0x1ffffs", "08", "-0x80000001", "inf", "1_0", "0xg", "--1", "L", "s"} {
		if kind, bits, ok := literal(s); ok {
			t.Errorf("%q is %#x %#x", s, kind, bits)
		}
	}
}

func FuzzSmali(f *testing.F) {
	for _, name := range []string{"features.smali", "api28.smali", "own.smali"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		for c := range strings.SplitSeq(string(b), "\n\n") { // small seeds: a method, a field
			f.Add(".class La;\n.super Lb;\n" + c)
		}
	}
	f.Add(positionsText)
	f.Fuzz(func(t *testing.T, text string) {
		dex, _, err := DEX([]SmaliFile{{"a.smali", text}})
		if err == nil && len(dex) < headerSize {
			t.Error("no error and no DEX")
		}
		if err != nil && !strings.HasPrefix(err.Error(), "a.smali:") {
			t.Errorf("an error without a place: %v", err)
		}
	})
}

func BenchmarkDEX(b *testing.B) {
	f := instructions()
	b.SetBytes(int64(len(f.Text)))
	for b.Loop() {
		if _, _, err := DEX([]SmaliFile{f}); err != nil {
			b.Fatal(err)
		}
	}
}
