package phone

import (
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/prop"
	"gifthorse/format/sepolicy"
	"gifthorse/knowledge"
)

// A Policy is what SELinux allows on the phone, as init loads it at boot. It says nothing of whether the kernel enforces it.
type Policy struct {
	*sepolicy.Policy
	At  evidence.Ref // the binary; of text, the platform's file
	Why string       // why it is this one
	// AnyApp are the domains, in order, of apps that anybody could have written: those of AOSP, and what this phone's own
	// seapp_contexts give an app without asking for more. Only domains that the policy has.
	AnyApp []sepolicy.Type
	// levels says of each of AnyApp whether seapp_contexts give an app categories of its own (levelFrom), which keep it from writing
	// what has none.
	levels map[sepolicy.Type]sepolicy.Level
	labels *sepolicy.FileContexts
}

// policyDirs are where the parts of the policy and of the contexts lie since Android 8, with the names of the parts, in the platform's
// order (libselinux android_seopts, init/selinux.cpp). On a phone without Treble they lie at the root.
var policyDirs = []struct{ dir, part string }{
	{"/system/etc/selinux", "plat"}, {"/system_ext/etc/selinux", "system_ext"}, {"/product/etc/selinux", "product"}, {"/vendor/etc/selinux", "vendor"},
	{"/vendor/etc/selinux", "nonplat"}, {"/odm/etc/selinux", "odm"}, {"", "plat"}, {"", "system_ext"}, {"", "product"}, {"", "vendor"}, {"", "nonplat"}, {"", "odm"},
}

// policyParts returns the files of one kind of contexts: one whole file up to Android 7, else the first of each part.
func (b *builder) policyParts(kind string) (parts []*evidence.File) {
	for _, name := range []string{"/" + kind, "/" + kind + ".bin"} {
		if f := b.ev.File(name); f != nil {
			return []*evidence.File{f}
		}
	}
	seen := map[string]bool{}
	for _, d := range policyDirs {
		if f := b.ev.File(d.dir + "/" + d.part + "_" + kind); f != nil && !seen[d.part] {
			seen[d.part] = true
			parts = append(parts, f)
		}
	}
	return parts
}

// readPolicy finds the policy that init would load and reads it (system/core init/selinux.cpp). Recovery's is another, and lies where the
// running system does not look.
func (b *builder) readPolicy() {
	if len(b.ev.Roots()) == 0 || b.phone.API > 0 && b.phone.API < 21 {
		return // before Android 5 most domains were permissive in AOSP's own policy
	}
	p := b.splitPolicy()
	if f := b.ev.File("/sepolicy"); p == nil && f != nil {
		p = b.binaryPolicy(f, "it is the one policy of the phone")
	}
	if p == nil {
		if c := b.cover[evidence.Policy]; c.Listed == 0 {
			b.listed(evidence.Policy)
			b.failed(evidence.Policy, evidence.Gap{At: b.root("/system/etc/selinux"), Reason: evidence.Absent,
				Detail: "the SELinux policy (/sepolicy, or /vendor/etc/selinux/precompiled_sepolicy, or the CIL text of /system and /vendor) is not in what was given"})
		}
		return
	}
	p.labels = sepolicy.ParseFileContexts(b.contexts("file_contexts")...)
	b.anyApp(p)
	b.phone.Policy = p
}

// contexts returns the texts of policyParts, each under its path.
func (b *builder) contexts(kind string) (files []sepolicy.File) {
	for _, f := range b.policyParts(kind) {
		if data, ok := b.text(evidence.Policy, f); ok {
			files = append(files, sepolicy.File{Name: f.Path, Text: data})
		}
	}
	return files
}

func (b *builder) binaryPolicy(f *evidence.File, why string) *Policy {
	data, ok := b.text(evidence.Policy, f)
	if !ok {
		return nil
	}
	p, err := sepolicy.Read(data)
	if err != nil {
		b.spoiled(evidence.Policy, gapOf(f.Ref, err))
		return nil
	}
	return &Policy{Policy: p, At: f.Ref, Why: why}
}

