package apk

import (
	"bytes"
	"crypto"
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/elliptic"
	_ "crypto/md5" // the hashes old signatures use
	"crypto/rsa"
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
)

// A keyType is a kind of public key, with the kind of signature it makes.
type keyType uint8

const (
	keyRSA keyType = 1 + iota
	keyRSAPSS
	keyDSA
	keyECDSA
)

func (k keyType) String() string {
	return [...]string{"", "RSA", "RSA-PSS", "DSA", "EC"}[k]
}

// A publicKey is a SubjectPublicKeyInfo of one of the three kinds that sign APKs.
type publicKey struct {
	spki []byte // as encoded
	kind keyType
	bits int
	n, e *big.Int // RSA
	dsa  dsa.PublicKey
	ec   *ecdsa.PublicKey
}

const (
	// BoringSSL's OPENSSL_RSA_MAX_MODULUS_BITS, and its limit on exponents.
	maxRSABits         = 16384
	maxRSAExponentBits = 33
	// BoringSSL's OPENSSL_DSA_MAX_MODULUS_BITS, and the largest subgroup of FIPS 186-4 with room to spare.
	maxDSABits      = 10000
	maxDSAOrderBits = 512
)

var errBadSignature = errors.New("the signature does not match")

func parsePublicKey(spki []byte) (publicKey, error) {
	k := publicKey{spki: spki}
	r := (&berReader{b: spki}).take(tagSequence).in()
	alg := r.take(tagSequence).in()
	oid := alg.take(tagOID).oid()
	bits := r.take(tagBitString)
	if alg.err != nil {
		return k, alg.err
	}
	if r.err != nil {
		return k, r.err
	}
	if len(bits.body) < 1 || bits.body[0] != 0 {
		return k, errors.New("public key is not a whole number of bytes")
	}
	body := bits.body[1:]
	switch oid {
	case "1.2.840.113549.1.1.1":
		k.kind = keyRSA
		pair := (&berReader{b: body}).take(tagSequence).in()
		n, e := pair.take(tagInteger), pair.take(tagInteger)
		if pair.err != nil {
			return k, pair.err
		}
		if len(n.body) > maxRSABits/8+1 || len(e.body) > maxRSAExponentBits/8+2 {
			return k, fmt.Errorf("RSA key of more than %d bits, or with an exponent of more than %d", maxRSABits, maxRSAExponentBits)
		}
		// A negative modulus is one whose maker forgot the leading zero. apksig and phones take it.
		k.n, k.e = new(big.Int).SetBytes(n.body), e.integer()
		k.bits = k.n.BitLen()
		if k.bits > maxRSABits || k.bits < 512 || k.e.Sign() <= 0 || k.e.BitLen() > maxRSAExponentBits || k.n.Bit(0) == 0 || k.e.Bit(0) == 0 {
			return k, fmt.Errorf("RSA key of %d bits with exponent %v", k.bits, k.e)
		}
	case "1.2.840.10040.4.1":
		k.kind = keyDSA
		params := alg.take(tagSequence).in()
		values := []ber{params.take(tagInteger), params.take(tagInteger), params.take(tagInteger), (&berReader{b: body}).take(tagInteger)}
		for _, v := range values {
			if len(v.body) > maxDSABits/8+1 {
				return k, fmt.Errorf("DSA key of more than %d bits", maxDSABits)
			}
		}
		k.dsa = dsa.PublicKey{
			Parameters: dsa.Parameters{P: values[0].integer(), Q: values[1].integer(), G: values[2].integer()},
			Y:          values[3].integer(),
		}
		k.bits = k.dsa.P.BitLen()
		q := k.dsa.Q.BitLen()
		if params.err != nil || k.dsa.P.Sign() <= 0 || k.dsa.Q.Sign() <= 0 || q > maxDSAOrderBits || q%8 != 0 ||
			k.dsa.G.Sign() <= 0 || k.dsa.G.Cmp(k.dsa.P) >= 0 || k.dsa.Y.Sign() <= 0 || k.dsa.Y.Cmp(k.dsa.P) >= 0 {
			return k, fmt.Errorf("DSA key of %d bits, order of %d, with wrong parameters", k.bits, q)
		}
	case "1.2.840.10045.2.1":
		k.kind = keyECDSA
		var curve elliptic.Curve
		switch name := alg.take(tagOID).oid(); name {
		case "1.3.132.0.33":
			curve = elliptic.P224()
		case "1.2.840.10045.3.1.7":
			curve = elliptic.P256()
		case "1.3.132.0.34":
			curve = elliptic.P384()
		case "1.3.132.0.35":
			curve = elliptic.P521()
		default: // BoringSSL knows no other
			return k, fmt.Errorf("elliptic curve %s: %w", name, errors.ErrUnsupported)
		}
		k.bits = curve.Params().BitSize
		var err error
		if k.ec, err = ecdsa.ParseUncompressedPublicKey(curve, body); err != nil {
			return k, err
		}
	default:
		return k, fmt.Errorf("public key of kind %s: %w", oid, errors.ErrUnsupported)
	}
	return k, nil
}

