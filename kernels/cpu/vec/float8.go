package vec

import (
	"math"

	"ofpeak/kernels"
)

// Rounding is how Round rounds to a format of few digits.
type Rounding struct {
	Scale   float32 // a power of two
	Inverse float32 // 1/Scale
	Least   float32 // the format's smallest normal number
	// Shift, added to the bits of a power of two, gives one and a half times the power whose last place is worth the format's last digit there: what is added to that is
	// rounded to this digit.
	Shift uint32
}

// RoundingTo is the one of a tensor of largest magnitude amax to an 8-bit float and back; see kernels.Scale8.
func RoundingTo(t kernels.DType, amax float32) Rounding {
	s := kernels.Scale8(t, amax)
	r := Rounding{Scale: s, Inverse: 1 / s, Least: 0x1p-6, Shift: 20<<23 | 1<<22}
	if t == kernels.E5M2 {
		r.Least, r.Shift = 0x1p-14, 21<<23|1<<22
	}
	return r
}

// Round is for i := range dst { dst[i] = the format's value next to x[i]·Scale, ties to even, times Inverse }. |x[i]|·Scale is at most the format's largest value, or a NaN,
// which stays one.
func (s *Set) Round(dst, x []float32, r *Rounding) {
	check(len(dst), len(x))
	s.f.round(dst, x, r)
}

func round(dst, x []float32, r *Rounding) {
	for i := range dst {
		y := float32(x[i] * r.Scale)
		power := math.Float32bits(max(y, -y, r.Least)) & 0x7f800000
		big := math.Float32frombits(power + r.Shift)
		dst[i] = (y + big - big) * r.Inverse
	}
}
