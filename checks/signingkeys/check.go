// Package signingkeys looks at who signed the apps of a phone, for a signature is all by which a phone knows whose code it runs:
// keys that everybody has, signatures that do not fit, names that their signer may not carry.
package signingkeys

import (
	"cmp"
	_ "embed"
	"fmt"
	"maps"
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

// Check finds apps whose signature does not say what it should.
var Check = &check.Check{
	Name: "signingkeys", Doc: doc, Question: check.Identity,
	Needs: []evidence.Kind{evidence.Manifests, evidence.Signatures},
	Messages: map[string]string{
		"public-uid": "anyone can write an app that this phone, once it is installed, runs as {uid}, for that uid belongs to the {key}",
		"public-app": "anyone can write an update for {app} that this phone accepts, for it is signed with the {key}",
		"broken":     "the signature of {app} does not fit its contents: {problem}",
		"unsigned":   "{app} lies among the system's apps and nobody signed it",
		"foreign":    "{app} wants to run as {uid} and is signed by {signer}, not with the system's own key",
		"names":      "the name of {publisher} is carried by apps whose certificates are not known as theirs: {apps}",
		"single":     "{app} carries a name of the Android project, and its signer {signer} signed nothing else in the system",
		"platform":   "{count} of {all} system apps are signed by {signer}, whose key decides who runs as the system",
	},
	Run: run,
}

const (
	systemUID = "android.uid.system"
	aosp      = "com.android." // names of AOSP's own apps, which each maker signs with keys of its own
	custom    = "a maker or a community that signs some of its apps with a key of their own"
	hidden    = "not shown to the owner where we looked: Android's settings show no app's signer"
)

func run(p *check.Pass) error {
	var system []*phone.Package
	signed := map[string][]*phone.Package{} // by SHA-256 of the certificate
	for _, k := range p.Phone.Packages {
		if k.System && !k.Dormant && k.File != nil {
			system = append(system, k)
			for _, s := range k.Signature.Signers {
				signed[s.SHA256] = append(signed[s.SHA256], k)
			}
		}
	}
	platform(p, system, signed)
	public(p, signed)
	named := map[string][]*phone.Package{} // by publisher
	for _, k := range system {
		switch {
		case stub(k):
			continue
		case k.Signature.Verdict == "broken":
			report(p, "broken", check.Weak, k, 347, "an app whose archive was packed again when the phone's image was built, or when it was copied from the phone", "problem", k.Signature.Problem)
		case k.Signature.Verdict == "none":
			report(p, "unsigned", check.Weak, k, 347, "a file that the phone does not take for an app, left over from the making of the image")
		}
		if len(k.Signature.Signers) == 0 || k.Platform {
			continue
		}
		s := k.Signature.Signers[0]
		if k.SharedUID == systemUID && p.Phone.PlatformSigner.SHA256 != "" {
			report(p, "foreign", check.Lead, k, 346, custom+"; the phone refuses such an app", "uid", k.SharedUID, "signer", s.Subject)
		}
		if !k.HasCode {
			continue
		}
		if who, known := knowledge.Publisher(k.Name, s.SHA256); who != "" && !known {
			named[who] = append(named[who], k)
		}
		if _, test := knowledge.SigningKey(s.SHA256); strings.HasPrefix(k.Name, aosp) && len(signed[s.SHA256]) == 1 && !test {
			report(p, "single", check.Lead, k, 346, custom, "signer", s.Subject)
		}
	}
	for _, who := range slices.Sorted(maps.Keys(named)) {
		var names []string
		for _, k := range named[who] {
			names = append(names, k.Name)
		}
		report(p, "names", check.Lead, named[who][0], 346, "publishers sign some of their apps with certificates that are not in our table; makers publish apps in a publisher's name with its leave",
			"publisher", who, "apps", strings.Join(names, ", "))
	}
	return nil
}

// stub reports whether an app has nothing that who replaces it could gain: AOSP's CtsShim is one, signed with its public test key.
// An update cannot ask for a permission of the system that the app in the image did not ask for.
func stub(k *phone.Package) bool { return !k.HasCode && k.SharedUID == "" && len(k.Requested) == 0 }

// platform says who signs the system.
func platform(p *check.Pass, system []*phone.Package, signed map[string][]*phone.Package) {
	own := signed[p.Phone.PlatformSigner.SHA256]
	if len(own) == 0 {
		return
	}
	k := own[0]
	if i := slices.IndexFunc(own, func(k *phone.Package) bool { return k.Name == "android" }); i >= 0 {
		k = own[i]
	}
	f := finding("platform", check.Lead, k, 0, "every phone is signed by somebody; compare with the certificate of another phone of the maker", "count", fmt.Sprint(len(own)), "all", fmt.Sprint(len(system)),
		"signer", p.Phone.PlatformSigner.Subject)
	f.Subject, f.Package = "the system's own certificate", nil
	f.Witness[0].What += "; taken for the system's own by: " + p.Phone.PlatformSigner.Why
	others := slices.SortedFunc(maps.Keys(signed), func(a, b string) int { return cmp.Or(len(signed[b])-len(signed[a]), cmp.Compare(a, b)) })
	for _, s := range others {
		if s != p.Phone.PlatformSigner.SHA256 {
			step := certificate(signed[s][0], s)
			step.What = fmt.Sprintf("%d more: %s", len(signed[s]), step.What)
			f.Witness = append(f.Witness, step)
		}
	}
	p.Report(f)
}

// public reports what is signed with keys that everybody has: once for each uid that runs apps of power, and once for each other app.
func public(p *check.Pass, signed map[string][]*phone.Package) {
	for _, cert := range slices.Sorted(maps.Keys(signed)) {
		key, ok := knowledge.SigningKey(cert)
		if !ok {
			continue
		}
		what, _, _ := strings.Cut(key.What, ";")
		done := map[string]bool{}
		for _, k := range signed[cert] {
			uid := k.SharedUID
			power := slices.ContainsFunc(signed[cert], func(o *phone.Package) bool { return o.SharedUID == uid && o.Privileged })
			if uid == "" || !power {
				if !stub(k) {
					f := finding("public-app", check.Weak, k, 321, "an app that the maker took over as its author signed it, or forgot to sign anew", "key", what)
					f.Effect, f.Reach = "replace an app's code", check.Screen
					p.Report(f)
				}
				continue
			}
			if !done[uid] {
				done[uid] = true
				f := finding("public-uid", check.Proven, k, 321, "a build for testing, or a community's system that was published without keys of its own", "uid", uid, "key", what)
				f.Subject, f.Effect, f.Reach = uid, "install code that runs as "+uid, check.Screen
				f.Disclosure = "not shown to the owner where we looked: the question whether to install an app does not say that it would run as " + uid
				f.Gates = []check.Gate{{What: "only who has the key of " + uid + " can write an app for it: its private half is public", Holds: program.GateDoesNotHold, At: k.File.Ref}}
				f.Witness = append(f.Witness, program.Step{At: k.File.Ref, What: "this certificate's private half is public: " + key.Origin + "; " + key.Verified})
				p.Report(f)
			}
		}
	}
}

func report(p *check.Pass, id string, g check.Grade, k *phone.Package, cwe int, innocent string, args ...string) {
	p.Report(finding(id, g, k, cwe, innocent, args...))
}

// finding fills in what all findings share; args are names and values in turn.
func finding(id string, g check.Grade, k *phone.Package, cwe int, innocent string, args ...string) check.Finding {
	f := check.Finding{MessageID: id, Grade: g, Subject: k.Name, Package: k, At: k.File.Ref, CWE: cwe, Innocent: innocent, Disclosure: hidden, Effect: "run code of another signer",
		Vouchers: []check.Voucher{check.PhoneItself}, Args: []check.Arg{{Name: "app", Value: k.Name}}}
	if len(k.Signature.Signers) > 0 {
		f.Witness = []program.Step{certificate(k, k.Signature.Signers[0].SHA256)}
	}
	for i := 0; i < len(args); i += 2 {
		f.Args = append(f.Args, check.Arg{Name: args[i], Value: args[i+1]})
	}
	return f
}

func certificate(k *phone.Package, sha256 string) program.Step {
	i := slices.IndexFunc(k.Signature.Signers, func(s phone.Signer) bool { return s.SHA256 == sha256 })
	return program.Step{At: k.File.Ref, What: "signed by " + k.Signature.Signers[i].Subject + ", certificate SHA-256 " + sha256}
}
