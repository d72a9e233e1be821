package cpu

import "ofpeak/kernels"

// block is the number of elements that elementwise operators take at a time, so that widened values stay in the first-level cache.
const block = 1024

type fill struct {
	dst kernels.Tensor
	v   float64
}

// Fill sets every element to v, rounded to dst's type.
func (s *Stream) Fill(dst kernels.Tensor, v float64) {
	kernels.CheckFill(dst)
	enqueue(s, &s.pools.fill, fill{dst, v})
}

func (c *fill) run(s *Stream) { s.share(c, c.dst.Size()) }

func (c *fill) part(_ *Stream, worker, workers int) {
	b := bufferOf(c.dst)
	lo, hi := span(c.dst.Size(), worker, workers)
	lo, hi = lo+c.dst.Off, hi+c.dst.Off
	switch b.t {
	case kernels.F32:
		fillWith(b.f32[lo:hi], float32(c.v))
	case kernels.F16:
		fillWith(b.f16[lo:hi], kernels.F16FromF32(float32(c.v)))
	case kernels.BF16:
		fillWith(b.f16[lo:hi], kernels.BF16FromF32(float32(c.v)))
	case kernels.E4M3:
		fillWith(b.u8[lo:hi], kernels.E4M3FromF32(float32(c.v)))
	case kernels.E5M2:
		fillWith(b.u8[lo:hi], kernels.E5M2FromF32(float32(c.v)))
	case kernels.I32:
		fillWith(b.i32[lo:hi], int32(c.v))
	case kernels.I8:
		fillWith(b.i8[lo:hi], int8(c.v))
	default:
		fillWith(b.u8[lo:hi], uint8(c.v))
	}
}

func fillWith[T comparable](x []T, v T) {
	var zero T
	if v == zero {
		clear(x)
		return
	}
	if len(x) == 0 {
		return
	}
	x[0] = v
	for done := 1; done < len(x); {
		done += copy(x[done:], x[:min(done, block)])
	}
}

type copyOp struct{ dst, src kernels.Tensor }

// Copy copies elements of the same type.
func (s *Stream) Copy(dst, src kernels.Tensor) {
	kernels.CheckCopy(dst, src)
	enqueue(s, &s.pools.copy, copyOp{dst, src})
}

func (c *copyOp) run(s *Stream) { s.share(c, c.dst.Size()) }

func (c *copyOp) part(_ *Stream, worker, workers int) {
	d, src := bufferOf(c.dst), bufferOf(c.src)
	lo, hi := span(c.dst.Size(), worker, workers)
	to, from, n := c.dst.Off+lo, c.src.Off+lo, hi-lo
	switch d.t {
	case kernels.F32:
		copy(d.f32[to:to+n], src.f32[from:])
	case kernels.F16, kernels.BF16:
		copy(d.f16[to:to+n], src.f16[from:])
	case kernels.I32:
		copy(d.i32[to:to+n], src.i32[from:])
	case kernels.I8:
		copy(d.i8[to:to+n], src.i8[from:])
	default:
		copy(d.u8[to:to+n], src.u8[from:])
	}
}

type copyColumns struct {
	dst, src    kernels.Tensor
	to, from, n int
}

// CopyColumns copies n columns of src (N,C), from column from on, over those of dst (N,D) from column to on.
func (s *Stream) CopyColumns(dst, src kernels.Tensor, to, from, n int) {
	kernels.CheckCopyColumns(dst, src, to, from, n)
	enqueue(s, &s.pools.copyColumns, copyColumns{dst, src, to, from, n})
}

func (c *copyColumns) run(s *Stream) { s.share(c, c.src.Rows()*c.n) }

func (c *copyColumns) part(_ *Stream, worker, workers int) {
	d, x := valuesOf(c.dst), valuesOf(c.src)
	lo, hi := span(c.src.Rows(), worker, workers)
	for i := lo; i < hi; i++ {
		to, from := i*c.dst.Dim(-1)+c.to, i*c.src.Dim(-1)+c.from
		if d.t == kernels.F32 {
			copy(d.f32[to:to+c.n], x.f32[from:])
		} else {
			copy(d.f16[to:to+c.n], x.f16[from:])
		}
	}
}

type cast struct{ dst, src kernels.Tensor }

// Cast: dst = src, rounded to nearest even into dst's type.
func (s *Stream) Cast(dst, src kernels.Tensor) {
	kernels.CheckCast(dst, src)
	enqueue(s, &s.pools.cast, cast{dst, src})
}

func (c *cast) run(s *Stream) { s.share(c, c.dst.Size()) }

func (c *cast) part(s *Stream, worker, workers int) {
	dst, src := valuesOf(c.dst), valuesOf(c.src)
	buf := s.arenas[worker].take(block)
	lo, hi := spanLines(c.dst.Size(), worker, workers)
	for ; lo < hi; lo += block {
		n := min(block, hi-lo)
		dst.store(s.set, lo, src.load(s.set, lo, n, dst.dest(lo, n, buf)))
	}
}

type add struct{ out, x, bias, residual kernels.Tensor }

// Add: out = x + bias + residual, each row; bias (C) and residual may be absent, out may be x or residual. x (N,C).
func (s *Stream) Add(out, x, bias, residual kernels.Tensor) {
	kernels.CheckAdd(out, x, bias, residual)
	enqueue(s, &s.pools.add, add{out, x, bias, residual})
}

func (c *add) run(s *Stream) { s.share(c, c.x.Size()) }

func (c *add) part(s *Stream, worker, workers int) {
	out, x, bias, residual := valuesOf(c.out), valuesOf(c.x), valuesOf(c.bias), valuesOf(c.residual)
	width := c.x.Dim(-1)
	a := &s.arenas[worker]
	xBuf, bBuf, rBuf, sum := a.take(width), a.take(width), a.take(width), a.take(width)
	var b []float32
	if !c.bias.None() {
		b = bias.load(s.set, 0, width, bBuf)
	}
	lo, hi := span(c.x.Rows(), worker, workers)
	for at := lo * width; at < hi*width; at += width {
		row := x.load(s.set, at, width, xBuf)
		dst := out.dest(at, width, sum)
		if b != nil {
			// An out that is also the residual must not be overwritten before the residual is read.
			step := dst
			if !c.residual.None() {
				step = sum
			}
			s.set.Add(step, row, b)
			row = step
		}
		if !c.residual.None() {
			s.set.Add(dst, row, residual.load(s.set, at, width, rBuf))
			row = dst
		}
		out.store(s.set, at, row)
	}
}

// Sum computes dst = Σ srcs in the order given, at once and on the calling goroutine, added in float32 and rounded once.
func (s *Stream) Sum(dst kernels.Tensor, srcs []kernels.Tensor) {
	kernels.CheckSum(dst, srcs)
	total, next := widened.Get().(*[block]float32), widened.Get().(*[block]float32)
	out := valuesOf(dst)
	for lo := 0; lo < dst.Size(); lo += block {
		n := min(block, dst.Size()-lo)
		acc := total[:n]
		copy(acc, valuesOf(srcs[0]).load(s.set, lo, n, acc))
		for _, src := range srcs[1:] {
			s.set.Add(acc, acc, valuesOf(src).load(s.set, lo, n, next[:]))
		}
		out.store(s.set, lo, acc)
	}
	widened.Put(total)
	widened.Put(next)
}
