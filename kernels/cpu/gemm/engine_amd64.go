package gemm

import "ofpeak/kernels/cpu/isa"

//go:generate go -C ../_asm run ./gemm -out ../gemm/gemm_gen_amd64.s -stubs ../gemm/gemm_gen_amd64.go -pkg gemm

var (
	packF32 = packer{depth: 1, size: 4, unit: unitF32, rows: packRows32, cols: packCols32}

	avx2F32 = &engine{
		name: "avx2", lanes: 8, rows: 4, float: true, row: goRow, a: packF32, b: packF32,
		tiles: []tileFunc{tileF32Y1, tileF32Y2, tileF32Y3},
	}
	avx512F32 = &engine{
		name: "avx512", lanes: 16, rows: 8, float: true, row: goRow, a: packF32, b: packF32,
		tiles: []tileFunc{tileF32Z1, tileF32Z2, tileF32Z3},
	}
)

// asmEngines returns the variants in assembly that this CPU runs, slowest first.
func asmEngines(t Type) []*engine {
	var list []*engine
	if t != F32 {
		return nil
	}
	if isa.Best() >= isa.AVX2 {
		list = append(list, avx2F32)
	}
	if isa.Best() >= isa.AVX512 {
		list = append(list, avx512F32)
	}
	return list
}
