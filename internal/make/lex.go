package make

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A token is a piece of smali text. Words hold everything that is not a string, a character or one of
// ",{}=": a whole reference such as La/B;->c(I)V is one word.
type token struct {
	kind byte // 'w' word, 's' string, 'c' character, a punctuation mark, or 0 at the end
	text string
	line int
}

func (t token) String() string {
	switch t.kind {
	case 0:
		return "the end of the file"
	case 's':
		return "a string"
	case 'c':
		return "a character"
	}
	return strconv.Quote(t.text)
}

// A textError is what is wrong with a source text, and where. It travels up as a panic and is caught in DEX.
type textError struct {
	file string
	line int
	msg  string
}

func (e *textError) Error() string { return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.msg) }

func fail(file string, line int, format string, args ...any) {
	panic(&textError{file, line, fmt.Sprintf(format, args...)})
}

// lex cuts a file into tokens. Strings come out unescaped; all text comes out in the modified UTF-8 of DEX.
func lex(file, text string) []token {
	var toks []token
	line := 1
	if !utf8.ValidString(text) {
		fail(file, 1, "not UTF-8")
	}
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case '\n':
			line++
			i++
		case ' ', '\t', '\r', '\f':
			i++
		case '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case ',', '{', '}', '=':
			toks = append(toks, token{c, text[i : i+1], line})
			i++
		case '"', '\'':
			end := i + 1
			for ; end < len(text) && text[end] != c && text[end] != '\n'; end++ {
				if text[end] == '\\' {
					end++
				}
			}
			if end >= len(text) || text[end] != c {
				fail(file, line, "literal without its closing %c", c)
			}
			s := unescape(file, line, text[i+1:end])
			kind := byte('s')
			if c == '\'' {
				kind = 'c'
				if units(s) != 1 {
					fail(file, line, "%s is not one UTF-16 character", text[i:end+1])
				}
			}
			toks = append(toks, token{kind, s, line})
			i = end + 1
		default:
			start := i
			i = wordEnd(text, i)
			word := text[start:i]
			if strings.IndexByte(word, '`') >= 0 {
				if strings.Count(word, "`")%2 != 0 {
					fail(file, line, "name without its closing `")
				}
				word = strings.ReplaceAll(word, "`", "")
			}
			if word == "" {
				fail(file, line, "empty name")
			}
			toks = append(toks, token{'w', modified(word), line})
		}
	}
	return append(toks, token{line: line})
}

// wordEnd returns where the word at i ends. A closing parenthesis that the word did not open ends it, unless
// it is its first character: that takes call_site_0("a", ()V)@La;->b()V apart as the parser needs it.
func wordEnd(text string, i int) int {
	start, depth := i, 0
	for ; i < len(text); i++ {
		switch text[i] {
		case ' ', '\t', '\r', '\f', '\n', '#', ',', '{', '}', '=', '"', '\'':
			return i
		case '`':
			for i++; i < len(text) && text[i] != '`' && text[i] != '\n'; i++ {
			}
			if i == len(text) || text[i] == '\n' {
				return i
			}
		case '(':
			depth++
		case ')':
			if depth == 0 && i > start {
				return i
			}
			depth = max(0, depth-1)
		case '.': // the dots of a range stand by themselves
			if i+1 < len(text) && text[i+1] == '.' {
				if i == start {
					return i + 2
				}
				return i
			}
		}
	}
	return i
}

func unescape(file string, line int, s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return modified(s)
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			b.WriteString(modified(s))
			return b.String()
		}
		b.WriteString(modified(s[:i]))
		c := s[i+1] // the lexer never ends a literal on a backslash
		s = s[i+2:]
		switch c {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case '\\', '"', '\'':
			b.WriteByte(c)
		case 'u':
			if len(s) < 4 {
				fail(file, line, "\\u wants four hex digits")
			}
			v, err := strconv.ParseUint(s[:4], 16, 16)
			if err != nil {
				fail(file, line, "\\u wants four hex digits")
			}
			s = s[4:]
			appendUnit(&b, uint16(v))
		default:
			fail(file, line, "unknown escape \\%c", c)
		}
	}
}

