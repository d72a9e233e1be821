package simt

import (
	"math"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// Results are computed in float64, rounded to odd where they are not exact, and then rounded once more to their own type. With at least two bits more than
// the type, that gives what one rounding of the exact result would (Boldo & Melquiond, "Emulation of a FMA and correctly rounded sums", 2008).

// odd is s, where the exact result is s plus an error of the sign of err, rounded to odd instead of to nearest.
func odd(s, err float64) float64 {
	if err == 0 || err != err || math.IsInf(s, 0) {
		return s
	}
	b := math.Float64bits(s)
	if b&1 == 1 {
		return s
	}
	if (err > 0) == (s > 0) {
		return math.Float64frombits(b + 1)
	}
	return math.Float64frombits(b - 1)
}

// fmaOdd is a·b+c rounded to odd, for a product that is exact in float64.
func fmaOdd(a, b, c float64) float64 {
	p := float64(a * b)
	s := p + c
	t := s - p
	return odd(s, (p-(s-t))+(c-t)) // the sum's error (Knuth's TwoSum)
}

// divOdd is a/b rounded to odd, for operands of at most 24 bits.
func divOdd(a, b float64) float64 {
	q := a / b
	r := math.FMA(-q, b, a)
	if b < 0 {
		r = -r
	}
	return odd(q, r)
}

// sqrtOdd is √a rounded to odd.
func sqrtOdd(a float64) float64 {
	q := math.Sqrt(a)
	return odd(q, math.FMA(-q, q, a))
}

// fma32 is a·b+c rounded once. The sum in float64, rounded to nearest, rounds to the same float32 as the exact one unless it lies halfway between two of them, of which subnormal ones
// lie further apart.
func fma32(a, b, c float32) float32 {
	s := float64(float64(a)*float64(b)) + float64(c)
	bits := math.Float64bits(s)
	if bits&(1<<29-1) != 1<<28 && bits>>52&0x7ff > 1023-126 {
		return float32(s)
	}
	return float32(fmaOdd(float64(a), float64(b), float64(c)))
}

// format is a floating-point format narrower than float64.
type format struct {
	digits int     // of the significand, the hidden one included
	least  int     // exponent of the smallest normal number
	most   float64 // largest finite value
}

var formats = map[ptx.Type]format{
	"f32":  {24, -126, math.MaxFloat32},
	"tf32": {11, -126, 0x1.ffcp127},
	"f16":  {11, -14, 65504},
	"bf16": {8, -126, 0x1.fep127},
	"e4m3": {4, -6, 448},
	"e5m2": {3, -14, 57344},
}

// round gives the value of the format next to x: nearest, ties to even ("rn") or away from zero ("rna"); toward zero, down or up ("rz", "rm", "rp").
func (f format) round(x float64, mode string) float64 {
	if x == 0 || x != x || math.IsInf(x, 0) {
		return x
	}
	_, e := math.Frexp(x) // |x| in [2^(e-1), 2^e)
	unit := max(e-1, f.least) - f.digits + 1
	y := math.Ldexp(roundInt(math.Ldexp(x, -unit), mode), unit)
	if math.Abs(y) <= f.most {
		return math.Copysign(y, x)
	}
	if mode == "rz" || mode == "rm" && x > 0 || mode == "rp" && x < 0 {
		return math.Copysign(f.most, x)
	}
	return math.Copysign(math.Inf(1), x)
}

// roundInt rounds to an integer.
func roundInt(x float64, mode string) float64 {
	switch mode {
	case "rz", "rzi":
		return math.Trunc(x)
	case "rm", "rmi":
		return math.Floor(x)
	case "rp", "rpi":
		return math.Ceil(x)
	case "rna":
		return math.Round(x)
	}
	return math.RoundToEven(x)
}

// Canonical NaNs of arithmetic results.
const (
	nan16 = 0x7fff
	nan32 = 0x7fffffff
	nan64 = 0x7fffffffffffffff
)

// widen gives the value of a float's bits.
func widen(t ptx.Type) func(uint64) float64 {
	switch t {
	case "f32", "tf32":
		return func(v uint64) float64 { return float64(math.Float32frombits(uint32(v))) }
	case "f64":
		return math.Float64frombits
	case "f16":
		return func(v uint64) float64 { return fromHalf(uint16(v)) }
	case "bf16":
		return func(v uint64) float64 { return fromBrain(uint16(v)) }
	}
	return nil
}

// narrow gives the bits of a value, rounded to odd before, in a type.
func narrow(t ptx.Type, mode string) func(float64) uint64 {
	if t == "f64" {
		return func(x float64) uint64 {
			if x != x {
				return nan64
			}
			return math.Float64bits(x)
		}
	}
	f := formats[t]
	encode := encoders[t]
	if mode == "rn" {
		return encode
	}
	return func(x float64) uint64 { return encode(f.round(x, mode)) }
}

// encoders round a value to nearest even and give its bits.
var encoders = map[ptx.Type]func(float64) uint64{
	"f32": func(x float64) uint64 {
		if x != x {
			return nan32
		}
		return uint64(math.Float32bits(float32(x)))
	},
	"tf32": func(x float64) uint64 {
		if x != x {
			return nan32
		}
		return uint64(math.Float32bits(float32(formats["tf32"].round(x, "rn"))))
	},
	"f16":  formats["f16"].encode16(),
	"bf16": formats["bf16"].encode16(),
}

// encode16 is the encoder of a format of 16 bits.
func (f format) encode16() func(x float64) uint64 {
	least := math.Ldexp(1, f.least)
	unit := math.Ldexp(1, f.least-f.digits+53) // its last place is worth the smallest subnormal number
	drop := 53 - f.digits                      // digits of float64 that the format has not
	infinite := uint64(0x8000 - 1<<(f.digits-1))
	return func(x float64) uint64 {
		a, v := math.Abs(x), infinite
		switch {
		case x != x:
			return nan16
		case a < least: // rounded by the addition
			v = math.Float64bits(a+unit) - math.Float64bits(unit)
		case a <= 2*f.most:
			b := math.Float64bits(a)
			b += 1<<(drop-1) - 1 + b>>drop&1 // may carry into the exponent, as it should
			v = min(infinite, b>>drop-uint64(1022+f.least)<<(f.digits-1))
		}
		return v | math.Float64bits(x)>>63<<15
	}
}

// fromHalf is the value of a float16's bits.
func fromHalf(v uint16) float64 {
	sign, exponent, fraction := uint64(v>>15)<<63, uint64(v>>10&31), uint64(v&0x3ff)<<42
	switch exponent {
	case 0:
		return math.Copysign(float64(v&0x3ff)*0x1p-24, math.Float64frombits(sign))
	case 31:
		return math.Float64frombits(sign | 0x7ff<<52 | fraction)
	}
	return math.Float64frombits(sign | (exponent+1023-15)<<52 | fraction)
}

// fromBrain is the value of a bfloat16's bits.
func fromBrain(v uint16) float64 { return float64(math.Float32frombits(uint32(v) << 16)) }

// Decode gives the value of a floating-point number's bits, Encode the bits of a value rounded to nearest even.
func Decode(t ptx.Type, bits uint64) float64 { return widen(t)(bits) }
func Encode(t ptx.Type, x float64) uint64    { return encoders[t](x) }
