package sepolicy

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"
)

// checkTiny demands of a policy what tiny says.
func checkTiny(t *testing.T, p *Policy, version int) {
	t.Helper()
	name := func(s string) Type {
		t.Helper()
		x, ok := p.Type(s)
		if !ok {
			t.Fatalf("there is no type %q", s)
		}
		return x
	}
	names := func(list []Type) string {
		var all []string
		for _, x := range list {
			all = append(all, p.Name(x))
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	for _, c := range []struct {
		source, target, perm string
		want                 bool
	}{
		{"init", "device", "read", true}, {"app", "device", "read", true}, {"modem", "device", "ioctl", true}, {"device", "device", "read", false},
		{"init", "device", "write", true}, {"app", "device", "write", false}, {"app", "device", "append", true}, {"init", "device", "append", false},
		{"init", "app", "read", false}, {"nobody", "device", "read", false}, {"init", "device", "mount", false},
	} {
		if got := p.Allows(c.source, c.target, "file", c.perm); got != c.want {
			t.Errorf("%s may %s %s: %v", c.source, c.perm, c.target, got)
		}
	}
	file, _ := p.Class("file")
	process, ok := p.Class("process")
	if !ok || p.Classes() != 2 || p.ClassName(process) != "process" {
		t.Error("classes are wrong")
	}
	perms := p.PermNames(file, p.Access(Allow, name("app"), name("device"), file))
	if slices.Sort(perms); !slices.Equal(perms, []string{"append", "ioctl", "read"}) {
		t.Errorf("app has %q", perms)
	}
	if got := p.Access(DontAudit, name("app"), name("device"), file); got != p.Perm(file, "write") {
		t.Errorf("not logged: %q", p.PermNames(file, got))
	}
	write := p.Perm(file, "write")
	for _, c := range []struct {
		target string
		level  Level
		want   Perms
	}{{"device", Above, write}, {"device", Same, 0}, {"radio", Above, 0}} {
		if got := p.Denied(name("init"), name(c.target), file, c.level); got != c.want {
			t.Errorf("denied on %s at the level %d: %q", c.target, c.level, p.PermNames(file, got))
		}
	}
	if got := names(p.Sources(name("device"), file, p.Perm(file, "read"))); got != "app init radio" {
		t.Errorf("readers: %s", got)
	}
	n := 0
	for to, set := range p.Targets(name("init"), file) {
		if n++; n > 1 || to != name("device") || !slices.Contains(p.PermNames(file, set), "write") {
			t.Errorf("init has %q on %s", p.PermNames(file, set), p.Name(to))
		}
	}
	if got := names(p.Permissive()); got != "radio" {
		t.Errorf("permissive: %s", got)
	}
	if got := names(p.Members(name("domain"))); got != "app init radio" || !p.IsAttribute(name("domain")) || p.IsAttribute(name("app")) {
		t.Errorf("domain is %s", got)
	}
	if got := len(p.AttributesOf(name("radio"))); got != 3 || !p.In(name("radio"), name("domain")) || p.In(name("device"), name("domain")) {
		t.Errorf("radio is in %d", got)
	}
	if new, ok := p.Transition(name("init"), name("device"), process, ""); !ok || p.Name(new) != "radio" {
		t.Error("init does not become radio")
	}
	if _, ok := p.Transition(name("app"), name("device"), process, ""); ok {
		t.Error("app becomes something")
	}
	if version == 0 || version >= versFilename {
		if new, ok := p.Transition(name("app"), name("device"), file, "x"); !ok || p.Name(new) != "radio" {
			t.Error("the file x gets no type")
		}
		if _, ok := p.Transition(name("app"), name("device"), file, "y"); ok {
			t.Error("the file y gets a type")
		}
	}
	for _, c := range []struct {
		source string
		number uint16
		want   bool
	}{{"app", 0x8901, true}, {"app", 0x8903, false}, {"app", 0x5401, false}, {"init", 0x5401, true}, {"init", 0x54ff, true}, {"init", 0x8901, false}, {"radio", 0x1, true}} {
		if want := c.want || version != 0 && version < versXperms; p.Ioctl(name(c.source), name("device"), file, c.number) != want {
			t.Errorf("ioctl %#x of %s is not %v", c.number, c.source, want)
		}
	}
	for what, list := range map[string][]Label{"devnull": p.InitialSIDs, "ext4": p.FSUse, "proc /kmsg": p.Genfs} {
		if len(list) != 1 || list[0].Name != what || list[0].Type != name("device") {
			t.Errorf("the label of %s is %v", what, list)
		}
	}
	if p.Version != version || !p.MLS || p.HandleUnknown != "allow" || len(p.Unread) > 0 {
		t.Errorf("version %d, mls %v, unknown %s, unread %v", p.Version, p.MLS, p.HandleUnknown, p.Unread)
	}
}

func TestBinary(t *testing.T) {
	for v := oldest; v <= newest; v++ {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			p, err := Read(tiny(v, false))
			if err != nil {
				t.Fatal(err)
			}
			checkTiny(t, p, v)
			if got := p.Name(numNameless - 1); got != "@ttr0005" {
				t.Errorf("the nameless is %s", got)
			}
		})
	}
	p, err := Read(tiny(30, true))
	if err != nil {
		t.Fatal("Android 6:", err)
	}
	checkTiny(t, p, 30)
}

