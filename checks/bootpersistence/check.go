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

func run(p *check.Pass) error {
	for i := range p.Phone.Launches {
		l := &p.Phone.Launches[i]
		if l.User != "root" && l.User != "system" {
			continue
		}
		f := check.Finding{Effect: "run a program as " + l.User, CWE: 732}
		id := l.Writer.Who
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
				f.Gates = append(f.Gates, check.Gate{What: "an app of that name has to be on the phone: none was found in what was read, and who installs one has the folder", Holds: program.GateUnknown, At: l.At})
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
		f.Gates = append(f.Gates, check.Gate{What: "the script asks something first that was not read", Holds: program.GateUnknown, At: l.At})
	}
	if f.Grade == check.Proven && slices.ContainsFunc(f.Gates, func(g check.Gate) bool { return g.Holds != program.GateDoesNotHold }) {
		f.Grade = check.Weak
	}
	if !happens(p.Phone, l.When) {
		f.Grade, f.State = check.Lead, check.Inactive
	}
	f.Subject, f.MessageID, f.At = l.Starter, id, l.At
	f.Args = []check.Arg{{Name: "does", Value: string(l.Act)}, {Name: "file", Value: l.File}, {Name: "user", Value: l.User}, {Name: "url", Value: l.URL},
		{Name: "permission", Value: l.Writer.Permission}, {Name: "app", Value: l.Writer.Package}}
	start := "init reads this at " + cmp.Or(strings.Join(l.When, ", "), "no time that was found")
	for i, at := range append(slices.Clone(l.Via), l.At) {
		f.Witness = append(f.Witness, program.Step{At: at, What: []string{start, "which leads to this line of a script"}[min(i, 1)]})
	}
	if l.Writer.At != (evidence.Ref{}) {
		f.Witness = append(f.Witness, program.Step{At: l.Writer.At, What: "init itself opens the place to others"})
	}
	f.Innocent = "a hook for the maker's updates or tests; SELinux, whose policy was not read, may keep others from writing there, or the program from running"
	report(p, f)
}

func socket(p *check.Pass, s *phone.Service) {
	for _, k := range s.Sockets {
		if s.User != "root" || k.Perm&0o002 == 0 || s.Binary == nil || knowledge.Boot("socket", k.Name, p.Phone.Device.Android) != "" {
			continue
		}
		f := check.Finding{Grade: check.Weak, Reach: check.AnyApp, Effect: "talk to a service of root", CWE: 732, Subject: "service " + s.Name, MessageID: "socket", At: s.At,
			Args: []check.Arg{{Name: "service", Value: s.Name}, {Name: "socket", Value: k.Name}}, Gates: []check.Gate{confined(p.Phone, s.Label, s.At)},
			Innocent: "the service may ask who calls, or offer only what all may have; its code was not read"}
		if f.Gates[0].Holds != program.GateDoesNotHold {
			f.Grade = check.Lead
		}
		if !happens(p.Phone, s.Start) {
			f.Grade, f.State = check.Lead, check.Inactive
		}
		report(p, f)
	}
}

func report(p *check.Pass, f check.Finding) {
	f.Vouchers = []check.Voucher{check.PhoneItself, check.PlatformFact}
	f.Disclosure = "not shown to the owner where we looked: no setting lists what the phone starts by itself"
	p.Report(f)
}

// confined is SELinux as a gate. It confines services since Android 5 (API 21); what its policy says is not read.
func confined(ph *phone.Phone, label string, at evidence.Ref) check.Gate {
	g := check.Gate{What: "SELinux: what its policy allows was not read", At: at}
	off := slices.ContainsFunc(ph.Actions, func(a phone.Action) bool {
		return slices.ContainsFunc(a.Commands, func(c phone.Command) bool {
			return c.Name == "setenforce" && slices.Equal(c.Args, []string{"0"}) || c.Name == "write" && slices.Equal(c.Args, []string{"/sys/fs/selinux/enforce", "0"})
		})
	})
	switch {
	case ph.API > 0 && ph.API < 21:
		g.What, g.Holds = "SELinux: it does not confine services of this release yet", program.GateDoesNotHold
	case off:
		g.What, g.Holds = "SELinux: init switches it off", program.GateDoesNotHold
	case label == "u:r:su:s0" && (ph.Device.BuildType == "userdebug" || ph.Device.BuildType == "eng"):
		g.What, g.Holds = "SELinux: its domain su is not confined in a build for developers", program.GateDoesNotHold
	}
	return g
}

// happens reports whether anything that was read sets it off: an asked for value of a read-only property must be that of this phone.
func happens(ph *phone.Phone, when []string) bool {
	return slices.ContainsFunc(when, func(w string) bool {
		for c := range strings.SplitSeq(w, " && ") {
			name, value, ok := strings.Cut(strings.TrimPrefix(c, "property:"), "=")
			if v, set := ph.Property(name); ok && strings.HasPrefix(name, "ro.") && set && v != value && value != "*" {
				return false
			}
		}
		return true
	})
}
