package cpu

import (
	"slices"
	"unsafe"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/gemm"
)

// selectProduct makes products use a variant: for each type the last one that does not come after it in productVariants.
func (s *Stream) selectProduct(v variant) {
	if s.linear == v.name {
		return
	}
	order := productVariants()
	limit := slices.Index(order, v.name)
	for _, t := range productTypes {
		for _, name := range gemm.Variants(t) {
			if slices.Index(order, name) > limit {
				continue
			}
			if err := s.product.Select(t, name); err != nil {
				panic(err)
			}
		}
	}
	s.linear = v.name
}

// matrixOf views a float tensor as a matrix of so many columns.
func matrixOf(t kernels.Tensor, columns int) gemm.Matrix { return valuesOf(t).matrix(columns) }

func (v values) matrix(columns int) gemm.Matrix {
	switch v.t {
	case kernels.F32:
		return gemm.NewF32(v.f32, columns)
	case kernels.F16:
		return gemm.NewF16(v.f16, columns)
	default:
		return gemm.NewBF16(v.f16, columns)
	}
}

type linearForward struct {
	out, x  kernels.Tensor
	w       kernels.Weight
	e       kernels.Epilogue
	variant variant
	scales  []float32 // of the rows of x, for int8
	rounded []int8    // x in those steps
}

// LinearForward: out (N,OC) = epilogue(x (N,C)·Wᵀ).
func (s *Stream) LinearForward(out, x kernels.Tensor, w kernels.Weight, e kernels.Epilogue) {
	kernels.CheckLinearForward(out, x, w, e)
	enqueue(s, &s.pools.linearForward, linearForward{out: out, x: x, w: w, e: e, variant: s.dev.chosen[kernels.OpLinear]})
}

func (c *linearForward) run(s *Stream) {
	s.selectProduct(c.variant)
	s.common.reset()
	s.epilogue.open(c.e, c.w.OC, c.variant.set)
	n, x, out := c.x.Rows(), matrixOf(c.x, c.w.C), matrixOf(c.out, c.w.OC)
	p := gemm.Product{M: n, N: c.w.OC, K: c.w.C, C: out, Accumulate: c.startFromResidual(s), Epilogue: s.epilogue.used()}
	switch {
	case c.w.Math == kernels.FP8:
		x8, w8 := s.roundTo8(c.variant.set, c.x, kernels.E4M3, c.w.Values, kernels.E4M3)
		p.A, p.B = gemm.NewBF16(x8, c.w.C), gemm.NewBF16(w8, c.w.C).T()
		s.product.Multiply(p)
	case asDense(c.w):
		p.A, p.B = x, s.denseMatrix(c.w).T()
		s.product.Multiply(p)
	case c.w.Format == kernels.Int8:
		c.quantize(s)
		p.A, p.ScaleA = gemm.NewI8(c.rounded, c.w.C), c.scales
		p.B, p.ScaleB = gemm.NewI8(int8s(c.w.Values), c.w.C).T(), floats(c.w.Scale)
		s.product.Multiply(p)
	case c.w.Format == kernels.Sparse24:
		s.product.Forward24(maskOf(c.w).pairs, matrixOf(c.w.Values, c.w.C/2), x, out, n, p.Epilogue)
	default:
		s.product.ForwardBlock(maskOf(c.w).blocks, matrixOf(c.w.Values, c.w.Block), x, out, n, p.Epilogue)
	}
}

// startFromResidual serves a residual that is out itself. Float32 sums may grow in place, over it: then a dense product can start
// from it, which it reports; others find it set aside.
func (c *linearForward) startFromResidual(s *Stream) bool {
	residual := &s.epilogue.residual
	if c.e.Residual.Buf != c.out.Buf || c.e.Residual.Off != c.out.Off || residual.t != kernels.F32 {
		return false
	}
	if asDense(c.w) && c.e.Act == kernels.NoAct {
		*residual = values{}
		return true
	}
	kept := s.common.take(c.out.Size())
	copy(kept, residual.f32)
	residual.f32 = kept
	return false
}

// quantize rounds each row of x to its own 8-bit scale.
func (c *linearForward) quantize(s *Stream) {
	n := c.x.Size()
	c.scales = s.common.take(c.x.Rows())
	c.rounded = unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(s.common.take((n+3)/4)))), n)
	s.share(c, n)
}

func (c *linearForward) part(s *Stream, worker, workers int) {
	x, width := valuesOf(c.x), c.w.C
	buf := s.arenas[worker].take(width)
	lo, hi := span(c.x.Rows(), worker, workers)
	for i := lo; i < hi; i++ {
		c.scales[i] = quantizeRow(c.variant.set, c.rounded[i*width:][:width], x.load(c.variant.set, i*width, width, buf))
	}
}

type linearBackwardInput struct {
	dx, dout kernels.Tensor
	w        kernels.Weight
	e        kernels.Epilogue
	variant  variant
}

