package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"

	"gifthorse/check"
	"gifthorse/knowledge"
	"gifthorse/verdict"
)

// A Style is how a terminal is.
type Style struct {
	Color bool // it takes ANSI colours
	Width int  // in columns; 0 means 80
}

// maxWidth is how wide text is set in a wide terminal: longer lines are hard to read.
const maxWidth = 100

// Text writes the report for a terminal. No line is longer than the style's width, but for one that is narrower
// than 40 columns.
func (r *Report) Text(w io.Writer, st Style) error {
	if st.Width == 0 {
		st.Width = 80
	}
	st.Width = min(max(st.Width, 40), maxWidth)
	b := bufio.NewWriter(w)
	t := &terminal{w: b, Style: st, r: r.visible()}
	t.head()
	t.findings()
	t.leads()
	t.unseen()
	t.foot()
	return b.Flush()
}

// A terminal writes blocks of text.
type terminal struct {
	w *bufio.Writer
	Style
	r *Report
}

// Colours. Each stands beside a word that says the same.
const (
	bold   = "1"
	faint  = "2"
	red    = "1;31"
	yellow = "1;33"
	cyan   = "36"
)

func (t *terminal) paint(colour, s string) string {
	if !t.Color || colour == "" || s == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// block writes s behind first, which later lines replace by as many spaces.
func (t *terminal) block(first, colour, s string) {
	indent := strings.Repeat(" ", columns(first))
	for _, l := range wrap(s, t.Width-columns(first)) {
		fmt.Fprintln(t.w, strings.TrimRight(first+t.paint(colour, l), " "))
		first = indent
	}
}

func (t *terminal) line() { t.w.WriteByte('\n') }

func (t *terminal) heading(s, more string) {
	t.line()
	t.block("", bold, strings.ToUpper(s)+more)
}

func levelColour(l verdict.Level) string {
	switch l {
	case verdict.Found:
		return red
	case verdict.Signs, verdict.CannotTell:
		return yellow
	}
	return bold
}

func decisionColour(id string) string {
	switch id {
	case knowledge.DoNotUse:
		return red
	case knowledge.NothingAgainst:
		return bold
	}
	return yellow
}

func gradeColour(g check.Grade) string {
	switch g {
	case check.Proven:
		return red
	case check.Lead:
		return bold
	}
	return yellow
}

func (t *terminal) head() {
	t.block("", bold, capital(t.r.deviceName()))
	for _, l := range []string{t.r.deviceFacts(), t.r.Device.Fingerprint} {
		if l != "" {
			t.block("", faint, l)
		}
	}
	t.line()
	t.block("", decisionColour(t.r.Decision.ID), strings.ToUpper(t.r.Decision.Title))
	for p := range strings.SplitSeq(t.r.Decision.Text, "\n\n") {
		t.block("", "", p)
	}
	t.line()
	for _, a := range t.r.Answers {
		t.block("", bold, questionWords[a.Question])
		label := marks[a.Level] + " " + string(a.Level)
		label += strings.Repeat(" ", max(0, 16-columns(label)))
		text := a.Text
		if n := t.r.counted(a.Question); n != "" {
			text += " [" + n + "]"
		}
		for i, l := range wrap(text, t.Width-18) {
			if i > 0 {
				label = strings.Repeat(" ", 16)
			}
			fmt.Fprintln(t.w, "  "+t.paint(levelColour(a.Level), label)+l)
		}
		if a.Question == check.Backdoor {
			t.block(strings.Repeat(" ", 18), faint, backdoorMeans)
		}
	}
	t.heading("what to do next", "")
	for i, n := range t.r.Decision.Next {
		t.block(fmt.Sprintf("%3d. ", i+1), "", n)
	}
}

func (t *terminal) findings() {
	n := 0
	for _, g := range check.Grades {
		if g == check.Lead {
			continue
		}
		first := true
		for i := range t.r.Findings {
			f := &t.r.Findings[i]
			if f.Grade != g {
				continue
			}
			if first {
				t.heading(string(g), ": "+gradeWords[g])
				first = false
			}
			n++
			t.finding(n, f)
		}
	}
}

func (t *terminal) finding(n int, f *Finding) {
	t.line()
	t.block(fmt.Sprintf("%3d. ", n), gradeColour(f.Grade), f.Message)
	if hops := flow(f); len(hops) > 0 {
		t.chain(hops)
	}
	t.field("id", f.ID+" ("+questionWords[f.Question]+")")
	t.field("grade", string(f.Grade)+", "+string(f.State))
	if f.Reach != "" {
		t.field("reach", reachOf(f))
	}
	t.field("in", f.in())
	t.field("way in", f.wayIn())
	switch {
	case len(f.Gates) > 0:
		for i, g := range f.Gates {
			label := "guards"
			if i > 0 {
				label = ""
			}
			t.field(label, shortNames(g.What)+": "+g.Holds)
			t.block(strings.Repeat(" ", 15), faint, g.At)
		}
	case f.Reach != "":
		t.field("guards", "none found on the way")
	}
	t.field("shown", f.Disclosure)
	if len(f.Witness) > 0 {
		for i, s := range f.Witness {
			label := ""
			if i == 0 {
				label = "steps"
			}
			t.block(fmt.Sprintf("     %-7s%2d ", label, i+1), "", shortNames(s.What))
			t.block(strings.Repeat(" ", 15), faint, s.At)
		}
	} else {
		t.field("at", f.At)
	}
	for i, a := range f.Also {
		label := ""
		if i == 0 {
			label = "also at"
		}
		t.field(label, a)
	}
	t.field("innocent", f.Innocent)
	t.field("rests on", strings.Join(f.Vouchers, "; "))
}

// in says which app holds a finding and as whom it runs.
func (f *Finding) in() string {
	o := f.Origin
	if o == nil {
		return f.Subject
	}
	s := cmp.Or(o.Package, f.Subject)
	if o.UID != "" && o.UID != o.Package {
		s += ", which runs as " + o.UID
	}
	return s
}

func (t *terminal) field(label, s string) {
	if s != "" {
		t.block(fmt.Sprintf("     %-9s ", label), "", s)
	}
}

// chain draws hops with arrows between them, an arrow at the head of each further line.
func (t *terminal) chain(hops []string) {
	const indent = "     "
	line := indent + t.paint(cyan, hops[0])
	used := len(indent) + columns(hops[0])
	for _, h := range hops[1:] {
		n := columns(h) + 4
		if used+n > t.Width {
			fmt.Fprintln(t.w, line)
			lines := wrap(h, t.Width-len(indent)-4)
			for i, l := range lines {
				head := "  → "
				if i > 0 {
					head = "    "
				}
				line = indent + head + t.paint(cyan, l)
				used = len(indent) + 4 + columns(l)
				if i < len(lines)-1 {
					fmt.Fprintln(t.w, line)
				}
			}
			continue
		}
		line += "  → " + t.paint(cyan, h)
		used += n
	}
	fmt.Fprintln(t.w, line)
}

// maxLeads is how many leads are named in a terminal: a screen of them. All are in the JSON form.
const maxLeads = 20

func (t *terminal) leads() {
	n := 0
	for i := range t.r.Findings {
		f := &t.r.Findings[i]
		if f.Grade != check.Lead {
			continue
		}
		if n == 0 {
			t.heading("leads", ": "+gradeWords[check.Lead])
		}
		if n++; n > maxLeads {
			continue
		}
		t.block("   - ", "", f.Message)
	}
	if more := n - maxLeads; more > 0 {
		t.block("     ", faint, fmt.Sprintf("%d more with --json", more))
	}
}

// maxGaps is how many gaps of a reason are named in a terminal.
const maxGaps = 3

func (t *terminal) unseen() {
	t.heading("what was not seen", "")
	groups := t.r.gapGroups()
	if len(groups) == 0 {
		t.block("  ", "", "Everything that was listed was read.")
	}
	for _, g := range groups {
		t.block("  ", bold, fmt.Sprintf("%d %s: %s", len(g.Gaps), g.Reason, g.Words))
		for i, x := range g.Gaps {
			if i == maxGaps {
				t.block("     ", faint, fmt.Sprintf("%d more with --json", len(g.Gaps)-maxGaps))
				break
			}
			t.block("   - ", "", strings.TrimPrefix(cmp.Or(x.At, "the whole")+": "+x.Detail, ": "))
		}
	}
	t.heading("what was read", "")
	for _, c := range t.r.Coverage {
		t.block(fmt.Sprintf("  %-14s ", c.What), "", coverageWords(c))
	}
	t.heading("what no input can show", "")
	for _, l := range t.r.Limits {
		t.block("   - ", "", l)
	}
}

func coverageWords(c Coverage) string {
	if c.Listed == 0 {
		return "absent: none was in what was given"
	}
	s := fmt.Sprintf("%d of %d read", c.Read, c.Listed)
	if c.Failed > 0 {
		s += fmt.Sprintf(", %d failed", c.Failed)
	}
	return s
}

func (t *terminal) foot() {
	t.line()
	for _, in := range t.r.Inputs {
		t.block("input      ", faint, fmt.Sprintf("%s (%s, %s)", in.Name, in.Kind, size(in.Size)))
		t.block("           ", faint, "sha256 "+cmp.Or(in.SHA256, "not known: it could not be read to its end"))
	}
	t.block("program    ", faint, strings.TrimSpace("gifthorse "+t.r.Tool.Version+" "+t.r.Tool.Commit))
	t.block("knowledge  ", faint, "of "+t.r.Tool.KnowledgeDate+", sha256 "+t.r.Tool.KnowledgeSHA256)
	t.block("again      ", faint, t.r.command())
}
