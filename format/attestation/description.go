package attestation

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gifthorse/internal/cursor"
)

// A Level says where something was made or kept.
type Level uint8

// The levels of KeyMint's SecurityLevel.aidl.
const (
	Software           Level = 0
	TrustedEnvironment Level = 1
	StrongBox          Level = 2
)

func (l Level) String() string {
	switch l {
	case Software:
		return "software"
	case TrustedEnvironment:
		return "trusted environment"
	case StrongBox:
		return "StrongBox"
	}
	return "level " + strconv.Itoa(int(l))
}

// A Description is what the attestation extension says of a key (KeyDescription).
type Description struct {
	Version        int // of the attestation: 1, 2, 3, 4, 100, 200, 300, 400, ...; devices write others too, and it decides nothing here
	Level          Level
	KeyMintVersion int
	KeyMintLevel   Level
	Challenge      []byte
	UniqueID       []byte
	Software       List // what the system vouches for
	Hardware       List // what the environment of Level vouches for
}

// A List is an AuthorizationList: tags with values, in the order of the certificate.
type List struct {
	Entries     []Entry
	RootOfTrust *RootOfTrust // nil if there is none, or none that could be read
	Application *Application // the same
	Disordered  bool         // the tags do not ascend, or one stands twice: Google's verifier notes it
	Problems    []error      // values that could not be read, each a *FormatError
}

// An Entry is one tag of a list.
type Entry struct {
	Tag   int
	Name  string // as in KeyMint's Tag.aidl, in this style: "osVersion"; "" if the tag is not known
	Text  string // the value: a decimal number, several with a blank between, text, or hex; "true" for a tag without a value
	Value []byte // the contents of the value's DER
}

// Tags that are asked for by name.
const (
	TagPurpose      = 1
	TagCreated      = 701
	TagOSVersion    = 705
	TagOSPatch      = 706
	TagBrand        = 710
	TagDevice       = 711
	TagProduct      = 712
	TagManufacturer = 716
	TagModel        = 717
	TagVendorPatch  = 718
	TagBootPatch    = 719

	tagRootOfTrust = 704
	tagApplication = 709
)

type form uint8

const (
	number form = iota
	numbers
	flag // NULL
	text
	binary
	special
)

// tags are KeyMint's tags that an attestation can have. Sources: hardware/interfaces/security/keymint/aidl Tag.aidl,
// hardware/libhardware keymaster_defs.h for the older ones; 11 from chains of attestation version 500.
var tags = map[int]struct {
	name string
	form form
}{
	1: {"purpose", numbers}, 2: {"algorithm", number}, 3: {"keySize", number}, 4: {"blockMode", numbers}, 5: {"digest", numbers},
	6: {"padding", numbers}, 7: {"callerNonce", flag}, 8: {"minMacLength", number}, 9: {"kdf", numbers}, 10: {"ecCurve", number},
	11: {"mlDsaVariant", number}, 200: {"rsaPublicExponent", number}, 203: {"rsaOaepMgfDigest", numbers},
	303: {"rollbackResistance", flag}, 305: {"earlyBootOnly", flag}, 400: {"activeDateTime", number},
	401: {"originationExpireDateTime", number}, 402: {"usageExpireDateTime", number}, 405: {"usageCountLimit", number},
	503: {"noAuthRequired", flag}, 504: {"userAuthType", number}, 505: {"authTimeout", number}, 506: {"allowWhileOnBody", flag},
	507: {"trustedUserPresenceRequired", flag}, 508: {"trustedConfirmationRequired", flag}, 509: {"unlockedDeviceRequired", flag},
	600: {"allApplications", flag}, 601: {"applicationId", binary}, TagCreated: {"creationDateTime", number}, 702: {"origin", number},
	703: {"rollbackResistant", flag}, tagRootOfTrust: {"rootOfTrust", special}, TagOSVersion: {"osVersion", number},
	TagOSPatch: {"osPatchLevel", number}, tagApplication: {"attestationApplicationId", special},
	TagBrand: {"attestationIdBrand", text}, TagDevice: {"attestationIdDevice", text}, TagProduct: {"attestationIdProduct", text},
	713: {"attestationIdSerial", text}, 714: {"attestationIdImei", text}, 715: {"attestationIdMeid", text},
	TagManufacturer: {"attestationIdManufacturer", text}, TagModel: {"attestationIdModel", text},
	TagVendorPatch: {"vendorPatchLevel", number}, TagBootPatch: {"bootPatchLevel", number}, 720: {"deviceUniqueAttestation", flag},
	721: {"identityCredentialKey", flag}, 723: {"attestationIdSecondImei", text}, 724: {"moduleHash", binary},
}

