package program

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/dex"
	"gifthorse/knowledge"
	"gifthorse/phone"
)

// A TLSHole is a place where an app gives up the check of who is at the other end of its encrypted connections.
type TLSHole struct {
	Package *phone.Package
	Kind    TLSKind
	// Body is where the code that lets everybody in begins, or the instruction that takes the platform's code that does.
	Body Step
	// Install is the call that makes it decide; its What is empty if none was found.
	Install Step
	// Live is set if the call can be reached over the call graph from a component of the app, leaving out
	// what constants switch off.
	Live bool
	// Fixed is set if nothing but a hole is handed over at that call, and the method that holds it makes the call on
	// every way through, but for decisions whether an object is there already and whether an address asks for encryption.
	Fixed bool
	// Default is set if it decides for every connection of the process.
	Default bool
	// Checked is set if what decides about certificates at the same place is code that may refuse: it may know the name itself.
	Checked bool
}

// A TLSKind says what is not checked.
type TLSKind string

// The kinds of hole.
const (
	HoleTrust TLSKind = "trust" // who signed the certificate: checkServerTrusted never throws
	HoleNames TLSKind = "names" // whose certificate it is: verify always returns true
	HolePage  TLSKind = "page"  // a page is loaded though its certificate is wrong: onReceivedSslError proceeds
)

// tlsTypes are the types that an app implements to decide itself, the methods that decide, and what is then judged.
var tlsTypes = []struct {
	kind TLSKind
	root string
	sels []string // of which a class must have the first; all that it has must let everybody in
}{
	{HoleTrust, "Ljavax/net/ssl/X509TrustManager;", []string{
		"checkServerTrusted:([Ljava/security/cert/X509Certificate;Ljava/lang/String;)V",
		"checkServerTrusted:([Ljava/security/cert/X509Certificate;Ljava/lang/String;Ljava/net/Socket;)V",
		"checkServerTrusted:([Ljava/security/cert/X509Certificate;Ljava/lang/String;Ljavax/net/ssl/SSLEngine;)V"}},
	{HoleNames, "Ljavax/net/ssl/HostnameVerifier;", []string{"verify:(Ljava/lang/String;Ljavax/net/ssl/SSLSession;)Z"}},
	{HolePage, "Landroid/webkit/WebViewClient;", []string{
		"onReceivedSslError:(Landroid/webkit/WebView;Landroid/webkit/SslErrorHandler;Landroid/net/http/SslError;)V"}},
}

// BrokenTLS returns the holes of all apps, by package, kind, and address of body and installation. A hole that is
// installed at several places is there several times. Bodies are judged on all ways through them (tlsbody.go); whose objects
// reach an installation is followed backwards over moves, fields, arrays, arguments and results (origins).
//
// Not seen: holes in libraries that the app does not carry, sockets whose maker forgets to compare the name at all, native
// code, lambdas that the runtime makes into objects, objects that containers hand out. Where ART quickened the code without leaving a table, calls on objects
// of unknown class are lost, and with them installations.
func (p *Program) BrokenTLS() []TLSHole {
	var roots []string
	for _, t := range tlsTypes {
		roots = append(roots, t.root)
	}
	below := p.below(append(roots, byName...))
	out := make([][]TLSHole, len(p.spaces))
	parallel(len(p.spaces), func(i int) {
		if p.spaces[i].pkg == nil {
			return
		}
		t := &tracer{p: p, sp: i, byName: below[len(tlsTypes):]}
		classes := map[Sym]holeClass{}
		for k, typ := range tlsTypes {
			for _, top := range below[k] {
				for c := range t.downFrom(top) {
					name := p.classes[c].name
					if _, ok := classes[name]; ok || p.dexes[p.classes[c].dex].space != i || p.classes[c].access&accIface != 0 {
						continue
					}
					if m := p.judge(c, typ.kind, typ.sels); m != 0 {
						classes[name] = holeClass{typ.kind, m}
					}
				}
			}
		}
		if len(classes) > 0 || p.takesUnsafe(i) {
			t.read()
			out[i] = t.holes(classes)
		}
	})
	all := slices.Concat(out...)
	slices.SortFunc(all, func(a, b TLSHole) int {
		return cmp.Or(cmp.Compare(a.Package.Name, b.Package.Name), evidence.Compare(a.Package.Manifest, b.Package.Manifest), cmp.Compare(a.Kind, b.Kind),
			evidence.Compare(a.Body.At, b.Body.At), evidence.Compare(a.Install.At, b.Install.At))
	})
	return all
}

// byName are the types whose objects the platform makes by a name in a layout.
var byName = []string{"Landroid/view/View;", "Landroid/app/Fragment;", "Landroid/preference/Preference;"}

// below returns for each of some platform types the classes of the evidence directly below it or below one of the platform's types below it.
func (p *Program) below(roots []string) [][]ClassID {
	out := make([][]ClassID, len(roots))
	for s, subs := range p.subs {
		name := p.syms.text[s]
		if _, ok := knowledge.Class(name); !ok {
			continue
		}
		for i, root := range roots {
			if name == root || knowledge.IsSubclass(name, root) {
				out[i] = append(out[i], subs...)
			}
		}
	}
	for i := range out {
		slices.Sort(out[i])
	}
	return out
}

type holeClass struct {
	kind TLSKind
	body MethodID
}

// takesUnsafe reports whether an app refers to something of the platform that checks nothing.
func (p *Program) takesUnsafe(sp int) bool {
	for _, i := range p.spaces[sp].dexes {
		d := &p.dexes[i]
		for k, t := range d.targets {
			if t.extern != 0 && p.tlsFact(d, uint32(k)).Role == "unsafe" {
				return true
			}
		}
		for k := range d.fields {
			f := d.Field(uint32(k))
			if name, _ := cutSel(p.syms.text[d.fields[k]]); strings.HasPrefix(name, "ALLOW") {
				if fact, ok := knowledge.TLS(p.syms.text[d.typeSym(f.Class)], name); ok && fact.Role == "unsafe" {
					return true
				}
			}
		}
	}
	return false
}

