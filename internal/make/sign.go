package make

import (
	"archive/zip"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"
)

// A Scheme is a version of the APK signature.
type Scheme int

// The schemes: JAR signature, APK Signature Scheme v2 and v3.
const (
	V1 Scheme = 1
	V2 Scheme = 2
	V3 Scheme = 3
)

// A Key is a P-256 key with a self-signed certificate. Android reads ECDSA from API level 18 on.
type Key struct {
	Certificate []byte // X.509, DER

	private *ecdsa.PrivateKey
	public  []byte // SubjectPublicKeyInfo, DER
	subject pkix.RDNSequence
	serial  *big.Int
}

var (
	oidECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidECPublicKey     = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidSHA256          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidData            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidCommonName      = asn1.ObjectIdentifier{2, 5, 4, 3}
)

// NewKey makes the key of a seed; the seed is also the certificate's common name. The same seed gives the
// same certificate and, by RFC 6979, the same signatures. Such a key protects nothing: who knows the seed
// has it.
func NewKey(seed string) *Key {
	k := &Key{}
	// A hash is a valid scalar but for odds of 2^-32, so a counter finds one.
	for i := byte(0); k.private == nil; i++ {
		scalar := sha256.Sum256(append([]byte(seed), i))
		if p, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:]); err == nil {
			k.private = p
		}
	}
	var err error
	if k.public, err = x509.MarshalPKIXPublicKey(&k.private.PublicKey); err != nil {
		panic(err) // a P-256 key always has an encoding
	}
	serial := sha256.Sum256([]byte("serial " + seed))
	k.serial = new(big.Int).SetBytes(serial[:8])
	k.subject = pkix.RDNSequence{{{Type: oidCommonName, Value: strings.ToValidUTF8(seed, "?")}}}
	// Built by hand: what x509.CreateCertificate adds of its own changes with the Go version.
	tbs := marshal(struct {
		Version   int `asn1:"explicit,tag:0"`
		Serial    *big.Int
		Algorithm pkix.AlgorithmIdentifier
		Issuer    pkix.RDNSequence
		Validity  struct{ NotBefore, NotAfter time.Time }
		Subject   pkix.RDNSequence
		PublicKey asn1.RawValue
	}{
		2, k.serial, pkix.AlgorithmIdentifier{Algorithm: oidECDSAWithSHA256}, k.subject,
		struct{ NotBefore, NotAfter time.Time }{time.Date(2009, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC)},
		k.subject, asn1.RawValue{FullBytes: k.public},
	})
	k.Certificate = marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		asn1.RawValue{FullBytes: tbs}, pkix.AlgorithmIdentifier{Algorithm: oidECDSAWithSHA256}, bitString(k.sign(tbs)),
	})
	return k
}

func bitString(b []byte) asn1.BitString { return asn1.BitString{Bytes: b, BitLength: 8 * len(b)} }

// marshal encodes values of our own making, which cannot fail.
func marshal(v any) []byte {
	b, err := asn1.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// sign returns the ECDSA signature over the SHA-256 of data. Without a source of randomness crypto/ecdsa
// takes its nonce from RFC 6979.
func (k *Key) sign(data []byte) []byte {
	sum := sha256.Sum256(data)
	sig, err := k.private.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		panic(err)
	}
	return sig
}

