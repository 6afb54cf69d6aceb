package apk

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Verdict says what became of the signatures of an APK.
type Verdict uint8

const (
	None     Verdict = iota // no signature of any scheme
	Broken                  // signed, but phones of some of the API levels asked for refuse it
	Verified                // phones of all API levels asked for take it
)

func (v Verdict) String() string {
	return [...]string{"none", "broken", "verified"}[v]
}

// A SchemeID is a way of signing APKs.
type SchemeID uint8

const (
	V1  SchemeID = 1  // JAR signing, all phones
	V2  SchemeID = 2  // APK Signature Scheme v2, since Android 7 (API level 24)
	V3  SchemeID = 3  // v3, with rotation of keys, since Android 9 (28)
	V31 SchemeID = 31 // v3.1, rotation for newer phones only, since Android 13 (33)
)

func (id SchemeID) String() string {
	if id == V31 {
		return "v3.1"
	}
	return "v" + strconv.Itoa(int(id))
}

// Signatures is what an APK's signatures are worth on phones of a range of API levels.
//
// Three lists of signers say three different things:
//
//   - Signers signed this very file. The newest phone of the range takes it from them: every byte that its
//     scheme covers has the digest they signed.
//   - Claimed signed a statement about a file, which may be this one. The signature over the statement
//     verifies with the key of the certificate, so nobody else made it; whether the rest of the file is what
//     they stated was not asked. For scheme v1 AndroidManifest.xml was compared, for the others nothing. This
//     is what PackageManager goes by, since Android 9, for apps on a system partition, which verified boot
//     vouches for (ApkSignatureVerifier.unsafeGetCertsWithoutVerification). Where the file does not verify,
//     anyone may have put a claimed signer's block beside other code.
//   - Schemes[i].Signers is what a block says, and may be forged if the scheme is not Verified.
type Signatures struct {
	Verdict Verdict
	Schemes []Scheme // those present, oldest first
	Signers []Signer // in the order of the file; empty if the newest phone refuses the file
	Claimed []Signer // includes Signers
	Lineage []Signer // rotation history of the v3 signer in Claimed, oldest first and ending with it, verified link by link

	Stamp *Stamp // mark of the store, nil if there is none

	// StrippedEntries are files that META-INF/MANIFEST.MF lists but that are missing. Firmware makers take
	// classes.dex out of system apps that they have compiled ahead. Scheme v1 does not verify then, and today's
	// StrictJarFile refuses such a file; older phones and those of makers who changed it do not look.
	// Claimed passes over them.
	StrippedEntries []string

	// Problems says in words what is wrong, with entry or offset. Some are worth knowing and change no verdict.
	Problems []string
}

// A Scheme is what became of one way of signing.
type Scheme struct {
	ID       SchemeID
	Checked  bool // phones of the range look at it; if not, nothing below is filled in
	Verified bool // the file is what was signed
	Signers  []Signer
	Problems []string
}

// A Signer is a certificate that an APK is signed with. Nobody vouches for what it says of itself: Android
// compares certificates byte for byte, looks neither at dates nor at issuers.
type Signer struct {
	Certificate         []byte   // as it lies in the APK, mostly DER
	SHA256              [32]byte // of Certificate
	Subject, Issuer     string   // "CN=Android, O=Google Inc., C=US", the order in which Java prints them
	Serial              *big.Int
	NotBefore, NotAfter time.Time // zero if unreadable
	Key                 string    // "RSA 2048", "" for a kind of key Android does not know
	MinSDK, MaxSDK      int       // v3: the API levels the signer is for; 0 and 0 for all others
	Capabilities        Capability
}

// A Capability is what an old key in a [Signatures.Lineage] may still do.
type Capability uint32

// (SigningDetails.CertCapabilities in android.content.pm)
const (
	InstalledData Capability = 1 << iota // hand its data to apps signed with the new key
	SharedUserID                         // share a uid with them
	Permission                           // get their signature permissions
	Rollback                             // update apps signed with the new key
	Auth                                 // pass for them with authenticators
)