// modified turns UTF-8 into the modified UTF-8 of DEX: characters beyond 0xffff become two surrogates of
// three bytes each, NUL becomes two bytes.
func modified(s string) string {
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] != 0 && s[i] < 0xf0
	}
	if plain {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r > 0xffff {
			appendUnit(&b, uint16(0xd800+(r-0x10000)>>10))
			r = 0xdc00 + (r-0x10000)&0x3ff
		}
		appendUnit(&b, uint16(r))
	}
	return b.String()
}

// appendUnit adds one UTF-16 code unit in modified UTF-8; lone surrogates are as good as any other.
func appendUnit(b *strings.Builder, u uint16) {
	switch {
	case u != 0 && u < 0x80:
		b.WriteByte(byte(u))
	case u < 0x800:
		b.Write([]byte{0xc0 | byte(u>>6), 0x80 | byte(u&0x3f)})
	default:
		b.Write([]byte{0xe0 | byte(u>>12), 0x80 | byte(u>>6&0x3f), 0x80 | byte(u&0x3f)})
	}
}

// units counts the UTF-16 code units of a string in modified UTF-8.
func units(s string) (n int) {
	for i := 0; i < len(s); i++ {
		if s[i]&0xc0 != 0x80 {
			n++
		}
	}
	return n
}

// firstUnit returns the first UTF-16 code unit of a string in modified UTF-8.
func firstUnit(s string) uint16 {
	switch {
	case s[0] < 0x80:
		return uint16(s[0])
	case s[0] < 0xe0:
		return uint16(s[0]&0x1f)<<6 | uint16(s[1]&0x3f)
	}
	return uint16(s[0])<<12 | uint16(s[1]&0x3f)<<6 | uint16(s[2]&0x3f)
}

// literal reads a number, boolean or floating literal of smali: its encoded-value type and its bits, sign
// extended to 64 for integers.
func literal(s string) (kind byte, bits int64, ok bool) {
	switch s {
	case "true":
		return valueBoolean, 1, true
	case "false":
		return valueBoolean, 0, true
	case "":
		return 0, 0, false
	}
	neg, body := s[0] == '-', strings.TrimPrefix(s, "-")
	if body == "" {
		return 0, 0, false
	}
	hex := len(body) > 2 && body[0] == '0' && body[1]|0x20 == 'x'
	last := body[len(body)-1] | 0x20
	switch body {
	case "Infinity", "InfinityD", "Infinityd", "InfinityF", "Infinityf", "NaN", "NaNd", "NaND", "NaNf", "NaNF":
		f := math.Inf(1)
		if neg {
			f = math.Inf(-1)
		}
		single := last == 'f'
		switch nan := body[0] == 'N'; {
		case nan && single: // Java's one NaN, which is not Go's
			return valueFloat, 0x7fc00000, true
		case nan:
			return valueDouble, 0x7ff8000000000000, true
		case single:
			return valueFloat, int64(math.Float32bits(float32(f))), true
		}
		return valueDouble, int64(math.Float64bits(f)), true
	}
	if body[0] != '.' && (body[0] < '0' || body[0] > '9') {
		return 0, 0, false
	}
	if !hex && (last == 'f' || last == 'd' || strings.ContainsAny(body, ".eE")) || hex && strings.ContainsAny(body, "pP") {
		kind, size := byte(valueDouble), 64
		if last == 'f' {
			kind, size = valueFloat, 32
		}
		if last == 'f' || last == 'd' {
			s = s[:len(s)-1]
		}
		f, err := strconv.ParseFloat(s, size)
		if err != nil || strings.Contains(s, "_") {
			return 0, 0, false
		}
		if size == 32 {
			return kind, int64(math.Float32bits(float32(f))), true
		}
		return kind, int64(math.Float64bits(f)), true
	}
	kind, size := byte(valueInt), 32
	switch last {
	case 'l':
		kind, size = valueLong, 64
	case 's':
		kind, size = valueShort, 16
	case 't':
		kind, size = valueByte, 8
	}
	if kind != valueInt {
		body = body[:len(body)-1]
	}
	base := 10
	if hex {
		base, body = 16, body[2:]
	} else if len(body) > 1 && body[0] == '0' {
		base = 8
	}
	u, err := strconv.ParseUint(body, base, size)
	if err != nil || neg && u > 1<<(size-1) {
		return 0, 0, false
	}
	if neg {
		u = -u
	}
	shift := 64 - size // an unsigned spelling such as 0xffffffff is the negative number
	return kind, int64(u<<shift) >> shift, true
}
