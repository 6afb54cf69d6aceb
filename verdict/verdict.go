// Package verdict says what findings and gaps mean for the person who holds the phone.
//
// [Of] is a pure function: findings, coverage and the list of checks go in, four answers and one decision
// come out. Neither the order of the findings nor the number of cores changes them. No score is computed.
//
// # The level of an answer
//
//   - Found: at least one decisive finding, that is one that is proven; for the question whom the phone
//     reports to also one that is undisclosed.
//   - else Signs: at least one that is concealed, undisclosed or weak.
//   - else CannotTell: a check of this question needs a kind of evidence of which nothing was there, or of
//     which a part could not be read; or no check of this version asks the question.
//   - else NothingFound, which means: in what was read.
//
// A lead never moves an answer. What was not seen stands with every level, so that more gaps can make an
// answer less sure and never surer.
//
// # The decision
//
//   - do-not-use, if the answer about backdoors is Found;
//   - else no-official-accounts, if any answer is Found or Signs;
//   - else not-enough-seen, if any answer is CannotTell;
//   - else nothing-against.
//
// Its words are those of package knowledge.
//
// # Two phones
//
// [Compare] says what differs between two lists of things, put into plain words by the caller; a [Difference] is all of it.
// Nothing in it is weighed.
//
// # Not judged
//
// Who put something there and why; whether it was used; what lies behind the limits that knowledge lists.
package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/knowledge"
)

// A Level is how an answer turned out. The words are part of the report's form.
type Level string

// The levels.
const (
	Found        Level = "found"
	Signs        Level = "signs"
	CannotTell   Level = "cannot tell"
	NothingFound Level = "nothing found"
)

// A Verdict is what a scan says about a phone.
type Verdict struct {
	Decision Decision
	Answers  []Answer // in the order of check.Questions
}

// An Answer is the answer to one question.
type Answer struct {
	Question check.Question
	Level    Level
	// Because holds the ids of the findings that speak to the question, without the leads, gravest first.
	Because []string
	// Missing are the kinds of evidence that the question's checks need and that were absent or not read whole.
	Missing []evidence.Kind
	// Unasked is set if no check of this version asks the question.
	Unasked bool
	// Unseen is what was not seen of the kinds of evidence that the question's checks need, by address.
	Unseen []evidence.Gap
}

// A Decision is what to tell the person who holds the phone.
type Decision struct {
	ID      string // one of knowledge.Decisions
	Title   string
	Text    []string // paragraphs, with the reasons filled in
	Next    []string // what to do, in order
	Because []string // ids of the findings that decided, gravest first
}

// Of gives the answers and the decision.
func Of(findings []check.Finding, coverage []evidence.Coverage, checks []*check.Check) Verdict {
	sorted := slices.Clone(findings)
	Sort(sorted)
	var v Verdict
	for _, q := range check.Questions {
		v.Answers = append(v.Answers, answer(q, sorted, coverage, checks))
	}
	v.Decision = decide(v.Answers, sorted)
	return v
}

func answer(q check.Question, sorted []check.Finding, coverage []evidence.Coverage, checks []*check.Check) Answer {
	a := Answer{Question: q, Unasked: true}
	level := NothingFound
	for i := range sorted {
		f := &sorted[i]
		if f.Question != q || f.Grade == check.Lead {
			continue
		}
		if id := f.ID(); !slices.Contains(a.Because, id) {
			a.Because = append(a.Because, id)
		}
		if decisive(f) {
			level = Found
		} else if level != Found {
			level = Signs
		}
	}
	var needs []evidence.Kind
	for _, c := range checks {
		if c.Question == q {
			a.Unasked = false
			needs = append(needs, c.Needs...)
		}
	}
	slices.Sort(needs)
	for _, k := range slices.Compact(needs) {
		whole, named := false, len(a.Unseen)
		for _, c := range coverage {
			if c.What == k {
				a.Unseen = append(a.Unseen, c.Gaps...)
				whole = c.Complete()
				if !whole {
					break
				}
			}
		}
		if whole {
			continue
		}
		a.Missing = append(a.Missing, k)
		if len(a.Unseen) == named { // no gap says why
			a.Unseen = append(a.Unseen, evidence.Gap{Reason: evidence.Absent, Detail: "what was given holds no " + string(k)})
		}
	}
	slices.SortFunc(a.Unseen, func(x, y evidence.Gap) int {
		return cmp.Or(evidence.Compare(x.At, y.At), cmp.Compare(x.Reason, y.Reason), cmp.Compare(x.Detail, y.Detail))
	})
	a.Unseen = slices.Compact(a.Unseen)
	if level == NothingFound && (a.Unasked || len(a.Missing) > 0) {
		level = CannotTell
	}
	a.Level = level
	return a
}

// decisive reports whether f alone makes the answer to its question Found.
func decisive(f *check.Finding) bool {
	return f.Grade == check.Proven || f.Grade == check.Undisclosed && f.Question == check.Reports
}

