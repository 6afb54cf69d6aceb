//go:build gh

package program

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"gifthorse/evidence"
	"gifthorse/phone"
)

func TestTmp(t *testing.T) {
	name := os.Getenv("GH_PHONE")
	if name == "" {
		t.Skip()
	}
	t0 := time.Now()
	ev, err := evidence.Open(context.Background(), []string{"/work/shared/phones/" + name + ".zip"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t1 := time.Now()
	ph := phone.Build(context.Background(), ev, nil)
	t2 := time.Now()
	p := Build(context.Background(), ph, nil)
	t3 := time.Now()
	fmt.Println("open", t1.Sub(t0), "phone", t2.Sub(t1), "program", t3.Sub(t2))
	fmt.Printf("%+v rel=%d of %d\n", p.Stats, func() (n int) {
		for _, r := range p.relevant {
			if r&1 != 0 {
				n++
			}
		}
		return
	}(), len(p.methods))
	for _, g := range p.gaps {
		fmt.Println("GAP", g)
	}
	for _, x := range p.Paths() {
		if c := x.Entry.Component; c != nil && !c.Exported {
			continue
		}
		fmt.Println("PATH", x.Entry.Package.Name, x.Entry.Package.UID(), "priv", x.Entry.Package.Privileged, x.Entry.What, "|", x.Effect.ID, x.Effect.Rank, "data", x.Data, "steered", x.Steered, "fixed", x.Fixed, "action", x.Action, "gest", x.Gesture, "OPEN", x.Open(), "HELD", x.Held())
		for _, g := range x.Gates {
			fmt.Println("    gate", g.Holds, g.What, g.At)
		}
		for _, s := range x.Steps {
			fmt.Println("      ", s.At, s.What)
		}
	}
}
