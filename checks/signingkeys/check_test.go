package signingkeys

import (
	"context"
	"slices"
	"testing"

	"gifthorse/check"
	"gifthorse/check/checktest"
	"gifthorse/evidence"
	"gifthorse/phone"
)

func Test(t *testing.T) { checktest.Run(t, Check) }

// Certificates of AOSP's test keys, as knowledge has them. Their private halves must not be in a test phone, so these phones are made by hand.
const (
	testkey  = "a40da80a59d170caa950cf15c18c454d47a39b26989d8b640ecd745ba71bf5dc"
	platKey  = "c8a2e9bccf597c2fb6dc66bee293fc13f2fc47ec77bc6b2b0d52c11f51192ab8"
	ownKey   = "1111111111111111111111111111111111111111111111111111111111111111"
	aospWhat = "test key that AOSP publishes with its private half"
)

func app(name, uid, cert string, change ...func(*phone.Package)) *phone.Package {
	k := &phone.Package{Name: name, SharedUID: uid, System: true, HasCode: true, File: &evidence.File{},
		Manifest:  evidence.Ref{}.Inner(name + ".apk").Inner("AndroidManifest.xml"),
		Signature: phone.Signature{Verdict: "verified", Signers: []phone.Signer{{SHA256: cert, Subject: "CN=" + cert[:4]}}}}
	for _, c := range change {
		c(k)
	}
	return k
}

func TestPublicKeys(t *testing.T) {
	privileged := func(k *phone.Package) { k.Privileged = true }
	noCode := func(k *phone.Package) { k.HasCode = false }
	broken := func(k *phone.Package) { k.Signature.Verdict, k.Signature.Problem = "broken", "v2: digest" }
	for _, c := range []struct {
		name     string
		packages []*phone.Package
		want     []string // grade and text
	}{
		{"the system's own uid under a public key", []*phone.Package{app("a", "android.uid.system", platKey, privileged), app("b", "android.uid.system", platKey)},
			[]string{"proven anyone can write an app that this phone, once it is installed, runs as android.uid.system, for that uid belongs to the " + aospWhat}},
		{"the same under a key of the maker's own", []*phone.Package{app("a", "android.uid.system", ownKey, privileged)}, nil},
		{"one app under a public key", []*phone.Package{app("store", "", testkey)},
			[]string{"weak anyone can write an update for store that this phone accepts, for it is signed with the " + aospWhat}},
		{"a shared uid without power", []*phone.Package{app("x", "com.oem.uid", testkey)},
			[]string{"weak anyone can write an update for x that this phone accepts, for it is signed with the " + aospWhat}},
		{"the nearest to it: AOSP's stub for its own tests", []*phone.Package{app("shim", "", testkey, noCode, privileged)}, nil},
		{"a stub that asks for permissions", []*phone.Package{app("shim", "", testkey, noCode, func(k *phone.Package) { k.Requested = []string{"android.permission.REBOOT"} })},
			[]string{"weak anyone can write an update for shim that this phone accepts, for it is signed with the " + aospWhat}},
		{"a signature that does not fit", []*phone.Package{app("y", "", ownKey, broken)}, []string{"weak the signature of y does not fit its contents: v2: digest"}},
		{"one that only lost code to its odex", []*phone.Package{app("y", "", ownKey, func(k *phone.Package) { k.Signature.Verdict = "stripped" })}, nil},
		{"an app that is not the system's", []*phone.Package{app("z", "", testkey, func(k *phone.Package) { k.System = false })}, nil},
	} {
		var got []string
		pass := check.NewPass(context.Background(), Check, &phone.Phone{Packages: c.packages}, nil, func(f check.Finding) {
			got = append(got, string(f.Grade)+" "+f.Text())
		})
		if err := Check.Run(pass); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}
