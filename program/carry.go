package program

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"gifthorse/format/dex"
	"gifthorse/knowledge"
)

// equals answers whether two texts are the same; where that is open, the answer remembers the question.
func (r *run) equals(s *site, a, b value) value {
	a, b = r.content(s.cur, a), r.content(s.cur, b)
	fold := s.name == "equalsIgnoreCase"
	eq := func(x, y string) bool { return x == y || fold && strings.EqualFold(x, y) }
	if a.kind == text && b.kind == text {
		v := intVal(b2i(eq(r.texts[a.n], r.texts[b.n])))
		return r.answered(s, v, r.labelSets.union(a.taint, b.taint))
	}
	if a.kind == text {
		a, b = b, a
	}
	right, known := r.isText(b)
	if a.alts != 0 && known {
		var list []alternative
		open := false
		for _, x := range r.altLists[a.alts] {
			switch {
			case x.kind == text:
				list = append(list, alternative{kind: number, n: b2i(eq(r.texts[x.n], right)), conds: x.conds})
			case x.kind == number:
				list = append(list, alternative{kind: number, conds: x.conds})
			default:
				open = true
			}
		}
		if !open {
			v := value{}
			for i, x := range list {
				w := value{kind: x.kind, n: x.n}
				if i == 0 {
					v = value{alts: r.internAlts([]alternative{x})}
					continue
				}
				v = r.join(v, value{kind: anything, alts: r.internAlts([]alternative{{kind: w.kind, n: w.n, conds: x.conds}})}, 0, 0)
			}
			return r.answered(s, v, r.labelSets.union(a.taint, b.taint))
		}
	}
	t := r.labelSets.union(a.taint, b.taint)
	if t == 0 {
		return value{}
	}
	return value{taint: 0, test: r.ask(test{op: "equals", left: t, right: right, method: s.f.m, pc: s.in.PC, yes: 1})}
}

func compareText(op string, f func(a, b string) bool) func(*run, *site) value {
	return func(r *run, s *site) value {
		a, b := r.content(s.cur, s.arg(0)), r.content(s.cur, s.arg(1))
		if a.kind == text && b.kind == text && len(s.args) == 2 {
			return r.answered(s, intVal(b2i(f(r.texts[a.n], r.texts[b.n]))), r.labelSets.union(a.taint, b.taint))
		}
		t := r.labelSets.union(a.taint, b.taint)
		if t == 0 {
			return value{}
		}
		right, _ := r.isText(b)
		return value{test: r.ask(test{op: op, left: t, right: right, method: s.f.m, pc: s.in.PC, yes: 1})}
	}
}

// concat joins two texts; what is known of the beginning stays known.
func (r *run) concat(a, b value) value {
	t := r.labelSets.union(a.taint, b.taint)
	var v value
	switch {
	case a.kind == text && (b.kind == text || b.kind == prefix):
		v = r.text(joinText(r.texts[a.n], r.texts[b.n]))
		if v.kind == text {
			v.kind = b.kind
		}
	case a.kind == text && r.texts[a.n] != "" || a.kind == prefix:
		v = value{kind: prefix, n: a.n}
	case a.kind == suffix && b.kind == text:
		if v = r.text(joinText(r.texts[a.n], r.texts[b.n])); v.kind == text {
			v.kind = suffix
		}
	case a.kind == rooted || (a.kind == suffix || a.kind == anything && a.alts == 0) && !r.callers(a.taint) && r.callers(b.taint):
		v = value{kind: rooted}
	case b.kind == rooted:
		v = value{kind: rooted}
	case b.kind == text && r.texts[b.n] != "" || b.kind == suffix:
		v = value{kind: suffix, n: b.n}
	case a.kind == text: // nothing was put before it
		v = b
	case b.kind == text:
		v = a
	}
	v.taint = t
	return v
}

