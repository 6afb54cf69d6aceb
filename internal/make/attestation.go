package make

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"maps"
	"math/big"
	"slices"
	"time"
)

// An Attestation is what a chain of key attestation says of a phone (source.android.com, "Key and ID attestation").
type Attestation struct {
	Root    string // seed of the root's key
	Version int
	Level   int // 0 software, 1 trusted environment, 2 StrongBox
	Purpose int // KeyPurpose: 2 signs, 7 attests to other keys

	BootKey  []byte // nil leaves the root of trust out
	Locked   bool
	State    int // 0 verified, 1 self-signed, 2 unverified, 3 failed
	BootHash []byte

	Numbers map[int]int64  // by tag
	Texts   map[int]string // by tag

	Spoiled bool         // the signature of the attested certificate is damaged
	Below   *Attestation // what the key that is attested signed in turn, if anything
}

// AttestationRootKey returns the SHA-256 of the public key of a root.
func AttestationRootKey(seed string) [32]byte { return sha256.Sum256(NewKey(seed).public) }

// Chain writes the certificates, the last attested key first, the root last: a root, one from the factory, and the attested. The same
// Attestation gives the same bytes.
func (a Attestation) Chain() [][]byte {
	root, factory := NewKey(a.Root), NewKey("factory of "+a.Root)
	serial := sha256.Sum256([]byte(a.Root))
	middle := pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 5}, Value: hex.EncodeToString(serial[:8])}}, {{Type: asn1.ObjectIdentifier{2, 5, 4, 12}, Value: "TEE"}}}
	chain := [][]byte{root.Certificate, issue(middle, factory, root.subject, root, nil)}
	name, by := middle, factory
	for x := &a; x != nil; x = x.Below {
		key := NewKey("attested " + string(rune('a'+len(chain))) + x.Root)
		subject := pkix.RDNSequence{{{Type: oidCommonName, Value: "Android Keystore Key"}}}
		c := issue(subject, key, name, by, x.description())
		if x.Spoiled {
			c[len(c)-1] ^= 1
		}
		chain = append(chain, c)
		name, by = subject, key
	}
	slices.Reverse(chain)
	return chain
}

// issue makes a certificate that by signs.
func issue(subject pkix.RDNSequence, key *Key, issuer pkix.RDNSequence, by *Key, description []byte) []byte {
	type extension struct {
		ID    asn1.ObjectIdentifier
		Value []byte
	}
	var extensions []extension
	if description != nil {
		extensions = []extension{{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 1, 17}, description}}
	}
	alg := pkix.AlgorithmIdentifier{Algorithm: oidECDSAWithSHA256}
	tbs := marshal(struct {
		Version    int `asn1:"explicit,tag:0"`
		Serial     *big.Int
		Algorithm  pkix.AlgorithmIdentifier
		Issuer     pkix.RDNSequence
		Validity   struct{ NotBefore, NotAfter time.Time }
		Subject    pkix.RDNSequence
		PublicKey  asn1.RawValue
		Extensions []extension `asn1:"explicit,tag:3,omitempty"`
	}{2, key.serial, alg, issuer, struct{ NotBefore, NotAfter time.Time }{time.Date(2009, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC)},
		subject, asn1.RawValue{FullBytes: key.public}, extensions})
	return marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, alg, bitString(by.sign(tbs))})
}

// description writes a KeyDescription.
func (a *Attestation) description() []byte {
	number := func(n int64) []byte { return marshal(n) }
	enum := func(n int) []byte { return marshal(asn1.Enumerated(n)) }
	octets := func(b []byte) []byte { return marshal(b) }
	sequence := func(parts ...[]byte) []byte {
		return marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: bytes.Join(parts, nil)})
	}
	tags := map[int][]byte{1: marshal(asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: number(int64(max(a.Purpose, 2)))}), 702: number(0)}
	for t, n := range a.Numbers {
		tags[t] = number(n)
	}
	for t, s := range a.Texts {
		tags[t] = octets([]byte(s))
	}
	if a.BootKey != nil {
		parts := [][]byte{octets(a.BootKey), marshal(a.Locked), enum(a.State)}
		if a.BootHash != nil {
			parts = append(parts, octets(a.BootHash))
		}
		tags[704] = sequence(parts...)
	}
	var list []byte
	for _, t := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: t, IsCompound: true, Bytes: tags[t]})...)
	}
	software, hardware := sequence(), sequence(list)
	if a.Level == 0 {
		software, hardware = hardware, software
	}
	return sequence(number(int64(a.Version)), enum(a.Level), number(int64(a.Version)), enum(a.Level), octets([]byte("challenge")), octets(nil), software, hardware)
}
