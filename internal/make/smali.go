package make

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// A class, field, method and so on as the text has them. Strings are in modified UTF-8, references in the
// notation of smali; index numbers come later, in dex.go.
type class struct {
	name, super string
	source      string
	hasSource   bool
	flags       uint32
	interfaces  []string
	annos       []annotation
	fields      []*field
	methods     []*method
	file        string
	line        int
}

type field struct {
	fieldRef
	flags uint32
	value *value // initial value of a static field
	annos []annotation
	line  int
}

type method struct {
	methodRef
	flags      uint32
	annos      []annotation
	params     []param
	registers  int
	ins        int
	code       []*insn
	size       uint32 // code units so far
	labels     map[string]uint32
	catches    []catch
	debug      []debugOp
	hasLine    bool
	paramAnnos bool
	hasCode    bool
	line       int
}

type param struct {
	register int
	name     *string
	annos    []annotation
}

type insn struct {
	op      *opcode // nil for a payload
	regs    []int
	lit     int64
	label   string
	ref     value
	proto   value // second reference of invoke-polymorphic
	payload *payload
	pc      uint32
	line    int
}

// A payload is the data of a switch or of fill-array-data.
type payload struct {
	ident  uint16
	keys   []int32 // first key only, for a packed switch
	labels []string
	width  uint16
	data   []byte
	base   *insn // the instruction that uses it
}

// First code unit of a payload.
const (
	identPacked = 0x100
	identSparse = 0x200
	identArray  = 0x300
)

type catch struct {
	typ                 string // empty for catchall
	start, end, handler string
	line                int
}

// A debugOp is one step of the debug information, at a code address.
type debugOp struct {
	op        byte
	pc        uint32
	reg       int
	line      uint32
	name, typ *string
	sig       *string
}

type annotation struct {
	visibility byte
	typ        string
	elems      []element
	line       int
}

type element struct {
	name  string
	value value
}

type fieldRef struct{ class, name, typ string }
type methodRef struct{ class, name, proto string }

// Types of an encoded value, as "Dalvik executable format" numbers them, and one of our own for call sites.
const (
	valueByte       = 0x00
	valueShort      = 0x02
	valueChar       = 0x03
	valueInt        = 0x04
	valueLong       = 0x06
	valueFloat      = 0x10
	valueDouble     = 0x11
	valueProto      = 0x15
	valueHandle     = 0x16
	valueString     = 0x17
	valueType       = 0x18
	valueField      = 0x19
	valueMethod     = 0x1a
	valueEnum       = 0x1b
	valueArray      = 0x1c
	valueAnnotation = 0x1d
	valueNull       = 0x1e
	valueBoolean    = 0x1f
	valueCallSite   = 0xff
)

// A value is anything a literal, an annotation or an instruction can name.
type value struct {
	kind   byte
	bits   int64      // numbers
	str    string     // string, type, proto; name of a call site
	field  fieldRef   // field, enum, handle of a field
	method methodRef  // method, handle of a method
	handle byte       // kind of handle
	elems  []value    // array, call site
	anno   annotation // annotation
}

var handleKinds = []string{"static-put", "static-get", "instance-put", "instance-get", "invoke-static",
	"invoke-instance", "invoke-constructor", "invoke-direct", "invoke-interface"}

const (
	accPrivate     = 0x2
	accStatic      = 0x8
	accInterface   = 0x200
	accAbstract    = 0x400
	accNative      = 0x100
	accConstructor = 0x10000
)

var accessFlags = map[string]uint32{"public": 1, "private": accPrivate, "protected": 4, "static": accStatic, "final": 0x10,
	"synchronized": 0x20, "volatile": 0x40, "bridge": 0x40, "transient": 0x80, "varargs": 0x80, "native": accNative,
	"interface": accInterface, "abstract": accAbstract, "strictfp": 0x800, "synthetic": 0x1000, "annotation": 0x2000,
	"enum": 0x4000, "constructor": accConstructor, "declared-synchronized": 0x20000}

// maxNesting bounds arrays and annotations inside each other: deeper than any compiler writes, and shallow
// enough for the stack.
const maxNesting = 100

type parser struct {
	file    string
	toks    []token
	pos     int
	class   *class
	method  *method
	pending []token // labels waiting for the next instruction
	depth   int
}

