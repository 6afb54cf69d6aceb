package program

import (
	"slices"
	"strings"

	"gifthorse/format/dex"
	"gifthorse/knowledge"
)

// This file follows intents that an outsider made and put into what comes in. An app that starts one does so with its own power.

// LooksFirst is the gate of an app that asks something of an intent before it starts it.
const LooksFirst = "the app looks at what it is told to start before it starts it"

// Redirects returns the paths on which an app starts an intent that the outsider made, or a component that he names,
// or hands such an intent back.
func (p *Program) Redirects() []Path { return p.redirects }

// taken records an effect that wants an intent made by the outsider.
func (r *run) taken(s *site, fact *knowledge.Fact) {
	if r.alone {
		return
	}
	v := s.arg(fact.Taken)
	labels, named := r.outsiders(s.cur, v, fact.Handed, 0)
	if labels == 0 {
		return
	}
	kind := fact.Kind
	if named {
		if kind = fact.Named; kind == nil {
			return
		}
	}
	r.record(hit{kind: kind, chain: r.at(s.f, s.in.PC), conds: s.cur.conds, gesture: r.gesture > 0, steered: labels})
}

// outsiders returns the labels of an intent that the outsider made; or, with named set, of the component that he names
// for an intent that the app made. handed says that the intent which itself came in counts too: started, it would only
// lead back to where it came in, for the platform has written that component into it.
func (r *run) outsiders(cur *local, v value, handed bool, depth int) (labels uint32, named bool) {
	os := r.objectsOf(v)
	if len(os) == 0 {
		if v.kind == anything && r.p.syms.text[v.typ] != "Landroid/app/PendingIntent;" { // that one runs with its maker's power
			labels = r.handedOver(cur, v, handed)
		}
		return labels, false
	}
	for _, o := range os {
		info := &r.objects[o]
		target, ok := cur.heap.get(fieldKey(o, keyTarget))
		pending := r.p.syms.text[info.class] == "Landroid/app/PendingIntent;"
		switch {
		case info.cid != 0 || depth > 3:
		case ok && !pending:
			// A name whose beginning is fixed, or that is looked up in what the app keeps, chooses among a few.
			if t := r.content(cur, target); t.kind == anything && t.alts == 0 && r.callers(t.taint) {
				labels, named = r.labelSets.union(labels, t.taint), true
			}
		case info.incoming != "":
			if _, stripped := cur.heap.get(fieldKey(o, keyStripped)); handed && !stripped {
				labels = r.labelSets.union(labels, r.mark("argument", "intent", info.incoming, false, nil))
			}
		default: // a copy of an intent, or a pending intent that is made of one
			if of, ok := cur.heap.get(fieldKey(o, keyIntent)); ok {
				l, n := r.outsiders(cur, of, handed, depth+1)
				labels, named = r.labelSets.union(labels, l), named || n
			}
		}
	}
	return labels, named
}

// handedOver returns the outsider's labels of a value if he handed it over as an object: it was read by a call
// that yields one, and not made of a text that he gave. If the app has written a component into it, it is his no more.
func (r *run) handedOver(cur *local, v value, handed bool) (out uint32) {
	for _, l := range r.labelSets.items[v.taint] {
		lab := &r.labels[l]
		_, ours := cur.heap.get(fieldKey(0, keyRetargeted|l))
		_, stripped := cur.heap.get(fieldKey(0, keyStripped|l))
		if ours && !handed || stripped && handed || !incomingKind[lab.kind] {
			continue
		}
		object := r.p.syms.text[v.typ] == "Landroid/content/Intent;"
		if lab.chain != nil {
			object = r.p.yieldsObject(lab.chain.method, lab.chain.pc)
		}
		if object {
			out = r.labelSets.union(out, r.labelSets.intern([]uint32{l}))
		}
	}
	return out
}

