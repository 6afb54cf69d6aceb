package phone

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/prop"
	"gifthorse/knowledge"
)

const (
	frameworkName = "android" // package of framework-res.apk
	systemUID     = "android.uid.system"
)

// coreUIDs are the shared uids below the first app's. Their apps are part of the system for the policy of
// default grants (DefaultPermissionGrantPolicy.isSysComponentOrPersistentPlatformSignedPrivApp).
var coreUIDs = []string{systemUID, "android.uid.phone", "android.uid.bluetooth", "android.uid.nfc", "android.uid.log", "android.uid.shell",
	"android.uid.se", "android.uid.networkstack", "android.uid.uwb"}

// roleFlags give a signature permission to whoever has a role on the phone, which its configuration decides.
var roleFlags = []string{"installer", "verifier", "setup", "textClassifier", "wellbeing", "documenter", "configurator",
	"incidentReportApprover", "appPredictor", "module", "companion", "retailDemo", "recents", "role", "knownSigner"}

// Permission returns what is known of a permission, or nil: as this phone declares it, or, where
// framework-res.apk is missing, as AOSP's table does for the phone's API level. Then By is nil.
func (p *Phone) Permission(name string) *Permission {
	if !p.framework {
		// The framework is installed first, so no other package can declare what it declares.
		if l, ok := knowledge.Permission(name, p.API); ok {
			return &Permission{Name: name, Level: l}
		}
	}
	return p.permissions[name]
}

// Guard says what a permission is worth as a guard on this phone.
func (p *Phone) Guard(permission string) Guard {
	g := Guard{Permission: permission}
	if permission == "" {
		return g
	}
	if d := p.Permission(permission); d != nil {
		g.Level, g.Holds = d.Level, worth(d.Level)
		if d.By != nil {
			g.Why = "declared by " + d.By.Name
		} else {
			g.Why, g.Platform = fmt.Sprintf("AOSP's table for API %d", p.API), true
		}
		return g
	}
	levels := tableLevels(permission)
	if p.API == 0 && !p.framework && len(levels) > 0 {
		// The phone is not known. If it is worth the same on every one, that will do.
		g.Level, g.Holds, g.Platform = levels[0].level, worth(levels[0].level), true
		g.Why = "AOSP's table, at every API level that has it"
		for _, l := range levels {
			if worth(l.level) != g.Holds {
				g.Holds, g.Why = Unknown, "AOSP's table, whose API levels differ; that of the phone is not known"
			}
		}
		return g
	}
	switch {
	case p.unread != "" && len(levels) > 0:
		g.Holds = Unknown
		g.Why = fmt.Sprintf("declared by AOSP at API %d to %d, not at %d, nor by this phone, and %s", levels[0].api, levels[len(levels)-1].api, p.API, p.unread)
	case p.unread != "":
		g.Holds = Unknown
		g.Why = "declared neither on this phone nor by AOSP, and " + p.unread
	default:
		// Nobody holds it as the phone stands, but any app may declare it itself, as normal.
		g.Holds, g.Why = DoesNotHold, "nothing on this phone declares it, so any app may"
	}
	return g
}

type tableLevel struct {
	api   int
	level knowledge.Level
}

// tableLevels returns a permission's levels in AOSP's table.
func tableLevels(name string) (out []tableLevel) {
	const first, last = 16, 36 // the levels of the table
	for api := first; api <= last; api++ {
		if l, ok := knowledge.Permission(name, api); ok {
			out = append(out, tableLevel{api, l})
		}
	}
	return out
}

// worth is what a level keeps out. With the flag appop the owner decides, in the settings.
func worth(l knowledge.Level) Worth {
	switch {
	case l.WithConsent():
		return Consent
	case l.AnyApp():
		return DoesNotHold
	}
	return Holds
}