// Text returns the value of a tag as [Entry] has it, or "".
func (l *List) Text(tag int) string {
	for _, e := range l.Entries {
		if e.Tag == tag {
			return e.Text
		}
	}
	return ""
}

// A RootOfTrust is what the bootloader told the environment that attests.
type RootOfTrust struct {
	VerifiedBootKey  []byte // digest of the key that checked the system; zeros if none did
	DeviceLocked     bool
	State            BootState
	VerifiedBootHash []byte // digest of all vbmeta structures; nil before attestation version 3
}

// A BootState is the outcome of verified boot.
type BootState uint8

// The states, with the colours that Android's documentation gives them: green, yellow, orange, red.
const (
	Verified   BootState = 0
	SelfSigned BootState = 1
	Unverified BootState = 2
	Failed     BootState = 3
)

func (s BootState) String() string {
	switch s {
	case Verified:
		return "verified"
	case SelfSigned:
		return "self-signed"
	case Unverified:
		return "unverified"
	case Failed:
		return "failed"
	}
	return "state " + strconv.Itoa(int(s))
}

// An Application says which app asked for the key, as the system tells it (AttestationApplicationId).
type Application struct {
	Packages   []Package
	Signatures [][]byte // SHA-256 of the certificates that signed them
}

// A Package is one app under the uid that asked.
type Package struct {
	Name    string
	Version string // decimal
}

// describe reads a KeyDescription.
func describe(d *der) (*Description, error) {
	seq, err := d.want(tagSequence, "the attestation")
	if err != nil {
		return nil, err
	}
	x := &Description{}
	d = seq.inside()
	var e element
	take := func() bool { e, err = d.next(); return err == nil }
	for _, at := range []struct {
		what  string
		value *int
		level *Level
		bytes *[]byte
		list  *List
	}{
		{what: "the attestation's version", value: &x.Version}, {what: "the attestation's level", level: &x.Level},
		{what: "KeyMint's version", value: &x.KeyMintVersion}, {what: "KeyMint's level", level: &x.KeyMintLevel},
		{what: "the challenge", bytes: &x.Challenge}, {what: "the unique id", bytes: &x.UniqueID},
		{what: "the software's list", list: &x.Software}, {what: "the hardware's list", list: &x.Hardware},
	} {
		if !take() {
			return nil, err
		}
		switch {
		case at.value != nil:
			*at.value, err = e.small(at.what)
		case at.level != nil:
			var n int
			if n, err = e.small(at.what); err == nil && n > int(StrongBox) {
				err = cursor.Errorf(e.off, "%s is %d, which is none", at.what, n)
			}
			*at.level = Level(n)
		case at.bytes != nil:
			*at.bytes, err = e.bytes(at.what)
		case !e.is(tagSequence):
			err = cursor.Errorf(e.off, "%s is no list", at.what)
		default:
			err = at.list.read(e.inside())
		}
		if err != nil {
			return nil, err
		}
	}
	return x, nil
}

// maxEntries is how many tags a list may have; there are some fifty.
const maxEntries = 512

// read reads a list. What is wrong with one value does not stop the others: Google's verifier logs it and goes on
// (android/keyattestation Extension.kt, ASN1Converter.parse).
func (l *List) read(d *der) error {
	last := -1
	for d.more() {
		e, err := d.next()
		if err != nil {
			return err
		}
		if e.class != context {
			return cursor.Errorf(e.off, "an entry of the list has no tag of its own")
		}
		if len(l.Entries) >= maxEntries {
			return cursor.Errorf(e.off, "more than %d entries in a list", maxEntries)
		}
		if e.tag <= last {
			l.Disordered = true
		}
		last = e.tag
		out := Entry{Tag: e.tag, Name: tags[e.tag].name}
		v, err := e.inside().next()
		if err == nil {
			out.Value = v.body
			out.Text, err = l.value(e.tag, v)
		}
		if err != nil {
			l.Problems = append(l.Problems, err)
			continue
		}
		l.Entries = append(l.Entries, out)
	}
	return nil
}

