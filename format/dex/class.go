package dex

import (
	"iter"
	"math/bits"

	"gifthorse/internal/cursor"
)

// ClassData is what a class has: its members and where their code is.
type ClassData struct {
	StaticFields, InstanceFields []MemberField
	Direct, Virtual              []MemberMethod // direct: static, private and constructors
}

// A MemberField is a field a class declares.
type MemberField struct {
	Field  uint32 // index for File.Field
	Access uint32 // ACC_ flags
}

// A MemberMethod is a method a class declares.
type MemberMethod struct {
	Method uint32 // index for File.Method
	Access uint32 // ACC_ flags
	Code   uint32 // offset for File.Code; 0 if abstract or native
}

// maxMembers bounds each list of a class. Code can name 65,536 methods and fields; ART lets a field be listed twice
// (ClassLinker::LoadClass), but no class lists more members than its file has ids, so more is an attempt to cost memory.
const maxMembers = 1 << 16

// ClassData reads the members of c into d, whose slices are used again. A class without members gives empty slices.
// After an error d holds what was read before it.
func (f *File) ClassData(c ClassDef, d *ClassData) error {
	d.StaticFields, d.InstanceFields = d.StaticFields[:0], d.InstanceFields[:0]
	d.Direct, d.Virtual = d.Direct[:0], d.Virtual[:0]
	if c.ClassData == 0 {
		return nil
	}
	b := f.at(c.ClassData)
	var sizes [4]int
	for i := range sizes {
		v, n := uleb(b)
		if n == 0 {
			return f.cut(b, "class data")
		}
		b = b[n:]
		if v > maxMembers {
			return cursor.Errorf(f.off(b), "class with %d members of a kind", v)
		}
		sizes[i] = int(v)
	}
	var err error
	if d.StaticFields, b, err = f.memberFields(d.StaticFields, b, sizes[0]); err != nil {
		return err
	}
	if d.InstanceFields, b, err = f.memberFields(d.InstanceFields, b, sizes[1]); err != nil {
		return err
	}
	if d.Direct, b, err = f.memberMethods(d.Direct, b, sizes[2]); err != nil {
		return err
	}
	d.Virtual, _, err = f.memberMethods(d.Virtual, b, sizes[3])
	return err
}

func (f *File) memberFields(dst []MemberField, b []byte, n int) ([]MemberField, []byte, error) {
	var i uint32
	for ; n > 0; n-- {
		diff, n1 := uleb(b)
		access, n2 := uleb(b[n1:])
		if n1 == 0 || n2 == 0 {
			return dst, b, f.cut(b, "class data")
		}
		b = b[n1+n2:]
		i += diff
		dst = append(dst, MemberField{i, visibility(access)})
	}
	return dst, b, nil
}

func (f *File) memberMethods(dst []MemberMethod, b []byte, n int) ([]MemberMethod, []byte, error) {
	var i uint32
	for ; n > 0; n-- {
		diff, n1 := uleb(b)
		access, n2 := uleb(b[n1:])
		code, n3 := uleb(b[n1+n2:])
		if n1 == 0 || n2 == 0 || n3 == 0 {
			return dst, b, f.cut(b, "class data")
		}
		b = b[n1+n2+n3:]
		i += diff
		dst = append(dst, MemberMethod{i, visibility(access), code})
	}
	return dst, b, nil
}

// visibility undoes what Android 9 does to its boot class path: a hidden member has its three visibility bits flipped, so that more
// than one is set (art/libdexfile/dex/hidden_api_access_flags.h). No other class may have that. The second bit it sets, 0x20 (0x200 of a native
// method), has no other meaning there and is left.
func visibility(access uint32) uint32 {
	if bits.OnesCount32(access&7) > 1 {
		return access ^ 7
	}
	return access
}

// off is where b, a tail of the data section, starts.
func (f *File) off(b []byte) int64 { return int64(len(f.data) - len(b)) }

func (f *File) cut(b []byte, what string) error {
	if b == nil {
		return cursor.Errorf(int64(len(f.data)), "%s outside the file", what)
	}
	return cursor.Errorf(f.off(b), "%s ends here unfinished", what)
}

