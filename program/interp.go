package program

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"

	"gifthorse/format/dex"
	"gifthorse/knowledge"
	"gifthorse/phone"
)

// A run interprets the code behind one way in, on values that are partly known. It follows one path as
// long as every decision is known (so that code which computes a constant simply computes it), and joins
// paths where they meet after a decision that is not.
type run struct {
	p     *Program
	root  *Entry
	home  int // the space of the app that is driven
	space int // and of that whose code runs: see peers.go

	texts   []string
	textIDs map[string]int64
	labels  []label
	objects []objectInfo
	tests   []test
	testIDs map[test]uint32
	chains  map[chain]*chain
	labelOf map[labelKey]uint32

	labelSets, objSets, condSets *interner
	altLists                     [][]alternative
	altIDs                       map[string]uint32
	room, merged                 []alternative // of join
	spare                        spare
	key                          []byte // of internAlts
	statics                      map[ClassID]uint32
	fieldKeys                    map[Sym]uint32
	externs                      map[uint64]*extern
	targets                      map[virtualCall][]MethodID // see overrides
	makings                      map[making]uint32
	joining                      int              // methods under way whose paths are being joined
	passes                       map[*chain]int32 // how often an allocation was passed while one path led there
	bodies                       map[MethodID]*body

	steps      int
	limit      int
	cut        bool           // the budget ended it
	unfinished bool           // it ended a method before
	handing    int            // >0 while objects of the app are called back that were handed to the platform, at once for all we know
	own        uint32         // the intent that an app driven alone gets
	curious    bool           // it was looked into for what it does not hold
	full       int            // the limit outside of the aside under way
	fetching   bool           // a call is being followed that can only fetch or send
	budget     int            // steps of the whole run
	whole      bool           // the whole app is driven, not one way in
	alone      bool           // the app is driven as it runs by itself: see remote.go
	caller     *phone.Package // the app that calls, where it is known
	outgoing   []sending
	keepings   []keeping
	rows       []row
	round      int // of driving the whole app: its components are made anew
	app        value
	inside     bool              // that component is not exported
	active     value             // the component being driven
	awaits     []value           // the call of startActivityForResult that is being followed: receiver, intent, request code
	lent       map[uint32]uint32 // by another app's binder: what its service asked of who binds it
	lasting    map[string]value  // preferences by name
	fragments  []value           // added to an activity and not yet driven
	kept       map[uint32][]kept
	leaks      []leak
	listeners  []listener
	lives      map[string]value
	unknown    int // calls whose target could not be told
	hits       []hit
	hitIDs     map[string]bool
	depth      int
	strange    int // depth of calls below the last method of interest
	onStack    map[MethodID]int
	appOps     bool // the provider has the platform ask for an app operation
	wants      reaches
	stopping   map[uint32]bool   // see stops
	guardSets  map[uint32]uint32 // see guardsIn
	dynamic    []dynamicReceiver
	thrown     thrown // by the call that ended last
	driving    int    // 0, or 1 + index of the receiver registered in code that is being driven
	gesture    int    // >0 while code runs that only a person at the screen sets off
	started    map[string]int
}

// The budgets of one way in. Real components that reach an effect take a few thousand instructions;
// what these cut is counted and becomes a gap.
const (
	maxSteps    = 40_000
	maxDepth    = 48
	maxStrange  = 5      // calls below the last method of interest
	maxFetch    = 12_000 // steps in a call that can only fetch or send something, not act on it
	maxAside    = 8_000  // steps in them: a digest in code of the app's own takes three thousand
	maxHanded   = 1_000  // steps in them where an object was handed to the platform, which may call it: to note a connection takes ten
	maxLinear   = 40_000
	maxAlts     = 6
	maxCount    = 3  // of these, numbers without a reason
	maxVisits   = 24 // of one block, before its state is taken as final
	maxTargets  = 6  // overrides tried for a receiver of unknown class
	maxOnStack  = 2  // of one method: how deep recursion is followed
	maxTextSize = 1 << 14
)

type labelKey struct {
	kind, key string
	at        *chain
}

type objectInfo struct {
	class    Sym
	cid      ClassID
	array    bool
	many     bool   // stands for several objects: what is written is added
	incoming string // its contents come from outside: "intent", "parcel", "bundle", ...
	label    uint32 // label set of those contents
}

// A hit is an effect that was reached.
type hit struct {
	kind    *knowledge.FactKind
	chain   *chain
	steered uint32   // labels of the arguments that steer it
	fixed   []string // the same arguments where they are constants
	conds   uint32
	gesture bool
	data    bool     // the kind of data is handed back
	written []*chain // where what steers it was written into the file that it takes
	plain   bool     // nothing needs to steer it: that it happens is the effect
	dynamic int      // 1 + index of the receiver registered in code that led here
}

func newRun(p *Program, e *Entry, space int) *run {
	r := &run{
		p: p, root: e, home: space, space: space, limit: maxSteps, budget: maxSteps,
		texts: []string{""}, textIDs: map[string]int64{"": 0},
		labels: make([]label, 1), objects: make([]objectInfo, 1), tests: make([]test, 1),
		testIDs: map[test]uint32{}, chains: map[chain]*chain{}, labelOf: map[labelKey]uint32{},
		lasting: map[string]value{}, kept: map[uint32][]kept{}, labelSets: newInterner(), objSets: newInterner(), condSets: newInterner(),
		altLists: make([][]alternative, 1), altIDs: map[string]uint32{},
		statics: map[ClassID]uint32{}, fieldKeys: map[Sym]uint32{}, externs: map[uint64]*extern{}, targets: map[virtualCall][]MethodID{}, makings: map[making]uint32{}, passes: map[*chain]int32{}, bodies: map[MethodID]*body{},
		hitIDs: map[string]bool{}, onStack: map[MethodID]int{}, stopping: map[uint32]bool{}, guardSets: map[uint32]uint32{}, started: map[string]int{},
	}
	return r
}

func (r *run) text(s string) value {
	if len(s) > maxTextSize {
		return value{typ: 0}
	}
	id, ok := r.textIDs[s]
	if !ok {
		id = int64(len(r.texts))
		r.texts = append(r.texts, s)
		r.textIDs[s] = id
	}
	return value{kind: text, n: id}
}

func (r *run) prefix(s string) value {
	v := r.text(s)
	if v.kind == text {
		v.kind = prefix
	}
	return v
}

// isText returns v's text if it is one.
func (r *run) isText(v value) (string, bool) {
	if v.kind == text {
		return r.texts[v.n], true
	}
	return "", false
}

// begins returns the text that v surely begins with.
func (r *run) begins(v value) string {
	if v.kind == text || v.kind == prefix {
		return r.texts[v.n]
	}
	return ""
}

// mark returns the label set with one label of this kind read at the present place.
func (r *run) mark(kind, key, words string, guard bool, at *chain) uint32 {
	k := labelKey{kind, key, at}
	id, ok := r.labelOf[k]
	if !ok {
		id = uint32(len(r.labels))
		r.labels = append(r.labels, label{kind: kind, key: key, guard: guard, chain: at, words: words, born: r.driving})
		r.labelOf[k] = id
	}
	return r.labelSets.intern([]uint32{id})
}

