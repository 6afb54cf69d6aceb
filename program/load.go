package program

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/apk"
	"gifthorse/format/dex"
	"gifthorse/knowledge"
	"gifthorse/phone"
)

// A Sym is an interned text: a descriptor, a selector "name:(args)ret" or a field "name:type".
type Sym uint32

// A symtab interns texts: names and types as they are, selectors and fields by their halves. Sym 0 is the empty text. It is filled in
// one order by one goroutine, so that the same phone gives the same numbers.
type symtab struct {
	text []string
	ids  map[string]Sym // but for selectors and fields
	pair map[uint64]Sym // of those: (Sym, Sym) of their halves
}

func newSymtab() *symtab {
	return &symtab{text: []string{""}, ids: map[string]Sym{"": 0}, pair: map[uint64]Sym{}}
}

// reserve makes room for some texts and some pairs more.
func (t *symtab) reserve(texts, pairs int) {
	ids, pair := make(map[string]Sym, len(t.ids)+texts), make(map[uint64]Sym, len(t.pair)+pairs)
	maps.Copy(ids, t.ids)
	maps.Copy(pair, t.pair)
	t.ids, t.pair = ids, pair
	t.text = slices.Grow(t.text, texts+pairs)
}

func (t *symtab) bytes(b []byte) Sym {
	if s, ok := t.ids[string(b)]; ok {
		return s
	}
	return t.add(string(b))
}

func (t *symtab) str(s string) Sym {
	if id, ok := t.ids[s]; ok {
		return id
	}
	return t.add(s)
}

func (t *symtab) add(s string) Sym {
	id := Sym(len(t.text))
	t.text = append(t.text, s)
	t.ids[s] = id
	return id
}

// join interns the selector or field a+":"+b.
func (t *symtab) join(a, b Sym) Sym {
	k := uint64(a)<<32 | uint64(b)
	if s, ok := t.pair[k]; ok {
		return s
	}
	s := Sym(len(t.text))
	t.text = append(t.text, t.text[a]+":"+t.text[b])
	t.pair[k] = s
	return s
}

// member returns the number of a selector or field, or 0 if nothing has it.
func (t *symtab) member(text string) Sym {
	a, b, _ := strings.Cut(text, ":")
	x, ok := t.ids[a]
	y, ok2 := t.ids[b]
	if !ok || !ok2 {
		return 0
	}
	return t.pair[uint64(x)<<32|uint64(y)]
}

// A ClassID numbers the classes that the evidence defines, a MethodID their methods. Both are in the
// order of spaces, files and tables. Class 0 and method 0 stand for none.
type (
	ClassID  uint32
	MethodID uint32
)

type class struct {
	name    Sym
	dex     uint32
	access  uint32
	super   ClassID // 0 if the evidence does not define it
	supSym  Sym     // descriptor of the superclass, defined here or not
	ifaces  []Sym
	methods [2]MethodID // [first, after last)
	static  uint32      // static values: see values
	def     uint32      // class_def index
	clinit  MethodID
	carried bool // of a library that is modelled and not read; a support library only where the whole app is driven
}

type method struct {
	class  ClassID
	sel    Sym
	dex    uint32
	idx    uint32 // method_id index in its DEX
	code   uint32 // offset, 0 none
	access uint32
}

// A dexFile is one DEX with its indexes translated into the program's.
type dexFile struct {
	*dex.File
	code     phone.CodeFile
	space    int
	types    []Sym    // by type index
	sels     []Sym    // by method index: the selector
	fields   []Sym    // by field index: "name:type"
	targets  []target // by method index
	argWords []uint8  // by method index: argument registers without the receiver
	classes  [2]ClassID
}

// A target is what a method reference means: a method of the evidence, or one of the platform.
type target struct {
	method MethodID // resolved upwards; 0 if the evidence does not define it
	extern uint32   // index into externs; 0 if defined
}

// An extern is a method that is called and not defined in the evidence.
type extern struct {
	class Sym // nearest class of the receiver that the evidence does not define
	sel   Sym
	facts []*knowledge.Fact
	model model
	reaches
	absent bool // a class that neither the evidence nor AOSP has
}

// A space is what one class loader sees: an app's own DEX files, then the libraries it uses.
type space struct {
	pkg       *phone.Package // nil for a library
	lib       *phone.Library
	dexes     []uint32
	classes   map[Sym]ClassID
	uses      []int          // libraries that are not on the boot class path
	resources *apk.Resources // nil if not yet asked for
}

