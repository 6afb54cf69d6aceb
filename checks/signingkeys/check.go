// Package signingkeys looks at who signed a phone's apps: with keys that everybody has, under names of others, or not so that it fits.
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
		"none":       "{app} lies among the system's apps and nobody signed it",
		"foreign":    "{app} wants to run as {uid} and is signed by {signer}, not with the system's own key",
		"names":      "the name of {publisher} is carried by apps whose certificates are not known as theirs: {apps}",
		"single":     "{app} carries a name of the Android project, and its signer {signer} signed nothing else in the system",
		"platform":   "{count} of {all} system apps are signed by {signer}, whose key decides who runs as the system",
	},
	Run: run,
}

const hidden = "not shown to the owner where we looked: no setting shows an app's signer"

func run(p *check.Pass) error {
	var system []*phone.Package
	signed := map[phone.Signer][]*phone.Package{}
	for _, k := range p.Phone.Packages {
		if k.System && !k.Dormant && k.File != nil {
			system = append(system, k)
			signed[signer(k)] = append(signed[signer(k)], k)
		}
	}
	platform(p, system, signed)
	public(p, system)
	named := map[string][]string{} // packages by publisher
	for _, k := range system {
		s, v := signer(k), k.Signature.Verdict
		if !stub(k) && (v == "broken" || v == "none") {
			p.Report(finding(v, check.Weak, k, 347, "an app whose archive was packed again when the phone's image was built or copied; a file that the phone does not take for an app", "problem", k.Signature.Problem))
		}
		if s.SHA256 == "" || k.Platform || !k.HasCode {
			continue
		}
		if k.SharedUID == "android.uid.system" && p.Phone.PlatformSigner.SHA256 != "" {
			p.Report(finding("foreign", check.Lead, k, 346, "a maker that signs some apps with a key of its own; the phone refuses such an app", "uid", k.SharedUID, "signer", s.Subject))
		}
		if who, known := knowledge.Publisher(k.Name, s.SHA256); who != "" && !known {
			named[who] = append(named[who], k.Name)
		}
		// Names of AOSP's own apps, which each maker signs with a few keys of its own.
		if _, test := knowledge.SigningKey(s.SHA256); strings.HasPrefix(k.Name, "com.android.") && len(signed[s]) == 1 && !test {
			p.Report(finding("single", check.Lead, k, 346, "a maker or a community that signs some of its apps with a key of its own", "signer", s.Subject))
		}
	}
	for _, who := range slices.Sorted(maps.Keys(named)) {
		p.Report(finding("names", check.Lead, p.Phone.Package(named[who][0]), 346, "publishers sign some of their apps with certificates that are not in our table, and let makers publish apps in their name",
			"publisher", who, "apps", strings.Join(named[who], ", ")))
	}
	return nil
}

// signer returns whose key counts for an app.
func signer(k *phone.Package) phone.Signer {
	return append(slices.Clone(k.Signature.Signers), phone.Signer{})[0]
}

// stub reports whether who replaces an app gains nothing, as AOSP's CtsShim: no update may ask for more permissions, and some apps take but one update.
func stub(k *phone.Package) bool {
	return k.OnlyUpdate != "" || !k.HasCode && k.SharedUID == "" && len(k.Requested) == 0
}

// platform says who signs the system, and in its witness who else.
func platform(p *check.Pass, system []*phone.Package, signed map[phone.Signer][]*phone.Package) {
	ps := p.Phone.PlatformSigner
	own := signed[phone.Signer{SHA256: ps.SHA256, Subject: ps.Subject}]
	if len(own) == 0 || ps.SHA256 == "" {
		return
	}
	f := finding("platform", check.Lead, cmp.Or(p.Phone.Package("android"), own[0]), 0, "every phone is signed by somebody; compare with the certificate of another phone of the maker",
		"count", fmt.Sprint(len(own)), "all", fmt.Sprint(len(system)), "signer", ps.Subject)
	f.Subject, f.Package, f.Effect = "the system's own certificate", nil, ""
	f.Witness[0].What += "; taken for the system's own by: " + ps.Why
	order := func(a, b phone.Signer) int {
		return cmp.Or(len(signed[b])-len(signed[a]), cmp.Compare(a.SHA256, b.SHA256))
	}
	for _, s := range slices.SortedFunc(maps.Keys(signed), order) {
		if s.SHA256 != ps.SHA256 && s.SHA256 != "" {
			step := certificate(signed[s][0])
			f.Witness = append(f.Witness, program.Step{At: step.At, What: fmt.Sprintf("%d more: %s", len(signed[s]), step.What)})
		}
	}
	p.Report(f)
}

// public reports what is signed with keys that everybody has: once for each uid that runs apps of power, and once for each other app.
func public(p *check.Pass, system []*phone.Package) {
	done := map[string]bool{}
	for _, k := range system {
		key, ok := knowledge.SigningKey(signer(k).SHA256)
		uid, at := k.SharedUID, k.Manifest
		if !ok || stub(k) || done[uid] {
			continue
		}
		what, _, _ := strings.Cut(key.What, ";")
		f := finding("public-app", check.Weak, k, 321, "an app that the maker took over as its author signed it, or forgot to sign anew", "key", what, "uid", uid)
		f.Reach = check.Screen
		f.Witness = append(f.Witness, program.Step{At: at, What: "its private half is public: " + key.Origin + "; " + key.Verified})
		if uid != "" && slices.ContainsFunc(system, func(o *phone.Package) bool { return o.SharedUID == uid && o.Privileged }) {
			done[uid], f.MessageID, f.Grade, f.Subject, f.Effect = true, "public-uid", check.Proven, uid, "install code that runs as "+uid
			f.Innocent = "a build for testing, or a community's system that was published without keys of its own"
			f.Disclosure = "not shown to the owner where we looked: the question whether to install an app does not say that it would run as " + uid
			f.Gates = []check.Gate{{What: "only who has the key of " + uid + " can write an app for it: the key is public", Holds: program.GateDoesNotHold, At: at}}
		}
		p.Report(f)
	}
}

// finding fills in what all findings share; args are names and values in turn.
func finding(id string, g check.Grade, k *phone.Package, cwe int, innocent string, args ...string) check.Finding {
	f := check.Finding{MessageID: id, Grade: g, Subject: k.Name, Package: k, At: k.Manifest, CWE: cwe, Innocent: innocent, Disclosure: hidden, Effect: "run code of another signer",
		Vouchers: []check.Voucher{check.PhoneItself}, Args: []check.Arg{{Name: "app", Value: k.Name}}}
	if signer(k).SHA256 != "" {
		f.Witness = []program.Step{certificate(k)}
	}
	for i := 0; i < len(args); i += 2 {
		f.Args = append(f.Args, check.Arg{Name: args[i], Value: args[i+1]})
	}
	return f
}

func certificate(k *phone.Package) program.Step {
	return program.Step{At: k.Manifest, What: "signed by " + signer(k).Subject + ", certificate SHA-256 " + signer(k).SHA256}
}
