package make

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
)

//go:embed framework.txt
var frameworkText string

// An attribute is what the platform declares of an android:* attribute.
type attribute struct {
	id      uint32
	formats []string
	words   map[string]uint32
}

// framework reads framework.txt: attributes by name, other resources by type/name.
var framework = sync.OnceValue(func() (f struct {
	attributes map[string]attribute
	resources  map[string]uint32
}) {
	number := func(s string) uint32 {
		v, err := strconv.ParseUint(s, 0, 32)
		if err != nil {
			panic("framework.txt: " + err.Error())
		}
		return uint32(v)
	}
	f.attributes, f.resources = map[string]attribute{}, map[string]uint32{}
	for line := range strings.Lines(frameworkText) {
		w := strings.Fields(line)
		switch {
		case len(w) == 0 || w[0] == "#":
		case strings.Contains(w[0], "/"):
			f.resources[w[0]] = number(w[1])
		default:
			a := attribute{number(w[1]), strings.Split(w[2], "|"), map[string]uint32{}}
			for _, s := range w[3:] {
				name, v, _ := strings.Cut(s, "=")
				a.words[name] = number(v)
			}
			f.attributes[w[0]] = a
			f.resources["attr/"+w[0]] = a.id
		}
	}
	return f
})

// XML encodes a text XML document as Android binary XML, as aapt does for AndroidManifest.xml and res/xml.
//
// Attributes in the namespace http://schemas.android.com/apk/res/android get their resource ids, and values
// typed by what the platform declares for them; a value that does not fit the declaration is an error.
// Other values are typed by their looks: true, 12, 0x1f, 1.5, 16dp, #fff. References are "@0x7f010001",
// "@android:type/name" and "?android:attr/name" from the platform's public ones, "@null", and otherwise what
// resolve gives for "type/name" or "package:type/name"; resolve may be nil.
//
// Each element keeps the line it starts on. Errors begin with the line. Source of the format:
// frameworks/base/libs/androidfw/include/androidfw/ResourceTypes.h.
func XML(text []byte, resolve func(name string) (id uint32, ok bool)) ([]byte, error) {
	e := xmlEncoder{text: text, resolve: resolve, index: map[xmlString]uint32{}}
	if err := e.document(); err != nil {
		return nil, fmt.Errorf("line %d: %w", e.line, err)
	}
	return e.bytes(), nil
}

const androidNamespace = "http://schemas.android.com/apk/res/android"

// Chunk and value types of ResourceTypes.h.
const (
	chunkStringPool     = 0x0001
	chunkXML            = 0x0003
	chunkStartNamespace = 0x0100
	chunkEndNamespace   = 0x0101
	chunkStartElement   = 0x0102
	chunkEndElement     = 0x0103
	chunkText           = 0x0104
	chunkResourceMap    = 0x0180

	resNull       = 0x00
	resReference  = 0x01
	resAttribute  = 0x02
	resString     = 0x03
	resFloat      = 0x04
	resDimension  = 0x05
	resFraction   = 0x06
	resDecimal    = 0x10
	resHex        = 0x11
	resBoolean    = 0x12
	resColorARGB8 = 0x1c
	resColorRGB8  = 0x1d
	resColorARGB4 = 0x1e
	resColorRGB4  = 0x1f
)

// An xmlString is a string of the pool. Attribute names with an id come first in the pool, so that the
// resource map can run beside them; the same name without id is another string.
type xmlString struct {
	s  string
	id uint32
}

type xmlChunk struct {
	typ  uint16
	line int
	body []any // uint32, uint16, byte or xmlString; a string stands for its index
}

var noString = uint32(math.MaxUint32)

type xmlEncoder struct {
	text    []byte
	resolve func(string) (uint32, bool)
	line    int
	chunks  []xmlChunk
	strings []xmlString
	index   map[xmlString]uint32
}

// str enters a string into the pool and returns it; empty is no string.
func (e *xmlEncoder) str(s string, id uint32) any {
	k := xmlString{s, id}
	if _, ok := e.index[k]; !ok {
		e.index[k] = 0
		e.strings = append(e.strings, k)
	}
	return k
}

func (e *xmlEncoder) optional(s string) any {
	if s == "" {
		return noString
	}
	return e.str(s, 0)
}

func (e *xmlEncoder) chunk(typ uint16, body ...any) {
	e.chunks = append(e.chunks, xmlChunk{typ, e.line, body})
}

type xmlNamespace struct{ prefix, uri string }

