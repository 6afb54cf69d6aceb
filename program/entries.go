package program

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"gifthorse/evidence"
	"gifthorse/knowledge"
	"gifthorse/phone"
)

// An Entry is a way in: something outside an app that can set its code off.
type Entry struct {
	Package   *phone.Package
	Component *phone.Component // nil for what code opens by itself
	// What names the way in: "receiver Lcom/a/B;", "receiver registered in code Lcom/a/B;".
	What string
	// Method is the life-cycle method that the way in begins with.
	Method string
	// Actions are those that a receiver registered in code listens to.
	Actions    []string
	Permission string // that a receiver registered in code asks of the sender
	At         evidence.Ref
}

// A Path leads from a way in to an effect.
type Path struct {
	Entry  *Entry
	Effect *knowledge.FactKind
	// Data is set if the effect is that the kind of data named by Effect is handed back to the caller.
	Data bool
	// Steered lists what of the outsider's input steers the effect, sorted; with none, it does a fixed thing.
	Steered []Input
	// Fixed are the constants among the effect's arguments, sorted.
	Fixed []string
	// Composed are those of Fixed that stand nowhere in the code as they are: it decodes them, or puts them together.
	Composed []string
	// Action is what the intent's action must be, if the code insists.
	Action string
	Gates  []Gate
	Steps  []Step
	At     evidence.Ref
	// Gesture is set if the way leads over something a person does at the screen.
	Gesture bool
	// Reach says how what steers the effect comes in from far away: "network", "radio". It is "" if the outsider
	// comes in by Entry.
	Reach string
	// In is the app whose code does it: Entry's, or another that the way leads into.
	In *phone.Package
}

// An Input is a part of what comes in: an extra by its name, the action, the uri.
type Input struct{ Kind, Name string }

func (i Input) String() string {
	if k := knowledge.Kind(i.Kind); k != nil && k.Role == knowledge.RoleInput {
		return k.Words
	}
	if i.Name == "" {
		return i.Kind
	}
	return i.Kind + " " + strconv.Quote(i.Name)
}

// A Gate is a decision on a path that asks who calls, or whether he may.
type Gate struct {
	What  string
	Holds Holds
	At    evidence.Ref
	// Platform is set if AOSP's table, not the phone, says what the permission is worth.
	Platform bool
	// Caller is set if it is code that looks at who calls: his uid, name, signature.
	Caller bool
	// Cut is set if it is such code, and a budget ended before it did: what it decides is not known.
	Cut bool
}

// Open reports whether no gate on the path holds, and each is known.
func (p *Path) Open() bool {
	return !slices.ContainsFunc(p.Gates, func(g Gate) bool { return g.Holds != GateDoesNotHold })
}

// Cut reports whether code that asks who calls lies on the path and was not followed to its end.
func (p *Path) Cut() bool { return slices.ContainsFunc(p.Gates, func(g Gate) bool { return g.Cut }) }

// Held reports whether a gate on the path holds.
func (p *Path) Held() bool {
	return slices.ContainsFunc(p.Gates, func(g Gate) bool { return g.Holds == GateHolds })
}

type dynamicReceiver struct {
	obj        value
	actions    []string
	permission string
	at         *chain
}

// interpretPackage interprets every way into one app.
func (p *Program) interpretPackage(sp int) (paths []Path, gaps []evidence.Gap, unknown int) {
	pkg := p.spaces[sp].pkg
	defer failed(pkg, &gaps)
	cut := 0
	for _, c := range pkg.Components {
		if !c.Enabled || !c.Exported {
			continue
		}
		cid := p.find(sp, p.syms.ids[c.Name])
		if cid == 0 {
			if pkg.CodeGap == nil {
				gaps = append(gaps, evidence.Gap{At: c.At, Reason: evidence.Absent, Detail: fmt.Sprintf("the code of %s %s of %s is not there", c.Kind, c.Name, pkg.Name)})
			}
			continue
		}
		if !p.worthwhile(cid, wants(c.Kind)) {
			continue
		}
		r := p.runComponent(sp, c, cid)
		paths = append(paths, r.paths(c)...)
		if r.cut || r.unfinished {
			cut++
		}
		unknown += r.unknown
	}
	if cut > 0 {
		gaps = append(gaps, evidence.Gap{At: pkg.Manifest, Reason: evidence.TooLarge,
			Detail: fmt.Sprintf("%d components of %s were not followed to the end: more than %d steps", cut, pkg.Name, maxSteps)})
	}
	return paths, gaps, unknown
}

