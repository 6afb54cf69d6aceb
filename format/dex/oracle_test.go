package dex

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// AOSP's dexdump is the oracle: dump writes a File the way "dexdump -d" does, and the two must agree in every line.

func dump(f *File) string {
	var w strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&w, format+"\n", args...) }
	var d ClassData
	for i := range f.NumClasses() {
		c := f.Class(i)
		p("Class #%d            -", i)
		p("  Class descriptor  : '%s'", f.rawType(c.Type))
		p("  Access flags      : 0x%04x", c.Access)
		if c.Super != NoIndex {
			p("  Superclass        : '%s'", f.rawType(c.Super))
		}
		p("  Interfaces        -")
		n := 0
		for t := range f.Interfaces(c) {
			p("    #%d              : '%s'", n, f.rawType(t))
			n++
		}
		if err := f.ClassData(c, &d); err != nil {
			p("%v", err)
		}
		values, err := f.StaticValues(c)
		if err != nil {
			p("%v", err)
		}
		fields := func(kind string, list []MemberField, values []Value) {
			p("  %-18s-", kind+" fields")
			for k, m := range list {
				id := f.Field(m.Field)
				p("    #%d              : (in %s)", k, f.rawType(c.Type))
				p("      name          : '%s'", f.StringData(id.Name))
				p("      type          : '%s'", f.rawType(id.Type))
				p("      access        : 0x%04x", m.Access)
				if k < len(values) {
					p("      value         : %s", f.dumpValue(values[k]))
				}
			}
		}
		fields("Static", d.StaticFields, values)
		fields("Instance", d.InstanceFields, nil)
		for _, list := range []struct {
			kind    string
			members []MemberMethod
		}{{"Direct", d.Direct}, {"Virtual", d.Virtual}} {
			p("  %-18s-", list.kind+" methods")
			for k, m := range list.members {
				id := f.Method(m.Method)
				p("    #%d              : (in %s)", k, f.rawType(c.Type))
				p("      name          : '%s'", f.StringData(id.Name))
				p("      type          : '%s'", f.rawProto(id.Proto))
				p("      access        : 0x%04x", m.Access)
				if m.Code == 0 {
					p("      code          : (none)")
					continue
				}
				p("      code          -")
				code, err := f.Code(m.Code)
				if err != nil {
					p("%v", err)
				}
				p("      registers     : %d", code.Registers)
				p("      ins           : %d", code.Ins)
				p("      outs          : %d", code.Outs)
				p("      insns size    : %d 16-bit code units", code.Units())
				var in Insn
				for pc := uint32(0); pc < code.Units(); pc = in.Next {
					if err := in.Decode(code.Insns, pc); err != nil {
						p("%v", err)
						break
					}
					p("%06x: |%04x: %s", code.InsnsOff+2*pc, pc, f.dumpInsn(&in, code.Insns))
				}
				if code.NumTries == 0 {
					p("      catches       : (none)")
				} else {
					p("      catches       : %d", code.NumTries)
					for t := range f.Tries(code) {
						p("        0x%04x - 0x%04x", t.Start, t.End)
						for h := range f.Handlers(t) {
							typ := "<any>"
							if h.Type != NoIndex {
								typ = f.rawType(h.Type)
							}
							p("          %s -> 0x%04x", typ, h.PC)
						}
					}
				}
				p("      positions     : ")
				lines, err := f.DebugLines(code)
				if err != nil && !f.Compact {
					p("%v", err)
				}
				for pc, line := range lines {
					p("        0x%04x line=%d", pc, line)
				}
			}
		}
		if c.SourceFile == NoIndex {
			p("  source_file_idx   : -1 (unknown)")
		} else {
			p("  source_file_idx   : %d (%s)", c.SourceFile, f.StringData(c.SourceFile))
		}
	}
	return w.String()
}

// rawType and the rest give MUTF-8, which dexdump does not decode.
func (f *File) rawType(i uint32) string { return string(f.StringData(f.TypeString(i))) }

func (f *File) rawProto(i uint32) string {
	s := "("
	for k := range f.NumParams(i) {
		s += f.rawType(f.Param(i, k))
	}
	return s + ")" + f.rawType(f.Proto(i).Return)
}

