// Package sepolicy reads SELinux policy as Android ships it: the kernel's binary policy, the CIL text it is compiled
// from since Android 8, and the files that say which label a path, a service or a property has.
//
// Bytes go in; [Read] (binary) and [ReadCIL] (text, linked over several files) give the same [Policy]: numbered types,
// attributes and classes, and one sorted list of rules, with questions such as [Policy.Allows], [Policy.RulesOf],
// [Policy.Targets] and [Policy.Sources]. Types, attributes and classes are small numbers; a name is looked up once. A Policy
// is not changed after it was read, and may be used by several goroutines.
//
// [FileContexts], [ServiceContexts] and [PropertyContexts] say what label something gets, by the platform's own rules.
//
// # Sources
//
// Binary: Linux security/selinux/ss/policydb.c, avtab.c, conditional.c, ebitmap.c; libsepol src/policydb.c, write.c.
// Android 6 wrote ioctl rules in a form of its own under version 30 (libsepol src/android_m_compat.h at commit dc803397). CIL:
// SELinuxProject/selinux, secilc/docs, libsepol/cil/src/cil_build_ast.c. Contexts: libselinux src/label_file.c and label_file.h,
// src/label_backends_android.c; AOSP system/core/property_service/libpropertyinfoparser.
//
// # What an answer means
//
// A rule is type enforcement only. Constraints, of which every Android policy has some ninety, may still deny what a rule allows: above all
// they keep apps, which have categories in their MLS level, from writing what has none. [Policy.Denied] says what they deny. File
// modes are another matter. Conditional rules count as their booleans are set in the policy itself; Android has none.
//
// # Not read
//
// Roles, users, ranges, role and range transitions, and the labels of ports, nodes, interfaces and InfiniBand: passed over;
// a constraint on users or roles is taken for met. Type changes and members. Policies of Xen, and modules. Of CIL: blocks, macros, optionals, in, tunables and booleans, class
// maps, and permissions of an ioctl by name; Android ships none of them, and what of them a file has is named in [Policy.Unread].
package sepolicy

import (
	"fmt"
	"iter"
	"maps"
	"math/bits"
	"slices"

	"gifthorse/internal/cursor"
)

// FormatError says at which byte a file is not what it should be.
type FormatError = cursor.FormatError

// A Type is the number of a type or an attribute of one Policy.
type Type uint16

// A Class is the number of a class of one Policy.
type Class uint16

// Perms is a set of permissions of one class, a bit for each, as in the kernel's access vectors.
type Perms uint32

// The kernel numbers types in 16 bits and classes in 16 bits (struct avtab_key); an access vector has 32 bits.
const (
	maxTypes   = 1<<16 - 1
	maxClasses = 1<<16 - 1
	maxPerms   = 32
)

// Bounds of what is made of hostile input. A shipped policy has at most some 100,000 rules, 60,000 memberships and
// 5,000 transitions.
const (
	maxRules       = 4 << 20 // 48 MiB
	maxMembers     = 4 << 20 // 16 MiB, in both directions
	maxTransitions = 1 << 20
)

// A Kind is a kind of rule.
type Kind uint8

// The kinds of rules. Those that end in X are about the numbers of ioctls (or of netlink messages).
const (
	Allow Kind = iota
	AuditAllow
	DontAudit
	AllowX
	AuditAllowX
	DontAuditX
	Never  // an assertion for the compiler; only CIL has any
	NeverX // the same of ioctls
)

var kindNames = [...]string{"allow", "auditallow", "dontaudit", "allowx", "auditallowx", "dontauditx", "neverallow", "neverallowx"}

func (k Kind) String() string { return kindNames[k] }

// A Rule is one rule of a policy. Source and Target may be attributes; then it holds for all their members.
type Rule struct {
	Source, Target Type
	Class          Class
	Kind           Kind
	data           uint32 // permissions, or an index into xperms
}

// Perms returns the permissions of a rule that is not about ioctls, and none of one that is.
func (r Rule) Perms() Perms {
	if r.Kind.extended() {
		return 0
	}
	return Perms(r.data)
}

func (k Kind) extended() bool { return k >= AllowX && k <= DontAuditX || k == NeverX }

