package make

import (
	"cmp"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"math"
	"slices"
	"sort"
	"strings"
)

// A SmaliFile is smali text and the name that errors and positions give it. It may hold several classes.
type SmaliFile struct{ Name, Text string }

// DEX assembles classes written in smali into one DEX file, of version 035, or of the first that has what
// they use: 037 for code in interfaces, 038 for invoke-polymorphic and invoke-custom, 039 for
// const-method-handle and const-method-type.
//
// The text is what baksmali 2.5 prints for app code, and ART's quickened instructions. Mnemonics name their
// encoding: const/4 is never turned into const/16, and an operand that does not fit is an error. The one
// thing added is a nop before switch and array data that would not be aligned.
//
// A method without .line gets a line table of the lines of its text. Errors begin with file:line.
func DEX(files []SmaliFile) (dex []byte, pos *Positions, err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *textError:
			dex, pos, err = nil, nil, e
		default:
			panic(e)
		}
	}()
	var classes []*class
	for _, f := range files {
		classes = append(classes, parse(f.Name, f.Text)...)
	}
	w := newWriter(classes)
	return w.write(), positions(w.classes), nil
}

// Positions says where in the text the parts of a DEX came from.
type Positions struct{ places map[string]place }

type place struct {
	file  string
	line  int
	pcs   []uint32
	lines []int
}

func positions(classes []*class) *Positions {
	p := &Positions{map[string]place{}}
	for _, c := range classes {
		p.places[c.name] = place{file: c.file, line: c.line}
		for _, f := range c.fields {
			p.places[c.name+"."+f.name+":"+f.typ] = place{file: c.file, line: f.line}
		}
		for _, m := range c.methods {
			pl := place{file: c.file, line: m.line}
			for _, in := range m.code {
				pl.pcs, pl.lines = append(pl.pcs, in.pc), append(pl.lines, in.line)
			}
			p.places[c.name+"."+m.name+":"+m.proto] = pl
		}
	}
	return p
}

// Lookup returns the file and the line, from 1, of an instruction: the one that covers pc, in 16-bit code
// units, of the method Lcls;.name:(args)ret. With a negative pc, or for a class Lcls; or a field
// Lcls;.name:type, it returns the line of the declaration.
func (p *Positions) Lookup(name string, pc int) (file string, line int, ok bool) {
	pl, ok := p.places[name]
	if !ok {
		return "", 0, false
	}
	i := sort.Search(len(pl.pcs), func(i int) bool { return int(pl.pcs[i]) > pc })
	if i == 0 {
		return pl.file, pl.line, true
	}
	return pl.file, pl.lines[i-1], true
}

// A pool is one of the sorted tables that the rest of a DEX points into.
type pool[K comparable] struct {
	list  []K
	index map[K]uint32
}

// add reports whether k is new.
func (p *pool[K]) add(k K) bool {
	if _, ok := p.index[k]; ok {
		return false
	}
	if p.index == nil {
		p.index = map[K]uint32{}
	}
	p.index[k] = uint32(len(p.list))
	p.list = append(p.list, k)
	return true
}

func (p *pool[K]) sort(compare func(a, b K) int) {
	slices.SortFunc(p.list, compare)
	for i, k := range p.list {
		p.index[k] = uint32(i)
	}
}

// A handleRef is a method handle as a table key.
type handleRef struct {
	kind   byte
	field  fieldRef
	method methodRef
}

type writer struct {
	classes []*class
	version int

	strings   pool[string]
	types     pool[string]
	protos    pool[string]
	fields    pool[fieldRef]
	methods   pool[methodRef]
	handles   pool[handleRef]
	callSites pool[string] // key: callSiteKey
	siteValue []value

	buf      []byte
	sections []section
	shared   map[string]uint32 // offsets of data that equal data may share, by section and bytes
}

type section struct {
	typ        uint16
	count, off uint32
}

// Section types of the map list, "Dalvik executable format".
const (
	typeHeader        = 0x0000
	typeStringID      = 0x0001
	typeTypeID        = 0x0002
	typeProtoID       = 0x0003
	typeFieldID       = 0x0004
	typeMethodID      = 0x0005
	typeClassDef      = 0x0006
	typeCallSiteID    = 0x0007
	typeMethodHandle  = 0x0008
	typeMapList       = 0x1000
	typeTypeList      = 0x1001
	typeAnnotationRef = 0x1002
	typeAnnotationSet = 0x1003
	typeClassData     = 0x2000
	typeCode          = 0x2001
	typeStringData    = 0x2002
	typeDebugInfo     = 0x2003
	typeAnnotation    = 0x2004
	typeEncodedArray  = 0x2005
	typeAnnotationDir = 0x2006
)

const noIndex = 0xffffffff

