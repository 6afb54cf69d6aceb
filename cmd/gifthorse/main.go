// Gifthorse reads what somebody has of a phone and answers whether it is the phone it says it is, whether there is a
// backdoor, how the communication security is, and whom it reports to; each with evidence that others can check.
//
//	gifthorse check [--json FILE] [--html FILE] [--sbom FILE] [--fresh] INPUT...   read a phone and print the report
//	gifthorse diff [--json FILE] [--html FILE] A B         what differs between two phones, builds or days
//	gifthorse explain [CHECK]                              what a check looks for, and what it cannot see
//	gifthorse explain REPORT#ID INPUT...                   one finding of a report, step by step, in the input itself
//	gifthorse dump FILE[!INNER...][#SYMBOL]                what a format reader sees, with offsets
//	gifthorse flows [--sources-sinks FILE] [--json FILE] APK   every data flow from a source to a sink, with witnesses
//	gifthorse verify REPORT INPUT...                       check again and say what differs
//	gifthorse version                                      which program this is, with which facts
//
// An INPUT is a folder, an archive, an update package, an app: anything that holds files of a phone, known by its
// content and not by its name. Several inputs are parts of one phone. A FILE that is "-" is standard output.
// Flags may stand before and after the inputs; after "--" everything is an input.
//
// Nothing goes over the network, nothing found is run, and nothing is written but what was asked for, and what check and diff keep
// of each app's code in the user's cache folder (gifthorse in it), so that a phone checked again, or its next build, costs only
// what changed. What is found is the same with it. --fresh neither reads nor writes it; nor does verify.
//
// # Exit codes
//
//	0    check: all four answers are "nothing found"; other commands: done; diff, verify: nothing differs
//	1    it could not be done: the input is not there, is no phone, or cannot be read
//	2    the command was not understood
//	3    check: at least one answer is "found"; diff, verify: something differs
//	4    check: none is "found", at least one is "signs" or "cannot tell"
//	130  it was stopped, with Ctrl-C or by the system
//
// # Environment
//
// With NO_COLOR set, or TERM=dumb, nothing is coloured. How far the work is shows on a terminal only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"gifthorse/report"
)

const usage = `gifthorse checks a phone for unguarded ways in, with evidence.

  gifthorse check [--json FILE] [--html FILE] INPUT...   read a phone and print the report
  gifthorse check --sbom FILE INPUT...                   also list all it holds, as CycloneDX 1.6
  gifthorse check --fresh INPUT...                       use and leave nothing in the cache of earlier checks
  gifthorse diff [--json FILE] [--html FILE] A B         what differs between two phones, builds or days
  gifthorse explain [CHECK]                              what a check looks for, and what it cannot see
  gifthorse explain REPORT#ID INPUT...                   one finding of a report, step by step
  gifthorse dump FILE[!INNER...][#SYMBOL]                what a format reader sees, with offsets
  gifthorse flows [--sources-sinks FILE] APK             data flows from sources to sinks
  gifthorse verify REPORT INPUT...                       check again and say what differs
  gifthorse version                                      which program this is, with which facts

An INPUT is a folder, an archive, an update package or an app. A FILE that is "-" is standard output.
Exit codes of check: 0 nothing found, 3 found, 4 signs or cannot tell, 1 could not scan, 2 usage.
Exit codes of diff: 0 nothing differs, 3 something does.
`

// Exit codes.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitFound   = 3
	exitUnsure  = 4
	exitDiffers = 3
	exitSignal  = 130 // what a shell gives for Ctrl-C
)

// A failure is what went wrong in the user's words, with what he can do about it.
type failure struct {
	msg, hint string
	code      int
}

func (f *failure) Error() string { return f.msg }

func main() {
	debug.SetGCPercent(300)         // a scan is short and its memory is mostly mapped files
	debug.SetMemoryLimit(768 << 20) // where it is not, collect as often as it takes
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	code, err := run(ctx, os.Args[1:])
	os.Exit(conclude(os.Stderr, code, err))
}

var commands = map[string]func(ctx context.Context, args []string) (int, error){
	"check":   runCheck,
	"explain": runExplain,
	"dump":    runDump,
	"diff":    runDiff,
	"flows":   runFlows,
	"verify":  runVerify,
	"version": runVersion,
}

func run(ctx context.Context, args []string) (int, error) {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return exitUsage, nil
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if len(args) > 0 {
			return runExplain(ctx, args[:1])
		}
		fmt.Print(usage)
		return exitDone, nil
	case "-version", "--version":
		name = "version"
	}
	if cmd := commands[name]; cmd != nil {
		return cmd(ctx, args)
	}
	f := &failure{fmt.Sprintf("there is no command %q", name), "gifthorse help lists the commands", exitUsage}
	if _, err := os.Stat(name); err == nil {
		f.hint = "to check a phone: gifthorse check " + report.Visible(name)
	}
	return 0, f
}

// conclude says what went wrong, if anything did, and returns the exit code.
func conclude(w io.Writer, code int, err error) int {
	var f *failure
	switch {
	case err == nil:
		return code
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(w, "stopped")
		return exitSignal
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
		return exitDone
	case errors.As(err, &f):
	case errors.Is(err, fs.ErrNotExist):
		f = &failure{pathOf(err) + ": there is no such file or folder", "look at the spelling, and at the folder you are in", exitFailed}
	case errors.Is(err, fs.ErrPermission):
		f = &failure{pathOf(err) + ": you are not permitted to do that", "look at the permissions of the file, or copy it to where you may", exitFailed}
	default:
		f = &failure{err.Error(), "", exitFailed}
	}
	fmt.Fprintln(w, "error: "+report.Visible(f.msg))
	if f.hint != "" {
		for i, l := range strings.Split(f.hint, "\n") {
			fmt.Fprintln(w, []string{"hint:  ", "       "}[min(i, 1)]+report.Visible(l))
		}
	}
	return f.code
}

func pathOf(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Path
	}
	return err.Error()
}

// parse reads flags wherever they stand, up to "--", and returns what is left.
func parse(flags *flag.FlagSet, args []string) ([]string, error) {
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	var rest []string
	for {
		if err := flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, &failure{err.Error(), "gifthorse help lists what can be given", exitUsage}
		}
		left := flags.Args()
		if n := len(args) - len(left); n > 0 && args[n-1] == "--" {
			return append(rest, left...), nil
		}
		if len(left) == 0 {
			return rest, nil
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

// checkInputs refuses "-", which no input can be, and the same input given twice.
func checkInputs(inputs []string) error {
	for i, in := range inputs {
		if in == "-" {
			return &failure{"an input cannot come from standard input", "firmware is read in place: save it to a file first", exitUsage}
		}
		if slices.Contains(inputs[:i], in) {
			return &failure{fmt.Sprintf("%s is given twice", in), "several inputs are parts of one phone; give each once", exitUsage}
		}
	}
	return nil
}
