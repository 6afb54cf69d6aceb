package program

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gifthorse/format/dex"
	"gifthorse/knowledge"
)

// A flow is the code of one method with the ways through it. Instructions are numbered.
type flow struct {
	m     MethodID
	d     *dexFile
	code  dex.Code
	insns []dex.Insn
	byPC  []int32 // number plus one
	tries []tryRange
	into  [][]int // from where an instruction is reached
}

func (p *Program) flow(m MethodID) *flow {
	mm := &p.methods[m]
	d := &p.dexes[mm.dex]
	code, err := d.Code(mm.code)
	if err != nil || mm.code == 0 || code.Ins > code.Registers {
		return nil
	}
	f := &flow{m: m, d: d, code: code, byPC: make([]int32, code.Units())}
	info, quick := d.quickInfo(mm)
	var in dex.Insn
	for pc := uint32(0); pc < code.Units() && in.Decode(code.Insns, pc) == nil; pc = in.Next {
		if quick {
			restore(&in, &info)
		}
		f.insns = append(f.insns, in)
		f.byPC[pc] = int32(len(f.insns))
	}
	if code.NumTries > 0 {
		for t := range d.Tries(code) {
			tr := tryRange{start: t.Start, end: t.End}
			for h := range d.Handlers(t) {
				tr.handlers = append(tr.handlers, h.PC)
				tr.types = append(tr.types, d.typeSym(h.Type))
			}
			f.tries = append(f.tries, tr)
		}
	}
	return f
}

// shape returns what of a method's flow its arguments need.
func (p *Program) shape(m MethodID) *flow {
	f := &flow{m: m, d: &p.dexes[p.methods[m].dex]}
	if c, err := f.d.Code(p.methods[m].code); err == nil && p.methods[m].code != 0 && c.Ins <= c.Registers {
		f.code = c
	}
	return f
}

func (t *tracer) flow(m MethodID) *flow {
	f, ok := t.flows[m]
	if !ok {
		if int(m) < len(t.p.methods) && m != 0 {
			f = t.p.flow(m)
		}
		t.flows[m] = f
	}
	return f
}

// at returns the number of the instruction at pc, or -1.
func (f *flow) at(pc uint32) int {
	if pc >= uint32(len(f.byPC)) {
		return -1
	}
	return int(f.byPC[pc]) - 1
}

// succs returns what comes after an instruction that ends without an exception: of a comparison first what comes next, then where it jumps.
func (f *flow) succs(i int) (out []int) {
	in := &f.insns[i]
	add := func(pc uint32) {
		if k := f.at(pc); k >= 0 {
			out = append(out, k)
		}
	}
	if in.Op.Continues() {
		add(in.Next)
	}
	if in.Op.IsBranch() {
		add(in.Target)
	} else if in.Op.IsSwitch() {
		for _, pc := range in.Switch(f.code.Insns) {
			add(pc)
		}
	}
	return out
}

// handlersOf returns where exceptions of an instruction may be caught.
func (f *flow) handlersOf(i int) (out []int) {
	for _, t := range f.tries {
		if pc := f.insns[i].PC; pc >= t.start && pc < t.end {
			for _, h := range t.handlers {
				if k := f.at(h); k >= 0 {
					out = append(out, k)
				}
			}
		}
	}
	return out
}

// preds returns from where an instruction is reached, exceptions included.
func (f *flow) preds(i int) []int {
	if f.into == nil {
		f.into = make([][]int, len(f.insns))
		for k := range f.insns {
			next := f.succs(k)
			if f.insns[k].Op.CanThrow() {
				next = append(next, f.handlersOf(k)...)
			}
			for _, n := range next {
				f.into[n] = append(f.into[n], k)
			}
		}
	}
	return f.into[i]
}

// reached tells which instructions can run, given how comparisons go that are known.
func (f *flow) reached(decided func(i int) (jumps, known bool)) []bool {
	return f.walk([]int{0}, func(i int) []int {
		next := f.succs(i)
		if jumps, known := decided(i); known && len(next) == 2 {
			next = next[b2i(jumps):][:1]
		}
		if f.insns[i].Op.CanThrow() {
			next = append(next, f.handlersOf(i)...)
		}
		return next
	})
}

