package prop

import (
	"strconv"
	"strings"

	"gifthorse/internal/cursor"
)

// Sysconfig is a file of etc/permissions, etc/sysconfig or etc/default-permissions.
type Sysconfig struct {
	Root string // "permissions", "config" or "exceptions"

	GlobalGids          []Named // <group>: groups of every app
	Permissions         []GidMapping
	AssignPermissions   []AssignPermission
	SplitPermissions    []SplitPermission
	Libraries           []Library
	Features            []Feature
	UnavailableFeatures []Named

	PrivappPermissions      []PrivappPermissions
	OEMPermissions          []PrivappPermissions // <oem-permissions>
	SignaturePermissions    []PrivappPermissions // <signature-permissions>, Android 15
	DefaultPermissionGrants []DefaultGrant       // <exception> of default-permissions

	// Lists of package names.
	AllowInPowerSave            []Named // run freely while the phone saves power
	AllowInPowerSaveExceptIdle  []Named
	AllowInDataUsageSave        []Named
	AllowUnthrottledLocation    []Named
	AllowIgnoreLocationSettings []Named // may locate while location is off; Android 12 may add a tag list, not read
	AllowADASLocation           []Named
	AppLinks                    []Named // open web links of their hosts unasked
	SystemUserWhitelist         []Named // <system-user-whitelisted-app>
	SystemUserBlacklist         []Named // <system-user-blacklisted-app>
	HiddenAPIPackages           []Named // may use hidden interfaces
	BugreportPackages           []Named
	AppDataIsolationPackages    []Named
	RollbackPackages            []Named
	StagedInstallers            []Named
	OverlayConfigSignature      []Named
	PreventDisable              []Named // the owner cannot switch these off
	BackgroundExempt            []Named // <bg-restriction-exemption>, Android 12
	CameraPrivacy               []Named // use the camera while its privacy switch is on (Android 15)
	TrustedPackages             []Named // <enhanced-confirmation-trusted-*>, Android 15

	BackupTransports   []Named // "package/class"
	ImplicitBroadcasts []Named // actions
	InstallInUserType  []InstallInUserType
	ComponentOverrides []ComponentOverride
	Associations       []Association  // <allow-association>
	UpdateOwners       []UpdateOwner  // Android 14
	VRComponents       []Named        // "package/class"
	CarrierApps        []Named        // disabled until used
	Other              map[string]int // elements that are not read above, by name, or by path below a read one

	Problems []Problem
}

// A Named is a name and where it stands.
type Named struct {
	Name string
	Line int
}

// A GidMapping gives the holders of a permission groups of the kernel.
type GidMapping struct {
	Name string
	Gids []string
	Line int
}

// An AssignPermission gives a permission to a user of the system.
type AssignPermission struct {
	Name, UID string
	Line      int
}

// A SplitPermission gives the holders of one permission others, if they target an older API level.
type SplitPermission struct {
	Name      string
	New       []string
	TargetSDK int // 0 if not given: all
	Line      int
}

// A Library is a shared Java library.
type Library struct {
	Name, File string
	Line       int
}

// A Feature is something the phone says it has.
type Feature struct {
	Name    string
	Version int
	Line    int
}

// PrivappPermissions are the privileged permissions a package of a priv-app folder gets, and does not get.
type PrivappPermissions struct {
	Package         string
	Granted, Denied []string
	Line            int
}

// A DefaultGrant is a package that gets permissions without asking the owner.
type DefaultGrant struct {
	Package     string
	CertSHA256  string // as written, "" if any signer will do
	Permissions []DefaultPermission
	Line        int
}

// A DefaultPermission is a permission granted by default. The owner cannot take back a Fixed one.
type DefaultPermission struct {
	Name             string
	Fixed, Whitelist bool
}

// An InstallInUserType says in which types of user a package of the system is installed.
type InstallInUserType struct {
	Package           string
	Install, DoNotAdd []string
	Line              int
}

// A ComponentOverride switches a component of a package on or off against its manifest.
type ComponentOverride struct {
	Package, Class string
	Enabled        bool
	Line           int
}

// An Association lets Allowed be used by Target's processes where associations are restricted.
type Association struct {
	Target, Allowed string
	Line            int
}

// An UpdateOwner is the only installer that may update a package unasked.
type UpdateOwner struct {
	Package, Installer string
	Line               int
}

