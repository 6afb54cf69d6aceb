package apk

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gifthorse/internal/cursor"
	"gifthorse/internal/make"
)

const apksigCorpus = "../../../shared/corpus/apksig"

// truth is what apksigner 31.0.2, told of phones since API level 24, says of a file.
type truth struct {
	file     string
	verifies bool
	schemes  []string
	certs    []string // of signers, and of the source stamp
}

func readTruth(t testing.TB) []truth {
	b, err := os.ReadFile(filepath.Join(apksigCorpus, "truth.tsv"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no corpus: ", apksigCorpus)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []truth
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") || len(f) != 4 {
			continue
		}
		split := func(s string) []string {
			return slices.DeleteFunc(strings.Split(s, ","), func(s string) bool { return s == "" })
		}
		all = append(all, truth{f[0], f[1] == "true", split(f[2]), split(f[3])})
	}
	if len(all) == 0 {
		t.Fatal("empty truth.tsv")
	}
	return all
}

// judge says of a file what truth.tsv says, from Verify.
func judge(s *Signatures, file string) truth {
	got := truth{file: file, verifies: s.Verdict == Verified}
	if !got.verifies {
		return got
	}
	for _, sc := range s.Schemes {
		if sc.Checked {
			got.schemes = append(got.schemes, sc.ID.String())
		}
	}
	for _, signer := range s.Signers {
		got.certs = append(got.certs, hex.EncodeToString(signer.SHA256[:]))
	}
	if s.Stamp != nil && s.Stamp.Version == 2 {
		got.certs = append(got.certs, hex.EncodeToString(s.Stamp.Signer.SHA256[:]))
	}
	slices.Sort(got.certs)
	got.certs = slices.Compact(got.certs)
	return got
}

func (a truth) equal(b truth) bool {
	return a.verifies == b.verifies && slices.Equal(a.schemes, b.schemes) && slices.Equal(a.certs, b.certs)
}

// usesPSS says whether a scheme's block has an RSA-PSS signature. Java has that algorithm under another
// name than Android, so apksigner dies of NoSuchAlgorithmException on a computer and works on a phone.
func usesPSS(t *testing.T, b []byte) bool {
	z, err := NewZip(strings.NewReader(string(b)), int64(len(b)))
	if err != nil {
		return false
	}
	block, _, err := findSigningBlock(z.r, z.size, z.EOCD)
	if err != nil || block == nil {
		return false
	}
	c, ok := block.find(idV2)
	if !ok {
		return false
	}
	_, signers := block.part(&c)
	_, signer := block.part(&signers)
	block.part(&signer)
	_, list := block.part(&signer)
	sigs, err := block.values(&list)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(sigs, func(v blockValue) bool { return v.id == 0x0101 || v.id == 0x0102 })
}

func hasScheme(s *Signatures, id SchemeID) bool {
	return slices.ContainsFunc(s.Schemes, func(sc Scheme) bool { return sc.ID == id })
}

func TestReference(t *testing.T) {
	rules := map[string]int{}
	all := readTruth(t)
	for _, want := range all {
		b, err := os.ReadFile(filepath.Join(apksigCorpus, want.file))
		if err != nil {
			t.Fatal(err)
		}
		verify := func(maxSDK int) (*Signatures, truth) {
			s, err := Verify(strings.NewReader(string(b)), int64(len(b)), 24, maxSDK)
			if err != nil {
				s = &Signatures{Problems: []string{err.Error()}}
			}
			return s, judge(s, want.file)
		}
		s, got := verify(0)
		if got.equal(want) {
			rules["agreed"]++
			continue
		}
		switch {
		case hasScheme(s, V31):
			// The oracle is older than scheme v3.1. It sees a v3 block that is not for the newest phones and,
			// by a fault of its own, passes over it. Asked about the phones it knows, both agree on the rest.
			_, old := verify(32)
			want.schemes = []string{"v2", "v3"}
			if old.equal(want) {
				rules["the oracle does not know v3.1"]++
				continue
			}
		case usesPSS(t, b) && got.verifies && !want.verifies:
			rules["Java names RSA-PSS differently"]++
			continue
		}
		t.Errorf("%s: got %+v, want %+v\n%q", want.file, got, want, s.Problems)
	}
	t.Logf("%d files: %v", len(all), rules)
}

