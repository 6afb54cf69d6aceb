package program

import (
	"slices"
	"strconv"
	"strings"

	"gifthorse/format/dex"
	"gifthorse/knowledge"
)

// site is one call being interpreted.
type site struct {
	f     *frame
	cur   *local
	in    *dex.Insn
	args  []value // the receiver first
	ext   *extern // nil if nothing is known of the method
	name  string  // of the method
	proto string
	class Sym // as written, or of the receiver
	wrote Sym // as written
	sp    int
	inst  bool // an instance call
}

func (s *site) arg(i int) value {
	if i < len(s.args) {
		return s.args[i]
	}
	return value{}
}

// invoke interprets a call and returns where control goes from it.
func (r *run) invoke(f *frame, cur *local, in *dex.Insn) []edge {
	d := f.b.dex
	op := in.Op
	before := cur.state
	var args []value
	var t target
	var sel Sym
	var wrote Sym
	if op.IndexKind() == dex.IndexVtable {
		ref, ok := r.quickTarget(cur, in)
		if !ok {
			r.unknown++
			cur.res = value{}
			return r.withHandlers(f, cur, in, before, true, &thrown{may: throwsAny})
		}
		sel, wrote, t.method = ref.sel, ref.class, ref.method
	} else if op.IndexKind() == dex.IndexMethod && in.Index < uint32(len(d.targets)) {
		t = d.targets[in.Index]
		sel = d.sels[in.Index]
		wrote = d.typeSym(d.Method(in.Index).Class)
	} else { // invoke-custom
		return r.invokeCustom(f, cur, in, before)
	}
	static := op == dex.OpInvokeStatic || op == dex.OpInvokeStaticRange
	_, proto := cutSel(r.p.syms.text[sel])
	args = r.arguments(cur, in, proto, static)

	virtual := op == dex.OpInvokeVirtual || op == dex.OpInvokeVirtualRange || op == dex.OpInvokeInterface ||
		op == dex.OpInvokeInterfaceRange || op.IndexKind() == dex.IndexVtable
	if static && t.method != 0 {
		r.initClass(d.space, cur, r.p.classes[r.p.methods[t.method].class].name, r.at(f, in.PC))
	}
	var targets []MethodID
	var ext *extern
	if t.extern != 0 {
		ext = &r.p.externs[t.extern]
	} else if t.method == 0 {
		ext = r.externOf(wrote, sel)
	}
	written := ext
	extClass := Sym(0)
	if virtual && len(args) > 0 {
		if os := r.objectsOf(args[0]); len(os) > 0 {
			ext = nil
			for _, o := range os {
				c := r.objects[o].cid
				if c == 0 {
					extClass = r.objects[o].class
					continue
				}
				if m := r.p.dispatch(c, sel); m != 0 && r.p.methods[m].code != 0 {
					if !slices.Contains(targets, m) {
						targets = append(targets, m)
					}
				} else if m != 0 && r.p.methods[m].access&accNative != 0 {
					extClass = r.p.classes[c].name // its code is not Dalvik's: what it is given may come out
				} else {
					extClass = r.p.outside(c)
				}
			}
			if extClass != 0 {
				ext = written
				if ext == nil {
					ext = r.externOf(extClass, sel)
				}
			}
		} else {
			targets = r.overrides(d.space, wrote, args[0].typ, sel, t.method)
		}
	} else if t.method != 0 {
		targets = []MethodID{t.method}
	}
	if len(targets) > 0 && r.p.methods[targets[0]].code == 0 {
		targets = slices.DeleteFunc(targets, func(m MethodID) bool { return r.p.methods[m].code == 0 })
	}

	var given value
	ruled := false
	if r.p.rules != nil && t.method != 0 {
		given, ruled = r.ruled(f, cur, in, args, t.method, wrote, !static)
	}

	did := false
	var out local
	var thrown thrown
	if len(targets) > 0 {
		up := r.at(f, in.PC)
		for _, m := range targets {
			v, st, ok := r.call(m, args, before, up)
			thrown.add(r, &r.thrown)
			if !ok {
				continue
			}
			if !did {
				out.res, out.state, did = v, st, true
				continue
			}
			o := local{res: v, state: st}
			r.joinLocal(&out, &o)
		}

	}
	if ext != nil || len(targets) == 0 {
		s := &f.site
		*s = site{f: f, cur: cur, in: in, args: args, ext: ext, sp: d.space, class: wrote, wrote: wrote, inst: !static}
		s.name, s.proto = cutSel(r.p.syms.text[sel])
		if extClass != 0 {
			s.class = extClass
		}
		v := r.external(s)
		thrown.may |= externThrows(r, s)
		if did {
			o := local{res: v, state: cur.state}
			r.joinLocal(&out, &o)
		} else {
			out.res, out.state, did = v, cur.state, true
		}
	}
	if did {
		cur.res, cur.state = out.res, out.state
	}
	if ruled {
		cur.res = given
	}
	return r.withHandlers(f, cur, in, before, did, &thrown)
}

