package program

import (
	"hash/crc32"
	"math/bits"
	"slices"
	"strings"
)

// What an object of the platform holds that is evaluated: bytes are kept as a text of as many bytes, so that
// some thousand of them are one value on the heap. (See keyAll.)
const (
	keyRaw  = 8<<28 + 64 + iota // its bytes, which never change: of a key, a certificate, a big number
	keyFed                      // bytes that do change: what a digest or stream was fed, what is left in one to read
	keyName                     // of a digest, cipher, decoder: the name of what it does
	keyKey                      // of a cipher or MAC: the bytes of its key
	keyIV                       // of a cipher, of a password's key: its initial vector, its salt
	keyMode                     // of a cipher: 1 to encrypt, 2 to decrypt; of its parameters: bits of the tag
)

// inputs are the arguments of a call whose result is known only if all that is asked for here is known.
type inputs struct {
	r     *run
	s     *site
	taint uint32 // of what was read
	open  bool   // something that was read is not known
}

func (k *inputs) unknown() value {
	k.open = true
	return value{}
}

func (k *inputs) arg(i int) value {
	if i >= len(k.s.args) {
		return k.unknown()
	}
	v := k.s.args[i]
	k.taint = k.r.labelSets.union(k.taint, v.taint)
	return v
}

// param is the declared type of argument i, "" for the receiver.
func (k *inputs) param(i int) string {
	if k.s.inst {
		i--
	}
	return paramType(k.s.proto, i)
}

func (k *inputs) num(i int) int64 {
	v := k.arg(i)
	if v.kind != number {
		k.open = true
	}
	return v.n
}

// index is a number that must lie between 0 and n.
func (k *inputs) index(i, n int) int {
	x := k.num(i)
	if x < 0 || x > int64(n) {
		k.open = true
		return 0
	}
	return int(x)
}

func (k *inputs) text(i int) string { return k.isText(k.r.content(k.s.cur, k.arg(i))) }

func (k *inputs) isText(v value) string {
	k.taint = k.r.labelSets.union(k.taint, v.taint)
	t, ok := k.r.onlyText(v)
	if !ok {
		k.open = true
	}
	return t
}

// onlyText is the text that v is if it is not null: what asks a null for something ends there.
func (r *run) onlyText(v value) (t string, ok bool) {
	for _, a := range r.altLists[v.alts] {
		switch {
		case a.kind == text && !ok:
			t, ok = r.texts[a.n], true
		case a.kind != number || a.n != 0:
			return "", false
		}
	}
	if v.kind == text {
		return r.texts[v.n], true
	}
	return t, ok
}

// held is a text that the platform's object i holds under a key of its own.
func (k *inputs) held(i int, key uint32) string {
	v := k.arg(i)
	if len(k.r.objectsOf(v)) == 0 {
		k.open = true
	}
	return k.isText(k.r.fieldGet(k.s.cur, v, key, 0))
}

func (k *inputs) bytes(i int) []byte {
	b, taint, ok := k.r.bytesIn(k.s.cur, k.arg(i))
	k.taint = k.r.labelSets.union(k.taint, taint)
	k.open = k.open || !ok
	return b
}

// part is an array of bytes, or the part of it that an offset and a length behind it name.
func (k *inputs) part(i int) []byte {
	b := k.bytes(i)
	if k.param(i+1) != "I" || k.param(i+2) != "I" {
		return b
	}
	from := k.index(i+1, len(b))
	n := k.index(i+2, len(b)-from)
	if k.open {
		return nil
	}
	return b[from : from+n]
}

func (k *inputs) units(i int) []uint16 {
	list, taint, ok := k.r.numbers(k.s.cur, k.arg(i))
	k.taint = k.r.labelSets.union(k.taint, taint)
	u := make([]uint16, len(list))
	for j, n := range list {
		u[j] = uint16(n)
	}
	k.open = k.open || !ok
	return u
}

// maxList bounds the arguments of one String.format or String.join: people write a few.
const maxList = 64

// list are the elements of an array of objects.
func (k *inputs) list(i int) []value {
	v := k.arg(i)
	n := k.r.lengthOf(k.s.cur, v)
	if n < 0 || n > maxList {
		k.open = true
		return nil
	}
	out := make([]value, n)
	for j := range out {
		out[j] = k.r.arrayGet(k.s.cur, v, intVal(int64(j)))
	}
	return out
}

