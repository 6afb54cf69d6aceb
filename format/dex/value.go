package dex

import (
	"iter"
	"math"

	"gifthorse/internal/cursor"
)

// A ValueKind says what a Value is. The numbers are those of encoded_value.
type ValueKind uint8

// The kinds of value, and the field of Value each uses.
const (
	ValueByte         ValueKind = 0x00 // Int
	ValueShort        ValueKind = 0x02 // Int
	ValueChar         ValueKind = 0x03 // Int, 0 to 65535
	ValueInt          ValueKind = 0x04 // Int
	ValueLong         ValueKind = 0x06 // Int
	ValueFloat        ValueKind = 0x10 // Float
	ValueDouble       ValueKind = 0x11 // Float
	ValueMethodType   ValueKind = 0x15 // Index: proto
	ValueMethodHandle ValueKind = 0x16 // Index: method handle
	ValueString       ValueKind = 0x17 // Index: string
	ValueType         ValueKind = 0x18 // Index: type
	ValueField        ValueKind = 0x19 // Index: field
	ValueMethod       ValueKind = 0x1a // Index: method
	ValueEnum         ValueKind = 0x1b // Index: the field of the enum constant
	ValueArray        ValueKind = 0x1c // Array
	ValueAnnotation   ValueKind = 0x1d // Annotation
	ValueNull         ValueKind = 0x1e
	ValueBoolean      ValueKind = 0x1f // Int, 0 or 1
)

// A Value is a constant of a static field, of an annotation or of a call site.
type Value struct {
	Kind       ValueKind
	Index      uint32
	Int        int64
	Float      float64
	Array      []Value
	Annotation *Annotation // its Visibility has no meaning
}

// An Annotation is one annotation with its elements.
type Annotation struct {
	Visibility uint8  // 0 build, 1 runtime, 2 system (those of dalvik.annotation: InnerClass, Signature, Throws, ...)
	Type       uint32 // type index
	Elements   []Element
}

// An Element is a named value of an annotation.
type Element struct {
	Name  uint32 // string index
	Value Value
}

const (
	// maxValues bounds what one call decodes, since a value can be a single byte of the file and costs 64 of memory. A class has no more
	// static fields than that, for code could not name them.
	maxValues = 1 << 16
	// maxDepth bounds arrays and annotations within each other, to guard the stack. Compilers emit three or four levels.
	maxDepth = 32
)

// values decodes encoded_value and what is built from it. After the first error everything reads as nothing.
type values struct {
	f    *File
	b    []byte
	left int // values that may still be decoded
	err  error
}

func (f *File) values(off uint32) *values {
	v := &values{f: f, b: f.at(off), left: maxValues}
	if v.b == nil {
		v.err = cursor.Errorf(int64(off), "encoded value outside the file")
	}
	return v
}

func (v *values) fail(format string, args ...any) {
	if v.err == nil {
		v.err = cursor.Errorf(v.f.off(v.b), format, args...)
	}
	v.b = nil
}

func (v *values) uleb() uint32 {
	u, n := uleb(v.b)
	if n == 0 {
		v.fail("encoded value ends unfinished")
		return 0
	}
	v.b = v.b[n:]
	return u
}

func (v *values) byte() byte {
	if len(v.b) == 0 {
		v.fail("encoded value ends unfinished")
		return 0
	}
	c := v.b[0]
	v.b = v.b[1:]
	return c
}

func (v *values) array(depth int) []Value {
	n := v.uleb()
	var out []Value
	for ; n > 0 && v.err == nil; n-- {
		if x := v.value(depth); v.err == nil {
			out = append(out, x)
		}
	}
	return out
}

func (v *values) annotation(depth int) *Annotation {
	a := &Annotation{Type: v.uleb()}
	for n := v.uleb(); n > 0 && v.err == nil; n-- {
		name := v.uleb()
		if x := v.value(depth); v.err == nil {
			a.Elements = append(a.Elements, Element{name, x})
		}
	}
	return a
}

