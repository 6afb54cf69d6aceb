package ota

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"gifthorse/internal/cursor"
)

// maxMetadata bounds a metadata file and a script, which are read whole. A real one has a few KB; a property file list and a long
// updater-script that sets every file's mode come to 500 KB.
const maxMetadata = 16 << 20

// Metadata says what a package is for.
type Metadata struct {
	Type                            string // AB, BLOCK, BRICK or ""
	Wipe, Downgrade                 bool
	SPLDowngrade                    bool     // takes the security patch level back
	PreDevice                       []string // devices that may install it
	PreBuild                        []string // fingerprints it may replace: an incremental package
	PreIncremental, PostIncremental string
	PostDevice, PostBuild           []string
	PostTimestamp                   int64 // seconds
	PostSDK, PostPatch              string
	PrePatch                        string
	RetrofitDynamicPartitions       bool
	RequiredCache                   int64
	Keys                            map[string]string // every line of the text form; property files of the other
}

// ParseMetadata reads META-INF/com/android/metadata, lines of key=value. Also payload_properties.txt has that form: see Keys.
func ParseMetadata(b []byte) (*Metadata, error) {
	if len(b) > maxMetadata {
		return nil, cursor.Errorf(0, "metadata of %d bytes", len(b))
	}
	m := &Metadata{Keys: map[string]string{}}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "="); ok {
			m.Keys[k] = v
		}
	}
	yes := func(k string) bool { return m.Keys[k] == "yes" }
	number := func(k string) int64 { n, _ := strconv.ParseInt(m.Keys[k], 10, 64); return n }
	alternatives := func(k string) []string {
		if m.Keys[k] == "" {
			return nil
		}
		return strings.Split(m.Keys[k], "|")
	}
	m.Type = m.Keys["ota-type"]
	m.Wipe, m.Downgrade, m.SPLDowngrade = yes("ota-wipe"), yes("ota-downgrade"), yes("spl-downgrade")
	m.RetrofitDynamicPartitions = yes("ota-retrofit-dynamic-partitions")
	m.PreDevice, m.PreBuild, m.PreIncremental = alternatives("pre-device"), alternatives("pre-build"), m.Keys["pre-build-incremental"]
	m.PostDevice, m.PostBuild, m.PostIncremental = alternatives("post-device"), alternatives("post-build"), m.Keys["post-build-incremental"]
	m.PostTimestamp, m.PostSDK, m.PostPatch = number("post-timestamp"), m.Keys["post-sdk-level"], m.Keys["post-security-patch-level"]
	m.PrePatch = m.Keys["pre-security-patch-level"]
	m.RequiredCache = number("ota-required-cache")
	return m, nil
}