// ruled applies sources and sinks that are methods of the app itself.
func (r *run) ruled(f *frame, cur *local, in *dex.Insn, args []value, m MethodID, wrote Sym, inst bool) (value, bool) {
	name, proto := cutSel(r.p.syms.text[r.p.methods[m].sel])
	for i := range r.p.rules.facts[name] {
		fact := &r.p.rules.facts[name][i]
		if fact.Proto != proto || fact.Class != r.p.syms.text[wrote] && !r.p.isA(r.p.methods[m].class, fact.Class) {
			continue
		}
		s := &site{f: f, cur: cur, in: in, args: args, name: name, proto: proto, class: wrote, sp: f.b.dex.space, inst: inst}
		if fact.Role == knowledge.RoleSink {
			r.sink(s, fact)
		} else if v, ok := r.source(s, fact); ok {
			return v, true
		}
	}
	return value{}, false
}

// externOf looks up a method of the platform that no reference of its DEX names.
func (r *run) externOf(class, sel Sym) *extern {
	k := uint64(class)<<32 | uint64(sel)
	x, ok := r.externs[k]
	if !ok {
		e := r.p.newExtern(r.space, class, sel)
		x = &e
		r.externs[k] = x
	}
	return x
}

// arguments reads the argument registers of a call; longs and doubles take two.
func (r *run) arguments(cur *local, in *dex.Insn, proto string, static bool) []value {
	n := int(in.A)
	args := make([]value, 0, n)
	k := 0
	take := func(wide bool) {
		if k < n {
			reg := in.Arg(k)
			if reg < uint32(len(cur.regs)) {
				args = append(args, cur.regs[reg])
			} else {
				args = append(args, value{})
			}
		}
		k++
		if wide {
			k++
		}
	}
	if !static {
		take(false)
	}
	for t := range params(proto) {
		take(t == "J" || t == "D")
	}
	return args
}

// withHandlers adds the ways into the handlers around a call: a call may throw before it has done anything.
func (r *run) withHandlers(f *frame, cur *local, in *dex.Insn, before state, did bool, t *thrown) []edge {
	f.thrown.may |= t.may
	var out []edge
	if did {
		out = f.to(in.Next, cur)[:1:1]
	}
	if len(f.b.tries) == 0 {
		f.thrown.add(r, t)
		return out
	}
	caught := !t.did
	for _, tr := range f.b.tries {
		if in.PC < tr.start || in.PC >= tr.end {
			continue
		}
		for i, h := range tr.handlers {
			known := uncertain // whether what the callee threw by itself comes here
			if t.did && !caught {
				known = r.catches(t.exc, tr.types[i])
			}
			if need := vmThrows[r.p.syms.text[tr.types[i]]]; need != 0 && (t.may|tr.may)&need == 0 && (known == never || !t.did || caught) {
				continue
			}
			l := r.spare.clone(cur)
			l.heap = r.joinHeap(before.heap, cur.heap, r.plain)
			l.conds = before.conds
			l.exc = value{typ: tr.types[i]}
			l.res = value{}
			if t.did && !caught && known != never {
				l.exc = r.join(t.exc, l.exc, 0, 0)
				l.heap = r.joinHeap(l.heap, t.out.heap, r.plain)
				caught = known == always
			}
			if len(out) > 0 && out[0].pc == in.Next && !f.fixed {
				r.enter(f, h, l) // later: the straight path goes on first
			} else {
				out = append(out, edge{h, l})
			}
		}
	}
	if !caught {
		f.thrown.add(r, t)
	}
	return out
}