// Code is the body of a method.
type Code struct {
	Off       uint32 // of the code item
	Registers uint16 // how many; the arguments are in the last Ins of them
	Ins       uint16
	Outs      uint16
	NumTries  uint16
	Insns     []byte // 16-bit little-endian code units, for Insn.Decode
	InsnsOff  uint32 // of the first unit: the instruction at pc is at byte InsnsOff + 2*pc
	DebugInfo uint32 // offset, 0: none. VDEX files of Android 8 put offsets past the end of the DEX here, which lead to the real one
}

// Units returns the length of the code in 16-bit units.
func (c Code) Units() uint32 { return uint32(len(c.Insns) / 2) }

// Code reads the code item at off. Offset 0 gives an empty Code. In a compact DEX all offsets count from the start of
// the shared data section.
func (f *File) Code(off uint32) (Code, error) {
	if off == 0 {
		return Code{}, nil
	}
	if f.Compact {
		return f.compactCode(off)
	}
	b := f.at(off)
	if len(b) < 16 {
		return Code{}, cursor.Errorf(int64(off), "code item outside the file")
	}
	c := Code{
		Off:       off,
		Registers: le.Uint16(b),
		Ins:       le.Uint16(b[2:]),
		Outs:      le.Uint16(b[4:]),
		NumTries:  le.Uint16(b[6:]),
		InsnsOff:  off + 16,
		DebugInfo: le.Uint32(b[8:]),
	}
	n := 2 * uint64(le.Uint32(b[12:]))
	b = b[16:]
	if n > uint64(len(b)) {
		return Code{}, cursor.Errorf(int64(off)+12, "code of %d bytes, %d left in the file", n, len(b))
	}
	c.Insns = b[:n:n]
	return c, nil
}

// compactCode reads the code item of art/libdexfile/dex/compact_dex_file.h: four 4-bit counts, then eleven bits of length and five
// flags, each of which says that the rest of a count stands before the item.
func (f *File) compactCode(off uint32) (Code, error) {
	b := f.at(off)
	if len(b) < 4 {
		return Code{}, cursor.Errorf(int64(off), "code item outside the file")
	}
	fields, flags := le.Uint16(b), le.Uint16(b[2:])
	units := uint32(flags >> 5)
	c := Code{
		Off:       off,
		Registers: fields >> 12,
		Ins:       fields >> 8 & 15,
		Outs:      fields >> 4 & 15,
		NumTries:  fields & 15,
		InsnsOff:  off + 4,
	}
	pre := f.data[:off]
	short := false
	next := func() uint16 {
		if len(pre) < 2 {
			short = true
			return 0
		}
		v := le.Uint16(pre[len(pre)-2:])
		pre = pre[:len(pre)-2]
		return v
	}
	if flags&0x1f != 0 {
		if flags&0x10 != 0 {
			units += uint32(next())
			units += uint32(next()) << 16
		}
		if flags&0x01 != 0 {
			c.Registers += next()
		}
		if flags&0x02 != 0 {
			c.Ins += next()
		}
		if flags&0x04 != 0 {
			c.Outs += next()
		}
		if flags&0x08 != 0 {
			c.NumTries += next()
		}
	}
	if short {
		return Code{}, cursor.Errorf(int64(off), "code item without its preheader")
	}
	c.Registers += c.Ins // stored without the arguments
	b = b[4:]
	n := 2 * uint64(units)
	if n > uint64(len(b)) {
		return Code{}, cursor.Errorf(int64(off)+2, "code of %d bytes, %d left in the file", n, len(b))
	}
	c.Insns = b[:n:n]
	return c, nil
}

// A Try is a range of code with handlers. Start and End are in code units; End is the first after it. They are as the file has them
// and may lie outside the code.
type Try struct {
	Start, End uint32
	handlers   uint32 // offset, 0: outside the file
}

// A Handler catches Type, or everything if Type is NoIndex, and goes on at PC.
type Handler struct {
	Type uint32
	PC   uint32
}

