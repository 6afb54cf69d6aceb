// Package concealment finds apps that hide themselves: that take their own icon away, that the system's lists of apps know by name, or
// that switch off what checks apps.
package concealment

import (
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

// Check finds apps that hide themselves.
var Check = &check.Check{
	Name: "concealment", Doc: doc, Question: check.Backdoor,
	Needs: []evidence.Kind{evidence.Manifests, evidence.Code},
	Messages: map[string]string{
		"icon":         "{app} takes its own icon away and has no code to give it back",
		"icon-effect":  "{app} takes its own icon away and has no code to give it back, and parts of it that stay can {effects}",
		"verifier":     "{app} switches off {what}",
		"list":         "the phone's own code for {what} treats {app} by its name in a way of its own",
		"list-effect":  "the phone's own code for {what} treats {app} by its name in a way of its own; {app} shows no icon, and parts of it can {effects}",
		"verifier-how": "{app} has code that switches off {what}; whether it runs was not found",
	},
	Run: run,
}

func run(p *check.Pass) error {
	done := map[string]bool{}
	for _, h := range p.Program.Hidings() {
		k := h.Package
		if k.Dormant {
			continue
		}
		f := check.Finding{Grade: check.Lead, MessageID: string(h.Kind), Subject: k.Name, Package: k, At: h.At.At, Reach: check.BootOnly, CWE: 506,
			Vouchers: []check.Voucher{check.PhoneItself}, Disclosure: "it is done without a question to the owner, as far as we looked",
			Args: []check.Arg{{Name: "app", Value: k.Name}, {Name: "what", Value: h.Words}}, Witness: []program.Step{h.At}}
		effects, steps := behind(p, k)
		switch h.Kind {
		case program.HidesIcon:
			f.Effect, f.Innocent = "hide from the owner", "an app for the first days (a welcome, a setup, a demonstration) that is done, or one whose icon makes sense only on another model"
			if len(effects) > 0 && h.Live && k.Powerful() && !shown(k) {
				f.Grade, f.MessageID = check.Concealed, "icon-effect"
			}
		case program.HidesFromCheck:
			f.Effect, f.CWE, f.Innocent = "let harmful apps be installed unseen", 693, "a build for testing, or an app that gives the switch to the owner in a way that we did not recognise"
			if f.Grade = check.Weak; !h.Live {
				f.Grade, f.MessageID = check.Lead, "verifier-how"
			}
			effects = nil
		case program.HidesFromLists:
			f.Effect, f.Innocent = "hide from the owner", "the maker's own component that gets a right of its own there, or is shown in place of another"
			if len(effects) > 0 && k.Powerful() && !shown(k) && !icon(k) {
				f.Grade, f.MessageID = check.Concealed, "list-effect"
			}
		}
		if strings.HasSuffix(f.MessageID, "-effect") {
			f.Args = append(f.Args, check.Arg{Name: "effects", Value: strings.Join(effects, ", ")})
			f.Effect += "; " + strings.Join(effects, ", ")
			f.Gates = []check.Gate{{What: "who can set that off was not followed here", Holds: program.GateUnknown, At: h.At.At}}
			f.Witness = append(f.Witness, steps...)
		}
		if key := f.MessageID + k.Name + h.Words; !done[key] {
			done[key] = true
			p.Report(f)
		}
	}
	return nil
}

// behind returns in words what grave effects lie behind those components of an app that need no screen, and which components they are. An effect to which an
// open way in leads comes first.
func behind(p *check.Pass, k *phone.Package) (effects []string, steps []program.Step) {
	add := func(kind *knowledge.FactKind, s program.Step) {
		if kind.Rank == "grave" && !slices.Contains(effects, kind.Words) {
			effects, steps = append(effects, kind.Words), append(steps, s)
		}
	}
	paths := p.Program.Paths()
	for i := range paths {
		if x := &paths[i]; x.Entry.Package == k && !x.Held() && !x.Gesture && !x.Data {
			add(x.Effect, program.Step{At: x.At, What: x.Entry.What + ": " + x.Effect.Words})
		}
	}
	for _, c := range k.Components {
		if !c.Enabled || c.Kind == phone.KindActivity {
			continue
		}
		for _, e := range p.Program.Behind(c) {
			if slices.Contains(powers, e.ID) {
				add(e, program.Step{At: c.At, What: string(c.Kind) + " " + c.Class() + ": code to " + e.Words + " lies behind it"})
			}
		}
	}
	return effects, steps
}

// powers are the effects that count where no path was followed: those that no app needs for work of its own.
var powers = []string{"run-command", "install-app", "load-code"}

func icon(k *phone.Package) bool {
	return slices.ContainsFunc(k.Components, func(c *phone.Component) bool {
		return c.Enabled && slices.ContainsFunc(c.Filters, func(f phone.Filter) bool {
			return slices.Contains(f.Categories, "android.intent.category.LAUNCHER")
		})
	})
}

// shown reports whether an app has an entry in the settings, the screens of a store, or the like.
func shown(k *phone.Package) bool {
	return slices.ContainsFunc(k.Components, func(c *phone.Component) bool {
		return c.Kind == phone.KindActivity && c.Enabled && c.Exported && slices.ContainsFunc(c.Filters, func(f phone.Filter) bool {
			return slices.ContainsFunc(f.Actions, func(a string) bool { return knowledge.PackageShows("action", a) != "" }) ||
				slices.ContainsFunc(f.Schemes, func(s string) bool { return knowledge.PackageShows("scheme", s) != "" })
		})
	})
}