func TestBinaryRefused(t *testing.T) {
	good := tiny(30, false)
	for n := range good {
		p, err := Read(good[:n])
		if _, ok := errors.AsType[*FormatError](err); p != nil || !ok {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	for _, v := range []byte{oldest - 1, newest + 1} {
		b := tiny(30, false)
		if b[16] = v; !refused(b, errors.ErrUnsupported) {
			t.Errorf("version %d is not refused", v)
		}
	}
	xen := tiny(30, false)
	if copy(xen[8:], "XenFlask"); !refused(xen, errors.ErrUnsupported) {
		t.Error("Xen is not refused")
	}
}

func refused(b []byte, why error) bool {
	_, err := Read(b)
	return errors.Is(err, why)
}

func TestCIL(t *testing.T) {
	p, err := ReadCIL(File{"tiny.cil", []byte(tinyCIL)})
	if err != nil {
		t.Fatal(err)
	}
	checkTiny(t, p, 0)
	if got := p.Assertions(); len(got) != 1 || p.Name(got[0].Source) != "radio" || got[0].Target != got[0].Source || got[0].Kind != Never {
		t.Errorf("assertions: %v", got)
	}
	lines := strings.SplitAfter(tinyCIL, "\n")
	var files []File
	for i, l := range lines { // in files of one line each, the last first
		files = append(files, File{fmt.Sprint(i), []byte(l)})
	}
	slices.Reverse(files)
	if p, err = ReadCIL(files...); err != nil {
		t.Fatal(err)
	}
	checkTiny(t, p, 0)
}

func TestCILUnread(t *testing.T) {
	p, err := ReadCIL(File{"a.cil", []byte("(type a)\n\n(block b (type c))\n(block d)\n(class x (y))(allow a other (x (y)))(permissionx p (ioctl x (1)))(allowx a a p)")})
	if err != nil {
		t.Fatal(err)
	}
	want := "[{block a.cil 3 2} {a rule on other a.cil 5 1} {permissionx a.cil 5 1} {a rule on permissions by name a.cil 5 1}]"
	if got := fmt.Sprint(p.Unread); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCILRefused(t *testing.T) {
	for text, want := range map[string]string{
		"(type a":                     "a list without end",
		"(type a))":                   "closes nothing",
		"type":                        "outside of a statement",
		`(type "a`:                    "a string without end",
		"(type)":                      "without a name",
		"(allow a b (c (d)))":         `"a" is declared nowhere`,
		"(type a)(allow a a (c (d)))": `no class "c"`,
		"(type a)(class c (d))(allow a a (c (e)))":                                                 `no permission "e"`,
		"(type a)(class c (d))(allow a a)":                                                         `no class ""`,
		"(type a)(class c (d))(allow a a x)":                                                       `"x" is declared nowhere`,
		"(typeattribute a)(typeattributeset a (b))":                                                `"b" is declared nowhere`,
		"(type a)(typeattributeset a (a))":                                                         "is no attribute",
		"(typeattribute a)(typeattribute b)(typeattributeset a (b))(typeattributeset b (not (a)))": "is in itself",
		"(type a)(class c (d))(allowx a a (ioctl c (0x10000)))":                                    "no ioctl number",
		"(type a)(class c (p))(mlsconstrain (c (p)) (eq l1))":                                      "compares nothing",
		"(classcommon c d)":                                                                        `no class "c"`,
		"(class c (" + strings.Repeat("p ", 33) + "))":                                             "more than 32 permissions",
		strings.Repeat("(", maxDepth+2):                                                            "lists in lists",
		strings.Repeat("(typeattribute a)", 1) + longAttributes(700):                               "attributes too deep",
	} {
		_, err := ReadCIL(File{"f", []byte(text)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", text, err, want)
		}
		if _, ok := errors.AsType[*FormatError](err); err != nil && !ok {
			t.Errorf("%.60s: %v is no FormatError", text, err)
		}
	}
}

// longAttributes are n attributes, each in the next through a hundred lists.
func longAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "(typeattribute a%d)(typeattributeset a%d %sa%d%s)", i, i, strings.Repeat("(", 100), i+1, strings.Repeat(")", 100))
	}
	fmt.Fprintf(&b, "(typeattribute a%d)", n)
	return b.String()
}

// What is small and means a lot ends in an error soon.
func TestBounded(t *testing.T) {
	var types, attributes strings.Builder
	for i := range 30000 {
		fmt.Fprintf(&types, "(type t%d)", i)
		fmt.Fprintf(&attributes, "(typeattribute a%d)(typeattributeset a%d (not (t%d)))", i, i, i)
	}
	rule := "(class c (p))(typeattribute all_types)(typeattributeset all_types (all))"
	for name, text := range map[string]string{
		"members":     types.String() + attributes.String(),
		"self":        types.String() + rule + strings.Repeat("(allow all_types self (c (p)))", 1000),
		"transitions": types.String() + rule + "(typetransition all_types all_types c t0)",
		"ioctls":      "(type a)(class c (ioctl))" + strings.Repeat("(allowx a a (ioctl c (and ((range 0 0xffff)) (not (0x0101 0x0202)))))", 5000),
		"types":       types.String() + strings.ReplaceAll(types.String(), " t", " u") + strings.ReplaceAll(types.String(), " t", " v"),
	} {
		start := time.Now()
		_, err := ReadCIL(File{name, []byte(text)})
		if _, ok := errors.AsType[*FormatError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%s: took %v", name, d)
		}
	}
}

func TestFileContexts(t *testing.T) {
	c := ParseFileContexts(
		File{"plat", []byte("# labels\n/.* u:object_r:any:s0\n/dev(/.*)? u:object_r:device:s0\n/dev/mem u:object_r:kmem:s0\n/dev/block(/.*)? -d u:object_r:block_dir:s0\n" +
			"/dev/block/.* -b u:object_r:block:s0\n/sys/a\\.b\tu:object_r:dot:s0\n/x(?=y) u:object_r:ahead:s0\nbroken\n/data/misc <<none>>\n")},
		File{"vendor", []byte("/dev/.em u:object_r:later:s0\n/(vendor|system/vendor)/bin/a? u:object_r:tool:s0\n/odd[|(]|/even u:object_r:odd:s0\n")})
	for _, l := range []struct {
		name string
		mode fs.FileMode
		kind bool
		want string
	}{
		{"/dev/null", 0, false, "device"}, {"/dev/mem", 0, false, "kmem"}, {"/dev/hem", 0, false, "later"}, {"/dev/block/a", fs.ModeDevice, true, "block"},
		{"/dev/block/a", fs.ModeDir | 0o755, true, "block_dir"}, {"/dev/block/a", 0, true, "device"}, {"/sys/a.b", 0, true, "dot"}, {"/sys/axb", 0, true, "any"},
		{"/vendor/bin/", 0, true, "tool"}, {"/system/vendor/bin/a", 0, true, "tool"}, {"/system/vendor/bin/b", 0, true, "any"}, {"/even", 0, true, "odd"},
		{"/data/misc", 0, true, ""}, {"relative", 0, true, "nothing"},
	} {
		s, got := c.Lookup(l.name, l.mode, l.kind), "nothing"
		if s != nil {
			got = TypeOf(s.Context)
		}
		if got != l.want {
			t.Errorf("%s %v is %q, want %q", l.name, l.mode, got, l.want)
		}
	}
	if got := fmt.Sprint(c.Problems); !strings.Contains(got, "plat: line 8") || !strings.Contains(got, "plat: line 9") || len(c.Problems) != 2 {
		t.Errorf("problems: %s", got)
	}
}

func TestNameContexts(t *testing.T) {
	services := ParseServiceContexts(File{"s", []byte("# x\n* u:object_r:default_service:s0\nphone u:object_r:radio_service:s0\nlost\n")})
	for name, want := range map[string]string{"phone": "radio_service", "phones": "default_service", "": "default_service"} {
		if got := TypeOf(services.Lookup(name).Context); got != want {
			t.Errorf("service %q is %s", name, got)
		}
	}
	if len(services.Problems) != 1 || services.Problems[0].Line != 4 {
		t.Errorf("problems: %v", services.Problems)
	}
	properties := ParsePropertyContexts(File{"a", []byte("ro. u:object_r:ro:s0\nro.x u:object_r:x:s0\nro.exact u:object_r:exact:s0 exact string\nro.p. u:object_r:p:s0 prefix\n")})
	for name, want := range map[string]string{"ro.a": "ro", "ro.xy": "x", "ro.exact": "exact", "ro.exact.y": "ro", "ro.p.q": "p"} {
		if got := TypeOf(properties.Lookup(name).Context); got != want {
			t.Errorf("property %q is %s", name, got)
		}
	}
	if properties.Lookup("sys.a") != nil {
		t.Error("sys.a has a label")
	}
}

func TestConstraint(t *testing.T) {
	for text, want := range map[string]string{ // denied to a on b, with categories of its own and with the same level
		"(eq l1 l2)":                   "true false",
		"(neq l1 l2)":                  "false true",
		"(dom l1 l2)":                  "false false",
		"(domby h1 h2)":                "true false",
		"(incomp l1 h2)":               "true true",
		"(eq l2 h2)":                   "false false",
		"(eq t1 t2)":                   "true true",
		"(neq t1 t2)":                  "false false",
		"(eq t1 a)":                    "false false",
		"(eq t1 (b both))":             "false false",
		"(neq t2 (b))":                 "true true",
		"(not (eq t2 both))":           "true true",
		"(and (eq u1 u2) (eq r1 (x)))": "false false",
		"(or (and (eq t1 b) (eq l1 l2)) (eq t2 a))": "true true",
	} {
		p, err := ReadCIL(File{"f", []byte("(type a)(type b)(typeattribute both)(typeattributeset both (a b))(class c (p q))(mlsconstrain (c (p)) " + text + ")")})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := fmt.Sprint(p.Denied(0, 1, 0, Above) == 1, p.Denied(0, 1, 0, Same) == 1); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, v := range []int{24, 29, 30, 33, 35} {
		f.Add(tiny(v, false))
	}
	f.Add(tiny(30, true))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := Read(b); err == nil {
			exercise(p)
		}
	})
}