// splitPolicy reads the policy of a phone with Treble: the one that its maker compiled, if that was made from the text of this very
// system, or else the text.
func (b *builder) splitPolicy() *Policy {
	compiled := b.ev.File("/odm/etc/selinux/precompiled_sepolicy")
	if compiled == nil {
		compiled = b.ev.File("/vendor/etc/selinux/precompiled_sepolicy")
	}
	text := b.ev.File("/system/etc/selinux/plat_sepolicy.cil")
	if compiled == nil && text == nil {
		return nil
	}
	known, fits := false, false
	if compiled != nil {
		known, fits = b.fits(compiled.Path)
	}
	if compiled != nil && fits {
		if p := b.binaryPolicy(compiled, "its maker compiled it from the text of this system: the hashes agree"); p != nil {
			return p
		}
	}
	if text != nil {
		if p := b.textPolicy(text); p != nil || compiled == nil {
			return p
		}
	}
	if compiled != nil && !known {
		return b.binaryPolicy(compiled, "its maker compiled it; the hashes of the text that it was made from are not there to compare")
	}
	if compiled != nil && !fits && text == nil {
		b.listed(evidence.Policy)
		b.failed(evidence.Policy, evidence.Gap{At: compiled.Ref, Reason: evidence.Absent,
			Detail: "the compiled policy was made for another system, and the text from which the phone would make its own is not in what was given"})
	}
	return nil
}

// fits compares the hashes of the system's text with those that the compiled policy was made from (FindPrecompiledSplitPolicy). The platform's
// must be there; those of product and system_ext count if the system has them.
func (b *builder) fits(compiled string) (known, fits bool) {
	same := func(system, made string) (both, equal bool) {
		x, y := b.ev.File(system), b.ev.File(compiled+"."+made)
		if x == nil || y == nil {
			return false, false
		}
		p, ok1 := b.text(evidence.Policy, x)
		q, ok2 := b.text(evidence.Policy, y)
		return ok1 && ok2, bytes.Equal(bytes.TrimSpace(p), bytes.TrimSpace(q))
	}
	for _, n := range []string{"plat_sepolicy_and_mapping", "plat_and_mapping"} { // since Android 10, and before
		system := "/system/etc/selinux/plat_sepolicy_and_mapping.sha256"
		if n == "plat_and_mapping" {
			system = "/system/etc/selinux/plat_and_mapping_sepolicy.cil.sha256"
		}
		if both, equal := same(system, n+".sha256"); both {
			known, fits = true, equal
			break
		}
	}
	for _, part := range []string{"system_ext", "product"} {
		system := "/" + part + "/etc/selinux/" + part + "_sepolicy_and_mapping.sha256"
		if b.ev.File(system) == nil {
			continue
		}
		if both, equal := same(system, part+"_sepolicy_and_mapping.sha256"); both {
			fits = fits && equal
		} else {
			known = false
		}
	}
	return known, known && fits
}

// maxPolicyText bounds the CIL of all files; a phone has some 4 MiB.
const maxPolicyText = 64 << 20

