package evidence

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each layout is opened as a folder, a zip and a tar, and must give the same phone.
var layouts = []struct {
	what  string
	name  string // of the folder or archive
	in    []member
	phone string // the paths
	roots string
}{{
	what: "a dump", name: "dump",
	in: files("system/app/A/A.apk", "system/build.prop", "vendor/etc/x.rc", "README.md", "product/app/P/P.apk",
		"system_ext/priv-app/S/S.apk", "odm/etc/o.xml", "cust/app/C/C.apk", "my_product/app/M/M.apk", "tr_region/etc/t"),
	phone: "/cust/app/C/C.apk /my_product/app/M/M.apk /odm/etc/o.xml /product/app/P/P.apk /system/app/A/A.apk /system/build.prop /system_ext/priv-app/S/S.apk /tr_region/etc/t /vendor/etc/x.rc",
	roots: "/cust /my_product /odm /product /system /system_ext /tr_region /vendor",
}, {
	what: "the system image with its root", name: "dump",
	in:    files("system/system/app/A/A.apk", "system/system/build.prop", "system/init.environ.rc", "vendor/build.prop", "vendor/etc/v", "boot/ramdisk/init.rc", "boot/ramdisk/system/bin/sh"),
	phone: "/boot-ramdisk/init.rc /boot-ramdisk/system/bin/sh /init.environ.rc /system/app/A/A.apk /system/build.prop /vendor/build.prop /vendor/etc/v",
	roots: "/ /boot-ramdisk /system /vendor",
}, {
	what: "the ramdisk is the root", name: "dump",
	in:    files("system/app/A/A.apk", "boot/ramdisk/init.rc", "boot/ramdisk/sbin/adbd", "recovery/ramdisk/init.rc", "recovery/ramdisk/sbin/recovery", "vendor_boot/ramdisk/fstab.x"),
	phone: "/init.rc /recovery-ramdisk/init.rc /recovery-ramdisk/sbin/recovery /sbin/adbd /system/app/A/A.apk /vendor-ramdisk/fstab.x",
	roots: "/ /recovery-ramdisk /system /vendor-ramdisk",
}, {
	what: "a boot ramdisk that starts recovery is not the root", name: "dump",
	in:    files("system/app/A/A.apk", "boot/ramdisk/init.rc", "boot/ramdisk/sbin/recovery"),
	phone: "/boot-ramdisk/init.rc /boot-ramdisk/sbin/recovery /system/app/A/A.apk",
	roots: "/boot-ramdisk /system",
}, {
	what: "target files", name: "x-target_files",
	in: files("SYSTEM/build.prop", "SYSTEM/app/A/A.apk", "VENDOR/etc/v", "PRODUCT/app/P/P.apk", "SYSTEM_EXT/app/E/E.apk", "ODM/etc/o",
		"BOOT/RAMDISK/init.rc", "ROOT/init.rc", "META/misc_info.txt", "VENDOR_DLKM/lib/modules/m.ko", "DATA/app/x", "RECOVERY/RAMDISK/sbin/recovery"),
	phone: "/boot-ramdisk/init.rc /init.rc /odm/etc/o /product/app/P/P.apk /recovery-ramdisk/sbin/recovery /system/app/A/A.apk /system/build.prop /system_ext/app/E/E.apk /vendor/etc/v /vendor_dlkm/lib/modules/m.ko",
	roots: "/ /boot-ramdisk /odm /product /recovery-ramdisk /system /system_ext /vendor /vendor_dlkm",
}, {
	what: "the folder is the system partition", name: "system",
	in:    files("app/A/A.apk", "build.prop", "vendor/lib/x.so", "product/app/P/P.apk"),
	phone: "/system/app/A/A.apk /system/build.prop /system/product/app/P/P.apk /system/vendor/lib/x.so",
	roots: "/system",
}, {
	what: "a system partition under any name", name: "pulled",
	in:    files("app/A/A.apk", "priv-app/B/B.apk", "framework/f.jar", "etc/hosts"),
	phone: "/system/app/A/A.apk /system/etc/hosts /system/framework/f.jar /system/priv-app/B/B.apk",
	roots: "/system",
}, {
	what: "the folder is the vendor partition", name: "vendor_a",
	in:    files("etc/init/x.rc", "lib/x.so", "build.prop"),
	phone: "/vendor/build.prop /vendor/etc/init/x.rc /vendor/lib/x.so",
	roots: "/vendor",
}, {
	what: "the root, pulled whole", name: "pull",
	in:    files("init.rc", "default.prop", "sbin/adbd", "system/app/A/A.apk", "vendor/etc/v", "etc -> /system/etc"),
	phone: "/default.prop /etc /init.rc /sbin/adbd /system/app/A/A.apk /vendor/etc/v",
	roots: "/ /system /vendor",
}, {
	what: "a system image with its root, alone", name: "system",
	in:    files("init.environ.rc", "system/app/A/A.apk", "system/build.prop"),
	phone: "/init.environ.rc /system/app/A/A.apk /system/build.prop",
	roots: "/ /system",
}, {
	what: "wrapped", name: "dump-main",
	in:    files("phone-user-9/out/system/app/A/A.apk", "phone-user-9/out/vendor/etc/v", "phone-user-9/notes.txt"),
	phone: "/system/app/A/A.apk /vendor/etc/v",
	roots: "/system /vendor",
}, {
	what: "unpackers' names", name: "out",
	in:    files("_system.img.extracted/ext-root/app/A/A.apk", "vendor.img.d/etc/v", "product_a/app/P/P.apk", "product_b/app/Q/Q.apk", "system_ext-a/app/E/E.apk"),
	phone: "/product/app/P/P.apk /system/app/A/A.apk /system_ext/app/E/E.apk /vendor/etc/v",
	roots: "/product /system /system_ext /vendor",
}, {
	what: "partitions in several places", name: "out",
	in:    files("vendor/etc/v", "vendor/build.prop", "more/system/build.prop", "more/system/app/A/A.apk", "twrp/recovery/root/system/etc/x"),
	phone: "/system/app/A/A.apk /system/build.prop /vendor/build.prop /vendor/etc/v",
	roots: "/system /vendor",
}, {
	what: "a partition's own directory that is called as a partition", name: "d",
	in:    files("system/app/A/A.apk", "product/pangu/system/etc/p.xml", "product/etc/build.prop"),
	phone: "/product/etc/build.prop /product/pangu/system/etc/p.xml /system/app/A/A.apk",
	roots: "/product /system",
}, {
	what: "user data", name: "d",
	in:    files("data/app/x/base.apk", "data/system/packages.xml", "system/app/A/A.apk"),
	phone: "/data/app/x/base.apk /data/system/packages.xml /system/app/A/A.apk",
	roots: "/data /system",
}}

