package evidence

import (
	"archive/zip"
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gifthorse/format/apex"
	"gifthorse/format/boot"
	"gifthorse/internal/verity"
)

const apexCorpus = "../../shared/corpus/apex"

// The corpus has apexd's own test files. What is wrong with each stands in its name.
func TestApexCorpus(t *testing.T) {
	if _, err := os.Stat(apexCorpus); err != nil {
		t.Skip("no " + apexCorpus)
	}
	damaged := errors.New("damaged")
	for _, c := range []struct {
		file  string
		files []string // of its contents
		bad   error    // of the image, nil if it is the one that was signed
		why   string
	}{
		{"com.android.apex.cts.shim.v2.apex", []string{"app/CtsShim@2/CtsShim.apk", "priv-app/CtsShimPriv@2/CtsShimPriv.apk", "etc/hash.txt", "apex_manifest.pb"}, nil, ""},
		// What was changed is who signed the container, which is for the package manager to judge.
		{"com.android.apex.cts.shim.v2_signed_bob_rot.apex", []string{"app/CtsShim@2/CtsShim.apk"}, nil, ""},
		{"com.android.apex.cts.shim.v2_unsigned_payload.apex", []string{"app/CtsShim@2/CtsShim.apk"}, boot.ErrUnsigned, "the image has no vbmeta footer"},
		{"com.android.apex.test.foo.v1.libvX.apex", []string{"apex_manifest.pb"}, nil, ""},
		{"corrupted_b146895998.apex", []string{"apex_manifest.json"}, damaged, "vbmeta descriptor 1 of 8 bytes is too short"},
	} {
		e := mustOpen(t, filepath.Join(apexCorpus, c.file))
		if len(e.Apexes()) != 1 {
			t.Fatalf("%s: %d modules, gaps %v", c.file, len(e.Apexes()), e.Gaps())
		}
		a := e.Apexes()[0]
		for _, name := range c.files {
			f := e.File(a.Mount + "/" + name)
			if f == nil {
				t.Errorf("%s: no %s in %q", c.file, name, phonePaths(e))
				continue
			}
			if want := c.file + "!apex_payload.img!" + name; f.Ref.String() != want {
				t.Errorf("%s is %s", want, f.Ref)
			}
		}
		err := a.Verify()
		if _, ok := errors.AsType[*boot.FormatError](err); ok {
			err = damaged
		}
		if !errors.Is(err, c.bad) || !strings.HasPrefix(a.Why, c.why) || len(e.Gaps()) != 0 {
			t.Errorf("%s: %v; %s; gaps %v", c.file, a.Verify(), a.Why, e.Gaps())
		}
	}
}

// An apexSpec is an APEX to make.
type apexSpec struct {
	name    string
	version int
	key     *rsa.PrivateKey
	image   []byte
	edit    func(vbmeta []byte)
	list    []member // instead of the members that an APEX has
}

// apexKeys are made from a fixed seed, for what is tested must not differ from run to run.
var apexKeys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		r := rand.NewChaCha8([32]byte{byte(i)})
		prime := func() *big.Int {
			b := make([]byte, 128)
			for {
				r.Read(b)
				b[0] |= 0xc0
				b[127] |= 1
				p := new(big.Int).SetBytes(b)
				if new(big.Int).Mod(new(big.Int).Sub(p, big.NewInt(1)), big.NewInt(65537)).Sign() != 0 && p.ProbablyPrime(10) {
					return p
				}
			}
		}
		p, q := prime(), prime()
		one := big.NewInt(1)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: new(big.Int).ModInverse(big.NewInt(65537), phi), Primes: []*big.Int{p, q}}
		k.Precompute()
		keys[i] = k
	}
	return keys
})

// publicKey encodes a public key as libavb does (avb_crypto.h).
func publicKey(k *rsa.PrivateKey) []byte {
	word := new(big.Int).Lsh(big.NewInt(1), 32)
	n0 := new(big.Int).ModInverse(k.N, word)
	rr := new(big.Int).Lsh(big.NewInt(1), 4096)
	b := binary.BigEndian.AppendUint32(nil, 2048)
	b = binary.BigEndian.AppendUint32(b, uint32(n0.Sub(word, n0).Uint64()))
	b = append(b, k.N.FillBytes(make([]byte, 256))...)
	return append(b, rr.Mod(rr, k.N).FillBytes(make([]byte, 256))...)
}

