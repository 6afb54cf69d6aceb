package sepolicy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"

	"gifthorse/internal/cursor"
)

const (
	magic  = 0xf97cff8c
	target = "SE Linux"
)

// Versions of the format at which it changed (POLICYDB_VERSION_ of the kernel's security.h).
const (
	oldest         = 24 // with bounds; Android never had an older one
	versFilename   = 25
	versRoleTrans  = 26
	versDefaults   = 27
	versDefType    = 28
	versConstraint = 29
	versXperms     = 30
	versFilename2  = 33
	versNeverAudit = 35
	newest         = 35
)

// Bits of a key of the access vector table (AVTAB_ of avtab.h).
const (
	avAllowed    = 1 << 0
	avAuditAllow = 1 << 1
	avAuditDeny  = 1 << 2
	avTransition = 1 << 4
	avMember     = 1 << 5
	avChange     = 1 << 6
	avXAllowed   = 1 << 8
	avXAudit     = 1 << 9
	avXDontAudit = 1 << 10
	avXAny       = avXAllowed | avXAudit | avXDontAudit
	avEnabled    = 1 << 15
	avOpType     = avXAny << 4 // Android 6: the rule names drivers, not numbers of one
)

// Read reads a binary policy of the kernel, of version 24 to 35. A newer or older one, and one of Xen, is an
// error that wraps [errors.ErrUnsupported].
func Read(b []byte) (*Policy, error) {
	r := &reader{cur: cursor.At(b, 0)}
	p, err := r.policy()
	if err != nil && r.version == versXperms {
		// The two forms of version 30 cannot be told apart before a rule shows it, and not always then.
		m := &reader{cur: cursor.At(b, 0), android6: true}
		if p, err := m.policy(); err == nil {
			return p, nil
		}
	}
	return p, err
}

type reader struct {
	cur      cursor.Cursor
	version  int
	android6 bool
	p        *Policy
	commons  map[string][]string
	bools    []bool
	declared int // the highest number that a type may have
	noted    int // memberships
	terms    map[Class]int
}

func (r *reader) policy() (*Policy, error) {
	c := &r.cur
	if c.U32() != magic {
		return nil, cursor.Errorf(0, "no binary policy")
	}
	if s := string(c.Bytes(int64(c.U32()))); s != target && c.Err() == nil {
		return nil, fmt.Errorf("a policy for %q: %w", clip(s), errors.ErrUnsupported)
	}
	version, config, symbols, contexts := c.U32(), c.U32(), c.U32(), c.U32()
	if err := c.Err(); err != nil {
		return nil, err
	}
	if version < oldest || version > newest {
		return nil, fmt.Errorf("a policy of version %d: %w", version, errors.ErrUnsupported)
	}
	if symbols != 8 || contexts < 7 || contexts > 9 {
		return nil, cursor.Errorf(c.Off(), "%d tables of symbols and %d of contexts", symbols, contexts)
	}
	r.version, r.terms = int(version), map[Class]int{}
	r.p = &Policy{Version: r.version, MLS: config&1 != 0, HandleUnknown: "deny", byName: map[string]Type{}, byClass: map[string]Class{}}
	switch {
	case config&4 != 0:
		r.p.HandleUnknown = "allow"
	case config&2 != 0:
		r.p.HandleUnknown = "reject"
	}
	r.skipBitmap() // capabilities
	permissive := r.bitmap()
	if r.version >= versNeverAudit {
		r.skipBitmap()
	}
	for _, read := range []func(n uint32){r.commonTable, r.classTable, r.roleTable, r.typeTable, r.userTable, r.boolTable, r.levelTable, r.categoryTable} {
		c.U32() // the highest number, which only types need: there it is read again
		if read(c.U32()); c.Err() != nil {
			return nil, c.Err()
		}
	}
	for _, t := range permissive { // a bit is the number itself, not one less
		if t > 0 && int(t) <= len(r.p.names) {
			r.p.permissive = append(r.p.permissive, Type(t-1))
		}
	}
	r.vectors(c.U32(), true)
	r.conditionals()
	r.roles()
	r.filenames()
	r.contexts(int(contexts))
	r.genfs()
	for n := c.U32(); n > 0 && c.Err() == nil; n-- { // range transitions
		c.Skip(12)
		r.skipRange()
	}
	r.attributes()
	if err := c.Err(); err != nil {
		return nil, err
	}
	r.p.turn()
	r.p.index()
	return r.p, nil
}

