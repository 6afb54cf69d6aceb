package program

import (
	"slices"
	"strings"

	"gifthorse/knowledge"
	"gifthorse/phone"
)

// This file lets one app's code run into another's: an intent that another app's component gets, a binder that
// another app's service gave. Who calls is then known, and what code finds out about a caller is too.

// doors are the components that other apps can reach, by class and by action.
type doors struct {
	byName, byAction map[string][]*phone.Component
}

func (p *Program) findDoors() {
	p.doors = doors{map[string][]*phone.Component{}, map[string][]*phone.Component{}}
	for i := range p.spaces {
		pkg := p.spaces[i].pkg
		if pkg == nil || pkg.Dormant {
			continue
		}
		for _, c := range pkg.Components {
			id := p.find(i, p.syms.ids[c.Name])
			if id == 0 || !c.Enabled || c.Kind == phone.KindProvider || c.Kind == phone.KindActivity || !p.worthwhile(id, reachesEffect) {
				continue
			}
			p.doors.byName[c.Name] = append(p.doors.byName[c.Name], c)
			for _, f := range c.Filters {
				for _, a := range f.Actions {
					if l := p.doors.byAction[a]; len(l) == 0 || l[len(l)-1] != c {
						p.doors.byAction[a] = append(l, c)
					}
				}
			}
		}
	}
}

// lets reports whether a component can be started by an app, and the words for what it passed if something is
// asked of it.
func lets(c *phone.Component, by *phone.Package) (passed string, ok bool) {
	switch {
	case c.Package.UID() == by.UID():
		return "", true
	case !c.Exported:
		return "", false
	case c.Guard.Permission == "":
		return "", true
	case by.Has(c.Guard.Permission):
		return guardWords(c.Guard), true
	}
	return "", false
}

// startElsewhere follows an intent to the components of other apps that get it. Whatever any app can start by
// itself is followed only for an app that runs by itself: else that door has been tried already.
func (r *run) startElsewhere(s *site, names, actions []string, kind string, intent value) (binder value) {
	from := r.p.spaces[r.space].pkg
	var list []*phone.Component
	for _, n := range names {
		r.asks(askDoorsByName, n)
		list = append(list, r.p.doors.byName[n]...)
	}
	for _, a := range actions {
		r.asks(askDoorsByAction, a)
		list = append(list, r.p.doors.byAction[a]...)
	}
	for _, c := range list {
		passed, ok := lets(c, from)
		if !ok || c.Package == from || string(c.Kind) != kind || !r.alone && passed == "" {
			continue
		}
		id := c.Package.Name + c.Name
		if r.started[id] > 1 {
			continue
		}
		r.started[id]++
		was, caller, before := r.space, r.caller, s.cur.conds
		r.space, r.caller = r.p.ofPackage[c.Package], nil
		up := r.chainOf(s.f.m, s.in.PC, "starts "+kind+" "+c.Name+" of "+c.Package.Name, s.f.up)
		if passed != "" {
			q := r.ask(test{op: "passed", right: passed + ", which " + from.Name + " has", method: s.f.m, pc: s.in.PC, yes: 1})
			s.cur.conds = r.condSets.add(s.cur.conds, condOf(q, true))
		}
		obj := r.create(r.space, s.cur, r.p.syms.ids[c.Name], up)
		if b := r.driveInside(s.cur, obj, c.Kind, intent, up); b.kind == object {
			binder = b
			for _, o := range r.objectsOf(b) {
				if r.lent == nil {
					r.lent = map[uint32]uint32{}
				}
				r.lent[o] = r.condSets.minus(s.cur.conds, before)
			}
		}
		r.space, r.caller, s.cur.conds = was, caller, before
		r.started[id]--
	}
	return binder
}

