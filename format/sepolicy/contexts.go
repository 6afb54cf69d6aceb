package sepolicy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"unicode"

	"gifthorse/internal/cursor"
)

// A Problem is a line that was not understood, or that this package cannot follow as the platform does.
type Problem struct {
	File string
	Line int // of a compiled file, the number of the entry
	Msg  string
}

func (p Problem) String() string { return fmt.Sprintf("%s: line %d: %s", p.File, p.Line, p.Msg) }

// A FileContext is one line of a file_contexts.
type FileContext struct {
	Pattern string // a regular expression for the whole path
	Mode    fs.FileMode
	Context string // "u:object_r:system_file:s0"; "<<none>>" if the file keeps what it has
	File    string
	Line    int

	anyMode bool
	prefix  string // with which each path begins that fits
	exact   bool   // the prefix is all there is
	meta    bool   // libselinux takes the pattern for one with special characters
	matcher func() *regexp.Regexp
}

// FileContexts are the labels of paths. Its methods may be called by several goroutines.
type FileContexts struct {
	Specs    []FileContext // in the order in which the last that fits holds
	Problems []Problem
}

// Bounds of file_contexts, for each line may be tried for each path; shipped ones together have some 3,000 lines and 130 KB of patterns.
const (
	maxSpecs   = 1 << 14
	maxPattern = 1024 // bytes of one
)

// ParseFileContexts reads files of a phone in the order in which the platform does (system, system_ext, product, vendor, odm): text,
// or the compiled form of Android 7. A compiled file that contradicts its format is a Problem, and what stands before that
// is kept.
func ParseFileContexts(files ...File) *FileContexts {
	c := &FileContexts{}
	for _, f := range files {
		if len(f.Text) >= 4 && binary.LittleEndian.Uint32(f.Text) == compiledMagic {
			if err := c.compiled(f); err != nil {
				c.Problems = append(c.Problems, Problem{f.Name, 0, err.Error()})
			}
			continue
		}
		line := 0
		for l := range strings.SplitSeq(string(f.Text), "\n") {
			line++
			w := strings.Fields(l)
			if len(w) == 0 || w[0][0] == '#' {
				continue
			}
			s := FileContext{Pattern: w[0], Context: w[len(w)-1], File: f.Name, Line: line, anyMode: true}
			ok := len(w) == 2
			if len(w) == 3 {
				s.anyMode = false
				s.Mode, ok = fileModes[w[1]]
			}
			if !ok {
				c.Problems = append(c.Problems, Problem{f.Name, line, fmt.Sprintf("%q is no pattern, kind of file and label", clip(l))})
				continue
			}
			c.add(s)
		}
	}
	// What has no special characters goes behind the rest, where it is found first; else the order is kept (sort_specs of label_file.h).
	slices.SortStableFunc(c.Specs, func(a, b FileContext) int {
		switch {
		case a.meta == b.meta:
			return 0
		case a.meta:
			return -1
		}
		return 1
	})
	return c
}

var fileModes = map[string]fs.FileMode{"--": 0, "-d": fs.ModeDir, "-c": fs.ModeDevice | fs.ModeCharDevice, "-b": fs.ModeDevice, "-p": fs.ModeNamedPipe,
	"-l": fs.ModeSymlink, "-s": fs.ModeSocket}

func (c *FileContexts) add(s FileContext) {
	bad := func(msg string) { c.Problems = append(c.Problems, Problem{s.File, s.Line, msg}) }
	if len(c.Specs) >= maxSpecs {
		if len(c.Specs) == maxSpecs {
			bad(fmt.Sprintf("more than %d lines", maxSpecs))
		}
		return
	}
	if len(s.Pattern) > maxPattern {
		bad(fmt.Sprintf("a pattern of %d bytes", len(s.Pattern)))
		return
	}
	// The platform's engine is PCRE, with dots that fit every byte (label_file.h, compile_regex: "^" pattern "$").
	expr := "(?s)^(?:" + s.Pattern + ")$"
	if _, err := syntax.Parse(expr, syntax.Perl); err != nil {
		bad(fmt.Sprintf("the pattern %q cannot be followed: %v", clip(s.Pattern), err))
		return
	}
	s.prefix, s.exact, s.meta = literal(s.Pattern)
	s.matcher = sync.OnceValue(func() *regexp.Regexp {
		re, err := regexp.Compile(expr)
		if err != nil {
			return nil // it was parsed before: this does not happen
		}
		return re
	})
	c.Specs = append(c.Specs, s)
}

// literal returns with what each path begins that fits a pattern, whether that is the whole, and whether the pattern has characters that
// libselinux takes for special (spec_hasMetaChars).
func literal(pattern string) (prefix string, exact, meta bool) {
	var b []byte
	open, sets := 0, false
	exact = true
	for i := 0; i < len(pattern); i++ {
		switch ch := pattern[i]; {
		case ch == '\\':
			if i++; i < len(pattern) && exact {
				if d := pattern[i]; d >= '0' && d <= '9' || unicode.IsLetter(rune(d)) {
					exact = false // a class of characters
				} else {
					b = append(b, d)
				}
			}
		case strings.IndexByte(".^$?*+|[({", ch) >= 0:
			meta = true
			switch ch {
			case '(':
				open++
			case '[':
				sets = true
			case '|':
				if open == 0 || sets { // in a set a bracket is none
					return "", false, true
				}
			}
			if exact && len(b) > 0 && strings.IndexByte("?*{", ch) >= 0 {
				b = b[:len(b)-1] // the character before may be absent
			}
			exact = false
		case ch == ')':
			open = max(0, open-1)
			exact = false
		case exact && ch < 0x80:
			b = append(b, ch)
		default:
			exact = false
		}
	}
	return string(b), exact, meta
}