// failed, deferred, makes a gap of a mistake of ours in the analysis of one app: it must not hide what is found in the others.
func failed(pkg *phone.Package, gaps *[]evidence.Gap) {
	if x := recover(); x != nil {
		*gaps = append(*gaps, evidence.Gap{At: pkg.Manifest, Reason: evidence.Unsupported,
			Detail: fmt.Sprintf("the analysis of %s failed: %v; please report it", pkg.Name, x)})
	}
}

// wants is what is looked for behind a kind of component: only providers and services hand data back.
func wants(k phone.Kind) reaches {
	if k == phone.KindProvider || k == phone.KindService {
		return reachesEffect | reachesSource
	}
	return reachesEffect
}

// worthwhile reports whether any method of the component, or of what it inherits, can reach something of interest.
func (p *Program) worthwhile(c ClassID, what reaches) bool { return p.classReaches(c)&what != 0 }

func (p *Program) classReaches(c ClassID) (what reaches) {
	for k := c; k != 0; k = p.classes[k].super {
		for m := p.classes[k].methods[0]; m < p.classes[k].methods[1]; m++ {
			what |= p.relevant[m]
		}
	}
	return what
}

// The life-cycle methods of each kind of component, in the order in which the platform calls them. The
// letters say what is handed in: i the intent, b a bundle of the system's, u a uri, s a text of the caller's,
// a an array of his, v his values, p a parcel, x nothing of his.
var lifecycle = map[phone.Kind][]struct {
	sel, args string
	returns   bool // what it returns goes to the caller
}{
	phone.KindReceiver: {{"onReceive:(Landroid/content/Context;Landroid/content/Intent;)V", "xi", false}},
	phone.KindActivity: {
		{"onCreate:(Landroid/os/Bundle;)V", "b", false},
		{"onCreate:(Landroid/os/Bundle;Landroid/os/PersistableBundle;)V", "bb", false},
		{"onStart:()V", "", false}, {"onResume:()V", "", false}, {"onNewIntent:(Landroid/content/Intent;)V", "i", false},
		{"onPause:()V", "", false}, {"onStop:()V", "", false}, {"onDestroy:()V", "", false},
	},
	phone.KindService: {
		{"onCreate:()V", "", false}, {"onStart:(Landroid/content/Intent;I)V", "ix", false},
		{"onStartCommand:(Landroid/content/Intent;II)I", "ixx", false},
		{"onHandleIntent:(Landroid/content/Intent;)V", "i", false},
		{"onBind:(Landroid/content/Intent;)Landroid/os/IBinder;", "i", false},
	},
	phone.KindProvider: {
		{"onCreate:()Z", "", false},
		{"query:(Landroid/net/Uri;[Ljava/lang/String;Ljava/lang/String;[Ljava/lang/String;Ljava/lang/String;)Landroid/database/Cursor;", "uasas", true},
		{"query:(Landroid/net/Uri;[Ljava/lang/String;Ljava/lang/String;[Ljava/lang/String;Ljava/lang/String;Landroid/os/CancellationSignal;)Landroid/database/Cursor;", "uasasx", true},
		{"query:(Landroid/net/Uri;[Ljava/lang/String;Landroid/os/Bundle;Landroid/os/CancellationSignal;)Landroid/database/Cursor;", "uavx", true},
		{"insert:(Landroid/net/Uri;Landroid/content/ContentValues;)Landroid/net/Uri;", "uv", true},
		{"update:(Landroid/net/Uri;Landroid/content/ContentValues;Ljava/lang/String;[Ljava/lang/String;)I", "uvsa", true},
		{"delete:(Landroid/net/Uri;Ljava/lang/String;[Ljava/lang/String;)I", "usa", true},
		{"bulkInsert:(Landroid/net/Uri;[Landroid/content/ContentValues;)I", "ua", true},
		{"call:(Ljava/lang/String;Ljava/lang/String;Landroid/os/Bundle;)Landroid/os/Bundle;", "ssv", true},
		{"call:(Ljava/lang/String;Ljava/lang/String;Ljava/lang/String;Landroid/os/Bundle;)Landroid/os/Bundle;", "sssv", true},
		{"openFile:(Landroid/net/Uri;Ljava/lang/String;)Landroid/os/ParcelFileDescriptor;", "us", true},
		{"openFile:(Landroid/net/Uri;Ljava/lang/String;Landroid/os/CancellationSignal;)Landroid/os/ParcelFileDescriptor;", "usx", true},
		{"openAssetFile:(Landroid/net/Uri;Ljava/lang/String;)Landroid/content/res/AssetFileDescriptor;", "us", true},
		{"openTypedAssetFile:(Landroid/net/Uri;Ljava/lang/String;Landroid/os/Bundle;)Landroid/content/res/AssetFileDescriptor;", "usv", true},
	},
}