// What an extended rule is about (AVTAB_XPERMS_ of the kernel).
const (
	xpermFunction = 1 // bits are ioctl numbers of one driver
	xpermDriver   = 2 // bits are drivers, all of whose ioctls are meant
	xpermNetlink  = 3 // bits are netlink messages
)

type xperm struct {
	what, driver uint8
	bits         [8]uint32
}

func (x *xperm) has(b uint8) bool { return x.bits[b>>5]>>(b&31)&1 != 0 }

// A Transition says which type a new object, or a process that starts a program, gets.
type Transition struct {
	Source, Target Type
	Class          Class
	Name           string // of the new file, "" for any
	New            Type
}

// A Label is the type that something of the kernel has.
type Label struct {
	Name string // of genfs the file system and the path, "proc /kmsg"; of an initial SID its name or "27"
	Type Type
}

// An Unread names CIL that was not read.
type Unread struct {
	Statement, File string
	Line            int // of the first
	Count           int
}

// A Policy is a whole policy.
type Policy struct {
	Version       int // of a binary policy; 0 of CIL
	MLS           bool
	HandleUnknown string // what happens with a class the policy does not know: "deny", "reject", "allow"
	InitialSIDs   []Label
	Genfs         []Label
	FSUse         []Label
	Transitions   []Transition // of types and attributes expanded; by source, target, class, name
	Unread        []Unread

	names      []string // by Type
	attribute  []bool   // by Type
	byName     map[string]Type
	classes    []class
	byClass    map[string]Class
	of         table // of each type, the attributes that it is in, itself too
	members    table // of each attribute, its types; of each type, itself
	rules      []Rule
	never      []Rule
	start      []uint32 // by Type: its first rule; one more at the end
	xperms     []xperm
	permissive []Type

	constraints []constraint // by class
}

type class struct {
	name  string
	perms []string // by bit
}

// A table holds a sorted list for each type.
type table struct {
	start []uint32
	list  []Type
}

func (t *table) at(i Type) []Type {
	if int(i)+1 >= len(t.start) {
		return nil
	}
	return t.list[t.start[i]:t.start[i+1]]
}

// Type returns the type or attribute of a name or alias.
func (p *Policy) Type(name string) (Type, bool) {
	t, ok := p.byName[name]
	return t, ok
}

// Name returns the name of a type or attribute. The few attributes whose names a policy leaves out are called "@ttr0017".
func (p *Policy) Name(t Type) string {
	if int(t) >= len(p.names) || p.names[t] == "" {
		return fmt.Sprintf("@ttr%04d", int(t)+1)
	}
	return p.names[t]
}

// IsAttribute reports whether t stands for a set of types.
func (p *Policy) IsAttribute(t Type) bool { return int(t) < len(p.attribute) && p.attribute[t] }

// Types yields all types, in order of number.
func (p *Policy) Types() iter.Seq[Type] { return p.kind(false) }

// Attributes yields all attributes, in order of number.
func (p *Policy) Attributes() iter.Seq[Type] { return p.kind(true) }

func (p *Policy) kind(attribute bool) iter.Seq[Type] {
	return func(yield func(Type) bool) {
		for i, a := range p.attribute {
			if a == attribute && !yield(Type(i)) {
				return
			}
		}
	}
}

// Members returns the types of an attribute in order of number; of a type, itself, and whatever types the policy's table puts into it as
// if it were an attribute: no compiler writes that, and the kernel takes it so (type_attr_map in security/selinux/ss). It must not be changed.
func (p *Policy) Members(t Type) []Type { return p.members.at(t) }

// AttributesOf returns the attributes that a type is in and the type itself, in order of number. It must not be changed.
func (p *Policy) AttributesOf(t Type) []Type { return p.of.at(t) }

// In reports whether t is set, or a member of it.
func (p *Policy) In(t, set Type) bool {
	if t == set {
		return true
	}
	_, ok := slices.BinarySearch(p.of.at(t), set)
	return ok
}

// Class returns the class of a name.
func (p *Policy) Class(name string) (Class, bool) {
	c, ok := p.byClass[name]
	return c, ok
}

// Classes returns how many classes there are; they are numbered from 0.
func (p *Policy) Classes() int { return len(p.classes) }

// ClassName returns the name of a class.
func (p *Policy) ClassName(c Class) string {
	if int(c) >= len(p.classes) {
		return ""
	}
	return p.classes[c].name
}

