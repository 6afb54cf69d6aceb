// Package bootpersistence looks at what a phone starts by itself: programs of root that lie where somebody else can put other ones,
// what root's scripts fetch from the network, and shells offered over the network. What is started is the phone's word (phone.Launch:
// init's files and the scripts that they run); whose the places are is in knowledge/boot.tsv.
package bootpersistence

import (
	"cmp"
	_ "embed"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/phone"
	"gifthorse/program"
)

//go:embed doc.md
var doc string

// Check finds programs of root that others can replace.
var Check = &check.Check{
	Name: "bootpersistence", Doc: doc, Question: check.Backdoor,
	Needs: []evidence.Kind{evidence.Init},
	Messages: map[string]string{
		"open":    "the phone by itself {does} {file} as {user}, and the modes of files let any app put another one in its place",
		"storage": "the phone by itself {does} {file} as {user}, from storage to which any app with {permission} may write",
		"app":     "the phone by itself {does} {file} as {user}, from the folder of the app {app}",
		"shell":   "the phone by itself {does} {file} as {user}, from a folder to which whoever may debug the phone over a cable can write",
		"system":  "the phone by itself {does} {file} as {user}, from a folder that is written to while the phone runs",
		"fetched": "the phone by itself runs as {user} what it gets from {url}",
		"fetches": "a script that runs as {user} gets {url} from the network",
		"serves":  "the phone by itself offers a shell of {user} to others on the network, with {file}",
	},
	Run: run,
}

const disclosure = "not shown to the owner where we looked: no setting lists what the phone starts by itself"

func run(p *check.Pass) error {
	for i := range p.Phone.Launches {
		l := &p.Phone.Launches[i]
		if l.User != "root" && l.User != "system" {
			continue
		}
		f, id := check.Finding{Effect: "run a program as " + l.User, CWE: 732}, l.Writer.Who
		switch w := l.Writer; {
		case l.Act == phone.ActFetch:
			f.Grade, f.Reach, f.Effect, f.CWE, id = check.Lead, check.Network, "fetch a file as "+l.User, 494, "fetches"
		case l.Act == phone.ActServe:
			f.Grade, f.Reach, f.CWE, id = check.Proven, check.Network, 306, "serves"
		case l.Act == phone.ActRun && l.URL != "":
			f.Grade, f.Reach, f.CWE, id = check.Proven, check.Network, 494, "fetched"
		case w.Who == "any app":
			f.Grade, f.Reach, id = check.Proven, check.AnyApp, "open"
			if w.Permission != "" {
				id = "storage"
				f.Gates = append(f.Gates, check.Gate{What: "permission " + w.Permission + ": it speaks of files, not of programs that run as " + l.User, Holds: program.GateDoesNotHold, At: l.At})
			}
		case w.Who == "app":
			f.Grade, f.Reach = check.Weak, check.PreinstalledApp
			if f.Package = p.Phone.Package(w.Package); f.Package == nil {
				f.Reach = check.AnyApp
				f.Gates = append(f.Gates, check.Gate{What: "an app of that name has to be on the phone: in what was read is none, and who installs one has the folder", At: l.At})
			} else if f.Package.UID() == "android.uid.system" {
				f.Grade = check.Lead
			}
		case w.Who == "shell":
			f.Grade, f.Reach = check.Weak, check.Cable
			f.Gates = append(f.Gates, check.Gate{What: "debugging has to be switched on, and the computer allowed by the owner", Holds: program.GateHolds, At: l.At})
		case w.Who == "root", w.Who == "system" && l.User == "root":
			f.Grade, f.Reach, id = check.Lead, check.BootOnly, "system"
		default:
			continue
		}
		if l.Act == phone.ActRun && l.Writer.Storage && !l.Read {
			f.Grade = check.Lead
			f.Gates = append(f.Gates, check.Gate{What: "no file on the shared storage is executable", Holds: program.GateHolds, At: l.At})
		}
		launched(p, l, id, f)
	}
	return nil
}

// launched reports a finding on l. It is at most weak where a gate is not known to fail, and a lead where nothing starts it.
func launched(p *check.Pass, l *phone.Launch, id string, f check.Finding) {
	f.Gates = append(f.Gates, confined(p.Phone, l))
	if l.Conditional {
		f.Gates = append(f.Gates, check.Gate{What: "a condition in the script, which was not judged", At: l.At})
	}
	if f.Grade == check.Proven && slices.ContainsFunc(f.Gates, func(g check.Gate) bool { return g.Holds != program.GateDoesNotHold }) {
		f.Grade = check.Weak
	}
	if f.Grade == check.Weak && f.Reach == check.AnyApp && slices.ContainsFunc(f.Gates, func(g check.Gate) bool { return g.Holds == program.GateHolds }) {
		f.Grade = check.Lead // any app is kept out by a rule that was read
	}
	if !p.Phone.Happens(l.When) {
		f.Grade, f.State = check.Lead, check.Inactive
	}
	file := l.File
	if l.Over != "" {
		file += " over " + l.Over
	}
	f.Subject, f.MessageID, f.At = l.Starter, id, l.At
	f.Args = []check.Arg{{Name: "does", Value: string(l.Act)}, {Name: "file", Value: file}, {Name: "user", Value: l.User}, {Name: "url", Value: l.URL},
		{Name: "permission", Value: l.Writer.Permission}, {Name: "app", Value: l.Writer.Package}}
	what := "init reads this at " + cmp.Or(strings.Join(l.When, ", "), "no time that was found")
	for _, at := range append(slices.Clone(l.Via), l.At) {
		f.Witness = append(f.Witness, program.Step{At: at, What: what})
		what = "which leads to this line of a script"
	}
	if l.Writer.At != (evidence.Ref{}) {
		f.Witness = append(f.Witness, program.Step{At: l.Writer.At, What: "init itself opens the place to others"})
	}
	f.Innocent = "a hook for the maker's updates or tests; SELinux, whose policy was not read, may keep others from writing there, or the program from running"
	f.Disclosure, f.Vouchers = disclosure, []check.Voucher{check.PhoneItself, check.PlatformFact}
	p.Report(f)
}

// confined is SELinux as a gate: whether its policy lets any app write to the place, if that is known, else what is known of the service.
func confined(ph *phone.Phone, l *phone.Launch) check.Gate {
	g := check.SELinux(ph, l.Label, l.At)
	if g.Holds == program.GateDoesNotHold || l.Writer.Who != "any app" || l.Writer.Storage {
		return g
	}
	file := check.AppMay(ph, l.At, check.Access{Target: ph.LabelOf(l.File, 0, true), Class: "file", Perm: "write"})
	folder := check.AppMay(ph, l.At, check.Access{Target: ph.LabelOf(path.Dir(l.File), fs.ModeDir, true), Class: "dir", Perm: "add_name"})
	if file.Holds == program.GateHolds && folder.Holds != program.GateHolds {
		return check.Gate{What: "SELinux: whether what an app puts there has a type that may be run is not known", At: l.At}
	}
	return file
}
