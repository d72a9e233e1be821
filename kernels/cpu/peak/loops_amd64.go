package peak

import "ofpeak/kernels/cpu/isa"

//go:generate go -C ../_asm run ./peak -out ../peak/peak_gen_amd64.s -stubs ../peak/peak_gen_amd64.go -pkg peak

// asmLoops returns the loops in assembly for a type, slowest first. Operations
// in an iteration: instructions times lanes times the two of a multiply-add.
func asmLoops(typ string) []loop {
	var list []loop
	add := func(ok bool, l loop) {
		if ok && l.typ == typ {
			list = append(list, l)
		}
	}
	add(isa.Best() >= isa.AVX2, loop{"float32", "avx2", 12 * 8 * 2, fmaY})
	add(isa.Best() >= isa.AVX512, loop{"float32", "avx512", 24 * 16 * 2, fmaZ})
	add(isa.BF16(), loop{"bfloat16", "avx512bf16", 24 * 32 * 2, bf16Z})
	add(isa.Best() >= isa.AVX2, loop{"int8", "avx2", 10 * 16 * 2, int16Y})
	add(isa.VNNI(), loop{"int8", "avx512vnni", 24 * 64 * 2, int8Z})
	return list
}

// read loads whole chunks.
func read(a, b, c []float32) {
	if isa.Best() >= isa.AVX2 {
		readY(&a[0], &b[0], &c[0], len(a)/chunk)
		return
	}
	readGo(a, b, c)
}

// triad is a[i] = b[i] + 3*c[i] over whole chunks.
func triad(a, b, c []float32) {
	if isa.Best() >= isa.AVX2 {
		triadY(&a[0], &b[0], &c[0], len(a)/chunk)
		return
	}
	triadGo(a, b, c)
}
