package simt

import (
	"math"
	"math/bits"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// convert compiles cvt between any two types. The destination's type comes first.
func convert(c *compiler) step {
	mode := c.one("rn", "rz", "rm", "rp", "rna", "rni", "rzi", "rmi", "rpi")
	m := conversion{mode: mode, ftz: c.has("ftz"), sat: c.has("sat"), relu: c.has("relu"), finite: c.has("satfinite")}
	if x2 := c.one("e4m3x2", "e5m2x2"); x2 != "" {
		return c.eight(ptx.Type(x2), m)
	}
	to := c.typ()
	if elem, packed := element(to); packed {
		c.typ()
		f := m.floats(elem, "f32")
		return c.binary("f32", func(a, b uint64) uint64 { return f(a)<<16 | f(b) })
	}
	from := c.typ()
	switch {
	case to.IsFloat() && from.IsFloat():
		return c.unary(from, m.floats(to, from))
	case to.IsFloat():
		out := narrow(to, m.mode)
		return c.unary(from, func(a uint64) uint64 { return out(fromInt(from, sext(from, a))) })
	case from.IsFloat():
		return c.unary(from, m.toInt(to, from))
	}
	return c.unary(from, func(a uint64) uint64 {
		v := sext(from, a)
		if m.sat {
			v = clampInt(to, from, v)
		}
		return sext(to, v)
	})
}

// conversion holds cvt's modifiers.
type conversion struct {
	mode                   string
	ftz, sat, relu, finite bool
}

// floats converts between floating-point types.
func (m conversion) floats(to, from ptx.Type) func(uint64) uint64 {
	mode := m.mode
	if mode == "" {
		mode = "rn" // exact
	}
	in, out := widen(from), narrow(to, mode)
	integral := len(mode) == 3 && mode[2] == 'i'
	if integral {
		out = narrow(to, "rn")
	}
	return func(a uint64) uint64 {
		if m.ftz && from == "f32" {
			a = flushed(a)
		}
		x := in(a)
		if integral {
			x = roundInt(x, mode)
		}
		if m.sat {
			x = saturate(x)
		}
		if m.relu && x < 0 {
			x = 0
		}
		if m.finite && x == x {
			x = max(min(x, formats[to].most), -formats[to].most)
		}
		v := out(x)
		if m.ftz && to == "f32" {
			v = flushed(v)
		}
		return v
	}
}

// saturate clamps to [0, 1]; NaN becomes 0.
func saturate(x float64) float64 {
	if !(x > 0) {
		return 0
	}
	return min(x, 1)
}

// fromInt is an integer, widened to 64 bits, as a float64 rounded to odd.
func fromInt(t ptx.Type, v uint64) float64 {
	sign := 1.0
	if t.Signed() && int64(v) < 0 {
		v, sign = -v, -1
	}
	if extra := bits.Len64(v) - 53; extra > 0 {
		kept := v >> extra
		if v&(1<<extra-1) != 0 {
			kept |= 1
		}
		return sign * math.Ldexp(float64(kept), extra)
	}
	return sign * float64(v)
}

// toInt rounds to an integer and clamps it to the type's range; NaN becomes 0.
func (m conversion) toInt(to, from ptx.Type) func(uint64) uint64 {
	in := widen(from)
	lo, hi, most := 0.0, math.Ldexp(1, 8*to.Size()), widthMask(to)
	if to.Signed() {
		hi /= 2
		lo = -hi
		most >>= 1
	}
	return func(a uint64) uint64 {
		if m.ftz && from == "f32" {
			a = flushed(a)
		}
		x := roundInt(in(a), m.mode)
		switch {
		case x != x:
			return 0
		case x >= hi:
			return most
		case x <= lo:
			return uint64(int64(lo))
		case x < 0:
			return uint64(int64(x))
		}
		return uint64(x)
	}
}

// clampInt clamps an integer to another type's range.
func clampInt(to, from ptx.Type, v uint64) uint64 {
	lo, hi := int64(0), widthMask(to)
	if to.Signed() {
		hi >>= 1
		lo = -int64(hi) - 1
	}
	if from.Signed() && int64(v) < 0 {
		return uint64(max(int64(v), lo))
	}
	return min(v, hi)
}

// eight converts two float32 to a pair of 8-bit floats, the first operand in the upper byte.
func (c *compiler) eight(x2 ptx.Type, m conversion) step {
	c.typ()
	f := func(v uint64) uint64 { return encode8(x2[:4], float64(math.Float32frombits(uint32(v)))) }
	if !m.finite || m.mode != "rn" {
		c.fail("8-bit floats are rounded to nearest and clamped")
	}
	return c.binary("f32", func(a, b uint64) uint64 { return f(a)<<8 | f(b) })
}

// encode8 rounds to an 8-bit float, clamped to its finite range (Micikevicius et al., "FP8 Formats for Deep Learning", arXiv:2209.05433, table 1).
func encode8(t ptx.Type, x float64) uint64 {
	f := formats[t]
	if x != x {
		return 0x7f
	}
	sign := uint64(0)
	if math.Signbit(x) {
		sign = 0x80
	}
	y := math.Abs(f.round(max(min(x, f.most), -f.most), "rn"))
	fraction := f.digits - 1
	if y < math.Ldexp(1, f.least) {
		return sign | uint64(math.Ldexp(y, fraction-f.least))
	}
	frac, e := math.Frexp(y)
	return sign | uint64(e-f.least)<<fraction | uint64(math.Ldexp(frac*2-1, fraction))
}
