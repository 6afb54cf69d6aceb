package program

import (
	"cmp"
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/dex"
	"gifthorse/knowledge"
	"gifthorse/phone"
)

// A Hiding is a place where code hides an app, or switches off what would find it.
type Hiding struct {
	Kind    HidingKind
	Package *phone.Package // who hides; for HidesFromLists who is hidden
	// What is hidden: the class of a component, the name of a setting, of a package.
	What  string
	Words string // what is switched off, or which list it is
	At    Step
	Live  bool // whether it can be reached over the call graph from a component
}

// A HidingKind says how.
type HidingKind string

// The kinds of hiding.
const (
	HidesIcon      HidingKind = "icon"     // it switches its own launcher entry off, and nothing in it switches that on again
	HidesFromCheck HidingKind = "verifier" // it sets a setting to 0 that has apps checked, and nothing in it sets that to anything else
	HidesFromLists HidingKind = "list"     // what hands out the list of apps compares with its name
)

// disabled are the states of PackageManager that switch a component off: COMPONENT_ENABLED_STATE_DISABLED and _DISABLED_USER.
const disabled, disabledUser = 2, 3

// Hidings returns what hides, by kind, package, what and address. Of the names of components and settings only constants are known.
//
// Not seen: activation after a time, or only away from emulators and scanners; lists of processes; native code that leaves out files
// and processes.
func (p *Program) Hidings() []Hiding {
	out := make([][]Hiding, len(p.spaces)+1)
	byName := p.below(byName)
	parallel(len(p.spaces), func(i int) {
		t := &tracer{p: p, sp: i, byName: byName}
		if p.spaces[i].pkg != nil {
			out[i] = t.hidings()
		} else if l := p.spaces[i].lib; l.Server || l.Boot {
			out[i] = t.unlisted()
		}
	})
	all := slices.Concat(out...)
	slices.SortFunc(all, func(a, b Hiding) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Package.Name, b.Package.Name), cmp.Compare(a.What, b.What), evidence.Compare(a.At.At, b.At.At))
	})
	return all
}

// hidings looks at one app.
func (t *tracer) hidings() (out []Hiding) {
	p := t.p
	pkg := p.spaces[t.sp].pkg
	icons := map[string]bool{} // names of classes and aliases
	for _, c := range pkg.Components {
		for _, f := range c.Filters {
			if c.Enabled && slices.Contains(f.Actions, "android.intent.action.MAIN") && slices.Contains(f.Categories, "android.intent.category.LAUNCHER") {
				icons[c.Class()] = true
			}
		}
	}
	type change struct {
		at   spot
		what string
		off  bool
	}
	var changes []change
	unknown := map[bool]bool{} // a change of something that is not known: of a component, of a setting
	for _, at := range t.settingCalls(len(icons) > 0) {
		f := t.flow(at.m)
		in := &f.insns[f.at(at.pc)]
		if in.Op.IndexKind() == dex.IndexVtable || t.calls(f.d, in.Index) == callsComponent {
			if in.A != 4 {
				continue
			}
			name, ok := t.component(at, in.Arg(1))
			state, known := t.constant(f, at.pc, in.Arg(2), 0)
			if !ok {
				unknown[true] = unknown[true] || !known || state != disabled && state != disabledUser
				continue
			}
			if icons[name] {
				changes = append(changes, change{at, name, known && (state == disabled || state == disabledUser)})
			}
			continue
		}
		if in.A < 3 {
			continue
		}
		names := t.texts(at, in.Arg(1), 0)
		for _, name := range names {
			if knowledge.VerifierSetting(name) == "" {
				continue
			}
			n, known := t.constant(f, at.pc, in.Arg(2), 0)
			if v := t.texts(at, in.Arg(2), 0); len(v) > 0 {
				n, known = 1, true
				if len(v) == 1 && v[0] == "0" {
					n = 0
				}
			}
			changes = append(changes, change{at, name, known && n == 0})
		}
	}
	for _, c := range changes {
		if !c.off || slices.ContainsFunc(changes, func(o change) bool { return o.what == c.what && !o.off }) {
			continue
		}
		h := Hiding{Kind: HidesFromCheck, Package: pkg, What: c.what, Words: knowledge.VerifierSetting(c.what)}
		if h.Words == "" {
			if h.Kind = HidesIcon; unknown[true] {
				continue // it may be switched on again
			}
		}
		h.At = Step{p.Ref(c.at.m, c.at.pc), "sets it: " + p.calleeAt(c.at.m, c.at.pc)}
		h.Live = t.live(c.at)
		out = append(out, h)
	}
	// An app that keeps one of its icons shows itself.
	for icon := range icons {
		if !slices.ContainsFunc(out, func(h Hiding) bool { return h.Kind == HidesIcon && h.What == icon }) {
			return slices.DeleteFunc(out, func(h Hiding) bool { return h.Kind == HidesIcon })
		}
	}
	return out
}

