// Package attestation looks at what a phone's secure hardware vouches for, where a chain of key attestation was given along: whether the
// chain is worth anything, how the phone was started, and whether the files read beside it are that phone's.
package attestation

import (
	_ "embed"
	"slices"
	"strings"

	"gifthorse/check"
	"gifthorse/phone"
	"gifthorse/program"
)

//go:embed doc.md
var doc string

// Check finds attestations that prove nothing, and those that prove something against the phone. It needs no attestation: most phones
// are given without one, and then it is silent.
var Check = &check.Check{
	Name: "attestation", Doc: doc, Question: check.Identity,
	Messages: map[string]string{
		"broken":       "what is given as this phone's attestation was not signed by those whom it names, so nothing in it can be believed",
		"extended":     "the attestation was added to: below a key that secure hardware had attested, somebody wrote statements in the name of such hardware",
		"unjudged":     "the attestation proves nothing as it was given: {detail}",
		"unknown-root": "anyone could have written this attestation: it names secure hardware, and ends in a root that nobody known vouches for ({detail})",
		"forged":       "anyone could have written this attestation: it names secure hardware, and ends in {detail}, whose secret half is public",
		"software":     "the attestation was made by the phone's software and not by secure hardware, so whoever controls the software can write what it says",
		"revoked":      "a key that this attestation rests on was withdrawn by Google, so anyone who has the key could have written it: {detail}",
		"unlocked":     "the phone's secure hardware says that its bootloader is unlocked: whoever holds the phone can put other software on it (state {detail})",
		"failed":       "the phone's secure hardware says that its software did not pass the check when it started (state {detail})",
		"own-key":      "the phone's secure hardware says that the system it started was not signed by its maker, and whose key that is we do not know ({detail})",
		"known-system": "the phone's secure hardware says that the system it started was not signed by its maker: the key is that of {detail}",
		"other-phone":  "the attestation is not of the phone that these files are of, or one of them is not true: secure hardware says {attested}, the files say {stated}",
		"other-build":  "the attestation speaks of another build than these files: secure hardware says {attested}, the files say {stated}",
		"other-image":  "the phone started other software than the images that were given along: the digest that its secure hardware attests is not theirs",
	},
	Run: run,
}

const (
	owner = "the owner, or whoever had the phone before, unlocked it and installed a system of their own choice"
	mixed = "the attestation was taken from another phone, or before or after an update; the files are not a copy of the phone as it is"
)

// words are what there is to say of a finding besides its sentence, by message.
var words = map[string]struct {
	grade            check.Grade
	effect, innocent string
	reach            check.Reach
	cwe              int
}{
	"broken":       {check.Weak, "pass for another phone", "a file that was damaged, or put together from the certificates of two chains", check.Cable, 347},
	"extended":     {check.Weak, "pass for another phone", "an app that uses a key which may sign anything to attest to others, unaware that this counts for nothing", check.AnyApp, 295},
	"unjudged":     {check.Lead, "pass for another phone", "a chain that was given in part, or late, or is of a form that this version does not read", check.Cable, 0},
	"unknown-root": {check.Weak, "pass for another phone", "a maker without Google's services that has a root of its own; a phone for the maker's own tests", check.Cable, 295},
	"forged":       {check.Weak, "pass for another phone", "an emulator, or a board for development, whose stand-in for secure hardware uses the public key", check.Cable, 321},
	"software":     {check.Lead, "pass for another phone", "a phone that was first sold with Android 7 or earlier, which has nothing better; a key that was made without asking for hardware", check.Cable, 0},
	"revoked":      {check.Weak, "pass for another phone", "an honest phone of a series whose key leaked elsewhere: all phones of the series share it", check.Cable, 321},
	"unlocked":     {check.Weak, "replace the phone's software", owner, check.Cable, 0},
	"failed":       {check.Weak, "replace the phone's software", owner + "; a part of the storage that is worn out", check.Cable, 347},
	"own-key":      {check.Weak, "replace the phone's software", owner + ", and locked it again over that", check.Cable, 0},
	"known-system": {check.Lead, "replace the phone's software", owner + ", and locked it again over that", check.Cable, 0},
	"other-phone":  {check.Weak, "pass for another phone", mixed, check.Cable, 0},
	"other-build":  {check.Lead, "pass for another phone", mixed, check.Cable, 0},
	"other-image":  {check.Weak, "pass for another phone", mixed + "; a bootloader that computes its digest in a way of its own", check.Cable, 0},
}

func run(p *check.Pass) error {
	var list []*check.Finding
	// One finding for each cause: a phone attests once for each of its secure environments.
	add := func(f *check.Finding) {
		same := func(o *check.Finding) bool { return o.MessageID == f.MessageID && slices.Equal(o.Args, f.Args) }
		if i := slices.IndexFunc(list, same); i >= 0 {
			list[i].Also = append(list[i].Also, f.At)
			return
		}
		list = append(list, f)
	}
	for _, a := range p.Phone.Attestations {
		if why, detail := a.Doubt(); why != "" {
			add(finding(a, why, "detail", detail))
			continue
		}
		if what, detail := a.Start(); what != "" {
			add(finding(a, what, "detail", detail))
		}
		if f := compare(p.Phone, a); f != nil {
			add(f)
		}
	}
	for _, f := range list {
		p.Report(*f)
	}
	return nil
}

// compare says what the files say otherwise: that they are of another phone, another build, other images, for each explains the next.
func compare(ph *phone.Phone, a *phone.Attestation) *check.Finding {
	for _, id := range []string{"other-phone", "other-build"} {
		var attested, stated []string
		var steps []program.Step
		for _, c := range ph.Contradicts(a) {
			if build := c.What == "version" || c.What == "patch"; build == (id == "other-build") {
				attested, stated = append(attested, c.What+" "+c.Attested), append(stated, c.What+" "+c.Stated.Value)
				steps = append(steps, program.Step{At: c.Stated.At, What: "the files say " + c.Stated.Name + "=" + c.Stated.Value})
			}
		}
		if attested != nil {
			f := finding(a, id, "attested", strings.Join(attested, ", "), "stated", strings.Join(stated, ", "))
			f.Witness, f.Vouchers = append(f.Witness, steps...), append(f.Vouchers, check.PhoneItself)
			return f
		}
	}
	if other, known := ph.BootedOther(a); known && other {
		f := finding(a, "other-image")
		f.Witness = append(f.Witness, program.Step{At: a.At, What: "the attested digest is " + a.BootHash},
			program.Step{At: ph.VerifiedBoot.Chain[0].At, What: "that of the images is " + ph.VerifiedBoot.Digest})
		return f
	}
	return nil
}

func finding(a *phone.Attestation, id string, args ...string) *check.Finding {
	w := words[id]
	f := &check.Finding{MessageID: id, Grade: w.grade, Subject: "the attestation", At: a.At, Effect: w.effect, Reach: w.reach, Innocent: w.innocent, CWE: w.cwe,
		Disclosure: "not shown to the owner where we looked: no setting shows what secure hardware attests"}
	for i := 0; i < len(args); i += 2 {
		f.Args = append(f.Args, check.Arg{Name: args[i], Value: args[i+1]})
	}
	for _, s := range a.Words() {
		f.Witness = append(f.Witness, program.Step{At: a.At, What: s})
	}
	if why, _ := a.Doubt(); why == "" {
		f.Vouchers = []check.Voucher{check.Attested}
	}
	return f
}