const (
	accPrivate     = 0x2
	accStatic      = 0x8
	accNative      = 0x100
	accIface       = 0x200
	accSynth       = 0x1000
	accConstructor = 0x10000
)

// load opens every DEX, interns its names and numbers its classes and methods.
func (p *Program) load(ph *phone.Phone) {
	p.syms = newSymtab()
	p.models = modelTable()
	p.classes = make([]class, 1)
	p.methods = make([]method, 1)
	p.externs = make([]extern, 1)
	p.subs = map[Sym][]ClassID{}
	p.boot = map[Sym]ClassID{}

	known := func(s string) {
		if name, typ, is := strings.Cut(s, ":"); is {
			p.syms.join(p.syms.str(name), p.syms.str(typ))
		} else {
			p.syms.str(s)
		}
	}
	for _, s := range wellKnown {
		known(s)
	}
	for _, s := range knowledge.VirtualTables() {
		known(s)
	}
	for _, kind := range lifecycle {
		for _, lc := range kind {
			known(lc.sel)
		}
	}

	type job struct {
		space int
		code  phone.CodeFile
	}
	var jobs []job
	libs := map[string]int{}
	for _, l := range ph.Libraries {
		if len(l.Code) == 0 {
			continue
		}
		i := len(p.spaces)
		p.spaces = append(p.spaces, space{lib: l, classes: map[Sym]ClassID{}})
		libs[l.Name] = i
		for _, c := range l.Code {
			jobs = append(jobs, job{i, c})
		}
	}
	p.ofPackage = map[*phone.Package]int{}
	for _, pkg := range ph.Packages {
		if len(pkg.Code) == 0 {
			continue
		}
		i := len(p.spaces)
		var uses []int
		for _, u := range pkg.Uses {
			if l, ok := libs[u]; ok {
				uses = append(uses, l)
			}
		}
		p.ofPackage[pkg] = i
		p.spaces = append(p.spaces, space{pkg: pkg, classes: map[Sym]ClassID{}, uses: uses})
		for _, c := range pkg.Code {
			// What a loader reads at run time may be another file than that among the assets. Where an overlooked way in is worse than a
			// doubtful one, it is taken for that; where flows are listed, it is not.
			if !c.Carried || !p.whole {
				jobs = append(jobs, job{i, c})
			}
		}
	}

	for _, j := range jobs {
		files, err := openDEX(j.code)
		if err != nil {
			p.gaps = append(p.gaps, evidence.Gap{At: j.code.Ref, Reason: evidence.Damaged, Detail: err.Error()})
		}
		for _, f := range files {
			d := uint32(len(p.dexes))
			p.spaces[j.space].dexes = append(p.spaces[j.space].dexes, d)
			p.dexes = append(p.dexes, dexFile{File: f, code: j.code, space: j.space})
		}
	}
	p.intern()
	p.declare()
	p.link()
}

func openDEX(c phone.CodeFile) ([]*dex.File, error) {
	if c.Shared != nil {
		f, err := dex.OpenCompact(c.Data, c.Shared)
		if err != nil {
			return nil, err
		}
		return []*dex.File{f}, nil
	}
	return dex.Open(c.Data)
}

