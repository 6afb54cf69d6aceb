// Package devicenodes looks at the devices that a phone lets every app open: by the rules of ueventd and the commands of init
// (phone.DeviceNode). What AOSP opens itself is in knowledge/devnodes.tsv, what a device gives to whom opens it in knowledge/device-power.tsv.
package devicenodes

import (
	"cmp"
	_ "embed"
	"fmt"
	"io/fs"
	"path"
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

// Check finds devices that any app may open.
var Check = &check.Check{
	Name: "devicenodes", Doc: doc, Question: check.Backdoor,
	Needs: []evidence.Kind{evidence.Init},
	Messages: map[string]string{
		"memory":  "the modes of files let any app {does} all memory of the phone, through {nodes}",
		"root":    "the modes of files let any app give orders to the kernel that only root should give, through {nodes}",
		"storage": "the modes of files let any app {does} the raw contents of the phone's storage, past all rights of files, through {nodes}",
		"modem":   "the modes of files let any app talk to the phone's radio processor, through {nodes}",
		"input":   "the modes of files let any app {does} what is typed and touched, through {nodes}",
		"screen":  "the modes of files let any app {does} what the screen shows, through {nodes}",
		"others":  "any app may change devices and files of the kernel that AOSP keeps to itself or does not have: {nodes}",
	},
	Run: run,
}

var effects = map[string]string{"memory": "reach all memory", "root": "give orders to the kernel", "storage": "reach the raw storage", "modem": "talk to the radio processor",
	"input": "read or make input", "screen": "read or change the screen", "others": "open a device"}

func run(p *check.Pass) error {
	found := map[string]*check.Finding{}
	nodes, does := map[string][]string{}, map[string]map[string]bool{}
	for i := range p.Phone.DeviceNodes {
		n := &p.Phone.DeviceNodes[i]
		power, what := knowledge.DevicePower(n.Pattern)
		read, write, permission := n.Apps(p.Phone.Device.Android)
		if power == "design" || !read && !write || ours(p.Phone, n) {
			continue
		}
		g := selinux(p.Phone, n, write)
		if write && read && g.Holds == program.GateHolds {
			write, g = false, selinux(p.Phone, n, false)
		}
		if power == "root" && !write {
			power = ""
		}
		if g.Holds == program.GateHolds || power == "" && !write {
			continue // what the mode gives, the policy takes back; and that a device can be read is what most are for
		}
		id := cmp.Or(power, "others")
		f := found[id]
		if f == nil {
			f = &check.Finding{Grade: check.Lead, Subject: "the devices", MessageID: id, Effect: effects[id], Reach: check.AnyApp, At: n.At, CWE: 732,
				Innocent:   "a driver that offers only what every app may have, and asks who calls; where SELinux's policy was not read, it may keep apps from the device",
				Disclosure: "not shown to the owner where we looked: no setting lists the devices", Vouchers: []check.Voucher{check.PhoneItself, check.PlatformFact}}
			found[id], does[id] = f, map[string]bool{}
		}
		// AOSP's policy knows input and screen as what no app may open; drivers of makers it does not know.
		switch unguarded := g.Holds == program.GateDoesNotHold; {
		case id == "others":
		case unguarded:
			f.Grade = check.Proven
		case f.Grade == check.Lead && id != "input" && id != "screen":
			f.Grade = check.Weak
		}
		if !slices.ContainsFunc(f.Gates, func(x check.Gate) bool { return x.What == g.What }) {
			f.Gates = append(f.Gates, g)
		}
		if permission != "" {
			f.Gates = append(f.Gates, check.Gate{What: "permission " + permission + ", for " + n.Pattern + ": any app gets it by asking", Holds: program.GateDoesNotHold, At: n.At})
		}
		nodes[id] = append(nodes[id], n.Pattern)
		does[id]["read"], does[id]["change"] = does[id]["read"] || read, does[id]["change"] || write
		f.Witness = append(f.Witness, program.Step{At: n.At, What: fmt.Sprintf("%s has mode %04o, owner %s, group %s: %s", n.Pattern, n.Mode, n.User, n.Group, cmp.Or(what, "not in AOSP's list of devices for all"))})
	}
	for id, f := range found {
		verb := []string{}
		for _, v := range []string{"read", "change"} {
			if does[id][v] {
				verb = append(verb, v)
			}
		}
		f.Args = []check.Arg{{Name: "nodes", Value: list(nodes[id])}, {Name: "does", Value: strings.Join(verb, " and ")}}
		p.Report(*f)
	}
	return nil
}

// most is how many names a sentence can hold; the witness has all.
const most = 8

func list(names []string) string {
	slices.Sort(names)
	if len(names) > most {
		return strings.Join(names[:most], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}

// ours reports whether AOSP opens the node itself.
func ours(ph *phone.Phone, n *phone.DeviceNode) bool {
	return slices.ContainsFunc(knowledge.DeviceNodes(), func(k knowledge.DeviceNode) bool {
		fits, _ := path.Match(k.Pattern, n.Pattern)
		return (fits || k.Pattern == n.Pattern) && k.Versions.Include(ph.Device.Android) && n.Mode&^k.Mode&6 == 0
	})
}

// selinux is SELinux's policy as a gate before a node. Of files of the kernel's own, below /proc and /sys, it has no types by path.
func selinux(ph *phone.Phone, n *phone.DeviceNode, write bool) check.Gate {
	name, class, mode, perm := strings.ReplaceAll(n.Pattern, "*", "0"), "chr_file", fs.ModeDevice|fs.ModeCharDevice, "read"
	if strings.HasPrefix(name, "/dev/block/") {
		class, mode = "blk_file", fs.ModeDevice
	}
	if write {
		perm = "write"
	}
	if !strings.HasPrefix(name, "/dev/") {
		return check.SELinux(ph, "", n.At)
	}
	return check.AppMay(ph, n.At, check.Access{Target: ph.LabelOf(name, mode, true), Class: class, Perm: perm})
}