// newWriter collects and sorts everything the classes refer to.
func newWriter(classes []*class) *writer {
	w := &writer{version: 35, shared: map[string]uint32{}}
	seen := map[string]*class{}
	for _, c := range classes {
		if o := seen[c.name]; o != nil {
			fail(c.file, c.line, "class %s is already in %s:%d", c.name, o.file, o.line)
		}
		seen[c.name] = c
		w.addClass(c)
	}
	key := func(s string) string { return strings.ReplaceAll(s, "\xc0\x80", "\x00") }
	w.strings.sort(func(a, b string) int { return strings.Compare(key(a), key(b)) }) // as UTF-16 would sort
	str := func(s string) uint32 { return w.strings.index[s] }
	w.types.sort(func(a, b string) int { return cmp.Compare(str(a), str(b)) })
	typ := func(s string) uint32 { return w.types.index[s] }
	w.protos.sort(func(a, b string) int {
		aa, ar, _ := protoTypes(a)
		ba, br, _ := protoTypes(b)
		return cmp.Or(cmp.Compare(typ(ar), typ(br)), slices.CompareFunc(aa, ba, func(x, y string) int { return cmp.Compare(typ(x), typ(y)) }))
	})
	w.fields.sort(func(a, b fieldRef) int {
		return cmp.Or(cmp.Compare(typ(a.class), typ(b.class)), cmp.Compare(str(a.name), str(b.name)), cmp.Compare(typ(a.typ), typ(b.typ)))
	})
	w.methods.sort(func(a, b methodRef) int {
		return cmp.Or(cmp.Compare(typ(a.class), typ(b.class)), cmp.Compare(str(a.name), str(b.name)),
			cmp.Compare(w.protos.index[a.proto], w.protos.index[b.proto]))
	})
	if n := max(len(w.types.list), len(w.protos.list), len(w.fields.list), len(w.methods.list)); n > 1<<16 {
		fail(classes[0].file, classes[0].line, "%d types, prototypes, fields or methods; a DEX holds 65536 of each", n)
	}
	// A class stands behind its superclass and interfaces.
	slices.SortFunc(classes, func(a, b *class) int { return cmp.Compare(typ(a.name), typ(b.name)) })
	done := map[string]bool{}
	var place func(c *class)
	place = func(c *class) {
		if c == nil || done[c.name] {
			return
		}
		done[c.name] = true
		place(seen[c.super])
		for _, i := range c.interfaces {
			place(seen[i])
		}
		w.classes = append(w.classes, c)
	}
	for _, c := range classes {
		place(c)
	}
	return w
}

func (w *writer) need(version int) { w.version = max(w.version, version) }

func (w *writer) addType(t string) {
	w.types.add(t)
	w.strings.add(t)
}

// shorty is the prototype with all references called L, return type first.
func shorty(proto string) string {
	args, ret, _ := protoTypes(proto)
	var b []byte
	for _, t := range append([]string{ret}, args...) {
		if t[0] == '[' {
			t = "L"
		}
		b = append(b, t[0])
	}
	return string(b)
}

func (w *writer) addProto(p string) {
	if w.protos.add(p) {
		w.strings.add(shorty(p))
		args, ret, _ := protoTypes(p)
		for _, t := range append(args, ret) {
			w.addType(t)
		}
	}
}

func (w *writer) addField(f fieldRef) {
	if w.fields.add(f) {
		w.addType(f.class)
		w.addType(f.typ)
		w.strings.add(f.name)
	}
}

func (w *writer) addMethod(m methodRef) {
	if w.methods.add(m) {
		w.addType(m.class)
		w.addProto(m.proto)
		w.strings.add(m.name)
	}
}

func (w *writer) addValue(v *value) {
	switch v.kind {
	case valueString:
		w.strings.add(v.str)
	case valueType:
		w.addType(v.str)
	case valueProto:
		w.addProto(v.str)
	case valueField, valueEnum:
		w.addField(v.field)
	case valueMethod:
		w.addMethod(v.method)
	case valueHandle:
		w.need(38)
		if v.handle < 4 {
			w.addField(v.field)
		} else {
			w.addMethod(v.method)
		}
		w.handles.add(handleRef{v.handle, v.field, v.method})
	case valueAnnotation:
		w.addAnnotation(&v.anno)
	case valueCallSite:
		w.need(38)
		if w.callSites.add(callSiteKey(v)) {
			w.siteValue = append(w.siteValue, *v)
		}
	}
	for i := range v.elems {
		w.addValue(&v.elems[i])
	}
}

// callSiteKey tells call sites apart: by name and by what they say.
func callSiteKey(v *value) string { return fmt.Sprintf("%q %v", v.str, v.elems) }