func (e *xmlEncoder) document() error {
	d := xml.NewDecoder(bytes.NewReader(e.text))
	type element struct {
		name, uri  string
		namespaces int
	}
	var open []element
	var bound []xmlNamespace
	uri := func(prefix string) (string, error) {
		if prefix == "" {
			return "", nil
		}
		for i := len(bound) - 1; i >= 0; i-- {
			if bound[i].prefix == prefix {
				return bound[i].uri, nil
			}
		}
		return "", fmt.Errorf("namespace prefix %q is not bound", prefix)
	}
	roots, counted := 0, 0
	e.line = 1
	for {
		start := int(d.InputOffset())
		e.line += bytes.Count(e.text[counted:start], []byte{'\n'})
		counted = start
		tok, err := d.RawToken()
		if err == io.EOF {
			if len(open) > 0 {
				return fmt.Errorf("<%s> is not closed", open[len(open)-1].name)
			}
			if roots != 1 {
				return fmt.Errorf("%d root elements, 1 wanted", roots)
			}
			return nil
		}
		if err != nil {
			if s := (*xml.SyntaxError)(nil); errors.As(err, &s) {
				e.line = s.Line
				return errors.New(s.Msg)
			}
			return err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if len(open) == 0 {
				roots++
			}
			el := element{name: t.Name.Local}
			var attrs []xml.Attr
			for _, a := range t.Attr {
				if a.Name.Space == "xmlns" {
					bound = append(bound, xmlNamespace{a.Name.Local, a.Value})
					e.chunk(chunkStartNamespace, e.str(a.Name.Local, 0), e.str(a.Value, 0))
					el.namespaces++
				} else if a.Name.Space == "" && a.Name.Local == "xmlns" {
					return errors.New("a default namespace is not supported")
				} else {
					attrs = append(attrs, a)
				}
			}
			if el.uri, err = uri(t.Name.Space); err != nil {
				return err
			}
			open = append(open, el)
			if err := e.element(el.uri, el.name, attrs, uri); err != nil {
				return fmt.Errorf("<%s>: %w", el.name, err)
			}
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1].name != t.Name.Local {
				return fmt.Errorf("</%s> closes nothing", t.Name.Local)
			}
			el := open[len(open)-1]
			open = open[:len(open)-1]
			e.chunk(chunkEndElement, e.optional(el.uri), e.str(el.name, 0))
			for range el.namespaces {
				n := bound[len(bound)-1]
				bound = bound[:len(bound)-1]
				e.chunk(chunkEndNamespace, e.str(n.prefix, 0), e.str(n.uri, 0))
			}
		case xml.CharData:
			s := strings.TrimSpace(string(t))
			if s == "" {
				continue
			}
			if len(open) == 0 {
				return errors.New("text outside the root element")
			}
			line := e.line
			e.line += bytes.Count(t[:bytes.Index(t, []byte(s))], []byte{'\n'})
			e.chunk(chunkText, e.str(s, 0), uint16(8), byte(0), byte(resNull), uint32(0))
			e.line = line
		}
	}
}

func (e *xmlEncoder) element(uri, name string, attrs []xml.Attr, resolve func(string) (string, error)) error {
	type attr struct {
		uri, name string
		id        uint32
		value     string
		decl      *attribute
	}
	var list []attr
	for _, a := range attrs {
		u, err := resolve(a.Name.Space)
		if err != nil {
			return err
		}
		x := attr{uri: u, name: a.Name.Local, value: a.Value}
		if u == androidNamespace {
			decl, ok := framework().attributes[x.name]
			if !ok {
				return fmt.Errorf("android:%s is not in framework.txt", x.name)
			}
			x.id, x.decl = decl.id, &decl
		}
		for _, o := range list {
			if o.uri == x.uri && o.name == x.name {
				return fmt.Errorf("attribute %s is given twice", x.name)
			}
		}
		list = append(list, x)
	}
	// By id, those without at the end: Resources.obtainAttributes relies on it.
	slices.SortStableFunc(list, func(a, b attr) int { return cmp.Compare(a.id-1, b.id-1) })
	var special [3]uint16 // one-based places of id, class and style
	body := []any{e.optional(uri), e.str(name, 0), uint16(20), uint16(20), uint16(len(list))}
	for i, a := range list {
		if a.uri == "" {
			if k := slices.Index([]string{"id", "class", "style"}, a.name); k >= 0 {
				special[k] = uint16(i + 1)
			}
		}
	}
	body = append(body, special[0], special[1], special[2])
	for _, a := range list {
		typ, data, err := e.value(a.value, a.decl)
		if err != nil {
			return fmt.Errorf("%s=%q: %w", a.name, a.value, err)
		}
		var raw, bits any = noString, data
		if typ == resString {
			s := unescapeXML(a.value)
			raw = e.str(s, 0)
			bits = raw
		} else if a.decl == nil {
			raw = e.str(a.value, 0)
		}
		body = append(body, e.optional(a.uri), e.str(a.name, a.id), raw, uint16(8), byte(0), typ, bits)
	}
	e.chunk(chunkStartElement, body...)
	return nil
}

