// Package cleartext reads what apps of power declare about their own connections: whether they may speak without encryption, and
// whether they trust certificate authorities that were added to the phone.
package cleartext

import (
	_ "embed"
	"fmt"
	"strings"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/knowledge"
	"gifthorse/phone"
	"gifthorse/program"
)

//go:embed doc.md
var doc string

// Check finds apps of power that allow themselves connections which anyone on the way can read or change.
var Check = &check.Check{
	Name: "cleartext", Doc: doc, Question: check.Wire,
	Needs: []evidence.Kind{evidence.Manifests},
	Messages: map[string]string{
		"any":     "{app}, a privileged app, allows itself to speak without encryption to any host it does not exclude",
		"added":   "{app}, a privileged app, accepts authorities that somebody added to the phone",
		"some":    "{app}, a privileged app, accepts authorities that somebody added to the phone, for some hosts",
		"default": "privileged apps that may speak without encryption to any host, by default or for work that AOSP gives them: {count}",
	},
	Run: run,
}

const (
	optIn   = 28 // the API level that an app targets since which it must ask for clear text
	network = "android.permission.INTERNET"
	prefix  = "default of" // how phone.Cleartext.Why begins where neither manifest nor configuration decides
)

func run(p *check.Pass) error {
	var byDefault []*phone.Package
	for _, k := range p.Phone.Packages {
		c := &k.Cleartext
		if k.Dormant || !k.HasCode || !k.Has(network) || !k.Privileged && k.UID() != "android.uid.system" {
			continue
		}
		f := check.Finding{Grade: check.Weak, Subject: k.Name, Package: k, At: c.At, Reach: check.Network, CWE: 319, Vouchers: []check.Voucher{check.PhoneItself},
			Effect: "read and change what the app sends and receives", Disclosure: "not shown to the owner where we looked: no setting shows it",
			Args: []check.Arg{{Name: "app", Value: k.Name}}, Witness: []program.Step{{At: c.At, What: "allowed by: " + c.Why}}}
		_, role := knowledge.CleartextByDesign(k.SharedUID)
		if _, app := knowledge.CleartextByDesign(k.Name); app && k.Platform {
			role = true
		}
		switch {
		case c.Permitted && k.TargetSDK >= optIn && !strings.HasPrefix(c.Why, prefix) && !role:
			f.MessageID, f.Innocent = "any", "it fetches what others choose (pages, pictures, files), or asks over plain HTTP whether there is a network, and checks what must be true"
			p.Report(f)
		case c.Permitted:
			byDefault = append(byDefault, k)
		}
		if c.UserCAs && strings.Contains(c.UserCAsWhy, "network security configuration") {
			f.MessageID, f.CWE, f.Witness = "added", 295, []program.Step{{At: c.At, What: "accepted by: " + c.UserCAsWhy}}
			if strings.HasPrefix(c.UserCAsWhy, "domain-config") {
				f.MessageID = "some"
			}
			f.Innocent = "its maker lets researchers, or companies that manage the phone, look into its traffic; without an added authority it changes nothing"
			p.Report(f)
		}
	}
	if len(byDefault) > 0 {
		f := check.Finding{Grade: check.Lead, Subject: "the system's apps", MessageID: "default", At: byDefault[0].Cleartext.At, Reach: check.Network, CWE: 319,
			Effect: "read and change what apps send and receive", Vouchers: []check.Voucher{check.PhoneItself},
			Innocent: "until Android 9 every app could by default; most speak with encryption all the same", Args: []check.Arg{{Name: "count", Value: fmt.Sprint(len(byDefault))}}}
		for _, k := range byDefault {
			f.Witness = append(f.Witness, program.Step{At: k.Cleartext.At, What: k.Name + ": " + k.Cleartext.Why})
		}
		p.Report(f)
	}
	return nil
}
