package main

import (
	"bufio"
	"context"
	"os"
	"strings"

	"gifthorse/evidence"
)

func runDump(ctx context.Context, args []string) (int, error) {
	if len(args) != 1 {
		return 0, &failure{"dump takes one file", "gifthorse dump FILE, or what lies in it: gifthorse dump 'FILE!inner/file.apk!classes.dex#Lcom/a/B;'", exitUsage}
	}
	path, inner, err := splitAddress(args[0])
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriter(os.Stdout)
	defer w.Flush()
	return exitDone, evidence.Dump(ctx, path, inner, visibleLine(w))
}

// splitAddress tells the file on this machine from the address inside it. A file's own name may hold '!' and '#'.
func splitAddress(s string) (string, evidence.Ref, error) {
	for i := len(s); i > 0; i-- {
		if i < len(s) && s[i] != '!' && s[i] != '#' {
			continue
		}
		if _, err := os.Stat(s[:i]); err != nil {
			continue
		}
		ref, err := evidence.ParseRef(strings.TrimPrefix(s[i:], "!"))
		if err != nil {
			return "", ref, &failure{err.Error(), "an address reads outer!inner!file#Lclass;", exitUsage}
		}
		return s[:i], ref, nil
	}
	file, _, _ := strings.Cut(s, "!")
	_, err := os.Stat(file)
	return "", evidence.Ref{}, err
}
