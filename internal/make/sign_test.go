package make

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"strings"
	"testing"
)

var zipEntries = []Entry{
	{Name: "a", Data: []byte("deflated")},
	{Name: "stored/one", Data: []byte("12345"), Store: true},
	{Name: "stored/two2", Data: []byte("1"), Store: true},
	{Name: "stored/two2", Data: []byte("the second of that name"), Store: true},
	{Name: "empty"},
	{Name: "dir/", Store: true},
	{Name: "ü" + strings.Repeat("a very long name ", 10), Data: bytes.Repeat([]byte("large"), 300_000), Store: true},
}

func TestZip(t *testing.T) {
	b, err := Zip(zipEntries)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := Zip(zipEntries); !bytes.Equal(b, again) {
		t.Error("the same entries gave other bytes")
	}
	r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.File) != len(zipEntries) {
		t.Fatalf("%d entries, want %d", len(r.File), len(zipEntries))
	}
	for i, f := range r.File {
		want := zipEntries[i]
		off, err := f.DataOffset()
		if err != nil || want.Store && off%4 != 0 {
			t.Errorf("%s: data at %d, %v", f.Name, off, err)
		}
		rc, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(rc)
		if err != nil || !bytes.Equal(got, want.Data) || f.Name != want.Name || (f.Method == zip.Store) != want.Store || f.Modified.Year() != 2009 {
			t.Errorf("entry %d: %s of %v, %.20q, %v", i, f.Name, f.Modified, got, err)
		}
	}
	if _, err := Zip([]Entry{{Name: strings.Repeat("x", 1<<16)}}); err == nil {
		t.Error("a name of 65536 bytes was written")
	}
}

// The certificate is the same on every machine and with every Go version.
func TestKey(t *testing.T) {
	k := NewKey("oem")
	if got, want := fmt.Sprintf("%x", sha256.Sum256(k.Certificate)), "af0db7def9af862b94b18a6b03097639fc35c387f5903cffc4d94186b0c77f14"; got != want {
		t.Errorf("certificate %s, want %s", got, want)
	}
	if bytes.Equal(k.Certificate, NewKey("other").Certificate) {
		t.Error("two seeds, one certificate")
	}
	c, err := x509.ParseCertificate(k.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil || c.Subject.CommonName != "oem" {
		t.Error(c.Subject, err)
	}
}

func TestSign(t *testing.T) {
	manifest, err := XML([]byte(`<manifest xmlns:android="`+androidNamespace+`" package="a.b"><uses-sdk android:minSdkVersion="18"/></manifest>`), nil)
	if err != nil {
		t.Fatal(err)
	}
	apk, err := Zip([]Entry{zipEntries[0], zipEntries[1], {Name: "AndroidManifest.xml", Data: manifest}, zipEntries[4], zipEntries[6]})
	if err != nil {
		t.Fatal(err)
	}
	key := NewKey("oem")
	for _, c := range []struct {
		schemes []Scheme
		minSDK  string
	}{
		{[]Scheme{V1}, "18"}, {[]Scheme{V2}, "24"}, {[]Scheme{V3, V2, V1}, "18"},
	} {
		signed, err := Sign(apk, key, c.schemes...)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := Sign(apk, key, c.schemes...); !bytes.Equal(signed, again) {
			t.Errorf("%v: the same input gave other bytes", c.schemes)
		}
		if _, err := Sign(signed, key, c.schemes...); err == nil {
			t.Errorf("%v: signed twice", c.schemes)
		}
		out := run(t, "apksigner", "verify", "--verbose", "--print-certs", "--min-sdk-version", c.minSDK, writeTemp(t, "a.apk", signed))
		if !strings.Contains(out, "SHA-256 digest: af0db7def9af862b") {
			t.Errorf("%v: another signer in\n%s", c.schemes, out)
		}
		for s, name := range map[Scheme]string{V1: "v1 scheme (JAR signing)", V2: "v2 scheme (APK Signature Scheme v2)", V3: "v3 scheme (APK Signature Scheme v3)"} {
			has := strings.Contains(fmt.Sprint(c.schemes), fmt.Sprint(s))
			if want := fmt.Sprintf("%s: %v", name, has); !strings.Contains(out, want) {
				t.Errorf("%v: no %q in\n%s", c.schemes, want, out)
			}
		}
		if strings.Contains(out, "WARNING") {
			t.Errorf("%v: %s", c.schemes, out)
		}
	}
	if _, err := Sign([]byte("no zip"), key, V2); err == nil {
		t.Error("signed what is no zip")
	}
	if _, err := Sign(apk, key, 4); err == nil {
		t.Error("signed with a scheme there is not")
	}
}
