package program

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/apk"
	"gifthorse/knowledge"
	"gifthorse/phone"
)

// A Flow is data that a source call yields and a sink call is given.
type Flow struct {
	Source, Sink FlowEnd
	Steps        []Step
}

// A FlowEnd is one call, with the method it stands in. Both are Dalvik names.
type FlowEnd struct {
	Call, In string
	At       evidence.Ref
}

// Rules says which calls are sources and which are sinks.
type Rules struct {
	facts map[string][]knowledge.Fact // by method name
}

var (
	flowSource = &knowledge.FactKind{ID: "flow-source", Words: "source"}
	flowSink   = &knowledge.FactKind{ID: "flow-sink", Words: "sink"}
)

// ReadRules reads sources and sinks, one a line, in the notation of Soot:
//
//	<android.telephony.TelephonyManager: java.lang.String getDeviceId()> -> _SOURCE_
//
// Lines that begin with % or # are comments.
func ReadRules(r io.Reader) (*Rules, error) {
	rules := &Rules{facts: map[string][]knowledge.Fact{}}
	s := bufio.NewScanner(r)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '%' || line[0] == '#' {
			continue
		}
		sig, kind, ok := strings.Cut(line, "->")
		sig = strings.TrimSpace(sig)
		if i := strings.LastIndexByte(sig, '>'); i > 0 { // FlowDroid allows permissions behind the signature
			sig = sig[:i+1]
		}
		class, method, ok2 := strings.Cut(strings.Trim(sig, "<>"), ": ")
		ret, rest, ok3 := strings.Cut(method, " ")
		name, args, ok4 := strings.Cut(strings.TrimSuffix(rest, ")"), "(")
		if !ok || !ok2 || !ok3 || !ok4 {
			return nil, fmt.Errorf("line %d is no source or sink: %q", n, line)
		}
		f := knowledge.Fact{Class: dalvik(class), Name: name, Means: "value"}
		var proto strings.Builder
		proto.WriteByte('(')
		for a := range strings.SplitSeq(args, ",") {
			if a = strings.TrimSpace(a); a != "" {
				proto.WriteString(dalvik(a))
			}
		}
		proto.WriteString(")" + dalvik(ret))
		f.Proto = proto.String()
		if strings.Contains(kind, "_SOURCE_") || strings.Contains(kind, "_BOTH_") {
			f.Role, f.Kind = knowledge.RoleSource, flowSource
			rules.facts[name] = append(rules.facts[name], f)
		}
		if strings.Contains(kind, "_SINK_") || strings.Contains(kind, "_BOTH_") {
			f.Role, f.Kind = knowledge.RoleSink, flowSink
			rules.facts[name] = append(rules.facts[name], f)
		}
	}
	return rules, s.Err()
}

// dalvik turns the name of a Java type into a descriptor.
func dalvik(t string) string {
	t = strings.TrimSpace(t)
	dims := strings.Count(t, "[]")
	t = strings.TrimSuffix(t, strings.Repeat("[]", dims))
	prim := map[string]string{"void": "V", "boolean": "Z", "byte": "B", "short": "S", "char": "C", "int": "I", "long": "J", "float": "F", "double": "D"}
	d, ok := prim[t]
	if !ok {
		d = "L" + strings.ReplaceAll(t, ".", "/") + ";"
	}
	return strings.Repeat("[", dims) + d
}

// Flows finds the flows from sources to sinks in every app of ph, whoever sets them off: each component is
// driven through its life, with every call-back that it registers. With nil rules the sources and sinks are
// those of package knowledge.
func Flows(ctx context.Context, ph *phone.Phone, rules *Rules) ([]Flow, []evidence.Gap) {
	p := &Program{Phone: ph, api: ph.API, rules: rules, whole: true}
	p.load(ph)
	p.scan()
	p.relevance()
	var flows []Flow
	for i := range p.spaces {
		if p.spaces[i].pkg != nil && ctx.Err() == nil {
			flows = append(flows, p.appFlows(i)...)
		}
	}
	slices.SortFunc(flows, func(a, b Flow) int {
		return cmp.Or(cmp.Compare(a.Source.In, b.Source.In), evidence.Compare(a.Source.At, b.Source.At),
			cmp.Compare(a.Sink.In, b.Sink.In), evidence.Compare(a.Sink.At, b.Sink.At))
	})
	return flows, p.gaps
}