// payload puts a hash tree, a vbmeta structure and its footer behind an image (avb_vbmeta_image.h, avb_footer.h).
func (s *apexSpec) payload(t testing.TB) (b, root []byte) {
	t.Helper()
	be := binary.BigEndian
	img := pad(s.image)
	salt := []byte("salt")
	tree, root, err := verity.Tree(bytes.NewReader(img), int64(len(img)), 4096, salt, sha256.New())
	if err != nil {
		t.Fatal(err)
	}
	d := make([]byte, 180) // the descriptor
	be.PutUint64(d, 1)
	be.PutUint32(d[16:], 1)
	for i, v := range []int{len(img), len(img), len(tree)} {
		be.PutUint64(d[20+8*i:], uint64(v))
	}
	be.PutUint32(d[44:], 4096)
	be.PutUint32(d[48:], 4096)
	copy(d[72:], "sha256")
	be.PutUint32(d[108:], uint32(len(salt)))
	be.PutUint32(d[112:], uint32(len(root)))
	d = append(append(d, salt...), root...)
	d = append(d, make([]byte, -len(d)&7)...)
	be.PutUint64(d[8:], uint64(len(d)-16))
	key := publicKey(s.key)
	aux := append(bytes.Clone(d), key...)
	aux = append(aux, make([]byte, -len(aux)&63)...)
	h := make([]byte, 256)
	copy(h, "AVB0")
	be.PutUint32(h[4:], 1)
	for i, v := range []int{320, len(aux)} {
		be.PutUint64(h[12+8*i:], uint64(v))
	}
	be.PutUint32(h[28:], 1) // SHA256_RSA2048
	for i, v := range []int{0, 32, 32, 256, len(d), len(key), 0, 0, 0, len(d)} {
		be.PutUint64(h[32+8*i:], uint64(v))
	}
	sum := sha256.Sum256(append(bytes.Clone(h), aux...))
	sig, err := rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	auth := append(append(sum[:], sig...), make([]byte, 32)...)
	vbmeta := append(append(h, auth...), aux...)
	if s.edit != nil {
		s.edit(vbmeta)
	}
	footer := make([]byte, 64)
	copy(footer, "AVBf")
	be.PutUint32(footer[4:], 1)
	for i, v := range []int{len(img), len(img) + len(tree), len(vbmeta)} {
		be.PutUint64(footer[12+8*i:], uint64(v))
	}
	b = append(append(append(bytes.Clone(img), tree...), vbmeta...), make([]byte, 4096-64)...)
	return append(b, footer...), root
}

func manifest(name string, version int, digest string) string {
	b := []byte{0x0a, byte(len(name))}
	b = append(b, name...)
	b = binary.AppendUvarint(append(b, 0x10), uint64(version))
	if digest != "" {
		b = append(append(b, 0x62, byte(len(digest)+2), 0x0a, byte(len(digest))), digest...)
	}
	return string(b)
}

func (s apexSpec) make(t testing.TB) string {
	t.Helper()
	if s.list == nil {
		payload, _ := s.payload(t)
		s.list = []member{{apex.ManifestName, manifest(s.name, s.version, "")}, {apex.PublicKey, string(publicKey(s.key))}, {apex.Payload, string(payload)}}
	}
	return string(makeZip(t, s.list, stored))
}

// compressed makes the compressed form.
func (s apexSpec) compressed(t testing.TB) string {
	_, root := s.payload(t)
	return string(makeZip(t, []member{{apex.ManifestName, manifest(s.name, s.version, fmt.Sprintf("%x", root))},
		{apex.PublicKey, string(publicKey(s.key))}, {apex.Original, s.make(t)}}))
}

