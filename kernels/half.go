package kernels

import "math"

// BF16FromF32 rounds to nearest, ties to even; every NaN becomes a quiet NaN of the same sign.
func BF16FromF32(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// F32FromBF16 is exact.
func F32FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// F16FromF32 rounds to nearest, ties to even, into binary16: subnormals are kept, values past 65504 by half a step or more become
// infinite, every NaN becomes a quiet NaN of the same sign.
func F16FromF32(x float32) uint16 {
	b := math.Float32bits(x)
	sign, mag := uint16(b>>16)&0x8000, b&0x7fffffff
	switch {
	case mag > 0x7f800000:
		return sign | 0x7e00 | uint16(mag>>13)&0x3ff
	case mag >= 0x477ff000: // 65520 and above round to infinity
		return sign | 0x7c00
	case mag < 0x38800000: // below 2^-14: the sum's low bits hold the subnormal, rounded by the addition itself
		const shift = 0x3f000000 // 0.5, whose last place is worth 2^-24, the smallest subnormal
		return sign | uint16(math.Float32bits(math.Float32frombits(mag)+math.Float32frombits(shift))-shift)
	}
	mag += 0xfff + mag>>13&1 // may carry into the exponent, as it should
	return sign | uint16((mag-0x38000000)>>13)
}

// F32FromF16 is exact.
func F32FromF16(h uint16) float32 {
	sign, mag := uint32(h&0x8000)<<16, uint32(h&0x7fff)
	switch {
	case mag >= 0x7c00:
		return math.Float32frombits(sign | 0x7f800000 | (mag&0x3ff)<<13)
	case mag < 0x400:
		v := float32(mag) * 0x1p-24
		return math.Float32frombits(sign | math.Float32bits(v))
	}
	return math.Float32frombits(sign | (mag<<13 + 0x38000000))
}
