// Package prop reads the text files in which an Android phone says how it is set up: property files, init's .rc
// files, ueventd.rc, the permission and sysconfig XML, mac_permissions.xml and seapp_contexts, hosts, certificate
// files, adb keys and recovery's keys.
//
// Bytes go in, typed values with line numbers come out. Nothing is opened, nothing is followed: an import is
// returned as an import. Every reader is as lax as the program on the phone that reads the file, and each names
// that program. A line which the phone's program would not take is not lost: it is returned as a Problem, and
// where a vendor's changed program might take it (a command init does not know) the line stands in the result too.
//
// Merge is the one function that works on several files: it answers what value a property has after boot.
//
// Lines count from 1 and are the line on which a statement begins.
//
// # Sources
//
// The init language, ueventd.rc and property files follow sources of AOSP that were read, recovery's keys and the
// sysconfig elements ones that were read in copies. The readers of hosts, adb keys, mac_permissions.xml,
// seapp_contexts and default-permissions name the AOSP file they follow, but were written from knowledge of it and
// checked against real phones' files where there were some (there were none of adb keys and recovery's keys).
//
// # Not read
//
// Binary XML (magic "ABX\0", packages.xml since Android 12; and the compiled XML of APKs), SELinux contexts other
// than seapp_contexts, /data/property (persistent properties), property_contexts. User and group names stay names:
// which of them a phone knows is not known here. Entities that an XML file declares itself are not expanded.
package prop

import (
	"fmt"

	"gifthorse/internal/cursor"
)

// FormatError says at which byte a file is not what it should be.
type FormatError = cursor.FormatError

// A Problem is a line that the phone's own reader would not take, or would take differently.
type Problem struct {
	Line int
	Msg  string
}

func (p Problem) String() string { return fmt.Sprintf("line %d: %s", p.Line, p.Msg) }

// An Import is a line that names another file to read. Path is as written and may hold ${property.name}.
type Import struct {
	Path   string
	Filter string // property files only: load just this name, or with a final '*' this prefix; "" is all
	Line   int
}

// problems collects Problems for a reader.
type problems []Problem

func (p *problems) add(line int, format string, args ...any) {
	*p = append(*p, Problem{line, fmt.Sprintf(format, args...)})
}