// charset is the name of the charset that argument i names, UTF-8 if there is no such argument, as on Android.
func (k *inputs) charset(i int) string {
	switch k.param(i) {
	case "Ljava/lang/String;", "Ljava/nio/charset/Charset;":
		return k.text(i)
	}
	return "UTF-8"
}

// rule is the rule for all calls that have no model. What is evaluated is no container: it does not give back the arrays
// that were put into it.
func (r *run) rule(s *site) value {
	r.handOver(s)
	v := r.general(s)
	for _, o := range r.objectsOf(v) {
		if r.objects[o].array {
			return value{taint: r.deep(s.cur.heap, v), typ: r.retType(s.proto)}
		}
	}
	return v
}

// numbers reads an array whose every element is known.
func (r *run) numbers(cur *local, v value) (list []int64, taint uint32, ok bool) {
	os := r.objectsOf(v)
	if len(os) != 1 || !r.objects[os[0]].array || r.objects[os[0]].incoming != "" {
		return nil, 0, false
	}
	n, ok := cur.heap.get(fieldKey(os[0], keyLength))
	if !ok || n.kind != number || n.n < 0 || n.n > maxTextSize {
		return nil, 0, false
	}
	taint = r.labelSets.union(v.taint, r.objects[os[0]].label)
	list = make([]int64, n.n)
	cur.heap.each(os[0], func(f uint32, x value) {
		if f < keyIndex || f > keyAll {
			return
		}
		if i := f &^ keyIndex; f == keyAll || x.kind != number {
			ok = false
		} else if int(i) < len(list) {
			list[i] = x.n
		}
		taint = r.labelSets.union(taint, x.taint)
	})
	r.steps += len(list) / 16
	return list, taint, ok
}

// bytes returns the content of an array of bytes, or of an object that stands for one, such as a Signature, if all
// of it is known.
func (r *run) bytes(cur *local, v value) ([]byte, bool) {
	b, _, ok := r.bytesIn(cur, v)
	return b, ok
}

func (r *run) bytesIn(cur *local, v value) ([]byte, uint32, bool) {
	if os := r.objectsOf(v); len(os) == 1 && !r.objects[os[0]].array {
		v = r.content(cur, v)
	}
	if os := r.objectsOf(v); len(os) != 1 || r.p.syms.text[r.objects[os[0]].class] != "[B" {
		return nil, 0, false
	}
	list, taint, ok := r.numbers(cur, v)
	b := make([]byte, len(list))
	for i, n := range list {
		b[i] = byte(n)
	}
	return b, taint, ok
}

// bytesOf makes an array of bytes at a call. It is an array of its own each time, but where paths are joined: there
// the same bytes, made at the same call, are one array.
func (r *run) bytesOf(s *site, b []byte, taint uint32) value {
	return r.arrayOf(s, "[B", len(b), taint, func(i int) value { return value{kind: number, n: int64(int8(b[i])), taint: taint} })
}

// arrayOf makes an array of which every element is known.
func (r *run) arrayOf(s *site, class string, n int, taint uint32, at func(int) value) value {
	if n > maxIndex {
		return value{taint: taint}
	}
	var a value
	if s.f.fixed {
		h := uint32(n)
		for i := range n {
			h = h*31 + uint32(at(i).n)
		}
		a = r.made(s.cur, r.at(s.f, s.in.PC), -3-int32(h>>2), r.p.syms.ids[class], 0, true)
	} else {
		a = r.alloc(s.f, s.cur, r.p.syms.ids[class], s.in.PC, true)
	}
	o := r.objectsOf(a)[0]
	if n > 0 {
		s.cur.heap = r.joinHeap(s.cur.heap, span(o, 0, n, at), r.plain)
	}
	r.steps += n / 16 // as many nodes joined would cost
	r.write(s.cur, o, keyLength, intVal(int64(n)), true)
	a.taint = taint
	return a
}