// Tries yields the try ranges of c, in the order of the file, which is by address in what ART verified.
func (f *File) Tries(c Code) iter.Seq[Try] {
	return func(yield func(Try) bool) {
		if c.NumTries == 0 {
			return
		}
		first := (uint64(c.InsnsOff) + uint64(len(c.Insns)) + 3) &^ 3
		list := first + 8*uint64(c.NumTries)
		if list > uint64(len(f.data)) {
			return
		}
		for b := f.data[first:list]; len(b) >= 8; b = b[8:] {
			start := le.Uint32(b)
			t := Try{Start: start, End: start + uint32(le.Uint16(b[4:]))}
			if h := list + uint64(le.Uint16(b[6:])); h < uint64(len(f.data)) {
				t.handlers = uint32(h)
			}
			if !yield(t) {
				return
			}
		}
	}
}

// Handlers yields the handlers of t in the order they are tried; a catch-all comes last.
func (f *File) Handlers(t Try) iter.Seq[Handler] {
	return func(yield func(Handler) bool) {
		b := f.at(t.handlers)
		n, used := sleb(b)
		if used == 0 {
			return
		}
		b = b[used:]
		all := n <= 0
		if all {
			n = -n
		}
		// MinInt32 stays negative and yields nothing.
		for ; n > 0; n-- {
			typ, n1 := uleb(b)
			pc, n2 := uleb(b[n1:])
			if n1 == 0 || n2 == 0 {
				return
			}
			b = b[n1+n2:]
			if !yield(Handler{typ, pc}) {
				return
			}
		}
		if all {
			if pc, n := uleb(b); n > 0 {
				yield(Handler{NoIndex, pc})
			}
		}
	}
}

// DebugLines yields (pc, source line) pairs of c, pc never descending: the line holds from pc to the next pair's. Code without
// line numbers yields nothing. The lines are what the file says; obfuscators put anything there. A compact DEX gives an error that wraps
// errors.ErrUnsupported.
func (f *File) DebugLines(c Code) (iter.Seq2[uint32, uint32], error) {
	if f.Compact {
		return func(func(pc, line uint32) bool) {}, unsupported(int(c.Off), "line numbers of a compact DEX")
	}
	return func(yield func(pc, line uint32) bool) { f.debugLines(c, yield) }, nil
}

// Line returns the source line of the instruction at pc, 0 if it is not known.
func (f *File) Line(c Code, pc uint32) uint32 {
	var line uint32
	if !f.Compact {
		f.debugLines(c, func(at, l uint32) bool {
			if at > pc {
				return false
			}
			line = l
			return true
		})
	}
	return line
}

// debugLines runs the state machine of debug_info_item. It ends with the bytes, or when pc leaves the code.
func (f *File) debugLines(c Code, yield func(pc, line uint32) bool) {
	b := f.at(c.DebugInfo)
	ok := true
	next := func() uint32 {
		v, n := uleb(b)
		ok = ok && n > 0
		b = b[n:]
		return v
	}
	line := next()
	for range next() {
		if next(); !ok {
			return
		}
	}
	var pc uint32
	for ok && len(b) > 0 {
		op := b[0]
		b = b[1:]
		switch op {
		case 0x00: // DBG_END_SEQUENCE
			return
		case 0x01: // DBG_ADVANCE_PC
			pc += next()
		case 0x02: // DBG_ADVANCE_LINE
			v, n := sleb(b)
			ok = n > 0
			b = b[n:]
			line += uint32(v)
		case 0x03: // DBG_START_LOCAL: register, name, type
			next()
			next()
			next()
		case 0x04: // DBG_START_LOCAL_EXTENDED: and signature
			next()
			next()
			next()
			next()
		case 0x05, 0x06, 0x09: // DBG_END_LOCAL, DBG_RESTART_LOCAL, DBG_SET_FILE
			next()
		case 0x07, 0x08: // DBG_SET_PROLOGUE_END, DBG_SET_EPILOGUE_BEGIN
		default:
			line += uint32(int32(op-0x0a)%15 - 4)
			pc += uint32(op-0x0a) / 15
			if pc >= c.Units() || !yield(pc, line) {
				return
			}
		}
	}
}
