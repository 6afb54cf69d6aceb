// Package gifthorse reads whatever somebody has of a phone and answers four questions about it: is it the phone
// it says it is, is there a backdoor, how is the communication security, whom does it report to.
//
// [Scan] is the whole way through: package evidence opens what was given; packages phone and program build
// models of it; the checks, all at once, report what they find in the models; package verdict says what that means.
// What could not be seen on the way is a gap and comes along. Nothing goes over the network, nothing found is
// run, nothing is written but one private temporary file and, where it is given, what is in the cache. [Diff] says what differs between two results.
//
// # Not done
//
// How a result is told (JSON, a page, a terminal) is package report's; what to type is that of cmd/gifthorse.
package gifthorse

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"gifthorse/check"
	"gifthorse/checks"
	"gifthorse/evidence"
	"gifthorse/phone"
	"gifthorse/program"
	"gifthorse/verdict"
)

// Version is the version of the program. That of the report's form is apart from it.
const Version = "0.3.0"

// A Result is what a scan found. Close ends the life of its evidence.
type Result struct {
	Evidence *evidence.Evidence
	Phone    *phone.Phone
	Program  *program.Program
	Findings []check.Finding // in the order of verdict.Sort
	Coverage []evidence.Coverage
	Gaps     []evidence.Gap
	Verdict  verdict.Verdict
}

// Close ends the life of the evidence and of all data of it.
func (r *Result) Close() error { return r.Evidence.Close() }

// Checked counts the checks in the coverage: those listed ran, those failed are a mistake of this program.
const Checked evidence.Kind = "checks"

// Scan reads what stands at paths, several of which are parts of one phone, and runs every check on it. cache is the folder in which
// package program keeps what it worked out of each app, for the next time; "" is none. What is found is the same with it and without. progress
// may be nil; it is not called by two goroutines at once. The error is the user's mistake, or that ctx ended; what is wrong with
// the phone's files is in Result.Gaps.
func Scan(ctx context.Context, paths []string, cache string, progress func(evidence.Progress)) (*Result, error) {
	return scan(ctx, paths, cache, checks.All, progress)
}

func scan(ctx context.Context, paths []string, cache string, list []*check.Check, progress func(evidence.Progress)) (*Result, error) {
	if progress == nil {
		progress = func(evidence.Progress) {}
	}
	ev, err := evidence.Open(ctx, paths, progress)
	if err != nil {
		return nil, err
	}
	r := &Result{Evidence: ev}
	// Each part ends early when ctx does, and what it returns then is no use to the next.
	var ran []*check.Check
	for _, part := range []func(){
		func() { r.Phone = phone.Build(ctx, ev, progress) },
		func() { r.Program = program.Build(ctx, r.Phone, cache, progress) },
		func() { ran = r.check(ctx, list, progress) },
	} {
		part()
		if err := ctx.Err(); err != nil {
			ev.Close()
			return nil, err
		}
	}
	r.gather()
	r.Verdict = verdict.Of(r.Findings, r.Coverage, ran)
	return r, nil
}

// check runs the checks, all at once, and keeps what they report. It returns them as verdict must see them: one that
// failed needs something that was not there, namely itself.
func (r *Result) check(ctx context.Context, list []*check.Check, progress func(evidence.Progress)) []*check.Check {
	ran := slices.Clone(list)
	gaps := make([]*evidence.Gap, len(list))
	var mu sync.Mutex
	var wg sync.WaitGroup
	done := int64(0)
	for i, c := range list {
		wg.Go(func() {
			var found []check.Finding
			err := run(check.NewPass(ctx, c, r.Phone, r.Program, func(f check.Finding) {
				mu.Lock()
				defer mu.Unlock()
				found = append(found, f)
			}))
			mu.Lock()
			defer mu.Unlock()
			r.Findings = append(r.Findings, found...)
			if err != nil && ctx.Err() == nil {
				gaps[i] = &evidence.Gap{Reason: evidence.Unsupported, Detail: fmt.Sprintf("the check %s failed: %v; please report it", c.Name, err)}
			}
			done++
			progress(evidence.Progress{Stage: "checking", Item: c.Name, Done: done, Total: int64(len(list))})
		})
	}
	wg.Wait()
	all := evidence.Coverage{What: Checked, Listed: len(list), Read: len(list)}
	for i, g := range gaps {
		if g == nil {
			continue
		}
		all.Read, all.Failed, all.Gaps = all.Read-1, all.Failed+1, append(all.Gaps, *g)
		failed := *list[i]
		failed.Needs = append(slices.Clone(failed.Needs), Checked)
		ran[i] = &failed
	}
	r.Coverage = append(r.Coverage, all)
	verdict.Sort(r.Findings)
	r.Findings = merge(r.Findings)
	return ran
}

// run runs one check. A mistake in it must not hide what the others found.
func run(p *check.Pass) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("it panicked: %v", x)
		}
	}()
	return p.Check.Run(p)
}

// merge makes one finding of those that are the same in several places: the code of a second ABI or slot. The one
// with the first address stays; the addresses of the others are kept.
func merge(sorted []check.Finding) []check.Finding {
	var out []check.Finding
	at := map[string]int{}
	for _, f := range sorted {
		i, ok := at[f.ID()]
		if !ok {
			at[f.ID()] = len(out)
			out = append(out, f)
			continue
		}
		first := &out[i]
		first.Also = append(slices.Clone(first.Also), f.Also...)
		if f.At != first.At {
			first.Also = append(first.Also, f.At)
		}
		slices.SortFunc(first.Also, evidence.Compare)
		first.Also = slices.Compact(first.Also)
	}
	return out
}

// gather collects coverage and gaps of all parts. Of the code, the program knows more than the phone.
func (r *Result) gather() {
	code := r.Program.Coverage()
	r.Coverage = append(r.Coverage, code)
	for _, c := range r.Phone.Coverage {
		if c.What != code.What {
			r.Coverage = append(r.Coverage, c)
		}
	}
	r.Gaps = r.Evidence.Gaps()
	for _, c := range r.Coverage {
		r.Gaps = append(r.Gaps, c.Gaps...)
	}
}
