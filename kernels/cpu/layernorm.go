package cpu

import (
	"math"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

// normEps keeps the reciprocal standard deviation of a constant row finite.
const normEps = 1e-5

type layerNormForward struct {
	out, mean, rstd, x, gain, bias kernels.Tensor
	set                            *vec.Set
}

// LayerNormForward normalizes each row of x (N,C): out = (x-mean)·rstd·gain + bias (arXiv:1607.06450, equation 4).
func (s *Stream) LayerNormForward(out, mean, rstd, x, gain, bias kernels.Tensor) {
	kernels.CheckLayerNormForward(out, mean, rstd, x, gain, bias)
	enqueue(s, &s.pools.layerNormForward, layerNormForward{out, mean, rstd, x, gain, bias, s.dev.chosen[kernels.OpLayerNorm].set})
}

func (c *layerNormForward) run(s *Stream) { s.share(c, c.x.Size()) }

func (c *layerNormForward) part(s *Stream, worker, workers int) {
	set, width := c.set, c.x.Dim(-1)
	a := &s.arenas[worker]
	xBuf, outBuf := a.take(width), a.take(width)
	x, out, means, rstds := valuesOf(c.x), valuesOf(c.out), floats(c.mean), floats(c.rstd)
	gain := valuesOf(c.gain).load(set, 0, width, a.take(width))
	bias := valuesOf(c.bias).load(set, 0, width, a.take(width))
	lo, hi := span(c.x.Rows(), worker, workers)
	for i := lo; i < hi; i++ {
		row := x.load(set, i*width, width, xBuf)
		mean := set.Sum(row) / float32(width)
		variance := set.SumSqDev(row, mean) / float32(width)
		rstd := float32(1 / math.Sqrt(float64(variance)+normEps))
		means[i], rstds[i] = mean, rstd
		dst := out.dest(i*width, width, outBuf)
		set.Normalize(dst, row, gain, bias, mean, rstd)
		out.store(set, i*width, dst)
	}
}

type layerNormBackward struct {
	dx, dgain, dbias, dout, x, mean, rstd, gain, residual kernels.Tensor

	set   *vec.Set
	parts []float32 // of each worker: its sums for dgain, then for dbias
}

// LayerNormBackward: dx = residual + gradient through the norm, dgain += Σ dout·x̂, dbias += Σ dout. dx, dout, x, residual (N,C);
// residual may be absent and may be dx itself.
func (s *Stream) LayerNormBackward(dx, dgain, dbias, dout, x, mean, rstd, gain, residual kernels.Tensor) {
	kernels.CheckLayerNormBackward(dx, dgain, dbias, dout, x, mean, rstd, gain, residual)
	enqueue(s, &s.pools.layerNormBackward, layerNormBackward{
		dx: dx, dgain: dgain, dbias: dbias, dout: dout, x: x, mean: mean, rstd: rstd, gain: gain, residual: residual,
		set: s.dev.chosen[kernels.OpLayerNorm].set,
	})
}

func (c *layerNormBackward) run(s *Stream) {
	width, workers := c.x.Dim(-1), s.workers(c.x.Size())
	pitch := 2 * padded(width)
	s.common.reset()
	c.parts = s.common.take(workers * pitch)
	s.share(c, c.x.Size())
	s.sumParts(floats(c.dgain), c.parts, workers, pitch)
	s.sumParts(floats(c.dbias), c.parts[pitch/2:], workers, pitch)
}

func (c *layerNormBackward) part(s *Stream, worker, workers int) {
	set, width := c.set, c.x.Dim(-1)
	mine := c.parts[worker*2*padded(width):][:2*padded(width)]
	clear(mine)
	dgain, dbias := mine[:width], mine[padded(width):][:width]
	a := &s.arenas[worker]
	xBuf, doutBuf, dxBuf, resBuf := a.take(width), a.take(width), a.take(width), a.take(width)
	dx, dout, x, residual := valuesOf(c.dx), valuesOf(c.dout), valuesOf(c.x), valuesOf(c.residual)
	gain := valuesOf(c.gain).load(set, 0, width, a.take(width))
	means, rstds := floats(c.mean), floats(c.rstd)
	lo, hi := span(c.x.Rows(), worker, workers)
	for i := lo; i < hi; i++ {
		at := i * width
		d, row := dout.load(set, at, width, doutBuf), x.load(set, at, width, xBuf)
		sumG, sumGH := set.NormSums(d, row, gain, means[i], rstds[i])
		set.NormGrad(dxBuf, dgain, dbias, d, row, gain, means[i], rstds[i], sumG/float32(width), sumGH/float32(width))
		if c.residual.None() {
			dx.store(set, at, dxBuf)
			continue
		}
		dst := dx.dest(at, width, dxBuf)
		set.Add(dst, dxBuf, residual.load(set, at, width, resBuf))
		dx.store(set, at, dst)
	}
}