// argNames name the arguments of a provider's methods for the reader of a report.
var argNames = map[byte]string{'u': "uri", 's': "text", 'a': "list", 'v': "values", 'p': "parcel"}

// runComponent drives one component as the platform would.
func (p *Program) runComponent(sp int, c *phone.Component, cid ClassID) *run {
	e := &Entry{Package: c.Package, Component: c, What: string(c.Kind) + " " + c.Name, At: c.At}
	r := newRun(p, e, sp)
	r.wants = wants(c.Kind)
	cur := &local{}
	obj := r.create(sp, cur, p.classes[cid].name, nil)
	r.drive(cur, obj, c.Kind, r.incomingObject("Landroid/content/Intent;", "the caller's intent"), nil, true)
	for i := 0; i < len(r.dynamic) && i < 16; i++ {
		d := r.dynamic[i]
		l := *cur
		l.conds = 0
		in := r.incomingObject("Landroid/content/Intent;", "a broadcast")
		before := len(r.hits)
		r.driving = i + 1
		r.driveReceiver(&l, d, in)
		r.driving = 0
		for k := before; k < len(r.hits); k++ {
			r.hits[k].dynamic = i + 1
		}
	}
	return r
}

// create makes an object of the component's class and runs its constructor.
func (r *run) create(sp int, cur *local, name Sym, up *chain) value {
	v := r.made(cur, up, -3, name, r.p.find(sp, name), false)
	o := r.objectsOf(v)[0]
	r.initClass(sp, cur, name, up)
	if c := r.objects[o].cid; c != 0 {
		if m := r.p.own(c, r.p.syms.member("<init>:()V")); m != 0 {
			if _, st, ok := r.call(m, []value{v}, cur.state, up); ok {
				cur.heap = st.heap
			}
		}
	}
	return v
}

// incomingObject is an object whose contents are the outsider's.
func (r *run) incomingObject(class, words string) value {
	o := r.newObject(r.p.syms.ids[class], 0)
	r.objects[o].incoming = words
	return r.objVal(o)
}

// drive calls the life-cycle methods of a component, each with what the earlier ones left on the heap.
func (r *run) drive(cur *local, obj value, kind phone.Kind, intent value, up *chain, outside bool) {
	r.fieldPut(cur, obj, keyIntent, intent)
	cid := r.objects[r.objectsOf(obj)[0]].cid
	for _, lc := range lifecycle[kind] {
		r.setCalled(cur, lc.returns) // a provider is called by its caller, all else by the platform
		id := r.p.syms.member(lc.sel)
		if id == 0 {
			continue
		}
		m := r.p.dispatch(cid, id)
		if m == 0 || r.p.methods[m].code == 0 {
			continue
		}
		args := []value{obj}
		for i := range len(lc.args) {
			args = append(args, r.argument(lc.args[i], lc.sel, i, intent))
		}
		ret := r.runMethod(cur, m, args, up)
		name, _ := cutSel(lc.sel)
		if lc.returns && outside {
			r.handedBack(cur, m, ret, up)
		}
		if name == "onBind" && !r.alone {
			r.driveBinder(cur, ret, up)
		}
	}
}

