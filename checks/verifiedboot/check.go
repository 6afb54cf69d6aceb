// Package verifiedboot looks at what a phone's software is checked against when it starts and while it runs: the signed lists of digests
// (vbmeta), the images of the partitions, and fstab. What the images say is in phone.VerifiedBoot; the keys whose private half is public
// and the partitions that ought to be checked are in knowledge/avb.tsv.
package verifiedboot

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

// Check finds software that nothing vouches for.
var Check = &check.Check{
	Name: "verifiedboot", Doc: doc, Question: check.Identity,
	Needs: []evidence.Kind{evidence.VerifiedBoot},
	Messages: map[string]string{
		"off":        "the phone starts without checking its software: the list of digests that its bootloader reads orders it to check nothing else",
		"tree-off":   "the phone does not check its system while it runs: the list of digests that its bootloader reads switches that off",
		"edited":     "somebody switched the check of the phone's software off, in the list of digests that its bootloader reads, after that was signed",
		"broken":     "the list of digests that says what this phone may start is not what its maker signed: {problem}",
		"unsigned":   "nobody signed the list of digests that says what this phone may start, so anyone who can write to its storage can write another",
		"public-key": "anyone can sign software that this phone's bootloader takes for its maker's, if it goes by the key of the list in {partitions}: the secret half of {key} is public",
		"differs":    "the software on {partitions} is not what this phone's own list of digests vouches for",
		"left-out":   "this phone's list of digests leaves out {partitions}: nobody notices when it starts that something was changed there",
		"unchecked":  "this phone does not check {partitions} while it runs: who once can write to its storage can change programs there for good, and unnoticed",
	},
	Run: run,
}

const (
	owner = "the owner, or whoever had the phone before, unlocked it and installed a system of their own choice; an image that was made or changed for study"
	maker = "a maker that checks its software by means of its own, which are not read"
)

func run(p *check.Pass) error {
	v := &p.Phone.VerifiedBoot
	if unlocked(p.Phone) {
		return nil // then nothing of this binds the phone; debugposture says it
	}
	off := false
	if len(v.Chain) > 0 && v.Whole() {
		off = lists(p, v)
		contents(p, v, off)
	}
	if open := v.Unchecked(); open != nil && !off && p.Phone.API >= 26 { // Android 8, the first whose phones all have a check
		var points []string
		for _, m := range open {
			points = append(points, m.Point)
		}
		report(p, open[0].At, "unchecked", "a phone whose bootloader or device tree says how the partition is checked, and not this file; "+owner,
			"partitions", strings.Join(points, ", "))
	}
	return nil
}

// unlocked reports whether the bootloader itself told the phone's system that it checks nothing for its owner's sake.
func unlocked(ph *phone.Phone) bool {
	return slices.ContainsFunc(knowledge.Postures(), func(k knowledge.Posture) bool {
		value, _ := ph.Property(k.Property)
		_, is := k.Match(value)
		return is && (k.ID == "boot-unlocked" || k.ID == "boot-unverified")
	})
}

// lists reports what is wrong with the lists themselves, and whether they switch all checks off.
func lists(p *check.Pass, v *phone.VerifiedBoot) (off bool) {
	var public []string
	for i := range v.Chain {
		m := &v.Chain[i]
		switch top := i == 0; {
		case top && m.Edited:
			off = true
			report(p, m.At, "edited", owner)
		case top && m.VerificationDisabled:
			off = true
			report(p, m.At, "off", "a build for the maker's own tests; "+owner)
		case m.Signature == "broken":
			report(p, m.At, "broken", owner, "problem", m.Partition+": "+m.Problem)
		case top && m.Signature == "none":
			report(p, m.At, "unsigned", owner)
		case top && m.HashtreeDisabled:
			report(p, m.At, "tree-off", "a build for the maker's own tests; "+owner)
		}
		if m.PublicKey != "" {
			public = append(public, m.Partition)
		}
	}
	if i := slices.IndexFunc(v.Chain, func(m phone.VBMeta) bool { return m.PublicKey != "" }); i >= 0 && !off {
		report(p, v.Chain[i].At, "public-key", "a community's system for unlocked phones, which is often signed like that; on a locked phone the bootloader holds a key of its own",
			"partitions", strings.Join(public, ", "), "key", v.Chain[i].PublicKey)
	}
	return off
}

// contents reports partitions that differ from their digests, and those that have none.
func contents(p *check.Pass, v *phone.VerifiedBoot, off bool) {
	var differ []string
	var steps []program.Step
	at := v.Chain[0].At
	for _, x := range v.Partitions {
		if x.Match == phone.Differs {
			differ = append(differ, x.Name)
			steps = append(steps, program.Step{At: v.Chain[x.By].At, What: "this list has the digest of " + x.Name}, program.Step{At: x.Image, What: "the image: " + x.Why})
			at = x.Image
		}
	}
	if differ != nil {
		f := finding(at, "differs", owner+"; an image that was not read from the phone as a whole, or belongs to another build", "partitions", strings.Join(differ, ", "))
		f.Witness = steps
		p.Report(f)
	}
	if left := v.LeftOut(); left != nil && !off {
		report(p, v.Chain[0].At, "left-out", maker, "partitions", strings.Join(left, ", "))
	}
}

func report(p *check.Pass, at evidence.Ref, id, innocent string, args ...string) {
	p.Report(finding(at, id, innocent, args...))
}

func finding(at evidence.Ref, id, innocent string, args ...string) check.Finding {
	f := check.Finding{Grade: check.Weak, Subject: "the build", MessageID: id, Effect: "replace the phone's software", Reach: check.Cable, At: at, Innocent: innocent,
		Disclosure: "not shown to the owner where we looked: no setting shows what the start checks", Vouchers: []check.Voucher{check.PhoneItself}, CWE: 347}
	for i := 0; i < len(args); i += 2 {
		f.Args = append(f.Args, check.Arg{Name: args[i], Value: args[i+1]})
	}
	return f
}
