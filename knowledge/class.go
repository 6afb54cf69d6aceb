package knowledge

import (
	"iter"
	"strconv"
	"strings"
	"sync"
)

// ClassInfo is what is known of a public class of Android.
type ClassInfo struct {
	Super      string   // descriptor; "" for java.lang.Object
	Interfaces []string // descriptors; those of the super are not repeated
	Kind       string   // "class", "abstract" (class) or "interface"
	Since      int      // API level; 0: 21 or before
}

// Class returns a class of Android's public API by its descriptor (Landroid/app/Activity;). Hidden classes are not in the table,
// and a super can be a further ancestor than in a phone's dex: non-public classes between are skipped.
func Class(descriptor string) (ClassInfo, bool) {
	r, ok := first(classesTSV, descriptor)
	if !ok {
		return ClassInfo{}, false
	}
	c := ClassInfo{Super: r.next(), Interfaces: list(r.next(), ","), Kind: r.next(), Since: level(r.next())}
	if c.Super == "-" {
		c.Super = ""
	}
	return c, true
}

func level(col string) int {
	n, _ := strconv.Atoi(col) // empty: 21 or before
	return n
}

// MethodInfo is a public or protected method, or several overloads of one number of parameters and the same flags.
type MethodInfo struct {
	Name   string
	Params int    // without the receiver
	Flags  string // "", "static" or "abstract"
	Since  int    // API level; 0: 21 or before
}

// Methods yields the methods that a class of Android's public API declares itself, in order of names.
func Methods(class string) iter.Seq[MethodInfo] {
	return func(yield func(MethodInfo) bool) {
		for r := range find(methodsTSV, class) {
			m := MethodInfo{Name: r.next()}
			m.Params, _ = strconv.Atoi(r.next())
			if m.Flags = r.next(); m.Flags == "-" {
				m.Flags = ""
			}
			m.Since = level(r.next())
			if !yield(m) {
				return
			}
		}
	}
}

// moreInterfaces are direct ancestors that the table's origin lacks, from the reference of java.lang and java.util.
var moreInterfaces = map[string]string{
	"Ljava/util/List;":          "Ljava/util/Collection;",
	"Ljava/util/Deque;":         "Ljava/util/Queue;",
	"Ljava/util/SortedSet;":     "Ljava/util/Set;",
	"Ljava/util/SortedMap;":     "Ljava/util/Map;",
	"Ljava/util/Hashtable;":     "Ljava/util/Map;",
	"Ljava/lang/StringBuffer;":  "Ljava/lang/Appendable;",
	"Ljava/lang/StringBuilder;": "Ljava/lang/Appendable;",
}

// IsSubclass reports whether a class of Android's public API is, extends or implements another, as far as the table tells.
func IsSubclass(descriptor, ancestor string) bool {
	return descriptor == ancestor || isSubclass(publicSupers(), descriptor, ancestor)
}

// publicSupers is supers of the whole table. It is asked for every method that an app calls and does not define.
var publicSupers = sync.OnceValue(func() map[string][]string { return supers(classesTSV) })

// supers returns the direct ancestors of every class of a table.
func supers(table string) map[string][]string {
	of := make(map[string][]string, strings.Count(table, "\n"))
	for r := range all(table) {
		class := r.next()
		direct := add(nil, moreInterfaces[class])
		direct = add(direct, r.next())
		for f := range strings.SplitSeq(r.next(), ",") {
			direct = add(direct, f)
		}
		of[class] = direct
	}
	return of
}

// isSubclass walks the supers and interfaces, each class once, so that a cycle ends.
func isSubclass(supers map[string][]string, descriptor, ancestor string) bool {
	var room [16]string // few classes have more ancestors: usually nothing is allocated
	seen := append(room[:0], descriptor)
	for i := 0; i < len(seen); i++ {
		if seen[i] == ancestor {
			return true
		}
		for _, s := range supers[seen[i]] {
			seen = add(seen, s)
		}
	}
	return false
}

func add(seen []string, class string) []string {
	if class == "-" || class == "" {
		return seen
	}
	for _, s := range seen {
		if s == class {
			return seen
		}
	}
	return append(seen, class)
}