func (r *run) newObject(class Sym, cid ClassID) uint32 {
	r.objects = append(r.objects, objectInfo{class: class, cid: cid})
	return uint32(len(r.objects) - 1)
}

func (r *run) objVal(o uint32) value {
	return value{kind: object, n: int64(r.objSets.intern([]uint32{o})), typ: r.objects[o].class}
}

func (r *run) objectsOf(v value) []uint32 {
	if v.kind != object {
		return nil
	}
	return r.objSets.items[v.n]
}

// A body is a method's code with the places where paths can meet.
type body struct {
	dex    *dexFile
	code   dex.Code
	leader []bool // by pc
	tries  []tryRange
	quick  map[uint32]dex.Insn // by pc: quickened instructions as they were
	live   map[uint32][]uint64 // by pc: see forget
}

type tryRange struct {
	start, end uint32
	handlers   []uint32
	types      []Sym
	may        uint8 // see vmThrows
}

func (r *run) body(m MethodID) *body {
	if b, ok := r.bodies[m]; ok {
		return b
	}
	mm := &r.p.methods[m]
	d := &r.p.dexes[mm.dex]
	var b *body
	if c, err := d.Code(mm.code); err == nil && mm.code != 0 && c.Ins <= c.Registers {
		b = &body{dex: d, code: c, leader: make([]bool, c.Units()+1)}
		info, quick := d.quickInfo(mm)
		if quick {
			b.quick = map[uint32]dex.Insn{}
		}
		var in dex.Insn
		lead := func(pc uint32) {
			if pc < uint32(len(b.leader)) {
				b.leader[pc] = true
			}
		}
		for pc := uint32(0); pc < c.Units(); pc = in.Next {
			if in.Decode(c.Insns, pc) != nil {
				break
			}
			if quick && restore(&in, &info) {
				b.quick[pc] = in
			}
			if in.Op.IsBranch() {
				lead(in.Target)
				lead(in.Next)
			} else if in.Op.IsSwitch() {
				for _, t := range in.Switch(c.Insns) {
					lead(t)
				}
				lead(in.Next)
			}
		}
		if c.NumTries > 0 {
			for t := range d.Tries(c) {
				tr := tryRange{start: t.Start, end: t.End}
				for h := range d.Handlers(t) {
					tr.handlers = append(tr.handlers, h.PC)
					tr.types = append(tr.types, d.typeSym(h.Type))
					lead(h.PC)
				}
				for pc := tr.start; pc < tr.end && in.Decode(c.Insns, pc) == nil; pc = in.Next {
					tr.may |= insnThrows(in.Op)
				}
				b.tries = append(b.tries, tr)
			}
		}
	}
	r.bodies[m] = b
	return b
}

// state is what flows along a path: the heap and what has been decided.
type state struct {
	heap  *heap
	conds uint32 // set of conds
}

// local is the state inside a method.
type local struct {
	regs []value
	res  value // of the last call
	exc  value
	state
	visits int // of the block that begins with it
}

type frame struct {
	m      MethodID
	b      *body
	up     *chain
	chain  *chain            // of the instruction being executed
	insn   dex.Insn          // being executed
	site   site              // if that is a call of the platform
	in     map[uint32]*local // by the block's first pc
	work   []uint32          // sorted
	ret    value
	out    state
	did    bool // it returns
	thrown thrown
	passes map[uint32]int32 // how often an allocation was passed on the single path
	fixed  bool             // joining paths
	edge   [1]edge
}

// to is the one way on, without allocation: it is read before the next step.
func (f *frame) to(pc uint32, l *local) []edge {
	f.edge[0] = edge{pc, l}
	return f.edge[:]
}

// call interprets method m.
func (r *run) call(m MethodID, args []value, st state, up *chain) (value, state, bool) {
	b := r.body(m)
	r.thrown = thrown{may: throwsAny}
	if b == nil || r.depth >= maxDepth || r.onStack[m] >= maxOnStack || r.cut {
		return r.skip(m, args), r.passedBy(m, st), true
	}
	limit, began, lifted := r.limit, r.steps, false
	r.limit = r.steps + (limit-r.steps)/32*31 // a call leaves something to what comes after it
	if aside := r.p.relevant[m]&(r.wants|reachesGuard) == 0 || r.whole && r.p.relevant[m]&r.wants == 0; aside {
		if r.strange >= maxStrange {
			r.limit = limit
			return r.skip(m, args), st, true
		}
		if r.strange == 0 {
			r.full = r.limit
			if r.handing > 0 {
				r.limit = min(r.limit, r.steps+maxHanded)
			} else {
				r.limit = min(r.limit, r.steps+maxAside)
			}
		}
		r.strange++
		defer func() { r.strange-- }()
	} else if s := r.strange; s > 0 { // an aside has come back to what matters: it is handed a task, say
		r.strange, lifted = 0, true
		full := r.full
		r.limit = max(r.limit, r.steps+(full-r.steps)/32*31)
		defer func() { r.strange, r.full = s, full }()
	}
	if r.alone && !r.fetching && r.p.relevant[m]&(reachesEffect|reachesOther) == 0 {
		r.limit = min(r.limit, r.steps+maxFetch)
		r.fetching = true
		defer func() { r.fetching = false }()
	}
	r.depth++
	r.onStack[m]++
	defer func() { r.depth--; r.onStack[m]-- }()

	f := r.spare.frame()
	defer r.spare.left(f)
	f.m, f.b, f.up = m, b, up
	cur := r.spare.local(int(b.code.Registers))
	cur.state = st
	place(r.p, m, b, args, cur.regs)
	r.interpret(f, cur)
	if lifted { // what that took is not the aside's
		limit += r.steps - began
	}
	r.limit = limit
	if r.cut && r.steps < limit { // it took its share and did not end: what it would give is not known
		r.cut = false
		if r.strange > 0 && r.p.relevant[m]&r.wants == 0 {
			r.unknown++
		} else {
			r.unfinished = true
		}
		r.thrown = thrown{may: throwsAny}
		if !f.did {
			return r.skip(m, args), r.passedBy(m, st), true
		}
		return r.join(f.ret, r.skip(m, args), 0, 0), r.passedBy(m, f.out), true
	}
	r.thrown = f.thrown
	return f.ret, f.out, f.did
}

// passedBy is the state behind a call that was not followed, or not to its end. If who calls may be asked in it, that
// stands on the way, and what came of it is not known.
func (r *run) passedBy(m MethodID, st state) state {
	if r.p.relevant[m]&reachesGuard != 0 && !r.whole {
		q := r.ask(test{op: "unfollowed", right: r.p.MethodName(m), method: m, yes: 1})
		st.conds = r.condSets.add(st.conds, condOf(q, true))
	}
	return st
}

// place puts arguments (the receiver first) where the method expects them: in its last registers, longs
// and doubles in two.
func place(p *Program, m MethodID, b *body, args []value, regs []value) {
	k := int(b.code.Registers) - int(b.code.Ins)
	mm := &p.methods[m]
	d := b.dex
	proto := d.Method(mm.idx).Proto
	a := 0
	put := func(wide bool) {
		if a < len(args) && k < len(regs) {
			regs[k] = args[a]
		}
		a++
		k++
		if wide {
			k++
		}
	}
	if mm.access&accStatic == 0 {
		put(false)
	}
	for n := range d.NumParams(proto) {
		t := p.syms.text[d.typeSym(d.Param(proto, n))]
		put(t == "J" || t == "D")
	}
}

