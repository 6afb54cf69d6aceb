package make

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"testing"
)

// The bytes must be the same from run to run, the key a sound one, and the signature its own; package phone reads the structures with
// the reader of format/boot.
func TestVBMeta(t *testing.T) {
	v := VBMeta{Seed: "oem", Descriptors: [][]byte{AVBHash("boot", []byte("kernel")), AVBChain("vbmeta_system", "system")}}
	b := v.Bytes()
	if !bytes.Equal(b, v.Bytes()) || len(b)%64 != 0 {
		t.Error("not the same bytes twice, or not in blocks of 64")
	}
	if err := avbPrivate("oem").Validate(); err != nil {
		t.Error(err)
	}
	sum := sha256.Sum256(append(bytes.Clone(b[:256]), b[256+320:]...))
	key := AVBKey("oem")
	n := new(big.Int).SetBytes(key[8 : 8+256])
	if err := rsa.VerifyPKCS1v15(&rsa.PublicKey{N: n, E: 65537}, 5, sum[:], b[256+32:256+288]); err != nil {
		t.Error(err)
	}
	v.After = 3
	if got := binary.BigEndian.Uint32(v.Bytes()[120:]); got != 3 {
		t.Errorf("flags %d", got)
	}
	if bytes.Contains(VBMeta{}.Bytes(), key) || !bytes.Contains(b, key) {
		t.Error("the key is in the wrong one")
	}
}
