package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"gifthorse/evidence"
	"gifthorse/report"

	"golang.org/x/term"
)

// A bar is one line on standard error that says what is read, how far it is and how long it will still take. Without a
// terminal it is silent.
type bar struct {
	on    bool
	width int
	stage string
	began time.Time // of the stage
	drawn time.Time
}

func newBar() *bar {
	fd := int(os.Stderr.Fd())
	b := &bar{on: term.IsTerminal(fd) && os.Getenv("TERM") != "dumb"}
	b.width, _, _ = term.GetSize(fd)
	return b
}

var stageWords = map[string]string{"open": "opening", "unpack": "unpacking"}

// redraw is how often the line changes: more often is only flicker.
const redraw = 100 * time.Millisecond

func (b *bar) show(p evidence.Progress) {
	if !b.on {
		return
	}
	now := time.Now()
	if p.Stage != b.stage {
		b.stage, b.began, b.drawn = p.Stage, now, time.Time{}
	}
	if now.Sub(b.drawn) < redraw {
		return
	}
	b.drawn = now
	words := p.Stage
	if w := stageWords[p.Stage]; w != "" {
		words = w
	}
	if p.Total > 0 {
		done := min(p.Done, p.Total)
		words += fmt.Sprintf(" %3d%%", 100*done/p.Total)
		if left := remaining(now.Sub(b.began), done, p.Total); left != "" {
			words += ", " + left
		}
	}
	b.draw(words + "  " + p.Item)
}

// remaining estimates how long a stage still takes. In its first seconds there is nothing to go by.
func remaining(spent time.Duration, done, total int64) string {
	if spent < 2*time.Second || done == 0 || done >= total {
		return ""
	}
	left := time.Duration(float64(spent) / float64(done) * float64(total-done)).Round(time.Second)
	if left < time.Second {
		return ""
	}
	return "about " + left.String() + " left"
}

func (b *bar) say(words string) {
	if b.on {
		b.draw(words)
	}
}

func (b *bar) draw(s string) {
	s = report.Visible(s)
	width := max(b.width, 40) - 1
	if cut := report.Clip(s, width); cut != s {
		s = report.Clip(s, width-1) + "…"
	}
	fmt.Fprint(os.Stderr, "\r\x1b[K"+strings.TrimRight(s, " "))
}

// end takes the line away.
func (b *bar) end() {
	if b.on {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}
