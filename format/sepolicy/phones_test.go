package sepolicy

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Real phones, and the platform's own tools as oracles: seinfo and sesearch (setools), secilc, selabel_lookup and sefcontext_compile.

const phones = "../../../shared/phones"

// file returns a file of a phone.
func file(t testing.TB, phone, name string) []byte {
	t.Helper()
	z, err := zip.OpenReader(filepath.Join(phones, phone+".zip"))
	if err != nil {
		t.Skipf("%s is not beside the checkout", phone)
	}
	defer z.Close()
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return string(out)
}

func put(t testing.TB, name string, b []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

var binaries = []struct {
	phone, file string
	setools     bool // compare with setools, which take seconds; of Android 6 they read nothing
}{
	{"redmi_water", "boot/ramdisk/sepolicy", false},
	{"redmi_water", "vendor/etc/selinux/precompiled_sepolicy", true},
	{"doogee_mix", "boot/ramdisk/sepolicy", true},
	{"tecno_ba2", "vendor/etc/selinux/precompiled_sepolicy", false}, // see TestSecilc
	{"tecno_ba2", "recovery/ramdisk/sepolicy", false},
	{"archos", "boot/ramdisk/sepolicy", false},
	{"wolder", "boot/ramdisk/sepolicy", false},
}

// Counts and samples of rules agree with setools.
func TestSetools(t *testing.T) {
	tool(t, "seinfo")
	tool(t, "sesearch")
	for _, x := range binaries {
		t.Run(x.phone+" "+filepath.Base(x.file), func(t *testing.T) {
			b := file(t, x.phone, x.file)
			p, err := Read(b)
			if err != nil {
				t.Fatal(err)
			}
			if x.setools {
				name := put(t, "sepolicy", b)
				seinfo(t, p, name)
				sesearch(t, p, name)
			}
			platformFacts(t, p)
		})
	}
}

// platformFacts are rules of AOSP's that every phone has (domain.te, app.te, untrusted_app.te), and some that none has.
func platformFacts(t *testing.T, p *Policy) {
	t.Helper()
	for _, c := range []struct {
		source, target, class, perm string
		want                        bool
	}{
		{"untrusted_app", "app_data_file", "file", "write", true}, {"untrusted_app", "null_device", "chr_file", "write", true}, {"init", "init", "process", "fork", true},
		{"untrusted_app", "kmem_device", "chr_file", "write", false}, {"untrusted_app", "init", "process", "ptrace", false}, {"untrusted_app", "kernel", "security", "load_policy", false},
	} {
		if got := p.Allows(c.source, c.target, c.class, c.perm); got != c.want {
			t.Errorf("%s %s:%s %s is %v", c.source, c.target, c.class, c.perm, got)
		}
	}
	source, _ := p.Type("init")
	exec, _ := p.Type("vold_exec")
	process, _ := p.Class("process")
	if to, ok := p.Transition(source, exec, process, ""); !ok || p.Name(to) != "vold" {
		t.Errorf("init does not become vold")
	}
}

func seinfo(t *testing.T, p *Policy, name string) {
	t.Helper()
	stats := map[string]int{}
	for _, m := range regexp.MustCompile(`([A-Z][\w. ]+):\s+(\d+)`).FindAllStringSubmatch(run(t, "seinfo", name), -1) {
		stats[m[1]], _ = strconv.Atoi(m[2])
	}
	kinds := map[Kind]int{}
	for _, r := range p.Rules() {
		kinds[r.Kind]++
	}
	types, attributes := 0, 0
	for range p.Types() {
		types++
	}
	for range p.Attributes() {
		attributes++
	}
	for what, got := range map[string]int{"Policy Version": p.Version, "Types": types, "Attributes": attributes, "Classes": p.Classes(), "Permissives": len(p.Permissive()),
		"Allow": kinds[Allow], "Auditallow": kinds[AuditAllow], "Dontaudit": kinds[DontAudit], "Type_trans": len(p.Transitions), "Allowxperm": kinds[AllowX],
		"Dontauditxperm": kinds[DontAuditX], "Genfscon": len(p.Genfs), "Fs_use": len(p.FSUse), "Initial SIDs": len(p.InitialSIDs), "MLS Constrain": len(p.constraints)} {
		if want, ok := stats[what]; !ok || got != want {
			t.Errorf("%s: %d, seinfo says %d", what, got, want)
		}
	}
	if stats["Allow"] == 0 {
		t.Error("seinfo says nothing")
	}
	members := map[string][]string{}
	attribute := ""
	for l := range strings.Lines(run(t, "seinfo", "-a", "-x", "--flat", name)) {
		if f := strings.Fields(l); len(f) > 1 && f[0] == "attribute" {
			attribute = strings.Trim(f[1], ";,")
			members[attribute] = nil
		} else if len(f) == 1 {
			members[attribute] = append(members[attribute], f[0])
		}
	}
	if len(members) != attributes {
		t.Errorf("seinfo lists %d attributes", len(members))
	}
	for a, want := range members {
		x, ok := p.Type(a)
		var got []string
		for _, m := range p.Members(x) {
			got = append(got, p.Name(m))
		}
		slices.Sort(got)
		if slices.Sort(want); !ok || !slices.Equal(got, want) {
			t.Errorf("%s has %d members, seinfo says %d", a, len(got), len(want))
		}
	}
}

var allowRule = regexp.MustCompile(`^allow (\S+) (\S+):(\S+) (?:\{ ([^}]*) \}|(\S+));`)

// sesearch compares all that some sources may do, as sesearch finds it.
func sesearch(t *testing.T, p *Policy, name string) {
	t.Helper()
	for _, source := range []string{"untrusted_app", "vold"} {
		s, ok := p.Type(source)
		if !ok {
			t.Fatalf("no %s", source)
		}
		want, got := map[string]bool{}, map[string]bool{}
		for l := range strings.Lines(run(t, "sesearch", "-A", "-s", source, name)) {
			if m := allowRule.FindStringSubmatch(l); m != nil {
				target, ok := p.Type(m[2])
				if m[2] == "self" {
					target, ok = s, true
				}
				if !ok {
					t.Fatalf("no %s", m[2])
				}
				for _, x := range p.Members(target) {
					for _, perm := range strings.Fields(m[4] + " " + m[5]) {
						want[p.Name(x)+":"+m[3]+" "+perm] = true
					}
				}
			}
		}
		for r := range p.RulesOf(s) {
			if r.Kind == Allow {
				for _, x := range p.Members(r.Target) {
					for _, perm := range p.PermNames(r.Class, r.Perms()) {
						got[p.Name(x)+":"+p.ClassName(r.Class)+" "+perm] = true
					}
				}
			}
		}
		if !maps.Equal(got, want) || len(want) < 100 {
			t.Errorf("%s has %d permissions, sesearch says %d", source, len(got), len(want))
		}
		n := 0
		for k := range want { // the same by the question for one
			target, rest, _ := strings.Cut(k, ":")
			if class, perm, _ := strings.Cut(rest, " "); !p.Allows(source, target, class, perm) {
				t.Errorf("%s may not %s", source, k)
			}
			if n++; n > 200 {
				break
			}
		}
	}
}

func tecno(t testing.TB) (files []File, precompiled []byte) {
	for _, f := range []string{"system/etc/selinux/plat_sepolicy.cil", "system/etc/selinux/mapping/27.0.cil", "vendor/etc/selinux/nonplat_sepolicy.cil"} {
		files = append(files, File{f, file(t, "tecno_ba2", f)})
	}
	return files, file(t, "tecno_ba2", "vendor/etc/selinux/precompiled_sepolicy")
}

// The text of a phone says the same as the binary that its maker compiled from it, and as what secilc makes of it in all versions
// of the format.
func TestSecilc(t *testing.T) {
	files, precompiled := tecno(t)
	text, err := ReadCIL(files...)
	if err != nil {
		t.Fatal(err)
	}
	if len(text.Unread) > 0 {
		t.Errorf("not read: %v", text.Unread)
	}
	made, err := Read(precompiled)
	if err != nil {
		t.Fatal(err)
	}
	if n := same(t, text, made); n < 30_000 {
		t.Errorf("only %d sets of permissions were compared", n)
	}
	tool(t, "secilc")
	var names, older []string
	rules := regexp.MustCompile(`(?m)^\((allow|neverallow|dontaudit|auditallow)x .*$`) // which secilc does not leave out for old versions by itself
	for i, f := range files {
		names = append(names, put(t, fmt.Sprint(i), f.Text))
		older = append(older, put(t, fmt.Sprint(i), rules.ReplaceAll(f.Text, nil)))
	}
	for _, v := range []int{26, 28, 30, 33} {
		in := names
		if v < versXperms {
			in = older
		}
		out := filepath.Join(t.TempDir(), "policy")
		run(t, "secilc", append([]string{"-m", "-M", "true", "-G", "-N", "-c", fmt.Sprint(v), "-o", out, "-f", os.DevNull}, in...)...)
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Read(b)
		if err != nil {
			t.Fatalf("version %d: %v", v, err)
		}
		if p.Version != v {
			t.Errorf("version %d: read %d", v, p.Version)
		}
		same(t, text, p)
	}
}

// same demands that two policies mean the same, for every seventh source, and returns how many sets of permissions were compared.
func same(t *testing.T, a, b *Policy) (n int) {
	t.Helper()
	vectors := func(p *Policy, name string, kind Kind) map[string]Perms {
		s, _ := p.Type(name)
		all := map[string]Perms{}
		type key struct {
			Type
			Class
		}
		sum := map[key]Perms{}
		for r := range p.RulesOf(s) {
			if r.Kind == kind {
				for _, m := range p.Members(r.Target) {
					sum[key{m, r.Class}] |= r.Perms()
				}
			}
		}
		for k, v := range sum {
			var perms Perms // in the numbers of a
			c, _ := a.Class(p.ClassName(k.Class))
			for _, name := range p.PermNames(k.Class, v) {
				perms |= a.Perm(c, name)
			}
			all[p.Name(k.Type)+":"+p.ClassName(k.Class)] = perms
		}
		return all
	}
	i := 0
	for s := range a.Types() {
		if i++; i%7 != 0 {
			continue
		}
		name := a.Name(s)
		for _, kind := range []Kind{Allow, DontAudit, AuditAllow} {
			x, y := vectors(a, name, kind), vectors(b, name, kind)
			if n += len(x); !maps.Equal(x, y) {
				t.Errorf("%s of %s: %d and %d", kind, name, len(x), len(y))
			}
		}
	}
	labels := func(p *Policy, list []Label) (all []string) {
		for _, l := range list {
			all = append(all, l.Name+" "+p.Name(l.Type))
		}
		slices.Sort(all)
		return all
	}
	var x, y []string
	for _, l := range a.Transitions {
		x = append(x, fmt.Sprintln(a.Name(l.Source), a.Name(l.Target), a.ClassName(l.Class), l.Name, a.Name(l.New)))
	}
	for _, l := range b.Transitions {
		y = append(y, fmt.Sprintln(b.Name(l.Source), b.Name(l.Target), b.ClassName(l.Class), l.Name, b.Name(l.New)))
	}
	slices.Sort(x)
	slices.Sort(y)
	if !slices.Equal(x, y) || !slices.Equal(labels(a, a.Genfs), labels(b, b.Genfs)) || !slices.Equal(labels(a, a.FSUse), labels(b, b.FSUse)) ||
		!slices.Equal(labels(a, a.InitialSIDs), labels(b, b.InitialSIDs)) {
		t.Errorf("%d and %d transitions, or labels, differ", len(x), len(y))
	}
	for _, name := range []string{"untrusted_app", "isolated_app"} {
		s, _ := a.Type(name)
		s2, _ := b.Type(name)
		denied, i := 0, 0
		for t1 := range a.Types() {
			if i++; i%9 != 0 {
				continue
			}
			t2, _ := b.Type(a.Name(t1))
			for c := range a.Classes() {
				c2, _ := b.Class(a.ClassName(Class(c)))
				for _, l := range []Level{Same, Above} {
					x, y := a.PermNames(Class(c), a.Denied(s, t1, Class(c), l)), b.PermNames(c2, b.Denied(s2, t2, c2, l))
					slices.Sort(x)
					slices.Sort(y)
					if denied += len(x); !slices.Equal(x, y) {
						t.Fatalf("%s is denied %q of %s:%s by the one and %q by the other", name, x, a.Name(t1), a.ClassName(Class(c)), y)
					}
				}
			}
		}
		if denied < 300 {
			t.Errorf("%s is denied %d permissions", name, denied)
		}
	}
	app, _ := a.Type("untrusted_app")
	app2, _ := b.Type("untrusted_app")
	socket, _ := a.Class("udp_socket")
	socket2, _ := b.Class("udp_socket")
	for number := range 1 << 16 {
		if number>>8 != 0x89 && number>>8 != 0x54 && number%64 != 0 || b.Version < versXperms && b.Version > 0 {
			continue
		}
		if a.Ioctl(app, app, socket, uint16(number)) != b.Ioctl(app2, app2, socket2, uint16(number)) {
			t.Errorf("ioctl %#x", number)
		}
	}
	return n
}

// Labels of paths agree with libselinux, for text and for what it compiled.
func TestLibselinux(t *testing.T) {
	tool(t, "selabel_lookup")
	paths := strings.Fields("/ /init /data /data/data/com.a /system/bin/app_process32 /system/bin/vold /dev/block/mmcblk0 /dev/kmem /dev/mem /dev/socket/adbd /sys/kernel/debug/x " +
		"/dev/block/by-name/boot /dev/block/platform/mtk-msdc.0/11230000.msdc0/by-name/para /data/misc/wifi/sockets /data/local/tmp/x /system/xbin/su /vendor/bin/hw/a " +
		"/vendor/bin/hw/android.hardware.audio@2.0-service /mnt/sdcard /sbin/x /cache/recovery/last_log /system/etc/selinux/plat_sepolicy.cil /dev/ttyMT0 /dev/graphics/fb0 /nowhere/x")
	for _, x := range []struct{ phone, file string }{
		{"wolder", "boot/ramdisk/file_contexts"}, {"tecno_ba2", "vendor/etc/selinux/nonplat_file_contexts"}, {"tecno_ba2", "system/etc/selinux/plat_file_contexts"},
		{"redmi_water", "vendor/etc/selinux/vendor_file_contexts"}, {"redmi_water", "system/system/etc/selinux/plat_file_contexts"},
	} {
		t.Run(x.phone+" "+filepath.Base(x.file), func(t *testing.T) {
			b := file(t, x.phone, x.file)
			c := ParseFileContexts(File{x.file, b})
			if len(c.Problems) > 0 {
				t.Errorf("problems: %v", c.Problems)
			}
			if len(c.Specs) < 100 {
				t.Fatalf("%d lines", len(c.Specs))
			}
			name := put(t, "file_contexts", b)
			out := name + ".bin"
			var compiled *FileContexts
			if _, err := exec.LookPath("sefcontext_compile"); err == nil {
				if err := exec.Command("sefcontext_compile", "-o", out, name).Run(); err != nil {
					t.Fatal(err)
				}
				b, err := os.ReadFile(out)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Remove(out); err != nil { // libselinux would take it for the text
					t.Fatal(err)
				}
				compiled = ParseFileContexts(File{"bin", b})
				if len(compiled.Specs) != len(c.Specs) || len(compiled.Problems) > 0 {
					t.Errorf("compiled: %d lines, text: %d; %v", len(compiled.Specs), len(c.Specs), compiled.Problems)
				}
			}
			for _, path := range paths {
				cmd := exec.Command("selabel_lookup", "-b", "file", "-f", name, "-k", path)
				said, err := cmd.Output()
				_, want, _ := strings.Cut(strings.TrimSpace(string(bytes.TrimSpace(said))), "context: ")
				if err != nil {
					want = ""
				}
				for _, c := range []*FileContexts{c, compiled} {
					if c == nil {
						continue
					}
					got := ""
					if s := c.Lookup(path, 0, false); s != nil && s.Context != "<<none>>" {
						got = s.Context
					}
					if got != want {
						t.Errorf("%s is %q, libselinux says %q", path, got, want)
					}
				}
			}
		})
	}
}

// Every contexts file of the phones is read without a problem.
func TestContextsOfPhones(t *testing.T) {
	zips, _ := filepath.Glob(phones + "/*.zip")
	if len(zips) == 0 {
		t.Skip("no phones beside the checkout")
	}
	n := 0
	for _, name := range zips {
		z, err := zip.OpenReader(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			base := filepath.Base(f.Name)
			if !strings.Contains(base, "_contexts") || strings.Contains(base, "seapp") || strings.Contains(base, "key") {
				continue
			}
			in := File{f.Name, file(t, strings.TrimSuffix(filepath.Base(name), ".zip"), f.Name)}
			var problems []Problem
			switch n++; {
			case strings.Contains(base, "file_contexts"):
				problems = ParseFileContexts(in).Problems
			case strings.Contains(base, "property_contexts"):
				problems = ParsePropertyContexts(in).Problems
			default:
				problems = ParseServiceContexts(in).Problems
			}
			if len(problems) > 0 {
				t.Errorf("%s: %v", f.Name, problems)
			}
		}
		z.Close()
	}
	if n < 30 {
		t.Errorf("only %d files", n)
	}
	c := ParseFileContexts(File{"bin", file(t, "doogee_mix", "boot/ramdisk/file_contexts.bin")})
	for path, want := range map[string]string{"/system/bin/vold": "vold_exec", "/dev/kmem": "kmem_device", "/init": "init_exec", "/data/data/x": "system_data_file"} {
		if s := c.Lookup(path, 0, false); s == nil || TypeOf(s.Context) != want {
			t.Errorf("%s is %+v, want %s", path, s, want)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	data := file(b, "redmi_water", "boot/ramdisk/sepolicy")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadCIL(b *testing.B) {
	files, _ := tecno(b)
	n := 0
	for _, f := range files {
		n += len(f.Text)
	}
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadCIL(files...); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAllows(b *testing.B) {
	p, err := Read(file(b, "redmi_water", "vendor/etc/selinux/precompiled_sepolicy"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Allows("untrusted_app", "app_data_file", "file", "execute")
	}
}
