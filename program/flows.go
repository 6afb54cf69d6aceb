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
	p := &Program{Phone: ph, api: ph.API, rules: rules}
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
	var app value
	if pkg.AppClass != "" {
		app = r.create(sp, cur, p.syms.ids[pkg.AppClass], nil)
	}
	type part struct {
		c   *phone.Component
		obj value
	}
	var parts []part
	for _, c := range pkg.Components {
		if c.Enabled && p.find(sp, p.syms.ids[c.Name]) != 0 && c.Alias == "" {
			parts = append(parts, part{c, r.create(sp, cur, p.syms.ids[c.Name], nil)})
		}
	}
	for range 2 { // what a later call-back leaves, an earlier one finds the second time
		if app.kind == object {
			r.overridden(cur, app, []string{"attachBaseContext", "onCreate", "onConfigurationChanged", "onLowMemory", "onTrimMemory", "onTerminate"})
		}
		for _, x := range parts {
			r.life(cur, x.obj, x.c)
		}
		for i := 0; i < len(r.dynamic) && i < 16; i++ {
			r.driveReceiver(cur, r.dynamic[i], value{})
		}
		r.heard(cur)
	}
	if r.cut || r.unfinished {
		p.gaps = append(p.gaps, evidence.Gap{At: pkg.Manifest, Reason: evidence.TooLarge, Detail: fmt.Sprintf("%s was not followed to the end: more than %d steps", pkg.Name, maxFlowSteps)})
	}
	return r.flows()
}

// life drives a component through its life, then its call-backs, then through its life's end and again.
func (r *run) life(cur *local, obj value, c *phone.Component) {
	begin := map[phone.Kind][]string{
		phone.KindActivity: {"onCreate", "onStart", "onRestoreInstanceState", "onPostCreate", "onResume", "onPostResume", "onAttachedToWindow", "onCreateOptionsMenu", "onCreateContextMenu", "onWindowFocusChanged"},
		phone.KindService:  {"onCreate", "onStart", "onStartCommand", "onHandleIntent", "onBind", "onRebind"},
		phone.KindReceiver: {"onReceive"},
		phone.KindProvider: {"onCreate", "query", "insert", "update", "delete", "call", "openFile", "getType", "bulkInsert"},
	}
	end := map[phone.Kind][]string{
		phone.KindActivity: {"onPause", "onSaveInstanceState", "onStop", "onRetainNonConfigurationInstance", "onRestart", "onDestroy", "onLowMemory", "onTrimMemory"},
		phone.KindService:  {"onUnbind", "onDestroy", "onLowMemory", "onTaskRemoved"},
	}
	r.overridden(cur, obj, begin[c.Kind])
	r.heard(cur)
	r.callbacksOf(cur, obj, append(slices.Clone(begin[c.Kind]), end[c.Kind]...))
	r.overridden(cur, obj, end[c.Kind])
	if c.Kind == phone.KindActivity { // it comes back
		r.overridden(cur, obj, []string{"onRestart", "onStart", "onRestoreInstanceState", "onResume"})
		r.callbacksOf(cur, obj, append(slices.Clone(begin[c.Kind]), end[c.Kind]...))
		r.overridden(cur, obj, []string{"onPause", "onStop", "onDestroy"})
	}
}

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
			for _, t := range paramTypes(proto) {
				v := value{typ: r.p.syms.ids[t]}
				switch t {
				case "Landroid/content/Intent;":
					if i, ok := cur.heap.get(fieldKey(os[0], keyIntent)); ok {
						v = i
					}
				case "Landroid/os/Bundle;": // what onSaveInstanceState put there
					v = r.life0(cur, obj)
				}
				args = append(args, v)
			}
			ret := r.runMethod(cur, m, args, nil)
			if name == "onBind" {
				r.driveBinder(cur, ret, nil)
			}
		}
	}
}

// life0 is the bundle in which an activity's state is saved.
func (r *run) life0(cur *local, obj value) value {
	return r.made(cur, r.chainOf(0, uint32(obj.n), "state", nil), -4, r.p.syms.ids["Landroid/os/Bundle;"], 0, false)
}

func paramTypes(proto string) []string {
	var out []string
	for i := 1; i < len(proto) && proto[i] != ')'; {
		e := i
		for proto[e] == '[' && e+1 < len(proto) {
			e++
		}
		if proto[e] == 'L' {
			n := strings.IndexByte(proto[e:], ';')
			if n < 0 {
				break
			}
			e += n
		}
		out = append(out, proto[i:e+1])
		i = e + 1
	}
	return out
}

// methodsNamed returns the methods with a body of this name in a class and what it inherits, overrides only once.
func (p *Program) methodsNamed(c ClassID, name string) []MethodID {
	var out []MethodID
	seen := map[Sym]bool{}
	for k := c; k != 0; k = p.classes[k].super {
		for m := p.classes[k].methods[0]; m < p.classes[k].methods[1]; m++ {
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
		for m := r.p.classes[k].methods[0]; m < r.p.classes[k].methods[1]; m++ {
			mm := &r.p.methods[m]
			name, proto := cutSel(r.p.syms.text[mm.sel])
			if mm.code == 0 || mm.access&accStatic != 0 || name[0] == '<' || slices.Contains(not, name) {
				continue
			}
			if mm.access&1 != 0 && proto == "(Landroid/view/View;)V" || r.p.overridesPlatform(k, name) {
				r.runMethod(cur, m, append([]value{obj}, r.unknowns(proto)...), nil)
			}
		}
	}
}

func (r *run) unknowns(proto string) []value {
	var out []value
	for _, t := range paramTypes(proto) {
		out = append(out, value{typ: r.p.syms.ids[t]})
	}
	return out
}

// overridesPlatform reports whether a method of this name is declared by a platform ancestor of class c.
func (p *Program) overridesPlatform(c ClassID, name string) bool {
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

// heard calls every object that was handed to the platform once more: its listeners may be called at any time.
func (r *run) heard(cur *local) {
	for i := 0; i < len(r.listeners) && i < 256; i++ {
		l := r.listeners[i]
		os := r.objectsOf(l.obj)
		if len(os) == 0 {
			continue
		}
		_, proto := cutSel(r.p.syms.text[l.sel])
		if m := r.p.dispatch(r.objects[os[0]].cid, l.sel); m != 0 && r.p.methods[m].code != 0 {
			r.runMethod(cur, m, append([]value{l.obj}, r.unknowns(proto)...), l.at)
		}
	}
}

type listener struct {
	obj value
	sel Sym
	at  *chain
}

// leak records that a sink was given labelled data.
type leak struct {
	source uint32 // label
	sink   *chain
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

func (r *run) end(c *chain) FlowEnd {
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
