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
	if *asJSON != "" && *asJSON == *asHTML {
		return 0, &failure{"--json and --html name the same file", "give two files", exitUsage}
	}
	// Files are tried before the work begins: a scan is long.
	jsonFile, err := openOutput(*asJSON)
	if err != nil {
		return 0, err
	}
	defer jsonFile.discard()
	htmlFile, err := openOutput(*asHTML)
	if err != nil {
		return 0, err
	}
	defer htmlFile.discard()

	r, code, err := scan(ctx, inputs)
	if err != nil {
		return 0, err
	}
	if err := cmp.Or(jsonFile.write(r.JSON), htmlFile.write(r.HTML)); err != nil {
		return 0, err
	}
	if *asJSON != "-" && *asHTML != "-" {
		if err := r.Text(os.Stdout, style()); err != nil {
			return 0, err
		}
	}
	return code, nil
}

// scan reads the inputs and returns the report with the exit code that its answers give.
func scan(ctx context.Context, inputs []string) (*report.Report, int, error) {
	bar := newBar()
	defer bar.end()
	res, err := gifthorse.Scan(ctx, inputs, bar.show)
	if err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); !ok && ctx.Err() == nil {
			err = &failure{err.Error(), "give a folder, an archive, an update package or an app that holds files of a phone", exitFailed}
		}
		return nil, 0, err
	}
	defer res.Close()
	bar.say("hashing")
	version, commit := build()
	r := report.New(report.Scan{Version: version, Commit: commit, Inputs: res.Evidence.Inputs(), Phone: res.Phone,
		Findings: res.Findings, Coverage: res.Coverage, Gaps: res.Gaps, Verdict: res.Verdict})
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	return r, exitCode(r), nil
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