// TestApexes: which of several modules of a name the phone uses, and what it sees of it.
func TestApexes(t *testing.T) {
	image := func(text string) []byte {
		return mkfs(t, makeFolder(t, t.TempDir(), []member{{"etc/which", text}, {"javalib/x.jar", "jar"}}), "erofs")
	}
	one, two, three := image("one"), image("two"), image("three")
	key, other := apexKeys()[0], apexKeys()[1]
	const name = "com.example.m"
	module := func(version int, img []byte) apexSpec {
		return apexSpec{name: name, version: version, key: key, image: img}
	}
	with := func(s apexSpec, edit func(*apexSpec)) apexSpec { edit(&s); return s }
	broken := with(module(3, three), func(s *apexSpec) { s.edit = func(b []byte) { b[len(b)-1]++; b[300]++ } })
	foreign := with(module(3, three), func(s *apexSpec) { s.key = other })
	swapped := with(module(2, two), func(s *apexSpec) {
		p, _ := s.payload(t)
		s.list = []member{{apex.ManifestName, manifest(name, 2, "")}, {apex.PublicKey, string(publicKey(other))}, {apex.Payload, string(p)}}
	})
	system := files("system/build.prop", "system/app/A/A.apk", "system/etc/hosts", "data/misc/x", "data/system/y", "data/app/z")

	for _, c := range []struct {
		what string
		list []member
		want string // content of etc/which, "" if the module is not mounted
		at   string // its address, if of interest
		why  string // of any module
		bad  error  // of the one that is used
	}{
		{"shipped", []member{{"system/apex/a.apex", module(1, one).make(t)}}, "one", "system/apex/a.apex!apex_payload.img!etc/which", "", nil},
		{"compressed", []member{{"vendor/apex/a.capex", module(1, one).compressed(t)}, {"vendor/build.prop", ""}}, "one", "vendor/apex/a.capex!original_apex!apex_payload.img!etc/which", "", nil},
		{"updated", []member{{"system/apex/a.capex", module(1, one).compressed(t)}, {"data/apex/active/x@2.apex", module(2, two).make(t)}}, "two", "data/apex/active/x@2.apex!apex_payload.img!etc/which", "another of the same name is used: /data/apex/active/x@2.apex", nil},
		{"same version", []member{{"system/apex/a.apex", module(2, one).make(t)}, {"data/apex/active/x@2.apex", module(2, two).make(t)}}, "two", "", "another of the same name", nil},
		{"older update", []member{{"system/apex/a.apex", module(3, one).make(t)}, {"data/apex/active/x@2.apex", module(2, two).make(t)}}, "one", "", "another of the same name is used: /system/apex/a.apex", nil},
		{"update alone", []member{{"data/apex/active/x@2.apex", module(2, two).make(t)}}, "two", "", "", nil},
		{"of another's key", []member{{"system/apex/a.apex", module(1, one).make(t)}, {"data/apex/active/x@3.apex", foreign.make(t)}}, "one", "", "apexd refuses it: its key is another than that of /system/apex/a.apex", nil},
		{"broken update", []member{{"system/apex/a.apex", module(1, one).make(t)}, {"data/apex/active/x@3.apex", broken.make(t)}}, "one", "", "apexd refuses it: vbmeta", nil},
		{"unpacked by the phone", []member{{"system/apex/a.capex", module(1, one).compressed(t)}, {"data/apex/decompressed/a@1.decompressed.apex", module(1, two).make(t)}}, "one", "", "another of the same name", nil},
		{"broken", []member{{"system/apex/a.apex", broken.make(t)}}, "three", "", "vbmeta", boot.ErrMismatch},
		{"another's image", []member{{"system/apex/a.apex", swapped.make(t)}}, "two", "", "the key that signed the image is not the one in apex_pubkey", boot.ErrMismatch},
		{"flattened", []member{{"system/apex/a/apex_manifest.json", `{"name": "com.example.m", "version": 1}`}, {"system/apex/a/etc/which", "flat"}}, "flat", "system/apex/a/etc/which", "", Absent},
		{"pulled", []member{{"system/apex/a.apex", module(1, one).make(t)}, {"apex/com.example.m/etc/which", "pulled"}, {"dev/x", ""}, {"proc/x", ""}, {"sys/x", ""}}, "pulled", "apex/com.example.m/etc/which", "", nil},
		{"of no use to apexd", []member{{"system/etc/a.apex", module(1, one).make(t)}}, "", "", "", nil},
	} {
		e := mustOpen(t, makeFolder(t, t.TempDir(), append(system[:len(system):len(system)], c.list...)))
		f := e.File("/apex/" + name + "/etc/which")
		if c.want == "" {
			if f != nil || len(e.Apexes()) > 0 {
				t.Errorf("%s: %v", c.what, phonePaths(e))
			}
			continue
		}
		if f == nil {
			t.Errorf("%s: not mounted: %v, gaps %v", c.what, phonePaths(e), gapLines(e))
			continue
		}
		if b, err := f.Data(); string(b) != c.want || c.at != "" && f.Ref.String() != c.at {
			t.Errorf("%s: %s is %q, %v", c.what, f.Ref, b, err)
		}
		why := ""
		for _, a := range e.Apexes() {
			why += a.Why
			if err := a.Verify(); a.Mount != "" && !errors.Is(err, c.bad) {
				t.Errorf("%s: %s: %v", c.what, a.File.Path, err)
			}
		}
		if (c.why == "") != (why == "") || !strings.HasPrefix(why, c.why) {
			t.Errorf("%s: %q", c.what, why)
		}
		for _, g := range e.Gaps() {
			t.Errorf("%s: %v", c.what, g)
		}
		for _, f := range e.Files() {
			roundTrip(t, f.Ref)
		}
		if p, err := e.Find(f.Ref); err != nil || string(p.Data) != c.want {
			t.Errorf("%s: %s leads to %v, %v", c.what, f.Ref, p, err)
		}
	}
}

