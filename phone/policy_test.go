package phone

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"strings"
	"testing"

	"gifthorse/evidence"
)

const platformText = `(class process (fork transition)) (class file (read write entrypoint)) (class sock_file (write)) (sid kernel)
(type init) (type vold) (type vold_exec) (type untrusted_app) (type vold_socket) (type su) (type kernel)
(typetransition init vold_exec process vold)
`

func policyPhone(extra map[string]string) map[string][]byte {
	files := map[string][]byte{}
	for name, text := range map[string]string{
		"system/build.prop":                         "ro.build.version.sdk=28\nro.build.type=user\n",
		"init.rc":                                   "service vold /system/bin/vold\n    class core\nservice rooted /system/bin/x\n    seclabel u:r:su:s0\nservice lost /system/bin/y\n",
		"system/bin/vold":                           "x",
		"system/etc/selinux/plat_sepolicy.cil":      platformText,
		"system/etc/selinux/mapping/28.0.cil":       "(typeattribute vold_socket_28_0)(typeattributeset vold_socket_28_0 (vold_socket))\n",
		"system/etc/selinux/plat_file_contexts":     "/system/bin/vold u:object_r:vold_exec:s0\n/dev/socket/.* -s u:object_r:vold_socket:s0\n",
		"system/etc/selinux/plat_seapp_contexts":    "user=_app domain=house_app type=app_data_file\nuser=_app seinfo=platform domain=platform_app\n",
		"vendor/etc/selinux/plat_sepolicy_vers.txt": "28.0\n",
		"vendor/etc/selinux/vendor_sepolicy.cil":    "(type house_app)(type platform_app)(allow house_app vold_socket_28_0 (sock_file (write)))\n",
		"vendor/etc/selinux/vendor_file_contexts":   "/vendor/x u:object_r:su:s0\n",
		"recovery/ramdisk/sepolicy":                 "recovery's",
		"vendor/etc/selinux/unrelated":              "x",
	} {
		files[name] = []byte(text)
	}
	for name, text := range extra {
		if text == "" {
			delete(files, name)
		} else {
			files[name] = []byte(text)
		}
	}
	return files
}

func coverage(p *Phone, k evidence.Kind) evidence.Coverage {
	for _, c := range p.Coverage {
		if c.What == k {
			return c
		}
	}
	return evidence.Coverage{}
}

func TestPolicyText(t *testing.T) {
	p := buildFolder(t, policyPhone(nil))
	if p.Policy == nil {
		t.Fatal(coverage(p, evidence.Policy))
	}
	if c := coverage(p, evidence.Policy); !c.Complete() || len(c.Gaps) > 0 {
		t.Errorf("coverage %+v", c)
	}
	if !strings.HasSuffix(p.Policy.At.String(), "plat_sepolicy.cil") || !strings.Contains(p.Policy.Why, "compiles it at boot") {
		t.Errorf("%s, %s", p.Policy.At, p.Policy.Why)
	}
	for _, s := range p.Services {
		want := map[string]string{"vold": "vold", "rooted": "su", "lost": ""}[s.Name]
		if got := p.DomainOf(&s); got != want {
			t.Errorf("%s runs in %q, want %q", s.Name, got, want)
		}
	}
	for name, want := range map[string]string{"/dev/socket/vold": "vold_socket", "/vendor/x": "su", "/data/x": ""} {
		if got := p.LabelOf(name, fs.ModeSocket, true); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	var apps []string
	for _, a := range p.Policy.AnyApp {
		apps = append(apps, p.Policy.Name(a))
	}
	if got := strings.Join(apps, " "); got != "untrusted_app house_app" {
		t.Errorf("any app is %s", got)
	}
	if got := p.Policy.AnyAppMay("vold_socket", "sock_file", "write"); got != "house_app" {
		t.Errorf("%q may write vold_socket", got)
	}
	if got := p.Policy.AnyAppMay("su", "sock_file", "write") + p.Policy.AnyAppMay("nothing", "sock_file", "write"); got != "" {
		t.Errorf("%q may write su", got)
	}
}

// Which of two policies the phone boots with hangs on hashes.
func TestPolicyChosen(t *testing.T) {
	sum := sha256.Sum256([]byte("x"))
	good, other := hex.EncodeToString(sum[:])+"\n", strings.Repeat("0", 64)+"\n"
	const compiled, system, made = "vendor/etc/selinux/precompiled_sepolicy", "system/etc/selinux/plat_sepolicy_and_mapping.sha256", ".plat_sepolicy_and_mapping.sha256"
	const ext = "system_ext/etc/selinux/system_ext_sepolicy_and_mapping.sha256"
	for name, c := range map[string]struct {
		files  map[string]string
		policy bool   // one is read; the binaries here are none, so it is the text
		gap    string // of the binary if it was tried
	}{
		"hashes agree, broken":      {map[string]string{compiled: "broken", system: good, compiled + made: good}, true, "no binary policy"},
		"hashes differ":             {map[string]string{compiled: "broken", system: good, compiled + made: other}, true, ""},
		"no hashes":                 {map[string]string{compiled: "broken"}, true, ""},
		"no hashes, no text":        {map[string]string{compiled: "broken", "system/etc/selinux/plat_sepolicy.cil": ""}, false, "no binary policy"},
		"hashes differ, no text":    {map[string]string{compiled: "broken", system: good, compiled + made: other, "system/etc/selinux/plat_sepolicy.cil": ""}, false, "made for another system"},
		"system_ext differs":        {map[string]string{compiled: "broken", system: good, compiled + made: good, ext: good, compiled + ".system_ext_sepolicy_and_mapping.sha256": other}, true, ""},
		"no policy":                 {map[string]string{"system/etc/selinux/plat_sepolicy.cil": ""}, false, "is not in what was given"},
		"text of which part is not": {map[string]string{"system/etc/selinux/mapping/28.0.cil": ""}, false, `"vold_socket_28_0" is declared nowhere`},
		"before Android 5":          {map[string]string{"system/build.prop": "ro.build.version.sdk=19\n"}, false, ""},
	} {
		p := buildFolder(t, policyPhone(c.files))
		cover := coverage(p, evidence.Policy)
		gap := ""
		for _, g := range cover.Gaps {
			gap += g.Error()
		}
		if (p.Policy != nil) != c.policy || c.gap == "" && gap != "" || !strings.Contains(gap, c.gap) {
			t.Errorf("%s: policy %v, gaps %q", name, p.Policy != nil, gap)
		}
		if cover.Complete() != (gap == "" && c.policy) {
			t.Errorf("%s: %+v", name, cover)
		}
	}
}