// span is the heap that holds elements lo to hi-1 of array o. It is made at once, for a heap made of one element
// after the other is copied for each.
func span(o uint32, lo, hi int, at func(int) value) *heap {
	if hi-lo == 1 {
		return &heap{key: fieldKey(o, indexKey(int64(lo))), val: at(lo)}
	}
	m := 1 << (bits.Len(uint(lo^(hi-1))) - 1)
	mid := (hi - 1) &^ (m - 1)
	return &heap{key: fieldKey(o, indexKey(int64(lo))) &^ (uint64(m)<<1 - 1), mask: uint64(m), left: span(o, lo, mid, at), right: span(o, mid, hi, at)}
}

// hold stores what the receiver of a call holds from now on.
func (r *run) hold(s *site, key uint32, v value) {
	os := r.objectsOf(s.arg(0))
	for _, o := range os {
		r.write(s.cur, o, key, v, len(os) == 1)
	}
}

// overwritten forgets what the platform, or code that cannot be followed, may change of what it is given: arrays that
// it writes into, digests and streams.
func (r *run) overwritten(s *site) {
	arrays := overwrites(s.name, s.proto, r.p.syms.text[s.class]) || r.p.find(s.sp, s.wrote) != 0
	var t uint32
	for i, a := range s.args {
		for _, o := range r.objectsOf(a) {
			switch {
			case i == 0 && s.inst:
			case !r.objects[o].array:
				r.blur(s.cur, o)
			case arrays && len(r.p.syms.text[r.objects[o].class]) == 2:
				if t == 0 {
					t = r.labelsIn(s)
				}
				r.write(s.cur, o, keyAll, value{taint: t}, false)
			}
		}
	}
}

// overwrites reports whether a method that is not modelled may write into the arrays it is given.
func overwrites(name, proto, class string) bool {
	switch name {
	case "digest", "update", "doFinal": // into an array that is an argument, if it is not the result
		return strings.HasSuffix(proto, ")I") || name == "doFinal" && strings.HasSuffix(proto, ")V")
	case "wrap", "nextBytes", "getChars", "getBytes", "inflate", "sort", "parallelSort", "setAll", "generateSeed",
		"readBytes", "readByteArray", "readIntArray", "readCharArray", "bulkTransfer", "controlTransfer", "receive", "getPixels":
		return true
	case "get":
		return strings.HasPrefix(class, "Ljava/nio/")
	}
	return !platformName(class)
}

// blur forgets what an object holds that others may change from now on.
func (r *run) blur(cur *local, o uint32) {
	if v, ok := cur.heap.get(fieldKey(o, keyFed)); ok {
		cur.heap = cur.heap.set(fieldKey(o, keyFed), value{taint: v.taint})
	}
}

// labelsIn are the labels of all arguments of a call, and of what they hold.
func (r *run) labelsIn(s *site) (t uint32) {
	for _, a := range s.args {
		t = r.labelSets.union(t, r.deep(s.cur.heap, a))
	}
	return t
}

// compared is the answer to whether two things are the same that are not both known: it remembers the question.
func (r *run) compared(s *site) value {
	t := r.labelsIn(s)
	if t == 0 {
		return value{}
	}
	return value{taint: t, test: r.ask(test{op: "equals", left: t, method: s.f.m, pc: s.in.PC, yes: 1})}
}

// evaluations models the methods of the platform that compute and do nothing else: on known values they are carried
// out, so that what code hides it also reveals. On any other they follow the rule for all (see rule).
func evaluations(on func(class, names string, f func(*run, *site) value)) {
	pure := func(class, names string, f func(k *inputs) value) {
		on(class, names, func(r *run, s *site) value {
			k := &inputs{r: r, s: s}
			v := f(k)
			if k.open {
				return r.rule(s)
			}
			v.taint = r.labelSets.union(v.taint, k.taint)
			return v
		})
	}
	// keeps adds a model of methods after which their object holds f's bytes under key; what they give is what the rule says.
	keeps := func(class, names string, key uint32, f func(k *inputs) []byte) {
		on(class, names, func(r *run, s *site) value {
			k := &inputs{r: r, s: s}
			b := f(k)
			var held value
			if !k.open {
				held = r.text(string(b))
				r.steps += len(b) / 256 // each state of a growing stream is kept
				held.taint = k.taint
			} else {
				held.taint = r.labelsIn(s)
			}
			v := r.rule(s)
			r.hold(s, key, held)
			return v
		})
	}
	textOps(on, pure)
	builders(on)
	numberOps(on, pure)
	arrayOps(on, pure)
	streams(on, pure, keeps)
	codings(pure)
	secrets(on, pure, keeps)
	certificates(on, pure, keeps)
	// Who compares by Object's method compares texts all the same.
	on("Ljava/lang/Object;", "equals", func(r *run, s *site) value {
		a, b := r.content(s.cur, s.arg(0)), r.content(s.cur, s.arg(1))
		if len(s.args) == 2 && (a.kind == text || b.kind == text) && (a.kind == text || a.kind == anything) && (b.kind == text || b.kind == anything) {
			return r.equals(s, a, b)
		}
		return r.rule(s)
	})
}

