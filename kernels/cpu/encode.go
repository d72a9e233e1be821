package cpu

import (
	"math"
	"slices"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

type encode struct {
	w     kernels.Weight
	dense kernels.Tensor
}

// Encode stores the dense float32 matrix (OC,C) in w's layout; see kernels.Ops.
func (s *Stream) Encode(w kernels.Weight, dense kernels.Tensor) {
	kernels.CheckEncode(w, dense)
	enqueue(s, &s.pools.encode, encode{w, dense})
}

func (c *encode) run(s *Stream) { s.share(c, c.dense.Size()) }

func (c *encode) part(s *Stream, worker, workers int) {
	a := &s.arenas[worker]
	switch c.w.Format {
	case kernels.Sparse24:
		lo, hi := span(c.w.OC, worker, workers)
		c.sparse24(s.set, a, lo, hi)
	case kernels.BlockSparse:
		lo, hi := span(c.w.OC/c.w.Block, worker, workers)
		c.blockSparse(s.set, a, lo, hi)
	case kernels.Int8:
		lo, hi := span(c.w.OC, worker, workers)
		c.int8(s.set, a, lo, hi)
	default:
		lo, hi := span(c.w.OC, worker, workers)
		c.plain(s.set, a, lo, hi)
	}
}

func (c *encode) plain(set *vec.Set, a *arena, lo, hi int) {
	width, dense, dst := c.w.C, valuesOf(c.dense), valuesOf(c.w.Values)
	buf := a.take(width)
	for o := lo; o < hi; o++ {
		dst.store(set, o*width, dense.load(set, o*width, width, buf))
	}
}

// sparse24 keeps the two largest magnitudes of every four of rows lo to hi.
func (c *encode) sparse24(set *vec.Set, a *arena, lo, hi int) {
	width, dense, dst, meta := c.w.C, valuesOf(c.dense), valuesOf(c.w.Values), bytesOf(c.w.Meta)
	in, kept := a.take(width), a.take(width/2)
	for o := lo; o < hi; o++ {
		row, marks := dense.load(set, o*width, width, in), meta[o*width/8:]
		for g := 0; g < width/4; g++ {
			four := row[4*g : 4*g+4]
			first, second := twoLargest(four)
			kept[2*g], kept[2*g+1] = four[first], four[second]
			nibble := uint8(first | second<<2)
			if g%2 == 0 {
				marks[g/2] = nibble
			} else {
				marks[g/2] |= nibble << 4
			}
		}
		dst.store(set, o*width/2, kept)
	}
}

// twoLargest gives the positions of the two largest magnitudes of four, ascending; of equal ones the lower position counts.
func twoLargest(four []float32) (first, second int) {
	best, next := 0, -1
	for i := 1; i < 4; i++ {
		switch {
		case magnitude(four[i]) > magnitude(four[best]):
			best, next = i, best
		case next < 0 || magnitude(four[i]) > magnitude(four[next]):
			next = i
		}
	}
	return min(best, next), max(best, next)
}

func magnitude(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// blockSparse keeps the blocks of largest norm of block rows lo to hi.
func (c *encode) blockSparse(set *vec.Set, a *arena, lo, hi int) {
	width, edge, keep := c.w.C, c.w.Block, c.w.KeepBlocks(c.w.C)
	dense, dst, meta := valuesOf(c.dense), valuesOf(c.w.Values), ints(c.w.Meta)
	buf := a.take(width)
	norms := make([]float64, width/edge)
	for r := lo; r < hi; r++ {
		clear(norms)
		for i := range edge {
			row := dense.load(set, (r*edge+i)*width, width, buf)
			for j, v := range row {
				norms[j/edge] += float64(v) * float64(v)
			}
		}
		columns := meta[r*keep:][:keep]
		largest(columns, norms)
		for b, column := range columns {
			for i := range edge {
				from, to := (r*edge+i)*width+int(column)*edge, ((r*keep+b)*edge+i)*edge
				dst.store(set, to, dense.load(set, from, edge, buf))
			}
		}
	}
}

// largest fills columns with the positions of the largest norms, ascending; of equal ones the lower position counts. It spends norms.
func largest(columns []int32, norms []float64) {
	for b := range columns {
		best := 0
		for j, norm := range norms {
			if norm > norms[best] {
				best = j
			}
		}
		columns[b] = int32(best)
		norms[best] = math.Inf(-1)
	}
	slices.Sort(columns)
}

// int8 quantizes rows lo to hi, each to its own largest magnitude.
func (c *encode) int8(set *vec.Set, a *arena, lo, hi int) {
	width, dense, dst, scales := c.w.C, valuesOf(c.dense), int8s(c.w.Values), floats(c.w.Scale)
	buf := a.take(width)
	for o := lo; o < hi; o++ {
		scales[o] = quantizeRow(set, dst[o*width:][:width], dense.load(set, o*width, width, buf))
	}
}

// quantizeRow writes x in steps of 1/127 of its largest magnitude, and returns the size of a step.
func quantizeRow(set *vec.Set, dst []int8, x []float32) float32 {
	top := set.AbsMax(x)
	if top == 0 {
		clear(dst)
		return 0
	}
	set.Quantize(dst, x, 127/top)
	return top / 127
}

type decode struct {
	dense kernels.Tensor
	w     kernels.Weight
}

// Decode is the dense matrix (OC,C) that w stands for, zeros where nothing is stored.
func (s *Stream) Decode(dense kernels.Tensor, w kernels.Weight) {
	kernels.CheckDecode(dense, w)
	enqueue(s, &s.pools.decode, decode{dense, w})
}

func (c *decode) run(s *Stream) { s.share(c, c.dense.Size()) }

func (c *decode) part(s *Stream, worker, workers int) {
	width, dense := c.w.C, valuesOf(c.dense)
	a := &s.arenas[worker]
	buf, row := a.take(width), a.take(width)
	lo, hi := span(c.w.OC, worker, workers)
	for o := lo; o < hi; o++ {
		expandRow(s.set, c.w, row, buf, o)
		dense.store(s.set, o*width, row)
	}
}

// expandRow writes row o of a weight out densely. buf has room for what is stored of it.
func expandRow(set *vec.Set, w kernels.Weight, row, buf []float32, o int) {
	width := w.C
	switch w.Format {
	case kernels.Sparse24:
		kept, marks := valuesOf(w.Values).load(set, o*width/2, width/2, buf), bytesOf(w.Meta)[o*width/8:]
		clear(row)
		for g := 0; g < width/4; g++ {
			nibble := marks[g/2] >> (g % 2 * 4)
			row[4*g+int(nibble&3)] = kept[2*g]
			row[4*g+int(nibble>>2&3)] = kept[2*g+1]
		}
	case kernels.BlockSparse:
		edge, keep := w.Block, w.KeepBlocks(width)
		clear(row)
		for b, column := range ints(w.Meta)[o/edge*keep:][:keep] {
			at := ((o/edge*keep+b)*edge + o%edge) * edge
			copy(row[int(column)*edge:], valuesOf(w.Values).load(set, at, edge, buf))
		}
	case kernels.Int8:
		scale := floats(w.Scale)[o]
		for i, v := range int8s(w.Values)[o*width:][:width] {
			row[i] = float32(v) * scale
		}
	default:
		copy(row, valuesOf(w.Values).load(set, o*width, width, buf))
	}
}