func (f *File) dumpValue(v Value) string {
	switch v.Kind {
	case ValueByte, ValueShort, ValueChar, ValueInt, ValueLong:
		return strconv.FormatInt(v.Int, 10)
	case ValueBoolean:
		return strconv.FormatBool(v.Int != 0)
	case ValueFloat, ValueDouble:
		if math.IsInf(v.Float, 0) {
			return strings.ToLower(strings.TrimPrefix(fmt.Sprint(v.Float), "+"))
		}
		return strconv.FormatFloat(v.Float, 'g', 6, 64)
	case ValueNull:
		return "null"
	case ValueType:
		return f.rawType(v.Index)
	case ValueString:
		return `"` // dexdump escapes what follows
	}
	return fmt.Sprintf("kind %#x", v.Kind)
}

func (f *File) dumpInsn(in *Insn, insns []byte) string {
	op := in.Op.String()
	offset := int32(in.Target - in.PC)
	sign := '+'
	if offset < 0 {
		sign, offset = '-', -offset
	}
	unit := func(k uint32) uint16 { return le.Uint16(insns[2*(in.PC+k):]) }
	switch in.Op.Format() {
	case Format10x:
		switch in.Op {
		case OpNop:
			return "nop // spacer"
		case OpPackedSwitchPayload:
			return fmt.Sprintf("packed-switch-data (%d units)", in.Next-in.PC)
		case OpSparseSwitchPayload:
			return fmt.Sprintf("sparse-switch-data (%d units)", in.Next-in.PC)
		case OpFillArrayDataPayload:
			return fmt.Sprintf("array-data (%d units)", in.Next-in.PC)
		}
		return op
	case Format12x, Format22x, Format32x:
		return fmt.Sprintf("%s v%d, v%d", op, in.A, in.B)
	case Format11n:
		return fmt.Sprintf("%s v%d, #int %d // #%x", op, in.A, in.Lit, uint8(in.Lit))
	case Format11x:
		return fmt.Sprintf("%s v%d", op, in.A)
	case Format10t, Format20t:
		return fmt.Sprintf("%s %04x // %c%04x", op, in.Target, sign, offset)
	case Format30t:
		return fmt.Sprintf("%s #%08x", op, in.Target-in.PC)
	case Format21t:
		return fmt.Sprintf("%s v%d, %04x // %c%04x", op, in.A, in.Target, sign, offset)
	case Format22t:
		return fmt.Sprintf("%s v%d, v%d, %04x // %c%04x", op, in.A, in.B, in.Target, sign, offset)
	case Format31t:
		return fmt.Sprintf("%s v%d, %08x // %c%08x", op, in.A, in.Target, sign, offset)
	case Format21s:
		return fmt.Sprintf("%s v%d, #int %d // #%x", op, in.A, in.Lit, uint16(in.Lit))
	case Format21h:
		kind := "int"
		if in.Op == OpConstWideHigh16 {
			kind = "long"
		}
		return fmt.Sprintf("%s v%d, #%s %d // #%x", op, in.A, kind, in.Lit, unit(1))
	case Format23x:
		return fmt.Sprintf("%s v%d, v%d, v%d", op, in.A, in.B, in.C)
	case Format22b:
		return fmt.Sprintf("%s v%d, v%d, #int %d // #%02x", op, in.A, in.B, in.Lit, uint8(in.Lit))
	case Format22s:
		return fmt.Sprintf("%s v%d, v%d, #int %d // #%04x", op, in.A, in.B, in.Lit, uint16(in.Lit))
	case Format31i:
		return fmt.Sprintf("%s v%d, # // #%08x", op, in.A, uint32(in.Lit))
	case Format51l:
		return fmt.Sprintf("%s v%d, # // #%016x", op, in.A, uint64(in.Lit))
	case Format21c, Format31c:
		return fmt.Sprintf("%s v%d, %s", op, in.A, f.dumpIndex(in))
	case Format22c:
		return fmt.Sprintf("%s v%d, v%d, %s", op, in.A, in.B, f.dumpIndex(in))
	}
	var regs []string
	for k := range int(in.A) {
		regs = append(regs, fmt.Sprintf("v%d", in.Arg(k)))
	}
	return fmt.Sprintf("%s {%s}, %s", op, strings.Join(regs, ", "), f.dumpIndex(in))
}

