package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

func maps() {
	elementwise("add", "x[i] + y[i]", VADDPS)
	elementwise("mul", "x[i] * y[i]", VMULPS)
	scaled()
	axpys()
	softmaxGrads()
	sqDiffs()
}

func elementwise(name, value string, op func(...Op)) {
	function(name, "func(dst, x, y []float32)", "for i := range dst { dst[i] = "+value+" }")
	dst, x, y := base("dst"), base("x"), base("y")
	loop(length("dst"), 4, func(a at) {
		v := a.load(x)
		op(a.load(y), v, v)
		a.store(v, dst)
	})
	end()
}

func scaled() {
	function("scale", "func(dst, x []float32, a float32)", "for i := range dst { dst[i] = a * x[i] }")
	dst, x, factor := base("dst"), base("x"), scalar("a")
	loop(length("dst"), 4, func(a at) {
		a.store(times(a.load(x), factor), dst)
	})
	end()
}

func axpys() {
	function("axpy", "func(dst, x []float32, a float32)", "for i := range dst { dst[i] += a * x[i] }")
	dst, x, factor := base("dst"), base("x"), scalar("a")
	loop(length("dst"), 4, func(a at) {
		v := a.load(dst)
		addProduct(v, a.load(x), factor)
		a.store(v, dst)
	})
	end()
}

func softmaxGrads() {
	function("softmaxGrad", "func(dst, p, dp []float32, d, scale float32)",
		"for i := range dst { dst[i] = scale * p[i] * (dp[i] - d) }")
	dst, p, dp, d, scale := base("dst"), base("p"), base("dp"), scalar("d"), scalar("scale")
	loop(length("dst"), 2, func(a at) {
		v := minus(a.load(dp), d)
		a.store(times(v, times(a.load(p), scale)), dst)
	})
	end()
}

func sqDiffs() {
	function("sqDiff", "func(dst, x, y []float32, scale float32) float32",
		"for i := range dst { d := x[i] - y[i]; dst[i] = scale * d; sum += d * d }")
	dst, x, y, scale := base("dst"), base("x"), base("y"), scalar("scale")
	sum := accumulators(4, zero)
	loop(length("dst"), 4, func(a at) {
		d := minus(a.load(x), a.load(y))
		addProduct(sum[a.lane], d, d)
		a.store(times(d, scale), dst)
	})
	result(0, reduce(VADDPS, sum))
	end()
}
