// Package blas is package gemm's float32 product behind gonum's BLAS interface, for libraries that let their BLAS be replaced. What is not a
// matrix product is gonum's own: it is no BLAS of its own.
package blas

import (
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"ofpeak/kernels/cpu/gemm"
	"ofpeak/kernels/cpu/team"
)

// Limits of a product, in multiply-adds.
const (
	small = 2 << 10 // below, gonum's loops are done before ours have packed the operands
	alone = 1 << 20 // below, one thread is done before it has woken the others
)

// BLAS is gonum's implementation with another Sgemm. Concurrent callers are served in turn, each by all threads.
type BLAS struct {
	gonum.Implementation
	small, alone int

	mu     sync.Mutex // guards the rest
	team   *team.Team
	all    *gemm.Context
	one    *gemm.Context // on the caller alone
	scaled []float32     // alpha·A
}

// New starts a BLAS that multiplies on so many threads, which the system schedules freely. Close it to end them.
func New(threads int) *BLAS {
	t := team.NewUnpinned(threads)
	return &BLAS{small: small, alone: alone, team: t, all: gemm.NewContext(t), one: gemm.NewContext(team.NewUnpinned(1))}
}

// Select makes products use a variant of package gemm's float32 product; the empty name stands for the fastest. Not during a product.
func (b *BLAS) Select(variant string) error {
	if err := b.one.Select(gemm.F32, variant); err != nil {
		return err
	}
	return b.all.Select(gemm.F32, variant)
}

// Variant returns the name of the variant in use.
func (b *BLAS) Variant() string { return b.all.Variant(gemm.F32) }

// Close ends the threads. The BLAS must be idle, and is not used again.
func (b *BLAS) Close() { b.team.Close() }

// Sgemm computes C = alpha·op(A)·op(B) + beta·C for op(A) (m,k), op(B) (k,n) and C (m,n), row-major. Its arguments are checked, and bad ones
// panic, as by gonum. With a beta of 0 what C held does not matter, not even NaN. A zero times NaN or infinity is NaN, where gonum skips some zeros.
// A row or a column is left to gonum's Sgemv, which reads the matrix once where a product would pack it first.
func (b *BLAS) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, A []float32, lda int, B []float32, ldb int, beta float32, C []float32, ldc int) {
	x, y := operand{tA, m, k, A, lda}, operand{tB, k, n, B, ldb}
	switch {
	case alpha == 0 || !x.sound() || !y.sound() || !(operand{blas.NoTrans, m, n, C, ldc}).sound():
		b.Implementation.Sgemm(tA, tB, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc)
	case n == 1:
		b.vector(x, alpha, y.transpose(), beta, C, ldc)
	case m == 1:
		b.vector(y.transpose(), alpha, x, beta, C, 1)
	case below(b.small, m, n, k):
		b.Implementation.Sgemm(tA, tB, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc)
	default:
		b.multiply(x, y, alpha, beta, C, ldc)
	}
}

// below divides instead of multiplying, which could overflow.
func below(limit, m, n, k int) bool { return m < limit && n < limit/m && k < limit/(m*n) }

// vector computes c = alpha·x·vᵀ + beta·c for x (m,k), v (1,k) and c of m elements so far apart.
func (b *BLAS) vector(x operand, alpha float32, v operand, beta float32, c []float32, step int) {
	rows, cols := x.stored()
	inc := 1
	if v.transposed() {
		inc = v.stride
	}
	b.Sgemv(x.trans, rows, cols, alpha, x.data, x.stride, v.data, inc, beta, c, step)
}

func (b *BLAS) multiply(x, y operand, alpha, beta float32, C []float32, ldc int) {
	m, n, k := x.rows, y.cols, x.cols
	if beta != 0 && beta != 1 {
		for i := range m {
			scale(C[i*ldc:][:n], beta)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if alpha != 1 {
		x = b.scale(x, alpha)
	}
	ctx := b.all
	if below(b.alone, m, n, k) {
		ctx = b.one
	}
	ctx.Multiply(gemm.Product{M: m, N: n, K: k, A: x.matrix(), B: y.matrix(), C: gemm.NewF32(C, ldc), Accumulate: beta != 0})
}

// scale returns alpha·A in memory of its own.
func (b *BLAS) scale(x operand, alpha float32) operand {
	rows, cols := x.stored()
	if n := rows * cols; n > len(b.scaled) {
		b.scaled = make([]float32, n)
	}
	for i := range rows {
		row := b.scaled[i*cols:][:cols]
		copy(row, x.data[i*x.stride:])
		scale(row, alpha)
	}
	x.data, x.stride = b.scaled, cols
	return x
}

func scale(x []float32, by float32) {
	for i := range x {
		x[i] *= by
	}
}

// operand is a matrix as BLAS names it: rows and cols are those after the transpose.
type operand struct {
	trans      blas.Transpose
	rows, cols int
	data       []float32
	stride     int
}

func (x operand) transposed() bool { return x.trans != blas.NoTrans }

func (x operand) transpose() operand {
	t := blas.Trans
	if x.transposed() {
		t = blas.NoTrans
	}
	return operand{t, x.cols, x.rows, x.data, x.stride}
}

// stored is the shape in memory.
func (x operand) stored() (rows, cols int) {
	if x.transposed() {
		return x.cols, x.rows
	}
	return x.rows, x.cols
}

// sound reports whether the operand is valid and not empty.
func (x operand) sound() bool {
	switch x.trans {
	case blas.NoTrans, blas.Trans, blas.ConjTrans:
	default:
		return false
	}
	rows, cols := x.stored()
	return rows > 0 && cols > 0 && x.stride >= cols && len(x.data) >= cols && (len(x.data)-cols)/x.stride >= rows-1
}

func (x operand) matrix() gemm.Matrix {
	m := gemm.NewF32(x.data, x.stride)
	if x.transposed() {
		return m.T()
	}
	return m
}
