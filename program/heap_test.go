package program

import (
	"maps"
	"math/rand"
	"slices"
	"testing"

	"gifthorse/format/dex"
)

// randomHeap makes a heap and the map that it must agree with. Few objects and fields make keys that meet.
func randomHeap(rng *rand.Rand) (*heap, map[uint64]value) {
	var h *heap
	m := map[uint64]value{}
	for range rng.Intn(200) {
		k := randomKey(rng)
		v := intVal(int64(rng.Intn(8)))
		h = h.set(k, v)
		m[k] = v
	}
	return h, m
}

func randomKey(rng *rand.Rand) uint64 {
	return fieldKey(uint32(rng.Intn(12)), uint32(rng.Intn(4))<<29|uint32(rng.Intn(6)))
}

func agree(t *testing.T, h *heap, m map[uint64]value) {
	t.Helper()
	for k, v := range m {
		if x, ok := h.get(k); !ok || x != v {
			t.Fatalf("key %x: %v %v, want %v", k, x, ok, v)
		}
	}
	n := 0
	for o := range uint32(13) {
		last := int64(-1)
		h.each(o, func(f uint32, v value) {
			n++
			if int64(f) <= last {
				t.Fatalf("object %d: field %x after %x", o, f, last)
			}
			last = int64(f)
			if w, ok := m[fieldKey(o, f)]; !ok || w != v {
				t.Fatalf("object %d, field %x: %v, want %v", o, f, v, w)
			}
		})
	}
	if n != len(m) {
		t.Fatalf("%d fields, want %d", n, len(m))
	}
}

// highest is a join of values as the laws want it.
func highest(a, b value) value {
	if b.n > a.n {
		return b
	}
	return a
}

func joined(a, b map[uint64]value) map[uint64]value {
	m := maps.Clone(a)
	for k, v := range b {
		if w, ok := m[k]; ok {
			v = highest(w, v)
		}
		m[k] = v
	}
	return m
}

func TestHeap(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for range 300 {
		a, ma := randomHeap(rng)
		b, mb := randomHeap(rng)
		c, mc := randomHeap(rng)
		agree(t, a, ma)
		for range 20 { // what is not there is not found
			if k := randomKey(rng); ma[k] == (value{}) {
				if v, ok := a.get(k); ok {
					t.Fatalf("key %x: %v out of nowhere", k, v)
				}
			}
		}
		n := 0
		join := func(x, y *heap) *heap { return x.join(y, &n, highest) }
		agree(t, join(a, b), joined(ma, mb))
		agree(t, join(b, a), joined(ma, mb))
		agree(t, join(join(a, b), c), joined(joined(ma, mb), mc))
		agree(t, join(a, join(b, c)), joined(joined(ma, mb), mc))
		if join(a, a) != a {
			t.Fatal("a heap joined with itself is another")
		}
		ab := join(a, b)
		if join(ab, b) != ab || join(ab, a) != ab {
			t.Fatal("joining what is in it already makes another heap; a loop would not come to its end")
		}
		agree(t, a, ma) // none of that changed what was there
		agree(t, b, mb)

		// A branch costs only what it changes.
		d, md := a, maps.Clone(ma)
		k := randomKey(rng)
		d, md[k] = d.set(k, intVal(99)), intVal(99)
		n = 0
		agree(t, join(a, d), joined(ma, md))
		if n > 70 {
			t.Fatalf("joining what differs in one field visits %d nodes", n)
		}
		if d.set(k, intVal(99)) != d {
			t.Fatal("setting what is set makes another heap")
		}
	}
}

func TestInterner(t *testing.T) {
	in := newInterner()
	rng := rand.New(rand.NewSource(1))
	set := func() (uint32, []uint32) {
		var s []uint32
		for range rng.Intn(maxSet / 3) {
			s = append(s, uint32(1+rng.Intn(30)))
		}
		slices.Sort(s)
		s = slices.Compact(s)
		return in.intern(s), s
	}
	for range 2000 {
		a, sa := set()
		b, sb := set()
		c, _ := set()
		if !slices.Equal(in.items[a], sa) || in.intern(sa) != a || (a == b) != slices.Equal(sa, sb) {
			t.Fatal("equal sets and equal ids are not the same")
		}
		u := in.union(a, b)
		if u != in.union(b, a) || in.union(u, c) != in.union(a, in.union(b, c)) || in.union(a, a) != a || in.union(a, 0) != a || in.union(0, a) != a {
			t.Fatal("union", sa, sb)
		}
		i, d := in.intersect(a, b), in.minus(a, b)
		if i != in.intersect(b, a) || in.union(i, d) != a || in.intersect(d, b) != 0 || in.minus(u, b) != d || in.intersect(u, a) != a {
			t.Fatal("intersection and difference", sa, sb)
		}
		for _, s := range [][]uint32{in.items[u], in.items[i], in.items[d]} {
			if !slices.IsSorted(s) || len(slices.Compact(slices.Clone(s))) != len(s) {
				t.Fatal("a set is not sorted", s)
			}
		}
		x := uint32(1 + rng.Intn(30))
		if in.add(a, x) != in.union(a, in.intern([]uint32{x})) {
			t.Fatal("add", sa, x)
		}
		if !slices.Equal(in.items[a], sa) {
			t.Fatal("a set was changed")
		}
	}
}

// TestArithmetic holds the arithmetic of Dalvik against Go's at the edges.
func TestArithmetic(t *testing.T) {
	edges := []int64{0, 1, -1, 2, 31, 32, 33, 63, 64, 65, 255, 256, 65535, 1<<31 - 1, -1 << 31, 1<<63 - 1, -1 << 63, 0x0123456789abcdef}
	for _, a := range edges {
		for _, b := range edges {
			x, y := int32(a), int32(b)
			wants := map[string]int64{"add-int": int64(x + y), "sub-int": int64(x - y), "mul-int": int64(x * y), "and-int": int64(x & y), "or-int": int64(x | y),
				"xor-int": int64(x ^ y), "shl-int": int64(x << (uint(y) % 32)), "shr-int": int64(x >> (uint(y) % 32)), "ushr-int": int64(int32(uint32(x) >> (uint(y) % 32))),
				"add-long": a + b, "sub-long": a - b, "mul-long": a * b, "shl-long": a << (uint64(b) % 64), "shr-long": a >> (uint64(b) % 64), "ushr-long": int64(uint64(a) >> (uint64(b) % 64)),
				"int-to-byte": int64(int8(a)), "int-to-char": int64(uint16(a)), "int-to-short": int64(int16(a)), "long-to-int": int64(x), "int-to-long": int64(x), "neg-int": int64(-x), "not-long": ^a}
			if b != 0 && b != -1 {
				wants["div-long"], wants["rem-long"] = a/b, a%b
			}
			if y != 0 && y != -1 {
				wants["div-int"], wants["rem-int"] = int64(x/y), int64(x%y)
			}
			for name, want := range wants {
				op, ok := opNamed(name)
				if !ok {
					t.Fatal("no instruction", name)
				}
				if got, known := compute(op, a, b); known && got != want {
					t.Errorf("%s %#x %#x = %#x, want %#x", name, a, b, got, want)
				}
			}
		}
	}
}

func opNamed(name string) (dex.Op, bool) {
	for op := range 256 {
		if dex.Op(op).String() == name {
			return dex.Op(op), true
		}
	}
	return 0, false
}
