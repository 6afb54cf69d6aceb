package report

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gifthorse/check"
	"gifthorse/verdict"
)

// backdoorMeans is printed with the answer about backdoors, wherever it stands.
const backdoorMeans = "Backdoor here means a way into the phone that nothing guards and that the owner is not shown. " +
	"It says nothing about who put it there, why, or whether it was used."

var questionWords = map[check.Question]string{
	check.Identity: "Is it the phone it says it is?",
	check.Backdoor: "Is there a backdoor?",
	check.Wire:     "How is the communication security?",
	check.Reports:  "Whom does it report to?",
}

// answerWords are how an answer reads, by its level. {n} is how many findings decide it.
var answerWords = map[check.Question]map[verdict.Level][2]string{ // for one, for several
	check.Identity: {
		verdict.Found:        {"It does not match: one difference is proven.", "It does not match: {n} differences are proven."},
		verdict.Signs:        {"There is one reason for doubt.", "There are {n} reasons for doubt."},
		verdict.NothingFound: {"No difference was found in what was read."},
	},
	check.Backdoor: {
		verdict.Found:        {"One unguarded way in was found.", "{n} unguarded ways in were found."},
		verdict.Signs:        {"There is one sign of one; none is proven.", "There are {n} signs of one; none is proven."},
		verdict.NothingFound: {"None was found in what was read."},
	},
	check.Wire: {
		verdict.Found:        {"One hole was found.", "{n} holes were found."},
		verdict.Signs:        {"One weakness was found.", "{n} weaknesses were found."},
		verdict.NothingFound: {"No hole was found in what was read."},
	},
	check.Reports: {
		verdict.Found:        {"It sends, or can send, personal data in one way.", "It sends, or can send, personal data in {n} ways."},
		verdict.Signs:        {"There is one hint that it reports.", "There are {n} hints that it reports."},
		verdict.NothingFound: {"Nothing that reports was found in what was read."},
	},
}

func answerText(a verdict.Answer, findings []Finding) string {
	if a.Level == verdict.CannotTell {
		if a.Unasked {
			return "No check of this version asks it."
		}
		kinds := make([]string, len(a.Missing))
		for i, k := range a.Missing {
			kinds[i] = string(k)
		}
		return "What it rests on was not there, or could not be read whole: " + strings.Join(kinds, ", ") + "."
	}
	decide, other := 0, 0
	for i := range findings {
		f := &findings[i]
		if !slices.Contains(a.Because, f.ID) {
			continue
		}
		if a.Level == verdict.Found && f.Grade != check.Proven && (f.Grade != check.Undisclosed || a.Question != check.Reports) {
			other++
		} else {
			decide++
		}
	}
	words := answerWords[a.Question][a.Level]
	s := words[0]
	if decide != 1 && words[1] != "" {
		s = strings.ReplaceAll(words[1], "{n}", fmt.Sprint(decide))
	}
	switch {
	case other == 1:
		s += " There is also one weaker finding."
	case other > 1:
		s += fmt.Sprintf(" There are also %d weaker findings.", other)
	}
	return s
}

// A mark stands before an answer, so that its level is not said by colour alone.
var marks = map[verdict.Level]string{verdict.Found: "■", verdict.Signs: "▲", verdict.CannotTell: "?", verdict.NothingFound: "○"}

var gradeWords = map[check.Grade]string{
	check.Proven:      "shown completely by evidence",
	check.Concealed:   "a hidden function whose trigger was not found",
	check.Undisclosed: "can send personal data, and no question to the owner was found",
	check.Weak:        "makes an attack easier",
	check.Lead:        "worth a look by an analyst; moves no answer",
}

var reachWords = map[check.Reach]string{
	check.Network:         "somebody on the network",
	check.Radio:           "anybody who can send a radio message",
	check.AnyApp:          "any app",
	check.PreinstalledApp: "any preinstalled app",
	check.SameSigner:      "an app of the same signer",
	check.Cable:           "someone with a cable",
	check.Screen:          "someone at the screen",
	check.BootOnly:        "nobody: it happens when the phone starts",
}

func reachOf(f *Finding) string {
	if w, ok := reachWords[f.Reach]; ok {
		return w
	}
	return string(f.Reach)
}

// flow draws a finding as a chain from the outsider to the effect: who, by which way, past which gates, with
// what in his hand, to what effect and as whom. A finding that is no path has no chain.
func flow(f *Finding) []string {
	if f.Reach == "" || f.Effect == "" {
		return nil
	}
	hops := []string{reachOf(f)}
	if f.Reach == check.BootOnly {
		hops[0] = "the start of the phone"
	}
	if f.Entry != nil && f.Entry.Component != "" {
		hops = append(hops, shortComponent(f.Entry.Component))
	}
	switch {
	case len(f.Gates) == 0 && f.Entry != nil:
		hops = append(hops, "no guard")
	case len(f.Gates) > 0:
		for _, g := range f.Gates {
			hops = append(hops, shortNames(g.What)+": "+g.Holds)
		}
	}
	if f.Entry != nil && len(f.Entry.Extras) > 0 {
		hops = append(hops, "with "+extras(f.Entry.Extras))
	}
	last := f.Effect
	if f.Origin != nil && f.Origin.UID != "" && f.Origin.UID != f.Origin.Package {
		last += ", as " + f.Origin.UID
	}
	return append(hops, last)
}