// thrown is what leaves a method by an exception: the exceptions that code throws, with what is on the heap
// then, and which of the virtual machine's own can be raised in it or in what it calls.
type thrown struct {
	exc value
	out state
	did bool
	may uint8
}

func (t *thrown) add(r *run, o *thrown) {
	t.may |= o.may
	switch {
	case !o.did:
	case !t.did:
		t.exc, t.out, t.did = o.exc, o.out, true
	default:
		t.exc = r.join(t.exc, o.exc, 0, 0)
		t.out.heap = r.joinHeap(t.out.heap, o.out.heap, r.plain)
		t.out.conds = r.joinConds(t.out.conds, o.out.conds)
	}
}

// What only some instructions raise (Dalvik bytecode; The Java Virtual Machine Specification, 6.5).
const (
	throwsIndex  = 1 << iota // an array is read or written, or given to the platform
	throwsDivide             // whole numbers are divided
	throwsSize               // an array is made
	throwsAny    = 0xff
)

var vmThrows = map[string]uint8{
	"Ljava/lang/ArrayIndexOutOfBoundsException;": throwsIndex,
	"Ljava/lang/ArrayStoreException;":            throwsIndex,
	"Ljava/lang/ArithmeticException;":            throwsDivide,
	"Ljava/lang/NegativeArraySizeException;":     throwsSize,
}

// insnThrows returns what of vmThrows an instruction can raise.
func insnThrows(op dex.Op) uint8 {
	switch {
	case op >= dex.OpAget && op <= dex.OpAputShort:
		return throwsIndex
	case op == dex.OpNewArray || op == dex.OpFilledNewArray || op == dex.OpFilledNewArrayRange:
		return throwsSize
	case op == dex.OpDivInt, op == dex.OpRemInt, op == dex.OpDivLong, op == dex.OpRemLong, op == dex.OpDivInt2Addr, op == dex.OpRemInt2Addr,
		op == dex.OpDivLong2Addr, op == dex.OpRemLong2Addr, op == dex.OpDivIntLit16, op == dex.OpRemIntLit16, op == dex.OpDivIntLit8, op == dex.OpRemIntLit8:
		return throwsDivide
	}
	return 0
}

// externThrows is what of vmThrows a call of the platform can raise: an index is wrong only where there is an
// array or a text to have it.
func externThrows(r *run, s *site) uint8 {
	if strings.Contains(s.proto, "[") || strings.Contains(r.p.syms.text[s.class], "Ljava/util/") || r.p.syms.text[s.class] == "Ljava/lang/reflect/Method;" {
		return throwsAny
	}
	return 0
}

// How an exception and a handler's type go together.
const (
	never = iota
	uncertain
	always
)

// catches says whether a handler of a type, 0 for all, takes an exception.
func (r *run) catches(exc value, typ Sym) int {
	os := r.objectsOf(exc)
	if typ == 0 {
		return always
	}
	if len(os) == 0 {
		return uncertain
	}
	yes := 0
	for _, o := range os {
		if r.objectIs(o, r.p.syms.text[typ]) {
			yes++
		}
	}
	switch yes {
	case 0:
		return never
	case len(os):
		return always
	}
	return uncertain
}

// overrides lists what a virtual call may run when the receiver's object is not known: what its declared
// type resolves to, and the overrides below, as long as they are few.
func (r *run) overrides(sp int, wrote, typ, sel Sym, resolved MethodID) []MethodID {
	k := virtualCall{sp, wrote, typ, sel}
	out, ok := r.targets[k]
	if !ok {
		if out, ok = r.findOverrides(sp, wrote, typ, sel, resolved); !ok {
			out = tooMany
		}
		r.targets[k] = out
	}
	if len(out) == 1 && out[0] == tooMany[0] {
		r.unknown++
		return nil
	}
	return out
}

// tooMany stands for targets that are more than are followed.
var tooMany = []MethodID{0}

type virtualCall struct {
	sp              int
	wrote, typ, sel Sym
}

