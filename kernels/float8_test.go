package kernels

import (
	"math"
	"testing"
)

// float8 is a format of 8 bits. The digests are those of NVIDIA's host functions (cuda_fp8.h of CUDA 11.8), as scripts/halves.py prints them.
type float8 struct {
	t              DType
	finite         uint8 // positive codes up to this one are finite
	widen          func(uint8) float32
	narrow         func(float32) uint8
	swept, widened uint64
}

var float8s = []float8{
	{E4M3, 0x7e, F32FromE4M3, E4M3FromF32, 0xcab435249d6b862d, 0x096c3b1155f57ce9},
	{E5M2, 0x7b, F32FromE5M2, E5M2FromF32, 0x573fa0903d63ca89, 0xa3a0c24a486ab619},
}

// digest is the FNV-1a hash.
func digest(bytes func(yield func(byte))) uint64 {
	h := uint64(0xcbf29ce484222325)
	bytes(func(b byte) { h = (h ^ uint64(b)) * 0x100000001b3 })
	return h
}

func TestFloat8EqualsNVIDIAs(t *testing.T) {
	for _, f := range float8s {
		if got := digest(func(yield func(byte)) {
			for i := range 1 << 18 {
				yield(f.narrow(math.Float32frombits(uint32(i * 16411))))
			}
		}); got != f.swept {
			t.Errorf("%s: the digest of a sweep is %#x, want %#x", f.t, got, f.swept)
		}
		if got := digest(func(yield func(byte)) {
			for i := range 256 {
				h := F16FromF32(f.widen(uint8(i)))
				if h&0x7fff > 0x7c00 {
					h = 0x7fff
				}
				yield(byte(h))
				yield(byte(h >> 8))
			}
		}); got != f.widened {
			t.Errorf("%s: the digest of all values is %#x, want %#x", f.t, got, f.widened)
		}
	}
}

// Every value widens to a bfloat16 that narrows back to itself.
func TestFloat8RoundTrips(t *testing.T) {
	for _, f := range float8s {
		for i := range 256 {
			v := uint8(i)
			w := f.widen(v)
			switch {
			case v&0x7f <= f.finite && (f.narrow(w) != v || F32FromBF16(BF16FromF32(w)) != w):
				t.Errorf("%s %#02x: %g came back as %#02x", f.t, v, w, f.narrow(w))
			case v&0x7f > f.finite && !math.IsNaN(float64(w)) && !math.IsInf(float64(w), 0):
				t.Errorf("%s %#02x is %g", f.t, v, w)
			}
		}
		if got := float64(f.widen(f.finite)); got != f.t.Max() {
			t.Errorf("%s: the largest value is %g, Max says %g", f.t, got, f.t.Max())
		}
		if next := f.widen(f.narrow(1)+1) - 1; float64(next) != f.t.Eps() {
			t.Errorf("%s: 1 is followed by 1+%g, Eps says %g", f.t, next, f.t.Eps())
		}
	}
}

// At every midpoint and just beside it; past the largest value it saturates.
func TestFloat8RoundsToNearestEven(t *testing.T) {
	check := func(f float8, x float32, want uint8) {
		t.Helper()
		if got := f.narrow(x); got != want {
			t.Errorf("%s: %g became %#02x, want %#02x", f.t, x, got, want)
		}
		if got := f.narrow(-x); got != want|0x80 {
			t.Errorf("%s: %g became %#02x, want %#02x", f.t, -x, got, want|0x80)
		}
	}
	for _, f := range float8s {
		for v := range f.finite {
			lo, hi := f.widen(v), f.widen(v+1)
			mid := (lo + hi) / 2 // exact
			check(f, math.Nextafter32(mid, lo), v)
			check(f, mid, v+v&1)
			check(f, math.Nextafter32(mid, hi), v+1)
		}
		for _, x := range []float32{math.MaxFloat32, float32(math.Inf(1)), float32(f.t.Max()) * 1.5} {
			check(f, x, f.finite)
		}
		check(f, 0x1p-149, 0)
	}
}

// A scale is the largest power of two that leaves the largest magnitude within the type.
func TestScale8(t *testing.T) {
	for _, f := range float8s {
		for i := uint32(1); i < 0x7f800000; i += 16411 {
			amax := math.Float32frombits(i)
			s := Scale8(f.t, amax)
			frac, _ := math.Frexp(float64(s))
			at := float64(amax) * float64(s)
			if frac != 0.5 || at > f.t.Max() || s < 0x1p100 && 2*at <= f.t.Max() || s > 0x1p100 {
				t.Fatalf("%s: a largest magnitude of %g has the scale %g", f.t, amax, s)
			}
		}
		for amax, want := range map[float64]float32{0: 1, 448: float32(f.t.Max() / 448), 0x1p-149: 0x1p100} {
			if got := Scale8(f.t, float32(amax)); got != want {
				t.Errorf("%s: a largest magnitude of %g has the scale %g, want %g", f.t, amax, got, want)
			}
		}
		for _, amax := range []float64{math.Inf(1), math.NaN()} {
			if got := Scale8(f.t, float32(amax)); got == got {
				t.Errorf("%s: a largest magnitude of %g has the scale %g", f.t, amax, got)
			}
		}
	}
}