// skip is what a call gives that is not followed: whatever its arguments carried.
func (r *run) skip(m MethodID, args []value) value {
	var t uint32
	for _, a := range args {
		t = r.labelSets.union(t, a.taint)
	}
	_, proto := cutSel(r.p.syms.text[r.p.methods[m].sel])
	return value{taint: t, typ: r.retType(proto)}
}

func (r *run) retType(proto string) Sym {
	if i := strings.IndexByte(proto, ')'); i >= 0 {
		return r.p.syms.ids[proto[i+1:]]
	}
	return 0
}

func (r *run) interpret(f *frame, cur *local) {
	pc, linear := uint32(0), true
	for n := 0; linear; n++ {
		if n > maxLinear || r.cut {
			break
		}
		nexts := r.step(f, cur, pc)
		switch len(nexts) {
		case 0:
			linear = false
			r.spare.done(cur)
		case 1:
			pc, cur = nexts[0].pc, nexts[0].l
		default:
			linear = false
			for _, e := range nexts {
				r.enter(f, e.pc, e.l)
			}
		}
	}
	f.fixed = true
	r.joining++
	defer func() { r.joining-- }()
	for len(f.work) > 0 && !r.cut {
		pc := f.work[0]
		f.work = f.work[1:]
		cur := r.spare.clone(f.in[pc])
		for first := true; ; first = false {
			if !first && pc < uint32(len(f.b.leader)) && f.b.leader[pc] {
				r.enter(f, pc, cur)
				break
			}
			nexts := r.step(f, cur, pc)
			if len(nexts) != 1 {
				if len(nexts) == 0 {
					r.spare.done(cur)
				}
				for _, e := range nexts {
					r.enter(f, e.pc, e.l)
				}
				break
			}
			pc, cur = nexts[0].pc, nexts[0].l
		}
	}
}

type edge struct {
	pc uint32
	l  *local
}

// enter joins l into the state at pc and queues the block if that changed. It takes l over.
func (r *run) enter(f *frame, pc uint32, l *local) {
	f.b.forget(l, pc)
	old := f.in[pc]
	if old == nil {
		f.in[pc], old = l, l
	} else {
		changed := old.visits <= maxVisits && r.joinLocal(old, l)
		r.spare.done(l)
		if !changed {
			return
		}
	}
	old.visits++
	if i, ok := slices.BinarySearch(f.work, pc); !ok {
		f.work = slices.Insert(f.work, i, pc)
	}
}

// joinLocal joins l into old and reports whether old changed.
func (r *run) joinLocal(old, l *local) bool {
	conds := r.joinConds(old.conds, l.conds)
	ca, cb := r.condSets.minus(old.conds, conds), r.condSets.minus(l.conds, conds)
	join := func(a, b value) value { return r.join(a, b, ca, cb) }
	changed := conds != old.conds
	for i := range old.regs {
		if v := join(old.regs[i], l.regs[i]); v != old.regs[i] {
			old.regs[i] = v
			changed = true
		}
	}
	if v := join(old.res, l.res); v != old.res {
		old.res, changed = v, true
	}
	if v := join(old.exc, l.exc); v != old.exc {
		old.exc, changed = v, true
	}
	if h := r.joinHeap(old.heap, l.heap, join); h != old.heap {
		old.heap, changed = h, true
	}
	old.conds = conds
	return changed
}

// joinHeap joins two heaps; what that costs counts against the budget.
func (r *run) joinHeap(a, b *heap, f func(a, b value) value) *heap {
	n := 0
	h := a.join(b, &n, f)
	r.steps += n / 16
	return h
}

// plain joins two values with no regard to what was decided.
func (r *run) plain(a, b value) value { return r.join(a, b, 0, 0) }

// join returns what is known of a value that is a or b. ca and cb are what was decided on the way to each
// and not on the way to both: a constant remembers it.
func (r *run) join(a, b value, ca, cb uint32) value {
	if a == b {
		return a
	}
	taint := r.labelSets.union(a.taint, b.taint)
	typ := a.typ
	if typ == 0 {
		typ = b.typ
	}
	t := a.test
	if t != b.test {
		t = 0
	}
	switch {
	case a.kind == object && b.kind == object:
		v := value{kind: object, n: int64(r.objSets.union(uint32(a.n), uint32(b.n))), maybe: a.maybe || b.maybe, typ: typ, taint: taint}
		if v.maybe {
			v.held = r.condSets.intersect(r.condSets.union(a.held, ca), r.condSets.union(b.held, cb))
		}
		return v
	case a.kind == object && b.kind == anything && r.plainArray(a), b.kind == object && a.kind == anything && r.plainArray(b):
		// What is known of the one array is not known of the other. Of objects that have fields, the fields matter more.
		return value{typ: typ, taint: r.labelSets.union(taint, r.labelSets.union(r.labelOfObjects(a), r.labelOfObjects(b)))}
	case a.kind == object:
		return value{kind: object, n: a.n, maybe: true, held: r.heldWith(a, ca, b, cb), typ: a.typ, taint: taint}
	case b.kind == object:
		return value{kind: object, n: b.n, maybe: true, held: r.heldWith(b, cb, a, ca), typ: b.typ, taint: taint}
	}
	if a.kind == b.kind && a.n == b.n && a.alts == b.alts {
		return value{kind: a.kind, n: a.n, alts: a.alts, typ: typ, taint: taint, test: t}
	}
	if a.kind == anything && a.alts == 0 && b.kind == anything && b.alts == 0 {
		return value{typ: typ, taint: taint, test: t}
	}
	r.room = r.appendAlternatives(r.appendAlternatives(r.room[:0], a, ca), b, cb)
	out := r.merged[:0]
	for _, x := range r.room {
		i := slices.IndexFunc(out, func(y alternative) bool { return y.kind == x.kind && y.n == x.n })
		if i < 0 {
			out = append(out, x)
			continue
		}
		out[i].conds = r.condSets.intersect(out[i].conds, x.conds)
		out[i].taint = r.labelSets.union(out[i].taint, x.taint)
		if out[i].test != x.test {
			out[i].test = 0
		}
	}
	r.merged = out
	v := value{typ: typ, taint: taint, test: t}
	if len(out) <= maxAlts && !counting(out) {
		v.alts = r.internAlts(out)
	}
	return v
}

// heldWith returns what was decided where an object o is not null, once it has met v, which is none: each with what was decided on the
// way to it.
func (r *run) heldWith(o value, co uint32, v value, cv uint32) uint32 {
	held := r.condSets.union(o.held, co)
	if !v.isNull() { // it may be something else
		held = r.condSets.intersect(held, cv)
	}
	return held
}

// plainArray reports whether v is an array of bytes, characters or numbers.
func (r *run) plainArray(v value) bool {
	for _, o := range r.objectsOf(v) {
		if name := r.p.syms.text[r.objects[o].class]; len(name) != 2 || name[0] != '[' {
			return false
		}
	}
	return true
}