func (r *run) findOverrides(sp int, wrote, typ, sel Sym, resolved MethodID) (out []MethodID, few bool) {
	p := r.p
	if typ != 0 && typ != wrote {
		if c := p.find(sp, typ); c != 0 {
			wrote = typ
			resolved = p.dispatch(c, sel)
		}
	}
	if resolved != 0 && p.methods[resolved].code != 0 {
		out = append(out, resolved)
	}
	seen := map[Sym]bool{}
	todo := []Sym{wrote}
	for len(todo) > 0 && len(seen) < 256 {
		c := todo[0]
		todo = todo[1:]
		if seen[c] {
			continue
		}
		seen[c] = true
		for _, k := range p.subs[c] {
			kc := &p.classes[k]
			if !p.sees(sp, p.dexes[kc.dex].space) {
				continue
			}
			todo = append(todo, kc.name)
			m := p.own(k, sel)
			if m == 0 && kc.access&accIface == 0 {
				m = p.dispatch(k, sel)
			}
			if m != 0 && p.methods[m].code != 0 && !slices.Contains(out, m) {
				out = append(out, m)
			}
		}
	}
	// A class of the platform has overrides everywhere; without the object there is no telling which.
	if len(out) > maxTargets || !p.app(sp, wrote) && len(out) > 1 {
		return nil, false
	}
	return out, true
}

// app reports whether a class is code to be followed: it is in the evidence and stands for no platform class.
func (p *Program) app(sp int, name Sym) bool {
	c := p.find(sp, name)
	return c != 0 && !p.classes[c].carried
}

// invokeCustom follows a lambda: the object that a call site's bootstrap makes runs the method that the
// site names, with what was captured.
func (r *run) invokeCustom(f *frame, cur *local, in *dex.Insn, before state) []edge {
	d := f.b.dex
	cur.res = value{}
	if vals, err := d.CallSite(in.Index); err == nil {
		for _, v := range vals[min(3, len(vals)):] {
			if v.Kind == dex.ValueMethodHandle {
				h := d.MethodHandle(v.Index)
				if h.Index < uint32(len(d.targets)) && h.Kind >= 4 {
					if m := d.targets[h.Index].method; m != 0 {
						l := r.made(cur, r.at(f, in.PC), -2, 0, 0, false)
						o := r.objectsOf(l)[0]
						cur.heap = cur.heap.set(fieldKey(o, keyLambda), intVal(int64(m)))
						for k := range int(in.A) {
							if reg := in.Arg(k); reg < uint32(len(cur.regs)) {
								cur.heap = cur.heap.set(fieldKey(o, indexKey(int64(k))), cur.regs[reg])
							}
						}
						cur.heap = cur.heap.set(fieldKey(o, keyLength), intVal(int64(in.A)))
						cur.res = l
					}
				}
			}
		}
	}
	return r.withHandlers(f, cur, in, before, true, &thrown{may: throwsAny})
}

// external interprets a call of the platform: what is known of it, then its model, then the rule for all.
func (r *run) external(s *site) value {
	x := s.ext
	if x == nil {
		x = &r.p.externs[0]
	}
	var out value
	given := false
	if r.p.rules != nil { // a rule may name the app's class, though the method is inherited from the platform's
		for i := range r.p.rules.facts[s.name] {
			fact := &r.p.rules.facts[s.name][i]
			if fact.Proto != s.proto || slices.Contains(x.facts, fact) || fact.Class != r.p.syms.text[s.wrote] || r.p.find(s.sp, s.wrote) == 0 {
				continue
			}
			if fact.Role == knowledge.RoleSink {
				r.sink(s, fact)
			} else if v, ok := r.source(s, fact); ok {
				out, given = v, true
			}
		}
	}
	for _, fact := range x.facts {
		if r.whole && fact.Class == "Ljava/lang/reflect/Method;" && r.reflects(s.cur, s.arg(0)) {
			continue // it is a call of the method that is known
		}
		switch fact.Role {
		case knowledge.RoleEffect:
			switch {
			case r.whole:
			case fact.Kind.Redirects:
				r.taken(s, fact)
			default:
				r.effect(s, fact)
			}
		case knowledge.RoleSink:
			if fact.Implicit == 0 || r.implicit(s.cur, s.arg(fact.Implicit)) {
				r.sink(s, fact)
			}
		case knowledge.RoleGuard:
			if r.whole { // who may set a flow off is not asked
				continue
			}
			out, given = r.guard(s, fact), true
		case knowledge.RoleSource, knowledge.RoleInput:
			if v, ok := r.source(s, fact); ok {
				out, given = v, true
			}
		}
	}
	if x.model.f != nil {
		v := x.model.f(r, s)
		if !given {
			return v
		}
		return r.both(out, v)
	}
	r.handOver(s)
	v := r.general(s)
	if x.absent && v.kind == anything && !strings.HasSuffix(s.proto, ")V") {
		name := r.p.syms.text[s.class] + "." + s.name
		v.taint = r.labelSets.union(v.taint, r.mark("stored", name, "code that is not there", true, r.at(s.f, s.in.PC)))
	}
	if given {
		return r.both(out, v)
	}
	return v
}

