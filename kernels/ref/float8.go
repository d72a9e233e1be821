package ref

import (
	"math"

	"ofpeak/kernels"
)

// factors are the values of x and y as a product multiplies them: where it rounds to FP8, each rounded to its 8-bit type.
func factors(w kernels.Weight, x []float64, tx kernels.DType, y []float64, ty kernels.DType) ([]float64, []float64) {
	if w.Math != kernels.FP8 {
		return x, y
	}
	return roundTo8(x, tx), roundTo8(y, ty)
}

// roundTo8 is what a tensor stands for once it is scaled and rounded to 8 bits.
func roundTo8(v []float64, t kernels.DType) []float64 {
	top := 0.0
	for _, x := range v {
		top = max(top, math.Abs(x)) // NaN if one is
	}
	scale := float64(kernels.Scale8(t, float32(top)))
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = widen8(t, narrow8(t, x*scale)) / scale
	}
	return out
}

func narrow8(t kernels.DType, x float64) uint8 {
	switch t {
	case kernels.E4M3:
		return kernels.E4M3FromF32(roundToOdd(x))
	case kernels.E5M2:
		return kernels.E5M2FromF32(roundToOdd(x))
	}
	panic("ref: not a float tensor")
}

func widen8(t kernels.DType, v uint8) float64 {
	switch t {
	case kernels.E4M3:
		return float64(kernels.F32FromE4M3(v))
	case kernels.E5M2:
		return float64(kernels.F32FromE5M2(v))
	}
	panic("ref: not a float tensor")
}
