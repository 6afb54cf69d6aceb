package knowledge

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

//go:embed advice.txt
var adviceText string

//go:embed limits.txt
var limitsText string

// The decisions that a report can open with.
const (
	DoNotUse           = "do-not-use"
	NoOfficialAccounts = "no-official-accounts"
	NothingAgainst     = "nothing-against"
	NotEnoughSeen      = "not-enough-seen"
)

// Decisions are the ids that advice must have, the gravest first.
var Decisions = []string{DoNotUse, NoOfficialAccounts, NotEnoughSeen, NothingAgainst}

// A Decision is what to tell the person who holds the phone. Its texts may hold the placeholder {because}.
type Decision struct {
	ID    string
	Title string   // one sentence
	Text  []string // paragraphs
	Next  []string // what to do, in order
}

// maxAdvice bounds a replacement: a page of words is a few thousand bytes, and a report repeats it.
const maxAdvice = 64 << 10

// ParseAdvice reads a file of decisions, by id; advice.txt describes the form. Every decision must be there with a title, a text and
// something to do.
func ParseAdvice(b []byte) (map[string]Decision, error) {
	if len(b) > maxAdvice {
		return nil, fmt.Errorf("advice: %d bytes, more than %d", len(b), maxAdvice)
	}
	if !utf8.Valid(b) {
		return nil, errors.New("advice: not UTF-8")
	}
	byID := map[string]Decision{}
	var id string
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(string(b), "\ufeff")) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '[' {
			id = strings.Trim(line, "[]")
			if _, twice := byID[id]; twice || !slices.Contains(Decisions, id) {
				return nil, fmt.Errorf("advice: line %d: %q is not one of %s, or comes twice", n, line, strings.Join(Decisions, ", "))
			}
			byID[id] = Decision{ID: id}
			continue
		}
		name, words, ok := strings.Cut(line, ":")
		words = strings.TrimSpace(words)
		if !ok || words == "" || id == "" {
			return nil, fmt.Errorf("advice: line %d: want title, text or next, a colon and words, inside a decision", n)
		}
		d := byID[id]
		switch name {
		case "title":
			if d.Title != "" {
				return nil, fmt.Errorf("advice: line %d: %s has two titles", n, id)
			}
			d.Title = words
		case "text":
			d.Text = append(d.Text, words)
		case "next":
			d.Next = append(d.Next, words)
		default:
			return nil, fmt.Errorf("advice: line %d: %q is not title, text or next", n, name)
		}
		byID[id] = d
	}
	for _, id := range Decisions {
		if d := byID[id]; d.Title == "" || len(d.Text) == 0 || len(d.Next) == 0 {
			return nil, fmt.Errorf("advice: decision %s lacks a title, a text or something to do", id)
		}
	}
	return byID, nil
}

// Advice returns the decisions of the embedded file, by id. Do not change the map.
var Advice = sync.OnceValue(func() map[string]Decision {
	a, err := ParseAdvice([]byte(adviceText))
	if err != nil {
		panic(err) // the file is part of the program; a test reads it
	}
	return a
})

// A Limit is something that no input can show.
type Limit struct {
	ID, Text string
}

// Limits returns them in the order of limits.txt. Do not change the slice.
var Limits = sync.OnceValue(func() []Limit {
	var limits []Limit
	for line := range strings.Lines(limitsText) {
		line = strings.TrimSpace(line)
		if id, text, ok := strings.Cut(line, ": "); ok && line[0] != '#' {
			limits = append(limits, Limit{id, text})
		}
	}
	return limits
})
