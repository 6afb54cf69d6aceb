package program

import (
	"fmt"
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/dex"
)

// A replayer follows witnesses in the code itself.
type replayer struct {
	p       *Program
	methods map[string]MethodID // by address without offset
	bounds  map[MethodID][]bool // which code units begin an instruction
	below   map[MethodID]map[MethodID]bool
	errs    []string
}

var replayers = map[*Program]*replayer{}

func replayerOf(p *Program) *replayer {
	r := replayers[p]
	if r == nil {
		clear(replayers) // one program at a time
		r = &replayer{p: p, methods: map[string]MethodID{}, bounds: map[MethodID][]bool{}, below: map[MethodID]map[MethodID]bool{}}
		for m := MethodID(1); m < MethodID(len(p.methods)); m++ {
			k := p.Ref(m, 0).String()
			if _, twice := r.methods[k]; !twice {
				r.methods[k] = m
			}
		}
		replayers[p] = r
	}
	r.errs = nil
	return r
}

func (r *replayer) fail(format string, args ...any) {
	r.errs = append(r.errs, fmt.Sprintf(format, args...))
}

// replay checks that each step of a path's witness is an instruction that does what the step says, and that the
// next step lies where it leads.
func replay(p *Program, path *Path) []string {
	r := replayerOf(p)
	r.steps(path.Steps, path.At)
	for _, g := range path.Gates {
		if back, err := evidence.ParseRef(g.At.String()); err != nil || back != g.At {
			r.fail("gate %q: %s does not read back: %v", g.What, g.At, err)
		}
	}
	return r.said(fmt.Sprintf("path from %s to %s at %s", path.Entry.What, path.Effect.ID, path.At))
}

func replayFlow(p *Program, f *Flow) []string {
	r := replayerOf(p)
	if n := len(f.Steps); n == 0 || f.Steps[n-1].At != f.Sink.At {
		r.fail("the last step is not the sink")
	}
	if !slices.ContainsFunc(f.Steps, func(s Step) bool { return s.At == f.Source.At }) {
		r.fail("no step is the source")
	}
	r.steps(f.Steps, f.Sink.At)
	return r.said(fmt.Sprintf("flow from %s to %s", f.Source.At, f.Sink.At))
}

func (r *replayer) said(what string) (out []string) {
	for _, e := range r.errs {
		out = append(out, what+": "+e)
	}
	return out
}

// place returns the method and code unit of an address, which must begin an instruction.
func (r *replayer) place(at evidence.Ref) (m MethodID, pc uint32, in dex.Insn, ok bool) {
	if back, err := evidence.ParseRef(at.String()); err != nil || back != at {
		r.fail("%s does not read back: %v", at, err)
		return
	}
	m, ok = r.methods[at.File().At(at.Symbol, 0).String()]
	if !ok {
		r.fail("%s: there is no such method", at)
		return
	}
	d := &r.p.dexes[r.p.methods[m].dex]
	code, err := d.Code(r.p.methods[m].code)
	if err != nil || at.Off%2 != 0 || at.Off/2 >= int64(code.Units()) {
		r.fail("%s: not in the method's code (%v)", at, err)
		return m, 0, in, false
	}
	if r.bounds[m] == nil {
		b := make([]bool, code.Units())
		for u := uint32(0); u < code.Units() && in.Decode(code.Insns, u) == nil; u = in.Next {
			b[u] = true
		}
		r.bounds[m] = b
	}
	pc = uint32(at.Off / 2)
	if in, err = r.p.insnAt(m, pc); err != nil || !r.bounds[m][pc] {
		r.fail("%s: no instruction begins here (%v)", at, err)
		return m, pc, in, false
	}
	return m, pc, in, true
}

