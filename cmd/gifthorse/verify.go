package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"

	"gifthorse/report"
)

func runVerify(ctx context.Context, args []string) (int, error) {
	if len(args) < 2 {
		return 0, &failure{"verify takes a report and the input it was made of", "gifthorse verify report.json phone.zip", exitUsage}
	}
	if err := checkInputs(args[1:]); err != nil {
		return 0, err
	}
	then, err := readReport(args[0])
	if err != nil {
		return 0, err
	}
	now, err := scan(ctx, args[1:])
	if err != nil {
		return 0, err
	}
	lines := differences(then, now)
	if len(lines) == 0 {
		fmt.Println("nothing differs: the same input, program and knowledge give the same report")
		return exitDone, nil
	}
	for _, l := range lines {
		visibleLine(os.Stdout)(l)
	}
	return exitDiffers, nil
}

// differences says what is not the same in two reports: first what went in, then what came out.
func differences(then, now *report.Report) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	sums := func(r *report.Report) (list []string) {
		for _, in := range r.Inputs {
			list = append(list, in.SHA256)
		}
		slices.Sort(list)
		return list
	}
	if !slices.Equal(sums(then), sums(now)) {
		say("the input differs")
		for _, in := range then.Inputs {
			say("  then %s %s, %d bytes", in.SHA256, in.Name, in.Size)
		}
		for _, in := range now.Inputs {
			say("  now  %s %s, %d bytes", in.SHA256, in.Name, in.Size)
		}
	}
	if a, b := then.Tool, now.Tool; a.Version != b.Version || a.Commit != b.Commit {
		say("the program differs: then %s %s, now %s %s", a.Version, a.Commit, b.Version, b.Commit)
	}
	if a, b := then.Tool, now.Tool; a.KnowledgeSHA256 != b.KnowledgeSHA256 {
		say("the knowledge differs: then of %s, %s", a.KnowledgeDate, a.KnowledgeSHA256)
		say("                       now  of %s, %s", b.KnowledgeDate, b.KnowledgeSHA256)
	}
	causes := len(out)
	level := map[string]string{}
	for _, a := range then.Answers {
		level[string(a.Question)] = string(a.Level)
	}
	for _, a := range now.Answers {
		if was := level[string(a.Question)]; was != string(a.Level) {
			say("the answer to %s was %q and is %q", a.Question, was, a.Level)
		}
	}
	if then.Decision.ID != now.Decision.ID {
		say("the decision was %s and is %s", then.Decision.ID, now.Decision.ID)
	}
	lose := func(from, in []report.Finding, words string) {
		for i := range from {
			f := &from[i]
			if !slices.ContainsFunc(in, func(g report.Finding) bool { return g.ID == f.ID && g.Grade == f.Grade }) {
				say("%s: %s, %s: %s", words, f.Grade, f.ID, f.Message)
			}
		}
	}
	lose(then.Findings, now.Findings, "no longer found")
	lose(now.Findings, then.Findings, "found now")
	if a, b := len(then.Gaps), len(now.Gaps); a != b {
		say("%d things were not seen then, %d are not now", a, b)
	}
	var x, y bytes.Buffer
	then.JSON(&x)
	now.JSON(&y)
	switch {
	case bytes.Equal(x.Bytes(), y.Bytes()):
		return out
	case len(out) == 0:
		say("the reports differ in details: compare them with diff")
		fallthrough
	case causes == 0:
		say("the input, the program and the knowledge are the same: either the report was changed, or this is a mistake of the program; please report it")
	}
	return out
}