// A Stamp is the mark that an app store leaves in an APK. Its signature is not verified.
type Stamp struct {
	Version int    // of the block, 1 or 2; 0 if only the zip entry stamp-cert-sha256 is there
	Signer  Signer // empty with Version 0
	Pinned  bool   // stamp-cert-sha256, which the APK's own signature covers, names this certificate
}

// Problems of one scheme kept. A file with ten thousand changed entries is no worse described by ten thousand.
const maxProblems = 100

func (c *certificate) signer() Signer {
	s := Signer{
		Certificate: bytes.Clone(c.raw), SHA256: sha256.Sum256(c.raw), Subject: c.subject, Issuer: c.issuer,
		Serial: c.serial, NotBefore: c.notBefore, NotAfter: c.notAfter,
	}
	if c.keyErr == nil {
		s.Key = fmt.Sprintf("%v %d", c.key.kind, c.key.bits)
	}
	return s
}

// Verify checks the signatures of an APK of size bytes as phones of the API levels minSDK to maxSDK do.
// A minSDK of 0 stands for the lowest level the app's manifest allows, a maxSDK of 0 for the newest phone.
// It returns an error only if the file is no zip or cannot be read: a broken signature is a result.
//
// The rules are those of apksig's ApkVerifier, which asks that every phone in the range take the file.
//
// # Not read
//
// Scheme v3.2 (hybrid signatures), scheme v4 (a file beside the APK), the signature of a source stamp, RSA-PSS
// with keys below 1024 bits, and signing blocks above 64 MiB.
func Verify(r io.ReaderAt, size int64, minSDK, maxSDK int) (*Signatures, error) {
	z, err := NewZip(r, size)
	if err != nil {
		return nil, err
	}
	return z.Verify(minSDK, maxSDK)
}

// Verify checks the signatures of an opened APK, as the function of that name does.
func (z *Zip) Verify(minSDK, maxSDK int) (*Signatures, error) {
	return z.checkSignatures(minSDK, maxSDK, true)
}

// Signers returns who a phone of that API level takes an app on its system partition to be signed by: the
// Claimed of [Signatures]. It reads no more of the file than that takes. An sdk of 0 stands for the newest
// phone. Without an error, an empty list says that the APK is not signed.
func (z *Zip) Signers(sdk int) ([]Signer, error) {
	if sdk <= 0 {
		sdk = math.MaxInt32
	}
	s, err := z.checkSignatures(sdk, sdk, false)
	if err != nil {
		return nil, err
	}
	if s.Verdict != None && len(s.Claimed) == 0 {
		return nil, fmt.Errorf("no usable signature: %s", strings.Join(s.Problems, "; "))
	}
	return s.Claimed, nil
}

// A verification is the schemes of a file, as far as phones of the range look at them.
type verification struct {
	minSDK, maxSDK int
	v1             *jarScheme
	v2, v3, v31    *blockScheme
	reject         []string // rules above the schemes that the newest phone applies
	conflicts      []string // what only phones of different levels can find
}

func (z *Zip) checkSignatures(minSDK, maxSDK int, full bool) (*Signatures, error) {
	if maxSDK <= 0 || maxSDK > math.MaxInt32 {
		maxSDK = math.MaxInt32
	}
	s := &Signatures{}
	app, err := z.appLevels()
	if err != nil {
		s.Problems = append(s.Problems, codeManifest+": "+err.Error())
	}
	if minSDK <= 0 {
		minSDK = app.minSDK
	}
	v := &verification{minSDK: min(minSDK, maxSDK), maxSDK: maxSDK}
	block, why, err := findSigningBlock(z.r, z.size, z.EOCD)
	if err != nil {
		return nil, err
	}
	if why != "" {
		s.Problems = append(s.Problems, why)
	}
	if block != nil {
		if err := v.readBlock(block, full); err != nil {
			return nil, err
		}
	}
	newer := v.v2 != nil || v.v3 != nil || v.v31 != nil
	jar := hasJarSignature(z)
	if jar && (v.minSDK < 24 || !newer) {
		sdk := jarRange{minSDK: v.minSDK, maxSDK: v.maxSDK}
		if v.v2 != nil {
			sdk.found = append(sdk.found, 2)
		}
		if v.v3 != nil {
			sdk.found = append(sdk.found, 3)
		}
		if v.v1, err = verifyJar(z, sdk, full); err != nil {
			return nil, err
		}
		s.StrippedEntries = v.v1.stripped
	} else if newer && v.minSDK < 24 {
		v.conflicts = append(v.conflicts, "no JAR signature for phones before Android 7")
	}
	v.applyRules(app, newer)
	v.report(s, block, jar)
	z.findStamp(s, block)
	return s, nil
}