func (w *writer) addAnnotation(a *annotation) {
	w.addType(a.typ)
	for i := range a.elems {
		w.strings.add(a.elems[i].name)
		w.addValue(&a.elems[i].value)
	}
}

func (w *writer) addAnnotations(as []annotation) {
	for i := range as {
		w.addAnnotation(&as[i])
	}
}

func (w *writer) addClass(c *class) {
	w.addType(c.name)
	if c.super != "" {
		w.addType(c.super)
	}
	for _, t := range c.interfaces {
		w.addType(t)
	}
	if c.hasSource {
		w.strings.add(c.source)
	}
	w.addAnnotations(c.annos)
	for _, f := range c.fields {
		w.addField(f.fieldRef)
		w.addAnnotations(f.annos)
		if f.value != nil {
			w.addValue(f.value)
		}
	}
	for _, m := range c.methods {
		w.addMethod(m.methodRef)
		w.addAnnotations(m.annos)
		if c.flags&accInterface != 0 && m.flags&accAbstract == 0 && m.name != "<clinit>" {
			w.need(37)
		}
		for i := range m.params {
			w.addAnnotations(m.params[i].annos)
			if n := m.params[i].name; n != nil {
				w.strings.add(*n)
			}
		}
		for _, d := range m.debug {
			if d.typ != nil {
				w.addType(*d.typ)
			}
			for _, s := range []*string{d.name, d.sig} {
				if s != nil {
					w.strings.add(*s)
				}
			}
		}
		for _, h := range m.catches {
			if h.typ != "" {
				w.addType(h.typ)
			}
		}
		for _, in := range m.code {
			if in.op == nil {
				continue
			}
			switch in.op.ref {
			case refNone, refOffset, refVtable:
				continue
			case refHandle, refProto:
				w.need(39)
			}
			w.addValue(&in.ref)
			if in.op.format[0] == '4' {
				w.need(38)
				w.addValue(&in.proto)
			}
		}
	}
}

func (w *writer) u8(v byte)    { w.buf = append(w.buf, v) }
func (w *writer) u16(v uint16) { w.buf = binary.LittleEndian.AppendUint16(w.buf, v) }
func (w *writer) u32(v uint32) { w.buf = binary.LittleEndian.AppendUint32(w.buf, v) }

func (w *writer) align() {
	for len(w.buf)%4 != 0 {
		w.buf = append(w.buf, 0)
	}
}

func uleb(b []byte, v uint32) []byte { return binary.AppendUvarint(b, uint64(v)) }

func sleb(b []byte, v int32) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// item starts an item of a section, and the section if it is not the present one.
func (w *writer) item(typ uint16, aligned bool) (off uint32) {
	if aligned {
		w.align()
	}
	if n := len(w.sections); n == 0 || w.sections[n-1].typ != typ {
		w.sections = append(w.sections, section{typ, 0, uint32(len(w.buf))})
	}
	w.sections[len(w.sections)-1].count++
	return uint32(len(w.buf))
}

// share writes data, or finds it already written in this section. Nothing to write has offset 0.
func (w *writer) share(typ uint16, aligned bool, data []byte) (off uint32) {
	if len(data) == 0 {
		return 0
	}
	key := fmt.Sprint(typ) + string(data)
	off, ok := w.shared[key]
	if !ok {
		off = w.item(typ, aligned)
		w.buf = append(w.buf, data...)
		w.shared[key] = off
	}
	return off
}

// classOffsets holds where a class's data went.
type classOffsets struct {
	interfaces, annotations, data, values uint32
	classAnnos                            uint32
	fieldAnnos, methodAnnos, paramAnnos   [][2]uint32 // index of the member, offset
	staticFields, instanceFields          []*field
	directMethods, virtualMethods         []*method
	code                                  map[*method]uint32
	debug                                 map[*method]uint32
	paramSets                             map[*method][]uint32
}

const headerSize = 0x70