func (r *run) argument(letter byte, sel string, i int, intent value) value {
	switch letter {
	case 'i':
		return intent
	case 'u', 's':
		typ := "Ljava/lang/String;"
		if letter == 'u' {
			typ = "Landroid/net/Uri;"
		}
		return value{typ: r.p.syms.ids[typ], taint: r.mark("argument", argNames[letter], "the caller's "+argNames[letter], false, nil)}
	case 'a':
		v := r.incomingObject("[Ljava/lang/String;", "the caller's list")
		o := r.objectsOf(v)[0]
		r.objects[o].array = true
		r.objects[o].label = r.mark("argument", "list", "the caller's list", false, nil)
		return v
	case 'v':
		v := r.incomingObject("Landroid/os/Bundle;", "the caller's values")
		r.objects[r.objectsOf(v)[0]].label = r.mark("argument", "values", "the caller's values", false, nil)
		return v
	case 'p':
		return r.incomingObject("Landroid/os/Parcel;", "the caller's parcel")
	}
	return value{}
}

// runMethod interprets one method of the platform's call-backs and keeps what it left on the heap.
func (r *run) runMethod(cur *local, m MethodID, args []value, up *chain) value {
	r.limit = min(r.steps+r.budget/4*3, r.budget) // no method may use up what the others need
	if r.alone {                                  // one of them does the work
		r.limit = r.budget
	}
	if r.cut {
		r.unfinished, r.cut = true, false
	}
	v, st, ok := r.call(m, args, state{heap: cur.heap}, up)
	if ok {
		cur.heap = r.joinHeap(cur.heap, st.heap, r.plain)
	}
	return v
}

// driveBinder calls the binder that onBind returned, as any client of the service can.
func (r *run) driveBinder(cur *local, b value, up *chain) {
	r.setCalled(cur, true)
	defer r.setCalled(cur, false)
	for _, o := range r.objectsOf(b) {
		c := r.objects[o].cid
		if c == 0 {
			if h, ok := cur.heap.get(fieldKey(o, keyRun)); ok { // a messenger
				r.driveHandler(cur, h, up)
			}
			continue
		}
		m := r.p.dispatch(c, r.p.syms.member("onTransact:(ILandroid/os/Parcel;Landroid/os/Parcel;I)Z"))
		if m == 0 || r.p.methods[m].code == 0 {
			if strings.HasSuffix(r.p.syms.text[r.p.outside(c)], "$Stub;") {
				r.driveStub(cur, o, up)
			}
			continue
		}
		reply := r.objVal(r.newObject(r.p.syms.ids["Landroid/os/Parcel;"], 0))
		args := []value{r.objVal(o), {}, r.argument('p', "", 0, value{}), reply, {}}
		if r.whole { // what another app sends is no source of this one's
			args[2] = r.objVal(r.newObject(r.p.syms.ids["Landroid/os/Parcel;"], 0))
			r.fieldPut(cur, args[2], keyAll, value{})
		}
		r.runMethod(cur, m, args, up)
		r.handedBack(cur, m, reply, up)
	}
}

// driveStub calls the methods of a binder whose stub, which would read the parcel, is not in the evidence.
func (r *run) driveStub(cur *local, o uint32, up *chain) {
	c := r.objects[o].cid
	parcel := value{taint: r.mark("parcel", "", "the caller's parcel", false, nil)}
	for _, m := range r.p.methodsOf(c) {
		mm := &r.p.methods[m]
		name, proto := cutSel(r.p.syms.text[mm.sel])
		if mm.code == 0 || mm.access&(accStatic|accSynth) != 0 || mm.access&1 == 0 || name[0] == '<' {
			continue
		}
		args := []value{r.objVal(o)}
		for t := range params(proto) {
			v := parcel
			v.typ = r.p.syms.ids[t]
			args = append(args, v)
		}
		r.handedBack(cur, m, r.runMethod(cur, m, args, up), up)
	}
}

func (r *run) driveHandler(cur *local, h value, up *chain) {
	for _, o := range r.objectsOf(h) {
		if c := r.objects[o].cid; c != 0 {
			if m := r.p.dispatch(c, r.p.syms.member("handleMessage:(Landroid/os/Message;)V")); m != 0 && r.p.methods[m].code != 0 {
				msg := r.incomingObject("Landroid/os/Message;", "the caller's message")
				r.objects[r.objectsOf(msg)[0]].label = r.mark("message", "", "the caller's message", false, nil)
				r.runMethod(cur, m, []value{r.objVal(o), msg}, up)
			}
		}
	}
}

