// Package peak measures what a CPU can do at most: multiply-adds from registers
// for each instruction set and type, and memory bandwidth, on one core and on
// all of a team. The figures are ceilings to divide by, not what any real work
// reaches. Each is the best of many short runs, since other load only lowers it.
package peak

import (
	"time"

	"ofpeak/kernels/cpu/team"
)

// Figures are the measured ceilings of one team.
type Figures struct {
	Cores      int // cores that the All figures used
	Rates      []Rate
	Bandwidths []Bandwidth
}

// Rate is the rate of multiply-adds of one type with one instruction set, in 1e9
// operations a second; a multiplication and an addition count as two.
type Rate struct {
	Type     string // of the operands: "float32", "bfloat16", "int8"
	Variant  string // as in package gemm: "go", "neon", "avx2", "avx512", "avx512bf16", "avx512vnni"
	One, All float64
}

// Bandwidth is the rate of a stream over memory, in 1e9 bytes a second.
type Bandwidth struct {
	Kind     string // "read" or "triad" (STREAM's: two reads, one write)
	Bytes    int64  // working set, several times the last cache
	One, All float64
}

// DefaultTime is enough for each figure on a quiet machine.
const DefaultTime = 60 * time.Millisecond

// Measure measures everything, each figure for the given time.
func Measure(t *team.Team, each time.Duration) Figures {
	return Figures{Cores: t.Size(), Rates: Rates(t, each), Bandwidths: Bandwidths(t, each, WorkingSet())}
}

// Rates measures the multiply-add rates of every variant that this CPU has, by
// type, slowest variant first.
func Rates(t *team.Team, each time.Duration) []Rate {
	var rates []Rate
	for _, l := range loops() {
		rates = append(rates, Rate{
			Type: l.typ, Variant: l.variant,
			One: l.measure(nil, each), All: l.measure(t, each),
		})
	}
	return rates
}

// TeamRates measures what a team does of one type, slowest variant first, and leaves One out.
func TeamRates(t *team.Team, typ string, each time.Duration) []Rate {
	var rates []Rate
	for _, l := range loops() {
		if l.typ == typ {
			rates = append(rates, Rate{Type: l.typ, Variant: l.variant, All: l.measure(t, each)})
		}
	}
	return rates
}

// Best returns the highest rate of a type, and false if there is none.
func Best(rates []Rate, typ string) (Rate, bool) {
	var best Rate
	for _, r := range rates {
		if r.Type == typ && r.One > best.One {
			best = r
		}
	}
	return best, best.Type != ""
}

// Find returns the rate of a type with a variant, and false if there is none.
func Find(rates []Rate, typ, variant string) (Rate, bool) {
	for _, r := range rates {
		if r.Type == typ && r.Variant == variant {
			return r, true
		}
	}
	return Rate{}, false
}

// loop is a loop of multiply-adds from registers.
type loop struct {
	typ, variant string
	ops          int         // operations in an iteration
	run          func(n int) // n iterations
}

// slice is how long one run of a loop lasts: long beside starting a team, short
// beside the gaps between other work on the machine.
const slice = 2 * time.Millisecond

// measure returns 1e9 operations a second: of the caller alone if t is nil, else
// of the whole team.
func (l loop) measure(t *team.Team, each time.Duration) float64 {
	n := 1000
	for elapsed(func() { l.run(n) }) < slice {
		n *= 2
	}
	body, size := func() { l.run(n) }, 1
	if t != nil {
		b := spin{l.run, n}
		body, size = func() { t.Run(&b) }, t.Size()
	}
	ops := float64(l.ops) * float64(n) * float64(size)
	return ops / float64(shortest(each, body).Nanoseconds())
}

// spin runs a loop on every worker.
type spin struct {
	run func(n int)
	n   int
}

// Part runs one worker's loop.
func (s *spin) Part(_, _ int) { s.run(s.n) }

// shortest repeats f for a while, at least three times, and returns its shortest run.
func shortest(each time.Duration, f func()) time.Duration {
	best := elapsed(f)
	start := time.Now()
	for i := 0; i < 2 || time.Since(start) < each; i++ {
		best = min(best, elapsed(f))
	}
	return best
}

func elapsed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
