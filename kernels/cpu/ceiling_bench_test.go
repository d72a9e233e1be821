//go:build unix

package cpu_test

import (
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/peak"
	"ofpeak/kernels/cpu/team"
)

// ceilings are what so many cores can do at most, measured once a process.
var ceilings = map[int]peak.Figures{}

func ceilingOf(cores []int) peak.Figures {
	if f, ok := ceilings[len(cores)]; ok {
		return f
	}
	measured := make(chan peak.Figures)
	go func() { // its thread is bound to a core and ends with it
		if err := team.Pin(cores[0]); err != nil {
			measured <- peak.Figures{}
			return
		}
		t := team.New(cores)
		defer t.Close()
		measured <- peak.Measure(t, 100*time.Millisecond)
	}()
	ceilings[len(cores)] = <-measured
	return ceilings[len(cores)]
}

// share reports rates as percentages of the cores' ceilings: multiply-adds of dt, and the better of the streams over memory. An operator whose
// operands stay in a cache may pass the latter.
func share(b *testing.B, cores []int, dt kernels.DType, gflops, gbytes float64) {
	f := ceilingOf(cores)
	name := map[kernels.DType]string{kernels.I8: "int8", kernels.BF16: "bfloat16"}[dt]
	rate, ok := peak.Best(f.Rates, name)
	if !ok { // other types are widened
		rate, ok = peak.Best(f.Rates, "float32")
	}
	if gflops > 0 && ok {
		b.ReportMetric(100*gflops/rate.All, "%FLOPS-peak")
	}
	best := 0.0
	for _, w := range f.Bandwidths {
		best = max(best, w.All)
	}
	if gbytes > 0 && best > 0 {
		b.ReportMetric(100*gbytes/best, "%memory-peak")
	}
}
