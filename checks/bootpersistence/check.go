// Package bootpersistence looks at what a phone starts by itself: programs of root that lie where somebody else can put other ones,
// what root's scripts fetch from the network, shells offered over the network, and sockets of root's services that are open to all. What is
// started is the phone's word (phone.Launch: init's files and the scripts that they run); whose the places are is in knowledge/boot.tsv.
package bootpersistence

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
		"socket":  "the modes of files let any app talk to {service}, which runs as root, over the socket {socket}",
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
	for i := range p.Phone.Services {
		socket(p, &p.Phone.Services[i])
	}
	return nil
}

// launched reports a finding on l. It is at most weak where a gate is not known to fail, and a lead where nothing starts it.
func launched(p *check.Pass, l *phone.Launch, id string, f check.Finding) {
	f.Gates = append(f.Gates, confined(p.Phone, l.Label, l.At))
	if l.Conditional {
		f.Gates = append(f.Gates, check.Gate{What: "a condition in the script, which was not judged", At: l.At})
	}
	if f.Grade == check.Proven && slices.ContainsFunc(f.Gates, func(g check.Gate) bool { return g.Holds != program.GateDoesNotHold }) {
		f.Grade = check.Weak
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

func socket(p *check.Pass, s *phone.Service) {
	for _, k := range s.Sockets {
		if s.User != "root" || k.Perm&0o002 == 0 || s.Binary == nil || knowledge.Boot("socket", k.Name, p.Phone.Device.Android) != "" {
			continue
		}
		f := check.Finding{Grade: check.Weak, Reach: check.AnyApp, Effect: "talk to a service of root", CWE: 732, Subject: "service " + s.Name, MessageID: "socket", At: s.At,
			Args: []check.Arg{{Name: "service", Value: s.Name}, {Name: "socket", Value: k.Name}}, Gates: []check.Gate{confined(p.Phone, s.Label, s.At)},
			Disclosure: disclosure, Vouchers: []check.Voucher{check.PhoneItself, check.PlatformFact},
			Innocent: "the service may ask who calls, or offer only what all may have; its code was not read"}
		if f.Gates[0].Holds != program.GateDoesNotHold || !p.Phone.Happens(s.Start) {
			f.Grade = check.Lead
		}
		p.Report(f)
	}
}

// confined is SELinux as a gate. It confines services since Android 5 (API 21); what its policy says is not read.
func confined(ph *phone.Phone, label string, at evidence.Ref) check.Gate {
	g := check.Gate{What: "SELinux: what its policy allows was not read", At: at}
	switch {
	case ph.API > 0 && ph.API < 21:
		g.What, g.Holds = "SELinux: it does not confine services of this release yet", program.GateDoesNotHold
	case ph.SwitchesSELinuxOff():
		g.What, g.Holds = "SELinux: init switches it off", program.GateDoesNotHold
	case label == "u:r:su:s0" && (ph.Device.BuildType == "userdebug" || ph.Device.BuildType == "eng"):
		g.What, g.Holds = "SELinux: its domain su is not confined in a build for developers", program.GateDoesNotHold
	}
	return g
}
