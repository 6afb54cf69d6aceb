package phone

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gifthorse/evidence"
)

// launches lays a phone out and returns what it sets going, as text, but for what it runs from read-only places.
func launches(t testing.TB, files map[string]string) string {
	t.Helper()
	if files["system/build.prop"] == "" {
		files["system/build.prop"] = "ro.build.version.sdk=23\nro.build.version.release=6.0\nro.a=/data/prop\n"
	}
	ev := lay(t, files)
	var b strings.Builder
	for _, l := range Build(context.Background(), ev, nil).Launches {
		if l.Act == ActRun && l.Writer.Who == "nobody" && l.URL == "" {
			continue
		}
		fmt.Fprintf(&b, "%s %s", l.Act, l.File)
		if l.URL != "" {
			fmt.Fprintf(&b, " (%s)", l.URL)
		}
		if l.User != "root" {
			fmt.Fprintf(&b, " as %s", l.User)
		}
		if l.Read {
			b.WriteString(" by a shell")
		}
		if l.Conditional {
			b.WriteString(" if")
		}
		names := l.At.Names()
		fmt.Fprintf(&b, " at %s %s\n", names[len(names)-1], l.At.Symbol)
	}
	return b.String()
}

func TestScripts(t *testing.T) {
	const rc = "service s /system/bin/sh /system/etc/x.sh one\n    class main\n"
	for _, c := range []struct{ script, want string }{
		{"/data/a -x\n", "runs /data/a 1\n"},
		{"# /data/a\necho '/data/b' \"/data/c\"\n", ""},
		{"D=/data\n$D/a\n${D}/b; nice -n 5 \"$D/c\" & ${E:-/cache}/d\n", "runs /data/a 2\nruns /data/b 3\nruns /data/c 3\nruns /cache/d 3\n"},
		{"nohup busybox sh /data/a >/dev/null 2>&1 &\n", "runs /data/a by a shell 1\n"},
		{"if [ -f /data/a ]; then\n  sh /data/a\nfi\n[ -x /data/b ] && /data/b\n", "runs /data/a by a shell 2\nruns /data/b 4\n"},
		{"if [ $(getprop x) = 1 ]; then\n  . /data/a\nelse\n  /data/b\nfi\n/data/c\n", "runs /data/a by a shell if 2\nruns /data/b if 4\nruns /data/c 6\n"},
		{"getprop x && /data/a\n/data/b", "runs /data/a if 1\nruns /data/b 2\n"},
		{"for f in /data/i/*; do sh $f; done\nfor f in /data/1 /cache/2; do $f; done", "runs /data/i/* by a shell 1\nruns /cache/2 2\nruns /data/1 2\n"},
		{"case $1 in\n/data/x) /data/a;;\none|two)\n/data/b ;;\nesac\n/data/c", "runs /data/a if 2\nruns /data/b if 4\nruns /data/c 6\n"},
		{"X=$(/data/a)\nY=`/data/b`\nf() { /data/c; }\n((/data/d))", "runs /data/a 1\nruns /data/b 2\nruns /data/c 3\nruns /data/d 4\n"},
		{"cat <<EOF > /x\n/data/a\nEOF\n/data/b", "runs /data/b 4\n"},
		{"su -c '/data/a; /data/b' root\nsu 0 /data/c\nsh -c \"/data/d\"", "runs /data/a 1\nruns /data/b 1\nruns /data/c 2\nruns /data/d 3\n"},
		{"insmod /data/m.ko a=b\nmount -o bind /data/a /system/a\nmount -t ext4 /dev/block/x /data\nmount -o bind /data/media /sdcard\nmount -o remount,rw /system\n",
			"loads into the kernel /data/m.ko 1\nmounts /data/a 2\n"},
		{"export LD_PRELOAD=/data/l.so:/system/lib/a.so\nCLASSPATH=/data/a.jar app_process / Main\nexec app_process -Djava.class.path=/data/b.jar / Main",
			"puts on a code path /data/l.so 1\nputs on a code path /system/lib/a.so 1\nputs on a code path /data/a.jar 2\nputs on a code path /data/b.jar 3\n"},
		{"wget -O /data/a http://h/a && sh /data/a\ncurl -s https://h/b | sh\n",
			"fetches /data/a (http://h/a) 1\nruns /data/a (http://h/a) by a shell 1\nfetches  (https://h/b) 2\nruns  (https://h/b) by a shell 2\n"},
		{"echo /data/h > /proc/sys/kernel/hotplug\nsh < /data/a", "runs /data/h 1\nruns /data/a by a shell 2\n"},
		{"busybox telnetd -l /system/bin/sh\ntelnetd\nnc -l -p 1 -e sh\nnc h 1", "starts as a remote shell /system/xbin/busybox 1\n"},
		{"/system/bin/y.sh /data/z\n", "runs /data/z y.sh 2\n"},
		{"run-parts /system/etc/init.d", "runs /data/d 01d 2\n"},
	} {
		got := launches(t, map[string]string{"init.rc": rc, "system/etc/x.sh": c.script, "system/xbin/busybox": "\x7fELF", "system/bin/wget": "\x7fELF", "system/bin/curl": "\x7fELF", "system/bin/y.sh": "#!/system/bin/sh\n$1\n",
			"system/etc/init.d/01d": "#!/bin/sh\n/data/d\n"})
		got = strings.ReplaceAll(strings.ReplaceAll(got, "at x.sh line ", ""), "at ", "")
		got = strings.ReplaceAll(got, "line ", "")
		got = strings.ReplaceAll(got, "system/bin/", "")
		got = strings.ReplaceAll(strings.ReplaceAll(got, "system/etc/x.sh ", ""), "system/etc/init.d/", "")
		if want := strings.ReplaceAll(c.want, "system/bin/", ""); got != want {
			t.Errorf("%q:\n%s, want:\n%s", c.script, got, want)
		}
	}
}

