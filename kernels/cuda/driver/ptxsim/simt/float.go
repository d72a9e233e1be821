package simt

import (
	"math"
	"math/bits"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// floatOps are the opcodes that work on floats only (PTX ISA, sections "Floating Point Instructions" and "Half Precision Floating Point Instructions").
var floatOps = map[string]func(*compiler) step{
	"fma":      func(c *compiler) step { return floatFMA(c, c.typ()) },
	"rcp":      floatUnary(func(x float64) float64 { return divOdd(1, x) }, func(x float64) float64 { return 1 / x }),
	"sqrt":     floatUnary(sqrtOdd, math.Sqrt),
	"rsqrt":    floatUnary(func(x float64) float64 { return 1 / math.Sqrt(x) }, func(x float64) float64 { return 1 / math.Sqrt(x) }),
	"ex2":      floatUnary(math.Exp2, nil),
	"lg2":      floatUnary(math.Log2, nil),
	"sin":      floatUnary(math.Sin, nil),
	"cos":      floatUnary(math.Cos, nil),
	"tanh":     floatUnary(math.Tanh, nil),
	"copysign": copySign,
	"testp":    testProperty,
}

// floatMods are the modifiers that floating-point opcodes share.
type floatMods struct {
	round string
	ftz   bool // subnormal float32 operands and results count as zero
	sat   bool // results are clamped to [0, 1], NaN to 0
	relu  bool // results below 0 become 0
}

func (c *compiler) floatMods() floatMods {
	m := floatMods{round: c.one("rn", "rz", "rm", "rp"), ftz: c.has("ftz"), sat: c.has("sat"), relu: c.has("relu")}
	if m.round == "" {
		m.round = "rn"
	}
	_ = c.has("approx") || c.has("full")
	return m
}

// element is the type of each half of a packed type, and whether it is one.
func element(t ptx.Type) (ptx.Type, bool) {
	switch t {
	case "f16x2":
		return "f16", true
	case "bf16x2":
		return "bf16", true
	}
	return t, false
}

// real is an operation on up to three floats.
type real struct {
	narrow func(a, b, e float64) float64 // for types of up to 24 digits: rounded to odd
	double func(a, b, e float64) float64 // for f64: rounded to nearest
}

// lift gives the operation on bits of type t.
func (r real) lift(c *compiler, t ptx.Type, m floatMods) func(a, b, e uint64) uint64 {
	f := r.narrow
	if t == "f64" {
		if f = r.double; f == nil || m.round != "rn" {
			c.fail("the form for f64 is not supported")
		}
	}
	in, out := widen(t), narrow(t, m.round)
	if in == nil {
		c.fail("no form for type %s", t)
	}
	flush := m.ftz && t == "f32"
	return func(a, b, e uint64) uint64 {
		if flush {
			a, b, e = flushed(a), flushed(b), flushed(e)
		}
		x := f(in(a), in(b), in(e))
		if m.sat && !(x > 0) || m.relu && x <= 0 {
			x = 0
		}
		if m.sat {
			x = min(x, 1)
		}
		v := out(x)
		if flush {
			v = flushed(v)
		}
		return v
	}
}

// flushed is a float32 with subnormal numbers made zero.
func flushed(v uint64) uint64 {
	if v&0x7f800000 == 0 {
		return v & 0x80000000
	}
	return v
}

// halves applies an operation to both halves of packed operands.
func halves(f func(a, b, e uint64) uint64) func(a, b, e uint64) uint64 {
	return func(a, b, e uint64) uint64 {
		return f(a&0xffff, b&0xffff, e&0xffff) | f(a>>16, b>>16, e>>16)<<16
	}
}

// float compiles an operation of n operands.
func (c *compiler) float(t ptx.Type, n int, r real) step {
	elem, packed := element(t)
	f := r.lift(c, elem, c.floatMods())
	if packed {
		f = halves(f)
	}
	switch n {
	case 1:
		return c.unary(t, func(a uint64) uint64 { return f(a, 0, 0) })
	case 2:
		return c.binary(t, func(a, b uint64) uint64 { return f(a, b, 0) })
	}
	return c.ternary(t, t, t, f)
}

func floatUnary(narrow, double func(float64) float64) func(*compiler) step {
	r := real{narrow: func(a, _, _ float64) float64 { return narrow(a) }}
	if double != nil {
		r.double = func(a, _, _ float64) float64 { return double(a) }
	}
	return func(c *compiler) step { return c.float(c.typ(), 1, r) }
}

func floatAdd(c *compiler, t ptx.Type) step {
	if c.plain32(t) {
		return c.add32()
	}
	return c.float(t, 2, real{
		func(a, b, _ float64) float64 { return fmaOdd(a, 1, b) },
		func(a, b, _ float64) float64 { return a + b },
	})
}

func floatSub(c *compiler, t ptx.Type) step {
	return c.float(t, 2, real{
		func(a, b, _ float64) float64 { return fmaOdd(a, 1, -b) },
		func(a, b, _ float64) float64 { return a - b },
	})
}

func floatMul(c *compiler, t ptx.Type) step {
	product := func(a, b, _ float64) float64 { return a * b }
	return c.float(t, 2, real{product, product})
}

func floatFMA(c *compiler, t ptx.Type) step {
	if c.plain32(t) {
		return c.fma()
	}
	return c.float(t, 3, real{fmaOdd, math.FMA})
}

func floatDiv(c *compiler, t ptx.Type) step {
	return c.float(t, 2, real{
		func(a, b, _ float64) float64 { return divOdd(a, b) },
		func(a, b, _ float64) float64 { return a / b },
	})
}

// floatMin and floatMax give the other operand where one is NaN, unless .NaN asks for NaN, and count -0 as less than 0.
func floatMin(c *compiler, t ptx.Type) step { return c.extremum(t, math.Min) }
func floatMax(c *compiler, t ptx.Type) step { return c.extremum(t, math.Max) }

func (c *compiler) extremum(t ptx.Type, f func(a, b float64) float64) step {
	keep := c.has("NaN")
	pick := func(a, b, _ float64) float64 {
		switch {
		case keep:
		case a != a:
			return b
		case b != b:
			return a
		}
		return f(a, b)
	}
	return c.float(t, 2, real{pick, pick})
}

// floatSign compiles an operation on the sign bit.
func floatSign(c *compiler, t ptx.Type, f func(v, sign uint64) uint64) step {
	ftz := c.has("ftz") && t == "f32"
	sign := uint64(1) << (8*t.Size() - 1)
	if _, packed := element(t); packed {
		sign |= 1 << 15
	}
	return c.unary(t, func(a uint64) uint64 {
		if ftz {
			a = flushed(a)
		}
		return f(a, sign)
	})
}

// copySign gives b with the sign of a.
func copySign(c *compiler) step {
	t := c.typ()
	sign := uint64(1) << (8*t.Size() - 1)
	return c.binary(t, func(a, b uint64) uint64 { return b&^sign | a&sign })
}

func testProperty(c *compiler) step {
	property := c.one("finite", "infinite", "number", "notanumber", "normal", "subnormal")
	t := c.typ()
	in, set, a := widen(t), c.predDst(c.arg(0)), c.src(1, t)
	least := math.Ldexp(1, -1022)
	if t == "f32" {
		least = math.Ldexp(1, -126)
	}
	test := map[string]func(x float64) bool{
		"finite":     func(x float64) bool { return !math.IsInf(x, 0) && x == x },
		"infinite":   func(x float64) bool { return math.IsInf(x, 0) },
		"number":     func(x float64) bool { return x == x },
		"notanumber": func(x float64) bool { return x != x },
		"normal":     func(x float64) bool { return math.Abs(x) >= least && !math.IsInf(x, 0) },
		"subnormal":  func(x float64) bool { return math.Abs(x) < least },
	}[property]
	if test == nil {
		c.fail("no property named")
	}
	return func(w *warp, mask uint32) {
		v := uint32(0)
		for l, bits := range w.regs[a] {
			if test(in(bits)) {
				v |= 1 << l
			}
		}
		set(w, mask, v)
	}
}

// plain32 tells whether a sum or fused product is of f32, rounded to nearest, with nothing more asked: then it takes no call for each lane.
func (c *compiler) plain32(t ptx.Type) bool {
	if t != "f32" || len(c.mods) > 1 {
		return false
	}
	return len(c.mods) == 0 || c.has("rn")
}

func (c *compiler) add32() step {
	d, _ := c.dst(0)
	a, b := c.src(1, "f32"), c.src(2, "f32")
	return func(w *warp, mask uint32) {
		d, a, b := &w.regs[d], &w.regs[a], &w.regs[b]
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			d[l] = bits32(math.Float32frombits(uint32(a[l])) + math.Float32frombits(uint32(b[l])))
		}
	}
}

func (c *compiler) fma() step {
	d, _ := c.dst(0)
	a, b, e := c.src(1, "f32"), c.src(2, "f32"), c.src(3, "f32")
	return func(w *warp, mask uint32) {
		d, a, b, e := &w.regs[d], &w.regs[a], &w.regs[b], &w.regs[e]
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			d[l] = bits32(fma32(math.Float32frombits(uint32(a[l])), math.Float32frombits(uint32(b[l])), math.Float32frombits(uint32(e[l]))))
		}
	}
}

// bits32 gives the bits of an arithmetic result.
func bits32(x float32) uint64 {
	if x != x {
		return nan32
	}
	return uint64(math.Float32bits(x))
}
