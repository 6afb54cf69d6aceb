package dex

import (
	"errors"
	"iter"
)

// An Op is an opcode.
type Op uint8

// String returns the mnemonic: "invoke-virtual/range".
func (op Op) String() string { return ops[op].name }

// Format returns how the operands are laid out.
func (op Op) Format() Format { return ops[op].format }

// IndexKind returns what Insn.Index means.
func (op Op) IndexKind() IndexKind { return ops[op].index }

// IsInvoke reports whether op calls: the invoke ops, polymorphic, custom and quickened ones among them.
func (op Op) IsInvoke() bool { return ops[op].flags&invokes != 0 }

// IsBranch reports whether op is a goto or an if; Insn.Target is where it goes.
func (op Op) IsBranch() bool { return ops[op].flags&branches != 0 }

// IsSwitch reports whether op is packed-switch or sparse-switch; Insn.Target is its table.
func (op Op) IsSwitch() bool { return ops[op].flags&switches != 0 }

// IsReturn reports whether op returns.
func (op Op) IsReturn() bool { return ops[op].flags&returns != 0 }

// IsPayload reports whether op is a table or data, which is never executed.
func (op Op) IsPayload() bool { return op >= OpPackedSwitchPayload && op <= OpFillArrayDataPayload }

// IsQuick reports whether op is one of those ART writes when it quickens code.
func (op Op) IsQuick() bool {
	return op == OpReturnVoidNoBarrier || op >= OpIgetQuick && op <= OpIgetShortQuick
}

// CanThrow reports whether op can throw.
func (op Op) CanThrow() bool { return ops[op].flags&throws != 0 }

// Continues reports whether the next instruction can come after op: not after goto, return, throw, a payload or an unknown opcode.
func (op Op) Continues() bool { return ops[op].flags&(returns|stops) == 0 }

// SetsA reports whether op writes register A (and the one after it, if the value is wide).
func (op Op) SetsA() bool { return ops[op].flags&sets != 0 }

const (
	sets uint8 = 1 << iota
	throws
	returns
	stops
	branches
	switches
	invokes
)

type opInfo struct {
	name   string
	format Format
	index  IndexKind
	flags  uint8
}

// An IndexKind says which table Insn.Index counts in.
type IndexKind uint8

// The kinds of index.
const (
	IndexNone       IndexKind = iota
	IndexString               // File.String
	IndexType                 // File.Type
	IndexField                // File.Field
	IndexMethod               // File.Method; for invoke-polymorphic, Insn.Proto has the prototype
	IndexProto                // File.Proto
	IndexCallSite             // File.CallSite
	IndexHandle               // File.MethodHandle
	IndexQuickField           // byte offset of the field in its object, on the device that quickened
	IndexVtable               // place of the method in its class's vtable, on the device that quickened
)

// A Format is a layout of operands, named as in https://source.android.com/docs/core/runtime/instruction-formats: units, registers, kind.
type Format uint8

// The formats. Only those that ART knows.
const (
	Format10x Format = iota
	Format12x
	Format11n
	Format11x
	Format10t
	Format20t
	Format22x
	Format21t
	Format21s
	Format21h
	Format21c
	Format23x
	Format22b
	Format22t
	Format22s
	Format22c
	Format32x
	Format30t
	Format31t
	Format31i
	Format31c
	Format35c
	Format3rc
	Format45cc
	Format4rcc
	Format51l
)

var formatUnits = [...]uint8{
	1, 1, 1, 1, 1,
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
	3, 3, 3, 3, 3, 3, 3,
	4, 4, 5,
}

// shape is format and width of each opcode as it stands in code, one byte each so that the decoder touches little memory. An opcode that
// ART does not know is one unit wide (art: format 10x), and so are the pseudo opcodes, which in code are unknown ones.
var shape = func() (t [256]struct{ format, units uint8 }) {
	for i := range t {
		f := ops[i].format
		t[i].format, t[i].units = uint8(f), formatUnits[f]
		if ops[i].name == "" || Op(i).IsPayload() || Op(i) == OpUnused {
			t[i].format = uint8(formatUnused)
		}
	}
	return t
}()

const formatUnused = Format51l + 1

