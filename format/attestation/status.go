package attestation

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"gifthorse/internal/cursor"
)

// A StatusList is Google's list of attestation keys that are revoked or suspended, as
// https://android.googleapis.com/attestation/status gives it: by the serial number of the certificate, in lower-case hex.
type StatusList map[string]Status

// A Status is an entry of the list.
type Status struct {
	Status  string `json:"status"` // "REVOKED" or "SUSPENDED"
	Reason  string `json:"reason"` // "KEY_COMPROMISE", "CA_COMPROMISE", "SUPERSEDED", "SOFTWARE_FLAW", "UNSPECIFIED", or ""
	Expires string `json:"expires"`
	Comment string `json:"comment"`
}

// maxStatus is the size of a list that is read. Google's has some thousand entries of 100 bytes.
const maxStatus = 64 << 20

// ReadStatus reads a list. The error is a *FormatError.
func ReadStatus(b []byte) (StatusList, error) {
	if len(b) > maxStatus {
		return nil, cursor.Errorf(maxStatus, "%d bytes, more than the list has", len(b))
	}
	var file struct {
		Entries map[string]Status `json:"entries"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, cursor.Errorf(0, "no list of attestation keys: %v", err)
	}
	if file.Entries == nil {
		return nil, cursor.Errorf(0, "no list of attestation keys: it has no entries")
	}
	list := StatusList{}
	for k, s := range file.Entries {
		if s.Status != "REVOKED" && s.Status != "SUSPENDED" {
			return nil, cursor.Errorf(0, "no list of attestation keys: an entry with the status %q", s.Status)
		}
		list[strings.TrimLeft(strings.ToLower(k), "0")] = s
	}
	return list, nil
}

// Of returns the entry of a certificate.
func (l StatusList) Of(c *Certificate) (Status, bool) {
	s, ok := l[c.Serial]
	return s, ok
}

func (s Status) String() string {
	out := strings.ToLower(s.Status)
	if s.Reason != "" {
		out += fmt.Sprintf(" (%s)", strings.ToLower(strings.ReplaceAll(s.Reason, "_", " ")))
	}
	return out
}

var statusHead = regexp.MustCompile(`^\s*\{\s*"entries"\s*:\s*\{(?:\s*\}|\s*"[0-9A-Fa-f]+"\s*:\s*\{\s*"(?:status|reason|expires|comment)")`)

// IsStatus reports whether b, a file or its beginning, looks like such a list.
func IsStatus(b []byte) bool { return statusHead.Match(b[:min(len(b), 4096)]) }
