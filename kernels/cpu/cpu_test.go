package cpu_test

import (
	"fmt"
	"runtime/debug"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu"
	"ofpeak/kernels/kerneltest"
	"ofpeak/kernels/verify"
)

// types are what the CPU device stores.
var types = []kernels.DType{kernels.F32, kernels.F16, kernels.BF16}

// A short run has one team, and one of twenty cases of linear, of which there are most.
func TestConformance(t *testing.T) {
	// The reference's results of a case are garbage after it, which would start a collection each time.
	old := debug.SetGCPercent(1000)
	t.Cleanup(func() { debug.SetGCPercent(old) })
	for threads := 1; threads <= 3; threads++ {
		t.Run(fmt.Sprintf("threads=%d", threads), func(t *testing.T) {
			t.Parallel() // most of the time each waits for its threads to be woken
			if testing.Short() && threads != 2 {
				t.Skip("two threads do for a short run")
			}
			cases := map[string]int{} // by variant
			kerneltest.Run(t, func(t *testing.T) kernels.Device { return open(t, cpu.Config{Threads: threads}) }, kerneltest.Options{
				Seed: uint64(threads), Types: types,
				Skip: func(variant string, c verify.Case) bool {
					cases[variant]++
					return testing.Short() && c.Op == kernels.OpLinear && cases[variant]%20 != 0
				},
			})
		})
	}
}

func open(t *testing.T, c cpu.Config) *cpu.Device {
	t.Helper()
	dev, err := cpu.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}
