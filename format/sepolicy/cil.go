package sepolicy

import (
	"cmp"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"gifthorse/internal/cursor"
)

// A File is one file of policy text.
type File struct {
	Name string // for errors
	Text []byte
}

const (
	// maxDepth is that of the platform's parser (CIL_PARSER_MAX_EXPR_DEPTH).
	maxDepth = 1 << 12
	// maxBitmaps bounds the words of 64 bits that the sets of all attributes take, 64 MiB; shipped policy needs 3 MiB.
	maxBitmaps = 8 << 20
	// maxWork bounds how many such words are looked at while sets are worked out; shipped policy needs a million.
	maxWork = 1 << 26
	// maxFunctions bounds the drivers that rules about ioctls name, each with 36 bytes; shipped policy has some 1000.
	maxFunctions = 1 << 18
)

// ReadCIL reads policy text, linked as if all files were one. A name that is used and nowhere declared is an error, as it is to
// the platform's compiler: of a phone all files are needed. What of the language is not read is named in Unread.
func ReadCIL(files ...File) (*Policy, error) {
	l := &linker{p: &Policy{HandleUnknown: "deny", byName: map[string]Type{}, byClass: map[string]Class{}}, sets: map[Type][]*statement{},
		commons: map[string][]string{}, permissions: map[string][]*statement{}, aliases: map[string]string{}, unread: map[string]int{}, constrained: map[Class]int{}}
	texts := make([]string, len(files))
	for i, f := range files {
		texts[i] = string(f.Text)
	}
	for _, phase := range []struct {
		read func(*statement) error
		then func() error
	}{{l.declare, l.settleAliases}, {l.join, l.settleAttributes}, {l.use, func() error { l.p.index(); return nil }}} {
		for i, f := range files {
			if err := each(f.Name, texts[i], phase.read); err != nil {
				return nil, err
			}
		}
		if err := phase.then(); err != nil {
			return nil, err
		}
	}
	return l.p, nil
}

// A node is a word or a list of a statement.
type node struct {
	word string // "" of a list
	off  int
	kid  int32 // of a list, its first node; 0 if it is empty
	next int32 // its next neighbour; 0 if none
	list bool
}

// A statement is one list at the top of a file. Its nodes are reused for the next.
type statement struct {
	file  string
	text  string
	nodes []node // 0 is not used; 1 is the statement itself
}

func (s *statement) errorf(i int32, format string, args ...any) error {
	return fmt.Errorf("%s: %w", s.file, cursor.Errorf(int64(s.nodes[i].off), format, args...))
}

// kids yields the nodes in a list.
func (s *statement) kids(i int32) func(yield func(int32) bool) {
	return func(yield func(int32) bool) {
		for k := s.nodes[i].kid; k != 0; k = s.nodes[k].next {
			if !yield(k) {
				return
			}
		}
	}
}

// arg returns the n-th node of a list, from 0, or 0, the number of an empty word.
func (s *statement) arg(i int32, n int) int32 {
	k := s.nodes[i].kid
	for ; n > 0 && k != 0; n-- {
		k = s.nodes[k].next
	}
	return k
}

func (s *statement) word(i int32) string { return s.nodes[i].word }

