package simt

import (
	"math"
	"strings"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// halfRows are all 16-bit values.
func halfRows() [][3]uint64 {
	rows := make([][3]uint64, 1<<16)
	for i := range rows {
		rows[i][0] = uint64(i)
	}
	return rows
}

func TestWideningIsExactForAllHalves(t *testing.T) {
	for typ, want := range map[string]func(uint16) float32{"f16": kernels.F32FromF16, "bf16": kernels.F32FromBF16} {
		for i, got := range eval(t, "cvt.f32."+typ+" %r0, %h1;", "%r0", halfRows()) {
			w := want(uint16(i))
			if w != w && got != nan32 || w == w && got != uint64(math.Float32bits(w)) {
				t.Fatalf("%s %#04x: got %#x, want %x", typ, i, got, w)
			}
		}
	}
}

// between gives, for every pair of neighbours of a 16-bit type, float32 values at, around and halfway between them.
func between(widen func(uint16) float32, inf uint16) (rows [][3]uint64, lo []uint16) {
	for h := uint16(0); h < inf-1; h++ {
		a, b := widen(h), widen(h+1)
		mid := float32((float64(a) + float64(b)) / 2)
		for _, x := range []float32{a, math.Nextafter32(a, b), math.Nextafter32(mid, a), mid, math.Nextafter32(mid, b), math.Nextafter32(b, a)} {
			for _, s := range []float32{1, -1} {
				rows = append(rows, [3]uint64{uint64(math.Float32bits(s * x))})
				lo = append(lo, h)
			}
		}
	}
	return rows, lo
}

// Each rounding mode is held against its definition: which of the two neighbours it takes.
func TestNarrowingRoundsAsNamed(t *testing.T) {
	for typ, f := range map[string]struct {
		widen func(uint16) float32
		inf   uint16
	}{"f16": {kernels.F32FromF16, 0x7c00}, "bf16": {kernels.F32FromBF16, 0x7f80}} {
		rows, los := between(f.widen, f.inf)
		for _, mode := range []string{"rn", "rz", "rm", "rp"} {
			got := eval(t, "cvt."+mode+"."+typ+".f32 %h0, %r1;", "%h0", rows)
			for i, row := range rows {
				x := float64(math.Float32frombits(uint32(row[0])))
				if want := pick(f.widen, los[i], x, mode); got[i] != uint64(want) {
					t.Fatalf("cvt.%s.%s of %x: got %#x, want %#x", mode, typ, x, got[i], want)
				}
			}
		}
	}
}

// pick takes the neighbour lo or lo+1 of |x| that a rounding mode names.
func pick(widen func(uint16) float32, lo uint16, x float64, mode string) uint16 {
	a, b, m := float64(widen(lo)), float64(widen(lo+1)), math.Abs(x)
	up := false
	switch {
	case m == a:
	case m == b:
		up = true
	case mode == "rn":
		up = m-a > b-m || m-a == b-m && lo&1 == 1
	case mode == "rp":
		up = x > 0
	case mode == "rm":
		up = x < 0
	}
	if up {
		lo++
	}
	if math.Signbit(x) {
		lo |= 0x8000
	}
	return lo
}

func TestIntegersToAndFromHalves(t *testing.T) {
	rows := halfRows()
	for code, want := range map[string]func(x float64) float64{
		"cvt.rni.s32.f16 %r0, %h1;": math.RoundToEven,
		"cvt.rzi.s32.f16 %r0, %h1;": math.Trunc,
		"cvt.rmi.s32.f16 %r0, %h1;": math.Floor,
		"cvt.rpi.s32.f16 %r0, %h1;": math.Ceil,
	} {
		for i, got := range eval(t, code, "%r0", rows) {
			x := float64(kernels.F32FromF16(uint16(i)))
			y := int32(0)
			switch {
			case x != x:
			case x > math.MaxInt32:
				y = math.MaxInt32
			case x < math.MinInt32:
				y = math.MinInt32
			default:
				y = int32(want(x))
			}
			if got != uint64(uint32(y)) {
				t.Fatalf("%s %#04x (%g): got %d, want %d", code, i, x, int32(got), y)
			}
		}
	}
	for i, got := range eval(t, "cvt.rn.f16.s16 %h0, %h1;", "%h0", rows) {
		if want := kernels.F16FromF32(float32(int16(i))); got != uint64(want) {
			t.Fatalf("cvt.rn.f16.s16 %d: got %#x, want %#x", int16(i), got, want)
		}
	}
}

func TestConversions(t *testing.T) {
	runOps(t, []opTest{
		{"cvt.u32.u64 %r0, %d1;", 1<<32 | 5, 0, 0, 5},
		{"cvt.s64.s32 %d0, %r1;", neg32(2), 0, 0, neg(2)},
		{"cvt.u64.u32 %d0, %r1;", neg32(2), 0, 0, 1<<32 - 2},
		{"cvt.s32.s8 %r0, %r1;", 0x180, 0, 0, neg32(128)},
		{"cvt.u32.u8 %r0, %r1;", 0x180, 0, 0, 0x80},
		{"cvt.s32.s16 %r0, %h1;", 0xffff, 0, 0, neg32(1)},
		{"cvt.u16.u32 %h0, %r1;", 0x12345, 0, 0, 0x2345},
		{"cvt.sat.s8.s32 %r0, %r1;", 300, 0, 0, 127},
		{"cvt.sat.u8.s32 %r0, %r1;", neg32(4), 0, 0, 0},
		{"cvt.sat.s8.s32 %r0, %r1;", neg32(300), 0, 0, neg32(128)},
		{"cvt.rn.f32.s32 %r0, %r1;", 16777217, 0, 0, f32(16777216)},
		{"cvt.rp.f32.s32 %r0, %r1;", 16777217, 0, 0, f32(16777218)},
		{"cvt.rn.f32.u64 %r0, %d1;", 1<<63 + 1<<39 + 1, 0, 0, f32(0x1.000002p63)},
		{"cvt.rn.f64.s32 %d0, %r1;", neg32(5), 0, 0, f64(-5)},
		{"cvt.rni.s32.f32 %r0, %r1;", f32(2.5), 0, 0, 2},
		{"cvt.rzi.u32.f32 %r0, %r1;", f32(-3), 0, 0, 0},
		{"cvt.rzi.s32.f32 %r0, %r1;", nan, 0, 0, 0},
		{"cvt.rzi.s32.f32 %r0, %r1;", inf, 0, 0, 0x7fffffff},
		{"cvt.rzi.s32.f32 %r0, %r1;", ninf, 0, 0, 0x80000000},
		{"cvt.rzi.s64.f32 %d0, %r1;", inf, 0, 0, 1<<63 - 1},
		{"cvt.rni.s8.f32 %r0, %r1;", f32(200), 0, 0, 127},
		{"cvt.rni.f32.f32 %r0, %r1;", f32(2.5), 0, 0, f32(2)},
		{"cvt.rmi.f32.f32 %r0, %r1;", f32(-0.5), 0, 0, f32(-1)},
		{"cvt.rpi.f32.f32 %r0, %r1;", f32(-0.5), 0, 0, nzero},
		{"cvt.sat.f32.f32 %r0, %r1;", f32(1.5), 0, 0, f32(1)},
		{"cvt.sat.f32.f32 %r0, %r1;", nan, 0, 0, 0},
		{"cvt.ftz.f32.f32 %r0, %r1;", tiny, 0, 0, 0},
		{"cvt.f64.f32 %d0, %r1;", f32(0.1), 0, 0, 0x3fb99999a0000000},
		{"cvt.rn.f32.f64 %r0, %d1;", 0x3fb999999999999a, 0, 0, f32(0.1)},
		{"cvt.rn.relu.f16.f32 %h0, %r1;", f32(-1), 0, 0, 0},
		{"cvt.rn.f16x2.f32 %r0, %r1, %r2;", f32(1), f32(2), 0, 0x3c004000},
		{"cvt.rn.bf16x2.f32 %r0, %r1, %r2;", f32(1), f32(2), 0, 0x3f804000},
		{"cvt.rn.bf16.f32 %h0, %r1;", nan, 0, 0, 0x7fff},
		{"cvt.rn.f16.f32 %h0, %r1;", nan, 0, 0, 0x7fff},
		{"cvt.rn.f16.f32 %h0, %r1;", f32(65520), 0, 0, 0x7c00},
		{"cvt.rz.f16.f32 %h0, %r1;", f32(1e6), 0, 0, 0x7bff},
		{"cvt.rna.tf32.f32 %r0, %r1;", 0x3f801000, 0, 0, 0x3f802000},
		{"cvt.rn.satfinite.e4m3x2.f32 %h0, %r1, %r2;", f32(448), f32(1e9), 0, 0x7e7e},
		{"cvt.rn.satfinite.e5m2x2.f32 %h0, %r1, %r2;", f32(1), f32(-1e9), 0, 0x3cfb},
	})
}

// decode8 gives the value of an 8-bit float.
func decode8(t ptx.Type, v int) float64 {
	f := formats[t]
	fraction := f.digits - 1
	e, m := v&0x7f>>fraction, float64(v&(1<<fraction-1))
	if e == 0 {
		return math.Ldexp(m, f.least-fraction)
	}
	return math.Ldexp(m+math.Ldexp(1, fraction), f.least-fraction+e-1)
}

// Every finite 8-bit float is its own nearest, and so are the values beside it up to the midpoints.
func TestEightBitFloats(t *testing.T) {
	for typ, most := range map[ptx.Type]int{"e4m3": 0x7e, "e5m2": 0x7b} {
		for v := range most {
			a, b := decode8(typ, v), decode8(typ, v+1)
			mid := (a + b) / 2
			even := v + v&1
			for x, want := range map[float64]int{a: v, math.Nextafter(mid, a): v, mid: even, math.Nextafter(mid, b): v + 1} {
				if got := encode8(typ, x); got != uint64(want) {
					t.Fatalf("%s of %g: got %#x, want %#x", typ, x, got, want)
				}
				if got := encode8(typ, -x); got != uint64(want)|0x80 {
					t.Fatalf("%s of %g: got %#x, want %#x", typ, -x, got, want|0x80)
				}
			}
		}
	}
}

// The digests are those of NVIDIA's host functions (cuda_fp16.h, cuda_bf16.h, cuda_fp8.h of CUDA 11.8) over the same sweep, as scripts/halves.py prints them.
func TestConversionsEqualNVIDIAs(t *testing.T) {
	rows := make([][3]uint64, 1<<18)
	for i := range rows {
		rows[i][0] = uint64(uint32(i * 16411))
	}
	for _, c := range []struct {
		name   string
		digest uint64
	}{
		{"rn.f16", 0xd5f9445a8c8d8777}, {"rz.f16", 0x03dd0a00867fd19e}, {"rm.f16", 0xc7fb8fe104cee0c6}, {"rp.f16", 0x0037a058cbc258c5},
		{"rn.bf16", 0xb244c18699acc73c}, {"rz.bf16", 0xc47a2508f286fc5c}, {"rm.bf16", 0xad5303055b19db07}, {"rp.bf16", 0x65dd2d8a94024d38},
		{"rn.satfinite.e4m3x2", 0xcab435249d6b862d}, {"rn.satfinite.e5m2x2", 0x573fa0903d63ca89},
	} {
		code, size := "cvt."+c.name+".f32 %h0, %r1;", 2
		if strings.HasSuffix(c.name, "x2") {
			code, size = "cvt."+c.name+".f32 %h0, 0f00000000, %r1;", 1
		}
		digest := uint64(0xcbf29ce484222325) // FNV-1a
		for _, v := range eval(t, code, "%h0", rows) {
			for b := range size {
				digest = (digest ^ v>>(8*b)&0xff) * 0x100000001b3
			}
		}
		if digest != c.digest {
			t.Errorf("%s: the digest is %#x, want %#x", c.name, digest, c.digest)
		}
	}
}

// The interpreter's conversions are its own; they agree with those of the CPU's kernels on all halves, and around each midpoint of two halves.
func TestHalvesAgreeWithTheCPUs(t *testing.T) {
	for v := range uint64(1 << 16) {
		for typ, other := range map[ptx.Type]struct {
			from func(uint16) float32
			to   func(float32) uint16
		}{"f16": {kernels.F32FromF16, kernels.F16FromF32}, "bf16": {kernels.F32FromBF16, kernels.BF16FromF32}} {
			x := Decode(typ, v)
			if w := float64(other.from(uint16(v))); math.Float64bits(x) != math.Float64bits(w) && (x == x || w == w) {
				t.Fatalf("%s %#x is %v, to the CPU's kernels %v", typ, v, x, w)
			}
			if x != x {
				continue
			}
			middle := float32((x + Decode(typ, v+1&0xffff)) / 2)
			for _, y := range []float32{float32(x), middle, math.Nextafter32(middle, 0), math.Nextafter32(middle, float32(math.Inf(1)))} {
				if got, want := Encode(typ, float64(y)), uint64(other.to(y)); got != want && y == y {
					t.Fatalf("%v in %s is %#x, to the CPU's kernels %#x", y, typ, got, want)
				}
			}
		}
	}
}