// transact calls a binder, in the app that it belongs to.
func (r *run) transact(s *site) value {
	for _, o := range r.objectsOf(s.arg(0)) {
		c := r.objects[o].cid
		if c == 0 {
			continue
		}
		m := r.p.dispatch(c, r.p.syms.member("onTransact:(ILandroid/os/Parcel;Landroid/os/Parcel;I)Z"))
		if m == 0 || r.p.methods[m].code == 0 || r.onStack[m] > 0 {
			continue
		}
		was, caller, before := r.space, r.caller, s.cur.state
		to := r.p.dexes[r.p.classes[c].dex].space
		at := r.at(s.f, s.in.PC)
		if to != was && r.p.spaces[to].pkg != nil {
			r.caller, r.space = r.p.spaces[was].pkg, to
			at = r.chainOf(s.f.m, s.in.PC, "calls a binder of "+r.p.spaces[to].pkg.Name, s.f.up)
		}
		st := before
		st.conds = r.condSets.union(st.conds, r.lent[o])
		st.heap = st.heap.set(fieldKey(0, keyCalled), intVal(1))
		_, out, ok := r.call(m, []value{r.objVal(o), s.arg(1), s.arg(2), s.arg(3), s.arg(4)}, st, at)
		r.space, r.caller = was, caller
		if ok {
			s.cur.heap = r.joinHeap(before.heap, out.heap, r.plain)
			r.giveBack(s.cur, before.heap)
		}
	}
	return value{}
}

// giveBack sets who calls to what it was.
func (r *run) giveBack(cur *local, before *heap) {
	if v, ok := before.get(fieldKey(0, keyCalled)); ok {
		cur.heap = cur.heap.set(fieldKey(0, keyCalled), v)
	}
}

// called says whether the code at hand answers another process's call: the platform calls receivers, screens and
// what runs in a thread of its own, and there Binder tells of the app itself.
func (r *run) called(cur *local) (yes, sure bool) {
	v, ok := cur.heap.get(fieldKey(0, keyCalled))
	return !ok || v.n != 0, ok && v.kind == number
}

func (r *run) setCalled(cur *local, yes bool) {
	cur.heap = cur.heap.set(fieldKey(0, keyCalled), intVal(b2i(yes)))
}

// asksItself answers a question about a caller that is none: nobody calls, the app asks about itself, or the one who
// comes in says himself who is meant.
func (r *run) asksItself(s *site, fact *knowledge.Fact, key string) (v value, yes bool) {
	own := r.p.spaces[r.space].pkg
	has := intVal(-1)
	if own != nil && own.Has(key) {
		has = intVal(0)
	} else if own != nil && slices.Contains(own.Requested, key) { // who grants it the phone's files do not say
		has = value{}
	}
	called, sure := r.called(s.cur)
	nobody := sure && !called && own != nil
	about := func(i int) (itself, chosen bool) { // whom argument i names
		a := r.content(s.cur, s.arg(i))
		if r.guardsIn(a.taint) != 0 {
			return false, false
		}
		t, ok := r.isText(a)
		return ok && own != nil && t == own.Name || r.only(a.taint, "self"), r.callers(a.taint)
	}
	switch fact.Name {
	case "getCallingUid", "getCallingPid", "getCallingUserHandle":
		if !nobody {
			return v, false
		}
		if fact.Name == "getCallingUid" && own.SharedUID == "android.uid.system" {
			return intVal(1000), true
		}
		return value{}, true
	case "checkCallingOrSelfPermission", "enforceCallingOrSelfPermission":
		return has, nobody && key != "" && (has.isNull() || fact.Means != "throws")
	case "checkPermission", "checkSignatures":
		last := len(s.args) - 1
		itself, chosen := about(last)
		if fact.Name == "checkSignatures" {
			a, b := about(1)
			itself, chosen = itself && a, chosen || b
		}
		if chosen {
			return value{taint: r.deep(s.cur.heap, s.arg(last))}, true
		}
		return has, itself && (key != "" || fact.Name == "checkSignatures")
	}
	return v, false
}

