package apk

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"gifthorse/internal/cursor"
)

// Certificates and PKCS #7 blocks are read as BER, not DER: phones took certificates with long-form lengths,
// negative serial numbers and negative moduli for years, and such apps are still about. encoding/asn1 and
// crypto/x509 refuse them.

// Identifier octets.
const (
	tagBoolean     = 0x01
	tagInteger     = 0x02
	tagBitString   = 0x03
	tagOctetString = 0x04
	tagOID         = 0x06
	tagUTF8        = 0x0c
	tagT61         = 0x14
	tagUTCTime     = 0x17
	tagGeneralTime = 0x18
	tagUniversal   = 0x1c
	tagBMP         = 0x1e
	tagSequence    = 0x30
	tagSet         = 0x31
	tagContext0    = 0xa0 // constructed
	tagContext1    = 0xa1
	tagContext3    = 0xa3
)

// Values of indefinite length nest, and finding where one ends means walking into it. Nothing in a
// certificate or a PKCS #7 block is deeper than about twelve levels.
const maxBERDepth = 24

// A ber is one BER value.
type ber struct {
	tag  byte   // the identifier octet
	off  int    // where full begins in the input
	full []byte // the value with its identifier and length
	body []byte
	head int // length of identifier and length octets
}

// in returns a reader of the values inside a constructed value.
func (v ber) in() *berReader { return &berReader{b: v.body, base: v.off + v.head} }

// readBER reads the first value of b, which lies at off in the input.
func readBER(b []byte, off, depth int) (ber, error) {
	if depth > maxBERDepth {
		return ber{}, cursor.Errorf(int64(off), "ASN.1 values nested too deep")
	}
	if len(b) < 2 {
		return ber{}, cursor.Errorf(int64(off), "ASN.1 value cut short")
	}
	if b[0]&0x1f == 0x1f {
		return ber{}, cursor.Errorf(int64(off), "ASN.1 tag number above 30")
	}
	v := ber{tag: b[0], off: off, head: 2}
	n := int(b[1])
	if n == 0x80 { // ends with two zero bytes
		if v.tag&0x20 == 0 {
			return ber{}, cursor.Errorf(int64(off), "primitive ASN.1 value without length")
		}
		p := 2
		for {
			if len(b)-p >= 2 && b[p] == 0 && b[p+1] == 0 {
				v.body, v.full = b[2:p], b[:p+2]
				return v, nil
			}
			inner, err := readBER(b[p:], off+p, depth+1)
			if err != nil {
				return ber{}, err
			}
			p += len(inner.full)
		}
	}
	if n > 0x80 {
		octets := n - 0x80
		if octets > len(b)-2 {
			return ber{}, cursor.Errorf(int64(off), "ASN.1 length cut short")
		}
		n = 0
		for _, c := range b[2 : 2+octets] {
			if n > len(b)>>8 {
				return ber{}, cursor.Errorf(int64(off), "ASN.1 value longer than what holds it")
			}
			n = n<<8 | int(c)
		}
		v.head += octets
	}
	if n > len(b)-v.head {
		return ber{}, cursor.Errorf(int64(off), "ASN.1 value of %d bytes, %d left", n, len(b)-v.head)
	}
	v.body, v.full = b[v.head:v.head+n], b[:v.head+n]
	return v, nil
}

// A berReader takes BER values one after the other and remembers the first error.
type berReader struct {
	b    []byte
	base int
	err  error
}

func (r *berReader) more() bool { return r.err == nil && len(r.b) > 0 }

// has says whether the next value has that tag.
func (r *berReader) has(tag byte) bool { return r.more() && r.b[0] == tag }

// any takes the next value, whatever it is.
func (r *berReader) any() ber {
	if r.err != nil {
		return ber{}
	}
	v, err := readBER(r.b, r.base, 0)
	if err != nil {
		r.err = err
		return ber{}
	}
	r.b = r.b[len(v.full):]
	r.base += len(v.full)
	return v
}

