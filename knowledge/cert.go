package knowledge

import "strings"

// SigningKeyInfo describes a signing key whose private half is public.
type SigningKeyInfo struct {
	CertSHA256 string // of the certificate (DER), hex
	KeySHA256  string // of its SubjectPublicKeyInfo (DER), hex
	Role       string // what AOSP uses it for: "testkey", "platform", "shared", "media", ...
	What       string // in words
	Origin     string // where the certificate was read
	Verified   string // how the row was checked
}

// SigningKey returns what is known of a public signing key, by the SHA-256 of its certificate in hex. Keys known only by a hash
// that somebody published are not in the table. AOSP's own test packages (CtsShim) are signed with its test key on every phone.
func SigningKey(certSHA256 string) (SigningKeyInfo, bool) {
	key := strings.ToLower(certSHA256)
	r, ok := first(keysTSV, key)
	if !ok {
		return SigningKeyInfo{}, false
	}
	return SigningKeyInfo{key, r.next(), r.next(), r.next(), r.next(), r.next()}, true
}

// CAInfo describes a certificate of AOSP's system CA store.
type CAInfo struct {
	// Releases are the sampled releases of AOSP that ship it: "4.4" to "16", and "main" for the state between 14 and 15. 5.1, 7.1,
	// 12 and 13 were not sampled: that one of them is missing says nothing.
	Releases []string
	Subject  string // RFC 2253; "" if only the hash is known
}

// CA returns a certificate of AOSP's system CA store by the SHA-256 of its DER form in hex. Some certificates of Android 4.4 and 5.0
// are known by SHA-1 only: ask again with it (40 digits) if the first answer is no. False is "not in AOSP's store in a sampled
// release", not "bad".
func CA(certHash string) (CAInfo, bool) {
	r, ok := first(cacertsTSV, strings.ToLower(certHash))
	if !ok {
		return CAInfo{}, false
	}
	info := CAInfo{list(r.next(), ","), r.next()}
	if info.Subject == "-" {
		info.Subject = ""
	}
	return info, true
}