func (f *File) dumpIndex(in *Insn) string {
	width := 4
	if in.Op == OpConstStringJumbo {
		width = 8
	}
	switch in.Op.IndexKind() {
	case IndexString:
		return fmt.Sprintf("\"%s\" // string@%0*x", f.StringData(in.Index), width, in.Index)
	case IndexType:
		return fmt.Sprintf("%s // type@%04x", f.rawType(in.Index), in.Index)
	case IndexField:
		id := f.Field(in.Index)
		return fmt.Sprintf("%s.%s:%s // field@%04x", f.rawType(id.Class), f.StringData(id.Name), f.rawType(id.Type), in.Index)
	case IndexMethod:
		id := f.Method(in.Index)
		s := fmt.Sprintf("%s.%s:%s", f.rawType(id.Class), f.StringData(id.Name), f.rawProto(id.Proto))
		if in.Op == OpInvokePolymorphic || in.Op == OpInvokePolymorphicRange {
			return fmt.Sprintf("%s, %s // method@%04x, proto@%04x", s, f.rawProto(in.Proto), in.Index, in.Proto)
		}
		return fmt.Sprintf("%s // method@%04x", s, in.Index)
	case IndexProto:
		return fmt.Sprintf("%s // proto@%04x", f.rawProto(in.Index), in.Index)
	case IndexCallSite:
		return fmt.Sprintf("call_site@%04x", in.Index)
	case IndexHandle:
		return fmt.Sprintf("method_handle@%04x", in.Index)
	}
	return "?"
}

// normal reduces dexdump's text to what dump writes: without the names of flags, the raw code units, the guesses at the type of a
// constant, local variables, and the tables at the end.
func normal(s string) string {
	out := make([]byte, 0, len(s))
	for line := range strings.Lines(s) {
		line = strings.TrimSuffix(line, "\n")
		pos, rest, isCode := strings.Cut(line, ": ")
		switch {
		case strings.HasPrefix(line, "Method handle #"), strings.HasPrefix(line, "Call site #"):
			return string(out)
		case line == "", strings.HasPrefix(line, "Processing '"), strings.HasPrefix(line, "Opened '"), strings.HasPrefix(line, "      locals        : "):
			continue
		case strings.HasPrefix(line, "        0x") && strings.Contains(line, " reg="):
			continue
		case isCode && !strings.HasPrefix(line, " "):
			_, insn, _ := strings.Cut(rest, "|")
			if strings.HasPrefix(insn, "[") {
				continue // the head of a method
			}
			if strings.Contains(insn, ": const") {
				insn = guesses.ReplaceAllString(insn, "$1# // ")
			}
			line = pos + ": |" + insn
		case strings.Contains(line, "ccess "):
			line, _, _ = strings.Cut(line, " (")
		case strings.HasPrefix(line, "      value         : \""):
			line = "      value         : \""
		}
		out = append(append(out, line...), '\n')
	}
	return string(out)
}

var guesses = regexp.MustCompile(`(: const(?:-wide|-wide/32)? v\d+, )#(?:float|double) \S+ // `)

func checkDump(t *testing.T, f *File, file string) {
	t.Helper()
	got, err := exec.Command("dexdump", "-d", file).Output()
	if err != nil {
		t.Fatalf("dexdump: %v", err)
	}
	want := strings.Split(normal(string(got)), "\n")
	ours := strings.Split(normal(dump(f)), "\n")
	if i := firstDifference(ours, want); i >= 0 {
		t.Errorf("line %d of %d:\n   ours %q\ndexdump %q", i, len(want), ours[i:min(i+3, len(ours))], want[i:min(i+3, len(want))])
	}
	if len(want) < 10 {
		t.Errorf("dexdump wrote %d lines", len(want))
	}
}

func firstDifference(a, b []string) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return min(i, len(a), len(b))
		}
	}
	return -1
}

func need(t *testing.T, tool string) {
	if _, err := exec.LookPath(tool); err != nil {
		t.Skip("needs " + tool)
	}
}

// The seeds are DEX in dexdump's eyes too, compact ones among them. Containers it does not read.
func TestDexdumpSeed(t *testing.T) {
	need(t, "dexdump")
	seeds := map[string][]byte{
		"compact":     whole(compact(false)),
		"compact big": whole(compact(true)),
	}
	for _, version := range []int{35, 37, 38, 39, 40} {
		seeds[fmt.Sprint(version)] = seed(version)
	}
	for name, data := range seeds {
		t.Run(name, func(t *testing.T) { checkUnverified(t, data) })
	}
}

