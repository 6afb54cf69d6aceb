package knowledge

import (
	_ "embed"
	"strconv"
	"sync"
)

//go:embed tls.tsv
var tlsTSV string

// A TLSFact says what a member of the platform means for who is let in at the other end of an encrypted connection.
type TLSFact struct {
	Role string // "trust", "names", "page", "default", "factory", "unsafe", "harmless"
	Arg  int    // the argument that the role speaks of; the receiver of an instance call counts as 0
	What string // in words that follow "makes it decide"; of "unsafe" the kind, "trust" or "names"
}

var tlsFacts = sync.OnceValue(func() map[[2]string]TLSFact {
	facts := map[[2]string]TLSFact{}
	for r := range all(tlsTSV) {
		f := TLSFact{Role: r.next()}
		key := [2]string{r.next(), r.next()}
		f.Arg, _ = strconv.Atoi(r.next())
		f.What = r.next()
		facts[key] = f
	}
	return facts
})

// TLS returns what is known of a method or static field of class (a descriptor), or of a class above it.
func TLS(class, member string) (TLSFact, bool) {
	facts := tlsFacts()
	for depth := 0; class != "" && depth < 16; depth++ {
		for _, m := range [2]string{member, "*"} {
			if f, ok := facts[[2]string{class, m}]; ok && (depth == 0 || f.Role != "harmless" || class != "Ljava/lang/Object;") {
				return f, true
			}
		}
		info, _ := Class(class)
		class = info.Super
	}
	return TLSFact{}, false
}
