package ref

import (
	"math"
	"sort"

	"ofpeak/kernels"
)

func (s *stream) Encode(w kernels.Weight, dense kernels.Tensor) {
	kernels.CheckEncode(w, dense)
	d := read(dense)
	switch w.Format {
	case kernels.Sparse24:
		choosePairs(ints[uint8](w.Meta), d)
	case kernels.BlockSparse:
		chooseBlocks(ints[int32](w.Meta), w, d)
	case kernels.Int8:
		scale, q := read(w.Scale), ints[int8](w.Values)
		for o := range scale {
			scale[o] = quantize(q[o*w.C:(o+1)*w.C], row(d, o, w.C))
		}
		write(w.Scale, scale)
		return
	}
	values := make([]float64, w.Values.Size())
	for i, at := range positions(w) {
		values[i] = d[at]
	}
	write(w.Values, values)
}

func (s *stream) Decode(dense kernels.Tensor, w kernels.Weight) {
	kernels.CheckDecode(dense, w)
	write(dense, decode(w))
}

// decode is the dense matrix (OC,C) that w stands for; its own memory if it is stored so, in float64.
func decode(w kernels.Weight) []float64 {
	if w.Format == kernels.Dense {
		return read(w.Values)
	}
	dense := make([]float64, w.OC*w.C)
	if w.Format == kernels.Int8 {
		scale := read(w.Scale)
		for i, q := range ints[int8](w.Values) {
			dense[i] = float64(q) * scale[i/w.C]
		}
		return dense
	}
	values := read(w.Values)
	for i, at := range positions(w) {
		dense[at] = values[i]
	}
	return dense
}

// positions gives for each stored value its index in the dense matrix.
func positions(w kernels.Weight) []int {
	at := make([]int, w.ValueLen(w.OC, w.C))
	switch w.Format {
	case kernels.Sparse24:
		meta := ints[uint8](w.Meta)
		for i := range at {
			nibble := meta[i/4] >> (i / 2 % 2 * 4)
			at[i] = i/2*4 + int(nibble>>(i%2*2)&3)
		}
	case kernels.BlockSparse:
		meta, keep, b := ints[int32](w.Meta), w.KeepBlocks(w.C), w.Block
		for i := range at {
			block, r, c := i/(b*b), i/b%b, i%b
			at[i] = (block/keep*b+r)*w.C + int(meta[block])*b + c
		}
	default:
		for i := range at {
			at[i] = i
		}
	}
	return at
}

// choosePairs marks the two largest magnitudes of every four.
func choosePairs(meta []uint8, d []float64) {
	clear(meta)
	for g := range len(d) / 4 {
		four := d[4*g : 4*g+4]
		keep := largest(2, 4, func(i int) float64 { return math.Abs(four[i]) })
		meta[g/2] |= uint8(keep[0]|keep[1]<<2) << (g % 2 * 4)
	}
}

// chooseBlocks lists the block columns of largest Frobenius norm in each block row.
func chooseBlocks(meta []int32, w kernels.Weight, d []float64) {
	keep, b := w.KeepBlocks(w.C), w.Block
	for br := range w.OC / b {
		chosen := largest(keep, w.C/b, func(bc int) float64 {
			norm := 0.0
			for r := range b {
				block := d[(br*b+r)*w.C+bc*b:][:b]
				norm += dot(block, block)
			}
			return norm
		})
		for i, bc := range chosen {
			meta[br*keep+i] = int32(bc)
		}
	}
}

// largest is the k indices below n of largest weight, ascending; of equals the lower.
func largest(k, n int, weight func(i int) float64) []int {
	index, weights := make([]int, n), make([]float64, n)
	for i := range index {
		index[i], weights[i] = i, weight(i)
	}
	sort.SliceStable(index, func(a, b int) bool { return weights[index[a]] > weights[index[b]] })
	sort.Ints(index[:k])
	return index[:k]
}

// quantize fills q with x over a scale that maps x's largest magnitude to 127, rounded to nearest even, and gives the scale: 0 if x is 0.
func quantize(q []int8, x []float64) float64 {
	top := 0.0
	for _, v := range x {
		top = max(top, math.Abs(v))
	}
	scale := top / 127
	for i, v := range x {
		q[i] = 0
		if scale > 0 {
			q[i] = int8(math.RoundToEven(v / scale))
		}
	}
	return scale
}