// parse reads the classes of one file.
func parse(file, text string) []*class {
	p := &parser{file: file, toks: lex(file, text)}
	var classes []*class
	for p.peek().kind != 0 {
		classes = append(classes, p.parseClass())
	}
	return classes
}

func (p *parser) peek() token { return p.toks[p.pos] }

func (p *parser) next() token {
	t := p.toks[p.pos]
	if t.kind != 0 {
		p.pos++
	}
	return t
}

func (p *parser) fail(format string, args ...any) {
	fail(p.file, p.toks[max(0, p.pos-1)].line, format, args...)
}

func (p *parser) want(kind byte) string {
	t := p.next()
	if t.kind != kind {
		what := map[byte]string{'w': "a word", 's': "a string", 'c': "a character"}[kind]
		if what == "" {
			what = strconv.Quote(string(rune(kind)))
		}
		p.fail("%s wanted, %s found", what, t)
	}
	return t.text
}

// is reports whether the next tokens are these words or marks, and passes over them if so.
func (p *parser) is(words ...string) bool {
	for i, w := range words {
		if p.pos+i >= len(p.toks) || p.toks[p.pos+i].text != w || p.toks[p.pos+i].kind == 's' || p.toks[p.pos+i].kind == 'c' {
			return false
		}
	}
	p.pos += len(words)
	return true
}

func (p *parser) expect(words ...string) {
	if !p.is(words...) {
		p.pos = min(p.pos+1, len(p.toks)-1)
		p.fail("%q wanted, %s found", strings.Join(words, " "), p.toks[p.pos-1])
	}
}

func (p *parser) word() string { return p.want('w') }

// typeEnd returns the length of the type descriptor at the start of s, or 0.
func typeEnd(s string) int {
	i := 0
	for i < len(s) && s[i] == '[' {
		i++
	}
	if i == len(s) || i > 255 {
		return 0
	}
	switch s[i] {
	case 'Z', 'B', 'S', 'C', 'I', 'J', 'F', 'D':
		return i + 1
	case 'V':
		if i == 0 {
			return 1
		}
	case 'L':
		if n := strings.IndexByte(s[i:], ';'); n > 1 {
			return i + n + 1
		}
	}
	return 0
}

func (p *parser) typ(s string) string {
	if s == "" || typeEnd(s) != len(s) {
		p.fail("%q is not a type", s)
	}
	return s
}

func (p *parser) className() string {
	s := p.typ(p.word())
	if s[0] != 'L' {
		p.fail("%q is not a class", s)
	}
	return s
}

// protoTypes splits "(args)ret".
func protoTypes(s string) (args []string, ret string, ok bool) {
	if s == "" || s[0] != '(' {
		return nil, "", false
	}
	s = s[1:]
	for s != "" && s[0] != ')' {
		n := typeEnd(s)
		if n == 0 || s[:n] == "V" {
			return nil, "", false
		}
		args = append(args, s[:n])
		s = s[n:]
	}
	if s == "" || len(s) == 1 || typeEnd(s[1:]) != len(s)-1 {
		return nil, "", false
	}
	return args, s[1:], true
}

func (p *parser) proto(s string) string {
	if _, _, ok := protoTypes(s); !ok {
		p.fail("%q is not a method prototype", s)
	}
	return s
}

// methodRef reads Lcls;->name(args)ret; without Lcls;-> the method is one of the present class.
func (p *parser) methodRef(s string) methodRef {
	cls, member, ok := strings.Cut(s, "->")
	if !ok {
		cls, member = p.class.name, s
	}
	i := strings.IndexByte(member, '(')
	if i <= 0 {
		p.fail("%q is not a method", s)
	}
	return methodRef{p.typ(cls), member[:i], p.proto(member[i:])}
}

// fieldRef reads Lcls;->name:type; without Lcls;-> the field is one of the present class.
func (p *parser) fieldRef(s string) fieldRef {
	cls, member, ok := strings.Cut(s, "->")
	if !ok {
		cls, member = p.class.name, s
	}
	i := strings.IndexByte(member, ':')
	if i <= 0 {
		p.fail("%q is not a field", s)
	}
	return fieldRef{p.typ(cls), member[:i], p.typ(member[i+1:])}
}

