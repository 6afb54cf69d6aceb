// Package attestation reads Android's key attestation: chains of X.509 certificates in which a phone's secure hardware says how the
// phone was started, which system it runs, and what it is.
//
// [Read] takes certificates out of PEM, DER, several of them one behind the other, or a text or JSON that holds PEM or base64.
// [Chains] puts them in order, each from the key that is attested to the root. [Chain.Verify] judges one as Google's verifier does
// (github.com/android/keyattestation) and says which certificate's statements count. Whether the root is anybody's to be trusted is
// not decided here: compare [Certificate.KeySHA256] of the root with a published one. A [StatusList] is Google's list of
// revoked keys.
//
// # The rules
//
// Signatures and names are checked from the last certificate down. The validity of the first certificate, which the phone writes
// itself, is not looked at, nor that of the last, whose key is what is trusted. Of the others none may be not yet valid. They
// may have expired if the chain is one that was put into the phone in the factory, for such keys cannot be changed (provider/
// KeyAttestationCertPathValidator.kt, verifyValidity); a chain is taken for one if the certificate below the root has a serial number
// in its name (KeyAttestationCertPath.kt, isFactoryProvisioned). Neither usages nor basic constraints are asked for: devices get them
// wrong. That a key may not go on and sign others is seen otherwise: only the attestation nearest to the root counts,
// and if a certificate of a provisioning server is there, only one directly below it. Attestations below it are an attacker's, unless
// all above them are of keys that can do nothing but attest (google/android-key-attestation ParsedAttestationRecord.java).
//
// # What devices get wrong
//
// Read all the same: booleans that are 1 and not 0xff, numbers for enumerations, wrong version numbers, tags out of order, lengths
// with bytes to spare. A value that cannot be read is missing and stands in [List].Problems.
//
// # Not read
//
// Attestations as entity attestation tokens (CBOR, 1.3.6.1.4.1.11129.2.1.25): [Certificate].Problem wraps errors.ErrUnsupported. Signatures of
// RSA-PSS and of post-quantum algorithms (a post-quantum key that is attested is no matter). PKCS #7. What a certificate says beside
// names, validity, key and these extensions.
package attestation

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gifthorse/internal/cursor"
)

const (
	// maxInput is the size of a text or DER that is read. A chain has up to 30 KiB.
	maxInput = 4 << 20
	// maxPool is how many certificates are put in order together: some ten chains, or what a folder of single certificates has.
	maxPool = 64
	// maxChain is how long one chain is: five with remote provisioning, and one more for each key that attests.
	maxChain = 16
)

// Read returns the certificates in b, in the order in which they stand there. The error, a *FormatError or one that wraps
// errors.ErrUnsupported, is of the first thing that should be a certificate and is none; what was read beside it is returned too.
func Read(b []byte) ([]*Certificate, error) {
	if len(b) > maxInput {
		return nil, cursor.Errorf(maxInput, "%d bytes, more than any chain has", len(b))
	}
	r := &reader{}
	r.read(b)
	if len(r.list) == 0 && r.err == nil {
		r.err = cursor.Errorf(0, "no certificate in it")
	}
	return r.list, r.err
}

type reader struct {
	list []*Certificate
	err  error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) add(raw []byte, off int64) bool {
	if len(r.list) >= maxPool {
		r.fail(cursor.Errorf(off, "more than %d certificates; the first are read", maxPool))
		return false
	}
	c, err := newCertificate(raw, off)
	if err != nil {
		r.fail(err)
		return true
	}
	r.list = append(r.list, c)
	return true
}

