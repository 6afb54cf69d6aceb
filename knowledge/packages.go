package knowledge

import (
	"cmp"
	_ "embed"
	"slices"
)

//go:embed package-shows.tsv
var packageShowsTSV string

// PackageShows returns, in words, what the owner sees of an app whose activity filters for an action, a category or a scheme (kind) of this
// name; "" if that says nothing.
func PackageShows(kind, name string) string {
	for _, f := range rows(packageShowsTSV) {
		if f[0] == kind && f[1] == name {
			return f[2]
		}
	}
	return ""
}

// A Call is a method of the framework: the descriptor of its class, and its name.
type Call struct{ Class, Name string }

// Calls returns the methods that have an effect, whatever their arguments, by class and name.
func Calls(effect string) (out []Call) {
	for name, facts := range frameworkOnce().facts {
		for _, f := range facts {
			if f.Role == RoleEffect && f.Kind.ID == effect && f.When == nil {
				out = append(out, Call{f.Class, name})
			}
		}
	}
	slices.SortFunc(out, func(a, b Call) int { return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Name, b.Name)) })
	return slices.Compact(out)
}
