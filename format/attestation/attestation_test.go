package attestation

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	assemble "gifthorse/internal/make"
)

func sample() assemble.Attestation {
	return assemble.Attestation{Root: "some root", Version: 200, Level: 1, BootKey: bytes.Repeat([]byte{7}, 32), BootHash: bytes.Repeat([]byte{9}, 32), Locked: true,
		Numbers: map[int]int64{TagOSVersion: 130000, TagOSPatch: 202305, TagCreated: 1700000000000}, Texts: map[int]string{TagBrand: "acme"}}
}

func asPEM(chain [][]byte) (b []byte) {
	for _, der := range chain {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return b
}

// The same chain in all forms in which people keep one.
func TestForms(t *testing.T) {
	chain := sample().Chain()
	text := string(asPEM(chain))
	var lines, words []string
	for _, der := range chain {
		lines = append(lines, base64.StdEncoding.EncodeToString(der))
		words = append(words, base64.RawURLEncoding.EncodeToString(der))
	}
	quote := func(v any) []byte { b, _ := json.Marshal(v); return b }
	key := "-----BEGIN EC PRIVATE KEY-----\n" + lines[0][:200] + "\n-----END EC PRIVATE KEY-----\n"
	for name, b := range map[string][]byte{
		"PEM": []byte(text), "PEM of Windows": []byte(strings.ReplaceAll(text, "\n", "\r\n")), "PEM in one line": []byte(strings.ReplaceAll(text, "\n", `\n`)),
		"PEM behind a private key": []byte(key + text), "DER": slices.Concat(chain...), "DER, padded": append(slices.Concat(chain...), 0, 0),
		"a list in JSON": quote(lines), "PEM in JSON": quote(map[string]any{"id": "MII", "chain": text}), "base64 by line": []byte(strings.Join(lines, "\n")),
		"base64 with blanks": []byte("my chain: " + strings.Join(words, ", ")),
	} {
		list, err := Read(b)
		if err != nil || len(list) != 3 {
			t.Errorf("%s: %d certificates, %v", name, len(list), err)
			continue
		}
		if all := Chains(list); len(all) != 1 || !all[0].InOrder || len(all[0].Verify(time.Time{}).Problems) > 0 {
			t.Errorf("%s: not one good chain", name)
		}
		if c, a := Sniff(b); !c || !a {
			t.Errorf("%s: not recognised (%v, %v)", name, c, a)
		}
	}
	if c, a := Sniff(chain[2]); !c || a {
		t.Error("a root is recognised as", c, a)
	}
	for _, b := range []string{"", "MII", "nothing", "{}", "\x7fELF", "{\"a\": \"MIIC\"}", strings.Repeat("MII", 1000)} {
		if c, _ := Sniff([]byte(b)); c {
			t.Errorf("%.20q is recognised", b)
		}
		if list, err := Read([]byte(b)); list != nil || err == nil {
			t.Errorf("%.20q is read", b)
		}
	}
	// One that is damaged does not take the others with it.
	list, err := Read(slices.Concat(chain[0], chain[1][:len(chain[1])-9]))
	if _, format := errors.AsType[*FormatError](err); len(list) != 1 || !format {
		t.Error(len(list), err)
	}
}

func verdict(t *testing.T, at time.Time, chain ...[]byte) Verdict {
	t.Helper()
	list, err := Read(slices.Concat(chain...))
	if err != nil {
		t.Fatal(err)
	}
	all := Chains(list)
	if len(all) != 1 {
		t.Fatal(len(all), "chains")
	}
	return all[0].Verify(at)
}

func faults(v Verdict) (list []Fault) {
	for _, p := range v.Problems {
		list = append(list, p.Fault)
	}
	return list
}

func TestVerify(t *testing.T) {
	good := sample().Chain()
	spoiled := sample()
	spoiled.Spoiled = true
	below := &assemble.Attestation{Version: 200, Level: 2, Locked: true, BootKey: make([]byte, 32)}
	extended := sample()
	extended.Below = below
	attests := extended
	attests.Purpose = 7
	for _, c := range []struct {
		name  string
		at    time.Time
		chain [][]byte
		want  []Fault
		count int // which certificate's words count
	}{
		{"good", time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), good, nil, 0},
		{"shuffled", time.Time{}, [][]byte{good[2], good[0], good[1]}, nil, 0},
		{"a damaged signature", time.Time{}, spoiled.Chain(), []Fault{BadSignature}, 0},
		{"no root", time.Time{}, good[:2], []Fault{NoRoot}, 0},
		{"before its time", time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), good, []Fault{NotYetValid}, 0},
		{"an expired one from the factory", time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC), good, nil, 0},
		{"extended by the key that is attested", time.Time{}, extended.Chain(), []Fault{Extended}, 1},
		{"attested by a key that may only attest", time.Time{}, attests.Chain(), nil, 0},
	} {
		v := verdict(t, c.at, c.chain...)
		if got := faults(v); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", c.name, v.Problems)
		}
		list, _ := Read(slices.Concat(c.chain...))
		if v.Attested == nil || c.name != "shuffled" && !bytes.Equal(v.Attested.Raw, list[c.count].Raw) {
			t.Errorf("%s: the wrong certificate counts", c.name)
		}
	}
	v := verdict(t, time.Time{}, good...)
	if v.Provisioned != "factory" || v.Root.KeySHA256 != assemble.AttestationRootKey("some root") || v.From.Year() != 2009 || v.To.Year() != 2049 {
		t.Errorf("%+v", v)
	}
	x := v.Attested.Description
	if r := x.Hardware.RootOfTrust; r == nil || !r.DeviceLocked || r.State != Verified || r.VerifiedBootHash[0] != 9 || x.Hardware.Text(TagBrand) != "acme" ||
		x.Created() != time.Date(2023, 11, 14, 22, 13, 20, 0, time.UTC) {
		t.Error(x.Lines())
	}
}

