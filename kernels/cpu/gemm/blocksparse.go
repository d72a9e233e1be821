package gemm

import "fmt"

// PatternBlock says which square blocks of a block-sparse matrix (OC, C) are
// kept: the same number in every block row. It is prepared once and serves as
// long as the mask stays, whatever the values become.
type PatternBlock struct {
	oc, c, block int
	rows         blockLists // kept blocks by block row, for the forward product
	columns      blockLists // by block column, for the input gradient
}

// blockLists are the kept blocks of each line (block row or block column): those
// of line i are entries starts[i] to starts[i+1].
type blockLists struct {
	starts []int
	other  []int // the block's line in the other direction
	index  []int // which of the values' blocks
}

// NewPatternBlock prepares a pattern. meta (OC/block, keep) holds the ascending
// block columns of each block row. block is a multiple of 16 that divides OC and C.
func NewPatternBlock(meta []int32, oc, c, block int) (*PatternBlock, error) {
	if block < 16 || block%16 != 0 || oc < 1 || c < 1 || oc%block != 0 || c%block != 0 {
		return nil, fmt.Errorf("gemm: blocks of %d in a weight of %d by %d: the block must be a multiple of 16 that divides both", block, oc, c)
	}
	rows, cols := oc/block, c/block
	if len(meta) == 0 || len(meta)%rows != 0 {
		return nil, fmt.Errorf("gemm: block metadata has %d entries for %d block rows; every row must keep the same number", len(meta), rows)
	}
	keep := len(meta) / rows
	for i, col := range meta {
		if col < 0 || int(col) >= cols || i%keep > 0 && col <= meta[i-1] {
			return nil, fmt.Errorf("gemm: block metadata: entry %d of row %d is %d; columns must ascend below %d", i%keep, i/keep, col, cols)
		}
	}
	p := &PatternBlock{oc: oc, c: c, block: block}
	p.rows = newBlockLists(rows, len(meta), func(i int) (line, other int) { return i / keep, int(meta[i]) })
	p.columns = newBlockLists(cols, len(meta), func(i int) (line, other int) { return int(meta[i]), i / keep })
	return p, nil
}

// newBlockLists sorts n blocks by line, by counting.
func newBlockLists(lines, n int, at func(i int) (line, other int)) blockLists {
	l := blockLists{make([]int, lines+1), make([]int, n), make([]int, n)}
	for i := range n {
		line, _ := at(i)
		l.starts[line+1]++
	}
	for i := range lines {
		l.starts[i+1] += l.starts[i]
	}
	next := append([]int(nil), l.starts...)
	for i := range n {
		line, other := at(i)
		l.other[next[line]], l.index[next[line]] = other, i
		next[line]++
	}
	return l
}

// kept returns the number of kept blocks.
func (p *PatternBlock) kept() int { return len(p.rows.index) }

// Bytes returns the memory that the pattern takes.
func (p *PatternBlock) Bytes() int64 {
	n := len(p.rows.starts) + len(p.columns.starts) + 4*p.kept()
	return 8 * int64(n)
}

// ForwardBlock computes out = x·wᵀ for x (n, C), a block-sparse weight w (OC, C)
// with the values (kept blocks, block, block), each block row-major as in w, and
// out (n, OC). values and x have the same float type; out may have any of them.
// The epilogue may be nil.
func (c *Context) ForwardBlock(p *PatternBlock, values, x, out Matrix, n int, e Epilogue) {
	c.multiplyBlocks(p, &p.rows, values.T(), x, out, n, p.c, p.oc, e)
}

// InputGradBlock computes dx = dout·w for dout (n, OC) and dx (n, C); otherwise
// like ForwardBlock.
func (c *Context) InputGradBlock(p *PatternBlock, values, dout, dx Matrix, n int, e Epilogue) {
	c.multiplyBlocks(p, &p.columns, values, dout, dx, n, p.oc, p.c, e)
}

// WeightGradBlock computes dvalues += doutᵀ·x in the kept blocks only, for dout
// (n, OC), x (n, C) of the same float type and float32 dvalues.
func (c *Context) WeightGradBlock(p *PatternBlock, dvalues, dout, x Matrix, n int) {
	p.checkValues(dvalues)
	switch {
	case dvalues.typ != F32 || dvalues.trans:
		panic("gemm: block gradient is not float32, or transposed")
	case x.typ > F16 || dout.typ != x.typ:
		panic("gemm: block operands are not of one float type")
	case n < 0 || !dout.fits(n, p.oc) || !x.fits(n, p.c):
		panic("gemm: a block operand is too short or its stride too small")
	case n == 0:
		return
	}
	g := &c.blockGrad
	product := Product{M: p.oc, N: p.c, K: n, C: dvalues}
	g.job = job{Product: product, eng: c.engines[x.typ]}
	dout = dout.T()
	g.a, g.b, g.pattern = dout.rowView(), x.columnView(), p
	g.span, g.kc = blockSpan(p, n, g.eng.depth())
	g.cutTokens(c.team.Size())
	c.run(g)
	if g.parts > 1 {
		c.sums = blockSumsJob{eng: g.eng, workers: c.workers[1:g.parts], to: dvalues, lines: p.kept() * p.block * p.block / lineWords}
		c.run(&c.sums)
		c.sums = blockSumsJob{}
	}
	*g = blockGradJob{}
}

// checkValues panics unless the values are as many as the pattern keeps.
func (p *PatternBlock) checkValues(values Matrix) {
	if values.stride != p.block || values.len < p.kept()*p.block*p.block {
		panic("gemm: block values are too short or not contiguous")
	}
}