func clip(s string) string { return s[:min(len(s), 40)] }

func (r *reader) name(n uint32) string { return string(r.cur.Bytes(int64(n))) }

// header reads the head of a bitmap and returns its nodes, of twelve bytes: the first bit, then 64 bits.
func (r *reader) header() []byte {
	c := &r.cur
	unit, _, count := c.U32(), c.U32(), c.U32()
	if unit != 64 {
		c.Fail("a bitmap of %d bits a node", unit)
	}
	return c.Bytes(12 * int64(count))
}

func (r *reader) skipBitmap() { r.header() }

// bitmap returns the bits that are set, up to the greatest number of a type.
func (r *reader) bitmap() (all []uint32) {
	for b := r.header(); len(b) >= 12; b = b[12:] {
		first := binary.LittleEndian.Uint32(b)
		for w := binary.LittleEndian.Uint64(b[4:]); w != 0; w &= w - 1 {
			if n := uint64(first) + uint64(bits.TrailingZeros64(w)); n <= maxTypes {
				if r.noted++; r.noted > maxMembers {
					r.cur.Fail("the attributes have more than %d members", maxMembers)
					return nil
				}
				all = append(all, uint32(n))
			}
		}
	}
	return all
}

func (r *reader) skipRange() {
	n := r.cur.U32()
	if n != 1 && n != 2 {
		r.cur.Fail("a range of %d levels", n)
	}
	r.cur.Skip(4 * int64(n))
	for ; n > 0 && r.cur.Err() == nil; n-- {
		r.skipBitmap()
	}
}

// label reads a context and returns its type.
func (r *reader) label() Type {
	c := &r.cur
	c.Skip(8)
	t := c.U32()
	r.skipRange()
	return r.typ(t)
}

// typ returns the type of a number in the file.
func (r *reader) typ(n uint32) Type {
	if n == 0 || int(n) > len(r.p.names) {
		r.cur.Fail("there is no type %d", n)
		return 0
	}
	return Type(n - 1)
}

func (r *reader) permissions(n uint32, perms []string) []string {
	c := &r.cur
	for ; n > 0 && c.Err() == nil; n-- {
		size, value := c.U32(), c.U32()
		name := r.name(size)
		if value == 0 || value > maxPerms {
			c.Fail("permission %q has the number %d", clip(name), value)
			break
		}
		for len(perms) < int(value) {
			perms = append(perms, "")
		}
		perms[value-1] = name
	}
	return perms
}

func (r *reader) commonTable(n uint32) {
	c := &r.cur
	r.commons = map[string][]string{}
	for ; n > 0 && c.Err() == nil; n-- {
		size := c.U32()
		c.Skip(8) // number, highest permission
		count := c.U32()
		name := r.name(size)
		r.commons[name] = r.permissions(count, nil)
	}
}

func (r *reader) classTable(n uint32) {
	c := &r.cur
	for ; n > 0 && c.Err() == nil; n-- {
		size, size2, value := c.U32(), c.U32(), c.U32()
		c.U32() // highest permission
		count, constraints := c.U32(), c.U32()
		k := class{name: r.name(size)}
		common := r.name(size2)
		k.perms = r.permissions(count, slices.Clone(r.commons[common]))
		r.constraints(constraints, Class(value-1))
		of := len(r.p.constraints)
		r.constraints(c.U32(), Class(value-1))
		r.p.constraints = r.p.constraints[:of] // those on changes of labels
		if r.version >= versDefaults {
			c.Skip(12)
		}
		if r.version >= versDefType {
			c.Skip(4)
		}
		if value == 0 || value > maxClasses {
			c.Fail("class %q has the number %d", clip(k.name), value)
		}
		if c.Err() != nil {
			return
		}
		for len(r.p.classes) < int(value) { // at most 65535
			r.p.classes = append(r.p.classes, class{})
		}
		r.p.classes[value-1] = k
		r.p.byClass[k.name] = Class(value - 1)
	}
}

