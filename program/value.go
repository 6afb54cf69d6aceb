package program

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// A value is what the analysis knows of a register or field: a constant, one or several objects, or
// nothing but its type; and whose data it carries.
//
// Values are compared with ==. What is variable in length (sets of labels, of objects, of alternatives)
// is interned by the run that made it.
type value struct {
	kind  kind
	maybe bool   // an object that may also be null
	held  uint32 // set of conds: of such an object, what was decided where it is not null
	n     int64  // constant; text or class id; object set
	typ   Sym    // declared type of something unknown, 0 if not known
	taint uint32 // label set
	alts  uint32 // set of alternatives: the constants it may be, each with what must have been decided
	test  uint32 // the question whose answer this is, or 0
}

type kind uint8

const (
	anything kind = iota
	number        // of any primitive type; null is number 0
	text
	prefix   // a text that begins with text n and goes on unknown
	suffix   // a text that ends with text n, its beginning unknown
	rooted   // a text whose beginning is unknown, but not an outsider's
	classRef // a java.lang.Class; n is the descriptor
	object   // n is an object set
	below    // a number from 0 to n-1
)

func intVal(n int64) value { return value{kind: number, n: n} }

func (v value) isNull() bool { return v.kind == number && v.n == 0 }

// A label says whose data a value carries, and where it was read.
type label struct {
	kind  string // "extra", "action", "data", "parcel", "argument", a source of knowledge, or a guard's kind
	key   string // name of the extra, of the permission, of the property
	guard bool   // it answers who calls or whether he may
	chain *chain // the calls that led to the place where it was read
	conds uint32 // what was decided on the way there
	born  int    // which driving of the run read it: 0 the component, else the receiver registered in code
	words string
}

// A chain is a stack of calls: the innermost first.
type chain struct {
	method MethodID
	pc     uint32
	what   string // what happens there, if it is not a plain call
	up     *chain
	depth  int
}

// An alternative is one constant that a value may be, and what was decided on the way to it.
type alternative struct {
	kind  kind
	n     int64
	taint uint32
	conds uint32
	test  uint32 // the question whose answer it is, or 0
}

// A test is a question that code asked: does this text equal that one, may the caller.
type test struct {
	op     string // "equals", "starts with", "contains", "is", "permission", "signature", "throws", "zero"
	left   uint32 // label set of what was asked about
	right  string // the constant it was compared with, if it was one
	label  uint32 // of the guard, or 0
	method MethodID
	pc     uint32
	yes    int64 // the answer that means yes: 1, or 0 for PERMISSION_GRANTED
}

// A cond is a test with the answer that was got: id of the test shifted left, lowest bit set for yes.
type cond uint32

// interner gives equal slices of numbers equal ids. Id 0 is the empty slice.
type interner struct {
	ids   map[string]uint32
	items [][]uint32
	buf   []byte
	memo  map[uint64]uint32
}

func newInterner() *interner {
	return &interner{ids: map[string]uint32{}, items: [][]uint32{nil}, memo: map[uint64]uint32{}}
}

func (t *interner) intern(s []uint32) uint32 {
	if len(s) == 0 {
		return 0
	}
	t.buf = t.buf[:0]
	for _, x := range s {
		t.buf = binary.LittleEndian.AppendUint32(t.buf, x)
	}
	if id, ok := t.ids[string(t.buf)]; ok {
		return id
	}
	id := uint32(len(t.items))
	t.items = append(t.items, slices.Clone(s))
	t.ids[string(t.buf)] = id
	return id
}

// union joins two sorted sets.
func (t *interner) union(a, b uint32) uint32 {
	if a == b || b == 0 {
		return a
	}
	if a == 0 {
		return b
	}
	if a > b {
		a, b = b, a
	}
	k := uint64(a)<<32 | uint64(b)
	if u, ok := t.memo[k]; ok {
		return u
	}
	s := slices.Concat(t.items[a], t.items[b])
	slices.Sort(s)
	s = slices.Compact(s)
	if len(s) > maxSet {
		s = s[:maxSet]
	}
	u := t.intern(s)
	t.memo[k] = u
	return u
}

// maxSet bounds the labels or objects that one value carries. Joining more makes a value no more telling,
// and each join would cost more than the one before.
const maxSet = 24

func (t *interner) intersect(a, b uint32) uint32 {
	if a == b {
		return a
	}
	if a == 0 || b == 0 {
		return 0
	}
	var s []uint32
	y := t.items[b]
	for _, x := range t.items[a] {
		if _, ok := slices.BinarySearch(y, x); ok {
			s = append(s, x)
		}
	}
	return t.intern(s)
}

