package program

import (
	"cmp"
	"fmt"
	"slices"

	"gifthorse/evidence"
	"gifthorse/knowledge"
	"gifthorse/phone"
)

// This file drives apps as they run by themselves, with nobody at their doors: what the answer of a server or a
// message from outside sets off (Remote), and what of the owner's data goes out (Sent).

// A Sending says that an app can send data of a kind to somebody far away.
type Sending struct {
	Entry *Entry
	// Data is the kind of data, Over what it leaves by: the network, a text message.
	Data, Over *knowledge.FactKind
	// Gates are the decisions on the way that ask something kept on the phone, where the owner's answer may lie.
	Gates []Gate
	Steps []Step
	At    evidence.Ref // where it goes out
	Read  evidence.Ref // where it is read
}

// Remote returns the paths on which somebody far away steers an effect: his words come in by the network or by a
// message, and the app acts on them by itself. Their Reach is set.
func (p *Program) Remote() []Path { return p.remote }

// Sent returns which personal data the apps can send by themselves.
func (p *Program) Sent() []Sending { return p.sent }

// The budgets of one component that is driven alone: maxAlone to get at something that is worth following, maxFar
// where it was found, for what comes in by the network is read and taken apart first. maxApp is that of all components
// of an app: what runs by itself in an app is much the same code, whichever of them sets it off.
const (
	maxAlone = 30_000
	maxFar   = 150_000
	maxApp   = 1_000_000
)

// outlets are the ways by which personal data can leave an app.
func (p *Program) outlets(sp int) reaches {
	out := reachesOut
	if p.anyReaches(sp)&(reachesOut|reachesSource) == reachesOut|reachesSource { // another part may send what this one keeps
		out |= reachesTable
	}
	if p.spaces[sp].pkg.Powerful() { // what others know, any app can ask the owner for
		out |= reachesApps
	}
	return out
}

// alone reports whether what a component does by itself is worth following: it gets something from far away, or
// reads personal data, and can do something with it.
func alone(what, out reaches) bool {
	return what&reachesInput != 0 && what&(reachesEffect|reachesOther) != 0 || what&reachesSource != 0 && what&out != 0
}

// driveAlone follows what the components of an app do by themselves: receivers and services, exported or not,
// for something on the phone sets them off. A screen is the owner's doing, and is left out.
func (p *Program) driveAlone(sp int) (paths []Path, sent []Sending, gaps []evidence.Gap) {
	pkg, out := p.spaces[sp].pkg, p.outlets(sp)
	defer failed(pkg, &gaps)
	steps, cut := 0, 0
	// With a bare intent first, as an alarm or the system sends it; then, where the code looked for more in it, with
	// one in which anything may be.
	curious := map[*phone.Component]bool{}
	var rows []rowsSent
	var notes []noted
	for _, bare := range [2]bool{true, false} {
		for _, c := range pkg.Components {
			if c.Kind != phone.KindReceiver && c.Kind != phone.KindService {
				continue
			}
			cid := p.find(sp, p.syms.ids[c.Name])
			if cid == 0 || !alone(p.classReaches(cid), out) || !bare && !curious[c] {
				continue
			}
			if steps > maxApp {
				cut++
				continue
			}
			budget := maxAlone
			if !bare {
				budget /= 2 // much of it was seen before
			}
			r := p.runAlone(sp, c, cid, bare, budget)
			steps += r.steps
			if (r.cut || r.unfinished) && r.got() {
				r = p.runAlone(sp, c, cid, bare, maxFar)
				steps += r.steps
			}
			paths = append(paths, r.remotePaths()...)
			s, n := r.sendings()
			sent, rows, notes = append(sent, s...), append(rows, n...), append(notes, r.noted()...)
			curious[c] = bare && r.curious || curious[c]
			if r.cut || r.unfinished {
				cut++
			}
		}
	}
	if cut > 0 {
		gaps = append(gaps, evidence.Gap{At: pkg.Manifest, Reason: evidence.TooLarge,
			Detail: fmt.Sprintf("%d components of %s were not followed to the end, as they run by themselves: more than %d steps", cut, pkg.Name, maxFar)})
	}
	return nearest(paths), nearestSent(append(sent, throughTables(rows, notes)...)), gaps
}

func (p *Program) runAlone(sp int, c *phone.Component, cid ClassID, bare bool, budget int) *run {
	e := &Entry{Package: c.Package, Component: c, What: string(c.Kind) + " " + c.Name, At: c.At}
	r := newRun(p, e, sp)
	r.alone = true
	r.wants = reachesEffect | reachesSource | reachesInput | reachesOut | reachesApps | reachesOther
	r.limit, r.budget = budget, budget
	cur := &local{}
	obj := r.create(sp, cur, p.classes[cid].name, nil)
	intent := r.ownIntent(cur, c, bare)
	r.drive(cur, obj, c.Kind, intent, nil, false)
	for i := 0; i < len(r.dynamic) && i < 16; i++ {
		l := *cur
		l.conds = 0
		r.driveReceiver(&l, r.dynamic[i], r.ownIntent(&l, nil, false))
	}
	return r
}

// got reports whether something came in from far away, or personal data was read.
func (r *run) got() bool {
	return slices.ContainsFunc(r.labels, func(l label) bool {
		k := knowledge.Kind(l.kind)
		return k != nil && (k.Role == knowledge.RoleInput || k.Personal())
	})
}

