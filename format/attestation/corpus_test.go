package attestation

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// corpus holds chains of real phones with what Google's own verifiers read in them.
const corpus = "../../../shared/corpus/attestation"

func needCorpus(t testing.TB) {
	if _, err := os.Stat(corpus); err != nil {
		t.Skip("no ../shared/corpus/attestation here")
	}
}

func chains(t testing.TB, files ...string) []*Chain {
	t.Helper()
	var all []*Certificate
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		list, err := Read(b)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if c, a := Sniff(b[:min(len(b), 4104)]); !c || a != (list[0].extended) {
			t.Errorf("%s: by its beginning certificate %v, attests %v", f, c, a)
		}
		all = append(all, list...)
	}
	return Chains(all)
}

// fields are the names that the expectations have for our tags.
var fields = map[string]int{
	"purposes": 1, "algorithms": 2, "keySize": 3, "blockModes": 4, "digests": 5, "paddings": 6, "ecCurve": 10, "mlDsaVariant": 11,
	"rsaPublicExponent": 200, "rsaOaepMgfDigests": 203, "activeDateTime": 400, "originationExpireDateTime": 401, "usageExpireDateTime": 402,
	"usageCountLimit": 405, "noAuthRequired": 503, "userAuthType": 504, "authTimeout": 505, "allowWhileOnBody": 506,
	"trustedUserPresenceRequired": 507, "trustedConfirmationRequired": 508, "unlockedDeviceRequired": 509, "creationDateTime": 701,
	"origin": 702, "rollbackResistant": 703, "rootOfTrust": 704, "osVersion": 705, "osPatchLevel": 706, "attestationApplicationId": 709,
	"attestationIdBrand": 710, "attestationIdDevice": 711, "attestationIdProduct": 712, "attestationIdSerial": 713, "attestationIdImei": 714,
	"attestationIdMeid": 715, "attestationIdManufacturer": 716, "attestationIdModel": 717, "vendorPatchLevel": 718, "bootPatchLevel": 719,
	"attestationIdSecondImei": 723, "moduleHash": 724,
}

// expected puts the JSON of an authorization list into the form of ours, by tag.
func expected(t *testing.T, list map[string]any) map[int]string {
	out := map[int]string{}
	b64 := func(v any) string {
		b, err := base64.StdEncoding.DecodeString(v.(string))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%x", b)
	}
	for k, v := range list {
		if k == "areTagsOrdered" {
			continue
		}
		tag := fields[k]
		if tag == 0 {
			t.Fatalf("the expectation %s is not compared", k)
		}
		switch v := v.(type) {
		case string:
			switch k {
			case "origin":
				v = fmt.Sprint(slices.Index([]string{"GENERATED", "DERIVED", "IMPORTED", "RESERVED", "SECURELY_IMPORTED"}, v))
			case "moduleHash":
				v = b64(v)
			}
			out[tag] = v
		case bool:
			out[tag] = fmt.Sprint(v)
		case []any:
			var words []string
			for _, w := range v {
				words = append(words, w.(string))
			}
			out[tag] = strings.Join(words, " ")
		case map[string]any:
			if k == "rootOfTrust" {
				state := strings.ReplaceAll(strings.ToLower(v["verifiedBootState"].(string)), "_", "-")
				hash := ""
				if h, ok := v["verifiedBootHash"]; ok {
					hash = b64(h)
				}
				out[tag] = fmt.Sprintf("key %s, locked %v, %s, hash %s", b64(v["verifiedBootKey"]), v["deviceLocked"], state, hash)
				continue
			}
			var words []string
			for _, p := range v["packages"].([]any) {
				p := p.(map[string]any)
				words = append(words, p["name"].(string)+" "+p["version"].(string))
			}
			for _, s := range v["signatures"].([]any) {
				words = append(words, "signed by "+b64(s))
			}
			out[tag] = strings.Join(words, ", ")
		}
	}
	return out
}