type callKind uint8

const (
	callsComponent callKind = iota + 1
	callsSetting
)

// calls tells whether a reference is to what switches components or changes a setting.
func (t *tracer) calls(d *dexFile, ref uint32) callKind {
	if ref >= uint32(len(d.targets)) || d.targets[ref].extern == 0 {
		return 0
	}
	name, _ := cutSel(t.p.syms.text[d.sels[ref]])
	class := t.p.syms.text[t.p.externs[d.targets[ref].extern].class]
	switch {
	case name == "setComponentEnabledSetting" && (class == "Landroid/content/pm/PackageManager;" || knowledge.IsSubclass(class, "Landroid/content/pm/PackageManager;")):
		return callsComponent
	case strings.HasPrefix(name, "put") && strings.HasPrefix(class, "Landroid/provider/Settings$"):
		return callsSetting
	}
	return 0
}

// settingCalls returns the calls that switch components, if asked, or change a setting that has apps checked, and makes the indices if there is one.
func (t *tracer) settingCalls(components bool) (out []spot) {
	p := t.p
	wanted := false
	for _, i := range p.spaces[t.sp].dexes {
		d := &p.dexes[i]
		component, setting, verifier := false, false, false
		for k := range d.targets {
			switch t.calls(d, uint32(k)) {
			case callsComponent:
				component = true
			case callsSetting:
				setting = true
			}
		}
		for k := range d.NumTypes() { // where calls are quickened the type of an argument is what remains
			component = component || p.syms.text[d.types[k]] == "Landroid/content/ComponentName;"
		}
		for k := 0; setting && !verifier && k < d.NumStrings(); k++ {
			s := d.StringData(uint32(k))
			verifier = len(s) < 64 && strings.Contains(string(s), "verif") && knowledge.VerifierSetting(string(s)) != ""
		}
		wanted = wanted || components && component || verifier
	}
	if !wanted {
		return nil
	}
	t.read()
	for _, i := range p.spaces[t.sp].dexes {
		d := &p.dexes[i]
		if d.classes[0] == d.classes[1] {
			continue
		}
		for m := p.classes[d.classes[0]].methods[0]; m < p.classes[d.classes[1]-1].methods[1]; m++ {
			for _, c := range p.callsOf(m) {
				here := spot{m, c.pc}
				if c.ref != noRef {
					if k := t.calls(d, c.ref); k != 0 && (components || k == callsSetting) {
						out = append(out, here)
					}
					continue
				}
				if !components {
					continue
				}
				// Of PackageManager's methods one alone has a component and two numbers as arguments.
				if f := t.flow(m); f != nil && f.at(c.pc) >= 0 {
					in := &f.insns[f.at(c.pc)]
					if in.Op.IndexKind() == dex.IndexVtable && in.A == 4 && p.syms.text[t.typeOf(here, in.Arg(0), 0)] == "Landroid/content/pm/PackageManager;" &&
						p.syms.text[t.typeOf(here, in.Arg(1), 0)] == "Landroid/content/ComponentName;" {
						out = append(out, here)
					}
				}
			}
			delete(t.flows, m)
		}
	}
	for _, s := range out {
		t.flow(s.m)
	}
	return slices.DeleteFunc(out, func(s spot) bool { f := t.flow(s.m); return f == nil || f.at(s.pc) < 0 })
}