// labelOfObjects returns the labels that the objects of v carry as a whole.
func (r *run) labelOfObjects(v value) (set uint32) {
	for _, o := range r.objectsOf(v) {
		set = r.labelSets.union(set, r.objects[o].label)
	}
	return set
}

// counting reports whether a list of alternatives looks like a loop's counter: numbers to which no decision led.
func counting(list []alternative) bool {
	if len(list) <= maxCount {
		return false
	}
	return !slices.ContainsFunc(list, func(a alternative) bool { return a.kind != number || a.conds != 0 })
}

func (r *run) appendAlternatives(list []alternative, v value, conds uint32) []alternative {
	if v.kind == below {
		v.kind, v.n = anything, 0
	}
	if v.alts == 0 {
		return append(list, alternative{v.kind, v.n, v.taint, conds, v.test})
	}
	for _, a := range r.altLists[v.alts] {
		a.conds = r.condSets.union(a.conds, conds)
		list = append(list, a)
	}
	return list
}

func (r *run) internAlts(list []alternative) uint32 {
	slices.SortFunc(list, func(a, b alternative) int {
		if a.kind != b.kind {
			return int(a.kind) - int(b.kind)
		}
		switch {
		case a.n < b.n:
			return -1
		case a.n > b.n:
			return 1
		}
		return 0
	})
	k := r.key[:0]
	for _, a := range list {
		k = append(k, byte(a.kind))
		k = binary.LittleEndian.AppendUint64(k, uint64(a.n))
		k = binary.LittleEndian.AppendUint32(k, a.taint)
		k = binary.LittleEndian.AppendUint32(k, a.conds)
		k = binary.LittleEndian.AppendUint32(k, a.test)
	}
	r.key = k
	if id, ok := r.altIDs[string(k)]; ok {
		return id
	}
	id := uint32(len(r.altLists))
	r.altLists = append(r.altLists, slices.Clone(list))
	r.altIDs[string(k)] = id
	return id
}

// fromAlts makes a value of a filtered list of alternatives.
func (r *run) fromAlts(list []alternative, typ Sym) value {
	if len(list) == 1 {
		return value{kind: list[0].kind, n: list[0].n, taint: list[0].taint, test: list[0].test, typ: typ}
	}
	v := value{typ: typ, alts: r.internAlts(list)}
	for _, a := range list {
		v.taint = r.labelSets.union(v.taint, a.taint)
	}
	return v
}

// ask returns the id of a test.
func (r *run) ask(t test) uint32 {
	if id, ok := r.testIDs[t]; ok {
		return id
	}
	id := uint32(len(r.tests))
	r.tests = append(r.tests, t)
	r.testIDs[t] = id
	return id
}

func condOf(test uint32, yes bool) uint32 {
	if yes {
		return test<<1 | 1
	}
	return test << 1
}

// at returns the chain for the instruction at pc.
func (r *run) at(f *frame, pc uint32) *chain {
	if f.chain == nil || f.chain.pc != pc {
		f.chain = r.chainOf(f.m, pc, "", f.up)
	}
	return f.chain
}

func (r *run) chainOf(m MethodID, pc uint32, what string, up *chain) *chain {
	c := chain{method: m, pc: pc, what: what, up: up}
	if up != nil {
		c.depth = up.depth + 1
	}
	if x, ok := r.chains[c]; ok {
		return x
	}
	x := new(chain)
	*x = c
	r.chains[c] = x
	return x
}

// step executes the instruction at pc and returns where control can go, each with its state. A single
// successor keeps cur's registers.
func (r *run) step(f *frame, cur *local, pc uint32) []edge {
	r.steps++
	if r.steps > r.limit {
		r.cut = true
		return nil
	}
	in := &f.insn
	if pc >= f.b.code.Units() || in.Decode(f.b.code.Insns, pc) != nil {
		return nil
	}
	if q, ok := f.b.quick[pc]; ok {
		*in = q
	}
	next := func() []edge { return f.to(in.Next, cur) }
	reg := func(n uint32) value {
		if n < uint32(len(cur.regs)) {
			return cur.regs[n]
		}
		return value{}
	}
	set := func(v value) {
		if in.A < uint32(len(cur.regs)) {
			cur.regs[in.A] = v
		}
	}
	d := f.b.dex
	op := in.Op
	f.thrown.may |= insnThrows(op)
	switch {
	case op >= dex.OpMove && op <= dex.OpMoveObject16:
		set(reg(in.B))
	case op >= dex.OpMoveResult && op <= dex.OpMoveResultObject:
		set(cur.res)
	case op == dex.OpMoveException:
		set(cur.exc)
	case op == dex.OpReturnVoid || op == dex.OpReturnVoidNoBarrier:
		r.leave(f, value{}, cur.state)
		return nil
	case op == dex.OpReturn || op == dex.OpReturnWide || op == dex.OpReturnObject:
		r.leave(f, reg(in.A), cur.state)
		return nil
	case op >= dex.OpConst4 && op <= dex.OpConstWideHigh16:
		set(intVal(in.Lit))
	case op == dex.OpConstString || op == dex.OpConstStringJumbo:
		set(r.text(d.String(in.Index)))
	case op == dex.OpConstClass:
		set(value{kind: classRef, n: int64(d.typeSym(in.Index))})
	case op == dex.OpCheckCast:
		if v := reg(in.A); v.kind == anything {
			v.typ = d.typeSym(in.Index)
			set(v)
		}
	case op == dex.OpInstanceOf:
		v := reg(in.B)
		out := value{}
		if os := r.objectsOf(v); len(os) > 0 && !v.maybe {
			yes, no := 0, 0
			for _, o := range os {
				if r.objectIs(o, r.p.syms.text[d.typeSym(in.Index)]) {
					yes++
				} else {
					no++
				}
			}
			if no == 0 {
				out = intVal(1)
			} else if yes == 0 {
				out = intVal(0)
			}
		}
		set(out)
	case op == dex.OpArrayLength:
		v := value{taint: reg(in.B).taint}
		if os := r.objectsOf(reg(in.B)); len(os) == 1 {
			if l, ok := cur.heap.get(fieldKey(os[0], keyLength)); ok {
				v = l
			}
		} else if s, ok := r.isText(reg(in.B)); ok {
			v = intVal(int64(len(s)))
		}
		set(v)
	case op == dex.OpNewInstance:
		r.initClass(d.space, cur, d.typeSym(in.Index), r.at(f, pc))
		set(r.alloc(f, cur, d.typeSym(in.Index), pc, false))
	case op == dex.OpNewArray:
		n := reg(in.B)
		a := r.alloc(f, cur, d.typeSym(in.Index), pc, true)
		cur.heap = cur.heap.set(fieldKey(r.objectsOf(a)[0], keyLength), n)
		set(a)
	case op == dex.OpFilledNewArray || op == dex.OpFilledNewArrayRange:
		a := r.alloc(f, cur, d.typeSym(in.Index), pc, true)
		o := r.objectsOf(a)[0]
		cur.heap = cur.heap.set(fieldKey(o, keyLength), intVal(int64(in.A)))
		for k := range int(in.A) {
			cur.heap = cur.heap.set(fieldKey(o, indexKey(int64(k))), reg(in.Arg(k)))
		}
		cur.res = a
	case op == dex.OpFillArrayData:
		r.fill(cur, reg(in.A), in, f.b.code.Insns)
	case op == dex.OpThrow:
		return r.raise(f, cur, pc, reg(in.A))
	case op == dex.OpGoto || op == dex.OpGoto16 || op == dex.OpGoto32:
		return f.to(in.Target, cur)
	case op.IsSwitch():
		return r.branchSwitch(f, cur, in, reg(in.A))
	case op >= dex.OpIfEq && op <= dex.OpIfLe:
		return r.branch(f, cur, in, op-dex.OpIfEq, reg(in.A), reg(in.B), in.A)
	case op >= dex.OpIfEqz && op <= dex.OpIfLez:
		return r.branch(f, cur, in, op-dex.OpIfEqz, reg(in.A), intVal(0), in.A)
	case op >= dex.OpAget && op <= dex.OpAgetShort:
		set(r.arrayGet(cur, reg(in.B), reg(in.C)))
	case op >= dex.OpAput && op <= dex.OpAputShort:
		r.arrayPut(cur, reg(in.B), reg(in.C), reg(in.A))
	case op >= dex.OpIget && op <= dex.OpIgetShort:
		v := r.fieldGet(cur, reg(in.B), r.keyOf(d.fieldSym(in.Index)), r.typeOfField(d, in.Index))
		if v.taint != 0 && r.p.syms.text[d.fieldSym(in.Index)] == "signatures:[Landroid/content/pm/Signature;" && r.guardsIn(v.taint) != 0 {
			v.taint = r.labelSets.union(v.taint, r.mark("signature", "", "the caller's signature", true, r.at(f, pc)))
		}
		set(v)
	case op >= dex.OpIput && op <= dex.OpIputShort:
		r.fieldPut(cur, reg(in.B), r.keyOf(d.fieldSym(in.Index)), reg(in.A))
	case op >= dex.OpSget && op <= dex.OpSgetShort:
		set(r.staticGet(f, cur, d, in.Index, pc))
	case op >= dex.OpSput && op <= dex.OpSputShort:
		r.staticPut(f, cur, d, in.Index, reg(in.A), pc)
	case op.IsInvoke():
		return r.invoke(f, cur, in)
	case op.IndexKind() == dex.IndexQuickField:
		if op.SetsA() {
			set(r.fieldGet(cur, reg(in.B), quickField|in.Index, 0))
		} else {
			r.fieldPut(cur, reg(in.B), quickField|in.Index, reg(in.A))
		}
	default:
		if op.SetsA() {
			set(arithmetic(r, in, reg))
		}
	}
	return next()
}