// TestPhones asks phone by phone who signed files whose key changed.
func TestPhones(t *testing.T) {
	readTruth(t) // skips without a corpus
	const first, second = "CN=rsa-2048", "CN=rsa-2048_2"
	for _, tt := range []struct {
		file    string
		sdk     int
		verdict Verdict
		signer  string
		lineage int
	}{
		{"golden-unaligned-v1v2v3-lineage-out.apk", 23, Verified, first, 0},
		{"golden-unaligned-v1v2v3-lineage-out.apk", 27, Verified, first, 0},
		{"golden-unaligned-v1v2v3-lineage-out.apk", 28, Verified, second, 2},
		{"v31-rsa-2048_2-tgt-34-1-tgt-28.apk", 27, Verified, first, 0},
		{"v31-rsa-2048_2-tgt-34-1-tgt-28.apk", 33, Verified, first, 0},
		{"v31-rsa-2048_2-tgt-34-1-tgt-28.apk", 34, Verified, second, 2},
		// For the release after 34, when that was being made.
		{"v31-rsa-2048_2-tgt-34-dev-release.apk", 34, Verified, first, 0},
		{"v31-rsa-2048_2-tgt-34-dev-release.apk", 35, Verified, second, 2},
		// The v3 signer expects a v3.1 block for another level. Only a phone that looks at both finds out.
		{"v31-tgt-34-v3-attr-value-33.apk", 32, Verified, first, 0},
		{"v31-tgt-34-v3-attr-value-33.apk", 33, Broken, "", 0},
		{"v31-tgt-34-v3-attr-value-33.apk", 34, Verified, second, 2},
		{"v2v3-signed-v3-block-stripped.apk", 27, Verified, "CN=rsa-16384", 0},
		{"v2v3-signed-v3-block-stripped.apk", 28, Broken, "", 0},
		// SHA-256 for 4.3 and later does not match, SHA-1 for older phones does.
		{"v1-sha1-sha256-manifest-and-sf-with-sha256-wrong-in-manifest.apk", 17, Verified, first, 0},
		{"v1-sha1-sha256-manifest-and-sf-with-sha256-wrong-in-manifest.apk", 18, Broken, "", 0},
		{"v1-only-targetSandboxVersion-2.apk", 25, Verified, first, 0},
		{"v1-only-targetSandboxVersion-2.apk", 26, Broken, "", 0},
	} {
		b, err := os.ReadFile(filepath.Join(apksigCorpus, tt.file))
		if err != nil {
			t.Fatal(err)
		}
		s, err := Verify(bytes.NewReader(b), int64(len(b)), tt.sdk, tt.sdk)
		if err != nil {
			t.Fatal(err)
		}
		signer := ""
		if len(s.Signers) > 0 {
			signer = s.Signers[0].Subject
		}
		if s.Verdict != tt.verdict || signer != tt.signer || tt.verdict == Verified && len(s.Lineage) != tt.lineage {
			t.Errorf("%s at %d: %v by %q with a history of %d, want %+v\n%q", tt.file, tt.sdk, s.Verdict, signer, len(s.Lineage), tt, s.Problems)
		}
		if tt.lineage > 0 && (s.Lineage[0].Subject != first || s.Lineage[0].Capabilities != InstalledData|SharedUserID|Permission|Auth) {
			t.Errorf("%s: history %+v", tt.file, s.Lineage)
		}
	}
}

// apkOf returns an unsigned zip with a manifest in it, which need not be one for what is tested here.
func apkOf(files ...string) []byte {
	entries := []zipEntry{newEntry(codeManifest, Deflated, "manifest"), newEntry("classes.dex", Deflated, "code")}
	for _, f := range files {
		entries = append(entries, newEntry(f, Stored, "content of "+f))
	}
	return makeZip("", entries...)
}

