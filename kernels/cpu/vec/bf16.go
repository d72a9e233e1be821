package vec

import "ofpeak/kernels/cpu/isa"

// HasBF16 tells whether the set and this CPU have the loops of this file, which the instructions of AVX512_BF16 make worthwhile. They take
// subnormal numbers for zero.
func (s *Set) HasBF16() bool { return s.f.panelBF16 != nil && isa.BF16() }

// PanelBF16 is Panel where every element of a and b holds the bits of two bfloat16, and a*b is their dot product: k counts pairs.
func (s *Set) PanelBF16(c []float32, ldc int, a []float32, ars, acs int, b []float32, ldb, n, k int, add bool) {
	checkPanel(c, ldc, a, ars, acs, b, ldb, n, k)
	s.f.panelBF16(&c[0], ldc, &a[0], ars, acs, &b[0], ldb, n, k, add)
}

// SoftmaxBF16 is Softmax that leaves x and writes the exponentials to dst, good to what bfloat16 can hold, and zeros up to a multiple of
// PanelCols, for which dst has room.
func (s *Set) SoftmaxBF16(dst []uint16, x []float32, scale, top float32) (newTop, sum float32) {
	checkWords(len(x), len(dst))
	return s.f.softmaxBF16(dst, x, scale, top)
}

// ScoreGradBF16 is for i := range x { e := exp(scale*x[i] - shift); p[i] = e; dp[i] = scale * e * (dx[i] - d) }, good to what bfloat16 can hold,
// and zeros up to a multiple of PanelCols, for which p and dp have room: what ExpSum and SoftmaxGrad compute.
func (s *Set) ScoreGradBF16(p, dp []uint16, x, dx []float32, scale, shift, d float32) {
	check(len(x), len(dx))
	checkWords(len(x), len(p), len(dp))
	s.f.scoreGradBF16(p, dp, x, dx, scale, shift, d)
}

func checkWords(n int, lens ...int) { check((n+PanelCols-1)/PanelCols*PanelCols, lens...) }
