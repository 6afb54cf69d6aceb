package main

import (
	"context"
	"fmt"
	"runtime"

	"gifthorse/report"
)

func runVersion(_ context.Context, args []string) (int, error) {
	if len(args) > 0 {
		return 0, &failure{"version takes nothing", "", exitUsage}
	}
	version, commit := build()
	tool := report.New(report.Scan{Version: version, Commit: commit}).Tool
	fmt.Printf("gifthorse %s", tool.Version)
	if tool.Commit != "" {
		fmt.Printf(" (%s)", tool.Commit)
	}
	fmt.Printf("\nknowledge of %s, sha256 %s\n%s, %s/%s\n", tool.KnowledgeDate, tool.KnowledgeSHA256, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitDone, nil
}
