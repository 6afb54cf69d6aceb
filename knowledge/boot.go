package knowledge

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed boot.tsv
var bootTSV string

type bootFact struct {
	role     string
	versions Versions
}

var bootOnce = sync.OnceValue(func() map[[2]string][]bootFact {
	m := map[[2]string][]bootFact{}
	for _, f := range rows(bootTSV) {
		k := [2]string{f[0], f[1]}
		m[k] = append(m[k], bootFact{f[2], parseVersions(f[3])})
	}
	return m
})

// Boot returns the role that boot.tsv gives a name of a kind ("command", "insmod") in an Android release as a phone states it, or "".
func Boot(kind, name, android string) string {
	for _, f := range bootOnce()[[2]string{kind, name}] {
		if f.versions.Include(android) {
			return f.role
		}
	}
	return ""
}

// BootPlace returns who besides root may by AOSP's file modes put a file at an absolute path: "nobody", "root", "system", "shell",
// "owner NAME" (the app of that name), or "storage PERMISSION"; "" if AOSP has no such place.
func BootPlace(path, android string) string {
	names := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for n := len(names) - 1; n > 0; n-- { // the last name is the file's
		role := Boot("place", "/"+strings.Join(names[:n], "/"), android)
		if role == "" {
			role = Boot("place", "/"+strings.Join(names[:n-1], "/")+"/*", android)
		}
		if role == "owner" {
			role += " " + names[n]
		}
		if role != "" {
			return role
		}
	}
	return ""
}
