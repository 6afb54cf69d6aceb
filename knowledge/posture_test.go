package knowledge

import "testing"

func TestPostures(t *testing.T) {
	prev := ""
	for r := range all(postureTSV) {
		if string(r) <= prev {
			t.Errorf("not sorted at %q", r)
		}
		prev = string(r)
	}
	meaning := func(property, value string) string {
		for _, p := range Postures() {
			if w, ok := p.Match(value); ok && p.Property == property {
				return p.ID + " " + w
			}
		}
		return ""
	}
	for _, c := range []struct{ property, value, want string }{
		{"ro.build.tags", "test-keys,nightly", "build-unreleased test-keys"},
		{"ro.build.tags", "release-keys", ""},
		{"persist.sys.usb.config", "mtp,adb", "adb-on adb"},
		{"persist.sys.usb.config", "mtp", ""},
		{"service.adb.tcp.port", "5555", "adb-tcp 5555"},
		{"service.adb.tcp.port", "-1", ""},
		{"service.adb.tcp.port", "70000", ""},
		{"ro.secure", "1", ""},
		{"ro.secure", "", ""},
		{"ro.debuggable", "1", "build-debuggable 1"},
	} {
		if got := meaning(c.property, c.value); got != c.want {
			t.Errorf("%s=%s means %q, want %q", c.property, c.value, got, c.want)
		}
	}
}

func TestPublisher(t *testing.T) {
	const google = "F0FD6C5B410F25CB25C3B53346C8972FAE30F8EE7411DF910480AD6B2D60DB83"
	for _, c := range []struct {
		pkg, cert, publisher string
		known                bool
	}{
		{"com.google.android.gms", google, "Google", true},
		{"com.google.android.gms", "00", "Google", false},
		{"com.googlemail", google, "", false},
		{"com.whatsapp", google, "WhatsApp", false},
		{"com.whatsapp.w4b", google, "", false},
	} {
		if p, k := Publisher(c.pkg, c.cert); p != c.publisher || k != c.known {
			t.Errorf("Publisher(%s, %s) = %s, %v", c.pkg, c.cert, p, k)
		}
	}
	prev := ""
	for r := range all(appSignersTSV) {
		line := string(r)
		r.next()
		if cert := r.next(); line <= prev || len(cert) != 64 {
			t.Errorf("not sorted, or no SHA-256: %q", line)
		}
		prev = line
	}
}

func TestCleartextByDesign(t *testing.T) {
	prev := ""
	for r := range all(cleartextTSV) {
		if string(r) <= prev {
			t.Errorf("not sorted at %q", r)
		}
		prev = string(r)
		if why, ok := CleartextByDesign(r.next()); !ok || why == "" {
			t.Errorf("%s: %q, %v", prev, why, ok)
		}
	}
	if _, ok := CleartextByDesign("android.uid.system"); ok {
		t.Error("android.uid.system")
	}
}
