package local

import (
	"ofpeak/kernels"
	"ofpeak/parallel/comm/calls"
)

// line is the number of elements on which parts begin: whole cache lines of 4-byte elements, so that no two ranks write to one.
const line = 16

// part is the range of n elements that a rank sums.
func (c *communicator) part(rank, n int) (lo, hi int) {
	per := (n + c.Size() - 1) / c.Size()
	per = (per + line - 1) / line * line
	return min(n, rank*per), min(n, rank*per+per)
}

// block is the number of elements that are summed and then handed on while they are in the cache.
const block = 16 << 10

// sum writes the sum over ranks of n elements of their sources, from element from, to dst, from its element to.
func (c *communicator) sum(k *calls.Call, dst kernels.Tensor, to, from, n int) {
	for r := range c.g.brings {
		c.parts[r] = c.view(r, c.g.brings[r].src, from, n)
	}
	k.Stream.Sum(c.view(len(c.parts), dst, to, n), c.parts)
}

// view is n elements of t from off, in the i-th scratch shape.
func (c *communicator) view(i int, t kernels.Tensor, off, n int) kernels.Tensor {
	c.shapes[i][0] = n
	return kernels.Tensor{Buf: t.Buf, Off: t.Off + off, Shape: c.shapes[i][:]}
}

// move copies n elements from src, from its element from, to dst, from its element to. Onto itself it writes nothing, for others may be reading.
func move(dst kernels.Tensor, to int, src kernels.Tensor, from, n int) {
	to, from = to+dst.Off, from+src.Off
	if dst.Buf == src.Buf && to == from {
		return
	}
	s := src.Buf.(kernels.HostBuffer).Data()
	switch d := dst.Buf.(kernels.HostBuffer).Data().(type) {
	case []float64:
		copy(d[to:to+n], s.([]float64)[from:])
	case []float32:
		copy(d[to:to+n], s.([]float32)[from:])
	case []uint16:
		copy(d[to:to+n], s.([]uint16)[from:])
	case []int32:
		copy(d[to:to+n], s.([]int32)[from:])
	case []int8:
		copy(d[to:to+n], s.([]int8)[from:])
	case []uint8:
		copy(d[to:to+n], s.([]uint8)[from:])
	}
}
