package verify

import (
	"math"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
)

var nan = math.NaN()

// Round is v rounded to t. All but float64 are rounded by way of float32.
func Round(t kernels.DType, v float64) float64 {
	switch t {
	case kernels.F32:
		return float64(float32(v))
	case kernels.TF32: // the nearest, of two the larger magnitude
		return float64(math.Float32frombits((math.Float32bits(float32(v)) + 1<<12) &^ (1<<13 - 1)))
	case kernels.F16:
		return float64(kernels.F32FromF16(kernels.F16FromF32(float32(v))))
	case kernels.BF16:
		return float64(kernels.F32FromBF16(kernels.BF16FromF32(float32(v))))
	case kernels.E4M3:
		return float64(kernels.F32FromE4M3(kernels.E4M3FromF32(float32(v))))
	case kernels.E5M2:
		return float64(kernels.F32FromE5M2(kernels.E5M2FromF32(float32(v))))
	}
	return v
}

// Dense is a host tensor that uploads to type t.
func Dense(t kernels.DType, v []float64) *tensor.Dense {
	var backing any = v
	switch t {
	case kernels.I32:
		backing = converted[int32](v)
	case kernels.I8:
		backing = converted[int8](v)
	case kernels.U8:
		backing = converted[uint8](v)
	}
	return tensor.New(tensor.WithShape(len(v)), tensor.WithBacking(backing))
}

func converted[E int32 | int8 | uint8](v []float64) []E {
	out := make([]E, len(v))
	for i, x := range v {
		out[i] = E(x)
	}
	return out
}

// Read downloads a tensor of any type.
func Read(s kernels.Stream, t kernels.Tensor) ([]float64, error) {
	v := make([]float64, t.Size())
	if len(v) == 0 { // a host tensor cannot be empty
		return v, nil
	}
	switch t.DType() {
	case kernels.I32:
		return v, download[int32](s, t, v)
	case kernels.I8:
		return v, download[int8](s, t, v)
	case kernels.U8:
		return v, download[uint8](s, t, v)
	}
	return v, s.Download(tensor.New(tensor.WithShape(len(v)), tensor.WithBacking(v)), t)
}

func download[E int32 | int8 | uint8](s kernels.Stream, t kernels.Tensor, v []float64) error {
	host := make([]E, len(v))
	err := s.Download(tensor.New(tensor.WithShape(len(v)), tensor.WithBacking(host)), t)
	for i, x := range host {
		v[i] = float64(x)
	}
	return err
}

// normal is n normal values.
func (e *env) normal(n int, mean, std float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = mean + std*e.random.NormFloat64()
	}
	return v
}

// below is n integers in [0, limit).
func (e *env) below(n, limit int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(e.random.IntN(limit))
	}
	return v
}

// quantizable is rows of type t that quantize to 8 bits without a close call, so that rounding cannot decide which integer comes out. Row i's
// scale is 2^-(7 + i mod 5).
func (e *env) quantizable(t kernels.DType, rows, c int) []float64 {
	v := make([]float64, rows*c)
	for i := range v {
		q := float64(e.random.IntN(253) - 126)
		if i%c == i/c%c {
			q = 127
		}
		near := Round(t, q+0.6*(e.random.Float64()-0.5))
		if q == 127 || math.Abs(near-q) > 0.35 {
			near = q
		}
		v[i] = math.Ldexp(near, -7-i/c%5)
	}
	return v
}

// round is v rounded to t, element by element.
func round(t kernels.DType, v []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = Round(t, x)
	}
	return out
}

// overflowed is v, results of the reference, with an Inf wherever t has no finite value.
func overflowed(t kernels.DType, v []float64) []float64 {
	if t.Eps() == 0 {
		return v
	}
	for i, x := range v {
		if math.Abs(x) > t.Max()*(1+t.Eps()/4) {
			v[i] = math.Copysign(math.Inf(1), x)
		}
	}
	return v
}

// tolerance allows two roundings to t, and terms roundings in the type of sums that add up like a random walk.
func tolerance(t kernels.DType, terms int) float64 {
	return t.Eps() + 4*math.Sqrt(float64(terms))*kernels.StatsOf(t).Eps()
}