// only reports whether a label set has labels of one kind and of no other.
func (r *run) only(set uint32, kind string) bool {
	for _, l := range r.labelSets.items[set] {
		if r.labels[l].kind != kind {
			return false
		}
	}
	return set != 0
}

// known answers what code asks about who calls, where the caller is known. given is false if it is not.
func (r *run) known(s *site, kind, name, key string, at *chain) (v value, given bool) {
	if r.caller == nil {
		return v, false
	}
	l := r.mark(kind, r.caller.Name, "who calls", true, at)
	switch {
	case kind == "permission" && key != "":
		v = value{kind: number, n: -1, taint: l}
		if r.caller.Has(key) {
			v.n = 0
		} else if strings.HasPrefix(name, "enforce") {
			return v, false
		}
		v.test = r.passing(l, s.f.m, s.in.PC)
		if strings.HasPrefix(name, "enforce") {
			r.pass(s.cur, v)
		}
		return v, true
	case strings.HasSuffix(name, "CallingUid"):
		v = value{taint: l}
		if r.caller.SharedUID == "android.uid.system" {
			v.kind, v.n, v.test = number, 1000, r.passing(l, s.f.m, s.in.PC)
		}
		return v, true
	case name == "getCallingPackage":
		v = r.text(r.caller.Name)
		v.taint = l
		return v, true
	}
	return v, false
}

// answered is the answer v to a question about what guards is about. Where the caller is known, that he got this answer is
// told on the way behind it: see pass.
func (r *run) answered(s *site, v value, about uint32) value {
	if g := r.guardsIn(about); g != 0 {
		v.taint, v.test = g, r.passing(g, s.f.m, s.in.PC)
	}
	return v
}

// pass notes, behind a decision, that a known caller got past a check.
func (r *run) pass(l *local, values ...value) {
	for _, v := range values {
		if v.test != 0 && r.tests[v.test].op == "passed" {
			l.conds = r.condSets.add(l.conds, condOf(v.test, true))
		}
	}
}

// passing is the test that a known caller passes.
func (r *run) passing(guards uint32, m MethodID, pc uint32) uint32 {
	who := "who calls"
	for _, l := range r.labelSets.items[guards] {
		if k := r.labels[l].key; k != "" {
			who = k
		}
	}
	return r.ask(test{op: "passed", left: guards, right: "a check in code is passed by " + who, method: m, pc: pc, yes: 1})
}

// callerIn returns the app that a label set says is the caller, or nil.
func (r *run) callerIn(set uint32) *phone.Package {
	for _, l := range r.labelSets.items[set] {
		if lab := &r.labels[l]; lab.kind == "identity" && lab.key != "" {
			return r.packageOf(lab.key)
		}
	}
	return nil
}

func (r *run) packageOf(name string) *phone.Package {
	r.asks(askPackage, name)
	return r.p.Phone.Package(name)
}

// sharing returns the names of the packages that run under the uid of k, itself among them, sorted.
func (p *Program) sharing(k *phone.Package) (names []string) {
	for _, x := range p.Phone.Packages {
		if x == k || k.SharedUID != "" && x.SharedUID == k.SharedUID && !x.Dormant {
			names = append(names, x.Name)
		}
	}
	slices.Sort(names)
	return names
}

