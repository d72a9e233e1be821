package rig

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/parallel"
	"ofpeak/parallel/trainer"
	"ofpeak/results"
)

// The language-model check: a byte-level model so small that it learns something in a second.
const (
	checkC, checkNH, checkT, checkL, checkB = 64, 4, 64, 2, 8
	checkSteps, checkTail                   = 60, 5
	checkVocab                              = 256
)

// learn trains a small language model with the case's technique, and with dense fp32 on one rank, on the same text from the same start,
// and keeps the mean loss of the last steps of each. Only a pass that trains can learn.
func (r *Rig) learn(ctx context.Context, c workload.Case, row *results.Row) error {
	lm, ok := learnable(c)
	if !ok {
		return nil
	}
	curve, err := r.curve(ctx, lm)
	if err != nil {
		return fmt.Errorf("training check: %w", err)
	}
	base, err := r.curve(ctx, workload.BaselineOf(lm))
	if err != nil {
		return fmt.Errorf("training check, baseline: %w", err)
	}
	loss := finalLoss(curve)
	row.FinalLoss, row.FinalLossBaseline = results.Finite(loss), results.Finite(finalLoss(base))
	row.LossCurve = finite(curve)
	if !(loss < math.Log(checkVocab)) {
		return fmt.Errorf("%w: after %d steps the language model's loss is %.3g, no better than guessing (%.3g)", errWrong, checkSteps, loss, math.Log(checkVocab))
	}
	return nil
}

// learnable is the case's technique on the check's model, or false where it trains nothing of ours or does not fit.
func learnable(c workload.Case) (workload.Case, bool) {
	if c.Pass != workload.Train || c.Engine != workload.Native {
		return c, false
	}
	c.Memory = 0
	parts := c.DP * c.EP * c.Microbatches
	c.Model = workload.Model{
		C: checkC, NH: max(checkNH, c.TP), T: checkT, L: max(checkL, c.PP*c.Chunks), V: checkVocab,
		B: (checkB + parts - 1) / parts * parts,
	}
	if c.Layout.Format == kernels.BlockSparse {
		c.Layout.Block = min(c.Layout.Block, checkC/4) // as many blocks a row as make the kept share what it says
	}
	return c, c.Validate() == nil
}

// curve trains the check, once for each technique of a run, and returns the loss of each step.
func (r *Rig) curve(ctx context.Context, c workload.Case) ([]float64, error) {
	if losses, ok := r.learned[c]; ok {
		return losses, nil
	}
	var curve []float64
	err := r.launch(ctx, order{Task: learning}, c, false, func(ctx context.Context, rank *parallel.Rank) error {
		t, err := trainer.New(rank, c.Training())
		if err != nil {
			return err
		}
		losses := make([]float64, checkSteps)
		for i := range losses {
			if err := ctx.Err(); err != nil {
				return err
			}
			if i == 1 && r.wantsGraphs(c) {
				if err := t.Capture(); err != nil && r.graphs == GraphsOn {
					return err
				}
			}
			if err := setBatch(t, c, r.corpus, i); err != nil {
				return err
			}
			report, err := step(t)
			if err != nil {
				return err
			}
			losses[i] = report.Loss
		}
		if rank.ID == 0 {
			curve = losses
		}
		return nil
	})
	if err == nil {
		r.learned[c] = curve
	}
	return curve, err
}

// finalLoss is the mean of the last steps, each of which has another batch.
func finalLoss(curve []float64) float64 {
	sum := 0.0
	for _, v := range curve[len(curve)-checkTail:] {
		sum += v
	}
	return sum / checkTail
}

// finite rounds a curve to five digits, or drops it if it left the numbers.
func finite(curve []float64) results.Samples {
	rounded := make(results.Samples, len(curve))
	for i, v := range curve {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		rounded[i], _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 5, 64), 64)
	}
	return rounded
}
