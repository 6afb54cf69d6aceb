package knowledge

import (
	_ "embed"
	"iter"
)

//go:embed avb.tsv
var avbTSV string

// PublicAVBKey returns the name of a key for Verified Boot whose private half is public, by the SHA-256 of its encoding in hex, or "".
func PublicAVBKey(sha256 string) string {
	for r := range find(avbTSV, "key") {
		if r.next() == sha256 {
			return r.next()
		}
	}
	return ""
}

// VerifiedPartitions yields the partitions of AOSP whose contents run and which Verified Boot means to check, with what they hold.
func VerifiedPartitions() iter.Seq2[string, string] {
	return func(yield func(name, holds string) bool) {
		for r := range find(avbTSV, "partition") {
			if !yield(r.next(), r.next()) {
				return
			}
		}
	}
}