// write lays the file out: header, tables, then the data, each kind behind what it points to.
func (w *writer) write() []byte {
	w.version = max(w.version, 35)
	tables := []struct {
		typ        uint16
		size, n    int
		off        uint32
		headerSlot int // where size and offset stand in the header, 0 for none
	}{
		{typeStringID, 4, len(w.strings.list), 0, 0x38},
		{typeTypeID, 4, len(w.types.list), 0, 0x40},
		{typeProtoID, 12, len(w.protos.list), 0, 0x48},
		{typeFieldID, 8, len(w.fields.list), 0, 0x50},
		{typeMethodID, 8, len(w.methods.list), 0, 0x58},
		{typeClassDef, 32, len(w.classes), 0, 0x60},
		{typeCallSiteID, 4, len(w.callSites.list), 0, 0},
		{typeMethodHandle, 8, len(w.handles.list), 0, 0},
	}
	w.sections = []section{{typeHeader, 1, 0}}
	w.buf = make([]byte, headerSize)
	copy(w.buf, fmt.Sprintf("dex\n%03d\x00", w.version))
	for i := range tables {
		t := &tables[i]
		if t.n > 0 {
			t.off = uint32(len(w.buf))
			w.sections = append(w.sections, section{t.typ, uint32(t.n), t.off})
			w.buf = append(w.buf, make([]byte, t.size*t.n)...)
			if t.headerSlot != 0 {
				w.patch(t.headerSlot, uint32(t.n), t.off)
			}
		}
	}
	dataOff := uint32(len(w.buf))

	row := func(table, i int) int { return int(tables[table].off) + i*tables[table].size }
	for i, s := range w.strings.list {
		w.patch(row(0, i), w.item(typeStringData, false))
		w.buf = append(append(uleb(w.buf, uint32(units(s))), s...), 0)
	}
	for i, t := range w.types.list {
		w.patch(row(1, i), w.strings.index[t])
	}
	for i, p := range w.protos.list {
		args, ret, _ := protoTypes(p)
		w.patch(row(2, i), w.strings.index[shorty(p)], w.types.index[ret], w.typeList(args))
	}
	for i, f := range w.fields.list {
		w.patch(row(3, i), w.types.index[f.class]|w.types.index[f.typ]<<16, w.strings.index[f.name])
	}
	for i, m := range w.methods.list {
		w.patch(row(4, i), w.types.index[m.class]|w.protos.index[m.proto]<<16, w.strings.index[m.name])
	}
	for i, h := range w.handles.list {
		index := w.fields.index[h.field]
		if h.kind >= 4 {
			index = w.methods.index[h.method]
		}
		w.patch(row(7, i), uint32(h.kind), index)
	}

	offs := make([]classOffsets, len(w.classes))
	for i, c := range w.classes {
		offs[i] = w.sortMembers(c)
		offs[i].interfaces = w.typeList(c.interfaces)
	}
	for i := range w.siteValue {
		w.patch(row(6, i), w.share(typeEncodedArray, false, w.array(w.siteValue[i].elems)))
	}
	for i := range w.classes {
		offs[i].values = w.share(typeEncodedArray, false, w.staticValues(offs[i].staticFields))
	}
	w.annotations(offs)
	w.code(offs)
	for i, c := range w.classes {
		o := &offs[i]
		o.data = w.classData(c, o)
		super, source := uint32(noIndex), uint32(noIndex)
		if c.super != "" {
			super = w.types.index[c.super]
		}
		if c.hasSource {
			source = w.strings.index[c.source]
		}
		w.patch(row(5, i), w.types.index[c.name], c.flags, super, o.interfaces, source, o.annotations, o.data, o.values)
	}

	mapOff := w.item(typeMapList, true)
	w.u32(uint32(len(w.sections)))
	for _, s := range w.sections {
		w.u32(uint32(s.typ))
		w.u32(s.count)
		w.u32(s.off)
	}
	w.patch(0x20, uint32(len(w.buf)), headerSize, 0x12345678, 0, 0, mapOff)
	w.patch(0x68, uint32(len(w.buf))-dataOff, dataOff)
	sum := sha1.Sum(w.buf[32:])
	copy(w.buf[12:], sum[:])
	w.patch(8, adler32.Checksum(w.buf[12:]))
	return w.buf
}

func (w *writer) patch(off int, vs ...uint32) {
	for i, v := range vs {
		binary.LittleEndian.PutUint32(w.buf[off+4*i:], v)
	}
}

func (w *writer) typeList(types []string) uint32 {
	if len(types) == 0 {
		return 0
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(types)))
	for _, t := range types {
		b = binary.LittleEndian.AppendUint16(b, uint16(w.types.index[t]))
	}
	return w.share(typeTypeList, true, b)
}

// sortMembers sorts fields and methods as class data lists them.
func (w *writer) sortMembers(c *class) classOffsets {
	o := classOffsets{code: map[*method]uint32{}, debug: map[*method]uint32{}, paramSets: map[*method][]uint32{}}
	slices.SortStableFunc(c.fields, func(a, b *field) int { return cmp.Compare(w.fields.index[a.fieldRef], w.fields.index[b.fieldRef]) })
	for i, f := range c.fields {
		if i > 0 && c.fields[i-1].fieldRef == f.fieldRef {
			fail(c.file, f.line, "field %s:%s is already at line %d", f.name, f.typ, c.fields[i-1].line)
		}
		if f.flags&accStatic != 0 {
			o.staticFields = append(o.staticFields, f)
		} else {
			o.instanceFields = append(o.instanceFields, f)
		}
	}
	slices.SortStableFunc(c.methods, func(a, b *method) int { return cmp.Compare(w.methods.index[a.methodRef], w.methods.index[b.methodRef]) })
	for i, m := range c.methods {
		if i > 0 && c.methods[i-1].methodRef == m.methodRef {
			fail(c.file, m.line, "method %s%s is already at line %d", m.name, m.proto, c.methods[i-1].line)
		}
		if m.flags&(accStatic|accPrivate|accConstructor) != 0 {
			o.directMethods = append(o.directMethods, m)
		} else {
			o.virtualMethods = append(o.virtualMethods, m)
		}
	}
	return o
}