// Nobody signed a root, so whoever writes one can write a published key into it, and an attestation beside that.
func TestRootAttestsNothing(t *testing.T) {
	list, err := Read(slices.Concat(sample().Chain()...))
	if err != nil {
		t.Fatal(err)
	}
	leaf, root := list[0], list[2]
	leaf.issuer, leaf.plainIssuer, leaf.PublicKey, leaf.KeySHA256 = leaf.subject, leaf.plainSubject, root.PublicKey, root.KeySHA256
	for _, certs := range [][]*Certificate{{leaf}, {list[1], leaf}} {
		v := (&Chain{Certificates: certs}).Verify(time.Time{})
		if v.Attested != nil || len(v.Problems) == 0 {
			t.Errorf("%d certificates: attested %v, problems %v", len(certs), v.Attested != nil, v.Problems)
		}
	}
}

// Two attestations in one certificate are none.
func TestTwice(t *testing.T) {
	c := &Certificate{}
	raw := sample().Chain()[0]
	i := bytes.Index(raw, oidAttestation) - 2
	for range 2 {
		if err := c.extension(&der{b: raw[i:]}); err != nil {
			t.Fatal(err)
		}
	}
	if c.Description != nil || c.Problem == nil {
		t.Error("the second of two was taken")
	}
}

// An entity attestation token is named and not read.
func TestEAT(t *testing.T) {
	chain := sample().Chain()
	list, err := Read(slices.Concat(bytes.Replace(chain[0], oidAttestation, oidEAT, 1), chain[1], chain[2]))
	if err != nil || list[0].Description != nil || !errors.Is(list[0].Problem, errors.ErrUnsupported) {
		t.Fatal(err, list)
	}
	if v := Chains(list)[0].Verify(time.Time{}); v.Attested != list[0] || !slices.Contains(faults(v), Unreadable) {
		t.Error(v.Problems)
	}
}

func TestProvisioning(t *testing.T) {
	p := provisioning([]byte("\xa2\x01\x18\x20\x03\x66Google"))
	if p.CertificatesIssued != 32 || p.Others[3] != "Google" || !slices.Equal(p.Keys(), []int64{3}) {
		t.Error(p)
	}
	for _, b := range []string{"", "\xa1", "\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\xa1\x01\x7b\xff\xff\xff\xff\xff\xff\xff\xff", "\x81\x01"} {
		if p := provisioning([]byte(b)); p.CertificatesIssued != -1 || len(p.Others) > 0 {
			t.Errorf("%q: %v", b, p)
		}
	}
}

func TestStatus(t *testing.T) {
	const list = ` {"entries" : { "0C8966fcb2fbb0d7a": {"status":"SUSPENDED","reason":"SOFTWARE_FLAW","comment":"b/555555"}, "2c8cdddfd5e03bfc": {"status":"REVOKED"}}}`
	l, err := ReadStatus([]byte(list))
	if err != nil || !IsStatus([]byte(list)) || !IsStatus([]byte(`{"entries":{}}`)) {
		t.Fatal(err)
	}
	if s, ok := l.Of(&Certificate{Serial: "c8966fcb2fbb0d7a"}); !ok || s.String() != "suspended (software flaw)" {
		t.Error(s)
	}
	if _, ok := l.Of(&Certificate{Serial: "1"}); ok {
		t.Error("a certificate that is on no list")
	}
	for _, bad := range []string{"", "[]", "{}", `{"entries":{"1":{"status":"FINE"}}}`, `{"entries":[]}`} {
		if _, err := ReadStatus([]byte(bad)); err == nil || IsStatus([]byte(bad)) && !strings.Contains(bad, "FINE") {
			t.Errorf("%s is taken", bad)
		}
	}
}

func FuzzRead(f *testing.F) {
	chain := sample().Chain()
	f.Add(slices.Concat(chain...))
	f.Add(asPEM(chain))
	extended := sample()
	extended.Below = &assemble.Attestation{Root: "x"}
	f.Add(slices.Concat(extended.Chain()...))
	b, _ := json.Marshal([]string{string(asPEM(chain))})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		Sniff(b)
		list, err := Read(b)
		if list == nil && err == nil {
			t.Error("neither certificates nor an error")
		}
		for _, ch := range Chains(list) {
			v := ch.Verify(time.Unix(1700000000, 0))
			if v.Attested != nil && v.Attested.Description != nil {
				v.Attested.Description.Lines()
				v.Attested.Description.Created()
			}
		}
	})
}

// FuzzDescription goes past the signatures, which a mutation always breaks.
func FuzzDescription(f *testing.F) {
	f.Add((&Certificate{}).Raw)
	for _, c := range []assemble.Attestation{sample(), {Root: "r", Level: 0}} {
		raw := c.Chain()[0]
		i := bytes.Index(raw, oidAttestation) + len(oidAttestation)
		f.Add(raw[i+3:]) // behind the header of the octet string
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, err := describe(&der{b: b}); err == nil {
			x.Lines()
		} else if _, format := errors.AsType[*FormatError](err); !format {
			t.Errorf("%T is no FormatError", err)
		}
		provisioning(b)
		ReadStatus(b)
		IsStatus(b)
	})
}