// from tells which instructions come after some, leaving out exceptions.
func (f *flow) from(start []int) []bool { return f.walk(start, f.succs) }

func (f *flow) walk(todo []int, next func(i int) []int) []bool {
	seen := make([]bool, len(f.insns))
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		if todo = todo[:len(todo)-1]; i < len(seen) && !seen[i] {
			seen[i] = true
			todo = append(todo, next(i)...)
		}
	}
	return seen
}

// back calls yield for each instruction that may have set a register before pc, and with nil if the method is entered with it.
// It ends when yield returns false; where the way back is too long, with an instruction that says nothing. A check-cast counts as setting: it says the type.
func (f *flow) back(pc, reg uint32, yield func(in *dex.Insn, i int) bool) {
	start := f.at(pc)
	if start < 0 {
		return
	}
	seen := map[int]bool{}
	unknown := dex.Insn{}
	todo := []int{start}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if i == 0 && !yield(nil, -1) {
			return
		}
		for _, k := range f.preds(i) {
			if seen[k] {
				continue
			}
			if seen[k] = true; len(seen) > maxBack {
				yield(&unknown, k)
				return
			}
			if in := &f.insns[k]; in.A == reg && (in.Op.SetsA() || in.Op == dex.OpCheckCast) {
				if !yield(in, k) {
					return
				}
				continue
			}
			todo = append(todo, k)
		}
	}
}

// maxBack bounds the way back to where a register was set; compilers keep a value that long only in methods of thousands of instructions.
const maxBack = 4000

// argument returns which argument a register holds when the method is entered (the receiver is 0), or -1.
func (f *flow) argument(p *Program, reg uint32) int {
	for k := 0; ; k++ {
		r, ok := f.entry(p, k)
		if !ok {
			return -1
		}
		if r == reg {
			return k
		}
	}
}

// word returns at which place of a call's registers argument k stands.
func (f *flow) word(p *Program, k int) uint32 {
	r, _ := f.entry(p, k)
	return r - uint32(f.code.Registers-f.code.Ins)
}

// entry returns the register that holds argument k when the method is entered.
func (f *flow) entry(p *Program, k int) (uint32, bool) {
	r := uint32(f.code.Registers - f.code.Ins)
	mm := &p.methods[f.m]
	if mm.access&accStatic == 0 {
		if k == 0 {
			return r, true
		}
		k--
		r++
	}
	_, proto := cutSel(p.syms.text[mm.sel])
	for t := range params(proto) {
		if k == 0 {
			return r, true
		}
		k--
		r++
		if t == "J" || t == "D" {
			r++
		}
	}
	return 0, false
}

// param returns the declared type of the argument that a register holds when the method is entered, or 0.
func (f *flow) param(p *Program, reg uint32) Sym {
	k := f.argument(p, reg)
	mm := &p.methods[f.m]
	if k < 0 {
		return 0
	}
	if mm.access&accStatic == 0 {
		if k == 0 {
			return p.classes[mm.class].name
		}
		k--
	}
	_, proto := cutSel(p.syms.text[mm.sel])
	for t := range params(proto) {
		if k == 0 {
			return p.syms.ids[t]
		}
		k--
	}
	return 0
}

// judge returns the first of the methods sels as class c has it if all of them that c has let everybody in, else 0.
func (p *Program) judge(c ClassID, kind TLSKind, sels []string) (body MethodID) {
	for i, s := range sels {
		m := MethodID(0)
		if sel := p.syms.member(s); sel != 0 {
			m = p.dispatch(c, sel)
		}
		if m == 0 || p.methods[m].code == 0 {
			if i == 0 {
				return 0
			}
			continue
		}
		j := judge{p: p, kind: kind, sp: p.dexes[p.classes[c].dex].space}
		if !j.letsIn(m) {
			return 0
		}
		if i == 0 {
			body = m
		}
	}
	return body
}

// A judge walks all ways through a body that decides who is at the other end, and asks whether an attacker, who chooses the
// certificate, is let in whatever else is the case: a decision on what he chooses may go as he likes, any other must end well
// both ways. He chooses how many certificates he sends and what they say, but cannot choose what a call makes of them; of a
// page's error he can choose that nobody trusted signed (3), or that the name is another (2): see android.net.http.SslError.
//
// What is not followed counts against the hole: a call that gets the certificates and is not known to be harmless may refuse
// them, or keep them for a later check.
type judge struct {
	p     *Program
	sp    int
	kind  TLSKind
	error int64 // the primary error, for a page
	steps int
	depth int
}

