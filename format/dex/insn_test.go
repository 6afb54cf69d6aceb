package dex

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"reflect"
	"testing"
)

func units(u ...uint16) []byte {
	var b []byte
	for _, v := range u {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

// One instruction of each format, by hand from the instruction-formats page.
var formatTests = []struct {
	code []uint16
	want Insn // PC is 2 throughout
	text string
}{
	{[]uint16{0x0000}, Insn{Op: OpNop, Next: 3}, "nop"},
	{[]uint16{0x0400}, Insn{Op: OpNop, Next: 3}, "nop"},
	{[]uint16{0x0073}, Insn{Op: OpReturnVoidNoBarrier, Next: 3}, "return-void-no-barrier"},
	{[]uint16{0xba01}, Insn{Op: OpMove, Next: 3, A: 10, B: 11}, "move v10, v11"},
	{[]uint16{0x8a12}, Insn{Op: OpConst4, Next: 3, A: 10, Lit: -8}, "const/4 v10, -0x8"},
	{[]uint16{0xab0f}, Insn{Op: OpReturn, Next: 3, A: 0xab}, "return v171"},
	{[]uint16{0xff28}, Insn{Op: OpGoto, Next: 3, Target: 1}, "goto :0001"},
	{[]uint16{0x0029, 0xfffe}, Insn{Op: OpGoto16, Next: 4, Target: 0}, "goto/16 :0000"},
	{[]uint16{0x002a, 0x0000, 0x0001}, Insn{Op: OpGoto32, Next: 5, Target: 0x10002}, "goto/32 :10002"},
	{[]uint16{0xab02, 0x1234}, Insn{Op: OpMoveFrom16, Next: 4, A: 0xab, B: 0x1234}, "move/from16 v171, v4660"},
	{[]uint16{0xab38, 0x0010}, Insn{Op: OpIfEqz, Next: 4, A: 0xab, Target: 0x12}, "if-eqz v171, :0012"},
	{[]uint16{0xab13, 0x8000}, Insn{Op: OpConst16, Next: 4, A: 0xab, Lit: -0x8000}, "const/16 v171, -0x8000"},
	{[]uint16{0xab15, 0x8001}, Insn{Op: OpConstHigh16, Next: 4, A: 0xab, Lit: -0x7fff0000}, "const/high16 v171, -0x7fff0000"},
	{[]uint16{0xab19, 0x8001}, Insn{Op: OpConstWideHigh16, Next: 4, A: 0xab, Lit: -0x7fff000000000000}, "const-wide/high16 v171, -0x7fff000000000000"},
	{[]uint16{0xab1a, 0xffff}, Insn{Op: OpConstString, Next: 4, A: 0xab, Index: 0xffff}, "const-string v171, string@ffff"},
	{[]uint16{0xab2d, 0x0201}, Insn{Op: OpCmplFloat, Next: 4, A: 0xab, B: 1, C: 2}, "cmpl-float v171, v1, v2"},
	{[]uint16{0xabd8, 0xfe01}, Insn{Op: OpAddIntLit8, Next: 4, A: 0xab, B: 1, Lit: -2}, "add-int/lit8 v171, v1, -0x2"},
	{[]uint16{0xba32, 0xfffe}, Insn{Op: OpIfEq, Next: 4, A: 10, B: 11, Target: 0}, "if-eq v10, v11, :0000"},
	{[]uint16{0xbad0, 0x8000}, Insn{Op: OpAddIntLit16, Next: 4, A: 10, B: 11, Lit: -0x8000}, "add-int/lit16 v10, v11, -0x8000"},
	{[]uint16{0xba52, 0xfedc}, Insn{Op: OpIget, Next: 4, A: 10, B: 11, Index: 0xfedc}, "iget v10, v11, field@fedc"},
	{[]uint16{0xbae5, 0x0018}, Insn{Op: OpIgetObjectQuick, Next: 4, A: 10, B: 11, Index: 0x18}, "iget-object-quick v10, v11, offset@0018"},
	{[]uint16{0x0003, 0x1234, 0xfedc}, Insn{Op: OpMove16, Next: 5, A: 0x1234, B: 0xfedc}, "move/16 v4660, v65244"},
	{[]uint16{0xab2b, 0xfffe, 0xffff}, Insn{Op: OpPackedSwitch, Next: 5, A: 0xab, Target: 0}, "packed-switch v171, :0000"},
	{[]uint16{0xab14, 0x0000, 0x8000}, Insn{Op: OpConst, Next: 5, A: 0xab, Lit: math.MinInt32}, "const v171, -0x80000000"},
	{[]uint16{0xab1b, 0x5678, 0x8234}, Insn{Op: OpConstStringJumbo, Next: 5, A: 0xab, Index: 0x82345678}, "const-string/jumbo v171, string@82345678"},
	{[]uint16{0x5671, 0xfedc, 0x4321}, Insn{Op: OpInvokeStatic, Next: 5, A: 5, Index: 0xfedc, Args: [5]uint16{1, 2, 3, 4, 6}}, "invoke-static {v1, v2, v3, v4, v6}, method@fedc"},
	{[]uint16{0x2671, 0xfedc, 0x4321}, Insn{Op: OpInvokeStatic, Next: 5, A: 2, Index: 0xfedc, Args: [5]uint16{1, 2}}, "invoke-static {v1, v2}, method@fedc"},
	{[]uint16{0xf671, 0xfedc, 0x4321}, Insn{Op: OpInvokeStatic, Next: 5, A: 5, Index: 0xfedc, Args: [5]uint16{1, 2, 3, 4, 6}}, "invoke-static {v1, v2, v3, v4, v6}, method@fedc"},
	{[]uint16{0x10e9, 0x0007, 0x0003}, Insn{Op: OpInvokeVirtualQuick, Next: 5, A: 1, Index: 7, Args: [5]uint16{3}}, "invoke-virtual-quick {v3}, vtable@0007"},
	{[]uint16{0x0324, 0xfedc, 0x0000}, Insn{Op: OpFilledNewArray, Next: 5, Index: 0xfedc}, "filled-new-array {}, type@fedc"},
	{[]uint16{0x0374, 0xfedc, 0x1234}, Insn{Op: OpInvokeVirtualRange, Next: 5, A: 3, Index: 0xfedc, C: 0x1234}, "invoke-virtual/range {v4660 .. v4662}, method@fedc"},
	{[]uint16{0x00fd, 0x0001, 0x0000}, Insn{Op: OpInvokeCustomRange, Next: 5, Index: 1}, "invoke-custom/range {}, call_site@0001"},
	{[]uint16{0x20fa, 0xfedc, 0x0021, 0x0009}, Insn{Op: OpInvokePolymorphic, Next: 6, A: 2, Index: 0xfedc, Proto: 9, Args: [5]uint16{1, 2}}, "invoke-polymorphic {v1, v2}, method@fedc, ()"},
	{[]uint16{0x02fb, 0xfedc, 0x0021, 0x0009}, Insn{Op: OpInvokePolymorphicRange, Next: 6, A: 2, Index: 0xfedc, C: 0x21, Proto: 9}, "invoke-polymorphic/range {v33 .. v34}, method@fedc, ()"},
	{[]uint16{0xabfe, 0x0001}, Insn{Op: OpConstMethodHandle, Next: 4, A: 0xab, Index: 1}, "const-method-handle v171, method_handle@0001"},
	{[]uint16{0xab18, 0x7788, 0x5566, 0x3344, 0x9122}, Insn{Op: OpConstWide, Next: 7, A: 0xab, Lit: -0x6eddccbbaa998878}, "const-wide v171, -0x6eddccbbaa998878"},
	{[]uint16{0x1241}, Insn{Op: OpUnused, Next: 3, Index: 0x41}, "unused op41"},
	{[]uint16{0x12f9}, Insn{Op: OpUnused, Next: 3, Index: 0xf9}, "unused opf9"},
	{[]uint16{0x0100, 0x0001, 0x0005, 0x0000, 0x0007, 0x0000}, Insn{Op: OpPackedSwitchPayload, Next: 8}, "packed-switch-payload"},
	{[]uint16{0x0200, 0x0001, 0x0005, 0x0000, 0x0007, 0x0000}, Insn{Op: OpSparseSwitchPayload, Next: 8}, "sparse-switch-payload"},
	{[]uint16{0x0300, 0x0001, 0x0003, 0x0000, 0x0201, 0x0003}, Insn{Op: OpFillArrayDataPayload, Next: 8}, "fill-array-data-payload"},
}

func TestDecode(t *testing.T) {
	var f File
	seen := map[Format]bool{}
	for _, tt := range formatTests {
		code := append(units(0, 0), units(tt.code...)...)
		in := Insn{Lit: 1, Proto: 2, Args: [5]uint16{9, 9, 9, 9, 9}} // left over from the one before
		tt.want.PC = 2
		if err := in.Decode(code, 2); err != nil || !reflect.DeepEqual(in, tt.want) {
			t.Errorf("%04x: %v\n got %+v\nwant %+v", tt.code, err, in, tt.want)
		}
		if got := f.Disassemble(&in); got != tt.text {
			t.Errorf("%04x: %q, want %q", tt.code, got, tt.text)
		}
		for k := range 7 {
			want := uint32(0)
			switch fm := tt.want.Op.Format(); {
			case k >= int(tt.want.A) || fm != Format35c && fm != Format45cc && fm != Format3rc && fm != Format4rcc:
			case fm == Format3rc || fm == Format4rcc:
				want = tt.want.C + uint32(k)
			default:
				want = uint32(tt.want.Args[k])
			}
			if got := in.Arg(k); got != want {
				t.Errorf("%s: argument %d is v%d, want v%d", tt.text, k, got, want)
			}
		}
		seen[tt.want.Op.Format()] = true
		for n := 4; n < len(code); n++ { // cut short anywhere
			if err := in.Decode(code[:n], 2); !errors.Is(err, ErrTruncated) || in.Next != 2 || in.PC != 2 {
				t.Errorf("%s in %d bytes: %v, next %d", tt.text, n, err, in.Next)
			}
		}
	}
	for op := range 256 {
		if f := Op(op).Format(); !seen[f] {
			t.Errorf("no test of the format of %v", Op(op))
		}
	}
	var in Insn
	for _, pc := range []uint32{1, 2, 0x7fffffff, 0x80000000, math.MaxUint32} {
		if err := in.Decode(units(0), pc); !errors.Is(err, ErrTruncated) {
			t.Errorf("pc %#x: %v", pc, err)
		}
	}
}

func TestOps(t *testing.T) {
	count := map[string]int{}
	for i := range 256 {
		op := Op(i)
		for name, is := range map[string]bool{
			"named": op.String() != "", "invoke": op.IsInvoke(), "branch": op.IsBranch(), "switch": op.IsSwitch(), "return": op.IsReturn(),
			"payload": op.IsPayload(), "quick": op.IsQuick(), "ends": op.String() != "" && !op.Continues(),
		} {
			if is {
				count[name]++
			}
		}
		if op.SetsA() && (op.IsBranch() || op.IsReturn() || op.IsInvoke()) {
			t.Errorf("%v sets a register", op)
		}
		if op.IsInvoke() && !op.CanThrow() {
			t.Errorf("%v cannot throw", op)
		}
	}
	want := map[string]int{
		"named":  241 + 4, // 256 less the 15 ART does not know (without 0x73 and the quick ones), and four pseudo opcodes in their place
		"invoke": 16, "branch": 15, "switch": 2, "return": 5, "payload": 3, "quick": 17,
		"ends": 5 + 1 + 3 + 4, // return, throw, goto, pseudo
	}
	if !maps.Equal(count, want) {
		t.Errorf("got  %v\nwant %v", count, want)
	}
}

func TestSwitch(t *testing.T) {
	collect := func(code []byte) map[int32]uint32 {
		var in Insn
		if err := in.Decode(code, 0); err != nil {
			t.Fatal(err)
		}
		return maps.Collect(in.Switch(code))
	}
	packed := units(0x002b, 4, 0, 0x000e, 0x0100, 2, 0xffff, 0x7fff, 3, 0, 0xffff, 0xffff)
	sparse := units(0x002c, 4, 0, 0x000e, 0x0200, 2, 0xffff, 0xffff, 5, 0, 3, 0, 0xffff, 0xffff)
	for _, tt := range []struct {
		name string
		code []byte
		want map[int32]uint32
	}{
		{"packed, keys wrap", packed, map[int32]uint32{math.MaxInt32: 3, math.MinInt32: math.MaxUint32}},
		{"packed, cut", packed[:len(packed)-1], map[int32]uint32{math.MaxInt32: 3}},
		{"packed, no table", packed[:10], nil},
		{"sparse", sparse, map[int32]uint32{-1: 3, 5: math.MaxUint32}},
		{"sparse, cut", sparse[:len(sparse)-1], map[int32]uint32{-1: 3}},
		{"sparse, keys cut", sparse[:18], nil},
		{"no switch", units(0x000e), nil},
		{"table of the other kind", append(units(0x002c), packed[2:]...), nil},
		{"target outside", units(0x002b, 0xffff, 0x7fff), nil},
		{"target before the code", units(0x002b, 0xffff, 0xffff), nil},
	} {
		if got := collect(tt.code); !maps.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestFillArray(t *testing.T) {
	code := units(0x0026, 4, 0, 0x000e, 0x0300, 2, 3, 0, 1, 2, 3)
	for _, tt := range []struct {
		code  []byte
		width int
		data  []byte
	}{
		{code, 2, units(1, 2, 3)},
		{code[:len(code)-1], 0, nil},
		{units(0x0026, 4, 0, 0x000e, 0x0300, 0xffff, 0xffff, 0xffff), 0, nil},
		{units(0x000e), 0, nil},
	} {
		var in Insn
		if err := in.Decode(tt.code, 0); err != nil {
			t.Fatal(err)
		}
		if w, d := in.FillArray(tt.code); w != tt.width || !reflect.DeepEqual(d, tt.data) {
			t.Errorf("%x: width %d, %x", tt.code, w, d)
		}
	}
}