type modeller = func(class, names string, f func(*run, *site) value)
type pureModeller = func(class, names string, f func(k *inputs) value)
type keeper = func(class, names string, key uint32, f func(k *inputs) []byte)

// A new object that a method of the platform makes and that holds what hold says, as texts of bytes.
func (k *inputs) made(hold map[uint32]string) value {
	if k.open {
		return value{}
	}
	r, s := k.r, k.s
	v := r.alloc(s.f, s.cur, r.retType(s.proto), s.in.PC, false)
	o := r.objectsOf(v)[0]
	r.write(s.cur, o, keyAll, value{taint: k.taint}, true) // what is put into it later by a method without a model
	for _, key := range [...]uint32{keyRaw, keyFed, keyName} {
		if t, ok := hold[key]; ok {
			w := r.text(t)
			w.taint = k.taint
			r.write(s.cur, o, key, w, true)
		}
	}
	return v
}

func (k *inputs) textValue(t string) value { return k.r.text(t) }

func (k *inputs) bytesValue(b []byte) value {
	if k.open || len(b) > maxTextSize {
		return k.unknown()
	}
	return k.r.bytesOf(k.s, b, k.taint)
}

func truth(b bool) value { return intVal(b2i(b)) }

// arrayOps are the methods of Arrays, and System.arraycopy.
func arrayOps(on modeller, pure pureModeller) {
	const arrays = "Ljava/util/Arrays;"
	on("Ljava/lang/System;", "arraycopy", func(r *run, s *site) value {
		if r.copyElements(s.cur, s.arg(0), s.arg(1), s.arg(2), s.arg(3), s.arg(4)) {
			return value{}
		}
		for _, to := range r.objectsOf(s.arg(2)) {
			for _, from := range r.objectsOf(s.arg(0)) {
				exact := s.arg(1).kind == number && s.arg(3).kind == number
				s.cur.heap.each(from, func(f uint32, v value) {
					switch {
					case f >= keyIndex && f < keyAll && exact:
						i := int64(f&^keyIndex) - s.arg(1).n + s.arg(3).n
						if n := s.arg(4); i >= s.arg(3).n && (n.kind != number || i < s.arg(3).n+n.n) {
							r.write(s.cur, to, indexKey(i), v, true)
						}
					case f >= keyIndex && f <= keyAll:
						r.write(s.cur, to, keyAll, value{taint: v.taint, typ: v.typ}, false)
					}
				})
				r.write(s.cur, to, keyAll, value{taint: r.labelSets.union(s.arg(0).taint, r.objects[from].label)}, false)
			}
			if len(r.objectsOf(s.arg(0))) == 0 {
				r.write(s.cur, to, keyAll, value{taint: s.arg(0).taint}, false)
			}
		}
		return value{}
	})
	// copied is a new array of elements from to to-1 of the first argument, if those are known apart.
	copied := func(r *run, s *site, from, to int64) value {
		v := s.arg(0)
		n := r.lengthOf(s.cur, v)
		if from < 0 || from > n || to < from || to-from > maxTextSize {
			return r.rule(s)
		}
		return r.arrayOf(s, r.p.syms.text[r.objects[r.objectsOf(v)[0]].class], int(to-from), v.taint, func(i int) value {
			if from+int64(i) >= n {
				return value{kind: number, taint: v.taint}
			}
			return r.arrayGet(s.cur, v, intVal(from+int64(i)))
		})
	}
	on(arrays, "copyOf copyOfRange", func(r *run, s *site) value {
		k := &inputs{r: r, s: s}
		from, to := int64(0), k.num(1)
		if s.name == "copyOfRange" {
			from, to = to, k.num(2)
		}
		if k.open {
			return r.rule(s)
		}
		return copied(r, s, from, to)
	})
	for c := range strings.FieldsSeq("[B [C [I [J [S [Z [Ljava/lang/String;") {
		on(c, "clone", func(r *run, s *site) value { return copied(r, s, 0, r.lengthOf(s.cur, s.arg(0))) })
	}
	on(arrays, "fill", func(r *run, s *site) value {
		k := &inputs{r: r, s: s}
		v := s.arg(len(s.args) - 1)
		os := r.objectsOf(s.arg(0))
		for _, o := range os {
			length, ok := s.cur.heap.get(fieldKey(o, keyLength))
			from, to := int64(0), length.n
			if len(s.args) > 3 {
				from, to = k.num(1), k.num(2)
			}
			if !ok || length.kind != number || k.open || from < 0 || to > min(length.n, maxTextSize) || len(os) > 1 {
				r.write(s.cur, o, keyAll, v, false)
				continue
			}
			for i := from; i < to; i++ {
				r.write(s.cur, o, indexKey(i), v, true)
			}
			r.steps += int(max(to-from, 0)) / 16
		}
		return value{}
	})
	equal := func(r *run, s *site) value {
		a, t, ok1 := r.numbers(s.cur, s.arg(0))
		b, u, ok2 := r.numbers(s.cur, s.arg(1))
		if len(s.args) == 2 && ok1 && ok2 && r.objects[r.objectsOf(s.arg(0))[0]].class == r.objects[r.objectsOf(s.arg(1))[0]].class {
			return value{kind: number, n: b2i(slices.Equal(a, b)), taint: r.labelSets.union(t, u)}
		}
		return r.compared(s)
	}
	on(arrays, "equals", equal)
	on("Ljava/security/MessageDigest;", "isEqual", equal)
	pure(arrays, "hashCode", func(k *inputs) value {
		switch k.param(0) {
		case "[B", "[C", "[S", "[I":
		default:
			return k.unknown()
		}
		list, taint, ok := k.r.numbers(k.s.cur, k.arg(0))
		k.taint = k.r.labelSets.union(k.taint, taint)
		k.open = k.open || !ok
		return intVal(hashOf(list))
	})
}