func (p *parser) handle(s string) value {
	kind, ref, _ := strings.Cut(s, "@")
	k := slices.Index(handleKinds, kind)
	if k < 0 {
		p.fail("%q is not a method handle", s)
	}
	v := value{kind: valueHandle, handle: byte(k)}
	if k < 4 {
		v.field = p.fieldRef(ref)
	} else {
		v.method = p.methodRef(ref)
	}
	return v
}

func (p *parser) parseClass() *class {
	p.expect(".class")
	c := &class{file: p.file, line: p.peek().line}
	p.class = c
	c.flags, c.name = p.access()
	p.typ(c.name)
	if c.name[0] != 'L' {
		p.fail("%q is not a class", c.name)
	}
	for {
		switch t := p.peek(); {
		case t.kind == 0 || t.text == ".class" && t.kind == 'w':
			return c
		case p.is(".super"):
			if c.super != "" {
				p.fail("a second .super")
			}
			c.super = p.className()
		case p.is(".implements"):
			c.interfaces = append(c.interfaces, p.className())
		case p.is(".source"):
			c.source, c.hasSource = p.want('s'), true
		case p.is(".annotation"):
			c.annos = append(c.annos, p.annotation())
		case p.is(".field"):
			c.fields = append(c.fields, p.parseField())
		case p.is(".method"):
			c.methods = append(c.methods, p.parseMethod())
		default:
			p.next()
			p.fail("%s is out of place in a class", t)
		}
	}
}

// access reads access flags up to the first word that is none, and returns that word too.
func (p *parser) access() (flags uint32, word string) {
	for {
		w := p.word()
		f, ok := accessFlags[w]
		if !ok {
			return flags, w
		}
		flags |= f
	}
}

// ownedAnnotations reads annotations that belong to the item before them only if ".end what" closes it;
// if not, they are the outer item's and go to *outer.
func (p *parser) ownedAnnotations(what string, outer *[]annotation) (own []annotation) {
	for p.is(".annotation") {
		own = append(own, p.annotation())
	}
	if p.is(".end", what) {
		return own
	}
	*outer = append(*outer, own...)
	return nil
}

func (p *parser) parseField() *field {
	f := &field{line: p.peek().line}
	var w string
	f.flags, w = p.access()
	f.fieldRef = p.fieldRef(w)
	if f.class != p.class.name {
		p.fail("field of another class")
	}
	if p.is("=") {
		if f.flags&accStatic == 0 {
			p.fail("only a static field has an initial value")
		}
		v := p.value()
		f.value = &v
	}
	f.annos = p.ownedAnnotations("field", &p.class.annos)
	return f
}

func (p *parser) annotation() annotation {
	a := annotation{line: p.peek().line}
	switch w := p.word(); w {
	case "build":
	case "runtime":
		a.visibility = 1
	case "system":
		a.visibility = 2
	default:
		p.fail("visibility %q: build, runtime or system wanted", w)
	}
	a.typ = p.className()
	a.elems = p.elements("annotation")
	return a
}

func (p *parser) elements(end string) (elems []element) {
	for !p.is(".end", end) {
		name := p.word()
		p.expect("=")
		for _, e := range elems {
			if e.name == name {
				p.fail("%s is given twice", name)
			}
		}
		elems = append(elems, element{name, p.value()})
	}
	return elems
}

// value reads what can stand after "=": a literal, a reference, an array, an annotation.
func (p *parser) value() value {
	if p.depth++; p.depth > maxNesting {
		p.fail("values nested too deep")
	}
	defer func() { p.depth-- }()
	t := p.next()
	s := t.text
	switch {
	case t.kind == 's':
		return value{kind: valueString, str: s}
	case t.kind == 'c':
		return value{kind: valueChar, bits: int64(firstUnit(s))}
	case t.kind == '{':
		v := value{kind: valueArray}
		for !p.is("}") {
			if len(v.elems) > 0 {
				p.expect(",")
			}
			v.elems = append(v.elems, p.value())
		}
		return v
	case t.kind != 'w':
		p.fail("a value wanted, %s found", t)
	case s == "null":
		return value{kind: valueNull}
	case s == ".enum":
		return value{kind: valueEnum, field: p.fieldRef(p.word())}
	case s == ".subannotation":
		a := annotation{typ: p.className(), line: t.line}
		a.elems = p.elements("subannotation")
		return value{kind: valueAnnotation, anno: a}
	case s[0] == '(':
		return value{kind: valueProto, str: p.proto(s)}
	}
	if kind, _, ok := strings.Cut(s, "@"); ok && slices.Contains(handleKinds, kind) {
		return p.handle(s)
	}
	if strings.Contains(s, "->") {
		if strings.Contains(s, "(") {
			return value{kind: valueMethod, method: p.methodRef(s)}
		}
		return value{kind: valueField, field: p.fieldRef(s)}
	}
	if kind, bits, ok := literal(s); ok {
		return value{kind: kind, bits: bits}
	}
	if typeEnd(s) == len(s) {
		return value{kind: valueType, str: s}
	}
	p.fail("%s is not a value", t)
	return value{}
}

