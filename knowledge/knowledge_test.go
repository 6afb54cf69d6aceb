package knowledge

import (
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var tables = map[string]struct {
	text    *string
	columns int
}{
	"permissions.tsv": {&permissionsTSV, 2}, "protected-broadcasts.tsv": {&broadcastsTSV, 3}, "classes.tsv": {&classesTSV, 5},
	"methods.tsv": {&methodsTSV, 5}, "uids.tsv": {&uidsTSV, 5}, "setuid.tsv": {&setuidTSV, 6}, "devnodes.tsv": {&devnodesTSV, 5},
	"cacerts.tsv": {&cacertsTSV, 3}, "signing-keys.tsv": {&keysTSV, 6}, "dialer-codes.tsv": {&dialerTSV, 5}, "neverallow.tsv": {&neverallowTSV, 7},
	"avb.tsv": {&avbTSV, 4}, "device-power.tsv": {&devicePowerTSV, 3}, "root-tools.tsv": {&rootTSV, 3}, "sockets.tsv": {&socketsTSV, 3},
	"attestation-roots.tsv": {&attestationRootsTSV, 4}, "attested-systems.tsv": {&attestedSystemsTSV, 2},
}

// Every file says where it comes from; date.txt is the newest of their dates.
func TestHeaders(t *testing.T) {
	date := regexp.MustCompile(`Date: (\d{4}-\d\d-\d\d)`)
	names, err := fs.Glob(files, "*")
	if err != nil || len(names) < len(tables) {
		t.Fatal(names, err)
	}
	newest := ""
	for _, name := range names {
		b, _ := files.ReadFile(name)
		head := strings.TrimSuffix(string(b), body(string(b)))
		m := date.FindStringSubmatch(head)
		if m == nil || !strings.Contains(head, "Origin:") || !regexp.MustCompile(`Licence( of this file)?:`).MatchString(head) {
			t.Errorf("%s: its head wants Origin:, Licence: and Date: YYYY-MM-DD", name)
			continue
		}
		newest = max(newest, m[1])
	}
	if newest != Date() {
		t.Errorf("the newest file is of %s, date.txt says %s", newest, Date())
	}
}

func TestTables(t *testing.T) {
	for name, table := range tables {
		prev := ""
		for r := range all(*table.text) {
			line := string(r)
			if line <= prev {
				t.Errorf("%s: not sorted at %q", name, line)
			}
			prev = line
			if n := strings.Count(line, "\t") + 1; n != table.columns {
				t.Errorf("%s: %d columns, want %d: %q", name, n, table.columns, line)
			}
			for i := 0; i < len(line); i++ {
				if line[i] < ' ' && line[i] != '\t' {
					t.Errorf("%s: control byte in %q", name, line)
				}
			}
		}
		if prev == "" {
			t.Errorf("%s: no rows", name)
		}
	}
}

// find must agree with reading every line, for keys that are there, that are beside one that is, and that are not.
func TestFind(t *testing.T) {
	for name, table := range tables {
		want := map[string][]row{}
		for r := range all(*table.text) {
			key := r.next()
			want[key] = append(want[key], r)
		}
		n := 0
		for key, rows := range want {
			if n++; n > 3000 {
				break
			}
			if got := slices.Collect(find(*table.text, key)); !slices.Equal(got, rows) {
				t.Fatalf("%s: %q: %q, want %q", name, key, got, rows)
			}
			for _, k := range []string{key + "!", key[:len(key)-1], key + "\x7f", key + "\t", "~" + key} {
				if got := slices.Collect(find(*table.text, k)); !slices.Equal(got, want[k]) {
					t.Fatalf("%s: %q: %q, want %q", name, k, got, want[k])
				}
			}
		}
	}
	for _, text := range []string{"", "# x", "# x\n", "a", "a\tb", "\n\n", "a\t1\nb\t2"} {
		for _, k := range []string{"", "a", "b", "c"} {
			for r := range find(text, k) {
				_ = r
			}
		}
	}
	if r, ok := first("# head\na\t1\nb\t2", "b"); !ok || r != "2" {
		t.Errorf("last row without an end of line: %q %v", r, ok)
	}
}

func FuzzFind(f *testing.F) {
	f.Add("a\t1\nb\t2\nb\t3\n", "b")
	f.Add("# x\n\n\nb", "")
	f.Fuzz(func(t *testing.T, text, key string) {
		lines := strings.Split(text, "\n")
		slices.Sort(lines)
		text = strings.Join(lines, "\n")
		var want []row
		for line := range strings.Lines(body(text)) {
			k, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if !ok {
				return // every row of a table has columns
			}
			if k == key {
				want = append(want, row(rest))
			}
			for i := 0; i < len(k); i++ {
				if k[i] < '\t' {
					return // no table holds such a key
				}
			}
		}
		if got := slices.Collect(find(text, key)); !slices.Equal(got, want) {
			t.Errorf("find(%q, %q) = %q, want %q", text, key, got, want)
		}
	})
}

// platform returns the lines of the file from which a table was made.
func platform(t *testing.T, name string) iter.Seq[[]string] {
	b, err := os.ReadFile(filepath.Join("..", "..", "shared", "platform", name))
	if err != nil {
		t.Skip("../shared/platform is absent: ", err)
	}
	return func(yield func([]string) bool) {
		for line := range strings.Lines(string(b)) {
			if line[0] != '#' && !yield(strings.Split(strings.TrimSuffix(line, "\n"), "\t")) {
				return
			}
		}
	}
}

func in(ranges string, api int) bool {
	for r := range strings.SplitSeq(ranges, ",") {
		from, to, ok := strings.Cut(r, "-")
		if !ok {
			to = from
		}
		lo, _ := strconv.Atoi(from)
		hi, _ := strconv.Atoi(to)
		if from != "" && lo <= api && api <= hi {
			return true
		}
	}
	return false
}

func TestAgainstPlatform(t *testing.T) {
	n := 0
	for c := range platform(t, "permissions.tsv") {
		for api := 16; api <= 36; api++ {
			if api == 20 {
				continue
			}
			want := ""
			for r := range strings.SplitSeq(c[1], ";") {
				if span, level, _ := strings.Cut(r, "="); in(span, api) {
					want = level
				}
			}
			got, ok := Permission(c[0], api)
			if ok != (want != "") || ok && got.String() != want {
				t.Fatalf("%s at %d: %v %v, want %q", c[0], api, got, ok, want)
			}
			n++
		}
	}
	for c := range platform(t, "protected-broadcasts.tsv") {
		for api := 16; api <= 36; api++ {
			want := No
			switch {
			case api == 20:
				continue
			case in(c[1], api):
				want = Yes
			case in(c[2], api):
				want = Uncertain
			}
			if got := ProtectedBroadcast(c[0], api); got != want {
				t.Fatalf("%s at %d: %v, want %v", c[0], api, got, want)
			}
		}
	}
	for c := range platform(t, "classes.tsv") {
		got, ok := Class(c[0])
		super := strings.TrimPrefix(c[1], "-")
		since, _ := strconv.Atoi(c[4])
		ifs := c[2]
		if ifs == "-" {
			ifs = ""
		}
		if !ok || got.Super != super || strings.Join(got.Interfaces, ",") != ifs || got.Kind != c[3] || got.Since != since {
			t.Fatalf("%q: %+v", c, got)
		}
	}
	methods := map[string][]MethodInfo{}
	for c := range platform(t, "methods.tsv") {
		params, _ := strconv.Atoi(c[2])
		since, _ := strconv.Atoi(c[4])
		methods[c[0]] = append(methods[c[0]], MethodInfo{c[1], params, strings.TrimPrefix(c[3], "-"), since})
	}
	for class, want := range methods {
		got := slices.Collect(Methods(class))
		less := func(a, b MethodInfo) int {
			return strings.Compare(a.Name+strconv.Itoa(a.Params)+a.Flags+strconv.Itoa(a.Since), b.Name+strconv.Itoa(b.Params)+b.Flags+strconv.Itoa(b.Since))
		}
		slices.SortFunc(got, less)
		slices.SortFunc(want, less)
		if !slices.Equal(got, want) {
			t.Fatalf("%s: %v, want %v", class, got, want)
		}
	}
	for c := range platform(t, "uids.tsv") {
		id, _ := strconv.Atoi(c[0])
		if got, ok := UID(c[1]); !ok || got != id && c[1] != "isolated_start" { // the one name that changed its number
			t.Errorf("UID(%s) = %d, want %d", c[1], got, id)
		}
	}
	nodes, setuid := 0, 0
	for c := range platform(t, "devnodes.tsv") {
		mode, _ := strconv.ParseUint(c[1], 8, 32)
		if !slices.ContainsFunc(DeviceNodes(), func(d DeviceNode) bool {
			return d == DeviceNode{c[0], uint32(mode), c[2], c[3], parseVersions(c[4])}
		}) {
			t.Errorf("device node %q is missing", c)
		}
		nodes++
	}
	for c := range platform(t, "setuid-and-modes.tsv") {
		mode, _ := strconv.ParseUint(c[1], 8, 32)
		if !slices.ContainsFunc(SetuidFiles(), func(f SetuidFile) bool {
			return f.Path == c[0] && f.Mode == uint32(mode) && f.User == c[2] && f.Group == c[3] && f.Versions == parseVersions(c[5]) &&
				(strings.Join(f.Capabilities, ",") == c[4] || c[4] == "-" && f.Capabilities == nil)
		}) {
			t.Errorf("setuid file %q is missing", c)
		}
		setuid++
	}
	if len(DeviceNodes()) != nodes || len(SetuidFiles()) != setuid || n == 0 {
		t.Errorf("%d nodes of %d, %d setuid files of %d", len(DeviceNodes()), nodes, len(SetuidFiles()), setuid)
	}
}

func TestLevel(t *testing.T) {
	for _, c := range []struct {
		n    int
		want string
	}{
		{0, "normal"}, {1, "dangerous"}, {2, "signature"}, {3, "signature|privileged"}, {4, "internal"}, {0x12, "signature|privileged"},
		{0x112, "signature|installer|privileged"}, {0x2002, "signature|runtime"}, {0x1001, "dangerous|instant"}, {0x8000012, "signature|knownSigner|privileged"},
		{0x4000004, "internal|role"}, {9, "internal"}, {0x10000002, "signature|0x10000000"}, {-1, LevelOf(-1).String()},
	} {
		if got := LevelOf(c.n).String(); got != c.want {
			t.Errorf("LevelOf(%#x) = %s, want %s", c.n, got, c.want)
		}
		if got := ParseLevel(strconv.Itoa(c.n)).String(); got != c.want {
			t.Errorf("ParseLevel(%d) = %s, want %s", c.n, got, c.want)
		}
	}
	for in, want := range map[string]string{
		"": "normal", "signatureOrSystem": "signature|privileged", "signature|system": "signature|privileged", "0x12": "signature|privileged",
		"privileged|signature|privileged": "signature|privileged", "normal|ephemeral": "normal|instant", " signature | appop ": "signature|appop",
	} {
		if got := ParseLevel(in).String(); got != want {
			t.Errorf("ParseLevel(%q) = %s, want %s", in, got, want)
		}
	}
	// Every flag that the table of permissions names must be one that LevelOf can give.
	for r := range all(permissionsTSV) {
		r.next()
		for part := range strings.SplitSeq(r.next(), ";") {
			_, words, _ := strings.Cut(part, "=")
			for _, flag := range ParseLevel(words).Flags {
				if !slices.Contains(levelFlags[:], flag) {
					t.Errorf("flag %q is no bit of a level", flag)
				}
			}
		}
	}
	for words, want := range map[string][2]bool{ // AnyApp, WithConsent
		"normal": {true, false}, "dangerous": {false, true}, "signature|privileged": {false, false}, "signature|appop": {false, true},
		"signature|appop|pre23": {true, true}, "internal|role": {false, false}, "normal|instant": {true, false},
	} {
		if l := ParseLevel(words); l.AnyApp() != want[0] || l.WithConsent() != want[1] {
			t.Errorf("%s: %v %v", words, l.AnyApp(), l.WithConsent())
		}
	}
}

func TestPermission(t *testing.T) {
	for _, c := range []struct {
		name string
		api  int
		want string // "" for no
	}{
		{"android.permission.INSTALL_PACKAGES", 29, "signature|privileged"}, {"android.permission.INTERNET", 1, "dangerous"}, {"android.permission.INTERNET", 23, "normal"},
		{"android.permission.CAMERA", 36, "dangerous|instant"}, {"android.permission.CAMERA", 99, "dangerous|instant"},
		{"android.permission.ACCEPT_HANDOVER", 27, ""}, {"android.permission.ACCEPT_HANDOVER", 28, "dangerous"},
		{"android.permission.CAMERA", 0, ""}, {"android.permission.CAMER", 30, ""}, {"", 30, ""}, {"android.permission.CAMERA\t16-36=normal", 30, ""},
	} {
		got, ok := Permission(c.name, c.api)
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("Permission(%q, %d) = %v %v, want %q", c.name, c.api, got, ok, c.want)
		}
	}
	for _, c := range []struct {
		action string
		api    int
		want   Answer
	}{
		{"android.intent.action.BOOT_COMPLETED", 23, Yes}, {"android.intent.action.BOOT_COMPLETED", 16, Uncertain},
		{"android.intent.action.BOOT_COMPLETED", 0, Uncertain}, {"com.vendor.DO_IT", 30, No}, {"com.vendor.DO_IT", 0, No},
		{"SnoozeHelper.EVALUATE", 26, Uncertain}, {"SnoozeHelper.EVALUATE", 24, No}, {"SnoozeHelper.EVALUATE", 99, Yes},
	} {
		if got := ProtectedBroadcast(c.action, c.api); got != c.want {
			t.Errorf("ProtectedBroadcast(%s, %d) = %v, want %v", c.action, c.api, got, c.want)
		}
	}
}