// tlsFact returns what is known of the platform's method that a reference names.
func (p *Program) tlsFact(d *dexFile, ref uint32) knowledge.TLSFact {
	return p.tlsFactOf(p.externs[d.targets[ref].extern].class, d.sels[ref])
}

func (p *Program) tlsFactOf(class, sel Sym) knowledge.TLSFact {
	name, proto := cutSel(p.syms.text[sel])
	if transport(p.syms.text[class]) {
		k := 0
		for typ := range params(proto) {
			if k++; typ == "Ljavax/net/ssl/HostnameVerifier;" {
				return knowledge.TLSFact{Role: "names", Arg: k, What: "makes it decide for the connections of a library"}
			}
		}
	}
	f, _ := knowledge.TLS(p.syms.text[class], name)
	return f
}

// A spot is an instruction.
type spot struct {
	m  MethodID
	pc uint32
}

type staticOrField struct{ class, field Sym }

// A tracer finds where the objects of one app come from and which of its code can run. Its indices are made by one walk over the app.
type tracer struct {
	p        *Program
	sp       int
	flows    map[MethodID]*flow
	callers  map[MethodID][]spot
	creators map[Sym][]spot
	writes   map[staticOrField][]spot
	installs []spot
	defaults []spot
	unsafe   []spot
	entries  map[ClassID]bool
	byName   [][]ClassID
	steps    int
	avoided  map[spot]bool // answers of unavoidable

	living map[MethodID][]known // see liven
	made   map[ClassID]bool
	asked  map[Sym]map[ClassID]bool // selectors called, with the classes they were called on
	todo   []MethodID
}

// maxTrace bounds the steps for one question: the longest answer on five phones took 3,000.
const maxTrace = 50000

// read makes the indices.
func (t *tracer) read() {
	p, sp := t.p, t.sp
	t.flows, t.callers, t.creators = map[MethodID]*flow{}, map[MethodID][]spot{}, map[Sym][]spot{}
	t.writes, t.entries, t.avoided = map[staticOrField][]spot{}, map[ClassID]bool{}, map[spot]bool{}
	enter := func(name Sym) {
		for c := p.find(sp, name); c != 0; c = p.classes[c].super {
			t.entries[c] = true
		}
	}
	for _, c := range p.spaces[sp].pkg.Components { // also those that are switched off: what switches them on was not asked
		enter(p.syms.ids[c.Name])
	}
	enter(p.syms.ids[p.spaces[sp].pkg.AppClass])
	for _, i := range p.spaces[sp].dexes {
		t.index(&p.dexes[i])
	}
}

// index walks the code of one DEX.
func (t *tracer) index(d *dexFile) {
	p := t.p
	if d.classes[0] == d.classes[1] {
		return
	}
	role := make([]string, len(d.targets))
	for k, tg := range d.targets {
		if tg.extern != 0 {
			role[k] = p.tlsFact(d, uint32(k)).Role
		}
	}
	var in dex.Insn
	for m := p.classes[d.classes[0]].methods[0]; m < p.classes[d.classes[1]-1].methods[1]; m++ {
		mm := &p.methods[m]
		code, err := d.Code(mm.code)
		if err != nil || mm.code == 0 {
			continue
		}
		info, quick := d.quickInfo(mm)
		for pc := uint32(0); pc < code.Units() && in.Decode(code.Insns, pc) == nil; pc = in.Next {
			if quick {
				restore(&in, &info)
			}
			here := spot{m, pc}
			switch k := in.Op.IndexKind(); {
			case in.Op.IsInvoke() && k == dex.IndexVtable:
				if tg, fact := t.quickCall(here, &in); tg != 0 {
					t.callers[tg] = append(t.callers[tg], here)
				} else if fact.Role != "" {
					t.installs = append(t.installs, here)
				}
			case in.Op.IsInvoke() && k == dex.IndexMethod && in.Index < uint32(len(d.targets)):
				tg := d.targets[in.Index]
				if tg.method != 0 {
					t.callers[tg.method] = append(t.callers[tg.method], here)
				}
				switch role[in.Index] {
				case "trust", "names", "page":
					t.installs = append(t.installs, here)
				case "default":
					t.defaults = append(t.defaults, here)
				case "unsafe":
					t.unsafe = append(t.unsafe, here)
				}
			case in.Op == dex.OpNewInstance:
				t.creators[d.typeSym(in.Index)] = append(t.creators[d.typeSym(in.Index)], here)
			case k == dex.IndexField:
				f := t.fieldOf(d, in.Index)
				if in.Op >= dex.OpIput && in.Op <= dex.OpIputShort || in.Op >= dex.OpSput && in.Op <= dex.OpSputShort {
					t.writes[f] = append(t.writes[f], here)
				}
			}
		}
		delete(t.flows, m) // looking for the classes of receivers; kept, all code of the app would lie there decoded
	}
}

// fieldOf names a field by the class of the evidence that declares it, or else as it is written.
func (t *tracer) fieldOf(d *dexFile, i uint32) staticOrField {
	return staticOrField{d.typeSym(d.Field(i).Class), d.fieldSym(i)}
}

