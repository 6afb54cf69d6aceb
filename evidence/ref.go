package evidence

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Ref is the address of a fact: a file, through all containers it lies in, and a place in it. It prints as
//
//	wolder.zip!system/app/Foo/Foo.apk!classes2.dex#Lcom/a/B;.run:()V+0x1a
//
// and [ParseRef] reads what String prints. The name of an archive that was given comes first; a folder that
// was given alone is not named, so the first name is the path in that folder. Where several things were
// given, a folder is named too.
//
// Refs can be compared with == and used as map keys. The zero Ref is nowhere.
type Ref struct {
	path string // the names, each escaped, with '!' between them

	Symbol string // what the place is called, as it is: a Dalvik method, a key, an XML element
	Off    int64  // bytes, or whatever the format counts in; only with HasOff
	HasOff bool
}

// Inner returns the address of what is called name inside r, which is then a container.
func (r Ref) Inner(name string) Ref {
	s := escape(name)
	if name == "" {
		s = "%" // no escape is a lone percent sign, and no name leaves nothing
	}
	if r.path != "" {
		s = r.path + "!" + s
	}
	return Ref{path: s}
}

// At returns the address of a place in the file of r.
func (r Ref) At(symbol string, off int64) Ref {
	return Ref{path: r.path, Symbol: symbol, Off: off, HasOff: true}
}

// Sym returns the address of a named place in the file of r, without an offset.
func (r Ref) Sym(symbol string) Ref { return Ref{path: r.path, Symbol: symbol} }

// File returns the address without the place in the file.
func (r Ref) File() Ref { return Ref{path: r.path} }

// Names returns the names from the outermost container to the file, as they are in their containers.
func (r Ref) Names() []string {
	if r.path == "" {
		return nil
	}
	parts := strings.Split(r.path, "!")
	for i, p := range parts {
		parts[i], _ = unescapeName(p)
	}
	return parts
}

// String prints r so that it can be shown anywhere and read back: `!`, `#`, `+` and `%` in names, what is
// not UTF-8 and what does not print stand there as %XX.
func (r Ref) String() string {
	if r.Symbol == "" && !r.HasOff {
		return r.path
	}
	s := r.path + "#" + escape(r.Symbol)
	if !r.HasOff {
		return s
	}
	if r.Off < 0 {
		return s + "+-0x" + strconv.FormatUint(-uint64(r.Off), 16)
	}
	return s + "+0x" + strconv.FormatInt(r.Off, 16)
}

// ParseRef reads what [Ref.String] prints.
func ParseRef(s string) (Ref, error) {
	var r Ref
	path, place, placed := strings.Cut(s, "#")
	if path != "" {
		for name := range strings.SplitSeq(path, "!") {
			n, err := unescapeName(name)
			if err != nil {
				return Ref{}, fmt.Errorf("address %q: %w", s, err)
			}
			r = r.Inner(n)
		}
	}
	if !placed {
		return r, nil
	}
	sym, off, hasOff := strings.Cut(place, "+")
	sym, err := unescape(sym)
	if err != nil {
		return Ref{}, fmt.Errorf("address %q: %w", s, err)
	}
	r.Symbol = sym
	if hasOff {
		if r.Off, err = strconv.ParseInt(off, 0, 64); err != nil {
			return Ref{}, fmt.Errorf("address %q: offset %q is not a number", s, off)
		}
		r.HasOff = true
	}
	return r, nil
}

// Compare orders addresses by file, symbol and offset.
func Compare(a, b Ref) int {
	if c := cmp.Compare(a.path, b.path); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Symbol, b.Symbol); c != 0 {
		return c
	}
	if a.HasOff != b.HasOff {
		if b.HasOff {
			return -1
		}
		return 1
	}
	return cmp.Compare(a.Off, b.Off)
}

const hexDigits = "0123456789ABCDEF"

func escape(s string) string {
	for i := 0; ; i++ {
		if i == len(s) {
			return s
		}
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '%' || c == '!' || c == '#' || c == '+' {
			break
		}
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) || strings.ContainsRune("%!#+", r) {
			for _, c := range []byte(s[i : i+n]) {
				b.WriteByte('%')
				b.WriteByte(hexDigits[c>>4])
				b.WriteByte(hexDigits[c&15])
			}
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

func unescapeName(s string) (string, error) {
	if s == "%" {
		return "", nil
	}
	if s == "" {
		return "", fmt.Errorf("a name between two '!' is missing")
	}
	return unescape(s)
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if len(s) < i+3 {
			return "", fmt.Errorf("%q is not a %%XX escape", s[i:])
		}
		v, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("%q is not a %%XX escape", s[i:i+3])
		}
		b = append(b, byte(v))
		i += 2
	}
	return string(b), nil
}
