package cuda

import (
	"fmt"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// line is what addresses of intermediate results are multiples of.
const line = 256

func lines(bytes int) int { return (bytes + line - 1) / line * line }

// factors are the addresses of a product's two factors: their own, or where w.Math is FP8 those of what the 8-bit types make of them, as bfloat16 in the workspace.
func (s *stream) factors(w kernels.Weight, x kernels.Tensor, tx kernels.DType, y kernels.Tensor, ty kernels.DType) (a, b driver.Ptr, ok bool) {
	if w.Math != kernels.FP8 {
		return address(x), address(y), true
	}
	const size = 2
	work, err := s.workspace(line + lines(size*x.Size()) + lines(size*y.Size()))
	if err != nil {
		s.fail(fmt.Errorf("cuda: %d values rounded to 8 bits: %w", x.Size()+y.Size(), err))
		return 0, 0, false
	}
	a = work + line
	b = a + driver.Ptr(lines(size*x.Size()))
	s.fail(s.s.Memset32(work, 0, 2)) // the largest magnitudes
	s.roundTo8(a, work, x, tx)
	s.roundTo8(b, work+4, y, ty)
	return a, b, true
}

// roundTo8 writes bfloat16 values rounded to an 8-bit type; top is zero.
func (s *stream) roundTo8(out, top driver.Ptr, x kernels.Tensor, t kernels.DType) {
	s.largest(top, x)
	name, over := s.packs("fp8_round_"+t.String(), x)
	s.launch("float8", name, over, out, x, top, x.Size())
}

// largest writes the bits of a tensor's largest magnitude to top, which is zero.
func (s *stream) largest(top driver.Ptr, x kernels.Tensor) {
	name, over := s.packs("fp8_top", x)
	s.launch("float8", name, over, top, x, x.Size())
}
