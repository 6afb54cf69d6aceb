package dex

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestOpen(t *testing.T) {
	for _, version := range []int{35, 37, 38, 39, 40, 41} {
		t.Run(fmt.Sprintf("%03d", version), func(t *testing.T) {
			data := seed(version)
			if version == 41 {
				data = container(1)
			}
			files, err := Open(data)
			if err != nil || len(files) != 1 {
				t.Fatal(len(files), err)
			}
			f := files[0]
			if f.Version != version || f.Compact || f.Size != int64(len(data)) {
				t.Errorf("version %d, compact %v, size %d of %d", f.Version, f.Compact, f.Size, len(data))
			}
			checkSeed(t, f)
		})
	}
}

// checkSeed compares everything in a File with what the builder put there.
func checkSeed(t *testing.T, f *File) {
	t.Helper()
	eq := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, want %#v", what, got, want)
		}
	}
	eq("counts", []int{f.NumStrings(), f.NumTypes(), f.NumProtos(), f.NumFields(), f.NumMethods(), f.NumClasses(), f.NumCallSites(), f.NumMethodHandles()},
		[]int{len(seedStrings), 6, 1, 1, 1, 1, 1, 1})
	for i, s := range seedStrings {
		eq("string data", string(f.StringData(uint32(i))), s)
	}
	eq("string", f.String(11), "\u00e9\x00😀")
	eq("type", f.Type(5), "Ljava/lang/Runnable;")
	eq("method", f.MethodName(0), "LA;.m:(I)I")
	eq("field", f.FieldName(0), "LA;.s:I")
	eq("params", []any{f.NumParams(0), f.Param(0, 0), f.Param(0, 1)}, []any{1, uint32(0), uint32(NoIndex)})

	c := f.Class(0)
	eq("class", []uint32{c.Type, c.Access, c.Super, c.SourceFile}, []uint32{1, 1, 4, 0})
	eq("interfaces", slices.Collect(f.Interfaces(c)), []uint32{5})
	var d ClassData
	eq("class data", f.ClassData(c, &d), nil)
	eq("fields", d.StaticFields, []MemberField{{0, 9}})
	eq("methods", []int{len(d.InstanceFields), len(d.Direct), len(d.Virtual)}, []int{0, 1, 0})
	values, err := f.StaticValues(c)
	eq("values", []any{values, err}, []any{[]Value{{Kind: ValueInt, Int: 42}}, nil})

	note := []Annotation{{1, 2, []Element{{10, Value{Kind: ValueString, Index: 11}}}}}
	annotations := func(s AnnotationSet) []Annotation {
		t.Helper()
		a, err := f.Annotations(s)
		eq("annotations", err, nil)
		eq("annotation types", slices.Collect(f.AnnotationTypes(s)), []uint32{2})
		return a
	}
	eq("class annotations", annotations(f.ClassAnnotations(c)), note)
	n := 0
	for i, s := range f.FieldAnnotations(c) {
		eq("field annotations", []any{i, annotations(s)}, []any{uint32(0), note})
		n++
	}
	for i, s := range f.MethodAnnotations(c) {
		eq("method annotations", []any{i, annotations(s)}, []any{uint32(0), note})
		n++
	}
	for i, s := range f.ParameterAnnotations(c) {
		eq("parameter annotations", []any{i, len(s), s[0], annotations(s[1])}, []any{uint32(0), 2, AnnotationSet(0), note})
		n++
	}
	eq("annotated members", n, 3)

	site, err := f.CallSite(0)
	eq("call site", []any{site, err}, []any{[]Value{{Kind: ValueMethodHandle}, {Kind: ValueString, Index: 8}, {Kind: ValueMethodType}}, nil})
	eq("method handle", f.MethodHandle(0), MethodHandle{4, 0})

	code, err := f.Code(d.Direct[0].Code)
	if err != nil {
		t.Fatal(err)
	}
	eq("registers", []uint16{code.Registers, code.Ins, code.Outs, code.NumTries}, []uint16{2, 1, 1, 1})
	eq("insns", code.Units(), uint32(len(seedCode)))
	eq("insns offset", binary.LittleEndian.Uint16(f.data[code.InsnsOff:]), seedCode[0])
	var tries []string
	for try := range f.Tries(code) {
		tries = append(tries, fmt.Sprint(try.Start, try.End, slices.Collect(f.Handlers(try))))
	}
	eq("tries", tries, []string{fmt.Sprint(0, 8, []Handler{{3, 9}, {NoIndex, 9}})})
	var text []string
	var in Insn
	for pc := uint32(0); pc < code.Units(); pc = in.Next {
		if err := in.Decode(code.Insns, pc); err != nil {
			t.Fatal(err)
		}
		text = append(text, f.Disassemble(&in))
		if in.Op.IsSwitch() {
			for key, target := range in.Switch(code.Insns) {
				text = append(text, fmt.Sprint(key, "->", target))
			}
		}
	}
	eq("code", text, []string{
		"const/4 v0, 0x1", "invoke-static {v1}, LA;->m(I)I", "move-result v0", "packed-switch v0, :000a", "7->8", "8->0",
		"return v0", "move-exception v0", "packed-switch-payload", "const/4 v15, 0x0", "goto :0008",
	})
	lines, err := f.DebugLines(code)
	if f.Compact {
		eq("compact line numbers are unsupported", errors.Is(err, errors.ErrUnsupported), true)
		eq("line", f.Line(code, 0), uint32(0))
		return
	}
	eq("lines", err, nil)
	var got [][2]uint32
	for pc, line := range lines {
		got = append(got, [2]uint32{pc, line})
	}
	eq("lines", got, seedLines)
	eq("line", []uint32{f.Line(code, 0), f.Line(code, 7), f.Line(code, 8), f.Line(code, 99)}, []uint32{10, 12, 14, 14})
}