// matchURI gives the code of the pattern that the uri matches, or each code with the pattern as its condition.
func matchURI(r *run, s *site) value {
	u := r.content(s.cur, s.arg(1))
	known, ok := r.isText(u)
	out := []alternative{{kind: number, n: -1}}
	for _, o := range r.objectsOf(s.arg(0)) {
		if r.objects[o].cid != 0 {
			return value{}
		}
		s.cur.heap.each(o, func(f uint32, v value) {
			if f < keyText || f >= keyIndex || v.kind != number {
				return
			}
			pat := r.texts[f&^keyText]
			if ok {
				if uriMatches(pat, known) {
					out = []alternative{{kind: number, n: v.n}}
				}
				return
			}
			q := r.ask(test{op: "uri", left: u.taint, right: pat, method: s.f.m, pc: s.in.PC, yes: 1})
			c := r.condSets.intern([]uint32{condOf(q, true)})
			if i := slices.IndexFunc(out, func(a alternative) bool { return a.n == v.n }); i >= 0 {
				out[i].conds = r.condSets.intersect(out[i].conds, c)
				return
			}
			out = append(out, alternative{kind: number, n: v.n, conds: c})
		})
	}
	if len(out) == 1 && !ok || len(out) > 64 {
		return value{}
	}
	return r.fromAlts(out, 0)
}

func uriMatches(pattern, uri string) bool {
	u := strings.Split(strings.TrimPrefix(uri, "content://"), "/")
	p := strings.Split(strings.TrimSuffix(pattern, "/"), "/")
	if len(u) != len(p) {
		return false
	}
	for i := range p {
		if p[i] != u[i] && p[i] != "*" && p[i] != "#" {
			return false
		}
	}
	return true
}

// paramIs reports whether parameter i of a prototype has the type.
func paramIs(proto string, i int, typ string) bool {
	return paramType(proto, i) == typ
}

// paramType is the type of parameter i of a prototype, "" if it has none.
func paramType(proto string, i int) string {
	for t := range params(proto) {
		if i == 0 {
			return t
		}
		i--
	}
	return ""
}

// copyObject adds all that v's objects hold to object o.
func (r *run) copyObject(cur *local, v value, o uint32) {
	for _, from := range r.objectsOf(v) {
		if from == o {
			continue
		}
		cur.heap.each(from, func(f uint32, x value) {
			if f >= keyText {
				r.write(cur, o, f, x, true)
			}
		})
		if r.objects[from].incoming != "" && r.objects[o].incoming == "" {
			r.objects[o].incoming = r.objects[from].incoming
			r.objects[o].label = r.labelSets.union(r.objects[o].label, r.objects[from].label)
		}
	}
	if v.taint != 0 {
		r.write(cur, o, keyAll, value{taint: v.taint}, false)
	}
}

// incoming reads one part of something that may come from outside.
func (r *run) incoming(s *site, kind, name string, key uint32) value {
	out := value{typ: r.retType(s.proto), taint: s.arg(0).taint}
	os := r.objectsOf(s.arg(0))
	for i, o := range os {
		v, ok := s.cur.heap.get(fieldKey(o, key))
		if !ok {
			v, ok = s.cur.heap.get(fieldKey(o, keyAll))
		}
		if !ok {
			switch {
			case r.objects[o].incoming != "":
				words := r.objects[o].incoming
				v = value{typ: out.typ, taint: r.labelSets.union(r.objects[o].label, r.mark(kind, name, words, false, r.at(s.f, s.in.PC)))}
			case r.p.syms.text[r.objects[o].class] == "Landroid/os/Parcel;": // filled by whoever answered
				v = value{typ: out.typ, taint: r.mark("stored", "", "the answer of another part of the phone", true, r.at(s.f, s.in.PC))}
			case r.objects[o].cid == 0:
				v = intVal(0) // made here and never filled
				r.curious = r.curious || o == r.own
			}
		}
		v.taint = r.labelSets.union(v.taint, out.taint)
		if i == 0 {
			out = v
		} else {
			out = r.join(out, v, 0, 0)
		}
	}
	if out.typ == 0 {
		out.typ = r.retType(s.proto)
	}
	return out
}

