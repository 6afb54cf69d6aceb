package verdict

import (
	"cmp"
	"slices"
)

// A Difference is what two phones, called A and B, do not have in common, area by area, the most telling first. It
// judges nothing: what only one of two phones of a model has may be meant for its owner, or be an update.
type Difference struct {
	Areas []Area
	// Conformance counts the files of each partition that both phones have, by partition: how far B is what A is.
	Conformance []Conformance
}

// A Conformance counts the files of one partition.
type Conformance struct {
	Partition                             string
	Same, Changed, Added, Removed, Unseen int // Unseen: in both, and could not be read in one
}

// An Area is a part of a phone that is compared by itself: its apps, its services, its files.
type Area struct {
	Name    string
	Added   []Item   // what only B has, in B's order
	Removed []Item   // what only A has, in A's order
	Changed []Change // what both have and is not the same, by id
	// Uncompared counts what both have and of which something could not be compared, because it was not seen in one.
	Uncompared int
	// UnseenA and UnseenB say what of this area was not seen in one phone: there silence means nothing.
	UnseenA, UnseenB []string
}

// An Item is one thing of an area.
type Item struct {
	ID    string // by which A's and B's are known to be the same thing
	Name  string // what a person calls it; it follows from the id
	Facts []Fact
}

// A Fact is something about an item that can be the same in A and B. The order of its values does not count.
type Fact struct {
	Name   string
	Values []string
	Unseen bool // it is not known; it is then not compared
}

// A Change is an item that both have, with those facts that are not the same.
type Change struct {
	ID, Name string
	Facts    []FactChange
}

// A FactChange says which values of a fact only one of the two has.
type FactChange struct {
	Name    string
	Removed []string // values that only A has
	Added   []string // values that only B has
}

// Same reports whether nothing differs. What could not be compared is no difference.
func (d *Difference) Same() bool {
	return !slices.ContainsFunc(d.Areas, func(a Area) bool { return len(a.Added)+len(a.Removed)+len(a.Changed) > 0 })
}

// Compare returns what differs between the items of A and B. Items with the same id in one list are one, with the facts
// of all. The order of values does not matter.
func Compare(name string, a, b []Item) Area {
	area := Area{Name: name}
	a, b = joined(a), joined(b)
	inA, inB := byID(a), byID(b)
	for _, x := range a {
		y, ok := inB[x.ID]
		if !ok {
			area.Removed = append(area.Removed, x)
			continue
		}
		facts, unseen := changes(x.Facts, y.Facts)
		if len(facts) > 0 {
			area.Changed = append(area.Changed, Change{x.ID, x.Name, facts})
		}
		if unseen {
			area.Uncompared++
		}
	}
	for _, y := range b {
		if _, ok := inA[y.ID]; !ok {
			area.Added = append(area.Added, y)
		}
	}
	slices.SortFunc(area.Changed, func(x, y Change) int { return cmp.Compare(x.ID, y.ID) })
	return area
}

func byID(items []Item) map[string]Item {
	all := make(map[string]Item, len(items))
	for _, x := range items {
		all[x.ID] = x
	}
	return all
}

// joined makes one of the items of one id, at the place of the first. Values are then sorted, each once; a fact without
// any is left out.
func joined(items []Item) []Item {
	out := make([]Item, 0, len(items))
	at := make(map[string]int, len(items))
	for _, x := range items {
		i, ok := at[x.ID]
		if !ok {
			i = len(out)
			at[x.ID] = i
			out = append(out, Item{ID: x.ID, Name: x.Name})
		}
		for _, f := range x.Facts {
			have := out[i].Facts
			k := slices.IndexFunc(have, func(g Fact) bool { return g.Name == f.Name })
			if k < 0 {
				k = len(have)
				have = append(have, Fact{Name: f.Name})
			}
			have[k].Unseen = have[k].Unseen || f.Unseen
			have[k].Values = slices.Concat(have[k].Values, f.Values)
			out[i].Facts = have
		}
	}
	for i := range out {
		for k := range out[i].Facts {
			f := &out[i].Facts[k]
			slices.Sort(f.Values)
			f.Values = slices.Compact(f.Values)
		}
		out[i].Facts = slices.DeleteFunc(out[i].Facts, func(f Fact) bool { return len(f.Values) == 0 && !f.Unseen })
	}
	return out
}

// changes compares the facts of one thing in A and B. A fact that only one of them has was empty in the other.
func changes(a, b []Fact) (out []FactChange, unseen bool) {
	seen := map[string]bool{}
	for _, f := range slices.Concat(a, b) {
		if seen[f.Name] {
			continue
		}
		seen[f.Name] = true
		x, y := factNamed(a, f.Name), factNamed(b, f.Name)
		if x.Unseen || y.Unseen {
			unseen = true
			continue
		}
		c := FactChange{f.Name, without(x.Values, y.Values), without(y.Values, x.Values)}
		if len(c.Removed)+len(c.Added) > 0 {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(x, y FactChange) int { return cmp.Compare(x.Name, y.Name) })
	return out, unseen
}

func factNamed(facts []Fact, name string) Fact {
	if i := slices.IndexFunc(facts, func(f Fact) bool { return f.Name == name }); i >= 0 {
		return facts[i]
	}
	return Fact{}
}

// without returns those of list that are not in the sorted others.
func without(list, others []string) (out []string) {
	for _, s := range list {
		if _, ok := slices.BinarySearch(others, s); !ok {
			out = append(out, s)
		}
	}
	return out
}