// shortComponent shortens a component's name to what stands behind its last dot: "com.a.B" becomes "B".
func shortComponent(s string) string {
	if strings.ContainsAny(s, " ;") {
		return shortNames(s)
	}
	return s[strings.LastIndexByte(s, '.')+1:]
}

// extras says what a caller puts into an intent. A name alone is that of an extra.
func extras(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n
		if !strings.ContainsAny(n, ` "`) {
			out[i] = `extra "` + n + `"`
		}
	}
	return strings.Join(out, ", ")
}

// wayIn says what a caller must do to come in.
func (f *Finding) wayIn() string {
	e := f.Entry
	if e == nil {
		return ""
	}
	s := e.Component
	if e.Action != "" {
		s += ", action " + e.Action
	}
	if len(e.Extras) > 0 {
		s += ", " + extras(e.Extras)
	}
	return s
}

// dalvikName is a class, or a method of one, in the notation that addresses use: "Lcom/a/B;.run:(I)V".
var dalvikName = regexp.MustCompile(`L(?:[^\s;:.()\[]*/)?([^\s/;:.()\[]+);(\.[^\s:;()]+:\([^\s()]*\)(?:\[*(?:L[^\s;]*;|[VZBSCIJFD])))?`)

// shortNames shortens the names of classes and methods in a sentence: "enters Lcom/a/B;.run:(I)V" becomes "enters
// B.run". The full names stand in the addresses.
func shortNames(s string) string {
	return dalvikName.ReplaceAllStringFunc(s, func(m string) string {
		parts := dalvikName.FindStringSubmatch(m)
		method, _, _ := strings.Cut(parts[2], ":")
		return parts[1] + method
	})
}

// counted is how many findings an answer has of each grade, in words: "2 proven, 1 weak, 14 leads".
func (r *Report) counted(q check.Question) string {
	n := map[check.Grade]int{}
	for i := range r.Findings {
		if q == "" || r.Findings[i].Question == q {
			n[r.Findings[i].Grade]++
		}
	}
	var parts []string
	for _, g := range check.Grades {
		switch {
		case n[g] == 0:
		case g == check.Lead && n[g] != 1:
			parts = append(parts, fmt.Sprintf("%d leads", n[g]))
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n[g], g))
		}
	}
	return strings.Join(parts, ", ")
}

// deviceName says which phone it is.
func (r *Report) deviceName() string {
	d := &r.Device
	name := strings.TrimSpace(cmp.Or(d.Brand, d.Manufacturer) + " " + d.Model)
	switch {
	case name != "":
		return name
	case d.Android == "" && len(r.Apps) > 0:
		return number(len(r.Apps), "app", "apps") + " without a phone"
	}
	return "a phone that does not say which it is"
}

// deviceFacts say what else the phone says of itself.
func (r *Report) deviceFacts() string {
	d := &r.Device
	var facts []string
	add := func(label, v, after string) {
		if v != "" {
			facts = append(facts, label+v+after)
		}
	}
	add("Android ", d.Android, "")
	add("security patch ", d.Patch, "")
	add("", d.BuildType, " build")
	add("signed with ", d.BuildTags, "")
	add("built ", d.BuildDate, "")
	return strings.Join(facts, " · ")
}

func number(n int, one, several string) string {
	if n == 1 {
		return "one " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

func paragraphs(p []string) string { return strings.Join(p, "\n\n") }

// gapGroup is the gaps of one reason.
type gapGroup struct {
	Reason string
	Words  string
	Gaps   []Gap
}

var reasonWords = []struct{ reason, words string }{
	{"absent", "should be there, and was not in what was given"},
	{"denied", "is there, and reading it was not permitted"},
	{"encrypted", "is there, and the key is not"},
	{"damaged", "is there, and contradicts its own format"},
	{"cut short", "the beginning is there, the end is not"},
	{"too large", "is there, and a limit of this program cut it"},
	{"unsupported", "is there, and this version does not read it"},
}

// gapGroups sorts the gaps by reason; within one, those on which an answer rests come first.
func (r *Report) gapGroups() []gapGroup {
	weight := map[string]int{}
	for _, a := range r.Answers {
		for _, id := range a.Unseen {
			weight[id]++
		}
	}
	var out []gapGroup
	for _, w := range reasonWords {
		g := gapGroup{Reason: w.reason, Words: w.words}
		for _, x := range r.Gaps {
			if x.Reason == w.reason {
				g.Gaps = append(g.Gaps, x)
			}
		}
		slices.SortStableFunc(g.Gaps, func(a, b Gap) int { return weight[b.ID] - weight[a.ID] })
		if len(g.Gaps) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// command is what a person types to make the report again.
func (r *Report) command() string {
	s := "gifthorse check"
	for _, in := range r.Inputs {
		s += " " + shellQuote(in.Name)
	}
	return s
}

// shellQuote quotes a file's name so that a shell takes it as one word and as nothing else.
func shellQuote(s string) string {
	safe := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-/", c)
	}
	if s != "" && s[0] != '-' && strings.IndexFunc(s, func(c rune) bool { return !safe(c) }) < 0 {
		return s
	}
	if strings.HasPrefix(s, "-") {
		s = "./" + s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
