package ref

import (
	"math"

	"ofpeak/kernels"
)

const layerNormEps = 1e-5

func (s *stream) LayerNormForward(out, mean, rstd, x, gain, bias kernels.Tensor) {
	kernels.CheckLayerNormForward(out, mean, rstd, x, gain, bias)
	o, ms, rs, xs, g, b, c := read(out), read(mean), read(rstd), read(x), read(gain), read(bias), x.Dim(-1)
	each(x.Rows(), func(n int) {
		in, y := row(xs, n, c), row(o, n, c)
		m, v := 0.0, 0.0
		for _, e := range in {
			m += e
		}
		m /= float64(c)
		for _, e := range in {
			v += (e - m) * (e - m)
		}
		r := 1 / math.Sqrt(v/float64(c)+layerNormEps)
		for i, e := range in {
			y[i] = (e-m)*r*g[i] + b[i]
		}
		ms[n], rs[n] = m, r
	})
	write(out, o)
	write(mean, ms)
	write(rstd, rs)
}

func (s *stream) LayerNormBackward(dx, dgain, dbias, dout, x, mean, rstd, gain, residual kernels.Tensor) {
	kernels.CheckLayerNormBackward(dx, dgain, dbias, dout, x, mean, rstd, gain, residual)
	dxs, dg, db, d, xs := read(dx), read(dgain), read(dbias), read(dout), read(x)
	ms, rs, g, res, c := read(mean), read(rstd), read(gain), read(residual), x.Dim(-1)
	norm := make([]float64, c) // x̂
	for n := range x.Rows() {
		in, dy, y := row(xs, n, c), row(d, n, c), row(dxs, n, c)
		sum, sumNorm := 0.0, 0.0 // of ∂x̂, of ∂x̂·x̂
		for i := range in {
			norm[i] = (in[i] - ms[n]) * rs[n]
			sum += dy[i] * g[i]
			sumNorm += dy[i] * g[i] * norm[i]
			dg[i] += dy[i] * norm[i]
			db[i] += dy[i]
		}
		for i := range in {
			v := rs[n] * (dy[i]*g[i] - sum/float64(c) - norm[i]*sumNorm/float64(c))
			if res != nil {
				v += res[n*c+i]
			}
			y[i] = v
		}
	}
	write(dx, dxs)
	write(dgain, dg)
	write(dbias, db)
}
