package program

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/knowledge"
	"gifthorse/phone"
)

// The form of an entry: every value of a followed in the order of its fields, as varints; a text once, and its number
// from then on; what is the phone's own (packages, components, kinds, addresses) by name. A new field needs nothing here.

var (
	errOther   = errors.New("the phone answers otherwise")
	errDamaged = errors.New("damaged")
)

// ownName stands for the app that the entry is of: the next build may have another of its name.
const ownName = "."

type writer struct {
	c       *contents
	own     string
	out     []byte
	texts   map[string]int
	entries map[*Entry]int
	err     error
}

func (w *writer) number(n int64) { w.out = binary.AppendVarint(w.out, n) }

func (w *writer) text(s string) {
	n, ok := w.texts[s]
	if !ok {
		n = len(w.texts)
		w.texts[s] = n
	}
	w.number(int64(n))
	if !ok {
		w.number(int64(len(s)))
		w.out = append(w.out, s...)
	}
}

// name writes a name of contents.
func (w *writer) name(s string) {
	if rest, ok := strings.CutPrefix(s, w.own); ok && (rest == "" || rest[0] == ' ') {
		s = ownName + rest
	}
	w.text(s)
}

func (w *writer) value(v reflect.Value) {
	switch v.Type() {
	case refType:
		at := v.Interface().(evidence.Ref)
		name := w.c.files[at.File()]
		if name == "" && at != (evidence.Ref{}) {
			w.err = fmt.Errorf("%s is no file of an app or a library", at)
		}
		w.name(name)
		w.text(at.Symbol)
		w.number(at.Off<<1 | b2i(at.HasOff))
		return
	case packageType:
		w.name(w.c.names[v.Interface().(*phone.Package)])
		return
	case componentType:
		n := -1
		if c := v.Interface().(*phone.Component); c != nil {
			n = slices.Index(c.Package.Components, c)
			w.name(w.c.names[c.Package])
		} else {
			w.name("")
		}
		w.number(int64(n))
		return
	case kindType:
		w.text(v.Interface().(*knowledge.FactKind).ID)
		return
	case entryType:
		e := v.Interface().(*Entry)
		n, ok := w.entries[e]
		if !ok {
			n = len(w.entries)
			w.entries[e] = n
		}
		w.number(int64(n))
		if !ok {
			w.value(v.Elem())
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		w.number(b2i(v.Bool()))
	case reflect.Int, reflect.Int64:
		w.number(v.Int())
	case reflect.Uint8:
		w.number(int64(v.Uint()))
	case reflect.String:
		w.text(v.String())
	case reflect.Slice:
		if v.IsNil() {
			w.number(0)
			return
		}
		w.number(int64(v.Len()) + 1)
		for i := range v.Len() {
			w.value(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			w.value(v.Field(i))
		}
	default:
		w.err = fmt.Errorf("a %s is not written", v.Type())
	}
}

type reader struct {
	c       *contents
	own     *phone.Package
	in      []byte
	texts   []string
	entries []*Entry
	err     error
}

func (d *reader) fail() {
	d.err, d.in = errDamaged, nil
}

func (d *reader) number() int64 {
	n, size := binary.Varint(d.in)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.in = d.in[size:]
	return n
}

func (d *reader) text() string {
	switch n := d.number(); {
	case n >= 0 && n < int64(len(d.texts)):
		return d.texts[n]
	case d.err == nil && n == int64(len(d.texts)):
		size := d.number()
		if size < 0 || size > int64(len(d.in)) {
			d.fail()
			return ""
		}
		s := string(d.in[:size])
		d.in = d.in[size:]
		d.texts = append(d.texts, s)
		return s
	}
	d.fail()
	return ""
}

func (d *reader) name() string {
	s := d.text()
	if rest, ok := strings.CutPrefix(s, ownName); ok {
		s = d.c.names[d.own] + rest
	}
	return s
}

func (d *reader) value(v reflect.Value) {
	if d.err != nil {
		return
	}
	set := func(x any, ok bool) {
		if !ok {
			d.fail()
		} else if d.err == nil {
			v.Set(reflect.ValueOf(x))
		}
	}
	switch v.Type() {
	case refType:
		name := d.name()
		at, ok := d.c.refs[name]
		symbol, off := d.text(), d.number()
		if off&1 == 1 {
			at = at.At(symbol, off>>1)
		} else {
			at = at.Sym(symbol)
		}
		set(at, ok || at == (evidence.Ref{}))
		return
	case packageType:
		name := d.name()
		k, ok := d.c.packages[name]
		set(k, ok || name == "")
		return
	case componentType:
		name, n := d.name(), d.number()
		if k := d.c.packages[name]; k != nil && n >= 0 && n < int64(len(k.Components)) {
			set(k.Components[n], true)
		} else if name != "" {
			d.fail()
		}
		return
	case kindType:
		k := knowledge.Kind(d.text())
		set(k, k != nil)
		return
	case entryType:
		n := d.number()
		if d.err == nil && n == int64(len(d.entries)) {
			e := new(Entry)
			d.entries = append(d.entries, e)
			d.value(reflect.ValueOf(e).Elem())
		}
		if n < 0 || n >= int64(len(d.entries)) {
			d.fail()
			return
		}
		set(d.entries[n], true)
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(d.number() != 0)
	case reflect.Int, reflect.Int64:
		v.SetInt(d.number())
	case reflect.Uint8:
		v.SetUint(uint64(uint8(d.number())))
	case reflect.String:
		v.SetString(d.text())
	case reflect.Slice:
		n := d.number()
		if n == 0 || d.err != nil {
			return
		}
		if n < 0 || n-1 > int64(len(d.in)) { // each element takes a byte or more
			d.fail()
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 0, min(int(n-1), 1024)))
		for i := range int(n - 1) {
			if d.err != nil {
				return
			}
			v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
			d.value(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			d.value(v.Field(i))
		}
	default:
		d.fail()
	}
}
