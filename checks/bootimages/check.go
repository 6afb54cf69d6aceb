// Package bootimages looks at what the images say that a phone's bootloader loads, besides the running system: the kernel's command lines, the
// ramdisk for debugging, and the recovery system, which has rules of its own for who may come in over a cable (phone.Start). What a
// property's value means is in knowledge/debug-posture.tsv.
package bootimages

import (
	_ "embed"
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

// Check finds them.
var Check = &check.Check{
	Name: "bootimages", Doc: doc, Question: check.Identity,
	Needs: []evidence.Kind{evidence.Properties},
	Messages: map[string]string{
		"permissive": "the phone's own boot image orders it to log what SELinux forbids, and not to stop it ({word})",
		"forced":     "the phone starts with files that open it to debugging, once its bootloader is unlocked: {files}",
		"recovery":   "who starts this phone into its recovery system is let in over a cable without being asked for a key, and gets the rights of a build for developers",
	},
	Run: run,
}

const (
	owner  = "the owner, or whoever had the phone before, installed another kernel or recovery system for work of their own"
	hidden = "not shown to the owner where we looked: no setting shows it"
)

// orders are the words that switch SELinux to logging: the kernel's own, and init's (init/selinux.cpp, in builds for developers).
var orders = []string{"enforcing=0", "selinux=0", "androidboot.selinux=permissive", "androidboot.selinux=disabled"}

func run(p *check.Pass) error {
	s := &p.Phone.Start
	if i := slices.IndexFunc(s.Words, func(w phone.StartWord) bool { return slices.Contains(orders, w.Word) }); i >= 0 {
		w := s.Words[i]
		report(p, check.Finding{MessageID: "permissive", At: w.At, Effect: "weaken the walls between apps and system", Reach: check.BootOnly,
			Args: []check.Arg{{Name: "word", Value: w.Word}}, Innocent: owner + "; a line left from development, which the init of a build for users passes over"})
	}
	if len(s.Forced) > 0 && path.Base(s.Forced[0].Path) == "force_debuggable" {
		var names []string
		f := check.Finding{MessageID: "forced", At: s.Forced[0].Ref, Effect: "debug the phone", Reach: check.Cable, CWE: 489,
			Innocent: "a boot image for the compatibility tests (boot-debug.img) that was left on the phone; a locked bootloader refuses to start it"}
		for _, x := range s.Forced {
			names = append(names, path.Base(x.Path))
			f.Witness = append(f.Witness, program.Step{At: x.Ref, What: "this file is among those that are loaded first"})
		}
		f.Args = []check.Arg{{Name: "files", Value: strings.Join(names, ", ")}}
		report(p, f)
	}
	if debuggable, open := recovery(s, "build-debuggable", ""), recovery(s, "adb-asks-nobody", "ro.adb.secure"); debuggable != nil && open != nil {
		report(p, check.Finding{MessageID: "recovery", At: debuggable.At, Effect: "open a root shell", Reach: check.Cable, CWE: 306, Innocent: owner + ", such as TWRP; a build for developers",
			Witness: []program.Step{{At: debuggable.At, What: "of the recovery system: " + debuggable.Name + " is " + debuggable.Value},
				{At: open.At, What: "of the recovery system: " + open.Name + " is " + open.Value}}})
	}
	return nil
}

// recovery returns the property of the recovery system whose value means id, or, if it is not set at all and unset is its name, that.
func recovery(s *phone.Start, id, unset string) *phone.Property {
	for _, k := range knowledge.Postures() {
		if k.ID != id {
			continue
		}
		for i := range s.Recovery {
			q := &s.Recovery[i]
			if q.Name == unset {
				unset = ""
			}
			if _, is := k.Match(q.Value); is && q.Name == k.Property {
				return q
			}
		}
	}
	if unset != "" && len(s.Recovery) > 0 {
		return &phone.Property{Name: unset, Value: "not set", At: s.Recovery[0].At}
	}
	return nil
}

func report(p *check.Pass, f check.Finding) {
	f.Grade, f.Subject, f.Disclosure, f.Vouchers = check.Weak, "the build", hidden, []check.Voucher{check.PhoneItself}
	p.Report(f)
}
