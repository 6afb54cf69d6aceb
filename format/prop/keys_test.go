package prop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestParseHosts(t *testing.T) {
	hosts := ParseHosts([]byte("# c\n127.0.0.1\tlocalhost  lh # x\n\n::1 ip6\n 1.2.3.4 indented\n" +
		"nonsense name\n1.2.3.4\n0x7f.1 short\n9.9.9.9 cr\r\n8.8.8.8 end"))
	want := []Host{
		{"127.0.0.1", netip.MustParseAddr("127.0.0.1"), []string{"localhost", "lh"}, 2, ""},
		{"::1", netip.MustParseAddr("::1"), []string{"ip6"}, 4, ""},
		{"1.2.3.4", netip.MustParseAddr("1.2.3.4"), []string{"indented"}, 5, "white space before the address"},
		{"nonsense", netip.Addr{}, []string{"name"}, 6, "not an address"},
		{"1.2.3.4", netip.MustParseAddr("1.2.3.4"), []string{}, 7, "no name"},
		{"0x7f.1", netip.MustParseAddr("127.0.0.1"), []string{"short"}, 8, ""},
		{"9.9.9.9", netip.MustParseAddr("9.9.9.9"), []string{"cr"}, 9, "a carriage return ends the last name"},
		{"8.8.8.8", netip.MustParseAddr("8.8.8.8"), []string{"end"}, 10, "last line without a newline"},
	}
	if !reflect.DeepEqual(hosts, want) {
		t.Errorf("got\n%+v, want\n%+v", hosts, want)
	}
}

