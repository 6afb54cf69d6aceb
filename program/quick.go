package program

import (
	"gifthorse/format/dex"
	"gifthorse/format/oat"
	"gifthorse/knowledge"
)

// quickRef is what a quickened call means.
type quickRef struct {
	class, sel Sym
	method     MethodID // 0 if the platform has it
}

// vtable resolves a place in a class's table of virtual methods. ART lays the table out as the
// superclass's table followed by the class's own new virtual methods in the order of its DEX (that of
// ClassLinker::LinkVirtualMethods), so the place is known where every class up to Object is: those of the
// evidence from their code, those of the platform only where knowledge has their whole table.
func (p *Program) vtable(sp int, class Sym, index uint32) (quickRef, bool) {
	sel, ok := p.vtableSel(sp, class, index, 0)
	if !ok {
		return quickRef{}, false
	}
	ref := quickRef{class: class, sel: sel}
	ref.method, _ = p.resolve(sp, class, sel)
	return ref, true
}

// vtableSel returns the selector at a place, which needs the tables of all ancestors.
func (p *Program) vtableSel(sp int, class Sym, index uint32, depth int) (Sym, bool) {
	table, ok := p.tableOf(sp, class, depth)
	if !ok || index >= uint32(len(table)) {
		return 0, false
	}
	return table[index], table[index] != 0
}

func (p *Program) tableOf(sp int, class Sym, depth int) ([]Sym, bool) {
	c := p.find(sp, class)
	if c == 0 {
		names, ok := knowledge.VirtualTable(p.syms.text[class], p.api)
		if !ok {
			return nil, false
		}
		t := make([]Sym, len(names))
		for i, n := range names {
			t[i] = p.syms.member(n)
		}
		return t, true
	}
	if depth > 32 {
		return nil, false
	}
	super, ok := p.tableOf(sp, p.classes[c].supSym, depth+1)
	if !ok {
		return nil, false
	}
	table := append([]Sym(nil), super...)
	for _, m := range p.virtualsInOrder(c) {
		sel := p.methods[m].sel
		over := false
		for i := range super {
			over = over || super[i] == sel && sel != 0
		}
		if !over {
			table = append(table, sel)
		}
	}
	return table, true
}

// virtualsInOrder returns a class's virtual methods as its DEX lists them: by method index.
func (p *Program) virtualsInOrder(c ClassID) []MethodID {
	var out []MethodID
	for m := p.classes[c].methods[0]; m < p.classes[c].methods[1]; m++ {
		mm := &p.methods[m]
		if name, _ := cutSel(p.syms.text[mm.sel]); mm.access&(accStatic|0x2) == 0 && name != "<init>" {
			out = append(out, m)
		}
	}
	for i := 1; i < len(out); i++ {
		for j := i; j > 0 && p.methods[out[j]].idx < p.methods[out[j-1]].idx; j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

// plain gives the ordinary opcode behind each that ART's quickening writes (art/runtime/dex_instruction_list.h).
var plain = map[dex.Op]dex.Op{
	dex.OpIgetQuick: dex.OpIget, dex.OpIgetWideQuick: dex.OpIgetWide, dex.OpIgetObjectQuick: dex.OpIgetObject,
	dex.OpIgetBooleanQuick: dex.OpIgetBoolean, dex.OpIgetByteQuick: dex.OpIgetByte, dex.OpIgetCharQuick: dex.OpIgetChar,
	dex.OpIgetShortQuick: dex.OpIgetShort,
	dex.OpIputQuick:      dex.OpIput, dex.OpIputWideQuick: dex.OpIputWide, dex.OpIputObjectQuick: dex.OpIputObject,
	dex.OpIputBooleanQuick: dex.OpIputBoolean, dex.OpIputByteQuick: dex.OpIputByte, dex.OpIputCharQuick: dex.OpIputChar,
	dex.OpIputShortQuick:     dex.OpIputShort,
	dex.OpInvokeVirtualQuick: dex.OpInvokeVirtual, dex.OpInvokeVirtualRangeQuick: dex.OpInvokeVirtualRange,
}

// restore turns a quickened instruction back into the one it was, taking the original index from the table of
// its method. It must be called for every instruction of the method, in order. It reports whether it did.
func restore(in *dex.Insn, info *oat.QuickInfo) bool {
	if in.Op == dex.OpNop || in.Op.IsPayload() {
		if reg, typ, ok := info.Nop(in.PC); ok {
			*in = dex.Insn{PC: in.PC, Next: in.PC + 2, Op: dex.OpCheckCast, A: uint32(reg), Index: uint32(typ)}
			return true
		}
		return false
	}
	op, quick := plain[in.Op]
	if !quick {
		return false
	}
	index, ok := info.Index(in.PC)
	if ok {
		in.Op, in.Index = op, uint32(index)
	}
	return ok
}

// quickInfo returns the original indexes of a method's code, if its file has a table of them.
func (d *dexFile) quickInfo(m *method) (oat.QuickInfo, bool) {
	if d.code.Quick == nil {
		return oat.QuickInfo{}, false
	}
	return d.code.Quick.Info(m.code, m.idx)
}
