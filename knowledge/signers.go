package knowledge

import (
	_ "embed"
	"strings"
)

var (
	//go:embed app-signers.tsv
	appSignersTSV string
	//go:embed cleartext-by-design.tsv
	cleartextTSV string
)

// Publisher returns whose name a package carries, and whether a certificate (its SHA-256 in hex) is known to be that publisher's.
// publisher is "" if the name is nobody's in the table. A certificate that is not known may be the publisher's all the same.
func Publisher(pkg, certSHA256 string) (publisher string, known bool) {
	for r := range all(appSignersTSV) {
		name, cert, who := r.next(), r.next(), r.next()
		if name != pkg && !(strings.HasSuffix(name, ".") && strings.HasPrefix(pkg, name)) {
			continue
		}
		publisher, known = who, known || cert == strings.ToLower(certSHA256)
	}
	return publisher, known
}

// CleartextByDesign returns why AOSP's app of a package name, or those of a shared uid, declare that they use clear text, or false if they do not.
func CleartextByDesign(name string) (why string, ok bool) {
	r, ok := first(cleartextTSV, name)
	r.next()
	return r.next(), ok
}