// checkUnverified compares with dexdump without its verifier, which asks for more order than the runtime needs to read.
func checkUnverified(t *testing.T, data []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.dex")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := Open(data)
	if err != nil {
		t.Fatal(err)
	}
	got, err := exec.Command("dexdump", "-d", "-j", file).Output()
	if err != nil {
		t.Fatalf("dexdump: %v", err)
	}
	ours, want := normal(dump(files[0])), normal(string(got))
	if files[0].Compact {
		// dexdump takes the head of every code item to be 16 bytes, and it does read the line numbers.
		address := regexp.MustCompile(`(?m)^[0-9a-f]{6,}: \|`)
		ours, want = address.ReplaceAllString(ours, "|"), address.ReplaceAllString(want, "|")
		line := regexp.MustCompile(`(?m)^        0x[0-9a-f]{4} line=\d+\n`)
		ours, want = line.ReplaceAllString(ours, ""), line.ReplaceAllString(want, "")
	}
	if ours != want {
		a, b := strings.Split(ours, "\n"), strings.Split(want, "\n")
		i := firstDifference(a, b)
		t.Errorf("line %d:\n   ours %q\ndexdump %q", i, a[i:min(i+3, len(a))], b[i:min(i+3, len(b))])
	}
}

// TestCompactOfPhones reads compact DEX that ART made, from small VDEX files of real phones.
func TestCompactOfPhones(t *testing.T) {
	need(t, "dexdump")
	phones, _ := filepath.Glob("../../../shared/phones/*.zip")
	n := 0
	for _, name := range phones {
		z, err := zip.OpenReader(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range z.File {
			if !strings.HasSuffix(m.Name, ".vdex") || m.UncompressedSize64 > 1<<16 {
				continue
			}
			r, err := m.Open()
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if i := bytes.Index(data, []byte("cdex001\x00")); i >= 0 {
				checkUnverified(t, data[i:])
				n++
			}
		}
		z.Close()
	}
	if n == 0 {
		t.Skip("no compact DEX in ../../../shared/phones/*.zip")
	}
	t.Logf("%d compact DEX", n)
}

func TestDexdumpCorpus(t *testing.T) {
	need(t, "dexdump")
	file := filepath.Join(t.TempDir(), "classes.dex")
	insns := 0
	corpus(t, 5, func(name string, data []byte) { // all 76 agree, but are mostly the same libraries
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		files, err := Open(data)
		if err != nil {
			t.Fatal(name, err)
		}
		checkDump(t, files[0], file)
		insns += walk(files[0], 1<<40)
		if t.Failed() {
			t.Fatal(name)
		}
	})
	t.Logf("%d instructions", insns)
}

// dumpAnnotations writes them the way "dexdump -a" does.
func dumpAnnotations(t *testing.T, f *File) string {
	var w strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&w, format+"\n", args...) }
	set := func(s AnnotationSet) {
		list, err := f.Annotations(s)
		if err != nil {
			t.Error(err)
		}
		for _, a := range list {
			p("  VISIBILITY_%s %s", [...]string{"BUILD", "RUNTIME", "SYSTEM"}[a.Visibility], f.dumpElements(&a))
		}
	}
	for i := range f.NumClasses() {
		c := f.Class(i)
		if c.Annotations == 0 {
			continue
		}
		p("Class #%d annotations:", i)
		if s := f.ClassAnnotations(c); s != 0 {
			p("Annotations on class")
			set(s)
		}
		for k, s := range f.FieldAnnotations(c) {
			p("Annotations on field #%d '%s'", k, f.String(f.Field(k).Name))
			set(s)
		}
		for k, s := range f.MethodAnnotations(c) {
			p("Annotations on method #%d '%s'", k, f.String(f.Method(k).Name))
			set(s)
		}
		for k, list := range f.ParameterAnnotations(c) {
			p("Annotations on method #%d '%s' parameters", k, f.String(f.Method(k).Name))
			for j, s := range list {
				p("#%d", j)
				set(s)
			}
		}
	}
	return w.String()
}

func (f *File) dumpElements(a *Annotation) string {
	s := f.rawType(a.Type)
	for _, e := range a.Elements {
		s += " " + string(f.StringData(e.Name)) + "=" + f.dumpElement(e.Value)
	}
	return s
}