func TestClass(t *testing.T) {
	for _, c := range []struct {
		class, ancestor string
		want            bool
	}{
		{"Landroid/app/Activity;", "Landroid/content/Context;", true}, {"Landroid/app/Activity;", "Landroid/app/Service;", false},
		{"Landroid/app/IntentService;", "Landroid/content/ComponentCallbacks2;", true}, {"Ljava/lang/Object;", "Ljava/lang/Object;", true},
		{"Landroid/app/Activity;", "Ljava/lang/Object;", true}, {"Lno/such/Class;", "Ljava/lang/Object;", false}, {"", "-", false},
	} {
		if got := IsSubclass(c.class, c.ancestor); got != c.want {
			t.Errorf("IsSubclass(%s, %s) = %v", c.class, c.ancestor, got)
		}
	}
	const cycle = "La;\tLb;\tLc;,La;\tclass\t\nLb;\tLa;\t-\tclass\t\nLc;\tLb;\tLb;\tinterface\t\n"
	if isSubclass(supers(cycle), "La;", "Lz;") || !isSubclass(supers(cycle), "La;", "Lc;") {
		t.Error("a cycle of classes")
	}
	if !slices.ContainsFunc(slices.Collect(Methods("Landroid/content/Context;")), func(m MethodInfo) bool {
		return m.Name == "sendBroadcast" && m.Params == 2
	}) {
		t.Error("Context.sendBroadcast(Intent, String) is missing")
	}
	for r := range all(classesTSV) { // every key is a descriptor
		if c := r.next(); !strings.HasPrefix(c, "L") || !strings.HasSuffix(c, ";") {
			t.Errorf("not a descriptor: %q", c)
		}
	}
}