// staticValues encodes the initial values up to the last that is given; those between get their type's zero.
func (w *writer) staticValues(fields []*field) []byte {
	var vs []value
	n := 0
	for i, f := range fields {
		if f.value != nil {
			vs = append(vs, *f.value)
			n = i + 1
			continue
		}
		kind := map[byte]byte{'Z': valueBoolean, 'B': valueByte, 'S': valueShort, 'C': valueChar, 'I': valueInt,
			'J': valueLong, 'F': valueFloat, 'D': valueDouble, 'L': valueNull, '[': valueNull}[f.typ[0]]
		vs = append(vs, value{kind: kind})
	}
	if n == 0 {
		return nil
	}
	return w.array(vs[:n])
}

func (w *writer) array(vs []value) []byte {
	b := uleb(nil, uint32(len(vs)))
	for i := range vs {
		b = w.value(b, &vs[i])
	}
	return b
}

// value appends an encoded_value.
func (w *writer) value(b []byte, v *value) []byte {
	number := func(u uint64, size int) []byte { // the low size bytes
		b = append(b, byte(size-1)<<5|v.kind)
		for range size {
			b = append(b, byte(u))
			u >>= 8
		}
		return b
	}
	index := func(i uint32) []byte {
		size := 1
		for size < 4 && i>>(8*size) != 0 {
			size++
		}
		return number(uint64(i), size)
	}
	switch v.kind {
	case valueByte, valueShort, valueInt, valueLong:
		size := 1
		for size < 8 && v.bits<<(64-8*size)>>(64-8*size) != v.bits {
			size++
		}
		return number(uint64(v.bits), size)
	case valueChar:
		return index(uint32(v.bits))
	case valueFloat, valueDouble: // zeros to the right are left out
		size, u := 4, uint64(v.bits)
		if v.kind == valueDouble {
			size = 8
		}
		for size > 1 && u&0xff == 0 {
			size--
			u >>= 8
		}
		return number(u, size)
	case valueString:
		return index(w.strings.index[v.str])
	case valueType:
		return index(w.types.index[v.str])
	case valueProto:
		return index(w.protos.index[v.str])
	case valueField, valueEnum:
		return index(w.fields.index[v.field])
	case valueMethod:
		return index(w.methods.index[v.method])
	case valueHandle:
		return index(w.handles.index[handleRef{v.handle, v.field, v.method}])
	case valueArray:
		return append(append(b, v.kind), w.array(v.elems)...)
	case valueAnnotation:
		return append(append(b, v.kind), w.annotation(&v.anno)...)
	case valueBoolean:
		return append(b, byte(v.bits)<<5|v.kind)
	}
	return append(b, valueNull)
}

func (w *writer) annotation(a *annotation) []byte {
	elems := slices.Clone(a.elems)
	slices.SortFunc(elems, func(x, y element) int { return cmp.Compare(w.strings.index[x.name], w.strings.index[y.name]) })
	b := uleb(uleb(nil, w.types.index[a.typ]), uint32(len(elems)))
	for i := range elems {
		b = w.value(uleb(b, w.strings.index[elems[i].name]), &elems[i].value)
	}
	return b
}