// value types a value by the declaration of its attribute, or by its looks without one.
func (e *xmlEncoder) value(s string, decl *attribute) (typ byte, data uint32, err error) {
	allows := func(format string) bool {
		return decl == nil || slices.Contains(decl.formats, format) || slices.Contains(decl.formats, "any")
	}
	if len(s) > 1 && (s[0] == '@' || s[0] == '?') {
		return e.reference(s)
	}
	if decl != nil && (slices.Contains(decl.formats, "enum") || slices.Contains(decl.formats, "flags")) {
		if typ, data, ok := decl.word(s); ok {
			return typ, data, nil
		}
	}
	if allows("color") && strings.HasPrefix(s, "#") {
		if typ, data, ok := color(s[1:]); ok {
			return typ, data, nil
		}
	}
	if allows("boolean") {
		switch s {
		case "true", "TRUE", "True":
			return resBoolean, math.MaxUint32, nil
		case "false", "FALSE", "False":
			return resBoolean, 0, nil
		}
	}
	if allows("integer") || decl != nil && len(decl.words) > 0 {
		if typ, data, ok := integer(s); ok {
			return typ, data, nil
		}
	}
	if typ, data, ok := measure(s); ok && allows(map[byte]string{resFloat: "float", resDimension: "dimension", resFraction: "fraction"}[typ]) {
		return typ, data, nil
	}
	if allows("string") {
		return resString, 0, nil
	}
	return 0, 0, fmt.Errorf("the platform wants %s", strings.Join(decl.formats, " or "))
}

// reference reads @type/name, @package:type/name, @0x7f010001, @null, @empty and the same with "?".
func (e *xmlEncoder) reference(s string) (typ byte, data uint32, err error) {
	typ = resReference
	if s[0] == '?' {
		typ = resAttribute
	}
	switch name := strings.TrimLeft(s[1:], "+*"); {
	case s == "@null":
		return resReference, 0, nil
	case s == "@empty":
		return resNull, 1, nil
	case strings.HasPrefix(name, "0x"):
		v, err := strconv.ParseUint(name, 0, 32)
		return typ, uint32(v), err
	default:
		if typ == resAttribute && !strings.Contains(name, "/") { // ?name, ?android:name
			pkg, rest, ok := strings.Cut(name, ":")
			if name = "attr/" + name; ok {
				name = pkg + ":attr/" + rest
			}
		}
		if android, ok := strings.CutPrefix(name, "android:"); ok {
			if id, ok := framework().resources[android]; ok {
				return typ, id, nil
			}
		}
		if e.resolve != nil {
			if id, ok := e.resolve(name); ok {
				return typ, id, nil
			}
		}
		return 0, 0, errors.New("no such resource")
	}
}

// word reads an enum value or flags joined by "|".
func (a *attribute) word(s string) (typ byte, data uint32, ok bool) {
	if slices.Contains(a.formats, "enum") {
		if v, ok := a.words[s]; ok {
			return resDecimal, v, true
		}
	}
	if !slices.Contains(a.formats, "flags") || s == "" {
		return 0, 0, false
	}
	for f := range strings.SplitSeq(s, "|") {
		v, ok := a.words[strings.TrimSpace(f)]
		if !ok {
			return 0, 0, false
		}
		data |= v
	}
	return resHex, data, true
}

func integer(s string) (typ byte, data uint32, ok bool) {
	body, neg := strings.CutPrefix(s, "-")
	if h, ok := strings.CutPrefix(strings.ToLower(body), "0x"); ok && !neg {
		v, err := strconv.ParseUint(h, 16, 32)
		return resHex, uint32(v), err == nil
	}
	v, err := strconv.ParseInt(s, 10, 32)
	return resDecimal, uint32(v), err == nil && s[0] != '+'
}

func color(s string) (typ byte, data uint32, ok bool) {
	v, err := strconv.ParseUint(s, 16, 32)
	c := uint32(v)
	nibbles := func(c uint32) uint32 { // each hex digit twice
		return (c>>12&15<<24 | c>>8&15<<16 | c>>4&15<<8 | c&15) * 0x11
	}
	switch len(s) {
	case 8:
		return resColorARGB8, c, err == nil
	case 6:
		return resColorRGB8, 0xff<<24 | c, err == nil
	case 4:
		return resColorARGB4, nibbles(c), err == nil
	case 3:
		return resColorRGB4, nibbles(0xf000 | c), err == nil
	}
	return 0, 0, false
}

