package simt

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestFloatOps(t *testing.T) {
	const third = 0x3eaaaaab // 1/3 to nearest
	runOps(t, []opTest{
		{"add.f32 %r0, %r1, %r2;", f32(1), f32(0x1p-24), 0, f32(1)},
		{"add.rz.f32 %r0, %r1, %r2;", f32(1), f32(0x1.8p-24), 0, f32(1)},
		{"add.rp.f32 %r0, %r1, %r2;", f32(1), f32(0x1p-60), 0, 0x3f800001},
		{"add.rm.f32 %r0, %r1, %r2;", f32(1), f32(-0x1p-60), 0, 0x3f7fffff},
		{"add.f32 %r0, %r1, %r2;", inf, ninf, 0, nan32},
		{"add.ftz.f32 %r0, %r1, %r2;", tiny, tiny, 0, 0},
		{"add.sat.f32 %r0, %r1, %r2;", f32(1), f32(1), 0, f32(1)},
		{"add.sat.f32 %r0, %r1, %r2;", nan, f32(1), 0, 0},
		{"add.f64 %d0, %d1, %d2;", f64(1), f64(2), 0, f64(3)},
		{"sub.f32 %r0, %r1, %r2;", f32(1), f32(1), 0, 0},
		{"mul.f32 %r0, %r1, %r2;", f32(3), f32(-0.5), 0, f32(-1.5)},
		{"mul.rn.f32 %r0, %r1, %r2;", 0, ninf, 0, nan32},
		{"mul.rz.f32 %r0, %r1, %r2;", 0x7f7fffff, f32(2), 0, 0x7f7fffff},
		{"mul.f64 %d0, %d1, %d2;", f64(3), f64(0.1), 0, 0x3fd3333333333334},
		{"fma.rn.f32 %r0, %r1, %r2, %r3;", f32(3), f32(4), f32(5), f32(17)},
		{"fma.rm.f32 %r0, %r1, %r2, %r3;", f32(1), f32(1), f32(-0x1p-60), 0x3f7fffff},
		{"fma.rn.f64 %d0, %d1, %d2, %d3;", f64(3), f64(4), f64(5), f64(17)},
		{"mad.rn.f32 %r0, %r1, %r2, %r3;", f32(3), f32(4), f32(5), f32(17)},
		{"div.rn.f32 %r0, %r1, %r2;", f32(1), f32(3), 0, third},
		{"div.full.f32 %r0, %r1, %r2;", f32(1), f32(3), 0, third},
		{"div.approx.ftz.f32 %r0, %r1, %r2;", f32(1), nzero, 0, ninf},
		{"div.rn.f64 %d0, %d1, %d2;", f64(1), f64(4), 0, f64(0.25)},
		{"rcp.rn.f32 %r0, %r1;", f32(3), 0, 0, third},
		{"rcp.approx.ftz.f32 %r0, %r1;", nzero, 0, 0, ninf},
		{"sqrt.rn.f32 %r0, %r1;", f32(2), 0, 0, 0x3fb504f3},
		{"sqrt.rn.f32 %r0, %r1;", f32(-1), 0, 0, nan32},
		{"sqrt.rn.f64 %d0, %d1;", f64(9), 0, 0, f64(3)},
		{"rsqrt.approx.f32 %r0, %r1;", f32(4), 0, 0, f32(0.5)},
		{"rsqrt.approx.f32 %r0, %r1;", 0, 0, 0, inf},
		{"ex2.approx.ftz.f32 %r0, %r1;", f32(-1), 0, 0, f32(0.5)},
		{"ex2.approx.f32 %r0, %r1;", ninf, 0, 0, 0},
		{"ex2.approx.f16 %h0, %h1;", 0x3c00, 0, 0, 0x4000},
		{"lg2.approx.f32 %r0, %r1;", f32(8), 0, 0, f32(3)},
		{"lg2.approx.f32 %r0, %r1;", 0, 0, 0, ninf},
		{"sin.approx.f32 %r0, %r1;", 0, 0, 0, 0},
		{"cos.approx.f32 %r0, %r1;", 0, 0, 0, f32(1)},
		{"tanh.approx.f32 %r0, %r1;", inf, 0, 0, f32(1)},
		{"neg.f32 %r0, %r1;", 0, 0, 0, nzero},
		{"abs.f32 %r0, %r1;", f32(-2), 0, 0, f32(2)},
		{"abs.ftz.f32 %r0, %r1;", 0x80000001, 0, 0, 0},
		{"abs.f64 %d0, %d1;", f64(-2), 0, 0, f64(2)},
		{"min.f32 %r0, %r1, %r2;", nan, f32(2), 0, f32(2)},
		{"min.NaN.f32 %r0, %r1, %r2;", nan, f32(2), 0, nan32},
		{"min.f32 %r0, %r1, %r2;", 0, nzero, 0, nzero},
		{"max.f32 %r0, %r1, %r2;", nzero, 0, 0, 0},
		{"max.f32 %r0, %r1, %r2;", nan, nan, 0, nan32},
		{"max.f64 %d0, %d1, %d2;", f64(-1), f64(2), 0, f64(2)},
		{"copysign.f32 %r0, %r1, %r2;", f32(-1), f32(2), 0, f32(-2)},
		{"testp.finite.f32 %p0, %r1;", inf, 0, 0, 0},
		{"testp.infinite.f32 %p0, %r1;", inf, 0, 0, 1},
		{"testp.number.f32 %p0, %r1;", nan, 0, 0, 0},
		{"testp.notanumber.f32 %p0, %r1;", nan, 0, 0, 1},
		{"testp.normal.f32 %p0, %r1;", tiny, 0, 0, 0},
		{"testp.subnormal.f32 %p0, %r1;", tiny, 0, 0, 1},
	})
}

