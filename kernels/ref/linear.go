package ref

import "ofpeak/kernels"

func (s *stream) LinearForward(out, x kernels.Tensor, w kernels.Weight, e kernels.Epilogue) {
	kernels.CheckLinearForward(out, x, w, e)
	o, bias, aux, res, oc := read(out), read(e.Bias), read(e.Aux), read(e.Residual), w.OC
	product := denseProduct(x, w)
	if w.Format == kernels.Int8 {
		product = int8Product(x, w)
	}
	each(x.Rows(), func(n int) {
		for i := range oc {
			v := product(n, i)
			if bias != nil {
				v += bias[i]
			}
			if e.Act == kernels.GELU {
				aux[n*oc+i] = v
				v = gelu(v)
			}
			if res != nil {
				v += res[n*oc+i]
			}
			o[n*oc+i] = v
		}
	})
	write(out, o)
	if aux != nil {
		write(e.Aux, aux)
	}
}

// denseProduct gives element (n, i) of x·Wᵀ.
func denseProduct(x kernels.Tensor, w kernels.Weight) func(n, i int) float64 {
	c := w.C
	xs, ws := factors(w, read(x), kernels.E4M3, decode(w), kernels.E4M3)
	return func(n, i int) float64 { return dot(row(xs, n, c), row(ws, i, c)) }
}

// int8Product is the same with each row of x quantized like a row of W, and exact integer sums.
func int8Product(x kernels.Tensor, w kernels.Weight) func(n, i int) float64 {
	xs, ws, scale, c := read(x), ints[int8](w.Values), read(w.Scale), w.C
	q, qscale := make([]int8, len(xs)), make([]float64, x.Rows())
	for n := range qscale {
		qscale[n] = quantize(q[n*c:(n+1)*c], row(xs, n, c))
	}
	return func(n, i int) float64 {
		sum := int64(0)
		for k := range c {
			sum += int64(q[n*c+k]) * int64(ws[i*c+k])
		}
		return float64(sum) * qscale[n] * scale[i]
	}
}

func (s *stream) LinearBackwardInput(dx, dout kernels.Tensor, w kernels.Weight, e kernels.Epilogue) {
	kernels.CheckLinearBackwardInput(dx, dout, w, e)
	dxs, aux := read(dx), read(e.Aux)
	d, ws := factors(w, read(dout), kernels.E5M2, decode(w), kernels.E4M3)
	each(dout.Rows(), func(n int) {
		y, dy := row(dxs, n, w.C), row(d, n, w.OC)
		clear(y)
		for i, g := range dy {
			axpy(y, g, row(ws, i, w.C))
		}
		if e.Act == kernels.GELU {
			for i, pre := range row(aux, n, w.C) {
				y[i] *= geluGrad(pre)
			}
		}
	})
	write(dx, dxs)
}

func (s *stream) LinearBackwardWeight(dw kernels.Weight, dbias, dout, x kernels.Tensor) {
	kernels.CheckLinearBackwardWeight(dw, dbias, dout, x)
	douts, grad, bias := read(dout), make([]float64, dw.OC*dw.C), make([]float64, dw.OC)
	d, xs := factors(dw, douts, kernels.E5M2, read(x), kernels.E4M3)
	each(dw.OC, func(i int) {
		for n := range x.Rows() {
			axpy(row(grad, i, dw.C), d[n*dw.OC+i], row(xs, n, dw.C))
			bias[i] += douts[n*dw.OC+i]
		}
	})
	values := read(dw.Values)
	for i, at := range positions(dw) {
		values[i] += grad[at]
	}
	write(dw.Values, values)
	if !dbias.None() {
		db := read(dbias)
		axpy(db, 1, bias)
		write(dbias, db)
	}
}