// Lookup returns the line that labels a path, or nil. mode says which kind of file it is, in its type bits; kind is false if that is not
// known, and then every line fits.
func (c *FileContexts) Lookup(name string, mode fs.FileMode, kind bool) *FileContext {
	for i := len(c.Specs) - 1; i >= 0; i-- {
		s := &c.Specs[i]
		if kind && !s.anyMode && s.Mode != mode.Type() || !strings.HasPrefix(name, s.prefix) {
			continue
		}
		if s.exact && len(name) == len(s.prefix) {
			return s
		}
		if s.exact {
			continue
		}
		if re := s.matcher(); re != nil && re.MatchString(name) {
			return s
		}
	}
	return nil
}

// TypeOf returns the type in a context: "system_file" of "u:object_r:system_file:s0", or "".
func TypeOf(context string) string {
	p := strings.SplitN(context, ":", 4)
	if len(p) < 3 {
		return ""
	}
	return p[2]
}

const compiledMagic = 0xf97cff8a

// compiled reads a file_contexts.bin (label_file.h, load_mmap; SELINUX_COMPILED_FCONTEXT_ of versions 1 to 5). The patterns stand in it as
// text, which is read; the compiled ones are passed over.
func (c *FileContexts) compiled(f File) error {
	cur := cursor.At(f.Text, 4)
	version := cur.U32()
	if version < 1 || version > 5 {
		return fmt.Errorf("compiled in version %d, which is not known", version)
	}
	text := func() string { return string(bytes.TrimRight(cur.Bytes(int64(cur.U32())), "\x00")) }
	engine := ""
	if version >= 2 {
		engine = text()
	}
	if version >= 5 {
		text() // its architecture
	}
	for n := cur.U32(); n > 0 && cur.Err() == nil; n-- {
		size := cur.U32()
		cur.Skip(int64(size) + 1)
	}
	n := cur.U32()
	for i := uint32(0); i < n && cur.Err() == nil; i++ {
		s := FileContext{File: f.Name, Line: int(i) + 1}
		s.Context, s.Pattern = text(), text()
		mode := cur.U32() // up to version 2 a mode_t of the computer that compiled it, of the same size
		s.anyMode, s.Mode = mode == 0, unixType(mode)
		cur.Skip(8) // stem, special characters
		if version >= 4 {
			cur.Skip(4) // length of the prefix
		}
		cur.Skip(int64(cur.U32()))
		if !strings.HasPrefix(engine, "10.") {
			cur.Skip(int64(cur.U32())) // what PCRE 8 learned of it; PCRE 10 writes one block only
		}
		if cur.Err() == nil {
			c.add(s)
		}
	}
	return cur.Err()
}

func unixType(mode uint32) fs.FileMode {
	switch mode & 0o170000 {
	case 0o040000:
		return fs.ModeDir
	case 0o020000:
		return fs.ModeDevice | fs.ModeCharDevice
	case 0o060000:
		return fs.ModeDevice
	case 0o010000:
		return fs.ModeNamedPipe
	case 0o120000:
		return fs.ModeSymlink
	case 0o140000:
		return fs.ModeSocket
	}
	return 0
}

// A NameContext is one line of a service_contexts, hwservice_contexts or property_contexts.
type NameContext struct {
	Name    string // of a service, or with which a property begins; "*" is any
	Exact   bool   // of a property: only this name
	Context string
	File    string
	Line    int
}

// NameContexts are the labels of services or properties.
type NameContexts struct {
	Specs    []NameContext // as they stand in the files
	Problems []Problem

	byName map[string]int // the first of a name
	prefix map[string]int // properties: the first of a beginning
}

// ParseServiceContexts reads files of service_contexts, hwservice_contexts or vndservice_contexts, in the platform's order.
func ParseServiceContexts(files ...File) *NameContexts { return parseNames(files, false) }

// ParsePropertyContexts reads files of property_contexts, in the platform's order. A line may end in "exact" or "prefix" and a type of
// value (Android 8 and later); without, a name stands for all that begins with it.
func ParsePropertyContexts(files ...File) *NameContexts { return parseNames(files, true) }

func parseNames(files []File, properties bool) *NameContexts {
	c := &NameContexts{byName: map[string]int{}, prefix: map[string]int{}}
	for _, f := range files {
		line := 0
		for l := range strings.SplitSeq(string(f.Text), "\n") {
			line++
			w := strings.Fields(l)
			if len(w) == 0 || w[0][0] == '#' {
				continue
			}
			if len(w) < 2 {
				c.Problems = append(c.Problems, Problem{f.Name, line, fmt.Sprintf("%q has no label", clip(w[0]))})
				continue
			}
			s := NameContext{Name: w[0], Context: w[1], File: f.Name, Line: line, Exact: !properties && w[0] != "*" || len(w) > 2 && w[2] == "exact"}
			to := c.prefix
			if s.Exact {
				to = c.byName
			} else if s.Name == "*" {
				s.Name = ""
			}
			if _, ok := to[s.Name]; !ok {
				to[s.Name] = len(c.Specs)
			}
			c.Specs = append(c.Specs, s)
		}
	}
	return c
}

// Lookup returns the line that labels a service or property, or nil: an exact one, else the longest beginning (label_backends_android.c;
// property_info_parser.cpp, GetPropertyInfo).
func (c *NameContexts) Lookup(name string) *NameContext {
	if i, ok := c.byName[name]; ok {
		return &c.Specs[i]
	}
	for n := len(name); n >= 0; n-- {
		if i, ok := c.prefix[name[:n]]; ok {
			return &c.Specs[i]
		}
	}
	return nil
}
