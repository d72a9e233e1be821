package main

import (
	"fmt"
	"slices"
	"strings"

	"ofpeak/kernels/block"
	"ofpeak/kernels/cpu/gemm"
)

// maskStream is the stream of block.Hash that chooses what a sparse weight keeps.
const maskStream = 98

// mask is what a weight (out, in) keeps.
type mask struct {
	out, in int
	block   int     // edge; 0 for 2:4
	kept    []int32 // of each row or block row, the places that are kept, ascending
	keep    int     // how many those are
}

// newMask makes the mask of a type such as fp32-2:4, or fp32-block32-75 for blocks of 32 and 75 % zeros.
func newMask(dtype string, out, in int) (mask, error) {
	m := mask{out: out, in: in}
	var zeros int
	switch n, _ := fmt.Sscanf(dtype, "fp32-block%d-%d", &m.block, &zeros); {
	case dtype == "fp32-2:4" && in%8 == 0:
		m.keep = in / 2
		for row := range out {
			for group := range in / 4 {
				m.kept = append(m.kept, choose(row*in/4+group, 4, 2, group*4)...)
			}
		}
		return m, nil
	case n == 2 && m.block > 0 && out%m.block == 0 && in%m.block == 0 && zeros >= 0 && zeros < 100:
		columns := in / m.block
		m.keep = max(1, (columns*(100-zeros)+50)/100) // as kernels.Layout rounds
		for row := range out / m.block {
			m.kept = append(m.kept, choose(row, columns, m.keep, 0)...)
		}
		return m, nil
	}
	return m, fmt.Errorf("sparse type %s of that size here", dtype)
}

// choose draws keep of n places, and returns them ascending from first on.
func choose(line, n, keep, first int) []int32 {
	places := make([]int32, n)
	rank := make([]uint64, n)
	for i := range places {
		places[i], rank[i] = int32(i), block.Hash(seed, maskStream, uint64(line)<<32|uint64(i))
	}
	slices.SortFunc(places, func(a, b int32) int {
		if rank[a] < rank[b] {
			return -1
		}
		return 1
	})
	places = places[:keep]
	slices.Sort(places)
	for i := range places {
		places[i] += int32(first)
	}
	return places
}

// each passes the place of every kept value in the weight, in the order in which they are stored.
func (m mask) each(yield func(row, col int)) {
	edge := max(m.block, 1)
	for i, place := range m.kept {
		for r := range edge {
			for c := range edge {
				yield(i/m.keep*edge+r, int(place)*edge+c)
			}
		}
	}
}

// places are where the kept values are in the weight.
func (m mask) places() []int {
	var p []int
	m.each(func(row, col int) { p = append(p, row*m.in+col) })
	return p
}

// metadata is 2:4 metadata: two bits for each kept value's place in its group of four.
func (m mask) metadata() []uint8 {
	meta := make([]uint8, len(m.kept)/4)
	for i, place := range m.kept {
		meta[i/4] |= uint8(place%4) << (i % 4 * 2)
	}
	return meta
}

// sparsePeer multiplies with weights that keep a part: as sparse ones or, to compare with, as dense ones with zeros.
type sparsePeer struct {
	products
	dense bool
}

func (p sparsePeer) name() string {
	if p.dense {
		return "ofpeak-dense"
	}
	return "ofpeak"
}

func (p sparsePeer) prepare(op, text, dtype string) (work, error) {
	s, err := parseShape(op, text)
	if err != nil {
		return nil, err
	}
	var tokens, in, out int
	if _, err := fmt.Sscanf(text, "%dx%dx%d", &tokens, &in, &out); err != nil {
		return nil, err
	}
	m, err := newMask(dtype, out, in)
	if err != nil {
		return nil, err
	}
	w := &sparse{ctx: p.ctx, op: op, tokens: tokens, mask: m, places: m.places()}
	w.a, w.b, w.c = operand(0, s.m*s.k, same), operand(1, s.k*s.n, same), make([]float32, s.m*s.n)
	if p.dense {
		w.prepareDense(s)
		return w, w.step()
	}
	if err := w.prepareSparse(); err != nil {
		return nil, err
	}
	return w, w.step()
}