// each cuts a file into statements and gives them to read.
func each(file, text string, read func(*statement) error) error {
	s := &statement{file: file, text: text}
	var open []int32 // lists that are not closed
	var last []int32 // of each, its last node
	put := func(n node) error {
		if len(open) == 0 {
			if !n.list {
				return fmt.Errorf("%s: %w", s.file, cursor.Errorf(int64(n.off), "%q stands outside of a statement", clip(n.word)))
			}
			s.nodes = append(s.nodes[:0], node{}, n)
			return nil
		}
		top := len(open) - 1
		i := int32(len(s.nodes))
		s.nodes = append(s.nodes, n)
		if last[top] == 0 {
			s.nodes[open[top]].kid = i
		} else {
			s.nodes[last[top]].next = i
		}
		last[top] = i
		return nil
	}
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case ' ', '\t', '\n', '\r':
			i++
		case ';':
			n := strings.IndexByte(text[i:], '\n')
			if n < 0 {
				n = len(text) - i
			}
			i += n
		case '(':
			if err := put(node{off: i, list: true}); err != nil {
				return err
			}
			if len(open) >= maxDepth {
				return fmt.Errorf("%s: %w", s.file, cursor.Errorf(int64(i), "lists in lists, more than %d", maxDepth))
			}
			open, last = append(open, int32(len(s.nodes)-1)), append(last, 0)
			i++
		case ')':
			if len(open) == 0 {
				return fmt.Errorf("%s: %w", s.file, cursor.Errorf(int64(i), "')' closes nothing"))
			}
			open, last = open[:len(open)-1], last[:len(last)-1]
			if i++; len(open) == 0 {
				if err := read(s); err != nil {
					return err
				}
			}
		case '"':
			n := strings.IndexByte(text[i+1:], '"')
			if n < 0 {
				return fmt.Errorf("%s: %w", s.file, cursor.Errorf(int64(i), "a string without end"))
			}
			if err := put(node{off: i, word: text[i+1 : i+1+n]}); err != nil {
				return err
			}
			i += n + 2
		default:
			n := strings.IndexAny(text[i:], " \t\n\r();\"")
			if n < 0 {
				n = len(text) - i
			}
			if err := put(node{off: i, word: text[i : i+n]}); err != nil {
				return err
			}
			i += n
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("%s: %w", s.file, cursor.Errorf(int64(len(text)), "a list without end"))
	}
	return nil
}

// passed are statements that say nothing about what this package answers, or nothing beside others.
var passed = map[string]bool{
	"role": true, "roletype": true, "roleallow": true, "roleattribute": true, "roleattributeset": true, "roletransition": true, "rolebounds": true,
	"user": true, "userrole": true, "userlevel": true, "userrange": true, "userbounds": true, "userprefix": true, "userattribute": true, "userattributeset": true,
	"selinuxuser": true, "selinuxuserdefault": true, "sensitivity": true, "sensitivityalias": true, "sensitivityaliasactual": true, "sensitivityorder": true,
	"sensitivitycategory": true, "category": true, "categoryalias": true, "categoryaliasactual": true, "categoryorder": true, "categoryset": true,
	"level": true, "levelrange": true, "rangetransition": true, "validatetrans": true, "mlsvalidatetrans": true,
	"policycap": true, "sid": true, "sidorder": true, "classorder": true, "unordered": true, "expandtypeattribute": true, "typebounds": true,
	"typechange": true, "typemember": true, "defaultuser": true, "defaultrole": true, "defaulttype": true, "defaultrange": true, "context": true,
	"portcon": true, "nodecon": true, "netifcon": true, "ibpkeycon": true, "ibendportcon": true, "ipaddr": true, "filecon": true,
	"pirqcon": true, "iomemcon": true, "ioportcon": true, "pcidevicecon": true, "devicetreecon": true,
}

type linker struct {
	p           *Policy
	sets        map[Type][]*statement // what is in an attribute
	commons     map[string][]string
	permissions map[string][]*statement // sets of permissions that have a name
	aliases     map[string]string
	unread      map[string]int // the index in p.Unread
	constrained map[Class]int  // terms of the constraints of each

	bitmaps [][]uint64 // of each attribute, which types are in it
	state   []uint8    // of each attribute: begun, done
	words   int        // of a bitmap
	spare   [][]uint64
	work    int
	depth   int
}

// declare reads what gives names.
func (l *linker) declare(s *statement) error {
	p := l.p
	name := s.word(s.arg(1, 1))
	switch head := s.word(s.arg(1, 0)); head {
	case "type", "typeattribute":
		if name == "" {
			return s.errorf(1, "a %s without a name", head)
		}
		if _, ok := p.byName[name]; ok {
			return nil // the platform's own compiler is told to allow this (secilc -m)
		}
		if len(p.names) >= maxTypes {
			return s.errorf(1, "more than %d types and attributes", maxTypes)
		}
		name = strings.Clone(name)
		p.byName[name] = Type(len(p.names))
		p.names = append(p.names, name)
		p.attribute = append(p.attribute, head == "typeattribute")
	case "typealiasactual":
		l.aliases[strings.Clone(name)] = strings.Clone(s.word(s.arg(1, 2)))
	case "common":
		perms, err := l.permList(s, s.arg(1, 2), nil)
		if err != nil {
			return err
		}
		l.commons[strings.Clone(name)] = perms
	case "class":
		if _, ok := p.byClass[name]; ok || name == "" {
			return nil
		}
		if len(p.classes) >= maxClasses {
			return s.errorf(1, "more than %d classes", maxClasses)
		}
		k := class{name: strings.Clone(name)}
		var err error
		if k.perms, err = l.permList(s, s.arg(1, 2), nil); err != nil {
			return err
		}
		p.byClass[k.name] = Class(len(p.classes))
		p.classes = append(p.classes, k)
	case "handleunknown":
		p.HandleUnknown = strings.Clone(name)
	case "mls":
		p.MLS = name == "true"
	}
	return nil
}

