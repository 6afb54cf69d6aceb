package prop

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// words cuts text into statements, each as "line: word|word".
func words(text string) (out []string, probs []Problem) {
	var ps problems
	sc := newScanner([]byte(text), &ps)
	for {
		st, ok := sc.next()
		if !ok {
			return out, ps
		}
		out = append(out, fmt.Sprintf("%d: %s", st.line, strings.Join(st.words, "|")))
	}
}

func TestScanner(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
		problem    string
	}{
		{"plain", "a b\tc\r\nd", []string{"1: a|b|c", "2: d"}, ""},
		{"comment", "# x\n a # b c\nd#e f", []string{"2: a", "3: d#e|f"}, ""},
		{"comment is not continued", "# x \\\na", []string{"2: a"}, ""},
		{"comment in a continued line is none", "a \\\n # b\nc", []string{"1: a|#|b", "3: c"}, ""},
		{"quotes", `a "b c" d"e f"g ""`, []string{"1: a|b c|de fg|"}, ""},
		{"quote over lines", "a \"b\nc\" d\ne", []string{"1: a|b\nc|d", "3: e"}, ""},
		{"no escapes in quotes", `a "b\" c`, []string{`1: a|b\|c`}, ""},
		{"hash in quotes", `a "#b"`, []string{"1: a|#b"}, ""},
		{"escapes", `a\ b \n\r\t\\ \x \"q`, []string{"1: a b|\n\r\t\\|x|\"q"}, ""},
		{"continuation", "a \\\n   b\\\nc\n d", []string{"1: a|bc", "4: d"}, ""},
		{"continuation with CR LF", "a \\\r\n b\r\nc", []string{"1: a|b", "3: c"}, ""},
		{"continuation into an empty line", "a \\\n\nb", []string{"1: a|", "3: b"}, ""},
		{"lone CR after a backslash", "a\\\rb", []string{"1: ab"}, ""},
		{"continuation into the end", "a\nb \\", []string{"1: a"}, "continued into the end"},
		{"continuation before the last newline", "a\nb \\\n", []string{"1: a", "2: b|"}, ""},
		{"unterminated quote", "a\nb \"c\nd\n", []string{"1: a"}, "unterminated quote"},
		{"zero byte", "a\nb\x00\nc", []string{"1: a"}, "zero byte"},
		{"zero byte in a comment", "a\n# b\x00\nc", []string{"1: a"}, "zero byte"},
		{"zero byte in quotes", "a\nb \"c\x00\"", []string{"1: a"}, "unterminated quote"},
		{"zero byte after a backslash", "a\nb \\\x00", []string{"1: a"}, "zero byte"},
		{"nothing", "\n \t\r\n", nil, ""},
	} {
		got, probs := words(c.text)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if text := fmt.Sprint(probs); (c.problem == "") != (len(probs) == 0) || !strings.Contains(text, c.problem) {
			t.Errorf("%s: problems %s, want %q", c.name, text, c.problem)
		}
	}
}

const initText = `import /init.${ro.hardware}.rc
# services
service daemon /vendor/bin/daemon -a "b c" \
        --flag
    class hal late_start
    user system
    group system inet net_raw
    capabilities NET_ADMIN NET_RAW
    socket daemon stream+passcred 0660 root system u:object_r:x:s0
    socket other dgram 666
    seclabel u:r:daemon:s0
    interface vendor.x@1.0::IX default
    file /dev/kmsg w
    keycodes 114 115
    namespace mnt pid
    enter_namespace net /proc/1/ns/net
    onrestart restart zygote
    onrestart setprop a b
    setenv A b
    disabled
    oneshot

service sh /system/bin/sh
    console
    critical
    capabilities
    override
    updatable

on boot && property:sys.boot_completed=1 && property:a=*
    setprop x "y z"
    write /sys/x 1 # trailing
    frob it

on property:b=1
    start daemon
`