func TestHostAddr(t *testing.T) {
	for in, want := range map[string]string{
		"1.2.3.4": "1.2.3.4", "1.2.772": "1.2.3.4", "1.131844": "1.2.3.4", "16909060": "1.2.3.4",
		"0x01020304": "1.2.3.4", "01.02.03.04": "1.2.3.4", "0xb.0xb0.0.1": "11.176.0.1", "fe80::1%wlan0": "fe80::1%wlan0",
		"1.2.3.256": "", "1.2.65536": "", "256.1": "", "4294967296": "", "1.2.3.4.5": "", "1_0.1": "", "0b1": "",
		"0o7": "", "": "", "1..2": "", "-1": "", "08": "", "a.b": "",
	} {
		got := ""
		if a := hostAddr(in); a.IsValid() {
			got = a.String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func spkiHash(t testing.TB, key any) [32]byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(der)
}

func little(n *big.Int, size int) []byte {
	b := n.FillBytes(make([]byte, size))
	slices.Reverse(b)
	return b
}

// adbKey writes a key as adb keygen does.
func adbKey(k *rsa.PublicKey) string {
	raw := binary.LittleEndian.AppendUint32(nil, 64)
	raw = binary.LittleEndian.AppendUint32(raw, 0xdeadbeef) // n0inv, which nobody here needs
	raw = append(raw, little(k.N, 256)...)
	raw = append(raw, make([]byte, 256)...)
	raw = binary.LittleEndian.AppendUint32(raw, uint32(k.E))
	return base64.StdEncoding.EncodeToString(raw)
}

func TestParseADBKeys(t *testing.T) {
	good := adbKey(&rsaKey().PublicKey)
	keys := ParseADBKeys([]byte("\n" + good + " me@host\n" + good + "\t\n!!! x\nQUJD short\n" + strings.Replace(good, "QAAAAO", "QQAAAO", 1) + "\n"))
	if len(keys) != 5 {
		t.Fatalf("%d keys", len(keys))
	}
	k := keys[0]
	if k.Comment != "me@host" || k.Line != 2 || k.ModulusBits != 2048 || k.Problem != "" ||
		k.SPKISHA256 != spkiHash(t, &rsaKey().PublicKey) || len(k.Fingerprint) != 47 {
		t.Errorf("%+v", k)
	}
	if k := keys[1]; k.Comment != "" || k.Fingerprint != keys[0].Fingerprint {
		t.Errorf("%+v", k)
	}
	for i, want := range []string{"not base64", "3 bytes", "modulus of 65 words"} {
		if !strings.Contains(keys[2+i].Problem, want) {
			t.Errorf("%+v, want %s", keys[2+i], want)
		}
	}
	// AdbDebuggingManager shows MD5: "ABC" is 902fbdd2b1df0c4f70b4a5d23525e932.
	if got := keys[3].Fingerprint; got != "90:2F:BD:D2:B1:DF:0C:4F:70:B4:A5:D2:35:25:E9:32" {
		t.Error(got)
	}
}

func numbers[T any](list []T) string {
	return "{" + strings.ReplaceAll(strings.Trim(fmt.Sprint(list), "[]"), " ", ",") + "}"
}

// recoveryRSA writes a key as dumpkey does.
func recoveryRSA(n *big.Int, signed bool) string {
	b := little(n, 256)
	var unsigned []uint32
	var negative []int32
	for ; len(b) > 0; b = b[4:] {
		unsigned = append(unsigned, binary.LittleEndian.Uint32(b))
		negative = append(negative, int32(binary.LittleEndian.Uint32(b)))
	}
	list := numbers(unsigned)
	if signed {
		list = numbers(negative)
	}
	return "{64,0xc926ad21," + list + "," + numbers(make([]int, 64)) + "}"
}

func TestParseRecoveryKeys(t *testing.T) {
	rsaPub := rsaKey().PublicKey
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text := recoveryRSA(rsaPub.N, true) + ",\nv2 " + recoveryRSA(rsaPub.N, false) + ",\nv3 " + recoveryRSA(rsaPub.N, false) +
		",\nv4 " + recoveryRSA(rsaPub.N, true) + ",v5 {32," + numbers(intsOf(little(ec.X, 32))) + "," + numbers(intsOf(little(ec.Y, 32))) + "}\n"
	keys, err := ParseRecoveryKeys([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	e3, e65537 := rsa.PublicKey{N: rsaPub.N, E: 3}, rsa.PublicKey{N: rsaPub.N, E: 65537}
	want := []RecoveryKey{
		{1, "RSA", 2048, 3, "SHA-1", spkiHash(t, &e3), 1},
		{2, "RSA", 2048, 65537, "SHA-1", spkiHash(t, &e65537), 2},
		{3, "RSA", 2048, 3, "SHA-256", spkiHash(t, &e3), 3},
		{4, "RSA", 2048, 65537, "SHA-256", spkiHash(t, &e65537), 4},
		{5, "EC", 256, 0, "SHA-256", spkiHash(t, &ec.PublicKey), 4},
	}
	if !reflect.DeepEqual(keys, want) {
		t.Errorf("got\n%+v, want\n%+v", keys, want)
	}
	for _, bad := range []string{
		"", "v6 {64,0x1,{1},{1}}", "{0,0x1,{},{}}", "{1000000,0x1,{1", "{1,0x1,{1},{1}", "{1,0x1,{1,2},{1}}",
		"{1,0x1,{4294967296},{1}}", "{1,0x1,{1},{1}} x", "{1,0x1,{1},{1}},", "v5 {31,{1},{1}}", "v5 {32,{256",
	} {
		var fe *FormatError
		if _, err := ParseRecoveryKeys([]byte(bad)); !errors.As(err, &fe) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func intsOf(b []byte) (out []int) {
	for _, c := range b {
		out = append(out, int(c))
	}
	return out
}

func makeCert(t testing.TB) []byte {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "root", Organization: []string{"o"}},
		NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(2e9, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &rsaKey().PublicKey, rsaKey())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestParseCertificates(t *testing.T) {
	der := makeCert(t)
	block := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	oneLine := "-----BEGIN CERTIFICATE-----" + base64.StdEncoding.EncodeToString(der) + "-----END CERTIFICATE-----"
	for _, c := range []struct {
		name, text string
		n          int
	}{
		{"DER", string(der), 1},
		{"DER and more", string(der) + "tail", 1},
		{"PEM", block, 1},
		{"text after", block + "Certificate:\n    Data:\n", 1},
		{"text before", "Certificate:\n    Data:\n" + block, 1},
		{"CR LF", strings.ReplaceAll(block, "\n", "\r\n"), 1},
		{"one line", oneLine, 1},
		{"two", block + block, 2},
		{"a key too", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n" + block, 1},
		{"unfinished before", "-----BEGIN CERTIFICATE-----\nAAAA\n" + block, 1},
		{"headers", strings.Replace(block, "-----\n", "-----\nProc-Type: 4\n\n", 1), 1},
	} {
		certs, err := ParseCertificates([]byte(c.text))
		if err != nil || len(certs) != c.n {
			t.Errorf("%s: %d, %v", c.name, len(certs), err)
			continue
		}
		got := certs[0]
		if !bytes.Equal(got.DER, der) || got.SHA256 != sha256.Sum256(der) || got.Subject != "CN=root,O=o" || !got.IsCA ||
			!got.SelfIssued || got.KeyAlg != "RSA" || got.KeyBits != 2048 || got.SerialNumber.Int64() != 7 ||
			got.SPKISHA256 != spkiHash(t, &rsaKey().PublicKey) || got.NotAfter.Unix() != 2e9 || got.Problem != "" ||
			got.SignatureAlg != "SHA256-RSA" {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	for _, bad := range []string{"", "hello", "\x30\x03\x02\x01\x01", "-----BEGIN CERTIFICATE-----\n", "0\x84\xff\xff\xff\xff"} {
		var fe *FormatError
		if certs, err := ParseCertificates([]byte(bad)); !errors.As(err, &fe) {
			t.Errorf("%q: %v %v", bad, certs, err)
		}
	}
	// A negative serial number, which the phone takes and Go does not.
	odd := bytes.Replace(der, []byte{2, 1, 7}, []byte{2, 1, 0x87}, 1)
	certs, err := ParseCertificates(odd)
	if err != nil || certs[0].Problem == "" {
		t.Fatalf("%v %+v", err, certs)
	}
	good, _ := ParseCertificates(der)
	got, want := certs[0], good[0]
	if got.Subject != want.Subject || got.Issuer != want.Issuer || got.SubjectHashOld != want.SubjectHashOld ||
		got.SPKISHA256 != want.SPKISHA256 || got.KeyBits != 2048 || !got.NotBefore.Equal(want.NotBefore) || !got.SelfIssued {
		t.Errorf("%+v", got)
	}
}

func TestSubjectHashAgainstOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	der := makeCert(t)
	path := filepath.Join(t.TempDir(), "c.der")
	if err := os.WriteFile(path, der, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(openssl, "x509", "-inform", "DER", "-in", path, "-noout", "-subject_hash_old").Output()
	if err != nil {
		t.Fatal(err)
	}
	certs, err := ParseCertificates(der)
	if err != nil || certs[0].SubjectHashOld != strings.TrimSpace(string(out)) {
		t.Errorf("%v, openssl says %s", certs, out)
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("127.0.0.1 localhost\n::1 x"))
	f.Add([]byte(adbKey(&rsaKey().PublicKey) + " me@host"))
	f.Add([]byte("v2 {1,0x1,{-1},{1}},v5 {32,{1}}"))
	f.Add(makeCert(f))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ParseHosts(b)
		ParseADBKeys(b)
		var fe *FormatError
		if _, err := ParseRecoveryKeys(b); err != nil && !errors.As(err, &fe) {
			t.Fatalf("%T", err)
		}
		certs, err := ParseCertificates(b)
		if err != nil && !errors.As(err, &fe) || err == nil && len(certs) == 0 {
			t.Fatalf("%v %v", certs, err)
		}
	})
}

func BenchmarkCertificates(b *testing.B) {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: makeCert(b)})
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCertificates(text); err != nil {
			b.Fatal(err)
		}
	}
}
