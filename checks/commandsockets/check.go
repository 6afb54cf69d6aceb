// Package commandsockets looks at the sockets that init opens for services with power, and who may talk to them: by the mode and group of the
// socket, and by SELinux's policy. Those that AOSP itself opens to all are in knowledge/sockets.tsv.
package commandsockets

import (
	_ "embed"
	"io/fs"
	"strings"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/knowledge"
	"gifthorse/phone"
	"gifthorse/program"
)

//go:embed doc.md
var doc string

// Check finds sockets of services with power that any app may use.
var Check = &check.Check{
	Name: "commandsockets", Doc: doc, Question: check.Backdoor,
	Needs: []evidence.Kind{evidence.Init},
	Messages: map[string]string{
		"socket": "any app can talk to {service}, which runs as {user}, over the socket {socket}, going by {rules}",
		"group":  "any app that has the permission {permission} can talk to {service}, which runs as {user}, over the socket {socket}, going by {rules}",
	},
	Run: run,
}

func run(p *check.Pass) error {
	for i := range p.Phone.Services {
		s := &p.Phone.Services[i]
		if s.User != "root" && s.User != "system" && s.User != "radio" || s.Binary == nil || s.Name == "adbd" {
			continue
		}
		for k := range s.Sockets {
			socket(p, s, &s.Sockets[k])
		}
	}
	return nil
}

func socket(p *check.Pass, s *phone.Service, k *phone.Socket) {
	role, permission, _ := strings.Cut(knowledge.Boot("group", k.Group, p.Phone.Device.Android), " ")
	grouped := role == "app" && k.Perm&0o020 != 0
	if k.Perm&0o002 == 0 && !grouped || knowledge.OpenSocket(k.Name, p.Phone.Device.Android) {
		return
	}
	g := selinux(p.Phone, s, k)
	if g.Holds == program.GateHolds {
		return // what the mode gives, the policy takes back
	}
	rules := "its mode"
	if g.Holds == program.GateDoesNotHold && p.Phone.Policy != nil {
		rules = "its mode and SELinux's policy"
	}
	f := check.Finding{Grade: check.Lead, Reach: check.AnyApp, Effect: "talk to a service of " + s.User, CWE: 732, Subject: "service " + s.Name, MessageID: "socket", At: s.At,
		Args:     []check.Arg{{Name: "service", Value: s.Name}, {Name: "socket", Value: k.Name}, {Name: "user", Value: s.User}, {Name: "permission", Value: permission}, {Name: "rules", Value: rules}},
		Vouchers: []check.Voucher{check.PhoneItself, check.PlatformFact}, Disclosure: "not shown to the owner where we looked: no setting lists the phone's sockets",
		Innocent: "the service may ask who calls, or offer only what all may have; its code was not read",
		Gates:    []check.Gate{g, {What: "whom the service answers: its code was not read", At: s.At}}}
	if k.Perm&0o002 == 0 {
		f.MessageID = "group"
		f.Gates = append(f.Gates, check.Gate{What: "permission " + permission + ": any app gets it by asking", Holds: program.GateDoesNotHold, At: s.At})
	}
	if g.Holds == program.GateDoesNotHold && s.User == "root" {
		f.Grade = check.Weak
	}
	if !p.Phone.Happens(s.Start) {
		f.Grade, f.State = check.Lead, check.Inactive
	}
	f.Witness = []program.Step{{At: s.At, What: "init opens " + k.Type + " socket /dev/socket/" + k.Name + ", owner " + k.User + ", group " + k.Group + ", for a program that runs as " + s.User}}
	p.Report(f)
}

// selinux is SELinux's policy as a gate: an app has to reach the socket's file and the service behind it.
func selinux(ph *phone.Phone, s *phone.Service, k *phone.Socket) check.Gate {
	if g := check.SELinux(ph, s.Label, s.At); g.Holds == program.GateDoesNotHold {
		return g
	}
	label := ph.LabelOf("/dev/socket/"+k.Name, fs.ModeSocket, true)
	if w := strings.Split(k.Context, ":"); len(w) > 2 {
		label = w[2]
	}
	class, perm := "unix_stream_socket", "connectto"
	if strings.HasPrefix(k.Type, "dgram") {
		class, perm = "unix_dgram_socket", "sendto"
	}
	return check.AppMay(ph, s.At, check.Access{Target: label, Class: "sock_file", Perm: "write"}, check.Access{Target: ph.DomainOf(s), Class: class, Perm: perm})
}
