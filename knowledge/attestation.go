package knowledge

import _ "embed"

var (
	//go:embed attestation-roots.tsv
	attestationRootsTSV string
	//go:embed attestation-status.tsv
	attestationStatusTSV string
	//go:embed attested-systems.tsv
	attestedSystemsTSV string
)

// AttestationRoot returns what is known of a root of key attestation by the SHA-256 of its public key in hex: its kind, "hardware" (Google
// vouches for the hardware below it) or "software" (its private half is public), and its name; both "" if it is not published.
func AttestationRoot(keySHA256 string) (kind, name string) {
	r, _ := first(attestationRootsTSV, keySHA256)
	return r.next(), r.next()
}

// AttestationStatus returns why an attestation key is on our copy of Google's list of revoked ones, by the serial number of its certificate in
// hex, and the day of that copy; ok is false if it is not. See [AttestationStatusKnown].
func AttestationStatus(serial string) (status, reason, day string, ok bool) {
	r, ok := first(attestationStatusTSV, serial)
	return r.next(), r.next(), r.next(), ok
}

// AttestationStatusKnown reports whether our copy of Google's list holds anything. While it does not, a key that is not on it says nothing.
func AttestationStatusKnown() bool {
	for range all(attestationStatusTSV) {
		return true
	}
	return false
}

// AttestedSystem returns which system, not the maker's, is signed with a key of Verified Boot, by its SHA-256 in hex, or "".
func AttestedSystem(keySHA256 string) string {
	r, _ := first(attestedSystemsTSV, keySHA256)
	return r.next()
}