// An Insn is one decoded instruction. Fields its format does not have are zero.
type Insn struct {
	PC      uint32 // in 16-bit code units from the start of the method
	Next    uint32 // PC of the next instruction
	Op      Op
	A, B, C uint32    // registers. Invoke and filled-new-array: A is how many arguments there are, C the first register of a range
	Lit     int64     // literal, sign-extended; shifted for /high16
	Index   uint32    // see Op.IndexKind; the opcode byte for OpUnused
	Proto   uint32    // second index of invoke-polymorphic
	Target  uint32    // absolute PC of a branch's target or of a payload; may lie outside the code
	Args    [5]uint16 // registers of an invoke or filled-new-array that is not a range
}

// ErrTruncated is the error of Insn.Decode: the instruction or payload at Insn.PC runs past the end of its code.
var ErrTruncated = errors.New("dex: instruction runs past the end of its code")

// Decode reads the instruction at pc of insns (Code.Insns). It never allocates. After an error PC and, if there was room for it, Op are set
// and Next is PC.
//
// A payload is decoded as one pseudo instruction that ends where the payload ends, so that a linear walk passes over it. An opcode ART does
// not know becomes OpUnused, one unit wide; ART rejects classes that have one.
func (in *Insn) Decode(insns []byte, pc uint32) error {
	*in = Insn{PC: pc, Next: pc}
	off := 2 * uint64(pc)
	if off+2 > uint64(len(insns)) {
		return ErrTruncated
	}
	b := insns[off:]
	u := uint32(le.Uint16(b))
	op := Op(u)
	in.Op = op
	s := shape[op]
	if int(s.units)*2 > len(b) {
		return ErrTruncated
	}
	in.Next = pc + uint32(s.units)
	aa := u >> 8
	switch Format(s.format) {
	case Format10x:
		if aa != 0 && op == OpNop {
			return in.payload(b, aa)
		}
	case Format12x:
		in.A, in.B = aa&15, u>>12
	case Format11n:
		in.A, in.Lit = aa&15, int64(int16(u))>>12
	case Format11x:
		in.A = aa
	case Format10t:
		in.Target = pc + uint32(int8(aa))
	case Format20t:
		in.Target = pc + uint32(int16(le.Uint16(b[2:])))
	case Format22x:
		in.A, in.B = aa, uint32(le.Uint16(b[2:]))
	case Format21t:
		in.A, in.Target = aa, pc+uint32(int16(le.Uint16(b[2:])))
	case Format21s:
		in.A, in.Lit = aa, int64(int16(le.Uint16(b[2:])))
	case Format21h:
		in.A = aa
		in.Lit = int64(int16(le.Uint16(b[2:]))) << 16
		if op == OpConstWideHigh16 {
			in.Lit <<= 32
		}
	case Format21c:
		in.A, in.Index = aa, uint32(le.Uint16(b[2:]))
	case Format23x:
		in.A, in.B, in.C = aa, uint32(b[2]), uint32(b[3])
	case Format22b:
		in.A, in.B, in.Lit = aa, uint32(b[2]), int64(int8(b[3]))
	case Format22t:
		in.A, in.B, in.Target = aa&15, u>>12, pc+uint32(int16(le.Uint16(b[2:])))
	case Format22s:
		in.A, in.B, in.Lit = aa&15, u>>12, int64(int16(le.Uint16(b[2:])))
	case Format22c:
		in.A, in.B, in.Index = aa&15, u>>12, uint32(le.Uint16(b[2:]))
	case Format32x:
		in.A, in.B = uint32(le.Uint16(b[2:])), uint32(le.Uint16(b[4:]))
	case Format30t:
		in.Target = pc + le.Uint32(b[2:])
	case Format31t:
		in.A, in.Target = aa, pc+le.Uint32(b[2:])
	case Format31i:
		in.A, in.Lit = aa, int64(int32(le.Uint32(b[2:])))
	case Format31c:
		in.A, in.Index = aa, le.Uint32(b[2:])
	case Format35c:
		in.args(aa, b)
	case Format3rc:
		in.A, in.Index, in.C = aa, uint32(le.Uint16(b[2:])), uint32(le.Uint16(b[4:]))
	case Format45cc:
		in.args(aa, b)
		in.Proto = uint32(le.Uint16(b[6:]))
	case Format4rcc:
		in.A, in.Index, in.C = aa, uint32(le.Uint16(b[2:])), uint32(le.Uint16(b[4:]))
		in.Proto = uint32(le.Uint16(b[6:]))
	case Format51l:
		in.A, in.Lit = aa, int64(le.Uint64(b[2:]))
	case formatUnused:
		in.Op, in.Index = OpUnused, u&0xff
	}
	return nil
}