func (r *run) driveReceiver(cur *local, d dynamicReceiver, in value) {
	for _, o := range r.objectsOf(d.obj) {
		if c := r.objects[o].cid; c != 0 {
			m := r.p.dispatch(c, r.p.syms.member("onReceive:(Landroid/content/Context;Landroid/content/Intent;)V"))
			if m != 0 && r.p.methods[m].code != 0 {
				r.runMethod(cur, m, []value{r.objVal(o), {}, in}, d.at)
			}
		}
	}
}

// handedBack records the personal data in what goes back to the caller. An object of the app's own class
// that the platform asks for its contents (a cursor) is asked.
func (r *run) handedBack(cur *local, m MethodID, v value, up *chain) {
	if _, proto := cutSel(r.p.syms.text[r.p.methods[m].sel]); v.kind != object && !strings.Contains(proto[strings.IndexByte(proto, ')')+1:], ";") {
		return // yes, no, or how many: that is not the data
	}
	t := r.deep(cur.heap, v)
	for _, o := range r.objectsOf(v) {
		c := r.objects[o].cid
		if c == 0 {
			continue
		}
		for k := c; k != 0; k = r.p.classes[k].super {
			for _, id := range r.p.methodsOf(k) {
				mm := &r.p.methods[id]
				name, _ := cutSel(r.p.syms.text[mm.sel])
				if mm.code == 0 || mm.access&accStatic != 0 || !cursorMethod[name] {
					continue
				}
				x := r.runMethod(cur, id, []value{r.objVal(o)}, up)
				t = r.labelSets.union(t, r.deep(cur.heap, x))
			}
		}
	}
	for _, l := range r.labelSets.items[t] {
		lab := &r.labels[l]
		k := knowledge.Kind(lab.kind)
		if k == nil || lab.guard || lab.chain == nil {
			continue
		}
		r.record(hit{kind: k, chain: lab.chain, conds: lab.conds, data: true, gesture: r.gesture > 0})
	}
}

// cursorMethod are the methods by which the platform reads a cursor.
var cursorMethod = map[string]bool{"getString": true, "getBlob": true, "getLong": true, "getInt": true, "getShort": true, "fillWindow": true, "getColumnNames": true, "getExtras": true, "respond": true}

