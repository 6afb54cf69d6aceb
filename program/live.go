package program

import "gifthorse/format/dex"

// The bodies for which it is worked out which registers are still read: all but what only an obfuscator makes.
const (
	maxLiveRegisters = 256
	maxLiveUnits     = 1 << 15
)

// forget clears in l what the block that begins at pc, and all behind it, does not read before it is written. What no
// instruction will see must not tell two ways to the block apart: half of what joins would find changed is such.
func (b *body) forget(l *local, pc uint32) {
	var in dex.Insn
	if in.Decode(b.code.Insns, pc) != nil {
		return
	}
	if in.Op != dex.OpMoveException {
		l.exc = value{}
	}
	if in.Op < dex.OpMoveResult || in.Op > dex.OpMoveResultObject {
		l.res = value{}
	}
	if b.live == nil {
		b.liveness()
	}
	live, ok := b.live[pc]
	if !ok {
		return
	}
	for i := range l.regs {
		if live[i/64]>>(i%64)&1 == 0 {
			l.regs[i] = value{}
		}
	}
}

// liveness works out, for every place where paths can meet, the set of registers that are read from there on before they are
// written: the usual iteration against the order of the code, over single instructions. A handler can be entered from
// each instruction of its range, before that has written anything. A long or double counts as its first register, where
// the interpreter keeps it.
func (b *body) liveness() {
	b.live = map[uint32][]uint64{}
	units := b.code.Units()
	if b.code.Registers > maxLiveRegisters || units > maxLiveUnits {
		return
	}
	words := (int(b.code.Registers) + 63) / 64
	type insn struct {
		pc, next uint32
		sets     int32 // register, or -1
		on       bool  // it goes on to next
		jumps    []uint32
	}
	var insns []insn
	var reads []uint64 // words for each instruction
	number := make([]int32, units)
	var in dex.Insn
	for pc := uint32(0); pc < units; pc = in.Next {
		if in.Decode(b.code.Insns, pc) != nil {
			break
		}
		if q, ok := b.quick[pc]; ok {
			in = q
		}
		x := insn{pc: pc, next: in.Next, sets: -1, on: in.Op.Continues()}
		switch {
		case in.Op.IsBranch():
			x.jumps = []uint32{in.Target}
		case in.Op.IsSwitch():
			for _, t := range in.Switch(b.code.Insns) {
				x.jumps = append(x.jumps, t)
			}
		}
		at := len(reads)
		for range words {
			reads = append(reads, 0)
		}
		read := func(reg uint32) {
			if i := int(reg / 64); i < words {
				reads[at+i] |= 1 << (reg % 64)
			}
		}
		readsA := registers(&in, read)
		if in.Op.SetsA() && !readsA {
			x.sets = int32(in.A)
		}
		insns = append(insns, x)
		number[pc] = int32(len(insns))
	}
	set := func(of []uint64, k int) []uint64 { return of[k*words : (k+1)*words] }
	live := make([]uint64, len(insns)*words)
	out := make([]uint64, words)
	add := func(pc uint32) {
		if pc < units && number[pc] > 0 {
			for i, w := range set(live, int(number[pc]-1)) {
				out[i] |= w
			}
		}
	}
	for changed := true; changed; {
		changed = false
		for k := len(insns) - 1; k >= 0; k-- {
			x := &insns[k]
			clear(out)
			if x.on {
				add(x.next)
			}
			for _, t := range x.jumps {
				add(t)
			}
			if x.sets >= 0 && int(x.sets/64) < words {
				out[x.sets/64] &^= 1 << (x.sets % 64)
			}
			for _, t := range b.tries {
				if x.pc >= t.start && x.pc < t.end {
					for _, h := range t.handlers {
						add(h)
					}
				}
			}
			to := set(live, k)
			for i, w := range set(reads, k) {
				if w |= out[i]; w != to[i] {
					to[i], changed = w, true
				}
			}
		}
	}
	for k, x := range insns {
		if b.leader[x.pc] {
			b.live[x.pc] = set(live, k)
		}
	}
}

// registers calls read with every register that an instruction reads, and reports whether A is among them.
func registers(in *dex.Insn, read func(uint32)) (a bool) {
	switch in.Op.Format() {
	case dex.Format35c, dex.Format3rc, dex.Format45cc, dex.Format4rcc:
		for k := range int(in.A) {
			read(in.Arg(k))
		}
		return true // A is their number
	case dex.Format12x, dex.Format22x, dex.Format32x, dex.Format22b, dex.Format22s, dex.Format22c, dex.Format22t:
		read(in.B)
	case dex.Format23x:
		read(in.B)
		read(in.C)
	case dex.Format10x, dex.Format10t, dex.Format20t, dex.Format30t:
		return true
	}
	if !in.Op.SetsA() || in.Op == dex.OpCheckCast || in.Op >= dex.OpAddInt2Addr && in.Op.Format() == dex.Format12x {
		read(in.A)
		return true
	}
	return false
}