func TestLayouts(t *testing.T) {
	for _, l := range layouts {
		t.Run(l.what, func(t *testing.T) {
			folder := makeFolder(t, filepath.Join(t.TempDir(), l.name), l.in)
			for _, e := range []*Evidence{
				mustOpen(t, folder),
				mustOpenBytes(t, l.name+".zip", makeZip(t, l.in)),
				mustOpenBytes(t, l.name+".tar", makeTar(t, l.in)),
				mustOpenBytes(t, l.name+".tar.gz", gz(makeTar(t, l.in))),
			} {
				kind := e.Inputs()[0].Kind
				wantList(t, kind, phonePaths(e), strings.Fields(l.phone))
				if got := rootPaths(e); got != l.roots {
					t.Errorf("%s: roots %s, want %s", kind, got, l.roots)
				}
				if n := len(e.Files()) + len(e.Outside()); n != len(l.in) {
					t.Errorf("%s: %d files of %d", kind, n, len(l.in))
				}
				for _, f := range e.Files() {
					if f.Link != "" {
						continue
					}
					// The content names the place where the file stood.
					b, err := f.Data()
					if names := f.Ref.Names(); err != nil || string(b) != "content of "+names[len(names)-1] {
						t.Errorf("%s: %s holds %q, %v", kind, f.Ref, b, err)
					}
				}
			}
		})
	}
}

func TestSecondTree(t *testing.T) {
	e := mustOpenBytes(t, "two.zip", makeZip(t, files("a/system/app/A/A.apk", "b/system/app/A/A.apk", "b/system/app/B/B.apk")))
	wantList(t, "phone", phonePaths(e), []string{"/system/app/A/A.apk"})
	wantList(t, "outside", outsideRefs(e), []string{"two.zip!b/system/app/A/A.apk", "two.zip!b/system/app/B/B.apk"})
	wantList(t, "gaps", gapLines(e), []string{"two.zip!b/system: damaged: a second tree for /system; the first is read"})
}

func TestSeveralInputs(t *testing.T) {
	dir := t.TempDir()
	sys := makeFolder(t, filepath.Join(dir, "system"), files("app/A/A.apk", "build.prop"))
	ven := filepath.Join(dir, "vendor.zip")
	if err := os.WriteFile(ven, makeZip(t, files("etc/v", "lib/l.so")), 0o644); err != nil {
		t.Fatal(err)
	}
	e := mustOpen(t, sys, ven)
	wantList(t, "phone", phonePaths(e), []string{"/system/app/A/A.apk", "/system/build.prop", "/vendor/etc/v", "/vendor/lib/l.so"})
	if got := e.File("/system/build.prop").Ref.String(); got != "system!build.prop" {
		t.Errorf("a file of one folder of several is at %s", got)
	}
	if got := e.File("/vendor/etc/v").Ref.String(); got != "vendor.zip!etc/v" {
		t.Errorf("a file of an archive is at %s", got)
	}
}