// The limits of a judge: such bodies are short. The longest judged on five phones took 400 steps.
const (
	maxJudge     = 20000
	maxJudgeRegs = 64
	maxJudgeDeep = 4
)

// A thing is what a register holds.
type thing struct {
	kind  thingKind
	n     int64
	class Sym
	his   bool // it is the attacker's, or made of what is his
}

type thingKind uint8

const (
	thingAny thingKind = iota
	thingNumber
	thingObject // not null
	thingChain  // the certificates: at least one
	thingLength // how many there are
	thingHandler
)

// A way is a place in a body with what is known there.
type way struct {
	regs   []thing
	res    thing
	lo, hi int64 // how many certificates there can be
	doubt  bool  // something has refused; what is kept from here on may be that
}

type judged struct {
	f      *flow
	on     map[string]bool // places on the present way
	result thing
	did    bool
	top    bool
}

func (j *judge) letsIn(m MethodID) bool {
	f := j.p.flow(m)
	if f == nil {
		return false
	}
	try := func() bool {
		args := []thing{{kind: thingObject, class: j.p.classes[j.p.methods[m].class].name}}
		_, proto := cutSel(j.p.syms.text[j.p.methods[m].sel])
		for t := range params(proto) {
			a := thing{class: j.p.syms.ids[t], his: true}
			switch t {
			case "[Ljava/security/cert/X509Certificate;":
				a.kind = thingChain
			case "Landroid/webkit/SslErrorHandler;":
				a.kind = thingHandler
			default:
				a.kind = thingObject
			}
			args = append(args, a)
		}
		ok, _ := j.run(m, args, 1, math.MaxInt32, true)
		return ok
	}
	if j.kind != HolePage {
		return try()
	}
	for _, j.error = range []int64{3, 2} {
		if try() {
			return true
		}
	}
	return false
}

// run judges a method. For a page ok means that it loads it on all ways; else that it never throws and keeps nothing.
func (j *judge) run(m MethodID, args []thing, lo, hi int64, top bool) (ok bool, result thing) {
	f := j.p.flow(m)
	if f == nil || f.code.Registers > maxJudgeRegs || j.depth > maxJudgeDeep || len(f.insns) == 0 {
		return false, thing{}
	}
	j.depth++
	defer func() { j.depth-- }()
	w := way{regs: make([]thing, f.code.Registers), lo: lo, hi: hi}
	for k, a := range args {
		if r, ok := f.entry(j.p, k); ok && r < uint32(len(w.regs)) {
			w.regs[r] = a
		}
	}
	g := &judged{f: f, on: map[string]bool{}, top: top}
	ok = j.walk(g, 0, w)
	return ok, g.result
}