// component returns the class that a ComponentName names, if it is one and known.
func (t *tracer) component(at spot, reg uint32) (string, bool) {
	t.steps = 0
	from := t.origins(at, reg, map[regAt]bool{})
	name := ""
	for _, o := range from {
		f := t.flow(o.m)
		if f == nil || f.at(o.pc) < 0 {
			return "", false
		}
		var names []string
		switch i := f.at(o.pc); o.kind {
		case fromCall: // Activity.getComponentName
			if in := &f.insns[i]; in.A == 1 && strings.Contains(t.p.calleeAt(o.m, o.pc), ".getComponentName:") {
				if s := t.typeOf(spot{o.m, o.pc}, in.Arg(0), 0); s != 0 {
					names = []string{dotted(t.p.syms.text[s])}
				}
			}
		case fromNew:
			for k := i; k < len(f.insns) && names == nil; k++ {
				in := &f.insns[k]
				if in.Op != dex.OpInvokeDirect && in.Op != dex.OpInvokeDirectRange || in.A < 3 || in.Index >= uint32(len(f.d.sels)) {
					continue
				}
				if n, _ := cutSel(t.p.syms.text[f.d.sels[in.Index]]); n == "<init>" && slices.Contains(t.origins(spot{o.m, in.PC}, in.Arg(0), map[regAt]bool{}), o) {
					names = t.texts(spot{o.m, in.PC}, in.Arg(2), 0)
					break
				}
			}
		}
		if len(names) != 1 || name != "" && name != names[0] {
			return "", false
		}
		name = names[0]
	}
	if strings.HasPrefix(name, ".") {
		name = t.p.spaces[t.sp].pkg.Name + name
	}
	return name, name != ""
}

func dotted(class string) string {
	return strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(class, "L"), ";"), "/", ".")
}

// texts returns the texts that a register can hold before an instruction, classes by their names; none if one is not known.
func (t *tracer) texts(at spot, reg uint32, depth int) (out []string) {
	f := t.flow(at.m)
	if f == nil || depth > 4 {
		return nil
	}
	p, d := t.p, f.d
	f.back(at.pc, reg, func(in *dex.Insn, i int) bool {
		var some []string
		switch {
		case in == nil:
			k := f.argument(p, reg)
			callers := t.callersOf(at.m)
			if k < 0 || len(callers) > 16 {
				break
			}
			for _, s := range callers {
				g := t.flow(s.m)
				if g == nil || g.at(s.pc) < 0 {
					continue
				}
				if call, w := &g.insns[g.at(s.pc)], int(f.word(p, k)); w < int(call.A) {
					some = append(some, t.texts(s, call.Arg(w), depth+1)...)
				}
			}
		case in.Op >= dex.OpMove && in.Op <= dex.OpMoveObject16:
			some = t.texts(spot{at.m, in.PC}, in.B, depth+1)
		case in.Op == dex.OpConstString || in.Op == dex.OpConstStringJumbo:
			some = []string{d.String(in.Index)}
		case in.Op == dex.OpConstClass:
			some = []string{dotted(p.syms.text[d.typeSym(in.Index)])}
		case in.Op == dex.OpMoveResultObject && i > 0: // Class.getName, whatever it is called where it is quickened
			if call := &f.insns[i-1]; call.Op.IsInvoke() && call.A == 1 && p.syms.text[t.typeOf(spot{at.m, call.PC}, call.Arg(0), 0)] == "Ljava/lang/Class;" {
				some = t.texts(spot{at.m, call.PC}, call.Arg(0), depth+1)
			}
		}
		if len(some) == 0 {
			out = nil
			return false
		}
		out = append(out, some...)
		return true
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// unlisted looks in the system's own code for lists of apps that are compared with the name of one.
func (t *tracer) unlisted() (out []Hiding) {
	p := t.p
	for _, i := range p.spaces[t.sp].dexes {
		d := &p.dexes[i]
		for c := d.classes[0]; c < d.classes[1]; c++ {
			for m := p.classes[c].methods[0]; m < p.classes[c].methods[1]; m++ {
				name, _ := cutSel(p.syms.text[p.methods[m].sel])
				face, what := knowledge.ListOfApps(strings.TrimSuffix(name, "Internal"))
				if face == "" || p.methods[m].code == 0 || !p.isA(c, face) && !p.isA(c, strings.TrimSuffix(face, ";")+"$Stub;") { // the stub is hidden: AOSP's table lacks it
					continue
				}
				f := p.flow(m)
				if f == nil {
					continue
				}
				for k := range f.insns {
					in := &f.insns[k]
					if in.Op != dex.OpConstString && in.Op != dex.OpConstStringJumbo {
						continue
					}
					if pkg := p.Phone.Package(d.String(in.Index)); pkg != nil && pkg.Name != "android" {
						out = append(out, Hiding{Kind: HidesFromLists, Package: pkg, What: pkg.Name, Words: what, Live: true,
							At: Step{p.Ref(m, in.PC), "knows the name " + pkg.Name}})
					}
				}
			}
		}
	}
	return out
}