// Protected reports whether only the system may send an action, and who says so: packages of this phone, or
// AOSP's table where framework-res.apk is missing. No and Uncertain are the table's; packages that are
// missing may protect more.
func (p *Phone) Protected(action string) (protected knowledge.Answer, by string) {
	if d := p.protected[action]; d != nil {
		return knowledge.Yes, "declared by " + d.Name
	}
	if p.framework {
		return knowledge.No, ""
	}
	return knowledge.ProtectedBroadcast(action, p.API), fmt.Sprintf("AOSP's table for API %d", p.API)
}

// Package returns the package of that name that the phone would run: an update on /data before the one
// on a read-only partition. It is nil if there is none.
func (p *Phone) Package(name string) *Package {
	var best *Package
	for _, k := range p.byName[name] {
		if best == nil || best.Dormant && !k.Dormant || best.System && !k.System && !k.Dormant {
			best = k
		}
	}
	return best
}

// declare collects who declares what. Of several the first that the package manager meets counts, and only
// apps of the system protect broadcasts.
func (b *builder) declare() {
	p := b.phone
	p.byName, p.permissions, p.protected = map[string][]*Package{}, map[string]*Permission{}, map[string]*Package{}
	order := slices.Clone(b.manifests)
	slices.SortStableFunc(order, func(x, y *manifest) int { return cmp.Compare(scanRank(x.pkg), scanRank(y.pkg)) })
	for _, m := range order {
		k := m.pkg
		p.byName[k.Name] = append(p.byName[k.Name], k)
		if k.Dormant {
			continue
		}
		if k.Name == frameworkName {
			p.framework = true
		}
		for _, d := range k.Defines {
			if p.permissions[d.Name] == nil {
				p.permissions[d.Name] = d
			}
		}
		if k.System {
			for _, a := range m.protects {
				if p.protected[a] == nil {
					p.protected[a] = k
				}
			}
		}
		if len(k.Defines) > 0 {
			b.listed(evidence.Permissions)
			b.read(evidence.Permissions)
		}
	}
	var why []string
	if !p.framework {
		why = append(why, "framework-res.apk")
		if len(b.ev.Roots()) > 0 {
			const res = "/system/framework/framework-res.apk"
			b.listed(evidence.Permissions)
			b.failed(evidence.Permissions, evidence.Gap{At: b.root(res), Reason: evidence.Absent,
				Detail: fmt.Sprintf(res+" is not in what was given: AOSP's table for API %d stands in", p.API)})
		}
	}
	if n := b.cover[evidence.Manifests].Failed; n > 0 {
		why = append(why, fmt.Sprintf("%d of %d manifests", n, b.cover[evidence.Manifests].Listed))
	}
	if p.unread = strings.Join(why, " and "); p.unread != "" {
		p.unread += " could not be read"
	}
}

// scanRank is the order in which the package manager meets packages (PackageManagerService's constructor).
func scanRank(p *Package) int {
	at := ""
	if p.File != nil {
		at = p.File.Path
	}
	switch {
	case p.Name == frameworkName:
		return 0
	case !p.System:
		return 5
	case strings.HasPrefix(at, "/system/framework/"):
		return 1
	case strings.HasPrefix(at, "/system/priv-app/"):
		return 2
	case strings.HasPrefix(at, "/system/app/"):
		return 3
	}
	return 4
}

// settleGuards says what every guard in the manifests is worth, and which are unknown.
func (b *builder) settleGuards() {
	known := map[string]Guard{}
	for _, m := range b.manifests {
		for _, r := range m.guards {
			g, ok := known[r.permission]
			if !ok {
				g = b.phone.Guard(r.permission)
				known[r.permission] = g
				if g.Holds == Unknown {
					b.gap(evidence.Permissions, evidence.Gap{At: m.pkg.Manifest, Reason: evidence.Absent,
						Detail: "it guards with " + r.permission + ", " + g.Why})
				}
			}
			*r.to = g
		}
	}
}

// A sysconfig is what the files of etc/permissions, etc/sysconfig and etc/default-permissions say together.
type sysconfig struct {
	privileged map[string]map[string]bool // package, permission: granted to privileged apps; false: denied
	oem        map[string]map[string]bool
	defaults   map[string]map[string]bool
	libraries  []sharedLibrary
	overrides  map[string]bool // "package/class": enabled
	splits     []splitPermission
}

