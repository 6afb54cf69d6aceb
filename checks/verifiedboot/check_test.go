package verifiedboot

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

// The public keys' secret halves must not be in a test phone, so this one is made by hand.
func TestPublicKey(t *testing.T) {
	chain := []phone.VBMeta{{Partition: "vbmeta", Signature: "verified", At: evidence.Ref{}.Inner("vbmeta.img"), PublicKey: "a published test key"}}
	boot := []phone.VerifiedPartition{{Name: "boot", Match: phone.Matches}}
	for _, c := range []struct {
		name  string
		phone phone.Phone
		want  []string
	}{
		{"a phone's own list", phone.Phone{VerifiedBoot: phone.VerifiedBoot{Chain: chain, Partitions: boot}},
			[]string{"weak anyone can sign software that this phone's bootloader takes for its maker's, if it goes by the key of the list in vbmeta: the secret half of a published test key is public"}},
		{"the nearest to it: a generic system image", phone.Phone{VerifiedBoot: phone.VerifiedBoot{Chain: chain, Partitions: []phone.VerifiedPartition{{Name: "system", Match: phone.Matches}}}}, nil},
		{"a phone that its owner unlocked", phone.Phone{Properties: []phone.Property{{Name: "ro.boot.verifiedbootstate", Value: "orange"}},
			VerifiedBoot: phone.VerifiedBoot{Chain: chain, Partitions: boot}}, nil},
	} {
		var got []string
		pass := check.NewPass(context.Background(), Check, &c.phone, nil, func(f check.Finding) { got = append(got, string(f.Grade)+" "+f.Text()) })
		if err := Check.Run(pass); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}
