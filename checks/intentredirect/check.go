// Package intentredirect finds apps of power that start what an outsider hands them, as if they had chosen it themselves.
package intentredirect

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/phone"
	"gifthorse/program"
)

//go:embed doc.md
var doc string

// Check finds intent redirection.
var Check = &check.Check{
	Name: "intentredirect", Doc: doc, Question: check.Backdoor,
	Needs: []evidence.Kind{evidence.Manifests, evidence.Code},
	Messages: map[string]string{
		"redirect-activity":  "any app can make {app} open any screen of any app, also those that are closed to other apps, for it runs as the system",
		"redirect-service":   "any app can make {app} start any service of any app, also those that are closed to other apps, for it runs as the system",
		"redirect-broadcast": "any app can make {app} send any message, also those that only the system may send, for it runs as the system",
		"redirect-later":     "any app can make {app} start any part of any app, also those that are closed to other apps, for it runs as the system",
		"named":              "any app can make {app} {effect}, also if it is closed to other apps, for {app} runs as the system; what is told to it {app} writes itself",
		"opens":              "any app can make {app} start {parts}, which {app} may start and other apps may not",
		"passes":             "any app can have {app} start what it hands it; nothing was found that only {app} may start",
		"grants":             "{app} hands an intent of the caller's back to him; with it go the rights to {parts} that he writes into it",
		"unknown":            "any app can ask {app} to {effect}; whether this stops it was not seen: {gate}",
	},
	Run: run,
}

const innocent = "a screen that asks something first and then goes on to where the caller, meant to be one of the vendor's own apps, wants to go"

// API levels since which the platform itself refuses: to hand out rights to data for the uid of the system (Android 8,
// UriGrantsManagerService.checkGrantUriPermission); to open a screen for an intent that the app was handed (Android 16,
// behaviour changes for all apps).
const systemKeepsRights, platformStops = 26, 36

func run(p *check.Pass) error {
	found := map[string]*check.Finding{}
	var order []string
	paths := p.Program.Redirects()
	for i := range paths {
		x := &paths[i]
		if x.Held() || !x.Entry.Package.Powerful() {
			continue
		}
		f := check.OfPath(x)
		if f.Innocent = innocent; !grade(p.Phone, x, &f) {
			continue
		}
		key := f.Subject + "\x00" + x.Entry.What + "\x00" + x.Effect.ID
		if x.Effect.ID == "grant" { // a habit of an app's author, which its screens share
			key = f.Subject
		}
		old := found[key]
		switch {
		case old == nil:
			found[key] = &f
			order = append(order, key)
		case slices.Index(check.Grades, f.Grade) < slices.Index(check.Grades, old.Grade):
			f.Also = append(old.Also, old.At)
			*old = f
		default:
			old.Also = append(old.Also, f.At)
		}
	}
	for _, key := range order {
		p.Report(*found[key])
	}
	return nil
}

// grade says how far a path goes. It is proven where the app runs as the system, to which every part of every app is
// open; else the finding names what is open to this app and closed to others.
func grade(ph *phone.Phone, x *program.Path, f *check.Finding) bool {
	system, grave := x.Entry.Package.UID() == "android.uid.system", x.Effect.Rank == "grave"
	gate, looks := "", false
	for _, g := range x.Gates {
		if g.Holds == program.GateUnknown && gate == "" {
			gate = g.What
		}
		looks = looks || g.What == program.LooksFirst
	}
	if x.Effect.ID == "redirect-activity" && ph.API >= platformStops {
		gate, looks = "since Android 16 the platform stops it, unless the app asks it not to", true
	}
	what := closed(ph, x.Entry.Package, x.Effect.ID)
	switch f.Grade = check.Lead; {
	case gate != "":
		f.MessageID = "unknown"
		if system && grave && !looks {
			f.Grade = check.Weak
		}
	case x.Effect.ID == "grant":
		f.MessageID = "grants"
		if len(what) == 0 || system && ph.API >= systemKeepsRights {
			return false
		}
	case system && grave:
		f.Grade, f.MessageID = check.Proven, x.Effect.ID
	case system:
		f.Grade, f.MessageID = check.Weak, "named"
	case len(what) > 0:
		f.MessageID = "opens"
		if grave {
			f.Grade = check.Weak
		}
	default:
		f.MessageID = "passes"
		if !grave {
			return false
		}
	}
	f.Args = []check.Arg{{Name: "app", Value: f.Subject}, {Name: "effect", Value: x.Effect.Words}, {Name: "gate", Value: gate}, {Name: "parts", Value: several(what)}}
	return true
}

// closed lists what an app can start, or can hand out rights to, and any app cannot: its own parts that are not exported,
// and others' behind a permission that it has.
func closed(ph *phone.Phone, pkg *phone.Package, effect string) (out []string) {
	_, how, _ := strings.Cut(effect, "-")
	want := map[string]phone.Kind{"activity": phone.KindActivity, "service": phone.KindService, "broadcast": phone.KindReceiver}[how]
	for _, k := range ph.Packages {
		for _, c := range k.Components {
			own, held := k.UID() == pkg.UID(), c.Guard.Holds == phone.Holds
			switch {
			case k.Dormant || !c.Enabled || want != "" && c.Kind != want || (c.Kind == phone.KindProvider) != (effect == "grant"):
			case effect == "grant" && !(own && c.GrantURI && (!c.Exported || c.Read.Holds == phone.Holds || c.Write.Holds == phone.Holds)):
			case own && (!c.Exported || held || effect == "grant"), !own && c.Exported && held && pkg.Has(c.Guard.Permission):
				out = append(out, c.Class())
			}
		}
	}
	return out
}

// several names the first of a list, and how many more there are.
func several(list []string) string {
	const shown = 2 // a reader needs an example, not the list
	if n := len(list) - shown; n > 0 {
		list = append(slices.Clone(list[:shown-1]), fmt.Sprintf("%s and %d more parts", list[shown-1], n))
	}
	return strings.Join(list, ", ")
}