// maxFlowSteps is the budget of one app. The labelled apps take some thousands, the worst of them 60,000.
const maxFlowSteps = 2_000_000

// appFlows drives all components of an app on one heap, so that what one leaves in a static field or in
// the preferences another finds.
func (p *Program) appFlows(sp int) (flows []Flow) {
	pkg := p.spaces[sp].pkg
	defer func() {
		if x := recover(); x != nil {
			p.gaps = append(p.gaps, evidence.Gap{At: pkg.Manifest, Reason: evidence.Unsupported,
				Detail: fmt.Sprintf("the analysis of %s failed: %v; please report it", pkg.Name, x)})
		}
	}()
	r := newRun(p, &Entry{Package: pkg, What: "app"}, sp)
	r.wants = reachesEffect | reachesSource
	r.budget, r.limit = maxFlowSteps, maxFlowSteps
	r.whole = true
	cur := &local{}
	for r.round = range 2 {
		r.driveApp(cur)
		if !r.shared(cur.heap) {
			break // nothing stays behind that the next one could find
		}
	}
	if r.cut || r.unfinished {
		p.gaps = append(p.gaps, evidence.Gap{At: pkg.Manifest, Reason: evidence.TooLarge, Detail: fmt.Sprintf("%s was not followed to the end: more than %d steps", pkg.Name, maxFlowSteps)})
	}
	return r.flows()
}

// driveApp drives the application and each of its components through one life. The providers come first: the
// platform makes them before it calls the application's onCreate (ActivityThread.handleBindApplication).
func (r *run) driveApp(cur *local) {
	p, sp := r.p, r.space
	pkg := p.spaces[sp].pkg
	if pkg.AppClass != "" {
		r.app = r.create(sp, cur, p.syms.ids[pkg.AppClass], nil)
		r.overridden(cur, r.app, []string{"attachBaseContext"})
	}
	drive := func(providers bool) {
		for _, c := range pkg.Components {
			if c.Enabled && p.find(sp, p.syms.ids[c.Name]) != 0 && c.Alias == "" && (c.Kind == phone.KindProvider) == providers {
				obj := r.create(sp, cur, p.syms.ids[c.Name], nil)
				if !c.Exported { // only the app starts it, with what the app put into the intent: see startComponent
					r.fieldPut(cur, obj, keyIntent, r.made(cur, nil, -5, p.syms.ids["Landroid/content/Intent;"], 0, false))
				}
				r.life(cur, obj, c)
			}
		}
	}
	drive(true)
	r.overridden(cur, r.app, []string{"onCreate"})
	drive(false)
	r.overridden(cur, r.app, []string{"onConfigurationChanged", "onLowMemory", "onTrimMemory", "onTerminate"})
	r.heard(cur)
}

// shared reports whether data lies where the next life of a component finds it: in static fields, the
// application object, or the preferences.
func (r *run) shared(h *heap) bool {
	t := r.deep(h, r.app)
	for _, o := range r.statics {
		t = r.labelSets.union(t, r.deep(h, r.objVal(o)))
	}
	for _, v := range r.lasting {
		t = r.labelSets.union(t, r.deep(h, v))
	}
	return t != 0
}

// life drives a component through its life. What it leaves to the platform to call is called whenever that
// can be: after it began, and while it is in the background.
func (r *run) life(cur *local, obj value, c *phone.Component) {
	was, inside := r.active, r.inside
	r.active, r.inside = obj, !c.Exported
	defer func() { r.active, r.inside = was, inside }()
	all := slices.Concat(beginnings[c.Kind], stops[c.Kind], ends[c.Kind])
	r.overridden(cur, obj, beginnings[c.Kind])
	r.heard(cur)
	r.callbacksOf(cur, obj, all)
	r.heard(cur)
	r.overridden(cur, obj, stops[c.Kind])
	for range maxReturns {
		h := cur.heap
		r.heard(cur)
		r.overridden(cur, obj, returns[c.Kind])
		r.heard(cur)
		r.callbacksOf(cur, obj, all)
		r.overridden(cur, obj, stops[c.Kind])
		if cur.heap == h {
			break
		}
	}
	r.overridden(cur, obj, ends[c.Kind])
	r.heard(cur)
}

