package gifthorse

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// iccBench is where ICC-Bench lies, whose truth.tsv has the number of leaks of each app.
const iccBench = "../shared/corpus/iccbench"

// TestICCBench counts the leaks between components, as distinct pairs of source method and sink method, with the
// built-in sources and sinks, and compares them with the number labelled.
func TestICCBench(t *testing.T) {
	f, err := os.Open(filepath.Join(iccBench, "truth.tsv"))
	if err != nil {
		t.Skip("no ICC-Bench: ", err)
	}
	defer f.Close()
	const want = 22 // of 24
	right, n := 0, 0
	for s := bufio.NewScanner(f); s.Scan(); {
		row := strings.Split(s.Text(), "\t")
		if strings.HasPrefix(s.Text(), "#") || len(row) < 2 {
			continue
		}
		n++
		expected, err := strconv.Atoi(row[1])
		if err != nil {
			t.Fatal(err)
		}
		flows, _, err := Flows(context.Background(), []string{filepath.Join(iccBench, row[0]+".apk")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		pairs := map[[4]string]bool{}
		for _, x := range flows {
			if len(x.Steps) == 0 {
				t.Errorf("%s: a flow without a witness", row[0])
			}
			pairs[[4]string{x.Source.Call, x.Source.In, x.Sink.Call, x.Sink.In}] = true
		}
		if len(pairs) == expected {
			right++
			continue
		}
		t.Logf("%s: %d leaks, labelled %d", row[0], len(pairs), expected)
		for p := range pairs {
			t.Logf("    %s in %s to %s in %s", p[0], p[1], p[2], p[3])
		}
	}
	if right < want {
		t.Errorf("%d of %d apps have the labelled number of leaks, want %d", right, n, want)
	}
}
