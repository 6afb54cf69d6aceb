package prop

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

const sysconfigText = `<?xml version="1.0" encoding="iso-8859-1"?>
<!-- comment -->
<permissions>
    <group gid="everybody"/>
    <permission name="android.permission.INTERNET"><group gid="inet"/><group gid="x"/></permission>
    <assign-permission name="android.permission.READ_LOGS" uid="shell"/>
    <library name="lib" file="/system/framework/lib.jar"/>
    <feature name="f" version="2"/><feature name="g"/>
    <unavailable-feature name="h"/>
    <privapp-permissions package="com.a">
        <permission name="p1"/>
        <deny-permission name="p2"/>
        <surprise/>
    </privapp-permissions>
    <split-permission name="old" targetSdk="29"><new-permission name="new"/></split-permission>
    <allow-in-power-save package="com.b"/>
    <hidden-api-whitelisted-app package="com.c"/>
    <backup-transport-whitelisted-service service="com.d/.T"/>
    <install-in-user-type package="com.e"><install-in user-type="FULL"/><do-not-install-in user-type="X"/></install-in-user-type>
    <component-override package="com.f"><component class=".C" enabled="false"/></component-override>
    <unheard-of package="x"><nested/></unheard-of>
    <unheard-of/>
    <library name="nofile"/>
</permissions>
`

func TestParseSysconfig(t *testing.T) {
	s, err := ParseSysconfig([]byte(sysconfigText))
	if err != nil {
		t.Fatal(err)
	}
	want := &Sysconfig{
		Root:                "permissions",
		GlobalGids:          []Named{{"everybody", 4}},
		Permissions:         []GidMapping{{"android.permission.INTERNET", []string{"inet", "x"}, 5}},
		AssignPermissions:   []AssignPermission{{"android.permission.READ_LOGS", "shell", 6}},
		Libraries:           []Library{{"lib", "/system/framework/lib.jar", 7}},
		Features:            []Feature{{"f", 2, 8}, {"g", 0, 8}},
		UnavailableFeatures: []Named{{"h", 9}},
		PrivappPermissions:  []PrivappPermissions{{"com.a", []string{"p1"}, []string{"p2"}, 10}},
		SplitPermissions:    []SplitPermission{{"old", []string{"new"}, 29, 15}},
		AllowInPowerSave:    []Named{{"com.b", 16}},
		HiddenAPIPackages:   []Named{{"com.c", 17}},
		BackupTransports:    []Named{{"com.d/.T", 18}},
		InstallInUserType:   []InstallInUserType{{"com.e", []string{"FULL"}, []string{"X"}, 19}},
		ComponentOverrides:  []ComponentOverride{{"com.f", "com.f.C", false, 20}},
		Other:               map[string]int{"privapp-permissions/surprise": 1, "unheard-of": 2},
		Problems:            []Problem{{23, "<library> without file: the phone ignores it"}},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got\n%+v, want\n%+v", s, want)
	}
}

func TestDefaultPermissions(t *testing.T) {
	s, err := ParseSysconfig([]byte(`<exceptions>
<exception package="com.a" sha256-cert-digest="AA:BB">
<permission name="p" fixed="true"/><permission name="q" fixed="false" whitelisted="TRUE"/></exception></exceptions>`))
	want := []DefaultGrant{{"com.a", "AA:BB", []DefaultPermission{{"p", true, false}, {"q", false, true}}, 2}}
	if err != nil || !reflect.DeepEqual(s.DefaultPermissionGrants, want) || len(s.Other) != 0 {
		t.Errorf("%v %+v", err, s)
	}
}