// both is what a source of the whole app's run gives: what it yields, and what is known of its result besides.
func (r *run) both(given, v value) value {
	if !r.whole || v.kind != object {
		return given
	}
	v.taint = r.labelSets.union(v.taint, given.taint)
	return v
}

// effect records that an effect was reached.
func (r *run) effect(s *site, fact *knowledge.Fact) {
	if w := fact.When; w != nil {
		got := r.textsOf(s.cur, s.arg(w.Arg))
		if w.Action {
			got = r.textsOf(s.cur, r.fieldGet(s.cur, s.arg(w.Arg), keyAction, 0))
		}
		hit := false
		for _, t := range got {
			for _, p := range w.Prefixes {
				hit = hit || strings.HasPrefix(t, p)
			}
		}
		if !hit {
			return
		}
	}
	kind := r.kindOf(s, fact)
	h := hit{kind: kind, chain: r.at(s.f, s.in.PC), conds: s.cur.conds, gesture: r.gesture > 0, plain: len(fact.Args) == 0}
	for _, a := range fact.Args {
		v := s.arg(a)
		h.steered = r.labelSets.union(h.steered, r.deep(s.cur.heap, v))
		h.fixed = append(h.fixed, r.textsOf(s.cur, v)...)
		if fact.Content && !r.callers(h.steered) {
			labels, conds, at := r.inFile(s.cur, v)
			h.steered, h.conds, h.written = r.labelSets.union(h.steered, labels), r.condSets.union(h.conds, conds), at
		}
	}
	if kind.ID == "change-rows" {
		r.note(s, h.steered)
	}
	r.record(h)
}

// kindOf is the kind of an effect or source on a path: another one if the outsider chooses the path in part
// only, because its beginning or its end is fixed.
func (r *run) kindOf(s *site, fact *knowledge.Fact) *knowledge.FactKind {
	if fact.Named == nil || len(fact.Args) == 0 {
		return fact.Kind
	}
	v := r.content(s.cur, s.arg(fact.Args[0]))
	if v.kind == rooted || v.kind == prefix && r.texts[v.n] != "" || v.kind == suffix && strings.Contains(r.texts[v.n], "/") {
		return fact.Named
	}
	return fact.Kind
}

// sink records the labels that a sink is given.
func (r *run) sink(s *site, fact *knowledge.Fact) {
	if !r.whole && !r.alone {
		return
	}
	var t uint32
	for _, a := range s.args {
		if os := r.objectsOf(a); len(os) > 0 && r.objectIs(os[0], "Landroid/content/Context;") {
			continue // it is handed as the context: what its fields hold is not handed
		}
		t = r.labelSets.union(t, r.deep(s.cur.heap, a))
	}
	at := r.at(s.f, s.in.PC)
	if r.alone {
		if fact.Kind.Rank == "far" || fact.Kind.Rank == "apps" && r.toAll(s) {
			r.send(t, fact.Kind, at, s.cur.conds)
		}
		return
	}
	if s.inst && t != 0 && strings.HasPrefix(s.name, "put") && r.p.typeIs(s.sp, s.class, "Landroid/content/Intent;") {
		if os := r.objectsOf(s.arg(0)); len(os) > 0 {
			for _, o := range os {
				if k := (kept{t, at}); !slices.Contains(r.kept[o], k) {
					r.kept[o] = append(r.kept[o], k)
				}
			}
			return
		}
	}
	r.leak(t, at)
}

// implicit reports whether an intent may go to any app that wants it: no component is named in it.
func (r *run) implicit(cur *local, intent value) bool {
	for _, o := range r.objectsOf(intent) {
		if _, ok := cur.heap.get(fieldKey(o, keyTarget)); ok {
			return false
		}
	}
	return true
}

// maxHits bounds what one way in reports: the same effect at many places tells no more than at some.
const maxHits = 256