func TestUID(t *testing.T) {
	for _, c := range []struct {
		id      int
		android string
		want    string
	}{
		{1000, "6.0", "system"}, {1081, "12", "virtmanager"}, {1081, "12.1.0", "virtmanager"}, {1081, "12L", "virtmanager"}, {1081, "13", "virtualizationservice"},
		{1081, "11", ""}, {1001, "", "radio"}, {1093, "16", "uprobestats"}, {2900, "14", ""}, {10000, "9", ""}, {10086, "9", ""},
		{65534, "9", "overflowuid"}, {3008, "7.1.2", "net_bt_stack"}, {3008, "8.1.0", ""}, {-1, "9", ""}, {1000, "2.3", "system"}, {1000, "S", "system"},
	} {
		if got, ok := UIDName(c.id, c.android); got != c.want || ok != (c.want != "") {
			t.Errorf("UIDName(%d, %s) = %q %v, want %q", c.id, c.android, got, ok, c.want)
		}
	}
	if id, ok := UID("shell"); !ok || id != 2000 {
		t.Error("shell:", id, ok)
	}
	if _, ok := UID("nosuch"); ok {
		t.Error("nosuch")
	}
	for r := range all(uidsTSV) {
		r.next()
		r.next()
		r.next()
		if v := parseVersions(r.next()); !slices.Contains(versions, v.First) || !slices.Contains(versions, v.Last) {
			t.Errorf("%v: not sampled", v)
		}
	}
}