// fits reads a literal of n bits, signed or unsigned, as an instruction has it.
func (p *parser) fits(n int) int64 {
	t := p.next()
	var v int64
	switch t.kind {
	case 'c':
		v = int64(firstUnit(t.text))
	case 'w':
		kind, bits, ok := literal(t.text)
		if !ok {
			p.fail("a number wanted, %s found", t)
		}
		if kind == valueFloat { // the bits of a float are those of an int
			bits = int64(int32(bits))
		}
		v = bits
	default:
		p.fail("a number wanted, %s found", t)
	}
	if n < 64 && (v < -1<<(n-1) || v >= 1<<n) {
		p.fail("%s does not fit %d bits", t.text, n)
	}
	return v << (64 - n) >> (64 - n)
}

func (p *parser) parseMethod() *method {
	m := &method{line: p.peek().line, labels: map[string]uint32{}}
	var w string
	m.flags, w = p.access()
	m.methodRef = p.methodRef(w)
	if m.class != p.class.name {
		p.fail("method of another class")
	}
	p.method, p.pending = m, nil
	if m.flags&accStatic == 0 {
		m.ins = 1
	}
	args, _, _ := protoTypes(m.proto)
	for _, a := range args {
		m.params = append(m.params, param{register: m.ins})
		m.ins += width(a)
	}
	if m.ins > 255 {
		p.fail("more than 255 registers of parameters")
	}
	p.countRegisters()
	for !p.is(".end", "method") {
		p.statement()
	}
	m.bind(p)
	if m.flags&(accAbstract|accNative) != 0 && m.hasCode {
		p.fail("an abstract or native method has no code")
	}
	if m.flags&(accAbstract|accNative) == 0 && len(m.code) == 0 {
		p.fail("a method that is neither abstract nor native needs code")
	}
	p.resolve()
	return m
}

func width(typ string) int {
	if typ == "J" || typ == "D" {
		return 2
	}
	return 1
}

// countRegisters looks ahead for .registers or .locals, which parameter registers are counted from.
func (p *parser) countRegisters() {
	m := p.method
	pos := p.pos
	defer func() { p.pos = pos }()
	for p.peek().kind != 0 && !p.is(".end", "method") {
		locals := p.is(".locals")
		if !locals && !p.is(".registers") {
			p.next()
			continue
		}
		n := int(p.fits(17))
		if locals {
			n += m.ins
		}
		if m.hasCode {
			p.fail("a second count of registers")
		}
		if n < m.ins || n > math.MaxUint16 {
			p.fail("%d registers, where %d are parameters", n, m.ins)
		}
		m.hasCode, m.registers = true, n
	}
}

// register reads vN or pN.
func (p *parser) register() int {
	w := p.word()
	n, err := strconv.ParseUint(w[1:], 10, 16)
	if err != nil || w[0] != 'v' && w[0] != 'p' {
		p.fail("%q is not a register", w)
	}
	r, m := int(n), p.method
	if w[0] == 'p' {
		if r >= m.ins {
			p.fail("%s: the parameters take %d registers", w, m.ins)
		}
		r += max(0, m.registers-m.ins)
	}
	if m.hasCode && r >= m.registers {
		p.fail("%s: the method has %d registers", w, m.registers)
	}
	return r
}

// registerOf reads a register that must fit n bits.
func (p *parser) registerOf(n int) int {
	r := p.register()
	if r >= 1<<n {
		p.fail("register %d does not fit %d bits of this instruction", r, n)
	}
	return r
}

