package knowledge

import (
	_ "embed"
	"sync"
)

//go:embed concealment.tsv
var concealmentTSV string

var concealments = sync.OnceValue(func() [][]string { return rows(concealmentTSV) })

// VerifierSetting returns, in words, what is switched off when a setting of this name is set to 0; "" if that is no such setting.
func VerifierSetting(name string) string {
	for _, f := range concealments() {
		if f[0] == "verifier" && f[1] == name {
			return f[3]
		}
	}
	return ""
}

// ListOfApps returns the interface (a descriptor) whose method of this name hands out a list of apps, and what list it is; "" if it is none.
func ListOfApps(method string) (class, what string) {
	for _, f := range concealments() {
		if f[0] == "list" && f[2] == method {
			return f[1], f[3]
		}
	}
	return "", ""
}
