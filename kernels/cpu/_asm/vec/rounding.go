package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func rounding() {
	function("round", "func(dst, x []float32, r *[4]float32)", "the loop of Set.Round, with the fields of Rounding in r")
	dst, x, r := base("dst"), base("x"), Load(Param("r"), GP64())
	field := func(i int) reg.VecVirtual {
		v := vec()
		VBROADCASTSS(Mem{Base: r, Disp: 4 * i}, v)
		return v
	}
	scale, inverse, least, shift := field(0), field(1), field(2), field(3)
	magnitude, power := register(words(0x7fffffff)), register(words(0x7f800000))
	loop(length("dst"), 4, func(a at) {
		y := times(a.load(x), scale)
		big := vec()
		and(magnitude, y, big)
		VMAXPS(big, least, big)
		and(power, big, big)
		VPADDD(shift, big, big)
		a.store(times(minus(plus(y, big), big), inverse), dst)
	})
	end()
}
