package program

import (
	"context"
	"os"
	"testing"

	"gifthorse/evidence"
	"gifthorse/phone"
)

// benchPhone is a real phone if one is here, else an app of some lines. It also returns the size of its code.
func benchPhone(b *testing.B) (*phone.Phone, int64) {
	ph := theApp(seeds(b)[0])
	if file := "../../shared/phones/wolder.zip"; exists(file) {
		ph = openPhone(b, file)
	}
	var size int64
	for _, p := range ph.Packages {
		for _, c := range p.Code {
			size += int64(len(c.Data))
		}
	}
	for _, l := range ph.Libraries {
		for _, c := range l.Code {
			size += int64(len(c.Data))
		}
	}
	b.ReportAllocs()
	b.SetBytes(size)
	b.ResetTimer()
	return ph, size
}

func openPhone(b *testing.B, file string) *phone.Phone {
	b.Helper()
	ev, err := evidence.Open(context.Background(), []string{file}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ev.Close() })
	return phone.Build(context.Background(), ev, nil)
}

func exists(file string) bool { _, err := os.Stat(file); return err == nil }

// loaded is a program up to, and without, the part that is measured.
func loaded(ph *phone.Phone) *Program {
	p := &Program{Phone: ph, api: ph.API}
	p.load(ph)
	return p
}

func BenchmarkLoad(b *testing.B) {
	ph, size := benchPhone(b)
	for b.Loop() {
		loaded(ph)
	}
	b.ReportMetric(float64(size)/1e6, "MB")
}

func BenchmarkScan(b *testing.B) {
	ph, _ := benchPhone(b)
	p := loaded(ph)
	for b.Loop() {
		p.Stats = Stats{}
		p.scan()
	}
	b.ReportMetric(float64(p.Stats.Instructions)*float64(b.N)/b.Elapsed().Seconds(), "insns/s")
}

func BenchmarkRelevance(b *testing.B) {
	ph, _ := benchPhone(b)
	p := loaded(ph)
	p.scan()
	for b.Loop() {
		p.relevance()
	}
	b.ReportMetric(float64(len(p.methods)), "methods")
}

func BenchmarkInterpret(b *testing.B) {
	ph, _ := benchPhone(b)
	p := loaded(ph)
	p.scan()
	p.relevance()
	for b.Loop() {
		p.paths, p.gaps = nil, nil
		p.interpretAll(context.Background(), nil, func(evidence.Progress) {})
	}
	b.ReportMetric(float64(len(p.paths)), "paths")
}

func BenchmarkBuild(b *testing.B) {
	ph, size := benchPhone(b)
	for b.Loop() {
		Build(context.Background(), ph, "", nil)
	}
	b.ReportMetric(float64(size)/1e6, "MB")
}