func (r *reader) read(b []byte) {
	if len(b) > 0 && b[0] == 0x30 {
		for d := (&der{b: b}); d.more(); {
			e, err := d.next()
			if err != nil {
				r.fail(err)
				return
			}
			if e.is(0) { // padding behind the last
				return
			}
			if !r.add(e.raw, e.off) {
				return
			}
		}
		return
	}
	if t := bytes.TrimLeft(b, "\ufeff \t\r\n"); len(t) > 0 && (t[0] == '{' || t[0] == '[') {
		// Strings of JSON are taken one by one, for in them a line feed is two characters.
		j := json.NewDecoder(bytes.NewReader(t))
		off := int64(len(b) - len(t))
		for {
			tok, err := j.Token()
			if err != nil {
				return
			}
			if s, ok := tok.(string); ok && !r.text(s, off+j.InputOffset()-int64(len(s)), false) {
				return
			}
		}
	}
	r.text(string(b), 0, true)
}

// first is how the base64 of each DER of 256 to 65535 bytes begins.
const first = "MII"

func isBase64(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_'
}

// text takes the certificates out of a text, and returns false if there is no room for more. at is where the text stands; in a string of
// JSON the places inside are not known.
func (r *reader) text(s string, at int64, places bool) (room bool) {
	room = true
	scan(s, func(raw []byte, off int, err error) bool {
		where := at
		if places {
			where += int64(off)
		}
		if err != nil {
			r.fail(cursor.Errorf(where, "a certificate in base64: %v", err))
		} else {
			room = r.add(raw, where)
		}
		return room
	})
	return room
}

var errCut = errors.New("it is cut short")

// scan finds what may be certificates in base64, with or without the lines around them that PEM has. With an error raw is what came
// before it.
func scan(s string, each func(raw []byte, off int, err error) bool) {
	want, start := 0, 0 // characters of the certificate that is being gathered
	var got []byte
	cut := func() bool {
		if want == 0 {
			return true
		}
		raw, _ := decode(string(got[:len(got)&^3]))
		want = 0
		return each(raw, start, errCut)
	}
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "-----"):
			if !cut() {
				return
			}
			label, isBegin := strings.CutPrefix(s[i:min(len(s), i+64)], "-----BEGIN ")
			label, _, _ = strings.Cut(label, "-----")
			if end := strings.Index(s[i:], "-----END "); isBegin && !strings.Contains(label, "CERTIFICATE") && end > 0 { // a key
				i += end
			}
			i += len("-----")
			continue
		case s[i] == '\\' && i+1 < len(s) && s[i+1] != '/': // an escaped line feed: its letter is no base64
			i += 2
			continue
		case !isBase64(s[i]):
			i++
			continue
		}
		j := i
		for j < len(s) && isBase64(s[j]) && !strings.HasPrefix(s[j:], "-----") {
			j++
		}
		word, off := s[i:j], i
		i = j
		if want == 0 {
			if !strings.HasPrefix(word, first) || len(word) < 6 {
				continue
			}
			head, err := decode(word[:6])
			if err != nil || len(head) < 4 {
				continue
			}
			want, got, start = base64.RawStdEncoding.EncodedLen(4+int(head[2])<<8+int(head[3])), nil, off
		}
		if got = append(got, word...); len(got) < want {
			continue
		}
		raw, err := decode(string(got[:want]))
		want = 0
		if !each(raw, start, err) {
			return
		}
	}
	cut()
}

// decode reads base64 in either alphabet, without padding.
func decode(s string) ([]byte, error) {
	enc := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		enc = base64.RawURLEncoding
	}
	return enc.DecodeString(s)
}

