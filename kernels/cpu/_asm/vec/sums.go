package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func sums() {
	sum()
	dot()
	sumSqDev()
	maximum()
	absMax()
	finite()
}

func sum() {
	function("sum", "func(x []float32) float32", "for i := range x { sum += x[i] }")
	x, acc := base("x"), accumulators(4, zero)
	loop(length("x"), 4, func(a at) {
		VADDPS(a.load(x), acc[a.lane], acc[a.lane])
	})
	result(0, reduce(VADDPS, acc))
	end()
}

func dot() {
	function("dot", "func(x, y []float32) float32", "for i := range x { sum += x[i] * y[i] }")
	x, y, acc := base("x"), base("y"), accumulators(4, zero)
	loop(length("x"), 4, func(a at) {
		addProduct(acc[a.lane], a.load(x), a.load(y))
	})
	result(0, reduce(VADDPS, acc))
	end()
}

func sumSqDev() {
	function("sumSqDev", "func(x []float32, mean float32) float32", "for i := range x { sum += (x[i] - mean) * (x[i] - mean) }")
	x, mean, acc := base("x"), scalar("mean"), accumulators(4, zero)
	loop(length("x"), 4, func(a at) {
		d := a.clear(minus(a.load(x), mean))
		addProduct(acc[a.lane], d, d)
	})
	result(0, reduce(VADDPS, acc))
	end()
}

func maximum() {
	function("max", "func(x []float32) float32", "m := -Inf; for i := range x { m = max(m, x[i]) }")
	least := func() reg.VecVirtual { return register(constant(math.Inf(-1))) }
	x, acc := base("x"), accumulators(4, least)
	none := least()
	loop(length("x"), 4, func(a at) {
		VMAXPS(a.fill(a.load(x), none), acc[a.lane], acc[a.lane])
	})
	result(0, reduce(VMAXPS, acc))
	end()
}

const magnitude = 0x7fffffff // all bits but the sign

func absMax() {
	function("absMax", "func(x []float32) float32", "m := 0; for i := range x { m = max(m, x[i], -x[i]) }")
	x, acc := base("x"), accumulators(4, zero)
	loop(length("x"), 4, func(a at) {
		v := a.load(x)
		and(words(magnitude), v, v)
		VMAXPS(v, acc[a.lane], acc[a.lane])
	})
	result(0, reduce(VMAXPS, acc))
	end()
}

// finite compares magnitudes as integers: infinity and NaN are the largest.
func finite() {
	function("finite", "func(x []float32) bool", "for i := range x { if x[i]-x[i] != 0 { return false } }; return true")
	x, acc := base("x"), accumulators(4, zero)
	loop(length("x"), 4, func(a at) {
		v := a.load(x)
		and(words(magnitude), v, v)
		VPMAXSD(v, acc[a.lane], acc[a.lane])
	})
	top, ok := GP32(), GP8()
	VMOVD(reduce(VPMAXSD, acc), top)
	CMPL(top, Imm(0x7f800000))
	SETLT(ok)
	Store(ok, ReturnIndex(0))
	end()
}