func (r *replayer) steps(steps []Step, end evidence.Ref) {
	if len(steps) < 2 || steps[len(steps)-1].At != end {
		r.fail("the witness does not end at %s: %v", end, steps)
		return
	}
	var cur MethodID // in whose code the next step must lie
	for i, s := range steps {
		m, pc, in, ok := r.place(s.At)
		if !ok {
			continue
		}
		kind, rest, _ := strings.Cut(s.What, " ")
		read := kind == "reads" && i != len(steps)-1
		if cur != 0 && cur != m && !(read && r.reaches(cur, m)) {
			r.fail("step %d %q lies in %s, and the step before it leads to %s", i, s.What, r.p.MethodName(m), r.p.MethodName(cur))
		}
		if !read {
			cur = m
		}
		switch {
		case kind == "enters" && (i == 0 || i == 1 && strings.HasPrefix(steps[0].What, "reads ")):
			if s.At.Off != 0 || rest != r.p.MethodName(m) {
				r.fail("step %d %q is at %s", i, s.What, s.At)
			}
		case i == len(steps)-1:
			if callee := r.p.calleeAt(m, pc); !in.Op.IsInvoke() || !strings.HasPrefix(s.What, callee+": ") {
				r.fail("step %d %q is %v, which calls %q", i, s.What, in.Op, callee)
			}
		case kind == "reads":
			callee := r.p.calleeAt(m, pc) // a source in another call-back stands alone, before the way in
			if !in.Op.IsInvoke() || !strings.HasSuffix(s.What, " with "+callee) && (i != 0 || s.What != "reads "+callee) {
				r.fail("step %d %q is %v, which calls %q", i, s.What, in.Op, callee)
			}
		case strings.HasPrefix(s.What, "calls a binder of "): // of another app: it must lead into that app's onTransact
			cur = r.enters(steps, i)
			k := r.p.spaces[r.p.dexes[r.p.methods[cur].dex].space].pkg
			if name, _ := cutSel(r.p.syms.text[r.p.methods[cur].sel]); name != "onTransact" || k == nil || s.What != "calls a binder of "+k.Name || !strings.HasSuffix(r.p.calleeAt(m, pc), ".transact:(ILandroid/os/Parcel;Landroid/os/Parcel;I)Z") {
				r.fail("step %d %q leads to %s", i, s.What, r.p.MethodName(cur))
			}
		case kind == "starts" || kind == "registers":
			if !in.Op.IsInvoke() {
				r.fail("step %d %q is %v", i, s.What, in.Op)
			}
			cur = r.enters(steps, i)
			if cur != 0 && kind == "starts" {
				_, class, _ := strings.Cut(rest, " ")
				class, of, other := strings.Cut(class, " of ")
				if k := r.p.spaces[r.p.dexes[r.p.methods[cur].dex].space].pkg; other && (k == nil || k.Name != of) {
					r.fail("step %d %q leads to %s", i, s.What, r.p.MethodName(cur))
				} else if other {
					break
				}
				if name := r.p.syms.text[r.p.classes[r.p.methods[cur].class].name]; !r.inherits(r.p.dexes[r.p.methods[m].dex].space, class, name) && !r.p.isInit(cur) {
					r.fail("step %d %q leads to %s", i, s.What, r.p.MethodName(cur))
				}
			}
		case kind == "calls":
			next := r.enters(steps, i)
			if next != 0 && rest != r.p.MethodName(next) {
				r.fail("step %d %q leads to %s", i, s.What, r.p.MethodName(next))
			}
			if next != 0 && !r.calls(m, pc, in, next) {
				r.fail("step %d %q: %v %s cannot lead there", i, s.What, in.Op, r.p.calleeAt(m, pc))
			}
			cur = next
		default:
			r.fail("step %d %q is of no known kind", i, s.What)
		}
	}
}

// enters returns the method of the step after i that is no read.
func (r *replayer) enters(steps []Step, i int) MethodID {
	for _, s := range steps[i+1:] {
		if !strings.HasPrefix(s.What, "reads ") || s.At == steps[len(steps)-1].At {
			return r.methods[s.At.File().At(s.At.Symbol, 0).String()]
		}
	}
	return 0
}

func (p *Program) isInit(m MethodID) bool {
	return strings.HasPrefix(p.syms.text[p.methods[m].sel], "<")
}

// inherits reports whether name is class or above it.
func (r *replayer) inherits(sp int, class, name string) bool {
	id, ok := r.p.syms.ids[class]
	return ok && r.p.typeIs(sp, id, name)
}

// calls reports whether the instruction can lead into method next.
func (r *replayer) calls(m MethodID, pc uint32, in dex.Insn, next MethodID) bool {
	p := r.p
	sel := p.syms.text[p.methods[next].sel]
	if sel == "<clinit>:()V" { // what first touches a class
		return in.Op.IsInvoke() || in.Op == dex.OpNewInstance || in.Op >= dex.OpSget && in.Op <= dex.OpSputShort
	}
	if !in.Op.IsInvoke() {
		return false
	}
	if in.Op.IndexKind() != dex.IndexMethod { // quickened: the reference tells nothing
		return true
	}
	d := &p.dexes[p.methods[m].dex]
	if in.Index >= uint32(len(d.sels)) {
		return false
	}
	called := p.syms.text[d.sels[in.Index]]
	t := d.targets[in.Index]
	if called == sel {
		if t.method == next {
			return true
		}
		// An override, or a method of an interface.
		class := p.syms.text[d.typeSym(d.Method(in.Index).Class)]
		if p.isA(p.methods[next].class, class) || t.method != 0 && p.isA(p.methods[next].class, p.syms.text[p.classes[p.methods[t.method].class].name]) {
			return true
		}
		// What implements it may be inherited from a class that does not know the interface.
		for _, k := range p.subs[p.classes[p.methods[next].class].name] {
			if p.isA(k, class) {
				return true
			}
		}
	}
	// A hand-over: only the platform does that, so the called method is not one of the evidence (or it is the
	// platform's own code, which the phone brought along).
	if t.extern != 0 { // a model that does not say so hands nothing over
		return p.externs[t.extern].model.hands || p.externs[t.extern].model.f == nil
	}
	return p.spaces[p.dexes[p.methods[t.method].dex].space].lib != nil
}

