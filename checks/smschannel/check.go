// Package smschannel looks at what listens for messages that come in by radio: who keeps them from the owner, answers them, or does
// what they say.
package smschannel

import (
	_ "embed"
	"slices"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/knowledge"
	"gifthorse/phone"
	"gifthorse/program"
)

//go:embed doc.md
var doc string

// Check finds apps that make a channel of messages.
var Check = &check.Check{
	Name: "smschannel", Doc: doc, Question: check.Backdoor,
	Needs: []evidence.Kind{evidence.Manifests, evidence.Code},
	Messages: map[string]string{
		"command": "anyone who sends this phone a message can make {app} {effect}",
		"asks":    "a message to this phone can make {app} {effect}; whether it must come from somebody, or something on the way stops it, was not decided",
		"stops":   "{app} gets {what} before others and can stop them there, so that the owner does not see them",
		"tries":   "{app} gets {what} before others and tries to stop them; on this version of Android the messaging app gets them all the same",
		"silent":  "{app} gets {what} before others and can stop them there, so that no other app gets them",
		"answers": "{app} gets {what}, is not the messaging app, and has code behind that which can send messages",
		"data":    "{app} listens for {what}, and behind that lies code that can {effects}",
	},
	Run: run,
}

const delivered = 19 // the API level since which the messaging app gets each text message first: Android 4.4

func run(p *check.Pass) error {
	commanded := map[*phone.Package]bool{}
	asksSender := map[string]bool{} // files of code that look at who sent a message
	for _, name := range []string{"getOriginatingAddress", "getDisplayOriginatingAddress"} {
		for _, s := range p.Program.CallsTo("Landroid/telephony/SmsMessage;", name) {
			asksSender[s.At.File().String()] = true
		}
	}
	paths := p.Program.Remote()
	for i := range paths {
		x := paths[i]
		x.Gates = slices.DeleteFunc(slices.Clone(x.Gates), func(g program.Gate) bool {
			// Who may tell the receiver of a message is the phone itself; it passes on what anyone sends.
			return x.Entry.Component != nil && g.At == x.Entry.Component.At
		})
		if x.Reach != "radio" || x.Effect.Rank != "grave" || x.Held() || len(x.Steered) == 0 {
			continue
		}
		k := x.Entry.Package
		f := check.OfPath(&x)
		f.Grade, f.MessageID, f.Reach = check.Lead, "asks", check.Radio
		if x.Open() && !messaging(k) && !asksSender[x.At.File().String()] {
			f.Grade, f.MessageID = check.Proven, "command"
		}
		f.Args = []check.Arg{{Name: "app", Value: k.Name}, {Name: "effect", Value: x.Effect.Words}}
		f.State, _ = check.StateOf(p.Program, x.Entry.Component)
		f.Innocent = "a way to find or lock a lost phone that the owner switched on, an operator's setup, or a secret in the message that we took for text"
		commanded[k] = true
		p.Report(f)
	}
	for _, k := range p.Phone.Packages {
		if k.Dormant || messaging(k) {
			continue
		}
		for _, c := range k.Components {
			if c.Kind == phone.KindReceiver && c.Enabled {
				receiver(p, c, commanded[k])
			}
		}
	}
	return nil
}

// receiver looks at one that listens for messages.
func receiver(p *check.Pass, c *phone.Component, commanded bool) {
	kind, words, first := "", "", false
	for _, f := range c.Filters {
		for _, a := range f.Actions {
			if k, w := knowledge.RadioMessage(a); k != "" && (kind == "" || k < kind) {
				kind, words = k, w
			}
			first = first || f.Priority > 0 && kind != ""
		}
	}
	if kind == "" {
		return
	}
	k := c.Package
	at := program.Step{At: c.At, What: "gets " + words + ": receiver " + c.Class()}
	f := check.Finding{Grade: check.Lead, Subject: k.Name, Package: k, At: c.At, Reach: check.Radio, Vouchers: []check.Voucher{check.PhoneItself}, CWE: 506,
		Disclosure: "not shown to the owner where we looked", Entry: &check.Entry{Component: c.Class()},
		Args: []check.Arg{{Name: "app", Value: k.Name}, {Name: "what", Value: words}}, Witness: []program.Step{at}}
	f.State, _ = check.StateOf(p.Program, c)
	if stop, ok := p.Program.Stops(c); ok && first {
		f.MessageID, f.Effect, f.At = "silent", "keep messages from the owner", stop.At
		f.Innocent = "it takes what is meant for it alone: of the operator's voicemail, of a setup by the operator, of the phone's own services"
		if kind == "text" {
			if f.MessageID = "tries"; p.Phone.API != 0 && p.Phone.API < delivered {
				f.MessageID = "stops"
			}
		}
		f.Witness = append(f.Witness, stop)
		p.Report(f)
	}
	if commanded { // what it does on a message was said
		return
	}
	var effects []string
	for _, e := range p.Program.Behind(c) {
		if e.Rank == "grave" {
			effects = append(effects, e.ID)
		}
	}
	switch sends := slices.Contains(effects, "send-message"); {
	case sends && kind == "text":
		f.MessageID, f.Effect = "answers", "send messages"
	case kind == "data" && (sends || slices.Contains(effects, "run-command") || slices.Contains(effects, "install-app") || slices.Contains(effects, "record")):
		f.MessageID, f.Effect = "data", "act on a message that the phone does not show"
		var list string
		for _, e := range p.Program.Behind(c) {
			if slices.Contains(effects, e.ID) && slices.Contains([]string{"send-message", "run-command", "install-app", "record"}, e.ID) {
				if list != "" {
					list += ", "
				}
				list += e.Words
			}
		}
		f.Args = append(f.Args, check.Arg{Name: "effects", Value: list})
	default:
		return
	}
	f.At, f.Witness = c.At, []program.Step{at}
	f.Innocent = "an operator's or maker's activation, a service that the owner signed up for, the parts of the phone that keep up calls and messages over the internet"
	p.Report(f)
}

// messaging reports whether an app is one that the owner may choose for messages: only such an app gets them delivered.
func messaging(k *phone.Package) bool {
	return slices.ContainsFunc(k.Components, func(c *phone.Component) bool {
		return c.Kind == phone.KindReceiver && c.Enabled && slices.ContainsFunc(c.Filters, func(f phone.Filter) bool {
			return slices.ContainsFunc(f.Actions, func(a string) bool { kind, _ := knowledge.RadioMessage(a); return kind == "deliver" })
		})
	})
}
