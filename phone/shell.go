package phone

import (
	"slices"
	"strings"
)

// A lexer takes a shell script apart as a POSIX shell does (Shell Command Language, 2.3), expanding words as it goes: assignments
// before are known by then.
type lexer struct {
	sh     *shell
	text   string
	pos    int
	line   int
	here   []string // delimiters of here-documents whose text begins behind this line
	unsure bool     // of the command that is being read, for what it substitutes
}

// A token is a word, with the alternatives it may stand for, or an operator: "\n", ";", ";;", "&", "&&", "|", "||", "(", ")", "<", ">".
type token struct {
	op    string
	words []string
	line  int
	plain bool // the word was written without quotes or expansions: it may be reserved
}

// next returns the next token; false at the end.
func (l *lexer) next() (token, bool) {
	if l.sh.tokens++; l.sh.tokens > maxTokens {
		return token{}, false
	}
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; {
		case c == ' ' || c == '\t' || c == '\r':
			l.pos++
		case c == '\\' && strings.HasPrefix(l.text[l.pos+1:], "\n"):
			l.pos += 2
			l.line++
		case c == '#':
			for l.pos < len(l.text) && l.text[l.pos] != '\n' {
				l.pos++
			}
		case c == '\n':
			t := token{op: "\n", line: l.line}
			l.pos++
			l.line++
			l.skipHere()
			return t, true
		case strings.IndexByte(";&|()<>", c) >= 0:
			op := string(c)
			for _, long := range []string{";;", "&&", "||", "<<-", "<<", ">>", ">&", "<&", ">|"} {
				if strings.HasPrefix(l.text[l.pos:], long) {
					op = long
					break
				}
			}
			l.pos += len(op)
			return token{op: op, line: l.line}, true
		default:
			return l.word(), true
		}
	}
	return token{}, false
}

// skipHere passes over the texts of here-documents.
func (l *lexer) skipHere() {
	for _, end := range l.here {
		for l.pos < len(l.text) {
			line, _, _ := strings.Cut(l.text[l.pos:], "\n")
			l.pos = min(len(l.text), l.pos+len(line)+1)
			l.line++
			if strings.TrimLeft(line, "\t") == end {
				break
			}
		}
	}
	l.here = nil
}

func (l *lexer) word() token {
	t := token{line: l.line, words: []string{""}, plain: true}
	add := func(values ...string) {
		var out []string
		for _, w := range t.words {
			for _, v := range values {
				if len(out) < maxAlternatives && len(w)+len(v) <= maxWord {
					out = append(out, w+v)
				}
			}
		}
		if len(out) > 0 {
			t.words = out
		}
	}
	for quoted := false; l.pos < len(l.text); {
		c := l.text[l.pos]
		switch {
		case c == '"':
			quoted, t.plain = !quoted, false
			l.pos++
		case c == '\'' && !quoted:
			t.plain = false
			l.pos++
			end := strings.IndexByte(l.text[l.pos:], '\'')
			if end < 0 {
				end = len(l.text) - l.pos
			}
			add(l.text[l.pos : l.pos+end])
			l.line += strings.Count(l.text[l.pos:l.pos+end], "\n")
			l.pos = min(len(l.text), l.pos+end+1)
		case c == '\\':
			t.plain = false
			if l.pos+1 < len(l.text) {
				if l.text[l.pos+1] == '\n' {
					l.line++
				} else {
					add(l.text[l.pos+1 : l.pos+2])
				}
			}
			l.pos += 2
		case c == '$' || c == '`':
			t.plain = false
			add(l.expansion()...)
		case !quoted && strings.IndexByte(" \t\r\n;&|()<>", c) >= 0:
			return t
		default:
			if c == '\n' {
				l.line++
			}
			n := 1
			for l.pos+n < len(l.text) && strings.IndexByte("\"'\\$` \t\r\n;&|()<>", l.text[l.pos+n]) < 0 {
				n++
			}
			add(l.text[l.pos : l.pos+n])
			l.pos += n
		}
	}
	l.pos = min(l.pos, len(l.text))
	return t
}