func FuzzCIL(f *testing.F) {
	f.Add(tinyCIL, "")
	f.Add("(type a)(typeattribute b)(typeattributeset b (and (all) (not (a))))", "(typetransition b self c \"n\" a)(class c ())")
	f.Add("(type a)(class c (p))", "(allow a self (c (xor (all) (p))))(allowx a a (nlmsg c (all)))(typealiasactual x y)(typealiasactual y x)")
	f.Fuzz(func(t *testing.T, a, b string) {
		if p, err := ReadCIL(File{"a", []byte(a)}, File{"b", []byte(b)}); err == nil {
			exercise(p)
		}
	})
}

// exercise asks everything of a policy.
func exercise(p *Policy) {
	n := 0
	for _, list := range [][]Rule{p.Rules(), p.Assertions()} {
		for _, r := range list {
			if n++; n > 20 {
				break
			}
			_ = p.Name(r.Source) + p.ClassName(r.Class) + r.Kind.String()
			p.PermNames(r.Class, r.Perms())
			p.Access(Allow, r.Source, r.Target, r.Class)
			p.Denied(r.Source, r.Target, r.Class, Above)
			p.Ioctl(r.Source, r.Target, r.Class, 0x8901)
			for t, set := range p.Targets(r.Source, r.Class) {
				if set&^p.Access(Allow, r.Source, t, r.Class) != 0 {
					panic("more by one question than by another")
				}
			}
			p.Sources(r.Target, r.Class, ^Perms(0))
			p.Transition(r.Source, r.Target, r.Class, "x")
		}
	}
	for t := range p.Attributes() {
		for _, m := range p.Members(t) {
			if !p.In(m, t) {
				panic("a member is not in its attribute")
			}
		}
	}
	for t := range p.Types() {
		if m := p.Members(t); !slices.Contains(m, t) {
			panic("a type is not its own member")
		}
	}
	for _, t := range p.Permissive() {
		p.AttributesOf(t)
	}
}

