package phone

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gifthorse/evidence"
	"gifthorse/format/apk"
	"gifthorse/internal/make"
	"gifthorse/knowledge"
)

const head = `<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="com.oem.a"`

// axml compiles a manifest's text.
func axml(t testing.TB, text string) []byte {
	t.Helper()
	b, err := make.XML([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, text string, api int) *manifest {
	t.Helper()
	root, err := apk.ParseXML(axml(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return readManifest(root, nil, evidence.Ref{}.Inner("a.apk"), api)
}

func TestExport(t *testing.T) {
	const filter = `<intent-filter><action android:name="x"/></intent-filter>`
	const noAction = `<intent-filter><category android:name="x"/></intent-filter>`
	tests := []struct {
		kind, attrs, body string
		target, api       int
		want              bool
	}{
		{"activity", ``, ``, 23, 23, false},
		{"activity", ``, filter, 23, 23, true},
		{"activity", ``, noAction, 23, 23, false},
		{"receiver", ``, noAction, 23, 23, false},
		{"service", ``, noAction, 23, 23, true},
		{"activity", `android:exported="false"`, filter, 23, 23, false},
		{"service", `android:exported="true"`, ``, 23, 23, true},
		{"receiver", ``, filter, 30, 33, true},
		{"receiver", ``, filter, 31, 33, false},
		{"receiver", ``, filter, 31, 30, true},
		{"provider", `android:authorities="p"`, ``, 16, 23, true},
		{"provider", `android:authorities="p"`, ``, 17, 23, false},
		{"provider", `android:authorities="p"`, ``, 17, 16, true},
		{"provider", `android:authorities="p" android:exported="true"`, ``, 30, 30, true},
	}
	for _, c := range tests {
		text := fmt.Sprintf(`%s><uses-sdk android:targetSdkVersion="%d"/><application><%s android:name=".C" %s>%s</%s></application></manifest>`,
			head, c.target, c.kind, c.attrs, c.body, c.kind)
		m := parse(t, text, c.api)
		if got := m.pkg.Components[0]; got.Exported != c.want || got.Name != "Lcom/oem/a/C;" || string(got.Kind) != c.kind {
			t.Errorf("%s %s %s target %d on %d: exported %v, %s", c.kind, c.attrs, c.body, c.target, c.api, got.Exported, got.Name)
		}
	}
}

func TestManifestGuards(t *testing.T) {
	m := parse(t, head+` android:versionCode="7" android:versionName="1.2" android:sharedUserId="android.uid.system">
		<uses-permission android:name="p.OLD" android:maxSdkVersion="18"/>
		<uses-permission android:name="android.permission.WRITE_EXTERNAL_STORAGE"/>
		<uses-sdk android:minSdkVersion="14" android:targetSdkVersion="23"/>
		<permission android:name="com.oem.P" android:protectionLevel="signature|privileged"/>
		<application android:permission="app.P" android:process=":core" android:name="App">
			<activity android:name=".A"/>
			<activity android:name="com.other.B" android:permission="own.P" android:process="other"/>
			<activity android:name=".Open" android:permission=""/>
			<activity-alias android:name=".Alias" android:targetActivity="com.other.B" android:exported="true"/>
			<service android:name=".Off" android:enabled="false"/>
			<provider android:name=".Prov" android:authorities="a;b" android:permission="both.P" android:readPermission="read.P">
				<path-permission android:pathPrefix="/x" android:readPermission="path.R"/>
				<path-permission android:readPermission="no.path"/>
			</provider>
			<provider android:name=".Inherit" android:authorities="c" android:writePermission=""/>
		</application>
		<application><activity android:name=".Second"/></application>
	</manifest>`, 23)
	m.imply(splitPermissions)
	ph := &Phone{API: 23, unread: "x", permissions: map[string]*Permission{}}
	for _, g := range m.guards {
		*g.to = ph.Guard(g.permission)
	}
	var got []string
	for _, c := range m.pkg.Components {
		s := fmt.Sprint(c.Class(), " ", c.Kind, " ", c.Process, " ", c.Enabled, " ", c.Guard.Permission)
		if c.Kind == KindProvider {
			s += fmt.Sprint(" r:", c.Read.Permission, " w:", c.Write.Permission, " ", c.Authorities)
			for _, p := range c.Paths {
				s += fmt.Sprint(" ", p.Prefix, "=", p.Read.Permission, p.Write.Permission)
			}
		}
		got = append(got, s)
	}
	want := []string{
		"com.oem.a.A activity com.oem.a:core true app.P",
		"com.other.B activity other true own.P",
		"com.oem.a.Open activity com.oem.a:core true ",
		"com.oem.a.Alias activity other true ",
		"com.oem.a.Off service com.oem.a:core false app.P",
		"com.oem.a.Prov provider com.oem.a:core true  r:read.P w:both.P [a b] /x=path.R",
		"com.oem.a.Inherit provider com.oem.a:core true  r:app.P w: [c]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	p := m.pkg
	if p.VersionCode != 7 || p.VersionName != "1.2" || p.UID() != "android.uid.system" || p.MinSDK != 14 || p.AppClass != "Lcom/oem/a/App;" {
		t.Errorf("%+v", p)
	}
	if want := []string{"android.permission.READ_EXTERNAL_STORAGE", "android.permission.WRITE_EXTERNAL_STORAGE"}; !slices.Equal(p.Requested, want) {
		t.Errorf("asks for %v", p.Requested)
	}
	if len(p.Defines) != 1 || p.Defines[0].Level.String() != "signature|privileged" {
		t.Errorf("defines %v", p.Defines)
	}
	if a := p.Components[3]; a.Name != "Lcom/other/B;" || a.Alias != "Lcom/oem/a/Alias;" {
		t.Errorf("alias %s of %s", a.Alias, a.Name)
	}
}

func TestGuard(t *testing.T) {
	oem := &Package{Name: "com.oem"}
	own := map[string]*Permission{}
	for name, level := range map[string]string{"oem.NORMAL": "normal", "oem.SIG": "signature", "oem.DANGER": "dangerous",
		"oem.OVERLAY": "signature|appop|pre23", "oem.OLD": "signature|pre23", "oem.INTERNAL": "internal|role",
		// what AOSP declares cannot be declared again
		"android.permission.REBOOT": "normal"} {
		own[name] = &Permission{Name: name, Level: knowledge.ParseLevel(level), By: oem}
	}
	tests := []struct {
		permission string
		api        int
		framework  bool
		unread     string
		want       Worth
		platform   bool
		why        string
	}{
		{"", 23, false, "", None, false, ""},
		{"oem.NORMAL", 23, false, "x", DoesNotHold, false, "declared by com.oem"},
		{"oem.SIG", 23, false, "x", Holds, false, "declared by com.oem"},
		{"oem.INTERNAL", 33, false, "x", Holds, false, "declared by com.oem"},
		{"oem.DANGER", 23, false, "x", Consent, false, "declared by com.oem"},
		{"oem.OVERLAY", 23, false, "x", Consent, false, "declared by com.oem"},
		{"oem.OLD", 23, false, "x", DoesNotHold, false, "declared by com.oem"},
		{"android.permission.REBOOT", 23, false, "x", Holds, true, "AOSP's table for API 23"},
		{"android.permission.REBOOT", 23, true, "", DoesNotHold, false, "declared by com.oem"}, // the phone's own word counts
		{"oem.NOBODY", 23, false, "framework-res.apk could not be read", Unknown, false,
			"declared neither on this phone nor by AOSP, and framework-res.apk could not be read"},
		{"oem.NOBODY", 23, true, "", DoesNotHold, false, "nothing on this phone declares it, so any app may"},
		{"android.permission.ACCESS_ALL_EXTERNAL_STORAGE", 23, false, "x", Unknown, false, "declared by AOSP at API 17 to 22, not at 23, nor by this phone, and x"},
		{"android.permission.VIBRATE", 0, false, "", DoesNotHold, true, "AOSP's table, at every API level that has it"},
		{"android.permission.INTERNET", 0, false, "", Unknown, true, "AOSP's table, whose API levels differ; that of the phone is not known"},
		{"android.permission.READ_CONTACTS", 0, false, "", Consent, true, "AOSP's table, at every API level that has it"},
	}
	for _, c := range tests {
		p := &Phone{API: c.api, framework: c.framework, unread: c.unread, permissions: own}
		g := p.Guard(c.permission)
		if g.Holds != c.want || g.Platform != c.platform || g.Why != c.why {
			t.Errorf("%s on %d: %s, platform %v, %q; want %s, %v, %q", c.permission, c.api, g.Holds, g.Platform, g.Why, c.want, c.platform, c.why)
		}
	}
}

func TestGrant(t *testing.T) {
	const platform = "aa"
	signers := func(s string) Signature { return Signature{Signers: []Signer{{SHA256: s}}} }
	declarer := &Package{Name: "com.oem.d", Signature: signers("dd")}
	perms := map[string]*Permission{
		"own":     {Name: "own", Level: knowledge.ParseLevel("signature"), By: declarer},
		"preinst": {Name: "preinst", Level: knowledge.ParseLevel("signature|preinstalled"), By: declarer},
	}
	const (
		internet = "android.permission.INTERNET"
		contacts = "android.permission.READ_CONTACTS"
		reboot   = "android.permission.REBOOT"              // signature|privileged
		inject   = "android.permission.INJECT_EVENTS"       // signature
		alert    = "android.permission.SYSTEM_ALERT_WINDOW" // signature|appop|pre23 at 23
	)
	tests := []struct {
		permission, signer string
		at                 string
		target, api        int
		enforced, listed   bool
		want               Grant
	}{
		{internet, "x", "/data/app/a/a.apk", 23, 23, false, false, GrantNormal},
		{contacts, "x", "/data/app/a/a.apk", 23, 23, false, false, GrantAsked},
		{contacts, "x", "/system/app/a/a.apk", 23, 22, false, false, GrantPreset},
		{contacts, "x", "/system/app/a/a.apk", 23, 23, false, false, GrantAsked},
		{contacts, "x", "/system/app/a/a.apk", 22, 23, false, false, GrantPreset},
		{reboot, "x", "/system/app/a/a.apk", 23, 23, false, false, GrantNo},
		{reboot, "x", "/system/app/a.apk", 17, 18, false, false, GrantPrivileged},
		{reboot, "x", "/system/priv-app/a/a.apk", 23, 23, false, false, GrantPrivileged},
		{reboot, "x", "/system/priv-app/a/a.apk", 28, 28, true, false, GrantNo},
		{reboot, "x", "/system/priv-app/a/a.apk", 28, 28, true, true, GrantPrivileged},
		{reboot, "x", "/system/priv-app/a/a.apk", 28, 28, false, false, GrantPrivileged},
		{reboot, "x", "/vendor/priv-app/a/a.apk", 28, 28, false, true, GrantNo},
		{reboot, platform, "/system/app/a/a.apk", 23, 23, true, false, GrantSigner},
		{inject, "x", "/system/priv-app/a/a.apk", 23, 23, false, false, GrantNo},
		{inject, platform, "/system/app/a/a.apk", 23, 23, false, false, GrantSigner},
		{"own", "dd", "/data/app/a/a.apk", 23, 23, false, false, GrantSigner},
		{"own", "x", "/system/app/a/a.apk", 23, 23, false, false, GrantNo},
		{"preinst", "x", "/system/app/a/a.apk", 23, 23, false, false, GrantPreset},
		{"preinst", "x", "/data/app/a/a.apk", 23, 23, false, false, GrantNo},
		{alert, "x", "/data/app/a/a.apk", 22, 23, false, false, GrantNormal},
		{alert, "x", "/data/app/a/a.apk", 23, 23, false, false, GrantAsked},
		{"nobody", "x", "/system/app/a/a.apk", 23, 23, false, false, GrantUnknown},
	}
	for _, c := range tests {
		b := &builder{phone: &Phone{API: c.api, permissions: perms, unread: "x", PlatformSigner: PlatformSigner{SHA256: platform}}}
		b.sysconfig.privileged = map[string]map[string]bool{"com.oem.a": {}}
		if c.listed {
			b.sysconfig.privileged["com.oem.a"][c.permission] = true
		}
		pl := placeOf(c.at, c.api)
		k := &Package{Name: "com.oem.a", File: &evidence.File{Path: c.at}, System: pl.system, TargetSDK: c.target, Signature: signers(c.signer), Platform: c.signer == platform}
		if got := b.grantOne(&manifest{pkg: k, privileged: pl.privileged}, c.permission, c.enforced); got != c.want {
			t.Errorf("%s to %s on API %d, enforced %v, listed %v: %s, want %s", c.permission, c.at, c.api, c.enforced, c.listed, got, c.want)
		}
	}
}

func TestSharedUIDHasOneSet(t *testing.T) {
	pkg := func(name string, ask ...string) *manifest {
		return &manifest{pkg: &Package{Name: name, SharedUID: "oem.uid", TargetSDK: 23, Requested: ask, Granted: map[string]Grant{}}}
	}
	a, c := pkg("a", "android.permission.INTERNET"), pkg("c", "android.permission.REBOOT")
	b := &builder{phone: &Phone{API: 23, permissions: map[string]*Permission{}, PlatformSigner: PlatformSigner{SHA256: "x"}}, manifests: []*manifest{a, c}}
	b.grant()
	if !c.pkg.Has("android.permission.INTERNET") || a.pkg.Has("android.permission.REBOOT") {
		t.Errorf("%v %v", a.pkg.Granted, c.pkg.Granted)
	}
}

func TestCleartext(t *testing.T) {
	yes, no := true, false
	config := func(body string) string { return `<network-security-config>` + body + `</network-security-config>` }
	tests := []struct {
		target, api int
		said        *bool
		config      string
		debuggable  bool
		permitted   bool
		why         string
		users       bool
		domains     []string
		pins        bool
	}{
		{23, 23, nil, "", false, true, "default of target SDK 23", true, nil, false},
		{23, 23, &no, "", false, false, "usesCleartextTraffic", true, nil, false},
		{22, 22, &no, "", false, true, "default of target SDK 22", true, nil, false}, // the platform does not know the attribute
		{28, 27, nil, "", false, true, "default of target SDK 28", false, nil, false},
		{28, 28, nil, "", false, false, "default of target SDK 28", false, nil, false},
		{28, 28, &yes, "", false, true, "usesCleartextTraffic", false, nil, false},
		{28, 28, &yes, config(``), false, false, "default of target SDK 28", false, nil, false}, // the configuration replaces the attribute
		{28, 28, nil, config(`<base-config cleartextTrafficPermitted="true"><trust-anchors><certificates src="user"/></trust-anchors></base-config>`),
			false, true, "network security configuration", true, nil, false},
		{23, 28, nil, config(`<base-config><trust-anchors><certificates src="system"/></trust-anchors></base-config>`),
			false, true, "default of target SDK 23", false, nil, false},
		{28, 28, nil, config(`<domain-config cleartextTrafficPermitted="true"><domain includeSubdomains="true">b.com</domain><domain>a.com</domain>
			<domain-config cleartextTrafficPermitted="false"><domain>c.com</domain></domain-config><pin-set/></domain-config>`),
			false, false, "default of target SDK 28", false, []string{"*.b.com", "a.com"}, true},
		{28, 28, nil, config(`<debug-overrides><trust-anchors><certificates src="user"/></trust-anchors></debug-overrides>`),
			false, false, "default of target SDK 28", false, nil, false},
		{28, 28, nil, config(`<debug-overrides><trust-anchors><certificates src="user"/></trust-anchors></debug-overrides>`),
			true, false, "default of target SDK 28", true, nil, false},
	}
	for i, c := range tests {
		var root *apk.Node
		if c.config != "" {
			var err error
			if root, err = apk.ParseXML(axml(t, c.config)); err != nil {
				t.Fatal(err)
			}
		}
		got := readCleartext(&Package{TargetSDK: c.target, Debuggable: c.debuggable}, c.said, root, nil, evidence.Ref{}, c.api)
		if got.Permitted != c.permitted || got.Why != c.why || got.UserCAs != c.users || !slices.Equal(got.Domains, c.domains) || got.Pins != c.pins {
			t.Errorf("%d: %+v", i, got)
		}
	}
}

func TestPlaceOf(t *testing.T) {
	for name, want := range map[string]place{
		"/system/app/A/A.apk":                         {true, true, false, "/system/app/A"},
		"/system/app/A.apk":                           {true, true, false, ""},
		"/system/priv-app/A/A.apk":                    {true, true, true, "/system/priv-app/A"},
		"/system/framework/framework-res.apk":         {true, true, true, ""},
		"/vendor/overlay/A.apk":                       {true, true, false, ""},
		"/vendor/operator/app/A/x.apk":                {true, true, false, "/vendor/operator/app/A"},
		"/product/data-app/A/A.apk":                   {true, false, false, "/product/data-app/A"},
		"/data/app/~~x==/com.a-y==/base.apk":          {true, false, false, "/data/app/~~x==/com.a-y=="},
		"/product/priv-app/G/m/independent/Other.apk": {},
		"/vendor/etc/gallery/A.apk":                   {},
		"/system/media/A.apk":                         {},
	} {
		if got := placeOf(name, 30); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if !placeOf("/system/app/A.apk", 18).privileged {
		t.Error("before API 19 every app on /system is privileged")
	}
}

func TestClassPathProto(t *testing.T) {
	jar := func(path string, kind byte) []byte {
		m := append([]byte{0x0a, byte(len(path))}, path...)
		m = append(m, 0x10, kind)
		return append([]byte{0x0a, byte(len(m))}, m...)
	}
	b := slices.Concat(jar("/system/framework/a.jar", 1), jar("/apex/x/b.jar", 3), jar("relative", 1), jar("/none.jar", 0))
	got := classPathProto(b)
	want := []classPathEntry{{path: "/system/framework/a.jar", boot: true}, {path: "/apex/x/b.jar"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	for i := range b { // cut anywhere it gives what stands before
		classPathProto(b[:i])
	}
}

// lay writes a phone's files into a folder and opens it.
func lay(t testing.TB, files map[string]string) *evidence.Evidence {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(to, p); err != nil {
				t.Skip(err)
			}
			continue
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ev, err := evidence.Open(context.Background(), []string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ev.Close() })
	return ev
}

// app makes an APK of a manifest and other entries, name and content in turn.
func pack(t testing.TB, manifest string, more ...string) string {
	t.Helper()
	entries := []make.Entry{{Name: "AndroidManifest.xml", Data: axml(t, manifest)}}
	for i := 0; i < len(more); i += 2 {
		entries = append(entries, make.Entry{Name: more[i], Data: []byte(more[i+1])})
	}
	b, err := make.Zip(entries)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func smallPhone(t testing.TB) *evidence.Evidence {
	plain := func(name, rest, app string) string {
		return `<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="` + name + `">
			<uses-sdk android:targetSdkVersion="28"/>` + rest + `<application ` + app + `/></manifest>`
	}
	return lay(t, map[string]string{
		"init.rc": "import /init.gone.rc\nimport /init.${ro.hardware}.rc\n" +
			"on boot\n    class_start main\n    start late\n" +
			"service oem /system/bin/oem -x\n    class main\n    user system\n    socket oem stream 0666 root root\n" +
			"service late /system/bin/gone\n    disabled\n",
		"init.chip.rc":                           "service chip /system/bin/oem\n    class main\n    capabilities NET_ADMIN\n",
		"init.environ.rc":                        "on init\n    export BOOTCLASSPATH /system/framework/core.jar:/system/framework/gone.jar\n",
		"sbin/adbd":                              "x",
		"system/build.prop":                      "ro.build.version.sdk=28\nro.product.brand=Oem\nro.product.model=M 1\nro.product.cpu.abi=arm64-v8a\nro.control_privapp_permissions=enforce\n",
		"system/bin/oem":                         "x",
		"system/app/Code/Code.apk":               pack(t, plain("com.oem.code", ``, ``), "classes.dex", "dex one", "classes2.dex", "dex two", "classes4.dex", "not loaded"),
		"system/app/Gone/oat/arm64/Gone.odex":    "x",
		"system/app/NoCode/NoCode.apk":           pack(t, plain("com.oem.nocode", ``, ``)),
		"system/app/Text/Text.apk":               pack(t, plain("com.oem.text", ``, `android:hasCode="false"`)),
		"system/app/Lfs/Lfs.apk":                 "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("0", 64) + "\nsize 1234567\n",
		"system/app/Lfs/oat/arm64/Lfs.odex":      "x",
		"system/app/Bad/Bad.apk":                 "not a zip at all",
		"system/app/Link/Link.apk":               "-> /system/app/Nowhere/Nowhere.apk",
		"system/priv-app/Priv/Priv.apk":          pack(t, plain("com.oem.priv", `<uses-permission android:name="android.permission.REBOOT"/><permission android:name="com.oem.P" android:protectionLevel="signature"/><protected-broadcast android:name="com.oem.DONE"/>`, `android:hasCode="false"`)),
		"system/media/Hidden.apk":                pack(t, plain("com.oem.hidden", `<protected-broadcast android:name="com.oem.HIDDEN"/>`, ``), "classes.dex", "dex"),
		"vendor/overlay/Over.apk":                pack(t, plain("com.oem.over", `<restrict-update android:hash="abcd"/><overlay android:targetPackage="com.android.gone"/>`, `android:hasCode="false"`)),
		"vendor/etc/x":                           "x",
		"system/framework/core.jar":              pack(t, plain("x", ``, ``), "classes.dex", "dex core"),
		"system/framework/lib.jar":               pack(t, plain("x", ``, ``)),
		"system/etc/permissions/lib.xml":         `<permissions><library name="com.oem.lib" file="/system/framework/lib.jar"/><library name="com.oem.gone" file="/system/framework/gone-lib.jar"/></permissions>`,
		"system/etc/permissions/priv.xml":        `<permissions><privapp-permissions package="com.oem.priv"><permission name="android.permission.REBOOT"/></privapp-permissions></permissions>`,
		"system/etc/hosts":                       "127.0.0.1 localhost\n",
		"system/etc/security/cacerts/bad.0":      "no certificate",
		"system/priv-app/Split/base.apk":         pack(t, plain("com.oem.split", ``, ``), "classes.dex", "dex base"),
		"system/priv-app/Split/split_feat.apk":   pack(t, strings.Replace(plain("com.oem.split", ``, ``), `package=`, `split="feat" package=`, 1), "classes.dex", "dex feature"),
		"system/priv-app/Split/lib/arm64/lib.so": "x",
	})
}

func TestSmallPhone(t *testing.T) {
	p := Build(context.Background(), smallPhone(t), nil)
	if p.API != 28 || p.Device.Brand != "Oem" || p.Device.Model != "M 1" {
		t.Errorf("API %d, %+v", p.API, p.Device)
	}
	if k := p.Package("com.oem.over"); k.OnlyUpdate != "abcd" || k.Overlay != "com.android.gone" {
		t.Errorf("overlay %+v", k)
	}
	var got []string
	for _, k := range p.Packages {
		var code []string
		for _, c := range k.Code {
			code = append(code, string(c.Data))
		}
		got = append(got, fmt.Sprintf("%s system %v dormant %v privileged %v code %q gap %v %s %v", k.Name, k.System, k.Dormant, k.Privileged, code, k.CodeGap != nil, k.Signature.Verdict, k.ABIs))
	}
	want := []string{
		`com.oem.code system true dormant false privileged false code ["dex one" "dex two"] gap false none []`,
		`com.oem.hidden system false dormant true privileged false code ["dex"] gap false none []`,
		`com.oem.nocode system true dormant false privileged false code [] gap true none []`,
		`com.oem.over system true dormant false privileged false code [] gap false none []`,
		`com.oem.priv system true dormant false privileged true code [] gap false none []`,
		`com.oem.split system true dormant false privileged true code ["dex base" "dex feature"] gap false none [arm64-v8a]`,
		`com.oem.text system true dormant false privileged false code [] gap false none []`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("packages\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if g := p.Package("com.oem.priv").Granted["android.permission.REBOOT"]; g != GrantPrivileged {
		t.Errorf("REBOOT: %s", g)
	}
	for action, want := range map[string]knowledge.Answer{"com.oem.DONE": knowledge.Yes, "com.oem.HIDDEN": knowledge.No,
		"android.intent.action.BOOT_COMPLETED": knowledge.Yes} {
		if got, by := p.Protected(action); got != want {
			t.Errorf("%s: %v %s", action, got, by)
		}
	}
	var gaps strings.Builder
	for _, c := range p.Coverage {
		fmt.Fprintf(&gaps, "%s %d %d %d\n", c.What, c.Listed, c.Read, c.Failed)
		for _, g := range c.Gaps {
			fmt.Fprintln(&gaps, g)
		}
	}
	for _, want := range []string{
		"Gone.odex: absent: /system/app/Gone/Gone.apk is not in what was given",
		"NoCode.apk: absent: the manifest says that there is code, and /system/app/NoCode/oat/arm64/NoCode.vdex is not",
		"Lfs.apk: absent: a git-LFS pointer stands for the APK",
		"Bad.apk: damaged",
		"it overlays the package com.android.gone",
		"it imports /init.gone.rc",
		"service late runs /system/bin/gone",
		"/system/framework/gone.jar and its code, /system/framework/arm64/boot-gone.vdex, are not",
		"/system/framework/gone-lib.jar is not in what was given",
		"lib.jar: absent: the library has no classes.dex, and /system/framework/oat/arm64/lib.vdex is not",
		"framework-res.apk is not in what was given: AOSP's table for API 28 stands in",
	} {
		if !strings.Contains(gaps.String(), want) {
			t.Errorf("no gap %q", want)
		}
	}
	if strings.Contains(gaps.String(), "/system/app/Lfs/Lfs.apk is not") {
		t.Error("a pointer is told twice")
	}
	// The dangling link is told by the evidence, in other words than a missing APK.
	link := slices.ContainsFunc(p.Evidence.Gaps(), func(g evidence.Gap) bool { return strings.Contains(g.Detail, "a link to /system/app/Nowhere") })
	if !link || !strings.Contains(gaps.String(), "Link.apk: absent: a link to /system/app/Nowhere/Nowhere.apk") || strings.Contains(gaps.String(), "Link.apk: damaged") {
		t.Errorf("the dangling link: %v", p.Evidence.Gaps())
	}
	if t.Failed() {
		t.Log(gaps.String())
	}
	svc := map[string]Service{}
	for _, s := range p.Services {
		svc[s.Name] = s
	}
	if s := svc["oem"]; s.User != "system" || s.Binary == nil || !slices.Equal(s.Start, []string{"class main"}) || len(s.Sockets) != 1 || s.Sockets[0].Perm != 0o666 || !s.AllCaps {
		t.Errorf("%+v", s)
	}
	if s := svc["late"]; s.User != "root" || s.Binary != nil || !slices.Equal(s.Start, []string{"on boot"}) {
		t.Errorf("%+v", s)
	}
	if s := svc["chip"]; s.AllCaps || !slices.Equal(s.Caps, []string{"NET_ADMIN"}) {
		t.Errorf("imported by a property: %+v", s)
	}
	libs := map[string]*Library{}
	for _, l := range p.Libraries {
		libs[l.Name] = l
	}
	if l := libs["core"]; l == nil || !l.Boot || len(l.Code) != 1 || l.Gap != nil {
		t.Errorf("%+v", l)
	}
	if l := libs["com.oem.lib"]; l == nil || l.Boot || l.Gap == nil {
		t.Errorf("%+v", l)
	}
}

// TestDeterministic builds the same phone on one core and on several.
func TestDeterministic(t *testing.T) {
	ev := smallPhone(t)
	dump := func() string {
		p := Build(context.Background(), ev, nil)
		var s strings.Builder
		for _, k := range p.Packages {
			fmt.Fprintln(&s, k.Name, k.Manifest, k.Requested, k.Granted, k.Signature, k.ABIs)
			for _, c := range k.Components {
				fmt.Fprintln(&s, c.Kind, c.Name, c.At, c.Guard, c.Filters)
			}
		}
		fmt.Fprintf(&s, "%+v %+v %+v %+v", p.Coverage, p.Properties, p.Actions, p.PlatformSigner)
		return s.String()
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one := dump()
	runtime.GOMAXPROCS(8)
	for range 5 {
		if got := dump(); got != one {
			t.Fatalf("on 8 cores\n%s\non one\n%s", got, one)
		}
	}
}

// TestLoneApp opens an app that belongs to no phone.
func TestLoneApp(t *testing.T) {
	name := filepath.Join(t.TempDir(), "download")
	app := pack(t, head+`><uses-sdk android:targetSdkVersion="30"/><application><service android:name=".S" android:exported="true" android:permission="nobody.P"/></application></manifest>`, "classes.dex", "dex")
	if err := os.WriteFile(name, []byte(app), 0o644); err != nil {
		t.Fatal(err)
	}
	ev, err := evidence.Open(context.Background(), []string{name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ev.Close()
	p := Build(context.Background(), ev, nil)
	if len(p.Packages) != 1 {
		t.Fatalf("%v", p.Coverage)
	}
	k := p.Packages[0]
	if k.System || k.Dormant || k.Privileged || len(k.Code) != 1 || k.Components[0].Guard.Holds != Unknown {
		t.Errorf("%+v %+v", k, k.Components[0].Guard)
	}
}

// TestStripped takes the code out of a signed app, as makers do who compile it ahead, and then changes another file.
func TestStripped(t *testing.T) {
	manifest := axml(t, head+`><application/></manifest>`)
	entries := []make.Entry{{Name: "AndroidManifest.xml", Data: manifest}, {Name: "classes.dex", Data: []byte("dex")}, {Name: "res/x", Data: []byte("x")}}
	key := make.NewKey("oem")
	for _, c := range []struct {
		change  func(name, data string) (string, bool) // what becomes of an entry of the signed file
		verdict string
	}{
		{func(name, data string) (string, bool) { return data, true }, "verified"},
		{func(name, data string) (string, bool) { return data, name != "classes.dex" }, "stripped"},
		{func(name, data string) (string, bool) { return data, name != "res/x" }, "broken"},
		{func(name, data string) (string, bool) {
			return strings.ReplaceAll(data, "x", "y"), name != "classes.dex"
		}, "broken"},
	} {
		plain, err := make.Zip(entries)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := make.Sign(plain, key, make.V1)
		if err != nil {
			t.Fatal(err)
		}
		z, err := apk.NewZip(strings.NewReader(string(signed)), int64(len(signed)))
		if err != nil {
			t.Fatal(err)
		}
		var kept []make.Entry
		for i := range z.Entries {
			data, err := z.ReadFile(&z.Entries[i], 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := string(data), true; z.Entries[i].Name == "res/x" || z.Entries[i].Name == "classes.dex" {
				if d, ok = c.change(z.Entries[i].Name, d); ok {
					kept = append(kept, make.Entry{Name: z.Entries[i].Name, Data: []byte(d)})
				}
			} else {
				kept = append(kept, make.Entry{Name: z.Entries[i].Name, Data: data})
			}
		}
		app, err := make.Zip(kept)
		if err != nil {
			t.Fatal(err)
		}
		ev := lay(t, map[string]string{"system/build.prop": "ro.build.version.sdk=23\n", "system/app/A/A.apk": string(app), "system/etc/hosts": ""})
		p := Build(context.Background(), ev, nil)
		if got := p.Packages[0].Signature; got.Verdict != c.verdict || len(got.Signers) == 0 && c.verdict != "broken" {
			t.Errorf("%+v, want %s", got, c.verdict)
		}
	}
}

func TestCancelled(t *testing.T) {
	ev := smallPhone(t)
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if p := Build(ctx, ev, nil); p != nil {
		t.Error("a cancelled Build gave a phone")
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(axml(f, head+`><uses-sdk android:targetSdkVersion="28"/><application android:label="x"><provider android:name=".P" android:authorities="a;b" android:permission="p"><path-permission android:path="/" android:permission="q"/></provider><activity-alias android:name="x" android:targetActivity=".P"><intent-filter><action android:name="x"/></intent-filter></activity-alias></application></manifest>`), 28)
	f.Fuzz(func(t *testing.T, b []byte, api int) {
		root, _ := apk.ParseXML(b)
		if root == nil {
			return
		}
		m := readManifest(root, nil, evidence.Ref{}, api)
		for _, g := range m.guards {
			g.to.Permission = g.permission
		}
		for _, c := range m.pkg.Components {
			if c.Name == "" || c.Package != m.pkg {
				t.Errorf("%+v", c)
			}
			c.Class()
		}
		readCleartext(m.pkg, m.cleartext, root, nil, evidence.Ref{}, api)
	})
}

func FuzzClassPathProto(f *testing.F) {
	f.Add([]byte("\x0a\x08\x0a\x04/jar\x10\x01"))
	f.Add(binary.AppendUvarint(nil, 1<<63))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, e := range classPathProto(b) {
			if len(e.path) > len(b) || e.path[0] != '/' {
				t.Errorf("%q", e.path)
			}
		}
	})
}