// Perm returns the bit of a permission of a class, 0 if the class has none of that name.
func (p *Policy) Perm(c Class, name string) Perms {
	if int(c) < len(p.classes) {
		if i := slices.Index(p.classes[c].perms, name); i >= 0 && name != "" {
			return 1 << i
		}
	}
	return 0
}

// PermNames returns the names of permissions of a class.
func (p *Policy) PermNames(c Class, set Perms) []string {
	var names []string
	for v := uint32(set); v != 0 && int(c) < len(p.classes); v &= v - 1 {
		if i := bits.TrailingZeros32(v); i < len(p.classes[c].perms) && p.classes[c].perms[i] != "" {
			names = append(names, p.classes[c].perms[i])
		}
	}
	return names
}

// Permissive returns the types whose access is logged and never denied, in order of number.
func (p *Policy) Permissive() []Type { return p.permissive }

// Rules returns all rules but assertions, by source, target, class and kind. It must not be changed.
func (p *Policy) Rules() []Rule { return p.rules }

// Assertions returns the rules that the compiler was told to hold against (neverallow). It must not be changed.
func (p *Policy) Assertions() []Rule { return p.never }

// RulesOf yields the rules that hold for a source, its own and those of the attributes it is in.
func (p *Policy) RulesOf(source Type) iter.Seq[Rule] {
	return func(yield func(Rule) bool) {
		for _, a := range p.of.at(source) {
			for _, r := range p.rules[p.start[a]:p.start[a+1]] {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// Access returns the permissions that the rules of a kind (Allow, AuditAllow or DontAudit) give source on target. Both are types.
func (p *Policy) Access(k Kind, source, target Type, c Class) (set Perms) {
	targets := p.of.at(target)
	for _, a := range p.of.at(source) {
		rules := p.rules[p.start[a]:p.start[a+1]] // by target
		for _, t := range targets {
			i, _ := slices.BinarySearchFunc(rules, t, func(r Rule, t Type) int { return int(r.Target) - int(t) })
			for rules = rules[i:]; len(rules) > 0 && rules[0].Target == t; rules = rules[1:] {
				if rules[0].Kind == k && rules[0].Class == c {
					set |= rules[0].Perms()
				}
			}
		}
	}
	return set
}

// Allows reports whether the rules let source do perm to a target of a class, all by name. What has no name in the policy is not
// allowed. A permissive source may do all, and is not looked at here.
func (p *Policy) Allows(source, target, class, perm string) bool {
	s, ok1 := p.Type(source)
	t, ok2 := p.Type(target)
	c, ok3 := p.Class(class)
	return ok1 && ok2 && ok3 && p.Access(Allow, s, t, c)&p.Perm(c, perm) != 0
}

// Targets yields the types on which the rules give source permissions of a class, with these, in order of number.
func (p *Policy) Targets(source Type, c Class) iter.Seq2[Type, Perms] {
	return func(yield func(Type, Perms) bool) {
		sum := map[Type]Perms{} // of types and attributes as rules name them
		for r := range p.RulesOf(source) {
			if r.Kind == Allow && r.Class == c {
				sum[r.Target] |= r.Perms()
			}
		}
		types := map[Type]Perms{}
		for t, set := range sum {
			for _, m := range p.members.at(t) {
				types[m] |= set
			}
		}
		for _, t := range slices.Sorted(maps.Keys(types)) {
			if !yield(t, types[t]) {
				return
			}
		}
	}
}

// Sources returns the types that the rules give one of perms at least on target, in order of number.
func (p *Policy) Sources(target Type, c Class, perms Perms) []Type {
	var set typeSet
	for _, r := range p.rules {
		if r.Kind == Allow && r.Class == c && r.Perms()&perms != 0 && p.In(target, r.Target) {
			set.add(p, r.Source)
		}
	}
	return set.list()
}

// A typeSet is a set of types.
type typeSet struct {
	words [(maxTypes + 64) / 64]uint64
	whole [(maxTypes + 64) / 64]uint64 // attributes and types that were added
}

func (s *typeSet) add(p *Policy, t Type) {
	if s.whole[t>>6]>>(t&63)&1 != 0 {
		return
	}
	s.whole[t>>6] |= 1 << (t & 63)
	for _, m := range p.members.at(t) {
		s.words[m>>6] |= 1 << (m & 63)
	}
}

func (s *typeSet) list() (all []Type) {
	for i, w := range s.words {
		for ; w != 0; w &= w - 1 {
			all = append(all, Type(i<<6+bits.TrailingZeros64(w)))
		}
	}
	return all
}

// Ioctl reports whether the rules let source send the ioctl of a number to target: it needs the permission ioctl, and where any rule
// names ioctls for the three, one that names this (services_compute_xperms_decision of the kernel).
func (p *Policy) Ioctl(source, target Type, c Class, number uint16) bool {
	if p.Access(Allow, source, target, c)&p.Perm(c, "ioctl") == 0 {
		return false
	}
	limited := false
	for r := range p.RulesOf(source) {
		if r.Kind != AllowX || r.Class != c || !p.In(target, r.Target) {
			continue
		}
		x := &p.xperms[r.data]
		switch x.what {
		case xpermFunction:
			if limited = true; x.driver == uint8(number>>8) && x.has(uint8(number)) {
				return true
			}
		case xpermDriver:
			if limited = true; x.has(uint8(number >> 8)) {
				return true
			}
		}
	}
	return !limited
}

// Transition returns the type that a new object of a class gets when source makes it in target, or a process when source starts a program
// of the type target. name is that of a new file, or "". ok is false if no rule says: then a process keeps its type
// and a file takes that of its folder.
func (p *Policy) Transition(source, target Type, c Class, name string) (t Type, ok bool) {
	find := func(name string) (Type, bool) {
		i, ok := slices.BinarySearchFunc(p.Transitions, Transition{source, target, c, name, 0}, compareTransitions)
		if !ok {
			return 0, false
		}
		return p.Transitions[i].New, true
	}
	if name != "" {
		if t, ok := find(name); ok {
			return t, true
		}
	}
	return find("")
}

func compareTransitions(a, b Transition) int {
	switch {
	case a.Source != b.Source:
		return int(a.Source) - int(b.Source)
	case a.Target != b.Target:
		return int(a.Target) - int(b.Target)
	case a.Class != b.Class:
		return int(a.Class) - int(b.Class)
	case a.Name < b.Name:
		return -1
	case a.Name > b.Name:
		return 1
	}
	return 0
}

// index puts what was read in order. Of two transitions for one thing the first stands, as in the kernel's table.
func (p *Policy) index() {
	slices.SortFunc(p.rules, compareRules)
	slices.SortFunc(p.never, compareRules)
	p.start = make([]uint32, len(p.names)+1)
	i := 0
	for t := range p.start {
		for i < len(p.rules) && int(p.rules[i].Source) < t {
			i++
		}
		p.start[t] = uint32(i)
	}
	slices.SortStableFunc(p.Transitions, compareTransitions)
	p.Transitions = slices.CompactFunc(p.Transitions, func(a, b Transition) bool { return compareTransitions(a, b) == 0 })
	slices.SortStableFunc(p.constraints, func(a, b constraint) int { return int(a.class) - int(b.class) })
	slices.Sort(p.permissive)
	p.permissive = slices.Compact(p.permissive)
}

func compareRules(a, b Rule) int {
	x := uint64(a.Source)<<40 | uint64(a.Target)<<24 | uint64(a.Class)<<8 | uint64(a.Kind)
	y := uint64(b.Source)<<40 | uint64(b.Target)<<24 | uint64(b.Class)<<8 | uint64(b.Kind)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	case a.data < b.data:
		return -1
	case a.data > b.data:
		return 1
	}
	return 0
}

// turn makes the table of members from that of attributes: each attribute with its types, each type with itself.
func (p *Policy) turn() {
	n := len(p.names)
	start := make([]uint32, n+1)
	for t := range n {
		if p.attribute[t] {
			continue
		}
		for _, a := range p.of.at(Type(t)) {
			start[a+1]++
		}
	}
	for i := range n {
		start[i+1] += start[i]
	}
	list, next := make([]Type, start[n]), slices.Clone(start)
	for t := range n {
		if p.attribute[t] {
			continue
		}
		for _, a := range p.of.at(Type(t)) {
			list[next[a]] = Type(t)
			next[a]++
		}
	}
	p.members = table{start, list}
}
