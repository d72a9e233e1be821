package verify

import (
	"fmt"
	"math"
	"math/rand/v2"

	"ofpeak/kernels"
)

// matmul is a product's sizes: x (N,C), W (OC,C).
type matmul struct{ n, oc, c, shift int }

func (m matmul) String() string { return fmt.Sprintf("N=%d OC=%d C=%d +%d", m.n, m.oc, m.c, m.shift) }

// layouts are the weight layouts tested, each with the multiples that its OC and C must be of.
var layouts = []struct {
	kernels.Layout
	oc, c int
}{
	{kernels.Layout{}, 1, 1},
	{kernels.Layout{Format: kernels.Sparse24}, 1, 8},
	{kernels.Layout{Format: kernels.BlockSparse, Block: 8, Keep: 0.25}, 8, 8},
	{kernels.Layout{Format: kernels.BlockSparse, Block: 32, Keep: 0.5}, 32, 32},
	{kernels.Layout{Format: kernels.Int8}, 1, 1},
}

// epilogues are the forms of a forward epilogue.
var epilogues = []struct{ bias, act, residual string }{
	{"bias", "gelu", "out"}, {}, {"bias", "", ""}, {"bias", "gelu", ""}, {"bias", "", "apart"}, {"", "", "out"},
}

// sizes are fixed corner cases, rounded up to what a layout needs, and fuzzed ones.
func sizes(fuzz *rand.Rand, oc, c int) []matmul {
	ms := []matmul{
		{1, 1, 1, 0}, {2, 3, 5, 1}, {17, 33, 65, 3}, {64, 96, 128, 0}, {65, 63, 31, 0}, {3, 130, 300, 1}, {130, 20, 7, 0},
		{24, 48, 32, 8},                                                        // what libraries ask for
		{9, 17, 1100, 0}, {515, 18, 24, 0}, {6, 1040, 40, 1}, {256, 64, 32, 0}, // longer than a cache block in one dim
	}
	for range 6 {
		ms = append(ms, matmul{1 + fuzz.IntN(70), 1 + fuzz.IntN(150), 1 + fuzz.IntN(200), fuzz.IntN(8)})
	}
	for i := range ms {
		ms[i].oc = (ms[i].oc + oc - 1) / oc * oc
		ms[i].c = (ms[i].c + c - 1) / c * c
	}
	return ms
}

func (l *list) linear() {
	t := l.t
	for _, w := range layouts {
		for _, m := range sizes(l.fuzz(), w.oc, w.c) {
			forms := epilogues
			if m.n*m.oc*m.c > 1<<17 {
				forms = forms[:1] // a large product takes the reference long; small ones try every form
			}
			for _, f := range forms {
				l.append(kernels.OpLinear, w.Layout, func(e *env) { linearForward(e, t, w.Layout, m, f.bias != "", f.act != "", f.residual) },
					"forward %v %s %s residual=%s block=%d", m, f.bias, f.act, f.residual, w.Block)
			}
			if w.Format == kernels.Int8 {
				continue
			}
			for _, gelu := range []bool{false, true} {
				l.append(kernels.OpLinear, w.Layout, func(e *env) { linearBackwardInput(e, t, w.Layout, m, gelu) },
					"backward input %v gelu=%v block=%d", m, gelu, w.Block)
			}
			for _, bias := range []bool{false, true} {
				l.append(kernels.OpLinear, w.Layout, func(e *env) { linearBackwardWeight(e, t, w.Layout, m, bias) },
					"backward weight %v bias=%v block=%d", m, bias, w.Block)
			}
		}
	}
}

// narrowBlocks are products with blocks of 16, which devices compute in other ways than wider ones.
func (l *list) narrowBlocks() {
	t, layout := l.t, kernels.Layout{Format: kernels.BlockSparse, Block: 16, Keep: 0.5}
	for _, m := range []matmul{{50, 48, 80, 0}, {130, 64, 96, 1}} {
		l.append(kernels.OpLinear, layout, func(e *env) { linearForward(e, t, layout, m, true, true, "out") }, "forward %v block=16", m)
		l.append(kernels.OpLinear, layout, func(e *env) { linearBackwardInput(e, t, layout, m, true) }, "backward input %v block=16", m)
		l.append(kernels.OpLinear, layout, func(e *env) { linearBackwardWeight(e, t, layout, m, true) }, "backward weight %v block=16", m)
	}
}

