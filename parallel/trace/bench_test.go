package trace_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel"
	"ofpeak/parallel/comm/local"
	"ofpeak/parallel/trace"
	"ofpeak/parallel/trainer"
)

// BenchmarkRecording takes steps of three kinds in turn, on one core: on a plain device, on a wrapped one, and recorded. It reports the median times of the last two over
// that of the first: what the timed steps of a row pay for being recordable, and what a recorded step pays. ns/op is two steps of
// each kind.
func BenchmarkRecording(b *testing.B) {
	for _, test := range []struct {
		name  string
		model block.Config
	}{
		{"tiny", block.Config{C: 64, NH: 4, T: 32, L: 2, Batch: 8}},
		{"small", block.Config{C: 256, NH: 4, T: 64, L: 2, Batch: 8}},
	} {
		b.Run(test.name, func(b *testing.B) {
			test.model.Precision, _ = kernels.PrecisionNamed("fp32")
			plain := parallel.InProcess{Open: openCPU, Connect: local.New}
			err := plain.Run(b.Context(), parallel.Strategy{}, func(_ context.Context, r *parallel.Rank) error {
				bare, err := build(r, test.model)
				if err != nil {
					return err
				}
				return world(openCPU, parallel.Strategy{}, func(r *parallel.Rank, d *trace.Device) error {
					wrapped, err := build(r, test.model)
					if err != nil {
						return err
					}
					return stepInTurn(b, bare, wrapped, d)
				})
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

func stepInTurn(b *testing.B, bare, wrapped *trainer.Trainer, d *trace.Device) error {
	recorded := func() error {
		if err := d.Start(); err != nil {
			return err
		}
		if err := train(wrapped); err != nil {
			return err
		}
		_, err := d.Stop("compute")
		return err
	}
	kinds := []func() error{func() error { return train(bare) }, func() error { return train(wrapped) }, recorded}
	times := make([][]float64, len(kinds))
	for i := -3; i < b.N; i++ { // the first ones are cold
		if i == 0 {
			b.ResetTimer()
		}
		for k, step := range kinds {
			var took time.Duration
			for range 2 { // the second finds in the caches what the first has left there
				start := time.Now()
				if err := step(); err != nil {
					return err
				}
				took = time.Since(start)
			}
			if i >= 0 {
				times[k] = append(times[k], took.Seconds())
			}
		}
	}
	for _, t := range times {
		slices.Sort(t)
	}
	half := b.N / 2
	b.ReportMetric(times[1][half]/times[0][half], "wrapped/plain")
	b.ReportMetric(times[2][half]/times[0][half], "recorded/plain")
	return nil
}