// Sniff reports whether b, a file or its beginning, holds certificates, and whether one of them attests to a key, as far as b
// shows it.
func Sniff(b []byte) (certificate, attests bool) {
	marks := func(der []byte) bool {
		return bytes.Contains(der, append([]byte{tagOID, byte(len(oidAttestation))}, oidAttestation...)) ||
			bytes.Contains(der, append([]byte{tagOID, byte(len(oidEAT))}, oidEAT...))
	}
	begins := func(der []byte) bool { // a certificate: two sequences, and its version or a serial number
		if len(der) < 12 || der[0] != 0x30 || der[1] != 0x82 || der[4] != 0x30 || der[5] != 0x82 && der[5] != 0x81 {
			return false
		}
		inner := der[4+int(der[5]&127)+2:]
		return inner[0] == 0xa0 && inner[1] == 3 || inner[0] == tagInteger
	}
	if begins(b) {
		return true, marks(b)
	}
	const most = 64 << 10 // a text that has no certificate in so much is no chain
	b = b[:min(len(b), most)]
	if !bytes.Contains(b, []byte(first)) {
		return false, false
	}
	scan(string(b), func(raw []byte, _ int, _ error) bool {
		if begins(raw) {
			certificate = true
			attests = attests || marks(raw)
		}
		return !attests
	})
	return certificate, attests
}

// A Chain is a row of certificates, each signed by the next.
type Chain struct {
	Certificates []*Certificate // the key that is attested to first, the root last
	InOrder      bool           // they stood in this order, one behind the other
}

// Chains puts certificates in order and returns the chains that attest to a key, or would if the extension could be read. Certificates that
// belong to none are left out.
func Chains(list []*Certificate) (out []*Chain) {
	list = list[:min(len(list), maxPool)]
	// Checking all against all could cost a minute with keys made for it.
	checks := 500
	signs := func(parent, c *Certificate) bool {
		checks--
		return checks > 0 && c.signedBy(parent) == nil
	}
	// parents are those that a certificate names as its issuer: the one behind it first, so that of equals the nearest counts.
	parents := make([][]int, len(list))
	for i, c := range list {
		for k := range len(list) - 1 {
			if j := (i + 1 + k) % len(list); c.issuedByName(list[j]) {
				parents[i] = append(parents[i], j)
			}
		}
	}
	// parent picks the one that signed, if the name leaves that open; if none did, the first, so that the fault shows.
	parent := func(i int, used map[int]bool) int {
		fits := slices.DeleteFunc(slices.Clone(parents[i]), func(j int) bool { return used[j] })
		if len(fits) > 1 {
			if j := slices.IndexFunc(fits, func(j int) bool { return signs(list[j], list[i]) }); j >= 0 {
				return fits[j]
			}
		}
		return append(fits, -1)[0]
	}
	selfSigned := func(i int) bool {
		return list[i].issuedByName(list[i]) && (len(parents[i]) == 0 || signs(list[i], list[i]))
	}
	signsOthers := map[int]bool{}
	for i := range list {
		if !selfSigned(i) {
			signsOthers[parent(i, nil)] = true
		}
	}
	for i, c := range list {
		if signsOthers[i] {
			continue
		}
		ch := &Chain{Certificates: []*Certificate{c}, InOrder: true}
		used := map[int]bool{i: true}
		for at := i; len(ch.Certificates) < maxChain && !selfSigned(at); {
			next := parent(at, used)
			if next < 0 {
				break
			}
			ch.InOrder = ch.InOrder && next == at+1
			at, used[next] = next, true
			ch.Certificates = append(ch.Certificates, list[at])
		}
		if slices.ContainsFunc(ch.Certificates, func(c *Certificate) bool { return c.extended }) {
			out = append(out, ch)
		}
	}
	return out
}

// A Fault is a way in which a chain can fail.
type Fault uint8

// The faults.
const (
	BadSignature Fault = iota + 1 // a signature does not fit the key above it
	NotChecked                    // a signature of a kind that is not read
	NoRoot                        // the last certificate is not its own issuer
	NotYetValid                   // a certificate was not yet valid
	Expired                       // a certificate had expired, and is of a kind that may not
	Extended                      // attestations that somebody added below the phone's
	Unreadable                    // the attestation that counts could not be read
)

func (f Fault) String() string {
	return [...]string{"", "a signature does not fit", "a signature was not checked", "no root", "not yet valid", "expired", "extended", "not readable"}[f]
}

// A Problem is a fault of one certificate.
type Problem struct {
	Fault       Fault
	Certificate *Certificate
	Detail      string
}