// take takes the next value, which must have that tag.
func (r *berReader) take(tag byte) ber {
	off := r.base
	v := r.any()
	if r.err == nil && v.tag != tag {
		r.err = cursor.Errorf(int64(off), "ASN.1 tag %#x where %#x belongs", v.tag, tag)
		return ber{}
	}
	return v
}

// skip takes the next value if it has that tag.
func (r *berReader) skip(tag byte) {
	if r.has(tag) {
		r.any()
	}
}

// integer reads a two's complement number of any length.
func (v ber) integer() *big.Int {
	n := new(big.Int).SetBytes(v.body)
	if len(v.body) > 0 && v.body[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(v.body))*8))
	}
	return n
}

// oid returns an object identifier in dotted form.
func (v ber) oid() string {
	var s []byte
	var n uint64
	for _, c := range v.body {
		if n > 1<<56 {
			return "" // no identifier that means anything here is that large
		}
		n = n<<7 | uint64(c&0x7f)
		if c&0x80 != 0 {
			continue
		}
		if s == nil {
			first := min(n/40, 2)
			s = strconv.AppendUint(s, first, 10)
			n -= first * 40
		}
		s = append(s, '.')
		s = strconv.AppendUint(s, n, 10)
		n = 0
	}
	return string(s)
}

// time reads UTCTime or GeneralizedTime. What cannot be read is the zero time: a date that makes no sense
// does not change who signed.
func (v ber) time() time.Time {
	layouts := []string{"060102150405Z0700", "0601021504Z0700"}
	if v.tag == tagGeneralTime {
		layouts = []string{"20060102150405Z0700", "200601021504Z0700", "20060102150405.999Z0700"}
	}
	for _, l := range layouts {
		t, err := time.Parse(l, string(v.body))
		if err != nil {
			continue
		}
		if v.tag == tagUTCTime && t.Year() >= 2050 { // RFC 5280, 4.1.2.5.1
			t = t.AddDate(-100, 0, 0)
		}
		return t.UTC()
	}
	return time.Time{}
}

// text reads one of the string types.
func (v ber) text() string {
	switch v.tag {
	case tagBMP:
		u := make([]uint16, len(v.body)/2)
		for i := range u {
			u[i] = binary.BigEndian.Uint16(v.body[2*i:])
		}
		return string(utf16.Decode(u))
	case tagUniversal:
		var s strings.Builder
		for b := v.body; len(b) >= 4; b = b[4:] {
			s.WriteRune(rune(binary.BigEndian.Uint32(b)))
		}
		return s.String()
	case tagT61:
		var s strings.Builder
		for _, c := range v.body { // in practice Latin-1
			s.WriteRune(rune(c))
		}
		return s.String()
	case tagOctetString, tagBitString, tagSequence, tagSet:
		return "#" + hex.EncodeToString(v.full)
	}
	return strings.ToValidUTF8(string(v.body), "\ufffd")
}

// attributeNames are the short names Java prints (sun.security.x509.AVAKeyword).
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SURNAME", "2.5.4.5": "SERIALNUMBER", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "T", "2.5.4.42": "GIVENNAME", "2.5.4.43": "INITIALS",
	"2.5.4.44": "GENERATION", "2.5.4.46": "DNQ", "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
	"1.2.840.113549.1.9.1": "EMAILADDRESS",
}

// name reads a distinguished name and writes it as Java and apksigner do: last part first.
func (v ber) name() (string, error) {
	var parts []string
	rdns := v.in()
	for rdns.more() {
		var values []string
		set := rdns.take(tagSet).in()
		for set.more() {
			pair := set.take(tagSequence).in()
			oid, value := pair.take(tagOID).oid(), pair.any()
			if pair.err != nil {
				return "", pair.err
			}
			key := attributeNames[oid]
			if key == "" {
				key = "OID." + oid
			}
			values = append(values, key+"="+quoteName(value.text()))
		}
		if set.err != nil {
			return "", set.err
		}
		parts = append(parts, strings.Join(values, " + "))
	}
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return strings.Join(parts, ", "), rdns.err
}

