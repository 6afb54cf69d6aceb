package knowledge

import "testing"

func TestCAReleases(t *testing.T) {
	for android, want := range map[string]string{"8.1.0": "8.1", "6.0": "6.0", "10": "10", "13": "", "12": "", "1": "", "": ""} {
		if got := CARelease(android); got != want {
			t.Errorf("CARelease(%q) = %q, want %q", android, got, want)
		}
	}
	n := 0
	for hash, info := range CAs("7.0") {
		n++
		if again, ok := CA(hash); !ok || again.Subject != info.Subject || info.Gone("7.0") {
			t.Errorf("%s: %+v, %+v", hash, again, info)
		}
	}
	if n != 148 {
		t.Errorf("%d certificates in 7.0, want 148", n)
	}
	old := CAInfo{Releases: []string{"4.4", "5.0"}}
	if old.Gone("4.4") || old.Gone("5.0") || !old.Gone("6.0") {
		t.Error("a certificate of 4.4 and 5.0 is gone in 6.0, not before")
	}
	young := CAInfo{Releases: []string{"15"}}
	if young.Gone("9") || !young.Gone("16") {
		t.Error("a certificate of 15 was not gone in 9, and is in 16")
	}
}