func (p *parser) label() string {
	w := p.word()
	if w[0] != ':' || len(w) == 1 {
		p.fail("a label wanted, %q found", w)
	}
	return w
}

// bind gives the waiting labels the address of what comes next.
func (m *method) bind(p *parser) {
	for _, l := range p.pending {
		if _, ok := m.labels[l.text]; ok {
			fail(p.file, l.line, "label %s is defined twice", l.text)
		}
		m.labels[l.text] = m.size
	}
	p.pending = p.pending[:0]
}

func (p *parser) statement() {
	m := p.method
	t := p.next()
	if t.kind != 'w' {
		p.fail("%s is out of place in a method", t)
	}
	switch t.text {
	case ".registers", ".locals":
		p.next()
	case ".annotation":
		m.annos = append(m.annos, p.annotation())
	case ".param":
		p.parseParam()
	case ".catch", ".catchall":
		p.parseCatch(t)
	case ".packed-switch", ".sparse-switch", ".array-data":
		p.parsePayload(t)
	case ".prologue", ".epilogue", ".line", ".local", ".end", ".restart", ".source":
		p.parseDebug(t.text)
	default:
		if t.text[0] == ':' && len(t.text) > 1 {
			p.pending = append(p.pending, t)
			return
		}
		op := opcodes[t.text]
		if op == nil {
			p.fail("%s is not an instruction", t)
		}
		m.emit(p, &insn{op: op, line: t.line}, op.units())
		p.operands(m.code[len(m.code)-1])
	}
}

// emit adds an instruction of n code units.
func (m *method) emit(p *parser, in *insn, n uint32) {
	if !m.hasCode {
		p.fail("code needs .registers or .locals")
	}
	m.bind(p)
	in.pc = m.size
	m.size += n
	m.code = append(m.code, in)
}

func (p *parser) parseParam() {
	m := p.method
	reg := p.register()
	base := max(0, m.registers-m.ins)
	for i := range m.params {
		if q := &m.params[i]; q.register+base == reg {
			if p.is(",") {
				s := p.want('s')
				q.name = &s
			}
			q.annos = p.ownedAnnotations("param", &m.annos)
			m.paramAnnos = m.paramAnnos || len(q.annos) > 0
			return
		}
	}
	p.fail("register %d holds no parameter", reg)
}

func (p *parser) parseCatch(t token) {
	c := catch{line: t.line}
	if t.text == ".catch" {
		c.typ = p.typ(p.word())
	}
	p.expect("{")
	c.start = p.label()
	p.expect("..")
	c.end = p.label()
	p.expect("}")
	c.handler = p.label()
	p.method.catches = append(p.method.catches, c)
}

// Opcodes of the debug information, "Dalvik executable format", debug_info_item.
const (
	debugEndSequence   = 0x00
	debugAdvancePC     = 0x01
	debugAdvanceLine   = 0x02
	debugStartLocal    = 0x03
	debugStartLocalExt = 0x04
	debugEndLocal      = 0x05
	debugRestartLocal  = 0x06
	debugPrologueEnd   = 0x07
	debugEpilogueBegin = 0x08
	debugSetFile       = 0x09
	debugFirstSpecial  = 0x0a
)

func (p *parser) parseDebug(directive string) {
	m := p.method
	d := debugOp{pc: m.size}
	switch directive {
	case ".prologue":
		d.op = debugPrologueEnd
	case ".epilogue":
		d.op = debugEpilogueBegin
	case ".source":
		s := p.want('s')
		d.op, d.name = debugSetFile, &s
	case ".line":
		d.op, d.line = debugFirstSpecial, uint32(p.fits(32))
		m.hasLine = true
	case ".end":
		p.expect("local")
		d.op, d.reg = debugEndLocal, p.register()
	case ".restart":
		p.expect("local")
		d.op, d.reg = debugRestartLocal, p.register()
	case ".local":
		d.op, d.reg = debugStartLocal, p.register()
		if p.is(",") {
			if !p.is("null") && p.peek().text != "null:V" {
				s := p.want('s')
				d.name = &s
			}
			typ := strings.TrimPrefix(p.word(), "null")
			if !strings.HasPrefix(typ, ":") {
				p.fail("a colon and a type wanted, %q found", typ)
			}
			if typ = p.typ(typ[1:]); typ != "V" {
				d.typ = &typ
			}
			if p.is(",") {
				s := p.want('s')
				d.op, d.sig = debugStartLocalExt, &s
			}
		}
	}
	if m.flags&(accAbstract|accNative) != 0 {
		p.fail("%s in a method without code", directive)
	}
	m.debug = append(m.debug, d)
}

