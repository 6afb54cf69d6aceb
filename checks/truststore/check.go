// Package truststore compares the certificate authorities that a phone trusts with those that AOSP ships. Each of them can vouch for any
// web site, and so can whoever has its key.
package truststore

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

// Check finds authorities that AOSP does not know, that somebody added, that AOSP dropped, or that are missing.
var Check = &check.Check{
	Name: "truststore", Doc: doc, Question: check.Wire,
	Needs: []evidence.Kind{evidence.TrustStore},
	Messages: map[string]string{
		"unknown": "this phone trusts {ca} to vouch for any web site, and AOSP ships it in no release that we know",
		"idle":    "an authority that AOSP ships in no release that we know lies in a store that this phone no longer uses: {ca}",
		"added":   "somebody added an authority to this phone, and apps that accept such believe it about any web site: {ca}",
		"dropped": "this phone still trusts {ca}, which AOSP no longer ships in Android {release}",
		"missing": "{count} authorities that AOSP ships in Android {release} are not in this phone's store",
	},
	Run: run,
}

// moduleStore is the API level since which the store of the Conscrypt module is the one in use.
const moduleStore = 34

func run(p *check.Pass) error {
	release := knowledge.CARelease(p.Phone.Device.Android)
	held, system := map[string]bool{}, 0
	for i := range p.Phone.Trust {
		c := &p.Phone.Trust[i]
		f := check.Finding{Grade: check.Weak, Subject: c.Subject, At: c.At, Effect: "read and change what apps send and receive", Reach: check.Network, CWE: 295,
			Disclosure: "shown to the owner: in the settings, among all trusted credentials",
			Vouchers:   []check.Voucher{check.PhoneItself, check.PlatformFact},
			Args:       []check.Arg{{Name: "ca", Value: c.Subject}, {Name: "release", Value: release}},
			Gates:      []check.Gate{{What: "only who has the authority's private key can use it; who that is was not seen", Holds: program.GateUnknown, At: c.At}},
			Witness:    []program.Step{{At: c.At, What: "certificate SHA-256 " + c.SHA256 + ", issued by " + c.Issuer}}}
		if !c.Added {
			held[c.SHA256], system = true, system+1
		}
		switch {
		case c.Added:
			f.MessageID, f.Innocent = "added", "the owner, or the owner's employer or school, added it to reach a network of theirs, or to watch their own traffic"
		case !c.Known && idle(p.Phone, c):
			f.MessageID, f.Grade, f.State, f.Innocent = "idle", check.Lead, check.Inactive, "left over from an older system of the same maker"
		case !c.Known:
			f.MessageID, f.Innocent = "unknown", "an authority of the maker, the operator or the state for services of theirs, which could be trusted for those alone; or one of a release of AOSP that we did not sample"
		case release != "" && gone(c.SHA256, release):
			f.MessageID, f.Grade, f.Innocent = "dropped", check.Lead, "an authority that left AOSP by its own wish, or whose key was merely replaced"
		default:
			continue
		}
		p.Report(f)
	}
	if release == "" || system == 0 {
		return nil
	}
	var missing []program.Step
	for hash, info := range knowledge.CAs(release) {
		if !held[hash] {
			missing = append(missing, program.Step{At: p.Phone.Trust[0].At, What: info.Subject + ", SHA-256 " + hash})
		}
	}
	if len(missing) > 0 {
		p.Report(check.Finding{Grade: check.Lead, Subject: "the trust store", MessageID: "missing", At: p.Phone.Trust[0].At, Witness: missing,
			Disclosure: "shown to the owner: in the settings, among all trusted credentials", Vouchers: []check.Voucher{check.PhoneItself, check.PlatformFact},
			Innocent: "an update that took away authorities no longer to be trusted, or a copy of the phone's files that is not whole",
			Args:     []check.Arg{{Name: "count", Value: fmt.Sprint(len(missing))}, {Name: "release", Value: release}}})
	}
	return nil
}

// idle reports whether a certificate lies in the system's own store on a phone that uses the module's.
func idle(ph *phone.Phone, c *phone.Certificate) bool {
	return ph.API >= moduleStore && !strings.Contains(c.At.String(), "apex/")
}

func gone(sha256, release string) bool {
	info, ok := knowledge.CA(sha256)
	return ok && info.Gone(release)
}
