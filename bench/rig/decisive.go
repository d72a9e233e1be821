package rig

import (
	"context"

	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/parallel"
	"ofpeak/parallel/trainer"
)

// Among so many seeds, and with so few choices of experts in a block, verification finds choices of which none is a close call in 16 bits (measured: the closest of 64 in each of two
// blocks of 8 experts is 0.003 to 0.004 of a logit from another one).
const (
	decisiveSeeds = 16
	decided       = 64
	fewestTokens  = 4 // of a sequence all the same
)

// closeCalls tells whether rounding could send a token to another expert than the reference does, which says nothing about the numbers and changes many.
func closeCalls(c workload.Case) bool {
	p, _ := kernels.PrecisionNamed(c.Precision)
	return c.Experts != (workload.Experts{}) && (p.Int8 || p.Compute.Size() <= kernels.F16.Size())
}

// decisive is the case with the seed, of some, whose experts are chosen by the widest margin on the reference.
func (r *Rig) decisive(ctx context.Context, c workload.Case) (workload.Case, error) {
	if !closeCalls(c) {
		return c, nil
	}
	key := referred(c)
	if seed, ok := r.decided[key]; ok {
		c.Seed = seed
		return c, nil
	}
	widest, first := -1.0, c.Seed
	for i := range int64(decisiveSeeds) {
		one := key
		one.Seed, one.Pass = first+i, workload.Forward
		margin, err := r.margin(ctx, one)
		if err != nil {
			return c, err
		}
		if margin > widest {
			widest, c.Seed = margin, one.Seed
		}
	}
	r.decided[key] = c.Seed
	return c, nil
}

// margin is the closest call of a forward pass on one device.
func (r *Rig) margin(ctx context.Context, c workload.Case) (margin float64, err error) {
	err = r.launch(ctx, order{Task: checking}, c, false, func(_ context.Context, rank *parallel.Rank) error {
		t, err := trainer.New(rank, c.Training())
		if err != nil {
			return err
		}
		if err := setBatch(t, c, r.corpus, 0); err != nil {
			return err
		}
		if _, err := step(t); err != nil {
			return err
		}
		margin, err = t.Margin()
		return err
	})
	return margin, err
}
