package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The fields of vec.AdamW.
const (
	beta1 = iota
	beta2
	oneBeta1
	oneBeta2
	gradScale
	step
	vScale
	eps
	decay
	fields
)

func steps() {
	function("adamW", "func(w, m, v, g []float32, c *[9]float32)",
		"the loop of Set.AdamW, with the fields of AdamW in c")
	w, m, v, g, c := base("w"), base("m"), base("v"), base("g"), Load(Param("c"), GP64())
	field := fieldsOf(c)
	loop(length("w"), 1, func(a at) {
		d := times(a.load(g), field(gradScale))
		moment := times(a.load(m), field(beta1))
		addProduct(moment, d, field(oneBeta1))
		a.store(moment, m)
		square := times(a.load(v), field(beta2))
		VMULPS(d, d, d)
		addProduct(square, d, field(oneBeta2))
		a.store(square, v)
		VSQRTPS(square, square)
		VFMADD213PS(field(eps), field(vScale), square)
		weight := a.load(w)
		update := over(times(moment, field(step)), square)
		addProduct(update, weight, field(decay))
		a.store(minus(weight, update), w)
	})
	end()
}

// fieldsOf gives the fields in registers where there are enough, else reads them at each use.
func fieldsOf(c reg.Register) func(i int) reg.VecVirtual {
	read := func(i int) reg.VecVirtual {
		v := vec()
		VBROADCASTSS(Mem{Base: c, Disp: 4 * i}, v)
		return v
	}
	if !wide() {
		return read
	}
	all := make([]reg.VecVirtual, fields)
	for i := range all {
		all[i] = read(i)
	}
	return func(i int) reg.VecVirtual { return all[i] }
}