// annotations writes items, then sets, then lists of sets, then directories.
func (w *writer) annotations(offs []classOffsets) {
	sets := map[*annotation][]byte{} // by first annotation of the set: offsets of its items
	eachSet := func(visit func(c *class, o *classOffsets, f *field, m *method, param int, set []annotation)) {
		for i, c := range w.classes {
			o := &offs[i]
			visit(c, o, nil, nil, -1, c.annos)
			for _, f := range c.fields {
				visit(c, o, f, nil, -1, f.annos)
			}
			for _, m := range c.methods {
				visit(c, o, nil, m, -1, m.annos)
				if m.paramAnnos {
					for j := range m.params {
						visit(c, o, nil, m, j, m.params[j].annos)
					}
				}
			}
		}
	}
	eachSet(func(c *class, _ *classOffsets, _ *field, _ *method, _ int, set []annotation) {
		if len(set) == 0 {
			return
		}
		slices.SortStableFunc(set, func(a, b annotation) int { return cmp.Compare(w.types.index[a.typ], w.types.index[b.typ]) })
		b := binary.LittleEndian.AppendUint32(nil, uint32(len(set)))
		for i := range set {
			if i > 0 && set[i].typ == set[i-1].typ {
				fail(c.file, set[i].line, "a second annotation %s", set[i].typ)
			}
			item := append([]byte{set[i].visibility}, w.annotation(&set[i])...)
			b = binary.LittleEndian.AppendUint32(b, w.share(typeAnnotation, false, item))
		}
		sets[&set[0]] = b
	})
	eachSet(func(_ *class, o *classOffsets, f *field, m *method, param int, set []annotation) {
		var off uint32
		if len(set) > 0 {
			off = w.share(typeAnnotationSet, true, sets[&set[0]])
		}
		switch {
		case param >= 0:
			o.paramSets[m] = append(o.paramSets[m], off)
		case off == 0:
		case f != nil:
			o.fieldAnnos = append(o.fieldAnnos, [2]uint32{w.fields.index[f.fieldRef], off})
		case m != nil:
			o.methodAnnos = append(o.methodAnnos, [2]uint32{w.methods.index[m.methodRef], off})
		default:
			o.classAnnos = off
		}
	})
	for i, c := range w.classes {
		for _, m := range c.methods {
			if m.paramAnnos {
				list := offs[i].paramSets[m]
				b := binary.LittleEndian.AppendUint32(nil, uint32(len(list)))
				for _, off := range list {
					b = binary.LittleEndian.AppendUint32(b, off)
				}
				offs[i].paramAnnos = append(offs[i].paramAnnos, [2]uint32{w.methods.index[m.methodRef], w.share(typeAnnotationRef, true, b)})
			}
		}
	}
	for i := range offs {
		o := &offs[i]
		lists := [][][2]uint32{o.fieldAnnos, o.methodAnnos, o.paramAnnos}
		if o.classAnnos == 0 && len(lists[0])+len(lists[1])+len(lists[2]) == 0 {
			continue
		}
		o.annotations = w.item(typeAnnotationDir, true)
		w.u32(o.classAnnos)
		for _, l := range lists {
			w.u32(uint32(len(l)))
		}
		for _, l := range lists {
			for _, e := range l {
				w.u32(e[0])
				w.u32(e[1])
			}
		}
	}
}

func (w *writer) classData(c *class, o *classOffsets) uint32 {
	if len(c.fields)+len(c.methods) == 0 {
		return 0
	}
	off := w.item(typeClassData, false)
	b := w.buf
	for _, n := range []int{len(o.staticFields), len(o.instanceFields), len(o.directMethods), len(o.virtualMethods)} {
		b = uleb(b, uint32(n))
	}
	for _, l := range [][]*field{o.staticFields, o.instanceFields} {
		last := uint32(0)
		for _, f := range l {
			i := w.fields.index[f.fieldRef]
			b = uleb(uleb(b, i-last), f.flags)
			last = i
		}
	}
	for _, l := range [][]*method{o.directMethods, o.virtualMethods} {
		last := uint32(0)
		for _, m := range l {
			i := w.methods.index[m.methodRef]
			b = uleb(uleb(uleb(b, i-last), m.flags), o.code[m])
			last = i
		}
	}
	w.buf = b
	return off
}

// code writes debug information and code of all methods.
func (w *writer) code(offs []classOffsets) {
	for i, c := range w.classes {
		for _, m := range c.methods {
			if len(m.code) > 0 {
				offs[i].debug[m] = w.share(typeDebugInfo, false, w.debugInfo(m))
			}
		}
	}
	for i, c := range w.classes {
		for _, m := range c.methods {
			if len(m.code) == 0 {
				continue
			}
			tries, handlers := w.tries(c, m)
			insns, outs := w.instructions(c, m)
			offs[i].code[m] = w.item(typeCode, true)
			w.u16(uint16(m.registers))
			w.u16(uint16(m.ins))
			w.u16(uint16(outs))
			w.u16(uint16(len(tries) / 8))
			w.u32(offs[i].debug[m])
			w.u32(m.size)
			for _, u := range insns {
				w.u16(u)
			}
			if len(tries) > 0 {
				w.align()
				w.buf = append(append(w.buf, tries...), handlers...)
			}
		}
	}
}