// keyOf returns the key of a field. It numbers them in the order in which the run meets them: what else is on the phone
// must not change the order in which heaps are joined.
func (r *run) keyOf(field Sym) uint32 {
	k, ok := r.fieldKeys[field]
	if !ok {
		k = uint32(len(r.fieldKeys))
		r.fieldKeys[field] = k
	}
	return k
}

func (d *dexFile) fieldSym(i uint32) Sym {
	if i < uint32(len(d.fields)) {
		return d.fields[i]
	}
	return 0
}

func (r *run) typeOfField(d *dexFile, i uint32) Sym { return d.typeSym(d.Field(i).Type) }

// The keys of what an object holds besides its fields, which are numbered from 0 and stay below quickField.
const (
	quickField = 1 << 28    // field known only by its offset
	keyText    = 2 << 28    // entry of a map, bundle or intent: id of the key's text
	keyIndex   = 4 << 28    // element of an array
	keyAll     = 8<<28 + 0  // whatever a container holds, any key
	keyLength  = 8<<28 + 1  // array length
	keyInit    = 8<<28 + 2  // of a class: it has been initialised
	keyAction  = 8<<28 + 3  // of an intent
	keyTarget  = 8<<28 + 4  // of an intent: its component
	keyData    = 8<<28 + 5  // of an intent
	keyIntent  = 8<<28 + 6  // of a component: the intent it was started with
	keyRun     = 8<<28 + 7  // of a thread, message or timer: what it runs
	keyPath    = 8<<28 + 8  // of a file: its path
	keyMade    = 8<<28 + 9  // of every object: it is in this heap
	keyHeard   = 8<<28 + 11 // of a listener: 0 once it was taken back
	keyCalled  = 8<<28 + 31 // of no object: 1 while another process's call is answered, 0 while nobody calls
	keyFar     = 8<<28 + 32 // of a stream: it leads to somebody far away
	keyPlace   = 8<<28 + 33 // of a stream: the file behind it
	keyStarter = 8<<28 + 12 // of an activity: who awaits its result
	keyCode    = 8<<28 + 13 // of an activity: the request code that its starter gave
	maxIndex   = 1<<16 - 1
)

func fieldKey(o, field uint32) uint64 { return uint64(o)<<32 | uint64(field) }

func indexKey(i int64) uint32 {
	if i < 0 || i > maxIndex {
		return keyAll
	}
	return keyIndex | uint32(i)
}

// alloc makes the object of an allocation. The same instruction in the same chain of calls makes the same
// object when paths are joined again, so that joining comes to an end; met again while the object is still
// in the heap, it stands for several from then on. Along a single path each pass makes one of its own.
func (r *run) alloc(f *frame, cur *local, class Sym, pc uint32, array bool) value {
	nth := int32(-1)
	if r.joining == 0 { // one path leads from the way in to here: each pass makes an object of its own, in a method called in a loop too
		at := r.at(f, pc)
		nth = r.passes[at]
		r.passes[at]++
	} else if !f.fixed {
		if f.passes == nil {
			f.passes = map[uint32]int32{}
		}
		nth = f.passes[pc]
		f.passes[pc]++
	}
	return r.made(cur, r.at(f, pc), nth, class, r.p.find(f.b.dex.space, class), array)
}

type making struct {
	at    *chain
	nth   int32
	class Sym
	round int
}

func (r *run) made(cur *local, at *chain, nth int32, class Sym, cid ClassID, array bool) value {
	k := making{at, nth, class, r.round}
	if cid != 0 && r.p.classes[cid].carried {
		cid = 0
	}
	o, ok := r.makings[k]
	if !ok {
		o = r.newObject(class, cid)
		r.objects[o].array = array
		r.makings[k] = o
	} else if _, there := cur.heap.get(fieldKey(o, keyMade)); there {
		r.objects[o].many = true
	}
	cur.heap = cur.heap.set(fieldKey(o, keyMade), intVal(1))
	return r.objVal(o)
}

func (r *run) objectIs(o uint32, name string) bool {
	if c := r.objects[o].cid; c != 0 {
		return r.p.isA(c, name)
	}
	return r.p.typeIs(r.space, r.objects[o].class, name)
}