func (l *List) value(tag int, v element) (string, error) {
	known, ok := tags[tag]
	what := known.name
	switch {
	case !ok:
		return hex.EncodeToString(v.raw), nil
	case tag == tagRootOfTrust:
		r, err := rootOfTrust(v)
		if err != nil {
			return "", err
		}
		l.RootOfTrust = r
		return fmt.Sprintf("key %x, locked %t, %s, hash %x", r.VerifiedBootKey, r.DeviceLocked, r.State, r.VerifiedBootHash), nil
	case tag == tagApplication:
		a, err := application(v)
		if err != nil {
			return "", err
		}
		l.Application = a
		var names []string
		for _, p := range a.Packages {
			names = append(names, p.Name+" "+p.Version)
		}
		for _, s := range a.Signatures {
			names = append(names, fmt.Sprintf("signed by %x", s))
		}
		return strings.Join(names, ", "), nil
	case known.form == flag:
		return "true", nil // NULL; that it stands there is its value
	case known.form == number:
		n, err := v.number(what)
		if err != nil {
			return "", err
		}
		return n.String(), nil
	case known.form == numbers:
		if !v.is(tagSet) {
			return "", cursor.Errorf(v.off, "%s is no set", what)
		}
		var list []string
		for d := v.inside(); d.more(); {
			e, err := d.next()
			var n *big.Int
			if err == nil {
				n, err = e.number(what)
			}
			if err != nil {
				return "", err
			}
			list = append(list, n.String())
		}
		return strings.Join(list, " "), nil
	}
	b, err := v.bytes(what)
	if err != nil {
		return "", err
	}
	if known.form == text && utf8.Valid(b) {
		return string(b), nil
	}
	return hex.EncodeToString(b), nil
}