func linearForward(e *env, t kernels.DType, layout kernels.Layout, m matmul, bias, gelu bool, residual string) {
	e.shift = m.shift
	x, tol := e.factors(m.n*m.c), e.tolerance(t, m.c)
	if layout.Format == kernels.Int8 {
		x = e.quantizable(t, m.n, m.c)
	}
	xs, w := e.in("x", t, x, m.n, m.c), e.weight(layout, t, m)
	if e.scale = 1; layout.Format != kernels.Int8 {
		e.scale = math.Sqrt(float64(m.c))
	}
	var ep kernels.Epilogue
	if bias {
		ep.Bias = e.in("bias", t, e.normal(m.oc, 0, 1), m.oc)
	}
	if gelu {
		ep.Act, ep.Aux = kernels.GELU, e.out("aux", t, tol, m.n, m.oc)
		tol *= 2 // the activation may take its input rounded
	}
	var out kernels.Tensor
	switch residual {
	case "out":
		out = e.inOut("out", t, tol, e.normal(m.n*m.oc, 0, 1), m.n, m.oc)
		ep.Residual = out
	case "apart":
		ep.Residual = e.in("residual", t, e.normal(m.n*m.oc, 0, 1), m.n, m.oc)
		fallthrough
	default:
		out = e.out("out", t, tol, m.n, m.oc)
	}
	e.s.LinearForward(out, xs, w, ep)
}

func linearBackwardInput(e *env, t kernels.DType, layout kernels.Layout, m matmul, gelu bool) {
	e.shift = m.shift
	dout, w := e.in("dout", t, e.factors(m.n*m.oc), m.n, m.oc), e.weight(layout, t, m)
	var ep kernels.Epilogue
	if gelu {
		ep.Act, ep.Aux = kernels.GELU, e.in("aux", t, e.normal(m.n*m.c, 0, 2), m.n, m.c)
	}
	e.scale = math.Sqrt(float64(m.oc))
	e.s.LinearBackwardInput(e.out("dx", t, e.tolerance(t, m.oc), m.n, m.c), dout, w, ep)
}

func linearBackwardWeight(e *env, t kernels.DType, layout kernels.Layout, m matmul, bias bool) {
	e.shift = m.shift
	st := kernels.StatsOf(t)
	dout, x := e.in("dout", t, e.factors(m.n*m.oc), m.n, m.oc), e.in("x", t, e.factors(m.n*m.c), m.n, m.c)
	dw := e.weight(layout, st, m)
	e.scale = math.Sqrt(float64(m.n))
	dw.Values = e.sum("dw", st, e.tolerance(st, m.n), dw.Values.Shape...)
	var dbias kernels.Tensor
	if bias {
		dbias = e.sum("dbias", st, tolerance(st, m.n), m.oc)
	}
	e.s.LinearBackwardWeight(dw, dbias, dout, x)
}

func (l *list) add() {
	t := l.t
	for _, d := range []struct{ n, c, shift int }{{1, 1, 0}, {3, 33, 1}, {16, 64, 0}} {
		for _, f := range []struct {
			bias, residual, out string
		}{{"", "", "apart"}, {"bias", "", "apart"}, {"", "residual", "apart"}, {"bias", "residual", "apart"}, {"bias", "residual", "x"}, {"bias", "residual", "residual"}} {
			l.append(kernels.OpLinear, kernels.Layout{}, func(e *env) {
				e.shift, e.scale = d.shift, 1
				operand := func(name string) kernels.Tensor {
					if f.out == name {
						return e.inOut(name, t, tolerance(t, 2), e.normal(d.n*d.c, 0, 1), d.n, d.c)
					}
					return e.in(name, t, e.normal(d.n*d.c, 0, 1), d.n, d.c)
				}
				var bias, residual kernels.Tensor
				x := operand("x")
				if f.bias != "" {
					bias = e.in("bias", t, e.normal(d.c, 0, 1), d.c)
				}
				if f.residual != "" {
					residual = operand("residual")
				}
				out := map[string]kernels.Tensor{"x": x, "residual": residual}[f.out]
				if out.None() {
					out = e.out("out", t, tolerance(t, 2), d.n, d.c)
				}
				e.s.Add(out, x, bias, residual)
			}, "add N=%d C=%d %s %s out=%s +%d", d.n, d.c, f.bias, f.residual, f.out, d.shift)
		}
	}
}
