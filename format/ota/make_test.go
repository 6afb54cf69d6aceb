package ota

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"math/big"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Nothing in Debian makes these formats: what follows is our own making, from the specification.

func num(n int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(n)<<3), v)
}

func msg(n int, parts ...[]byte) []byte {
	b := bytes.Join(parts, nil)
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(n)<<3|2), uint64(len(b))), b...)
}

func str(n int, s string) []byte { return msg(n, []byte(s)) }

func extent(n int, start, blocks uint64) []byte { return msg(n, num(1, start), num(2, blocks)) }

// A maker collects the data of a payload.
type maker struct{ blob []byte }

func (m *maker) op(kind OpType, data []byte, dst ...[]byte) []byte {
	sum := sha256.Sum256(data)
	parts := [][]byte{num(1, uint64(kind)), num(2, uint64(len(m.blob))), num(3, uint64(len(data)))}
	m.blob = append(m.blob, data...)
	if len(data) > 0 {
		parts = append(parts, msg(8, sum[:]))
	}
	return msg(8, append(parts, dst...)...)
}

type signer struct {
	key  crypto.Signer
	cert *x509.Certificate
}

var rsaSigner = sync.OnceValue(func() signer {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return certify(k)
})

var ecSigner = sync.OnceValue(func() signer {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return certify(k)
})

func certify(k crypto.Signer) signer {
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Unix(1<<31, 0)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, k.Public(), k)
	if err != nil {
		panic(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return signer{k, c}
}

// signature makes a Signatures message of always the same size: an EC signature is padded.
func (s signer) signature(b []byte) []byte {
	sum := sha256.Sum256(b)
	sig, err := s.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		panic(err)
	}
	n := len(sig)
	if _, ec := s.key.(*ecdsa.PrivateKey); ec {
		sig = append(sig, make([]byte, 72-n)...)
	}
	unpadded := binary.LittleEndian.AppendUint32([]byte{3<<3 | 5}, uint32(n))
	return msg(1, msg(2, sig), unpadded)
}

// payload puts a payload together; the fields of the manifest come from the caller.
func (m *maker) payload(s *signer, manifest ...[]byte) []byte {
	body := bytes.Join(manifest, nil)
	if s == nil {
		h := binary.BigEndian.AppendUint64(append([]byte("CrAU"), 0, 0, 0, 0, 0, 0, 0, 2), uint64(len(body)))
		return bytes.Join([][]byte{h, {0, 0, 0, 0}, body, m.blob}, nil)
	}
	n := len(s.signature(nil))
	body = bytes.Join([][]byte{body, num(4, uint64(len(m.blob))), num(5, uint64(n))}, nil)
	head := binary.BigEndian.AppendUint64(append([]byte("CrAU"), 0, 0, 0, 0, 0, 0, 0, 2), uint64(len(body)))
	head = append(binary.BigEndian.AppendUint32(head, uint32(n)), body...)
	return bytes.Join([][]byte{head, s.signature(head), m.blob, s.signature(append(bytes.Clone(head), m.blob...))}, nil)
}

// bytesOf makes n bytes that differ from block to block and from seed to seed.
func bytesOf(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>6 ^ i*seed ^ i>>13)
	}
	return b
}

func packXZ(t testing.TB, b []byte) []byte {
	var w bytes.Buffer
	z, err := xz.NewWriter(&w)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(b)
	z.Close()
	return w.Bytes()
}

func packZstd(t testing.TB, b []byte) []byte {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll(b, nil)
}

// run pipes b through a program, nil if it is not installed.
func run(t testing.TB, b []byte, name string, args ...string) []byte {
	if _, err := exec.LookPath(name); err != nil {
		t.Logf("%s is not installed", name)
		return nil
	}
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}
