package ref

import (
	"math"

	"ofpeak/kernels"
)

func (s *stream) MSE(loss, dx, x, target kernels.Tensor, n int, state kernels.Tensor) {
	kernels.CheckMSE(loss, dx, x, target, n, state)
	l, d, xs, ts, scale := read(loss), read(dx), read(x), read(target), read(state)[kernels.StateScale]
	sum := 0.0
	for i := range xs {
		diff := xs[i] - ts[i]
		sum += diff * diff
		if d != nil {
			d[i] = 2 * diff / float64(n) * scale
		}
	}
	l[0] += sum / float64(n)
	write(loss, l)
	if d != nil {
		write(dx, d)
	}
}

func (s *stream) CrossEntropy(loss, dlogits, logits, targets kernels.Tensor, n int, state kernels.Tensor) {
	kernels.CheckCrossEntropy(loss, dlogits, logits, targets, n, state)
	l, d, xs, ts, v := read(loss), read(dlogits), read(logits), ints[int32](targets), logits.Dim(-1)
	if !s.inRange(ts, v) {
		return
	}
	scale, sum := read(state)[kernels.StateScale], 0.0
	for r, target := range ts {
		x := row(xs, r, v)
		lse := logSumExp(x)
		sum += lse - x[target]
		for i := 0; d != nil && i < v; i++ {
			p := math.Exp(x[i] - lse)
			if i == int(target) {
				p--
			}
			d[r*v+i] = p / float64(n) * scale
		}
	}
	l[0] += sum / float64(n)
	write(loss, l)
	if d != nil {
		write(dlogits, d)
	}
}

// logSumExp is log Σ exp(x), without overflow.
func logSumExp(x []float64) float64 {
	top, sum := math.Inf(-1), 0.0
	for _, v := range x {
		top = max(top, v)
	}
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}