// TestApexTree: an image that differs where only the hash tree can tell.
func TestApexTree(t *testing.T) {
	img := mkfs(t, makeFolder(t, t.TempDir(), []member{{"bin/x", strings.Repeat("code", 4096)}}), "erofs")
	s := apexSpec{name: "m", version: 1, key: apexKeys()[0], image: img}
	b := []byte(s.make(t))
	b[bytes.Index(b, []byte("codecode"))+5000]++
	e := mustOpenBytes(t, "m.apex", b)
	a := e.Apexes()[0]
	if err := a.Verify(); !errors.Is(err, boot.ErrMismatch) || a.Why != "" || e.File("/apex/m/bin/x") == nil {
		t.Errorf("%v, %q, %v", err, a.Why, e.Gaps())
	}
}

func TestDamagedApexes(t *testing.T) {
	payload := strings.Repeat("no image ", 1000)
	for _, c := range []struct {
		what string
		list []member
		gap  string
		edit func(*zip.FileHeader)
	}{
		{"no manifest", []member{{apex.Payload, payload}}, "m.apex: absent: an APEX: it has no apex_manifest.pb", stored},
		{"a manifest of nothing", []member{{apex.ManifestName, ""}, {apex.Payload, payload}}, `m.apex: damaged: an APEX: manifest: name "" at byte 0x0`, stored},
		{"no image", []member{{apex.ManifestName, manifest("m", 1, "")}, {apex.Payload, payload}}, "m.apex: unsupported: an APEX: an image of unknown content", stored},
		{"a packed image", []member{{apex.ManifestName, manifest("m", 1, "")}, {apex.Payload, payload}}, "m.apex: damaged: an APEX: its image is compressed; no phone can mount it", nil},
		{"no APEX in it", []member{{apex.ManifestName, manifest("m", 1, "")}, {apex.Original, payload}}, "m.apex: damaged: an APEX: ", stored},
		{"another in it", []member{{apex.ManifestName, manifest("m", 1, "")}, {apex.Original, apexSpec{list: []member{{apex.ManifestName, manifest("m", 2, "")}, {apex.Payload, payload}}}.make(t)}}, "m.apex: damaged: an APEX: the APEX in it has another name", stored},
	} {
		b := makeZip(t, c.list, func(h *zip.FileHeader) {
			if c.edit != nil {
				c.edit(h)
			}
		})
		e := mustOpenBytes(t, "m.apex", b)
		if got := strings.Join(gapLines(e), "\n"); !strings.HasPrefix(got, c.gap) || strings.Contains(got, "\n") {
			t.Errorf("%s: gaps %s", c.what, got)
		}
		for _, a := range e.Apexes() {
			if a.Gap == nil || a.Mount != "" || a.Verify() == nil {
				t.Errorf("%s: %+v", c.what, a)
			}
		}
	}
}

func FuzzApex(f *testing.F) {
	if b, err := os.ReadFile(filepath.Join(apexCorpus, "com.android.apex.cts.shim.v2.apex")); err == nil {
		f.Add(b)
	}
	img := make([]byte, 4096)
	s := apexSpec{name: "m", version: 1, key: apexKeys()[0], image: img}
	f.Add([]byte(s.make(f)))
	f.Add([]byte(s.compressed(f)))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := openBytes(t.Context(), "m.apex", b)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for _, a := range e.Apexes() {
			a.Verify()
			if (a.Manifest == nil) && a.Gap == nil {
				t.Fatalf("%+v", a)
			}
		}
		for _, fl := range e.Files() {
			if fl.Mode&fs.ModeType == 0 {
				fl.Data()
			}
		}
	})
}
