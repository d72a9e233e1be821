package paralleltest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel"
	"ofpeak/parallel/comm/local"
	"ofpeak/parallel/trainer"
)

// A rank that dies before, in or after a step takes its world with it, by name, and nothing hangs.
func TestDeathInTraining(t *testing.T) {
	model := block.Config{C: 16, NH: 2, T: 4, L: 3, V: 61, Batch: 8}
	s := parallel.Strategy{DP: 2, TP: 2, PP: 2, Microbatches: 2, ZeRO: 3}
	died := errors.New("died")
	for _, device := range []struct {
		precision string
		open      func(int, int) (kernels.Device, error)
	}{{"fp64", openAsync}, {"fp32", openCPU}} {
		model.Precision, _ = kernels.PrecisionNamed(device.precision)
		for victim := range 8 {
			for _, when := range []string{"before", "in", "after"} {
				l := parallel.InProcess{Open: device.open, Connect: local.New}
				err := within(time.Minute, func() error {
					return l.Run(t.Context(), s, func(_ context.Context, r *parallel.Rank) error {
						tr, err := trainer.New(r, trainer.Config{Model: model, Hyper: block.DefaultHyper})
						if err != nil {
							return err
						}
						if err := setTokens(tr); err != nil {
							return err
						}
						for step := range 4 {
							dies := r.ID == victim && step == 2
							if dies && when == "before" {
								return died
							}
							tr.TrainStep()
							if dies && when == "in" {
								return died
							}
							if _, err := tr.Sync(); err != nil {
								return err
							}
							if dies {
								return died
							}
						}
						return nil
					})
				})
				if want := fmt.Sprintf("rank %d: died", victim); err == nil || err.Error() != want {
					t.Fatalf("%s, %s a step: %v, want %q", device.precision, when, err, want)
				}
			}
		}
	}
}

// within fails after a while instead of waiting.
func within(d time.Duration, f func() error) error {
	end := make(chan error, 1)
	go func() { end <- f() }()
	select {
	case err := <-end:
		return err
	case <-time.After(d):
		return errors.New("hangs")
	}
}

func setTokens(tr *trainer.Trainer) error {
	return tr.SetTokens(func(seq, pos int) int32 { return int32((seq*5 + pos*pos) % 61) })
}
