// Package selinuxpolicy looks for holes in the phone's SELinux policy: domains whose programs it never stops, and rules that AOSP's
// own policy forbids by neverallow because they give any app power over the system (knowledge/neverallow.tsv). One finding for each
// kind of power, however many types it is about.
package selinuxpolicy

import (
	_ "embed"
	"fmt"
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
	Name: "selinuxpolicy", Doc: doc, Question: check.Identity,
	Needs: []evidence.Kind{evidence.Policy},
	Messages: map[string]string{
		"app":            "the phone's SELinux policy, the wall around each app, breaks Android's own rules and lets any app {power}",
		"permissive-app": "the phone's SELinux policy, the wall around each app, stops nothing that apps in the domain {domains} do, and only logs it",
		"permissive":     "the phone's SELinux policy stops nothing that programs in the domain {domains} do, and only logs it",
	},
	Run: run,
}

const (
	unnoticed = "not shown to the owner where we looked: no setting shows what the policy says"
	mistake   = "a rule that was written to silence an error during development and never taken out; it stands on shipped phones that nobody ever attacked"
	shown     = 8 // steps and names that a person still reads
)

func run(p *check.Pass) error {
	policy := p.Phone.Policy
	if policy == nil {
		return nil
	}
	for n := range knowledge.Neverallows(p.Phone.API) {
		if all := policy.AppPowers(n); len(all) > 0 {
			report(p, check.Finding{MessageID: "app", Effect: "weaken the walls between apps and system", Reach: check.AnyApp,
				Args: []check.Arg{{Name: "power", Value: n.Power}}, Witness: powers(policy, n, all),
				Vouchers: []check.Voucher{check.PhoneItself, check.PlatformFact},
				Innocent: mistake + "; the owner and mode of a file, or a check in the program that is asked, may still keep apps out"})
		}
	}
	var apps, others []string
	for _, d := range policy.PermissiveDomains() {
		switch developer := p.Phone.Device.BuildType == "userdebug" || p.Phone.Device.BuildType == "eng"; {
		case developer && d == "su": // AOSP's own policy says so there
		case policy.IsAnyApp(d):
			apps = append(apps, d)
		default:
			others = append(others, d)
		}
	}
	if len(apps) > 0 {
		permissive(p, "permissive-app", check.AnyApp, apps)
	}
	if len(others) > 0 {
		permissive(p, "permissive", "", others)
	}
	return nil
}

func permissive(p *check.Pass, id string, reach check.Reach, domains []string) {
	f := check.Finding{MessageID: id, Reach: reach, Effect: "weaken the walls between apps and system", Args: []check.Arg{{Name: "domains", Value: some(domains)}},
		Witness:  []program.Step{{At: p.Phone.Policy.At, What: "the policy (" + p.Phone.Policy.Why + ") calls permissive: " + some(domains)}},
		Vouchers: []check.Voucher{check.PhoneItself},
		Innocent: "a domain under development that was left permissive by mistake; the users and modes of files still hold. AOSP's build refuses such a policy for a build for users"}
	for i := range p.Phone.Services {
		if s := &p.Phone.Services[i]; len(f.Witness) <= shown && slices.Contains(domains, p.Phone.DomainOf(s)) {
			f.Witness = append(f.Witness, program.Step{At: s.At, What: fmt.Sprintf("init starts %s as %s in the domain %s", s.Name, s.User, p.Phone.DomainOf(s))})
		}
	}
	if t := p.Phone.Device.BuildType; t == "userdebug" || t == "eng" {
		f.Grade = check.Lead
	}
	report(p, f)
}

// powers tells what the policy says, each domain, class and permissions once.
func powers(policy *phone.Policy, n knowledge.Neverallow, all []phone.Power) (steps []program.Step) {
	steps = []program.Step{{At: policy.At, What: fmt.Sprintf("the policy (%s) breaks a rule of AOSP's %s, which holds since Android API %d", policy.Why, n.File, n.API)}}
	for len(all) > 0 && len(steps) <= shown {
		same := func(w phone.Power) bool {
			return w.Domain == all[0].Domain && w.Class == all[0].Class && slices.Equal(w.Perms, all[0].Perms)
		}
		var targets []string
		first := all[0]
		var rest []phone.Power
		for _, w := range all {
			if same(w) {
				targets = append(targets, w.Target)
			} else {
				rest = append(rest, w)
			}
		}
		steps = append(steps, program.Step{At: policy.At, What: fmt.Sprintf("apps in the domain %s may %s what has the type %s (class %s)",
			first.Domain, strings.Join(first.Perms, ", "), some(targets), first.Class)})
		all = rest
	}
	return steps
}

func some(names []string) string {
	if len(names) > shown {
		return strings.Join(names[:shown], ", ") + fmt.Sprintf(" and %d more", len(names)-shown)
	}
	return strings.Join(names, ", ")
}

// report hands in a finding with what all have in common.
func report(p *check.Pass, f check.Finding) {
	if f.Grade == "" {
		f.Grade = check.Weak
	}
	f.Subject, f.At, f.Disclosure = "the SELinux policy", p.Phone.Policy.At, unnoticed
	if p.Phone.SwitchesSELinuxOff() {
		f.Innocent += "; init switches SELinux off altogether on this phone, so that the policy hardly matters"
	}
	p.Report(f)
}
