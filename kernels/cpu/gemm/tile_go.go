package gemm

import "unsafe"

// goEngines are the portable variants by operand type: narrow types are widened
// while they are packed.
var goEngines = [I8 + 1]*engine{
	F32:  goEngine(tileGo[float32], packF32Go, true),
	BF16: goEngine(tileGo[float32], packer{depth: 1, size: 2, unit: unitBF16}, true),
	F16:  goEngine(tileGo[float32], packer{depth: 1, size: 2, unit: unitF16}, true),
	I8:   goEngine(tileGo[int32], packer{depth: 1, size: 1, unit: unitI8}, false),
}

var packF32Go = packer{depth: 1, size: 4, unit: unitF32}

// goColumns is the width of the portable tile: with two rows, as many sums as
// scalar registers hold beside their operands.
const goColumns = 8

func goEngine(tile tileFunc, p packer, float bool) *engine {
	return &engine{
		name: "go", lanes: goColumns, rows: panel, tiles: []tileFunc{tile},
		out: 4, a: p, b: p, float: float, row: goRow,
		sparse: []sparseFunc{sparseGo(16), sparseGo(32), sparseGo(64)}, wide: p, words: packF32Go, gather: gatherGo,
	}
}

// tileGo is the portable tileFunc of eight rows by goColumns.
func tileGo[T float32 | int32](k, segs int, seg *uint32, a, b, c *uint32, ldc, rows, cols, add int, _ *uintptr) {
	var sums [panel][goColumns]T
	offsets := unsafe.Slice(seg, segs)
	for s, offset := range offsets {
		as := unsafe.Slice((*[panel]T)(unsafe.Add(unsafe.Pointer(a), offset)), k)
		bs := unsafe.Slice((*[goColumns]T)(unsafe.Add(unsafe.Pointer(b), 4*s*k*goColumns)), k)
		for i := 0; i < rows; i += 4 {
			for j := 0; j < cols; j += 2 {
				fourByTwo(as, bs, i, j, &sums)
			}
		}
	}
	for i := range min(rows, panel) {
		out := unsafe.Slice((*T)(unsafe.Add(unsafe.Pointer(c), 4*i*ldc)), cols)
		for j := range out {
			if add != 0 {
				out[j] += sums[i][j]
			} else {
				out[j] = sums[i][j]
			}
		}
	}
}

// fourByTwo adds to four rows and two columns of sums, which it keeps in
// registers.
func fourByTwo[T float32 | int32](as [][panel]T, bs [][goColumns]T, i, j int, sums *[panel][goColumns]T) {
	var s00, s01, s10, s11, s20, s21, s30, s31 T
	bs = bs[:len(as)]
	for u := range as {
		a, b := (*[4]T)(as[u][i:]), (*[2]T)(bs[u][j:])
		b0, b1 := b[0], b[1]
		s00 += a[0] * b0
		s01 += a[0] * b1
		s10 += a[1] * b0
		s11 += a[1] * b1
		s20 += a[2] * b0
		s21 += a[2] * b1
		s30 += a[3] * b0
		s31 += a[3] * b1
	}
	for r, v := range [4][2]T{{s00, s01}, {s10, s11}, {s20, s21}, {s30, s31}} {
		sums[i+r][j] += v[0]
		sums[i+r][j+1] += v[1]
	}
}
