package apk

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// JAR signing. MANIFEST.MF lists the digest of every file, each .SF file the digests of MANIFEST.MF's
// sections, and the .RSA, .DSA or .EC block beside it signs the .SF file.
// (apksig's V1SchemeVerifier; android.util.jar.StrictJarFile and StrictJarVerifier)

const (
	metaInf      = "META-INF/"
	jarManifest  = "META-INF/MANIFEST.MF"
	codeManifest = "AndroidManifest.xml"

	// A file of a zip without zip64 has 65535 entries at most, and a section for one with a long path takes
	// some 200 bytes.
	maxJarManifest = 16 << 20
	maxSections    = 1 << 17
	// A block with ten certificates of 16384-bit keys takes some 60 KB.
	maxJarBlock = 4 << 20
	// What a compressed file unpacks to is hashed, not stored, but hashing takes time. No zip without zip64
	// holds more than 4 GiB, and apps do not shrink to a tenth.
	maxUnpacked = 32 << 30
)

// A section is a part of MANIFEST.MF or of an .SF file: attributes up to an empty line.
type section struct {
	name string // value of the first attribute, if that is Name
	text []byte // with the empty line that ends it
}

// An attribute is a name and a value of a section.
type attribute struct{ name, value string }

// sections cuts a file into its sections, the main section first (ManifestParser in apksig).
func sections(b []byte) ([]section, error) {
	var all []section
	for len(b) > 0 {
		if line, rest := cutLine(b); len(line) == 0 {
			b = rest
			continue
		}
		rest := b
		for len(rest) > 0 {
			var line []byte
			if line, rest = cutLine(rest); len(line) == 0 {
				break
			}
		}
		if len(all) == maxSections {
			return nil, fmt.Errorf("more than %d sections", maxSections)
		}
		s := section{text: b[:len(b)-len(rest)]}
		if first, _ := cutAttribute(s.text); strings.EqualFold(first.name, "Name") {
			s.name = first.value
		}
		all = append(all, s)
		b = rest
	}
	if len(all) == 0 {
		return nil, errors.New("empty")
	}
	return all, nil
}

// cutLine returns the first line without its end, which is CR, LF or both, and what follows.
func cutLine(b []byte) (line, rest []byte) {
	for i, c := range b {
		if c != '\r' && c != '\n' {
			continue
		}
		rest = b[i+1:]
		if c == '\r' && len(rest) > 0 && rest[0] == '\n' {
			rest = rest[1:]
		}
		return b[:i], rest
	}
	return b, nil
}

// cutAttribute returns the first attribute, put together from its continuation lines, and what follows.
func cutAttribute(b []byte) (attribute, []byte) {
	line, rest := cutLine(b)
	if len(rest) > 0 && rest[0] == ' ' {
		line = bytes.Clone(line)
		for len(rest) > 0 && rest[0] == ' ' {
			var more []byte
			more, rest = cutLine(rest)
			line = append(line, more[1:]...)
		}
	}
	name, value, _ := strings.Cut(string(line), ": ")
	return attribute{name, value}, rest
}

func (s section) attributes() []attribute {
	var all []attribute
	for b := s.text; len(b) > 0; {
		if line, _ := cutLine(b); len(line) == 0 {
			break
		}
		var a attribute
		a, b = cutAttribute(b)
		all = append(all, a)
	}
	return all
}

// lookUp returns the first attribute of that name, whose case does not count.
func lookUp(all []attribute, name string) (string, bool) {
	for _, a := range all {
		if strings.EqualFold(a.name, name) {
			return a.value, true
		}
	}
	return "", false
}

// A namedDigest is a digest that a section states.
type namedDigest struct {
	hash crypto.Hash
	want []byte
}

// jarHashes are the digests Android looks for since 4.3, strongest first.
var jarHashes = []struct {
	name string
	hash crypto.Hash
}{{"SHA-512", crypto.SHA512}, {"SHA-384", crypto.SHA384}, {"SHA-256", crypto.SHA256}, {"SHA1", crypto.SHA1}}

