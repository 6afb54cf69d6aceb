// Package debugposture looks for phones that are left open to debugging: what the build says of itself, what it
// tells the debugging bridge adb, whose keys it lets in, which apps let a debugger in, and what the bootloader reports.
// What a property's value means is in knowledge/debug-posture.tsv. Each fact is weak alone; together they can leave no gate between
// a cable, or the network, and a root shell.
package debugposture

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

// Check finds them.
var Check = &check.Check{
	Name: "debugposture", Doc: doc, Question: check.Identity,
	Needs: []evidence.Kind{evidence.Properties, evidence.Manifests},
	Messages: map[string]string{
		"build-unreleased": "the build calls itself {value}, which Android's build system writes where apps were not signed again for release",
		"build-developer":  "the build calls itself {value}: a build for developers, whose debugging bridge can be given root's rights",
		"build-debuggable": "whoever is let in over adb can run code inside every app of this phone ({property}={value})",
		"adb-root":         "the build tells adb to keep root's rights ({property}={value})",
		"adb-asks-nobody":  "the build tells adb to let in every computer without asking the owner ({property} is {value})",
		"adb-on":           "debugging over the cable is on from the first start, without the owner having switched it on ({property})",
		"adb-tcp":          "the build tells adb to listen on the network, at port {value} ({property})",
		"boot-unlocked":    "the phone says that its bootloader is unlocked: whoever holds it can put other software on it ({property}={value})",
		"boot-unverified":  "the phone says that its software was not checked against its maker's key when it started ({property}={value})",
		"boot-permissive":  "the phone was started with the order to log what SELinux forbids, and not to stop it ({property}={value})",
		"key":              "whoever has the key of {key} gets a debugging shell without the owner being asked, as soon as debugging is on",
		"computer":         "the computer of the key {key} was allowed to debug this phone and still is",
		"app":              "whoever is let in over adb can run code inside {app}, which is marked as debuggable",
		"shell-cable":      "anyone with a cable gets a root shell on this phone: adb is on, asks nobody and can keep root's rights",
		"shell-network":    "anyone on the network gets a root shell on this phone: adb listens on port {port}, asks nobody and can keep root's rights",
	},
	Run: run,
}

const owner = "the owner, or whoever had the phone before, set this for work of their own, or installed a system of their own choice"
const unnoticed = "not shown to the owner where we looked: no setting shows it"

// words are what there is to say of a finding besides its sentence, by message; the ids of properties are those in knowledge.
var words = map[string]struct {
	effect, disclosure, innocent string
	reach                        check.Reach
	cwe                          int
}{
	"build-unreleased": {"trust an unreleased build", unnoticed, "a small maker who signs with its own keys while building and never changes the tag", check.Cable, 1269},
	"build-developer":  {"debug the phone", unnoticed, "a community's system (many are userdebug builds) that the owner chose, or a phone lent for development", check.Cable, 1269},
	"build-debuggable": {"run code inside an app", unnoticed, owner, check.Cable, 489},
	"adb-root":         {"open a root shell", unnoticed, "a line left from development: the adb of a release build gives up root whatever the line says", check.Cable, 250},
	"adb-asks-nobody":  {"open a debugging shell", unnoticed, "a line left from development: the adb of a release build asks whatever the line says", check.Cable, 306},
	"adb-on":           {"open a debugging shell", "shown to the owner: in the developer options, once these are unlocked", owner, check.Cable, 1188},
	"adb-tcp":          {"open a debugging shell", unnoticed, "adb is off until the owner switches debugging on, and then asks for each computer", check.Network, 1188},
	"boot-unlocked":    {"replace the phone's software", "shown to the owner: most phones warn at every start", owner, check.Cable, 0},
	"boot-unverified":  {"replace the phone's software", "shown to the owner: most phones warn at every start", owner, check.Cable, 0},
	"boot-permissive":  {"weaken the walls between apps and system", unnoticed, owner, check.BootOnly, 0},
	"key":              {"open a debugging shell", unnoticed + ", and revoking the computers leaves the key", "a key for the maker's own tests that was left in the image", check.Cable, 798},
	"computer":         {"open a debugging shell", "shown to the owner: the phone asked for it once", "the owner's own computer, or the one this phone is being examined with", check.Cable, 0},
	"app":              {"run code inside an app", unnoticed, "a test build of the app that was shipped by mistake", check.Cable, 489},
	"shell":            {"open a root shell", unnoticed + ", and adb asks nothing on the screen", "a phone for development, or a community's system that the owner chose", check.Cable, 306},
}

