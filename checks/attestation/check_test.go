package attestation

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

// Keys of known systems and of the public root cannot be had in a test phone, so these are made by hand.
func TestByHand(t *testing.T) {
	at := evidence.Ref{}.Inner("chain.pem")
	for _, c := range []struct {
		name string
		a    phone.Attestation
		want []string
	}{
		{"locked in over a system that is known", phone.Attestation{Root: "hardware", Level: "StrongBox", State: "self-signed", Locked: true, BootKey: "00", System: "a known system"},
			[]string{"lead the phone's secure hardware says that the system it started was not signed by its maker: the key is that of a known system"}},
		{"unlocked over it", phone.Attestation{Root: "hardware", Level: "StrongBox", State: "self-signed", System: "a known system"},
			[]string{"weak the phone's secure hardware says that its bootloader is unlocked: whoever holds the phone can put other software on it (state self-signed)"}},
		{"hardware named below the public root", phone.Attestation{Root: "software", RootName: "the public root", Level: "trusted environment", Locked: true},
			[]string{"weak anyone could have written this attestation: it names secure hardware, and ends in the public root, whose secret half is public"}},
		{"software below the public root", phone.Attestation{Root: "software", RootName: "the public root", Level: "software"},
			[]string{"lead the attestation was made by the phone's software and not by secure hardware, so whoever controls the software can write what it says"}},
		{"hardware that states no start", phone.Attestation{Root: "hardware", Level: "trusted environment"}, nil},
		{"one that was given in part", phone.Attestation{Level: "trusted environment", Faults: []phone.AttestationFault{{Kind: "no root", Detail: "the rest is missing"}}},
			[]string{"lead the attestation proves nothing as it was given: the rest is missing"}},
	} {
		c.a.At = at
		var got []string
		ph := &phone.Phone{Attestations: []*phone.Attestation{&c.a}}
		pass := check.NewPass(context.Background(), Check, ph, nil, func(f check.Finding) { got = append(got, string(f.Grade)+" "+f.Text()) })
		if err := Check.Run(pass); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}
