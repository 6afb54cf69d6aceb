package main

import (
	"bufio"
	"context"
	"flag"
	"io"
	"os"

	"gifthorse"
	"gifthorse/report"
)

func runFlows(ctx context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("flows", flag.ContinueOnError)
	jsonFile := flags.String("json", "", "")
	rulesFile := flags.String("sources-sinks", "", "")
	inputs, err := parse(flags, args)
	if err != nil {
		return 0, err
	}
	if len(inputs) == 0 {
		return 0, &failure{"flows takes an app", "gifthorse flows [--sources-sinks FILE] [--json FILE] APK", exitUsage}
	}
	if err := checkInputs(inputs); err != nil {
		return 0, err
	}
	var rules io.Reader
	if *rulesFile != "" {
		f, err := os.Open(*rulesFile)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		rules = f
	}
	flows, gaps, err := gifthorse.Flows(ctx, inputs, rules)
	if err != nil {
		return 0, err
	}
	switch *jsonFile {
	case "":
		w := bufio.NewWriter(os.Stdout)
		report.FlowsText(w, flows, gaps)
		return exitDone, w.Flush()
	case "-":
		return exitDone, report.FlowsJSON(os.Stdout, flows, gaps)
	}
	f, err := os.Create(*jsonFile)
	if err != nil {
		return 0, err
	}
	if err := report.FlowsJSON(f, flows, gaps); err != nil {
		f.Close()
		return 0, err
	}
	return exitDone, f.Close()
}