// readBlock verifies what the signing block holds.
func (v *verification) readBlock(block *signingBlock, full bool) error {
	if v.maxSDK >= 33 {
		v.v31 = block.readScheme(idV31, max(v.minSDK, 33), v.maxSDK)
	}
	// A phone that finds a v3.1 signer for itself looks no further. apksig looks at the v3 block all the same.
	if v.maxSDK >= 28 && (v.v31 == nil || v.minSDK < v.v31.first()) {
		v.v3 = block.readScheme(idV3, max(v.minSDK, 28), v.maxSDK)
	}
	if v.maxSDK >= 24 && (v.minSDK < 28 || v.v3 == nil && v.v31 == nil) {
		v.v2 = block.readScheme(idV2, max(v.minSDK, 24), v.maxSDK)
	}
	v.checkRotation()
	if v.v2 != nil {
		for i, signer := range v.v2.signers {
			if signer.expectsV3 && v.maxSDK >= 28 && v.v3 == nil {
				signer.problems = append(signer.problems, fmt.Sprintf("signer %d says the file is also signed with scheme v3, which is not there: stripped?", i+1))
			}
		}
	}
	if !full {
		return nil
	}
	var want [digestKinds]bool
	schemes := []*blockScheme{v.v2, v.v3, v.v31}
	for _, b := range schemes {
		if b != nil {
			b.digestsWanted(&want)
		}
	}
	got, err := block.file.digests(want)
	if err != nil {
		return err
	}
	for _, b := range schemes {
		if b != nil {
			b.compare(block, got)
		}
	}
	return nil
}

// checkRotation checks that the v3 and v3.1 signers between them are for every phone of the range, and that
// they know of each other.
func (v *verification) checkRotation() {
	top, rotation := v.maxSDK, 0
	if v.v31 != nil && v.v31.ok() {
		rotation = math.MaxInt
		for _, s := range v.v31.signers {
			rotation = min(rotation, s.minSDK)
		}
		top = min(top, v.v31.first()-1)
		v.v31.checkRanges(math.MaxInt, v.maxSDK)
	}
	if v.v31 != nil && v.v3 == nil && v.minSDK < v.v31.first() {
		v.v31.problems = append(v.v31.problems, "no v3 block beside the v3.1 block")
	}
	if v.v3 == nil || !v.v3.ok() {
		return
	}
	v.v3.checkRanges(max(v.minSDK, 28), top)
	for i, s := range v.v3.signers {
		switch {
		case s.rotationMin == 0 || v.maxSDK < 33:
		case v.v31 == nil:
			s.problems = append(s.problems, fmt.Sprintf("signer %d says there is a v3.1 block for API level %d, which is not there: stripped?", i+1, s.rotationMin))
		case s.rotationMin != rotation && rotation != 0:
			s.problems = append(s.problems, fmt.Sprintf("signer %d says the v3.1 block is for API level %d, but it is for %d", i+1, s.rotationMin, rotation))
		}
	}
}

