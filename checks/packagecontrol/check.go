// Package packagecontrol looks for apps that can install or remove other apps without asking the owner. A finding joins a permission that this
// phone gives without asking (phone.Package.Has), calls in the app's own code that use it (program.CallsTo), and what the app shows of
// itself: an icon, or the screens of a store, an installer or a setup (knowledge/package-shows.tsv). What decides what is installed is
// not followed, so nothing here is proven.
package packagecontrol

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

// Check finds apps that install or remove other apps.
var Check = &check.Check{
	Name: "packagecontrol", Doc: doc, Question: check.Backdoor,
	Needs: []evidence.Kind{evidence.Manifests, evidence.Permissions, evidence.Signatures, evidence.Code},
	Messages: map[string]string{
		"hidden":  "{app} can {power} without asking the owner, has access to the network and shows no icon",
		"offline": "{app} can {power} without asking the owner and shows no icon; it has no access to the network itself",
		"shown":   "{app} can {power} without asking the owner; of itself it shows {shown}",
	},
	Run: run,
}

// powers are the two powers: the permission, the effect of the calls that use it, and the words.
var powers = [...]struct{ permission, effect, words string }{
	{"android.permission.INSTALL_PACKAGES", "install-app", "install apps"},
	{"android.permission.DELETE_PACKAGES", "remove-app", "remove apps"},
}

func run(p *check.Pass) error {
	owner := map[evidence.Ref]*phone.Package{} // by file of code
	for _, pkg := range p.Phone.Packages {
		for _, c := range pkg.Code {
			owner[c.Ref.File()] = pkg
		}
	}
	calls := map[*phone.Package][len(powers)][]program.Step{}
	for i, power := range powers {
		for _, c := range knowledge.Calls(power.effect) {
			for _, s := range p.Program.CallsTo(c.Class, c.Name) {
				if pkg := owner[s.At.File()]; pkg != nil && !pkg.Dormant && pkg.Has(power.permission) {
					all := calls[pkg]
					all[i] = append(all[i], program.Step{At: s.At, What: s.Name + " calls " + c.Name + " of " + c.Class})
					calls[pkg] = all
				}
			}
		}
	}
	for _, pkg := range p.Phone.Packages {
		var words []string
		var steps []program.Step
		for i, power := range powers {
			if s := calls[pkg][i]; len(s) > 0 {
				words = append(words, power.words)
				steps = append(steps, s...)
			}
		}
		if len(words) > 0 {
			report(p, pkg, strings.Join(words, " and "), steps)
		}
	}
	return nil
}

func report(p *check.Pass, pkg *phone.Package, power string, calls []program.Step) {
	slices.SortStableFunc(calls, func(a, b program.Step) int { return evidence.Compare(a.At, b.At) })
	calls = slices.CompactFunc(calls, func(a, b program.Step) bool { return a.At == b.At })
	shown := shows(pkg)
	f := check.Finding{Grade: check.Lead, Subject: pkg.Name, Package: pkg, Effect: power, Reach: check.PreinstalledApp, At: calls[0].At, Witness: calls,
		Args:       []check.Arg{{Name: "app", Value: pkg.Name}, {Name: "power", Value: power}, {Name: "shown", Value: shown}},
		Vouchers:   []check.Voucher{check.PhoneItself, check.PlatformFact},
		Disclosure: "not shown to the owner where we looked: the permission is given without a question, and the app has no icon, no entry in the settings and no screens of a store or installer",
		Gates:      []check.Gate{{What: "what decides which apps, and whether the owner is asked on the way, was not followed", Holds: program.GateUnknown, At: calls[0].At}},
		Innocent:   "a part of the phone's own updates, of a store, of a move from an old phone, or of a company's control that the owner agreed to"}
	switch {
	case shown != "":
		f.MessageID, f.Disclosure = "shown", "shown to the owner: "+shown
	case !online(pkg):
		f.MessageID = "offline"
	default:
		f.MessageID, f.Grade, f.Reach = "hidden", check.Weak, check.Network
	}
	p.Report(f)
}

// online reports whether the processes of the app's uid may open sockets. The uid of the system is refused no permission, but
// has the group of the network only if one of its apps asked for it.
func online(pkg *phone.Package) bool {
	return pkg.Granted["android.permission.INTERNET"] == phone.GrantNormal
}

// shows says what the owner sees of the app, the most telling alone; "" if nothing.
func shows(pkg *phone.Package) (what string) {
	for _, c := range pkg.Components {
		if c.Kind != phone.KindActivity || !c.Enabled || !c.Exported {
			continue
		}
		for _, f := range c.Filters {
			for kind, names := range map[string][]string{"action": f.Actions, "category": f.Categories, "scheme": f.Schemes} {
				if kind == "category" && !slices.Contains(f.Actions, "android.intent.action.MAIN") {
					continue // no launcher asks for it alone
				}
				for _, n := range names {
					what = max(what, knowledge.PackageShows(kind, n))
				}
			}
		}
	}
	return what
}
