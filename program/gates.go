package program

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"gifthorse/format/dex"
	"gifthorse/knowledge"
	"gifthorse/phone"
)

// gates lists what stands on the way to a hit: the permission of the manifest, and every decision of the
// code that asks who calls, or compares what came in with something. It also returns the action that the
// intent must have.
func (r *run) gates(h *hit, e *Entry) ([]Gate, string) {
	var out []Gate
	if c := e.Component; r.alone { // who may start it is no matter: the phone does
	} else if c != nil {
		g := c.Guard
		if c.Kind == phone.KindProvider {
			g = r.providerGuard(h, c)
		}
		if g.Holds != phone.None {
			out = append(out, Gate{What: guardWords(g), Holds: worth(g.Holds), At: c.At, Platform: g.Platform})
		}
	} else if e.Permission != "" {
		g := r.permission(e.Permission)
		out = append(out, Gate{What: guardWords(g), Holds: worth(g.Holds), At: e.At, Platform: g.Platform})
	}
	if h.gesture {
		out = append(out, Gate{What: "a person at the screen has to act", Holds: GateHolds, At: r.p.Ref(h.chain.method, h.chain.pc)})
	}
	if r.appOps {
		out = append(out, Gate{What: "the platform asks for an app operation that the provider names", Holds: GateHolds, At: e.At})
	}
	if h.kind.Later != "" {
		out = append(out, Gate{What: h.kind.Later + "; that part of the phone was not read", Holds: GateUnknown, At: r.p.Ref(h.chain.method, h.chain.pc)})
	}
	action, answered := "", map[uint32]bool{}
	for _, c := range r.condSets.items[h.conds] {
		g, act, ok := r.gateOf(c, h)
		if act != "" {
			action = act
		}
		if ok {
			if g.Holds != GateDoesNotHold {
				g.What += r.writable(&r.tests[c>>1], &g, h.conds)
			}
			out = append(out, g)
			for _, l := range r.labelSets.items[r.tests[c>>1].left] {
				answered[l] = true
			}
		}
	}
	for _, c := range r.condSets.items[h.conds] {
		t := &r.tests[c>>1]
		if t.op == "asked" && !answered[r.labelSets.items[t.left][0]] {
			out = append(out, Gate{What: "the code asks who calls, and what it makes of the answer could not be read", Holds: GateUnknown, At: r.p.Ref(t.method, t.pc)})
		}
	}
	if len(e.Actions) > 0 && e.Component == nil && action == "" {
		all := true
		for _, a := range e.Actions {
			if g, ok := r.protectedGate(a); !ok || g.Holds != GateHolds {
				all = false
				action = a
				break
			}
		}
		if all {
			out = append(out, Gate{What: "only the system may send " + e.Actions[0], Holds: GateHolds, At: e.At})
		}
	}
	return gatesInOrder(out), action
}

// gatesInOrder sorts gates by their words and drops those that say the same.
func gatesInOrder(gates []Gate) []Gate {
	slices.SortStableFunc(gates, func(a, b Gate) int { return cmp.Compare(a.What, b.What) })
	return slices.CompactFunc(gates, func(a, b Gate) bool { return a.What == b.What })
}