// ParseMetadataProto reads META-INF/com/android/metadata.pb (OtaMetadata).
func ParseMetadataProto(b []byte) (*Metadata, error) {
	if len(b) > maxMetadata {
		return nil, cursor.Errorf(0, "metadata of %d bytes", len(b))
	}
	m := &Metadata{Keys: map[string]string{}}
	type state struct {
		device, build           []string
		incremental, sdk, patch string
		timestamp               int64
	}
	device := func(f cursor.Field) (s state, err error) {
		err = cursor.Fields(f.B, f.Off, func(f cursor.Field) error {
			switch f.Num {
			case 1:
				s.device = append(s.device, string(f.B))
			case 2:
				s.build = append(s.build, string(f.B))
			case 3:
				s.incremental = string(f.B)
			case 4:
				s.timestamp = int64(f.V)
			case 5:
				s.sdk = string(f.B)
			case 6:
				s.patch = string(f.B)
			}
			return nil
		})
		return s, err
	}
	err := cursor.Fields(b, 0, func(f cursor.Field) error {
		switch f.Num {
		case 1:
			m.Type = [...]string{"", "AB", "BLOCK", "BRICK", ""}[min(f.V, 4)]
		case 2:
			m.Wipe = f.V != 0
		case 3:
			m.Downgrade = f.V != 0
		case 4: // a map is a message of key and value
			var k, v string
			err := cursor.Fields(f.B, f.Off, func(f cursor.Field) error {
				switch f.Num {
				case 1:
					k = string(f.B)
				case 2:
					v = string(f.B)
				}
				return nil
			})
			m.Keys[k] = v
			return err
		case 5:
			s, err := device(f)
			m.PreDevice, m.PreBuild, m.PreIncremental, m.PrePatch = s.device, s.build, s.incremental, s.patch
			return err
		case 6:
			s, err := device(f)
			m.PostDevice, m.PostBuild, m.PostIncremental = s.device, s.build, s.incremental
			m.PostTimestamp, m.PostSDK, m.PostPatch = s.timestamp, s.sdk, s.patch
			return err
		case 7:
			m.RetrofitDynamicPartitions = f.V != 0
		case 8:
			m.RequiredCache = int64(f.V)
		case 9:
			m.SPLDowngrade = f.V != 0
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// A Script is what an updater-script says on its face. It is not run, so what it computes is not known.
type Script struct {
	Calls      []Call      // every call, in order of their ends: arguments before the call they are arguments of
	Conditions []Condition // comparisons of a property with a text
}

// A Call is one call of a function, such as package_extract_file.
type Call struct {
	Name string
	Off  int64
	Args []string // a text's value where the argument is one, the source otherwise
}

// A Condition compares a property, such as ro.product.device, with a text.
type Condition struct {
	Off      int64
	Property string
	Op       string // == or !=
	Value    string
}

// ParseScript reads an updater-script (the language of bootable/recovery/edify). It is lax: what it cannot make out it passes over.
func ParseScript(b []byte) (*Script, error) {
	if len(b) > maxMetadata {
		return nil, cursor.Errorf(0, "updater-script of %d bytes", len(b))
	}
	src := string(b)
	type open struct {
		name     string
		off      int
		argStart int
		args     []string
		words    int // tokens of the argument so far, and the value if it is one text
		value    string
		text     bool
	}
	s := &Script{}
	var stack []open
	var last [7]token // the last tokens, oldest first
	endArg := func(o *open, end int) {
		arg := strings.TrimSpace(src[o.argStart:end])
		if o.words == 1 && o.text {
			arg = o.value
		}
		if o.words > 0 {
			o.args = append(o.args, arg)
		}
		o.words, o.argStart = 0, end+1
	}
	for pos := 0; ; {
		t := next(src, pos)
		if t.kind == 0 {
			break
		}
		pos = t.end
		copy(last[:], last[1:])
		last[6] = t
		if n := len(stack); n > 0 && t.kind != ',' && t.kind != ')' {
			o := &stack[n-1]
			o.words++
			o.value, o.text = t.value, t.kind == '"' || t.kind == 'w'
		}
		switch t.kind {
		case '(':
			name := ""
			if p := last[5]; p.kind == 'w' {
				name = p.value
			}
			stack = append(stack, open{name: name, off: t.off, argStart: t.end})
			if name != "" {
				stack[len(stack)-1].off = last[5].off
			}
		case ',':
			if n := len(stack); n > 0 {
				endArg(&stack[n-1], t.off)
			}
		case ')':
			if n := len(stack); n > 0 {
				o := &stack[n-1]
				endArg(o, t.off)
				if o.name != "" {
					s.Calls = append(s.Calls, Call{o.name, int64(o.off), o.args})
				}
				stack = stack[:n-1]
			}
		case '"', 'w':
			// getprop ( "x" ) == "y"
			if l := last[1:]; l[0].is("getprop") && l[1].kind == '(' && l[3].kind == ')' && l[4].kind == '=' {
				s.Conditions = append(s.Conditions, Condition{int64(l[0].off), l[2].value, l[4].value, t.value})
			}
		}
		// "y" == getprop ( "x" )
		if l := last[1:]; t.kind == ')' && (l[0].kind == '"' || l[0].kind == 'w') && l[1].kind == '=' && l[2].is("getprop") && l[3].kind == '(' {
			s.Conditions = append(s.Conditions, Condition{int64(l[0].off), l[4].value, l[1].value, l[0].value})
		}
	}
	return s, nil
}

// A token is a text ('"'), a word ('w'), a comparison ('=', its operator in value) or a byte.
type token struct {
	kind     byte
	off, end int
	value    string
}

func (t token) is(word string) bool { return t.kind == 'w' && t.value == word }

func next(src string, pos int) token {
	for pos < len(src) {
		switch c := src[pos]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			pos++
		case c == '#':
			if i := strings.IndexByte(src[pos:], '\n'); i >= 0 {
				pos += i
			} else {
				pos = len(src)
			}
		case c == '"':
			return quoted(src, pos)
		case word(c):
			end := pos
			for end < len(src) && word(src[end]) {
				end++
			}
			return token{'w', pos, end, src[pos:end]}
		case (c == '=' || c == '!') && strings.HasPrefix(src[pos+1:], "="):
			return token{'=', pos, pos + 2, src[pos : pos+2]}
		default:
			if c == 0 || c == 'w' || c == '=' {
				c = '?'
			}
			return token{kind: c, off: pos, end: pos + 1}
		}
	}
	return token{}
}

// word reports whether c is a byte of a bare word (edify/lexer.ll).
func word(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_:/.", c) >= 0
}

func quoted(src string, pos int) token {
	var v strings.Builder
	i := pos + 1
	for ; i < len(src) && src[i] != '"'; i++ {
		c := src[i]
		if c == '\\' && i+1 < len(src) {
			i++
			switch c = src[i]; c {
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			case 'x':
				if i+2 < len(src) {
					if n, err := strconv.ParseUint(src[i+1:i+3], 16, 8); err == nil {
						c = byte(n)
						i += 2
					}
				}
			}
		}
		v.WriteByte(c)
	}
	return token{'"', pos, min(i+1, len(src)), v.String()}
}

// A TarMD5 is the line that Samsung's tools put behind a tar file and that its flashing tool checks: an MD5 of the file, a
// guard against damage and nothing else.
type TarMD5 struct {
	Off  int64 // of the line: the tar file's size
	Sum  [16]byte
	Name string // the tar file's name when the line was made

	r io.ReaderAt
}

// maxTarName bounds the file name in the line. The longest seen has 120 bytes.
const maxTarName = 1024

// NewTarMD5 reads the line behind a tar file of size bytes: 32 hexadecimal digits, two spaces, a name and a newline. If there is
// none, it is nil and there is no error.
func NewTarMD5(r io.ReaderAt, size int64) (*TarMD5, error) {
	n := min(size, 34+maxTarName)
	b, err := readAt(r, size, size-n, n)
	if err != nil {
		return nil, err
	}
	// A tar file ends in zeros; the line begins behind the last.
	i := strings.LastIndexByte(string(b), 0) + 1
	line := strings.TrimRight(string(b[i:]), "\r\n")
	if len(line) < 35 || i == 0 {
		return nil, nil
	}
	t := &TarMD5{Off: size - n + int64(i), r: r}
	if _, err := hex.Decode(t.Sum[:], []byte(line[:32])); err != nil || line[32] != ' ' || line[33] != ' ' && line[33] != '*' {
		return nil, nil
	}
	t.Name = path.Base(line[34:])
	return t, nil
}

// Verify compares the MD5 of the tar file with the line's. An error wraps [ErrMismatch] if it is another.
func (t *TarMD5) Verify() error {
	h := md5.New()
	n, err := io.CopyBuffer(h, io.NewSectionReader(t.r, 0, t.Off), make([]byte, 1<<20))
	if err != nil || n < t.Off {
		return readError(n, err)
	}
	if got := [16]byte(h.Sum(nil)); got != t.Sum {
		return fmt.Errorf("MD5 of %q is %x, its line says %x: %w", t.Name, got, t.Sum, ErrMismatch)
	}
	return nil
}
