package make

import (
	"bytes"
	"crypto/x509"
	"testing"
)

// Go's own reader must take the chain, and find it signed from the root down.
func TestAttestation(t *testing.T) {
	a := Attestation{Root: "some root", Version: 200, Level: 1, BootKey: make([]byte, 32), Numbers: map[int]int64{705: 130000}, Texts: map[int]string{710: "acme"},
		Below: &Attestation{Root: "some root", Spoiled: true}}
	chain := a.Chain()
	if len(chain) != 4 || !bytes.Equal(chain[0], a.Chain()[0]) {
		t.Fatal(len(chain), "certificates")
	}
	var list []*x509.Certificate
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	for i, c := range list {
		parent := list[min(i+1, len(list)-1)]
		if err := parent.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); (err == nil) == (i == 0) {
			t.Error(i, err)
		}
	}
}
