package knowledge

import (
	"iter"
	"slices"
	"strings"
)

// caReleases are the releases of AOSP whose CA store was sampled, oldest first; "main" lies between 14 and 15.
var caReleases = []string{"4.4", "5.0", "6.0", "7.0", "8.0", "8.1", "9", "10", "11", "12L", "14", "main", "15", "16"}

// CARelease returns the sampled release that a phone's release ("8.1.0") is, or "" if that one was not sampled.
func CARelease(android string) string {
	for _, r := range caReleases {
		if android == r || strings.HasPrefix(android, r+".") {
			return r
		}
	}
	return ""
}

// Gone reports whether AOSP stopped shipping the certificate before a sampled release: every one that ships it is older.
func (c CAInfo) Gone(release string) bool {
	at := slices.Index(caReleases, release)
	return !slices.ContainsFunc(c.Releases, func(r string) bool { return slices.Index(caReleases, r) >= at })
}

// CAs yields the certificates of AOSP's store in a sampled release by their SHA-256 in hex, but for the few that are known by SHA-1 only.
func CAs(release string) iter.Seq2[string, CAInfo] {
	return func(yield func(string, CAInfo) bool) {
		for r := range all(cacertsTSV) {
			hash := r.next()
			info := CAInfo{list(r.next(), ","), r.next()}
			if len(hash) == 64 && slices.Contains(info.Releases, release) && !yield(hash, info) {
				return
			}
		}
	}
}