type sharedLibrary struct {
	name, file string
	at         evidence.Ref
}

// configDirs are the folders of a partition that hold permission files (SystemConfig.java).
var configDirs = []string{"permissions", "sysconfig", "default-permissions"}

func (b *builder) readSysconfig() {
	c := &b.sysconfig
	c.privileged, c.oem, c.defaults = map[string]map[string]bool{}, map[string]map[string]bool{}, map[string]map[string]bool{}
	c.overrides = map[string]bool{}
	c.splits = slices.Clone(splitPermissions)
	set := func(m map[string]map[string]bool, pkg, perm string, v bool) {
		if m[pkg] == nil {
			m[pkg] = map[string]bool{}
		}
		m[pkg][perm] = v
	}
	for _, f := range b.ev.Files() {
		dir := path.Dir(f.Path)
		if path.Ext(f.Path) != ".xml" || f.Link != "" || path.Base(path.Dir(dir)) != "etc" || !slices.Contains(configDirs, path.Base(dir)) {
			continue
		}
		data, ok := b.text(evidence.Permissions, f)
		if !ok {
			continue
		}
		x, err := prop.ParseSysconfig(data)
		if err != nil {
			b.spoiled(evidence.Permissions, gapOf(f.Ref, err))
		}
		for _, l := range x.Libraries {
			c.libraries = append(c.libraries, sharedLibrary{l.Name, l.File, lineRef(f.Ref, l.Line)})
		}
		for _, e := range x.SplitPermissions {
			c.splits = append(c.splits, splitPermission{e.Name, e.New, e.TargetSDK})
		}
		for _, e := range x.PrivappPermissions {
			for _, n := range e.Granted {
				set(c.privileged, e.Package, n, true)
			}
			for _, n := range e.Denied {
				set(c.privileged, e.Package, n, false)
			}
		}
		for _, e := range x.OEMPermissions {
			for _, n := range e.Granted {
				set(c.oem, e.Package, n, true)
			}
		}
		for _, e := range x.DefaultPermissionGrants {
			for _, n := range e.Permissions {
				set(c.defaults, e.Package, n.Name, true)
			}
		}
		for _, o := range x.ComponentOverrides {
			c.overrides[o.Package+"/"+className(o.Package, o.Class)] = o.Enabled
		}
	}
}

// applyOverrides switches components on or off that a permission file names.
func (b *builder) applyOverrides() {
	if len(b.sysconfig.overrides) == 0 {
		return
	}
	for _, m := range b.manifests {
		for _, c := range m.pkg.Components {
			if on, ok := b.sysconfig.overrides[m.pkg.Name+"/"+className(m.pkg.Name, c.Class())]; ok && m.pkg.System {
				c.Enabled = on
			}
		}
	}
}

// findPlatformSigner finds whose packages are the platform's.
func (b *builder) findPlatformSigner() {
	votes := map[string]int{}
	subjects := map[string]string{}
	total := 0
	ps := &b.phone.PlatformSigner
	for _, m := range b.manifests {
		k := m.pkg
		if len(k.Signature.Signers) == 0 || !k.System {
			continue
		}
		s := k.Signature.Signers[0]
		if k.Name == frameworkName {
			*ps = PlatformSigner{s.SHA256, s.Subject, path.Base(k.File.Path)}
			return
		}
		if k.SharedUID == systemUID {
			total++
			votes[s.SHA256]++
			subjects[s.SHA256] = s.Subject
		}
	}
	best := ""
	for _, s := range slices.Sorted(maps.Keys(votes)) {
		if votes[s] > votes[best] {
			best = s
		}
	}
	if best == "" {
		ps.Why = "neither framework-res.apk nor a signed package that shares the uid " + systemUID + " is here"
		return
	}
	*ps = PlatformSigner{best, subjects[best], fmt.Sprintf("framework-res.apk is missing; %d of %d packages that share the uid %s", votes[best], total, systemUID)}
}

