package phone_test

import (
	"io/fs"
	"strings"
	"testing"
)

// Which policy the real phones boot with, and what it says of services whose domains are AOSP's.
func TestPolicyOfPhones(t *testing.T) {
	for name, want := range map[string]struct{ at, why string }{
		"wolder":      {"sepolicy", "the one policy"},
		"archos":      {"sepolicy", "the one policy"},
		"doogee_mix":  {"sepolicy", "the one policy"},
		"tecno_ba2":   {"precompiled_sepolicy", "the hashes agree"},
		"redmi_water": {"precompiled_sepolicy", "the hashes agree"},
	} {
		t.Run(name, func(t *testing.T) {
			p := real(t, name)
			if p.Policy == nil {
				t.Fatal("no policy")
			}
			if !strings.HasSuffix(p.Policy.At.String(), want.at) || !strings.Contains(p.Policy.Why, want.why) || strings.Contains(p.Policy.At.String(), "recovery") {
				t.Errorf("%s: %s", p.Policy.At, p.Policy.Why)
			}
			if len(p.Policy.AnyApp) < 2 || len(p.Policy.Permissive()) > 0 {
				t.Errorf("%d domains of any app, %d permissive", len(p.Policy.AnyApp), len(p.Policy.Permissive()))
			}
			told, n := 0, 0
			for i := range p.Services {
				s := &p.Services[i]
				domain := p.DomainOf(s)
				if n++; domain != "" {
					told++
				}
				if want := map[string]string{"vold": "vold", "installd": "installd", "surfaceflinger": "surfaceflinger", "netd": "netd"}[s.Name]; want != "" && domain != want {
					t.Errorf("%s runs in %q", s.Name, domain)
				}
			}
			t.Logf("%d of %d services have a domain", told, n)
			if told*3 < n {
				t.Errorf("%d of %d services have a domain", told, n)
			}
			if got := p.LabelOf("/dev/block/mmcblk0", fs.ModeDevice, true); !strings.HasSuffix(got, "block_device") && got != "mmcblk_device" {
				t.Errorf("the storage is %q", got)
			}
			if got := p.Policy.AnyAppMay(p.LabelOf("/dev/null", fs.ModeDevice|fs.ModeCharDevice, true), "chr_file", "write"); got == "" {
				t.Error("no app may write /dev/null")
			}
		})
	}
}
