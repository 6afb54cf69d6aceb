package prop

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"gifthorse/internal/cursor"
)

// A MACSigner is a certificate of mac_permissions.xml and the seinfo, a word for seapp_contexts, that apps signed
// with it get.
type MACSigner struct {
	Certs    [][]byte   // DER, or a tag like "@PLATFORM" in a file from source; all must have signed
	SHA256   [][32]byte // of each of Certs
	Seinfo   string     // "" if only packages have one
	Packages []MACPackage
	Line     int
}

// A MACPackage is a package that gets another seinfo than its signer.
type MACPackage struct {
	Name, Seinfo string
	Line         int
}

// MACPermissions is a mac_permissions.xml.
type MACPermissions struct {
	Signers  []MACSigner
	Default  string // seinfo of everybody else, where the file says so (up to Android 6)
	Problems []Problem
}

// ParseMACPermissions reads a mac_permissions.xml (SELinuxMMAC.java). The result is never nil: with an error it
// holds what stands before it. The first signer that fits an app holds.
func ParseMACPermissions(b []byte) (*MACPermissions, error) {
	m := &MACPermissions{}
	var probs problems
	root, err := parseXML(b, &probs)
	if err == nil && root.name != "policy" {
		err = cursor.Errorf(0, "root element <%s> is not policy", clip(root.name))
	}
	for i := range root.children {
		switch n := &root.children[i]; n.name {
		case "signer":
			m.signer(n, &probs)
		case "default":
			for _, c := range n.children {
				if c.name == "seinfo" {
					m.Default = c.attr("value")
				}
			}
		default:
			probs.add(n.line, "<%s> in a policy: the phone ignores it", clip(n.name))
		}
	}
	m.Problems = probs
	return m, err
}

func (m *MACPermissions) signer(n *node, probs *problems) {
	s := MACSigner{Line: n.line}
	cert := func(signature string, line int) {
		der, err := hex.DecodeString(signature)
		if err != nil {
			if !strings.HasPrefix(signature, "@") {
				probs.add(line, "signature is not hexadecimal: the phone ignores the file from here")
			}
			der = []byte(signature)
		}
		s.Certs = append(s.Certs, der)
		s.SHA256 = append(s.SHA256, sha256.Sum256(der))
	}
	if v, ok := n.lookup("signature"); ok {
		cert(v, n.line)
	}
	for i := range n.children {
		switch c := &n.children[i]; c.name {
		case "cert":
			cert(c.attr("signature"), c.line)
		case "seinfo":
			s.Seinfo = c.attr("value")
		case "package":
			p := MACPackage{Name: c.attr("name"), Line: c.line}
			for _, e := range c.children {
				if e.name == "seinfo" {
					p.Seinfo = e.attr("value")
				}
			}
			s.Packages = append(s.Packages, p)
		case "allow-all", "allow-permission", "deny-permission": // of install-time MAC, never enforced by AOSP
		default:
			probs.add(c.line, "<%s> in a signer: the phone ignores it", clip(c.name))
		}
	}
	if len(s.Certs) == 0 {
		probs.add(n.line, "<signer> without a certificate: the phone refuses it")
	}
	m.Signers = append(m.Signers, s)
}

// A SeappRule is a line of seapp_contexts: an app that has all that is set in the first group runs in Domain and
// its files have Type. Of several that fit the most special holds (libselinux seapp_context_cmp).
type SeappRule struct {
	User, Seinfo, Name, Path string // a final '*' of User and Name matches any ending
	MinTargetSDK             int
	// "true", "false" or "" for either.
	IsSystemServer, IsEphemeralApp, IsPrivApp, IsOwner, FromRunAs  string
	IsAutoPlayApp, IsV2App, IsIsolatedComputeApp, IsSDKSandboxNext string // of some versions of Android only

	Domain, Type, Level string
	LevelFrom           string // "none", "app", "user", "all"
	Neverallow          bool   // an assertion for the build, not a rule
	Other               map[string]string
	Line                int
}

// SeappContexts is a seapp_contexts file.
type SeappContexts struct {
	Rules    []SeappRule
	Problems []Problem
}

// ParseSeappContexts reads a seapp_contexts file (libselinux, android/android_seapp.c selinux_android_seapp_context_reload,
// and check_seapp.c for what only the build reads).
func ParseSeappContexts(b []byte) *SeappContexts {
	s := &SeappContexts{}
	var probs problems
	line := 0
	for l := range strings.SplitSeq(string(b), "\n") {
		line++
		l = trimSpace(l)
		if l == "" || l[0] == '#' {
			continue
		}
		r := SeappRule{Line: line}
		if rest, ok := strings.CutPrefix(l, "neverallow"); ok && rest != "" && isSpace(rest[0]) {
			r.Neverallow, l = true, rest
		}
		for _, w := range strings.Fields(l) {
			key, value, ok := strings.Cut(w, "=")
			if !ok {
				probs.add(line, "no '=' in %q: the phone refuses the file", clip(w))
				continue
			}
			if !r.put(strings.ToLower(key), value) {
				probs.add(line, "%q is not known: the phone refuses the file", clip(w))
				if r.Other == nil {
					r.Other = map[string]string{}
				}
				r.Other[key] = value
			}
		}
		s.Rules = append(s.Rules, r)
	}
	s.Problems = probs
	return s
}

// put sets a field; the key is in lower case, because libselinux compares keys without regard to case.
func (r *SeappRule) put(key, value string) bool {
	switch key {
	case "mintargetsdkversion":
		n, err := strconv.Atoi(value)
		r.MinTargetSDK = n
		return err == nil
	case "levelfromuid": // up to Android 4.2: a switch for what levelFrom=app says now
		if value == "true" {
			r.LevelFrom = "app"
		}
		return true
	case "user":
		r.User = value
	case "seinfo":
		r.Seinfo = value
	case "name":
		r.Name = value
	case "path":
		r.Path = value
	case "issystemserver":
		r.IsSystemServer = value
	case "isephemeralapp":
		r.IsEphemeralApp = value
	case "isprivapp":
		r.IsPrivApp = value
	case "isowner":
		r.IsOwner = value
	case "fromrunas":
		r.FromRunAs = value
	case "isautoplayapp":
		r.IsAutoPlayApp = value
	case "isv2app":
		r.IsV2App = value
	case "isisolatedcomputeapp":
		r.IsIsolatedComputeApp = value
	case "issdksandboxnext":
		r.IsSDKSandboxNext = value
	case "domain":
		r.Domain = value
	case "type":
		r.Type = value
	case "level":
		r.Level = value
	case "levelfrom":
		r.LevelFrom = value
	default:
		return false
	}
	return true
}