func TestParseInit(t *testing.T) {
	in := ParseInit([]byte(initText))
	if want := []Import{{Path: "/init.${ro.hardware}.rc", Line: 1}}; !reflect.DeepEqual(in.Imports, want) {
		t.Errorf("imports %+v", in.Imports)
	}
	if len(in.Services) != 2 {
		t.Fatalf("services %+v", in.Services)
	}
	s := in.Services[0]
	if n := len(s.Options); n != 17 || s.Options[0].Line != 5 || s.Options[n-1].Name != "oneshot" {
		t.Errorf("%d options %v", n, s.Options)
	}
	s.Options = nil
	want := Service{
		Name: "daemon", Args: []string{"/vendor/bin/daemon", "-a", "b c", "--flag"}, Line: 3,
		Classes: []string{"hal", "late_start"}, User: "system", Groups: []string{"system", "inet", "net_raw"},
		Capabilities: []string{"NET_ADMIN", "NET_RAW"}, HasCapabilities: true, Seclabel: "u:r:daemon:s0",
		Sockets: []Socket{
			{"daemon", "stream+passcred", 0o660, "root", "system", "u:object_r:x:s0", 9},
			{"other", "dgram", 0o666, "", "", "", 10},
		},
		Files: []string{"/dev/kmsg"}, Interfaces: []string{"vendor.x@1.0::IX/default"},
		Keycodes: []string{"114", "115"}, Namespaces: []string{"mnt", "pid", "net:/proc/1/ns/net"},
		Disabled: true, Oneshot: true,
		OnRestart: [][]string{{"restart", "zygote"}, {"setprop", "a", "b"}},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got\n%+v, want\n%+v", s, want)
	}
	s = in.Services[1]
	if !s.Console || !s.Critical || !s.Override || !s.Updatable || !s.HasCapabilities || len(s.Capabilities) != 0 ||
		s.User != "" || !reflect.DeepEqual(s.Classes, []string{"default"}) {
		t.Errorf("%+v", s)
	}
	actions := []Action{
		{Triggers: []string{"boot", "property:sys.boot_completed=1", "property:a=*"}, Line: 30, Commands: []Command{
			{"setprop", []string{"x", "y z"}, 31}, {"write", []string{"/sys/x", "1"}, 32}, {"frob", []string{"it"}, 33}}},
		{Triggers: []string{"property:b=1"}, Line: 35, Commands: []Command{{"start", []string{"daemon"}, 36}}},
	}
	if !reflect.DeepEqual(in.Actions, actions) {
		t.Errorf("actions\n%+v, want\n%+v", in.Actions, actions)
	}
	if len(in.Problems) != 1 || in.Problems[0].Line != 33 {
		t.Errorf("problems %v", in.Problems)
	}
}

func TestParseInitProblems(t *testing.T) {
	for _, c := range []struct {
		text string
		line int
		msg  string
	}{
		{"setprop a b\n", 1, "before the first section"},
		{"on\n setprop a b\n", 1, "without a trigger"},
		{"on a b\n", 1, "only && may stand there"},
		{"on a && b\n", 1, "two events"},
		{"on property:x\n", 1, "without '='"},
		{"on \"\"\n", 1, "empty trigger"},
		{"service x\n user root\n", 1, "without a name and a program"},
		{"service a/b /bin/x\n", 1, "invalid service name"},
		{"service x /bin/x\n user a b\n", 2, "user with 2 arguments"},
		{"service x /bin/x\n frobnicate\n", 2, "no service option"},
		{"service x /bin/x\n socket s stream\n", 2, "socket with 2 arguments"},
		{"service x /bin/x\n socket s stream rw\n", 2, "permissions \"rw\""},
		{"service x /bin/x\n socket s raw 666\n", 2, "type \"raw\""},
		{"service x /bin/x\n socket s stream 666\n socket s stream 600\n", 3, "defined twice"},
		{"service x /bin/x\n onrestart frob\n", 2, "no command \"frob\""},
		{"service x /bin/x\n critical\n oneshot\n", 1, "critical and oneshot"},
		{"service x /bin/x\nservice x /bin/y\n", 2, "defined above"},
		{"on boot\n setprop a\n", 2, "setprop with 1 arguments"},
		{"on boot\n chmod 1 2 3\n", 2, "chmod with 3 arguments"},
		{"import a b\n", 1, "import with 2 arguments"},
		{"import a\n start x\n", 2, "follows an import"},
	} {
		in := ParseInit([]byte(c.text))
		if len(in.Problems) != 1 || in.Problems[0].Line != c.line || !strings.Contains(in.Problems[0].Msg, c.msg) {
			t.Errorf("%q: %v, want line %d %q", c.text, in.Problems, c.line, c.msg)
		}
	}
	if in := ParseInit([]byte("service x /bin/x\nservice x /bin/y\n override\n")); len(in.Problems) != 0 || len(in.Services) != 2 {
		t.Errorf("%+v", in)
	}
	// What init ignores must not count: the service below stays root, with one socket.
	in := ParseInit([]byte("service x /bin/x\n user radio system\n socket s stream 666\n socket s stream 600\n"))
	if s := in.Services[0]; s.User != "" || len(s.Sockets) != 1 || s.Sockets[0].Perm != 0o666 || len(s.Options) != 3 {
		t.Errorf("%+v", s)
	}
}

