package truststore

import (
	"context"
	"slices"
	"testing"

	"gifthorse/check"
	"gifthorse/check/checktest"
	"gifthorse/evidence"
	"gifthorse/knowledge"
	"gifthorse/phone"
)

func Test(t *testing.T) { checktest.Run(t, Check) }

// A text phone cannot hold a certificate that AOSP ships, so these stores are made by hand.
func TestAOSP(t *testing.T) {
	store := func(release string, change func([]phone.Certificate) []phone.Certificate) *phone.Phone {
		ph := &phone.Phone{API: 24, Device: phone.Device{Android: release}}
		for hash, info := range knowledge.CAs("7.0") {
			ph.Trust = append(ph.Trust, phone.Certificate{SHA256: hash, Subject: info.Subject, Known: true, At: evidence.Ref{}.Inner("cacerts/" + hash)})
		}
		ph.Trust = change(ph.Trust)
		return ph
	}
	same := func(c []phone.Certificate) []phone.Certificate { return c }
	const old = "0791ca0749b20782aad3c7d7bd0cdfc9485835843eb2d7996009ce43ab6c6927" // AddTrust Public CA Root, up to 8.0
	for _, c := range []struct {
		name string
		ph   *phone.Phone
		want []string
	}{
		{"as AOSP ships it", store("7.0", same), nil},
		{"a release that was not sampled", store("7.1.1", func(c []phone.Certificate) []phone.Certificate { return c[1:] }), nil},
		{"two taken away", store("7.0", func(c []phone.Certificate) []phone.Certificate { return c[2:] }),
			[]string{"lead 2 authorities that AOSP ships in Android 7.0 are not in this phone's store"}},
		{"one that AOSP dropped", &phone.Phone{Device: phone.Device{Android: "12L"}, Trust: slices.Concat(store12L(), []phone.Certificate{{SHA256: old, Subject: "CN=Old", Known: true}})},
			[]string{"lead this phone still trusts CN=Old, which AOSP no longer ships in Android 12L"}},
		{"one of the system's store on a phone that uses the module's", &phone.Phone{API: 34, Trust: []phone.Certificate{{SHA256: "0", Subject: "CN=X", At: evidence.Ref{}.Inner("system/etc/security/cacerts/1.0")}}},
			[]string{"lead an authority that AOSP ships in no release that we know lies in a store that this phone no longer uses: CN=X"}},
	} {
		var got []string
		pass := check.NewPass(context.Background(), Check, c.ph, nil, func(f check.Finding) { got = append(got, string(f.Grade)+" "+f.Text()) })
		if err := Check.Run(pass); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func store12L() (out []phone.Certificate) {
	for hash, info := range knowledge.CAs("12L") {
		out = append(out, phone.Certificate{SHA256: hash, Subject: info.Subject, Known: true})
	}
	return out
}