func decide(answers []Answer, sorted []check.Finding) Decision {
	level := map[check.Question]Level{}
	some := map[Level]bool{}
	for _, a := range answers {
		level[a.Question] = a.Level
		some[a.Level] = true
	}
	id := knowledge.NothingAgainst
	decides := func(*check.Finding) bool { return false }
	switch {
	case level[check.Backdoor] == Found:
		id = knowledge.DoNotUse
		decides = func(f *check.Finding) bool { return f.Question == check.Backdoor && decisive(f) }
	case some[Found]:
		id = knowledge.NoOfficialAccounts
		decides = decisive
	case some[Signs]:
		id = knowledge.NoOfficialAccounts
		decides = func(f *check.Finding) bool { return f.Grade != check.Lead }
	case some[CannotTell]:
		id = knowledge.NotEnoughSeen
	}
	d := Decision{ID: id}
	var reasons []string
	for i := range sorted {
		f := &sorted[i]
		if fid := f.ID(); decides(f) && !slices.Contains(d.Because, fid) {
			d.Because = append(d.Because, fid)
			if !slices.Contains(reasons, f.Text()) {
				reasons = append(reasons, f.Text())
			}
		}
	}
	if id == knowledge.NotEnoughSeen {
		reasons = notSeen(answers)
	}
	words := strings.NewReplacer("{because}", list(reasons))
	advice := knowledge.Advice()[id]
	d.Title = words.Replace(advice.Title)
	for _, t := range advice.Text {
		d.Text = append(d.Text, words.Replace(t))
	}
	for _, n := range advice.Next {
		d.Next = append(d.Next, words.Replace(n))
	}
	return d
}

// notSeen names what the questions lacked that could not be answered.
func notSeen(answers []Answer) []string {
	var out []string
	unasked := 0
	for _, a := range answers {
		if a.Level != CannotTell {
			continue
		}
		if a.Unasked {
			unasked++
		}
		for _, k := range a.Missing {
			out = append(out, string(k))
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	switch {
	case unasked == 1:
		out = append(out, "one question that no check of this version asks")
	case unasked > 1:
		out = append(out, fmt.Sprintf("%d questions that no check of this version asks", unasked))
	}
	return out
}

// maxReasons is how many reasons stand in a sentence; a person keeps three in mind, and the findings follow.
const maxReasons = 3

func list(reasons []string) string {
	if more := len(reasons) - maxReasons; more > 0 {
		reasons = append(slices.Clone(reasons[:maxReasons]), fmt.Sprintf("and %d more", more))
	}
	return strings.Join(reasons, "; ")
}

// Sort orders findings as a report tells them: the gravest grade first, then the question, then who can
// reach it from farthest, then what runs with the powers of a shared account, then by power of the effect, then by check, subject, sentence and id. Equal findings keep an order that depends only on
// where they are.
func Sort(findings []check.Finding) {
	ids := make(map[*check.Finding]string, len(findings))
	order := make([]*check.Finding, len(findings))
	for i := range findings {
		order[i] = &findings[i]
		ids[order[i]] = findings[i].ID()
	}
	slices.SortStableFunc(order, func(a, b *check.Finding) int {
		return cmp.Or(
			place(check.Grades, a.Grade)-place(check.Grades, b.Grade),
			place(check.Questions, a.Question)-place(check.Questions, b.Question),
			place(reaches, a.Reach)-place(reaches, b.Reach),
			asWhom(a)-asWhom(b),
			power(a.Effect)-power(b.Effect),
			cmp.Compare(a.Check, b.Check),
			cmp.Compare(a.Subject, b.Subject),
			cmp.Compare(a.Text(), b.Text()),
			cmp.Compare(ids[a], ids[b]),
			evidence.Compare(a.At, b.At),
			slices.CompareFunc(a.Also, b.Also, evidence.Compare))
	})
	out := make([]check.Finding, len(order))
	for i, f := range order {
		out[i] = *f
	}
	copy(findings, out)
}

// reaches are in the order in which check declares them: from the farthest to the nearest.
var reaches = []check.Reach{check.Network, check.Radio, check.AnyApp, check.PreinstalledApp, check.SameSigner, check.Cable, check.Screen, check.BootOnly}

// asWhom is 0 for a finding in an app that runs as one of the platform's accounts, 1 for others.
func asWhom(f *check.Finding) int {
	if f.Package != nil && strings.HasPrefix(f.Package.SharedUID, "android.uid.") {
		return 0
	}
	return 1
}

// effects are what the words of an effect begin with, from the greatest power over the phone down.
var effects = []string{"run a command", "restart the phone into recovery", "install an app", "load code", "give an app a permission", "remove an app",
	"switch parts", "change a system property", "change a setting"}

func power(effect string) int {
	for i, e := range effects {
		if strings.HasPrefix(effect, e) {
			return i
		}
	}
	return len(effects)
}

// place is where x stands in order; what does not stand there comes last.
func place[T comparable](order []T, x T) int {
	if i := slices.Index(order, x); i >= 0 {
		return i
	}
	return len(order)
}
