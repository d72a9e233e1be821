package ref

import "ofpeak/kernels"

func (s *stream) Add(out, x, bias, residual kernels.Tensor) {
	kernels.CheckAdd(out, x, bias, residual)
	o, xs, b, res, c := read(out), read(x), read(bias), read(residual), x.Dim(-1)
	for i, v := range xs {
		if b != nil {
			v += b[i%c]
		}
		if res != nil {
			v += res[i]
		}
		o[i] = v
	}
	write(out, o)
}