func TestContainer(t *testing.T) {
	data := container(3)
	size := len(data) / 3
	// Data may be shared: the first DEX takes the name of its method from the third.
	at := binary.LittleEndian.Uint32(data[2*size+headerSize41+4*8:])
	binary.LittleEndian.PutUint32(data[headerSize41+4*8:], at)
	files, err := Open(data)
	if err != nil || len(files) != 3 {
		t.Fatal(len(files), err)
	}
	for i, f := range files {
		if f.Offset != int64(i*size) || f.Size != int64(size) {
			t.Errorf("DEX %d: %d bytes at %d", i, f.Size, f.Offset)
		}
		checkSeed(t, f)
	}

	broken := slices.Clone(data)
	broken[2*size] = 'x'
	files, err = Open(broken)
	var fe *FormatError
	if len(files) != 2 || !errors.As(err, &fe) || fe.Off != int64(2*size) {
		t.Errorf("damaged third header: %d files, %v", len(files), err)
	}
	if _, err := Open(data[size:]); err == nil {
		t.Error("a DEX cut out of its container has offsets that lead elsewhere; it was read all the same")
	}
}

// No maker of compact DEX is at hand: this one is of our own making, from art/libdexfile/dex/compact_dex_file.h. TestDexdumpSeed shows that
// ART's reader agrees, TestCompactOfPhones reads one of ART's making.
func TestCompact(t *testing.T) {
	main, shared := compact(false)
	f, err := OpenCompact(main, shared)
	if err != nil {
		t.Fatal(err)
	}
	if f.Version != 1 || !f.Compact {
		t.Errorf("version %d, compact %v", f.Version, f.Compact)
	}
	checkSeed(t, f)

	files, err := Open(whole(main, shared))
	if err != nil {
		t.Fatal(err)
	}
	checkSeed(t, files[0])

	if _, err := OpenCompact(seed(35), nil); err == nil {
		t.Error("an ordinary DEX was taken for a compact one")
	}
	main[6] = '2'
	if _, err := OpenCompact(main, shared); !errors.Is(err, errors.ErrUnsupported) {
		t.Error("version 002:", err)
	}
}