// A Verdict says what a chain is worth if its root is.
type Verdict struct {
	Problems []Problem // empty if Google's verifier would find no fault, from the root down
	Root     *Certificate
	// Attested is the certificate whose attestation counts, the nearest to the root; nil if there is none.
	Attested *Certificate
	// Provisioned says how the key came into the phone: "factory", "remote", or "" if the chain does not say.
	Provisioned string
	// From and To bound when all certificates that are asked were valid. From may be after To in a chain from the factory.
	From, To time.Time
}

// Created returns when the first key was made by the phone's own clock, or the zero time. It is the only time that a chain itself
// gives, and the phone may have made it up.
func (ch *Chain) Created() time.Time {
	if x := ch.Certificates[0].Description; x != nil {
		return x.Created()
	}
	return time.Time{}
}

// Verify judges the chain as of a time, by the rules of the package's documentation. With the zero time validity is not asked for.
func (ch *Chain) Verify(at time.Time) Verdict {
	certs := ch.Certificates
	v := Verdict{Root: certs[len(certs)-1]}
	problem := func(f Fault, c *Certificate, format string, args ...any) {
		v.Problems = append(v.Problems, Problem{f, c, fmt.Sprintf(format, args...)})
	}
	if below := certs[max(0, len(certs)-2)]; len(certs) > 1 && below.serialName != "" {
		v.Provisioned = "factory"
	} else if len(certs) > 4 && certs[len(certs)-4].Provisioning != nil {
		v.Provisioned = "remote"
	}
	if len(certs) == 1 {
		problem(NoRoot, v.Root, "a certificate alone, which nobody vouches for")
	} else if !v.Root.issuedByName(v.Root) {
		problem(NoRoot, v.Root, "the chain ends in a certificate that %s signed, which is not here", v.Root.Issuer)
	}
	for i := len(certs) - 2; i >= 0; i-- {
		c := certs[i]
		switch err := c.signedBy(certs[i+1]); {
		case errors.Is(err, errors.ErrUnsupported):
			problem(NotChecked, c, "%v", err)
		case err != nil:
			problem(BadSignature, c, "the certificate of %s does not carry the signature of %s: %v", c.Subject, certs[i+1].Subject, err)
		}
		if i == 0 {
			break
		}
		if c.NotBefore.After(v.From) {
			v.From = c.NotBefore
		}
		if v.To.IsZero() || c.NotAfter.Before(v.To) {
			v.To = c.NotAfter
		}
		switch {
		case at.IsZero():
		case at.Before(c.NotBefore):
			problem(NotYetValid, c, "the certificate of %s is valid from %s on", c.Subject, c.NotBefore.Format(time.RFC3339))
		case at.After(c.NotAfter) && v.Provisioned != "factory":
			problem(Expired, c, "the certificate of %s was valid until %s", c.Subject, c.NotAfter.Format(time.RFC3339))
		}
	}
	counts := len(certs) - 2 // nobody signed the root: what it says of itself is nothing
	for counts >= 0 && !certs[counts].extended {
		counts--
	}
	if counts < 0 {
		problem(Unreadable, certs[0], "no certificate below the root attests to a key")
		return v
	}
	// Keys that may only attest hand their word on.
	for counts > 0 && certs[counts-1].extended && certs[counts].Description != nil && certs[counts].Description.attestsOnly() {
		counts--
	}
	v.Attested = certs[counts]
	if counts > 0 {
		problem(Extended, certs[counts-1], "below the attested key %d more certificates were signed; what they say counts for nothing", counts)
	}
	for i := len(certs) - 1; i > 0; i-- {
		if certs[i].Provisioning != nil {
			if !certs[i-1].extended {
				problem(Extended, certs[i-1], "the certificate below the provisioned one has no attestation")
			}
			break
		}
	}
	if v.Attested.Description == nil {
		problem(Unreadable, v.Attested, "%v", v.Attested.Problem)
	}
	return v
}
