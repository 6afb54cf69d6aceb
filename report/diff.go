package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	_ "embed"

	"gifthorse/knowledge"
	"gifthorse/verdict"
)

// DiffSchema names the form of a [Diff]. A reader of version 1 can read every document that has this name.
const DiffSchema = "gifthorse.diff/1"

// A Diff is the wire form of what differs between two phones, A and B. Lists are never null; every area is there, by its
// name, also if nothing differs in it.
type Diff struct {
	Schema string              `json:"schema"`
	Tool   Tool                `json:"tool"`
	A      DiffSide            `json:"a"`
	B      DiffSide            `json:"b"`
	Same   bool                `json:"same"` // nothing that was compared differs
	Areas  map[string]DiffArea `json:"areas"`
	// Conformance counts the files of each partition that both have: how far B is what A is.
	Conformance []DiffConformance `json:"conformance"`
}

// A DiffConformance counts the files of one partition.
type DiffConformance struct {
	Partition string `json:"partition"`
	Same      int    `json:"same"`
	Changed   int    `json:"changed"`
	Added     int    `json:"added"`   // only in B
	Removed   int    `json:"removed"` // only in A
	Unseen    int    `json:"unseen"`  // in both, and could not be read in one
}

// String says the counts in words.
func (c DiffConformance) String() string {
	s := fmt.Sprintf("files of %s: %d the same", c.Partition, c.Same)
	for _, x := range []struct {
		n    int
		what string
	}{{c.Changed, "not the same"}, {c.Added, "only in B"}, {c.Removed, "only in A"}, {c.Unseen, "not compared"}} {
		if x.n > 0 {
			s += fmt.Sprintf(", %d %s", x.n, x.what)
		}
	}
	return s
}

// A DiffSide is one of two phones that are compared.
type DiffSide struct {
	Name   string  `json:"name"`
	Inputs []Input `json:"inputs"`
	Device Device  `json:"device"`
}

// A DiffArea is what differs in one part of a phone.
type DiffArea struct {
	Added      []DiffItem   `json:"added"`      // only in B
	Changed    []DiffChange `json:"changed"`    // in both, and not the same
	Removed    []DiffItem   `json:"removed"`    // only in A
	Uncompared int          `json:"uncompared"` // in both, and something about it was not seen in one
	UnseenA    []string     `json:"unseen_a"`   // what of this area was not seen in A
	UnseenB    []string     `json:"unseen_b"`
}

// A DiffItem is what only one of two phones has.
type DiffItem struct {
	ID    string     `json:"id"`
	Name  string     `json:"name"`
	Facts []DiffFact `json:"facts"`
}

// A DiffFact is something about an item.
type DiffFact struct {
	Fact   string   `json:"fact"`
	Values []string `json:"values"`
}

// A DiffChange is what both phones have, with what is not the same about it.
type DiffChange struct {
	ID    string           `json:"id"`
	Name  string           `json:"name"`
	Facts []DiffFactChange `json:"facts"`
}

// A DiffFactChange holds those values of a fact that only one phone has.
type DiffFactChange struct {
	Fact    string   `json:"fact"`
	Removed []string `json:"removed"` // only in A
	Added   []string `json:"added"`   // only in B
}

// NewDiff makes the wire form of what differs between two scans.
func NewDiff(a, b Scan, d *verdict.Difference) *Diff {
	out := &Diff{Schema: DiffSchema, Tool: Tool{a.Version, a.Commit, knowledge.Hash(), knowledge.Date()}, A: diffSide(a), B: diffSide(b), Same: d.Same(), Areas: map[string]DiffArea{}, Conformance: []DiffConformance{}}
	for _, area := range d.Areas {
		w := DiffArea{diffItems(area.Added), []DiffChange{}, diffItems(area.Removed), area.Uncompared, list(area.UnseenA), list(area.UnseenB)}
		for _, c := range area.Changed {
			x := DiffChange{c.ID, c.Name, []DiffFactChange{}}
			for _, f := range c.Facts {
				x.Facts = append(x.Facts, DiffFactChange{f.Name, list(f.Removed), list(f.Added)})
			}
			w.Changed = append(w.Changed, x)
		}
		out.Areas[area.Name] = w
	}
	for _, c := range d.Conformance {
		out.Conformance = append(out.Conformance, DiffConformance(c))
	}
	return out
}

