package main

import (
	"fmt"
	"math"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cpu/gemm"
	"ofpeak/kernels/cpu/team"
)

// shape is C (m,n) = A·B for A (m,k) and B (k,n); an operand whose flag is set is stored transposed.
type shape struct {
	m, n, k        int
	transA, transB bool
}

// parseShape reads a product of a linear layer of tokens x in x out.
func parseShape(op, text string) (shape, error) {
	var tokens, in, out int
	if n, err := fmt.Sscanf(text, "%dx%dx%d", &tokens, &in, &out); n != 3 || err != nil || min(tokens, in, out) < 1 {
		return shape{}, fmt.Errorf("shape %s; give tokens x in x out", text)
	}
	switch op {
	case "forward":
		return shape{m: tokens, n: out, k: in, transB: true}, nil
	case "dinput":
		return shape{m: tokens, n: in, k: out}, nil
	case "dweight":
		return shape{m: out, n: in, k: tokens, transA: true}, nil
	}
	return shape{}, fmt.Errorf("operation %s here", op)
}

// strides are the row strides of A and B as they are stored.
func (s shape) strides() (a, b int) {
	a, b = s.k, s.n
	if s.transA {
		a = s.m
	}
	if s.transB {
		b = s.k
	}
	return a, b
}

// operand makes n values of standard normal scale, converted.
func operand[T any](stream uint64, n int, convert func(float32) T) []T {
	v := make([]T, n)
	for i := range v {
		v[i] = convert(float32(block.Normal(seed, stream, uint64(i))))
	}
	return v
}

func same(x float32) float32 { return x }

func asI8(x float32) int8 { return int8(math.RoundToEven(float64(x * 32))) }

// products multiplies with kernels/cpu/gemm.
type products struct{ ctx *gemm.Context }

// newProducts binds the calling goroutine to the first core.
func newProducts(cores []int) (products, error) {
	if err := team.Pin(cores[0]); err != nil {
		return products{}, err
	}
	return products{gemm.NewContext(team.New(cores))}, nil
}

func (p products) name() string { return "ofpeak" }

func (p products) prepare(op, text, dtype string) (work, error) {
	s, err := parseShape(op, text)
	if err != nil {
		return nil, err
	}
	w := &product{ctx: p.ctx, p: gemm.Product{M: s.m, N: s.n, K: s.k}}
	switch dtype {
	case "fp32":
		w.p.A, w.p.B = operands(s, same, gemm.NewF32)
		w.p.C, w.pick = result(s, gemm.NewF32, same)
	case "bf16":
		w.p.A, w.p.B = operands(s, kernels.BF16FromF32, gemm.NewBF16)
		w.p.C, w.pick = result(s, gemm.NewF32, same)
	case "bf16-bf16":
		w.p.A, w.p.B = operands(s, kernels.BF16FromF32, gemm.NewBF16)
		w.p.C, w.pick = result(s, gemm.NewBF16, kernels.F32FromBF16)
	case "int8":
		w.p.A, w.p.B = operands(s, asI8, gemm.NewI8)
		w.p.C, w.pick = result(s, gemm.NewI32, func(v int32) float32 { return float32(v) })
	default:
		return nil, fmt.Errorf("type %s here", dtype)
	}
	return w, w.step()
}

// operands are A and B, seen through their transposes where they are stored so.
func operands[T any](s shape, convert func(float32) T, view func([]T, int) gemm.Matrix) (a, b gemm.Matrix) {
	strideA, strideB := s.strides()
	a, b = view(operand(0, s.m*s.k, convert), strideA), view(operand(1, s.k*s.n, convert), strideB)
	if s.transA {
		a = a.T()
	}
	if s.transB {
		b = b.T()
	}
	return a, b
}

// result is C, and how to take the compared values out of it.
func result[T any](s shape, view func([]T, int) gemm.Matrix, widen func(T) float32) (gemm.Matrix, func(count int) []float64) {
	c := make([]T, s.m*s.n)
	return view(c, s.n), func(count int) []float64 { return pick(c, count, widen) }
}

// pick takes the compared values out of all results.
func pick[T any](all []T, count int, widen func(T) float32) []float64 {
	values := make([]float64, count)
	for i := range values {
		values[i] = float64(widen(all[block.Hash(seed, sampleStream, uint64(i))%uint64(len(all))]))
	}
	return values
}

// product is one product of package gemm.
type product struct {
	ctx  *gemm.Context
	p    gemm.Product
	pick func(count int) []float64
}

func (w *product) step() error {
	w.ctx.Multiply(w.p)
	return nil
}

func (w *product) sample(count int) []float64 { return w.pick(count) }

func (w *product) close() {}