// jarDigests returns the digests of a section that phones of these levels check. Before 4.3 (API level 18)
// the attribute Digest-Algorithms says which to look for; since then the strongest counts. They come back
// empty if there are none, and with an error if one is not Base64.
func jarDigests(attrs []attribute, suffix string, minSDK, maxSDK int) ([]namedDigest, error) {
	var all []namedDigest
	if minSDK < 18 {
		algs, ok := lookUp(attrs, "Digest-Algorithms")
		if !ok {
			algs = "SHA SHA1"
		}
		for _, alg := range strings.Fields(algs) {
			value, ok := lookUp(attrs, alg+suffix)
			if !ok {
				continue
			}
			h, since := crypto.Hash(0), 0
			switch strings.ToUpper(alg) {
			case "MD5":
				h = crypto.MD5
			case "SHA", "SHA1", "SHA-1":
				h = crypto.SHA1
			case "SHA-256":
				h = crypto.SHA256
			case "SHA-384":
				h, since = crypto.SHA384, 9
			case "SHA-512":
				h, since = crypto.SHA512, 9
			}
			if h == 0 || since > minSDK {
				continue
			}
			d, err := decodeDigest(value)
			if err != nil {
				return nil, err
			}
			all = append(all, namedDigest{h, d})
			break
		}
		if len(all) == 0 {
			return nil, nil
		}
	}
	if maxSDK >= 18 {
		for _, j := range jarHashes {
			value, ok := lookUp(attrs, j.name+suffix)
			if !ok {
				continue
			}
			d, err := decodeDigest(value)
			if err != nil {
				return nil, err
			}
			if len(all) == 0 || all[0].hash != j.hash || !bytes.Equal(all[0].want, d) {
				all = append(all, namedDigest{j.hash, d})
			}
			break
		}
	}
	return all, nil
}

