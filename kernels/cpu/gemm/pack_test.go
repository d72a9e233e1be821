package gemm

import (
	"math/rand/v2"
	"testing"
)

// TestPackStrips compares strips with each of their units made alone, whichever way
// elements run, and looks for writes between the strips.
func TestPackStrips(t *testing.T) {
	const untouched = 0x5a5a5a5a
	rng := rand.New(rand.NewPCG(15, 0))
	for _, typ := range []Type{F32, BF16, F16, I8} {
		for _, e := range variants[typ] {
			for range 60 {
				lines, k := 1+rng.IntN(300), 1+rng.IntN(90)
				width := []int{panel, e.lanes, e.width()}[rng.IntN(3)]
				m := newArray(rng, typ, k, lines, rng.IntN(9)).matrix()
				v := m.columnView()
				if rng.IntN(2) == 0 {
					m = newArray(rng, typ, lines, k, rng.IntN(9)).matrix()
					v = m.rowView()
				}
				p := []packer{e.a, e.b}[rng.IntN(2)]
				units := ceil(k, p.depth)
				stride := stripWords(width, units)
				dst := make([]uint32, ceil(lines, width)*stride)
				for i := range dst {
					dst[i] = untouched
				}
				p.packStrips(dst, width, stride, v, lines, k, new(lineSet))
				for i, got := range dst {
					line, unit, want := i/stride*width+i%stride%width, i%stride/width, uint32(untouched)
					if unit < units {
						if line >= lines {
							continue // may be anything
						}
						want = p.unit(v.at(line, unit*p.depth), v.step, min(p.depth, k-unit*p.depth))
					}
					if got != want {
						t.Fatalf("%v, %s: %d lines of %d in strips of %d: line %d, unit %d is %#x, want %#x", typ, e.name, lines, k, width, line, unit, got, want)
					}
				}
			}
		}
	}
}