func (v *values) value(depth int) Value {
	if v.left--; v.left < 0 {
		v.fail("more than %d encoded values", maxValues)
		return Value{}
	}
	if depth > maxDepth {
		v.fail("encoded values nested deeper than %d", maxDepth)
		return Value{}
	}
	head := v.byte()
	x := Value{Kind: ValueKind(head & 0x1f)}
	arg := int(head >> 5)
	// most is the longest form of each kind, which is what ART reads no further than.
	var most int
	switch x.Kind {
	case ValueArray:
		x.Array = v.array(depth + 1)
		return x
	case ValueAnnotation:
		x.Annotation = v.annotation(depth + 1)
		return x
	case ValueNull:
		return x
	case ValueBoolean:
		if arg != 0 {
			x.Int = 1
		}
		return x
	case ValueByte:
		most = 1
	case ValueShort, ValueChar:
		most = 2
	case ValueLong, ValueDouble:
		most = 8
	case ValueInt, ValueFloat, ValueMethodType, ValueMethodHandle, ValueString, ValueType, ValueField, ValueMethod, ValueEnum:
		most = 4
	default:
		v.fail("encoded value of unknown kind %#x", x.Kind)
		return Value{}
	}
	n := arg + 1
	if n > most {
		v.fail("encoded value of kind %#x with %d bytes", x.Kind, n)
		return Value{}
	}
	if n > len(v.b) {
		v.fail("encoded value ends unfinished")
		return Value{}
	}
	var u uint64
	for i, c := range v.b[:n] {
		u |= uint64(c) << (8 * i)
	}
	v.b = v.b[n:]
	shift := 64 - 8*n
	switch x.Kind {
	case ValueByte, ValueShort, ValueInt, ValueLong:
		x.Int = int64(u<<shift) >> shift
	case ValueChar:
		x.Int = int64(u)
	case ValueFloat: // cut at the right: the missing low bytes are zero
		x.Float = float64(math.Float32frombits(uint32(u << (32 - 8*n))))
	case ValueDouble:
		x.Float = math.Float64frombits(u << shift)
	default:
		x.Index = uint32(u)
	}
	return x
}

// StaticValues returns the initial values of the first static fields of c, in the order of ClassData.StaticFields; the fields after
// them start as zero or null. With an error come the values read before it.
func (f *File) StaticValues(c ClassDef) ([]Value, error) {
	if c.StaticValues == 0 {
		return nil, nil
	}
	v := f.values(c.StaticValues)
	return v.array(0), v.err
}

// CallSite returns the values of call site i: method handle of the bootstrap method, name, method type, then extra arguments.
func (f *File) CallSite(i uint32) ([]Value, error) {
	b := f.record(f.callSites, i, 4)
	if b == nil {
		return nil, cursor.Errorf(int64(f.callSites.off), "no call site %d", i)
	}
	v := f.values(le.Uint32(b))
	return v.array(0), v.err
}

// A MethodHandle is what const-method-handle loads.
type MethodHandle struct {
	Kind  uint16 // 0 static put, 1 static get, 2 instance put, 3 instance get, 4 static, 5 instance, 6 constructor, 7 direct, 8 interface
	Index uint32 // field index for Kind 0 to 3, else method index; NoIndex if there is no such handle
}

// MethodHandle returns method handle i.
func (f *File) MethodHandle(i uint32) MethodHandle {
	if b := f.record(f.handles, i, 8); b != nil {
		return MethodHandle{le.Uint16(b), uint32(le.Uint16(b[4:]))}
	}
	return MethodHandle{Index: NoIndex}
}

// An AnnotationSet is where a set of annotations is; 0 is the empty set. It costs nothing until Annotations decodes it.
type AnnotationSet uint32

