package cpu

import (
	"math"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

type mse struct {
	loss, dx, x, target, state kernels.Tensor

	n    int
	set  *vec.Set
	sums []float32 // of each block, so that the loss does not depend on the number of workers
}

// MSE: loss[0] += Σ(x-target)²/n; dx = 2·(x-target)/n·state[StateScale]. dx may be absent.
func (s *Stream) MSE(loss, dx, x, target kernels.Tensor, n int, state kernels.Tensor) {
	kernels.CheckMSE(loss, dx, x, target, n, state)
	enqueue(s, &s.pools.mse, mse{loss: loss, dx: dx, x: x, target: target, state: state, n: n, set: s.dev.chosen[kernels.OpLoss].set})
}

func (c *mse) run(s *Stream) {
	s.common.reset()
	c.sums = s.common.take((c.x.Size() + block - 1) / block)
	s.share(c, c.x.Size())
	addLoss(c.loss, c.sums, c.n)
}

func (c *mse) part(s *Stream, worker, workers int) {
	dx, x, target := valuesOf(c.dx), valuesOf(c.x), valuesOf(c.target)
	factor := float32(2 * float64(floats(c.state)[kernels.StateScale]) / float64(c.n))
	a := &s.arenas[worker]
	xBuf, tBuf, dBuf := a.take(block), a.take(block), a.take(block)
	first, last := span(len(c.sums), worker, workers)
	for b := first; b < last; b++ {
		lo := b * block
		n := min(block, c.x.Size()-lo)
		d := dBuf[:n]
		if !c.dx.None() {
			d = dx.dest(lo, n, dBuf)
		}
		c.sums[b] = c.set.SqDiff(d, x.load(c.set, lo, n, xBuf), target.load(c.set, lo, n, tBuf), factor)
		if !c.dx.None() {
			dx.store(c.set, lo, d)
		}
	}
}

// addLoss adds the mean over n to loss[0], summed in order.
func addLoss(loss kernels.Tensor, sums []float32, n int) {
	total := 0.0
	for _, v := range sums {
		total += float64(v)
	}
	floats(loss)[0] += float32(total / float64(n))
}

type crossEntropy struct {
	loss, dlogits, logits, targets, state kernels.Tensor

	n    int
	set  *vec.Set
	sums []float32 // of each row
}

// CrossEntropy: loss[0] += Σ -log softmax(logits)[targets]/n; dlogits = (softmax(logits) - onehot)/n·state[StateScale]. dlogits
// may be logits, or absent.
func (s *Stream) CrossEntropy(loss, dlogits, logits, targets kernels.Tensor, n int, state kernels.Tensor) {
	kernels.CheckCrossEntropy(loss, dlogits, logits, targets, n, state)
	enqueue(s, &s.pools.crossEntropy, crossEntropy{loss: loss, dlogits: dlogits, logits: logits, targets: targets, state: state,
		n: n, set: s.dev.chosen[kernels.OpLoss].set})
}

func (c *crossEntropy) run(s *Stream) {
	s.common.reset()
	c.sums = s.common.take(c.logits.Rows())
	s.share(c, c.logits.Size())
	addLoss(c.loss, c.sums, c.n)
}

func (c *crossEntropy) part(s *Stream, worker, workers int) {
	set, width := c.set, c.logits.Dim(-1)
	logits, dlogits, targets := valuesOf(c.logits), valuesOf(c.dlogits), ints(c.targets)
	factor := float32(float64(floats(c.state)[kernels.StateScale]) / float64(c.n))
	a := &s.arenas[worker]
	in, out := a.take(width), a.take(width)
	lo, hi := span(len(targets), worker, workers)
	for i := lo; i < hi; i++ {
		row := logits.load(set, i*width, width, in)
		dst := out
		if !c.dlogits.None() {
			dst = dlogits.dest(i*width, width, out)
		}
		target := tokenID(targets[i], width)
		picked, top := row[target], set.Max(row)
		sum := set.ExpSum(dst, row, 1, top)
		c.sums[i] = float32(math.Log(float64(sum))) + top - picked
		if c.dlogits.None() {
			continue
		}
		set.Scale(dst, dst, factor/sum)
		dst[target] -= factor
		dlogits.store(set, i*width, dst)
	}
}