func readIn(kind string, key uint32) func(*run, *site) value {
	return func(r *run, s *site) value { return r.incoming(s, kind, "", key) }
}

// getKey reads an entry of an intent, bundle or map by the name that is its first argument.
func getKey(r *run, s *site) value {
	name, ok := r.isText(r.content(s.cur, s.arg(1)))
	key := uint32(keyAll)
	if ok {
		key = keyText | uint32(r.text(name).n)
	}
	v := r.incoming(s, "extra", name, key)
	if r.guardsIn(s.arg(1).taint) != 0 { // to be found in a list tells who calls
		v.taint = r.labelSets.union(r.deep(s.cur.heap, v), r.mark("listed", "", "the caller, looked up in a list", true, r.at(s.f, s.in.PC)))
		v.kind, v.n, v.alts, v.test = anything, 0, 0, 0
	}
	if !ok { // any entry
		for _, o := range r.objectsOf(s.arg(0)) {
			s.cur.heap.each(o, func(f uint32, x value) {
				if f >= keyText && f < keyIndex {
					v = r.join(v, x, 0, 0)
				}
			})
		}
	}
	if v.isNull() && len(s.args) > 2 { // never put there: the default
		return s.arg(2)
	}
	return v
}

func put(r *run, s *site) value {
	name, ok := r.isText(r.content(s.cur, s.arg(1)))
	os := r.objectsOf(s.arg(0))
	for _, o := range os {
		if ok {
			r.write(s.cur, o, keyText|uint32(r.text(name).n), s.arg(2), len(os) == 1)
		} else {
			r.write(s.cur, o, keyAll, s.arg(2), false)
		}
	}
	if strings.HasSuffix(s.proto, ")V") {
		return value{}
	}
	return s.arg(0)
}

// stored reads a preference.
func stored(r *run, s *site) value {
	v := getKey(r, s)
	if v.kind == anything && v.taint == 0 {
		return value{typ: r.retType(s.proto)}
	}
	return r.join(v, s.arg(2), 0, 0)
}

// named returns the object that stands for something of the platform's that has a name: there is one of it.
func (r *run) named(name, class string) value {
	v, ok := r.lasting[name]
	if !ok {
		v = r.objVal(r.newObject(r.p.syms.ids[class], 0))
		r.lasting[name] = v
	}
	return v
}

// field returns the key of a platform field such as Message.what.
func (r *run) field(name, typ string) uint32 { return r.keyOf(r.p.syms.member(name + ":" + typ)) }

// callable reports whether one of v's objects has a body for a selector.
func (r *run) callable(v value, sel string) bool {
	id := r.p.syms.member(sel)
	if id == 0 {
		return false
	}
	for _, o := range r.objectsOf(v) {
		if c := r.objects[o].cid; c != 0 {
			if m := r.p.dispatch(c, id); m != 0 && r.p.methods[m].code != 0 {
				return true
			}
		}
	}
	return false
}

// keyLambda holds the method that a lambda runs.
const keyLambda = 8<<28 + 10

// callBack runs a method of an object that the platform calls back.
func (r *run) callBack(s *site, obj value, sel string, args ...value) value {
	var out value
	id := r.p.syms.member(sel)
	for _, o := range r.objectsOf(obj) {
		var m MethodID
		all := append([]value{r.objVal(o)}, args...)
		if l, ok := s.cur.heap.get(fieldKey(o, keyLambda)); ok {
			m = MethodID(l.n)
			all = all[:0]
			if n, ok := s.cur.heap.get(fieldKey(o, keyLength)); ok {
				for k := range n.n {
					v, _ := s.cur.heap.get(fieldKey(o, indexKey(k)))
					all = append(all, v)
				}
			}
			all = append(all, args...)
		} else if c := r.objects[o].cid; c != 0 && id != 0 {
			m = r.p.dispatch(c, id)
		}
		if m == 0 || r.p.methods[m].code == 0 || r.onStack[m] > 0 {
			continue
		}
		before := s.cur.state
		l := local{state: before}
		if r.handing == 0 { // a thread, a handler, a task: it runs in its own time, not in the caller's
			r.setCalled(&l, false)
		}
		v, st, ok := r.call(m, all, l.state, r.at(s.f, s.in.PC))
		if !ok {
			continue
		}
		out = v
		// What the call-back decides binds only itself.
		s.cur.heap = r.joinHeap(before.heap, st.heap, r.plain)
		r.giveBack(s.cur, before.heap)
	}
	return out
}