// ClassAnnotations returns the annotations on c itself.
func (f *File) ClassAnnotations(c ClassDef) AnnotationSet {
	if b := f.at(c.Annotations); len(b) >= 4 {
		return AnnotationSet(le.Uint32(b))
	}
	return 0
}

// FieldAnnotations yields the field index and annotations of each annotated field of c.
func (f *File) FieldAnnotations(c ClassDef) iter.Seq2[uint32, AnnotationSet] {
	return f.memberAnnotations(c, 0)
}

// MethodAnnotations yields the method index and annotations of each annotated method of c.
func (f *File) MethodAnnotations(c ClassDef) iter.Seq2[uint32, AnnotationSet] {
	return f.memberAnnotations(c, 1)
}

// ParameterAnnotations yields, for each method of c with annotated parameters, its index and the annotations of each parameter from the
// first on. Trailing parameters may be left out, and so may the parameters a compiler added.
func (f *File) ParameterAnnotations(c ClassDef) iter.Seq2[uint32, []AnnotationSet] {
	return func(yield func(uint32, []AnnotationSet) bool) {
		for method, at := range f.memberAnnotations(c, 2) {
			b := f.at(uint32(at))
			if len(b) < 4 {
				continue
			}
			// A method has at most 255 parameters, for their count is one byte of the invoke.
			n := min(int64(le.Uint32(b)), int64(len(b)-4)/4, 255)
			sets := make([]AnnotationSet, 0, n)
			for b = b[4:]; len(sets) < int(n); b = b[4:] {
				sets = append(sets, AnnotationSet(le.Uint32(b)))
			}
			if !yield(method, sets) {
				return
			}
		}
	}
}

// memberAnnotations yields (index, offset) of one of the three lists of annotations_directory_item: fields, methods, parameters.
func (f *File) memberAnnotations(c ClassDef, which int) iter.Seq2[uint32, AnnotationSet] {
	return func(yield func(uint32, AnnotationSet) bool) {
		b := f.at(c.Annotations)
		if len(b) < 16 {
			return
		}
		var skip uint64
		for i := range which {
			skip += 8 * uint64(le.Uint32(b[4+4*i:]))
		}
		n := le.Uint32(b[4+4*which:])
		b = b[16:]
		if skip > uint64(len(b)) {
			return
		}
		for b = b[skip:]; n > 0 && len(b) >= 8; n-- {
			if !yield(le.Uint32(b), AnnotationSet(le.Uint32(b[4:]))) {
				return
			}
			b = b[8:]
		}
	}
}

// items yields the offset of each annotation_item of s.
func (f *File) items(s AnnotationSet) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		b := f.at(uint32(s))
		if len(b) < 4 {
			return
		}
		n := le.Uint32(b)
		for b = b[4:]; n > 0 && len(b) >= 4; n-- {
			if !yield(le.Uint32(b)) {
				return
			}
			b = b[4:]
		}
	}
}

// AnnotationTypes yields the type index of each annotation of s, for those who only ask whether one is there.
func (f *File) AnnotationTypes(s AnnotationSet) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for off := range f.items(s) {
			b := f.at(off)
			if len(b) < 2 {
				continue
			}
			if t, n := uleb(b[1:]); n > 0 && !yield(t) {
				return
			}
		}
	}
}

// Annotations decodes s. With an error come the annotations read before it.
func (f *File) Annotations(s AnnotationSet) ([]Annotation, error) {
	var out []Annotation
	left := maxValues
	for off := range f.items(s) {
		v := f.values(off)
		v.left = left
		visibility := v.byte()
		a := v.annotation(0)
		if v.err != nil {
			return out, v.err
		}
		a.Visibility = visibility
		out = append(out, *a)
		// An annotation counts as a value, so that empty ones are bounded too.
		if left = v.left - 1; left < 0 {
			return out, cursor.Errorf(int64(s), "more than %d annotations in a set", maxValues)
		}
	}
	return out, nil
}
