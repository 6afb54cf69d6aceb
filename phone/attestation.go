package phone

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"gifthorse/evidence"
	"gifthorse/format/attestation"
	"gifthorse/knowledge"
)

// An Attestation is a statement of a phone's secure hardware about how that phone was started and what it is, which was given along. What
// it proves rests on Faults, Root and Revoked. It never proves which phone it came from: nothing in it belongs to the files that are
// read beside it, and whoever has another phone can give that one's. Nor does it prove when it was made, or for whom: Challenge is what
// the asker sent, and only the asker knows whether it was fresh.
type Attestation struct {
	At evidence.Ref // the certificate of the attested key
	// Faults are why the chain does not verify as of Created, by the rules of Google's verifier (see package attestation).
	Faults []AttestationFault
	// Root is whose key the chain ends in: "hardware" (Google vouches for the hardware below it), "software" (its private half is
	// public), or "" if it is not published.
	Root            string
	RootName        string // of the published key, or else the certificate's own name for itself
	RootKeySHA256   string
	Revoked         string // why a certificate of the chain is on a list of revoked ones, or ""
	RevocationAsked bool   // there was a list to ask that holds anything
	Provisioned     string // how the key came into the phone: "factory", "remote", or ""
	ValidFrom       time.Time
	ValidTo         time.Time // zero if no certificate of the chain says
	Created         time.Time // by the phone's clock; zero if not stated

	// What is attested, by the certificate that counts. All below is empty if there is none.
	Version     int
	Level       string // where it was made: "software", "trusted environment", "StrongBox"
	KeyLevel    string // where the key is kept
	Challenge   []byte
	State       string // of verified boot: "verified", "self-signed", "unverified", "failed"; "" if not stated by hardware
	Locked      bool   // the bootloader, if State is stated
	BootKey     string // SHA-256 of the key that checked the system, in hex; "" or zeros if none did
	BootHash    string // digest of the vbmeta structures, in hex; "" before version 3
	System      string // that is known to be signed with BootKey, and not the maker's; or ""
	Android     string // "13" or "8.1.0"; "" if not stated
	Patch       string // of the system: "2023-05"
	VendorPatch string // "2023-05-05"
	BootPatch   string
	Identity    []Attested // what the phone is, as far as it was asked to say
}

// An AttestationFault is one reason why a chain does not verify.
type AttestationFault struct {
	Kind   string // as package attestation calls it: "a signature does not fit", "extended", "expired", ...
	Detail string
}

// An Attested is one of the names that a phone's hardware was given in the factory.
type Attested struct {
	What  string // "brand", "device", "name", "manufacturer", "model": as in ro.product.
	Value string
}

// Doubt returns why the attestation proves nothing, with a detail, or "": "broken" (a signature does not fit), "extended" (somebody
// added to it), "unjudged" (another fault, its detail), "forged" (it names hardware and its root is public, by name), "software" (it was
// not made by hardware), "unknown-root" (by name), "revoked" (which key and why).
func (a *Attestation) Doubt() (why, detail string) {
	has := func(f attestation.Fault) bool {
		return slices.ContainsFunc(a.Faults, func(x AttestationFault) bool { return x.Kind == f.String() })
	}
	hardware := a.Level != "" && a.Level != attestation.Software.String()
	switch {
	case has(attestation.BadSignature):
		return "broken", ""
	case has(attestation.Extended):
		return "extended", ""
	case len(a.Faults) > 0:
		return "unjudged", a.Faults[0].Detail
	case a.Root == "software" && hardware:
		return "forged", a.RootName
	case !hardware:
		return "software", ""
	case a.Root != "hardware":
		return "unknown-root", a.RootName
	case a.Revoked != "":
		return "revoked", a.Revoked
	}
	return "", ""
}

// Start returns what hardware says of how the phone was started, if that is not as its maker meant it, with a detail: "failed" and
// "unlocked" (the state), "own-key" (the key's hash) or "known-system" (its name) of a system that is not the maker's; or "".
func (a *Attestation) Start() (what, detail string) {
	switch {
	case a.State == "":
	case a.State == attestation.Failed.String():
		return "failed", a.State
	case !a.Locked || a.State == attestation.Unverified.String():
		return "unlocked", a.State
	case a.State == attestation.SelfSigned.String() && a.System != "":
		return "known-system", a.System
	case a.State == attestation.SelfSigned.String():
		return "own-key", a.BootKey
	}
	return "", ""
}

// maxChallenge is how much of a challenge is told: KeyMint takes no longer one (Tag.aidl, ATTESTATION_CHALLENGE).
const maxChallenge = 128