// applyRules applies the rules that look at more than one scheme. newer says that there is one above v1.
func (v *verification) applyRules(app appLevels, newer bool) {
	if v.maxSDK >= 26 && app.sandbox > 1 && !newer {
		v.reject = append(v.reject, fmt.Sprintf("targetSandboxVersion %d asks for scheme v2 or newer", app.sandbox))
	}
	v2, v3, v31 := v.v2 != nil && v.v2.ok(), v.v3 != nil && v.v3.ok(), v.v31 != nil && v.v31.ok()
	// ApkSignatureVerifier.getMinimumSignatureSchemeVersionForTargetSdk
	if app.targetSDK >= 30 && v.maxSDK >= app.targetSDK && !v2 && !v3 && !v31 {
		v.reject = append(v.reject, fmt.Sprintf("targetSdkVersion %d asks for scheme v2 or newer", app.targetSDK))
	}
	var older [][]byte
	v1 := v.v1 != nil && v.v1.ok()
	switch {
	case v1:
		for _, s := range v.v1.signers {
			older = append(older, s.cert.raw)
		}
	case v2:
		for _, s := range v.v2.signers {
			older = append(older, s.certs[0].raw)
		}
	}
	if v1 && v2 && !v.sameSigners() {
		v.conflicts = append(v.conflicts, "v1 and v2 have different signers")
	}
	if !v3 || len(older) == 0 {
		return
	}
	if len(older) > 1 {
		v.conflicts = append(v.conflicts, "v3 has one signer at a time, older schemes have several")
	}
	var root []byte
	if l := v.longestLineage(); len(l) > 0 {
		root = l[0].Certificate
	} else {
		root = v.v3.signers[0].certs[0].raw
		if len(v.v3.signers) != 1 {
			v.conflicts = append(v.conflicts, "several v3 signers without a rotation history")
		}
	}
	if !bytes.Equal(root, older[0]) {
		v.conflicts = append(v.conflicts, "the signer of the older schemes is not the one that the rotation history begins with")
	}
}

func (v *verification) longestLineage() []Signer {
	var longest []Signer
	for _, b := range []*blockScheme{v.v3, v.v31} {
		if b == nil || !b.ok() {
			continue
		}
		for _, s := range b.signers {
			if len(s.lineage) > len(longest) {
				longest = s.lineage
			}
		}
	}
	return longest
}

func (v *verification) sameSigners() bool {
	v1, v2 := map[string]bool{}, map[string]bool{}
	for _, s := range v.v1.signers {
		v1[string(s.cert.raw)] = true
	}
	for _, s := range v.v2.signers {
		v2[string(s.certs[0].raw)] = true
		if !v1[string(s.certs[0].raw)] {
			return false
		}
	}
	return len(v1) == len(v2)
}

// report fills in s.
func (v *verification) report(s *Signatures, block *signingBlock, jar bool) {
	ok := len(v.reject) == 0 && len(v.conflicts) == 0
	add := func(sc Scheme) {
		s.Schemes = append(s.Schemes, sc)
		ok = ok && (sc.Verified || !sc.Checked)
		for _, p := range sc.Problems {
			s.Problems = append(s.Problems, fmt.Sprintf("%v: %s", sc.ID, p))
		}
	}
	if v.v1 != nil {
		add(Scheme{ID: V1, Checked: true, Verified: v.v1.ok(), Signers: jarSigners(v.v1.signers), Problems: v.v1.words()})
	} else if jar {
		add(Scheme{ID: V1})
	}
	for _, b := range []struct {
		id     SchemeID
		block  uint32
		scheme *blockScheme
	}{{V2, idV2, v.v2}, {V3, idV3, v.v3}, {V31, idV31, v.v31}} {
		if b.scheme == nil {
			if block != nil {
				if _, there := block.find(b.block); there {
					add(Scheme{ID: b.id})
				}
			}
			continue
		}
		sc := Scheme{ID: b.id, Checked: true, Verified: b.scheme.ok(), Problems: b.scheme.problems}
		for _, signer := range b.scheme.signers {
			if len(signer.certs) > 0 {
				sc.Signers = append(sc.Signers, signer.signer())
			}
			sc.Problems = append(sc.Problems, signer.problems...)
			sc.Problems = append(sc.Problems, signer.mismatch...)
		}
		add(sc)
	}
	s.Problems = append(append(s.Problems, v.reject...), v.conflicts...)
	checked := slices.ContainsFunc(s.Schemes, func(sc Scheme) bool { return sc.Checked })
	if len(s.Schemes) > 0 && !checked {
		s.Problems = append(s.Problems, "no signature of a scheme that these phones know")
	}
	switch {
	case len(s.Schemes) == 0:
		s.Verdict = None
	case ok && checked:
		s.Verdict = Verified
	default:
		s.Verdict = Broken
	}

	// The newest phone of the range looks at one scheme only.
	var verified bool
	switch b, signers := v.newest(); {
	case b != nil:
		verified = b.ok()
		for _, signer := range signers {
			if len(signer.problems) > 0 || len(signer.certs) == 0 {
				s.Claimed, s.Lineage = nil, nil
				break
			}
			s.Claimed = append(s.Claimed, signer.signer())
			s.Lineage = signer.lineage
		}
	case v.v1 != nil:
		verified = v.v1.ok()
		s.Claimed = jarSigners(v.v1.claimed)
		if verified {
			s.Claimed = jarSigners(v.v1.signers)
		}
	}
	if verified && len(v.reject) == 0 {
		s.Signers = s.Claimed
	}
}