// gateOf says which gate a decision is, if it is one; act is the action that it demands of the intent. h is
// the effect behind it, or nil.
func (r *run) gateOf(c uint32, h *hit) (g Gate, act string, ok bool) {
	t := &r.tests[c>>1]
	yes := c&1 == 1
	g.At = r.p.Ref(t.method, t.pc)
	var has struct{ signature, process, identity, listed, action, stored, caller, digest bool }
	key := ""
	for _, l := range r.labelSets.items[t.left] {
		lab := &r.labels[l]
		switch lab.kind {
		case "signature":
			has.signature = true
		case "process":
			has.process = true
		case "identity":
			has.identity = true
		case "listed":
			has.listed = true
		case "stored":
			has.stored = true
			key = lab.key
		case "action":
			has.action = true
		case "digest":
			has.digest = true
		case "kept": // what comes in, if it was written there
			has.caller = has.caller || r.written(lab.key)
		}
		has.caller = has.caller || incomingKind[lab.kind]
	}
	path := h != nil && strings.HasSuffix(h.kind.ID, "file") && (h.data || r.overlap(t.left, h.steered))
	positive := yes
	if t.op == "null" || t.op == "is" && t.right == "0" && has.stored {
		positive = !yes // there must be something
	}
	switch {
	case t.op == "asked":
		return g, "", false // see gates
	case t.op == "unfollowed":
		g.What, g.Holds, g.Cut = "code that asks who calls was not followed to its end: "+t.right, GateUnknown, true
	case t.op == "passed":
		g.What, g.Holds = t.right, GateDoesNotHold
	case t.op == "proved":
		if !yes {
			return g, "", false
		}
		// An outsider at a door does not have the key; who speaks for the app's server may.
		g.What, g.Holds = "what comes in must be signed with the key that belongs to one of the app's; who has it passes", GateUnknown
		if r.alone {
			g.Holds = GateDoesNotHold
		}
	case t.op == "either":
		g.What, g.Holds = "who calls is checked in code, in one way or another", GateHolds
		if has.signature {
			g.What = "the caller's signature is compared in code, or the caller is looked up in a list"
		}
	case t.op == "permission":
		name := t.right
		pg := r.permission(name)
		switch {
		case !yes:
			return g, "", false
		case name == "":
			g.What, g.Holds = "a permission whose name is not known is asked for in code", GateUnknown
		default:
			g.What, g.Holds, g.Platform = guardWords(pg)+", asked for in code", worth(pg.Holds), pg.Platform
		}
	case t.op == "signature" && yes, has.signature && positive && t.op != "listed" && t.op != "null" && t.op != "above" && t.op != "below":
		g.What, g.Holds = "the caller's signature is compared in code", GateHolds
	case has.listed && t.op == "null" && !yes, has.identity && t.op == "listed" && yes:
		g.What, g.Holds = "the caller is looked up in a list", GateHolds
	case has.caller && t.op == "listed" && yes:
		g.What, g.Holds = "what comes in must be on a list that the app keeps", GateUnknown
	case has.identity && positive && t.op != "listed" && (t.op != "above" && t.op != "below" && t.op != "null" || t.op == "below" && appUID(t.right)):
		g.What, g.Holds = "who calls is compared in code", GateHolds
		if t.right != "" && t.op != "null" {
			g.What += " with " + strconv.Quote(t.right)
		}
	case has.process && positive && t.op != "null":
		g.What, g.Holds = "the caller's process is looked up by its number; an app chooses the name of its own process", GateDoesNotHold
	case has.action && t.op == "equals" && t.right != "":
		if !yes {
			return g, "", false
		}
		act = t.right
		pg, is := r.protectedGate(t.right)
		g.What, g.Holds = pg.What, pg.Holds
		return g, act, is
	case has.stored && positive:
		g.What, g.Holds = "a value kept on the phone"+named(key)+" must be set", GateUnknown
		switch {
		case key == "":
			g.What = "what another part of the phone answers must be right"
		case strings.HasPrefix(key, "L"):
			g.What = "it depends on " + key + ", whose code is not in the evidence"
		}
	case has.caller && t.op == "contains" && t.right == ".." && !yes && path:
		g.What, g.Holds = "a path that climbs out of its folder is refused", GateHolds
	case has.caller && t.op == "starts with" && yes && strings.Contains(t.right, "/") && path:
		g.What, g.Holds = "the path must begin with "+strconv.Quote(t.right), GateHolds
	case has.caller && has.digest && yes && t.op == "equals":
		g.What, g.Holds = "what comes in must have a digest"+named(t.right)+"; what has it the code does not say", GateUnknown
	case has.caller && yes && t.right != "" && t.op == "equals":
		g.What, g.Holds = "what comes in must be "+strconv.Quote(t.right)+", which is in the code for all to read", GateDoesNotHold
	default:
		return g, "", false
	}
	g.Caller = has.identity || has.listed || has.signature || t.op == "signature"
	return g, "", true
}

// overlap reports whether two label sets have one in common.
func (r *run) overlap(a, b uint32) bool {
	return slices.ContainsFunc(r.labelSets.items[a], func(l uint32) bool { return slices.Contains(r.labelSets.items[b], l) })
}

// appUID reports whether a bound on a uid divides apps from the system's own: 10000 is the first app.
func appUID(right string) bool {
	n, err := strconv.Atoi(right)
	return err == nil && n >= 1000 && n <= 10000
}

// stops reports whether a decision keeps some callers out, or may.
func (r *run) stops(c uint32) bool {
	if v, ok := r.stopping[c]; ok {
		return v
	}
	g, _, ok := r.gateOf(c, nil)
	v := ok && g.Holds != GateDoesNotHold
	r.stopping[c] = v
	return v
}

