package knowledge

import (
	_ "embed"
	"iter"
	"strconv"
	"strings"
)

//go:embed neverallow.tsv
var neverallowTSV string

// A Neverallow is something that AOSP's SELinux policy never lets an app do that anybody could have written.
type Neverallow struct {
	ID      string
	API     int // from which level
	Classes []string
	Targets []string // types and attributes; "*" is any, "self" the app's own domain
	Except  []string // types and attributes that are no target
	Perms   []string // "*" is any
	Power   string   // what an app could do with it: "load code into the kernel"
	File    string   // of AOSP
}

// Neverallows yields those that hold from an API level on, in order of the table.
func Neverallows(api int) iter.Seq[Neverallow] {
	return func(yield func(Neverallow) bool) {
		for r := range all(neverallowTSV) {
			n := Neverallow{ID: r.next()}
			n.API, _ = strconv.Atoi(r.next())
			n.Classes = list(r.next(), " ")
			for _, t := range list(r.next(), " ") {
				if except, ok := strings.CutPrefix(t, "-"); ok {
					n.Except = append(n.Except, except)
				} else {
					n.Targets = append(n.Targets, t)
				}
			}
			n.Perms, n.Power, n.File = list(r.next(), " "), r.next(), r.next()
			if n.ID != "any" && n.API <= api && !yield(n) {
				return
			}
		}
	}
}

// AppDomains returns the SELinux domains in which AOSP runs apps that anybody could have written.
func AppDomains() []string {
	r, _ := first(neverallowTSV, "any")
	r.next()
	r.next()
	return list(r.next(), " ")
}