func signed(t testing.TB, b []byte, schemes ...make.Scheme) []byte {
	out, err := make.Sign(b, make.NewKey("one"), schemes...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func verdict(t testing.TB, b []byte, minSDK, maxSDK int) *Signatures {
	t.Helper()
	s, err := Verify(bytes.NewReader(b), int64(len(b)), minSDK, maxSDK)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestUnsigned(t *testing.T) {
	s := verdict(t, apkOf(), 0, 0)
	if s.Verdict != None || len(s.Schemes) != 0 || len(s.Claimed) != 0 {
		t.Errorf("%+v", s)
	}
	// A MANIFEST.MF alone, as every plain jar has it, is no signature.
	if s := verdict(t, makeZip("", newEntry(jarManifest, Stored, "Manifest-Version: 1.0\n\n")), 0, 0); s.Verdict != None {
		t.Errorf("%+v", s)
	}
	z := mustZip(t, apkOf())
	if signers, err := z.Signers(34); err != nil || len(signers) != 0 {
		t.Error(signers, err)
	}
}

func mustZip(t testing.TB, b []byte) *Zip {
	z, err := NewZip(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestSignerFields(t *testing.T) {
	key := make.NewKey("one")
	b := signed(t, apkOf("a"), make.V1, make.V2, make.V3)
	for _, sdk := range []int{19, 24, 28, 34} {
		s := verdict(t, b, sdk, sdk)
		if s.Verdict != Verified || len(s.Signers) != 1 {
			t.Fatalf("%d: %v %q", sdk, s.Verdict, s.Problems)
		}
		g := s.Signers[0]
		if !bytes.Equal(g.Certificate, key.Certificate) || g.SHA256 != sha256.Sum256(key.Certificate) ||
			g.Subject != "CN=one" || g.Issuer != "CN=one" || g.Key != "EC 256" || g.NotBefore.Year() != 2009 || g.NotAfter.Year() != 2049 || g.Serial.Sign() <= 0 {
			t.Errorf("%d: %+v", sdk, g)
		}
		fast, err := mustZip(t, b).Signers(sdk)
		if err != nil || len(fast) != 1 || fast[0].SHA256 != g.SHA256 {
			t.Error(sdk, fast, err)
		}
	}
	// Phones that do not know the scheme.
	if s := verdict(t, signed(t, apkOf(), make.V2), 21, 23); s.Verdict != Broken || len(s.Signers) != 0 || len(s.Problems) == 0 {
		t.Errorf("v2 on Android 6: %v %q", s.Verdict, s.Problems)
	}
	if s := verdict(t, signed(t, apkOf(), make.V2), 21, 24); s.Verdict != Broken || len(s.Signers) != 1 {
		t.Errorf("v2 on Android 6 and 7: %v %q", s.Verdict, s.Problems)
	}
	// All phones at once.
	if s := verdict(t, b, 19, 0); s.Verdict != Verified || len(s.Schemes) != 3 {
		t.Errorf("%v %v %q", s.Verdict, s.Schemes, s.Problems)
	}
}

// TestEveryByteCounts changes every byte of a file signed with v2, one at a time.
func TestEveryByteCounts(t *testing.T) {
	b := signed(t, apkOf("a", "b"), make.V2)
	if s := verdict(t, b, 24, 0); s.Verdict != Verified {
		t.Fatal(s.Problems)
	}
	z := mustZip(t, b)
	block, _, err := findSigningBlock(z.r, z.size, z.EOCD)
	if err != nil || block == nil {
		t.Fatal(err)
	}
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 1
		s, err := Verify(bytes.NewReader(c), int64(len(c)), 24, 0)
		if err == nil && s.Verdict == Verified {
			t.Errorf("byte %#x (signing block at %#x) can be changed", i, block.off)
		}
	}
}

// TestClaimed changes a file's content. Who signed the statement about it stays known, but not as a signer.
func TestClaimed(t *testing.T) {
	for _, scheme := range []make.Scheme{make.V1, make.V2, make.V3} {
		b := signed(t, apkOf("a"), scheme)
		i := bytes.Index(b, []byte("content of a"))
		b[i]++
		s := verdict(t, b, 28, 28)
		if s.Verdict != Broken || len(s.Signers) != 0 || len(s.Claimed) != 1 || len(s.Problems) == 0 {
			t.Errorf("v%d: %v, %d signers, %d claimed, %q", scheme, s.Verdict, len(s.Signers), len(s.Claimed), s.Problems)
		}
	}
	// A changed statement is nobody's.
	for _, scheme := range []make.Scheme{make.V2, make.V3} {
		b := signed(t, apkOf("a"), scheme)
		z := mustZip(t, b)
		block, _, _ := findSigningBlock(z.r, z.size, z.EOCD)
		b[block.off+40]++ // in the list of digests
		if s := verdict(t, b, 28, 28); s.Verdict != Broken || len(s.Claimed) != 0 {
			t.Errorf("v%d: %v, %d claimed, %q", scheme, s.Verdict, len(s.Claimed), s.Problems)
		}
	}
}

// repack makes a zip of those entries that keep lets through, as they are.
func repack(t *testing.T, b []byte, keep func(name string) bool) []byte {
	z := mustZip(t, b)
	var entries []zipEntry
	for i := range z.Entries {
		e := &z.Entries[i]
		if !keep(e.Name) {
			continue
		}
		content, err := z.ReadFile(e, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, newEntry(e.Name, Deflated, string(content)))
	}
	return makeZip("", entries...)
}

func TestStripped(t *testing.T) {
	b := signed(t, apkOf("a"), make.V1)
	b = repack(t, b, func(name string) bool { return name != "classes.dex" })
	s := verdict(t, b, 24, 0)
	if s.Verdict != Broken || !slices.Equal(s.StrippedEntries, []string{"classes.dex"}) || len(s.Signers) != 0 || len(s.Claimed) != 1 {
		t.Errorf("%v %q %d %d", s.Verdict, s.StrippedEntries, len(s.Signers), len(s.Claimed))
	}
	if len(s.Problems) == 0 || !strings.Contains(strings.Join(s.Problems, "\n"), `"classes.dex": listed in MANIFEST.MF but missing`) {
		t.Errorf("%q", s.Problems)
	}
}

func TestJarFaults(t *testing.T) {
	whole := signed(t, apkOf("a"), make.V1, make.V2)
	// Packed anew, the v2 block is gone, and the .SF file says it was there.
	s := verdict(t, repack(t, whole, func(string) bool { return true }), 24, 0)
	if s.Verdict != Broken || len(s.Claimed) != 1 {
		t.Errorf("v2 stripped: %v, %d claimed, %q", s.Verdict, len(s.Claimed), s.Problems)
	}
	if s := verdict(t, repack(t, whole, func(string) bool { return true }), 19, 23); s.Verdict != Verified {
		t.Errorf("v2 stripped, before v2: %v %q", s.Verdict, s.Problems)
	}
	// A file more than was signed.
	z := mustZip(t, signed(t, apkOf("a"), make.V1))
	var entries []zipEntry
	for i := range z.Entries {
		content, _ := z.ReadFile(&z.Entries[i], 1<<20)
		entries = append(entries, newEntry(z.Entries[i].Name, Deflated, string(content)))
	}
	more := makeZip("", append(entries, newEntry("lib/x.so", Stored, "more"))...)
	if s := verdict(t, more, 24, 0); s.Verdict != Broken || len(s.Signers) != 0 {
		t.Errorf("added file: %v %q", s.Verdict, s.Problems)
	}
	// Files in META-INF are not signed, and need not be.
	more = makeZip("", append(entries, newEntry("META-INF/x", Stored, "more"))...)
	if s := verdict(t, more, 24, 0); s.Verdict != Verified {
		t.Errorf("added to META-INF: %v %q", s.Verdict, s.Problems)
	}
	if s := verdict(t, makeZip("", append(entries, entries[0])...), 24, 0); s.Verdict != Broken || len(s.Claimed) != 0 {
		t.Errorf("entry twice: %v %q", s.Verdict, s.Problems)
	}
}

func TestSections(t *testing.T) {
	all, err := sections([]byte("A: 1\r\nB: 2\r\n\r\n\nName: long na\n me of a file\nX: y: z\n\n\nname: b\rY:no\r"))
	if err != nil || len(all) != 3 || all[0].name != "" || all[1].name != "long name of a file" || all[2].name != "b" {
		t.Fatalf("%q %v", all, err)
	}
	if v, _ := lookUp(all[1].attributes(), "x"); v != "y: z" {
		t.Errorf("%q", all[1].attributes())
	}
	for _, bad := range []string{"", "\n\r\n", strings.Repeat("a\n\n", maxSections+1)} {
		if _, err := sections([]byte(bad)); err == nil {
			t.Errorf("%d bytes: no error", len(bad))
		}
	}
	if string(all[0].text) != "A: 1\r\nB: 2\r\n\r\n" || !strings.HasPrefix(string(all[1].text), "Name:") {
		t.Errorf("%q", all)
	}
}

func TestJarAlgorithmLevels(t *testing.T) {
	for _, tt := range []struct {
		key         keyType
		sig, digest crypto.Hash
		levels      string
	}{ // a sample of OidConstants
		{keyRSA, 0, crypto.MD5, "0-"}, {keyRSA, crypto.MD5, crypto.MD5, "0-8 21-"}, {keyRSA, crypto.SHA1, crypto.MD5, "21-23"},
		{keyRSA, crypto.SHA256, crypto.SHA224, "21-21"}, {keyRSA, crypto.SHA1, crypto.SHA256, "21-21"}, {keyRSA, crypto.SHA384, crypto.SHA512, "21-21"},
		{keyRSA, 0, crypto.SHA512, "18-"}, {keyRSA, crypto.SHA512, crypto.SHA512, "21-"}, {keyRSA, crypto.SHA256, crypto.SHA256, "0-8 18-"},
		{keyDSA, 0, crypto.SHA1, "0-"}, {keyDSA, crypto.SHA1, crypto.SHA1, "9-"}, {keyDSA, 0, crypto.SHA256, "22-"}, {keyDSA, 0, crypto.SHA384, ""},
		{keyDSA, crypto.SHA256, crypto.SHA512, "21-23"}, {keyDSA, 0, crypto.MD5, ""},
		{keyECDSA, 0, crypto.SHA224, "21-"}, {keyECDSA, 0, crypto.SHA256, "18-"}, {keyECDSA, crypto.SHA256, crypto.SHA256, "21-"},
		{keyECDSA, crypto.SHA1, crypto.SHA1, "18-"}, {keyECDSA, 0, crypto.MD5, ""}, {keyECDSA, crypto.SHA1, crypto.MD5, "21-23"},
	} {
		var got []string
		for _, r := range jarAlgorithmLevels(tt.key, tt.sig, tt.digest) {
			if r.to == math.MaxInt32 {
				got = append(got, fmt.Sprintf("%d-", r.from))
			} else {
				got = append(got, fmt.Sprintf("%d-%d", r.from, r.to))
			}
		}
		if s := strings.Join(got, " "); s != tt.levels {
			t.Errorf("%v, %v over %v: %q, want %q", tt.key, tt.sig, tt.digest, s, tt.levels)
		}
	}
	if covered([]sdkRange{{0, 8}, {21, math.MaxInt32}}, 5, 24) || !covered([]sdkRange{{0, 8}, {9, 20}}, 5, 20) {
		t.Error("covered")
	}
}

func TestASN1(t *testing.T) {
	// An OCTET STRING inside sequences without length, and one with more length octets than it needs.
	v, err := readBER([]byte{0x30, 0x80, 0x30, 0x80, 4, 1, 7, 0, 0, 0, 0, 9}, 0, 0)
	if err != nil || len(v.full) != 11 || string(v.in().take(tagSequence).in().take(tagOctetString).body) != "\x07" {
		t.Error(v, err)
	}
	if v, err := readBER([]byte{4, 0x84, 0, 0, 0, 1, 7}, 0, 0); err != nil || string(v.body) != "\x07" {
		t.Error(v, err)
	}
	for _, bad := range [][]byte{{}, {4}, {4, 2, 0}, {4, 0x88, 255, 255, 255, 255, 255, 255, 255, 255, 0}, {4, 0x80, 0, 0}, {0x30, 0x80, 0}, bytes.Repeat([]byte{0x30, 0x80}, 1000)} {
		if _, err := readBER(bad, 0, 0); err == nil {
			t.Errorf("%x: no error", bad)
		}
	}
	if got := (ber{body: []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d}}).oid(); got != "1.2.840.113549" {
		t.Error(got)
	}
	if got := (ber{body: []byte{0xff, 0x7f}}).integer(); got.Int64() != -129 {
		t.Error(got)
	}
}

// apksigner runs the reference verifier, as Debian has it.
func apksigner(t *testing.T, args ...string) (string, error) {
	path, err := exec.LookPath("apksigner")
	if err != nil {
		t.Skip("no apksigner")
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	return string(out), err
}

// TestApksigner compares signers with apksigner's on some apps, names of the certificates included.
func TestApksigner(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/corpus/droidbench/*.apk")
	if len(files) < 5 {
		t.Skip("no corpus: droidbench")
	}
	if testing.Short() {
		t.Skip("starts Java five times")
	}
	for i := range 5 {
		file := files[i*len(files)/5]
		out, err := apksigner(t, "verify", "-v", "--print-certs", file)
		b, rerr := os.ReadFile(file)
		if rerr != nil {
			t.Fatal(rerr)
		}
		s := verdict(t, b, 0, 0)
		if (err == nil) != (s.Verdict == Verified) {
			t.Errorf("%s: %v, %q; apksigner: %s", file, s.Verdict, s.Problems, out)
		}
		for i, g := range s.Signers {
			for _, line := range []string{
				fmt.Sprintf("Signer #%d certificate DN: %s\n", i+1, g.Subject),
				fmt.Sprintf("Signer #%d certificate SHA-256 digest: %x\n", i+1, g.SHA256),
			} {
				if !strings.Contains(out, line) {
					t.Errorf("%s: apksigner does not say %q but\n%s", file, line, out)
				}
			}
		}
	}
}

// TestLargeDigests verifies a file of several chunks signed by apksigner, which takes SHA-512 for this key,
// and one signed with SHA-256 by internal/make.
func TestLargeDigests(t *testing.T) {
	in := makeZip("", newEntry(codeManifest, Stored, "manifest"), newEntry("noise", Stored, make2MB()))
	if s := verdict(t, signed(t, in, make.V2), 24, 0); s.Verdict != Verified {
		t.Errorf("SHA-256: %q", s.Problems)
	}
	if testing.Short() {
		t.Skip("starts Java")
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	key, cert := newTestKey(t, elliptic.P521())
	pk8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"in.apk": in, "key": pk8, "cert": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})} {
		if err := os.WriteFile(path(name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := apksigner(t, "sign", "--key", path("key"), "--cert", path("cert"), "--min-sdk-version", "28", "--v1-signing-enabled", "false",
		"--v4-signing-enabled", "false", "--out", path("out.apk"), path("in.apk"))
	if err != nil {
		t.Fatal(out)
	}
	b, err := os.ReadFile(path("out.apk"))
	if err != nil {
		t.Fatal(err)
	}
	if s := verdict(t, b, 28, 0); s.Verdict != Verified {
		t.Errorf("SHA-512: %q", s.Problems)
	}
}

func newTestKey(t testing.TB, curve elliptic.Curve) (*ecdsa.PrivateKey, []byte) {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

// lengthPrefixed joins parts behind their length.
func lengthPrefixed(parts ...[]byte) []byte {
	all := bytes.Join(parts, nil)
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(all))), all...)
}

func word(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

// signBlock signs a zip with v2 and those ECDSA algorithms. skew is added to each digest's last byte.
func signBlock(t testing.TB, b []byte, skew byte, algorithms ...uint32) []byte {
	z := mustZip(t, b)
	b = append(b[:z.CentralDir:z.CentralDir], append(bytes.Repeat([]byte{0}, int(-z.CentralDir&(verityPage-1))), b[z.CentralDir:]...)...)
	dir := (z.CentralDir + verityPage - 1) &^ (verityPage - 1)
	eocd := z.EOCD + dir - z.CentralDir
	file, err := newCoveredFile(bytes.NewReader(b), dir, dir, eocd, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := file.digests([digestKinds]bool{true, true, true})
	if err != nil {
		t.Fatal(err)
	}
	key, cert := newTestKey(t, elliptic.P256())
	var digests, signatures []byte
	for _, id := range algorithms {
		sum := []byte{1, 2, 3, 4}
		if a := blockAlgorithmByID(id); a != nil {
			sum = sums[a.digest]
		}
		sum[len(sum)-1] += skew
		digests = append(digests, lengthPrefixed(word(id), lengthPrefixed(sum))...)
	}
	data := slices.Concat(lengthPrefixed(digests), lengthPrefixed(lengthPrefixed(cert)), lengthPrefixed())
	for _, id := range algorithms {
		h := crypto.SHA256
		if a := blockAlgorithmByID(id); a != nil {
			h = a.hash
		}
		d := h.New()
		d.Write(data)
		sig, err := key.Sign(rand.Reader, d.Sum(nil), h)
		if err != nil {
			t.Fatal(err)
		}
		signatures = append(signatures, lengthPrefixed(word(id), lengthPrefixed(sig))...)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	signer := lengthPrefixed(lengthPrefixed(data), lengthPrefixed(signatures), lengthPrefixed(spki))
	value := lengthPrefixed(signer)
	long := func(v int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }
	pairs := slices.Concat(long(len(value)+4), word(idV2), value)
	padding := -(8+len(pairs)+12+24)&(verityPage-1) + 12
	pairs = slices.Concat(pairs, long(padding-8), word(0x42726577), bytes.Repeat([]byte{0}, padding-12))
	size := len(pairs) + 24
	out := slices.Concat(b[:dir], long(size), pairs, long(size), []byte(signingMagic), b[dir:])
	binary.LittleEndian.PutUint32(out[int(eocd)+size+8+16:], uint32(int(dir)+size+8))
	return out
}

// TestDigestChoice signs with several algorithms of which each phone takes the best it knows.
func TestDigestChoice(t *testing.T) {
	const sha256, verity, sha512, unknown = 0x0201, 0x0413, 0x0202, 0x8888
	for _, tt := range []struct {
		algorithms     []uint32
		minSDK, maxSDK int
		want           Verdict
	}{
		{[]uint32{sha256}, 24, 0, Verified},
		{[]uint32{sha512}, 24, 0, Verified},
		{[]uint32{sha256, verity, sha512, unknown}, 24, 0, Verified},
		{[]uint32{unknown, sha256}, 24, 0, Verified},
		{[]uint32{verity}, 28, 0, Verified},
		{[]uint32{verity}, 27, 0, Broken}, // 8.1 does not know it
		{[]uint32{verity, sha256}, 24, 27, Verified},
		{[]uint32{unknown}, 24, 0, Broken},
	} {
		b := signBlock(t, apkOf("a"), 0, tt.algorithms...)
		if s := verdict(t, b, tt.minSDK, tt.maxSDK); s.Verdict != tt.want {
			t.Errorf("%#x for %d to %d: %v %q", tt.algorithms, tt.minSDK, tt.maxSDK, s.Verdict, s.Problems)
		}
		if tt.want == Broken {
			continue
		}
		b = signBlock(t, apkOf("a"), 1, tt.algorithms...)
		if s := verdict(t, b, tt.minSDK, tt.maxSDK); s.Verdict != Broken || len(s.Signers) != 0 || len(s.Claimed) != 1 {
			t.Errorf("%#x for %d to %d, wrong digest: %v %q", tt.algorithms, tt.minSDK, tt.maxSDK, s.Verdict, s.Problems)
		}
	}
}

// TestLineage forges a rotation history.
func TestLineage(t *testing.T) {
	const ecdsa256, flags = 0x0201, uint32(InstalledData | Rollback)
	keys, certs := make3(t)
	node := func(i int, by *ecdsa.PrivateKey, alg uint32) []byte {
		data := slices.Concat(lengthPrefixed(certs[i]), word(alg))
		sum := sha256.Sum256(data)
		sig, err := by.Sign(rand.Reader, sum[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		return lengthPrefixed(lengthPrefixed(data), word(flags), word(ecdsa256), lengthPrefixed(sig))
	}
	for _, tt := range []struct {
		name  string
		nodes []byte
		want  int // certificates, or -1 for an error
	}{
		{"none", nil, 0},
		{"three", slices.Concat(node(0, keys[0], 0), node(1, keys[0], ecdsa256), node(2, keys[1], ecdsa256)), 3},
		{"link by the wrong key", slices.Concat(node(0, keys[0], 0), node(1, keys[0], ecdsa256), node(2, keys[0], ecdsa256)), -1},
		{"self-made", slices.Concat(node(0, keys[0], 0), node(1, keys[1], ecdsa256)), -1},
		{"other algorithm announced", slices.Concat(node(0, keys[0], 0), node(1, keys[0], 0x0202)), -1},
		{"twice", slices.Concat(node(0, keys[0], 0), node(0, keys[0], ecdsa256)), -1},
		{"cut short", node(0, keys[0], 0)[:20], -1},
	} {
		value := append(word(1), tt.nodes...)
		s := &signingBlock{b: value}
		c := cursor.At(value, 0)
		got, err := s.readLineage(&c)
		if tt.want < 0 != (err != nil) || err == nil && len(got) != tt.want {
			t.Errorf("%s: %d certificates, %v", tt.name, len(got), err)
		}
		if tt.want == 3 && (!bytes.Equal(got[0].Certificate, certs[0]) || got[2].Capabilities != InstalledData|Rollback) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func make3(t *testing.T) (keys [3]*ecdsa.PrivateKey, certs [3][]byte) {
	for i := range keys {
		keys[i], certs[i] = newTestKey(t, elliptic.P256())
	}
	return keys, certs
}

// TestRanges looks at v3 signers that do not share out the phones between them.
func TestRanges(t *testing.T) {
	history := []Signer{{SHA256: [32]byte{1}}, {SHA256: [32]byte{2}}}
	for _, tt := range []struct {
		name    string
		signers []*blockSigner
		ok      bool
	}{
		{"one for all", []*blockSigner{{minSDK: 28, maxSDK: 40}}, true},
		{"two", []*blockSigner{{minSDK: 31, maxSDK: 40, lineage: history}, {minSDK: 24, maxSDK: 30}}, true},
		{"gap", []*blockSigner{{minSDK: 28, maxSDK: 29}, {minSDK: 31, maxSDK: 40}}, false},
		{"overlap", []*blockSigner{{minSDK: 28, maxSDK: 31}, {minSDK: 31, maxSDK: 40}}, false},
		{"overlap under development", []*blockSigner{{minSDK: 28, maxSDK: 31}, {minSDK: 31, maxSDK: 40, devRelease: true}}, true},
		{"too late", []*blockSigner{{minSDK: 29, maxSDK: 40}}, false},
		{"too early", []*blockSigner{{minSDK: 28, maxSDK: 39}}, false},
		{"shorter history", []*blockSigner{{minSDK: 28, maxSDK: 30, lineage: history}, {minSDK: 31, maxSDK: 40, lineage: history[:1]}}, false},
		{"other history", []*blockSigner{{minSDK: 28, maxSDK: 30, lineage: history[:1]}, {minSDK: 31, maxSDK: 40, lineage: history[1:]}}, false},
	} {
		b := &blockScheme{signers: tt.signers}
		b.checkRanges(28, 40)
		if b.ok() != tt.ok {
			t.Errorf("%s: %q", tt.name, b.problems)
		}
	}
}

func TestNames(t *testing.T) {
	rdn := func(oid byte, tag byte, value string) string {
		pair := "\x06\x03\x55\x04" + string(rune(oid)) + string(rune(tag)) + string(rune(len(value))) + value
		seq := "\x30" + string(rune(len(pair))) + pair
		return "\x31" + string(rune(len(seq))) + seq
	}
	name := rdn(6, 0x13, "US") + rdn(10, tagUTF8, "A, B") + rdn(11, tagBMP, "\x00x\x01\x7f") + rdn(3, tagT61, "m\x01")
	v, err := readBER([]byte("\x30"+string(rune(len(name)))+name), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.name(); err != nil || got != "CN=m\x01, OU=xſ, O=\"A, B\", C=US" {
		t.Errorf("%q %v", got, err)
	}
	for _, tt := range []struct {
		tag  byte
		text string
		want string
	}{
		{tagUTCTime, "490101000000Z", "2049-01-01T00:00:00Z"}, {tagUTCTime, "500101000000Z", "1950-01-01T00:00:00Z"},
		{tagUTCTime, "0801010000+0100", "2007-12-31T23:00:00Z"}, {tagGeneralTime, "30080101000000Z", "3008-01-01T00:00:00Z"},
		{tagUTCTime, "never", "0001-01-01T00:00:00Z"},
	} {
		if got := (ber{tag: tt.tag, body: []byte(tt.text)}).time().Format(time.RFC3339); got != tt.want {
			t.Errorf("%s: %s", tt.text, got)
		}
	}
}

// TestAppLevels takes the phones, and what the newest asks of a signature, from the manifest.
func TestAppLevels(t *testing.T) {
	with := func(attrs string, schemes ...make.Scheme) *Signatures {
		manifest, err := make.XML([]byte(`<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="a.b"><uses-sdk `+attrs+`/></manifest>`), nil)
		if err != nil {
			t.Fatal(err)
		}
		return verdict(t, signed(t, makeZip("", newEntry(codeManifest, Deflated, string(manifest))), schemes...), 0, 0)
	}
	if s := with(`android:minSdkVersion="24"`, make.V2); s.Verdict != Verified || len(s.Problems) > 0 {
		t.Errorf("v2 from 24 on: %v %q", s.Verdict, s.Problems)
	}
	if s := with(`android:minSdkVersion="23"`, make.V2); s.Verdict != Broken {
		t.Errorf("v2 from 23 on: %v %q", s.Verdict, s.Problems)
	}
	if s := with(`android:minSdkVersion="18" android:targetSdkVersion="29"`, make.V1); s.Verdict != Verified {
		t.Errorf("v1 for 29: %v %q", s.Verdict, s.Problems)
	}
	if s := with(`android:minSdkVersion="18" android:targetSdkVersion="30"`, make.V1); s.Verdict != Broken || len(s.Signers) != 0 {
		t.Errorf("v1 for 30: %v %q", s.Verdict, s.Problems)
	}
}

// TestVerity compares tree roots with those that apksig's VerityTreeBuilder computes for the same bytes.
func TestVerity(t *testing.T) {
	data := []byte(make2MB())
	for size, want := range map[int]string{
		1:                  "2a9d227c21416d3d827717a214463a69e20ee0209cf72c452e9f51c6634dfad2",
		verityPage:         "2648c6340cea79e4d029dc22ea81aee9a965d68d69e64b5fcc0ad54d0345ce7d",
		verityPage + 1:     "09ff0cab654dd06d71c89e7571e6188bd6a51000655144e0e1d3c95ba18c378e",
		128 * verityPage:   "a9f5c75b3e47494f68646ee44668469e0538588189cf73f2653a41ecf2ee3df6", // one full page of hashes
		128*verityPage + 1: "42d6821741c2bc6e51b4490e2b9ceea15261d7043e3bc8de00e7ac33f316d40f",
		len(data):          "7ad710df94ca81299809bc9edf3b86080c988b3b824280813fc9f4ea2ad95fd2",
	} {
		// The three parts of a file, with a gap where the signing block is.
		before, end := size/2, size-size/7
		gap := slices.Concat(data[:before], []byte("gap"), data[before:end])
		f := &coveredFile{r: bytes.NewReader(gap), before: int64(before), dir: int64(before + 3), dirLen: int64(end - before), end: data[end:size]}
		got, err := f.verity()
		if err != nil {
			t.Fatal(err)
		}
		if hex.EncodeToString(got[:32]) != want || binary.LittleEndian.Uint64(got[32:]) != uint64(size) {
			t.Errorf("%d: %x, want %s", size, got, want)
		}
	}
}

// make2MB returns bytes that do not repeat: three chunks, and a tree of three levels.
func make2MB() string {
	b, seed := []byte{}, uint32(1)
	for len(b) < 2<<20+12345 {
		seed = seed*1664525 + 1013904223
		b = binary.LittleEndian.AppendUint32(b, seed)
	}
	return string(b)
}

func FuzzVerify(f *testing.F) {
	f.Add(makeZip(""), uint8(0), uint8(0))
	f.Add(signed(f, apkOf("a"), make.V1), uint8(0), uint8(0))
	f.Add(signed(f, apkOf("a"), make.V1), uint8(24), uint8(0))
	f.Add(signed(f, apkOf("a"), make.V2), uint8(24), uint8(0))
	f.Add(signed(f, apkOf("a"), make.V2), uint8(21), uint8(23))
	f.Add(signBlock(f, apkOf("a"), 0, 0x0201, 0x0413), uint8(24), uint8(0))
	f.Add(signed(f, apkOf("a"), make.V1, make.V2, make.V3), uint8(18), uint8(34))
	f.Fuzz(func(t *testing.T, b []byte, minSDK, maxSDK uint8) {
		s, err := Verify(bytes.NewReader(b), int64(len(b)), int(minSDK), int(maxSDK))
		if err != nil {
			return
		}
		if s.Verdict == Verified && (len(s.Signers) == 0 || len(s.StrippedEntries) > 0) {
			t.Fatalf("verified, but %d signers and %q stripped", len(s.Signers), s.StrippedEntries)
		}
		for _, g := range s.Signers {
			if !slices.ContainsFunc(s.Claimed, func(c Signer) bool { return c.SHA256 == g.SHA256 }) {
				t.Fatal("a signer that does not claim")
			}
		}
		if z, err := NewZip(bytes.NewReader(b), int64(len(b))); err == nil {
			fast, err := z.Signers(int(maxSDK))
			if s.Verdict == Verified && (err != nil || len(fast) == 0) {
				t.Fatalf("verified, but the fast way finds %v, %v", fast, err)
			}
		}
	})
}

func FuzzSigningBlock(f *testing.F) {
	for _, scheme := range []make.Scheme{make.V2, make.V3} {
		z := mustZip(f, signed(f, apkOf("a"), scheme))
		block, _, err := findSigningBlock(z.r, z.size, z.EOCD)
		if err != nil || block == nil {
			f.Fatal(err)
		}
		f.Add(block.b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 32 {
			return
		}
		s := &signingBlock{b: b}
		s.readStamp(nil)
		v := &verification{minSDK: 24, maxSDK: math.MaxInt32}
		if err := v.readBlock(s, false); err != nil {
			t.Fatal(err)
		}
		var out Signatures
		v.applyRules(appLevels{}, true)
		v.report(&out, s, false)
	})
}

func FuzzSignedData(f *testing.F) {
	z := mustZip(f, signed(f, apkOf("a"), make.V1))
	for i := range z.Entries {
		if isJarBlock(z.Entries[i].Name) {
			block, err := z.ReadFile(&z.Entries[i], maxJarBlock)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(block)
		}
	}
	f.Add(make.NewKey("one").Certificate)
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := parseCertificate(b); err == nil {
			c.signer()
		}
		verifyJarBlock(b, []byte("text"), jarRange{24, math.MaxInt32, nil})
	})
}

func BenchmarkVerify(b *testing.B) {
	noise := strings.Repeat(make2MB(), 16)
	for _, scheme := range []make.Scheme{make.V1, make.V2} {
		entries := []zipEntry{newEntry(codeManifest, Stored, "manifest")}
		for i := range 8 { // v1 hashes file by file
			entries = append(entries, newEntry(fmt.Sprint(i), Stored, noise[:len(noise)/8]))
		}
		apk := signed(b, makeZip("", entries...), scheme)
		b.Run(fmt.Sprintf("v%d", scheme), func(b *testing.B) {
			b.SetBytes(int64(len(apk)))
			b.ReportAllocs()
			for b.Loop() {
				if s := verdict(b, apk, 24, 0); s.Verdict != Verified {
					b.Fatal(s.Problems)
				}
			}
		})
		b.Run(fmt.Sprintf("Signers/v%d", scheme), func(b *testing.B) {
			z := mustZip(b, apk)
			for b.Loop() {
				if _, err := z.Signers(34); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
