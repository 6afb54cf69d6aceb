//go:build linux

package program

import (
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"
	"time"
)

// BenchmarkCallGraph is the part before the interpreter, phone by phone: names, classes, calls, and what leads to effects. The root's
// TestCostCallGraph holds its processor time against a yardstick.
func BenchmarkCallGraph(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(300)) // as the command does
	for _, name := range []string{"wolder", "doogee_mix", "redmi_water", "archos", "tecno_ba2"} {
		b.Run(name, func(b *testing.B) {
			file := "../../shared/phones/" + name + ".zip"
			if !exists(file) {
				b.Skip(file, " is not beside the checkout")
			}
			ph := openPhone(b, file)
			var spent []float64
			var insns int64
			for b.Loop() {
				runtime.GC()
				start := processor(b)
				p := loaded(ph)
				p.scan()
				p.relevance()
				spent = append(spent, processor(b)-start)
				insns = p.Stats.Instructions
			}
			slices.Sort(spent)
			cpu := spent[len(spent)/2]
			b.ReportMetric(1000*cpu, "cpu-ms")
			b.ReportMetric(float64(insns)/cpu, "insns/cpu-s")
		})
	}
}

// processor returns the processor time that this process took so far, in seconds.
func processor(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
