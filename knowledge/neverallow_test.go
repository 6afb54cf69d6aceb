package knowledge

import (
	"slices"
	"testing"
)

func TestNeverallows(t *testing.T) {
	ids := func(api int) (all []string) {
		for n := range Neverallows(api) {
			if len(n.Classes) == 0 || len(n.Targets) == 0 || len(n.Perms) == 0 || n.Power == "" || n.File == "" {
				t.Errorf("%s lacks something: %+v", n.ID, n)
			}
			all = append(all, n.ID)
		}
		return all
	}
	old, now := ids(21), ids(35)
	if !slices.Contains(old, "disk") || slices.Contains(old, "module") || !slices.Contains(now, "module") || slices.Contains(now, "any") || len(ids(20)) > 0 {
		t.Errorf("Android 5: %q, 15: %q", old, now)
	}
	for n := range Neverallows(35) {
		if n.ID == "transition" && (!slices.Equal(n.Targets, []string{"domain"}) || !slices.Contains(n.Except, "crash_dump")) {
			t.Errorf("%+v", n)
		}
	}
	if apps := AppDomains(); !slices.Contains(apps, "untrusted_app") || slices.Contains(apps, "priv_app") {
		t.Errorf("domains: %q", apps)
	}
}
