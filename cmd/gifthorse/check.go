package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"gifthorse"
	"gifthorse/report"

	"golang.org/x/term"
)

const howToPull = `connect the phone, allow debugging, and copy what it lets you read (without root; what is denied stays out):
mkdir phone
for p in system vendor product system_ext odm; do adb pull "/$p" phone/; done
adb shell getprop > phone/getprop.txt
gifthorse check phone`

func runCheck(ctx context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	asJSON := flags.String("json", "", "")
	asHTML := flags.String("html", "", "")
	asSBOM := flags.String("sbom", "", "")
	fresh := flags.Bool("fresh", false, "")
	inputs, err := parse(flags, args)
	if err != nil {
		return 0, err
	}
	if len(inputs) == 0 {
		return 0, &failure{"there is nothing to check: no input was given, and this version does not read a phone on the cable", howToPull, exitUsage}
	}
	if err := checkInputs(inputs); err != nil {
		return 0, err
	}
	out, err := openOutputs(*asJSON, *asHTML, *asSBOM)
	if err != nil {
		return 0, err
	}
	defer out.discard()

	bar := newBar()
	defer bar.end()
	res, err := open(ctx, inputs, *fresh, bar)
	if err != nil {
		return 0, err
	}
	defer res.Close()
	bar.say("hashing")
	r, err := reportOf(ctx, res)
	if err != nil {
		return 0, err
	}
	if err := cmp.Or(out[0].write(r.JSON), out[1].write(r.HTML)); err != nil {
		return 0, err
	}
	if *asSBOM != "" {
		bar.say("listing")
		if err := out[2].write(func(w io.Writer) error { return cmp.Or(report.SBOM(w, reportScan(res)), ctx.Err()) }); err != nil {
			return 0, err
		}
	}
	bar.end()
	if *asJSON != "-" && *asHTML != "-" && *asSBOM != "-" {
		if err := r.Text(os.Stdout, style()); err != nil {
			return 0, err
		}
	}
	return exitCode(r), nil
}

// scan reads the inputs afresh and returns the report.
func scan(ctx context.Context, inputs []string) (*report.Report, error) {
	bar := newBar()
	defer bar.end()
	res, err := open(ctx, inputs, true, bar)
	if err != nil {
		return nil, err
	}
	defer res.Close()
	bar.say("hashing")
	return reportOf(ctx, res)
}

// open reads the inputs, afresh or with what earlier checks kept of the same apps. What goes wrong is told in the user's words.
func open(ctx context.Context, inputs []string, fresh bool, bar *bar) (*gifthorse.Result, error) {
	cache := ""
	if dir, err := os.UserCacheDir(); err == nil && !fresh {
		cache = filepath.Join(dir, "gifthorse")
	}
	res, err := gifthorse.Scan(ctx, inputs, cache, bar.show)
	if err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); !ok && ctx.Err() == nil {
			err = &failure{err.Error(), "give a folder, an archive, an update package or an app that holds files of a phone", exitFailed}
		}
		return nil, err
	}
	return res, nil
}

func reportOf(ctx context.Context, res *gifthorse.Result) (*report.Report, error) {
	r := report.New(reportScan(res))
	return r, ctx.Err()
}

// reportScan hands a result to package report, with the hashes of the inputs.
func reportScan(res *gifthorse.Result) report.Scan {
	version, commit := build()
	return report.Scan{Version: version, Commit: commit, Inputs: res.Evidence.Inputs(), Phone: res.Phone,
		Findings: res.Findings, Coverage: res.Coverage, Gaps: res.Gaps, Verdict: res.Verdict}
}

func exitCode(r *report.Report) int {
	code := exitDone
	for _, a := range r.Answers {
		switch a.Level {
		case "found":
			return exitFound
		case "signs", "cannot tell":
			code = exitUnsure
		}
	}
	return code
}

// build returns the version and the commit that the program was made from.
func build() (version, commit string) {
	if info, ok := debug.ReadBuildInfo(); ok {
		changed := ""
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				changed = " with changes"
			}
		}
		if commit != "" {
			commit += changed
		}
	}
	return gifthorse.Version, commit
}

// style is how standard output is.
func style() report.Style {
	fd := int(os.Stdout.Fd())
	if !term.IsTerminal(fd) {
		return report.Style{}
	}
	width, _, err := term.GetSize(fd)
	if err != nil {
		width = 0
	}
	return report.Style{Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", Width: width}
}

// An output is a file that is asked for. It is written beside its place and moved there when it is whole, so that
// a scan that fails leaves what was there.
type output struct {
	path string
	tmp  *os.File
}

// openOutput prepares the output at path; "" is none, "-" and what is no regular file are written in place.
func openOutput(path string) (*output, error) {
	o := &output{path: path}
	if path == "" || path == "-" {
		return o, nil
	}
	if st, err := os.Stat(path); err == nil {
		if st.IsDir() {
			return nil, &failure{path + " is a folder", "name a file in it", exitUsage}
		}
		if !st.Mode().IsRegular() {
			return o, nil
		}
	}
	var err error
	o.tmp, err = os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, &failure{fmt.Sprintf("%s cannot be written: %v", path, errors.Unwrap(err)), "name a file in a folder that is there and that you may write to", exitFailed}
	}
	return o, nil
}

// outputs are the files that are asked for, in the order of the flags.
type outputs []*output

// openOutputs prepares the outputs at paths. A scan is long, so they are tried before it begins.
func openOutputs(paths ...string) (outputs, error) {
	var all outputs
	for i, p := range paths {
		if p != "" && slices.Contains(paths[:i], p) {
			all.discard()
			return nil, &failure{fmt.Sprintf("%s is given for two outputs, which cannot be the same file", p), "give each a file of its own", exitUsage}
		}
		o, err := openOutput(p)
		if err != nil {
			all.discard()
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

func (all outputs) discard() {
	for _, o := range all {
		o.discard()
	}
}

func (o *output) write(print func(io.Writer) error) error {
	var b bytes.Buffer
	if o.path == "" {
		return nil
	}
	if err := print(&b); err != nil {
		return err
	}
	switch {
	case o.path == "-":
		_, err := os.Stdout.Write(b.Bytes())
		return err
	case o.tmp == nil:
		return os.WriteFile(o.path, b.Bytes(), 0o644)
	}
	_, err := o.tmp.Write(b.Bytes())
	if err := cmp.Or(err, o.tmp.Chmod(0o644), o.tmp.Close()); err != nil {
		return err
	}
	return os.Rename(o.tmp.Name(), o.path)
}

// discard removes what was not moved to its place.
func (o *output) discard() {
	if o.tmp != nil {
		o.tmp.Close()
		os.Remove(o.tmp.Name())
	}
}

// visibleLine prints one line that may hold text of a phone.
func visibleLine(w io.Writer) func(string) {
	return func(s string) { fmt.Fprintln(w, report.Visible(strings.ReplaceAll(s, "\t", "    "))) }
}