// maxReturns is how often a component comes back. Data moves on one field with each time; three is a state
// machine of four states.
const maxReturns = 3

// The methods that the platform calls in a component's life, in its order.
var (
	beginnings = map[phone.Kind][]string{
		phone.KindActivity: {"attachBaseContext", "onCreate", "onStart", "onRestoreInstanceState", "onPostCreate", "onResume", "onPostResume", "onAttachedToWindow", "onCreateOptionsMenu", "onCreateContextMenu", "onWindowFocusChanged"},
		phone.KindService:  {"attachBaseContext", "onCreate", "onStart", "onStartCommand", "onHandleIntent", "onBind", "onRebind"},
		phone.KindReceiver: {"onReceive"},
		phone.KindProvider: {"onCreate", "query", "insert", "update", "delete", "call", "openFile", "getType", "bulkInsert"},
	}
	stops = map[phone.Kind][]string{
		phone.KindActivity: {"onUserLeaveHint", "onPause", "onSaveInstanceState", "onStop", "onRetainNonConfigurationInstance"},
		phone.KindService:  {"onUnbind", "onLowMemory", "onTaskRemoved"},
	}
	returns = map[phone.Kind][]string{
		phone.KindActivity: {"onRestart", "onStart", "onRestoreInstanceState", "onResume"},
		phone.KindService:  {"onStart", "onStartCommand", "onHandleIntent", "onBind", "onRebind"},
		phone.KindReceiver: {},
		phone.KindProvider: {"query", "insert", "update", "delete", "call", "openFile"},
	}
	ends = map[phone.Kind][]string{
		phone.KindActivity: {"onDestroy", "onLowMemory", "onTrimMemory"},
		phone.KindService:  {"onDestroy"},
	}
	fragmentLife = []string{"onAttach", "onCreate", "onCreateView", "onViewCreated", "onActivityCreated", "onStart", "onResume", "onPause", "onSaveInstanceState", "onStop", "onDestroyView", "onDestroy", "onDetach"}
)

// overridden calls the named methods of an object where its class overrides them, in the order given.
func (r *run) overridden(cur *local, obj value, names []string) {
	os := r.objectsOf(obj)
	if len(os) == 0 || r.objects[os[0]].cid == 0 {
		return
	}
	for _, name := range names {
		for _, m := range r.p.methodsNamed(r.objects[os[0]].cid, name) {
			args := []value{obj}
			_, proto := cutSel(r.p.syms.text[r.p.methods[m].sel])
			for t := range params(proto) {
				v := value{typ: r.p.syms.ids[t]}
				switch t {
				case "Landroid/content/Intent;":
					if i, ok := cur.heap.get(fieldKey(os[0], keyIntent)); ok {
						v = i
					}
				case "Landroid/os/Bundle;": // what onSaveInstanceState put there
					v = r.savedState(cur, obj)
				}
				args = append(args, v)
			}
			ret := r.runMethod(cur, m, args, nil)
			if name == "onBind" && !r.inside { // what the app itself says to its binder comes from where it binds
				r.driveBinder(cur, ret, nil)
			}
		}
	}
}

// savedState is the bundle in which an activity's state is saved.
func (r *run) savedState(cur *local, obj value) value {
	return r.made(cur, r.chainOf(0, uint32(obj.n), "state", nil), -4, r.p.syms.ids["Landroid/os/Bundle;"], 0, false)
}

// maxTable bounds the resource table that is read; the largest of real apps have some 20 MB.
const maxTable = 64 << 20