// decodeDigest takes Base64 with or without its padding, as Java does.
func decodeDigest(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

// matches says whether b has all those digests, and if not which it lacks.
func matches(b []byte, digests []namedDigest) (crypto.Hash, bool) {
	for _, d := range digests {
		h := d.hash.New()
		h.Write(b)
		if !bytes.Equal(h.Sum(nil), d.want) {
			return d.hash, false
		}
	}
	return 0, true
}

// A jarSigner is a signature block with its .SF file.
type jarSigner struct {
	block, sf *Entry
	cert      *certificate
	names     map[string]bool // entries that the .SF file lists
	ignored   bool            // Android passes over it without complaint
}

// A jarScheme is what there is to say of a file's JAR signature.
type jarScheme struct {
	signers  []*jarSigner // those that all signed entries have in common
	claimed  []*jarSigner // those of AndroidManifest.xml alone
	stripped []string     // listed in MANIFEST.MF but missing
	rollback []string     // newer schemes that an .SF file names but the file lacks
	problems []string     // all else; the first kind of them ends the verification
}

func (j *jarScheme) ok() bool {
	return len(j.stripped) == 0 && len(j.rollback) == 0 && len(j.problems) == 0
}

// words returns everything that is wrong.
func (j *jarScheme) words() []string {
	var all []string
	for _, name := range j.stripped[:min(len(j.stripped), maxProblems)] {
		all = append(all, fmt.Sprintf("%q: listed in MANIFEST.MF but missing", name))
	}
	return slices.Concat(all, j.rollback, j.problems)
}

func (j *jarScheme) problem(format string, args ...any) {
	if len(j.problems) < maxProblems {
		j.problems = append(j.problems, fmt.Sprintf(format, args...))
	}
}

// hasJarSignature says whether the zip looks JAR-signed at all.
func hasJarSignature(z *Zip) bool {
	for i := range z.Entries {
		if isJarBlock(z.Entries[i].Name) {
			return true
		}
	}
	return false
}

func isJarBlock(name string) bool {
	return strings.HasPrefix(name, metaInf) &&
		(strings.HasSuffix(name, ".RSA") || strings.HasSuffix(name, ".DSA") || strings.HasSuffix(name, ".EC"))
}

// A jarRange is what JAR verification needs to know of the phones: their API levels, and what newer schemes
// they found.
type jarRange struct {
	minSDK, maxSDK int
	found          []int // scheme numbers
}

// verifyJar verifies the JAR signature of z. With full unset it compares AndroidManifest.xml alone with its
// digest, and nothing else of the file.
func verifyJar(z *Zip, sdk jarRange, full bool) (*jarScheme, error) {
	j := &jarScheme{}
	if len(z.index) != len(z.Entries) {
		j.problem("two entries of the zip have one name")
		return j, nil
	}
	mfEntry := z.Entry(jarManifest)
	if mfEntry == nil {
		j.problem("no %s", jarManifest)
		return j, nil
	}
	mf, err := readMeta(z, mfEntry, maxJarManifest)
	if err != nil {
		return j, j.unreadable(mfEntry, err)
	}
	parts, err := sections(mf)
	if err != nil {
		j.problem("%s: %v", jarManifest, err)
		return j, nil
	}
	main, entries := parts[0], make(map[string]section, len(parts))
	for i, p := range parts[1:] {
		if p.name == "" {
			j.problem("%s: section %d has no name", jarManifest, i+1)
			return j, nil
		}
		if _, twice := entries[p.name]; twice {
			j.problem("%s: two sections for %q", jarManifest, p.name)
			return j, nil
		}
		entries[p.name] = p
		if z.Entry(p.name) == nil {
			j.stripped = append(j.stripped, p.name)
		}
	}

	// Every block is verified before any .SF file is compared with the manifest, and any fault ends it all.
	var signers []*jarSigner
	var sfs [][]byte
	for i := range z.Entries {
		e := &z.Entries[i]
		if !isJarBlock(e.Name) {
			continue
		}
		sf := z.Entry(e.Name[:strings.LastIndexByte(e.Name, '.')] + ".SF")
		if sf == nil {
			continue
		}
		if len(signers) == maxSigners {
			j.problem("more than %d signers", maxSigners)
			return j, nil
		}
		signers = append(signers, &jarSigner{block: e, sf: sf})
	}
	if len(signers) == 0 {
		j.problem("no signature block with an .SF file")
		return j, nil
	}
	for _, s := range signers {
		block, err := readMeta(z, s.block, maxJarBlock)
		if err != nil {
			return j, j.unreadable(s.block, err)
		}
		sf, err := readMeta(z, s.sf, maxJarManifest)
		if err != nil {
			return j, j.unreadable(s.sf, err)
		}
		sfs = append(sfs, sf)
		if s.cert, err = verifyJarBlock(block, sf, sdk); err != nil {
			j.problem("%s: %v", s.block.Name, err)
		}
	}
	if len(j.problems) > 0 {
		return j, nil
	}
	for i, s := range signers {
		j.verifySF(s, sfs[i], mf, main, entries, sdk)
	}
	signers = slices.DeleteFunc(signers, func(s *jarSigner) bool { return s.ignored })
	if len(j.problems) > 0 {
		return j, nil
	}
	if len(signers) == 0 {
		j.problem("no signature block with a usable .SF file")
		return j, nil
	}
	return j, j.verifyEntries(z, entries, signers, sdk, full)
}

func readMeta(z *Zip, e *Entry, limit int64) ([]byte, error) {
	b, err := z.ReadFile(e, limit)
	if errors.Is(err, ErrChecksum) { // Android does not look at it
		err = nil
	}
	return b, err
}

// unreadable notes an entry that cannot be read. A failing disk is an error, a broken zip is a fact.
func (j *jarScheme) unreadable(e *Entry, err error) error {
	if _, ok := errors.AsType[*FormatError](err); !ok {
		return err
	}
	j.problem("%q: %v", e.Name, err)
	return nil
}

// OIDs of digests and signatures (RFC 8017, RFC 3279, RFC 5758).
var digestOIDs = map[string]crypto.Hash{
	"1.2.840.113549.2.5":     crypto.MD5,
	"1.3.14.3.2.26":          crypto.SHA1,
	"2.16.840.1.101.3.4.2.4": crypto.SHA224,
	"2.16.840.1.101.3.4.2.1": crypto.SHA256,
	"2.16.840.1.101.3.4.2.2": crypto.SHA384,
	"2.16.840.1.101.3.4.2.3": crypto.SHA512,
}

// A hash of zero stands for the digest the SignerInfo names.
var signatureOIDs = map[string]struct {
	key  keyType
	hash crypto.Hash
}{
	"1.2.840.113549.1.1.1":   {keyRSA, 0},
	"1.2.840.113549.1.1.4":   {keyRSA, crypto.MD5},
	"1.2.840.113549.1.1.5":   {keyRSA, crypto.SHA1},
	"1.2.840.113549.1.1.14":  {keyRSA, crypto.SHA224},
	"1.2.840.113549.1.1.11":  {keyRSA, crypto.SHA256},
	"1.2.840.113549.1.1.12":  {keyRSA, crypto.SHA384},
	"1.2.840.113549.1.1.13":  {keyRSA, crypto.SHA512},
	"1.2.840.10040.4.1":      {keyDSA, 0},
	"1.2.840.10040.4.3":      {keyDSA, crypto.SHA1},
	"2.16.840.1.101.3.4.3.1": {keyDSA, crypto.SHA224},
	"2.16.840.1.101.3.4.3.2": {keyDSA, crypto.SHA256},
	"1.2.840.10045.2.1":      {keyECDSA, 0},
	"1.2.840.10045.4.1":      {keyECDSA, crypto.SHA1},
	"1.2.840.10045.4.3.1":    {keyECDSA, crypto.SHA224},
	"1.2.840.10045.4.3.2":    {keyECDSA, crypto.SHA256},
	"1.2.840.10045.4.3.3":    {keyECDSA, crypto.SHA384},
	"1.2.840.10045.4.3.4":    {keyECDSA, crypto.SHA512},
}

// A sdkRange is a range of API levels, both ends included.
type sdkRange struct{ from, to int }

// jarAlgorithmLevels returns the API levels on which Android takes a signature of that kind over that digest.
// sig is 0 where the signature's OID names no hash. (OidConstants.SUPPORTED_SIG_ALG_OIDS in apksig, put in
// rules: signature OIDs with a hash of their own worked with any other digest only on 5.0 to 6.0.)
func jarAlgorithmLevels(key keyType, sig, digest crypto.Hash) []sdkRange {
	const always = math.MaxInt32
	since := func(sdk int) []sdkRange { return []sdkRange{{sdk, always}} }
	notFrom9To := func(sdk int) []sdkRange { return []sdkRange{{0, 8}, {sdk, always}} }
	if sig != 0 && sig != digest {
		if key == keyRSA {
			switch [2]crypto.Hash{digest, sig} {
			case [2]crypto.Hash{crypto.SHA224, crypto.SHA256}, [2]crypto.Hash{crypto.SHA256, crypto.SHA1}, [2]crypto.Hash{crypto.SHA512, crypto.SHA384}:
				return []sdkRange{{21, 21}}
			}
		}
		return []sdkRange{{21, 23}}
	}
	switch key {
	case keyRSA:
		switch digest {
		case crypto.MD5:
			if sig == 0 {
				return since(0)
			}
			return notFrom9To(21)
		case crypto.SHA1:
			return since(0)
		case crypto.SHA224:
			return notFrom9To(21)
		case crypto.SHA256:
			return notFrom9To(18)
		}
		if sig == 0 {
			return since(18)
		}
		return since(21)
	case keyDSA:
		switch {
		case digest == crypto.SHA1 && sig == 0:
			return since(0)
		case digest == crypto.SHA1:
			return since(9)
		case digest == crypto.SHA224 || digest == crypto.SHA256:
			if sig == 0 {
				return since(22)
			}
			return since(21)
		}
	case keyECDSA:
		switch {
		case digest == crypto.SHA1, sig == 0 && digest >= crypto.SHA256 && digest <= crypto.SHA512:
			return since(18)
		case digest != crypto.MD5:
			return since(21)
		}
	}
	return nil
}

// covered says whether the ranges, which are in order, hold all levels from minSDK to maxSDK.
func covered(ranges []sdkRange, minSDK, maxSDK int) bool {
	for _, r := range ranges {
		if r.from <= minSDK && minSDK <= r.to {
			if maxSDK <= r.to {
				return true
			}
			minSDK = r.to + 1
		}
	}
	return false
}

// verifyJarBlock verifies a signature block over its .SF file and returns the signer's certificate.
// Before Android 7 only the first SignerInfo counts; since then the first that verifies, but one that is
// malformed fails them all.
func verifyJarBlock(block, sf []byte, sdk jarRange) (*certificate, error) {
	sd, err := parseSignedData(block)
	if err != nil {
		return nil, err
	}
	if len(sd.signers) == 0 {
		return nil, errors.New("no SignerInfo")
	}
	try := sd.signers
	if sdk.minSDK < 24 {
		try = try[:1]
	}
	var signer *certificate
	mismatch := errBadSignature
	for _, si := range try {
		cert, err := sd.verify(si, sf, sdk)
		switch {
		case errors.Is(err, errBadSignature):
			mismatch = err
		case err != nil:
			return nil, err
		case signer == nil:
			signer = cert
		}
	}
	if signer == nil {
		return nil, mismatch
	}
	return signer, nil
}

// verify verifies one SignerInfo. Its error wraps errBadSignature if another SignerInfo may be tried.
func (sd *signedData) verify(si signerInfo, sf []byte, sdk jarRange) (*certificate, error) {
	digest := digestOIDs[si.digest]
	alg, known := signatureOIDs[si.algorithm]
	if digest == 0 || !known || !covered(jarAlgorithmLevels(alg.key, alg.hash, digest), sdk.minSDK, sdk.maxSDK) {
		return nil, fmt.Errorf("digest %s with signature %s is not for all API levels from %d to %s", si.digest, si.algorithm, sdk.minSDK, levelName(sdk.maxSDK))
	}
	cert := sd.certificate(si)
	if cert == nil {
		return nil, errors.New("the signer's certificate is not in the block")
	}
	if cert.noSigning != "" {
		return nil, errors.New(cert.noSigning)
	}
	if cert.keyErr != nil {
		return nil, cert.keyErr
	}
	msg := sf
	if si.attrs != nil {
		if sdk.minSDK < 19 {
			// Android before 4.4 does not compare the .SF file with the digest in the attributes.
			return nil, errors.New("signed attributes protect nothing before API level 19")
		}
		attrs, err := si.attributes()
		if err != nil {
			return nil, err
		}
		if sdk.maxSDK >= 24 {
			v, err := single(attrs, "1.2.840.113549.1.9.3", tagOID)
			if err != nil {
				return nil, err
			}
			if v.oid() != sd.contentType {
				return nil, fmt.Errorf("signed content type %s: %w", v.oid(), errBadSignature)
			}
		}
		v, err := single(attrs, "1.2.840.113549.1.9.4", tagOctetString)
		if err != nil {
			return nil, err
		}
		h := digest.New()
		h.Write(sf)
		if !bytes.Equal(h.Sum(nil), v.body) {
			return nil, fmt.Errorf("digest of the .SF file: %w", errBadSignature)
		}
		// Signed is the set as such, not as the implicit value it is stored as; Android changes the first
		// byte and does not encode it anew.
		msg = bytes.Clone(si.attrs.full)
		msg[0] = tagSet
	}
	h := alg.hash
	if h == 0 {
		h = digest
	}
	if err := cert.key.verify(alg.key, h, msg, si.signature); err != nil {
		return nil, err
	}
	return cert, nil
}

func levelName(sdk int) string {
	if sdk == math.MaxInt32 {
		return "the newest"
	}
	return strconv.Itoa(sdk)
}

func single(attrs map[string][]ber, oid string, tag byte) (ber, error) {
	v := attrs[oid]
	if len(v) != 1 {
		return ber{}, fmt.Errorf("signed attribute %s has %d values", oid, len(v))
	}
	if v[0].tag != tag {
		return ber{}, fmt.Errorf("signed attribute %s is of the wrong type", oid)
	}
	return v[0], nil
}

// verifySF compares an .SF file with the manifest.
func (j *jarScheme) verifySF(s *jarSigner, sf, mf []byte, main section, entries map[string]section, sdk jarRange) {
	name := s.sf.Name
	parts, err := sections(sf)
	if err != nil {
		j.problem("%s: %v", name, err)
		return
	}
	attrs := parts[0].attributes()
	if _, ok := lookUp(attrs, "Signature-Version"); !ok {
		s.ignored = true
		return
	}
	if sdk.maxSDK >= 24 {
		// Phones that know a scheme the app was signed with must find it there.
		ids, _ := lookUp(attrs, "X-Android-APK-Signed")
		for id := range strings.SplitSeq(ids, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(id))
			if err == nil && (n == 2 || n == 3 && sdk.maxSDK >= 28) && !slices.Contains(sdk.found, n) {
				j.rollback = append(j.rollback, fmt.Sprintf("%s: says the file is also signed with scheme v%d, which is not there: stripped?", name, n))
			}
		}
	}
	createdBy, _ := lookUp(attrs, "Created-By")
	signtool := strings.Contains(createdBy, "signtool")
	suffix := "-Digest-Manifest"
	if signtool {
		suffix = "-Digest"
	}
	whole, err := jarDigests(attrs, suffix, sdk.minSDK, sdk.maxSDK)
	if err != nil {
		j.problem("%s: %v", name, err)
		return
	}
	_, wholeOK := matches(mf, whole)
	wholeOK = wholeOK && len(whole) > 0
	if !signtool {
		ds, err := jarDigests(attrs, "-Digest-Manifest-Main-Attributes", sdk.minSDK, sdk.maxSDK)
		if err != nil {
			j.problem("%s: %v", name, err)
			return
		}
		if h, ok := matches(main.text, ds); !ok {
			j.problem("%s: the %v digest of MANIFEST.MF's main section does not match", name, h)
			return
		}
	}
	s.names = make(map[string]bool, len(parts))
	for i, p := range parts[1:] {
		if p.name == "" || s.names[p.name] {
			j.problem("%s: section %d has no name or one that was there before", name, i+1)
			return
		}
		s.names[p.name] = true
		if wholeOK {
			continue
		}
		m, ok := entries[p.name]
		if !ok {
			j.problem("%s: %q is not in MANIFEST.MF", name, p.name)
			continue
		}
		ds, err := jarDigests(p.attributes(), "-Digest", sdk.minSDK, sdk.maxSDK)
		if err != nil || len(ds) == 0 {
			j.problem("%s: no digest for %q", name, p.name)
			continue
		}
		text := m.text
		if signtool && bytes.HasSuffix(text, []byte("\n\n")) {
			text = text[:len(text)-1]
		}
		if h, ok := matches(text, ds); !ok {
			j.problem("%s: the %v digest of MANIFEST.MF's section %q does not match", name, h, p.name)
		}
	}
}

