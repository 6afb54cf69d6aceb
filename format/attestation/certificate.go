package attestation

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha1" // signatures of old intermediates
	"crypto/sha256"
	_ "crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"gifthorse/internal/cursor"
)

// A FormatError says what is wrong with a certificate, and at which byte of its DER.
type FormatError = cursor.FormatError

// A Certificate is one X.509 certificate of a chain.
type Certificate struct {
	Raw    []byte // the whole DER
	Off    int64  // where it begins in what it was read from: the DER, or the text that holds it
	Serial string // lower-case hex without leading zeros, as Google's status list writes it; a negative one has a minus

	Subject, Issuer     string    // "CN=..., O=..." in the order of the certificate
	NotBefore, NotAfter time.Time // zero if it could not be read
	PublicKey           []byte    // SubjectPublicKeyInfo, DER
	KeySHA256           [32]byte  // of PublicKey

	// Description is what the attestation extension says, nil if there is none or if Problem says why it could not be read.
	Description *Description
	Problem     error
	// Provisioning is the provisioning information of a remotely provisioned key, nil if there is none.
	Provisioning *Provisioning

	extended                  bool   // has an attestation extension, readable or not
	described                 bool   // has one of the form that is read
	subject, issuer           []byte // names, DER
	plainSubject, plainIssuer string
	serialName                string // attribute of the subject
	signed                    []byte // what the signature is over
	algorithm                 []byte // OID
	signature                 []byte
}

// maxCertificate is the size of a certificate that is read. Those of devices have 0.5 to 6 KiB, the largest with post-quantum keys.
const maxCertificate = 128 << 10

// Object identifiers, as DER writes their contents.
var (
	oidAttestation  = []byte{0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 1, 17} // 1.3.6.1.4.1.11129.2.1.17
	oidEAT          = []byte{0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 1, 25}
	oidProvisioning = []byte{0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 1, 30}

	oidRSA          = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1}
	oidEC           = []byte{0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1}
	oidEd           = []byte{0x2b, 0x65, 0x70}
	oidSerialNumber = []byte{0x55, 4, 5}
)

// attributes are the short names of what a distinguished name is made of (RFC 4519), by the last byte of 2.5.4.
var attributes = map[byte]string{3: "CN", 4: "SN", 5: "serialNumber", 6: "C", 7: "L", 8: "ST", 10: "O", 11: "OU", 12: "title"}

// newCertificate reads one certificate from DER. It reads no more of it than a chain needs, so that what Go's x509 refuses (odd
// serial numbers, key usages, booleans) does not matter, as it does not to phones.
func newCertificate(raw []byte, off int64) (*Certificate, error) {
	c := &Certificate{Off: off}
	d := &der{b: raw}
	whole, err := d.want(tagSequence, "the certificate")
	if err != nil {
		return nil, err
	}
	if len(whole.raw) > maxCertificate {
		return nil, cursor.Errorf(0, "a certificate of %d bytes", len(whole.raw))
	}
	c.Raw = whole.raw
	d = whole.inside()
	tbs, err := d.want(tagSequence, "what is signed")
	if err != nil {
		return nil, err
	}
	c.signed = tbs.raw
	alg, err := d.want(tagSequence, "the algorithm")
	if err != nil {
		return nil, err
	}
	oid, err := alg.inside().want(tagOID, "the algorithm")
	if err != nil {
		return nil, err
	}
	c.algorithm = oid.body
	sig, err := d.want(tagBitString, "the signature")
	if err != nil {
		return nil, err
	}
	if len(sig.body) > 0 {
		c.signature = sig.body[1:]
	}
	return c, c.readSigned(tbs.inside())
}

