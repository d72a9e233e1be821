package vec

import (
	"math"
	"math/rand/v2"
	"testing"

	"ofpeak/kernels"
)

// Rows, columns, and the distances of rows on both sides.
var rowSizes = [][4]int{{1, 1, 1, 1}, {3, 16, 20, 17}, {7, 40, 48, 41}, {128, 64, 64, 192}, {5, 80, 80, 85}, {0, 8, 8, 8}}

func TestGather(t *testing.T) {
	for _, s := range Sets() {
		rng := rand.New(rand.NewPCG(14, 15))
		for _, size := range rowSizes {
			rows, n, pitch, stride := size[0], size[1], size[2], size[3]
			length := max(0, (rows-1)*stride+n)
			x, h := random(rng, length, 1, 1, 0), make([]uint16, length)
			for i := range h {
				h[i] = uint16(rng.IntN(0x7c00)) // finite in both types
			}
			for name, f := range map[string]struct {
				run  func(dst []float32)
				want func(i int) float32
			}{
				"F32":  {func(dst []float32) { s.Gather(dst, pitch, x.x, stride, rows, n) }, func(i int) float32 { return x.x[i] }},
				"F16":  {func(dst []float32) { s.GatherF16(dst, pitch, h, stride, rows, n) }, func(i int) float32 { return kernels.F32FromF16(h[i]) }},
				"BF16": {func(dst []float32) { s.GatherBF16(dst, pitch, h, stride, rows, n) }, func(i int) float32 { return kernels.F32FromBF16(h[i]) }},
			} {
				dst := newField(rows*pitch, 3)
				f.run(dst.x)
				for i, got := range dst.x {
					want := float32(0)
					if i%pitch < n {
						want = f.want(i/pitch*stride + i%pitch)
					}
					if got != want {
						t.Fatalf("%s %s %v: element %d is %g, want %g", s.Name(), name, size, i, got, want)
					}
				}
				if dst.broken() {
					t.Fatalf("%s %s %v: wrote outside", s.Name(), name, size)
				}
			}
		}
	}
}

func TestScatter(t *testing.T) {
	for _, s := range Sets() {
		rng := rand.New(rand.NewPCG(16, 17))
		for _, size := range rowSizes {
			rows, n, stride, pitch := size[0], size[1], size[2], size[3]
			length := max(0, (rows-1)*pitch+n)
			x := random(rng, rows*stride, 1, 1, 0)
			dst, halves := newField(length, 3), make([]uint16, length+2)
			s.Scatter(dst.x, pitch, x.x, stride, rows, n)
			for i, got := range dst.x {
				if want := x.x[i/pitch*stride+i%pitch%stride]; i%pitch < n && got != want || i%pitch >= n && got != 0 {
					t.Fatalf("%s %v: element %d is %g, want %g", s.Name(), size, i, got, want)
				}
			}
			if dst.broken() {
				t.Fatalf("%s %v: wrote outside", s.Name(), size)
			}
			for name, f := range map[string]struct {
				run   func(dst []uint16, pitch int, x []float32, stride, rows, n int)
				round func(float32) uint16
			}{"F16": {s.ScatterF16, kernels.F16FromF32}, "BF16": {s.ScatterBF16, kernels.BF16FromF32}} {
				clear(halves)
				f.run(halves[1:length+1], pitch, x.x, stride, rows, n)
				for i, got := range halves {
					want, at := uint16(0), i-1
					if i > 0 && i <= length && at%pitch < n {
						want = f.round(x.x[at/pitch*stride+at%pitch])
					}
					if got != want {
						t.Fatalf("%s %s %v: element %d is %#04x, want %#04x", s.Name(), name, size, at, got, want)
					}
				}
			}
		}
	}
}

func TestGatherHalves(t *testing.T) {
	for _, s := range Sets() {
		for _, size := range [][4]int{{1, 1, 1, 1}, {3, 32, 40, 34}, {7, 64, 64, 192}, {7, 64, 65, 192}, {4, 33, 48, 96}, {0, 8, 8, 8}} {
			rows, n, pitch, stride := size[0], size[1], size[2], size[3]
			x, dst := words(max(0, (rows-1)*stride+n)), make([]uint16, rows*pitch+2)
			s.GatherHalves(dst[1:rows*pitch+1], pitch, x, stride, rows, n)
			for i, got := range dst {
				want, at := uint16(0), i-1
				if i > 0 && i <= rows*pitch && at%pitch < n {
					want = x[at/pitch*stride+at%pitch]
				}
				if got != want {
					t.Fatalf("%s %v: element %d is %d, want %d", s.Name(), size, at, got, want)
				}
			}
		}
	}
}

func TestWeave(t *testing.T) {
	for _, s := range Sets() {
		for _, size := range [][4]int{{2, 1, 1, 1}, {1, 20, 20, 20}, {3, 16, 20, 17}, {8, 40, 48, 41}, {96, 96, 96, 96}, {0, 8, 8, 8}} {
			rows, n, pitch, stride := size[0], size[1], size[2], size[3]
			x, dst := words(max(0, (rows-1)*stride+n)), newField((rows+1)/2*pitch, 3)
			s.Weave(dst.x, pitch, x, stride, rows, n)
			for i, got := range dst.x {
				want, row, col := uint32(0), i/pitch*2, i%pitch
				if col < n {
					want = uint32(x[row*stride+col])
					if row+1 < rows {
						want |= uint32(x[(row+1)*stride+col]) << 16
					}
				}
				if math.Float32bits(got) != want {
					t.Fatalf("%s %v: element %d is %#08x, want %#08x", s.Name(), size, i, math.Float32bits(got), want)
				}
			}
			if dst.broken() {
				t.Fatalf("%s %v: wrote outside", s.Name(), size)
			}
		}
	}
}

// words are n different 16-bit values, none of them a NaN of bfloat16.
func words(n int) []uint16 {
	x := make([]uint16, n)
	for i := range x {
		x[i] = uint16(i%0x7000 + 1)
	}
	return x
}