// startComponent follows an intent to the component of the same app that it names.
func (r *run) startComponent(s *site, intent value, kind string) (binder value) {
	pkg := r.p.spaces[r.space].pkg
	if pkg == nil || r.depth > 24 {
		return value{}
	}
	var names, actions []string
	var schemes []string // of intents without an action: the data chooses the component
	for _, o := range r.objectsOf(intent) {
		t, named := s.cur.heap.get(fieldKey(o, keyTarget))
		t = r.content(s.cur, t)
		if named && (r.whole || t.kind == classRef || t.kind == text) {
			switch t.kind {
			case classRef:
				names = append(names, r.p.syms.text[t.n])
			case text:
				if r.texts[t.n] == "" {
					break
				}
				n := strings.ReplaceAll(r.texts[t.n], ".", "/")
				if strings.HasPrefix(n, "/") {
					n = strings.ReplaceAll(pkg.Name, ".", "/") + n
				}
				names = append(names, "L"+n+";")
			}
		} else if a, ok := s.cur.heap.get(fieldKey(o, keyAction)); ok {
			actions = append(actions, r.textsOf(s.cur, a)...)
		} else if d, ok := s.cur.heap.get(fieldKey(o, keyData)); ok && r.whole {
			if scheme, _, ok := strings.Cut(r.begins(r.content(s.cur, d)), ":"); ok {
				schemes = append(schemes, scheme)
			}
		}
	}
	awaits := r.awaits
	r.awaits = nil
	started := false
	for _, n := range names { // a class of the app that no manifest names is not started, but nor does the intent go elsewhere
		started = started || r.p.find(r.space, r.p.syms.ids[n]) != 0
	}
	for _, c := range pkg.Components {
		if string(c.Kind) != kind || !c.Enabled {
			continue
		}
		hit := slices.Contains(names, c.Name)
		for _, f := range c.Filters {
			for _, a := range f.Actions {
				hit = hit || slices.Contains(actions, a)
			}
			for _, x := range f.Schemes {
				hit = hit || slices.Contains(schemes, x)
			}
		}
		started = started || hit
		if !hit || r.started[c.Name] > 1 || r.alone && !r.hands(s, intent) {
			continue
		}
		cid := r.p.find(r.space, r.p.syms.ids[c.Name])
		// A service that is bound may do for its caller what it does not reach by itself: run a task that it is handed.
		if cid == 0 || !strings.HasPrefix(s.name, "bindService") && !r.p.worthwhile(cid, r.wants) {
			continue
		}
		r.started[c.Name]++
		up := r.chainOf(s.f.m, s.in.PC, "starts "+kind+" "+c.Name, s.f.up)
		before := s.cur.state
		obj := r.create(r.space, s.cur, r.p.classes[cid].name, up)
		if len(awaits) > 2 {
			r.fieldPut(s.cur, obj, keyStarter, awaits[0])
			r.fieldPut(s.cur, obj, keyCode, awaits[2])
		}
		binder = r.driveInside(s.cur, obj, c.Kind, intent, up)
		s.cur.conds = before.conds
		r.started[c.Name]--
	}
	if !r.whole {
		if b := r.startElsewhere(s, names, actions, kind, intent); b.kind == object {
			binder = b
		}
	}
	if r.whole && kind == "receiver" {
		for _, d := range r.dynamic {
			if slices.ContainsFunc(d.actions, func(a string) bool { return slices.Contains(actions, a) }) {
				started = true
				r.callBack(s, d.obj, "onReceive:(Landroid/content/Context;Landroid/content/Intent;)V", value{}, intent)
			}
		}
	}
	if r.whole && !started {
		r.leaves(intent)
		if len(awaits) > 2 { // what another app hands back may be made of what it was handed
			back := r.made(s.cur, r.chainOf(s.f.m, s.in.PC, "awaits the result", s.f.up), -2, r.p.syms.ids["Landroid/content/Intent;"], 0, false)
			r.copyObject(s.cur, intent, r.objectsOf(back)[0])
			r.fieldPut(s.cur, back, keyAll, value{taint: r.deep(s.cur.heap, intent)})
			r.callBack(s, awaits[0], "onActivityResult:(IILandroid/content/Intent;)V", awaits[2], value{}, back)
		}
	}
	return binder
}

// hands reports whether starting a component hands it something worth following, where each is driven alone too:
// its binder is wanted, or what somebody far away said or personal data lies in the intent.
func (r *run) hands(s *site, intent value) bool {
	if strings.HasPrefix(s.name, "bindService") {
		return true
	}
	for _, l := range r.labelSets.items[r.deep(s.cur.heap, intent)] {
		if k := knowledge.Kind(r.labels[l].kind); k != nil && (k.Role == knowledge.RoleInput || k.Personal()) {
			return true
		}
	}
	return false
}

// result hands an activity's result to the activity that started it and awaits one; the result of one that was
// started from outside leaves the app.
func (r *run) result(s *site, obj, code, intent value) {
	for _, o := range r.objectsOf(obj) {
		if starter, ok := s.cur.heap.get(fieldKey(o, keyStarter)); ok {
			req, _ := s.cur.heap.get(fieldKey(o, keyCode))
			r.callBack(s, starter, "onActivityResult:(IILandroid/content/Intent;)V", req, code, intent)
			continue
		}
		r.leaves(intent)
	}
}

// driveInside is drive for a component that the app itself starts: what was decided before still holds. It
// returns a service's binder.
func (r *run) driveInside(cur *local, obj value, kind phone.Kind, intent value, up *chain) (binder value) {
	r.fieldPut(cur, obj, keyIntent, intent)
	cid := r.objects[r.objectsOf(obj)[0]].cid
	for _, lc := range lifecycle[kind] {
		id := r.p.syms.member(lc.sel)
		if id == 0 || lc.returns {
			continue
		}
		m := r.p.dispatch(cid, id)
		if m == 0 || r.p.methods[m].code == 0 || r.onStack[m] > 0 {
			continue
		}
		args := []value{obj}
		for i := range len(lc.args) {
			args = append(args, r.argument(lc.args[i], lc.sel, i, intent))
		}
		v, st, ok := r.call(m, args, cur.state, up)
		if ok {
			cur.heap = r.joinHeap(cur.heap, st.heap, r.plain)
		}
		if v.kind == object {
			binder = v
		}
	}
	return binder
}

