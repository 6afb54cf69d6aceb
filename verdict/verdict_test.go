package verdict

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/knowledge"
)

// checkFor is a check of one question that needs some kinds of evidence.
func checkFor(q check.Question, needs ...evidence.Kind) *check.Check {
	return &check.Check{Name: "test" + string(q), Question: q, Needs: needs, Messages: map[string]string{"m": "{who} can do something"}}
}

func found(q check.Question, g check.Grade, who string) check.Finding {
	var out check.Finding
	check.NewPass(context.Background(), checkFor(q), nil, nil, func(f check.Finding) { out = f }).
		Report(check.Finding{Grade: g, MessageID: "m", Args: []check.Arg{{Name: "who", Value: who}}, Innocent: "none"})
	return out
}

func read(k evidence.Kind) evidence.Coverage { return evidence.Coverage{What: k, Listed: 3, Read: 3} }

func failed(k evidence.Kind, detail string) evidence.Coverage {
	gap := evidence.Gap{At: evidence.Ref{}.Inner("x"), Reason: evidence.Damaged, Detail: detail}
	return evidence.Coverage{What: k, Listed: 3, Read: 2, Failed: 1, Gaps: []evidence.Gap{gap}}
}

func TestLevels(t *testing.T) {
	q := check.Backdoor
	whole := []evidence.Coverage{read(evidence.Code)}
	for _, x := range []struct {
		name     string
		question check.Question
		grades   []check.Grade
		coverage []evidence.Coverage
		want     Level
	}{
		{"nothing reported, all read", q, nil, whole, NothingFound},
		{"nothing reported, part not read", q, nil, []evidence.Coverage{failed(evidence.Code, "")}, CannotTell},
		{"nothing reported, none there", q, nil, nil, CannotTell},
		{"nothing reported, nothing listed", q, nil, []evidence.Coverage{{What: evidence.Code}}, CannotTell},
		{"other evidence not read", q, nil, append([]evidence.Coverage{failed(evidence.Init, "")}, whole...), NothingFound},
		{"read whole in one place and not in another", q, nil, append([]evidence.Coverage{failed(evidence.Code, "")}, whole...), CannotTell},
		{"a lead alone", q, []check.Grade{check.Lead}, whole, NothingFound},
		{"a lead, part not read", q, []check.Grade{check.Lead}, nil, CannotTell},
		{"weak", q, []check.Grade{check.Weak}, whole, Signs},
		{"weak, none there", q, []check.Grade{check.Weak}, nil, Signs},
		{"concealed", q, []check.Grade{check.Concealed}, whole, Signs},
		{"undisclosed", q, []check.Grade{check.Undisclosed}, whole, Signs},
		{"undisclosed, whom it reports to", check.Reports, []check.Grade{check.Undisclosed}, whole, Found},
		{"concealed, whom it reports to", check.Reports, []check.Grade{check.Concealed}, whole, Signs},
		{"proven", q, []check.Grade{check.Proven}, nil, Found},
		{"proven and weak", q, []check.Grade{check.Weak, check.Proven}, whole, Found},
	} {
		var findings []check.Finding
		for i, g := range x.grades {
			findings = append(findings, found(x.question, g, fmt.Sprint(i)))
		}
		v := Of(findings, x.coverage, []*check.Check{checkFor(x.question, evidence.Code)})
		for _, a := range v.Answers {
			want := CannotTell // no check asks the others
			if a.Question == x.question {
				want = x.want
			}
			if a.Level != want {
				t.Errorf("%s: %s is %q, want %q", x.name, a.Question, a.Level, want)
			}
			if a.Unasked != (a.Question != x.question) {
				t.Errorf("%s: %s: unasked is %v", x.name, a.Question, a.Unasked)
			}
		}
	}
}

func TestDecision(t *testing.T) {
	all := func(needs ...evidence.Kind) []*check.Check {
		var out []*check.Check
		for _, q := range check.Questions {
			out = append(out, checkFor(q, needs...))
		}
		return out
	}
	for _, x := range []struct {
		findings []check.Finding
		checks   []*check.Check
		want     string
	}{
		{nil, all(), knowledge.NothingAgainst},
		{nil, all(evidence.Code), knowledge.NotEnoughSeen},
		{nil, nil, knowledge.NotEnoughSeen},
		{[]check.Finding{found(check.Backdoor, check.Proven, "a")}, all(evidence.Code), knowledge.DoNotUse},
		{[]check.Finding{found(check.Backdoor, check.Concealed, "a")}, all(), knowledge.NoOfficialAccounts},
		{[]check.Finding{found(check.Identity, check.Proven, "a")}, all(), knowledge.NoOfficialAccounts},
		{[]check.Finding{found(check.Reports, check.Undisclosed, "a")}, all(evidence.Code), knowledge.NoOfficialAccounts},
		{[]check.Finding{found(check.Wire, check.Weak, "a")}, all(evidence.Code), knowledge.NoOfficialAccounts},
		{[]check.Finding{found(check.Wire, check.Lead, "a")}, all(), knowledge.NothingAgainst},
	} {
		v := Of(x.findings, nil, x.checks)
		d := v.Decision
		if d.ID != x.want {
			t.Errorf("%d findings: decision %q, want %q", len(x.findings), d.ID, x.want)
		}
		if d.Title == "" || len(d.Text) == 0 || len(d.Next) == 0 || strings.Contains(fmt.Sprint(d), "{because}") {
			t.Errorf("decision %s lacks words or has a placeholder left: %+v", d.ID, d)
		}
		if want := x.want == knowledge.DoNotUse || x.want == knowledge.NoOfficialAccounts; want != (len(d.Because) > 0) {
			t.Errorf("decision %s because of %v", d.ID, d.Because)
		}
	}
}