// verifyEntries compares the files of the zip with their digests in MANIFEST.MF, on all cores, and finds the
// signers that all of them have in common.
func (j *jarScheme) verifyEntries(z *Zip, entries map[string]section, signers []*jarSigner, sdk jarRange, full bool) error {
	signedBy := func(name string) (by uint16) {
		for i, s := range signers {
			if s.names[name] {
				by |= 1 << i
			}
		}
		return by
	}
	pick := func(by uint16) (some []*jarSigner) {
		for i, s := range signers {
			if by&(1<<i) != 0 {
				some = append(some, s)
			}
		}
		return some
	}
	var (
		todo  []*Entry
		total int64
	)
	for i := range z.Entries {
		e := &z.Entries[i]
		if strings.HasPrefix(e.Name, metaInf) || strings.HasSuffix(e.Name, "/") || !full && e.Name != codeManifest {
			continue
		}
		todo = append(todo, e)
		if total += min(e.Size, maxUnpacked); total > maxUnpacked {
			j.problem("the files unpack to more than the %d bytes read here", int64(maxUnpacked))
			return nil
		}
	}
	var common uint16
	for _, e := range todo {
		by := signedBy(e.Name)
		if _, ok := entries[e.Name]; !ok || by == 0 {
			j.problem("%q: not signed", e.Name)
		} else if common == 0 {
			common = by
		} else if by != common {
			j.problem("%q: not signed by the same signers as %q", e.Name, todo[0].Name)
		}
	}
	if len(todo) == 0 {
		j.problem("no signed file")
	}
	faults := make([]string, len(todo))
	err := parallel(len(todo), func() func(int) error {
		buf := make([]byte, 64<<10)
		return func(i int) error {
			e := todo[i]
			m, ok := entries[e.Name]
			if !ok {
				return nil
			}
			fault, err := checkEntry(z, e, m, sdk, buf)
			if err != nil {
				return err
			}
			faults[i] = fault
			if e.Name == codeManifest && fault == "" { // there is one at most
				j.claimed = pick(signedBy(e.Name))
			}
			return nil
		}
	})
	if err != nil {
		return err
	}
	for i, f := range faults {
		if f != "" {
			j.problem("%q: %s", todo[i].Name, f)
		}
	}
	j.signers = pick(common)
	return nil
}

// checkEntry hashes a file and says how its digests differ from those that MANIFEST.MF has, if they do.
func checkEntry(z *Zip, e *Entry, m section, sdk jarRange, buf []byte) (string, error) {
	ds, err := jarDigests(m.attributes(), "-Digest", sdk.minSDK, sdk.maxSDK)
	if err != nil || len(ds) == 0 {
		return "no digest in MANIFEST.MF", nil
	}
	hs := make([]hash.Hash, len(ds))
	ws := make([]io.Writer, len(ds))
	for i, d := range ds {
		hs[i] = d.hash.New()
		ws[i] = hs[i]
	}
	r, err := z.Open(e)
	if err == nil {
		_, err = io.CopyBuffer(io.MultiWriter(ws...), struct{ io.Reader }{r}, buf)
		r.Close()
	}
	if _, ok := errors.AsType[*FormatError](err); ok {
		return err.Error(), nil
	}
	if err != nil && !errors.Is(err, ErrChecksum) {
		return "", err
	}
	for i, d := range ds {
		if !bytes.Equal(hs[i].Sum(nil), d.want) {
			return fmt.Sprintf("its %v digest is not that of MANIFEST.MF", d.hash), nil
		}
	}
	return "", nil
}