func run(p *check.Pass) error {
	facts := map[string]*phone.Property{} // by what their value means
	for _, k := range knowledge.Postures() {
		i := slices.IndexFunc(p.Phone.Properties, func(q phone.Property) bool { return q.Name == k.Property })
		if before, _ := p.Phone.Property(k.Before); i < 0 || facts[k.ID] != nil || before != "" { // or a second property says the same
			continue
		}
		if value, ok := k.Match(p.Phone.Properties[i].Value); ok {
			facts[k.ID] = &p.Phone.Properties[i]
			says(p, k.ID, facts[k.ID], value)
		}
	}
	root, asks := cmp.Or(facts["adb-root"], facts["build-debuggable"]), "ro.adb.secure"
	if _, set := p.Phone.Property(asks); !set && root != nil && facts["build-developer"] != nil {
		// Builds for developers that ask nobody do not set it at all; it would stand beside root, which was read.
		facts["adb-asks-nobody"] = &phone.Property{Name: asks, Value: "not set", At: root.At}
		says(p, "adb-asks-nobody", facts["adb-asks-nobody"], "not set")
	}
	shell(p, facts, root)
	for _, k := range p.Phone.ADBKeys {
		f := check.Finding{Subject: "the build", MessageID: "key", At: k.At, Args: []check.Arg{{Name: "key", Value: cmp.Or(k.Comment, k.Fingerprint)}}}
		if names := k.At.Names(); len(names) > 0 && strings.HasSuffix(names[len(names)-1], "data/misc/adb/adb_keys") {
			f.Grade, f.MessageID = check.Lead, "computer" // the file into which the phone writes those that the owner allowed
		}
		if k.Fingerprint != "" { // else no key
			report(p, f.MessageID, f)
		}
	}
	for _, k := range p.Phone.Packages {
		if k.Debuggable && k.System && !k.Dormant && k.HasCode {
			report(p, "app", check.Finding{Subject: k.Name, Package: k, MessageID: "app", At: k.Manifest, Args: []check.Arg{{Name: "app", Value: k.Name}}})
		}
	}
	return nil
}

// shell reports the way to a root shell that nothing guards. The adb of a build for users is compiled to ask and to give up root
// whatever the properties say, so that theirs stays weak: the file of adb itself is not read.
func shell(p *check.Pass, facts map[string]*phone.Property, root *phone.Property) {
	asks, build, on, tcp := facts["adb-asks-nobody"], facts["build-developer"], facts["adb-on"], facts["adb-tcp"]
	i := slices.IndexFunc(p.Phone.Services, func(s phone.Service) bool { return s.Name == "adbd" })
	if root == nil || asks == nil || build == nil || i < 0 {
		return
	}
	start, why := p.Phone.Services[i].At, "init starts adbd at every boot"
	if on != nil {
		start, why = on.At, "adbd is started, for "+is(on)
	} else if tcp == nil || !slices.ContainsFunc(p.Phone.Services[i].Start, func(s string) bool { return strings.HasPrefix(s, "class ") || s == "on boot" }) {
		return
	}
	f := check.Finding{Question: check.Backdoor, Grade: check.Proven, Subject: "adbd", MessageID: "shell-cable", At: asks.At,
		Gates: []check.Gate{
			{What: "the owner switches debugging on: " + why, Holds: program.GateDoesNotHold, At: start},
			{What: "adb asks the owner for every new computer: " + is(asks), Holds: program.GateDoesNotHold, At: asks.At},
			{What: "adb gives up root's rights: " + is(root), Holds: program.GateDoesNotHold, At: root.At}},
		Witness: []program.Step{{At: start, What: why},
			{At: build.At, What: "the build is of type " + build.Value + ", whose adbd obeys the next two"},
			{At: asks.At, What: "it lets in every computer: " + is(asks)},
			{At: root.At, What: "its shell has root's rights, or gets them by adb root: " + is(root)}}}
	if tcp != nil {
		f.MessageID, f.Reach, f.Args = "shell-network", check.Network, []check.Arg{{Name: "port", Value: tcp.Value}}
		f.Witness = slices.Insert(f.Witness, 1, program.Step{At: tcp.At, What: "it listens on every network: " + is(tcp)})
	}
	report(p, "shell", f)
}

func is(q *phone.Property) string { return q.Name + " is " + q.Value }

func says(p *check.Pass, id string, q *phone.Property, value string) {
	report(p, id, check.Finding{Subject: "the build", MessageID: id, At: q.At, Args: []check.Arg{{Name: "property", Value: q.Name}, {Name: "value", Value: value}}})
}

// report hands in a finding, with the words of an id; it is weak unless it says otherwise.
func report(p *check.Pass, id string, f check.Finding) {
	w := words[id]
	f.Grade, f.Reach = cmp.Or(f.Grade, check.Weak), cmp.Or(f.Reach, w.reach)
	f.Effect, f.Disclosure, f.Innocent, f.CWE, f.Vouchers = w.effect, w.disclosure, w.innocent, w.cwe, []check.Voucher{check.PhoneItself}
	p.Report(f)
}
