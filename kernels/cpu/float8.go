package cpu

import (
	"math"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

// factors8 are the two factors of a product, each rounded to an 8-bit float by a scale of its own. No CPU multiplies such numbers, but bfloat16 holds them with their
// scale, so that the products of bfloat16 are theirs.
type factors8 struct {
	set   *vec.Set
	of    [2]factor8
	known bool // the largest magnitudes
}

type factor8 struct {
	t    kernels.DType
	from values
	to   []uint16
	tops []float32 // largest magnitudes of the workers' parts, NaN where not all is finite
	r    vec.Rounding
}

// roundTo8 gives two tensors rounded to 8-bit types, as bfloat16 in scratch.
func (s *Stream) roundTo8(set *vec.Set, x kernels.Tensor, tx kernels.DType, y kernels.Tensor, ty kernels.DType) (x8, y8 []uint16) {
	c, size := &s.factors8, x.Size()+y.Size()
	c.set, c.known = set, false
	c.of = [2]factor8{{t: tx, from: valuesOf(x), to: s.takeHalves(x.Size())}, {t: ty, from: valuesOf(y), to: s.takeHalves(y.Size())}}
	for i := range c.of {
		c.of[i].tops = s.common.take(s.workers(size))
	}
	s.share(c, size)
	for i := range c.of {
		f, top := &c.of[i], float32(0)
		for _, t := range f.tops {
			top = max(top, t)
		}
		f.r = vec.RoundingTo(f.t, top)
	}
	c.known = true
	s.share(c, size)
	return c.of[0].to, c.of[1].to
}

// takeHalves is scratch for n values of 16 bits.
func (s *Stream) takeHalves(n int) []uint16 { return halves(s.common.take((n+1)/2), n) }

func (c *factors8) part(s *Stream, worker, workers int) {
	buf := s.arenas[worker].take(block)
	for i := range c.of {
		f := &c.of[i]
		lo, hi := spanLines(len(f.to), worker, workers)
		if c.known {
			f.round(c.set, lo, hi, buf)
		} else {
			f.tops[worker] = f.top(c.set, lo, hi, buf)
		}
	}
}

func (f *factor8) top(set *vec.Set, lo, hi int, buf []float32) (top float32) {
	for ; lo < hi; lo += block {
		x := f.from.load(set, lo, min(block, hi-lo), buf)
		if !set.Finite(x) {
			return float32(math.NaN())
		}
		top = max(top, set.AbsMax(x))
	}
	return top
}

func (f *factor8) round(set *vec.Set, lo, hi int, buf []float32) {
	for ; lo < hi; lo += block {
		n := min(block, hi-lo)
		set.Round(buf[:n], f.from.load(set, lo, n, buf), &f.r)
		set.ToBF16(f.to[lo:lo+n], buf[:n])
	}
}