// Counts that do not fit the packed fields stand before the item.
func TestCompactPreheader(t *testing.T) {
	main, shared := compact(true)
	f, err := OpenCompact(main, shared)
	if err != nil {
		t.Fatal(err)
	}
	var d ClassData
	if err := f.ClassData(f.Class(0), &d); err != nil {
		t.Fatal(err)
	}
	off := d.Direct[0].Code
	c, err := f.Code(off)
	if err != nil {
		t.Fatal(err)
	}
	if c.Units() != uint32(len(seedCode))+0x10834 || c.Registers != 300 || c.Ins != 1 || c.Outs != 33 || c.NumTries != 18 || c.InsnsOff != off+4 {
		t.Errorf("%d units, %d registers, %d ins, %d outs, %d tries at %d", c.Units(), c.Registers, c.Ins, c.Outs, c.NumTries, c.InsnsOff)
	}
	const cut = 2
	f.data = f.data[off-cut:]
	if _, err := f.Code(cut); err == nil {
		t.Error("code item without its preheader was read")
	}
}

func TestOpenRefuses(t *testing.T) {
	change := func(f func(b []byte)) []byte {
		b := seed(35)
		f(b)
		return b
	}
	for _, tt := range []struct {
		name        string
		data        []byte
		unsupported bool
	}{
		{"empty", nil, false},
		{"magic", []byte("dex\n035"), false},
		{"cut short", seed(35)[:400], false},
		{"no DEX", make([]byte, 1000), false},
		{"version 034", change(func(b []byte) { b[6] = '4' }), true},
		{"version 042", change(func(b []byte) { copy(b[4:], "042") }), true},
		{"version word", change(func(b []byte) { copy(b[4:], "abc") }), false},
		{"Dalvik's optimised", change(func(b []byte) { copy(b, "dey\n036") }), true},
		{"big-endian", change(func(b []byte) { binary.BigEndian.PutUint32(b[0x28:], 0x12345678) }), true},
		{"file size", change(func(b []byte) { b[0x22]++ }), false},
		{"compact without data", []byte("cdex001\x00" + strings.Repeat("\xff", 200)), false},
		{"compact cut short", []byte("cdex001\x00"), false},
	} {
		files, err := Open(tt.data)
		var fe *FormatError
		if err == nil || len(files) != 0 || errors.Is(err, errors.ErrUnsupported) != tt.unsupported || !errors.As(err, &fe) {
			t.Errorf("%s: %d files, %v", tt.name, len(files), err)
		}
	}
}