func TestCertificates(t *testing.T) {
	digest := regexp.MustCompile(`^[0-9a-f]{64}$`)
	roles := map[string]bool{}
	for r := range all(keysTSV) {
		cert := r.next()
		k, ok := SigningKey(strings.ToUpper(cert))
		if !ok || !digest.MatchString(cert) || !digest.MatchString(k.KeySHA256) || k.Role == "" || k.What == "" || k.Origin == "" || k.Verified == "" {
			t.Errorf("%s: %+v", cert, k)
		}
		roles[k.Role] = true
	}
	for _, r := range []string{"testkey", "platform", "shared", "media"} {
		if !roles[r] {
			t.Errorf("no key of role %s", r)
		}
	}
	if k, _ := SigningKey("c8a2e9bccf597c2fb6dc66bee293fc13f2fc47ec77bc6b2b0d52c11f51192ab8"); k.Role != "platform" {
		t.Errorf("AOSP's platform test key: %+v", k)
	}
	known := []string{"4.4", "5.0", "6.0", "7.0", "8.0", "8.1", "9", "10", "11", "12L", "14", "main", "15", "16"}
	count := map[string]int{}
	for r := range all(cacertsTSV) {
		h := r.next()
		ca, ok := CA(h)
		if !ok || len(ca.Releases) == 0 || (ca.Subject == "") != (len(h) == 40) {
			t.Errorf("%s: %+v", h, ca)
		}
		for _, v := range ca.Releases {
			if !slices.Contains(known, v) {
				t.Errorf("%s: release %q", h, v)
			}
			count[v]++
		}
	}
	// The sizes of the lists the table was made from.
	for v, n := range map[string]int{"4.4": 156, "5.0": 157, "6.0": 158, "7.0": 148, "8.0": 156, "8.1": 135, "9": 137, "10": 138, "11": 138,
		"12L": 129, "14": 134, "15": 145, "16": 143} {
		if count[v] != n {
			t.Errorf("Android %s: %d certificates, want %d", v, count[v], n)
		}
	}
	if _, ok := CA(strings.Repeat("0", 64)); ok {
		t.Error("a certificate that nobody has")
	}
}