func (r *run) fill(cur *local, a value, in *dex.Insn, insns []byte) {
	width, data := in.FillArray(insns)
	os := r.objectsOf(a)
	if width == 0 || len(os) != 1 {
		return
	}
	n := min(len(data)/width, maxIndex)
	if n == 0 {
		return
	}
	short := r.p.syms.text[r.objects[os[0]].class] == "[S"
	elements := span(os[0], 0, n, func(i int) value {
		var x int64
		switch b := data[i*width:]; width {
		case 1:
			x = int64(int8(b[0]))
		case 2:
			x = int64(binary.LittleEndian.Uint16(b))
			if short {
				x = int64(int16(x))
			}
		case 4:
			x = int64(int32(binary.LittleEndian.Uint32(b)))
		case 8:
			x = int64(binary.LittleEndian.Uint64(b))
		}
		return intVal(x)
	})
	joined := 0
	cur.heap = cur.heap.join(elements, &joined, func(_, x value) value { return x })
	r.steps += n / 16 // as many nodes joined would cost
}

func (r *run) arrayGet(cur *local, a, i value) value {
	if i.taint != 0 && i.kind != number && r.plainArray(a) { // a table by which data is translated: what comes out is the data
		a.taint = r.labelSets.union(a.taint, i.taint)
	}
	out := value{taint: a.taint}
	os := r.objectsOf(a)
	for k, o := range os {
		var v value
		if i.kind == number {
			x, ok := cur.heap.get(fieldKey(o, indexKey(i.n)))
			if !ok {
				x = intVal(0)
				if all, known := cur.heap.get(fieldKey(o, keyAll)); known {
					x = all
				} else if r.objects[o].incoming != "" {
					x = value{}
				}
			}
			v = x
		} else {
			first := true
			cur.heap.each(o, func(field uint32, x value) {
				if field >= keyIndex && field < keyAll {
					if first {
						v, first = x, false
					} else {
						v = r.join(v, x, 0, 0)
					}
				}
			})
			if v.kind != object {
				v = value{taint: v.taint, typ: v.typ}
			}
		}
		if all, ok := cur.heap.get(fieldKey(o, keyAll)); ok {
			v = r.join(v, all, 0, 0)
		}
		v.taint = r.labelSets.union(v.taint, r.objects[o].label)
		if k == 0 {
			v.taint = r.labelSets.union(v.taint, out.taint)
			out = v
		} else {
			out = r.join(out, v, 0, 0)
		}
	}
	return out
}

func (r *run) arrayPut(cur *local, a, i, v value) {
	os := r.objectsOf(a)
	for _, o := range os {
		k := uint32(keyAll)
		if i.kind == number {
			k = indexKey(i.n)
		}
		r.write(cur, o, k, v, len(os) == 1 && k != keyAll)
	}
}

// write stores v; a strong write replaces what was there.
func (r *run) write(cur *local, o, field uint32, v value, strong bool) {
	k := fieldKey(o, field)
	if !strong || r.objects[o].many {
		if old, ok := cur.heap.get(k); ok {
			v = r.join(old, v, 0, 0)
		}
	}
	cur.heap = cur.heap.set(k, v)
}

func (r *run) fieldGet(cur *local, obj value, field uint32, typ Sym) value {
	os := r.objectsOf(obj)
	if len(os) == 0 {
		return value{taint: obj.taint, typ: typ}
	}
	var out value
	for i, o := range os {
		v, ok := cur.heap.get(fieldKey(o, field))
		if !ok {
			if r.objects[o].incoming != "" || r.objects[o].cid == 0 {
				v = value{typ: typ, taint: r.objects[o].label}
				if all, ok := cur.heap.get(fieldKey(o, keyAll)); ok && r.whole { // a public field of what was made of data
					v.taint = r.labelSets.union(v.taint, all.taint)
				}
			} else {
				v = intVal(0)
			}
		}
		v.taint = r.labelSets.union(v.taint, r.objects[o].label)
		if i == 0 {
			out = v
		} else {
			out = r.join(out, v, 0, 0)
		}
	}
	if out.typ == 0 {
		out.typ = typ
	}
	return out
}

func (r *run) fieldPut(cur *local, obj value, field uint32, v value) {
	os := r.objectsOf(obj)
	for _, o := range os {
		r.write(cur, o, field, v, len(os) == 1)
	}
}

// deep returns the labels of v and of what its objects hold, a few levels down.
func (r *run) deep(h *heap, v value) uint32 {
	t := v.taint
	type at struct{ o, level uint32 }
	var todo []at
	seen := map[uint32]bool{}
	for _, o := range r.objectsOf(v) {
		todo = append(todo, at{o, 0})
	}
	for len(todo) > 0 && len(seen) < 64 {
		x := todo[0]
		todo = todo[1:]
		if seen[x.o] {
			continue
		}
		seen[x.o] = true
		t = r.labelSets.union(t, r.objects[x.o].label)
		h.each(x.o, func(_ uint32, v value) {
			t = r.labelSets.union(t, v.taint)
			if x.level < 4 {
				for _, o := range r.objectsOf(v) {
					todo = append(todo, at{o, x.level + 1})
				}
			}
		})
	}
	return t
}

// static returns the object that holds the static fields of the class that a field reference names.
func (r *run) static(c ClassID) uint32 {
	o, ok := r.statics[c]
	if !ok {
		o = r.newObject(r.p.classes[c].name, 0)
		r.statics[c] = o
	}
	return o
}

func (r *run) staticGet(f *frame, cur *local, d *dexFile, field, pc uint32) value {
	fid := d.Field(field)
	t := d.typeSym(fid.Type)
	c := r.p.find(d.space, d.typeSym(fid.Class))
	for k := c; k != 0; k = r.p.classes[k].super {
		r.initClass(d.space, cur, r.p.classes[k].name, r.at(f, pc))
		if v, ok := cur.heap.get(fieldKey(r.static(k), r.keyOf(d.fieldSym(field)))); ok {
			return v
		}
	}
	if c == 0 {
		name := r.p.syms.text[d.typeSym(fid.Class)]
		fname, _ := cutSel(r.p.syms.text[d.fieldSym(field)])
		if s, ok := knowledge.Constant(name, fname); ok {
			return r.text(s)
		}
		if name == "Landroid/os/Build;" || name == "Landroid/os/Build$VERSION;" {
			if v, ok := r.buildField(fname); ok {
				return v
			}
		}
		return value{typ: t}
	}
	return value{kind: number, typ: t} // declared and never written: zero or null
}

func (r *run) staticPut(f *frame, cur *local, d *dexFile, field uint32, v value, pc uint32) {
	c := r.p.find(d.space, d.typeSym(d.Field(field).Class))
	if c == 0 {
		return
	}
	r.initClass(d.space, cur, r.p.classes[c].name, r.at(f, pc))
	cur.heap = cur.heap.set(fieldKey(r.static(c), r.keyOf(d.fieldSym(field))), v)
}