func (l *linker) permList(s *statement, list int32, perms []string) ([]string, error) {
	for k := range s.kids(list) {
		if len(perms) >= maxPerms {
			return nil, s.errorf(k, "more than %d permissions", maxPerms)
		}
		perms = append(perms, strings.Clone(s.word(k)))
	}
	return perms, nil
}

// join reads what joins names.
func (l *linker) join(s *statement) error {
	p := l.p
	name := s.word(s.arg(1, 1))
	switch s.word(s.arg(1, 0)) {
	case "typeattributeset":
		t, ok := p.byName[name]
		if !ok || !p.attribute[t] || s.arg(1, 2) == 0 {
			return s.errorf(1, "%q is no attribute", clip(name))
		}
		l.sets[t] = append(l.sets[t], s.keep())
	case "classpermissionset":
		name = strings.Clone(name)
		l.permissions[name] = append(l.permissions[name], s.keep())
	case "classcommon":
		c, ok := p.byClass[name]
		common, ok2 := l.commons[s.word(s.arg(1, 2))]
		if !ok || !ok2 {
			return s.errorf(1, "there is no class %q or no common %q", clip(name), clip(s.word(s.arg(1, 2))))
		}
		if len(common)+len(p.classes[c].perms) > maxPerms {
			return s.errorf(1, "more than %d permissions", maxPerms)
		}
		p.classes[c].perms = slices.Concat(common, p.classes[c].perms)
	}
	return nil
}

// keep returns a copy of s that outlives the reading of its file.
func (s *statement) keep() *statement {
	return &statement{s.file, s.text, slices.Clone(s.nodes)}
}

func (l *linker) settleAliases() error {
	actual := map[string]Type{}
	for alias, name := range l.aliases {
		for range 16 { // an alias of an alias: nobody has more
			next, ok := l.aliases[name]
			if !ok {
				break
			}
			name = next
		}
		t, ok := l.p.byName[name]
		if _, taken := l.p.byName[alias]; ok && !taken {
			actual[alias] = t
		}
	}
	maps.Copy(l.p.byName, actual)
	return nil
}

// settleAttributes works out who is in which attribute.
func (l *linker) settleAttributes() error {
	p := l.p
	n := len(p.names)
	l.words = (n + 63) / 64
	l.bitmaps, l.state = make([][]uint64, n), make([]uint8, n)
	total, memory := 0, 0
	for t := range n {
		if !p.attribute[t] {
			continue
		}
		if memory += l.words; memory > maxBitmaps {
			return fmt.Errorf("%d attributes of %d types: %w", t, n, cursor.Errorf(0, "attributes too large"))
		}
		set, err := l.attribute(Type(t))
		if err != nil {
			return err
		}
		for _, w := range set {
			total += bits.OnesCount64(w)
		}
		if total > maxMembers {
			return cursor.Errorf(0, "the attributes have more than %d members", maxMembers)
		}
	}
	// The members of each attribute in order give the attributes of each type in order.
	p.of.start = make([]uint32, n+1)
	for a := range n {
		for t := range l.in(Type(a)) {
			p.of.start[t+1]++
		}
	}
	for i := range n {
		p.of.start[i+1] += p.of.start[i]
	}
	p.of.list = make([]Type, p.of.start[n])
	next := slices.Clone(p.of.start)
	for a := range n {
		for t := range l.in(Type(a)) {
			p.of.list[next[t]] = Type(a)
			next[t]++
		}
	}
	p.turn()
	return nil
}

