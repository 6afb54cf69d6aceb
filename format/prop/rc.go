package prop

import "strings"

// A statement is one logical line of a file in init's language.
type statement struct {
	words []string
	line  int
}

// A scanner cuts a file into statements as next_token and ParseData of system/core/init do (parser.cpp,
// tokenizer.cpp; parser.c and init_parser.c before Android 7, which agree):
//
//   - words are separated by spaces, tabs and carriage returns;
//   - '#' begins a comment only where a word could begin, and a comment is never continued;
//   - double quotes take everything, newlines too, up to the next quote, and may stand inside a word;
//   - backslash n, r, t and backslash make those characters, before a newline it continues the line and eats the
//     white space that begins the next, before anything else it is dropped;
//   - a continuation is inside a word: it joins, and what follows it is always part of a word, '#' included;
//   - an unterminated quote and a zero byte end the file, and the statement they stand in is lost.
type scanner struct {
	s     string
	pos   int
	line  int
	end   bool
	probs *problems
}

func newScanner(b []byte, probs *problems) *scanner {
	return &scanner{s: string(b), line: 1, probs: probs}
}

// next returns the next statement that has words.
func (sc *scanner) next() (st statement, ok bool) {
	var words []string
	for !sc.end {
		if sc.pos >= len(sc.s) {
			sc.end = true
			break
		}
		switch c := sc.s[sc.pos]; c {
		case 0:
			sc.cut("zero byte: init reads no further")
			return statement{}, false
		case '\n':
			sc.pos++
			sc.line++
			if words != nil {
				return statement{words, st.line}, true
			}
		case ' ', '\t', '\r':
			sc.pos++
		case '#':
			for sc.pos < len(sc.s) && sc.s[sc.pos] != '\n' && sc.s[sc.pos] != 0 {
				sc.pos++
			}
		default:
			if words == nil {
				st.line = sc.line
			}
			w, ok := sc.word()
			if !ok {
				return statement{}, false
			}
			words = append(words, w)
		}
	}
	if words == nil {
		return statement{}, false
	}
	return statement{words, st.line}, true
}

// cut ends the file at pos.
func (sc *scanner) cut(msg string) {
	sc.probs.add(sc.line, "%s", msg)
	sc.end = true
}

// special are the bytes that end a word or are not simply part of it.
var special = [256]bool{' ': true, '\t': true, '\r': true, '\n': true, '"': true, '\\': true, 0: true}

// word reads a word that begins at pos. It is false if the file ends inside it in a way that loses the statement.
func (sc *scanner) word() (string, bool) {
	start := sc.pos
	i := start
	for i < len(sc.s) && !special[sc.s[i]] {
		i++
	}
	sc.pos = i
	if i == len(sc.s) || sc.s[i] != '"' && sc.s[i] != '\\' && sc.s[i] != 0 {
		return sc.s[start:i], true
	}
	out := []byte(sc.s[start:i])
	for sc.pos < len(sc.s) {
		switch c := sc.s[sc.pos]; c {
		case 0:
			sc.cut("zero byte: init reads no further")
			return "", false
		case ' ', '\t', '\r', '\n':
			return string(out), true
		case '"':
			n := strings.IndexAny(sc.s[sc.pos+1:], "\"\x00")
			if n < 0 || sc.s[sc.pos+1+n] == 0 {
				sc.cut("unterminated quote: init reads no further")
				return "", false
			}
			quoted := sc.s[sc.pos+1 : sc.pos+1+n]
			sc.line += strings.Count(quoted, "\n")
			out = append(out, quoted...)
			sc.pos += n + 2
		case '\\':
			if !sc.escape(&out) {
				return "", false
			}
		default:
			out = append(out, c)
			sc.pos++
		}
	}
	return string(out), true
}

// escape reads a backslash at pos and what follows it.
func (sc *scanner) escape(out *[]byte) bool {
	sc.pos++
	rest := sc.s[sc.pos:]
	switch {
	case rest == "" || rest == "\r":
		// Init appends a newline to a file, which this continues, so that the statement has no end.
		sc.cut("continued into the end of the file: init drops the statement")
		return false
	case rest[0] == 0:
		sc.cut("zero byte: init reads no further")
		return false
	case rest[0] == 'n':
		*out = append(*out, '\n')
	case rest[0] == 'r':
		*out = append(*out, '\r')
	case rest[0] == 't':
		*out = append(*out, '\t')
	case rest[0] == '\r' && !strings.HasPrefix(rest, "\r\n"):
		// dropped, with its backslash
	case rest[0] == '\r' || rest[0] == '\n':
		sc.pos += strings.IndexByte(rest, '\n') + 1
		sc.line++
		for sc.pos < len(sc.s) && (sc.s[sc.pos] == ' ' || sc.s[sc.pos] == '\t') {
			sc.pos++
		}
		return true
	default:
		*out = append(*out, rest[0])
	}
	sc.pos++
	return true
}
