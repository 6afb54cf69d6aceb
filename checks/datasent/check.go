// Package datasent finds apps of the system that send out data about the owner by themselves.
package datasent

import (
	_ "embed"

	"gifthorse/check"
	"gifthorse/evidence"
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
	for _, f := range check.OfSendings(p.Program, p.Program.Sent(), func(s *program.Sending) bool { return s.Entry.Package.System }) {
		f.MessageID, f.Grade, f.Effect, f.CWE = "sends", check.Undisclosed, "send data out", 359
		f.Innocent, f.Disclosure = innocent, "no question to the owner was found on the way from where it is read to where it goes out"
		if f.Asks {
			f.MessageID, f.Grade = "asks", check.Lead
			f.Disclosure = "a value kept on the phone decides; whether the owner was asked for it was not seen"
		}
		p.Report(f.Finding)
	}
	return nil
}
