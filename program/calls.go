package program

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"gifthorse/format/dex"
	"gifthorse/knowledge"
	"gifthorse/phone"
)

// A call is one invoke instruction.
type call struct {
	pc  uint32
	ref uint32 // method index of the caller's DEX; noRef for a quickened call that could not be turned back
}

const noRef = ^uint32(0)

// bodies holds what a linear walk of every method's code found. The slices are shared by all methods of
// a DEX; first[m] is where method m's part begins.
type bodies struct {
	calls []call
	first []uint32 // by method, one more at the end
	news  []newOf
}

type newOf struct {
	method MethodID
	class  Sym
}

// Stats counts what was read of the code.
type Stats struct {
	Files, Classes, Methods, Bodies int
	Instructions, Calls             int64
	Quickened, Resolved             int64 // instructions ART rewrote, and those turned back
	Native                          int
	Unknown                         int // calls on ways in whose target could not be told
	BadBodies                       int
}

// scan walks all code once, on all cores, and keeps the calls.
func (p *Program) scan() {
	p.bodies = make([]bodies, len(p.dexes))
	stats := make([]Stats, len(p.dexes))
	parallel(len(p.dexes), func(i int) { stats[i] = p.scanDEX(uint32(i)) })
	for _, s := range stats {
		p.Stats.Files++
		p.Stats.Classes += s.Classes
		p.Stats.Methods += s.Methods
		p.Stats.Bodies += s.Bodies
		p.Stats.Instructions += s.Instructions
		p.Stats.Calls += s.Calls
		p.Stats.Quickened += s.Quickened
		p.Stats.Resolved += s.Resolved
		p.Stats.Native += s.Native
		p.Stats.BadBodies += s.BadBodies
	}
}

func (p *Program) scanDEX(i uint32) (s Stats) {
	d := &p.dexes[i]
	b := &p.bodies[i]
	var in dex.Insn
	lo, hi := d.classes[0], d.classes[1]
	s.Classes = int(hi - lo)
	if lo == hi {
		return s
	}
	m0, m1 := p.classes[lo].methods[0], p.classes[hi-1].methods[1]
	b.first = make([]uint32, m1-m0+1)
	for m := m0; m < m1; m++ {
		b.first[m-m0] = uint32(len(b.calls))
		mm := &p.methods[m]
		s.Methods++
		if mm.access&accNative != 0 {
			s.Native++
		}
		if mm.code == 0 {
			continue
		}
		code, err := d.Code(mm.code)
		if err != nil {
			s.BadBodies++
			continue
		}
		s.Bodies++
		info, quick := d.quickInfo(mm)
		for pc := uint32(0); pc < code.Units(); pc = in.Next {
			if in.Decode(code.Insns, pc) != nil {
				s.BadBodies++
				break
			}
			s.Instructions++
			if quick && restore(&in, &info) {
				s.Quickened++
				s.Resolved++
			}
			switch {
			case in.Op.IsInvoke():
				s.Calls++
				ref := in.Index
				if in.Op.IndexKind() != dex.IndexMethod {
					ref = noRef
				}
				b.calls = append(b.calls, call{pc, ref})
			case in.Op == dex.OpNewInstance:
				b.news = append(b.news, newOf{m, d.typeSym(in.Index)})
			}
			if k := in.Op.IndexKind(); k == dex.IndexVtable || k == dex.IndexQuickField || in.Op == dex.OpReturnVoidNoBarrier {
				s.Quickened++
				if in.Op == dex.OpReturnVoidNoBarrier {
					s.Resolved++
				}
			}
		}
	}
	b.first[m1-m0] = uint32(len(b.calls))
	b.calls, b.news = slices.Clone(b.calls), slices.Clone(b.news) // without the room that growing left
	return s
}

// callsOf returns the calls in a method's body, in order of address.
func (p *Program) callsOf(m MethodID) []call {
	d := p.methods[m].dex
	b := &p.bodies[d]
	k := m - p.classes[p.dexes[d].classes[0]].methods[0]
	return b.calls[b.first[k]:b.first[k+1]]
}

// anyReaches returns what an app's components reach.
func (p *Program) anyReaches(sp int) (what reaches) {
	for _, c := range p.spaces[sp].pkg.Components {
		if id := p.find(sp, p.syms.ids[c.Name]); id != 0 && c.Enabled {
			what |= p.classReaches(id)
		}
	}
	return what
}