// textPolicy links the text of the partitions, as init has secilc do.
func (b *builder) textPolicy(platform *evidence.File) *Policy {
	version := "" // of the platform that the vendor's part was written for
	if f := b.ev.File("/vendor/etc/selinux/plat_sepolicy_vers.txt"); f != nil {
		if data, ok := b.text(evidence.Policy, f); ok {
			version = strings.TrimSpace(string(data))
		}
	}
	names := []string{platform.Path}
	for _, dir := range []string{"/system", "/system_ext", "/product"} {
		if part := path.Base(dir); part != "system" {
			names = append(names, dir+"/etc/selinux/"+part+"_sepolicy.cil")
		}
		if version != "" && !strings.ContainsAny(version, "/\x00") {
			names = append(names, dir+"/etc/selinux/mapping/"+version+".cil", dir+"/etc/selinux/mapping/"+version+".compat.cil")
		}
	}
	names = append(names, "/vendor/etc/selinux/plat_pub_versioned.cil", "/vendor/etc/selinux/vendor_sepolicy.cil", "/vendor/etc/selinux/nonplat_sepolicy.cil",
		"/odm/etc/selinux/odm_sepolicy.cil")
	var files []sepolicy.File
	total := 0
	for _, n := range names {
		f := b.ev.File(n)
		if f == nil {
			continue
		}
		data, ok := b.text(evidence.Policy, f)
		if total += len(data); !ok || total > maxPolicyText {
			b.spoiled(evidence.Policy, evidence.Gap{At: f.Ref, Reason: evidence.TooLarge, Detail: "the text of the policy is too large"})
			return nil
		}
		files = append(files, sepolicy.File{Name: n, Text: data})
	}
	p, err := sepolicy.ReadCIL(files...)
	if err != nil {
		at := platform.Ref
		if n, _, ok := strings.Cut(err.Error(), ": "); ok && b.ev.File(n) != nil {
			at = b.ev.File(n).Ref
		}
		b.spoiled(evidence.Policy, gapOf(at, err))
		return nil
	}
	for _, u := range p.Unread {
		b.gap(evidence.Policy, evidence.Gap{At: lineRef(b.ev.File(u.File).Ref, u.Line), Reason: evidence.Unsupported, Detail: "CIL that this version does not read: " + u.Statement})
	}
	return &Policy{Policy: p, At: platform.Ref, Why: "the phone compiles it at boot from this text and that of the other partitions"}
}

// anyApp finds the domains of apps that anybody could have written.
func (b *builder) anyApp(p *Policy) {
	names := knowledge.AppDomains()
	levels := map[string]sepolicy.Level{} // by domain
	for _, f := range b.policyParts("seapp_contexts") {
		data, ok := b.text(evidence.Policy, f)
		if !ok {
			continue
		}
		for _, r := range prop.ParseSeappContexts(data).Rules {
			if r.Neverallow || r.Domain == "" {
				continue
			}
			l := sepolicy.Above
			if r.LevelFrom == "" || r.LevelFrom == "none" {
				l = sepolicy.Same
			}
			if old, ok := levels[r.Domain]; !ok || l < old {
				levels[r.Domain] = l
			}
			if r.User == "_app" && r.Seinfo == "" && r.Name == "" && r.Path == "" && r.IsPrivApp != "true" && r.FromRunAs != "true" && r.IsSDKSandboxNext == "" {
				names = append(names, r.Domain)
			}
		}
	}
	p.levels = map[sepolicy.Type]sepolicy.Level{}
	for _, n := range names {
		t, ok := p.Type(n)
		if !ok || p.IsAttribute(t) {
			continue
		}
		l, ok := levels[n]
		if !ok && b.phone.API >= 23 { // since when AOSP's seapp_contexts give all of them categories
			l = sepolicy.Above
		}
		if _, ok := p.levels[t]; !ok {
			p.AnyApp = append(p.AnyApp, t)
		}
		p.levels[t] = l
	}
	slices.Sort(p.AnyApp)
}

// access returns what the policy lets an app do: what rules allow and constraints do not deny. A process that goes over to another domain
// takes its level along. The target is taken for one without categories, as all that is not an app's is.
func (p *Policy) access(app, t sepolicy.Type, c sepolicy.Class) sepolicy.Perms {
	if slices.Contains(p.Permissive(), app) {
		return ^sepolicy.Perms(0)
	}
	allowed := p.Access(sepolicy.Allow, app, t, c)
	if allowed == 0 {
		return 0
	}
	over := sepolicy.Perms(0)
	if p.ClassName(c) == "process" {
		over = p.Perm(c, "transition") | p.Perm(c, "dyntransition")
	}
	return allowed &^ (p.Denied(app, t, c, p.levels[app])&^over | p.Denied(app, t, c, sepolicy.Same))
}

