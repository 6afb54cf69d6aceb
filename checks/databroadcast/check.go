// Package databroadcast finds apps of power that put personal data into messages which every app of the phone may get.
package databroadcast

import (
	_ "embed"

	"gifthorse/check"
	"gifthorse/evidence"
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
	// What an app without power knows, others can ask the owner for in the same way. Which apps there are is no secret to apps.
	for _, f := range check.OfSendings(p.Program, p.Program.Told(), func(s *program.Sending) bool {
		return s.Entry.Package.Powerful() && s.Data.Rank == "private"
	}) {
		f.MessageID, f.Grade, f.Effect, f.Reach, f.CWE = "tells", check.Weak, "tell all apps", check.AnyApp, 927
		f.Innocent, f.Disclosure = innocent, "not shown to the owner where we looked"
		if f.Asks {
			f.MessageID, f.Grade = "asks", check.Lead
		}
		p.Report(f.Finding)
	}
	return nil
}