func diffSide(s Scan) DiffSide {
	r := Report{Inputs: inputs(s), Device: device(s.Phone)}
	if s.Phone != nil {
		r.Apps = make([]App, len(s.Phone.Packages))
	}
	return DiffSide{r.deviceName(), r.Inputs, r.Device}
}

func diffItems(items []verdict.Item) []DiffItem {
	out := []DiffItem{}
	for _, x := range items {
		y := DiffItem{x.ID, x.Name, []DiffFact{}}
		for _, f := range x.Facts {
			if !f.Unseen {
				y.Facts = append(y.Facts, DiffFact{f.Name, list(f.Values)})
			}
		}
		out = append(out, y)
	}
	return out
}

// JSON writes the difference as one document, indented, with a line feed at its end.
func (d *Diff) JSON(w io.Writer) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return err
	}
	_, err := w.Write(escapeJSON(b.Bytes()))
	return err
}

func (d *Diff) visible() *Diff {
	v := visibleValue(reflect.ValueOf(*d)).Interface().(Diff)
	return &v
}

// areaWords are the areas in the order they are told, with what they are called and what one thing of them is.
var areaWords = []struct{ name, title, more, one, several string }{
	{"answers", "The answers", "", "answer", "answers"},
	{"findings", "Findings", "what the checks report", "finding", "findings"},
	{"signers", "Signers", "who signed the platform and the apps that both have", "signer", "signers"},
	{"apps", "Apps", "", "app", "apps"},
	{"trust", "Trust store", "the certificate authorities that the phone believes", "authority", "authorities"},
	{"adbkeys", "ADB keys", "the computers that may debug the phone without being asked", "ADB key", "ADB keys"},
	{"services", "Services", "the programs that init can start", "service", "services"},
	{"actions", "Actions", "what init does, and when", "action of init", "actions of init"},
	{"hosts", "Hosts", "names with a fixed address", "host", "hosts"},
	{"posture", "Posture", "properties that say how open the phone is", "property that says how open the phone is", "properties that say how open the phone is"},
	{"properties", "Properties", "all others", "other property", "other properties"},
	{"libraries", "Libraries", "code that apps share", "library", "libraries"},
	{"device", "Device", "who the phone says it is", "statement of who it is", "statements of who it is"},
	{"partitions", "Partitions", "what only one has is not compared file by file", "partition", "partitions"},
	{"files", "Files", "by folder", "file", "files"},
}

// summary says in a line for each area how much differs, and for each partition how many of its files.
func (d *Diff) summary() (lines []string) {
	for _, w := range areaWords {
		a := d.Areas[w.name]
		var parts []string
		add := func(n int, what string) {
			if n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, what))
			}
		}
		add(len(a.Added), "only in B")
		add(len(a.Changed), "not the same")
		add(len(a.Removed), "only in A")
		if len(parts) > 0 {
			word := w.several
			if len(a.Added)+len(a.Changed)+len(a.Removed) == 1 {
				word = w.one
			}
			lines = append(lines, word+": "+strings.Join(parts, ", "))
		}
	}
	for _, c := range d.Conformance {
		lines = append(lines, c.String())
	}
	return lines
}

const sameWords = "Nothing that was compared differs."

// Note says how much of an area could not be compared, "" if all could.
func (a DiffArea) Note() string {
	switch a.Uncompared {
	case 0:
		return ""
	case 1:
		return "Of one that both have, something was not compared, because it was not seen in both."
	}
	return fmt.Sprintf("Of %d that both have, something was not compared, because it was not seen in both.", a.Uncompared)
}

// unseen says once what of the two phones was not seen.
func (d *Diff) unseen() (out []string) {
	seen := map[string]bool{}
	for _, side := range []struct {
		letter string
		of     func(DiffArea) []string
	}{{"A", func(a DiffArea) []string { return a.UnseenA }}, {"B", func(a DiffArea) []string { return a.UnseenB }}} {
		for _, w := range areaWords {
			for _, s := range side.of(d.Areas[w.name]) {
				if s = side.letter + ": " + s; !seen[s] {
					seen[s] = true
					out = append(out, s)
				}
			}
		}
	}
	return out
}

const unseenWords = "Of these, that nothing differs means nothing."

// A changeGroup is what differs in the same way in several things: a phone whose key was changed has one group of apps.
type changeGroup struct {
	Names []string
	Facts []DiffFactChange
}

func groups(list []DiffChange) (out []changeGroup) {
	at := map[string]int{}
	for _, c := range list {
		key := fmt.Sprintf("%q", c.Facts)
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, changeGroup{Facts: c.Facts})
		}
		out[i].Names = append(out[i].Names, c.Name)
	}
	return out
}

