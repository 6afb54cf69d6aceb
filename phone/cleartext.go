package phone

import (
	"slices"
	"strconv"

	"gifthorse/evidence"
	"gifthorse/format/apk"
)

// readCleartext joins what manifest and network security configuration say (NetworkSecurityConfig.java,
// XmlConfigSource.java, ManifestConfigSource.java of frameworks/base). api 0 is a new platform.
func readCleartext(p *Package, said *bool, config *apk.Node, res *apk.Resources, at evidence.Ref, api int) Cleartext {
	c := Cleartext{At: p.Manifest}
	byTarget := "default of target SDK " + strconv.Itoa(p.TargetSDK)
	before := func(level int) bool { return api != 0 && api < level }

	c.Permitted, c.Why = before(targetP) || p.TargetSDK < targetP, byTarget
	// The attribute came with Android 6, the configuration with Android 7.
	if said != nil && !before(23) {
		c.Permitted, c.Why = *said, "usesCleartextTraffic"
	}
	if before(targetN) {
		c.UserCAs, c.UserCAsWhy = true, "before Android 7 every app trusts authorities that the owner added"
		return c
	}
	if p.TargetSDK < targetN && !(p.Privileged && !before(targetP)) {
		c.UserCAs, c.UserCAsWhy = true, byTarget
	}
	if config == nil || config.Name != "network-security-config" {
		return c
	}
	c.At = at
	n := netConfig{res: res, c: &c}
	// With a configuration the attribute does not count.
	c.Permitted, c.Why = before(targetP) || p.TargetSDK < targetP, byTarget
	for _, k := range config.Children {
		if k.Name == "base-config" {
			if v, ok := n.boolean(k, "cleartextTrafficPermitted"); ok {
				c.Permitted, c.Why = v, "network security configuration"
			}
			if users, ok := n.users(k); ok {
				c.UserCAs, c.UserCAsWhy = users, ""
				if users {
					c.UserCAsWhy = "base-config of the network security configuration"
				}
			}
		}
	}
	for _, k := range config.Children {
		switch {
		case k.Name == "domain-config":
			n.domain(k, c.Permitted, 0)
		case k.Name == "debug-overrides" && p.Debuggable:
			if users, _ := n.users(k); users {
				c.UserCAs, c.UserCAsWhy = true, "debug-overrides of the network security configuration, and the app is debuggable"
			}
		}
	}
	slices.Sort(c.Domains)
	c.Domains = slices.Compact(c.Domains)
	return c
}

type netConfig struct {
	res *apk.Resources
	c   *Cleartext
}

// Attributes of this file have no namespace.
func (n netConfig) boolean(k *apk.Node, name string) (value, ok bool) {
	a, ok := k.Attr("", name)
	return n.res.Of(a).Bool(false), ok
}

// users reports whether trust anchors are given, and the owner's are among them.
func (n netConfig) users(k *apk.Node) (yes, given bool) {
	for _, t := range k.Children {
		if t.Name != "trust-anchors" {
			continue
		}
		given = true
		for _, s := range t.Children {
			if a, ok := s.Attr("", "src"); ok && s.Name == "certificates" && n.res.Resolve(a) == "user" {
				yes = true
			}
		}
	}
	return yes, given
}

// domain reads a domain-config. They nest; XmlConfigSource recurses without a limit, here a manifest's
// depth of a hundred is more than any app has.
func (n netConfig) domain(k *apk.Node, permitted bool, depth int) {
	if depth > 100 {
		return
	}
	if v, ok := n.boolean(k, "cleartextTrafficPermitted"); ok {
		permitted = v
	}
	if users, _ := n.users(k); users && !n.c.UserCAs {
		n.c.UserCAs, n.c.UserCAsWhy = true, "domain-config of the network security configuration"
	}
	for _, d := range k.Children {
		switch d.Name {
		case "domain":
			if permitted && !n.c.Permitted && d.Text != "" {
				name := d.Text
				if sub, _ := n.boolean(d, "includeSubdomains"); sub {
					name = "*." + name
				}
				n.c.Domains = append(n.c.Domains, name)
			}
		case "pin-set":
			n.c.Pins = true
		case "domain-config":
			n.domain(d, permitted, depth+1)
		}
	}
}