// quickCall tells what a quickened call runs: a method of the evidence where the table of its receiver's class is known. Of the
// few calls of the platform that are asked for, the classes of the receiver and of the arguments say which they are.
func (t *tracer) quickCall(at spot, in *dex.Insn) (MethodID, knowledge.TLSFact) {
	p := t.p
	if in.A == 0 {
		return 0, knowledge.TLSFact{}
	}
	class := t.typeOf(at, in.Arg(0), 0)
	if class == 0 {
		return 0, knowledge.TLSFact{}
	}
	if ref, ok := p.vtable(t.sp, class, in.Index); ok {
		return ref.method, p.tlsFactOf(class, ref.sel)
	}
	var member string
	switch {
	// Of SSLContext's methods only init has three arguments.
	case in.A == 4 && p.syms.text[class] == "Ljavax/net/ssl/SSLContext;":
		member = "init"
	// The only methods of their classes that take such an argument.
	case in.A == 2 && p.typeIs(t.sp, class, "Ljavax/net/ssl/HttpsURLConnection;") && t.argIs(at, in, "Ljavax/net/ssl/HostnameVerifier;"):
		member = "setHostnameVerifier"
	case in.A == 2 && p.typeIs(t.sp, class, "Landroid/webkit/WebView;") && t.argIs(at, in, "Landroid/webkit/WebViewClient;"):
		member = "setWebViewClient"
	case in.A == 2 && p.typeIs(t.sp, class, "Lorg/apache/http/conn/ssl/SSLSocketFactory;") && t.argIs(at, in, "Lorg/apache/http/conn/ssl/X509HostnameVerifier;"):
		member = "setHostnameVerifier"
	default:
		return 0, knowledge.TLSFact{}
	}
	for k := p.find(t.sp, class); k != 0; k = p.classes[k].super {
		class = p.classes[k].supSym
	}
	f, _ := knowledge.TLS(p.syms.text[class], member)
	return 0, f
}

func (t *tracer) argIs(at spot, in *dex.Insn, name string) bool {
	c := t.typeOf(at, in.Arg(1), 0)
	return c != 0 && t.p.typeIs(t.sp, c, name)
}

// typeOf returns the class of what a register holds before an instruction, as far as the code says it on the first way back; 0 if not.
func (t *tracer) typeOf(at spot, reg uint32, depth int) (class Sym) {
	f := t.flow(at.m)
	if f == nil || depth > 8 {
		return 0
	}
	p, d := t.p, f.d
	f.back(at.pc, reg, func(in *dex.Insn, i int) bool {
		switch {
		case in == nil:
			class = f.param(p, reg)
		case in.Op >= dex.OpMove && in.Op <= dex.OpMoveObject16:
			class = t.typeOf(spot{at.m, in.PC}, in.B, depth+1)
		case in.Op == dex.OpNewInstance || in.Op == dex.OpCheckCast || in.Op == dex.OpNewArray:
			class = d.typeSym(in.Index)
		case in.Op == dex.OpConstString || in.Op == dex.OpConstStringJumbo:
			class = p.syms.ids["Ljava/lang/String;"]
		case in.Op.IndexKind() == dex.IndexField:
			class = d.typeSym(d.Field(in.Index).Type)
		case in.Op == dex.OpMoveResultObject && i > 0:
			if call := &f.insns[i-1]; call.Op.IndexKind() == dex.IndexMethod && call.Index < uint32(len(d.sels)) {
				_, proto := cutSel(p.syms.text[d.sels[call.Index]])
				class = p.syms.ids[proto[strings.IndexByte(proto, ')')+1:]]
			}
		}
		return class == 0
	})
	return class
}

// holes finds where the holes of an app are installed.
func (t *tracer) holes(classes map[Sym]holeClass) (out []TLSHole) {
	p := t.p
	pkg := p.spaces[t.sp].pkg
	installed := map[Sym]bool{}
	for _, at := range t.installs {
		fact, in := t.factAt(at)
		if in == nil || fact.Role == "" || fact.Arg >= int(in.A) {
			continue
		}
		t.steps = 0
		from := t.origins(at, in.Arg(fact.Arg), map[regAt]bool{})
		if fact.Role == "trust" {
			from = t.elements(from)
		}
		// A library that the app carries asks whatever verifier it was given: what counts is where that is made to be given.
		asks := fact.Role == "names" && fact.What == "asks it"
		fixed := !asks && t.unavoidable(at, 0)
		for _, o := range from {
			if _, ok := t.hole(o, fact.Role, classes); !ok {
				fixed = false
			}
		}
		for _, o := range from {
			h, ok := t.hole(o, fact.Role, classes)
			if !ok {
				continue
			}
			installed[o.class] = true
			h.Package, h.Install = pkg, Step{p.Ref(at.m, at.pc), fact.What + ": " + p.calleeAt(at.m, at.pc)}
			h.Live, h.Fixed = t.live(at), fixed
			if asks {
				made := spot{o.m, o.pc}
				h.Install = Step{p.Ref(made.m, made.pc), "makes it for code that asks it: " + p.MethodName(at.m)}
				h.Live, h.Fixed = h.Live && t.live(made), t.unavoidable(made, 0)
			}
			switch fact.Role {
			case "trust":
				h.Default = t.becomesDefault(at, in)
			case "names":
				h.Default = strings.HasPrefix(fact.What, "makes it decide for every")
				h.Checked = !h.Default && t.checkedBeside(at, classes)
			}
			if !slices.ContainsFunc(out, func(x TLSHole) bool {
				return x.Kind == h.Kind && x.Body == h.Body && x.Install == h.Install
			}) {
				out = append(out, h)
			}
		}
	}
	for name, h := range classes {
		if !installed[name] {
			out = append(out, TLSHole{Package: pkg, Kind: h.kind, Body: t.bodyStep(h)})
		}
	}
	for _, at := range t.unsafe {
		if f, in := t.factAt(at); in != nil && f.What == string(HoleTrust) {
			out = append(out, TLSHole{Package: pkg, Kind: HoleTrust, Live: t.live(at), Fixed: t.unavoidable(at, 0),
				Body:    Step{p.Ref(at.m, at.pc), "takes a socket factory that checks nothing: " + p.calleeAt(at.m, at.pc)},
				Install: Step{p.Ref(at.m, at.pc), "makes sockets that check nothing: " + p.calleeAt(at.m, at.pc)}})
		}
	}
	return out
}