// Words tells in what the attestation's worth rests, and what it states.
func (a *Attestation) Words() []string {
	made := "at a time that it does not say"
	if !a.Created.IsZero() {
		made = "on " + a.Created.Format(time.DateOnly) + " by the phone's own clock"
	}
	first := fmt.Sprintf("an attestation of version %d, made in %s, %s, for the challenge %q; its chain ends in %s, key SHA-256 %s", a.Version, cmp.Or(a.Level, "a place it does not say"), made, a.Challenge[:min(len(a.Challenge), maxChallenge)], a.RootName, a.RootKeySHA256)
	switch a.Provisioned {
	case "factory":
		first += "; its key was put in by the factory"
	case "remote":
		first += "; its key was certified over the network, from " + a.ValidFrom.Format(time.DateOnly) + " to " + a.ValidTo.Format(time.DateOnly)
	}
	out := []string{first}
	for _, x := range a.Faults {
		out = append(out, x.Kind+": "+x.Detail)
	}
	var states []string
	add := func(what, value string) {
		if value != "" {
			states = append(states, what+" "+value)
		}
	}
	if a.State != "" {
		add("start", a.State)
		add("bootloader", map[bool]string{true: "locked", false: "unlocked"}[a.Locked])
		add("boot key", a.BootKey)
		add("boot hash", a.BootHash)
	}
	add("key kept in", a.KeyLevel)
	add("Android", a.Android)
	add("patch", a.Patch)
	add("vendor patch", a.VendorPatch)
	add("boot patch", a.BootPatch)
	for _, id := range a.Identity {
		add(id.What, id.Value)
	}
	if len(states) > 0 {
		out = append(out, "it states: "+strings.Join(states, ", "))
	}
	if why, _ := a.Doubt(); why == "" {
		asked := "none of its keys is on the list of withdrawn ones"
		if !a.RevocationAsked {
			asked = "whether one of its keys was withdrawn is not known, for no list of those was at hand"
		}
		out = append(out, "the chain verifies; "+asked+"; which phone it came from, and that it is fresh, it does not prove")
	}
	return out
}

// maxChains is how many chains are judged. A phone makes one for each of its two environments.
const maxChains = 100

// readAttestations judges the chains that were given along.
func (b *builder) readAttestations() {
	lists := b.statusLists()
	for i, x := range b.ev.Attestations() {
		b.listed(evidence.AttestedFacts)
		if i >= maxChains {
			b.failed(evidence.AttestedFacts, evidence.Gap{At: x.At, Reason: evidence.TooLarge, Detail: fmt.Sprintf("more than %d attestations; the first are judged", maxChains)})
			continue
		}
		a := &Attestation{At: x.At, Created: x.Chain.Created()}
		v := x.Chain.Verify(a.Created)
		for _, p := range v.Problems {
			a.Faults = append(a.Faults, AttestationFault{p.Fault.String(), p.Detail})
		}
		a.RootKeySHA256 = hex.EncodeToString(v.Root.KeySHA256[:])
		a.Root, a.RootName = knowledge.AttestationRoot(a.RootKeySHA256)
		a.RootName = cmp.Or(a.RootName, v.Root.Subject)
		a.Provisioned, a.ValidFrom, a.ValidTo = v.Provisioned, v.From, v.To
		a.RevocationAsked = knowledge.AttestationStatusKnown() || slices.ContainsFunc(lists, func(l attestation.StatusList) bool { return len(l) > 0 })
		for _, c := range x.Chain.Certificates {
			if status, reason, day, ok := knowledge.AttestationStatus(c.Serial); ok && a.Revoked == "" {
				a.Revoked = fmt.Sprintf("certificate %s of %s: %s", c.Serial, c.Subject, attestation.Status{Status: status, Reason: reason}) + ", by Google's list of " + day
			}
			for _, l := range lists {
				if s, ok := l.Of(c); ok && a.Revoked == "" {
					a.Revoked = fmt.Sprintf("certificate %s of %s: %s", c.Serial, c.Subject, s)
				}
			}
		}
		b.phone.Attestations = append(b.phone.Attestations, a)
		if v.Attested == nil || v.Attested.Description == nil {
			b.failed(evidence.AttestedFacts, evidence.Gap{At: x.At, Reason: evidence.Unsupported, Detail: unreadAttestation(v)})
			continue
		}
		b.read(evidence.AttestedFacts)
		a.take(v.Attested.Description)
		for _, l := range []attestation.List{v.Attested.Description.Software, v.Attested.Description.Hardware} {
			for _, err := range l.Problems {
				b.gap(evidence.AttestedFacts, gapOf(x.At, err))
			}
		}
	}
}

func unreadAttestation(v attestation.Verdict) string {
	if v.Attested == nil {
		return "no certificate below a root attests to a key"
	}
	return v.Attested.Problem.Error()
}

// statusLists reads Google's list of revoked keys, where it was given along.
func (b *builder) statusLists() (lists []attestation.StatusList) {
	for _, f := range b.ev.StatusLists() {
		data, err := f.Data()
		if err == nil {
			var l attestation.StatusList
			if l, err = attestation.ReadStatus(data); err == nil {
				lists = append(lists, l)
			}
		}
		if err != nil {
			b.gap(evidence.AttestedFacts, gapOf(f.Ref, err))
		}
	}
	return lists
}

