package kernels

import (
	"math"
	"testing"
)

// Every 16-bit value widens to a float32 that narrows back to itself; NaNs stay NaNs of the same sign.
func TestHalvesRoundTrip(t *testing.T) {
	for _, f := range []struct {
		name   string
		widen  func(uint16) float32
		narrow func(float32) uint16
	}{
		{"bf16", F32FromBF16, BF16FromF32},
		{"fp16", F32FromF16, F16FromF32},
	} {
		for i := range 1 << 16 {
			h := uint16(i)
			w := f.widen(h)
			back := f.narrow(w)
			if w != w {
				if b := f.widen(back); b == b || back>>15 != h>>15 {
					t.Fatalf("%s %#04x: NaN became %#04x", f.name, h, back)
				}
			} else if back != h {
				t.Fatalf("%s %#04x: %g came back as %#04x", f.name, h, w, back)
			}
		}
	}
}

// Narrowing is checked against an exhaustive nearest-even search over neighbours, at every midpoint and just beside it.
func TestHalvesRoundToNearestEven(t *testing.T) {
	for _, f := range []struct {
		name   string
		inf    uint16
		widen  func(uint16) float32
		narrow func(float32) uint16
	}{
		{"bf16", 0x7f80, F32FromBF16, BF16FromF32},
		{"fp16", 0x7c00, F32FromF16, F16FromF32},
	} {
		for h := uint16(0); h < f.inf-1; h++ {
			lo, hi := f.widen(h), f.widen(h+1)
			mid := float32((float64(lo) + float64(hi)) / 2)
			even := h + h&1
			for _, c := range []struct {
				x    float32
				want uint16
			}{{math.Nextafter32(mid, lo), h}, {mid, even}, {math.Nextafter32(mid, hi), h + 1}} {
				if float64(mid) != (float64(lo)+float64(hi))/2 {
					continue // the midpoint is no float32
				}
				if got := f.narrow(c.x); got != c.want {
					t.Fatalf("%s %g: got %#04x, want %#04x", f.name, c.x, got, c.want)
				}
				if got := f.narrow(-c.x); got != c.want|0x8000 {
					t.Fatalf("%s %g: got %#04x, want %#04x", f.name, -c.x, got, c.want|0x8000)
				}
			}
		}
	}
}

func TestFP16Overflow(t *testing.T) {
	for x, want := range map[float32]uint16{65504: 0x7bff, 65519.996: 0x7bff, 65520: 0x7c00, 1e30: 0x7c00} {
		if got := F16FromF32(x); got != want {
			t.Errorf("%g: got %#04x, want %#04x", x, got, want)
		}
	}
}