func (r *reader) constraints(n uint32, class Class) {
	c := &r.cur
	for ; n > 0 && c.Err() == nil; n-- {
		k := constraint{class: class, perms: Perms(c.U32())}
		for m := c.U32(); m > 0 && c.Err() == nil; m-- {
			kind, attr, op := c.U32(), c.U32(), c.U32()
			e := term{kind: uint8(kind), attr: uint16(attr), op: uint8(op)}
			if kind < termNot || kind > termNames || attr > 1<<12 || op > termIncomparable {
				c.Fail("a constraint has an expression of the kind %d, %d, %d", kind, attr, op)
			}
			if kind == termNames {
				for _, t := range r.bitmap() {
					e.types = append(e.types, Type(min(t, maxTypes-1)))
				}
				if r.version >= versConstraint {
					r.skipBitmap()
					r.skipBitmap()
					c.U32()
				}
			}
			if k.terms = append(k.terms, e); len(k.terms) > maxTerms {
				break
			}
		}
		if !r.p.put(k, r.terms) {
			c.Fail("the constraints of a class have more than %d terms", maxTerms)
		}
	}
}

func (r *reader) roleTable(n uint32) {
	c := &r.cur
	for ; n > 0 && c.Err() == nil; n-- {
		size := c.U32()
		c.Skip(8 + int64(size))
		r.skipBitmap()
		r.skipBitmap()
	}
}

func (r *reader) typeTable(n uint32) {
	c := &r.cur
	c.Move(c.Off() - 8)
	highest := c.U32()
	c.U32()
	if highest > maxTypes || int64(n)*16 > int64(c.Len()) {
		c.Fail("%d types with numbers up to %d", n, highest)
		return
	}
	p := r.p
	p.names = make([]string, highest)
	p.attribute = make([]bool, highest)
	for i := range p.attribute {
		p.attribute[i] = true // a number without a name is an attribute whose name was left out
	}
	const primary, attribute = 1, 2
	for ; n > 0 && c.Err() == nil; n-- {
		size, value, property := c.U32(), c.U32(), c.U32()
		c.U32() // bounds
		name := r.name(size)
		t := r.typ(value)
		if c.Err() != nil {
			return
		}
		if p.byName[name] = t; property&primary != 0 { // else an alias
			p.names[t], p.attribute[t] = name, property&attribute != 0
		}
	}
}

func (r *reader) userTable(n uint32) {
	c := &r.cur
	for ; n > 0 && c.Err() == nil; n-- {
		size := c.U32()
		c.Skip(8 + int64(size))
		r.skipBitmap()
		r.skipRange()
		c.U32()
		r.skipBitmap()
	}
}

func (r *reader) boolTable(n uint32) {
	c := &r.cur
	for ; n > 0 && c.Err() == nil; n-- {
		value, state, size := c.U32(), c.U32(), c.U32()
		if c.Skip(int64(size)); value == 0 || value > maxTypes {
			c.Fail("a boolean has the number %d", value)
			return
		}
		for len(r.bools) < int(value) {
			r.bools = append(r.bools, false)
		}
		r.bools[value-1] = state != 0
	}
}

func (r *reader) levelTable(n uint32) {
	c := &r.cur
	for ; n > 0 && c.Err() == nil; n-- {
		size := c.U32()
		c.Skip(8 + int64(size)) // alias, name, sensitivity
		r.skipBitmap()
	}
}

func (r *reader) categoryTable(n uint32) {
	c := &r.cur
	for ; n > 0 && c.Err() == nil; n-- {
		size := c.U32()
		c.Skip(8 + int64(size))
	}
}

