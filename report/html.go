package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"gifthorse/check"
	"gifthorse/verdict"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageCSS string

// Of the gaps of one reason a page names maxNamed, on paper too, and folds away maxListed: nobody reads more, and
// browsers grow slow.
const (
	maxNamed  = 4
	maxListed = 300
)

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"question": func(q check.Question) string { return questionWords[q] },
	"mark":     func(l verdict.Level) string { return marks[l] },
	"slug":     func(s any) string { return strings.ReplaceAll(fmt.Sprint(s), " ", "-") },
	"capital":  capital,
	"flow":     func(f Finding) []string { return flow(&f) },
	"reach":    func(f Finding) string { return reachOf(&f) },
	"in":       func(f Finding) string { return f.in() },
	"short":    shortNames,
	"wayIn":    func(f Finding) string { return f.wayIn() },
	"pieces":   pieces,
	"size":     size,
	"coverage": coverageWords,
	"lines":    func(s string) []string { return strings.Split(s, "\n\n") },
	"join":     func(s []string) string { return strings.Join(s, "; ") },
	"add":      func(a, b int) int { return a + b },
	"last":     func(i int, s []string) bool { return i == len(s)-1 },
	"path":     func(f Finding) bool { return f.Reach != "" },
	"first":    func(g []Gap) []Gap { return g[:min(maxNamed, len(g))] },
	"rest":     func(g []Gap) []Gap { return g[min(maxNamed, len(g)):] },
	"listed":   func(g []Gap) []Gap { return g[:min(maxListed, len(g))] },
	"more":     func(g []Gap) int { return max(0, len(g)-maxListed) },
}).Parse(pageText))

// HTML writes the report as one page that stands alone: no script, nothing loaded from elsewhere.
func (r *Report) HTML(w io.Writer) error {
	v := r.visible()
	type grade struct {
		Grade    check.Grade
		Words    string
		Findings []Finding
	}
	sum := sha256.Sum256([]byte(pageCSS))
	data := struct {
		*Report
		CSS       template.CSS
		StyleHash string
		Name      string
		Facts     string
		Means     string
		Counted   string
		Grades    []grade
		Leads     []Finding
		Groups    []gapGroup
		Command   string
		ByID      map[string]Finding
	}{
		Report: v, CSS: template.CSS(pageCSS), StyleHash: base64.StdEncoding.EncodeToString(sum[:]), Name: capital(v.deviceName()), Facts: v.deviceFacts(), Means: backdoorMeans,
		Counted: v.counted(""), Groups: v.gapGroups(), Command: v.command(), ByID: map[string]Finding{},
	}
	for _, f := range v.Findings {
		data.ByID[f.ID] = f
	}
	for _, g := range check.Grades {
		var of []Finding
		for _, f := range v.Findings {
			if f.Grade == g {
				of = append(of, f)
			}
		}
		switch {
		case g == check.Lead:
			data.Leads = of
		case len(of) > 0:
			data.Grades = append(data.Grades, grade{g, gradeWords[g], of})
		}
	}
	return page.Execute(w, data)
}

// capital begins a sentence with a capital letter, if it begins with a letter of the English words we write.
func capital(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return strings.ToUpper(s[:1]) + s[1:]
	}
	return s
}

// pieces cuts a long name behind its separators, so that a browser may break the line there.
func pieces(s string) []string {
	var out []string
	from := 0
	for i := range len(s) {
		if strings.IndexByte("!#/;:.", s[i]) >= 0 {
			out = append(out, s[from:i+1])
			from = i + 1
		}
	}
	return append(out, s[from:])
}
