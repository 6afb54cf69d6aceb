package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"gifthorse/verdict"
)

// sampleDiff has every area, names as a phone could choose them, and more of everything than is shown.
func sampleDiff() *Diff {
	d := &verdict.Difference{}
	var many []string
	for i := range 60 {
		many = append(many, fmt.Sprint("value", i))
	}
	for _, w := range areaWords {
		a := verdict.Area{Name: w.name, Uncompared: 2, UnseenA: []string{"manifests: 1 of 3 could not be read"}}
		for i := range maxOnPage + 5 {
			id := fmt.Sprintf("/system/folder%d/%d", i, i)
			a.Added = append(a.Added, verdict.Item{ID: id, Name: id + hostile, Facts: []verdict.Fact{{Name: "path", Values: append([]string{hostile}, many...)}, {Name: "unseen", Unseen: true}}})
			a.Removed = append(a.Removed, verdict.Item{ID: id + "r", Name: id})
			a.Changed = append(a.Changed, verdict.Change{ID: id + "c", Name: id, Facts: []verdict.FactChange{
				{Name: "signer", Removed: []string{strings.Repeat("ab", 32) + " CN=" + hostile}, Added: []string{fmt.Sprint(i / 2), ""}}}})
		}
		d.Areas = append(d.Areas, a)
	}
	return NewDiff(sample("an updater"), sample(hostile), d)
}

func TestDiffText(t *testing.T) {
	for _, width := range []int{0, 40, 80} {
		var b bytes.Buffer
		if err := sampleDiff().Text(&b, Style{Width: width}); err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(b.String()) {
			if n := columns(strings.TrimSuffix(l, "\n")); n > max(width, 40) && width != 0 || n > 80 {
				t.Errorf("width %d: %d columns: %q", width, n, l)
			}
			if strings.ContainsAny(strings.TrimSuffix(l, "\n"), "\x1b\r\n\u202e\u200b\u009b") {
				t.Errorf("this commands a terminal: %q", l)
			}
		}
		text := b.String()
		for _, want := range []string{"\nSIGNERS", "alike:", "abababababababab…", "more with --json", "only in B", "only in A", "(empty)", "WHAT WAS NOT SEEN", "A: manifests: 1 of 3"} {
			if !strings.Contains(text, want) {
				t.Errorf("width %d: %q is not told", width, want)
			}
		}
		if strings.Contains(text, "unseen:") {
			t.Error("a fact that was not seen is told")
		}
	}
}

func TestDiffHTML(t *testing.T) {
	var b bytes.Buffer
	if err := sampleDiff().HTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, not := range []string{"<script", "<img", "<link", "src=", "\x1b", "\u202e", "\u200b", "ZgotmplZ"} {
		if strings.Contains(page, not) {
			t.Errorf("%q is in the page", not)
		}
	}
	for _, w := range areaWords {
		if !strings.Contains(page, `<h2 id="`+w.name+`">`) {
			t.Errorf("the page has no %s", w.name)
		}
	}
	if !strings.Contains(page, "&lt;script&gt;") || !strings.Contains(page, "5 more in the JSON form") {
		t.Error("the page does not show what it should")
	}
	if strings.Count(page, "<table>") != strings.Count(page, "</table>") || strings.Count(page, "<ul>") != strings.Count(page, "</ul>") {
		t.Error("the page's elements do not match")
	}
}

func TestDiffJSON(t *testing.T) {
	var b bytes.Buffer
	if err := sampleDiff().JSON(&b); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\u202e\u200b") {
		t.Error("characters that do not print are in the document")
	}
	var doc map[string]any
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "areas", "b", "conformance", "same", "schema", "tool"}; !slices.Equal(slices.Sorted(maps.Keys(doc)), want) || doc["schema"] != "gifthorse.diff/1" || doc["same"] != false {
		t.Errorf("the keys are %v", slices.Sorted(maps.Keys(doc)))
	}
	area := doc["areas"].(map[string]any)["apps"].(map[string]any)
	if want := []string{"added", "changed", "removed", "unseen_a", "unseen_b", "uncompared"}; !slices.Equal(slices.Sorted(maps.Keys(area)), slices.Sorted(slices.Values(want))) {
		t.Errorf("the keys of an area are %v", slices.Sorted(maps.Keys(area)))
	}
	if n := len(area["changed"].([]any)); n != maxOnPage+5 {
		t.Errorf("%d changes: the document is cut", n)
	}
	b.Reset()
	if err := NewDiff(Scan{}, Scan{}, &verdict.Difference{Areas: []verdict.Area{{Name: "apps"}}}).JSON(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "null") || !strings.Contains(b.String(), `"same": true`) {
		t.Errorf("an empty difference is %s", b.String())
	}
}

func TestFolders(t *testing.T) {
	item := func(p string) []DiffItem { return []DiffItem{{ID: p}} }
	got := folders(DiffArea{Added: item("/system/app/A/A.apk"), Removed: item("/init.rc"), Changed: []DiffChange{{ID: "/system/app/B/B.apk"}, {ID: "/system/build.prop"}}})
	want := `[{/ [] [] [init.rc]} {/system [] [build.prop] []} {/system/app [A/A.apk] [B/B.apk] []}]`
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