// joinConds returns what is decided on both of two ways. If each way asks who calls and they ask
// differently, what both have in common is that one of the questions was answered.
func (r *run) joinConds(a, b uint32) uint32 {
	both := r.condSets.intersect(a, b)
	if both == a || both == b {
		return both
	}
	// The first question of each way, and whom all of them are about.
	first := func(rest uint32) (c, about uint32) {
		for _, x := range r.condSets.items[rest] {
			if r.stops(x) {
				if c == 0 {
					c = x
				}
				about = r.labelSets.union(about, r.tests[x>>1].left)
			}
		}
		return c, about
	}
	restA, restB := r.condSets.minus(a, both), r.condSets.minus(b, both)
	x, ax := first(restA)
	y, ay := first(restB)
	if x == 0 && y == 0 {
		return both
	}
	if x == 0 || y == 0 { // one way is open: what let a known caller through on it is still told
		open := restA
		if x != 0 {
			open = restB
		}
		for _, c := range r.condSets.items[open] {
			if r.tests[c>>1].op == "passed" {
				both = r.condSets.add(both, c)
			}
		}
		return both
	}
	t := r.tests[min(x, y)>>1]
	q := r.ask(test{op: "either", left: r.labelSets.union(ax, ay), method: t.method, pc: t.pc, yes: 1})
	return r.condSets.add(both, condOf(q, true))
}

func named(key string) string {
	if key == "" {
		return ""
	}
	return " (" + strconv.Quote(key) + ")"
}

// protectedGate is the gate of an action that only the system may send.
func (r *run) protectedGate(action string) (Gate, bool) {
	r.asks(askAction, action)
	protected, by := r.p.Phone.Protected(action)
	switch protected {
	case knowledge.Yes:
		return Gate{What: "only the system may send " + action + " (" + by + ")", Holds: GateHolds}, true
	case knowledge.Uncertain:
		return Gate{What: "it is not known whether an app may send " + action, Holds: GateUnknown}, true
	}
	return Gate{}, false
}

// providerGuard picks the guard of the provider's method that the way begins with: reading or writing.
func (r *run) providerGuard(h *hit, c *phone.Component) phone.Guard {
	root := h.chain
	for root.up != nil {
		root = root.up
	}
	name, _ := cutSel(r.p.syms.text[r.p.methods[root.method].sel])
	switch name {
	case "insert", "update", "delete", "bulkInsert":
		return c.Write
	case "query", "openFile", "openAssetFile", "openTypedAssetFile", "getString", "getBlob", "fillWindow":
		return c.Read
	}
	// call and applyBatch are not guarded by the provider's permissions before Android 10; the weaker counts.
	if c.Read.Holds < c.Write.Holds {
		return c.Read
	}
	return c.Write
}

func (r *run) permission(name string) phone.Guard {
	r.asks(askPermission, name)
	return r.p.Phone.Guard(name)
}

func guardWords(g phone.Guard) string {
	s := "permission " + g.Permission
	if l := g.Level.String(); l != "" {
		s += " (" + l + ")"
	}
	if g.Why != "" {
		s += ", " + g.Why
	}
	return s
}

func worth(w phone.Worth) Holds {
	switch w {
	case phone.None, phone.DoesNotHold:
		return GateDoesNotHold
	case phone.Holds, phone.Consent:
		return GateHolds
	}
	return GateUnknown
}

// calleeAt names what the instruction at pc of m calls.
func (p *Program) calleeAt(m MethodID, pc uint32) string {
	d := &p.dexes[p.methods[m].dex]
	in, err := p.insnAt(m, pc)
	if err != nil {
		return ""
	}
	if in.Op.IndexKind() == dex.IndexMethod {
		return d.MethodName(in.Index)
	}
	return in.Op.String()
}

// insnAt decodes the instruction at pc of m, as it was before ART quickened it where a table tells.
func (p *Program) insnAt(m MethodID, pc uint32) (in dex.Insn, err error) {
	d := &p.dexes[p.methods[m].dex]
	c, err := d.Code(p.methods[m].code)
	if err != nil {
		return in, err
	}
	info, quick := d.quickInfo(&p.methods[m])
	if !quick {
		return in, in.Decode(c.Insns, pc)
	}
	for at := uint32(0); at <= pc; at = in.Next {
		if err := in.Decode(c.Insns, at); err != nil {
			return in, err
		}
		restore(&in, &info)
	}
	return in, nil
}