func hashOf(list []int64) int64 {
	h := int32(1)
	for _, x := range list {
		h = 31*h + int32(x)
	}
	return int64(h)
}

// lengthOf is the length of an array of which each element is what was stored at its index, or zero; else -1.
func (r *run) lengthOf(cur *local, v value) int64 {
	os := r.objectsOf(v)
	if len(os) != 1 || !r.objects[os[0]].array || r.objects[os[0]].incoming != "" {
		return -1
	}
	_, blurred := cur.heap.get(fieldKey(os[0], keyAll))
	n, ok := cur.heap.get(fieldKey(os[0], keyLength))
	if blurred || !ok || n.kind != number {
		return -1
	}
	return n.n
}

// copyElements copies elements between arrays where all but the elements is known.
func (r *run) copyElements(cur *local, from, i, to, j, n value) bool {
	if i.kind != number || j.kind != number || n.kind != number || len(r.objectsOf(to)) != 1 {
		return false
	}
	if i.n < 0 || j.n < 0 || n.n < 0 || n.n > maxTextSize || i.n > r.lengthOf(cur, from)-n.n {
		return false
	}
	list := make([]value, n.n) // the arrays may be one
	for k := range list {
		list[k] = r.arrayGet(cur, from, intVal(i.n+int64(k)))
	}
	for k, v := range list {
		r.arrayPut(cur, to, intVal(j.n+int64(k)), v)
	}
	r.steps += len(list) / 16
	return true
}

