package evidence

import (
	"cmp"
	"slices"
)

// A Gap is something that was not seen, and why. A Gap is also the error of a file that cannot be read:
// errors.AsType[Gap] gives all of it, errors.Is(err, Denied) asks for the reason alone.
type Gap struct {
	At     Ref
	Reason Reason
	Detail string
}

func (g Gap) Error() string {
	s := g.At.String() + ": " + g.Reason.String()
	if g.Detail != "" {
		s += ": " + g.Detail
	}
	return s
}

func (g Gap) Unwrap() error { return g.Reason }

// A Reason is one of the ways not to see something.
type Reason uint8

// The reasons there are. Their words are part of the report's form.
const (
	Damaged     Reason = iota + 1 // it is there and contradicts its own format
	Encrypted                     // it is there, and the key is not
	Unsupported                   // it is there, and this version does not read it
	TooLarge                      // it is there, and a budget cut it
	Denied                        // it is there, and reading it was forbidden
	Absent                        // something that is there says that it should be there, and it is not
	CutShort                      // the beginning is there, the end is not
)

func (r Reason) String() string {
	switch r {
	case Damaged:
		return "damaged"
	case Encrypted:
		return "encrypted"
	case Unsupported:
		return "unsupported"
	case TooLarge:
		return "too large"
	case Denied:
		return "denied"
	case Absent:
		return "absent"
	case CutShort:
		return "cut short"
	}
	return "no reason"
}

func (r Reason) Error() string { return r.String() }

func compareGaps(a, b Gap) int {
	return cmp.Or(Compare(a.At, b.At), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Detail, b.Detail))
}

// note adds a gap unless it is known.
func (e *Evidence) note(at Ref, reason Reason, detail string) {
	e.gapMu.Lock()
	defer e.gapMu.Unlock()
	e.gaps[Gap{at, reason, detail}] = struct{}{}
}

// Gaps returns what was not seen so far, in order of address. A file that could not be read when it was
// asked for is among them from then on. The models keep the gaps of what they parse themselves.
func (e *Evidence) Gaps() []Gap {
	e.gapMu.Lock()
	defer e.gapMu.Unlock()
	out := make([]Gap, 0, len(e.gaps))
	for g := range e.gaps {
		out = append(out, g)
	}
	slices.SortFunc(out, compareGaps)
	return out
}