func FuzzContexts(f *testing.F) {
	f.Add([]byte("/dev(/.*)? u:object_r:device:s0\n/dev/x -c u:object_r:x:s0\n"), "/dev/x")
	f.Add([]byte("* u:object_r:x:s0\nro.a u:object_r:y:s0 exact int\n"), "ro.a")
	f.Add(compiledSeed(), "/dev/block/a")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		c := ParseFileContexts(File{"f", b})
		c.Lookup(name, 0, false)
		c.Lookup(name, fs.ModeDir, true)
		ParseServiceContexts(File{"f", b}).Lookup(name)
		ParsePropertyContexts(File{"f", b}).Lookup(name)
	})
}

// compiledSeed is a file_contexts.bin of two lines, in version 4 with PCRE 8.
func compiledSeed() []byte {
	w := &writer{}
	str := func(s string, nul int) {
		w.u32(uint32(len(s) + nul))
		w.text(s + strings.Repeat("\x00", nul))
	}
	w.u32(compiledMagic, 4)
	str("8.38 2015-11-23", 0)
	w.u32(1, 4)
	w.text("/dev\x00")
	w.u32(2)
	for _, s := range []struct {
		pattern, context string
		mode             uint32
	}{{"/dev/block/.*", "u:object_r:block:s0", 0o060000}, {"/dev(/.*)?", "u:object_r:device:s0", 0}} {
		str(s.context, 1)
		str(s.pattern, 1)
		w.u32(s.mode, 0, 1, 4)
		str("code", 0)
		str("study", 0)
	}
	return w.b
}

func TestCompiledContexts(t *testing.T) {
	c := ParseFileContexts(File{"file_contexts.bin", compiledSeed()})
	if s := c.Lookup("/dev/block/a", fs.ModeDevice, true); s == nil || TypeOf(s.Context) != "device" || len(c.Specs) != 2 || len(c.Problems) > 0 {
		t.Errorf("got %+v, %v", s, c.Problems)
	}
	if c := ParseFileContexts(File{"f", compiledSeed()[:100]}); len(c.Problems) != 1 {
		t.Errorf("cut short: %v", c.Problems)
	}
}