// register notes a receiver that code registers.
func (r *run) register(s *site) {
	var filter, perm value
	for i, a := range s.args[min(2, len(s.args)):] {
		if paramIs(s.proto, i+1, "Landroid/content/IntentFilter;") {
			filter = a
		}
		if paramIs(s.proto, i+1, "Ljava/lang/String;") {
			perm = a
		}
	}
	d := dynamicReceiver{obj: s.arg(1), at: r.chainOf(s.f.m, s.in.PC, "registers a receiver", s.f.up)}
	d.permission, _ = r.isText(r.content(s.cur, perm))
	for _, o := range r.objectsOf(filter) {
		s.cur.heap.each(o, func(f uint32, v value) {
			if f >= keyText && f < keyIndex {
				d.actions = append(d.actions, r.texts[f&^keyText])
			}
		})
	}
	slices.Sort(d.actions)
	for _, x := range r.dynamic {
		if x.obj == d.obj && x.at == d.at {
			return
		}
	}
	r.dynamic = append(r.dynamic, d)
}

// paths turns the hits of a run into paths: of each effect at each place the one with the fewest gates,
// then the shortest.
func (r *run) paths(c *phone.Component) []Path {
	var all []Path
	for i := range r.hits {
		h := &r.hits[i]
		if h.dynamic > 0 { // what came in through the component's own door came past that door's guard
			h.steered = r.bornIn(h.steered, h.dynamic)
		}
		if !h.data && !h.plain && !r.callers(h.steered) {
			continue // it does what it was written to do, whoever asks
		}
		all = append(all, r.path(h))
	}
	out := best(all, func(p *Path) string { return fmt.Sprint(p.Entry.What, p.Effect.ID, p.At, p.Data) }, better)
	slices.SortStableFunc(out, func(a, b Path) int {
		return cmp.Or(cmp.Compare(a.Entry.What, b.Entry.What), cmp.Compare(a.Effect.ID, b.Effect.ID), evidence.Compare(a.At, b.At))
	})
	return out
}

// bornIn keeps the labels that were read while one receiver was driven.
func (r *run) bornIn(set uint32, driving int) uint32 {
	var s []uint32
	for _, l := range r.labelSets.items[set] {
		if r.labels[l].born == driving {
			s = append(s, l)
		}
	}
	return r.labelSets.intern(s)
}

func better(a, b *Path) bool {
	rank := func(p *Path) int {
		n := 0
		for _, g := range p.Gates {
			switch g.Holds {
			case GateHolds:
				n += 100
			case GateUnknown:
				n += 10
			default:
				n++
			}
		}
		if len(p.Steered) == 0 && !p.Data {
			n += 50
		}
		return n
	}
	if x, y := rank(a), rank(b); x != y {
		return x < y
	}
	if len(a.Steps) != len(b.Steps) {
		return len(a.Steps) < len(b.Steps)
	}
	for i := range a.Steps {
		if c := evidence.Compare(a.Steps[i].At, b.Steps[i].At); c != 0 {
			return c < 0
		}
	}
	return a.Action < b.Action
}