// LinearBackwardInput: dx (N,C) = epilogue(dout (N,OC)·W).
func (s *Stream) LinearBackwardInput(dx, dout kernels.Tensor, w kernels.Weight, e kernels.Epilogue) {
	kernels.CheckLinearBackwardInput(dx, dout, w, e)
	enqueue(s, &s.pools.linearBackwardInput, linearBackwardInput{dx, dout, w, e, s.dev.chosen[kernels.OpLinear]})
}

func (c *linearBackwardInput) run(s *Stream) {
	s.selectProduct(c.variant)
	s.common.reset()
	var slope gemm.Epilogue
	if c.e.Act != kernels.NoAct {
		s.slope = activationSlope{valuesOf(c.e.Aux), c.w.C, c.variant.set}
		slope = &s.slope
	}
	n, dout, dx := c.dout.Rows(), matrixOf(c.dout, c.w.OC), matrixOf(c.dx, c.w.C)
	switch {
	case c.w.Math == kernels.FP8:
		d8, w8 := s.roundTo8(c.variant.set, c.dout, kernels.E5M2, c.w.Values, kernels.E4M3)
		s.product.Multiply(gemm.Product{M: n, N: c.w.C, K: c.w.OC, A: gemm.NewBF16(d8, c.w.OC), B: gemm.NewBF16(w8, c.w.C), C: dx, Epilogue: slope})
	case asDense(c.w):
		s.product.Multiply(gemm.Product{M: n, N: c.w.C, K: c.w.OC, A: dout, B: s.denseMatrix(c.w), C: dx, Epilogue: slope})
	case c.w.Format == kernels.Sparse24:
		s.product.InputGrad24(maskOf(c.w).pairs, matrixOf(c.w.Values, c.w.C/2), dout, dx, n, slope)
	default:
		s.product.InputGradBlock(maskOf(c.w).blocks, matrixOf(c.w.Values, c.w.Block), dout, dx, n, slope)
	}
}

type linearBackwardWeight struct {
	dw             kernels.Weight
	dbias, dout, x kernels.Tensor
	variant        variant
}

// LinearBackwardWeight: dw (OC,C) += doutᵀ·x at the stored positions; dbias (OC) += Σ_n dout, unless dbias is absent.
func (s *Stream) LinearBackwardWeight(dw kernels.Weight, dbias, dout, x kernels.Tensor) {
	kernels.CheckLinearBackwardWeight(dw, dbias, dout, x)
	enqueue(s, &s.pools.linearBackwardWeight, linearBackwardWeight{dw, dbias, dout, x, s.dev.chosen[kernels.OpLinear]})
}

func (c *linearBackwardWeight) run(s *Stream) {
	s.selectProduct(c.variant)
	s.common.reset()
	n, dout, x := c.x.Rows(), matrixOf(c.dout, c.dw.OC), matrixOf(c.x, c.dw.C)
	if c.dw.Math == kernels.FP8 {
		d8, x8 := s.roundTo8(c.variant.set, c.dout, kernels.E5M2, c.x, kernels.E4M3)
		dout, x = gemm.NewBF16(d8, c.dw.OC), gemm.NewBF16(x8, c.dw.C)
	}
	p := gemm.Product{M: c.dw.OC, N: c.dw.C, K: n, A: dout.T(), B: x}
	switch {
	case c.dw.Format == kernels.Dense:
		p.C, p.Accumulate = matrixOf(c.dw.Values, c.dw.C), true
		s.product.Multiply(p)
	case c.dw.Format == kernels.Sparse24:
		s.product.WeightGrad24(maskOf(c.dw).pairs, matrixOf(c.dw.Values, c.dw.C/2), dout, x, n)
	case asDense(c.dw):
		dense := s.common.take(c.dw.OC * c.dw.C)
		p.C = gemm.NewF32(dense, c.dw.C)
		s.product.Multiply(p)
		addBlocks(c.dw, dense)
	default:
		s.product.WeightGradBlock(maskOf(c.dw).blocks, matrixOf(c.dw.Values, c.dw.Block), dout, x, n)
	}
	if !c.dbias.None() {
		s.share(c, c.dout.Size())
	}
}

// part adds a range of columns of dout to dbias.
func (c *linearBackwardWeight) part(s *Stream, worker, workers int) {
	set, dout, width := c.variant.set, valuesOf(c.dout), c.dw.OC
	lo, hi := spanLines(width, worker, workers)
	a := &s.arenas[worker]
	buf, sum := a.take(hi-lo), a.take(hi-lo)
	clear(sum)
	for i := range c.dout.Rows() {
		set.Add(sum, sum, dout.load(set, i*width+lo, hi-lo, buf))
	}
	dbias := floats(c.dbias)[lo:hi]
	set.Add(dbias, dbias, sum)
}
