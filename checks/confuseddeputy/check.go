// Package confuseddeputy finds apps of power that an outsider can make use their power for him.
package confuseddeputy

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

// Check finds confused deputies.
var Check = &check.Check{
	Name: "confuseddeputy", Doc: doc, Question: check.Backdoor,
	Needs: []evidence.Kind{evidence.Manifests, evidence.Code},
	Messages: map[string]string{
		"steered": "any app can make {app} {effect}",
		"reads":   "any app can get {data} from {app}",
		"unknown": "any app can ask {app} to {effect}; whether this stops it was not seen: {gate}",
		"gated":   "who passes this check can make {app} {effect}: {gate}",
	},
	Run: run,
}

const innocent = "a service for the vendor's own apps whose author forgot, or did not know, that every app can reach it"

func run(p *check.Pass) error {
	found := map[string]*check.Finding{}
	var order []string
	paths := p.Program.Paths()
	for i := range paths {
		x := &paths[i]
		if c := x.Entry.Component; c != nil && c.Kind == phone.KindProvider || x.Effect.Rank == "unknown" || !x.Entry.Package.Powerful() {
			continue
		}
		f := check.OfPath(x)
		f.Innocent = innocent
		if !grade(x, &f) {
			continue
		}
		key := f.Subject + "\x00" + x.Entry.What + "\x00" + x.Action + "\x00" + x.Effect.ID
		old := found[key]
		if old == nil {
			found[key] = &f
			order = append(order, key)
			continue
		}
		if slices.Index(check.Grades, f.Grade) < slices.Index(check.Grades, old.Grade) {
			f.Also = append(old.Also, old.At)
			*old = f
		} else {
			old.Also = append(old.Also, f.At)
		}
	}
	for _, key := range order {
		p.Report(*found[key])
	}
	return nil
}

// grade says how far the path goes, and in which words. It reports false for what is no finding: what only
// the phone's own apps, or a person at the screen, can set off.
func grade(x *program.Path, f *check.Finding) bool {
	f.Args = []check.Arg{{Name: "app", Value: f.Subject}, {Name: "effect", Value: x.Effect.Words}}
	f.MessageID = "steered"
	if x.Data {
		f.MessageID, f.Args[1] = "reads", check.Arg{Name: "data", Value: x.Effect.Words}
	}
	slight := x.Effect.Rank == "slight"
	// What a receiver registered in code does by itself may hang on what the component was told before, past its own guard.
	if x.Entry.Component == nil && !x.Data && len(x.Steered) == 0 && !x.Held() {
		f.Grade = check.Lead
		return x.Open()
	}
	screen := x.Entry.Component != nil && x.Entry.Component.Kind == phone.KindActivity
	switch {
	case x.Open() && !slight && screen && !x.Data && len(x.Steered) == 0:
		f.Grade, f.Disclosure = check.Lead, "shown to the owner: a screen opens"
	case x.Open() && !slight:
		f.Grade = check.Proven
	case x.Open():
		f.Grade = check.Weak
	case !x.Held():
		i := slices.IndexFunc(x.Gates, func(g program.Gate) bool { return g.Holds == program.GateUnknown })
		f.Grade = check.Weak
		if slight || x.Cut() { // what was not followed for its length may well stop it
			f.Grade = check.Lead
		}
		f.MessageID = "unknown"
		f.Args = []check.Arg{{Name: "app", Value: f.Subject}, {Name: "effect", Value: x.Effect.Words}, {Name: "gate", Value: x.Gates[i].What}}
	default:
		i := slices.IndexFunc(x.Gates, func(g program.Gate) bool { return g.Holds == program.GateHolds && g.Caller })
		if i < 0 || slight || x.Gesture || others(x.Gates) {
			return false
		}
		f.Grade, f.Reach = check.Lead, check.SameSigner
		f.MessageID = "gated"
		f.Args = []check.Arg{{Name: "app", Value: f.Subject}, {Name: "effect", Value: x.Effect.Words}, {Name: "gate", Value: x.Gates[i].What}}
	}
	return true
}

// others reports whether something besides a check of the caller in code holds too.
func others(gates []program.Gate) bool {
	return slices.ContainsFunc(gates, func(g program.Gate) bool { return g.Holds == program.GateHolds && !g.Caller })
}
