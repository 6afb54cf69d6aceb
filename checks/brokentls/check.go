// Package brokentls finds apps that encrypt their connections and let anybody be at the other end.
package brokentls

import (
	_ "embed"
	"fmt"
	"strings"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/phone"
	"gifthorse/program"
)

//go:embed doc.md
var doc string

// Check finds apps whose code gives up the check of who is at the other end of an encrypted connection.
var Check = &check.Check{
	Name: "brokentls", Doc: doc, Question: check.Wire,
	Needs: []evidence.Kind{evidence.Manifests, evidence.Code},
	Messages: map[string]string{
		"trust": "{app} accepts certificates that anybody can make, so whoever is on the way can read and change what it sends and gets over such a connection",
		"names": "{app} accepts the certificate of any other site in place of the right one, so whoever is on the way can read and change what it sends and gets over such a connection",
		"page":  "{app} loads web pages whose certificate is wrong without asking, so whoever is on the way can read and change them",
		"can":   "{app} can be set to accept {what} on its encrypted connections; when it does was not followed",
		"holds": "apps that carry code which accepts wrong certificates, and were not found to use it: {count}",
	},
	Run: run,
}

const network = "android.permission.INTERNET"

var words = map[program.TLSKind]struct{ what, innocent string }{
	program.HoleTrust: {"certificates that anybody can make", "it only fetches what is public, and checks a signature on what it fetches; or the code decides for no connection that matters"},
	program.HoleNames: {"the certificate of any other site in place of the right one", "it talks to a server that has no name, by its address, and what it fetches is signed; or other code compares the name"},
	program.HolePage:  {"web pages whose certificate is wrong", "it shows only the login page of a network, or pages on which nothing is asked and nothing is obeyed"},
}

func run(p *check.Pass) error {
	type subject struct {
		k    *phone.Package
		kind program.TLSKind
	}
	best := map[subject]program.TLSHole{}
	var order []subject
	for _, h := range p.Program.BrokenTLS() {
		if h.Package.Dormant || !h.Package.Has(network) {
			continue
		}
		s := subject{h.Package, h.Kind}
		b, ok := best[s]
		if !ok {
			order = append(order, s)
		}
		if !ok || rank(h) > rank(b) {
			best[s] = h
		}
	}
	var idle []program.Step
	var first *phone.Package
	apps := 0
	for _, s := range order {
		h, k := best[s], s.k
		if !h.Live {
			if first == nil || k != first {
				apps++
			}
			first, idle = k, append(idle, program.Step{At: h.Body.At, What: k.Name + ": " + h.Body.What})
			continue
		}
		f := check.Finding{MessageID: string(h.Kind), Grade: check.Weak, Subject: k.Name, Package: k, At: h.Install.At, Reach: check.Network, CWE: 295,
			Effect: "read and change what the app sends and receives", Disclosure: "not shown to the owner where we looked: no setting shows whom an app trusts",
			Vouchers: []check.Voucher{check.PhoneItself}, Witness: []program.Step{h.Body, h.Install}, Innocent: words[h.Kind].innocent,
			Args: []check.Arg{{Name: "app", Value: name(k)}, {Name: "what", Value: words[h.Kind].what}}}
		if h.Kind == program.HoleNames {
			f.CWE = 297
		}
		if !h.Fixed || h.Checked {
			f.Grade, f.MessageID = check.Lead, "can"
		}
		p.Report(f)
	}
	if apps > 0 {
		p.Report(check.Finding{MessageID: "holds", Grade: check.Lead, Subject: "code that is not in use", At: idle[0].At, Reach: check.Network, CWE: 295, Witness: idle,
			Effect: "read and change what apps send and receive", Vouchers: []check.Voucher{check.PhoneItself},
			Innocent: "libraries carry such code for tests, and it never runs", Args: []check.Arg{{Name: "count", Value: fmt.Sprint(apps)}}})
	}
	return nil
}

// rank puts the holes of an app in order: what is in use, what cannot be avoided, what decides for the whole process.
func rank(h program.TLSHole) (n int) {
	for i, b := range []bool{h.Default, h.Fixed && !h.Checked, h.Live, h.Install.What != ""} {
		if b {
			n += 1 << i
		}
	}
	return n
}

// name says whose code it is, and as whom it runs if that is somebody more than itself.
func name(k *phone.Package) string {
	if uid := k.UID(); strings.HasPrefix(uid, "android.uid.") {
		return k.Name + ", which runs as " + uid + ","
	}
	return k.Name
}