// expansion reads what begins with a dollar sign or a backquote. What is not known stays as it is written.
func (l *lexer) expansion() []string {
	rest := l.text[l.pos:]
	if rest[0] == '`' {
		end := strings.IndexByte(rest[1:], '`')
		if end < 0 {
			end = len(rest) - 1
		}
		l.substitute(rest[1 : 1+end])
		l.pos = min(len(l.text), l.pos+end+2)
		return []string{"$()"}
	}
	if len(rest) < 2 {
		l.pos++
		return []string{"$"}
	}
	switch c := rest[1]; {
	case c == '(':
		depth, end := 0, len(rest)
		for i := 1; i < len(rest); i++ {
			if rest[i] == '(' {
				depth++
			} else if rest[i] == ')' {
				if depth--; depth == 0 {
					end = i
					break
				}
			}
		}
		if !strings.HasPrefix(rest, "$((") {
			l.substitute(rest[min(2, end):end])
		} else {
			l.line += strings.Count(rest[:end], "\n")
		}
		l.pos = min(len(l.text), l.pos+end+1)
		return []string{"$()"}
	case c == '{':
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			l.pos = len(l.text)
			return []string{rest}
		}
		l.pos += end + 1
		inner := rest[2:end]
		n := nameLength(inner)
		values, known := l.sh.vars[inner[:n]]
		def, ok := strings.CutPrefix(inner[n:], ":-")
		switch {
		case known && (n == len(inner) || ok):
			return values
		case ok && !strings.ContainsAny(def, "$`"):
			return []string{def}
		}
		return []string{"$" + inner[:n]}
	default:
		n := nameLength(rest[1:])
		if n == 0 {
			n = min(1, len(rest)-1)
		}
		l.pos += 1 + n
		if values, ok := l.sh.vars[rest[1:1+n]]; ok {
			return values
		}
		return []string{rest[:1+n]}
	}
}

// nameLength returns how long the name of a variable is at the beginning of s; one digit is a name.
func nameLength(s string) int {
	for i := range len(s) {
		c := s[i]
		digit := '0' <= c && c <= '9'
		if i == 0 && digit {
			return 1
		}
		if !digit && c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return i
		}
	}
	return len(s)
}

// substitute reads commands inside a word.
func (l *lexer) substitute(text string) {
	l.sh.read(text, shellCommand{line: l.line, unsure: l.unsure})
	l.line += strings.Count(text, "\n")
}

// A block is an if, a loop or a case that commands stand in.
type block struct {
	asking bool // what is read now decides
	unsure bool // it asks for something else than whether files are there
	cases  bool
}

