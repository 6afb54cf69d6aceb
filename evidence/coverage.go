package evidence

// Coverage counts how much of one kind of evidence was read. What was listed and not read stands
// in Gaps, one or more for each that failed. A kind of which nothing was listed at all is absent,
// which is not the same as read and empty.
type Coverage struct {
	What   Kind
	Listed int
	Read   int
	Failed int
	Gaps   []Gap
}

// Kind names a kind of evidence that a check can need. The words are part of the report's form.
type Kind string

// The kinds of evidence there are.
const (
	Properties  Kind = "properties"  // build.prop and its relatives
	Manifests   Kind = "manifests"   // the apps and what they declare
	Signatures  Kind = "signatures"  // who signed the apps
	Code        Kind = "app code"    // Dalvik code of apps and libraries
	Permissions Kind = "permissions" // who declares the permissions that guard
	Init        Kind = "init"        // what starts at boot
	TrustStore  Kind = "trust store" // certificate authorities
	// VerifiedBoot is what the bootloader checks the software against: vbmeta and the images of partitions.
	VerifiedBoot Kind = "verified boot"
	FileModes    Kind = "file modes" // who owns a file, who may run it, and with which rights
	// Policy is what SELinux allows, with the labels of files.
	Policy Kind = "SELinux policy"
	// AttestedFacts are what the phone's secure hardware vouches for, as key attestation that was given along.
	AttestedFacts Kind = "attestation"
)

// Complete reports whether all that was listed was read, and anything was listed.
func (c Coverage) Complete() bool { return c.Listed > 0 && c.Failed == 0 }
