// Package datasent finds apps of the system that send out data about the owner by themselves.
package datasent

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

// Check finds data that is sent.
var Check = &check.Check{
	Name: "datasent", Doc: doc, Question: check.Reports,
	Needs: []evidence.Kind{evidence.Manifests, evidence.Code},
	Messages: map[string]string{
		"sends": "{app} can send {data} over {way} by itself, and no question to the owner was found on the way",
		"asks":  "{app} can send {data} over {way} by itself, if a value kept on the phone allows it",
	},
	Run: run,
}

const innocent = "the phone's registration with its maker or network, for warranty or for updates; a service that the owner agreed to when the phone was set up"

func run(p *check.Pass) error {
	type key struct {
		app  *phone.Package
		way  string
		asks bool
	}
	var order []key
	groups := map[key][]*program.Sending{}
	sent := p.Program.Sent()
	for i := range sent {
		s := &sent[i]
		asks := slices.ContainsFunc(s.Gates, func(g program.Gate) bool { return g.Holds != program.GateDoesNotHold })
		k := key{s.Entry.Package, s.Over.ID, asks}
		if !asks && k.app.System || asks {
			if groups[k] == nil {
				order = append(order, k)
			}
			groups[k] = append(groups[k], s)
		}
	}
	for _, k := range order {
		first := groups[k][0]
		f := check.Finding{
			Subject: k.app.Name, Package: k.app, MessageID: "sends", Grade: check.Undisclosed, Effect: "send data out", CWE: 359, At: first.At, Innocent: innocent,
			Disclosure: "no question to the owner was found on the way from where it is read to where it goes out",
			Vouchers:   []check.Voucher{check.PhoneItself}, Witness: first.Steps, State: check.Present,
			Entry: &check.Entry{Component: first.Entry.Component.Class()},
		}
		if k.asks {
			f.MessageID, f.Grade = "asks", check.Lead
			f.Disclosure = "a value kept on the phone decides; whether the owner was asked for it was not seen"
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
		if starts := p.Program.Starts(first.Entry.Component); len(starts) > 0 {
			f.State = check.Active
		} else if !first.Entry.Component.Enabled {
			f.State = check.Inactive
		}
		f.Args = []check.Arg{{Name: "app", Value: k.app.Name}, {Name: "data", Value: strings.Join(data, " and ")}, {Name: "way", Value: first.Over.Words}}
		p.Report(f)
	}
	return nil
}