// measure reads a float, or a number with a unit as Res_value packs it: mantissa, radix and unit.
func measure(s string) (typ byte, data uint32, ok bool) {
	n := len(strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz%"))
	f, err := strconv.ParseFloat(s[:n], 32)
	if err != nil || n == 0 || strings.ContainsAny(s[:n], "xX_nN") {
		return 0, 0, false
	}
	unit := s[n:]
	if unit == "" {
		return resFloat, math.Float32bits(float32(f)), true
	}
	typ = resDimension
	u, ok := map[string]uint32{"px": 0, "dp": 1, "dip": 1, "sp": 2, "pt": 3, "in": 4, "mm": 5}[unit]
	if !ok {
		typ = resFraction
		if u, ok = map[string]uint32{"%": 0, "%p": 1}[unit]; !ok {
			return 0, 0, false
		}
		f = float64(float32(f) * float32(1.0/100))
	}
	if math.Abs(f) >= 1<<23 {
		return 0, 0, false
	}
	// As complex_value of androidfw's ResourceTypes.cpp: 23 bits behind the point, then the radix that
	// loses least.
	bits := uint64(float32(math.Abs(f))*(1<<23) + .5)
	var radix, shift uint32
	switch {
	case bits&0x7fffff == 0:
		radix, shift = 0, 23
	case bits&^0x7fffff == 0:
		radix, shift = 3, 0
	case bits&^0x7fffffff == 0:
		radix, shift = 2, 8
	case bits&^0x7fffffffff == 0:
		radix, shift = 1, 16
	default:
		radix, shift = 0, 23
	}
	mantissa := uint32(bits>>shift) & 0xffffff
	if f < 0 {
		mantissa = -mantissa & 0xffffff
	}
	return typ, mantissa<<8 | radix<<4 | u, true
}

// unescapeXML undoes the backslashes of Android resource text.
func unescapeXML(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'u':
			if i+5 <= len(s) {
				if v, err := strconv.ParseUint(s[i+1:i+5], 16, 16); err == nil {
					b.WriteRune(rune(v))
					i += 4
					continue
				}
			}
			b.WriteByte('u')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// bytes lays the chunks out behind the string pool and the resource map.
func (e *xmlEncoder) bytes() []byte {
	// Strings with an id come first, by id; the others as they came.
	slices.SortStableFunc(e.strings, func(a, b xmlString) int { return cmp.Compare(a.id-1, b.id-1) })
	le := binary.LittleEndian
	var ids, offsets, data []byte
	for i, s := range e.strings {
		e.index[s] = uint32(i)
		if s.id != 0 {
			ids = le.AppendUint32(ids, s.id)
		}
		offsets = le.AppendUint32(offsets, uint32(len(data)))
		u := utf16.Encode([]rune(s.s))
		if len(u) >= 0x8000 {
			data = le.AppendUint16(data, uint16(0x8000|len(u)>>16))
		}
		data = le.AppendUint16(data, uint16(len(u)))
		for _, c := range u {
			data = le.AppendUint16(data, c)
		}
		data = le.AppendUint16(data, 0)
	}
	if len(data)%4 != 0 {
		data = append(data, 0, 0)
	}
	header := func(b []byte, typ, size uint16, total int) []byte {
		return le.AppendUint32(le.AppendUint16(le.AppendUint16(b, typ), size), uint32(total))
	}
	out := header(nil, chunkStringPool, 28, 28+len(offsets)+len(data))
	out = le.AppendUint32(out, uint32(len(e.strings)))
	out = le.AppendUint32(out, 0) // styles
	out = le.AppendUint32(out, 0) // flags: UTF-16, not sorted
	out = le.AppendUint32(out, uint32(28+len(offsets)))
	out = le.AppendUint32(out, 0)
	out = append(append(out, offsets...), data...)
	if len(ids) > 0 {
		out = append(header(out, chunkResourceMap, 8, 8+len(ids)), ids...)
	}
	for _, c := range e.chunks {
		body := le.AppendUint32(nil, uint32(c.line))
		body = le.AppendUint32(body, noString) // comment
		for _, v := range c.body {
			switch v := v.(type) {
			case uint32:
				body = le.AppendUint32(body, v)
			case uint16:
				body = le.AppendUint16(body, v)
			case byte:
				body = append(body, v)
			case xmlString:
				body = le.AppendUint32(body, e.index[v])
			}
		}
		out = append(header(out, c.typ, 16, 8+len(body)), body...)
	}
	return append(header(nil, chunkXML, 8, 8+len(out)), out...)
}