func TestHalfOps(t *testing.T) {
	runOps(t, []opTest{
		{"add.f16 %h0, %h1, %h2;", 0x3c00, 0x4000, 0, 0x4200},
		{"add.rn.f16x2 %r0, %r1, %r2;", 0x3c004000, 0x40003c00, 0, 0x42004200},
		{"sub.f16 %h0, %h1, %h2;", 0x3c00, 0x4000, 0, 0xbc00},
		{"mul.f16x2 %r0, %r1, %r2;", 0x3c004000, 0x40004000, 0, 0x40004400},
		{"fma.rn.f16 %h0, %h1, %h2, %h3;", 0x4000, 0x4000, 0x3c00, 0x4500},
		{"fma.rn.relu.f16 %h0, %h1, %h2, %h3;", 0x4000, 0xc000, 0x3c00, 0},
		{"fma.rn.bf16 %h0, %h1, %h2, %h3;", 0x4000, 0x4000, 0x3f80, 0x40a0},
		{"fma.rn.bf16x2 %r0, %r1, %r2, %r3;", 0x40004000, 0x40003f80, 0x3f800000, 0x40a04000},
		{"max.bf16x2 %r0, %r1, %r2;", 0x40003f80, 0x3f804000, 0, 0x40004000},
		{"min.f16x2 %r0, %r1, %r2;", 0x40003c00, 0x3c007e00, 0, 0x3c003c00},
		{"neg.f16x2 %r0, %r1;", 0x40003c00, 0, 0, 0xc000bc00},
		{"abs.bf16x2 %r0, %r1;", 0xc0003f80, 0, 0, 0x40003f80},
		{"add.f16 %h0, %h1, %h2;", 0x7bff, 0x7bff, 0, 0x7c00},
		{"add.f16 %h0, %h1, %h2;", 0x7c00, 0xfc00, 0, 0x7fff},
	})
}

// exact32 is a·b+c in as many digits as it takes, rounded once.
func exact32(a, b, c float32) float32 {
	x := new(big.Float).SetPrec(700).SetFloat64(float64(a) * float64(b))
	y, _ := x.Add(x, big.NewFloat(float64(c))).Float32()
	return y
}

// Halfway cases of a float64 sum are where rounding twice goes wrong.
func TestFMAIsRoundedOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 400000 {
		a, b := math.Float32frombits(r.Uint32()), math.Float32frombits(0x3f800000|r.Uint32()&0x7ff)
		c := float32(math.Ldexp(float64(a)*float64(b), r.IntN(60)-30))
		if r.IntN(2) == 0 {
			a = math.Float32frombits(0x3f800000 | r.Uint32()&0x7ff)
			c = math.Float32frombits(r.Uint32()&0x1f<<23 | r.Uint32()&0x7fffff)
		}
		if a != a || c != c || math.IsInf(float64(a), 0) || math.IsInf(float64(c), 0) {
			continue
		}
		got, want := fma32(a, b, c), exact32(a, b, c)
		if got != want {
			t.Fatalf("fma(%x, %x, %x) = %x, want %x", a, b, c, got, want)
		}
	}
	// (1+2^-12)² lies halfway between two float32; what is far below a float64's last place decides.
	a, c := float32(1+0x1p-12), float32(0x1p-70)
	if got, twice := fma32(a, a, c), float32(math.FMA(float64(a), float64(a), float64(c))); got != exact32(a, a, c) || got == twice {
		t.Errorf("got %x, rounded twice it is %x", got, twice)
	}
}

// A quotient or root is next to the exact one: no float32 between.
func TestDivisionAndRootAreRoundedOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100000 {
		a, b := math.Float32frombits(r.Uint32()&0x7fffffff), math.Float32frombits(r.Uint32())
		if a != a || b != b || math.IsInf(float64(a), 0) || math.IsInf(float64(b), 0) || b == 0 {
			continue
		}
		q, _ := new(big.Float).SetPrec(200).Quo(big.NewFloat(float64(a)), big.NewFloat(float64(b))).Float32()
		if got := float32(divOdd(float64(a), float64(b))); got != q {
			t.Fatalf("%x/%x = %x, want %x", a, b, got, q)
		}
		s, _ := new(big.Float).SetPrec(200).Sqrt(big.NewFloat(float64(a))).Float32()
		if got := float32(sqrtOdd(float64(a))); got != s {
			t.Fatalf("√%x = %x, want %x", a, got, s)
		}
	}
}
