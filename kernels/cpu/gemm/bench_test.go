package gemm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"ofpeak/kernels/cpu/peak"
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

// kinds are the products of a linear layer: forward, input gradient, weight gradient.
var kinds = []struct {
	name           string
	transA, transB bool
}{{"NT", false, true}, {"NN", false, false}, {"TN", true, false}}

func benchMultiply(b *testing.B, in Type, sizes ...int) {
	for _, tm := range benchTeams(b) {
		for _, v := range Variants(in) {
			for _, n := range sizes {
				if v == "go" && n > 512 {
					continue
				}
				for _, kind := range kinds {
					b.Run(fmt.Sprintf("cores=%d/%s/%s/n=%d", tm.Size(), v, kind.name, n), func(b *testing.B) {
						benchSquare(b, tm, in, v, n, kind.transA, kind.transB)
					})
				}
			}
		}
	}
}

func benchSquare(b *testing.B, tm *team.Team, in Type, variant string, n int, transA, transB bool) {
	ctx := NewContext(tm)
	if err := ctx.Select(in, variant); err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	matrix := func(typ Type) Matrix { return onDevice(b, newArray(rng, typ, n, n, 0)) }
	p := Product{M: n, N: n, K: n, A: matrix(in), B: matrix(in), C: matrix(F32)}
	if transA {
		p.A = p.A.T()
	}
	if transB {
		p.B = p.B.T()
	}
	for b.Loop() {
		ctx.Multiply(p)
	}
	gflops := 2 * float64(n) * float64(n) * float64(n) * float64(b.N) / float64(b.Elapsed().Nanoseconds())
	b.ReportMetric(gflops, "GFLOPS")
	b.ReportMetric(100*gflops/ceiling(tm, in), "%peak")
}

// onDevice copies an array to where a device's buffers lie, without guards.
func onDevice(b testing.TB, a *array) Matrix {
	c := *a
	n := c.rows * c.cols
	words := unsafe.Pointer(unsafe.SliceData(deviceMemory(b, ceil(n*c.typ.Size(), 4))))
	c.stride, c.off = c.cols, 0
	switch c.typ {
	case F32:
		c.f32 = unsafe.Slice((*float32)(words), n)
	case BF16, F16:
		c.u16 = unsafe.Slice((*uint16)(words), n)
	case I8:
		c.i8 = unsafe.Slice((*int8)(words), n)
	case I32:
		c.i32 = unsafe.Slice((*int32)(words), n)
	}
	for i := range n {
		c.set(i, a.at(i/c.cols, i%c.cols))
	}
	return c.matrix()
}

// ceilings are the measured peaks by team size, measured when first asked for.
var ceilings = map[int][]peak.Rate{}

// ceiling returns the measured peak of a type on a team: the fastest instruction
// for it, or for float32 where it has none of its own.
func ceiling(tm *team.Team, t Type) float64 {
	rates, ok := ceilings[tm.Size()]
	if !ok {
		rates = peak.Rates(tm, peak.DefaultTime)
		ceilings[tm.Size()] = rates
	}
	best, ok := peak.Best(rates, t.String())
	if !ok {
		best, _ = peak.Best(rates, F32.String())
	}
	return best.All
}

func BenchmarkF32(b *testing.B)  { benchMultiply(b, F32, 512, 768, 1024, 2048) }
func BenchmarkBF16(b *testing.B) { benchMultiply(b, BF16, 512, 1024, 2048) }
func BenchmarkF16(b *testing.B)  { benchMultiply(b, F16, 512, 1024) }
func BenchmarkI8(b *testing.B)   { benchMultiply(b, I8, 512, 1024, 2048) }
