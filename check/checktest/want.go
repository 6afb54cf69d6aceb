package checktest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gifthorse/check"

	"golang.org/x/tools/txtar"
)

// A textPhone is an archive with what it says to the harness.
type textPhone struct {
	name      string
	archive   *txtar.Archive
	begins    map[string]int // line of the marker before each file
	wants     []want
	keep      []string
	published string

	seen string // what the models saw of it
}

// A want is an expectation.
type want struct {
	place
	grade check.Grade // "" for any
	text  string
}

// is reports whether f is what w wants. Of a renamed phone f has no hashes.
func (w want) is(f found) bool {
	return (w.text == f.text || hash.ReplaceAllString(w.text, "…") == f.text) && (w.grade == "" || w.grade == f.Grade) &&
		w.file == f.place.file && (w.line == f.place.line || f.place.line == 0)
}

var (
	wantInLine = regexp.MustCompile(`[ \t]*#[ \t]*want[ \t](.*)`)
	wantInXML  = regexp.MustCompile(`^\s*want\s`)
	wantInHead = regexp.MustCompile("^want (\\w+ )?[\"`]")
)

func parse(name string, raw []byte) (*textPhone, error) {
	a := txtar.Parse(raw)
	p := &textPhone{name: name, archive: a, begins: map[string]int{}}
	for i, line := range strings.Split(string(a.Comment), "\n") {
		key, rest, _ := strings.Cut(line, ":")
		switch {
		case key == "keep":
			p.keep = append(p.keep, strings.Fields(rest)...)
		case key == "published":
			if p.published = strings.TrimSpace(rest); p.published == "" {
				return nil, fmt.Errorf("%s:%d: published: without a reason", name, i+1)
			}
		case wantInHead.MatchString(line):
			if err := p.want(place{}, strings.TrimPrefix(line, "want ")); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
			}
		}
	}
	line := 1 + bytes.Count(a.Comment, []byte{'\n'})
	for _, f := range a.Files {
		if _, ok := p.begins[f.Name]; ok {
			return nil, fmt.Errorf("%s:%d: %s is there twice", name, line, f.Name)
		}
		p.begins[f.Name] = line
		line += 1 + bytes.Count(f.Data, []byte{'\n'})
		var err error
		if path.Ext(f.Name) == ".xml" {
			err = p.inXML(f)
		} else {
			for i, s := range strings.Split(string(f.Data), "\n") {
				if m := wantInLine.FindStringSubmatch(s); m != nil && err == nil {
					err = p.wantAt(f.Name, i+1, m[1])
				}
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// inXML finds the expectations of an XML file. They speak of the element whose start tag ends on their line before
// them, or which begins on it.
func (p *textPhone) inXML(f txtar.File) error {
	type tag struct{ first, last int }
	var tags []tag
	var comments []struct {
		line, before int // before: how many tags stand before it
		text         string
	}
	d := xml.NewDecoder(bytes.NewReader(f.Data))
	for {
		first := 1 + bytes.Count(f.Data[:d.InputOffset()], []byte{'\n'})
		t, err := d.RawToken()
		if err != nil {
			break // the assembler says it better
		}
		switch t := t.(type) {
		case xml.StartElement:
			tags = append(tags, tag{first, 1 + bytes.Count(f.Data[:d.InputOffset()], []byte{'\n'})})
		case xml.Comment:
			if wantInXML.Match(t) {
				comments = append(comments, struct {
					line, before int
					text         string
				}{first, len(tags), strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(string(t)), "want"))})
			}
		}
	}
	for _, c := range comments {
		line := c.line
		if k := c.before - 1; k >= 0 && tags[k].last == line {
			line = tags[k].first
		} // else an element that begins here, or none
		if err := p.wantAt(f.Name, line, c.text); err != nil {
			return err
		}
	}
	return nil
}

func (p *textPhone) wantAt(file string, line int, spec string) error {
	at := place{file, line}
	if err := p.want(at, spec); err != nil {
		return fmt.Errorf("%s: %w", p.at(at), err)
	}
	return nil
}

// want reads [GRADE] "text" as often as it stands there.
func (p *textPhone) want(at place, spec string) error {
	rest := strings.TrimSpace(spec)
	for first := true; first || rest != ""; first = false {
		var w want
		w.place = at
		rest = strings.TrimSpace(strings.TrimPrefix(rest, "want "))
		if grade, after, ok := strings.Cut(rest, " "); ok && slices.Contains(check.Grades, check.Grade(grade)) {
			w.grade, rest = check.Grade(grade), strings.TrimSpace(after)
		}
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return fmt.Errorf("an expectation is GRADE \"text\", with one of %v, not %s", check.Grades, rest)
		}
		w.text, _ = strconv.Unquote(quoted)
		p.wants = append(p.wants, w)
		rest = strings.TrimSpace(rest[len(quoted):])
	}
	return nil
}

// at tells a place as an editor finds it: the archive's file and line.
func (p *textPhone) at(at place) string {
	begin, ok := p.begins[at.file]
	if !ok {
		return p.name + ":1"
	}
	return fmt.Sprintf("%s:%d", p.name, begin+max(at.line, 1))
}
