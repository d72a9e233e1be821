package kernels

import "math"

// The formats of 8 bits (Micikevicius et al., "FP8 Formats for Deep Learning", arXiv:2209.05433, table 1; Open Compute Project, "OCP 8-bit Floating Point
// Specification", 2023, section 5): E4M3 has 3 bits of fraction, a largest value of 448 and no infinities; E5M2 has 2, 57344, and IEEE 754's infinities. Both lie within
// bfloat16, so that widening loses nothing. Rounding is to nearest even and saturates: what is past the largest value, infinities included, becomes that value,
// as NVIDIA's cvt.rn.satfinite does.

// E4M3FromF32 rounds to nearest even and saturates; every NaN becomes 0x7f.
func E4M3FromF32(x float32) uint8 { return toFloat8(x, 3, 7, 0x7e) }

// E5M2FromF32 rounds to nearest even and saturates; every NaN becomes 0x7f.
func E5M2FromF32(x float32) uint8 { return toFloat8(x, 2, 15, 0x7b) }

func toFloat8(x float32, fraction, bias, largest uint32) uint8 {
	b := math.Float32bits(x)
	sign, mag := uint8(b>>24)&0x80, b&0x7fffffff
	switch {
	case mag > 0x7f800000:
		return 0x7f
	case mag < (128-bias)<<23: // below the smallest normal number: the sum's low bits hold the subnormal, rounded by the addition itself
		last := (151 - bias - fraction) << 23 // a power of two whose last place is worth the smallest subnormal
		return sign | uint8(math.Float32bits(math.Float32frombits(mag)+math.Float32frombits(last))-last)
	}
	drop := 23 - fraction
	mag += 1<<(drop-1) - 1 + mag>>drop&1 // may carry into the exponent, as it should
	return sign | uint8(min((mag-(127-bias)<<23)>>drop, largest))
}

// F32FromE4M3 is exact.
func F32FromE4M3(v uint8) float32 {
	sign, mag := uint32(v&0x80)<<24, uint32(v&0x7f)
	switch {
	case mag == 0x7f:
		return math.Float32frombits(sign | 0x7fc00000)
	case mag < 8:
		return math.Float32frombits(sign | math.Float32bits(float32(mag)*0x1p-9))
	}
	return math.Float32frombits(sign | (mag<<20 + 120<<23))
}

// F32FromE5M2 is exact.
func F32FromE5M2(v uint8) float32 { return F32FromF16(uint16(v) << 8) }

// Scale8 is the factor that a tensor is multiplied by before it is rounded to an 8-bit type: the largest power of two, at most 2^100, that leaves the tensor's largest
// magnitude amax within the type's finite values; 1 where amax is 0. A power of two changes no digit, so the rounding is that of the type alone, wherever and in whatever
// parts a tensor is scaled (as in DeepSeek-AI, "DeepSeek-V3 Technical Report", arXiv:2412.19437, section 3.3.2). It is NaN where amax is not finite, so that no product
// hides an overflow by saturating.
func Scale8(t DType, amax float32) float32 {
	b := math.Float32bits(amax)
	switch {
	case b == 0:
		return 1
	case b >= 0x7f800000:
		return float32(math.NaN())
	}
	power := 8 + 127 // of E4M3's largest value, 1.75·2^8; biased
	if t == E5M2 {
		power = 15 + 127
	}
	power -= int(b >> 23)
	if b&0x7fffff > 0x600000 { // above 1.75·2^n
		power--
	}
	return math.Float32frombits(uint32(min(power, 100)+127) << 23)
}
