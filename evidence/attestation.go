package evidence

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"gifthorse/format/attestation"
)

// An Attestation is a chain of certificates in which a phone's hardware vouches for the phone.
type Attestation struct {
	At    Ref // the file that holds the certificate of the attested key
	Chain *attestation.Chain
}

// Attestations returns the chains of key attestation outside of the phone's partitions, in order of address. A file with several
// certificates is a chain by itself; files with one each belong together if they lie in one folder.
func (e *Evidence) Attestations() []Attestation { return e.attestations }

// StatusLists returns the files that hold Google's list of revoked attestation keys, in order of address.
func (e *Evidence) StatusLists() []*File { return e.statuses }

// maxCertificateFiles is how many files of certificates are looked at: a folder of each of ten chains' certificates, and a trust store
// beside them.
const maxCertificateFiles = 1000

// joinAttestations puts the certificates that were found together.
func (o *opener) joinAttestations() {
	slices.SortStableFunc(o.certificates, func(a, b *File) int { return Compare(a.Ref, b.Ref) })
	slices.SortStableFunc(o.e.statuses, func(a, b *File) int { return Compare(a.Ref, b.Ref) })
	if n := len(o.certificates); n > maxCertificateFiles {
		o.e.note(o.certificates[maxCertificateFiles].Ref, TooLarge, fmt.Sprintf("one of %d files of certificates; attestations are looked for in the first %d", n, maxCertificateFiles))
		o.certificates = o.certificates[:maxCertificateFiles]
	}
	at := map[*attestation.Certificate]Ref{}
	add := func(list []*attestation.Certificate) {
		for _, ch := range attestation.Chains(list) {
			o.e.attestations = append(o.e.attestations, Attestation{at[ch.Certificates[0]], ch})
		}
	}
	single := map[string][]*attestation.Certificate{} // by folder
	var folders []string
	for _, f := range o.certificates {
		b, err := f.Data()
		if err != nil {
			continue // a gap by now
		}
		list, err := attestation.Read(b)
		if _, attests := attestation.Sniff(b); err != nil && attests {
			reason := Damaged
			if errors.Is(err, errors.ErrUnsupported) {
				reason = Unsupported
			}
			o.e.note(f.Ref, reason, "key attestation: "+err.Error())
		}
		for _, c := range list {
			at[c] = f.Ref.At("", c.Off)
		}
		if len(list) != 1 {
			add(list)
			continue
		}
		names := f.Ref.Names()
		names[len(names)-1] = path.Dir(names[len(names)-1])
		folder := strings.Join(names, "\x00")
		if single[folder] == nil {
			folders = append(folders, folder)
		}
		single[folder] = append(single[folder], list[0])
	}
	for _, folder := range folders {
		add(single[folder])
	}
	slices.SortStableFunc(o.e.attestations, func(a, b Attestation) int { return Compare(a.At, b.At) })
}

// dumpChain tells a chain, from the attested key to the root.
func dumpChain(ch *attestation.Chain, line func(string)) {
	for i, c := range ch.Certificates {
		line(fmt.Sprintf("certificate %d of %d, at %#x: %s", i+1, len(ch.Certificates), c.Off, c.Subject))
		line("  issued by " + c.Issuer)
		line(fmt.Sprintf("  serial %s, valid %s to %s, key sha256 %x", c.Serial, c.NotBefore.Format("2006-01-02"), c.NotAfter.Format("2006-01-02"), c.KeySHA256))
		if p := c.Provisioning; p != nil {
			line(fmt.Sprintf("  provisioned remotely, %d certificates issued", p.CertificatesIssued))
			for _, k := range p.Keys() {
				line(fmt.Sprintf("    %d = %s", k, p.Others[k]))
			}
		}
		if c.Description != nil {
			for _, l := range c.Description.Lines() {
				line("  " + l)
			}
		} else if c.Problem != nil {
			line("  not read: " + c.Problem.Error())
		}
	}
	if !ch.InOrder {
		line("the certificates did not stand in this order")
	}
	v := ch.Verify(ch.Created())
	for _, p := range v.Problems {
		line("does not verify: " + p.Fault.String() + ": " + p.Detail)
	}
	if len(v.Problems) == 0 {
		line("verifies up to the root " + v.Root.Subject)
	}
}