func TestReasonsAreShort(t *testing.T) {
	var findings []check.Finding
	for i := range 9 {
		findings = append(findings, found(check.Backdoor, check.Proven, fmt.Sprintf("app%d", i)))
	}
	d := Of(findings, nil, nil).Decision
	if s := strings.Join(d.Text, " "); strings.Count(s, "can do something") != maxReasons || !strings.Contains(s, "and 6 more") {
		t.Errorf("%q does not name three reasons and count the rest", s)
	}
	if len(d.Because) != 9 {
		t.Errorf("%d reasons, want 9", len(d.Because))
	}
}

// Random scans obey what the package comment promises.
func TestProperties(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	kinds := []evidence.Kind{evidence.Code, evidence.Init, evidence.Manifests, evidence.Permissions}
	var sure = map[Level]int{CannotTell: 0, NothingFound: 1, Signs: 2, Found: 3}
	for range 3000 {
		var findings []check.Finding
		for i := range rnd.IntN(5) {
			findings = append(findings, found(pick(rnd, check.Questions), pick(rnd, check.Grades), fmt.Sprint(i%3)))
		}
		var checks []*check.Check
		for range rnd.IntN(6) {
			checks = append(checks, checkFor(pick(rnd, check.Questions), pick(rnd, kinds)))
		}
		var coverage []evidence.Coverage
		for _, k := range kinds {
			if rnd.IntN(4) > 0 {
				coverage = append(coverage, read(k))
			}
		}
		v := Of(findings, coverage, checks)

		mixed := slices.Clone(findings)
		rnd.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if w := Of(mixed, coverage, checks); !reflect.DeepEqual(v, w) {
			t.Fatalf("the order of the findings changes the verdict:\n%+v\n%+v", v, w)
		}

		k := rnd.IntN(len(kinds))
		worse := slices.Clone(coverage)
		if i := slices.IndexFunc(worse, func(c evidence.Coverage) bool { return c.What == kinds[k] }); i >= 0 {
			worse[i] = failed(kinds[k], "torn")
		} else {
			worse = append(worse, failed(kinds[k], "torn"))
		}
		w := Of(findings, worse, checks)
		for i, a := range w.Answers {
			before := v.Answers[i]
			if sure[a.Level] > sure[before.Level] {
				t.Fatalf("a gap turned %q into %q", before.Level, a.Level)
			}
			if (before.Level == Found || before.Level == Signs) && a.Level != before.Level {
				t.Fatalf("a gap turned %q, which rests on findings, into %q", before.Level, a.Level)
			}
			if len(a.Unseen) < len(before.Unseen) {
				t.Fatalf("a gap made %d unseen things of %d", len(a.Unseen), len(before.Unseen))
			}
		}
		if w.Decision.ID == knowledge.NothingAgainst && v.Decision.ID != w.Decision.ID {
			t.Fatalf("a gap turned %s into %s", v.Decision.ID, w.Decision.ID)
		}

		var leads []check.Finding
		for range 3 {
			leads = append(leads, found(pick(rnd, check.Questions), check.Lead, "lead"))
		}
		if w := Of(append(leads, findings...), coverage, checks); !reflect.DeepEqual(v, w) {
			t.Fatalf("leads changed the verdict:\n%+v\n%+v", v, w)
		}

		for _, a := range v.Answers {
			for _, id := range a.Because {
				if !slices.ContainsFunc(findings, func(f check.Finding) bool { return f.ID() == id && f.Question == a.Question && f.Grade != check.Lead }) {
					t.Fatalf("%s rests on %s, which is no finding of that question", a.Question, id)
				}
			}
		}
		if s := strings.ToLower(fmt.Sprint(v)); strings.Contains(s, "clean") {
			t.Fatalf("a verdict says %q", s)
		}
	}
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

func TestSort(t *testing.T) {
	a, b := found(check.Identity, check.Weak, "a"), found(check.Backdoor, check.Proven, "b")
	c := found(check.Backdoor, check.Proven, "c")
	c.Reach = check.AnyApp
	got := []check.Finding{a, b, c}
	Sort(got)
	if got[0].ID() != c.ID() || got[1].ID() != b.ID() || got[2].ID() != a.ID() {
		t.Errorf("sorted: %s, %s, %s", got[0].Text(), got[1].Text(), got[2].Text())
	}
}
