package vec

import (
	"math/rand/v2"
	"testing"
)

// Rows of this length stay in L1 and L2: the rates are those of the loops, not of memory.
const benchLength = 4096

func BenchmarkLoops(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, y, z, w := random(rng, benchLength, 0, 1, 0).x, random(rng, benchLength, 0, 1, 0).x, random(rng, benchLength, 0, 1, 0).x, newField(benchLength, 0).x
	g, m, h := newField(benchLength, 0).x, newField(benchLength, 0).x, make([]uint16, benchLength)
	v := newField(benchLength, 0).x
	adam := AdamW{Beta1: 0.9, OneBeta1: 0.1, Beta2: 0.999, OneBeta2: 0.001, GradScale: 1, Step: 1e-3, VScale: 1, Eps: 1e-8}
	loops := []struct {
		name  string
		bytes int // of an element, read and written
		run   func(s *Set)
	}{
		{"Add", 12, func(s *Set) { s.Add(w, x, y) }},
		{"Sum", 4, func(s *Set) { s.Sum(x) }},
		{"Max", 4, func(s *Set) { s.Max(x) }},
		{"ExpSum", 8, func(s *Set) { s.ExpSum(w, x, 1, 3) }},
		{"GELU", 8, func(s *Set) { s.GELU(w, x) }},
		{"GELUGrad", 12, func(s *Set) { s.GELUGrad(w, y, x) }},
		{"Normalize", 16, func(s *Set) { s.Normalize(w, x, y, z, 0.1, 1) }},
		{"NormGrad", 32, func(s *Set) { s.NormGrad(w, g, m, x, y, z, 0.1, 1, 0.1, 0.1) }},
		{"AdamW", 28, func(s *Set) { s.AdamW(w, m, v, z, &adam) }},
		{"ToBF16", 6, func(s *Set) { s.ToBF16(h, x) }},
		{"FromBF16", 6, func(s *Set) { s.FromBF16(w, h) }},
		{"ToF16", 6, func(s *Set) { s.ToF16(h, x) }},
		{"FromF16", 6, func(s *Set) { s.FromF16(w, h) }},
	}
	for _, l := range loops {
		for _, s := range Sets() {
			b.Run(l.name+"/"+s.Name(), func(b *testing.B) {
				for b.Loop() {
					l.run(s)
				}
				b.ReportMetric(float64(l.bytes*benchLength*b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
			})
		}
	}
}

func BenchmarkPanel(b *testing.B) {
	const n, k = 128, 64
	rng := rand.New(rand.NewPCG(1, 2))
	c, x, y := newField(PanelRows*n, 0).x, random(rng, PanelRows*k, 0, 1, 0).x, random(rng, k*n, 0, 1, 0).x
	for _, s := range Sets() {
		b.Run(s.Name(), func(b *testing.B) {
			for b.Loop() {
				s.Panel(c, n, x, k, 1, y, n, n, k, false)
			}
			b.ReportMetric(float64(2*PanelRows*n*k*b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
		})
	}
}