// newExtern looks up what is known of a method of the platform. Of a support library's class, what is known of the
// platform's class above it holds too.
func (p *Program) newExtern(sp int, class, sel Sym) extern {
	e := p.externFacts(class, sel)
	if c := p.find(sp, class); c != 0 && p.classes[c].carried && len(e.facts) == 0 && e.model.f == nil {
		if o := p.outside(c); o != 0 {
			e = p.externFacts(o, sel)
		}
		e.class, e.absent = class, false
	}
	return e
}

func (p *Program) externFacts(class, sel Sym) extern {
	e := extern{class: class, sel: sel}
	name, proto := cutSel(p.syms.text[sel])
	cls := p.syms.text[class]
	facts := p.facts(name)
	for i := range facts {
		f := &facts[i]
		if f.Given != 0 || f.Proto != "" && f.Proto != proto {
			continue
		}
		if f.Class == cls || knowledge.IsSubclass(cls, f.Class) || f.Class == "Landroid/os/Binder;" && strings.HasSuffix(cls, "$Stub;") {
			e.facts = append(e.facts, f)
			switch {
			case f.Role == knowledge.RoleEffect, f.Role == knowledge.RoleSink && p.whole:
				e.reaches |= reachesEffect
				if f.Kind.ID == "change-rows" {
					e.reaches |= reachesTable
				}
			case f.Role == knowledge.RoleSink && f.Kind.Rank == "far":
				e.reaches |= reachesOut
			case f.Role == knowledge.RoleSink && f.Kind.Rank == "apps":
				e.reaches |= reachesApps
			case f.Role == knowledge.RoleSource:
				e.reaches |= reachesSource
			case f.Role == knowledge.RoleInput:
				e.reaches |= reachesInput
			case f.Role == knowledge.RoleGuard && whoCalls(f.Kind.ID):
				e.reaches |= reachesGuard
			}
		}
	}
	e.model = p.findModel(cls, name)
	if len(e.facts) == 0 && e.model.f == nil && cls != "" && !platformName(cls) {
		_, known := knowledge.Class(cls)
		e.absent = !known
	}
	return e
}

// whoCalls reports whether a kind of guard asks about the caller.
func whoCalls(kind string) bool {
	return kind == "permission" || kind == "identity" || kind == "process" || kind == "signature"
}

// platformName reports whether a class has a name of the platform's, so that AOSP's tables, which leave out what
// is hidden, speak for it.
func platformName(cls string) bool {
	for _, p := range [...]string{"Landroid/", "Ljava/", "Ljavax/", "Lcom/android/internal/", "Ldalvik/", "Llibcore/", "Lorg/", "Lsun/", "["} {
		if strings.HasPrefix(cls, p) {
			return true
		}
	}
	return false
}

// facts returns what is known of methods of a name.
func (p *Program) facts(name string) []knowledge.Fact {
	if p.rules != nil {
		return p.rules.facts[name]
	}
	return knowledge.Facts(name)
}

// params yields the types of a prototype's parameters.
func params(proto string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := 1; i < len(proto) && proto[i] != ')'; {
			e := i
			for proto[e] == '[' && e+1 < len(proto) {
				e++
			}
			if proto[e] == 'L' {
				n := strings.IndexByte(proto[e:], ';')
				if n < 0 {
					return
				}
				e += n
			}
			if !yield(proto[i : e+1]) {
				return
			}
			i = e + 1
		}
	}
}

func cutSel(sel string) (name, proto string) {
	for i := 0; i < len(sel); i++ {
		if sel[i] == ':' {
			return sel[:i], sel[i+1:]
		}
	}
	return sel, ""
}

// reaches says what can be reached from a method.
type reaches uint8

const (
	reachesEffect reaches = 1 << iota
	reachesSource         // personal data
	reachesInput          // what comes in from far away: the answer of a server
	reachesOut            // the network, or a text message
	reachesApps           // a message that any app may get
	reachesOther          // another component, of any app
	reachesGuard          // a question who calls, or whether he may
	reachesTable          // something is written to a table of the app's own
)

// relevance marks the methods from which a call of interest can be reached. Walking back from the few effects is what makes a whole phone cheap:
// nothing else is interpreted for its own sake.
//
// The edges are those of the class hierarchy: a call reaches every override below the named class, and
// creating an object reaches the methods by which the platform calls it back.
func (p *Program) relevance() {
	p.relevant = make([]reaches, len(p.methods))
	// Libraries first, one after the other, for they call each other: an app's call into one is of interest if
	// the library's method is. Apps do not see each other, so they can go side by side.
	for i := range p.spaces {
		if p.spaces[i].lib != nil {
			p.spaceRelevance(i)
		}
	}
	parallel(len(p.spaces), func(i int) {
		if p.spaces[i].lib == nil {
			p.spaceRelevance(i)
		}
	})
}

