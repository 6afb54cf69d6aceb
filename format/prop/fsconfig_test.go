package prop

import (
	"reflect"
	"testing"
)

func TestParseFSConfig(t *testing.T) {
	got := ParseFSConfig([]byte("system/bin/run-as 0 2000 750 selabel=u:object_r:runas_exec:s0 capabilities=0xc0\n\n# x\n/vendor/a b 1000 1000 06755\nsystem/bin/sh 0 2000 0755 capabilities=0x0 toybox\n"))
	want := []FileConfig{{"/system/bin/run-as", 0, 2000, 0o750, 0xc0, "u:object_r:runas_exec:s0", 1}, {"/vendor/a b", 1000, 1000, 0o6755, 0, "", 4}, {"/system/bin/sh", 0, 2000, 0o755, 0, "", 5}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	for _, other := range []string{"/system/bin/sh u:object_r:shell_exec:s0\n", "a b c d\n", "a 0 0\n", "a 0 0 9\n", "a 0 0 77777\n", ""} {
		if got := ParseFSConfig([]byte(other)); got != nil {
			t.Errorf("%q: %+v", other, got)
		}
	}
}

func FuzzParseFSConfig(f *testing.F) {
	f.Add([]byte("system/bin/run-as 0 2000 750 capabilities=0xc0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range ParseFSConfig(b) {
			if c.Path[0] != '/' || c.UID < 0 || c.GID < 0 || c.Mode > 0o7777 || c.Line < 1 {
				t.Errorf("%+v", c)
			}
		}
	})
}
