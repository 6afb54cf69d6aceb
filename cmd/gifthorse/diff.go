package main

import (
	"cmp"
	"context"
	"flag"
	"os"

	"gifthorse"
	"gifthorse/report"
)

func runDiff(ctx context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("diff", flag.ContinueOnError)
	asJSON := flags.String("json", "", "")
	asHTML := flags.String("html", "", "")
	fresh := flags.Bool("fresh", false, "")
	inputs, err := parse(flags, args)
	if err != nil {
		return 0, err
	}
	if len(inputs) != 2 {
		return 0, &failure{"diff takes two phones", "gifthorse diff A B; a phone that is in several parts must be put into one folder first", exitUsage}
	}
	for _, in := range inputs { // that a phone is the same as itself may be asked
		if err := checkInputs([]string{in}); err != nil {
			return 0, err
		}
	}
	out, err := openOutputs(*asJSON, *asHTML)
	if err != nil {
		return 0, err
	}
	defer out.discard()

	d, err := compare(ctx, inputs[0], inputs[1], *fresh)
	if err != nil {
		return 0, err
	}
	if err := cmp.Or(out[0].write(d.JSON), out[1].write(d.HTML)); err != nil {
		return 0, err
	}
	if *asJSON != "-" && *asHTML != "-" {
		if err := d.Text(os.Stdout, style()); err != nil {
			return 0, err
		}
	}
	if d.Same {
		return exitDone, nil
	}
	return exitDiffers, nil
}

// compare reads two phones, one after the other, and says what differs.
func compare(ctx context.Context, a, b string, fresh bool) (*report.Diff, error) {
	bar := newBar()
	defer bar.end()
	var results [2]*gifthorse.Result
	for i, in := range []string{a, b} {
		res, err := open(ctx, []string{in}, fresh, bar)
		if err != nil {
			return nil, err
		}
		defer res.Close()
		res.Program = nil // the largest part of a result, and no comparison needs it
		results[i] = res
	}
	bar.say("comparing")
	d := gifthorse.Diff(results[0], results[1])
	bar.say("hashing")
	out := report.NewDiff(reportScan(results[0]), reportScan(results[1]), d)
	return out, ctx.Err()
}