// vectors reads n entries of the access vector table; those that do not hold are passed over.
func (r *reader) vectors(n uint32, hold bool) {
	c := &r.cur
	if int64(n)*12 > int64(c.Len()) {
		c.Fail("%d rules in %d bytes", n, c.Len())
		return
	}
	p := r.p
	if hold && p.rules == nil {
		p.rules = make([]Rule, 0, min(n, maxRules))
	}
	for ; n > 0; n-- {
		b := c.Bytes(8)
		if b == nil {
			return
		}
		source, target, class := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint16(b[4:])
		key := binary.LittleEndian.Uint16(b[6:]) &^ avEnabled
		drivers := r.android6 && key&avOpType != 0
		if drivers {
			key = key&^avOpType | key&avOpType>>4
		}
		if bits.OnesCount16(key) != 1 {
			c.Fail("a rule is of the kinds %#x", key)
			return
		}
		s, t := r.typ(uint32(source)), r.typ(uint32(target))
		if class == 0 || int(class) > len(p.classes) {
			c.Fail("there is no class %d", class)
			return
		}
		rule := Rule{Source: s, Target: t, Class: Class(class - 1)}
		if key&avXAny != 0 {
			if r.version < versXperms {
				c.Fail("a rule about ioctls in a policy of version %d", r.version)
				return
			}
			x := r.xperm(drivers)
			if !hold || c.Err() != nil {
				continue
			}
			rule.Kind = AllowX + Kind(bits.TrailingZeros16(key)-8)
			rule.data = uint32(len(p.xperms))
			p.xperms = append(p.xperms, x)
			p.rules = append(p.rules, rule)
			continue
		}
		data := c.U32()
		switch {
		case !hold || c.Err() != nil:
		case key == avTransition:
			p.Transitions = append(p.Transitions, Transition{s, t, rule.Class, "", r.typ(data)})
		case key == avAllowed, key == avAuditAllow:
			rule.Kind, rule.data = Kind(key-avAllowed), data
			p.rules = append(p.rules, rule)
		case key == avAuditDeny: // what is still logged
			rule.Kind, rule.data = DontAudit, ^data&uint32(1<<len(p.classes[rule.Class].perms)-1)
			p.rules = append(p.rules, rule)
		case key != avMember && key != avChange:
			c.Fail("a rule is of the kind %#x", key)
			return
		}
		if len(p.rules) > maxRules || len(p.Transitions) > maxTransitions {
			c.Fail("more than %d rules", maxRules)
			return
		}
	}
}

// xperm reads what a rule about ioctls names. Android 6 had no byte for the kind.
func (r *reader) xperm(drivers bool) (x xperm) {
	c := &r.cur
	x.what = xpermFunction
	if !r.android6 {
		x.what = c.U8()
	} else if drivers {
		x.what = xpermDriver
	}
	if x.driver = c.U8(); x.what < xpermFunction || x.what > xpermNetlink {
		c.Fail("a rule about ioctls is of the kind %d", x.what)
	}
	for i := range x.bits {
		x.bits[i] = c.U32()
	}
	return x
}

// conditionals reads rules that hold if booleans have some value. The value they have in the policy counts.
func (r *reader) conditionals() {
	c := &r.cur
	const (
		boolean = 1 + iota // COND_BOOL and what follows in conditional.h
		not
		or
		and
		xor
		equal
		unequal
		depth = 10 // COND_EXPR_MAXDEPTH
	)
	for n := c.U32(); n > 0 && c.Err() == nil; n-- {
		c.U32() // the state when it was written
		var stack []bool
		for m := c.U32(); m > 0 && c.Err() == nil; m-- {
			op, value := c.U32(), c.U32()
			top := len(stack) - 1
			switch {
			case op == boolean && len(stack) < depth:
				stack = append(stack, value > 0 && int(value) <= len(r.bools) && r.bools[value-1])
				continue
			case op == not && top >= 0:
				stack[top] = !stack[top]
				continue
			case top < 1 || op < not || op > unequal:
				c.Fail("a condition that cannot be evaluated")
				continue
			}
			a, b := stack[top-1], stack[top]
			stack = stack[:top]
			switch op {
			case or:
				a = a || b
			case and:
				a = a && b
			case xor, unequal:
				a = a != b
			case equal:
				a = a == b
			}
			stack[top-1] = a
		}
		state := len(stack) == 1 && stack[0]
		r.vectors(c.U32(), state)
		r.vectors(c.U32(), !state)
	}
}

func (r *reader) roles() {
	c := &r.cur
	size := int64(12)
	if r.version >= versRoleTrans {
		size = 16
	}
	c.Skip(size * int64(c.U32()))
	c.Skip(8 * int64(c.U32())) // role allow
}