// Sign signs an APK that is not signed yet with the schemes asked for. Sources of the formats: the JAR file
// specification, and source.android.com "APK Signature Scheme v2" and "v3".
func Sign(apk []byte, key *Key, schemes ...Scheme) ([]byte, error) {
	has := func(s Scheme) bool { return slices.Contains(schemes, s) }
	for _, s := range schemes {
		if s < V1 || s > V3 {
			return nil, fmt.Errorf("no signature scheme %d", s)
		}
	}
	// A comment in the end record would be signed like the rest, but Zip writes none.
	end := len(apk) - zipEndSize
	if end < 0 || binary.LittleEndian.Uint32(apk[end:]) != zipEnd {
		return nil, errors.New("not a zip without comment")
	}
	size, off := int(binary.LittleEndian.Uint32(apk[end+12:])), int(binary.LittleEndian.Uint32(apk[end+16:]))
	if off+size != end {
		return nil, errors.New("the central directory is not where the end record has it, or the APK is signed already")
	}
	z := zipWriter{apk[:off:off], apk[off:end:end], int(binary.LittleEndian.Uint16(apk[end+10:]))}
	if bytes.HasSuffix(z.data, []byte(blockMagic)) {
		return nil, errors.New("the APK is signed already")
	}
	if has(V1) {
		files, err := jarSignature(apk, key, has(V2), has(V3))
		if err != nil {
			return nil, err
		}
		if err := z.add(files); err != nil {
			return nil, err
		}
	}
	out, err := z.close()
	if err != nil || !has(V2) && !has(V3) {
		return out, err
	}
	dir := z.dir
	digest := contentDigest(z.data, dir, zipEndRecord(z.entries, len(dir), len(z.data)))
	var pairs []byte
	if has(V2) {
		pairs = append(pairs, blockPair(blockV2, key.schemeV2(digest, has(V3)))...)
	}
	if has(V3) {
		pairs = append(pairs, blockPair(blockV3, key.schemeV3(digest))...)
	}
	n := uint64(len(pairs) + 8 + len(blockMagic))
	block := binary.LittleEndian.AppendUint64(nil, n)
	block = append(block, pairs...)
	block = binary.LittleEndian.AppendUint64(block, n)
	block = append(block, blockMagic...)
	out = slices.Concat(z.data, block, dir, zipEndRecord(z.entries, len(dir), len(z.data)+len(block)))
	return out, nil
}

// jarSignature returns META-INF/MANIFEST.MF and the signature file and block over it. Schemes signed later
// are named in the signature file, so that stripping them is noticed.
func jarSignature(apk []byte, key *Key, v2, v3 bool) ([]Entry, error) {
	r, err := zip.NewReader(bytes.NewReader(apk), int64(len(apk)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, err
	}
	digest := func(b []byte) string {
		sum := sha256.Sum256(b)
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	var manifest, signature bytes.Buffer
	line := func(b *bytes.Buffer, s string) {
		for len(s) > 70 { // with the line end 72 bytes, the most a line may have
			b.WriteString(s[:70] + "\r\n")
			s = " " + s[70:]
		}
		b.WriteString(s + "\r\n")
	}
	line(&manifest, "Manifest-Version: 1.0")
	line(&manifest, "")
	var sections bytes.Buffer
	seen := map[string]bool{}
	for _, f := range r.File {
		if strings.EqualFold(f.Name, "META-INF/MANIFEST.MF") {
			return nil, errors.New("the APK has a manifest file already")
		}
		if strings.HasSuffix(f.Name, "/") || seen[f.Name] {
			continue
		}
		if strings.ContainsAny(f.Name, "\r\n\x00") {
			return nil, fmt.Errorf("a manifest file cannot name %q", f.Name)
		}
		seen[f.Name] = true
		rc, err := f.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(rc)
		if err != nil {
			return nil, err
		}
		var s bytes.Buffer
		line(&s, "Name: "+f.Name)
		line(&s, "SHA-256-Digest: "+digest(data))
		line(&s, "")
		manifest.Write(s.Bytes())
		line(&sections, "Name: "+f.Name)
		line(&sections, "SHA-256-Digest: "+digest(s.Bytes()))
		line(&sections, "")
	}
	line(&signature, "Signature-Version: 1.0")
	line(&signature, "SHA-256-Digest-Manifest: "+digest(manifest.Bytes()))
	switch {
	case v2 && v3:
		line(&signature, "X-Android-APK-Signed: 2, 3")
	case v2:
		line(&signature, "X-Android-APK-Signed: 2")
	case v3:
		line(&signature, "X-Android-APK-Signed: 3")
	}
	line(&signature, "")
	signature.Write(sections.Bytes())
	return []Entry{
		{Name: "META-INF/MANIFEST.MF", Data: manifest.Bytes()},
		{Name: "META-INF/CERT.SF", Data: signature.Bytes()},
		{Name: "META-INF/CERT.EC", Data: key.signedData(signature.Bytes())},
	}, nil
}

// signedData returns a PKCS #7 signature over data, which it does not contain.
func (k *Key) signedData(data []byte) []byte {
	type signerInfo struct {
		Version int
		Issuer  struct {
			Name   pkix.RDNSequence
			Serial *big.Int
		}
		Digest    pkix.AlgorithmIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Signature []byte
	}
	sha := pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1.NullRawValue}
	si := signerInfo{Version: 1, Digest: sha, Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidECPublicKey}, Signature: k.sign(data)}
	si.Issuer.Name, si.Issuer.Serial = k.subject, k.serial
	inner := marshal(struct {
		Version      int
		Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
		Content      struct{ Type asn1.ObjectIdentifier }
		Certificates asn1.RawValue
		Signers      []signerInfo `asn1:"set"`
	}{
		1, []pkix.AlgorithmIdentifier{sha}, struct{ Type asn1.ObjectIdentifier }{oidData},
		asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: k.Certificate}, []signerInfo{si},
	})
	return marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{oidSignedData, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner}})
}