// intern translates the names of every DEX. One goroutine does it, in order: the texts are few beside
// the code, and the numbers must not depend on who comes first.
func (p *Program) intern() {
	names, members := 0, 0
	for i := range p.dexes {
		d := &p.dexes[i]
		names += d.NumTypes() + d.NumProtos()
		members += d.NumMethods() + d.NumFields()
	}
	// Room at once for what is usual: much of it recurs from file to file.
	p.syms.reserve((names+members)*2/5, members/4)
	for i := range p.dexes {
		d := &p.dexes[i]
		d.types = make([]Sym, d.NumTypes())
		for k := range d.types {
			d.types[k] = p.syms.bytes(d.StringData(d.TypeString(uint32(k))))
		}
		protos := make([]Sym, d.NumProtos())
		words := make([]uint8, len(protos))
		var buf []byte
		for k := range protos {
			buf = d.AppendProto(buf[:0], uint32(k))
			protos[k] = p.syms.bytes(buf)
			w := 0
			for n := range d.NumParams(uint32(k)) {
				w++
				if t := d.typeSym(d.Param(uint32(k), n)); t != 0 {
					if s := p.syms.text[t]; s == "J" || s == "D" {
						w++
					}
				}
			}
			words[k] = uint8(min(w, 255))
		}
		names := make([]Sym, d.NumStrings())
		name := func(s uint32) Sym {
			if s >= uint32(len(names)) {
				return 0
			}
			if names[s] == 0 {
				names[s] = p.syms.bytes(d.StringData(s))
			}
			return names[s]
		}
		d.sels = make([]Sym, d.NumMethods())
		d.argWords = make([]uint8, d.NumMethods())
		for k := range d.sels {
			m := d.Method(uint32(k))
			if m.Proto < uint32(len(protos)) {
				d.sels[k] = p.syms.join(name(m.Name), protos[m.Proto])
				d.argWords[k] = words[m.Proto]
			}
		}
		d.fields = make([]Sym, d.NumFields())
		for k := range d.fields {
			f := d.Field(uint32(k))
			d.fields[k] = p.syms.join(name(f.Name), d.typeSym(f.Type))
		}
	}
}

func (d *dexFile) typeSym(t uint32) Sym {
	if t < uint32(len(d.types)) {
		return d.types[t]
	}
	return 0
}

// declare numbers the classes and methods that the DEX files define.
func (p *Program) declare() {
	var data dex.ClassData
	for i := range p.dexes {
		d := &p.dexes[i]
		sp := &p.spaces[d.space]
		d.classes[0] = ClassID(len(p.classes))
		for k := range d.NumClasses() {
			def := d.Class(k)
			name := d.typeSym(def.Type)
			if name == 0 {
				continue
			}
			if _, twice := sp.classes[name]; twice {
				continue // the first DEX of a loader wins, as in ART
			}
			id := ClassID(len(p.classes))
			sp.classes[name] = id
			if sp.lib != nil && sp.lib.Boot && p.boot[name] == 0 { // the first on the class path wins here too
				p.boot[name] = id
			}
			c := class{name: name, dex: uint32(i), access: def.Access, def: uint32(k), static: def.StaticValues}
			role, carried := knowledge.Carried(p.syms.text[name])
			c.carried = carried && (p.whole || role != "support")
			platform := platformName(p.syms.text[name])
			if def.Super != dex.NoIndex {
				c.supSym = d.typeSym(def.Super)
			}
			for t := range d.Interfaces(def) {
				c.ifaces = append(c.ifaces, d.typeSym(t))
			}
			c.methods[0] = MethodID(len(p.methods))
			if err := d.ClassData(def, &data); err != nil {
				p.gaps = append(p.gaps, evidence.Gap{At: d.code.Ref, Reason: evidence.Damaged,
					Detail: fmt.Sprintf("class %s: %v", p.syms.text[name], err)})
			}
			for _, list := range [2][]dex.MemberMethod{data.Direct, data.Virtual} {
				for _, m := range list {
					if m.Method >= uint32(len(d.sels)) {
						continue
					}
					if c.carried || platform && d.stub(m.Code) {
						m.Code = 0
					}
					mid := MethodID(len(p.methods))
					p.methods = append(p.methods, method{id, d.sels[m.Method], uint32(i), m.Method, m.Code, m.Access})
					if p.syms.text[d.sels[m.Method]] == "<clinit>:()V" {
						c.clinit = mid
					}
				}
			}
			c.methods[1] = MethodID(len(p.methods))
			slices.SortStableFunc(p.methods[c.methods[0]:], func(a, b method) int { return cmp.Compare(a.sel, b.sel) })
			if c.clinit != 0 {
				for m := c.methods[0]; m < c.methods[1]; m++ {
					if p.syms.text[p.methods[m].sel] == "<clinit>:()V" {
						c.clinit = m
					}
				}
			}
			p.classes = append(p.classes, c)
		}
		d.classes[1] = ClassID(len(p.classes))
	}
}