func (r *run) record(h hit) {
	var k strings.Builder
	k.WriteString(h.kind.ID)
	for _, n := range []uint64{uint64(h.chain.method), uint64(h.chain.pc), uint64(h.conds), uint64(h.steered)} {
		k.WriteByte('/')
		k.WriteString(strconv.FormatUint(n, 10))
	}
	if h.gesture {
		k.WriteByte('g')
	}
	if r.hitIDs[k.String()] || len(r.hits) >= maxHits {
		return
	}
	r.hitIDs[k.String()] = true
	r.hits = append(r.hits, h)
}

func (r *run) guard(s *site, fact *knowledge.Fact) value {
	key := ""
	for _, a := range fact.Args {
		key, _ = r.isText(r.content(s.cur, s.arg(a)))
	}
	at := r.at(s.f, s.in.PC)
	typ := r.retType(s.proto)
	if fact.Kind.ID == "stored" {
		return r.stored(s, fact, at)
	}
	if v, ok := r.asksItself(s, fact, key); ok {
		v.typ = typ
		return v
	}
	if v, ok := r.known(s, fact.Kind.ID, fact.Name, key, at); ok {
		v.typ = typ
		return v
	}
	l := r.mark(fact.Kind.ID, key, fact.Kind.Words, true, at)
	if fact.Means != "throws" { // that it was asked counts, should the answer's use escape us
		asked := r.ask(test{op: "asked", left: l, method: s.f.m, pc: s.in.PC, yes: 1})
		s.cur.conds = r.condSets.add(s.cur.conds, condOf(asked, true))
	}
	switch fact.Means {
	case "value":
		return value{taint: l, typ: typ}
	case "throws":
		t := r.ask(test{op: fact.Kind.ID, left: l, right: key, label: r.labelSets.items[l][0], method: s.f.m, pc: s.in.PC, yes: 1})
		s.cur.conds = r.condSets.add(s.cur.conds, condOf(t, true))
		return value{typ: typ}
	}
	yes := int64(0)
	if fact.Means == "granted 1" {
		yes = 1
	}
	t := r.ask(test{op: fact.Kind.ID, left: l, right: key, label: r.labelSets.items[l][0], method: s.f.m, pc: s.in.PC, yes: yes})
	return value{taint: l, test: t, typ: typ}
}

// property returns the value of a system property that the phone's files set.
func (r *run) property(name string) (string, bool) {
	r.asks(askProperty, name)
	return r.p.Phone.Property(name)
}

