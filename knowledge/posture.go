package knowledge

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed debug-posture.tsv
var postureTSV string

// A Posture is what certain values of a system property say of how open a phone is to debugging, or of how it started.
type Posture struct {
	ID       string // what it means: "adb-root", "boot-unlocked", ...
	Property string
	Before   string // a property that goes before it if it is set, or "-"
	values   []string
}

// Postures returns what is known of such properties, by id and name.
var Postures = sync.OnceValue(func() (out []Posture) {
	for r := range all(postureTSV) {
		p := Posture{ID: r.next(), Property: r.next(), values: strings.Fields(r.next())}
		p.Before = r.next()
		out = append(out, p)
	}
	return out
})

// Match returns the word of a property's value that has the meaning, or false.
func (p Posture) Match(value string) (word string, ok bool) {
	for w := range strings.SplitSeq(value, ",") {
		w = strings.TrimSpace(w)
		if slices.Contains(p.values, w) {
			return w, true
		}
		if n, err := strconv.Atoi(w); err == nil && p.values[0] == "port" && 0 < n && n < 1<<16 {
			return w, true
		}
	}
	return "", false
}
