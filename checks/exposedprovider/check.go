// Package exposedprovider finds content providers that hand out, or let in, what their callers may not touch.
package exposedprovider

import (
	_ "embed"
	"slices"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/phone"
	"gifthorse/program"
)

//go:embed doc.md
var doc string

// Check finds exposed providers.
var Check = &check.Check{
	Name: "exposedprovider", Doc: doc, Question: check.Backdoor,
	Needs: []evidence.Kind{evidence.Manifests, evidence.Code},
	Messages: map[string]string{
		"reads":   "any app can read {data} through {app}",
		"steered": "any app can {effect} through {app}",
		"rows":    "any app can read rows of a database that {app} keeps; what they hold was not told",
		"changes": "any app can add, change or delete rows of a database that {app} keeps; what they hold was not told",
		"unknown": "any app can ask {app} to {effect}; whether this stops it was not seen: {gate}",
	},
	Run: run,
}

const innocent = "a provider for the vendor's own apps whose author left out the permission that guards the same data elsewhere"

func run(p *check.Pass) error {
	found := map[string]*check.Finding{}
	var order []string
	paths := p.Program.Paths()
	for i := range paths {
		x := &paths[i]
		c := x.Entry.Component
		if c == nil || c.Kind != phone.KindProvider || x.Held() || !x.Data && !x.Entry.Package.Powerful() {
			continue
		}
		f := check.OfPath(x)
		f.Innocent = innocent
		f.Args = []check.Arg{{Name: "app", Value: f.Subject}, {Name: "effect", Value: x.Effect.Words}, {Name: "data", Value: x.Effect.Words}}
		f.Grade, f.MessageID = check.Proven, "steered"
		if x.Data {
			f.MessageID = "reads"
		}
		if !x.Open() {
			g := x.Gates[slices.IndexFunc(x.Gates, func(g program.Gate) bool { return g.Holds == program.GateUnknown })]
			f.Grade, f.MessageID = check.Weak, "unknown"
			if x.Cut() { // what was not followed for its length may well stop it
				f.Grade = check.Lead
			}
			f.Args = append(f.Args, check.Arg{Name: "gate", Value: g.What})
			if x.Data {
				f.Args[1].Value = "hand out " + x.Effect.Words
			}
		} else if x.Effect.Rank == "slight" {
			f.Grade = check.Weak
		}
		if x.Effect.Rank == "unknown" {
			if !x.Entry.Package.Powerful() || !x.Open() {
				continue
			}
			f.Grade, f.MessageID = check.Lead, "changes"
			if x.Data {
				f.MessageID = "rows"
			}
		}
		key := f.Subject + "\x00" + c.Name + "\x00" + f.MessageID + "\x00" + x.Effect.ID
		if old := found[key]; old != nil {
			old.Also = append(old.Also, f.At)
			continue
		}
		found[key] = &f
		order = append(order, key)
	}
	for _, key := range order {
		p.Report(*found[key])
	}
	return nil
}