func quoteName(s string) string {
	if !strings.ContainsAny(s, ",+=\n<>#;\\\"") && strings.TrimSpace(s) == s {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// A certificate is what the verification needs of an X.509 certificate.
type certificate struct {
	raw                 []byte
	serial              *big.Int
	issuer, subject     string
	issuerRaw           []byte
	notBefore, notAfter time.Time
	key                 publicKey
	keyErr              error  // why key cannot be used
	noSigning           string // why the extensions forbid signing, "" if they do not
}

// parseCertificate reads a certificate. What follows it in b is ignored, as Java's CertificateFactory does.
func parseCertificate(b []byte) (*certificate, error) {
	outer := &berReader{b: b}
	cert := outer.take(tagSequence)
	if outer.err != nil {
		return nil, outer.err
	}
	c := &certificate{raw: b}
	tbs := cert.in().take(tagSequence).in()
	tbs.skip(tagContext0) // version
	c.serial = tbs.take(tagInteger).integer()
	tbs.take(tagSequence) // signature algorithm
	issuer := tbs.take(tagSequence)
	validity := tbs.take(tagSequence).in()
	subject := tbs.take(tagSequence)
	spki := tbs.take(tagSequence)
	tbs.skip(0x81) // unique ids
	tbs.skip(0x82)
	if tbs.err != nil {
		return nil, tbs.err
	}
	c.notBefore, c.notAfter = validity.any().time(), validity.any().time()
	if validity.err != nil {
		return nil, validity.err
	}
	var err error
	if c.issuer, err = issuer.name(); err != nil {
		return nil, err
	}
	if c.subject, err = subject.name(); err != nil {
		return nil, err
	}
	c.issuerRaw = issuer.full
	c.key, c.keyErr = parsePublicKey(spki.full)
	if tbs.has(tagContext3) {
		c.noSigning, err = checkExtensions(tbs.any().in().take(tagSequence))
	}
	return c, err
}

// knownExtensions are the extensions that may be critical: those of X509_supported_extension in BoringSSL.
var knownExtensions = map[string]bool{
	"2.5.29.15": true, "2.5.29.17": true, "2.5.29.19": true, "2.5.29.30": true, "2.5.29.31": true, "2.5.29.32": true,
	"2.5.29.33": true, "2.5.29.36": true, "2.5.29.37": true, "2.5.29.54": true, "2.16.840.1.113730.1.1": true,
}

// checkExtensions says why, by its extensions, a certificate may not sign an APK. Android looks at two
// things only (StrictJarVerifier and apksig's V1SchemeVerifier): unknown critical extensions, and keyUsage.
func checkExtensions(list ber) (string, error) {
	r := list.in()
	for r.more() {
		ext := r.take(tagSequence).in()
		oid, critical := ext.take(tagOID).oid(), false
		if ext.has(tagBoolean) {
			b := ext.any().body
			critical = len(b) > 0 && b[0] != 0
		}
		value := ext.take(tagOctetString)
		if ext.err != nil {
			return "", ext.err
		}
		if critical && !knownExtensions[oid] {
			return "the signer's certificate has an unknown critical extension " + oid, nil
		}
		if oid == "2.5.29.15" {
			bits := value.in().take(tagBitString).body
			const digitalSignature, nonRepudiation = 0x80, 0x40
			if len(bits) < 2 || bits[1]&(digitalSignature|nonRepudiation) == 0 {
				return "the signer's certificate is not for signing (keyUsage)", nil
			}
		}
	}
	return "", r.err
}

// A signedData is what the verification needs of a PKCS #7 SignedData (RFC 2315).
type signedData struct {
	contentType string
	certs       []*certificate
	signers     []signerInfo
}

type signerInfo struct {
	issuerRaw []byte
	issuer    string
	serial    *big.Int // nil if the signer is named in another way
	digest    string   // OID
	attrs     *ber     // signed attributes
	algorithm string   // OID
	signature []byte
}

// Every SignerInfo costs a verification. Two are more than any tool ever wrote.
const maxSignerInfos = 32

func parseSignedData(b []byte) (*signedData, error) {
	const oidSignedData = "1.2.840.113549.1.7.2"
	info := (&berReader{b: b}).take(tagSequence).in()
	if oid := info.take(tagOID).oid(); info.err == nil && oid != oidSignedData {
		return nil, cursor.Errorf(0, "PKCS #7 content type %s, not SignedData", oid)
	}
	content := info.take(tagContext0).in()
	if info.err != nil {
		return nil, info.err
	}
	body := content.take(tagSequence).in()
	if content.err != nil {
		return nil, content.err
	}
	sd := &signedData{}
	body.take(tagInteger) // version
	body.take(tagSet)     // digest algorithms
	encap := body.take(tagSequence).in()
	sd.contentType = encap.take(tagOID).oid()
	if body.has(tagContext0) {
		bag := body.any().in()
		for bag.more() {
			v := bag.any()
			if bag.err != nil || v.tag != tagSequence { // other kinds of certificate exist on paper
				continue
			}
			c, err := parseCertificate(v.full)
			if err != nil {
				return nil, fmt.Errorf("certificate at byte %#x: %w", v.off, err)
			}
			sd.certs = append(sd.certs, c)
		}
		if bag.err != nil {
			return nil, bag.err
		}
	}
	body.skip(tagContext1) // revocation lists
	infos := body.take(tagSet).in()
	if encap.err != nil {
		return nil, encap.err
	}
	if body.err != nil {
		return nil, body.err
	}
	for infos.more() {
		if len(sd.signers) == maxSignerInfos {
			return nil, cursor.Errorf(int64(infos.base), "more than %d SignerInfos", maxSignerInfos)
		}
		si, err := parseSignerInfo(infos.take(tagSequence).in())
		if err != nil {
			return nil, err
		}
		sd.signers = append(sd.signers, si)
	}
	return sd, infos.err
}

func parseSignerInfo(r *berReader) (signerInfo, error) {
	var si signerInfo
	r.take(tagInteger) // version
	if id := r.any(); id.tag == tagSequence {
		in := id.in()
		issuer, serial := in.take(tagSequence), in.take(tagInteger)
		if in.err != nil {
			return si, in.err
		}
		name, err := issuer.name()
		if err != nil {
			return si, err
		}
		si.issuerRaw, si.issuer, si.serial = issuer.full, name, serial.integer()
	}
	si.digest = r.take(tagSequence).in().take(tagOID).oid()
	if r.has(tagContext0) {
		attrs := r.any()
		si.attrs = &attrs
	}
	si.algorithm = r.take(tagSequence).in().take(tagOID).oid()
	si.signature = r.take(tagOctetString).body
	return si, r.err
}

// certificate returns the certificate that the SignerInfo names, or nil.
func (sd *signedData) certificate(si signerInfo) *certificate {
	if si.serial == nil {
		return nil
	}
	for _, c := range sd.certs {
		// Java compares names without regard to case and the string types used.
		if c.serial.Cmp(si.serial) == 0 && (string(c.issuerRaw) == string(si.issuerRaw) || strings.EqualFold(c.issuer, si.issuer)) {
			return c
		}
	}
	return nil
}

// attributes returns the signed attributes by OID. Each may be there once and have one value.
func (si signerInfo) attributes() (map[string][]ber, error) {
	all := map[string][]ber{}
	r := si.attrs.in()
	for r.more() {
		a := r.take(tagSequence).in()
		oid := a.take(tagOID).oid()
		values := a.take(tagSet).in()
		if a.err != nil {
			return nil, a.err
		}
		if _, twice := all[oid]; twice {
			return nil, fmt.Errorf("signed attribute %s is there twice", oid)
		}
		all[oid] = []ber{}
		for values.more() {
			all[oid] = append(all[oid], values.any())
		}
		if values.err != nil {
			return nil, values.err
		}
	}
	return all, r.err
}