// AnyAppMay returns the first of the domains of AnyApp that SELinux does not keep from doing perm to a target of a class, by their names, or
// "". Owners and modes are not asked.
func (p *Policy) AnyAppMay(target, class, perm string) string {
	t, ok := p.Type(target)
	c, ok2 := p.Class(class)
	if !ok || !ok2 {
		return ""
	}
	for _, app := range p.AnyApp {
		if p.access(app, t, c)&p.Perm(c, perm) != 0 {
			return p.Name(app)
		}
	}
	return ""
}

// LabelOf returns the SELinux type of a path of the phone: what its image says, or else what the phone's file_contexts give it; "" if
// neither says. typ holds the type bits of a path that need not be in the evidence, such as a device's; known is false if they are
// not known.
func (p *Phone) LabelOf(name string, typ fs.FileMode, known bool) string {
	if f := p.Evidence.File(name); f != nil {
		if f.Label != "" {
			return sepolicy.TypeOf(f.Label)
		}
		name = f.Path
	}
	if p.Policy == nil {
		return ""
	}
	s := p.Policy.labels.Lookup(name, typ, known)
	if s == nil {
		return ""
	}
	return sepolicy.TypeOf(s.Context)
}

// DomainOf returns the SELinux domain that a service of init runs in: its seclabel's, or that which the policy has init go over to
// when it starts a program of that label (ComputeContextFromExecutable of init/service.cpp); "" if it cannot be told.
func (p *Phone) DomainOf(s *Service) string {
	if s.Label != "" {
		return sepolicy.TypeOf(s.Label)
	}
	if p.Policy == nil || len(s.Args) == 0 {
		return ""
	}
	init, ok1 := p.Policy.Type("init")
	exec, ok2 := p.Policy.Type(p.LabelOf(s.Args[0], 0, true))
	process, ok3 := p.Policy.Class("process")
	if !ok1 || !ok2 || !ok3 {
		return ""
	}
	t, ok := p.Policy.Transition(init, exec, process, "")
	if !ok {
		return ""
	}
	return p.Policy.Name(t)
}

// maxPowers bounds what is told of one rule; more than a dozen nobody reads.
const maxPowers = 1000

// A Power is what the policy lets a domain do to what has a type.
type Power struct {
	Domain, Target, Class string
	Perms                 []string
}

// AppPowers returns what a rule of AOSP forbids and this policy, with its constraints, lets the domains of AnyApp do, by domain, class and
// target.
func (p *Policy) AppPowers(n knowledge.Neverallow) (all []Power) {
	in := func(t sepolicy.Type, names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			set, ok := p.Type(name)
			return ok && p.In(t, set)
		})
	}
	for _, app := range p.AnyApp {
		for _, class := range n.Classes {
			c, ok := p.Class(class)
			if !ok {
				continue
			}
			var perms sepolicy.Perms
			for _, name := range n.Perms {
				if perms |= p.Perm(c, name); name == "*" {
					perms = ^sepolicy.Perms(0)
				}
			}
			for t, given := range p.Targets(app, c) {
				if given&perms == 0 || !(slices.Contains(n.Targets, "*") || slices.Contains(n.Targets, "self") && t == app || in(t, n.Targets)) || in(t, n.Except) {
					continue
				}
				// What rules give to a permissive domain counts as to any other.
				if set := p.access(app, t, c) & given & perms; set != 0 {
					names := p.PermNames(c, set)
					slices.Sort(names)
					all = append(all, Power{p.Name(app), p.Name(t), class, names})
				}
				if len(all) >= maxPowers {
					return all
				}
			}
		}
	}
	return all
}

// PermissiveDomains returns the names of the domains whose programs SELinux never stops, sorted.
func (p *Policy) PermissiveDomains() (names []string) {
	for _, t := range p.Permissive() {
		names = append(names, p.Name(t))
	}
	slices.Sort(names)
	return names
}

// IsAnyApp reports whether apps that anybody could have written run in a domain.
func (p *Policy) IsAnyApp(domain string) bool {
	t, ok := p.Type(domain)
	return ok && slices.Contains(p.AnyApp, t)
}