func (j *judge) walk(g *judged, i int, w way) bool {
	f, d := g.f, g.f.d
	var marks []string
	defer func() {
		for _, m := range marks {
			delete(g.on, m)
		}
	}()
	reg := func(r uint32) thing {
		if r < uint32(len(w.regs)) {
			return w.regs[r]
		}
		return thing{}
	}
	set := func(r uint32, v thing) {
		if r < uint32(len(w.regs)) {
			w.regs[r] = v
		}
	}
	for {
		if j.steps++; j.steps > maxJudge || i < 0 {
			return false
		}
		if len(f.preds(i)) > 1 {
			key := fmt.Sprint(i, w)
			if g.on[key] {
				return j.kind != HolePage // round and round: it refuses nothing, and loads nothing
			}
			g.on[key] = true
			marks = append(marks, key)
		}
		in := &f.insns[i]
		next := f.at(in.Next)
		switch op := in.Op; {
		case op >= dex.OpMove && op <= dex.OpMoveObject16:
			set(in.A, reg(in.B))
		case op >= dex.OpMoveResult && op <= dex.OpMoveResultObject:
			set(in.A, w.res)
		case op == dex.OpMoveException:
			set(in.A, thing{kind: thingObject, his: true})
		case op.IsReturn():
			if j.kind == HolePage {
				return false
			}
			if op == dex.OpReturnVoid || op == dex.OpReturnVoidNoBarrier {
				return true
			}
			v := reg(in.A)
			if g.top {
				return v.kind == thingNumber && v.n != 0
			}
			if g.did && (g.result.kind != v.kind || g.result.n != v.n || g.result.class != v.class) {
				v = thing{his: v.his || g.result.his}
			}
			g.result, g.did = v, true
			return true
		case op >= dex.OpConst4 && op <= dex.OpConstWideHigh16:
			set(in.A, thing{kind: thingNumber, n: in.Lit})
		case op == dex.OpConstString || op == dex.OpConstStringJumbo:
			set(in.A, thing{kind: thingObject, class: j.p.syms.ids["Ljava/lang/String;"]})
		case op == dex.OpNewInstance || op == dex.OpNewArray:
			set(in.A, thing{kind: thingObject, class: d.typeSym(in.Index)})
		case op == dex.OpFilledNewArray || op == dex.OpFilledNewArrayRange:
			w.res = thing{kind: thingObject}
			for k := range int(in.A) {
				w.res.his = w.res.his || reg(in.Arg(k)).his
			}
		case op == dex.OpCheckCast:
			if v := reg(in.A); v.kind <= thingObject && v.kind != thingNumber {
				v.class = d.typeSym(in.Index)
				set(in.A, v)
			}
		case op == dex.OpArrayLength:
			if reg(in.B).kind == thingChain {
				set(in.A, thing{kind: thingLength, his: true})
			} else {
				set(in.A, thing{his: reg(in.B).his})
			}
		case op == dex.OpAgetObject && reg(in.B).kind == thingChain:
			set(in.A, thing{kind: thingObject, class: j.p.syms.ids["Ljava/security/cert/X509Certificate;"], his: true})
		case op >= dex.OpAget && op <= dex.OpAgetShort:
			set(in.A, thing{his: reg(in.B).his})
		case op >= dex.OpIget && op <= dex.OpIgetShort || op >= dex.OpSget && op <= dex.OpSgetShort:
			set(in.A, thing{class: d.typeSym(d.Field(in.Index).Type)})
		case op >= dex.OpIput && op <= dex.OpIputShort || op >= dex.OpSput && op <= dex.OpSputShort || op.IndexKind() == dex.IndexQuickField && !op.SetsA():
			if j.kind != HolePage && (reg(in.A).his || w.doubt) {
				return false // kept, for a check that may come later
			}
		case op >= dex.OpAput && op <= dex.OpAputShort:
			if v := reg(in.B); reg(in.A).his {
				v.his = true
				set(in.B, v)
			}
		case op == dex.OpThrow:
			h := j.catcher(f, i, reg(in.A).class)
			if h < 0 {
				return false
			}
			w.doubt = true
			next = h
		case op == dex.OpGoto || op == dex.OpGoto16 || op == dex.OpGoto32:
			next = f.at(in.Target)
		case op.IsSwitch():
			return j.choose(g, in, w, reg(in.A))
		case op >= dex.OpIfEq && op <= dex.OpIfLe:
			return j.compare(g, in, w, op-dex.OpIfEq, reg(in.A), reg(in.B))
		case op >= dex.OpIfEqz && op <= dex.OpIfLez:
			return j.compare(g, in, w, op-dex.OpIfEqz, reg(in.A), thing{kind: thingNumber})
		case op.IsInvoke():
			switch end, more := j.invoke(g, i, &w); {
			case !more:
				return end
			case end: // it may have thrown
				if h := j.catcher(f, i, j.p.syms.ids["Ljava/security/cert/CertificateException;"]); h < 0 || !j.walk(g, h, way{slices.Clone(w.regs), thing{}, w.lo, w.hi, true}) {
					return false
				}
			}
		default:
			if op.SetsA() {
				set(in.A, j.compute(in, reg))
			}
		}
		i = next
	}
}

// compute is arithmetic on what is known.
func (j *judge) compute(in *dex.Insn, reg func(uint32) thing) thing {
	var a, b thing
	switch in.Op.Format() {
	case dex.Format12x:
		a, b = reg(in.A), reg(in.B)
		if in.Op < dex.OpAddInt2Addr {
			return thing{his: b.his}
		}
	case dex.Format23x:
		a, b = reg(in.B), reg(in.C)
	case dex.Format22b, dex.Format22s:
		a, b = reg(in.B), thing{kind: thingNumber, n: in.Lit}
	default:
		return thing{}
	}
	if a.kind == thingNumber && b.kind == thingNumber {
		if n, ok := compute(in.Op, a.n, b.n); ok {
			return thing{kind: thingNumber, n: n}
		}
	}
	return thing{his: a.his || b.his}
}