// ownIntent is an intent of the platform's or of the app's own: what is in it is not known, and no outsider's.
// If the component listens for messages from far away, what is in it is theirs.
func (r *run) ownIntent(cur *local, c *phone.Component, bare bool) value {
	r.own = r.newObject(r.p.syms.ids["Landroid/content/Intent;"], 0)
	in := r.objVal(r.own)
	var inside, action value
	if c != nil {
		var actions []string
		for _, f := range c.Filters {
			for _, a := range f.Actions {
				actions = append(actions, a)
				if k := knowledge.Incoming(a); k != nil {
					inside.taint = r.labelSets.union(inside.taint, r.mark(k.ID, "", k.Words, false, nil))
				}
			}
		}
		if len(actions) == 1 {
			action = r.text(actions[0])
		}
	}
	if !bare || inside.taint != 0 {
		r.fieldPut(cur, in, keyAll, inside)
	}
	if c == nil || len(c.Filters) > 0 || !bare {
		r.fieldPut(cur, in, keyAction, action)
	}
	return in
}

// remotePaths turns the hits of a run into paths that somebody far away steers.
func (r *run) remotePaths() (out []Path) {
	for i := range r.hits {
		h := &r.hits[i]
		if h.gesture || h.data || h.kind.Rank == "unknown" {
			continue
		}
		by := h.steered
		if h.plain { // it does one thing; that it does is what an answer decides
			by = r.decides(h.conds)
		}
		if !r.callers(by) {
			continue
		}
		h.steered = by
		p := r.path(h)
		for _, in := range p.Steered {
			if k := knowledge.Kind(in.Kind); k != nil {
				p.Reach = k.Rank
			}
		}
		out = append(out, p)
	}
	return out
}

// decides returns the labels of what was asked on the way that came from far away.
func (r *run) decides(conds uint32) (set uint32) {
	for _, c := range r.condSets.items[conds] {
		if t := &r.tests[c>>1]; r.callers(t.left) && t.op != "null" {
			set = r.labelSets.union(set, t.left)
		}
	}
	return set
}

// nearest keeps of the paths to one effect at one place the one with the fewest gates, then the shortest.
func nearest(paths []Path) []Path {
	return best(paths, func(p *Path) string { return fmt.Sprint(p.Effect.ID, p.At, p.Reach) }, better)
}

// best keeps of what has the same key the best, in the order in which each key is first met.
func best[T any](list []T, key func(*T) string, better func(a, b *T) bool) []T {
	kept := map[string]int{}
	var out []T
	for i := range list {
		x := &list[i]
		k := key(x)
		j, ok := kept[k]
		if !ok {
			kept[k] = len(out)
			out = append(out, *x)
		} else if better(x, &out[j]) {
			out[j] = *x
		}
	}
	return out
}

// A sending is personal data that was handed to something that sends.
type sending struct {
	label uint32
	over  *knowledge.FactKind
	at    *chain
	conds uint32
}

// maxSendings bounds what one run reports.
const maxSendings = 256

// send notes personal data among the labels that something which sends is given.
func (r *run) send(labels uint32, over *knowledge.FactKind, at *chain, conds uint32) {
	for _, l := range r.labelSets.items[labels] {
		lab := &r.labels[l]
		if !lab.private() || r.gesture > 0 || len(r.outgoing) >= maxSendings {
			continue
		}
		x := sending{l, over, at, r.condSets.union(conds, lab.conds)}
		if !slices.Contains(r.outgoing, x) {
			r.outgoing = append(r.outgoing, x)
		}
	}
}

// sendOver notes personal data that is written to a stream, if behind it is a connection.
func (r *run) sendOver(s *site, o uint32, v value) {
	t := uint32(0)
	for range 4 {
		if _, far := s.cur.heap.get(fieldKey(o, keyFar)); far {
			if t == 0 {
				t = r.deep(s.cur.heap, v)
			}
			r.send(t, knowledge.Kind("network"), r.at(s.f, s.in.PC), s.cur.conds)
			return
		}
		behind, _ := s.cur.heap.get(fieldKey(o, keyAll))
		os := r.objectsOf(behind)
		if len(os) == 0 || os[0] == o {
			return
		}
		o = os[0]
	}
}

func (r *run) sendings() (out []Sending, rows []rowsSent) {
	for _, x := range r.outgoing {
		lab := &r.labels[x.label]
		s := Sending{Entry: r.root, Data: knowledge.Kind(lab.kind), Over: x.over, Steps: r.flowSteps(lab.chain, x.at),
			At: r.p.Ref(x.at.method, x.at.pc), Read: r.p.Ref(lab.chain.method, lab.chain.pc)}
		s.Steps[len(s.Steps)-1].What = r.p.calleeAt(x.at.method, x.at.pc) + ": it goes out over " + x.over.Words
		s.Gates, _ = r.gates(&hit{kind: x.over, chain: x.at, conds: x.conds}, &Entry{})
		if rowsOf(lab) {
			rows = append(rows, rowsSent{s, lab.key})
			continue
		}
		out = append(out, s)
	}
	return out, rows
}

// nearestSent keeps of each kind of data that goes out by one component the shortest way with the fewest gates.
func nearestSent(sent []Sending) []Sending {
	return best(sent, func(s *Sending) string { return fmt.Sprint(s.Data.ID, s.Over.ID, s.At) }, nearer)
}

func nearer(a, b *Sending) bool {
	return cmp.Or(len(a.Gates)-len(b.Gates), len(a.Steps)-len(b.Steps), evidence.Compare(a.Read, b.Read)) < 0
}