func (f *File) dumpElement(v Value) string {
	switch v.Kind {
	case ValueArray:
		s := "{ "
		for _, x := range v.Array {
			s += f.dumpElement(x) + " "
		}
		return s + "}"
	case ValueAnnotation:
		return f.dumpElements(v.Annotation)
	case ValueString:
		return `"` + string(f.StringData(v.Index)) + `"`
	case ValueEnum, ValueField:
		return f.String(f.Field(v.Index).Name)
	case ValueMethod:
		return f.String(f.Method(v.Index).Name)
	}
	return f.dumpValue(v)
}

func TestDexdumpAnnotations(t *testing.T) {
	need(t, "dexdump")
	file := filepath.Join(t.TempDir(), "x.dex")
	n := 0
	check := func(name string, data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		files, err := Open(data)
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := exec.Command("dexdump", "-a", "-j", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for line := range strings.Lines(string(got)) {
			line = strings.TrimSuffix(line, "\n")
			if annotationLine.MatchString(line) {
				want = append(want, line)
			}
		}
		ours := strings.Split(strings.TrimSuffix(dumpAnnotations(t, files[0]), "\n"), "\n")
		if i := firstDifference(ours, want); i >= 0 {
			t.Fatalf("%s: line %d of %d:\n   ours %q\ndexdump %q", name, i, len(want), ours[i:min(i+3, len(ours))], want[i:min(i+3, len(want))])
		}
		n += len(want)
	}
	check("compact", whole(compact(false)))
	corpus(t, 5, check)
	t.Logf("%d lines", n)
}

var annotationLine = regexp.MustCompile(`^(Class #\d+ annotations:|Annotations on .*|  VISIBILITY_.*|#\d+)$`)

// everyOp is smali source with each opcode that smali can make.
func everyOp() (source string, ops []Op) {
	var w strings.Builder
	w.WriteString(".class public LEvery;\n.super Ljava/lang/Object;\n.implements Ljava/lang/Runnable;\n.source \"Every.smali\"\n" + everyField + ".method public static m(II)V\n.registers 300\n:start\n")
	for i := range 256 {
		op := Op(i)
		if op.String() == "" || op.IsQuick() || op.IsPayload() || op == OpUnused {
			continue
		}
		ops = append(ops, op)
		index := map[IndexKind]string{
			IndexString: `"a\u0000\u00e9\ud83d\ude00"`, IndexType: "[I", IndexField: "LEvery;->f:I", IndexMethod: "Ljava/lang/invoke/MethodHandle;->invoke([Ljava/lang/Object;)Ljava/lang/Object;",
			IndexProto: "(IJ[Ljava/lang/String;)V", IndexHandle: "invoke-static@LEvery;->m(II)V",
			IndexCallSite: `cs0("foo", (II)I, "x", 5, 1.5)@LEvery;->bsm(Ljava/lang/invoke/MethodHandles$Lookup;Ljava/lang/String;Ljava/lang/invoke/MethodType;)Ljava/lang/invoke/CallSite;`,
		}[op.IndexKind()]
		fmt.Fprintf(&w, ".line %d\n%v ", 10+i, op)
		switch op.Format() {
		case Format12x:
			w.WriteString("v14, v15")
		case Format11n:
			w.WriteString("v3, -7")
		case Format11x:
			w.WriteString("v200")
		case Format10t:
			fmt.Fprintf(&w, ":a%d\n:a%d", i, i)
		case Format20t, Format30t:
			w.WriteString(":start")
		case Format22x:
			w.WriteString("v200, v290")
		case Format32x:
			w.WriteString("v280, v290")
		case Format21t:
			w.WriteString("v200, :start")
		case Format22t:
			w.WriteString("v14, v15, :start")
		case Format31t:
			fmt.Fprintf(&w, "v200, :%v", op)
		case Format21s:
			w.WriteString("v200, -30000")
		case Format31i:
			w.WriteString("v200, -70000")
		case Format51l:
			w.WriteString("v200, -0x123456789abcdefL")
		case Format21h:
			if op == OpConstHigh16 {
				w.WriteString("v200, 0x70010000")
			} else {
				w.WriteString("v200, -0x1234000000000000L")
			}
		case Format23x:
			w.WriteString("v200, v201, v202")
		case Format22b:
			w.WriteString("v200, v201, -100")
		case Format22s:
			w.WriteString("v14, v15, -30000")
		case Format21c, Format31c:
			w.WriteString("v200, " + index)
		case Format22c:
			w.WriteString("v14, v15, " + index)
		case Format35c:
			w.WriteString("{v1, v2, v3, v4, v15}, " + index)
		case Format3rc:
			w.WriteString("{v100 .. v120}, " + index)
		case Format45cc:
			w.WriteString("{v1, v2}, " + index + ", (I)V")
		case Format4rcc:
			w.WriteString("{v100 .. v120}, " + index + ", (I)V")
		}
		w.WriteString("\n")
	}
	w.WriteString(`:end
.catch Ljava/lang/RuntimeException; {:start .. :end} :caught
.catch Ljava/lang/Exception; {:start .. :end} :caught
.catchall {:start .. :end} :caught
:caught
move-exception v0
return-void
:packed-switch
.packed-switch -1
:start
:end
.end packed-switch
:sparse-switch
.sparse-switch
-5 -> :start
70000 -> :end
.end sparse-switch
:fill-array-data
.array-data 2
1s
-2s
3s
.end array-data
.end method
`)
	return w.String(), ops
}

const everyField = `.field public static a:B = -1t
.field public static b:S = -300s
.field public static c:C = '\u8000'
.field public static d:I = -100000
.field public static e:J = -10000000000L
.field public static f:F = 1.5f
.field public static g:D = 2.25
.field public static h:Ljava/lang/String; = "hi"
.field public static i:Ljava/lang/Class; = LEvery;
.field public static j:Z = true
.field private volatile k:I
.annotation system Ldalvik/annotation/Signature;
    value = { "a", "b" }
.end annotation
.end field
`

func TestSmali(t *testing.T) {
	need(t, "smali")
	need(t, "dexdump")
	source, ops := everyOp()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "Every.smali"), filepath.Join(dir, "every.dex")
	if err := os.WriteFile(in, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if msg, err := exec.Command("smali", "assemble", "-a", "28", "-o", out, in).CombinedOutput(); err != nil {
		t.Fatalf("smali: %v\n%s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	files, err := Open(data)
	if err != nil {
		t.Fatal(err)
	}
	f := files[0]
	checkDump(t, f, out)

	var d ClassData
	if err := f.ClassData(f.Class(0), &d); err != nil {
		t.Fatal(err)
	}
	code, err := f.Code(d.Direct[0].Code)
	if err != nil {
		t.Fatal(err)
	}
	var seen []Op
	var insn Insn
	for pc := uint32(0); pc < code.Units(); pc = insn.Next {
		if err := insn.Decode(code.Insns, pc); err != nil {
			t.Fatal(err)
		}
		if !insn.Op.IsPayload() && !slices.Contains(seen, insn.Op) {
			seen = append(seen, insn.Op)
		}
	}
	slices.Sort(seen)
	if !slices.Equal(seen, ops) {
		t.Errorf("read %v\nwrote %v", seen, ops)
	}

	// What dexdump -d does not show.
	site, err := f.CallSite(0)
	if err != nil || len(site) != 6 {
		t.Fatal(site, err)
	}
	h := f.MethodHandle(site[0].Index)
	if h.Kind != 4 || f.MethodName(h.Index) != "LEvery;.bsm:(Ljava/lang/invoke/MethodHandles$Lookup;Ljava/lang/String;Ljava/lang/invoke/MethodType;)Ljava/lang/invoke/CallSite;" {
		t.Errorf("bootstrap method %+v %s", h, f.MethodName(h.Index))
	}
	if f.String(site[1].Index) != "foo" || string(f.AppendProto(nil, site[2].Index)) != "(II)I" || f.String(site[3].Index) != "x" || site[4].Int != 5 || site[5].Float != 1.5 {
		t.Errorf("call site %+v", site)
	}
	for i, s := range f.FieldAnnotations(f.Class(0)) {
		a, err := f.Annotations(s)
		if err != nil || len(a) != 1 || a[0].Visibility != 2 || f.Type(a[0].Type) != "Ldalvik/annotation/Signature;" ||
			len(a[0].Elements) != 1 || len(a[0].Elements[0].Value.Array) != 2 || f.FieldName(i) != "LEvery;.k:I" {
			t.Errorf("%s: %+v, %v", f.FieldName(i), a, err)
		}
	}
	if n := strings.Count(source, `"a\u0000`); n == 0 || !slices.ContainsFunc(slices.Collect(func(yield func(string) bool) {
		for i := range f.NumStrings() {
			if !yield(f.String(uint32(i))) {
				return
			}
		}
	}), func(s string) bool { return s == "a\x00é😀" }) {
		t.Error("string with a NUL and a surrogate pair not found")
	}
}

// TestBaksmali compares Disassemble with baksmali over one app of the corpus.
func TestBaksmali(t *testing.T) {
	need(t, "baksmali")
	dir := t.TempDir()
	file := filepath.Join(dir, "classes.dex")
	corpus(t, 1, func(name string, data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		files, err := Open(data)
		if err != nil {
			t.Fatal(err)
		}
		f := files[0]
		var some []string // it takes baksmali long to do all
		for i := range f.NumClasses() {
			if i%20 == 0 {
				some = append(some, f.Type(f.Class(i).Type))
			}
		}
		out := filepath.Join(dir, "out")
		msg, err := exec.Command("baksmali", "disassemble", "--classes", strings.Join(some, ","), "--parameter-registers", "false", "--debug-info", "false", "--accessor-comments", "false", "-o", out, file).CombinedOutput()
		if err != nil {
			t.Fatalf("baksmali: %v\n%s", err, msg)
		}
		var d ClassData
		var in Insn
		n := 0
		for i := range f.NumClasses() {
			c := f.Class(i)
			source, err := os.ReadFile(filepath.Join(out, strings.TrimSuffix(strings.TrimPrefix(f.Type(c.Type), "L"), ";")+".smali"))
			if err != nil {
				continue
			}
			if err := f.ClassData(c, &d); err != nil {
				t.Fatal(err)
			}
			var ours []string
			for _, m := range slices.Concat(d.Direct, d.Virtual) {
				code, err := f.Code(m.Code)
				if err != nil {
					t.Fatal(err)
				}
				for pc := uint32(0); pc < code.Units(); pc = in.Next {
					if err := in.Decode(code.Insns, pc); err != nil {
						t.Fatal(err)
					}
					if !in.Op.IsPayload() && in.Op != OpNop {
						ours = append(ours, plain(f.Disassemble(&in)))
					}
				}
			}
			want := smaliInsns(source)
			if k := firstDifference(ours, want); k >= 0 {
				t.Fatalf("%s: instruction %d\n    ours %q\nbaksmali %q", f.Type(c.Type), k, ours[k:min(k+3, len(ours))], want[k:min(k+3, len(want))])
			}
			n += len(ours)
		}
		if n < 1000 {
			t.Errorf("%d instructions compared", n)
		}
		t.Logf("%s: %d instructions", name, n)
	})
}

var (
	text     = regexp.MustCompile(`(const-string(?:/jumbo)? v\d+, ).*`)
	suffixes = regexp.MustCompile(`(0x[0-9a-f]+)[Lts](?: .*)?$|(0x[0-9a-f]+)    #.*$`)
)

// plain takes from a line what the two disassemblers write differently: labels (only that there is one), quoting, suffixes of literals.
func plain(line string) string {
	line = text.ReplaceAllString(line, "$1")
	line = suffixes.ReplaceAllString(line, "$1$2")
	if i := strings.LastIndex(line, " :"); i >= 0 {
		at := line[i+2:]
		if k := strings.LastIndexByte(at, '_'); k >= 0 {
			at = at[k+1:]
		}
		v, err := strconv.ParseUint(at, 16, 32)
		if err == nil {
			line = fmt.Sprintf("%s :%04x", line[:i], v)
		}
	}
	return line
}

func smaliInsns(source []byte) []string {
	var out []string
	method, data := false, false
	for line := range bytes.Lines(source) {
		s := strings.TrimSpace(string(line))
		switch {
		case strings.HasPrefix(s, ".method"):
			method = true
		case s == ".end method":
			method = false
		case strings.HasPrefix(s, ".annotation"), strings.HasPrefix(s, ".packed-switch"), strings.HasPrefix(s, ".sparse-switch"), strings.HasPrefix(s, ".array-data"), strings.HasPrefix(s, ".param"):
			data = true
		case strings.HasPrefix(s, ".end "):
			data = false
		case !method || data || s == "" || s[0] == '.' || s[0] == ':' || s[0] == '#', s == "nop": // some nops that align payloads are left out
		default:
			out = append(out, plain(s))
		}
	}
	return out
}