// take fills in what a description states. What hardware vouches for goes before what software does.
func (a *Attestation) take(x *attestation.Description) {
	a.Version, a.Level, a.KeyLevel, a.Challenge = x.Version, x.Level.String(), x.KeyMintLevel.String(), x.Challenge
	if r := x.Hardware.RootOfTrust; r != nil {
		a.State, a.Locked = r.State.String(), r.DeviceLocked
		a.BootKey, a.BootHash = hex.EncodeToString(r.VerifiedBootKey), hex.EncodeToString(r.VerifiedBootHash)
		a.System = knowledge.AttestedSystem(a.BootKey)
	}
	text := func(tag int) string { return cmp.Or(x.Hardware.Text(tag), x.Software.Text(tag)) }
	a.Android = release(text(attestation.TagOSVersion))
	a.Patch, a.VendorPatch, a.BootPatch = day(text(attestation.TagOSPatch)), day(text(attestation.TagVendorPatch)), day(text(attestation.TagBootPatch))
	for _, id := range []struct {
		what string
		tag  int
	}{{"brand", attestation.TagBrand}, {"device", attestation.TagDevice}, {"name", attestation.TagProduct}, {"manufacturer", attestation.TagManufacturer}, {"model", attestation.TagModel}} {
		if v := x.Hardware.Text(id.tag); v != "" {
			a.Identity = append(a.Identity, Attested{id.what, v})
		}
	}
}

// release writes a version of Android as ro.build.version.release does: 80100 is 8.1.0, 130000 is 13 (KeyMint's Tag.aidl, OS_VERSION).
func release(n string) string {
	if len(n) < 5 || len(n) > 6 || strings.Trim(n, "0123456789") != "" {
		return ""
	}
	cut := len(n) - 4
	parts := []string{n[:cut], strings.TrimPrefix(n[cut:cut+2], "0"), strings.TrimPrefix(n[cut+2:], "0")}
	if parts[1] == "0" && parts[2] == "0" {
		return parts[0]
	}
	return strings.Join(parts, ".")
}

// day writes a patch level, 202305 or 20230505, with hyphens.
func day(n string) string {
	if strings.Trim(n, "0123456789") != "" || len(n) != 6 && len(n) != 8 {
		return ""
	}
	if len(n) == 6 {
		return n[:4] + "-" + n[4:]
	}
	return n[:4] + "-" + n[4:6] + "-" + n[6:]
}

// Contradicts returns what the attestation says of the phone and the phone's properties say otherwise, as pairs of attested and stated
// values with the property's name. Case does not count. What is not stated on either side contradicts nothing.
func (p *Phone) Contradicts(a *Attestation) (list []Contradiction) {
	for _, id := range a.Identity {
		// What a phone was told to attest may differ from what it calls itself: makers say so in a property of its own (frameworks/base,
		// GenerateKeySpec of AndroidKeyStoreSpi: ro.product.*_for_attestation).
		if q, same := p.states(id.Value, "ro.product."+id.What+"_for_attestation", "ro.product."+id.What, "ro.product.product."+id.What, "ro.product.odm."+id.What,
			"ro.product.vendor."+id.What, "ro.product.system_ext."+id.What, "ro.product.system."+id.What, "ro.vendor.product."+id.What); q != nil && !same {
			list = append(list, Contradiction{id.What, id.Value, q})
		}
	}
	if q, same := p.states(a.Android, "ro.build.version.release", "ro.system.build.version.release"); a.Android != "" && q != nil && !same {
		list = append(list, Contradiction{"version", a.Android, q})
	}
	if q, _ := p.states(a.Patch, "ro.build.version.security_patch"); a.Patch != "" && q != nil && !strings.HasPrefix(q.Value, a.Patch) && !strings.HasPrefix(a.Patch, q.Value) {
		list = append(list, Contradiction{"patch", a.Patch, q})
	}
	return list
}

// A Contradiction is a fact that a phone's hardware and its files state differently.
type Contradiction struct {
	What     string // as in [Attested], or "version", "patch"
	Attested string
	Stated   *Property
}

// states returns the first of the properties that are set, and whether any of them has the value.
func (p *Phone) states(value string, names ...string) (first *Property, same bool) {
	for _, n := range names {
		i := slices.IndexFunc(p.Properties, func(q Property) bool { return q.Name == n && q.Value != "" })
		if i < 0 {
			continue
		}
		if first == nil {
			first = &p.Properties[i]
		}
		stated := p.Properties[i].Value
		same = same || strings.EqualFold(stated, value) || shortest(stated) == shortest(value)
	}
	return first, same
}

// shortest takes off the zeros at the end of a version: 8.1 is 8.1.0.
func shortest(v string) string {
	for strings.HasSuffix(v, ".0") {
		v = strings.TrimSuffix(v, ".0")
	}
	return v
}

// BootedOther reports whether the attested phone started other software than the images given along are: both digests of the vbmeta
// structures are there and differ. known is false if they cannot be compared.
func (p *Phone) BootedOther(a *Attestation) (other, known bool) {
	d := p.VerifiedBoot.Digest
	if d == "" || len(a.BootHash) != len(d) || strings.Trim(a.BootHash, "0") == "" {
		return false, false
	}
	return a.BootHash != d, true
}