// stored reads a setting: a property that the evidence knows has its value, anything else is a value kept
// on the phone.
func (r *run) stored(s *site, fact *knowledge.Fact, at *chain) value {
	k := 0
	if s.inst || fact.Class != "Landroid/os/SystemProperties;" {
		k = 1
	}
	key, _ := r.isText(r.content(s.cur, s.arg(k)))
	if fact.Class == "Landroid/os/SystemProperties;" && key != "" {
		if v, ok := r.property(key); ok {
			switch {
			case strings.HasSuffix(s.proto, ")Z"):
				return intVal(b2i(v == "1" || v == "y" || v == "yes" || v == "on" || v == "true"))
			case strings.HasSuffix(s.proto, ")I"):
				n, err := strconv.ParseInt(v, 0, 64)
				if err != nil {
					return s.arg(1)
				}
				return intVal(n)
			}
			return r.text(v)
		}
	}
	l := r.mark("stored", key, fact.Class+fact.Name, true, at)
	return value{taint: l, typ: r.retType(s.proto)}
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (r *run) source(s *site, fact *knowledge.Fact) (value, bool) {
	if fact.Role == knowledge.RoleInput && !r.alone { // an outsider at a door is not far away
		return value{}, false
	}
	if w := fact.When; w != nil {
		hit := false
		for _, t := range r.textsOf(s.cur, s.arg(w.Arg)) {
			for _, p := range w.Prefixes {
				hit = hit || strings.HasPrefix(t, p)
			}
		}
		if !hit {
			return value{}, false
		}
	}
	// An intent that the app itself made has in it what the app put there: nothing comes in with it.
	if os := r.objectsOf(s.arg(0)); r.whole && s.inst && len(os) > 0 && (fact.Class == "Landroid/content/Intent;" || fact.Class == "Landroid/os/Bundle;") {
		if !slices.ContainsFunc(os, func(o uint32) bool { return r.objects[o].incoming != "" }) {
			return value{}, false
		}
	}
	at := r.at(s.f, s.in.PC)
	for _, a := range fact.Args { // data of the caller's choosing only
		t := r.deep(s.cur.heap, s.arg(a))
		if !r.callers(t) {
			return value{}, false
		}
	}
	kind := r.kindOf(s, fact)
	key := ""
	if kind.ID == "own-rows" && r.alone {
		key = r.tableOf(s)
	}
	l := r.mark(kind.ID, key, kind.Words, false, at)
	if lab := &r.labels[r.labelSets.items[l][0]]; lab.conds == 0 {
		lab.conds = s.cur.conds
	}
	for _, o := range r.objectsOf(s.arg(0)) {
		if s.name == "<init>" {
			r.write(s.cur, o, keyAll, value{taint: l}, false)
		}
	}
	if r.whole && s.inst && s.name != "<init>" { // what the receiver was made of goes on: a place, then its latitude
		l = r.labelSets.union(l, r.deep(s.cur.heap, s.arg(0)))
	}
	return value{taint: l, typ: r.retType(s.proto)}, true
}

// callers reports whether a label set has data of whoever came in from outside.
func (r *run) callers(set uint32) bool {
	for _, l := range r.labelSets.items[set] {
		if incomingKind[r.labels[l].kind] {
			return true
		}
	}
	return false
}

// incomingKind are the labels of what an outsider hands in.
var incomingKind = func() map[string]bool {
	m := map[string]bool{"extra": true, "action": true, "data": true, "parcel": true, "argument": true, "message": true}
	for _, k := range knowledge.Inputs() {
		m[k.ID] = true
	}
	return m
}()

// general is the rule for calls of the platform that have no model: the result carries what the receiver
// and the arguments carry, and a container gives back what was put into it.
func (r *run) general(s *site) value {
	class := r.p.syms.text[s.class]
	carry := carries(class)
	var t uint32
	for i, a := range s.args {
		if carry && a.kind == object {
			t = r.labelSets.union(t, r.deep(s.cur.heap, a))
		} else if carry || i == 0 && s.inst {
			t = r.labelSets.union(t, a.taint)
		} else { // what a service of the platform says of a caller still tells who calls
			t = r.labelSets.union(t, r.guardsIn(a.taint))
		}
	}
	out := value{typ: r.retType(s.proto)}
	if s.inst && len(s.args) > 0 {
		for _, o := range r.objectsOf(s.args[0]) {
			t = r.labelSets.union(t, r.objects[o].label)
			if r.objects[o].cid != 0 && !carry {
				continue
			}
			if v, ok := s.cur.heap.get(fieldKey(o, keyAll)); ok {
				t = r.labelSets.union(t, v.taint)
				if v.kind == object && out.kind != object && strings.HasSuffix(s.proto, ";") { // no number is an object
					out = v
				}
			}
			if s.name == "<init>" || carry && (fills(s.name) || transport(class)) {
				for _, a := range s.args[1:] {
					if a.taint != 0 || a.kind == object {
						r.fillIn(s, o, a)
					}
				}
				if s.name == "<init>" && opensFile(class) {
					r.placed(s, o, s.arg(1))
				}
			}
		}
	}
	out.taint = r.labelSets.union(out.taint, t)
	if strings.HasSuffix(s.proto, ")V") {
		return value{}
	}
	if ret := r.p.syms.text[out.typ]; out.kind == anything && out.typ != 0 && fillable(ret) {
		// a digest, a list, a buffer: what is put into it later must come out again
		o := r.made(s.cur, r.at(s.f, s.in.PC), -2, out.typ, 0, false)
		r.fieldPut(s.cur, o, keyAll, value{taint: out.taint})
		o.taint = out.taint
		return o
	}
	return out
}

// fillIn puts a value into a container, and into what the container was made around: what is written to a
// stream or formatter goes on to the stream or builder behind it.
func (r *run) fillIn(s *site, o uint32, v value) {
	cur := s.cur
	if r.alone {
		r.sendOver(s, o, v)
	}
	for depth := 0; depth < 4; depth++ {
		r.keepsIn(s, o, v)
		behind, ok := cur.heap.get(fieldKey(o, keyAll))
		r.write(cur, o, keyAll, v, false)
		os := r.objectsOf(behind)
		if !ok || len(os) == 0 || os[0] == o || !sinksInto(r.p.syms.text[r.objects[os[0]].class]) {
			return
		}
		if os := r.objectsOf(v); len(os) > 0 && r.objects[os[0]].array {
			v = value{taint: r.deep(cur.heap, v)}
		}
		o = os[0]
	}
}

// sinksInto reports whether a class of the platform takes what is written through another.
func sinksInto(class string) bool {
	return knowledge.IsSubclass(class, "Ljava/io/OutputStream;") || knowledge.IsSubclass(class, "Ljava/lang/Appendable;")
}

// guardsIn returns the labels of a set that tell who calls.
func (r *run) guardsIn(set uint32) uint32 {
	if set == 0 {
		return 0
	}
	if g, ok := r.guardSets[set]; ok {
		return g
	}
	var s []uint32
	for _, l := range r.labelSets.items[set] {
		if k := r.labels[l].kind; k == "identity" || k == "process" || k == "signature" {
			s = append(s, l)
		}
	}
	g := r.labelSets.intern(s)
	r.guardSets[set] = g
	return g
}

// fills reports whether a method of this name puts its arguments into its receiver.
func fills(name string) bool {
	for _, p := range [...]string{"put", "with", "add", "set", "append", "write", "update", "insert", "push", "offer", "replace", "load", "format", "print", "wrap", "accumulate"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// transport reports whether a class belongs to a library that speaks to servers: what its builders and clients are
// given goes out.
func transport(class string) bool {
	role, _ := knowledge.Carried(class)
	return role == "transport"
}

// fillable reports whether objects of a class hold what is put into them after they were made.
func fillable(class string) bool {
	switch class {
	case "Ljava/lang/String;", "Ljava/lang/Object;", "Ljava/lang/CharSequence;", "Ljava/lang/Class;", "Ljava/lang/Process;",
		"Ljava/lang/Runtime;", "Ljava/lang/Thread;", "Ljava/lang/ClassLoader;", "Ljava/io/File;", "Landroid/net/Uri;":
		return false
	}
	return class[0] == 'L' && carries(class) && (strings.HasPrefix(class, "Ljava/") || strings.HasPrefix(class, "Ljavax/") || strings.HasPrefix(class, "Landroid/") || strings.HasPrefix(class, "Lorg/json/"))
}

// carries reports whether the methods of a class compute on what they are given, so that their results
// carry it. What a service of the platform answers is not its caller's data, even if he asked for it.
func carries(class string) bool {
	for _, p := range [...]string{"Ljava/lang/", "Ljava/util/", "Ljava/net/", "Ljava/nio/", "Ljava/text/", "Ljava/io/", "Ljava/math/", "Lorg/json/",
		"Lorg/apache/", "Ljava/security/", "Ljavax/crypto/", "Landroid/content/ContentValues;", "Landroid/content/ContentUris;", "Landroid/content/Intent;",
		"Landroid/content/ComponentName;", "Landroid/content/ContentProviderOperation", "Landroid/util/", "Landroid/text/", "Landroid/net/Uri", "Landroid/os/B", "Landroid/os/Parcel"} {
		if strings.HasPrefix(class, p) {
			return true
		}
	}
	return !strings.HasPrefix(class, "Landroid/") && !strings.HasPrefix(class, "Lcom/android/") && !strings.HasPrefix(class, "Ljava")
}

// textsOf returns the texts that v may be or surely begins with.
func (r *run) textsOf(cur *local, v value) []string {
	v = r.content(cur, v)
	if v.kind == text || v.kind == prefix {
		return []string{r.texts[v.n]}
	}
	var out []string
	for _, a := range r.altLists[v.alts] {
		if a.kind == text || a.kind == prefix {
			out = append(out, r.texts[a.n])
		}
	}
	return out
}

// content returns what an object that wraps one value holds: a String made by a constructor, a builder, a
// file's path.
func (r *run) content(cur *local, v value) value {
	os := r.objectsOf(v)
	if len(os) != 1 {
		return v
	}
	for _, k := range [...]uint32{keyPath, keyAll} {
		if c, ok := cur.heap.get(fieldKey(os[0], k)); ok {
			c.taint = r.labelSets.union(c.taint, r.labelSets.union(v.taint, r.objects[os[0]].label))
			return c
		}
	}
	return v
}