// A folder is what differs in one folder.
type folder struct {
	Name                    string
	Added, Changed, Removed []string // paths in the folder
}

// folders groups files by the folder below their partition: "/system/app".
func folders(a DiffArea) []folder {
	at := map[string]*folder{}
	put := func(p string, to func(*folder) *[]string) {
		dir, depth := "/", 0
		for i := 1; i < len(p) && depth < 2; i++ {
			if p[i] == '/' {
				dir = p[:i]
				depth++
			}
		}
		f := at[dir]
		if f == nil {
			f = &folder{Name: dir}
			at[dir] = f
		}
		names := to(f)
		*names = append(*names, strings.TrimPrefix(strings.TrimPrefix(p, dir), "/"))
	}
	for _, x := range a.Added {
		put(x.ID, func(f *folder) *[]string { return &f.Added })
	}
	for _, x := range a.Changed {
		put(x.ID, func(f *folder) *[]string { return &f.Changed })
	}
	for _, x := range a.Removed {
		put(x.ID, func(f *folder) *[]string { return &f.Removed })
	}
	var out []folder
	for _, f := range at {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b folder) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// longHash is a SHA-256. For a person its first 16 digits do.
var longHash = regexp.MustCompile(`\b([0-9a-f]{16})[0-9a-f]{48}\b`)

// values joins values for a person, at most that many.
func values(v []string, most int) string {
	out := make([]string, 0, min(len(v), most))
	for _, s := range v[:min(len(v), most)] {
		if s == "" {
			s = "(empty)"
		}
		out = append(out, longHash.ReplaceAllString(s, "$1…"))
	}
	s := strings.Join(out, "; ")
	if more := len(v) - most; more > 0 {
		s += fmt.Sprintf("; and %d more", more)
	}
	return s
}

// A list on a page ends after maxOnPage, as a person reads no more and browsers grow slow; a fact of one thing after
// maxOfFact.
const (
	maxOnPage = 200
	maxOfFact = 40
)

//go:embed diff.html
var diffText string

var diffPage = template.Must(template.New("diff").Funcs(template.FuncMap{
	"pieces": pieces, "capital": capital, "size": size,
	"values":  func(v []string) string { return values(v, maxOfFact) },
	"items":   func(v []DiffItem) []DiffItem { return v[:min(maxOnPage, len(v))] },
	"groups":  groups,
	"changes": func(v []changeGroup) []changeGroup { return v[:min(maxOnPage, len(v))] },
	"names":   func(v []string) []string { return v[:min(maxOnPage, len(v))] },
	"more":    func(v any) int { return max(0, reflect.ValueOf(v).Len()-maxOnPage) },
}).Parse(diffText))

// HTML writes the difference as one page that stands alone: no script, nothing loaded from elsewhere.
func (d *Diff) HTML(w io.Writer) error {
	v := d.visible()
	type area struct {
		DiffArea
		Name, Title, More string
		Folders           []folder
	}
	sum := sha256.Sum256([]byte(pageCSS))
	data := struct {
		*Diff
		CSS       template.CSS
		StyleHash string
		Summary   []string
		SameWords string
		Sides     []sideWords
		Unseen    []string
		UnseenIs  string
		List      []area
	}{Diff: v, CSS: template.CSS(pageCSS), StyleHash: base64.StdEncoding.EncodeToString(sum[:]), Summary: v.summary(), SameWords: sameWords, Sides: v.sides(), Unseen: v.unseen(), UnseenIs: unseenWords}
	for _, x := range areaWords {
		a := area{DiffArea: v.Areas[x.name], Name: x.name, Title: x.title, More: x.more}
		if x.name == "files" {
			a.Folders = folders(a.DiffArea)
		}
		if len(a.Added)+len(a.Changed)+len(a.Removed) > 0 || a.Note() != "" {
			data.List = append(data.List, a)
		}
	}
	return diffPage.Execute(w, data)
}

// sideWords are a side as a person reads of it.
type sideWords struct {
	Letter, Name, Facts string
	Inputs              []Input
}

func (d *Diff) sides() (out []sideWords) {
	for i, s := range []DiffSide{d.A, d.B} {
		r := Report{Device: s.Device}
		out = append(out, sideWords{"AB"[i : i+1], capital(s.Name), r.deviceFacts(), s.Inputs})
	}
	return out
}