// same says whether spki is the key in the encoding Java gives it: the very bytes of the certificate,
// or, for an RSA key with a negative modulus, the repaired ones (apksig's encodePublicKey).
func (k publicKey) same(spki []byte) bool {
	if bytes.Equal(k.spki, spki) {
		return true
	}
	if k.kind != keyRSA || k.n == nil {
		return false
	}
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: k.n, E: int(k.e.Int64())})
	return err == nil && bytes.Equal(der, spki)
}

// verify checks a signature over msg. It does it without crypto/x509 and mostly without crypto/rsa, which
// refuse the short keys and old hashes that phones take.
func (k publicKey) verify(kind keyType, h crypto.Hash, msg, sig []byte) error {
	if kind != k.kind && !(kind == keyRSAPSS && k.kind == keyRSA) {
		return fmt.Errorf("a %v signature, but the key is %v", kind, k.kind)
	}
	d := h.New()
	d.Write(msg)
	sum := d.Sum(nil)
	switch kind {
	case keyRSA:
		return k.verifyPKCS1(h, sum, sig)
	case keyRSAPSS:
		pub := &rsa.PublicKey{N: k.n, E: int(k.e.Int64())}
		if err := rsa.VerifyPSS(pub, h, sum, sig, &rsa.PSSOptions{SaltLength: h.Size()}); err != nil {
			if err == rsa.ErrVerification {
				return errBadSignature
			}
			return err
		}
		return nil
	case keyECDSA:
		if !ecdsa.VerifyASN1(k.ec, sum, sig) {
			return errBadSignature
		}
		return nil
	}
	pair := (&berReader{b: sig}).take(tagSequence).in()
	r, s := pair.take(tagInteger), pair.take(tagInteger)
	if pair.err != nil {
		return errBadSignature
	}
	if n := k.dsa.Q.BitLen() / 8; len(sum) > n { // FIPS 186-4, 4.7
		sum = sum[:n]
	}
	if len(r.body) > maxDSAOrderBits/8+1 || len(s.body) > maxDSAOrderBits/8+1 || !dsa.Verify(&k.dsa, sum, r.integer(), s.integer()) {
		return errBadSignature
	}
	return nil
}

// hashPrefixes are the DER of a DigestInfo up to the digest (RFC 8017, 9.2).
var hashPrefixes = map[crypto.Hash][]byte{
	crypto.MD5:    {0x30, 0x20, 0x30, 0x0c, 0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05, 0x05, 0x00, 0x04, 0x10},
	crypto.SHA1:   {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14},
	crypto.SHA224: {0x30, 0x2d, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04, 0x05, 0x00, 0x04, 0x1c},
	crypto.SHA256: {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20},
	crypto.SHA384: {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30},
	crypto.SHA512: {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40},
}

// verifyPKCS1 is RSASSA-PKCS1-v1_5 (RFC 8017, 8.2.2) for keys of any length: crypto/rsa stops at 1024 bits.
// Everything here is public, so it need not take constant time.
func (k publicKey) verifyPKCS1(h crypto.Hash, sum, sig []byte) error {
	size := (k.bits + 7) / 8
	prefix := hashPrefixes[h]
	pad := size - 3 - len(prefix) - len(sum)
	if len(sig) != size || pad < 8 {
		return errBadSignature
	}
	s := new(big.Int).SetBytes(sig)
	if s.Cmp(k.n) >= 0 {
		return errBadSignature
	}
	got := s.Exp(s, k.e, k.n).FillBytes(make([]byte, size))
	want := make([]byte, 0, size)
	want = append(want, 0, 1)
	want = append(want, bytes.Repeat([]byte{0xff}, pad)...)
	want = append(want, 0)
	want = append(want, prefix...)
	want = append(want, sum...)
	if !bytes.Equal(got, want) {
		return errBadSignature
	}
	return nil
}