func (c *Certificate) readSigned(d *der) error {
	e, err := d.next()
	if err == nil && e.class == context && e.tag == 0 { // the version
		e, err = d.next()
	}
	if err != nil {
		return err
	}
	serial, err := e.number("the serial number")
	if err != nil {
		return err
	}
	c.Serial = serial.Text(16)
	if _, err = d.want(tagSequence, "the algorithm"); err != nil {
		return err
	}
	if e, err = d.want(tagSequence, "the issuer"); err != nil {
		return err
	}
	c.issuer = e.raw
	c.Issuer, _ = name(e)
	c.plainIssuer = plain(c.Issuer)
	if e, err = d.want(tagSequence, "the validity"); err != nil {
		return err
	}
	v := e.inside()
	if e, err = v.next(); err == nil {
		c.NotBefore = e.when()
	}
	if e, err = v.next(); err == nil {
		c.NotAfter = e.when()
	}
	if e, err = d.want(tagSequence, "the subject"); err != nil {
		return err
	}
	c.subject = e.raw
	c.Subject, c.serialName = name(e)
	c.plainSubject = plain(c.Subject)
	if e, err = d.want(tagSequence, "the key"); err != nil {
		return err
	}
	c.PublicKey, c.KeySHA256 = e.raw, sha256.Sum256(e.raw)
	for d.more() {
		if e, err = d.next(); err != nil {
			return err
		}
		if e.class != context || e.tag != 3 {
			continue
		}
		if e, err = e.inside().want(tagSequence, "the extensions"); err != nil {
			return err
		}
		for x := e.inside(); x.more(); {
			if e, err = x.want(tagSequence, "an extension"); err != nil {
				return err
			}
			if err = c.extension(e.inside()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Certificate) extension(d *der) error {
	oid, err := d.want(tagOID, "an extension's name")
	if err != nil {
		return err
	}
	known := bytes.Equal(oid.body, oidAttestation) || bytes.Equal(oid.body, oidEAT) || bytes.Equal(oid.body, oidProvisioning)
	if !known {
		return nil
	}
	value, err := d.next()
	if err == nil && value.is(tagBoolean) { // critical or not
		value, err = d.next()
	}
	if err != nil {
		return err
	}
	body, err := value.bytes("an extension's value")
	if err != nil {
		return err
	}
	switch {
	case bytes.Equal(oid.body, oidEAT):
		c.extended = true
		if c.Problem == nil && c.Description == nil {
			c.Problem = fmt.Errorf("an attestation in the form of an entity attestation token (CBOR, 1.3.6.1.4.1.11129.2.1.25): %w", errors.ErrUnsupported)
		}
	case bytes.Equal(oid.body, oidProvisioning):
		c.Provisioning = provisioning(body)
	case c.described:
		c.Description, c.Problem = nil, cursor.Errorf(oid.off, "two attestation extensions in one certificate")
	default:
		c.extended, c.described = true, true
		c.Description, c.Problem = describe(value.inside())
	}
	return nil
}

// name reads a distinguished name.
func name(e element) (text, serial string) {
	var b strings.Builder
	for sets := e.inside(); sets.more(); {
		set, err := sets.next()
		if err != nil {
			break
		}
		for pairs := set.inside(); pairs.more(); {
			pair, err := pairs.next()
			if err != nil {
				break
			}
			d := pair.inside()
			key, err := d.want(tagOID, "a name")
			if err != nil {
				break
			}
			value, err := d.next()
			if err != nil {
				break
			}
			short := "?"
			if k := key.body; len(k) == 3 && k[0] == 0x55 && k[1] == 4 && attributes[k[2]] != "" {
				short = attributes[k[2]]
			}
			if bytes.Equal(key.body, oidSerialNumber) {
				serial = string(value.body)
			}
			if b.Len() > 0 {
				b.WriteString(", ")
			}
			b.WriteString(short + "=" + strings.ToValidUTF8(string(value.body), "?"))
		}
	}
	return b.String(), serial
}

// issuedByName compares names as Java's X500Principal does, which Google's verifier asks: without regard to capitals, to blanks, and to
// the type of the strings.
func (c *Certificate) issuedByName(parent *Certificate) bool {
	return bytes.Equal(c.issuer, parent.subject) || c.plainIssuer == parent.plainSubject
}

func plain(s string) string { return strings.Join(strings.Fields(strings.ToLower(s)), " ") }

// hashes are those of the signature algorithms, by OID (RFC 8017 A.2.4, RFC 5758).
var hashes = map[string]crypto.Hash{
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05": crypto.SHA1, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e": crypto.SHA224, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b": crypto.SHA256,
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c": crypto.SHA384, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d": crypto.SHA512,
	"\x2a\x86\x48\xce\x3d\x04\x01": crypto.SHA1, "\x2a\x86\x48\xce\x3d\x04\x03\x01": crypto.SHA224, "\x2a\x86\x48\xce\x3d\x04\x03\x02": crypto.SHA256,
	"\x2a\x86\x48\xce\x3d\x04\x03\x03": crypto.SHA384, "\x2a\x86\x48\xce\x3d\x04\x03\x04": crypto.SHA512,
}

// signedBy checks the signature with the key of parent. A key or an algorithm that is not known wraps errors.ErrUnsupported.
func (c *Certificate) signedBy(parent *Certificate) error {
	key, err := parent.key()
	if err != nil {
		return err
	}
	h, known := hashes[string(c.algorithm)]
	overRSA := bytes.HasPrefix(c.algorithm, oidRSA[:8])
	if key, ok := key.(ed25519.PublicKey); ok && bytes.Equal(c.algorithm, oidEd) {
		if !ed25519.Verify(key, c.signed, c.signature) {
			return errMismatch
		}
		return nil
	}
	if !known {
		return fmt.Errorf("signature algorithm %x: %w", c.algorithm, errors.ErrUnsupported)
	}
	sum := h.New()
	sum.Write(c.signed)
	switch key := key.(type) {
	case *rsa.PublicKey:
		if !overRSA || rsa.VerifyPKCS1v15(key, h, sum.Sum(nil), c.signature) != nil {
			return errMismatch
		}
	case *ecdsa.PublicKey:
		if overRSA || !verifyEC(key, sum.Sum(nil), c.signature) {
			return errMismatch
		}
	default:
		return errMismatch
	}
	return nil
}

var errMismatch = errors.New("the signature does not fit")

// verifyEC takes the two numbers of a signature apart itself: some devices write them with bytes to spare.
func verifyEC(key *ecdsa.PublicKey, sum, sig []byte) bool {
	e, err := (&der{b: sig}).want(tagSequence, "the signature")
	if err != nil {
		return false
	}
	d := e.inside()
	var n [2]*big.Int
	for i := range n {
		e, err := d.next()
		if err == nil {
			n[i], err = e.number("the signature")
		}
		if err != nil {
			return false
		}
	}
	return n[0].Sign() > 0 && n[1].Sign() > 0 && ecdsa.Verify(key, sum, n[0], n[1])
}

// maxModulus is how long a modulus may be in bytes: twice that of Google's root.
const maxModulus = 1024

// key returns the certificate's key: RSA, ECDSA or Ed25519.
func (c *Certificate) key() (crypto.PublicKey, error) {
	e, err := (&der{b: c.PublicKey}).want(tagSequence, "the key")
	if err != nil {
		return nil, err
	}
	d := e.inside()
	alg, err := d.want(tagSequence, "the key's algorithm")
	if err != nil {
		return nil, err
	}
	bits, err := d.want(tagBitString, "the key")
	if err != nil {
		return nil, err
	}
	if len(bits.body) < 2 {
		return nil, cursor.Errorf(bits.off, "an empty key")
	}
	body := bits.body[1:]
	p := alg.inside()
	oid, err := p.want(tagOID, "the key's algorithm")
	if err != nil {
		return nil, err
	}
	switch {
	case bytes.Equal(oid.body, oidRSA):
		e, err := (&der{b: body}).want(tagSequence, "the key")
		if err != nil {
			return nil, err
		}
		d := e.inside()
		var n [2]*big.Int
		for i := range n {
			e, err := d.next()
			if err == nil {
				n[i], err = e.number("the key")
			}
			if err != nil {
				return nil, err
			}
		}
		if n[0].Sign() <= 0 || n[0].BitLen() > 8*maxModulus || !n[1].IsInt64() || n[1].Int64() < 3 || n[1].Int64() > 1<<31-1 {
			return nil, cursor.Errorf(bits.off, "an RSA key that cannot be one")
		}
		return &rsa.PublicKey{N: n[0], E: int(n[1].Int64())}, nil
	case bytes.Equal(oid.body, oidEC):
		curve, err := p.want(tagOID, "the key's curve")
		if err != nil {
			return nil, err
		}
		known := map[string]elliptic.Curve{"\x2b\x81\x04\x00\x21": elliptic.P224(), "\x2a\x86\x48\xce\x3d\x03\x01\x07": elliptic.P256(),
			"\x2b\x81\x04\x00\x22": elliptic.P384(), "\x2b\x81\x04\x00\x23": elliptic.P521()}[string(curve.body)]
		if known == nil {
			return nil, fmt.Errorf("a key on the curve %x: %w", curve.body, errors.ErrUnsupported)
		}
		return ecdsa.ParseUncompressedPublicKey(known, body)
	case bytes.Equal(oid.body, oidEd) && len(body) == ed25519.PublicKeySize:
		return ed25519.PublicKey(body), nil
	}
	return nil, fmt.Errorf("a key of the kind %s: %w", hex.EncodeToString(oid.body), errors.ErrUnsupported)
}