// sparse is one product with a sparse weight. a and b are the dense operands as they are stored; b is the weight but for its gradient, which is then c.
type sparse struct {
	ctx     *gemm.Context
	op      string
	tokens  int
	mask    mask
	places  []int // of the kept values in the weight
	a, b, c []float32
	values  []float32 // of the sparse weight or its gradient
	run     func()
	dense   bool
}

// prepareDense clears what the weight does not keep.
func (w *sparse) prepareDense(s shape) {
	w.dense = true
	if w.op != "dweight" {
		all := w.b
		w.b = make([]float32, len(all))
		for _, at := range w.places {
			w.b[at] = all[at]
		}
	}
	strideA, strideB := s.strides()
	p := gemm.Product{M: s.m, N: s.n, K: s.k, A: gemm.NewF32(w.a, strideA), B: gemm.NewF32(w.b, strideB), C: gemm.NewF32(w.c, s.n), Accumulate: w.op == "dweight"}
	if s.transA {
		p.A = p.A.T()
	}
	if s.transB {
		p.B = p.B.T()
	}
	w.run = func() { w.ctx.Multiply(p) }
}

func (w *sparse) prepareSparse() error {
	w.values = make([]float32, len(w.places))
	if w.op != "dweight" {
		for i, at := range w.places {
			w.values[i] = w.b[at]
		}
	}
	if w.mask.block == 0 {
		return w.prepare24()
	}
	p, err := gemm.NewPatternBlock(w.mask.kept, w.mask.out, w.mask.in, w.mask.block)
	if err != nil {
		return err
	}
	v, a, n := gemm.NewF32(w.values, w.mask.block), w.a, w.tokens
	x, dout := gemm.NewF32(a, w.mask.in), gemm.NewF32(a, w.mask.out)
	switch w.op {
	case "forward":
		w.run = func() { w.ctx.ForwardBlock(p, v, x, gemm.NewF32(w.c, w.mask.out), n, nil) }
	case "dinput":
		w.run = func() { w.ctx.InputGradBlock(p, v, dout, gemm.NewF32(w.c, w.mask.in), n, nil) }
	case "dweight":
		w.run = func() { w.ctx.WeightGradBlock(p, v, dout, gemm.NewF32(w.b, w.mask.in), n) }
	}
	return nil
}

func (w *sparse) prepare24() error {
	p, err := gemm.NewPattern24(w.mask.metadata(), w.mask.out, w.mask.in)
	if err != nil {
		return err
	}
	v, a, n := gemm.NewF32(w.values, w.mask.in/2), w.a, w.tokens
	x, dout := gemm.NewF32(a, w.mask.in), gemm.NewF32(a, w.mask.out)
	switch w.op {
	case "forward":
		w.run = func() { w.ctx.Forward24(p, v, x, gemm.NewF32(w.c, w.mask.out), n, nil) }
	case "dinput":
		w.run = func() { w.ctx.InputGrad24(p, v, dout, gemm.NewF32(w.c, w.mask.in), n, nil) }
	case "dweight":
		w.run = func() { w.ctx.WeightGrad24(p, v, dout, gemm.NewF32(w.b, w.mask.in), n) }
	}
	return nil
}

func (w *sparse) step() error {
	w.run()
	return nil
}

// sample takes values of the result; of a weight gradient, which sums up over calls, those that are kept, of one call.
func (w *sparse) sample(count int) []float64 {
	if w.op != "dweight" {
		return pick(w.c, count, same)
	}
	clear(w.c)
	clear(w.values)
	w.run()
	if !w.dense {
		return pick(w.values, count, same)
	}
	kept := make([]float32, len(w.places))
	for i, at := range w.places {
		kept[i] = w.c[at]
	}
	return pick(kept, count, same)
}

func (w *sparse) close() {}

// widened multiplies int8 operands as fp32, to compare with int8 products.
type widened struct{ products }

func (widened) name() string { return "ofpeak-fp32" }

func (p widened) prepare(op, text, dtype string) (work, error) {
	s, err := parseShape(op, text)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(dtype, "int8") {
		return nil, fmt.Errorf("type %s here", dtype)
	}
	w := &product{ctx: p.ctx, p: gemm.Product{M: s.m, N: s.n, K: s.k}}
	w.p.A, w.p.B = operands(s, func(x float32) float32 { return float32(asI8(x)) }, gemm.NewF32)
	w.p.C, w.pick = result(s, gemm.NewF32, same)
	return w, w.step()
}