func (p *Package) signedBy(sha256 string) bool {
	return sha256 != "" && slices.ContainsFunc(p.Signature.Signers, func(s Signer) bool { return s.SHA256 == sha256 })
}

func sameSigner(a, b *Package) bool {
	return slices.ContainsFunc(b.Signature.Signers, func(s Signer) bool { return a.signedBy(s.SHA256) })
}

// grant finds what every package would be given of what it asks for.
func (b *builder) grant() {
	enforced := false
	if v, _ := b.phone.Property("ro.control_privapp_permissions"); v == "enforce" {
		enforced = true
	}
	uids := map[string][]*Package{}
	for _, m := range b.manifests {
		k := m.pkg
		k.Platform = k.signedBy(b.phone.PlatformSigner.SHA256)
		k.Privileged = k.System && (m.privileged || k.Platform)
		for _, name := range k.Requested {
			k.Granted[name] = b.grantOne(m, name, enforced)
		}
		if k.SharedUID != "" && !k.Dormant {
			uids[k.SharedUID] = append(uids[k.SharedUID], k)
		}
	}
	// The packages of one uid have one set of permissions.
	for _, list := range uids {
		all := map[string]Grant{}
		for _, k := range list {
			for name, g := range k.Granted {
				if was, ok := all[name]; !ok || grantRank(g) < grantRank(was) {
					all[name] = g
				}
			}
		}
		for _, k := range list {
			for name, g := range all {
				if grantRank(g) < grantRank(GrantUnknown) {
					k.Granted[name] = g
				}
			}
		}
	}
}

// grantRank orders grants, the best first, so that the order of packages does not matter.
func grantRank(g Grant) int {
	return slices.Index([]Grant{GrantNormal, GrantSigner, GrantPrivileged, GrantPreset, GrantAsked, GrantUnknown, GrantNo}, g)
}

// grantOne follows PermissionManagerService (grantPermissions, shouldGrantPermissionBySignature) and
// DefaultPermissionGrantPolicy.
func (b *builder) grantOne(m *manifest, name string, enforced bool) Grant {
	k, api := m.pkg, b.phone.API
	d := b.phone.Permission(name)
	if d == nil {
		if b.phone.unread != "" {
			return GrantUnknown
		}
		return GrantNo
	}
	l := d.Level
	switch l.Base {
	case "normal":
		return GrantNormal
	case "dangerous":
		switch {
		case b.sysconfig.defaults[k.Name][name], slices.Contains(coreUIDs, k.SharedUID),
			k.Privileged && k.Persistent && k.Platform,
			k.System && (api > 0 && api < 23 || k.TargetSDK < 23): // given when the phone is set up
			return GrantPreset
		}
		return GrantAsked
	}
	platform := d.By == nil || d.By.Name == frameworkName
	switch {
	case d.By != nil && (d.By == k || sameSigner(k, d.By)), k.Platform: // the platform's own apps get every signature permission
		return GrantSigner
	case l.Has("privileged") && k.System && m.privileged:
		listed, said := b.sysconfig.privileged[k.Name][name]
		vendor := strings.HasPrefix(k.File.Path, "/vendor/") || strings.HasPrefix(k.File.Path, "/odm/")
		switch {
		case said && !listed, platform && api >= 26 && enforced && !listed,
			api >= 28 && vendor && !l.Has("vendorPrivileged"):
			return GrantNo
		}
		return GrantPrivileged
	case l.Has("oem") && k.System && m.privileged && b.sysconfig.oem[k.Name][name]:
		return GrantPrivileged
	case l.Has("preinstalled") && k.System:
		return GrantPreset
	case l.Has("pre23") && k.TargetSDK < 23:
		return GrantNormal
	case k.System && slices.ContainsFunc(roleFlags, l.Has), platform && b.phone.PlatformSigner.SHA256 == "":
		return GrantUnknown
	case l.Has("appop"):
		return GrantAsked
	}
	return GrantNo
}

// hexOf is how hashes are written.
func hexOf(sum [32]byte) string { return hex.EncodeToString(sum[:]) }