// reaches reports whether m can be called below cur, by the names alone.
func (r *replayer) reaches(cur, m MethodID) bool {
	if r.below[cur] == nil {
		bySel := map[Sym][]MethodID{}
		sp := r.p.dexes[r.p.methods[cur].dex].space
		for _, i := range r.p.spaces[sp].dexes {
			d := &r.p.dexes[i]
			if d.classes[0] < d.classes[1] {
				for k := r.p.classes[d.classes[0]].methods[0]; k < r.p.classes[d.classes[1]-1].methods[1]; k++ {
					bySel[r.p.methods[k].sel] = append(bySel[r.p.methods[k].sel], k)
				}
			}
		}
		seen := map[MethodID]bool{cur: true}
		for work := []MethodID{cur}; len(work) > 0; work = work[1:] {
			d := &r.p.dexes[r.p.methods[work[0]].dex]
			next := func(list []MethodID) {
				for _, k := range list {
					if !seen[k] {
						seen[k] = true
						work = append(work, k)
					}
				}
			}
			for _, c := range r.p.callsOf(work[0]) {
				if c.ref == noRef {
					return true // it may call anything
				}
				next(bySel[d.sels[c.ref]])
				if t := d.targets[c.ref]; t.extern != 0 && r.p.externs[t.extern].model.hands {
					return true
				}
			}
			if m := r.p.classes[r.p.methods[work[0]].class].clinit; m != 0 {
				next([]MethodID{m})
			}
		}
		r.below[cur] = seen
	}
	return r.below[cur][m]
}

// sanity checks what the model of the classes promises: ids that exist, targets that fit, no circles.
func sanity(p *Program) (errs []string) {
	fail := func(format string, args ...any) { errs = append(errs, fmt.Sprintf(format, args...)) }
	for i := ClassID(1); i < ClassID(len(p.classes)); i++ {
		c := &p.classes[i]
		name := p.syms.text[c.name]
		if int(c.super) >= len(p.classes) || int(c.dex) >= len(p.dexes) || c.methods[0] > c.methods[1] || int(c.methods[1]) > len(p.methods) {
			fail("class %s: an id is out of range: %+v", name, c)
			continue
		}
		if c.super != 0 && p.classes[c.super].name != c.supSym {
			fail("class %s: its superclass is %s, not %s", name, p.syms.text[p.classes[c.super].name], p.syms.text[c.supSym])
		}
		n := 0
		for k := c.super; k != 0 && n <= len(p.classes); k = p.classes[k].super {
			n++
		}
		if n > len(p.classes) {
			fail("class %s: its superclasses go in a circle", name)
		}
		if p.find(p.dexes[c.dex].space, c.name) != i {
			fail("class %s is not found by its name", name)
		}
		for _, f := range c.ifaces {
			if !slices.Contains(p.subs[f], i) {
				fail("class %s is missing below %s", name, p.syms.text[f])
			}
		}
		for m := c.methods[0]; m < c.methods[1]; m++ {
			mm := &p.methods[m]
			if mm.class != i || mm.dex != c.dex || m > c.methods[0] && p.methods[m-1].sel > mm.sel {
				fail("method %s: out of place", p.MethodName(m))
			}
			if own := p.own(i, mm.sel); own == 0 || p.methods[own].sel != mm.sel {
				fail("method %s is not found by its selector", p.MethodName(m))
			}
		}
		if c.clinit != 0 && (c.clinit < c.methods[0] || c.clinit >= c.methods[1] || p.syms.text[p.methods[c.clinit].sel] != "<clinit>:()V") {
			fail("class %s: %s is no initialiser of it", name, p.MethodName(c.clinit))
		}
	}
	for i := range p.dexes {
		d := &p.dexes[i]
		if len(d.targets) != len(d.sels) {
			fail("%s: %d references and %d targets", d.code.Ref, len(d.sels), len(d.targets))
			continue
		}
		for k, t := range d.targets {
			switch {
			case (t.method == 0) == (t.extern == 0):
				fail("%s: reference %s has the target %+v", d.code.Ref, d.MethodName(uint32(k)), t)
			case int(t.method) >= len(p.methods) || int(t.extern) >= len(p.externs):
				fail("%s: reference %s: target out of range", d.code.Ref, d.MethodName(uint32(k)))
			case t.method != 0 && p.methods[t.method].sel != d.sels[k], t.extern != 0 && p.externs[t.extern].sel != d.sels[k]:
				fail("%s: reference %s leads to another name", d.code.Ref, d.MethodName(uint32(k)))
			}
		}
	}
	return errs
}