// resourceText returns a text of an app's resources, in its default language. The table is read when the first
// is asked for.
func (p *Program) resourceText(sp int, id uint32) (string, bool) {
	s := &p.spaces[sp]
	if s.resources == nil {
		s.resources = &apk.Resources{}
		if f := s.pkg.File; f != nil {
			if at, err := f.ReaderAt(); err == nil {
				if z, err := apk.NewZip(at, f.Size); err == nil && z.Entry("resources.arsc") != nil {
					if b, err := z.ReadFile(z.Entry("resources.arsc"), maxTable); err == nil {
						if t, err := apk.ParseResources(b); err == nil {
							s.resources = t
						}
					}
				}
			}
		}
	}
	v, ok := s.resources.Value(id)
	return v.Text(), ok
}

// methodsNamed returns the methods with a body of this name in a class and what it inherits, overrides only once.
func (p *Program) methodsNamed(c ClassID, name string) []MethodID {
	var out []MethodID
	seen := map[Sym]bool{}
	for k := c; k != 0; k = p.classes[k].super {
		for _, m := range p.methodsOf(k) {
			mm := &p.methods[m]
			if n, _ := cutSel(p.syms.text[mm.sel]); n == name && mm.code != 0 && mm.access&accStatic == 0 && !seen[mm.sel] {
				seen[mm.sel] = true
				out = append(out, m)
			}
		}
	}
	return out
}

// callbacksOf calls what else of an object's class overrides methods of the platform: keys, menus, results,
// and the methods that a layout can name.
func (r *run) callbacksOf(cur *local, obj value, not []string) {
	os := r.objectsOf(obj)
	if len(os) == 0 {
		return
	}
	for k := r.objects[os[0]].cid; k != 0; k = r.p.classes[k].super {
		for _, m := range r.p.methodsOf(k) {
			mm := &r.p.methods[m]
			name, proto := cutSel(r.p.syms.text[mm.sel])
			if mm.code == 0 || mm.access&accStatic != 0 || name[0] == '<' || slices.Contains(not, name) {
				continue
			}
			if mm.access&1 != 0 && proto == "(Landroid/view/View;)V" || r.p.overridesPlatform(k, name) {
				args := append([]value{obj}, r.unknowns(proto)...)
				for _, fact := range r.p.facts(name) {
					if g := fact.Given; g != 0 && g < len(args) && r.p.isA(k, fact.Class) {
						args[g].taint = r.mark(fact.Kind.ID, "", fact.Kind.Words, false, r.chainOf(m, 0, handed, nil))
					}
				}
				r.runMethod(cur, m, args, nil)
			}
		}
	}
}

func (r *run) unknowns(proto string) []value {
	var out []value
	for t := range params(proto) {
		out = append(out, value{typ: r.p.syms.ids[t]})
	}
	return out
}

// overridesPlatform reports whether a method of this name is declared by a platform ancestor of class c.
func (p *Program) overridesPlatform(c ClassID, name string) bool {
	for k := c; k != 0; k = p.classes[k].super { // what a support library declares, the platform calls too
		if p.classes[k].carried && slices.Contains(slices.Collect(p.platformMethods(p.dexes[p.classes[k].dex].space, p.classes[k].name)), name) {
			return true
		}
	}
	for _, a := range p.platformAncestors(c) {
		for m := range knowledge.Methods(a) {
			if m.Name == name {
				return true
			}
		}
	}
	return false
}

// platformAncestors lists the classes and interfaces of the platform above c, but java.lang.Object.
func (p *Program) platformAncestors(c ClassID) []string {
	var out []string
	add := func(name string) {
		for todo := []string{name}; len(todo) > 0; {
			n := todo[0]
			todo = todo[1:]
			if n == "" || n == "Ljava/lang/Object;" || slices.Contains(out, n) || len(out) > 64 {
				continue
			}
			out = append(out, n)
			if info, ok := knowledge.Class(n); ok {
				todo = append(append(todo, info.Super), info.Interfaces...)
			}
		}
	}
	for k := c; k != 0; k = p.classes[k].super {
		kc := &p.classes[k]
		sp := p.dexes[kc.dex].space
		for _, f := range kc.ifaces {
			if p.find(sp, f) == 0 {
				add(p.syms.text[f])
			}
		}
		if kc.super == 0 {
			add(p.syms.text[kc.supSym])
		}
	}
	return out
}