// readText reads commands and does each.
func (s *shell) readText(text string, line int) {
	l := &lexer{sh: s, text: text, line: line}
	var blocks []block
	var c shellCommand
	var started bool // a word of the command was read
	listUnsure, url := false, ""
	top := func() *block {
		if len(blocks) == 0 {
			return &block{}
		}
		return &blocks[len(blocks)-1]
	}
	pop := func() {
		if len(blocks) > 0 {
			blocks = blocks[:len(blocks)-1]
		}
	}
	finish := func(op string) {
		c.unsure = listUnsure || slices.ContainsFunc(blocks, func(b block) bool { return b.unsure })
		c.piped, url = url, ""
		if started {
			url = s.ran(c)
			quiet := s.asksForFiles(c.words)
			if top().asking && !quiet {
				top().unsure = true
			}
			listUnsure = listUnsure || (op == "&&" || op == "||") && !quiet
		}
		if op != "|" {
			url = ""
		}
		if op != "&&" && op != "||" && op != "|" {
			listUnsure = false
		}
		c, started = shellCommand{}, false
	}
	loopWords := func() {
		name, ok := l.next()
		if !ok || len(name.words) == 0 {
			return
		}
		var values []string
		for first := true; ; first = false {
			t, ok := l.next()
			if !ok || t.op != "" {
				break
			}
			if !(first && t.plain && t.words[0] == "in") && len(values) < maxAlternatives {
				values = append(values, t.words...)
			}
		}
		if len(values) > 0 {
			s.vars[name.words[0]] = values
		}
	}
	pattern := func() { // of a case, up to its parenthesis
		for {
			t, ok := l.next()
			if !ok || t.op == ")" {
				return
			}
			if t.plain && t.words[0] == "esac" {
				pop()
				return
			}
		}
	}
	for {
		l.unsure = listUnsure || slices.ContainsFunc(blocks, func(b block) bool { return b.unsure })
		t, ok := l.next()
		if !ok {
			finish("")
			return
		}
		switch {
		case t.op == "<<" || t.op == "<<-":
			if end, ok := l.next(); ok && len(end.words) > 0 {
				l.here = append(l.here, end.words[0])
			}
		case t.op != "" && strings.ContainsAny(t.op, "<>"):
			if to, ok := l.next(); ok && len(to.words) > 0 {
				if t.op == "<" {
					c.in = to.words[0]
				} else if t.op != "<&" && t.op != ">&" {
					c.out = to.words[0]
				}
			}
		case t.op == ";;":
			finish(t.op)
			if top().cases {
				pattern()
			}
		case t.op != "":
			finish(t.op)
		case !started && t.plain && reserved[t.words[0]]:
			switch t.words[0] {
			case "if", "while", "until":
				blocks = append(blocks, block{asking: true})
			case "elif", "else":
				if len(blocks) > 0 {
					top().asking, top().unsure = t.words[0] == "elif", true
				}
			case "then", "do":
				top().asking = false
			case "for", "select":
				blocks = append(blocks, block{})
				loopWords()
			case "case":
				blocks = append(blocks, block{unsure: true, cases: true})
				for w, ok := l.next(); ok && !(w.plain && w.words[0] == "in"); w, ok = l.next() {
				}
				pattern()
			case "fi", "done", "esac":
				pop()
			case "function":
				l.next()
			}
		default:
			c.line = t.line
			if started {
				c.line = min(c.line, t.line)
			}
			name, value, ok := strings.Cut(t.words[0], "=")
			if len(c.words) == 0 && ok && nameLength(name) == len(name) && name != "" {
				c.assigns = append(c.assigns, [2]string{name, value})
			} else if l.pos < len(text) && strings.IndexByte("<>", text[l.pos]) >= 0 && strings.Trim(t.words[0], "0123456789") == "" {
				break // the number of a file that is redirected
			} else if len(c.words) == 0 && len(t.words) > 1 { // a command that a loop varies
				c.words = append(c.words, t.words[0])
				for _, w := range t.words[1:] {
					s.ran(shellCommand{words: []string{w}, line: t.line, unsure: l.unsure})
				}
			} else {
				c.words = append(c.words, t.words...)
			}
			started = true
		}
	}
}

// reserved are the words that mean something at the beginning of a command (2.4).
var reserved = map[string]bool{"if": true, "then": true, "elif": true, "else": true, "fi": true, "for": true, "select": true, "while": true, "until": true,
	"do": true, "done": true, "case": true, "esac": true, "{": true, "}": true, "!": true, "function": true, "time": true}

// asksForFiles reports whether a command only asks whether files are there, or nothing at all.
func (s *shell) asksForFiles(words []string) bool {
	if len(words) == 0 || s.role("command", words[0]) == "fetch" {
		return true
	}
	switch words[0] {
	case "true", ":", "cd", "mkdir", "chmod", "chown", "sleep", "echo", "log":
		return true
	case "[", "[[", "test":
		for _, w := range words[1:] {
			if len(w) == 2 && w[0] == '-' && strings.Contains("defrswx", w[1:]) || w == "]" || w == "]]" || w == "!" || strings.HasPrefix(w, "/") {
				continue
			}
			return false
		}
		return true
	}
	return false
}