// What ART would load, or does not look at, must be read.
func TestLax(t *testing.T) {
	for name, f := range map[string]func(b []byte){
		"checksum and signature": func(b []byte) { clear(b[8:32]) },
		"no map":                 func(b []byte) { clear(b[0x34:0x38]) },
		"map outside":            func(b []byte) { b[0x37] = 0x7f },
		"header size":            func(b []byte) { b[0x24] = 0 },
		"data section":           func(b []byte) { clear(b[0x68:0x70]) },
		"padding of type ids":    func(b []byte) { at := binary.LittleEndian.Uint32(b[0x64:]); b[at+2], b[at+10] = 1, 1 },
		"endian tag":             func(b []byte) { clear(b[0x28:0x2c]) },
	} {
		b := seed(39)
		f(b)
		files, err := Open(append(b, "bytes after the end"...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c := files[0].Class(0)
		var d ClassData
		if err := files[0].ClassData(c, &d); err != nil || files[0].Type(c.Type) != "LA;" || len(d.Direct) != 1 || c.Super != 4 {
			t.Errorf("%s: class %+v, %v", name, c, err)
		}
	}
}

func TestOutOfRange(t *testing.T) {
	files, err := Open(seed(35))
	if err != nil {
		t.Fatal(err)
	}
	f := files[0]
	for _, i := range []uint32{100, 0xffff, 1 << 31, math.MaxUint32} {
		if f.String(i) != "" || f.StringData(i) != nil || f.Type(i) != "" || f.TypeString(i) != NoIndex ||
			f.MethodName(i) != "" || f.FieldName(i) != "" || f.NumParams(i) != 0 || f.Param(i, 0) != NoIndex ||
			f.Method(i).Name != NoIndex || f.Field(i).Name != NoIndex || f.Proto(i).Return != NoIndex || f.MethodHandle(i).Index != NoIndex ||
			f.Class(int(i)).Type != NoIndex || f.Class(-1).Type != NoIndex {
			t.Errorf("index %#x was found", i)
		}
		if _, err := f.CallSite(i); err == nil {
			t.Errorf("call site %#x was found", i)
		}
		if _, err := f.Code(max(i, uint32(f.Size)-3)); err == nil {
			t.Errorf("code item at %#x was found", i)
		}
		c := ClassDef{Type: 1, Interfaces: i, Annotations: i, ClassData: i, StaticValues: i}
		if i >= uint32(f.Size) {
			var d ClassData
			if err := f.ClassData(c, &d); err == nil {
				t.Errorf("class data at %#x was found", i)
			}
			if _, err := f.StaticValues(c); err == nil {
				t.Errorf("static values at %#x were found", i)
			}
		}
	}
	for _, in := range []Insn{
		{Op: OpConstString, Index: 0xffff}, {Op: OpConstClass, Index: 0xffff}, {Op: OpIget, Index: 0xffff}, {Op: OpInvokeStatic, Index: 0xffff},
		{Op: OpConstMethodType, Index: 0xffff}, {Op: OpInvokePolymorphic, Index: 0xffff, Proto: 0xffff},
	} {
		if s := f.Disassemble(&in); !strings.Contains(s, "@ffff") {
			t.Errorf("%v: %q", in.Op, s)
		}
	}
}

func TestMUTF8(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"plain text, long enough":  "plain text, long enough",
		"\xc0\x80":                 "\x00",
		"\u00e9":                   "é",
		"日本":                       "日本",
		"\xed\xa0\xbd\xed\xb8\x80": "😀",
		"\xed\xb8\x80\xed\xa0\xbd": "\xed\xb8\x80\xed\xa0\xbd", // the wrong way round
		"a\xed\xa0\xbdb":           "a\xed\xa0\xbdb",
		"\xed\xa0\xbd\xed":         "\xed\xa0\xbd\xed",
		"😀":                        "😀",
		"\xc1\x81":                 "A", // overlong, as ART reads it
		"\xff\x80\xc3":             "\xff\x80\xc3",
		"\xe3\x81":                 "\xe3\x81",
	} {
		if got := decodeMUTF8([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLEB128(t *testing.T) {
	for in, want := range map[string][3]int64{ // unsigned, signed, length
		"\x00":                     {0, 0, 1},
		"\x7f":                     {127, -1, 1},
		"\x80\x7f":                 {16256, -128, 2},
		"\xff\xff\xff\xff\x0f":     {math.MaxUint32, -1, 5},
		"\xff\xff\xff\xff\xff\x01": {math.MaxUint32, -1, 5}, // ART reads five bytes and no more
		"\x80\x80":                 {0, 0, 0},
		"":                         {0, 0, 0},
	} {
		u, n := uleb([]byte(in))
		s, m := sleb([]byte(in))
		if got := [3]int64{int64(u), int64(s), int64(n)}; got != want || n != m {
			t.Errorf("%x: %v, want %v", in, got, want)
		}
	}
}

// A string's closing NUL counts, not its declared length, but it is not looked for without end.
func TestStringLength(t *testing.T) {
	data := seed(35)
	at := binary.LittleEndian.Uint32(data[headerSize+4*5:])
	data[at] = 3
	files, err := Open(data)
	if err != nil {
		t.Fatal(err)
	}
	if s := files[0].String(5); s != "Ljava/lang/Exception;" {
		t.Errorf("length too short: %q", s)
	}
	long := append(data, make([]byte, 1<<20)...)
	for i := len(data); i < len(long); i++ {
		long[i] = 1
	}
	binary.LittleEndian.PutUint32(long[headerSize+4*5:], uint32(len(data)))
	if files, err = Open(long); err != nil {
		t.Fatal(err)
	}
	if n := len(files[0].StringData(5)); n > 3+maxUnterminated {
		t.Errorf("%d bytes of a string without end", n)
	}
}

func TestValues(t *testing.T) {
	f := &File{}
	read := func(s string) (Value, error) {
		f.data = []byte("\x00\x01" + s)
		v, err := f.StaticValues(ClassDef{StaticValues: 1})
		if len(v) != 1 {
			return Value{}, err
		}
		return v[0], err
	}
	for in, want := range map[string]Value{
		"\x00\x80":                             {Kind: ValueByte, Int: -128},
		"\x22\x34\x92":                         {Kind: ValueShort, Int: -0x6dcc},
		"\x23\x34\x92":                         {Kind: ValueChar, Int: 0x9234},
		"\x44\x00\x00\x80":                     {Kind: ValueInt, Int: -0x800000},
		"\xe6\x01\x02\x03\x04\x05\x06\x07\x88": {Kind: ValueLong, Int: -0x77f8f9fafbfcfdff},
		"\x30\x80\x3f":                         {Kind: ValueFloat, Float: 1},
		"\x31\xf0\x3f":                         {Kind: ValueDouble, Float: 1},
		"\x38\x34\x12":                         {Kind: ValueType, Index: 0x1234},
		"\x1b\x07":                             {Kind: ValueEnum, Index: 7},
		"\x1e":                                 {Kind: ValueNull},
		"\x1f":                                 {Kind: ValueBoolean},
		"\x3f":                                 {Kind: ValueBoolean, Int: 1},
		"\x1c\x02\x00\x01\x1e":                 {Kind: ValueArray, Array: []Value{{Kind: ValueByte, Int: 1}, {Kind: ValueNull}}},
		"\x1d\x05\x01\x06\x04\x02":             {Kind: ValueAnnotation, Annotation: &Annotation{Type: 5, Elements: []Element{{6, Value{Kind: ValueInt, Int: 2}}}}},
	} {
		if got, err := read(in); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%x: %+v, %v, want %+v", in, got, err, want)
		}
	}
	for name, in := range map[string]string{
		"too long":       "\x20\x00\x00",
		"cut":            "\xe6\x01",
		"unknown":        "\x01\x00",
		"endless array":  "\x1c\xff\xff\xff\xff\x0f\x1e",
		"bomb":           "\x1c\xff\xff\xff\xff\x0f" + strings.Repeat("\x1e", 2*maxValues),
		"deep":           strings.Repeat("\x1c\x01", 1000),
		"deep annotated": strings.Repeat("\x1d\x00\x01\x00", 1000),
	} {
		if _, err := read(in); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestHiddenAccess(t *testing.T) {
	for in, want := range map[uint32]uint32{0x0: 0, 0x1: 1, 0x2: 2, 0x9: 9, 0x7: 0, 0x6: 1, 0x5: 2, 0x1000e: 0x10009} {
		if got := visibility(in); got != want {
			t.Errorf("%#x: %#x, want %#x", in, got, want)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	files, err := Open(seed(35))
	if err != nil {
		t.Fatal(err)
	}
	f := files[0]
	var d ClassData
	var in Insn
	n := 0
	walk := func() {
		c := f.Class(0)
		f.ClassData(c, &d)
		for _, m := range d.Direct {
			code, _ := f.Code(m.Code)
			for pc := uint32(0); in.Decode(code.Insns, pc) == nil; pc = in.Next {
				if in.Op.IsInvoke() {
					id := f.Method(in.Index)
					n += len(f.StringData(id.Name)) + int(f.Param(id.Proto, 0)) + int(in.Arg(0))
				}
				for range in.Switch(code.Insns) {
					n++
				}
			}
			for try := range f.Tries(code) {
				for range f.Handlers(try) {
					n++
				}
			}
		}
		for range f.Interfaces(c) {
			n++
		}
		for _, s := range f.MethodAnnotations(c) {
			for range f.AnnotationTypes(s) {
				n++
			}
		}
	}
	if got := testing.AllocsPerRun(100, walk); got != 0 {
		t.Errorf("%v allocations in a walk", got)
	}
}
