package phone

import (
	"slices"
	"testing"
)

func TestAttestedWords(t *testing.T) {
	for in, want := range map[string]string{"130000": "13", "80100": "8.1", "70102": "7.1.2", "100000": "10", "0": "", "": "", "x0000": "", "1300001": ""} {
		if got := release(in); shortest(got) != want {
			t.Errorf("release %q is %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"202305": "2023-05", "20230505": "2023-05-05", "0": "", "2023": "", "20230a": ""} {
		if got := day(in); got != want {
			t.Errorf("day %q is %q, want %q", in, got, want)
		}
	}
}

func TestContradicts(t *testing.T) {
	p := &Phone{Properties: []Property{{Name: "ro.build.version.release", Value: "8.1.0"}, {Name: "ro.build.version.security_patch", Value: "2019-08-05"},
		{Name: "ro.product.brand", Value: "Acme"}, {Name: "ro.product.device", Value: "falcon"}, {Name: "ro.product.model", Value: ""}, {Name: "ro.product.vendor.device", Value: "falcon_global"}}}
	for _, c := range []struct {
		name string
		a    Attestation
		want []string
	}{
		{"the same", Attestation{Android: "8.1", Patch: "2019-08", Identity: []Attested{{"brand", "ACME"}, {"device", "falcon"}}}, nil},
		{"what another partition says", Attestation{Identity: []Attested{{"device", "falcon_global"}}}, nil},
		{"what the files do not state", Attestation{Identity: []Attested{{"model", "Falcon One"}, {"manufacturer", "Acme"}}}, nil},
		{"another", Attestation{Android: "9", Patch: "2019-09", Identity: []Attested{{"device", "osprey"}}}, []string{"device", "version", "patch"}},
	} {
		var got []string
		for _, x := range p.Contradicts(&c.a) {
			got = append(got, x.What)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestBootedOther(t *testing.T) {
	p := &Phone{VerifiedBoot: VerifiedBoot{Digest: "1234"}}
	for hash, want := range map[string][2]bool{"1234": {false, true}, "1235": {true, true}, "": {}, "0000": {}, "12345678": {}} {
		if other, known := p.BootedOther(&Attestation{BootHash: hash}); other != want[0] || known != want[1] {
			t.Errorf("%q: other %v, known %v", hash, other, known)
		}
	}
}