func (p *parser) parsePayload(t token) {
	m := p.method
	if m.size%2 != 0 { // payloads are four-byte aligned
		labels := p.pending
		p.pending = nil
		m.emit(p, &insn{op: opcodes["nop"], line: t.line}, 1)
		p.pending = labels
	}
	d := &payload{}
	var size int
	switch t.text {
	case ".packed-switch":
		d.ident = identPacked
		d.keys = []int32{int32(p.fits(32))}
		for !p.is(".end", "packed-switch") {
			d.labels = append(d.labels, p.label())
		}
		size = 4 + 2*len(d.labels)
	case ".sparse-switch":
		d.ident = identSparse
		type target struct {
			key   int32
			label string
		}
		var targets []target
		for !p.is(".end", "sparse-switch") {
			k := int32(p.fits(32))
			p.expect("->")
			targets = append(targets, target{k, p.label()})
		}
		slices.SortStableFunc(targets, func(a, b target) int { // the runtime searches by halves
			if a.key < b.key {
				return -1
			} else if a.key > b.key {
				return 1
			}
			return 0
		})
		for _, g := range targets {
			d.keys, d.labels = append(d.keys, g.key), append(d.labels, g.label)
		}
		size = 2 + 4*len(d.labels)
	case ".array-data":
		d.ident = identArray
		d.width = uint16(p.fits(16))
		if d.width != 1 && d.width != 2 && d.width != 4 && d.width != 8 {
			p.fail("array elements of %d bytes: 1, 2, 4 or 8 wanted", d.width)
		}
		for !p.is(".end", "array-data") {
			v := uint64(p.fits(8 * int(d.width)))
			for range d.width {
				d.data = append(d.data, byte(v))
				v >>= 8
			}
		}
		size = 4 + (len(d.data)+1)/2
	}
	if d.ident != identArray && len(d.labels) > math.MaxUint16 {
		p.fail("a switch has at most 65535 targets")
	}
	m.emit(p, &insn{payload: d, line: t.line}, uint32(size))
}

// operands reads what stands behind a mnemonic, as its format has it.
func (p *parser) operands(in *insn) {
	reg := func(bits ...int) {
		for _, n := range bits {
			if len(in.regs) > 0 {
				p.expect(",")
			}
			in.regs = append(in.regs, p.registerOf(n))
		}
	}
	lit := func(n int) {
		p.expect(",")
		in.lit = p.fits(n)
	}
	ref := func() {
		p.expect(",")
		in.ref = p.reference(in.op.ref)
	}
	switch in.op.format {
	case "10x":
	case "12x":
		reg(4, 4)
	case "11n":
		reg(4)
		lit(4)
	case "11x":
		reg(8)
	case "10t", "20t", "30t":
		in.label = p.label()
	case "22x":
		reg(8, 16)
	case "21t", "31t":
		reg(8)
		p.expect(",")
		in.label = p.label()
	case "21s":
		reg(8)
		lit(16)
	case "21h":
		reg(8)
		n := 32
		if in.op.name == "const-wide/high16" {
			n = 64
		}
		lit(n)
		if in.lit<<(64-n+16) != 0 {
			p.fail("only the highest 16 bits of a high16 literal may be set")
		}
		in.lit >>= n - 16
	case "21c", "31c":
		reg(8)
		ref()
	case "23x":
		reg(8, 8, 8)
	case "22b":
		reg(8, 8)
		lit(8)
	case "22t":
		reg(4, 4)
		p.expect(",")
		in.label = p.label()
	case "22s":
		reg(4, 4)
		lit(16)
	case "22c":
		reg(4, 4)
		ref()
	case "32x":
		reg(16, 16)
	case "31i":
		reg(8)
		lit(32)
	case "51l":
		reg(8)
		lit(64)
	case "35c", "45cc":
		p.expect("{")
		for !p.is("}") {
			reg(4)
		}
		if len(in.regs) > 5 {
			p.fail("at most five registers")
		}
		ref()
	case "3rc", "4rcc":
		p.expect("{")
		if !p.is("}") {
			reg(16)
			last := in.regs[0]
			if p.is("..") {
				last = p.registerOf(16)
			}
			if last < in.regs[0] || last-in.regs[0] > 254 {
				p.fail("a range holds 1 to 255 registers, upwards")
			}
			in.regs = append(in.regs, last)
			p.expect("}")
		}
		ref()
	default:
		panic("format " + in.op.format)
	}
	if in.op.format[0] == '4' {
		p.expect(",")
		in.proto = p.reference(refProto)
	}
}