// deliver hands a message to the handler that will get it.
func (r *run) deliver(s *site, handler, msg value) {
	r.callBack(s, handler, "handleMessage:(Landroid/os/Message;)V", msg)
	r.callBack(s, r.fieldGet(s.cur, handler, keyRun, 0), "handleMessage:(Landroid/os/Message;)Z", msg)
	r.callBack(s, r.fieldGet(s.cur, msg, keyRun, 0), "run:()V")
}

// handOver follows objects of the app that are given to the platform: their overrides of platform methods
// may be called at any time; those that wait for a finger are marked so.
func (r *run) handOver(s *site) {
	if r.whole {
		r.takeBack(s)
	}
	r.overwritten(s)
	r.handing++
	defer func() { r.handing-- }()
	for i, a := range s.args {
		if i == 0 && s.inst {
			continue
		}
		for _, o := range r.objectsOf(a) {
			if _, lambda := s.cur.heap.get(fieldKey(o, keyLambda)); lambda {
				r.gesture++ // a lambda given to the platform: by far most are listeners
				r.callBack(s, r.objVal(o), "")
				r.gesture--
				continue
			}
			c := r.objects[o].cid
			if c == 0 || r.started["obj"+strconv.Itoa(int(o))] > 0 {
				continue
			}
			r.started["obj"+strconv.Itoa(int(o))]++
			for _, k := range r.p.callBacks(c) {
				if r.whole { // when the time has come
					r.listeners = append(r.listeners, listener{obj: r.objVal(o), sel: k.sel, at: r.at(s.f, s.in.PC)})
					continue
				}
				args := make([]value, 0, 4)
				if k.gesture {
					r.gesture++
				}
				r.callBack(s, r.objVal(o), r.p.syms.text[k.sel], args...)
				if k.gesture {
					r.gesture--
				}
			}
		}
	}
}

// takeBack notes which listeners the platform calls no more: those given to a method that removes or
// unregisters, and one whose place a setter gives to another or to none. All others that are given are called.
func (r *run) takeBack(s *site) {
	hear := func(v value, on int64) {
		for _, o := range r.objectsOf(v) {
			if r.objects[o].cid != 0 {
				r.write(s.cur, o, keyHeard, intVal(on), true)
			}
		}
	}
	removes := strings.HasPrefix(s.name, "remove") || strings.HasPrefix(s.name, "unregister")
	setter := strings.HasPrefix(s.name, "set") && strings.HasSuffix(s.name, "Listener") && len(s.args) == 2
	if setter {
		place := keyText | uint32(r.text(s.name).n)
		for _, o := range r.objectsOf(s.arg(0)) {
			if old, ok := s.cur.heap.get(fieldKey(o, place)); ok {
				hear(old, 0)
			}
			r.write(s.cur, o, place, s.arg(1), true)
		}
	}
	for _, a := range s.args[min(1, len(s.args)):] {
		hear(a, b2i(!removes))
	}
}

// A callback is a method of an app's class that the platform knows under the name of one of its own.
type callback struct {
	sel     Sym
	gesture bool
}

// callBacks lists the methods by which the platform calls objects of class c: those that implement an
// interface of the platform.
func (p *Program) callBacks(c ClassID) []callback {
	var out []callback
	seen := map[Sym]bool{}
	for k := c; k != 0; k = p.classes[k].super {
		kc := &p.classes[k]
		for _, f := range kc.ifaces {
			name := p.syms.text[f]
			if p.app(p.dexes[kc.dex].space, f) {
				continue
			}
			g := knowledge.Gesture(name)
			for m := range p.platformMethods(p.dexes[kc.dex].space, f) {
				for _, id := range p.methodsOf(k) {
					mm := &p.methods[id]
					if n, _ := cutSel(p.syms.text[mm.sel]); n == m && mm.access&accStatic == 0 && mm.code != 0 && !seen[mm.sel] && n != "<init>" {
						seen[mm.sel] = true
						out = append(out, callback{mm.sel, g})
					}
				}
			}
		}
	}
	return out
}