// initClass runs a class's initialiser the first time a path needs it.
func (r *run) initClass(sp int, cur *local, name Sym, up *chain) {
	c := r.p.find(sp, name)
	if c == 0 {
		return
	}
	s := r.static(c)
	if _, done := cur.heap.get(fieldKey(s, keyInit)); done {
		return
	}
	cur.heap = cur.heap.set(fieldKey(s, keyInit), intVal(1))
	cc := &r.p.classes[c]
	if cc.static != 0 {
		d := &r.p.dexes[cc.dex]
		def := d.Class(int(cc.def))
		var data dex.ClassData
		if vals, err := d.StaticValues(def); err == nil && d.ClassData(def, &data) == nil {
			for i, v := range vals[:min(len(vals), len(data.StaticFields))] {
				if x, ok := r.constant(d, v); ok {
					cur.heap = cur.heap.set(fieldKey(s, r.keyOf(d.fieldSym(data.StaticFields[i].Field))), x)
				}
			}
		}
	}
	if cc.clinit != 0 {
		if _, st, ok := r.call(cc.clinit, nil, cur.state, up); ok {
			cur.heap = st.heap // what an initialiser decides is not decided for its user
		}
	}
}

func (r *run) constant(d *dexFile, v dex.Value) (value, bool) {
	switch v.Kind {
	case dex.ValueByte, dex.ValueShort, dex.ValueChar, dex.ValueInt, dex.ValueLong, dex.ValueBoolean:
		return intVal(v.Int), true
	case dex.ValueNull:
		return intVal(0), true
	case dex.ValueString:
		return r.text(d.String(v.Index)), true
	case dex.ValueType:
		return value{kind: classRef, n: int64(d.typeSym(v.Index))}, true
	}
	return value{}, false
}

// leave joins one way out of a method into the others.
func (r *run) leave(f *frame, v value, st state) {
	if !f.did {
		f.ret, f.out, f.did = v, st, true
		return
	}
	conds := r.joinConds(f.out.conds, st.conds)
	ca, cb := r.condSets.minus(f.out.conds, conds), r.condSets.minus(st.conds, conds)
	join := func(a, b value) value { return r.join(a, b, ca, cb) }
	f.ret = join(f.ret, v)
	f.out.heap = r.joinHeap(f.out.heap, st.heap, join)
	f.out.conds = conds
}

// raise sends control to the handlers around pc, or out of the method.
func (r *run) raise(f *frame, cur *local, pc uint32, exc value) []edge {
	var out []edge
	seen := map[uint32]bool{}
	for _, t := range f.b.tries {
		if pc < t.start || pc >= t.end {
			continue
		}
		for i, h := range t.handlers {
			k := r.catches(exc, t.types[i])
			if k != never && !seen[h] {
				seen[h] = true
				l := r.spare.clone(cur)
				l.exc = exc
				out = append(out, edge{h, l})
			}
			if k == always {
				return out
			}
		}
	}
	f.thrown.add(r, &thrown{exc: exc, out: cur.state, did: true})
	return out
}

// branch decides an if, or splits.
func (r *run) branch(f *frame, cur *local, in *dex.Insn, op dex.Op, a, b value, ra uint32) []edge {
	if a.kind == below && b.kind == number { // 0 <= a < a.n
		if yes, sure := compareBelow(op, a.n, b.n); sure {
			a, b = intVal(b2i(yes)), intVal(1)
			op = 0
		}
	}
	if a.kind == number && b.kind == number {
		r.pass(cur, a, b)
		if compare(op, a.n, b.n) {
			return f.to(in.Target, cur)
		}
		return f.to(in.Next, cur)
	}
	definite := func(v value) bool {
		return v.kind == text || v.kind == prefix || v.kind == suffix || v.kind == rooted || v.kind == classRef || v.kind == object && !v.maybe
	}
	if b.isNull() && definite(a) || a.isNull() && definite(b) { // compared with null
		if op == 1 {
			return f.to(in.Target, cur)
		}
		if op == 0 {
			return f.to(in.Next, cur)
		}
	}
	other := r.spare.clone(cur)
	taken, not := edge{in.Target, other}, edge{in.Next, cur}
	if a.kind == number && b.kind != number { // constant on the right
		a, b, ra = b, a, in.B
		op = [...]dex.Op{0, 1, 4, 5, 2, 3}[op]
	}
	if b.kind == number && a.alts != 0 && a.kind == anything {
		var yes, no []alternative
		// Where a null is among the alternatives, code says "no" with it, and what is unknown is something.
		explicit := b.n == 0 && slices.ContainsFunc(r.altLists[a.alts], func(x alternative) bool { return x.kind == number && x.n == 0 }) &&
			a.typ != 0 && strings.ContainsAny(r.p.syms.text[a.typ][:1], "L[")
		for _, x := range r.altLists[a.alts] {
			switch {
			case x.kind == number:
				if compare(op, x.n, b.n) {
					yes = append(yes, x)
				} else {
					no = append(no, x)
				}
			case (x.kind == anything || b.n != 0) && !explicit:
				y, n := x, x
				if x.test != 0 && op <= 1 { // a helper returned false, or the answer to this
					is := r.answers(x.test, op, b.n)
					y.conds, n.conds = r.condSets.add(x.conds, condOf(x.test, is)), r.condSets.add(x.conds, condOf(x.test, !is))
				}
				yes, no = append(yes, y), append(no, n)
			default: // a text is not null
				if op == 1 {
					yes = append(yes, x)
				} else {
					no = append(no, x)
				}
			}
		}
		var out []edge
		for _, s := range []struct {
			e    edge
			list []alternative
		}{{not, no}, {taken, yes}} {
			if len(s.list) == 0 {
				continue
			}
			c := s.list[0].conds
			for _, x := range s.list[1:] {
				c = r.condSets.intersect(c, x.conds)
			}
			s.e.l.conds = r.condSets.union(s.e.l.conds, c)
			r.pass(s.e.l, a, b)
			if ra < uint32(len(s.e.l.regs)) {
				s.e.l.regs[ra] = r.fromAlts(s.list, a.typ)
			}
			out = append(out, s.e)
		}
		return out
	}
	t, yes := a.test, false
	switch {
	case a.test != 0 && b.kind == number && op <= 1:
		yes = r.answers(a.test, op, b.n)
	case a.taint != 0 && (op <= 1 || b.kind == number):
		right := ""
		if b.kind == number {
			right = strconv.FormatInt(b.n, 10)
		}
		names := [...]string{"is", "is", "below", "below", "above", "above"}
		if op <= 1 && b.isNull() && (a.kind == object || a.typ != 0 && strings.ContainsAny(r.p.syms.text[a.typ][:1], "L[")) {
			names[op], right = "null", ""
		}
		t = r.ask(test{op: names[op], left: r.labelSets.union(a.taint, b.taint), right: right, method: f.m, pc: in.PC, yes: 1})
		yes = op == 0 || op == 2 || op == 4
	case b.taint != 0 && op <= 1:
		t = r.ask(test{op: "is", left: b.taint, method: f.m, pc: in.PC, yes: 1})
		yes = op == 0
	default:
		t = 0
	}
	if t != 0 {
		other.conds = r.condSets.add(other.conds, condOf(t, yes))
		cur.conds = r.condSets.add(cur.conds, condOf(t, !yes))
	}
	if b.isNull() && op <= 1 { // on the branch where it is null or zero, that is what it is
		null, rest := taken.l, not.l
		if op == 1 {
			null, rest = rest, null
		}
		if ra < uint32(len(null.regs)) {
			null.regs[ra] = value{kind: number, typ: a.typ, taint: a.taint}
			if a.kind == object {
				rest.conds = r.condSets.union(rest.conds, a.held)
				rest.regs[ra].maybe, rest.regs[ra].held = false, 0
			}
		}
	}
	return []edge{not, taken}
}

