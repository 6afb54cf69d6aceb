// Package rootfiles looks at programs that give their rights to whoever starts them: by the setuid bit, by capabilities, or because they
// are tools for that (phone.RootFile). What AOSP gives such rights is in knowledge/setuid.tsv, the tools and what capabilities amount to in
// knowledge/root-tools.tsv.
package rootfiles

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

// Check finds programs that give root's rights.
var Check = &check.Check{
	Name: "rootfiles", Doc: doc, Question: check.Backdoor,
	Needs: []evidence.Kind{evidence.FileModes},
	Messages: map[string]string{
		"su":      "on this phone lies a tool that gives root's rights to other programs: {files}",
		"daemon":  "the phone starts a tool as root that gives root's rights to other programs: {files}",
		"setuid":  "whoever starts {files} has root's rights in it, for its mode says so, and Android has no such file",
		"group":   "whoever is of the group {group} and starts {files} has root's rights in it, for its mode says so, and Android has no such file",
		"caps":    "whoever starts {files} gets rights that amount to root's, for the file gives them ({caps}), and Android's own does not",
		"others":  "{files} give rights of the system to whoever may start them, and Android has no such files",
		"manager": "the app {app} gives root's rights to other apps, or asks the owner whether to give them",
	},
	Run: run,
}

const (
	innocent   = "a program of the maker's that does one thing only, and checks who calls; its code was not read"
	rooted     = "the owner, or whoever had the phone before, gave themselves root's rights, and the tool asks before it gives them on"
	disclosure = "not shown to the owner where we looked: no setting shows a file's rights"
)

func run(p *check.Pass) error {
	var list [7][]*phone.RootFile // by what they are: tools, daemons, for everybody, for a group, capabilities, others
	developer := p.Phone.Device.BuildType == "userdebug" || p.Phone.Device.BuildType == "eng"
	for i := range p.Phone.RootFiles {
		r := &p.Phone.RootFiles[i]
		power := slices.ContainsFunc(r.Caps, func(c string) bool { return knowledge.RootTool("capability", c) != "" })
		k := 5
		switch {
		case r.AOSP, r.Tool != "" && developer && knowledge.RootTool("debug", r.File.Path) != "":
			continue
		case r.Tool != "" && starts(p.Phone, r):
			k = 1
		case r.Tool != "":
			k = 0
		case r.Setuid && r.User == "root" && r.Starters == "everybody":
			k = 2
		case r.Setuid && r.User == "root" && r.Starters != "" && r.Starters != "root":
			k = 3
		case power && r.Starters == "everybody":
			k = 4
		case r.Starters == "" || r.Starters == "root" || !r.Setuid && !r.Setgid && !power:
			continue // capabilities of a daemon that only init starts, or for the network and the clock alone
		}
		list[k] = append(list[k], r)
	}
	for k, id := range []string{"su", "daemon", "setuid", "group", "caps", "others"} {
		if len(list[k]) > 0 {
			report(p, id, list[k])
		}
	}
	for _, k := range p.Phone.Packages {
		for _, d := range k.Defines {
			if knowledge.RootTool("permission", d.Name) != "" {
				p.Report(check.Finding{Grade: check.Lead, Subject: k.Name, Package: k, MessageID: "manager", At: d.At, Args: []check.Arg{{Name: "app", Value: k.Name}},
					Effect: "give root's rights", Reach: check.AnyApp, Innocent: rooted, Disclosure: "shown to the owner: the app asks", Vouchers: []check.Voucher{check.PhoneItself}})
			}
		}
	}
	return nil
}

// starts reports whether init starts a tool as root.
func starts(ph *phone.Phone, r *phone.RootFile) bool {
	return slices.ContainsFunc(ph.Launches, func(l phone.Launch) bool {
		return l.Act == phone.ActRun && l.User == "root" && l.File == r.File.Path && ph.Happens(l.When)
	})
}

func report(p *check.Pass, id string, files []*phone.RootFile) {
	var names, caps, groups []string
	f := check.Finding{Grade: check.Weak, Subject: "the system's files", MessageID: id, Effect: "act as root", Reach: check.AnyApp, At: files[0].At, CWE: 250,
		Innocent: innocent, Disclosure: disclosure, Vouchers: []check.Voucher{check.PhoneItself, check.PlatformFact}}
	for _, r := range files {
		names, groups = append(names, r.File.Path), append(groups, r.Starters)
		what := "owner " + r.User + ", group " + r.Group
		if r.User == "" {
			what = "its owner and mode are not known"
		}
		if r.Setuid {
			what += ", runs as its owner"
		}
		if r.Setgid {
			what += ", runs as its group"
		}
		for _, c := range r.Caps {
			caps = append(caps, c)
			what += ", capability " + c
		}
		if r.Does != "" {
			what += "; its program becomes another user and starts others (" + r.Does + ")"
		}
		f.Witness = append(f.Witness, program.Step{At: r.At, What: r.File.Path + ": " + what})
	}
	slices.Sort(caps)
	slices.Sort(groups)
	f.Args = []check.Arg{{Name: "files", Value: strings.Join(names, ", ")}, {Name: "group", Value: strings.Join(slices.Compact(groups), ", ")}, {Name: "caps", Value: strings.Join(slices.Compact(caps), ", ")}}
	nosuid := p.Phone.API >= 18
	switch {
	case id == "others":
		f.Grade = check.Lead
	case id == "su" || id == "daemon":
		f.Innocent = rooted
		f.Gates = append(f.Gates, check.Gate{What: "whom the tool gives the rights to: its code and its list were not read", At: files[0].At})
	case id == "group" && files[0].Starters == "shell":
		f.Reach = check.Cable
		f.Gates = append(f.Gates, check.Gate{What: "debugging has to be switched on, and the computer allowed by the owner", Holds: program.GateHolds, At: files[0].At})
	}
	if id != "su" && id != "daemon" && f.Reach == check.AnyApp && nosuid {
		f.Reach = check.BootOnly
		f.Gates = append(f.Gates, check.Gate{What: "apps: since Android 4.3 these modes have no effect on what apps start; programs that init starts have it", Holds: program.GateHolds, At: files[0].At})
	}
	f.Gates = append(f.Gates, check.AppMay(p.Phone, files[0].At, check.Access{Target: p.Phone.LabelOf(files[0].File.Path, 0, true), Class: "file", Perm: "execute"}))
	p.Report(f)
}