func (r *reader) filenames() {
	if r.version < versFilename {
		return
	}
	c := &r.cur
	put := func(s, t, class uint32, name string, to uint32) {
		if class == 0 || int(class) > len(r.p.classes) {
			c.Fail("there is no class %d", class)
		}
		if len(r.p.Transitions) >= maxTransitions {
			c.Fail("more than %d transitions", maxTransitions)
		}
		tr := Transition{r.typ(s), r.typ(t), Class(class - 1), name, r.typ(to)}
		if c.Err() == nil {
			r.p.Transitions = append(r.p.Transitions, tr)
		}
	}
	for n := c.U32(); n > 0 && c.Err() == nil; n-- {
		name := r.name(c.U32())
		if r.version < versFilename2 {
			s, t, class, to := c.U32(), c.U32(), c.U32(), c.U32()
			put(s, t, class, name, to)
			continue
		}
		t, class := c.U32(), c.U32()
		for m := c.U32(); m > 0 && c.Err() == nil; m-- {
			sources := r.bitmap()
			to := c.U32()
			for _, s := range sources {
				if c.Err() != nil {
					break
				}
				put(s+1, t, class, name, to)
			}
		}
	}
}

// initialSIDs are the names of the kernel's own labels (security/selinux/include/initial_sid_to_string.h), by number.
var initialSIDs = [...]string{"", "kernel", "security", "unlabeled", "fs", "file", "file_labels", "init", "any_socket", "port", "netif", "netmsg",
	"node", "igmp_packet", "icmp_socket", "tcp_socket", "sysctl_modprobe", "sysctl", "sysctl_fs", "sysctl_kernel", "sysctl_net", "sysctl_net_unix",
	"sysctl_vm", "sysctl_dev", "kmod", "policy", "scmp_packet", "devnull"}

// contexts reads the labels of what the kernel knows without files.
func (r *reader) contexts(kinds int) {
	const (
		sid = iota // OCON_ISID and what follows in policydb.h
		fs
		port
		netif
		node
		fsUse
		node6
		partition
		endPort
	)
	c, p := &r.cur, r.p
	for kind := range kinds {
		for n := c.U32(); n > 0 && c.Err() == nil; n-- {
			switch kind {
			case sid:
				number := c.U32()
				name := strconv.Itoa(int(number))
				if int64(number) < int64(len(initialSIDs)) {
					name = initialSIDs[number]
				}
				p.InitialSIDs = append(p.InitialSIDs, Label{name, r.label()})
				continue
			case fs, netif:
				c.Skip(int64(c.U32()))
				r.label()
			case port:
				c.Skip(12)
			case node:
				c.Skip(8)
			case fsUse:
				c.U32() // by attributes, task or transition
				name := r.name(c.U32())
				p.FSUse = append(p.FSUse, Label{name, r.label()})
				continue
			case node6:
				c.Skip(32)
			case partition:
				c.Skip(16)
			case endPort:
				size := c.U32()
				c.Skip(4 + int64(size))
			}
			r.label()
		}
	}
}

func (r *reader) genfs() {
	c, p := &r.cur, r.p
	for n := c.U32(); n > 0 && c.Err() == nil; n-- {
		fs := r.name(c.U32())
		for m := c.U32(); m > 0 && c.Err() == nil; m-- {
			path := r.name(c.U32())
			c.U32() // class
			l := Label{fs + " " + path, r.label()}
			if len(fs) > 255 { // NAME_MAX; else a long one would be copied for each path
				c.Fail("a file system's name of %d bytes", len(fs))
			}
			p.Genfs = append(p.Genfs, l)
		}
	}
}

// attributes reads the table of who is in which attribute.
func (r *reader) attributes() {
	c, p := &r.cur, r.p
	of := table{start: make([]uint32, 1, len(p.names)+1)}
	for t := range p.names {
		set := r.bitmap()
		if c.Err() != nil {
			return
		}
		set = append(set, uint32(t))
		slices.Sort(set)
		for i, a := range set {
			if i > 0 && set[i-1] == a {
				continue
			}
			if int(a) >= len(p.names) {
				c.Fail("type %d is in the attribute %d, which there is not", t+1, a+1)
				return
			}
			of.list = append(of.list, Type(a))
		}
		of.start = append(of.start, uint32(len(of.list)))
	}
	p.of = of
}