// ParseSysconfig reads a file of etc/permissions or etc/sysconfig (SystemConfig.java) or of etc/default-permissions
// (DefaultPermissionGrantPolicy.java). The result is never nil: with an error it holds what stands before it. Which
// elements the phone heeds depends on the partition and folder of the file (SystemConfig's permission flags), which
// are not known here, nor the conditions some set (a feature's notLowRam, a library's min-device-sdk).
func ParseSysconfig(b []byte) (*Sysconfig, error) {
	s := &Sysconfig{Other: map[string]int{}}
	var probs problems
	root, err := parseXML(b, &probs)
	s.Root = root.name
	switch root.name {
	case "permissions", "config", "exceptions", "":
	default:
		if err == nil {
			err = cursor.Errorf(0, "root element <%s> is not permissions, config or exceptions", clip(root.name))
		}
	}
	for i := range root.children {
		s.element(&root.children[i], &probs)
	}
	s.Problems = probs
	return s, err
}

// list returns the list into which an element with one name goes, and that name's attribute.
func (s *Sysconfig) list(element string) (*[]Named, string) {
	switch element {
	case "unavailable-feature":
		return &s.UnavailableFeatures, "name"
	case "allow-in-power-save":
		return &s.AllowInPowerSave, "package"
	case "allow-in-power-save-except-idle":
		return &s.AllowInPowerSaveExceptIdle, "package"
	case "allow-in-data-usage-save":
		return &s.AllowInDataUsageSave, "package"
	case "allow-unthrottled-location":
		return &s.AllowUnthrottledLocation, "package"
	case "allow-ignore-location-settings":
		return &s.AllowIgnoreLocationSettings, "package"
	case "allow-adas-location-settings":
		return &s.AllowADASLocation, "package"
	case "app-link":
		return &s.AppLinks, "package"
	case "system-user-whitelisted-app":
		return &s.SystemUserWhitelist, "package"
	case "system-user-blacklisted-app":
		return &s.SystemUserBlacklist, "package"
	case "hidden-api-whitelisted-app":
		return &s.HiddenAPIPackages, "package"
	case "bugreport-whitelisted":
		return &s.BugreportPackages, "package"
	case "app-data-isolation-whitelisted-app":
		return &s.AppDataIsolationPackages, "package"
	case "rollback-whitelisted-app":
		return &s.RollbackPackages, "package"
	case "whitelisted-staged-installer":
		return &s.StagedInstallers, "package"
	case "overlay-config-signature":
		return &s.OverlayConfigSignature, "package"
	case "prevent-disable":
		return &s.PreventDisable, "package"
	case "bg-restriction-exemption":
		return &s.BackgroundExempt, "package"
	case "camera-privacy-allowlisted-app":
		return &s.CameraPrivacy, "package"
	case "group":
		return &s.GlobalGids, "gid"
	case "enhanced-confirmation-trusted-package", "enhanced-confirmation-trusted-installer":
		return &s.TrustedPackages, "package"
	case "backup-transport-whitelisted-service":
		return &s.BackupTransports, "service"
	case "allow-implicit-broadcast":
		return &s.ImplicitBroadcasts, "action"
	case "disabled-until-used-preinstalled-carrier-app", "disabled-until-used-preinstalled-carrier-associated-app":
		return &s.CarrierApps, "package"
	}
	return nil, ""
}