// Every chain must be read as Google's reader does, and verify at the time its key was made.
func TestCorpus(t *testing.T) {
	needCorpus(t)
	n := 0
	err := filepath.WalkDir(filepath.Join(corpus, "keyattestation"), func(name string, d fs.DirEntry, err error) error {
		base, isPEM := strings.CutSuffix(name, ".pem")
		raw, noJSON := os.ReadFile(base + ".json")
		if err != nil || !isPEM || noJSON != nil {
			return err
		}
		n++
		short := strings.TrimPrefix(base, corpus)
		var want struct {
			Version      string         `json:"attestationVersion"`
			Level        string         `json:"attestationSecurityLevel"`
			KeyMint      string         `json:"keyMintVersion"`
			KeyMintLevel string         `json:"keyMintSecurityLevel"`
			Challenge    []byte         `json:"attestationChallenge"`
			UniqueID     []byte         `json:"uniqueId"`
			Software     map[string]any `json:"softwareEnforced"`
			Hardware     map[string]any `json:"hardwareEnforced"`
		}
		raw = regexp.MustCompile(`(?m)^\s*//.*$`).ReplaceAll(raw, nil) // remarks
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(short, err)
		}
		all := chains(t, name)
		if len(all) != 1 || !all[0].InOrder {
			t.Errorf("%s: %d chains", short, len(all))
			return nil
		}
		v := all[0].Verify(all[0].Certificates[0].Description.Created())
		if len(v.Problems) > 0 || v.Attested != all[0].Certificates[0] {
			t.Errorf("%s: %v", short, v.Problems)
		}
		x := v.Attested.Description
		levels := map[Level]string{Software: "SOFTWARE", TrustedEnvironment: "TRUSTED_ENVIRONMENT", StrongBox: "STRONG_BOX"}
		if g, w := fmt.Sprintf("%d %s %d %s %x %x", x.Version, levels[x.Level], x.KeyMintVersion, levels[x.KeyMintLevel], x.Challenge, x.UniqueID),
			fmt.Sprintf("%s %s %s %s %x %x", want.Version, want.Level, want.KeyMint, want.KeyMintLevel, want.Challenge, want.UniqueID); g != w {
			t.Errorf("%s: %s, want %s", short, g, w)
		}
		for i, list := range []*List{&x.Software, &x.Hardware} {
			got := map[int]string{}
			for _, e := range list.Entries {
				got[e.Tag] = e.Text
			}
			wants := expected(t, []map[string]any{want.Software, want.Hardware}[i])
			for tag := range 1000 {
				if got[tag] != wants[tag] {
					t.Errorf("%s: list %d, tag %d: %q, want %q", short, i, tag, got[tag], wants[tag])
				}
			}
			if len(list.Problems) > 0 || list.Disordered {
				t.Errorf("%s: list %d: %v, disordered %v", short, i, list.Problems, list.Disordered)
			}
		}
		return nil
	})
	if err != nil || n < 19 {
		t.Error(n, "chains compared", err)
	}
}

