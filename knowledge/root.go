package knowledge

import (
	_ "embed"
	"strings"
)

var (
	//go:embed root-tools.tsv
	rootTSV string
	//go:embed sockets.tsv
	socketsTSV string
)

// RootTool returns what a name of a kind ("capability", "debug", "permission", "su") is, or "". A name of the kinds debug and su is a path.
func RootTool(kind, name string) string {
	for r := range find(rootTSV, kind) {
		pattern := r.next()
		if prefix, ok := strings.CutSuffix(pattern, "*"); pattern == name || ok && strings.HasPrefix(name, prefix) {
			return r.next()
		}
	}
	return ""
}

// OpenSocket reports whether AOSP lets any app reach a socket of this name in an Android release as a phone states it.
func OpenSocket(name, android string) bool {
	for r := range all(socketsTSV) {
		pattern := r.next()
		if prefix, ok := strings.CutSuffix(pattern, "*"); (pattern == name || ok && strings.HasPrefix(name, prefix)) && parseVersions(r.next()).Include(android) {
			return true
		}
	}
	return false
}