// in yields the types in an attribute, and what is set itself.
func (l *linker) in(a Type) func(func(Type) bool) {
	return func(yield func(Type) bool) {
		if !yield(a) {
			return
		}
		for i, w := range l.bitmaps[a] {
			for ; w != 0; w &= w - 1 {
				if !yield(Type(i<<6 + bits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}

// attribute returns the types in an attribute.
func (l *linker) attribute(t Type) ([]uint64, error) {
	const begun, done = 1, 2
	switch l.state[t] {
	case done:
		return l.bitmaps[t], nil
	case begun:
		return nil, cursor.Errorf(0, "the attribute %q is in itself", clip(l.p.names[t]))
	}
	l.state[t] = begun
	set := make([]uint64, l.words)
	for _, s := range l.sets[t] {
		if err := l.types(s, s.arg(1, 2), set); err != nil {
			return nil, err
		}
	}
	delete(l.sets, t)
	l.bitmaps[t], l.state[t] = set, done
	return set, nil
}

// types adds to set what an expression stands for.
func (l *linker) types(s *statement, i int32, set []uint64) error {
	if l.work += l.words; l.work > maxWork {
		return s.errorf(i, "the attributes take too long to work out")
	}
	if l.depth++; l.depth > 1<<16 { // an attribute through each of the others
		return s.errorf(i, "attributes too deep")
	}
	defer func() { l.depth-- }()
	if n := &s.nodes[i]; !n.list {
		t, ok := l.p.byName[n.word]
		switch {
		case n.word == "all":
			l.all(set)
		case !ok:
			return s.errorf(i, "%q is declared nowhere", clip(n.word))
		case l.p.attribute[t]:
			other, err := l.attribute(t)
			if err != nil {
				return err
			}
			for j, w := range other {
				set[j] |= w
			}
		default:
			set[t>>6] |= 1 << (t & 63)
		}
		return nil
	}
	op := s.nodes[i].kid
	switch s.word(op) {
	case "and", "or", "xor", "not":
	case "all":
		l.all(set)
		return nil
	default: // a list of names
		for k := range s.kids(i) {
			if err := l.types(s, k, set); err != nil {
				return err
			}
		}
		return nil
	}
	result, operand := l.empty(), l.empty()
	defer func() { l.spare = append(l.spare, result, operand) }()
	first := true
	for k := s.nodes[op].next; k != 0; k = s.nodes[k].next {
		clear(operand)
		if err := l.types(s, k, operand); err != nil {
			return err
		}
		combine(s.word(op), first, result, operand)
		first = false
	}
	if s.word(op) == "not" {
		l.all(operand)
		for j, w := range operand {
			result[j] = w &^ result[j]
		}
	}
	for j, w := range result {
		set[j] |= w
	}
	return nil
}

func combine(op string, first bool, result, operand []uint64) {
	for j, w := range operand {
		switch {
		case first || op == "or" || op == "not":
			result[j] |= w
		case op == "and":
			result[j] &= w
		default:
			result[j] ^= w
		}
	}
}

func (l *linker) empty() []uint64 {
	if n := len(l.spare); n > 0 {
		set := l.spare[n-1]
		l.spare = l.spare[:n-1]
		clear(set)
		return set
	}
	return make([]uint64, l.words)
}

func (l *linker) all(set []uint64) {
	for t, attribute := range l.p.attribute {
		if !attribute {
			set[t>>6] |= 1 << (t & 63)
		}
	}
}

var kinds = map[string]Kind{"allow": Allow, "auditallow": AuditAllow, "dontaudit": DontAudit, "allowx": AllowX, "auditallowx": AuditAllowX,
	"dontauditx": DontAuditX, "neverallow": Never, "neverallowx": NeverX}

// use reads what needs all names.
func (l *linker) use(s *statement) error {
	p := l.p
	head := s.word(s.arg(1, 0))
	if kind, ok := kinds[head]; ok {
		return l.rule(s, kind)
	}
	switch head {
	case "typetransition":
		return l.transition(s)
	case "typepermissive":
		t, err := l.typ(s, s.arg(1, 1))
		if err != nil {
			return err
		}
		p.permissive = append(p.permissive, p.Members(t)...)
		return l.enough(s)
	case "constrain", "mlsconstrain":
		c, set, err := l.classPerms(s, s.arg(1, 1))
		if err != nil {
			return err
		}
		k := constraint{class: c, perms: set}
		if err := l.terms(s, s.arg(1, 2), &k); err != nil {
			return err
		}
		if !p.put(k, l.constrained) {
			return s.errorf(1, "the constraints of a class have more than %d terms", maxTerms)
		}
		return nil
	case "sidcontext":
		return l.label(s, &p.InitialSIDs, s.word(s.arg(1, 1)), 2)
	case "fsuse":
		return l.label(s, &p.FSUse, s.word(s.arg(1, 2)), 3)
	case "genfscon":
		at := 3
		if !s.nodes[s.arg(1, 3)].list {
			at = 4 // a kind of file stands before the context
		}
		fs := s.word(s.arg(1, 1))
		if len(fs) > 255 {
			return s.errorf(1, "a file system's name of %d bytes", len(fs))
		}
		return l.label(s, &p.Genfs, fs+" "+s.word(s.arg(1, 2)), at)
	case "type", "typeattribute", "typealias", "typealiasactual", "common", "class", "handleunknown", "mls", "typeattributeset", "classpermission",
		"classpermissionset", "classcommon":
		return nil
	}
	if !passed[head] {
		l.note(s, head)
	}
	return nil
}

// note says that a statement was not read.
func (l *linker) note(s *statement, what string) {
	what = strings.Clone(clip(what))
	i, ok := l.unread[what]
	if !ok {
		if i = len(l.p.Unread); i >= 100 { // kinds of statements: the language has not that many
			return
		}
		l.unread[what] = i
		l.p.Unread = append(l.p.Unread, Unread{what, s.file, 1 + strings.Count(s.text[:s.nodes[1].off], "\n"), 0})
	}
	l.p.Unread[i].Count++
}

func (l *linker) enough(s *statement) error {
	p := l.p
	if len(p.rules)+len(p.never) > maxRules || len(p.permissive) > maxRules || len(p.Transitions) > maxTransitions || len(p.xperms) > maxFunctions {
		return s.errorf(1, "the policy grows too large")
	}
	return nil
}

func (l *linker) typ(s *statement, i int32) (Type, error) {
	t, ok := l.p.byName[s.word(i)]
	if !ok {
		return 0, s.errorf(cmp.Or(i, 1), "%q is declared nowhere", clip(s.word(i)))
	}
	return t, nil
}

// label reads a context that stands in the statement itself; one that has a name is not read.
func (l *linker) label(s *statement, to *[]Label, name string, at int) error {
	context := s.arg(1, at)
	if !s.nodes[context].list {
		l.note(s, "a context by name")
		return nil
	}
	t, err := l.typ(s, s.arg(context, 2))
	if err == nil {
		*to = append(*to, Label{strings.Clone(name), t})
	}
	return err
}

func (l *linker) rule(s *statement, kind Kind) error {
	p := l.p
	source, err := l.typ(s, s.arg(1, 1))
	if err != nil {
		return err
	}
	self, target := false, source
	switch s.word(s.arg(1, 2)) {
	case "self":
		self = true
	case "notself", "other":
		l.note(s, "a rule on "+s.word(s.arg(1, 2)))
		return nil
	default:
		if target, err = l.typ(s, s.arg(1, 2)); err != nil {
			return err
		}
	}
	to := &p.rules
	if kind >= Never {
		to = &p.never
	}
	put := func(c Class, data uint32) {
		if !self {
			*to = append(*to, Rule{source, target, c, kind, data})
			return
		}
		for _, t := range p.Members(source) {
			*to = append(*to, Rule{t, t, c, kind, data})
		}
	}
	if kind.extended() {
		if err := l.ioctls(s, s.arg(1, 3), put); err != nil {
			return err
		}
		return l.enough(s)
	}
	what := s.arg(1, 3)
	if what != 0 && !s.nodes[what].list {
		sets, ok := l.permissions[s.word(what)]
		if !ok {
			return s.errorf(what, "%q is declared nowhere", clip(s.word(what)))
		}
		for _, named := range sets {
			c, set, err := l.classPerms(named, named.arg(1, 2))
			if err != nil {
				return err
			}
			put(c, uint32(set))
			if err := l.enough(s); err != nil {
				return err
			}
		}
		return nil
	}
	c, set, err := l.classPerms(s, what)
	if err != nil {
		return err
	}
	put(c, uint32(set))
	return l.enough(s)
}

func (l *linker) class(s *statement, i int32) (Class, error) {
	c, ok := l.p.byClass[s.word(i)]
	if !ok {
		return 0, s.errorf(cmp.Or(i, 1), "there is no class %q", clip(s.word(i)))
	}
	return c, nil
}

// classPerms reads "(class (permission ...))".
func (l *linker) classPerms(s *statement, i int32) (Class, Perms, error) {
	c, err := l.class(s, s.arg(i, 0))
	if err != nil {
		return 0, 0, err
	}
	set, err := l.perms(s, s.arg(i, 1), c)
	return c, set, err
}

func (l *linker) perms(s *statement, i int32, c Class) (set Perms, err error) {
	all := Perms(uint64(1)<<len(l.p.classes[c].perms) - 1)
	if n := &s.nodes[i]; !n.list {
		if n.word == "all" {
			return all, nil
		}
		if set = l.p.Perm(c, n.word); set == 0 {
			return 0, s.errorf(cmp.Or(i, 1), "the class %q has no permission %q", clip(l.p.classes[c].name), clip(n.word))
		}
		return set, nil
	}
	op, k := s.word(s.nodes[i].kid), s.nodes[i].kid
	switch op {
	case "all":
		return all, nil
	case "and", "or", "xor", "not":
		k = s.nodes[k].next
	}
	for first := true; k != 0; k, first = s.nodes[k].next, false {
		v, err := l.perms(s, k, c)
		switch {
		case err != nil:
			return 0, err
		case first:
			set = v
		case op == "and":
			set &= v
		case op == "xor":
			set ^= v
		default:
			set |= v
		}
	}
	if op == "not" {
		set = all &^ set
	}
	return set, nil
}

// ioctls reads "(ioctl class (number (range low high) ...))" and puts a rule for all drivers that are named whole and one for each
// of which some numbers are, as the compiler does.
func (l *linker) ioctls(s *statement, i int32, put func(Class, uint32)) error {
	p := l.p
	kind := s.word(s.arg(i, 0))
	if !s.nodes[i].list || kind != "ioctl" && kind != "nlmsg" {
		l.note(s, "a rule on permissions by name")
		return nil
	}
	c, err := l.class(s, s.arg(i, 1))
	if err != nil {
		return err
	}
	var set [1 << 10]uint64
	if err := l.numbers(s, s.arg(i, 2), set[:]); err != nil {
		return err
	}
	whole := xperm{what: xpermDriver}
	for driver := range 256 {
		w := set[driver*4 : driver*4+4]
		if w[0]|w[1]|w[2]|w[3] == 0 {
			continue
		}
		x := xperm{what: xpermFunction, driver: uint8(driver)}
		if kind == "nlmsg" {
			x.what = xpermNetlink
		} else if w[0]&w[1]&w[2]&w[3] == ^uint64(0) {
			whole.bits[driver>>5] |= 1 << (driver & 31)
			continue
		}
		for j, v := range w {
			x.bits[2*j], x.bits[2*j+1] = uint32(v), uint32(v>>32)
		}
		p.xperms = append(p.xperms, x)
		put(c, uint32(len(p.xperms)-1))
		if err := l.enough(s); err != nil {
			return err
		}
	}
	if whole.bits != [8]uint32{} {
		p.xperms = append(p.xperms, whole)
		put(c, uint32(len(p.xperms)-1))
	}
	return nil
}

// numbers adds to set what an expression of ioctl numbers stands for.
func (l *linker) numbers(s *statement, i int32, set []uint64) error {
	number := func(i int32) (int, error) {
		v, err := strconv.ParseUint(s.word(i), 0, 16)
		if err != nil {
			return 0, s.errorf(cmp.Or(i, 1), "%q is no ioctl number", clip(s.word(i)))
		}
		return int(v), nil
	}
	if !s.nodes[i].list {
		v, err := number(i)
		if err != nil {
			return err
		}
		set[v>>6] |= 1 << (v & 63)
		return nil
	}
	op, k := s.word(s.nodes[i].kid), s.nodes[i].kid
	switch op {
	case "all":
		for j := range set {
			set[j] = ^uint64(0)
		}
		return nil
	case "range":
		low, err := number(s.arg(i, 1))
		if err != nil {
			return err
		}
		high, err := number(s.arg(i, 2))
		if err != nil {
			return err
		}
		for v := low; v <= high; v++ {
			set[v>>6] |= 1 << (v & 63)
		}
		return nil
	case "and", "or", "xor", "not":
	default:
		for ; k != 0; k = s.nodes[k].next {
			if err := l.numbers(s, k, set); err != nil {
				return err
			}
		}
		return nil
	}
	if l.work += 16 * len(set); l.work > maxWork { // with what making the sets costs
		return s.errorf(i, "the ioctls take too long to work out")
	}
	result, operand := make([]uint64, len(set)), make([]uint64, len(set))
	first := true
	for k = s.nodes[k].next; k != 0; k = s.nodes[k].next {
		l.work += len(set)
		clear(operand)
		if err := l.numbers(s, k, operand); err != nil {
			return err
		}
		combine(op, first, result, operand)
		first = false
	}
	for j, w := range result {
		if op == "not" {
			w = ^w
		}
		set[j] |= w
	}
	return nil
}

func (l *linker) transition(s *statement) error {
	p := l.p
	source, err := l.typ(s, s.arg(1, 1))
	if err != nil {
		return err
	}
	target, self := source, s.word(s.arg(1, 2)) == "self"
	if !self {
		if target, err = l.typ(s, s.arg(1, 2)); err != nil {
			return err
		}
	}
	c, err := l.class(s, s.arg(1, 3))
	if err != nil {
		return err
	}
	name, last := "", s.arg(1, 4)
	if next := s.nodes[last].next; next != 0 {
		if last, name = next, strings.Clone(s.word(last)); name == "*" {
			name = ""
		}
	}
	to, err := l.typ(s, last)
	if err != nil {
		return err
	}
	for _, from := range p.Members(source) {
		targets := p.Members(target)
		if self {
			targets = p.Members(from)
		}
		for _, t := range targets {
			p.Transitions = append(p.Transitions, Transition{from, t, c, name, to})
		}
		if err := l.enough(s); err != nil {
			return err
		}
	}
	return nil
}

// terms appends an expression of a constraint to k, operands first.
func (l *linker) terms(s *statement, i int32, k *constraint) error {
	op, left := s.word(s.arg(i, 0)), s.word(s.arg(i, 1))
	switch op {
	case "and", "or", "not":
		kind := map[string]uint8{"and": termAnd, "or": termOr, "not": termNot}[op]
		n := 0
		for e := s.nodes[s.arg(i, 0)].next; e != 0; e = s.nodes[e].next {
			if err := l.terms(s, e, k); err != nil {
				return err
			}
			if n++; n > 1 && kind != termNot {
				k.terms = append(k.terms, term{kind: kind})
			}
		}
		if kind == termNot {
			k.terms = append(k.terms, term{kind: kind})
		}
		return nil
	}
	ops := map[string]uint8{"eq": termEqual, "neq": termUnequal, "dom": termDominates, "domby": termDominated, "incomp": termIncomparable}
	e := term{kind: termAttr, op: ops[op]}
	right := s.arg(i, 2)
	if e.op == 0 || right == 0 {
		return s.errorf(cmp.Or(i, 1), "%q compares nothing", clip(op))
	}
	levels := map[string]uint16{"l1 l2": attrL1L2, "l1 h2": attrL1H2, "h1 l2": attrH1L2, "h1 h2": attrH1H2, "l1 h1": attrL1H1, "l2 h2": attrL2H2, "t1 t2": attrType}
	switch {
	case levels[left+" "+s.word(right)] != 0:
		e.attr = levels[left+" "+s.word(right)]
	case left == "t1" || left == "t2":
		if e.kind, e.attr = termNames, attrType; left == "t2" {
			e.attr |= attrTarget
		}
		set := l.empty()
		defer func() { l.spare = append(l.spare, set) }()
		if err := l.types(s, right, set); err != nil {
			return err
		}
		for j, w := range set {
			for ; w != 0; w &= w - 1 {
				e.types = append(e.types, Type(j<<6+bits.TrailingZeros64(w)))
			}
		}
		if l.work += len(e.types); l.work > maxWork {
			return s.errorf(i, "the constraints take too long to work out")
		}
	default:
		e.attr = attrUser // users and roles: see Policy.Denied
	}
	k.terms = append(k.terms, e)
	return nil
}