// What Google calls invalid is read as far as the rules of the package say, with the reason beside it.
func TestCorpusOddities(t *testing.T) {
	needCorpus(t)
	at := func(name string) string { return filepath.Join(corpus, "keyattestation", name) }
	ch := chains(t, at("invalid/malformed_rot_device_locked.pem"))
	if x := ch[0].Certificates[0].Description; !x.Hardware.RootOfTrust.DeviceLocked { // BOOLEAN 01
		t.Error("a boolean of 1 is not true")
	}
	ch = chains(t, at("invalid/tags_not_in_ascending_order.pem"))
	if x := ch[0].Certificates[0].Description; !x.Hardware.Disordered || x.Hardware.Text(TagOSVersion) != "140000" {
		t.Error("tags out of order")
	}
	ch = chains(t, at("allow_while_on_body.pem"))
	if x := ch[0].Certificates[0].Description; x.Software.Text(506) != "true" {
		t.Error("allowWhileOnBody")
	}
	if v := ch[0].Verify(time.Time{}); len(v.Problems) != 2 || v.Problems[0].Fault != NoRoot || v.Attested != nil {
		t.Error("a certificate alone:", v.Problems)
	}
	b, err := os.ReadFile(at("p256_sha384_intermediate.pem"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := Read(b)
	if err != nil || len(list) != 3 {
		t.Fatal(err)
	}
	for i, c := range list {
		if err := c.signedBy(list[min(i+1, 2)]); err != nil {
			t.Error("P-256 with SHA-384:", i, err)
		}
	}
	// Its extension is a stand-in that no phone could have written.
	if v := Chains(list)[0].Verify(time.Time{}); len(v.Problems) != 1 || v.Problems[0].Fault != Unreadable {
		t.Error(v.Problems)
	}
}

// A key that attests itself signed the leaf, so that two certificates below the provisioned one have attestations.
func TestCorpusAttestKey(t *testing.T) {
	needCorpus(t)
	files, _ := filepath.Glob(filepath.Join(corpus, "auditor/*.der"))
	all := chains(t, files...)
	if len(all) != 1 {
		t.Fatal(len(all), "chains")
	}
	v := all[0].Verify(all[0].Certificates[0].Description.Created())
	if len(all[0].Certificates) != 6 || len(v.Problems) > 0 || v.Attested != all[0].Certificates[0] || v.Provisioned != "remote" {
		t.Errorf("%d certificates, %v, provisioned %q", len(all[0].Certificates), v.Problems, v.Provisioned)
	}
}

// Folders with a file for each certificate, one of them with a certificate that belongs to another chain.
func TestCorpusFolders(t *testing.T) {
	needCorpus(t)
	status, err := os.ReadFile(filepath.Join(corpus, "google-2020/status.json"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := ReadStatus(status)
	if err != nil || !IsStatus(status) || len(list) != 5 {
		t.Fatal(list, err)
	}
	dirs, _ := filepath.Glob(filepath.Join(corpus, "google-2020/pem/*"))
	for _, dir := range dirs {
		files, _ := filepath.Glob(dir + "/*.pem")
		all := chains(t, files...)
		if len(all) != 1 {
			t.Fatal(dir, len(all), "chains")
		}
		v := all[0].Verify(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
		strange := strings.Contains(dir, "EC_SecurityLevel_StrongBox")
		// In one of them the first certificate was signed by no other: Google's own verifier refuses the folder.
		if fault := len(v.Problems) == 1 && v.Problems[0].Fault == BadSignature; fault != strange || len(v.Problems) > 1 || all[0].InOrder == strange {
			t.Errorf("%s: in order %v, %v", dir, all[0].InOrder, v.Problems)
		}
		if strings.Contains(dir, "TEE") != (v.Root.Serial == "e8fa196314d2fa18") {
			t.Errorf("%s ends in %s %s", dir, v.Root.Serial, v.Root.Subject)
		}
		for _, c := range all[0].Certificates {
			if s, ok := list.Of(c); ok {
				t.Errorf("%s is %s", c.Serial, s)
			}
		}
	}
	if s, ok := list.Of(&Certificate{Serial: "cc66e9a93713b6e643b26c15879786f7"}); !ok || s.String() != "suspended (key compromise)" {
		t.Error(s)
	}
}

func TestCorpusRoots(t *testing.T) {
	needCorpus(t)
	b, err := os.ReadFile(filepath.Join(corpus, "keyattestation/roots.json"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := Read(b)
	if err != nil || len(list) != 2 || list[1].Subject != "CN=Key Attestation CA1, OU=Android, O=Google LLC, C=US" {
		t.Fatal(list, err)
	}
	if !errors.Is(list[0].signedBy(list[1]), errMismatch) || list[0].signedBy(list[0]) != nil || list[1].signedBy(list[1]) != nil {
		t.Error("the roots' own signatures")
	}
}

// Go's own x509 must agree on every signature of a certificate that it reads.
func TestCorpusSignatures(t *testing.T) {
	needCorpus(t)
	n, unread := 0, 0
	err := filepath.WalkDir(corpus, func(name string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".pem" && filepath.Ext(name) != ".der" {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		list, err := Read(b)
		if err != nil {
			t.Error(name, err)
		}
		for i, c := range list {
			parent := list[min(i+1, len(list)-1)]
			x, err := x509.ParseCertificate(c.Raw)
			px, perr := x509.ParseCertificate(parent.Raw)
			if err != nil || perr != nil {
				unread++
				continue
			}
			n++
			ours, theirs := c.signedBy(parent), px.CheckSignature(x.SignatureAlgorithm, x.RawTBSCertificate, x.Signature)
			if (ours == nil) != (theirs == nil) || c.Serial != x.SerialNumber.Text(16) || !c.NotAfter.Equal(x.NotAfter) || !c.NotBefore.Equal(x.NotBefore) {
				t.Errorf("%s, certificate %d: %v, and Go says %v", name, i, ours, theirs)
			}
		}
		return nil
	})
	if err != nil || n < 100 {
		t.Error(n, "signatures compared", err)
	}
	t.Logf("%d signatures compared, %d certificates that Go does not read", n, unread)
}

func BenchmarkVerify(b *testing.B) {
	needCorpus(b)
	raw, err := os.ReadFile(filepath.Join(corpus, "keyattestation/tegu/sdk36/TEE_EC_2026_ROOT.pem"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		list, err := Read(raw)
		if err != nil {
			b.Fatal(err)
		}
		if v := Chains(list)[0].Verify(time.Time{}); len(v.Problems) > 0 {
			b.Fatal(v.Problems)
		}
	}
}
