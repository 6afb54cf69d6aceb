package gifthorse

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// droidBench is where the labelled apps of DroidBench lie.
const droidBench = "../shared/corpus/droidbench"

// TestDroidBench scores the flows of the labelled apps as score-flows --strict does: a flow that is not labelled
// is false, a clean app with a flow too.
func TestDroidBench(t *testing.T) {
	if testing.Short() {
		t.Skip("76 apps")
	}
	type end struct{ API, Method string }
	var truth struct {
		Apps []struct {
			ID    string
			Leaky bool
			Flows []struct {
				Leak         bool
				Source, Sink end
				SinkAPK      string `json:"sink_apk"`
			}
		}
	}
	b, err := os.ReadFile(filepath.Join(droidBench, "truth.json"))
	if err != nil {
		t.Skip("no DroidBench: ", err)
	}
	if err := json.Unmarshal(b, &truth); err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile(filepath.Join(droidBench, "sources-sinks.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var flows, apps score
	for _, app := range truth.Apps {
		name := strings.NewReplacer("/", "__", " ", "_").Replace(app.ID) + ".apk"
		got, _, err := Flows(context.Background(), []string{filepath.Join(droidBench, name)}, bytes.NewReader(rules))
		if err != nil {
			t.Fatal(err)
		}
		found := map[[4]string]bool{}
		for _, f := range got {
			if len(f.Steps) == 0 {
				t.Errorf("%s: a flow without a witness", app.ID)
			}
			found[[4]string{shortName(f.Source.Call), soot(f.Source.In), shortName(f.Sink.Call), soot(f.Sink.In)}] = true
		}
		labelled := map[[4]string]bool{}
		for _, f := range app.Flows {
			if f.Leak && f.SinkAPK == "" {
				labelled[[4]string{shortName(f.Source.API), f.Source.Method, shortName(f.Sink.API), f.Sink.Method}] = true
			}
		}
		for k := range labelled {
			flows.count(found[k], true)
		}
		for k := range found {
			if !labelled[k] {
				flows.count(true, false)
			}
		}
		apps.count(len(found) > 0, app.Leaky)
	}
	t.Logf("flows %+v F1 %.4f, apps %+v F1 %.4f", flows, flows.f1(), apps, apps.f1())
	if flows.f1() < 0.85 || apps.f1() < 0.93 {
		t.Errorf("F1 of flows %.4f, want 0.85; of apps %.4f, want 0.93", flows.f1(), apps.f1())
	}
}

// A score counts what is found and what is there.
type score struct{ right, wrong, missed float64 }

func (s *score) count(found, there bool) {
	switch {
	case found && there:
		s.right++
	case found:
		s.wrong++
	case there:
		s.missed++
	}
}

func (s *score) f1() float64 { return 2 * s.right / (2*s.right + s.wrong + s.missed) }

// shortName is a method without its class, in Soot's notation: receivers may differ by inheritance.
func shortName(m string) string {
	_, rest, _ := strings.Cut(soot(m), ": ")
	return rest
}

var dalvikMethod = regexp.MustCompile(`^L([^;]+);\.([^:]+):\(([^)]*)\)(.+)$`)

// soot turns "Lcls;.name:(args)ret" into "<cls: ret name(args)>".
func soot(m string) string {
	f := dalvikMethod.FindStringSubmatch(m)
	if f == nil {
		return m
	}
	var args []string
	for rest := f[3]; rest != ""; {
		var t string
		t, rest = javaType(rest)
		args = append(args, t)
	}
	ret, _ := javaType(f[4])
	return "<" + strings.ReplaceAll(f[1], "/", ".") + ": " + ret + " " + f[2] + "(" + strings.Join(args, ",") + ")>"
}

func javaType(d string) (name, rest string) {
	switch d[0] {
	case '[':
		name, rest = javaType(d[1:])
		return name + "[]", rest
	case 'L':
		name, rest, _ = strings.Cut(d[1:], ";")
		return strings.ReplaceAll(name, "/", "."), rest
	}
	return map[byte]string{'V': "void", 'Z': "boolean", 'B': "byte", 'S': "short", 'C': "char", 'I': "int", 'J': "long", 'F': "float", 'D': "double"}[d[0]], d[1:]
}
