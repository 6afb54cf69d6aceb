package verdict

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func facts(values ...string) []Fact { return []Fact{{Name: "f", Values: values}} }

func TestCompare(t *testing.T) {
	a := []Item{
		{ID: "same", Facts: facts("2", "1")},
		{ID: "gone", Name: "Gone", Facts: facts("1")},
		{ID: "changed", Name: "Changed", Facts: append(facts("1", "2"), Fact{Name: "only a", Values: []string{"x"}})},
		{ID: "unseen", Facts: []Fact{{Name: "f", Values: []string{"1"}, Unseen: true}, {Name: "g", Values: []string{"1"}}}},
		{ID: "split", Facts: facts("1")}, {ID: "split", Facts: facts("2")},
	}
	b := []Item{
		{ID: "split", Facts: facts("1", "2", "2")},
		{ID: "unseen", Facts: []Fact{{Name: "f", Values: []string{"2"}}, {Name: "g", Values: []string{"2"}}}},
		{ID: "new", Facts: []Fact{{Name: "f"}}},
		{ID: "changed", Name: "Changed", Facts: facts("2", "3")},
		{ID: "same", Facts: facts("1", "2", "1")},
	}
	want := Area{Name: "x", Uncompared: 1,
		Added:   []Item{{ID: "new", Facts: []Fact{}}},
		Removed: []Item{{ID: "gone", Name: "Gone", Facts: facts("1")}},
		Changed: []Change{
			{ID: "changed", Name: "Changed", Facts: []FactChange{{Name: "f", Removed: []string{"1"}, Added: []string{"3"}}, {Name: "only a", Removed: []string{"x"}}}},
			{ID: "unseen", Facts: []FactChange{{Name: "g", Removed: []string{"1"}, Added: []string{"2"}}}},
		}}
	if got := Compare("x", a, b); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if d := (&Difference{Areas: []Area{{Uncompared: 3, UnseenA: []string{"x"}}}}); !d.Same() {
		t.Error("what could not be compared is a difference")
	}
	if d := (&Difference{Areas: []Area{{}, want}}); d.Same() {
		t.Error("a difference is none")
	}
}

// What differs from A to B is what differs from B to A, the other way round; and nothing differs from itself.
func TestCompareMirrored(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	some := func() (items []Item) {
		for range rng.IntN(12) {
			it := Item{ID: fmt.Sprint(rng.IntN(10))}
			it.Name = "name of " + it.ID
			for range rng.IntN(4) {
				f := Fact{Name: fmt.Sprint("f", rng.IntN(3)), Unseen: rng.IntN(8) == 0}
				for range rng.IntN(4) {
					f.Values = append(f.Values, fmt.Sprint(rng.IntN(4)))
				}
				it.Facts = append(it.Facts, f)
			}
			items = append(items, it)
		}
		return items
	}
	differ := 0
	for range 2000 {
		a, b := some(), some()
		ab, ba := Compare("x", a, b), Compare("x", b, a)
		if !reflect.DeepEqual(mirror(ab), ba) {
			t.Fatalf("A %+v\nB %+v\nA to B %+v\nB to A %+v", a, b, ab, ba)
		}
		if len(ab.Changed) > 0 {
			differ++
		}
		if d := (&Difference{Areas: []Area{Compare("x", a, a)}}); !d.Same() {
			t.Fatalf("%+v differs from itself: %+v", a, d)
		}
	}
	if differ < 1000 {
		t.Errorf("only %d of the pairs differed", differ)
	}
}

func mirror(a Area) Area {
	a.Added, a.Removed = a.Removed, a.Added
	a.UnseenA, a.UnseenB = a.UnseenB, a.UnseenA
	a.Changed = slices.Clone(a.Changed)
	for i, c := range a.Changed {
		a.Changed[i].Facts = nil
		for _, f := range c.Facts {
			a.Changed[i].Facts = append(a.Changed[i].Facts, FactChange{f.Name, f.Added, f.Removed})
		}
	}
	return a
}