func TestDialerCodes(t *testing.T) {
	seen := map[string]DialerCode{}
	for d := range DialerCodes() {
		if d.Does == "" || d.Where == "" || d.Origin == "" || !slices.Contains([]string{"show", "menu", "change"}, d.Effect) {
			t.Errorf("%+v", d)
		}
		seen[d.Code] = d
	}
	if seen["*#*#4636#*#*"].Secret() != "4636" || seen["*#06#"].Secret() != "" || seen["*#0*#"].Secret() != "" {
		t.Error("secret codes")
	}
}

func TestAdvice(t *testing.T) {
	for _, id := range Decisions {
		d := Advice()[id]
		if d.ID != id || d.Title == "" || len(d.Text) == 0 || len(d.Next) == 0 {
			t.Errorf("%s: %+v", id, d)
		}
	}
	if regexp.MustCompile(`(?i)\bclean\b|\bsafe\b`).MatchString(adviceText + limitsText) {
		t.Error("advice promises what nobody can know")
	}
	block := func(id string) string { return "[" + id + "]\ntitle: a\ntext: b\nnext: c\n" }
	var whole string
	for _, id := range Decisions {
		whole += block(id)
	}
	if a, err := ParseAdvice([]byte("\ufeff# mine\r\n" + strings.ReplaceAll(whole, "\n", "\r\n"))); err != nil || a[DoNotUse].Title != "a" {
		t.Error(a, err)
	}
	for name, bad := range map[string]string{
		"empty": "", "one missing": strings.Replace(whole, block(NothingAgainst), "", 1), "unknown id": whole + block("other"), "twice": whole + block(DoNotUse),
		"two titles": whole + "title: x\n", "no block": "title: x\n" + whole, "unknown name": whole + "note: x\n", "no words": whole + "next:\n",
		"not UTF-8": whole + "next: \xff\n", "too long": whole + "next: " + strings.Repeat("x", maxAdvice),
	} {
		if _, err := ParseAdvice([]byte(bad)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParseAdvice(f *testing.F) {
	f.Add([]byte(adviceText))
	f.Add([]byte("[do-not-use]\ntitle: x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAdvice(b)
		if err == nil && len(a) != len(Decisions) {
			t.Errorf("%d decisions", len(a))
		}
	})
}

func TestLimits(t *testing.T) {
	ids := map[string]bool{}
	for _, l := range Limits() {
		if ids[l.ID] || strings.ContainsAny(l.ID, " #") || !strings.HasSuffix(l.Text, ".") {
			t.Errorf("%+v", l)
		}
		ids[l.ID] = true
	}
	for _, id := range []string{"modem", "secure-world", "hardware", "servers"} {
		if !ids[id] {
			t.Errorf("limit %s is missing", id)
		}
	}
}

func TestHash(t *testing.T) {
	if h := Hash(); len(h) != 64 || h != Hash() {
		t.Error(h)
	}
}

// One fact asked: nothing is kept between calls, so every call costs what the first does, but for reading the pages from disk.
func BenchmarkPermission(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Permission("android.permission.INSTALL_PACKAGES", 29)
	}
}

func BenchmarkMethods(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		for m := range Methods("Landroid/content/Context;") {
			_ = m
		}
	}
}

func BenchmarkIsSubclass(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		IsSubclass("Landroid/app/Activity;", "Landroid/content/Context;")
	}
}

func BenchmarkHash(b *testing.B) {
	for b.Loop() {
		_ = hash()
	}
}

func TestDevicePower(t *testing.T) {
	for node, want := range map[string]string{"/dev/mem": "memory", "/dev/block/platform/x/by-name/boot": "storage", "/dev/block": "", "/dev/memory": "", "/dev/mali0": "design",
		"/dev/input/event3": "input", "/dev/fm": ""} {
		if got, _ := DevicePower(node); got != want {
			t.Errorf("%s: %q, want %q", node, got, want)
		}
	}
}
