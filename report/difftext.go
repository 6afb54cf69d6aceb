package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// In a terminal a list ends after a screen of things, a fact after a few values and a folder after a few names. All are in the
// JSON form.
const (
	maxShown   = 12
	maxValues  = 6
	maxFolders = 40
	maxInside  = 4
)

// Text writes the difference for a terminal, no line longer than the style's width.
func (d *Diff) Text(w io.Writer, st Style) error {
	if st.Width == 0 {
		st.Width = 80
	}
	st.Width = min(max(st.Width, 40), maxWidth)
	b := bufio.NewWriter(w)
	t := &terminal{w: b, Style: st}
	t.diff(d.visible())
	return b.Flush()
}

func (t *terminal) diff(d *Diff) {
	for _, s := range d.sides() {
		t.block(s.Letter+"  ", bold, s.Name)
		if s.Facts != "" {
			t.block("   ", faint, s.Facts)
		}
		for _, in := range s.Inputs {
			t.block("   ", faint, fmt.Sprintf("%s (%s, %s)", in.Name, in.Kind, size(in.Size)))
		}
	}
	t.line()
	if d.Same {
		t.block("", bold, sameWords)
	} else {
		for _, l := range d.summary() {
			t.block("  ", "", l)
		}
		t.line()
		t.block("", faint, "Below, A stands before what only A has, and B before what only B has.")
	}
	for _, w := range areaWords {
		a := d.Areas[w.name]
		note := a.Note()
		if len(a.Added)+len(a.Changed)+len(a.Removed) == 0 && note == "" {
			continue
		}
		more := ""
		if w.more != "" {
			more = ": " + w.more
		}
		t.heading(w.title, more)
		if w.name == "files" {
			t.folders(folders(a))
		} else {
			t.only("only in B", a.Added)
			t.changed(a.Changed)
			t.only("only in A", a.Removed)
		}
		if note != "" {
			t.block("  ", faint, note)
		}
	}
	if unseen := d.unseen(); len(unseen) > 0 {
		t.heading("what was not seen", "")
		for _, s := range unseen {
			t.block("   - ", "", s)
		}
		t.block("  ", faint, unseenWords)
	}
}

func (t *terminal) only(words string, items []DiffItem) {
	if len(items) == 0 {
		return
	}
	t.block("  ", bold, fmt.Sprintf("%s: %d", words, len(items)))
	for i, x := range items {
		if i == maxShown {
			t.more(len(items) - i)
			break
		}
		var facts []string
		for _, f := range x.Facts {
			facts = append(facts, f.Fact+": "+values(f.Values, maxValues))
		}
		line := strings.Join(facts, ". ")
		switch {
		case line == "":
			t.block("   - ", "", x.Name)
		case columns(x.Name+line)+8 <= t.Width:
			t.block("   - ", "", x.Name+"   "+line)
		default:
			t.block("   - ", "", x.Name)
			t.block("     ", faint, line)
		}
	}
}

func (t *terminal) changed(list []DiffChange) {
	if len(list) == 0 {
		return
	}
	t.block("  ", bold, fmt.Sprintf("not the same: %d", len(list)))
	shown := 0
	for i, x := range groups(list) {
		if i == maxShown {
			t.more(len(list) - shown)
			break
		}
		shown += len(x.Names)
		alike := ""
		if len(x.Names) > 1 {
			alike = fmt.Sprintf("%d alike: ", len(x.Names))
		}
		t.block("   - ", "", alike+values(x.Names, maxValues))
		for _, f := range x.Facts {
			label := fmt.Sprintf("     %-11s", f.Fact)
			if columns(f.Fact) > 11 {
				t.block("     ", "", f.Fact)
				label = strings.Repeat(" ", 16)
			}
			for _, side := range []struct {
				letter string
				values []string
			}{{"A", f.Removed}, {"B", f.Added}} {
				if len(side.values) > 0 {
					t.block(label+" "+side.letter+" ", "", values(side.values, maxValues))
					label = strings.Repeat(" ", columns(label))
				}
			}
		}
	}
}

func (t *terminal) folders(list []folder) {
	for i, f := range list {
		if i == maxFolders {
			t.block("   ", faint, fmt.Sprintf("%d more folders with --json", len(list)-i))
			break
		}
		t.block("   ", bold, f.Name)
		for _, x := range []struct {
			words string
			names []string
		}{{"only in B", f.Added}, {"not the same", f.Changed}, {"only in A", f.Removed}} {
			if len(x.names) > 0 {
				t.block(fmt.Sprintf("     %d %s: ", len(x.names), x.words), "", values(x.names, maxInside))
			}
		}
	}
}

func (t *terminal) more(n int) { t.block("     ", faint, fmt.Sprintf("%d more with --json", n)) }