// rootOfTrust reads a RootOfTrust. Whether the hash is there is seen by what is there, not by the version: devices have it under
// version numbers that should not.
func rootOfTrust(v element) (*RootOfTrust, error) {
	if !v.is(tagSequence) {
		return nil, cursor.Errorf(v.off, "the root of trust is no sequence")
	}
	r := &RootOfTrust{}
	d := v.inside()
	e, err := d.next()
	if err == nil {
		r.VerifiedBootKey, err = e.bytes("the key of verified boot")
	}
	if err == nil {
		if e, err = d.next(); err == nil {
			r.DeviceLocked, err = e.truth("whether the device is locked")
		}
	}
	var state int
	if err == nil {
		if e, err = d.next(); err == nil {
			state, err = e.small("the state of verified boot")
		}
	}
	if err == nil && state > int(Failed) {
		err = cursor.Errorf(e.off, "the state of verified boot is %d, which is none", state)
	}
	r.State = BootState(state)
	if err == nil && d.more() {
		if e, err = d.next(); err == nil {
			r.VerifiedBootHash, err = e.bytes("the hash of verified boot")
		}
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// application reads an AttestationApplicationId, which is DER inside an octet string.
func application(v element) (*Application, error) {
	if _, err := v.bytes("the application"); err != nil {
		return nil, err
	}
	seq, err := v.inside().want(tagSequence, "the application")
	if err != nil {
		return nil, err
	}
	a := &Application{}
	d := seq.inside()
	packages, err := d.want(tagSet, "the application's packages")
	if err != nil {
		return nil, err
	}
	for p := packages.inside(); p.more(); {
		e, err := p.want(tagSequence, "a package")
		if err != nil {
			return nil, err
		}
		f := e.inside()
		if e, err = f.next(); err != nil {
			return nil, err
		}
		name, err := e.bytes("a package's name")
		if err != nil {
			return nil, err
		}
		if e, err = f.next(); err != nil {
			return nil, err
		}
		n, err := e.number("a package's version")
		if err != nil {
			return nil, err
		}
		a.Packages = append(a.Packages, Package{strings.ToValidUTF8(string(name), "?"), n.String()})
	}
	if !d.more() {
		return a, nil
	}
	signatures, err := d.want(tagSet, "the application's signatures")
	if err != nil {
		return nil, err
	}
	for s := signatures.inside(); s.more(); {
		e, err := s.next()
		if err != nil {
			return nil, err
		}
		b, err := e.bytes("a signature of the application")
		if err != nil {
			return nil, err
		}
		a.Signatures = append(a.Signatures, b)
	}
	return a, nil
}

// attestsOnly reports whether the key can do nothing but attest to others: KeyPurpose ATTEST_KEY, kept so by hardware.
func (x *Description) attestsOnly() bool { return x.Hardware.Text(TagPurpose) == "7" }

// Created returns when the key was made by the phone's own clock, or the zero time.
func (x *Description) Created() time.Time {
	for _, l := range []*List{&x.Hardware, &x.Software} {
		if ms, err := strconv.ParseInt(l.Text(TagCreated), 10, 64); err == nil && ms > 0 && ms < 1<<48 {
			return time.UnixMilli(ms).UTC()
		}
	}
	return time.Time{}
}

// Lines tells a description line by line, for people.
func (x *Description) Lines() []string {
	lines := []string{
		fmt.Sprintf("attestation version %d, made in %s", x.Version, x.Level),
		fmt.Sprintf("KeyMint version %d, key kept in %s", x.KeyMintVersion, x.KeyMintLevel),
		fmt.Sprintf("challenge %x (%q)", x.Challenge, x.Challenge),
		fmt.Sprintf("unique id %x", x.UniqueID),
	}
	for _, l := range []struct {
		name string
		list *List
	}{{"vouched for by software", &x.Software}, {"vouched for by hardware", &x.Hardware}} {
		lines = append(lines, l.name+":")
		for _, e := range l.list.Entries {
			n := e.Name
			if n == "" {
				n = "unknown tag"
			}
			lines = append(lines, fmt.Sprintf("  %d %s = %s", e.Tag, n, e.Text))
		}
		if l.list.Disordered {
			lines = append(lines, "  (the tags are not in order)")
		}
		for _, err := range l.list.Problems {
			lines = append(lines, "  not read: "+err.Error())
		}
	}
	return lines
}

// A Provisioning is what Google's server says of a remotely provisioned key (ProvisioningInfo, CBOR).
type Provisioning struct {
	CertificatesIssued int64            // to this device, recently; -1 if not said
	Others             map[int64]string // what else it says, by key
}

// provisioning reads the map as far as it is whole numbers and texts, which is all that is written into it.
func provisioning(b []byte) *Provisioning {
	p := &Provisioning{CertificatesIssued: -1, Others: map[int64]string{}}
	head := func() (major byte, n uint64, ok bool) {
		if len(b) == 0 {
			return 0, 0, false
		}
		major, n = b[0]>>5, uint64(b[0]&31)
		b = b[1:]
		if n >= 24 {
			k := 1 << (n - 24)
			if n > 27 || k > len(b) {
				return 0, 0, false
			}
			n = 0
			for _, c := range b[:k] {
				n = n<<8 | uint64(c)
			}
			b = b[k:]
		}
		return major, n, true
	}
	major, pairs, ok := head()
	if !ok || major != 5 {
		return p
	}
	for range min(pairs, 16) { // two are in use
		m, k, ok := head()
		if !ok || m > 1 || k > 1<<31 {
			return p
		}
		key := int64(k)
		if m == 1 {
			key = -1 - key
		}
		m, n, ok := head()
		switch {
		case !ok:
			return p
		case m == 0 && key == 1 && n < 1<<62:
			p.CertificatesIssued = int64(n)
		case m == 0:
			p.Others[key] = strconv.FormatUint(n, 10)
		case (m == 2 || m == 3) && n <= uint64(len(b)):
			p.Others[key] = strings.ToValidUTF8(string(b[:n]), "?")
			b = b[n:]
		default:
			return p
		}
	}
	return p
}

// Keys returns the keys of Others in order.
func (p *Provisioning) Keys() []int64 {
	var keys []int64
	for k := range p.Others {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