// No version of init since Android 7 limits a service's arguments.
func TestServiceManyArgs(t *testing.T) {
	in := ParseInit([]byte("service x /bin/x" + strings.Repeat(" a", 100) + "\n class main\n"))
	if len(in.Problems) != 0 || len(in.Services) != 1 || len(in.Services[0].Args) != 101 {
		t.Errorf("%+v", in)
	}
}

func TestParseUeventd(t *testing.T) {
	u := ParseUeventd([]byte(`import /vendor/ueventd.rc
subsystem adf
    devname uevent_devname
    dirname /dev/x
/dev/null   0666 root root
/dev/block/* 0660 root system no_fnm_pathname
/sys/devices/virtual/input/input*   enable 0664 system input
mtd@misc 0660 system log
firmware_directories /a /b
external_firmware_handler /devices/x system /vendor/bin/handler
external_firmware_handler /devices/y system radio "/vendor/bin/handler -v"
modalias_handling enabled
/dev/bad rw root root
/dev/short 0666
devname uevent_devname
`))
	want := &Ueventd{
		Rules: []DeviceRule{
			{"/dev/null", "", 0o666, "root", "root", 5},
			{"/dev/block/*", "", 0o660, "root", "system", 6},
			{"/sys/devices/virtual/input/input*", "enable", 0o664, "system", "input", 7},
			{"mtd@misc", "", 0o660, "system", "log", 8},
		},
		Handlers: []FirmwareHandler{
			{"/devices/x", "system", "", []string{"/vendor/bin/handler"}, 10},
			{"/devices/y", "system", "radio", []string{"/vendor/bin/handler", "-v"}, 11},
		},
		FirmwareDirs: []string{"/a", "/b"},
		Imports:      []Import{{Path: "/vendor/ueventd.rc", Line: 1}},
	}
	var lines []int
	for _, p := range u.Problems {
		lines = append(lines, p.Line)
	}
	u.Problems = nil
	if !reflect.DeepEqual(u, want) {
		t.Errorf("got\n%+v, want\n%+v", u, want)
	}
	if !reflect.DeepEqual(lines, []int{13, 14, 15}) {
		t.Errorf("problems at %v", lines)
	}
}

// A file of a megabyte must not take quadratic time, which would be minutes here.
func TestLinear(t *testing.T) {
	const n = 100_000
	lines := func(head, line string) []byte { return []byte(head + strings.Repeat(line, n)) }
	ParseInit(lines("service x /bin/x\n", " group a b c\n"))
	var sockets strings.Builder
	for i := range n {
		fmt.Fprintf(&sockets, " socket s%d stream 666\n", i)
	}
	if in := ParseInit([]byte("service x /bin/x\n" + sockets.String())); len(in.Services[0].Sockets) != n {
		t.Error("sockets are lost")
	}
	ParseCertificates(append(lines("", "-----BEGIN CERTIFICATE-----\n"), "-----END CERTIFICATE-----\n"...))
	ParseRecoveryKeys(lines("", "{1,0x1,{1},{1}},\n"))
	ParseSysconfig(lines("<permissions>", "<feature name='a'/>\n"))
	big := strings.Repeat("x", 1<<20)
	Merge(33, []PropFile{file("/system/build.prop", "ro.a="+big+"\n"+strings.Repeat("import ${ro.a}${ro.a}\n", n))})
}

func FuzzInit(f *testing.F) {
	f.Add([]byte(initText))
	f.Add([]byte("on a\n write \"x\ny\" \\\n # z\nservice a b \\\r\n\x00"))
	f.Add([]byte("/dev/* 0666 root root\nsubsystem x\n devname y\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		last := 1 + strings.Count(string(b), "\n")
		in := ParseInit(b)
		for _, s := range in.Services {
			if len(s.Args) == 0 || s.Line < 1 || s.Line > last || s.Classes == nil {
				t.Fatalf("%+v", s)
			}
		}
		for _, a := range in.Actions {
			line := a.Line
			for _, c := range a.Commands {
				if c.Line <= line || c.Line > last {
					t.Fatalf("%+v", a)
				}
				line = c.Line
			}
		}
		for _, p := range in.Problems {
			if p.Line < 1 || p.Line > last {
				t.Fatalf("%+v of %d lines", p, last)
			}
		}
		ParseUeventd(b)
	})
}

func BenchmarkInit(b *testing.B) {
	text := []byte(strings.Repeat(strings.ReplaceAll(initText, "import", "#"), 100))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		ParseInit(text)
	}
}