// stub reports whether a method of a class with a name of the platform's only throws RuntimeException("Stub!"), as the library that apps are
// compiled against does. Some apps ship that library; at run time the platform's own class takes its place.
func (d *dexFile) stub(off uint32) bool {
	c, err := d.Code(off)
	if err != nil || off == 0 || c.Units() != 8 || c.Insns[0] != byte(dex.OpNewInstance) {
		return false
	}
	var in dex.Insn
	ops := [...]dex.Op{dex.OpNewInstance, dex.OpConstString, dex.OpInvokeDirect, dex.OpThrow}
	for i, pc := 0, uint32(0); pc < c.Units(); i, pc = i+1, in.Next {
		if i >= len(ops) || in.Decode(c.Insns, pc) != nil || in.Op != ops[i] || in.Op == dex.OpConstString && d.String(in.Index) != "Stub!" {
			return false
		}
	}
	return true
}

// link resolves superclasses, fills the index of subclasses, and resolves every method reference.
func (p *Program) link() {
	for i := 1; i < len(p.classes); i++ {
		c := &p.classes[i]
		sp := p.dexes[c.dex].space
		if s := p.find(sp, c.supSym); s != ClassID(i) {
			c.super = s
		}
		p.subs[c.supSym] = append(p.subs[c.supSym], ClassID(i))
		for _, f := range c.ifaces {
			p.subs[f] = append(p.subs[f], ClassID(i))
		}
	}
	// A class that is its own ancestor must not make a walk endless.
	for i := 1; i < len(p.classes); i++ {
		slow, fast := ClassID(i), ClassID(i)
		for fast != 0 && p.classes[fast].super != 0 {
			slow, fast = p.classes[slow].super, p.classes[p.classes[fast].super].super
			if slow == fast && slow != 0 {
				p.classes[slow].super = 0
				break
			}
		}
	}

	type unresolved struct {
		class, sel Sym
		carried    bool // the app has the class, and it stands for the platform's: in another app it may not be known at all
	}
	missing := make([][]unresolved, len(p.dexes))
	parallel(len(p.dexes), func(i int) {
		d := &p.dexes[i]
		d.targets = make([]target, len(d.sels))
		missing[i] = make([]unresolved, len(d.sels))
		for k := range d.sels {
			c := d.typeSym(d.Method(uint32(k)).Class)
			m, ext := p.resolve(d.space, c, d.sels[k])
			d.targets[k].method = m
			if m == 0 {
				id := p.find(d.space, ext)
				missing[i][k] = unresolved{ext, d.sels[k], id != 0 && p.classes[id].carried}
			}
		}
	})
	ids := map[unresolved]uint32{}
	for i := range p.dexes {
		d := &p.dexes[i]
		for k, u := range missing[i] {
			if d.targets[k].method != 0 {
				continue
			}
			e, ok := ids[u]
			if !ok {
				e = uint32(len(p.externs))
				ids[u] = e
				p.externs = append(p.externs, p.newExtern(d.space, u.class, u.sel))
			}
			d.targets[k].extern = e
		}
	}
}

// find returns the class that a descriptor means in a space, or 0.
func (p *Program) find(sp int, name Sym) ClassID {
	s := &p.spaces[sp]
	// ART asks the boot class path first. Here the app's own copy comes first: a class that an app ships
	// is the code that can be read even where the boot class path is not in the evidence.
	if c, ok := s.classes[name]; ok {
		return c
	}
	for _, u := range s.uses {
		if c, ok := p.spaces[u].classes[name]; ok {
			return c
		}
	}
	return p.boot[name]
}

// sees reports whether the classes of space to are among those that space sp can name.
func (p *Program) sees(sp, to int) bool {
	l := p.spaces[to].lib
	return to == sp || l != nil && l.Boot || slices.Contains(p.spaces[sp].uses, to)
}

// methodsOf returns the methods of a class in the order of its file. That of methods changes with what else is on the phone.
func (p *Program) methodsOf(c ClassID) []MethodID {
	r := p.classes[c].methods
	ids := make([]MethodID, 0, r[1]-r[0])
	for m := r[0]; m < r[1]; m++ {
		ids = append(ids, m)
	}
	slices.SortFunc(ids, func(a, b MethodID) int {
		return cmp.Or(cmp.Compare(p.methods[a].idx, p.methods[b].idx), cmp.Compare(a, b))
	})
	return ids
}

// own returns the method that class c itself declares with selector sel, or 0.
func (p *Program) own(c ClassID, sel Sym) MethodID {
	r := p.classes[c].methods
	ms := p.methods[r[0]:r[1]]
	i, ok := slices.BinarySearchFunc(ms, sel, func(m method, s Sym) int { return cmp.Compare(m.sel, s) })
	if !ok {
		return 0
	}
	return r[0] + MethodID(i)
}