func (t *interner) minus(a, b uint32) uint32 {
	if a == b || a == 0 {
		return 0
	}
	if b == 0 {
		return a
	}
	var s []uint32
	y := t.items[b]
	for _, x := range t.items[a] {
		if _, ok := slices.BinarySearch(y, x); !ok {
			s = append(s, x)
		}
	}
	return t.intern(s)
}

func (t *interner) add(a, x uint32) uint32 {
	if _, ok := slices.BinarySearch(t.items[a], x); ok {
		return a
	}
	i, _ := slices.BinarySearch(t.items[a], x)
	return t.intern(slices.Insert(slices.Clone(t.items[a]), i, x))
}

// A heap maps (object, field) to a value. It is a Patricia trie that shares what did not change, so that
// a branch costs nothing and a join costs only what differs (Okasaki and Gill, Fast Mergeable Integer
// Maps, 1998).
type heap struct {
	key         uint64 // leaf: the key; branch: its prefix
	mask        uint64 // branch: the deciding bit; leaf: 0
	val         value
	left, right *heap
}

func (h *heap) get(k uint64) (value, bool) {
	for h != nil && h.mask != 0 {
		if k&h.mask == 0 {
			h = h.left
		} else {
			h = h.right
		}
	}
	if h != nil && h.key == k {
		return h.val, true
	}
	return value{}, false
}

func (h *heap) prefixOf(k uint64) bool {
	return (k^h.key)&^(h.mask<<1-1) == 0
}

func link(a, b *heap) *heap {
	m := uint64(1) << (63 - bits.LeadingZeros64(a.key^b.key))
	n := &heap{key: a.key &^ (m<<1 - 1), mask: m, left: a, right: b}
	if a.key&m != 0 {
		n.left, n.right = b, a
	}
	return n
}

func (h *heap) set(k uint64, v value) *heap {
	switch {
	case h == nil:
		return &heap{key: k, val: v}
	case h.mask == 0:
		if h.key == k {
			if h.val == v {
				return h
			}
			return &heap{key: k, val: v}
		}
		return link(h, &heap{key: k, val: v})
	case !h.prefixOf(k):
		return link(h, &heap{key: k, val: v})
	case k&h.mask == 0:
		l := h.left.set(k, v)
		if l == h.left {
			return h
		}
		return &heap{key: h.key, mask: h.mask, left: l, right: h.right}
	default:
		r := h.right.set(k, v)
		if r == h.right {
			return h
		}
		return &heap{key: h.key, mask: h.mask, left: h.left, right: r}
	}
}

// join merges two heaps. Where only one has a field, the value stays: the other path has not made the
// object, or its field is still what it was at first, which a reader asks for by the field's type. It adds
// the nodes it visits to *n.
func (h *heap) join(o *heap, n *int, f func(a, b value) value) *heap {
	*n++
	switch {
	case h == o || o == nil:
		return h
	case h == nil:
		return o
	case h.mask == 0 && o.mask == 0:
		if h.key == o.key {
			v := f(h.val, o.val)
			if v == h.val {
				return h
			}
			return &heap{key: h.key, val: v}
		}
		return link(h, o)
	case h.mask == o.mask && h.key == o.key:
		l, r := h.left.join(o.left, n, f), h.right.join(o.right, n, f)
		if l == h.left && r == h.right {
			return h
		}
		return &heap{key: h.key, mask: h.mask, left: l, right: r}
	case h.mask > o.mask && h.prefixOf(o.key):
		if o.key&h.mask == 0 {
			l := h.left.join(o, n, f)
			if l == h.left {
				return h
			}
			return &heap{key: h.key, mask: h.mask, left: l, right: h.right}
		}
		r := h.right.join(o, n, f)
		if r == h.right {
			return h
		}
		return &heap{key: h.key, mask: h.mask, left: h.left, right: r}
	case o.mask > h.mask && o.prefixOf(h.key):
		if h.key&o.mask == 0 {
			return &heap{key: o.key, mask: o.mask, left: h.join(o.left, n, f), right: o.right}
		}
		return &heap{key: o.key, mask: o.mask, left: o.left, right: h.join(o.right, n, f)}
	default:
		return link(h, o)
	}
}

// each calls f for every field of object o that h holds, in key order.
func (h *heap) each(obj uint32, f func(field uint32, v value)) {
	if h == nil {
		return
	}
	lo, hi := uint64(obj)<<32, uint64(obj)<<32|0xffffffff
	if h.mask == 0 {
		if h.key >= lo && h.key <= hi {
			f(uint32(h.key), h.val)
		}
		return
	}
	min, max := h.key, h.key|(h.mask<<1-1)
	if max < lo || min > hi {
		return
	}
	h.left.each(obj, f)
	h.right.each(obj, f)
}
