package peak

import "ofpeak/kernels/cpu/isa"

// asmLoops returns the loops in assembly for a type.
func asmLoops(typ string) []loop {
	if typ != "float32" || isa.Best() < isa.NEON {
		return nil
	}
	return []loop{{"float32", "neon", 24 * 4 * 2, fmaNEON}}
}

// fmaNEON does 24 independent multiply-adds of four float32 each, n times:
//
//	for range n {
//		for i := range acc { // [24][4]float32
//			acc[i] += x * x
//		}
//	}
func fmaNEON(n int)

func read(a, b, c []float32) { readGo(a, b, c) }

func triad(a, b, c []float32) { triadGo(a, b, c) }