// resolve finds the method that a reference (class, selector) means, walking up. If the evidence does
// not define it, it returns the first class on the way that is not in the evidence.
func (p *Program) resolve(sp int, name, sel Sym) (MethodID, Sym) {
	c := p.find(sp, name)
	if c == 0 {
		return 0, name
	}
	for k := c; k != 0; k = p.classes[k].super {
		if p.classes[k].carried {
			return 0, p.classes[k].name
		}
		if m := p.own(k, sel); m != 0 {
			return m, 0
		}
	}
	if m := p.defaultMethod(sp, c, sel); m != 0 {
		return m, 0
	}
	return 0, p.outside(c)
}

// outside returns the first ancestor of c that the evidence does not define.
func (p *Program) outside(c ClassID) Sym {
	for k := c; ; k = p.classes[k].super {
		if p.classes[k].super == 0 {
			if s := p.classes[k].supSym; s != 0 && p.classes[c].access&accIface == 0 {
				return s
			}
			if len(p.classes[k].ifaces) > 0 {
				return p.classes[k].ifaces[0]
			}
			return p.classes[k].supSym
		}
	}
}

// defaultMethod finds the body that an interface above c gives, the nearest first. Each interface is looked at
// once: hostile ones extend each other.
func (p *Program) defaultMethod(sp int, c ClassID, sel Sym) MethodID {
	var seen map[ClassID]bool
	for todo := []ClassID{c}; len(todo) > 0; todo = todo[1:] {
		for k := todo[0]; k != 0; k = p.classes[k].super {
			for _, f := range p.classes[k].ifaces {
				i := p.find(sp, f)
				if i == 0 || seen[i] {
					continue
				}
				if seen == nil {
					seen = map[ClassID]bool{}
				}
				seen[i] = true
				if m := p.own(i, sel); m != 0 && p.methods[m].code != 0 {
					return m
				}
				todo = append(todo, i)
			}
		}
	}
	return 0
}

// dispatch returns the method that a virtual call of sel on an object of class c runs.
func (p *Program) dispatch(c ClassID, sel Sym) MethodID {
	m, _ := p.resolve(p.dexes[p.classes[c].dex].space, p.classes[c].name, sel)
	return m
}

// isA reports whether class c is name or below it, as far as the evidence and AOSP's tables tell.
func (p *Program) isA(c ClassID, name string) bool {
	sp := p.dexes[p.classes[c].dex].space
	var seen map[ClassID]bool
	for todo := []ClassID{c}; len(todo) > 0; todo = todo[1:] {
		for k := todo[0]; ; k = p.classes[k].super {
			kc := &p.classes[k]
			if p.syms.text[kc.name] == name {
				return true
			}
			for _, f := range kc.ifaces {
				if p.syms.text[f] == name {
					return true
				}
				if i := p.find(sp, f); i == 0 {
					if knowledge.IsSubclass(p.syms.text[f], name) {
						return true
					}
				} else if !seen[i] {
					if seen == nil {
						seen = map[ClassID]bool{}
					}
					seen[i] = true
					todo = append(todo, i)
				}
			}
			if kc.super == 0 {
				if kc.supSym != 0 && knowledge.IsSubclass(p.syms.text[kc.supSym], name) {
					return true
				}
				break
			}
		}
	}
	return false
}

// typeIs is isA for a descriptor that the evidence may or may not define.
func (p *Program) typeIs(sp int, t Sym, name string) bool {
	if p.syms.text[t] == name {
		return true
	}
	if c := p.find(sp, t); c != 0 {
		return p.isA(c, name)
	}
	return knowledge.IsSubclass(p.syms.text[t], name)
}

// MethodName returns a method as "Lcls;.name:(args)ret".
func (p *Program) MethodName(m MethodID) string {
	return p.syms.text[p.classes[p.methods[m].class].name] + "." + p.syms.text[p.methods[m].sel]
}

// Ref returns the address of the instruction at pc (in code units) of m. The offset it prints is in bytes
// from the start of the method's code, as the witness of a report has it.
func (p *Program) Ref(m MethodID, pc uint32) evidence.Ref {
	return p.dexes[p.methods[m].dex].code.Ref.At(p.MethodName(m), int64(pc)*2)
}