func TestInitLaunches(t *testing.T) {
	got := launches(t, map[string]string{"init.rc": `
on boot
    exec /data/a b
    exec u:r:su:s0 shell shell -- /data/b
    exec - system -- ${ro.a}/c
    insmod /data/m.ko
    mount none /data/x /system/x bind
    mount none /mnt/runtime/default /storage slave bind rec
    mount ext4 loop@/data/y.img /vendor
    export CLASSPATH /data/z.jar
    write /proc/sys/kernel/core_pattern "|/data/h %p"
    write /sys/x /data/h
service l /system/bin/l
    user media
`, "system/bin/l": "ELF"})
	want := `runs /data/a at init.rc line 3
runs /data/b as shell at init.rc line 4
runs /data/prop/c as system at init.rc line 5
loads into the kernel /data/m.ko at init.rc line 6
mounts /data/x at init.rc line 7
mounts /data/y.img at init.rc line 9
puts on a code path /data/z.jar at init.rc line 10
runs /data/h at init.rc line 11
`
	if got != want {
		t.Errorf("got:\n%s, want:\n%s", got, want)
	}
}

func TestWriter(t *testing.T) {
	ev := lay(t, map[string]string{"system/build.prop": "ro.build.version.sdk=23\nro.build.version.release=6.0\n", "system/bin/l": "-> /data/local/tmp/l",
		"init.rc": `
on boot
    mkdir /data/open 0777 root root
    mkdir /data/open/closed 0700 root root
    mkdir /data/net 0770 root inet
    mkdir /x 0755 root root
    chmod 0777 /system/bin
    mkdir /x/y 0700 shell shell
    mkdir /x/z
    chown root shell /x/z
    chmod 0770 /x/z
`})
	p := Build(context.Background(), ev, nil)
	dirs := p.initDirs()
	for _, c := range [][2]string{
		{"/data/open/a", "any app"}, {"/data/open/closed/a", "any app"}, {"/data/net/a", "any app"}, {"/x/a", ""}, {"/x/y/a", "shell"}, {"/x/z/a", "shell"},
		{"/system/bin/a", "nobody"}, {"/system/bin/l", "shell"}, {"/data/a", "system"}, {"/data/data/com.a/b", "app"}, {"a", ""},
	} {
		if w := p.writer(c[0], dirs); w.Who != c[1] {
			t.Errorf("%s: %+v, want %s", c[0], w, c[1])
		}
	}
}

func TestHappens(t *testing.T) {
	p := &Phone{Properties: []Property{{Name: "ro.build.type", Value: "user"}, {Name: "sys.x", Value: "1"}}}
	for _, c := range []struct {
		when []string
		want bool
	}{
		{nil, false}, {[]string{"on boot"}, true}, {[]string{"property:ro.build.type=eng"}, false}, {[]string{"property:ro.build.type=eng", "on boot"}, true},
		{[]string{"property:sys.x=2"}, true}, {[]string{"on boot && property:ro.build.type=eng"}, false}, {[]string{"property:ro.build.type=*"}, true},
		{[]string{"property:ro.unknown=1"}, true},
	} {
		if got := p.Happens(c.when); got != c.want {
			t.Errorf("%q: %v", c.when, got)
		}
	}
}

// What a script can make a reader do is bounded.
func TestScriptBounds(t *testing.T) {
	grow := "a=x\n" + strings.Repeat("a=$a$a\n", 100000)
	call := "a='" + strings.Repeat(`sh -c "$a";`, 300) + "'\nsh -c \"$a\"\n"
	self := strings.Repeat("/system/etc/x.sh\n", 10000)
	start := time.Now()
	for i, text := range []string{grow, call, self, strings.Repeat("$(", 100000), strings.Repeat("$(a $(b) ", 100000)} {
		p := Build(context.Background(), lay(t, map[string]string{"init.rc": "service s /system/etc/x.sh\n", "system/etc/x.sh": text}), nil)
		cut := false
		for _, c := range p.Coverage {
			for _, g := range c.Gaps {
				cut = cut || c.What == evidence.Init && g.Reason == evidence.TooLarge
			}
		}
		if want := i == 1 || i == 2; cut != want {
			t.Errorf("script %d: cut %v, want %v", i, cut, want)
		}
	}
	t.Logf("it took %v", time.Since(start)) // without the bounds it would take hours
}

func FuzzScript(f *testing.F) {
	for _, s := range []string{"if [ -f a ]; then sh a; fi", "case x in a) b;; esac", "for i in 1 2; do $i; done", "cat <<E\nx\nE", "$(`${a:-b}`)", "a=\"$b'c", "su -c 'sh -c \"x\"'"} {
		f.Add(s)
	}
	p := &Phone{}
	ev := lay(f, map[string]string{"system/build.prop": "a=b\n"})
	p.Evidence = ev
	f.Fuzz(func(t *testing.T, text string) {
		l := &launcher{ph: p}
		sh := &shell{launcher: l, vars: map[string][]string{}, fetched: map[string]string{}}
		sh.readText(text, 1)
		for _, x := range l.out {
			if n := strings.Count(text, "\n"); x.Act == "" || n < 0 {
				t.Error(x)
			}
		}
	})
}