// newest returns the whole-file scheme that the newest phone of the range uses, with those of its signers
// that are for that phone, or nil if it uses the JAR signature.
func (v *verification) newest() (*blockScheme, []*blockSigner) {
	for _, b := range []*blockScheme{v.v31, v.v3} {
		if b == nil {
			continue
		}
		for _, s := range b.signers {
			if s.covers(v.maxSDK) {
				return b, []*blockSigner{s}
			}
		}
		// A v3.1 block may be for later phones, a v3 block is for all.
		if b == v.v3 || len(b.signers) == 0 {
			return b, nil
		}
	}
	if v.v2 != nil {
		return v.v2, v.v2.signers
	}
	return nil, nil
}

func (s *blockSigner) signer() Signer {
	out := s.certs[0].signer()
	out.MinSDK, out.MaxSDK = s.minSDK, s.maxSDK
	return out
}

func jarSigners(all []*jarSigner) []Signer {
	var out []Signer
	for _, s := range all {
		out = append(out, s.cert.signer())
	}
	return out
}

func (z *Zip) findStamp(s *Signatures, block *signingBlock) {
	var pin []byte
	e := z.Entry("stamp-cert-sha256")
	if e != nil {
		pin, _ = readMeta(z, e, sha256.Size)
	}
	if block != nil {
		s.Stamp = block.readStamp(pin)
	}
	if s.Stamp == nil && e != nil {
		s.Stamp = &Stamp{}
	}
}

// appLevels is what the manifest says of the phones an app is for.
type appLevels struct{ minSDK, targetSDK, sandbox int }

// A manifest larger than this is no manifest: the largest seen have a few hundred kilobytes.
const maxCodeManifest = 16 << 20

// appLevels reads the manifest. It returns Android's defaults along with an error.
func (z *Zip) appLevels() (appLevels, error) {
	app := appLevels{minSDK: 1, targetSDK: 1, sandbox: 1}
	e := z.Entry(codeManifest)
	if e == nil {
		return app, fmt.Errorf("missing")
	}
	b, err := readMeta(z, e, maxCodeManifest)
	if err != nil {
		return app, err
	}
	root, err := ParseXML(b)
	if root == nil {
		return app, err
	}
	if a, ok := root.Find("targetSandboxVersion"); ok {
		app.sandbox = level(a, 1)
	}
	target := 0
	for _, n := range root.Children {
		if n.Name != "uses-sdk" || n.Space != "" {
			continue
		}
		// Each such element may refuse a phone, so the highest minimum counts.
		if a, ok := n.Find("minSdkVersion"); ok {
			app.minSDK = max(app.minSDK, level(a, 1))
		}
		if a, ok := n.Find("targetSdkVersion"); ok {
			target = level(a, 0)
		}
	}
	app.targetSDK = max(target, app.minSDK)
	if target > 0 {
		app.targetSDK = target
	}
	return app, nil
}

// level reads an API level. A letter stands for a platform that was under development, and means the level of
// the release before it (getMinSdkVersionForCodename in apksig).
func level(a Attr, otherwise int) int {
	switch {
	case a.Type >= TypeIntDec && a.Type <= TypeIntColorRGB4:
		return int(int32(a.Data))
	case a.Type == TypeString && a.Value != "":
		if n, err := strconv.Atoi(a.Value); err == nil {
			return n
		}
		switch c := a.Value[0]; {
		case c == 'N':
			return 23
		case c >= 'O' && c <= 'Z':
			return 25 + int(c-'O')
		}
	}
	return otherwise
}