// platformMethods yields the names of the methods that a class of the platform or of a support library declares.
func (p *Program) platformMethods(sp int, class Sym) iter.Seq[string] {
	return func(yield func(string) bool) {
		if c := p.find(sp, class); c != 0 {
			for _, m := range p.methodsOf(c) {
				if n, _ := cutSel(p.syms.text[p.methods[m].sel]); !yield(n) {
					return
				}
			}
			return
		}
		for m := range knowledge.Methods(p.syms.text[class]) {
			if !yield(m.Name) {
				return
			}
		}
	}
}

// instantiate makes an object of a class that is known by name.
func (r *run) instantiate(s *site, class value, args ...value) value {
	if class.kind != classRef {
		return value{taint: class.taint}
	}
	v := r.alloc(s.f, s.cur, Sym(class.n), s.in.PC, false)
	o := r.objectsOf(v)[0]
	if c := r.objects[o].cid; c != 0 {
		r.initClass(s.sp, s.cur, Sym(class.n), r.at(s.f, s.in.PC))
		for _, m := range r.p.methodsOf(c) {
			name, proto := cutSel(r.p.syms.text[r.p.methods[m].sel])
			if name != "<init>" || len(slices.Collect(params(proto))) != len(args) {
				continue
			}
			if _, st, ok := r.call(m, append([]value{v}, args...), s.cur.state, r.at(s.f, s.in.PC)); ok {
				s.cur.state = st
			}
		}
	} else if r.whole {
		r.platformCall(s, r.p.syms.text[class.n], "<init>", append([]value{v}, args...))
	}
	return v
}

// elements returns what an array of known length holds: the arguments of a reflective call.
func (r *run) elements(cur *local, array value) (list []value) {
	length := int64(0)
	for _, o := range r.objectsOf(array) {
		if l, ok := cur.heap.get(fieldKey(o, keyLength)); ok && l.kind == number {
			length = max(length, l.n)
		}
	}
	for i := range min(length, 16) {
		list = append(list, r.arrayGet(cur, array, intVal(i)))
	}
	return list
}

// platformCall is a reflective call of a platform's method, of which the name and the arguments are known. Its
// prototype is made up from the arguments, as far as models look at it.
func (r *run) platformCall(s *site, class, name string, args []value) value {
	t := *s
	t.args, t.name, t.inst = args, name, true
	if name != "<init>" && len(args) > 0 && args[0].isNull() { // a static one
		t.args, t.inst = args[1:], false
		args = append([]value{{}}, t.args...)
	}
	t.class = r.p.syms.ids[class]
	t.wrote = t.class
	t.proto = "("
	for _, a := range args[min(1, len(args)):] {
		switch {
		case a.kind == text || a.kind == prefix || a.kind == suffix || a.kind == rooted:
			t.proto += "Ljava/lang/String;"
		case a.kind == object && r.objects[r.objectsOf(a)[0]].class != 0:
			t.proto += r.p.syms.text[r.objects[r.objectsOf(a)[0]].class]
		default:
			t.proto += "Ljava/lang/Object;"
		}
	}
	if t.proto += ")Ljava/lang/Object;"; name == "<init>" {
		t.proto = strings.TrimSuffix(t.proto, "Ljava/lang/Object;") + "V"
	}
	if m := r.p.findModel(class, name); m.f != nil {
		return m.f(r, &t)
	}
	return r.general(&t)
}

// reflects reports whether v is a method that is known.
func (r *run) reflects(cur *local, v value) bool {
	for _, o := range r.objectsOf(v) {
		if t, ok := cur.heap.get(fieldKey(o, keyTarget)); !ok || t.kind != classRef {
			return false
		}
	}
	return len(r.objectsOf(v)) > 0
}