func TestLoneFiles(t *testing.T) {
	app := string(makeZip(t, files("AndroidManifest.xml", "classes.dex")))
	e := mustOpenBytes(t, "Foo.apk", []byte(app))
	if in := e.Inputs()[0]; in.Kind != "apk" || len(e.Roots()) != 0 {
		t.Errorf("an app is a %s with roots %v", in.Kind, e.Roots())
	}
	wantList(t, "app", phonePaths(e), []string{"/Foo.apk"})

	e = mustOpenBytes(t, "set.xapk", makeZip(t, []member{{"base.apk", app}, {"split/s.apk", app}, {"info.json", "{}"}}))
	wantList(t, "apps", phonePaths(e), []string{"/base.apk", "/split/s.apk"})
	wantList(t, "the rest", outsideRefs(e), []string{"set.xapk!info.json"})

	e = mustOpenBytes(t, "c.dex", []byte("dex\n035\x00"))
	wantList(t, "dex", phonePaths(e), []string{"/c.dex"})

	// Where there is a phone, an app that lies about is none of its.
	e = mustOpenBytes(t, "d.zip", makeZip(t, []member{{"system/app/A/A.apk", app}, {"tools/T.apk", app}}))
	wantList(t, "phone", phonePaths(e), []string{"/system/app/A/A.apk"})
}

func TestLinks(t *testing.T) {
	in := files("system/app/A/A.apk", "system/vendor -> /vendor", "vendor/lib/l.so", "system/lib/rel.so -> ../vendor/lib/l.so",
		"system/bin/ls -> toybox", "system/bin/toybox", "system/etc/gone -> missing", "system/etc/run -> /data/misc/run", "vendor/a -> b", "vendor/b -> a",
		"system/up -> ../../../../etc/passwd")
	for _, e := range []*Evidence{
		mustOpen(t, makeFolder(t, filepath.Join(t.TempDir(), "d"), in)),
		mustOpenBytes(t, "d", makeZip(t, in)), mustOpenBytes(t, "d", makeTar(t, in)),
	} {
		for path, want := range map[string]string{
			"/system/vendor/lib/l.so": "/vendor/lib/l.so", "/system/lib/rel.so": "/vendor/lib/l.so", "/system/bin/ls": "/system/bin/toybox",
			"system/app/../app/A/A.apk": "/system/app/A/A.apk",
			"/vendor/a":                 "", "/system/etc/gone": "", "/nowhere": "", "/system/app": "", "/system/up": "",
		} {
			f := e.File(path)
			if f == nil && want != "" || f != nil && f.Path != want {
				t.Errorf("%s is %v, want %s", path, f, want)
			}
		}
		if got := e.Under("/system/vendor"); len(got) != 3 {
			t.Errorf("under a link lie %d files", len(got))
		}
		var reasons []string
		for _, g := range e.Gaps() {
			names := g.At.Names()
			reasons = append(reasons, names[len(names)-1]+" "+g.Reason.String())
		}
		wantList(t, "gaps", reasons, []string{"system/etc/gone absent", "system/up absent", "vendor/a damaged", "vendor/b damaged"})
		l := e.byPath["/system/bin/ls"]
		if _, err := l.Data(); err == nil || l.Link != "toybox" {
			t.Errorf("a link has data, or no target: %q", l.Link)
		}
	}
}

func TestLostLinks(t *testing.T) {
	// Dumps lose the links between partitions; the paths that use them still work.
	e := mustOpenBytes(t, "d.zip", makeZip(t, files("system/app/A/A.apk", "system/etc/hosts", "vendor/etc/v", "system/system_ext/app/E/E.apk")))
	for path, want := range map[string]string{"/system/vendor/etc/v": "/vendor/etc/v", "/system_ext/app/E/E.apk": "/system/system_ext/app/E/E.apk", "/etc/hosts": "/system/etc/hosts"} {
		if f := e.File(path); f == nil || f.Path != want {
			t.Errorf("%s is %v, want %s", path, f, want)
		}
	}
	// A text that looks like a link is a file.
	e = mustOpenBytes(t, "d.zip", makeZip(t, []member{{"system/app/A/A.apk", "x"}, {"system/bin/ls", "toybox"}}))
	if f := e.File("/system/bin/ls"); f == nil || f.Link != "" {
		t.Errorf("a small text file became %v", f)
	}
}

func TestUnder(t *testing.T) {
	e := mustOpenBytes(t, "d.zip", makeZip(t, files("system/app/A/A.apk", "system/app-x/y", "system/app", "system/app.z", "system/etc/hosts")))
	var got []string
	for _, f := range e.Under("/system/app") {
		got = append(got, f.Path)
	}
	// A file and a directory of one name cannot both be on a phone, but in a zip they can.
	wantList(t, "under", got, []string{"/system/app/A/A.apk"})
	if n := len(e.Under("/")); n != 5 {
		t.Errorf("%d files under /", n)
	}
	if n := len(e.Under("/none")); n != 0 {
		t.Errorf("%d files under nothing", n)
	}
}
