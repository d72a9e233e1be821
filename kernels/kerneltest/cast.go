package kerneltest

import (
	"math"
	"slices"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/verify"
)

// cast converts between all pairs of types: every 16-bit and 8-bit value, and the values around every midpoint of two of them.
func (h *harness) cast(t *testing.T) {
	dev := h.device(t)
	s := Stream(t, dev)
	stored := slices.Concat(h.Types, h.Narrow)
	for _, from := range stored {
		values := hard(from)
		for _, to := range stored {
			src := Upload(t, dev, s, from, values, len(values))
			dst := Alloc(t, dev, to, len(values)+1)
			s.Fill(dst, 3)
			s.Cast(dst.At(1, len(values)), src) // the odd offset must not matter
			got := Read(t, s, dst)
			if got[0] != 3 {
				t.Errorf("%s to %s wrote before its output", from, to)
			}
			for i, v := range values {
				want := verify.Round(to, v)
				if g := got[1+i]; g != want && (g == g || want == want) {
					t.Errorf("%s to %s: %g became %g, want %g", from, to, v, g, want)
					break
				}
			}
		}
	}
}

// hard is values of type t that are hard to round.
func hard(t kernels.DType) []float64 {
	var v []float64
	if t == kernels.E4M3 || t == kernels.E5M2 {
		for i := range 256 {
			v = append(v, float64(kernels.F32FromE4M3(uint8(i))), float64(kernels.F32FromE5M2(uint8(i))))
		}
		return rounded(t, v...)
	}
	for i := range 1 << 16 {
		for _, widen := range []func(uint16) float32{kernels.F32FromF16, kernels.F32FromBF16} {
			x := widen(uint16(i))
			if t == kernels.F64 || t == kernels.F32 {
				mid := float32((float64(x) + float64(widen(uint16(i+1)))) / 2)
				v = append(v, float64(mid), float64(math.Nextafter32(mid, 0)), float64(math.Nextafter32(mid, x*2)))
			}
			v = append(v, verify.Round(t, float64(x)))
		}
	}
	if t == kernels.F64 || t == kernels.F32 { // 16-bit types have the midpoints of 8-bit ones among their own values
		for i := range 255 {
			for _, widen := range []func(uint8) float32{kernels.F32FromE4M3, kernels.F32FromE5M2} {
				mid := (widen(uint8(i)) + widen(uint8(i+1))) / 2
				v = append(v, float64(math.Nextafter32(mid, 0)), float64(math.Nextafter32(mid, 2*mid)))
			}
		}
	}
	return v
}

// transfer moves every type to the device and back, through views.
func (h *harness) transfer(t *testing.T) {
	dev := h.device(t)
	s := Stream(t, dev)
	values := []float64{0, 1, 2, 3, 100, 127, 5, 6, 7}
	for _, dt := range slices.Concat([]kernels.DType{kernels.I32, kernels.I8, kernels.U8}, h.Types, h.Narrow) {
		x, y := Alloc(t, dev, dt, 12), Alloc(t, dev, dt, 12)
		s.Fill(y, 9)
		s.Upload(x.At(1, len(values)), verify.Dense(dt, values))
		s.Copy(y.At(2, 5), x.At(3, 5))
		s.Fill(x.At(9, 2), 42)
		same(t, dt.String()+" uploaded", Read(t, s, x), rounded(dt, 0, 0, 1, 2, 3, 100, 127, 5, 6, 42, 42, 0))
		same(t, dt.String()+" copied", Read(t, s, y), rounded(dt, 9, 9, 2, 3, 100, 127, 5, 9, 9, 9, 9, 9))
		long(t, dev, s, dt)
	}
	for _, dt := range slices.Concat(h.Types, h.Narrow) {
		x := Upload(t, dev, s, dt, []float64{1.0 / 3, math.Inf(-1), math.NaN()}, 3)
		got := Read(t, s, x)
		if got[0] != verify.Round(dt, 1.0/3) || got[1] != verify.Round(dt, math.Inf(-1)) || got[2] == got[2] {
			t.Errorf("%s: 1/3, -Inf, NaN came back as %v", dt, got)
		}
	}
}

// long fills and copies more elements than any block of an implementation, all but the ends of a buffer.
func long(t *testing.T, dev kernels.Device, s kernels.Stream, dt kernels.DType) {
	t.Helper()
	const n = 70001
	x, y := Alloc(t, dev, dt, n+2), Alloc(t, dev, dt, n+2)
	want := make([]float64, n+2)
	for i := range n {
		want[1+i] = 40
	}
	s.Fill(x.At(1, n), 40)
	s.Copy(y.At(1, n), x.At(1, n))
	for name, got := range map[string][]float64{"filled": Read(t, s, x), "copied": Read(t, s, y)} {
		if i := firstDifference(got, want); i >= 0 {
			t.Errorf("%s, %d %s: element %d is %g, want %g", dt, n, name, i, got[i], want[i])
		}
	}
}

// firstDifference is the first index where two slices differ, or -1.
func firstDifference(got, want []float64) int {
	for i, v := range want {
		if got[i] != v {
			return i
		}
	}
	return -1
}

func rounded(dt kernels.DType, v ...float64) []float64 {
	for i, x := range v {
		v[i] = verify.Round(dt, x)
	}
	return v
}

func same(t *testing.T, name string, got, want []float64) {
	t.Helper()
	if firstDifference(got, want) >= 0 {
		t.Errorf("%s: got %v, want %v", name, got, want)
	}
}
