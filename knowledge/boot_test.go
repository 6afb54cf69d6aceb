package knowledge

import (
	"slices"
	"strings"
	"testing"
)

func TestBootTable(t *testing.T) {
	prev := ""
	for _, f := range rows(bootTSV) {
		if line := strings.Join(f, "\t"); len(f) != 5 || line <= prev {
			t.Errorf("not five columns, or not sorted: %q", line)
		} else {
			prev = line
		}
		for _, v := range []string{parseVersions(f[3]).First, parseVersions(f[3]).Last} {
			if versions[version(v)] != v {
				t.Errorf("no version %q: %q", v, f)
			}
		}
	}
}

func TestBootPlace(t *testing.T) {
	for _, x := range [][3]string{
		{"/system/bin/sh", "9", "nobody"},
		{"/system", "9", ""},
		{"/x.sh", "9", ""},
		{"/dev/x", "9", ""},
		{"/data/x", "9", "system"},
		{"/data/local/x", "9", "system"},
		{"/data/local/tmp/a/b", "9", "shell"},
		{"/data/data/com.a/files/b", "9", "owner com.a"},
		{"/data/user/0/com.a/files/b", "9", "owner com.a"},
		{"/data/user_de/10/com.a/b", "9", "owner com.a"},
		{"/data/user/0", "9", "system"},
		{"/sdcard/x", "6.0", "storage android.permission.WRITE_EXTERNAL_STORAGE"},
		{"/storage/emulated/0/x", "13", "storage android.permission.MANAGE_EXTERNAL_STORAGE"},
	} {
		if got := BootPlace(x[0], x[1]); got != x[2] {
			t.Errorf("%s in %s: %q, want %q", x[0], x[1], got, x[2])
		}
	}
}

func TestDialerEffects(t *testing.T) {
	prev := ""
	for _, f := range rows(dialerEffectsTSV) {
		if k := Kind(f[0]); len(f) != 2 || f[0] <= prev || k == nil || k.Rank == "" {
			t.Errorf("not two columns, not sorted, or no effect: %q", f)
		}
		prev = f[0]
	}
	if !WeighsBehindCode("run-command") || WeighsBehindCode("write-file") {
		t.Error("the table is not asked")
	}
}

func TestPackages(t *testing.T) {
	prev := ""
	for _, f := range rows(packageShowsTSV) {
		if line := strings.Join(f, "\t"); len(f) != 3 || line <= prev {
			t.Errorf("not three columns, or not sorted: %q", f)
		} else {
			prev = line
		}
	}
	if PackageShows("scheme", "market") != "the screens of a store" || PackageShows("action", "market") != "" {
		t.Error("the table is not asked")
	}
	calls := Calls("install-app")
	if !slices.Contains(calls, Call{"Landroid/content/pm/PackageInstaller$Session;", "commit"}) || slices.Contains(calls, Call{"Ljava/lang/Runtime;", "exec"}) {
		t.Error(calls)
	}
}