func (p *parser) reference(kind byte) value {
	switch kind {
	case refString:
		return value{kind: valueString, str: p.want('s')}
	case refOffset, refVtable:
		prefix := map[byte]string{refOffset: "field@", refVtable: "vtable@"}[kind]
		w := p.word()
		num, ok := strings.CutPrefix(w, prefix)
		k, bits, good := literal(num)
		if !ok || !good || k != valueInt || bits < 0 || bits > math.MaxUint16 {
			p.fail("%q: %sN wanted, N below 65536", w, prefix)
		}
		return value{bits: bits}
	}
	w := p.word()
	switch kind {
	case refType:
		return value{kind: valueType, str: p.typ(w)}
	case refField:
		return value{kind: valueField, field: p.fieldRef(w)}
	case refMethod:
		return value{kind: valueMethod, method: p.methodRef(w)}
	case refProto:
		return value{kind: valueProto, str: p.proto(w)}
	case refHandle:
		return p.handle(w)
	}
	// name("method", (args)ret, more...)@Lbootstrap;->method(args)ret
	name, ok := strings.CutSuffix(w, "(")
	if !ok {
		p.fail("%q is not a call site", w)
	}
	v := value{kind: valueCallSite, str: name, elems: []value{{}, {kind: valueString, str: p.want('s')}}}
	p.expect(",")
	v.elems = append(v.elems, value{kind: valueProto, str: p.proto(p.word())})
	for p.is(",") {
		v.elems = append(v.elems, p.value())
	}
	w, ok = strings.CutPrefix(p.word(), ")@")
	if !ok {
		p.fail("a call site wants )@ and its bootstrap method")
	}
	v.elems[0] = value{kind: valueHandle, handle: 4, method: p.methodRef(w)}
	return v
}

var payloadIdents = map[string]uint16{"packed-switch": identPacked, "sparse-switch": identSparse, "fill-array-data": identArray}

// resolve turns labels into addresses and ties payloads to the instructions that use them.
func (p *parser) resolve() {
	m := p.method
	payloads := map[uint32]*payload{}
	for _, in := range m.code {
		if in.payload != nil {
			payloads[in.pc] = in.payload
		}
	}
	for _, in := range m.code {
		if in.label == "" {
			continue
		}
		to := m.at(p, in.label, in.line)
		in.lit = int64(to) - int64(in.pc)
		bits := 32
		switch in.op.format {
		case "10t":
			bits = 8
		case "20t", "21t", "22t":
			bits = 16
		}
		if in.lit < -1<<(bits-1) || in.lit >= 1<<(bits-1) {
			fail(p.file, in.line, "%s is %d code units away, which does not fit the %d bits of %s", in.label, in.lit, bits, in.op.name)
		}
		if in.op.format == "31t" {
			d := payloads[to]
			if d == nil || d.ident != payloadIdents[in.op.name] {
				fail(p.file, in.line, "%s is not the data of a %s", in.label, in.op.name)
			}
			if d.base != nil && d.ident != identArray {
				fail(p.file, in.line, "%s is used by two switches", in.label)
			}
			d.base = in
		}
	}
	for _, in := range m.code {
		if d := in.payload; d != nil && d.ident != identArray {
			if d.base == nil {
				fail(p.file, in.line, "no switch uses this table")
			}
			for _, l := range d.labels {
				m.at(p, l, in.line)
			}
		}
	}
}

// at returns the address of a label.
func (m *method) at(p *parser, label string, line int) uint32 {
	pc, ok := m.labels[label]
	if !ok {
		fail(p.file, line, "label %s is not defined", label)
	}
	return pc
}