// streams are streams over arrays, which hold what was written, or what is left to be read.
func streams(on modeller, pure pureModeller, keeps keeper) {
	const (
		out = "Ljava/io/ByteArrayOutputStream;"
		in  = "Ljava/io/ByteArrayInputStream;"
	)
	keeps(out, "<init> reset", keyFed, func(k *inputs) []byte { return nil })
	written := func(k *inputs) []byte {
		b := []byte(k.held(0, keyFed))
		if k.param(1) == "I" {
			return append(b, byte(k.num(1)))
		}
		return append(b, k.part(1)...)
	}
	keeps(out, "write writeBytes", keyFed, written)
	on("Ljava/io/OutputStream;", "write", func(r *run, s *site) value {
		v := r.rule(s)
		if os := r.objectsOf(s.arg(0)); len(os) == 1 && r.p.syms.text[r.objects[os[0]].class] == out {
			k := &inputs{r: r, s: s}
			b := written(k)
			held := value{taint: r.labelsIn(s)}
			if !k.open {
				held = r.text(string(b))
				held.taint = k.taint
			}
			r.hold(s, keyFed, held)
		}
		return v
	})
	pure(out, "toByteArray", func(k *inputs) value { return k.bytesValue([]byte(k.held(0, keyFed))) })
	pure(out, "size", func(k *inputs) value { return intVal(int64(len(k.held(0, keyFed)))) })
	pure(out, "toString", func(k *inputs) value {
		t, ok := decodeText([]byte(k.held(0, keyFed)), k.charset(1))
		if !ok || k.param(1) == "I" {
			return k.unknown()
		}
		return k.textValue(t)
	})
	keeps(in, "<init>", keyFed, func(k *inputs) []byte { return k.part(1) })
	pure(in, "available", func(k *inputs) value { return intVal(int64(len(k.held(0, keyFed)))) })
	// What is read is what the stream carries, where that is known; else whose data it is.
	for _, c := range [...]string{"Ljava/io/InputStream;", "Ljava/io/Reader;", "Ljava/io/DataInput;"} {
		on(c, "read readFully", func(r *run, s *site) value {
			if v, ok := r.readKnown(s); ok {
				return v
			}
			for _, o := range r.objectsOf(s.arg(0)) {
				r.blur(s.cur, o)
			}
			t := r.deep(s.cur.heap, s.arg(0))
			for _, o := range r.objectsOf(s.arg(1)) {
				r.write(s.cur, o, keyAll, value{taint: t}, false)
			}
			return value{taint: t}
		})
	}
	const crc = "Ljava/util/zip/CRC32;"
	keeps(crc, "<init> reset", keyFed, func(k *inputs) []byte { return nil })
	keeps(crc, "update", keyFed, written)
	pure(crc, "getValue", func(k *inputs) value { return intVal(int64(crc32.ChecksumIEEE([]byte(k.held(0, keyFed))))) })
}

// readKnown reads of a stream whose rest is known.
func (r *run) readKnown(s *site) (value, bool) {
	if os := r.objectsOf(s.arg(0)); len(os) != 1 || s.name != "read" {
		return value{}, false
	} else if _, ok := s.cur.heap.get(fieldKey(os[0], keyFed)); !ok {
		return value{}, false
	}
	k := &inputs{r: r, s: s}
	rest := k.held(0, keyFed)
	n, got := 1, value{}
	if len(s.args) == 1 {
		if k.open {
			return value{}, false
		}
		if got = intVal(-1); rest != "" {
			got = intVal(int64(rest[0]))
		}
	} else {
		b := k.bytes(1)
		at, want := 0, len(b)
		if len(s.args) > 3 {
			at = k.index(2, len(b))
			want = k.index(3, len(b)-at)
		}
		if k.open {
			return value{}, false
		}
		n = want
		if got = intVal(int64(min(n, len(rest)))); rest == "" && want > 0 {
			got = intVal(-1)
		}
		for i := range min(n, len(rest)) {
			r.arrayPut(s.cur, s.arg(1), intVal(int64(at+i)), value{kind: number, n: int64(int8(rest[i])), taint: k.taint})
		}
		r.steps += min(n, len(rest)) / 16
	}
	r.steps += len(rest) / 256
	left := r.text(rest[min(n, len(rest)):])
	left.taint = k.taint
	r.hold(s, keyFed, left)
	got.taint = k.taint
	return got, true
}
