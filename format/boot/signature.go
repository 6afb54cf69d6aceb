package boot

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"

	"gifthorse/internal/cursor"
)

// maxBootSignature bounds the structure. With a key of 4096 bits it takes some 2,000 bytes; the bootloader reads 16 KiB at most.
const maxBootSignature = 16 << 10

// A BootSignature is the signature that Android 5 to 7 put behind a boot image (Verified Boot 1.0).
type BootSignature struct {
	Off            int64
	Target         string // the partition, such as "/boot"
	Length         int64  // bytes of the image that are signed
	Algorithm      asn1.ObjectIdentifier
	CertificateDER []byte
	Certificate    *x509.Certificate // nil if Go's parser refuses it

	attributes, signature []byte
	r                     io.ReaderAt
	certErr               error
}

type bootSignature struct {
	Format      int
	Certificate asn1.RawValue
	Algorithm   pkix.AlgorithmIdentifier
	Attributes  struct {
		Raw    asn1.RawContent
		Target string `asn1:"printable"`
		Length int64
	}
	Signature []byte
}

// BootSignature reads the signature behind the image. If none is there, it is nil and there is no error.
func (f *File) BootSignature() (*BootSignature, error) {
	if f.End >= f.size {
		return nil, nil
	}
	b, err := readAt(f.r, f.size, f.End, maxBootSignature)
	if err != nil {
		return nil, err
	}
	if len(b) < 4 || b[0] != 0x30 || b[1] != 0x82 {
		return nil, nil // no SEQUENCE of that size: padding, an AVB structure, a vendor's mark
	}
	var s bootSignature
	if _, err := asn1.Unmarshal(b, &s); err != nil {
		return nil, cursor.Errorf(f.End, "boot signature: %v", err)
	}
	if s.Attributes.Length < 0 || s.Attributes.Length > f.size {
		return nil, cursor.Errorf(f.End, "boot signature over %d bytes, the image has %d", s.Attributes.Length, f.size)
	}
	g := &BootSignature{
		Off: f.End, Target: s.Attributes.Target, Length: s.Attributes.Length, Algorithm: s.Algorithm.Algorithm,
		CertificateDER: s.Certificate.FullBytes, attributes: s.Attributes.Raw, signature: s.Signature, r: f.r,
	}
	g.Certificate, g.certErr = x509.ParseCertificate(g.CertificateDER)
	return g, nil
}

var (
	oidSHA1RSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}
	oidSHA256RSA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidSHA512RSA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}
)

// Verify checks the signature with the certificate that comes with it: over the image's first Length bytes and the attributes.
// It does not say that the certificate is a good one, nor that Length covers the image: compare it with [File.End].
// An error wraps [ErrMismatch] or [errors.ErrUnsupported].
func (g *BootSignature) Verify() error {
	var alg crypto.Hash
	switch {
	case g.Algorithm.Equal(oidSHA256RSA):
		alg = crypto.SHA256
	case g.Algorithm.Equal(oidSHA1RSA):
		alg = crypto.SHA1
	case g.Algorithm.Equal(oidSHA512RSA):
		alg = crypto.SHA512
	default:
		return unsupported("boot signature algorithm %v", g.Algorithm)
	}
	if g.Certificate == nil {
		return unsupported("boot signature's certificate (%v)", g.certErr)
	}
	key, ok := g.Certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return unsupported("boot signature with a key of type %T", g.Certificate.PublicKey)
	}
	h := alg.New()
	if n, err := io.Copy(h, io.NewSectionReader(g.r, 0, g.Length)); err != nil || n < g.Length {
		return readError(n, err)
	}
	h.Write(g.attributes)
	if rsa.VerifyPKCS1v15(key, alg, h.Sum(nil), g.signature) != nil {
		return fmt.Errorf("boot signature: %w", ErrMismatch)
	}
	return nil
}
