package cuda

import (
	"errors"
	"fmt"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// product is one launch of C(m,n) += A·B over k: its shape, the source file, and the kernel's prefix and last arguments.
type product struct {
	shape
	file, prefix string
	layout       []any
}

// tiles is the shape of a product kernel of 256 threads whose blocks compute square tiles of C.
func tiles(edge, m, n, shared int) shape {
	return shape{gridX: (n + edge - 1) / edge, gridY: (m + edge - 1) / edge, threads: 256, shared: shared}
}

// Dynamic shared memory of linear_tile.cuh: three stages of two tiles of 128 rows, of 2-byte elements. The forward product of linear_pairs.cu has smaller ones.
const tileStages = 3 * 2 * 2 * 128 * (32 + 8)

// product picks the kernel for a weight's format. Tensor cores take 16-bit types, and float32 that may be rounded to tf32; else
// float32 operands go to the variant that keeps their precision.
func (s *stream) product(t kernels.DType, m, n int, w kernels.Weight) product {
	fma := t == kernels.F32 || s.dev.selected[kernels.OpLinear] == "fma"
	small, large := tiles(64, m, n, 0), tiles(128, m, n, tileStages)
	switch {
	case w.Math == kernels.TF32 && s.dev.selected[kernels.OpLinear] != "fma":
		return product{large, "linear_tf32", "tf32_", nil}
	case w.Format == kernels.Sparse24 && fma:
		return product{small, "linear_sparse", "pairs_", []any{w.Meta}}
	case w.Format == kernels.Sparse24:
		return product{large, "linear_pairs", "pairs_mma_", []any{w.Meta}}
	case w.Format == kernels.BlockSparse:
		return product{small, "linear_sparse", "blocks_", []any{w.Meta, w.Block, w.KeepBlocks(w.C)}}
	case fma:
		return product{small, "linear_fma", "fma_", nil}
	}
	return product{large, "linear_mma", "mma_", nil}
}

func (s *stream) run(p product, pass string, t kernels.DType, args ...any) {
	s.launch(p.file, p.prefix+pass+suffix(t), p.shape, append(args, p.layout...)...)
}

// multiplies tells whether a product of operands of type t can go on; if not, the stream fails.
func (s *stream) multiplies(t kernels.DType, w kernels.Weight) bool {
	return s.supported(kernels.OpLinear, t, w.Format) && (w.Math == 0 || s.supported(kernels.OpLinear, w.Math, w.Format))
}

func (s *stream) LinearForward(out, x kernels.Tensor, w kernels.Weight, e kernels.Epilogue) {
	kernels.CheckLinearForward(out, x, w, e)
	t, n := x.DType(), x.Rows()
	if !s.multiplies(t, w) || s.libraryForward(out, x, w, e) || s.sparseForward(out, x, w, e) {
		return
	}
	if w.Format == kernels.Int8 {
		s.int8Forward(out, x, w, e)
		return
	}
	p := s.product(t, n, w.OC, w)
	if s.skipsBlocks(x, x, w) {
		p = blocks(w, w.OC/w.Block, (n+127)/128, (128+w.Block)*(32+8), 0) // 128 rows of x, an edge of weights
	}
	if a, b, ok := s.factors(w, x, kernels.E4M3, w.Values, kernels.E4M3); ok {
		s.run(p, "forward_", t, out, a, b, e.Bias, e.Aux, e.Residual, n, w.OC, w.C)
	}
}

// skipsBlocks tells whether a product goes to the tensor-core kernels of block-sparse weights, which have three edges and copy 16 bytes at a time.
func (s *stream) skipsBlocks(a, b kernels.Tensor, w kernels.Weight) bool {
	edge := w.Block == 16 || w.Block == 32 || w.Block == 64
	return w.Format == kernels.BlockSparse && edge && a.DType() != kernels.F32 && s.dev.selected[kernels.OpLinear] != "fma" &&
		address(a)%16 == 0 && address(b)%16 == 0 && address(w.Values)%16 == 0
}

// maxFound bounds the rows of blocks among which a backward product looks for those of a column: it lists them in shared memory.
const maxFound = 8192

// blocks is a product of linear_blocks.cu: three stages of so many 2-byte elements, and a list of blocks.
func blocks(w kernels.Weight, gridX, gridY, stage, list int) product {
	sh := shape{gridX: gridX, gridY: gridY, threads: 256, shared: 3*2*stage + 4*list}
	return product{sh, "linear_blocks", fmt.Sprintf("blocks%d_mma_", w.Block), []any{w.Meta, w.KeepBlocks(w.C)}}
}

// int8Forward quantizes the rows of x. Tensor cores take pairs of columns.
func (s *stream) int8Forward(out, x kernels.Tensor, w kernels.Weight, e kernels.Epilogue) {
	t, n := x.DType(), x.Rows()
	first := (4*n + 15) / 16 * 16 // of the integers, behind the scales
	scales, err := s.workspace(first + n*w.C)
	if err != nil {
		s.fail(fmt.Errorf("cuda: %d rows of %d 8-bit integers: %w", n, w.C, err))
		return
	}
	rows := shape{gridX: n, threads: rowThreads(w.C)}
	if s.dev.selected[kernels.OpLinear] == "fma" || w.C%2 != 0 || address(w.Values)%2 != 0 {
		s.launch("linear_sparse", "int8_scales_"+suffix(t), rows, scales, x, w.C)
		p := product{tiles(64, n, w.OC, 0), "linear_sparse", "int8_", []any{scales, w.Scale}}
		s.run(p, "forward_", t, out, x, w.Values, e.Bias, e.Aux, e.Residual, n, w.OC, w.C)
		return
	}
	q := scales + driver.Ptr(first)
	s.launch("linear_int8", "int8_quantize_"+suffix(t), rows, q, scales, x, w.C)
	p := product{tiles(128, n, w.OC, tileStages), "linear_int8", "int8_mma_", []any{scales, w.Scale}}
	s.run(p, "forward_", t, out, q, w.Values, e.Bias, e.Aux, e.Residual, n, w.OC, w.C)
}

func (s *stream) LinearBackwardInput(dx, dout kernels.Tensor, w kernels.Weight, e kernels.Epilogue) {
	kernels.CheckLinearBackwardInput(dx, dout, w, e)
	t, n := dout.DType(), dout.Rows()
	if !s.multiplies(t, w) || s.libraryInput(dx, dout, w, e) {
		return
	}
	p := s.product(t, n, w.C, w)
	if s.skipsBlocks(dout, dout, w) && w.OC/w.Block <= maxFound {
		p = blocks(w, w.C/w.Block, (n+127)/128, 128*(32+8)+32*(w.Block+8), w.OC/w.Block) // 128 rows of dout, 32 of an edge of weights
	}
	if a, b, ok := s.factors(w, dout, kernels.E5M2, w.Values, kernels.E4M3); ok {
		s.run(p, "input_", t, dx, a, b, e.Aux, n, w.C, w.OC)
	}
}

func (s *stream) LinearBackwardWeight(dw kernels.Weight, dbias, dout, x kernels.Tensor) {
	kernels.CheckLinearBackwardWeight(dw, dbias, dout, x)
	t, n := x.DType(), x.Rows()
	if !s.multiplies(t, dw) {
		return
	}
	if !s.libraryWeight(dw, dout, x) {
		p := s.product(t, dw.OC, dw.C, dw)
		if s.skipsBlocks(dout, x, dw) {
			p = blocks(dw, (dw.KeepBlocks(dw.C)*dw.Block+127)/128, dw.OC/dw.Block, 32*(dw.Block+8)+32*(128+8), 0) // 32 rows of an edge of dout and of 128 columns of x
		}
		if a, b, ok := s.factors(dw, dout, kernels.E5M2, x, kernels.E4M3); ok {
			s.run(p, "weight_", t, dw.Values, a, b, dw.OC, dw.C, n)
		}
	}
	if !dbias.None() {
		s.launch("linear_fma", "bias_"+suffix(t), shape{gridX: (dw.OC + 31) / 32, threads: 32, threadsY: 8}, dbias, dout, n, dw.OC)
	}
}

// workspace is memory of the stream for intermediate results of one call, of at least so many bytes. It grows at the first call that needs more.
func (s *stream) workspace(bytes int) (driver.Ptr, error) {
	if bytes <= s.workSize {
		return s.work, nil
	}
	p, err := s.dev.ctx.Alloc(int64(bytes))
	if err != nil {
		return 0, err
	}
	old := s.work
	s.work, s.workSize = p, bytes
	switch {
	case old == 0:
		return p, nil
	case s.captured:
		s.retired = append(s.retired, old)
		return p, nil
	}
	return p, s.dev.ctx.Free(old) // waits for the calls that use it
}

// closeWorkspace frees it.
func (s *stream) closeWorkspace() error {
	s.closeCompressed()
	var errs []error
	for _, p := range append(s.retired, s.work) {
		if p != 0 {
			errs = append(errs, s.dev.ctx.Free(p))
		}
	}
	return errors.Join(errs...)
}
