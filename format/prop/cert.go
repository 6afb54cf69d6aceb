package prop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/md5"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"
	"time"

	"gifthorse/internal/cursor"
)

// A Certificate is an X.509 certificate. What could not be read of it is empty, and Problem says why.
type Certificate struct {
	DER             []byte
	SHA256          [32]byte // of DER
	Subject, Issuer string   // RFC 2253
	SerialNumber    *big.Int
	// SubjectHashOld is OpenSSL's subject_hash_old, eight hex digits: the name under which Android keeps the
	// certificate in etc/security/cacerts, before ".0".
	SubjectHashOld      string
	NotBefore, NotAfter time.Time
	KeyAlg              string // "RSA", "EC", "Ed25519", or "" for another
	KeyBits             int
	SPKISHA256          [32]byte // of the subject's public key info, as certificate pins are
	SignatureAlg        string   // "SHA256-RSA"; "" if not read
	IsCA                bool
	SelfIssued          bool // the issuer's name is the subject's
	// Problem says what is wrong with a certificate that Go's x509 refuses. The phone may take it all the same.
	Problem string
}

// ParseCertificates reads a certificate file: PEM with any text around it, as the hash-named files of
// etc/security/cacerts are, or one DER certificate. Of a file in cacerts with several certificates the phone trusts
// the first (TrustedCertificateStore.java).
func ParseCertificates(b []byte) ([]Certificate, error) {
	if ders := pemCertificates(b); len(ders) > 0 {
		var certs []Certificate
		for _, der := range ders {
			certs = append(certs, parseCertificate(der))
		}
		return certs, nil
	}
	if bytes.Contains(b, []byte("-----BEGIN ")) {
		return nil, cursor.Errorf(int64(bytes.Index(b, []byte("-----BEGIN "))), "PEM without a certificate that can be read")
	}
	var raw asn1.RawValue
	rest, err := asn1.Unmarshal(b, &raw)
	if err != nil || raw.Class != asn1.ClassUniversal || raw.Tag != asn1.TagSequence || !raw.IsCompound {
		return nil, cursor.Errorf(0, "neither a PEM nor a DER certificate")
	}
	c := parseCertificate(b[:len(b)-len(rest)])
	if c.SPKISHA256 == ([32]byte{}) { // some other DER: a key, a PKCS #7 message
		return nil, cursor.Errorf(0, "DER, but not a certificate")
	}
	return []Certificate{c}, nil
}

// pemCertificates returns the certificates of a PEM file. It is laxer than encoding/pem and about as lax as
// BoringSSL: lines may have any length, white space may stand anywhere, headers are passed over.
func pemCertificates(b []byte) [][]byte {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	var ders [][]byte
	text := string(b)
	for {
		_, after, ok := strings.Cut(text, begin)
		if !ok {
			return ders
		}
		label, body, ok := strings.Cut(after, dashes)
		if !ok {
			return ders
		}
		text = body
		body, rest, ok := strings.Cut(body, end)
		if !ok {
			return ders
		}
		if i := strings.LastIndex(body, begin); i >= 0 { // unfinished blocks before a whole one
			text = text[i:]
			continue
		}
		text = rest
		switch label {
		case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		default:
			continue
		}
		var sb strings.Builder
		for l := range strings.Lines(body) {
			if strings.Contains(l, ":") {
				continue
			}
			for i := 0; i < len(l); i++ {
				if !isSpace(l[i]) && l[i] != '=' {
					sb.WriteByte(l[i])
				}
			}
		}
		der, err := base64.RawStdEncoding.DecodeString(sb.String())
		if err != nil {
			continue
		}
		// A trusted certificate has OpenSSL's own data after it.
		var raw asn1.RawValue
		if rest, err := asn1.Unmarshal(der, &raw); err == nil {
			der = der[:len(der)-len(rest)]
		}
		ders = append(ders, der)
	}
}

// certificateParts is the outline of a certificate, X.509 section 4.1, with everything that varies left raw.
type certificateParts struct {
	TBS struct {
		Raw       asn1.RawContent
		Version   asn1.RawValue `asn1:"optional,explicit,tag:0"`
		Serial    *big.Int
		Signature pkix.AlgorithmIdentifier
		Issuer    asn1.RawValue
		Validity  asn1.RawValue
		Subject   asn1.RawValue
		SPKI      asn1.RawValue
		Rest      asn1.RawValue `asn1:"optional"`
	}
	Alg       asn1.RawValue
	Signature asn1.RawValue
}

func parseCertificate(der []byte) Certificate {
	c := Certificate{DER: der, SHA256: sha256.Sum256(der)}
	cert, err := x509.ParseCertificate(der)
	if err == nil {
		c.Subject, c.Issuer = cert.Subject.String(), cert.Issuer.String()
		c.SerialNumber = cert.SerialNumber
		c.NotBefore, c.NotAfter = cert.NotBefore, cert.NotAfter
		c.IsCA = cert.IsCA
		if cert.SignatureAlgorithm != x509.UnknownSignatureAlgorithm {
			c.SignatureAlg = cert.SignatureAlgorithm.String()
		}
		c.names(cert.RawSubject, cert.RawIssuer)
		c.key(cert.RawSubjectPublicKeyInfo)
		// Version 1 has no extension that could say so; Android takes such a certificate as a trust anchor.
		c.IsCA = c.IsCA || cert.Version < 3 && c.SelfIssued
		return c
	}
	c.Problem = clip(err.Error())
	var parts certificateParts
	if _, err := asn1.Unmarshal(der, &parts); err != nil {
		return c
	}
	t := &parts.TBS
	c.SerialNumber = t.Serial
	c.names(t.Subject.FullBytes, t.Issuer.FullBytes)
	c.Subject, c.Issuer = nameString(t.Subject.FullBytes), nameString(t.Issuer.FullBytes)
	var validity struct{ NotBefore, NotAfter time.Time }
	if _, err := asn1.Unmarshal(t.Validity.FullBytes, &validity); err == nil {
		c.NotBefore, c.NotAfter = validity.NotBefore, validity.NotAfter
	}
	c.key(t.SPKI.FullBytes)
	return c
}

func nameString(der []byte) string {
	var rdns pkix.RDNSequence
	if _, err := asn1.Unmarshal(der, &rdns); err != nil {
		return ""
	}
	return rdns.String()
}

func (c *Certificate) names(subject, issuer []byte) {
	// X509_NAME_hash_old: the first four bytes, little-endian, of the MD5 of the name as encoded.
	sum := md5.Sum(subject)
	c.SubjectHashOld = fmt.Sprintf("%08x", binary.LittleEndian.Uint32(sum[:]))
	c.SelfIssued = bytes.Equal(subject, issuer)
}

func (c *Certificate) key(spki []byte) {
	c.SPKISHA256 = sha256.Sum256(spki)
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		if c.Problem == "" {
			c.Problem = clip(err.Error())
		}
		return
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		c.KeyAlg, c.KeyBits = "RSA", k.N.BitLen()
	case *ecdsa.PublicKey:
		c.KeyAlg, c.KeyBits = "EC", k.Curve.Params().BitSize
	case ed25519.PublicKey:
		c.KeyAlg, c.KeyBits = "Ed25519", 256
	}
}