// args reads A|G op, BBBB, F|E|D|C. A count above five does not pass ART's verifier; five is all there is room for.
func (in *Insn) args(aa uint32, b []byte) {
	n := min(aa>>4, 5)
	in.A = n
	in.Index = uint32(le.Uint16(b[2:]))
	// The registers in order, four bits each, and nothing after the last.
	regs := (uint32(le.Uint16(b[4:])) | aa<<16) & (1<<(4*n) - 1)
	in.Args = [5]uint16{uint16(regs & 15), uint16(regs >> 4 & 15), uint16(regs >> 8 & 15), uint16(regs >> 12 & 15), uint16(regs >> 16)}
}

// payload reads the size of what a nop with an ident in its high byte announces. Any other ident is a plain nop.
func (in *Insn) payload(b []byte, ident uint32) error {
	var units uint64
	switch ident {
	case 1:
		in.Op = OpPackedSwitchPayload
		if len(b) < 4 {
			return in.truncated()
		}
		units = 4 + 2*uint64(le.Uint16(b[2:]))
	case 2:
		in.Op = OpSparseSwitchPayload
		if len(b) < 4 {
			return in.truncated()
		}
		units = 2 + 4*uint64(le.Uint16(b[2:]))
	case 3:
		in.Op = OpFillArrayDataPayload
		if len(b) < 8 {
			return in.truncated()
		}
		units = 4 + (uint64(le.Uint16(b[2:]))*uint64(le.Uint32(b[4:]))+1)/2
	default:
		return nil
	}
	if units > uint64(len(b))/2 {
		return in.truncated()
	}
	in.Next = in.PC + uint32(units)
	return nil
}

func (in *Insn) truncated() error {
	in.Next = in.PC
	return ErrTruncated
}

// Arg returns the register of argument k of an invoke or filled-new-array, range or not; 0 if there are not so many.
func (in *Insn) Arg(k int) uint32 {
	if k < 0 || uint64(k) >= uint64(in.A) {
		return 0
	}
	switch Format(shape[in.Op].format) {
	case Format3rc, Format4rcc:
		return in.C + uint32(k)
	case Format35c, Format45cc:
		if k < len(in.Args) {
			return uint32(in.Args[k])
		}
	}
	return 0
}

// Switch yields the (key, target) pairs of the switch in, target being an absolute PC that may lie outside the code. It ends early where
// insns ends, and yields nothing if there is no table of the right kind at in.Target.
func (in *Insn) Switch(insns []byte) iter.Seq2[int32, uint32] {
	return func(yield func(int32, uint32) bool) {
		b := in.target(insns)
		if len(b) < 4 {
			return
		}
		n := int(le.Uint16(b[2:]))
		switch {
		case in.Op == OpPackedSwitch && le.Uint16(b) == 0x0100 && len(b) >= 8:
			key := int32(le.Uint32(b[4:]))
			for b = b[8:]; n > 0 && len(b) >= 4; n-- {
				if !yield(key, in.PC+le.Uint32(b)) {
					return
				}
				key++
				b = b[4:]
			}
		case in.Op == OpSparseSwitch && le.Uint16(b) == 0x0200:
			keys := b[4:]
			if len(keys) < 4*n {
				return
			}
			targets := keys[4*n:]
			for i := range min(n, len(targets)/4) {
				if !yield(int32(le.Uint32(keys[4*i:])), in.PC+le.Uint32(targets[4*i:])) {
					return
				}
			}
		}
	}
}

// FillArray returns the data of the fill-array-data in: elements of width bytes, little-endian. 0 and nil if the data is not there.
func (in *Insn) FillArray(insns []byte) (width int, data []byte) {
	b := in.target(insns)
	if in.Op != OpFillArrayData || len(b) < 8 || le.Uint16(b) != 0x0300 {
		return 0, nil
	}
	width = int(le.Uint16(b[2:]))
	n := uint64(width) * uint64(le.Uint32(b[4:]))
	b = b[8:]
	if n > uint64(len(b)) {
		return 0, nil
	}
	return width, b[:n:n]
}

func (in *Insn) target(insns []byte) []byte {
	off := 2 * uint64(in.Target)
	if off >= uint64(len(insns)) {
		return nil
	}
	return insns[off:]
}
