// Package databroadcast finds apps of power that put personal data into messages which every app of the phone may get.
package databroadcast

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

// Check finds data that is told to all apps.
var Check = &check.Check{
	Name: "databroadcast", Doc: doc, Question: check.Reports,
	Needs: []evidence.Kind{evidence.Manifests, evidence.Code},
	Messages: map[string]string{
		"tells": "any app can learn {data} from {app}, which puts it into a message to all apps",
		"asks":  "any app can learn {data} from {app}, which puts it into a message to all apps, if a value kept on the phone allows it",
	},
	Run: run,
}

const innocent = "a message meant for the vendor's own apps, whose author did not say for whom it is"

func run(p *check.Pass) error {
	type key struct {
		app  *phone.Package
		asks bool
	}
	var order []key
	groups := map[key][]*program.Sending{}
	told := p.Program.Told()
	for i := range told {
		s := &told[i]
		// What an app without power knows, others can ask the owner for in the same way. Which apps there are is no secret to apps.
		if !check.Powerful(s.Entry.Package) || s.Data.Rank != "private" {
			continue
		}
		k := key{s.Entry.Package, slices.ContainsFunc(s.Gates, func(g program.Gate) bool { return g.Holds != program.GateDoesNotHold })}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], s)
	}
	for _, k := range order {
		first := groups[k][0]
		f := check.Finding{
			Subject: k.app.Name, Package: k.app, MessageID: "tells", Grade: check.Weak, Effect: "tell all apps", Reach: check.AnyApp, CWE: 927, At: first.At,
			Innocent: innocent, Disclosure: "not shown to the owner where we looked", Vouchers: []check.Voucher{check.PhoneItself}, Witness: first.Steps,
			Entry: &check.Entry{Component: first.Entry.Component.Class()},
		}
		if k.asks {
			f.MessageID, f.Grade = "asks", check.Lead
		}
		for _, g := range first.Gates {
			f.Gates = append(f.Gates, check.Gate{What: g.What, Holds: g.Holds, At: g.At})
		}
		var data []string
		for _, s := range groups[k] {
			if !slices.Contains(data, s.Data.Words) {
				data = append(data, s.Data.Words)
			}
			if s != first {
				f.Also = append(f.Also, s.At)
			}
		}
		switch {
		case len(p.Program.Starts(first.Entry.Component)) > 0:
			f.State = check.Active
		case !first.Entry.Component.Enabled:
			f.State = check.Inactive
		}
		f.Args = []check.Arg{{Name: "app", Value: k.app.Name}, {Name: "data", Value: strings.Join(data, " and ")}}
		p.Report(f)
	}
	return nil
}