// peerModels are the platform's answers about apps that are known.
func peerModels(on, start func(class, names string, f func(*run, *site) value)) {
	const pm = "Landroid/content/pm/PackageManager;"
	on(pm, "getPackagesForUid", func(r *run, s *site) value {
		k := r.callerIn(s.arg(1).taint)
		if k == nil {
			return r.general(s)
		}
		r.asks(askUID, k.Name)
		names := r.p.sharing(k)
		if len(names) > 8 { // too many to follow one by one
			return r.general(s)
		}
		v := r.made(s.cur, r.at(s.f, s.in.PC), -2, r.p.syms.ids["[Ljava/lang/String;"], 0, true)
		o := r.objectsOf(v)[0]
		for i, n := range names {
			t := r.text(n)
			t.taint = s.arg(1).taint
			r.write(s.cur, o, indexKey(int64(i)), t, true)
		}
		r.write(s.cur, o, keyLength, intVal(int64(len(names))), true)
		v.taint = s.arg(1).taint
		return v
	})
	on(pm, "getNameForUid", func(r *run, s *site) value {
		k := r.callerIn(s.arg(1).taint)
		if k == nil || k.SharedUID != "" {
			return r.general(s)
		}
		v := r.text(k.Name)
		v.taint = s.arg(1).taint
		return v
	})
	on(pm, "getPackageInfo getPackageInfoAsUser", func(r *run, s *site) value {
		name, ok := r.isText(r.content(s.cur, s.arg(1)))
		if !ok {
			return r.general(s)
		}
		k := r.packageOf(name)
		if k == nil || len(k.Signature.Certificates) == 0 {
			return r.general(s)
		}
		// What the platform says of an app is one object, wherever it is asked for: its certificates are thousands of bytes.
		info := r.made(s.cur, r.chainOf(0, 0, "what is known of "+name, nil), -2, r.p.syms.ids["Landroid/content/pm/PackageInfo;"], 0, false)
		io := r.objectsOf(info)[0]
		taint := s.arg(1).taint
		signatures := r.field("signatures", "[Landroid/content/pm/Signature;")
		if _, there := s.cur.heap.get(fieldKey(io, signatures)); !there {
			list := r.made(s.cur, r.chainOf(0, 0, "signatures of "+name, nil), -2, r.p.syms.ids["[Landroid/content/pm/Signature;"], 0, true)
			lo := r.objectsOf(list)[0]
			for i, der := range k.Signature.Certificates {
				c := r.made(s.cur, r.chainOf(0, uint32(i), "a signature of "+name, nil), -2, r.p.syms.ids["Landroid/content/pm/Signature;"], 0, false)
				r.write(s.cur, r.objectsOf(c)[0], keyAll, r.bytesOf(s, []byte(der), 0), true)
				r.write(s.cur, lo, indexKey(int64(i)), c, true)
			}
			r.write(s.cur, lo, keyLength, intVal(int64(len(k.Signature.Certificates))), true)
			r.write(s.cur, io, signatures, list, true)
			r.write(s.cur, io, r.field("packageName", "Ljava/lang/String;"), r.text(name), true)
		}
		r.objects[io].label = r.labelSets.union(r.objects[io].label, taint)
		info.taint = taint
		return info
	})
	on("Landroid/os/Process;", "myUid myPid", func(r *run, s *site) value {
		return value{taint: r.mark("self", "", "the app itself", false, nil)}
	})
	on("Landroid/os/Binder;", "clearCallingIdentity restoreCallingIdentity", func(r *run, s *site) value {
		if called, sure := r.called(s.cur); called || !sure || s.name == "restoreCallingIdentity" {
			r.setCalled(s.cur, s.name == "restoreCallingIdentity")
		}
		return value{}
	})
	for _, c := range [...]string{"Landroid/os/IBinder;", "Landroid/os/Binder;"} {
		start(c, "transact", func(r *run, s *site) value { return r.transact(s) })
		on(c, "attachInterface", func(r *run, s *site) value {
			r.fieldPut(s.cur, s.arg(0), keyTarget, s.arg(1))
			return value{}
		})
		on(c, "queryLocalInterface", func(r *run, s *site) value {
			var out value
			for i, o := range r.objectsOf(s.arg(0)) {
				v := intVal(0)
				if k := r.objects[o].cid; k != 0 && r.p.dexes[r.p.classes[k].dex].space == r.space {
					v, _ = s.cur.heap.get(fieldKey(o, keyTarget))
				}
				if i == 0 {
					out = v
				} else {
					out = r.join(out, v, 0, 0)
				}
			}
			return out
		})
	}
}
