// Package dialercodes looks at what a phone does when hidden codes are typed on its dialer. The dialer hands *#*#N#*#* out as the
// URI android_secret_code://N; the manifests say which parts of which apps take it, and the call graph what may lie behind them
// (program.Behind). Documented codes are in knowledge/dialer-codes.tsv, effects that weigh in knowledge/dialer-effects.tsv.
package dialercodes

import (
	"cmp"
	_ "embed"
	"slices"
	"strings"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/knowledge"
	"gifthorse/phone"
	"gifthorse/program"
)

//go:embed doc.md
var doc string

// Check finds hidden dialer codes and what they open.
var Check = &check.Check{
	Name: "dialercodes", Doc: doc, Question: check.Backdoor,
	Needs: []evidence.Kind{evidence.Manifests, evidence.Code},
	Messages: map[string]string{
		"grave":     "typed on the dialer, {codes} goes to a part of {app} whose code can {effects}",
		"developer": "typed on the dialer, {codes} goes to a part of {app} whose code can {effects}; the phone does not call itself a build for users, but {type}",
		"codes":     "typed on the dialer, {codes} goes to {app}",
		"unread":    "typed on the dialer, {codes} goes to {app}, whose code was not in what was read",
	},
	Run: run,
}

func run(p *check.Pass) error {
	documented := map[string]bool{}
	for c := range knowledge.DialerCodes() {
		documented[c.Secret()] = true
	}
	open := map[*phone.Component]bool{} // any app can set these off: that is for other checks to say
	for i, paths := 0, p.Program.Paths(); i < len(paths); i++ {
		if x := &paths[i]; x.Entry.Component != nil && x.Open() {
			open[x.Entry.Component] = true
		}
	}
	for _, pkg := range p.Phone.Packages {
		if pkg.Dormant {
			continue
		}
		var rest, told []string
		var at evidence.Ref
		for _, c := range pkg.Components {
			hidden, known := codes(c, documented)
			if effects := behind(p.Program, c, hidden); len(effects) > 0 && !open[c] {
				grave(p, c, hidden, effects)
				hidden = nil
			}
			if len(hidden)+len(known) > 0 && (at == (evidence.Ref{}) || c.At.Off < at.Off) {
				at = c.At
			}
			rest, told = append(rest, hidden...), append(told, known...)
		}
		rest = unique(rest)
		for _, k := range unique(told) {
			rest = append(rest, k+" (documented)")
		}
		if len(rest) == 0 {
			continue
		}
		f := check.Finding{Grade: check.Lead, MessageID: "codes", At: at, Effect: "open a hidden part of an app",
			Innocent: "phones have such codes for their repair; a code is no secret power, and what it opens may only show something"}
		if pkg.CodeGap != nil {
			f.MessageID = "unread"
		}
		report(p, pkg, f, rest)
	}
	return nil
}

// codes returns the codes that a component listens to, as they are typed.
func codes(c *phone.Component, documented map[string]bool) (hidden, known []string) {
	if !c.Enabled || !c.Exported {
		return nil, nil
	}
	for _, f := range c.Filters {
		if !slices.Contains(f.Schemes, knowledge.SecretCodeScheme) {
			continue
		}
		hosts := f.Hosts
		if len(hosts) == 0 {
			hosts = []string{"(any number)"}
		}
		for _, h := range hosts {
			if typed := "*#*#" + h + "#*#*"; documented[h] {
				known = append(known, typed)
			} else {
				hidden = append(hidden, typed)
			}
		}
	}
	return unique(hidden), unique(known)
}

func unique(codes []string) []string {
	slices.SortFunc(codes, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
	return slices.Compact(codes)
}

// behind returns the effects that weigh of those that the component's code can reach, if it has hidden codes.
func behind(pr *program.Program, c *phone.Component, hidden []string) (effects []*knowledge.FactKind) {
	if len(hidden) == 0 {
		return nil
	}
	for _, k := range pr.Behind(c) {
		if knowledge.WeighsBehindCode(k.ID) {
			effects = append(effects, k)
		}
	}
	return effects
}

func grave(p *check.Pass, c *phone.Component, hidden []string, effects []*knowledge.FactKind) {
	var words []string
	for _, k := range effects {
		words = append(words, k.Words)
	}
	f := check.Finding{Grade: check.Weak, MessageID: "grave", At: c.At, Effect: effects[0].Words, Entry: &check.Entry{Component: c.Class()},
		Args:     []check.Arg{{Name: "effects", Value: strings.Join(words, ", ")}, {Name: "type", Value: p.Phone.Device.BuildType}},
		Gates:    []check.Gate{{What: "whether the way from the code to the effect is open, and what the screens in between ask, was not followed", Holds: program.GateUnknown, At: c.At}},
		Innocent: "a test menu for the factory and for repair that was left in; its effects may be fixed ones that harm nobody, or ask first"}
	if t := p.Phone.Device.BuildType; t != "user" {
		f.Grade, f.MessageID = check.Lead, "developer"
		f.Args[1].Value = cmp.Or(t, "nothing")
	}
	report(p, c.Package, f, hidden)
}

func report(p *check.Pass, pkg *phone.Package, f check.Finding, codes []string) {
	f.Subject, f.Package, f.Reach, f.CWE = pkg.Name, pkg, check.Screen, 912
	f.Args = append(f.Args, check.Arg{Name: "codes", Value: strings.Join(codes, ", ")}, check.Arg{Name: "app", Value: pkg.Name})
	f.Disclosure = "not shown to the owner where we looked: no documentation of these codes is known here, but where it says so"
	f.Vouchers = []check.Voucher{check.PhoneItself}
	p.Report(f)
}