func (p *Program) spaceRelevance(sp int) {
	type key struct{ class, sel Sym }
	refs, calls := 0, 0
	for _, i := range p.spaces[sp].dexes {
		refs += len(p.dexes[i].sels)
		calls += len(p.bodies[i].calls)
	}
	numbers := make(map[key]uint32, refs) // from 0, in the order in which the methods are met
	number := func(class, sel Sym) uint32 {
		k := key{class, sel}
		n, ok := numbers[k]
		if !ok {
			n = uint32(len(numbers))
			numbers[k] = n
		}
		return n
	}
	type edge struct {
		to   uint32 // number of the method that is called, as resolved upwards
		from MethodID
	}
	edges := make([]edge, 0, calls)
	news := map[Sym][]MethodID{} // who creates an object of a class
	var work, starters []MethodID
	mark := func(m MethodID, what reaches) {
		if p.relevant[m]|what != p.relevant[m] {
			p.relevant[m] |= what
			work = append(work, m)
		}
	}
	for _, i := range p.spaces[sp].dexes {
		d := &p.dexes[i]
		if d.classes[0] == d.classes[1] {
			continue
		}
		m0, m1 := p.classes[d.classes[0]].methods[0], p.classes[d.classes[1]-1].methods[1]
		called := make([]uint32, len(d.sels)) // by method index: one more than its number; 0 before its first call
		for m := m0; m < m1; m++ {
			var last uint32
			for _, c := range p.callsOf(m) {
				if c.ref >= uint32(len(d.targets)) {
					mark(m, reachesEffect|reachesSource) // quickened: what it calls cannot be told from the reference
					continue
				}
				t := d.targets[c.ref]
				if t.method == 0 {
					x := &p.externs[t.extern]
					mark(m, x.reaches)
					if x.model.starts {
						mark(m, reachesOther)
						starters = append(starters, m)
					}
				} else if p.dexes[p.methods[t.method].dex].space != sp {
					mark(m, p.relevant[t.method])
				}
				n := called[c.ref]
				if n == 0 {
					class := d.typeSym(d.Method(c.ref).Class)
					if t.method != 0 {
						class = p.classes[p.methods[t.method].class].name
					}
					n = number(class, d.sels[c.ref]) + 1
					called[c.ref] = n
				}
				if n != last {
					edges = append(edges, edge{n - 1, m})
					last = n
				}
			}
		}
		for _, n := range p.bodies[i].news {
			news[n.class] = append(news[n.class], n.method)
		}
	}
	// In the order of what is called: the callers of number n are callers[first[n]:first[n+1]].
	first := make([]uint32, len(numbers)+1)
	for _, e := range edges {
		first[e.to]++
	}
	for n := range len(numbers) {
		first[n+1] += first[n]
	}
	callers := make([]MethodID, len(edges))
	for _, e := range slices.Backward(edges) {
		first[e.to]--
		callers[first[e.to]] = e.from
	}
	seen := make([]reaches, len(numbers)) // by number
	seenNew := map[Sym]reaches{}
	above := false
	var up func(name, sel Sym, what reaches)
	up = func(name, sel Sym, what reaches) {
		if name == 0 {
			return
		}
		n := number(name, sel)
		if int(n) >= len(seen) {
			seen = append(seen, 0)
		}
		if seen[n]|what == seen[n] {
			return
		}
		seen[n] |= what
		if int(n) < len(first)-1 {
			for _, m := range callers[first[n]:first[n+1]] {
				mark(m, what)
			}
		}
		if c := p.find(sp, name); c != 0 && above {
			up(p.classes[c].supSym, sel, what)
			for _, f := range p.classes[c].ifaces {
				up(f, sel, what)
			}
		}
	}
	forward := p.spaces[sp].pkg != nil
	for len(work) > 0 || forward {
		if len(work) == 0 { // all but what starts a component of the app that has turned out relevant
			forward = false
			what := p.anyReaches(sp)
			for _, m := range starters {
				mark(m, what)
			}
			continue
		}
		m := work[len(work)-1]
		work = work[:len(work)-1]
		mm := &p.methods[m]
		c := &p.classes[mm.class]
		what := p.relevant[m]
		above = mm.access&(accStatic|accPrivate|accConstructor) == 0 // else a call names the class itself
		up(c.name, mm.sel, what)
		if mm.access&accStatic == 0 && seenNew[c.name]|what != seenNew[c.name] {
			seenNew[c.name] |= what // whoever creates the object makes its call-backs reachable
			for _, n := range news[c.name] {
				mark(n, what)
			}
		}
	}
}