// catcher returns the handler that catches an exception of a class thrown at an instruction, or -1. Of an unknown class it is one for all exceptions.
func (j *judge) catcher(f *flow, i int, class Sym) int {
	for _, t := range f.tries {
		if pc := f.insns[i].PC; pc < t.start || pc >= t.end {
			continue
		}
		for k, h := range t.handlers {
			switch name := j.p.syms.text[t.types[k]]; {
			case name == "", name == "Ljava/lang/Throwable;", name == "Ljava/lang/Exception;", class != 0 && j.p.typeIs(j.sp, class, name):
				return f.at(h)
			}
		}
	}
	return -1
}

// choose follows a switch.
func (j *judge) choose(g *judged, in *dex.Insn, w way, v thing) bool {
	f := g.f
	if v.kind == thingNumber {
		to := f.at(in.Next)
		for key, pc := range in.Switch(f.code.Insns) {
			if int64(key) == v.n {
				to = f.at(pc)
			}
		}
		return j.walk(g, to, w)
	}
	for _, pc := range in.Switch(f.code.Insns) {
		if !j.walk(g, f.at(pc), w.clone()) {
			return false
		}
	}
	return j.walk(g, f.at(in.Next), w)
}

func (w way) clone() way {
	w.regs = slices.Clone(w.regs)
	return w
}

// compare follows a comparison.
func (j *judge) compare(g *judged, in *dex.Insn, w way, op dex.Op, a, b thing) bool {
	f := g.f
	jump, go1 := f.at(in.Target), f.at(in.Next)
	switch {
	case a.kind == thingNumber && b.kind == thingNumber:
		if compare(op, a.n, b.n) {
			return j.walk(g, jump, w)
		}
		return j.walk(g, go1, w)
	case a.kind == thingNumber && b.kind == thingLength:
		a, b = b, a
		op = [...]dex.Op{0, 1, dex.OpIfGt - dex.OpIfEq, dex.OpIfLe - dex.OpIfEq, dex.OpIfLt - dex.OpIfEq, dex.OpIfGe - dex.OpIfEq}[op]
		fallthrough
	case a.kind == thingLength && b.kind == thingNumber:
		yes, no := w.clone(), w.clone()
		yes.bound(op, b.n)
		no.bound([...]dex.Op{1, 0, dex.OpIfGe - dex.OpIfEq, dex.OpIfLt - dex.OpIfEq, dex.OpIfLe - dex.OpIfEq, dex.OpIfGt - dex.OpIfEq}[op], b.n)
		return yes.lo <= yes.hi && j.walk(g, jump, yes) || no.lo <= no.hi && j.walk(g, go1, no)
	case a.kind >= thingObject && a.kind != thingLength && b.kind == thingNumber && b.n == 0 && op <= 1:
		if op == 1 {
			return j.walk(g, jump, w)
		}
		return j.walk(g, go1, w)
	}
	return j.walk(g, go1, w.clone()) && j.walk(g, jump, w)
}

// bound takes in how a comparison of the number of certificates went.
func (w *way) bound(op dex.Op, n int64) {
	switch op + dex.OpIfEq {
	case dex.OpIfEq:
		w.lo, w.hi = max(w.lo, n), min(w.hi, n)
	case dex.OpIfNe:
		if w.lo == n {
			w.lo++
		}
		if w.hi == n {
			w.hi--
		}
	case dex.OpIfLt:
		w.hi = min(w.hi, n-1)
	case dex.OpIfGe:
		w.lo = max(w.lo, n)
	case dex.OpIfGt:
		w.lo = max(w.lo, n+1)
	case dex.OpIfLe:
		w.hi = min(w.hi, n)
	}
}

