package gemm

import (
	"unsafe"

	"ofpeak/kernels/cpu/isa"
)

//go:generate go -C ../_asm run ./gemm -out ../gemm/gemm_gen_amd64.s -stubs ../gemm/gemm_gen_amd64.go -pkg gemm

// The packers of each operand type, and of each kind of unit.
var (
	packF32  = packer{depth: 1, size: 4, unit: unitF32, rows: packRows32, cols: packCols32}
	packBF16 = packer{depth: 1, size: 2, unit: unitBF16, rows: packRowsBF16, cols: packColsBF16}
	packF16  = packer{depth: 1, size: 2, unit: unitF16, rows: packRowsF16, cols: packColsF16}
	packPair = packer{depth: 2, size: 2, unit: unitPair, rows: packRows32, cols: packColsPairs}
	packI16  = packer{depth: 2, size: 1, unit: unitI16, rows: packRowsI16, cols: packColsI16}
	packU8   = packer{depth: 4, size: 1, unit: unitU8, rows: packRowsU8, cols: packColsU8}
	packI8   = packer{depth: 4, size: 1, unit: unitQuad, rows: packRows32, cols: packColsQuads}
)

// asmEngines returns the variants in assembly that this CPU runs, slowest first.
func asmEngines(t Type) []*engine {
	var list []*engine
	widened := map[Type]packer{F32: packF32, BF16: packBF16, F16: packF16}
	p, isFloat := widened[t]
	if isFloat && isa.Best() >= isa.AVX2 {
		list = append(list, avx2("avx2", p, true, tileF32Y1, tileF32Y2, tileF32Y3))
	}
	if isFloat && isa.Best() >= isa.AVX512 {
		e := avx512("avx512", p, p, p, tileF32Z1, tileF32Z2, tileF32Z3)
		if t == F32 {
			e.inPlace = []inPlaceFunc{rowsF32Z1, rowsF32Z2, rowsF32Z3}
			e.turnLines = turnLines
			e.turnedRows = []turnedFunc{turnedRowsF32Z1, turnedRowsF32Z2, turnedRowsF32Z3}
			e.strips, e.addLines = []stripsFunc{stripsF32Z1, stripsF32Z2, stripsF32Z3}, addLines
		}
		e.turned = []turnedFunc{turnedF32Z1, turnedF32Z2, turnedF32Z3}
		e.masked, e.spread = []maskedFunc{maskedF32Z1, maskedF32Z2, maskedF32Z3}, spreadRows
		list = append(list, e)
	}
	if t == BF16 && isa.BF16() {
		e := avx512("avx512bf16", packPair, packPair, packBF16, tileBF16Z1, tileBF16Z2, tileBF16Z3)
		e.row.storeBF16 = storeRowBF16
		e.inPlace = []inPlaceFunc{rowsBF16Z1, rowsBF16Z2, rowsBF16Z3}
		e.turnLines = turnLines
		e.strips, e.addLines = []stripsFunc{stripsBF16Z1, stripsBF16Z2, stripsBF16Z3}, addLines
		e.turned = []turnedFunc{turnedBF16Z1, turnedBF16Z2, turnedBF16Z3}
		e.masked, e.spread = []maskedFunc{maskedBF16Z1, maskedBF16Z2, maskedBF16Z3}, spreadRows
		e.selected = selectedBF16Z
		e.rounding = &engine{}
		*e.rounding = *e
		e.rounding.out = 2
		e.rounding.tiles = []tileFunc{tileRoundedBF16Z1, tileRoundedBF16Z2, tileRoundedBF16Z3}
		e.rounding.inPlace = []inPlaceFunc{rowsRoundedBF16Z1, rowsRoundedBF16Z2, rowsRoundedBF16Z3}
		list = append(list, e)
	}
	if t == I8 && isa.Best() >= isa.AVX2 {
		list = append(list, avx2("avx2", packI16, false, tileI16Y1, tileI16Y2, tileI16Y3))
	}
	if t == I8 && isa.VNNI() {
		e := avx512("avx512vnni", packU8, packI8, packer{}, tileI8Z1, tileI8Z2, tileI8Z3)
		e.start = []func(b *uint32, k int){startZ1, startZ2, startZ3}
		e.inPlace = []inPlaceFunc{rowsI8Z1, rowsI8Z2, rowsI8Z3}
		list = append(list, e)
	}
	return list
}

func avx2(name string, p packer, float bool, tiles ...tileFunc) *engine {
	return &engine{
		name: name, lanes: 8, rows: 4, tiles: tiles, out: 4, a: p, b: p, float: float, row: rowY,
		sparse: []sparseFunc{sparsePairsY2, sparsePairsY4}, wide: p, words: packF32, turn: turnWords, gather: gatherAsm,
	}
}

func avx512(name string, a, b, wide packer, tiles ...tileFunc) *engine {
	return &engine{
		name: name, lanes: 16, rows: 8, tiles: tiles, out: 4, a: a, b: b, float: wide.unit != nil, row: rowY,
		sparse: []sparseFunc{sparsePairsZ1, sparsePairsZ2, sparsePairsZ4}, wide: wide, words: packF32, turn: turnWords, gather: gatherAsm,
	}
}

// gatherAsm gathers eight values at a time.
func gatherAsm(to []float32, index []uint16, from []float32, walk *uintptr) {
	n := len(to) &^ 7
	if n > 0 {
		gatherWords(&to[0], &index[0], &from[0], n/8, walk)
	}
	gatherGo(to[n:], index[n:], from, walk)
}

// rowY converts rows eight elements at a time, the rest in Go.
var rowY = rowOps{
	dequantize: func(dst, acc []float32, scaleA float32, scaleB []float32) {
		n := len(acc) &^ 7
		if n > 0 {
			dequantizeY(&dst[0], &acc[0], scaleA, &scaleB[0], n/8)
		}
		dequantizeGo(dst[n:], acc[n:], scaleA, scaleB[n:])
	},
	addBF16: func(acc []float32, c []uint16) {
		n := whole(acc, c, addBF16Y)
		addBF16Go(acc[n:], c[n:])
	},
	addF16: func(acc []float32, c []uint16) {
		n := whole(acc, c, addF16Y)
		addF16Go(acc[n:], c[n:])
	},
	storeBF16: func(c []uint16, acc []float32) {
		n := whole(acc, c, storeBF16Y)
		storeBF16Go(c[n:], acc[n:])
	},
	storeF16: func(c []uint16, acc []float32) {
		n := whole(acc, c, storeF16Y)
		storeF16Go(c[n:], acc[n:])
	},
}

// storeRowBF16 rounds by AVX512_BF16, which takes subnormal numbers for zero, as
// the products of that variant do. The last 32 overlap others where they must.
func storeRowBF16(c []uint16, acc []float32) {
	const step = 32
	n := len(acc)
	if n < step {
		rowY.storeBF16(c, acc)
		return
	}
	storeBF16Z(unsafe.SliceData(c), unsafe.SliceData(acc), n/step)
	if n%step > 0 {
		storeBF16Z(&c[n-step], &acc[n-step], 1)
	}
}

// whole converts the whole groups of eight and returns how many elements that is.
func whole(acc []float32, c []uint16, f func(c *uint16, acc *float32, n int)) int {
	if len(acc) < 8 {
		return 0
	}
	f(unsafe.SliceData(c), unsafe.SliceData(acc), len(acc)/8)
	return len(acc) &^ 7
}