func (t *tracer) bodyStep(h holeClass) Step {
	return Step{t.p.Ref(h.body, 0), map[TLSKind]string{
		HoleTrust: "never refuses a certificate: ", HoleNames: "finds every name right: ", HolePage: "loads the page all the same: "}[h.kind] + t.p.MethodName(h.body)}
}

// factAt returns what is known of the call at a spot.
func (t *tracer) factAt(at spot) (knowledge.TLSFact, *dex.Insn) {
	f := t.flow(at.m)
	if f == nil || f.at(at.pc) < 0 {
		return knowledge.TLSFact{}, nil
	}
	in := &f.insns[f.at(at.pc)]
	if in.Op.IndexKind() == dex.IndexVtable {
		_, fact := t.quickCall(at, in)
		return fact, in
	}
	if !in.Op.IsInvoke() || in.Op.IndexKind() != dex.IndexMethod || in.Index >= uint32(len(f.d.targets)) {
		return knowledge.TLSFact{}, in
	}
	return t.p.tlsFact(f.d, in.Index), in
}

// hole returns the hole that an object is, if it is one that fits the role.
func (t *tracer) hole(o origin, role string, classes map[Sym]holeClass) (TLSHole, bool) {
	if o.kind == fromNew {
		if h, ok := classes[o.class]; ok && string(h.kind) == role {
			return TLSHole{Kind: h.kind, Body: t.bodyStep(h)}, true
		}
	}
	if o.kind == fromNew || o.kind == fromStatic {
		member := "<init>"
		if o.kind == fromStatic {
			member, _ = cutSel(t.p.syms.text[o.field])
		}
		if f, ok := knowledge.TLS(t.p.syms.text[o.class], member); ok && f.Role == "unsafe" && f.What == role && t.p.find(t.sp, o.class) == 0 {
			return TLSHole{Kind: TLSKind(role), Body: Step{t.p.Ref(o.m, o.pc), "takes what finds every name right: " + t.p.syms.text[o.class] + "." + member}}, true
		}
	}
	return TLSHole{}, false
}

// becomesDefault reports whether the context that is set up at a spot is made that of the process.
func (t *tracer) becomesDefault(at spot, in *dex.Insn) bool {
	contexts := t.origins(at, in.Arg(0), map[regAt]bool{})
	for _, d := range t.defaults {
		fact, call := t.factAt(d)
		if call == nil || fact.Arg >= int(call.A) {
			continue
		}
		for _, o := range t.throughFactory(t.origins(d, call.Arg(fact.Arg), map[regAt]bool{})) {
			if o.kind == fromCall && slices.Contains(contexts, o) {
				return true
			}
		}
	}
	return false
}

// throughFactory goes back from socket factories to the contexts that handed them out.
func (t *tracer) throughFactory(from []origin) []origin {
	out := slices.Clone(from)
	for _, o := range from {
		if f := t.flow(o.m); o.kind == fromCall && f != nil && f.at(o.pc) >= 0 {
			in := &f.insns[f.at(o.pc)]
			fact, _ := t.factAt(spot{o.m, o.pc})
			// A quickened call on a context that gives a socket factory is one that hands it out.
			quick := in.Op.IndexKind() == dex.IndexVtable && t.p.syms.text[t.typeOf(spot{o.m, o.pc}, in.Arg(0), 0)] == "Ljavax/net/ssl/SSLContext;"
			if in.A > 0 && (fact.Role == "factory" || quick) {
				out = append(out, t.origins(spot{o.m, o.pc}, in.Arg(0), map[regAt]bool{})...)
			}
		}
	}
	return out
}

// checkedBeside reports whether the method that installs a verifier also sets up trust managers or a socket factory that are no
// holes: of one certificate, or of an authority of the maker's own, the name need not be compared.
func (t *tracer) checkedBeside(at spot, classes map[Sym]holeClass) bool {
	f := t.flow(at.m)
	if f == nil {
		return false
	}
	for i := range f.insns {
		in := &f.insns[i]
		if !in.Op.IsInvoke() || in.PC == at.pc {
			continue
		}
		for k := range int(in.A) {
			class := t.typeOf(spot{at.m, in.PC}, in.Arg(k), 0)
			switch {
			case class == 0 || t.p.syms.text[class] == "Ljavax/net/ssl/HostnameVerifier;":
			case k > 0 && t.p.typeIs(t.sp, class, "Ljavax/net/ssl/SSLSocketFactory;"), t.p.syms.text[class] == "[Ljavax/net/ssl/TrustManager;":
				from := t.throughFactory(t.origins(spot{at.m, in.PC}, in.Arg(k), map[regAt]bool{}))
				for _, o := range t.elements(from) {
					if _, ok := t.hole(o, "trust", classes); ok {
						return false
					}
				}
				// The context may have been given a hole elsewhere.
				for _, other := range t.installs {
					fact, call := t.factAt(other)
					if call == nil || fact.Role != "trust" || fact.Arg >= int(call.A) {
						continue
					}
					for _, o := range t.origins(other, call.Arg(0), map[regAt]bool{}) {
						if !slices.Contains(from, o) {
							continue
						}
						for _, e := range t.elements(t.origins(other, call.Arg(fact.Arg), map[regAt]bool{})) {
							if _, ok := t.hole(e, "trust", classes); ok {
								return false
							}
						}
					}
				}
				return true
			}
		}
	}
	return false
}

// An origin is where an object comes from.
type origin struct {
	kind  originKind
	class Sym // of fromNew, of the field of fromStatic
	field Sym
	m     MethodID
	pc    uint32
}

type originKind uint8