func TestMalformedXML(t *testing.T) {
	for _, c := range []struct {
		name, text string
		read       int // features read
		fails      bool
		line       int // of the problem, 0 for none
	}{
		{"well-formed", `<permissions><feature name="a"/></permissions>`, 1, false, 0},
		{"byte order mark", "\xef\xbb\xbf" + `<permissions><feature name="a"/></permissions>`, 1, false, 0},
		{"bad UTF-8", "<permissions>\xff<feature name=\"a\xff\"/></permissions>", 1, false, 0},
		{"control characters", "<permissions>\x01<feature name=\"a\x02\"/></permissions>", 1, false, 0},
		{"cut short", "<permissions>\n<feature name='a'/>\n<feature na", 1, true, 3},
		{"bare ampersand", "<permissions>\n<feature name='a&b'/><feature name='c'/></permissions>", 2, false, 2},
		{"unclosed inner", "<permissions>\n<feature name='a'>\n</permissions>", 1, false, 3},
		{"own entities", "<!DOCTYPE x [<!ENTITY e 'v'>]>\n<permissions><feature name='&e;'/></permissions>", 1, false, 1},
		{"empty", "", 0, true, 0},
		{"text only", "hello", 0, true, 0},
		{"deep", "<permissions><feature name='a'/>" + strings.Repeat("<x>", 1000), 1, true, 0},
		{"many", "<permissions><feature name='a'/>" + strings.Repeat("<x/>", maxXMLElements), 1, true, 0},
		{"other root", "<resources><feature name='a'/></resources>", 1, true, 0},
	} {
		s, err := ParseSysconfig([]byte(c.text))
		if len(s.Features) != c.read || (err != nil) != c.fails {
			t.Errorf("%s: %d features, %v", c.name, len(s.Features), err)
		}
		var fe *FormatError
		if err != nil && !errors.As(err, &fe) {
			t.Errorf("%s: %T is no FormatError", c.name, err)
		}
		if line := firstLine(s.Problems); line != c.line {
			t.Errorf("%s: problems %v, want line %d", c.name, s.Problems, c.line)
		}
	}
	if _, err := ParseSysconfig([]byte("ABX\x00\x10")); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("binary XML: %v", err)
	}
}

func firstLine(ps []Problem) int {
	if len(ps) == 0 {
		return 0
	}
	return ps[0].Line
}

func TestParseMACPermissions(t *testing.T) {
	der := hex.EncodeToString([]byte("cert"))
	m, err := ParseMACPermissions([]byte(`<policy>
<signer signature="` + der + `"><seinfo value="platform"/>
  <package name="com.a"><seinfo value="special"/></package></signer>
<signer><cert signature="@TAG"/><cert signature="` + der + `"/><seinfo value="two"/></signer>
<default><seinfo value="default"/></default>
<what/>
</policy>`))
	if err != nil || len(m.Signers) != 2 || m.Default != "default" || firstLine(m.Problems) != 6 {
		t.Fatalf("%v %+v", err, m)
	}
	s := m.Signers[0]
	if string(s.Certs[0]) != "cert" || s.Seinfo != "platform" || s.Line != 2 ||
		!reflect.DeepEqual(s.Packages, []MACPackage{{"com.a", "special", 3}}) {
		t.Errorf("%+v", s)
	}
	if s := m.Signers[1]; string(s.Certs[0]) != "@TAG" || len(s.SHA256) != 2 || s.Seinfo != "two" {
		t.Errorf("%+v", s)
	}
}

func TestParseSeappContexts(t *testing.T) {
	s := ParseSeappContexts([]byte("# c\nisSystemServer=true domain=system_server\n" +
		"user=_app SEINFO=platform name=com.a.* isPrivApp=true minTargetSdkVersion=28 domain=d type=t levelFrom=all\n" +
		"neverallow user=shell domain=x\nuser=_app odd=1 lone\n"))
	want := []SeappRule{
		{IsSystemServer: "true", Domain: "system_server", Line: 2},
		{User: "_app", Seinfo: "platform", Name: "com.a.*", IsPrivApp: "true", MinTargetSDK: 28, Domain: "d", Type: "t", LevelFrom: "all", Line: 3},
		{User: "shell", Domain: "x", Neverallow: true, Line: 4},
		{User: "_app", Other: map[string]string{"odd": "1"}, Line: 5},
	}
	if !reflect.DeepEqual(s.Rules, want) || len(s.Problems) != 2 {
		t.Errorf("got\n%+v\n%v", s.Rules, s.Problems)
	}
}

func FuzzXML(f *testing.F) {
	f.Add([]byte(sysconfigText))
	f.Add([]byte("<policy><signer signature='30'><seinfo value='a'/><x></signer></policy>"))
	f.Add([]byte("<exceptions><exception package='a'><permission name='&amp;&x;'/>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSysconfig(b)
		if s == nil || s.Other == nil || err == nil && s.Root == "" {
			t.Fatalf("%v %v", s, err)
		}
		ParseMACPermissions(b)
		ParseSeappContexts(b)
	})
}

func BenchmarkSysconfig(b *testing.B) {
	text := []byte("<permissions>" + strings.Repeat(`<privapp-permissions package="com.a"><permission name="p1"/></privapp-permissions>`, 500) + "</permissions>")
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseSysconfig(text); err != nil {
			b.Fatal(err)
		}
	}
}
