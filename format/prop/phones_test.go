package prop

import (
	"archive/zip"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// explained are the problems that real phones' files have, each looked at: a real init, ueventd or package manager
// passes these over too, or the vendor's own program is no AOSP one.
var explained = []struct{ file, msg, why string }{
	{`\.rc$`, `no command "mknod"`, "MediaTek's init has it"},
	{`init\.rc$`, `no command "rebootrecovery"`, "Xiaomi's init has it"},
	{`init\.mt\w+\.rc$`, `no service option "setprop"`, "commands below a service, where their action should be"},
	{`init\.mt\w+\.rc$`, `no service option "chmod"`, "likewise"},
	{`init\.mt\w+\.rc$`, `no service option "enabled"`, "no such option"},
	{`init\.mt\w+\.rc$`, `no command "chomd"`, "misspelt chmod"},
	{`init\.mt6580\.rc$`, `chmod with 3 arguments`, "several files to one chmod"},
	{`factory_init\.project\.rc$`, `"mkdir" stands before the first section`, "the first line of the file"},
	{`factory_init\.rc$`, "\"\\\\ufeff#\" stands before", "a byte order mark hides the '#' of the first comment"},
	{`init\.modem\.rc$`, `socket "rild-vsim-md2" is defined twice`, "it is"},
	{`meta_init\.rc$`, `service without a name and a program`, "\"service late_start\" for \"class late_start\""},
	{`meta_init\.rc$`, `service "meta_tst" is defined above`, "it is"},
	{`(meta|factory)_init\.rc$`, `user with \d arguments`, "groups given to user: the service stays root"},
	{`prop`, `no '=' in "RO_\w+"`, "names of make variables that were not replaced"},
	{`permissions/media_codecs\.xml$`, `root element <MediaCodecs>`, "a file of another kind in the folder"},
	{`cacerts/aeb67534\.0$`, `negative serial number`, "the phone takes it, Go does not"},
}

// TestPhones reads every file of the kinds read here from real phones.
func TestPhones(t *testing.T) {
	zips, _ := filepath.Glob("../../../shared/phones/*.zip")
	if len(zips) == 0 {
		t.Skip("no phones in ../../../shared/phones")
	}
	count := map[string]int{}
	used := make([]bool, len(explained))
	for _, name := range zips {
		z, err := zip.OpenReader(name)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for _, f := range z.File {
			if f.FileInfo().Mode().IsRegular() {
				readPhoneFile(t, filepath.Base(name), f, count, used)
			}
		}
	}
	t.Log(count)
	for kind, least := range map[string]int{ // the whole of what the five phones have
		"init": 380, "ueventd": 15, "props": 270, "sysconfig": 200, "certificates": 950, "hosts": 5, "mac": 6, "seapp": 8,
	} {
		if count[kind] < least {
			t.Errorf("%d files of kind %s, at least %d expected", count[kind], kind, least)
		}
	}
	for i, e := range explained {
		if !used[i] {
			t.Errorf("explained but not seen: %s %s", e.file, e.msg)
		}
	}
}

func readPhoneFile(t *testing.T, phone string, f *zip.File, count map[string]int, used []bool) {
	base, dir := path.Base(f.Name), path.Dir(f.Name)
	is := func(pattern string) bool { return regexp.MustCompile(pattern).MatchString(f.Name) }
	complain := func(msg string) {
		for i, e := range explained {
			if regexp.MustCompile(e.file).MatchString(f.Name) && regexp.MustCompile(e.msg).MatchString(msg) {
				used[i] = true
				return
			}
		}
		t.Errorf("%s %s: %s", phone, f.Name, msg)
	}
	show := func(probs []Problem, err error) {
		for _, p := range probs {
			complain(p.String())
		}
		if err != nil {
			complain(err.Error())
		}
	}
	read := func(kind string) []byte {
		count[kind]++
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	switch {
	case is(`ueventd[^/]*\.rc$`):
		u := ParseUeventd(read("ueventd"))
		show(u.Problems, nil)
		if len(u.Rules) == 0 {
			t.Errorf("%s %s: no rules", phone, f.Name)
		}
	case is(`\.rc$`):
		show(ParseInit(read("init")).Problems, nil)
	case is(`(\.prop|/prop\.default)$`):
		show(ParseProps(read("props")).Problems, nil)
	case is(`mac_permissions\.xml$`):
		m, err := ParseMACPermissions(read("mac"))
		show(m.Problems, err)
		for _, s := range m.Signers {
			for _, der := range s.Certs {
				if c, err := ParseCertificates(der); err != nil || c[0].Subject == "" {
					t.Errorf("%s %s line %d: %v", phone, f.Name, s.Line, err)
				}
			}
		}
	case is(`seapp_contexts$`):
		show(ParseSeappContexts(read("seapp")).Problems, nil)
	case is(`/etc/(permissions|sysconfig|default-permissions)/.*\.xml$`):
		s, err := ParseSysconfig(read("sysconfig"))
		show(s.Problems, err)
		for name := range s.Other {
			if !strings.HasPrefix(name, "allow-in-idle-user-app") && s.Root != "MediaCodecs" { // a vendor's own list
				t.Errorf("%s %s: <%s> is not read", phone, f.Name, name)
			}
		}
	case base == "hosts" && path.Base(dir) == "etc":
		for _, h := range ParseHosts(read("hosts")) {
			if h.Ignored != "" || !h.Addr.IsLoopback() {
				t.Errorf("%s %s: %+v", phone, f.Name, h)
			}
		}
	case is(`/cacerts[^/]*/.*[^/]$`):
		certs, err := ParseCertificates(read("certificates"))
		show(nil, err)
		for _, c := range certs {
			if c.Problem != "" {
				complain(c.Problem)
			}
			if c.KeyBits == 0 || c.Subject == "" || c.NotAfter.IsZero() {
				t.Errorf("%s %s: not fully read: %+v", phone, f.Name, c)
			}
			// Android names its trust anchors by this hash.
			if is(`etc/security/cacerts/\w{8}\.\d$`) && c.SubjectHashOld != base[:8] {
				t.Errorf("%s %s: subject_hash_old %s", phone, f.Name, c.SubjectHashOld)
			}
		}
	}
}

// TestMergePhones asks of every phone what any phone must know after boot.
func TestMergePhones(t *testing.T) {
	zips, _ := filepath.Glob("../../../shared/phones/*.zip")
	if len(zips) == 0 {
		t.Skip("no phones in ../../../shared/phones")
	}
	for _, phone := range zips {
		z, err := zip.OpenReader(phone)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		var files []PropFile
		api := 0
		for _, f := range z.File {
			if !regexp.MustCompile(`(\.prop|/prop\.default)$`).MatchString(f.Name) || strings.HasPrefix(f.Name, "recovery/") {
				continue
			}
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			p := PropFile{"/" + f.Name, ParseProps(b)}
			for _, root := range []string{"/boot/ramdisk", "/system/system"} { // where the dumps have the root's folders
				if rest, ok := strings.CutPrefix(p.Path, root); ok {
					p.Path = map[string]string{"/boot/ramdisk": "", "/system/system": "/system"}[root] + rest
				}
			}
			if p.Path == "/system/build.prop" {
				for _, s := range p.Set {
					if s.Name == "ro.build.version.sdk" {
						api, _ = strconv.Atoi(s.Value)
					}
				}
			}
			files = append(files, p)
		}
		got := values(Merge(api, files))
		for _, name := range []string{"ro.product.model", "ro.product.brand", "ro.build.fingerprint", "ro.build.type",
			"ro.debuggable", "persist.sys.usb.config"} {
			if got[name] == "" {
				t.Errorf("%s, api %d: no %s", filepath.Base(phone), api, name)
			}
		}
	}
}
