package gemm

import (
	"fmt"
	"testing"

	"ofpeak/kernels/cpu/team"
)

// benchTeams are the teams that benchmarks run on: one core, then all.
func benchTeams(b *testing.B) []*team.Team {
	cores, err := team.Cores()
	if err != nil {
		b.Fatal(err)
	}
	if err := team.Pin(cores[0]); err != nil {
		b.Fatal(err)
	}
	teams := []*team.Team{team.New(cores[:1])}
	if len(cores) > 1 {
		teams = append(teams, team.New(cores))
	}
	return teams
}

func BenchmarkF32(b *testing.B) {
	for _, tm := range benchTeams(b) {
		for _, v := range Variants(F32) {
			for _, n := range []int{512, 768, 1024, 2048} {
				if v == "go" && n > 512 {
					continue
				}
				for _, kind := range []string{"NT", "NN", "TN"} {
					b.Run(fmt.Sprintf("cores=%d/%s/%s/n=%d", tm.Size(), v, kind, n), func(b *testing.B) {
						ctx := NewContext(tm)
						if err := ctx.Select(F32, v); err != nil {
							b.Fatal(err)
						}
						x, y, z := make([]float32, n*n), make([]float32, n*n), make([]float32, n*n)
						for i := range x {
							x[i], y[i] = float32(i%7)-3, float32(i%5)-2
						}
						p := Product{M: n, N: n, K: n, A: NewF32(x, n), B: NewF32(y, n), C: NewF32(z, n)}
						if kind[0] == 'T' {
							p.A = p.A.T()
						}
						if kind[1] == 'T' {
							p.B = p.B.T()
						}
						for b.Loop() {
							ctx.Multiply(p)
						}
						b.ReportMetric(2*float64(n)*float64(n)*float64(n)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOPS")
					})
				}
			}
		}
	}
}