// yieldsObject reports whether the call at pc of m returns an object that may be an intent, or hold one.
func (p *Program) yieldsObject(m MethodID, pc uint32) bool {
	d := &p.dexes[p.methods[m].dex]
	in, err := p.insnAt(m, pc)
	if err != nil || in.Op.IndexKind() != dex.IndexMethod || in.Index >= uint32(len(d.sels)) {
		return false
	}
	name, proto := cutSel(p.syms.text[d.sels[in.Index]])
	switch ret := proto[strings.IndexByte(proto, ')')+1:]; {
	case strings.Contains(name, "String") || strings.Contains(ret, "String") || strings.Contains(ret, "CharSequence"):
		return false
	default:
		return ret != "" && (ret[0] == 'L' || ret[0] == '[' && len(ret) > 2)
	}
}

// Of an intent, or of no object, with a label: of the intent that carries it.
const (
	keyRetargeted = 10 << 28 // the app has written a component into it
	keyStripped   = 11 << 28 // the app has written its flags, among which are those that hand out rights
)

// retarget notes that the app writes a component of its own choice, or none, into an intent that the outsider made: what
// he chose then counts no more. Where two ways meet it counts if it was done on one: the error is on the quiet side.
func (r *run) retarget(cur *local, intent, target value) {
	if intent.kind == object || r.callers(r.deep(cur.heap, target)) {
		return
	}
	for _, l := range r.labelSets.items[intent.taint] {
		if incomingKind[r.labels[l].kind] {
			cur.heap = cur.heap.set(fieldKey(0, keyRetargeted|l), intVal(1))
		}
	}
}

// strips is a model of what writes the flags of an intent.
func strips(r *run, s *site) value {
	for _, o := range r.objectsOf(s.arg(0)) {
		s.cur.heap = s.cur.heap.set(fieldKey(o, keyStripped), intVal(1))
	}
	for _, l := range r.labelSets.items[s.arg(0).taint] {
		s.cur.heap = s.cur.heap.set(fieldKey(0, keyStripped|l), intVal(1))
	}
	if strings.HasSuffix(s.proto, ")V") {
		return value{}
	}
	return s.arg(0)
}

// parsed is the intent that the app reads out of a text: if the text is the outsider's, so is the intent.
func parsed(r *run, s *site) value {
	v := r.general(s)
	if r.whole || !r.callers(s.arg(0).taint) {
		return v
	}
	var t uint32
	at := r.at(s.f, s.in.PC)
	for _, l := range r.labelSets.items[s.arg(0).taint] {
		if lab := r.labels[l]; incomingKind[lab.kind] {
			t = r.labelSets.union(t, r.mark(lab.kind, lab.key, lab.words, false, at))
		}
	}
	r.fieldPut(s.cur, v, keyIntent, value{taint: t, typ: r.retType(s.proto)})
	return v
}

// resolved is what the platform answers to the question where an intent leads.
func resolved(r *run, s *site) value {
	v := r.general(s)
	if len(s.args) > 1 && !r.whole && r.callers(r.deep(s.cur.heap, s.arg(1))) {
		v.taint = r.labelSets.union(v.taint, r.mark("target", "", "where the intent leads", true, r.at(s.f, s.in.PC)))
	}
	return v
}

// looks returns the gate that stands on a way if the app asked something of the intent before it started it. What it
// makes of the answer is not judged.
func (r *run) looks(h *hit) (g Gate, ok bool) {
	for _, c := range r.condSets.items[h.conds] {
		t := &r.tests[c>>1]
		if t.op == "null" || t.op == "asked" || t.op == "passed" {
			continue
		}
		if slices.ContainsFunc(r.labelSets.items[t.left], func(l uint32) bool { return r.labels[l].kind == "target" || r.sameRead(l, h.steered) }) {
			return Gate{What: LooksFirst, Holds: GateUnknown, At: r.p.Ref(t.method, t.pc)}, true
		}
	}
	return g, false
}

// sameRead reports whether a label is in a set, or names the same entry of what came in.
func (r *run) sameRead(l, set uint32) bool {
	lab := &r.labels[l]
	return slices.ContainsFunc(r.labelSets.items[set], func(x uint32) bool {
		return x == l || lab.key != "" && incomingKind[lab.kind] && r.labels[x].kind == lab.kind && r.labels[x].key == lab.key
	})
}
