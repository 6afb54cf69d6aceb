package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"gifthorse/check"
	"gifthorse/checks"
	"gifthorse/evidence"
	"gifthorse/report"
)

func runExplain(ctx context.Context, args []string) (int, error) {
	if len(args) == 0 {
		listChecks()
		return exitDone, nil
	}
	if len(args) == 1 {
		for _, c := range checks.All {
			if c.Name == args[0] {
				for l := range strings.Lines(c.Doc) {
					visibleLine(os.Stdout)(strings.TrimRight(l, "\n"))
				}
				return exitDone, nil
			}
		}
	}
	path, id, ok := cutLast(args[0], "#")
	if !ok {
		return 0, &failure{fmt.Sprintf("there is no check %q", args[0]), "gifthorse explain lists the checks;\na finding is named by its report and its id: report.json#id", exitUsage}
	}
	if len(args) == 1 {
		return 0, &failure{"a finding is explained in the input it was found in", "gifthorse explain REPORT#ID INPUT", exitUsage}
	}
	if err := checkInputs(args[1:]); err != nil {
		return 0, err
	}
	r, err := readReport(path)
	if err != nil {
		return 0, err
	}
	f, err := findingOf(r, id)
	if err != nil {
		return 0, err
	}
	bar := newBar()
	ev, err := evidence.Open(ctx, args[1:], bar.show)
	bar.end()
	if err != nil {
		return 0, err
	}
	defer ev.Close()
	explain(r, f, ev)
	return exitDone, ctx.Err()
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func listChecks() {
	fmt.Println("The checks, by the question they answer. gifthorse explain CHECK tells all about one.")
	width := 0
	for _, c := range checks.All {
		width = max(width, len(c.Name))
	}
	for _, q := range check.Questions {
		fmt.Printf("\n%s\n", q)
		n := 0
		for _, c := range checks.All {
			if c.Question == q {
				n++
				first, _, _ := strings.Cut(c.Doc, "\n")
				fmt.Printf("  %-*s  %s\n", width, c.Name, strings.TrimLeft(first, "# "))
			}
		}
		if n == 0 {
			fmt.Println("  no check of this version asks it")
		}
	}
}

func readReport(path string) (*report.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := report.Read(f)
	if err != nil {
		return nil, &failure{fmt.Sprintf("%s: %v", path, err), "a report is what gifthorse check --json FILE writes", exitFailed}
	}
	return r, nil
}

// findingOf returns the finding whose id is id or begins with it.
func findingOf(r *report.Report, id string) (*report.Finding, error) {
	var hits []*report.Finding
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.ID == id {
			return f, nil
		}
		if strings.HasPrefix(f.ID, id) {
			hits = append(hits, f)
		}
	}
	if len(hits) == 1 {
		return hits[0], nil
	}
	var ids []string
	for i := range r.Findings {
		if f := &r.Findings[i]; len(hits) == 0 || slices.Contains(hits, f) {
			ids = append(ids, f.ID)
		}
	}
	if more := len(ids) - 10; more > 0 {
		ids = append(ids[:10], fmt.Sprintf("and %d more", more))
	}
	what := "has no finding"
	if len(hits) > 1 {
		what = "has several findings that begin with"
	}
	return nil, &failure{fmt.Sprintf("the report %s %q", what, id), cmp.Or(strings.Join(ids, "\n"), "the report has no findings"), exitUsage}
}

// explain prints a finding step by step: what the report says, and what stands in the input at each address.
func explain(r *report.Report, f *report.Finding, ev *evidence.Evidence) {
	line := visibleLine(os.Stdout)
	line(f.Message)
	line(fmt.Sprintf("%s, %s, %s", f.ID, f.Question, f.Grade))
	line("")
	var then []string
	for _, in := range r.Inputs {
		then = append(then, in.SHA256)
	}
	for _, in := range ev.Inputs() {
		sum := fmt.Sprintf("%x", in.SHA256)
		line("input   " + in.Name + " sha256 " + sum)
		if !slices.Contains(then, sum) {
			line("        this is not the input that the report was made of")
		}
	}
	show := func(what, at string) {
		line("")
		line(what)
		if at == "" {
			return
		}
		line("    at      " + at)
		ref, err := evidence.ParseRef(at)
		if err == nil {
			var p *evidence.Place
			if p, err = ev.Find(ref); err == nil {
				p.Show(func(s string) { line("    " + s) })
			}
		}
		if err != nil {
			line("    not found again: " + err.Error())
		}
	}
	for i, s := range f.Witness {
		show(fmt.Sprintf("%d. %s", i+1, s.What), s.At)
	}
	if len(f.Witness) == 0 {
		show("found", f.At)
	}
	for _, g := range f.Gates {
		show(fmt.Sprintf("guard: %s: %s", g.What, g.Holds), g.At)
	}
	for _, a := range f.Also {
		show("the same in another place", a)
	}
	line("")
	line("innocent explanation: " + f.Innocent)
}
