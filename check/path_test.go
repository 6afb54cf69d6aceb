package check

import (
	"strings"
	"testing"

	"gifthorse/knowledge"
	"gifthorse/phone"
	"gifthorse/program"
)

// What the code fixes is shown behind the last step, and what it composes is said to be composed; the path's own steps stay as they are.
func TestGiven(t *testing.T) {
	steps := make([]program.Step, 1, 8)
	x := &program.Path{Entry: &program.Entry{Package: &phone.Package{Name: "com.a"}}, Effect: knowledge.Kind("run-command"),
		Steps: steps, Fixed: []string{"", "sh", "su -c", strings.Repeat("x", 1000), "4", "5", "6"}, Composed: []string{"su -c"}}
	f := OfPath(x)
	if len(f.Witness) != 2 || len(x.Steps) != 1 || steps[:2][1] != (program.Step{}) {
		t.Fatalf("%d steps of %d", len(f.Witness), len(x.Steps))
	}
	got := f.Witness[1].What
	for _, want := range []string{`the code fixes: "sh", "su -c" (it stands nowhere`, `"4"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s: no %s", got, want)
		}
	}
	if strings.Contains(got, `"5"`) || len(got) > 400 {
		t.Errorf("too much: %s", got)
	}
	x.Fixed = nil
	if f := OfPath(x); len(f.Witness) != 1 {
		t.Error("a step without a text")
	}
}