// reflectCall calls the methods of the known name, whatever their arguments.
func reflectCall(r *run, s *site) value {
	var out value
	for _, o := range r.objectsOf(s.arg(0)) {
		class, _ := s.cur.heap.get(fieldKey(o, keyTarget))
		name, _ := s.cur.heap.get(fieldKey(o, keyAll))
		n, ok := r.isText(name)
		if !ok || class.kind != classRef {
			continue
		}
		list := r.elements(s.cur, s.arg(2))
		c := r.p.find(r.p.dexes[r.p.methods[s.f.m].dex].space, Sym(class.n))
		for k := c; k != 0; k = r.p.classes[k].super {
			for _, m := range r.p.methodsOf(k) {
				mm := &r.p.methods[m]
				if mn, _ := cutSel(r.p.syms.text[mm.sel]); mn != n || mm.code == 0 {
					continue
				}
				args := list
				if mm.access&accStatic == 0 {
					args = append([]value{s.arg(1)}, list...)
				}
				if v, st, ok := r.call(m, args, s.cur.state, r.at(s.f, s.in.PC)); ok {
					out, s.cur.state = v, st
				}
			}
		}
		if c == 0 { // a hidden method of the platform
			for _, fact := range r.p.facts(n) {
				if fact.Class != r.p.syms.text[class.n] && !knowledge.IsSubclass(r.p.syms.text[class.n], fact.Class) {
					continue
				}
				args := append([]value{s.arg(1)}, list...)
				if s.arg(1).isNull() || fact.Class == "Landroid/os/SystemProperties;" || fact.Class == "Landroid/view/SurfaceControl;" {
					args = list
				}
				t := *s
				t.args, t.name, t.class = args, n, Sym(class.n)
				switch fact.Role {
				case knowledge.RoleEffect:
					r.effect(&t, &fact)
				case knowledge.RoleGuard:
					out = r.guard(&t, &fact)
				case knowledge.RoleSource, knowledge.RoleInput:
					if v, ok := r.source(&t, &fact); ok && (r.whole || r.alone) {
						out = v
					}
				case knowledge.RoleSink:
					r.sink(&t, &fact)
				}
			}
			if r.whole {
				if v := r.platformCall(s, r.p.syms.text[class.n], n, append([]value{s.arg(1)}, list...)); out.taint == 0 {
					out = v
				}
			}
		}
	}
	if out.taint == 0 {
		out.taint = r.labelSets.union(s.arg(1).taint, r.deep(s.cur.heap, s.arg(2)))
	}
	return out
}

func parseNumber(t string) (int64, bool) {
	n, err := strconv.ParseInt(t, 10, 64)
	return n, err == nil
}

// buildField is a field of android.os.Build, from the phone's own properties.
func (r *run) buildField(name string) (value, bool) {
	prop, ok := knowledge.BuildField(name)
	if !ok {
		return value{}, false
	}
	v, ok := r.property(prop)
	if !ok {
		return value{}, false
	}
	if name == "SDK_INT" {
		n, ok := parseNumber(v)
		return intVal(n), ok
	}
	return r.text(v), true
}

// quickTarget finds the method behind a place in the receiver's table of virtual methods, where that table
// is known.
func (r *run) quickTarget(cur *local, in *dex.Insn) (ref quickRef, ok bool) {
	if in.A == 0 {
		return ref, false
	}
	reg := in.Arg(0)
	if reg >= uint32(len(cur.regs)) {
		return ref, false
	}
	v := cur.regs[reg]
	class := v.typ
	switch v.kind {
	case text, prefix:
		class = r.p.syms.ids["Ljava/lang/String;"]
	case classRef:
		class = r.p.syms.ids["Ljava/lang/Class;"]
	case object:
		class = r.objects[r.objectsOf(v)[0]].class
	}
	if class == 0 {
		return ref, false
	}
	return r.p.vtable(r.space, class, in.Index)
}