// tries cuts the ranges of .catch into try items that do not overlap. Where several cover the same code,
// their order in the text is the order of the handlers.
func (w *writer) tries(c *class, m *method) (tries, handlers []byte) {
	p := &parser{file: c.file}
	type span struct{ start, end, handler uint32 }
	spans := make([]span, len(m.catches))
	var cuts []uint32
	for i, h := range m.catches {
		spans[i] = span{m.at(p, h.start, h.line), m.at(p, h.end, h.line), m.at(p, h.handler, h.line)}
		if spans[i].start >= spans[i].end {
			fail(c.file, h.line, "nothing between %s and %s", h.start, h.end)
		}
		cuts = append(cuts, spans[i].start, spans[i].end)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	lists := map[string]uint16{} // offset of each handler list
	var body []byte
	n := uint32(0)
	for k := 0; k+1 < len(cuts); k++ {
		var typed []byte
		var all *uint32
		count := int32(0)
		seen := map[string]uint32{}
		for i, s := range spans {
			if s.start > cuts[k] || s.end < cuts[k+1] {
				continue
			}
			typ := m.catches[i].typ
			if h, ok := seen[typ]; ok {
				if h != s.handler {
					fail(c.file, m.catches[i].line, "code here has another handler for the same exception")
				}
				continue
			}
			seen[typ] = s.handler
			if typ == "" {
				all = &spans[i].handler
				continue
			}
			typed = uleb(uleb(typed, w.types.index[typ]), s.handler)
			count++
		}
		if len(seen) == 0 {
			continue
		}
		if all != nil {
			count = -count
			typed = uleb(typed, *all)
		}
		list := append(sleb(nil, count), typed...)
		off, ok := lists[string(list)]
		if !ok {
			off = uint16(len(body))
			if len(body) > math.MaxUint16-5 {
				fail(c.file, m.line, "exception handlers take more than 65535 bytes")
			}
			lists[string(list)] = off
			body = append(body, list...)
			n++
		}
		if cuts[k+1]-cuts[k] > math.MaxUint16 {
			fail(c.file, m.line, "a try block of more than 65535 code units")
		}
		tries = binary.LittleEndian.AppendUint32(tries, cuts[k])
		tries = binary.LittleEndian.AppendUint16(tries, uint16(cuts[k+1]-cuts[k]))
		tries = binary.LittleEndian.AppendUint16(tries, off)
	}
	if len(tries)/8 > math.MaxUint16 {
		fail(c.file, m.line, "more than 65535 try blocks")
	}
	size := uleb(nil, n) // handler offsets count from the list's own size
	for i := 6; i < len(tries); i += 8 {
		binary.LittleEndian.PutUint16(tries[i:], binary.LittleEndian.Uint16(tries[i:])+uint16(len(size)))
	}
	return tries, append(size, body...)
}

// debugInfo returns the debug information of a method, nil if it has none.
func (w *writer) debugInfo(m *method) []byte {
	steps := m.debug
	if !m.hasLine { // lines of the text, woven in before what has the same address
		steps = nil
		line, rest := 0, m.debug
		for _, in := range m.code {
			if in.payload != nil || in.line == line {
				continue
			}
			for len(rest) > 0 && rest[0].pc < in.pc {
				steps, rest = append(steps, rest[0]), rest[1:]
			}
			line = in.line
			steps = append(steps, debugOp{op: debugFirstSpecial, pc: in.pc, line: uint32(line)})
		}
		steps = append(steps, rest...)
	}
	line := uint32(0)
	for _, d := range steps {
		if d.op == debugFirstSpecial {
			line = d.line
			break
		}
	}
	str := func(b []byte, s *string) []byte { // index plus one, zero for none
		if s == nil {
			return append(b, 0)
		}
		return uleb(b, w.strings.index[*s]+1)
	}
	b := uleb(uleb(nil, line), uint32(len(m.params)))
	for i := range m.params {
		b = str(b, m.params[i].name)
	}
	pc := uint32(0)
	for _, d := range steps {
		if d.op == debugFirstSpecial {
			dl, dpc := int64(d.line)-int64(line), d.pc-pc
			if dl < -4 || dl > 10 {
				b = sleb(append(b, debugAdvanceLine), int32(dl))
				dl = 0
			}
			special := (dl + 4) + int64(dpc)*15 + debugFirstSpecial
			if special > 0xff {
				b = uleb(append(b, debugAdvancePC), dpc)
				special = dl + 4 + debugFirstSpecial
			}
			b = append(b, byte(special))
			line, pc = d.line, d.pc
			continue
		}
		if d.pc != pc {
			b = uleb(append(b, debugAdvancePC), d.pc-pc)
			pc = d.pc
		}
		b = append(b, d.op)
		switch d.op {
		case debugStartLocal, debugStartLocalExt:
			b = str(uleb(b, uint32(d.reg)), d.name)
			if d.typ == nil {
				b = append(b, 0)
			} else {
				b = uleb(b, w.types.index[*d.typ]+1)
			}
			if d.op == debugStartLocalExt {
				b = str(b, d.sig)
			}
		case debugEndLocal, debugRestartLocal:
			b = uleb(b, uint32(d.reg))
		case debugSetFile:
			b = str(b, d.name)
		}
	}
	return append(b, debugEndSequence)
}

// instructions encodes the code of a method and counts the registers its calls need for arguments.
func (w *writer) instructions(c *class, m *method) (code []uint16, outs int) {
	for _, in := range m.code {
		if in.payload != nil {
			code = w.payload(code, m, in)
			continue
		}
		index := w.index(in.op.ref, &in.ref)
		if index > math.MaxUint16 && in.op.format != "31c" {
			fail(c.file, in.line, "table index %d does not fit the 16 bits of %s", index, in.op.name)
		}
		code = w.instruction(code, in, index)
		if strings.HasPrefix(in.op.name, "invoke-") {
			n := len(in.regs)
			if strings.Contains(in.op.format, "rc") {
				n = rangeLength(in.regs)
			}
			outs = max(outs, n)
		}
	}
	return code, outs
}

func rangeLength(regs []int) int {
	if len(regs) == 0 {
		return 0
	}
	return regs[1] - regs[0] + 1
}

// index returns the table index of what an instruction refers to.
func (w *writer) index(ref byte, v *value) uint32 {
	switch ref {
	case refString:
		return w.strings.index[v.str]
	case refType:
		return w.types.index[v.str]
	case refField:
		return w.fields.index[v.field]
	case refMethod:
		return w.methods.index[v.method]
	case refProto:
		return w.protos.index[v.str]
	case refHandle:
		return w.handles.index[handleRef{v.handle, v.field, v.method}]
	case refCallSite:
		return w.callSites.index[callSiteKey(v)]
	}
	return uint32(v.bits)
}

func (w *writer) instruction(code []uint16, in *insn, index uint32) []uint16 {
	op := uint16(in.op.value)
	r := func(i int) uint16 { return uint16(in.regs[i]) }
	lit := uint16(in.lit)
	switch in.op.format {
	case "10x":
		return append(code, op)
	case "12x":
		return append(code, r(1)<<12|r(0)<<8|op)
	case "11n":
		return append(code, lit<<12|r(0)<<8|op)
	case "11x":
		return append(code, r(0)<<8|op)
	case "10t":
		return append(code, lit<<8|op)
	case "20t":
		return append(code, op, lit)
	case "30t":
		return append(code, op, lit, uint16(in.lit>>16))
	case "22x":
		return append(code, r(0)<<8|op, r(1))
	case "21t", "21s", "21h":
		return append(code, r(0)<<8|op, lit)
	case "21c":
		return append(code, r(0)<<8|op, uint16(index))
	case "23x":
		return append(code, r(0)<<8|op, r(2)<<8|r(1))
	case "22b":
		return append(code, r(0)<<8|op, lit<<8|r(1))
	case "22t", "22s":
		return append(code, r(1)<<12|r(0)<<8|op, lit)
	case "22c":
		return append(code, r(1)<<12|r(0)<<8|op, uint16(index))
	case "32x":
		return append(code, op, r(0), r(1))
	case "31i", "31t":
		return append(code, r(0)<<8|op, lit, uint16(in.lit>>16))
	case "31c":
		return append(code, r(0)<<8|op, uint16(index), uint16(index>>16))
	case "51l":
		return append(code, r(0)<<8|op, lit, uint16(in.lit>>16), uint16(in.lit>>32), uint16(in.lit>>48))
	case "35c", "45cc":
		var v [5]uint16
		for i := range in.regs {
			v[i] = r(i)
		}
		code = append(code, uint16(len(in.regs))<<12|v[4]<<8|op, uint16(index), v[3]<<12|v[2]<<8|v[1]<<4|v[0])
	case "3rc", "4rcc":
		first := uint16(0)
		if len(in.regs) > 0 {
			first = r(0)
		}
		code = append(code, uint16(rangeLength(in.regs))<<8|op, uint16(index), first)
	}
	if in.op.format[0] == '4' {
		code = append(code, uint16(w.index(refProto, &in.proto)))
	}
	return code
}

func (w *writer) payload(code []uint16, m *method, in *insn) []uint16 {
	d := in.payload
	word := func(v uint32) { code = append(code, uint16(v), uint16(v>>16)) }
	if d.ident == identArray {
		code = append(code, d.ident, d.width)
		word(uint32(len(d.data) / int(d.width)))
		for b := range slices.Chunk(d.data, 2) {
			u := uint16(b[0])
			if len(b) == 2 {
				u |= uint16(b[1]) << 8
			}
			code = append(code, u)
		}
		return code
	}
	code = append(code, d.ident, uint16(len(d.labels)))
	for _, k := range d.keys {
		word(uint32(k))
	}
	for _, l := range d.labels {
		word(m.labels[l] - d.base.pc)
	}
	return code
}
