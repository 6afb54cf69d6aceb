// Package remotecommand finds apps that do, by themselves and with power over the phone, what a server tells them.
package remotecommand

import (
	_ "embed"
	"slices"
	"strings"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/phone"
	"gifthorse/program"
)

//go:embed doc.md
var doc string

// Check finds remote commands.
var Check = &check.Check{
	Name: "remotecommand", Doc: doc, Question: check.Backdoor,
	Needs: []evidence.Kind{evidence.Manifests, evidence.Code},
	Messages: map[string]string{
		"network":         "whoever speaks for the server that {app} asks can make {app} {effects}",
		"network-through": "whoever speaks for the server that {app} asks can make {in} {effects}, for {in} does what {app} tells it",
		"unknown":         "what comes from far away to {app} can make {in} {effects}; whether this stops it was not seen: {gate}",
	},
	Run: run,
}

const innocent = "a way for the maker to repair phones that he has sold, or a store or updater that shows itself to the owner elsewhere"

// gravest lists the effects that one witness is shown for before others.
var gravest = []string{"run-command", "load-code", "install-app", "grant-permission", "remove-app", "switch-component", "set-property", "change-setting"}

// A group holds the ways from one app to one that acts.
type group struct {
	from, in *phone.Package
	paths    []*program.Path
}

func run(p *check.Pass) error {
	var groups []*group
	paths := p.Program.Remote()
	for i := range paths {
		x := &paths[i]
		if x.Held() || x.Reach != "network" { // what comes by radio is smschannel's
			continue
		}
		at := slices.IndexFunc(groups, func(g *group) bool {
			return g.from == x.Entry.Package && g.in == x.In && grade(g.paths[0]) == grade(x)
		})
		if at < 0 {
			groups = append(groups, &group{x.Entry.Package, x.In, nil})
			at = len(groups) - 1
		}
		groups[at].paths = append(groups[at].paths, x)
	}
	for _, g := range groups {
		slices.SortStableFunc(g.paths, func(a, b *program.Path) int { return rank(a) - rank(b) })
		first := g.paths[0]
		f := check.OfPath(first)
		f.Grade, f.Innocent, f.Reach, f.CWE = grade(first), innocent, check.Network, 912
		f.MessageID = "network"
		if g.in != g.from {
			f.MessageID = "network-through"
		}
		var effects []string
		for _, x := range g.paths {
			if x != first {
				f.Also = append(f.Also, x.At)
			}
			if !slices.Contains(effects, x.Effect.Words) {
				effects = append(effects, x.Effect.Words)
			}
		}
		f.Args = []check.Arg{{Name: "app", Value: g.from.Name}, {Name: "in", Value: g.in.Name}, {Name: "effects", Value: list(effects)}}
		if i := slices.IndexFunc(first.Gates, func(x program.Gate) bool { return x.Holds == program.GateUnknown }); i >= 0 {
			f.MessageID = "unknown"
			f.Args = append(f.Args, check.Arg{Name: "gate", Value: first.Gates[i].What})
		}
		state, starts := check.StateOf(p.Program, first.Entry.Component)
		f.State = state
		if state == check.Active {
			s := starts[0]
			what := s.By.Class() + " hears " + strings.Join(s.Actions[:min(3, len(s.Actions))], ", ")
			if s.By != first.Entry.Component {
				what += " and names " + first.Entry.Component.Class()
			}
			f.Witness = slices.Concat([]program.Step{{At: s.At, What: what}}, f.Witness)
		}
		p.Report(f)
	}
	return nil
}

func rank(x *program.Path) int {
	if i := slices.Index(gravest, x.Effect.ID); i >= 0 {
		return i
	}
	return len(gravest)
}

// grade says how far a path goes. A file whose name the server gives is what every download has; an update is checked
// by the recovery system; what a store installs is what it is there for.
func grade(x *program.Path) check.Grade {
	switch id := x.Effect.ID; {
	case x.Effect.Rank != "grave", id == "install-update", strings.HasSuffix(id, "-file"):
		return check.Lead
	case (id == "install-app" || id == "remove-app") && (store(x.In) || store(x.Entry.Package)):
		return check.Lead
	case !x.In.Powerful():
		return check.Lead
	case !x.Open():
		return check.Weak
	}
	return check.Proven
}

// store reports whether an app opens the links that lead to stores: the owner knows it as one.
func store(k *phone.Package) bool {
	return slices.ContainsFunc(k.Components, func(c *phone.Component) bool {
		return c.Kind == phone.KindActivity && slices.ContainsFunc(c.Filters, func(f phone.Filter) bool { return slices.Contains(f.Schemes, "market") })
	})
}

func list(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}
