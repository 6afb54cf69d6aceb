package checktest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	assemble "gifthorse/internal/make"
	"gifthorse/phone"
)

const (
	attestationMark = "make: attestation\n"
	// publishedRoot is the seed of the root that stands in for a published one. Its private half is as public as the seed, so no program
	// may trust it: knowledge has the published roots alone, and phone.Build finds this one unknown. The test puts it into the
	// finished model, between Build and the check.
	publishedRoot = "published"
)

// publish makes attestations whose chain ends in publishedRoot what they would be if that were a published root.
func publish(ph *phone.Phone) {
	key := assemble.AttestationRootKey(publishedRoot)
	for _, a := range ph.Attestations {
		if a.RootKeySHA256 == hex.EncodeToString(key[:]) {
			a.Root, a.RootName = "hardware", "a root that is published"
		}
	}
}

// What an attestation says in texts and in numbers, by KeyMint's tags.
var (
	attestedTexts   = map[string]int{"brand": 710, "device": 711, "name": 712, "manufacturer": 716, "model": 717}
	attestedNumbers = map[string]int{"android": 705, "patch": 706, "vendorpatch": 718, "bootpatch": 719}
	attestedName    = regexp.MustCompile(`(?m)^(?:root|brand|device|name|manufacturer|model) .*$`)
)

// attestation makes a chain of certificates of what the lines of a file say.
func (l *layout) attestation(name, text string) ([]byte, error) {
	fresh := func() *assemble.Attestation {
		return &assemble.Attestation{Root: publishedRoot, Version: 200, Level: 1, Locked: true, BootKey: make([]byte, 32), Numbers: map[int]int64{}, Texts: map[int]string{}}
	}
	top := fresh()
	a := top
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(wantInLine.ReplaceAllString(line, "")), " ")
		number, notNumber := strconv.ParseInt(rest, 10, 64)
		var err error
		switch {
		case word == "" || word[0] == '#':
		case word == "root":
			a.Root = rest
		case word == "version":
			a.Version, err = int(number), notNumber
		case word == "level":
			a.Level = slices.Index([]string{"software", "tee", "strongbox"}, rest)
		case word == "purpose":
			a.Purpose, err = int(number), notNumber
		case word == "unlocked":
			a.Locked = false
		case word == "state":
			a.State = slices.Index([]string{"verified", "self-signed", "unverified", "failed"}, rest)
		case word == "bootkey":
			sum := sha256.Sum256(assemble.AVBKey(rest))
			a.BootKey = sum[:]
		case word == "boothash":
			var all []byte
			for f := range strings.FieldsSeq(rest) {
				all = append(all, l.files[path.Join(path.Dir(name), f)]...)
			}
			sum := sha256.Sum256(all)
			a.BootHash = sum[:]
		case word == "made":
			var t time.Time
			t, err = time.Parse("2006-01-02", rest)
			a.Numbers[701] = t.UnixMilli()
		case attestedTexts[word] > 0:
			a.Texts[attestedTexts[word]] = rest
		case attestedNumbers[word] > 0:
			a.Numbers[attestedNumbers[word]], err = number, notNumber
		case word == "spoiled":
			a.Spoiled = true
		case word == "below":
			a.Below = fresh()
			a = a.Below
		default:
			err = fmt.Errorf("an attestation has no %q", word)
		}
		if err != nil || a.Level < 0 || a.State < 0 {
			return nil, fmt.Errorf("%s: not understood (%v)", line, err)
		}
	}
	var b bytes.Buffer
	for _, der := range top.Chain() {
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
