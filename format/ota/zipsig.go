package ota

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"

	"gifthorse/internal/cursor"
)

// eocdSize is the size of a zip file's end of central directory without its comment.
const eocdSize = 22

// A ZipSignature is the signature over a whole package that stands in the comment of the zip file.
type ZipSignature struct {
	Off    int64 // of the PKCS #7 structure
	Signed int64 // how many bytes of the file are signed: all but the comment and its length
	Digest asn1.ObjectIdentifier
	Issuer []byte // DER of the signer's issuer
	Serial *big.Int
	// Certificates that come with the signature. Recovery does not look at them.
	Certificates []*x509.Certificate

	signature []byte
	r         io.ReaderAt
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version      int
	Digests      asn1.RawValue
	Content      asn1.RawValue
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	Lists        asn1.RawValue `asn1:"optional,tag:1"`
	Signers      []signerInfo  `asn1:"set"`
}

type signerInfo struct {
	Version int
	ID      struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	Digest       pkix.AlgorithmIdentifier
	Attributes   asn1.RawValue `asn1:"optional,tag:0"`
	Algorithm    pkix.AlgorithmIdentifier
	Signature    []byte
	Unauthorized asn1.RawValue `asn1:"optional,tag:1"`
}

var oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}

// NewZipSignature reads the signature of a package of size bytes, by the rules of recovery: the last six bytes tell where in the comment it
// begins, and no second end of central directory may hide in the comment, for another reader of zip files might take that one. If
// the file does not end as a signed package does, it is nil and there is no error.
func NewZipSignature(r io.ReaderAt, size int64) (*ZipSignature, error) {
	if size < eocdSize+6 {
		return nil, nil
	}
	var foot [6]byte
	if n, err := r.ReadAt(foot[:], size-6); n < 6 {
		return nil, readError(size-6, err)
	}
	if foot[2] != 0xff || foot[3] != 0xff {
		return nil, nil
	}
	comment := int64(binary.LittleEndian.Uint16(foot[4:]))
	start := int64(binary.LittleEndian.Uint16(foot[:])) // bytes from the end
	if size < comment+eocdSize || start > comment || start <= 6 {
		return nil, cursor.Errorf(size-6, "package signature of %d bytes in a comment of %d, the file has %d", start, comment, size)
	}
	at := size - comment - eocdSize
	eocd, err := readAt(r, size, at, comment+eocdSize)
	if err != nil {
		return nil, err
	}
	mark := []byte("PK\x05\x06")
	if !bytes.HasPrefix(eocd, mark) {
		return nil, cursor.Errorf(at, "no end of central directory before a comment of %d bytes", comment)
	}
	if i := bytes.Index(eocd[4:], mark); i >= 0 {
		return nil, cursor.Errorf(at+4+int64(i), "second end of central directory inside the comment")
	}
	s := &ZipSignature{Off: size - start, Signed: at + eocdSize - 2, r: r}
	bad := func(err error) error { return cursor.Errorf(s.Off, "package signature: %v", err) }
	var ci contentInfo
	if _, err := asn1.Unmarshal(eocd[int64(len(eocd))-start:int64(len(eocd))-6], &ci); err != nil {
		return nil, bad(err)
	}
	if !ci.Type.Equal(oidSignedData) {
		return nil, unsupported("package signature of type %v", ci.Type)
	}
	var sd signedData
	if _, err := asn1.Unmarshal(ci.Content.Bytes, &sd); err != nil {
		return nil, bad(err)
	}
	if len(sd.Signers) == 0 {
		return nil, cursor.Errorf(s.Off, "package signature without a signer")
	}
	signer := sd.Signers[0] // recovery takes the first
	s.Digest, s.Issuer, s.Serial, s.signature = signer.Digest.Algorithm, signer.ID.Issuer.FullBytes, signer.ID.Serial, signer.Signature
	for rest := sd.Certificates.Bytes; len(rest) > 0; {
		var raw asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &raw); err != nil {
			return nil, bad(err)
		}
		// A certificate that Go's parser refuses is left out: nothing is verified with these.
		if c, err := x509.ParseCertificate(raw.FullBytes); err == nil {
			s.Certificates = append(s.Certificates, c)
		}
	}
	return s, nil
}

// Verify checks the signature with certificates that the caller trusts, as recovery does with the keys built into it, and returns
// the one that made it. The certificate's own algorithm says which digest is used, SHA-1 or SHA-256; an EC key means SHA-256.
// An error wraps [ErrMismatch] if no certificate made it.
func (s *ZipSignature) Verify(certs []*x509.Certificate) (*x509.Certificate, error) {
	sums := map[crypto.Hash][]byte{}
	for _, c := range certs {
		alg := crypto.SHA256
		if _, ec := c.PublicKey.(*ecdsa.PublicKey); !ec && c.SignatureAlgorithm == x509.SHA1WithRSA {
			alg = crypto.SHA1
		}
		if sums[alg] == nil {
			h := alg.New()
			n, err := io.CopyBuffer(h, io.NewSectionReader(s.r, 0, s.Signed), make([]byte, 1<<20))
			if err != nil || n < s.Signed {
				return nil, readError(n, err)
			}
			sums[alg] = h.Sum(nil)
		}
		if signed(c, alg, sums[alg], s.signature) {
			return c, nil
		}
	}
	return nil, fmt.Errorf("package signature: %w", ErrMismatch)
}