// invoke follows a call. If more is not set, end is the judgement; else end says that the call may have thrown.
func (j *judge) invoke(g *judged, i int, w *way) (end, more bool) {
	p, f := j.p, g.f
	in := &f.insns[i]
	var args []thing
	his, handler := false, false
	for k := range int(in.A) {
		a := thing{}
		if r := in.Arg(k); r < uint32(len(w.regs)) {
			a = w.regs[r]
		}
		args = append(args, a)
		his = his || a.his
		handler = handler || a.kind == thingHandler
	}
	receiver := Sym(0)
	if len(args) > 0 {
		receiver = args[0].class
	}
	w.res = thing{his: his}
	if in.Op.IndexKind() != dex.IndexMethod || in.Index >= uint32(len(f.d.targets)) {
		if j.kind == HolePage {
			// SslErrorHandler has two methods of its own, which cannot be told apart by their places.
			return false, !(handler && args[0].kind == thingHandler)
		}
		fact, _ := knowledge.TLS(p.syms.text[receiver], "*")
		w.res.class = receiver // builders return themselves; what else comes out is as harmless
		return false, !his || fact.Role == "harmless"
	}
	t := f.d.targets[in.Index]
	name, proto := cutSel(p.syms.text[f.d.sels[in.Index]])
	w.res.class = p.syms.ids[proto[strings.IndexByte(proto, ')')+1:]]
	if name == "<init>" && his { // an object made of what is his
		for r := range w.regs {
			if len(args) > 0 && uint32(r) == in.Arg(0) {
				w.regs[r].his = true
			}
		}
	}
	if t.method != 0 {
		if m := j.only(t.method, in.Op); m != 0 && (his || j.kind != HolePage) {
			ok, result := j.run(m, j.spread(m, args), w.lo, w.hi, false)
			switch {
			case ok && j.kind == HolePage:
				return true, false
			case ok:
				result.his = result.his || his && result.kind != thingNumber
				w.res = result
				return false, true
			}
			// What gets nothing of the certificates cannot judge them; it may yet always throw.
			return false, j.kind == HolePage || !his && !j.throws(m)
		}
		if j.kind == HolePage {
			return false, true
		}
		return name == "checkServerTrusted", !his || name == "checkServerTrusted"
	}
	class := p.syms.text[f.d.typeSym(f.d.Method(in.Index).Class)]
	if j.kind == HolePage {
		switch {
		case handler && name == "proceed" && args[0].kind == thingHandler:
			return true, false
		case handler && (name == "cancel" || name == "onReceivedSslError"):
			return false, false
		case name == "getPrimaryError" && his:
			w.res = thing{kind: thingNumber, n: j.error}
		case name == "hasError" && his && len(args) > 1 && args[1].kind == thingNumber:
			w.res = thing{kind: thingNumber, n: int64(b2i(args[1].n == j.error))}
		}
		return false, true
	}
	fact, _ := knowledge.TLS(class, name)
	if ext := p.syms.text[p.externs[t.extern].class]; fact.Role == "" {
		fact, _ = knowledge.TLS(ext, name)
	}
	switch {
	case fact.Role == "harmless" || !his:
		return false, true
	case name == "checkServerTrusted": // of the platform's own: it refuses
		return true, true
	}
	return false, false
}

// only returns the method that a call must run, or 0.
func (j *judge) only(m MethodID, op dex.Op) MethodID {
	p := j.p
	mm := &p.methods[m]
	if mm.code == 0 {
		return 0
	}
	switch op {
	case dex.OpInvokeVirtual, dex.OpInvokeVirtualRange, dex.OpInvokeInterface, dex.OpInvokeInterfaceRange:
		for _, k := range p.subs[p.classes[mm.class].name] {
			if p.dexes[p.classes[k].dex].space == j.sp {
				return 0
			}
		}
	}
	return m
}

// spread turns a call's registers into arguments: a wide one has two.
func (j *judge) spread(m MethodID, words []thing) (args []thing) {
	f := j.p.flow(m)
	if f == nil {
		return nil
	}
	for k := 0; ; k++ {
		if _, ok := f.entry(j.p, k); !ok {
			return args
		}
		if w := int(f.word(j.p, k)); w < len(words) {
			args = append(args, words[w])
		}
	}
}

// throws reports whether a method's own code raises an exception.
func (j *judge) throws(m MethodID) bool {
	f := j.p.flow(m)
	return f == nil || slices.ContainsFunc(f.insns, func(in dex.Insn) bool { return in.Op == dex.OpThrow })
}