const (
	blockMagic      = "APK Sig Block 42"
	blockV2         = 0x7109871a
	blockV3         = 0xf05368c0
	ecdsaWithSHA256 = 0x0201     // signature algorithm
	stripProtection = 0xbeeff00d // attribute in v2: which later scheme signed this too
	minSDKOfV3      = 28
	maxSDK          = 0x7fffffff
)

func blockPair(id uint32, value []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(4+len(value)))
	b = binary.LittleEndian.AppendUint32(b, id)
	return append(b, value...)
}

// prefixed returns the parts behind their common length.
func prefixed(parts ...[]byte) []byte {
	b := slices.Concat(parts...)
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func word(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

// contentDigest hashes the three parts of an APK in pieces of a megabyte, and then the hashes.
func contentDigest(parts ...[]byte) []byte {
	const piece = 1 << 20
	var sums []byte
	n := uint32(0)
	for _, p := range parts {
		for c := range slices.Chunk(p, piece) {
			h := sha256.New()
			h.Write(append([]byte{0xa5}, word(uint32(len(c)))...))
			h.Write(c)
			sums = h.Sum(sums)
			n++
		}
	}
	sum := sha256.Sum256(append(append([]byte{0x5a}, word(n)...), sums...))
	return sum[:]
}

func (k *Key) schemeV2(digest []byte, v3 bool) []byte {
	var attrs []byte
	if v3 {
		attrs = prefixed(word(stripProtection), word(uint32(V3)))
	}
	data := slices.Concat(k.digestsAndCertificates(digest), prefixed(attrs))
	return prefixed(prefixed(prefixed(data), k.signatures(data), prefixed(k.public)))
}

func (k *Key) schemeV3(digest []byte) []byte {
	sdks := append(word(minSDKOfV3), word(maxSDK)...)
	data := slices.Concat(k.digestsAndCertificates(digest), sdks, prefixed())
	return prefixed(prefixed(prefixed(data), sdks, k.signatures(data), prefixed(k.public)))
}

func (k *Key) digestsAndCertificates(digest []byte) []byte {
	return append(prefixed(prefixed(word(ecdsaWithSHA256), prefixed(digest))), prefixed(prefixed(k.Certificate))...)
}

func (k *Key) signatures(data []byte) []byte {
	return prefixed(prefixed(word(ecdsaWithSHA256), prefixed(k.sign(data))))
}
