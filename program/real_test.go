package program_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gifthorse/program"
)

// flowRules are the sources and sinks of the text phones.
const flowRules = `
<android.content.Intent: java.lang.String getStringExtra(java.lang.String)> -> _SOURCE_
<android.os.Parcel: java.lang.String readString()> -> _SOURCE_
<java.lang.System: void load(java.lang.String)> -> _SINK_
`

func rules(t testing.TB, text string) *program.Rules {
	r, err := program.ReadRules(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFlows(t *testing.T) {
	if _, err := program.ReadRules(strings.NewReader("java.lang.System.load")); err == nil {
		t.Error("what is no rule is read as one")
	}
	all := 0
	for _, p := range textPhones(t) {
		ph := p.open(t)
		flows, gaps := program.Flows(context.Background(), ph, rules(t, flowRules))
		for _, g := range gaps {
			t.Errorf("%s: gap: %v", p.name, g)
		}
		all += len(flows)
		pr := program.Build(context.Background(), ph, "", nil) // numbers its methods as Flows did
		pos := p.positions(t)
		var lines []int
		for i := range flows {
			f := &flows[i]
			for _, e := range program.ReplayFlow(pr, f) {
				t.Errorf("%s: %s", p.name, e)
			}
			_, line, _ := pos.Lookup(f.Sink.At.Symbol, int(f.Sink.At.Off/2))
			lines = append(lines, line)
		}
		// What is overwritten, another object, and another field are told apart.
		if slices.Sort(lines); p.name == "fields" && !slices.Equal(lines, []int{17}) {
			t.Errorf("fields: flows to lines %v", lines)
		}
		runtime.GC()
	}
	if all < 60 {
		t.Errorf("%d flows on all text phones; there should be more", all)
	}
}

// TestRealPhones follows every witness that real phones give, and looks their models over.
func TestRealPhones(t *testing.T) {
	for _, name := range []string{"wolder", "doogee_mix"} {
		t.Run(name, func(t *testing.T) {
			if name == "wolder" && racing {
				t.Skip("in the race detector the larger phone takes most of a minute")
			}
			file := "../../shared/phones/" + name + ".zip"
			if _, err := os.Stat(file); err != nil {
				t.Skip("the phone is not here:", err)
			}
			ph := openPhone(t, file)
			pr := program.Build(context.Background(), ph, "", nil)
			for _, g := range pr.Gaps() {
				if strings.Contains(g.Detail, "please report it") {
					t.Error(g)
				}
			}
			bad := program.Sanity(pr)
			for _, x := range paths(pr) {
				bad = append(bad, program.Replay(pr, &x)...)
			}
			for _, x := range pr.Remote() {
				bad = append(bad, program.Replay(pr, &x)...)
			}
			for i, e := range bad {
				if i == 20 {
					t.Errorf("and %d more", len(bad)-i)
					break
				}
				t.Error(e)
			}
			if name == "doogee_mix" { // the smaller of the two
				if len(pr.Remote()) == 0 || len(pr.Sent()) == 0 {
					t.Error("nothing is found of what runs by itself")
				}
				if again := program.Build(context.Background(), ph, "", nil); tell(again.Paths()) != tell(pr.Paths()) || tell(again.Remote()) != tell(pr.Remote()) {
					t.Error("the second time something else is found")
				}
			}
			t.Log(fmt.Sprint(len(pr.Paths()), " paths"))
		})
	}
}

// TestReplay sees to it that a witness which is wrong is found out.
func TestReplay(t *testing.T) {
	for _, p := range textPhones(t) {
		if p.name != "services" && p.name != "binder" {
			continue
		}
		pr := program.Build(context.Background(), p.open(t), "", nil)
		for _, x := range pr.Paths() {
			good := x.Steps
			if e := program.Replay(pr, &x); len(e) != 0 {
				t.Fatal(e)
			}
			for i := range good {
				for name, spoil := range map[string]func(s *program.Step){
					"moved":   func(s *program.Step) { s.At.Off++ },
					"away":    func(s *program.Step) { s.At.Symbol += "x" },
					"far":     func(s *program.Step) { s.At.Off += 1 << 20 },
					"renamed": func(s *program.Step) { s.What += "x" },
					"unknown": func(s *program.Step) { s.What = "dreams" },
				} {
					if i == len(good)-1 && name == "renamed" || strings.HasPrefix(good[i].What, "registers") {
						continue // the words behind the call are the effect's
					}
					x.Steps = slices.Clone(good)
					spoil(&x.Steps[i])
					if i == len(good)-1 {
						x.At = x.Steps[i].At
					}
					if len(program.Replay(pr, &x)) == 0 {
						t.Errorf("%s: step %d %s: not noticed: %+v", p.name, i, name, x.Steps)
					}
					x.At = good[len(good)-1].At
				}
				if i > 0 && i < len(good)-1 && !strings.HasPrefix(good[i].What, "reads") {
					if x.Steps = slices.Delete(slices.Clone(good), i, i+1); len(program.Replay(pr, &x)) == 0 {
						t.Errorf("%s: without step %d: not noticed: %+v", p.name, i, x.Steps)
					}
				}
			}
		}
	}
}
