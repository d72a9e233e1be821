package main

import (
	. "github.com/mmcloughlin/avo/build"
)

func norms() {
	normalize()
	normSums()
	normGrad()
}

func normalize() {
	function("normalize", "func(dst, x, gain, bias []float32, mean, rstd float32)",
		"for i := range dst { dst[i] = (x[i]-mean)*rstd*gain[i] + bias[i] }")
	dst, x, gain, bias := base("dst"), base("x"), base("gain"), base("bias")
	mean, rstd := scalar("mean"), scalar("rstd")
	loop(length("dst"), 2, func(a at) {
		h := times(minus(a.load(x), mean), rstd)
		VFMADD213PS(a.load(bias), a.load(gain), h)
		a.store(h, dst)
	})
	end()
}

func normSums() {
	function("normSums", "func(dout, x, gain []float32, mean, rstd float32) (a, b float32)",
		"for i := range dout { g := dout[i] * gain[i]; a += g; b += g * (x[i]-mean)*rstd }")
	dout, x, gain := base("dout"), base("x"), base("gain")
	mean, rstd := scalar("mean"), scalar("rstd")
	sumG, sumGH := accumulators(2, zero), accumulators(2, zero)
	loop(length("dout"), 2, func(a at) {
		g := times(a.load(dout), a.load(gain))
		VADDPS(g, sumG[a.lane], sumG[a.lane])
		addProduct(sumGH[a.lane], g, times(minus(a.load(x), mean), rstd))
	})
	result(0, reduce(VADDPS, sumG))
	result(1, reduce(VADDPS, sumGH))
	end()
}

func normGrad() {
	function("normGrad", "func(dx, dgain, dbias, dout, x, gain []float32, mean, rstd, a, b float32)",
		"for i := range dx { h := (x[i]-mean)*rstd; dgain[i] += dout[i]*h; dbias[i] += dout[i]; dx[i] = rstd * (dout[i]*gain[i] - a - h*b) }")
	dx, dgain, dbias, dout, x, gain := base("dx"), base("dgain"), base("dbias"), base("dout"), base("x"), base("gain")
	mean, rstd, meanG, meanGH := scalar("mean"), scalar("rstd"), scalar("a"), scalar("b")
	loop(length("dx"), 1, func(a at) {
		d, h := a.load(dout), times(minus(a.load(x), mean), rstd)
		sum := a.load(dgain)
		addProduct(sum, d, h)
		a.store(sum, dgain)
		a.store(plus(a.load(dbias), d), dbias)
		g := times(d, a.load(gain))
		VSUBPS(meanG, g, g)
		VFNMADD231PS(meanGH, h, g)
		a.store(times(g, rstd), dx)
	})
	end()
}