// path describes one hit: the way in, the calls, where the outsider's data is read, the effect.
func (r *run) path(h *hit) Path {
	e := r.root
	if h.dynamic > 0 {
		d := r.dynamic[h.dynamic-1]
		cls := ""
		if os := r.objectsOf(d.obj); len(os) > 0 {
			cls = r.p.syms.text[r.objects[os[0]].class]
		}
		e = &Entry{Package: r.root.Package, What: "receiver registered in code " + cls, Actions: d.actions, Permission: d.permission,
			At: r.p.Ref(d.at.method, d.at.pc)}
	}
	p := Path{Entry: e, Effect: h.kind, Data: h.data, Gesture: h.gesture, At: r.p.Ref(h.chain.method, h.chain.pc), Fixed: compactTexts(h.fixed)}
	p.In = r.p.spaces[r.p.dexes[r.p.methods[h.chain.method].dex].space].pkg
	if p.In == nil { // a library does it, for the app that calls it
		p.In = e.Package
		for c := h.chain; c != nil; c = c.up {
			if k := r.p.spaces[r.p.dexes[r.p.methods[c.method].dex].space].pkg; k != nil {
				p.In = k
				break
			}
		}
	}
	for _, t := range p.Fixed {
		if !r.p.literal(r.p.ofPackage[p.In], t) {
			p.Composed = append(p.Composed, t)
		}
	}
	seen := map[Input]bool{}
	var reads []*chain
	for _, l := range r.labelSets.items[h.steered] {
		lab := &r.labels[l]
		if !incomingKind[lab.kind] {
			continue
		}
		if in := (Input{lab.kind, lab.key}); !seen[in] {
			seen[in] = true
			p.Steered = append(p.Steered, in)
		}
		if lab.chain != nil {
			reads = append(reads, lab.chain)
		}
	}
	slices.SortFunc(p.Steered, func(a, b Input) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	p.Gates, p.Action = r.gates(h, e)
	if g, ok := r.looks(h); ok && h.kind.Redirects {
		p.Gates = append(p.Gates, g)
	}
	p.Steps = r.witness(h, append(reads, h.written...))
	return p
}

// literal reports whether a text stands in the strings of an app's code, or of the libraries that it uses, or is made of a
// constant of the platform's. One that is not ASCII is taken to: the order of a DEX's strings is that of UTF-16.
func (p *Program) literal(sp int, t string) bool {
	if knowledge.BeginsConstant(t) || strings.ContainsFunc(t, func(c rune) bool { return c >= 0x80 }) {
		return true
	}
	for s := range p.spaces {
		if !p.sees(sp, s) {
			continue
		}
		for _, i := range p.spaces[s].dexes {
			d := p.dexes[i].File
			if _, ok := sort.Find(d.NumStrings(), func(k int) int { return strings.Compare(t, d.String(uint32(k))) }); ok {
				return true
			}
		}
	}
	return t == ""
}

func compactTexts(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

// witness orders the steps as they happen: the outermost call first. A read of the outsider's data stands
// where the frame that reads it is on the way.
func (r *run) witness(h *hit, reads []*chain) []Step {
	var frames []*chain
	for c := h.chain; c != nil; c = c.up {
		frames = append(frames, c)
	}
	slices.Reverse(frames)
	var steps []Step
	steps = append(steps, Step{r.p.Ref(frames[0].method, 0), "enters " + r.p.MethodName(frames[0].method)})
	done := map[*chain]bool{}
	for i, c := range frames {
		// what was read in this frame before the call
		for _, rd := range reads {
			if done[rd] {
				continue
			}
			for x := rd; x != nil; x = x.up {
				if x.method == c.method && x.up == c.up {
					done[rd] = true
					steps = append(steps, r.describe(rd))
					break
				}
			}
		}
		if i == len(frames)-1 {
			steps = append(steps, Step{r.p.Ref(c.method, c.pc), r.p.calleeAt(c.method, c.pc) + ": " + h.kind.Words})
		} else {
			what := c.what
			if what == "" {
				what = "calls " + r.p.MethodName(frames[i+1].method)
			}
			steps = append(steps, Step{r.p.Ref(c.method, c.pc), what})
		}
	}
	return steps
}

func (r *run) describe(c *chain) Step {
	for _, k := range r.keepings {
		if k.at == c {
			return Step{r.p.Ref(c.method, c.pc), "writes it to " + k.place + " with " + r.p.calleeAt(c.method, c.pc)}
		}
	}
	return Step{r.p.Ref(c.method, c.pc), "reads " + r.labelAt(c) + " with " + r.p.calleeAt(c.method, c.pc)}
}

func (r *run) labelAt(c *chain) string {
	for i := range r.labels {
		l := &r.labels[i]
		if l.chain != c || l.guard {
			continue
		}
		if k := knowledge.Kind(l.kind); k != nil && k.Role == knowledge.RoleSource {
			return k.Words
		} else if incomingKind[l.kind] || l.kind == flowSource.ID {
			return Input{l.kind, l.key}.String()
		}
	}
	return "what came in"
}