// answers reports whether a question was answered with yes where its answer is equal to n (op 0), or is not (op 1).
func (r *run) answers(test uint32, op dex.Op, n int64) bool {
	yes := r.tests[test].yes
	if yes == 1 && n == 0 || yes == 0 && n != 0 {
		return op == 1
	}
	return (n == yes) == (op == 0)
}

// compareBelow compares a number from 0 to n-1 with b; sure is false if that depends.
func compareBelow(op dex.Op, n, b int64) (yes, sure bool) {
	first, last := compare(op, 0, b), compare(op, n-1, b)
	if op <= 1 && b > 0 && b < n {
		return false, false
	}
	return first, first == last
}

func compare(op dex.Op, a, b int64) bool {
	switch op {
	case 0:
		return a == b
	case 1:
		return a != b
	case 2:
		return a < b
	case 3:
		return a >= b
	case 4:
		return a > b
	}
	return a <= b
}

func (r *run) branchSwitch(f *frame, cur *local, in *dex.Insn, v value) []edge {
	if v.kind == number {
		for k, t := range in.Switch(f.b.code.Insns) {
			if int64(k) == v.n {
				return f.to(t, cur)
			}
		}
		return f.to(in.Next, cur)
	}
	if v.alts != 0 {
		list := r.altLists[v.alts]
		if !slices.ContainsFunc(list, func(a alternative) bool { return a.kind != number }) {
			var out []edge
			for _, a := range list {
				to := in.Next
				for k, t := range in.Switch(f.b.code.Insns) {
					if int64(k) == a.n {
						to = t
						break
					}
				}
				l := r.spare.clone(cur)
				l.conds = r.condSets.union(l.conds, a.conds)
				out = append(out, edge{to, l})
			}
			return out
		}
	}
	out := []edge{{in.Next, cur}}
	for k, t := range in.Switch(f.b.code.Insns) {
		if v.kind == below && (k < 0 || int64(k) >= v.n) {
			continue
		}
		l := r.spare.clone(cur)
		if v.taint != 0 {
			q := r.ask(test{op: "is", left: v.taint, right: strconv.FormatInt(int64(k), 10), method: f.m, pc: in.PC, yes: 1})
			l.conds = r.condSets.add(l.conds, condOf(q, true))
		}
		out = append(out, edge{t, l})
	}
	return out
}

// arithmetic computes on constants and otherwise keeps whose data it is.
func arithmetic(r *run, in *dex.Insn, reg func(uint32) value) value {
	op := in.Op
	var a, b value
	two := false
	switch op.Format() {
	case dex.Format12x:
		if op >= dex.OpAddInt2Addr {
			a, b, two = reg(in.A), reg(in.B), true
		} else {
			a = reg(in.B)
		}
	case dex.Format23x:
		a, b, two = reg(in.B), reg(in.C), true
	case dex.Format22b, dex.Format22s:
		a, b, two = reg(in.B), intVal(in.Lit), true
	default:
		return value{}
	}
	taint := r.labelSets.union(a.taint, b.taint)
	if a.kind != number || two && b.kind != number {
		return value{taint: taint}
	}
	n, ok := compute(op, a.n, b.n)
	if !ok {
		return value{taint: taint}
	}
	return value{kind: number, n: n, taint: taint}
}

// compute does integer arithmetic as Dalvik does.
func compute(op dex.Op, a, b int64) (int64, bool) {
	switch {
	case op >= dex.OpAddInt2Addr && op <= dex.OpRemDouble2Addr:
		op -= dex.OpAddInt2Addr - dex.OpAddInt
	case op >= dex.OpAddIntLit16 && op <= dex.OpXorIntLit16:
		op = [...]dex.Op{dex.OpAddInt, 0, dex.OpMulInt, dex.OpDivInt, dex.OpRemInt, dex.OpAndInt, dex.OpOrInt, dex.OpXorInt}[op-dex.OpAddIntLit16]
		if op == 0 {
			return int64(int32(b) - int32(a)), true
		}
	case op >= dex.OpAddIntLit8 && op <= dex.OpUshrIntLit8:
		op = [...]dex.Op{dex.OpAddInt, 0, dex.OpMulInt, dex.OpDivInt, dex.OpRemInt, dex.OpAndInt, dex.OpOrInt, dex.OpXorInt,
			dex.OpShlInt, dex.OpShrInt, dex.OpUshrInt}[op-dex.OpAddIntLit8]
		if op == 0 {
			return int64(int32(b) - int32(a)), true
		}
	}
	x, y := int32(a), int32(b)
	switch op {
	case dex.OpAddInt:
		return int64(x + y), true
	case dex.OpSubInt:
		return int64(x - y), true
	case dex.OpMulInt:
		return int64(x * y), true
	case dex.OpDivInt, dex.OpRemInt:
		if y == 0 {
			return 0, false
		}
		if y == -1 { // the most negative number has no opposite
			if op == dex.OpDivInt {
				return int64(-x), true
			}
			return 0, true
		}
		if op == dex.OpDivInt {
			return int64(x / y), true
		}
		return int64(x % y), true
	case dex.OpAndInt:
		return int64(x & y), true
	case dex.OpOrInt:
		return int64(x | y), true
	case dex.OpXorInt:
		return int64(x ^ y), true
	case dex.OpShlInt:
		return int64(x << (uint32(y) & 31)), true
	case dex.OpShrInt:
		return int64(x >> (uint32(y) & 31)), true
	case dex.OpUshrInt:
		return int64(int32(uint32(x) >> (uint32(y) & 31))), true
	case dex.OpAddLong:
		return a + b, true
	case dex.OpSubLong:
		return a - b, true
	case dex.OpMulLong:
		return a * b, true
	case dex.OpAndLong:
		return a & b, true
	case dex.OpOrLong:
		return a | b, true
	case dex.OpXorLong:
		return a ^ b, true
	case dex.OpShlLong:
		return a << (uint64(b) & 63), true
	case dex.OpShrLong:
		return a >> (uint64(b) & 63), true
	case dex.OpUshrLong:
		return int64(uint64(a) >> (uint64(b) & 63)), true
	case dex.OpCmpLong:
		switch {
		case a < b:
			return -1, true
		case a > b:
			return 1, true
		}
		return 0, true
	case dex.OpNegInt:
		return int64(-x), true
	case dex.OpNotInt:
		return int64(^x), true
	case dex.OpNegLong:
		return -a, true
	case dex.OpNotLong:
		return ^a, true
	case dex.OpIntToLong:
		return int64(x), true
	case dex.OpLongToInt:
		return int64(int32(a)), true
	case dex.OpIntToByte:
		return int64(int8(x)), true
	case dex.OpIntToChar:
		return int64(uint16(x)), true
	case dex.OpIntToShort:
		return int64(int16(x)), true
	case dex.OpIntToFloat:
		return int64(math.Float32bits(float32(x))), true
	case dex.OpIntToDouble:
		return int64(math.Float64bits(float64(x))), true
	}
	return 0, false
}