const (
	fromUnknown originKind = iota // not followed: an argument from the platform, an element of a container
	fromNull
	fromNew    // made at (m, pc)
	fromArray  // an array made at (m, pc)
	fromStatic // a static field of the platform
	fromCall   // the result of the platform's method called at (m, pc)
)

type regAt struct {
	spot
	reg uint32
}

// origins returns where what a register holds before an instruction can come from.
func (t *tracer) origins(at spot, reg uint32, seen map[regAt]bool) (out []origin) {
	add := func(os ...origin) {
		for _, o := range os {
			if !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
	}
	f := t.flow(at.m)
	if t.steps++; f == nil || t.steps > maxTrace {
		return []origin{{}}
	}
	if seen[regAt{at, reg}] {
		return nil
	}
	seen[regAt{at, reg}] = true
	p, d := t.p, f.d
	f.back(at.pc, reg, func(in *dex.Insn, i int) bool {
		if in == nil {
			add(t.ofParam(at.m, f, reg, seen)...)
			return true
		}
		here := spot{at.m, in.PC}
		switch op := in.Op; {
		case op >= dex.OpMove && op <= dex.OpMoveObject16:
			add(t.origins(here, in.B, seen)...)
		case op == dex.OpCheckCast:
			add(t.origins(here, in.A, seen)...)
		case op >= dex.OpConst4 && op <= dex.OpConstHigh16 && in.Lit == 0:
			add(origin{kind: fromNull})
		case op == dex.OpNewInstance:
			add(origin{kind: fromNew, class: d.typeSym(in.Index), m: at.m, pc: in.PC})
		case op == dex.OpNewArray:
			add(origin{kind: fromArray, m: at.m, pc: in.PC})
		case op == dex.OpSgetObject || op == dex.OpIgetObject:
			w := t.fieldOf(d, in.Index)
			if p.find(d.space, w.class) == 0 {
				if op == dex.OpSgetObject {
					add(origin{kind: fromStatic, class: w.class, field: w.field, m: at.m, pc: in.PC})
				} else {
					add(origin{})
				}
				break
			}
			for _, s := range t.writes[w] {
				if g := t.flow(s.m); g != nil && g.at(s.pc) >= 0 {
					add(t.origins(s, g.insns[g.at(s.pc)].A, seen)...)
				}
			}
		case op == dex.OpMoveResultObject && i > 0:
			add(t.ofCall(spot{at.m, f.insns[i-1].PC}, f, &f.insns[i-1], seen)...)
		default:
			add(origin{})
		}
		return true
	})
	return out
}

// ofParam returns what the callers of m pass in a register that m is entered with.
func (t *tracer) ofParam(m MethodID, f *flow, reg uint32, seen map[regAt]bool) (out []origin) {
	k := f.argument(t.p, reg)
	if k < 0 {
		return []origin{{}}
	}
	if k == 0 && t.p.methods[m].access&accStatic == 0 {
		return []origin{{kind: fromNew, class: t.p.classes[t.p.methods[m].class].name, m: m}} // this: of its class or below
	}
	callers := t.callersOf(m)
	if len(callers) == 0 {
		return []origin{{}}
	}
	for _, s := range callers {
		g := t.flow(s.m)
		if g == nil || g.at(s.pc) < 0 {
			continue
		}
		in := &g.insns[g.at(s.pc)]
		if w := int(f.word(t.p, k)); w < int(in.A) {
			out = append(out, t.origins(s, in.Arg(w), seen)...)
		}
	}
	return out
}

// ofCall returns what a call gives back.
func (t *tracer) ofCall(at spot, f *flow, in *dex.Insn, seen map[regAt]bool) (out []origin) {
	if in.Op == dex.OpFilledNewArray || in.Op == dex.OpFilledNewArrayRange {
		return []origin{{kind: fromArray, m: at.m, pc: at.pc}}
	}
	targets := t.targetsOf(at, f, in)
	if len(targets) == 0 {
		return []origin{{kind: fromCall, m: at.m, pc: at.pc}}
	}
	for _, m := range targets {
		g := t.flow(m)
		if g == nil {
			out = append(out, origin{})
			continue
		}
		for i := range g.insns {
			if r := &g.insns[i]; r.Op == dex.OpReturnObject {
				out = append(out, t.origins(spot{m, r.PC}, r.A, seen)...)
			}
		}
	}
	return out
}

// targetsOf returns the methods of the evidence that a call can run; none if it is the platform's or is not known.
func (t *tracer) targetsOf(at spot, f *flow, in *dex.Insn) (out []MethodID) {
	p := t.p
	var m MethodID
	switch {
	case in.Op.IndexKind() == dex.IndexVtable:
		m, _ = t.quickCall(at, in)
	case in.Op.IndexKind() == dex.IndexMethod && in.Index < uint32(len(f.d.targets)):
		m = f.d.targets[in.Index].method
	}
	if m == 0 {
		return nil
	}
	mm := &p.methods[m]
	if mm.code != 0 {
		out = append(out, m)
	}
	if in.Op == dex.OpInvokeStatic || in.Op == dex.OpInvokeDirect || in.Op == dex.OpInvokeSuper || in.Op >= dex.OpInvokeSuperRange && in.Op <= dex.OpInvokeStaticRange && in.Op != dex.OpInvokeInterfaceRange {
		return out
	}
	seen := map[ClassID]bool{}
	for todo := []ClassID{mm.class}; len(todo) > 0 && len(seen) < 256; todo = todo[1:] {
		for _, k := range p.subs[p.classes[todo[0]].name] {
			if p.dexes[p.classes[k].dex].space != t.sp || seen[k] {
				continue
			}
			seen[k] = true
			todo = append(todo, k)
			if o := p.own(k, mm.sel); o != 0 && p.methods[o].code != 0 {
				out = append(out, o)
			}
		}
	}
	return out
}

// callersOf returns the calls in the app that can run m, directly or over a class or interface above it.
func (t *tracer) callersOf(m MethodID) []spot {
	p := t.p
	mm := &p.methods[m]
	out := slices.Clone(t.callers[m])
	if name, _ := cutSel(p.syms.text[mm.sel]); mm.access&accStatic != 0 || strings.HasPrefix(name, "<") {
		return out
	}
	seen := map[ClassID]bool{mm.class: true}
	for todo := []ClassID{mm.class}; len(todo) > 0; todo = todo[1:] {
		c := &p.classes[todo[0]]
		above := []ClassID{c.super}
		for _, f := range c.ifaces {
			above = append(above, p.find(t.sp, f))
		}
		for _, a := range above {
			if a == 0 || seen[a] {
				continue
			}
			seen[a] = true
			todo = append(todo, a)
			if o := p.own(a, mm.sel); o != 0 {
				out = append(out, t.callers[o]...)
			}
		}
	}
	return out
}

// elements replaces arrays by what is put into them.
func (t *tracer) elements(from []origin) (out []origin) {
	for _, o := range from {
		f := t.flow(o.m)
		if o.kind != fromArray || f == nil || f.at(o.pc) < 0 {
			out = append(out, o)
			continue
		}
		if in := &f.insns[f.at(o.pc)]; in.Op != dex.OpNewArray {
			for k := range int(in.A) {
				out = append(out, t.origins(spot{o.m, o.pc}, in.Arg(k), map[regAt]bool{})...)
			}
			continue
		}
		n := len(out)
		for i := range f.insns {
			in := &f.insns[i]
			if in.Op == dex.OpAputObject && slices.Contains(t.origins(spot{o.m, in.PC}, in.B, map[regAt]bool{}), o) {
				out = append(out, t.origins(spot{o.m, in.PC}, in.A, map[regAt]bool{})...)
			}
		}
		if len(out) == n {
			out = append(out, origin{})
		}
	}
	return out
}

// liven finds what of the app can run: from what the platform calls in its components, over calls to the classes that live
// code makes objects of, leaving out what constants switch off: fields that nothing writes, arguments that are the same
// at every call. Objects that the platform makes by a name in a layout count as made.
func (t *tracer) liven() {
	if t.living != nil {
		return
	}
	t.living = map[MethodID][]known{}
	t.made = map[ClassID]bool{}
	t.asked = map[Sym]map[ClassID]bool{}
	for c := range t.entries {
		t.make(c)
	}
	for _, list := range t.byName {
		for _, c := range list {
			for k := range t.downFrom(c) {
				t.make(k)
			}
		}
	}
	for len(t.todo) > 0 {
		m := t.todo[len(t.todo)-1]
		t.todo = t.todo[:len(t.todo)-1]
		t.enliven(m)
		delete(t.flows, m)
	}
}

// known is what all calls pass as an argument.
type known struct {
	n   int64
	set bool // it was passed
	any bool // it is not one constant
}

// enter makes a method live. args is nil where nothing is known of them.
func (t *tracer) enter(m MethodID, args []known) {
	if m == 0 || t.p.methods[m].code == 0 || t.p.dexes[t.p.methods[m].dex].space != t.sp {
		return
	}
	t.touch(t.p.methods[m].class)
	old, was := t.living[m]
	if old == nil && was { // already as little known as can be
		return
	}
	changed := !was
	if args == nil {
		old, changed = nil, true
	} else if !was {
		old = args
	} else {
		for k := range min(len(old), len(args)) {
			if o := &old[k]; !o.any && (args[k].any || args[k].n != o.n) {
				o.any, changed = true, true
			}
		}
	}
	t.living[m] = old
	if changed {
		t.todo = append(t.todo, m)
	}
}

// touch runs a class's initialiser.
func (t *tracer) touch(c ClassID) {
	if m := t.p.classes[c].clinit; m != 0 {
		if _, ok := t.living[m]; !ok {
			t.living[m] = nil
			t.todo = append(t.todo, m)
		}
	}
}

// make notes that objects of a class are made: the platform may call what overrides its methods, and what was called on a
// class above runs on them.
func (t *tracer) make(c ClassID) {
	p := t.p
	if c == 0 || t.made[c] || p.dexes[p.classes[c].dex].space != t.sp {
		return
	}
	t.made[c] = true
	t.touch(c)
	entry, called := t.entries[c], t.calledBack(c)
	for k := c; k != 0; k = p.classes[k].super {
		for m := p.classes[k].methods[0]; m < p.classes[k].methods[1]; m++ {
			mm := &p.methods[m]
			name, _ := cutSel(p.syms.text[mm.sel])
			switch {
			case mm.access&accStatic != 0:
			case name == "<init>":
				if entry && k == c {
					t.enter(m, nil)
				}
			case called[name]:
				t.enter(m, nil)
			}
			for above := range t.asked[mm.sel] {
				if p.isA(c, p.syms.text[p.classes[above].name]) {
					t.enter(p.dispatch(c, mm.sel), nil)
				}
			}
		}
	}
}

// calledBack returns the names of the methods that platform types above a class declare.
func (t *tracer) calledBack(c ClassID) map[string]bool {
	names := map[string]bool{}
	for _, a := range t.p.platformAncestors(c) {
		for m := range knowledge.Methods(a) {
			names[m.Name] = true
		}
	}
	return names
}

// downFrom yields a class and those of the app below it, once each.
func (t *tracer) downFrom(c ClassID) iter.Seq[ClassID] {
	return func(yield func(ClassID) bool) {
		seen := map[ClassID]bool{}
		for todo := []ClassID{c}; len(todo) > 0; todo = todo[1:] {
			if c := todo[0]; !seen[c] && (t.p.dexes[t.p.classes[c].dex].space == t.sp || len(seen) == 0) {
				seen[c] = true
				if !yield(c) {
					return
				}
				todo = append(todo, t.p.subs[t.p.classes[c].name]...)
			}
		}
	}
}

// enliven walks what runs of a live method.
func (t *tracer) enliven(m MethodID) {
	p := t.p
	f := t.flow(m)
	if f == nil {
		return
	}
	d := f.d
	for i, runs := range f.reached(func(i int) (bool, bool) { return t.decided(f, i) }) {
		in := &f.insns[i]
		if !runs {
			continue
		}
		switch k := in.Op.IndexKind(); {
		case in.Op == dex.OpNewInstance || in.Op == dex.OpConstClass:
			t.make(p.find(t.sp, d.typeSym(in.Index)))
		case k == dex.IndexField && in.Op >= dex.OpSget:
			if c := p.find(t.sp, d.typeSym(d.Field(in.Index).Class)); c != 0 {
				t.touch(c)
			}
		case in.Op.IsInvoke():
			target := MethodID(0)
			if k == dex.IndexVtable {
				target, _ = t.quickCall(spot{m, in.PC}, in)
			} else if k == dex.IndexMethod && in.Index < uint32(len(d.targets)) {
				target = d.targets[in.Index].method
			}
			if target == 0 {
				continue
			}
			t.enter(target, t.passed(f, in, target))
			switch in.Op {
			case dex.OpInvokeStatic, dex.OpInvokeStaticRange, dex.OpInvokeDirect, dex.OpInvokeDirectRange, dex.OpInvokeSuper, dex.OpInvokeSuperRange:
				continue
			}
			sel, above := p.methods[target].sel, p.methods[target].class
			if t.asked[sel] == nil {
				t.asked[sel] = map[ClassID]bool{}
			}
			if t.asked[sel][above] {
				continue
			}
			t.asked[sel][above] = true
			for c := range t.downFrom(above) {
				if t.made[c] {
					t.enter(p.dispatch(c, sel), nil)
				}
			}
		}
	}
}

// passed returns what a call passes as far as it is constant.
func (t *tracer) passed(f *flow, in *dex.Insn, target MethodID) []known {
	g := t.p.shape(target)
	var args []known
	for k := 0; ; k++ {
		w, ok := g.entry(t.p, k)
		if !ok {
			break
		}
		a := known{set: true, any: true}
		if w -= uint32(g.code.Registers - g.code.Ins); int(w) < int(in.A) {
			if n, ok := t.constant(f, in.PC, in.Arg(int(w)), 0); ok {
				a.n, a.any = n, false
			}
		}
		args = append(args, a)
	}
	if args == nil {
		args = []known{}
	}
	return args
}

// live reports whether a spot can run.
func (t *tracer) live(at spot) bool {
	t.liven()
	if _, ok := t.living[at.m]; !ok {
		return false
	}
	f := t.flow(at.m)
	return f != nil && f.at(at.pc) >= 0 && f.reached(func(i int) (bool, bool) { return t.decided(f, i) })[f.at(at.pc)]
}

// decided tells how a comparison with zero goes if what it compares is known: how a build's switches look in code.
func (t *tracer) decided(f *flow, i int) (jumps, isKnown bool) {
	in := &f.insns[i]
	if in.Op < dex.OpIfEqz || in.Op > dex.OpIfLez {
		return false, false
	}
	n, ok := t.constant(f, in.PC, in.A, 0)
	return ok && compare(in.Op-dex.OpIfEqz, n, 0), ok
}

// constant returns the number that a register holds before an instruction, if it is the same whichever way was taken.
func (t *tracer) constant(f *flow, pc, reg uint32, depth int) (n int64, ok bool) {
	if depth > 4 {
		return 0, false
	}
	first := true
	f.back(pc, reg, func(in *dex.Insn, i int) bool {
		v, k := int64(0), false
		switch {
		case in == nil:
			if a := f.argument(t.p, reg); a >= 0 && t.living != nil {
				if args := t.living[f.m]; a < len(args) && args[a].set && !args[a].any {
					v, k = args[a].n, true
				}
			}
		case in.Op >= dex.OpConst4 && in.Op <= dex.OpConstHigh16:
			v, k = in.Lit, true
		case in.Op >= dex.OpMove && in.Op <= dex.OpMoveObject16:
			v, k = t.constant(f, in.PC, in.B, depth+1)
		case in.Op >= dex.OpSget && in.Op <= dex.OpSgetShort && in.Op != dex.OpSgetObject && in.Op != dex.OpSgetWide:
			v, k = t.constantField(f.d, in.Index)
		case in.Op == dex.OpMoveResult && i > 0:
			call := &f.insns[i-1]
			if ts := t.targetsOf(spot{f.m, call.PC}, f, call); len(ts) == 1 {
				if g := t.flow(ts[0]); g != nil && len(g.insns) == 2 && g.insns[1].Op == dex.OpReturn {
					v, k = t.constant(g, g.insns[1].PC, g.insns[1].A, depth+1)
				}
			}
		}
		ok = k && (first || v == n)
		n, first = v, false
		return ok
	})
	return n, ok
}

// constantField returns the value of a static number that nothing writes.
func (t *tracer) constantField(d *dexFile, i uint32) (int64, bool) {
	w := t.fieldOf(d, i)
	c := t.p.find(d.space, w.class)
	if c == 0 || len(t.writes[w]) > 0 {
		return 0, false
	}
	cd := &t.p.dexes[t.p.classes[c].dex]
	var data dex.ClassData
	if cd.ClassData(cd.Class(int(t.p.classes[c].def)), &data) != nil {
		return 0, false
	}
	vals, _ := cd.StaticValues(cd.Class(int(t.p.classes[c].def)))
	for k, field := range data.StaticFields {
		if cd.fieldSym(field.Field) != w.field {
			continue
		}
		if k >= len(vals) {
			return 0, true
		}
		switch vals[k].Kind {
		case dex.ValueByte, dex.ValueShort, dex.ValueChar, dex.ValueInt, dex.ValueBoolean:
			return vals[k].Int, true
		}
		return 0, false
	}
	return 0, false
}

// unavoidable reports whether what is installed at a spot is installed before whatever may use it, as [TLSHole.Fixed] says. What uses
// it is called after the spot in its method, or, where nothing is, in the callers. Ways that end in an exception, and those on
// which nothing that could use it is called, do not count.
func (t *tracer) unavoidable(at spot, depth int) (yes bool) {
	if yes, done := t.avoided[at]; done {
		return yes
	}
	t.avoided[at] = false // for who calls itself
	defer func() { t.avoided[at] = yes }()
	f := t.flow(at.m)
	if f == nil || f.at(at.pc) < 0 || depth > maxAbove || !t.live(at) {
		return false
	}
	mm := &t.p.methods[at.m]
	name, proto := cutSel(t.p.syms.text[mm.sel])
	handsOut := name == "<init>" || strings.ContainsAny(proto[strings.IndexByte(proto, ')')+1:], "L[")
	target := f.at(at.pc)
	used := make([]bool, len(f.insns)) // calls after the spot
	uses := false
	for i, after := range f.from(f.succs(target)) {
		if in := &f.insns[i]; after && i != target && in.Op.IsInvoke() {
			if in.Op.IndexKind() == dex.IndexMethod && in.Index < uint32(len(f.d.targets)) && f.d.targets[in.Index].extern != 0 {
				if fact := t.p.tlsFact(f.d, in.Index); fact.Role != "" {
					continue // it only hands on, or prints
				}
			}
			used[i], uses = true, true
		}
	}
	avoid := make([]bool, len(f.insns))
	for changed, n := true, 0; changed; n++ {
		if changed = false; n > maxPasses {
			return false
		}
		for i := len(f.insns) - 1; i >= 0; i-- {
			if avoid[i] || i == target {
				continue
			}
			in := &f.insns[i]
			next := f.succs(i)
			var a bool
			switch {
			case used[i]:
				a = true
			case in.Op.IsReturn():
				a = !uses || handsOut
			case len(next) == 2 && t.benign(f, i):
				a = avoid[next[0]] && avoid[next[1]]
			default:
				if jumps, known := t.decided(f, i); known && len(next) == 2 {
					a = avoid[next[b2i(jumps)]]
				} else {
					a = slices.ContainsFunc(next, func(n int) bool { return avoid[n] })
				}
			}
			if a {
				avoid[i], changed = true, true
			}
		}
	}
	somewhere := func(spots []spot) bool {
		return slices.ContainsFunc(spots, func(s spot) bool { return s.m != at.m && t.unavoidable(s, depth+1) })
	}
	switch {
	case avoid[0], t.oneOfSeveral(at.m) && !somewhere(t.creators[t.p.classes[mm.class].name]):
		return false
	case uses && !handsOut, name == "<clinit>", t.entries[mm.class] || mm.access&accStatic == 0 && t.p.overridesPlatform(mm.class, name):
		return true
	}
	return somewhere(t.callersOf(at.m))
}

// oneOfSeveral reports whether other classes of the app stand ready in place of a method's class: its callers then see a class
// or interface above, and who makes the object decides.
func (t *tracer) oneOfSeveral(m MethodID) bool {
	p := t.p
	mm := &p.methods[m]
	if name, _ := cutSel(p.syms.text[mm.sel]); mm.access&accStatic != 0 || strings.HasPrefix(name, "<") {
		return false
	}
	c := &p.classes[mm.class]
	above := []ClassID{c.super}
	for _, f := range c.ifaces {
		above = append(above, p.find(t.sp, f))
	}
	for _, a := range above {
		if a == 0 || p.own(a, mm.sel) == 0 {
			continue
		}
		for k := range t.downFrom(a) {
			if o := p.own(k, mm.sel); o != 0 && o != m && p.methods[o].code != 0 {
				return true
			}
		}
	}
	return false
}

// maxAbove bounds how many callers up it is asked whether an installation can be avoided; on five phones 3 were needed.
const maxAbove = 8

// maxPasses bounds how often the code of a method is gone over: code that compilers write needs as many as its loops are deep.
const maxPasses = 32

// benign reports whether a decision only asks whether an object is there, or whether an address asks for encryption.
func (t *tracer) benign(f *flow, i int) bool {
	in := &f.insns[i]
	if in.Op != dex.OpIfEqz && in.Op != dex.OpIfNez {
		return false
	}
	ok := true
	f.back(in.PC, in.A, func(def *dex.Insn, k int) bool {
		switch {
		case def == nil:
			s := f.param(t.p, in.A)
			ok = ok && s != 0 && strings.ContainsAny(t.p.syms.text[s], "L[")
		case def.Op == dex.OpIgetObject || def.Op == dex.OpSgetObject || def.Op == dex.OpMoveResultObject || def.Op == dex.OpNewInstance || def.Op == dex.OpCheckCast || def.Op == dex.OpIgetObjectQuick || def.Op == dex.OpInstanceOf:
		case def.Op == dex.OpMoveResult && k > 0:
			call := &f.insns[k-1]
			http := false
			for a := range int(call.A) {
				f.back(call.PC, call.Arg(a), func(def *dex.Insn, _ int) bool {
					if def != nil && (def.Op == dex.OpConstString || def.Op == dex.OpConstStringJumbo) {
						http = http || strings.HasPrefix(strings.ToLower(f.d.String(def.Index)), "http")
					}
					return true
				})
			}
			ok = ok && http
		default:
			ok = false
		}
		return ok
	})
	return ok
}
