package ota

import (
	"archive/tar"
	"bytes"
	"compress/bzip2"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

func shared(t testing.TB, name string) string {
	t.Helper()
	p := filepath.Join("../../../shared/corpus/ota", name)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("%s is absent", p)
	}
	return p
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(shared(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func certificate(t testing.TB, pemBytes []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(pemBytes)
	if block == nil {
		t.Fatal("no certificate")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var keys = []string{"v1", "v2", "v3", "v4", "v5", "4096bits"}

// What recovery's own tests expect (bootable/recovery/tests/component/verifier_test.cpp): each package verifies with its
// own key and with no other, the other two with none.
func TestRecoveryPackages(t *testing.T) {
	var certs []*x509.Certificate
	for _, k := range keys {
		certs = append(certs, certificate(t, read(t, "recovery/testkey_"+k+".x509.pem")))
	}
	for i, k := range keys {
		b := read(t, "recovery/otasigned_"+k+".zip")
		s, err := NewZipSignature(bytes.NewReader(b), int64(len(b)))
		if err != nil || s == nil {
			t.Errorf("%s: %v, %v", k, s, err)
			continue
		}
		if c, err := s.Verify(certs); err != nil || c != certs[i] {
			t.Errorf("%s: verifies with %v, %v", k, c, err)
		}
		if len(s.Certificates) != 1 || !s.Certificates[0].Equal(certs[i]) {
			t.Errorf("%s: comes with %d certificates", k, len(s.Certificates))
		}
		others := append(certs[:i:i], certs[i+1:]...)
		if c, err := s.Verify(others); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: verifies with another key: %v, %v", k, c, err)
		}
		for _, at := range []int64{0, s.Signed / 2, s.Signed - 1} {
			bad := bytes.Clone(b)
			bad[at] ^= 1
			s, err := NewZipSignature(bytes.NewReader(bad), int64(len(bad)))
			if err == nil {
				_, err = s.Verify(certs)
			}
			if err == nil {
				t.Errorf("%s: verifies with byte %d altered", k, at)
			}
		}
	}

	b := read(t, "recovery/random.zip")
	if s, err := NewZipSignature(bytes.NewReader(b), int64(len(b))); s != nil || err != nil {
		t.Errorf("random.zip: %v, %v", s, err)
	}
	b = read(t, "recovery/fake-eocd.zip")
	var fe *FormatError
	if s, err := NewZipSignature(bytes.NewReader(b), int64(len(b))); s != nil || !errors.As(err, &fe) {
		t.Errorf("fake-eocd.zip: %v, %v", s, err)
	}
}

func untar(t testing.TB, r io.Reader) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[strings.TrimPrefix(h.Name, "./")], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
}

func samples(t testing.TB) (payloads, images map[string][]byte) {
	t.Helper()
	z, err := xz.NewReader(bytes.NewReader(read(t, "update_engine/sample_payloads.tar.xz")))
	if err != nil {
		t.Fatal(err)
	}
	return untar(t, z), untar(t, bzip2.NewReader(bytes.NewReader(read(t, "update_engine/sample_images.tar.bz2"))))
}

// The full sample makes two of the sample images; the delta sample makes the same two out of two others
// (system/update_engine/sample_images/generate_payloads.sh).
func TestSamplePayloads(t *testing.T) {
	payloads, images := samples(t)
	full := payloads["full_payload.bin"]
	p, err := NewPayload(bytes.NewReader(full), int64(len(full)))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Partitions) != 2 || p.MinorVersion != 0 || p.BlockSize != 4096 {
		t.Fatalf("%d partitions, minor version %d, blocks of %d", len(p.Partitions), p.MinorVersion, p.BlockSize)
	}
	for name, want := range map[string]string{"kernel": "disk_ext2_4k.img", "root": "disk_sqfs_default.img"} {
		part := p.Partition(name)
		if part == nil || part.Delta != nil {
			t.Fatalf("%s: %+v", name, part)
		}
		if err := part.Verify(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		m := part.Open()
		got, err := io.ReadAll(io.NewSectionReader(m, 0, m.Size()))
		if err != nil || !bytes.Equal(got, images[want]) {
			t.Errorf("%s: %d bytes, %v: not %s", name, len(got), err, want)
		}
	}
	if _, err := p.Verify(nil); !errors.Is(err, ErrMismatch) {
		t.Errorf("a payload without signatures verifies: %v", err)
	}

	delta := payloads["delta_payload.bin"]
	p, err = NewPayload(bytes.NewReader(delta), int64(len(delta)))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]string{
		"kernel": {"disk_ext2_4k_empty.img", "disk_ext2_4k.img"},
		"root":   {"disk_sqfs_empty.img", "disk_sqfs_default.img"},
	} {
		part := p.Partition(name)
		if err := part.VerifyOld(bytes.NewReader(images[want[0]])); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := part.VerifyOld(bytes.NewReader(images[want[1]])); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: the new image passes for the old: %v", name, err)
		}
		m := part.Open()
		if m.Size() != int64(len(images[want[1]])) {
			t.Errorf("%s: %d bytes", name, m.Size())
		}
		if part.Delta == nil {
			// The delta of an image that has nothing in common with the old one is a full one.
			if err := part.Verify(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(part.Delta, errors.ErrUnsupported) || !errors.Is(part.Verify(), errors.ErrUnsupported) {
			t.Errorf("%s: %v, %v", name, part.Delta, part.Verify())
		}
		// What stands alone reads, and is right.
		right, not := 0, 0
		for off := int64(0); off < m.Size(); off += 4096 {
			b := make([]byte, min(4096, m.Size()-off))
			if _, err := m.ReadAt(b, off); errors.Is(err, errors.ErrUnsupported) {
				not++
			} else if err != nil || !bytes.Equal(b, images[want[1]][off:off+int64(len(b))]) {
				t.Fatalf("%s: block at %#x: %v", name, off, err)
			} else {
				right++
			}
		}
		t.Logf("%s: %v; %d blocks read, %d take the old partition", name, part.Delta, right, not)
		if right == 0 || not == 0 {
			t.Errorf("%s: %d blocks read, %d not", name, right, not)
		}
	}
}

func BenchmarkPayload(b *testing.B) {
	payloads, _ := samples(b)
	full := payloads["full_payload.bin"]
	b.SetBytes(4 << 20)
	for b.Loop() {
		p, err := NewPayload(bytes.NewReader(full), int64(len(full)))
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Partition("kernel").Verify(); err != nil {
			b.Fatal(err)
		}
	}
}