func (s *Sysconfig) element(n *node, probs *problems) {
	// need returns an attribute without which the phone passes the element over.
	need := func(attr string) (string, bool) {
		v, ok := n.lookup(attr)
		if !ok {
			probs.add(n.line, "<%s> without %s: the phone ignores it", clip(n.name), attr)
		}
		return v, ok
	}
	// other counts the children that are none of the read ones.
	other := func(read ...string) {
	children:
		for _, c := range n.children {
			for _, r := range read {
				if c.name == r {
					continue children
				}
			}
			s.Other[n.name+"/"+c.name]++
		}
	}
	// names returns the attribute of all children of a name.
	names := func(child, attr string) (out []string) {
		for i := range n.children {
			if c := &n.children[i]; c.name == child {
				if v, ok := c.lookup(attr); ok {
					out = append(out, v)
				} else {
					probs.add(c.line, "<%s> without %s: the phone ignores it", child, attr)
				}
			}
		}
		return out
	}
	switch n.name {
	case "permission":
		if name, ok := need("name"); ok {
			s.Permissions = append(s.Permissions, GidMapping{name, names("group", "gid"), n.line})
			other("group")
		}
	case "assign-permission":
		name, ok1 := need("name")
		uid, ok2 := need("uid")
		if ok1 && ok2 {
			s.AssignPermissions = append(s.AssignPermissions, AssignPermission{name, uid, n.line})
		}
	case "split-permission":
		if name, ok := need("name"); ok {
			sdk, _ := strconv.Atoi(n.attr("targetSdk"))
			s.SplitPermissions = append(s.SplitPermissions,
				SplitPermission{name, names("new-permission", "name"), sdk, n.line})
			other("new-permission")
		}
	case "library", "updatable-library", "apex-library":
		name, ok1 := need("name")
		file, ok2 := need("file")
		if ok1 && ok2 {
			s.Libraries = append(s.Libraries, Library{name, file, n.line})
		}
		other()
	case "feature":
		if name, ok := need("name"); ok {
			version, _ := strconv.Atoi(n.attr("version"))
			s.Features = append(s.Features, Feature{name, version, n.line})
		}
		other()
	case "privapp-permissions", "oem-permissions", "signature-permissions":
		pkg, ok := need("package")
		if !ok {
			return
		}
		p := PrivappPermissions{pkg, names("permission", "name"), names("deny-permission", "name"), n.line}
		switch n.name {
		case "privapp-permissions":
			s.PrivappPermissions = append(s.PrivappPermissions, p)
		case "oem-permissions":
			s.OEMPermissions = append(s.OEMPermissions, p)
		default:
			s.SignaturePermissions = append(s.SignaturePermissions, p)
		}
		other("permission", "deny-permission")
	case "exception":
		pkg, ok := need("package")
		if !ok {
			return
		}
		g := DefaultGrant{Package: pkg, CertSHA256: n.attr("sha256-cert-digest"), Line: n.line}
		for i := range n.children {
			c := &n.children[i]
			name, ok := c.lookup("name")
			switch {
			case c.name != "permission":
			case !ok:
				probs.add(c.line, "<permission> without name: the phone ignores it")
			default:
				g.Permissions = append(g.Permissions, DefaultPermission{
					Name: name, Fixed: isTrue(c.attr("fixed")), Whitelist: isTrue(c.attr("whitelisted"))})
			}
		}
		s.DefaultPermissionGrants = append(s.DefaultPermissionGrants, g)
		other("permission")
	case "install-in-user-type":
		if pkg, ok := need("package"); ok {
			s.InstallInUserType = append(s.InstallInUserType, InstallInUserType{pkg,
				names("install-in", "user-type"), names("do-not-install-in", "user-type"), n.line})
			other("install-in", "do-not-install-in")
		}
	case "component-override":
		pkg, ok := need("package")
		if !ok {
			return
		}
		for i := range n.children {
			c := &n.children[i]
			if c.name != "component" {
				continue
			}
			class := c.attr("class")
			if strings.HasPrefix(class, ".") {
				class = pkg + class
			}
			s.ComponentOverrides = append(s.ComponentOverrides,
				ComponentOverride{pkg, class, isTrue(c.attr("enabled")), c.line})
		}
		other("component")
	case "allow-association":
		target, ok1 := need("target")
		allowed, ok2 := need("allowed")
		if ok1 && ok2 {
			s.Associations = append(s.Associations, Association{target, allowed, n.line})
		}
	case "update-ownership":
		pkg, ok1 := need("package")
		installer, ok2 := need("installer")
		if ok1 && ok2 {
			s.UpdateOwners = append(s.UpdateOwners, UpdateOwner{pkg, installer, n.line})
		}
	case "default-enabled-vr-app":
		pkg, ok1 := need("package")
		class, ok2 := need("class")
		if ok1 && ok2 {
			s.VRComponents = append(s.VRComponents, Named{pkg + "/" + class, n.line})
		}
	default:
		list, attr := s.list(n.name)
		if list == nil {
			s.Other[n.name]++
			return
		}
		if name, ok := need(attr); ok {
			*list = append(*list, Named{name, n.line})
		}
		other()
	}
}

// isTrue is XmlUtils.readBooleanAttribute of a value.
func isTrue(s string) bool { return strings.EqualFold(s, "true") || s == "1" }
