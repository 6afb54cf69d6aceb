package check

import (
	"slices"
	"strconv"
	"strings"

	"gifthorse/phone"
	"gifthorse/program"
)

// OfPath returns what a path says as a finding: who can set it off, what stands in the way, the witness. The
// check adds grade and sentence.
func OfPath(p *program.Path) Finding {
	pkg := p.Entry.Package
	f := Finding{
		Subject: pkg.Name, Package: pkg, Effect: p.Effect.Words, CWE: p.Effect.CWE, Reach: AnyApp, At: p.At, Witness: p.Steps,
		Vouchers:   []Voucher{PhoneItself},
		Disclosure: "no question to the owner was found on the path",
	}
	if p.Data {
		f.Effect = "hand out " + p.Effect.Words
	}
	e := Entry{Component: strings.TrimPrefix(p.Entry.What, "receiver registered in code "), Action: p.Action}
	if c := p.Entry.Component; c != nil {
		e.Component = c.Class()
	}
	for _, in := range p.Steered {
		if in.Name != "" {
			e.Extras = append(e.Extras, in.Name)
		}
	}
	f.Entry = &e
	for _, g := range p.Gates {
		f.Gates = append(f.Gates, Gate{What: g.What, Holds: g.Holds, At: g.At})
		if g.Platform && !slices.Contains(f.Vouchers, PlatformFact) {
			f.Vouchers = append(f.Vouchers, PlatformFact)
		}
	}
	if p.Gesture {
		f.Reach = Screen
	}
	if s := given(p); s != "" {
		f.Witness = append(slices.Clone(p.Steps), program.Step{At: p.At, What: s})
	}
	return f
}

// given says which texts an effect is given that the code fixes.
func given(p *program.Path) string {
	const most, longest = 4, 200 // what is more, or longer, a reader looks up at the address
	var said []string
	for _, t := range p.Fixed {
		if strings.TrimSpace(t) == "" || len(said) == most {
			continue
		}
		s := strconv.Quote(t[:min(len(t), longest)])
		if slices.Contains(p.Composed, t) {
			s += " (it stands nowhere in the code as it is)"
		}
		said = append(said, s)
	}
	if len(said) == 0 {
		return ""
	}
	return "of what it is given, the code fixes: " + strings.Join(said, ", ")
}

// StateOf says whether what a component does by itself is set off by something on the phone as it is, and by what.
func StateOf(pr *program.Program, c *phone.Component) (State, []program.Start) {
	if !c.Enabled {
		return Inactive, nil
	}
	if starts := pr.Starts(c); len(starts) > 0 {
		return Active, starts
	}
	return Present, nil
}

// A Leak is personal data of one app that leaves it by one way, as far as it does so under the same condition.
type Leak struct {
	Finding
	// Asks is set if a value kept on the phone decides, where the owner's answer may lie.
	Asks bool
}

// OfSendings returns what a list of sendings says as findings: one for each app, way and whether something kept on the
// phone decides. The witness is that of each kind of data, one after the other; {app}, {data} and {way} are set. The check adds grade, sentence and whom it concerns.
func OfSendings(pr *program.Program, list []program.Sending, keep func(*program.Sending) bool) (out []Leak) {
	for i := range list {
		s := &list[i]
		if !keep(s) {
			continue
		}
		pkg := s.Entry.Package
		asks := slices.ContainsFunc(s.Gates, func(g program.Gate) bool { return g.Holds != program.GateDoesNotHold })
		at := slices.IndexFunc(out, func(l Leak) bool { return l.Package == pkg && l.Args[2].Value == s.Over.Words && l.Asks == asks })
		if at >= 0 {
			data := &out[at].Args[1]
			if !slices.Contains(strings.Split(data.Value, " and "), s.Data.Words) {
				data.Value += " and " + s.Data.Words
				more := slices.Clone(s.Steps)
				more[0].What = "of " + s.Data.Words + ": " + more[0].What
				out[at].Witness = append(slices.Clone(out[at].Witness), more...)
			}
			out[at].Also = append(out[at].Also, s.At)
			continue
		}
		f := Finding{
			Subject: pkg.Name, Package: pkg, At: s.At, Witness: s.Steps, Vouchers: []Voucher{PhoneItself},
			Entry: &Entry{Component: s.Entry.Component.Class()},
			Args:  []Arg{{Name: "app", Value: pkg.Name}, {Name: "data", Value: s.Data.Words}, {Name: "way", Value: s.Over.Words}},
		}
		f.State, _ = StateOf(pr, s.Entry.Component)
		for _, g := range s.Gates {
			f.Gates = append(f.Gates, Gate{What: g.What, Holds: g.Holds, At: g.At})
		}
		out = append(out, Leak{f, asks})
	}
	return out
}
