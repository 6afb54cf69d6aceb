package checktest

import (
	"context"
	"testing"

	"gifthorse/evidence"
	"gifthorse/phone"

	"golang.org/x/tools/txtar"
)

// The product must not trust the root that stands in for a published one: only the test does, in the finished model.
func TestStandInIsNotTrusted(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, txtar.Parse([]byte("-- chain.pem --\nmake: attestation\nbrand acme\n"))); err != nil {
		t.Fatal(err)
	}
	ev, err := evidence.Open(context.Background(), []string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ev.Close()
	ph := phone.Build(context.Background(), ev, nil)
	if len(ph.Attestations) != 1 {
		t.Fatal(len(ph.Attestations), "attestations")
	}
	if why, _ := ph.Attestations[0].Doubt(); why != "unknown-root" {
		t.Errorf("the doubt is %q", why)
	}
	publish(ph)
	if why, _ := ph.Attestations[0].Doubt(); why != "" {
		t.Errorf("published, the doubt is %q", why)
	}
	for _, bad := range []string{"level none", "version x", "made today", "smell of it"} {
		if err := Write(t.TempDir(), txtar.Parse([]byte("-- chain.pem --\nmake: attestation\n"+bad+"\n"))); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