// heard calls what was handed to the platform and is not taken back: listeners, receivers registered in code,
// fragments. It is called while they can be set off; what one of them leaves the next finds.
func (r *run) heard(cur *local) {
	for i := 0; i < len(r.listeners) && i < maxListeners; i++ {
		l := &r.listeners[i]
		if cur.heap == l.last {
			continue // it would do again what it did
		}
		for _, o := range r.objectsOf(l.obj) {
			if off, ok := cur.heap.get(fieldKey(o, keyHeard)); ok && off.isNull() {
				continue
			}
			_, proto := cutSel(r.p.syms.text[l.sel])
			if m := r.p.dispatch(r.objects[o].cid, l.sel); m != 0 && r.p.methods[m].code != 0 {
				r.runMethod(cur, m, append([]value{l.obj}, r.unknowns(proto)...), l.at)
			}
		}
		l.last = cur.heap
	}
	for i := 0; i < len(r.dynamic) && i < 16; i++ {
		r.driveReceiver(cur, r.dynamic[i], value{typ: r.p.syms.ids["Landroid/content/Intent;"]})
	}
	for len(r.fragments) > 0 {
		f := r.fragments[0]
		r.fragments = r.fragments[1:]
		r.overridden(cur, f, fragmentLife)
		r.callbacksOf(cur, f, fragmentLife)
	}
}

// maxListeners bounds the objects handed to the platform that are called back; apps have dozens.
const maxListeners = 256

type listener struct {
	obj  value
	sel  Sym
	at   *chain
	last *heap // after it was called last
}

// leak records that a sink was given labelled data.
type leak struct {
	source uint32 // label
	sink   *chain
}

func (r *run) leak(labels uint32, sink *chain) {
	for _, l := range r.labelSets.items[labels] {
		if k := (leak{l, sink}); !r.labels[l].guard && !slices.Contains(r.leaks, k) && len(r.leaks) < 4096 {
			r.leaks = append(r.leaks, k)
		}
	}
}

// kept is a sink that only put data into an intent: it lets nothing out before the intent leaves the app.
type kept struct {
	labels uint32
	sink   *chain
}

// leaves says that an intent goes out of the app.
func (r *run) leaves(intent value) {
	for _, o := range r.objectsOf(intent) {
		for _, k := range r.kept[o] {
			r.leak(k.labels, k.sink)
		}
	}
}

func (r *run) flows() []Flow {
	var out []Flow
	seen := map[string]bool{}
	for _, l := range r.leaks {
		src := &r.labels[l.source]
		if src.chain == nil {
			continue
		}
		f := Flow{Source: r.end(src.chain), Sink: r.end(l.sink)}
		k := f.Source.At.String() + f.Sink.At.String()
		if seen[k] {
			continue
		}
		seen[k] = true
		f.Steps = r.flowSteps(src.chain, l.sink)
		out = append(out, f)
	}
	return out
}

// handed marks the chain of data that the platform hands to a method: it is read where the method begins.
const handed = "is handed"

func (r *run) end(c *chain) FlowEnd {
	if c.what == handed {
		return FlowEnd{Call: r.p.MethodName(c.method), In: r.p.MethodName(c.method), At: r.p.Ref(c.method, 0)}
	}
	return FlowEnd{Call: r.p.calleeAt(c.method, c.pc), In: r.p.MethodName(c.method), At: r.p.Ref(c.method, c.pc)}
}

// flowSteps leads from where the source is called to the sink: the calls that both have in common, the
// source, then the calls down to the sink.
func (r *run) flowSteps(src, sink *chain) []Step {
	h := hit{chain: sink, kind: flowSink}
	steps := r.witness(&h, []*chain{src})
	at := r.p.Ref(src.method, src.pc)
	if !slices.ContainsFunc(steps, func(s Step) bool { return s.At == at }) {
		steps = append([]Step{{at, "reads " + r.p.calleeAt(src.method, src.pc)}}, steps...)
	}
	return steps
}