// CallsTo yields every call of a platform method, by its name "Lcls;.name" without the prototype, in
// subclasses too: the caller and the address.
func (p *Program) CallsTo(class, name string) []Site {
	var sites []Site
	for i := range p.dexes {
		d := &p.dexes[i]
		if d.classes[0] == d.classes[1] {
			continue
		}
		want := make([]bool, len(d.targets))
		any := false
		for k, t := range d.targets {
			if t.method != 0 || t.extern == 0 {
				continue
			}
			x := &p.externs[t.extern]
			n, _ := cutSel(p.syms.text[x.sel])
			if n == name && (p.syms.text[x.class] == class || knowledge.IsSubclass(p.syms.text[x.class], class)) {
				want[k], any = true, true
			}
		}
		if !any {
			continue
		}
		m0, m1 := p.classes[d.classes[0]].methods[0], p.classes[d.classes[1]-1].methods[1]
		for m := m0; m < m1; m++ {
			for _, c := range p.callsOf(m) {
				if c.ref < uint32(len(want)) && want[c.ref] {
					sites = append(sites, Site{Method: m, Name: p.MethodName(m), At: p.Ref(m, c.pc)})
				}
			}
		}
	}
	return slices.Clip(sites)
}

// Behind returns the kinds of effect that can be reached over the call graph from a component and from the
// components of its app that it names, in order of their ids. It follows what a person at the screen sets off
// too, and proves no path: it says what may lie behind a door, not that the door is open. A call whose
// arguments are constants in the same block does a fixed thing and is left out.
func (p *Program) Behind(c *phone.Component) []*knowledge.FactKind {
	sp, ok := p.ofPackage[c.Package]
	if !ok {
		return nil
	}
	found := map[string]*knowledge.FactKind{}
	seenClass := map[ClassID]bool{}
	seenMethod := map[MethodID]bool{}
	var work []MethodID
	enter := func(m MethodID) {
		if m != 0 && !seenMethod[m] && p.relevant[m]&reachesEffect != 0 && p.methods[m].code != 0 {
			seenMethod[m] = true
			work = append(work, m)
		}
	}
	class := func(id ClassID) {
		for k := id; k != 0 && !seenClass[k]; k = p.classes[k].super {
			seenClass[k] = true
			for m := p.classes[k].methods[0]; m < p.classes[k].methods[1]; m++ {
				enter(m)
			}
		}
	}
	components := map[Sym]bool{}
	for _, x := range c.Package.Components {
		components[p.syms.ids[x.Name]] = true
	}
	class(p.find(sp, p.syms.ids[c.Name]))
	for len(work) > 0 {
		m := work[len(work)-1]
		work = work[:len(work)-1]
		d := &p.dexes[p.methods[m].dex]
		code, err := d.Code(p.methods[m].code)
		if err != nil {
			continue
		}
		var in dex.Insn
		fixed := map[uint32]bool{} // registers that hold a constant since the last branch
		for pc := uint32(0); pc < code.Units() && in.Decode(code.Insns, pc) == nil; pc = in.Next {
			switch {
			case in.Op.IsBranch() || in.Op.IsSwitch() || !in.Op.Continues():
				clear(fixed)
			case in.Op >= dex.OpConst4 && in.Op <= dex.OpConstClass:
				fixed[in.A] = true
			case in.Op.SetsA():
				delete(fixed, in.A)
			}
			switch {
			case in.Op == dex.OpNewInstance:
				class(p.find(d.space, d.typeSym(in.Index)))
			case in.Op == dex.OpConstClass && components[d.typeSym(in.Index)]:
				class(p.find(d.space, d.typeSym(in.Index)))
			case in.Op.IsInvoke() && in.Op.IndexKind() == dex.IndexMethod && in.Index < uint32(len(d.targets)):
				t := d.targets[in.Index]
				enter(t.method)
				if t.method != 0 && in.Op != dex.OpInvokeStatic && in.Op != dex.OpInvokeDirect {
					for _, k := range p.subs[p.classes[p.methods[t.method].class].name] {
						if p.dexes[p.classes[k].dex].space == d.space {
							enter(p.own(k, d.sels[in.Index]))
						}
					}
				}
				for _, f := range p.externs[t.extern].facts {
					open := len(f.Args) == 0
					for _, k := range f.Args {
						open = open || k >= int(in.A) || !fixed[in.Arg(k)]
					}
					if f.Role == knowledge.RoleEffect && f.When == nil && !f.Kind.Redirects && open {
						found[f.Kind.ID] = f.Kind
					}
				}
			}
		}
	}
	out := slices.Collect(maps.Values(found))
	slices.SortFunc(out, func(a, b *knowledge.FactKind) int { return strings.Compare(a.ID, b.ID) })
	return out
}
