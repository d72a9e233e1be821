package gemm

import "fmt"

// Pattern24 says which weights of a 2:4 sparse matrix (OC, C) are kept: two of
// every four neighbours along C. It is prepared once and serves as long as the
// mask stays, whatever the values become.
type Pattern24 struct {
	oc, c   int
	meta    []byte
	rows    lists // kept weights by output channel, for the forward product
	columns lists // by input channel, for the input gradient
	controls
}

// NewPattern24 prepares a pattern. meta (OC, ceil(C/8)) holds one byte per two
// groups of four along C, the even group in the low half: bits 0-1 are the place
// of the first kept weight in its group, bits 2-3 of the second, which is greater.
// C is a multiple of four.
func NewPattern24(meta []byte, oc, c int) (*Pattern24, error) {
	stride := ceil(c, 8)
	switch {
	case oc < 1 || c < 4 || c%4 != 0:
		return nil, fmt.Errorf("gemm: 2:4 weight of %d by %d: the second must be a multiple of four", oc, c)
	case len(meta) < oc*stride:
		return nil, fmt.Errorf("gemm: 2:4 metadata has %d bytes; a weight of %d by %d needs %d", len(meta), oc, c, oc*stride)
	}
	p := &Pattern24{oc: oc, c: c, meta: make([]byte, oc*stride+panel*stride+metaSlack)}
	copy(p.meta, meta[:oc*stride])
	for r := range oc {
		for g := range c / 4 {
			if first, second := p.group(r, g); first >= second {
				return nil, fmt.Errorf("gemm: 2:4 metadata keeps places %d and %d in row %d, group %d; they must ascend", first, second, r, g)
			}
		}
	}
	p.rows = newLists(oc, c, false, p.each)
	p.columns = newLists(c, oc, true, func(yield func(row, col, valueRow, valueCol int)) {
		p.each(func(row, col, valueRow, valueCol int) { yield(col, row, valueRow, valueCol) })
	})
	return p, nil
}

// metaSlack is how many bytes of metadata behind a row's end a maskedFunc may read.
const metaSlack = 8

// group returns the places of the kept weights of a group of four.
func (p *Pattern24) group(row, g int) (first, second int) {
	nibble := p.meta[row*ceil(p.c, 8)+g/2] >> (g % 2 * 4)
	return int(nibble & 3), int(nibble >> 2 & 3)
}

// each passes every kept weight's row and column, and those of its value, in order.
func (p *Pattern24) each(yield func(row, col, valueRow, valueCol int)) {
	for r := range p.oc {
		for g := range p.c / 4 {
			first, second := p.group(r, g)
			yield(r, 4*g+first, r, 2*g)
			yield(r, 4*g+second, r, 2*g+1)
		}
	}
}

// Bytes returns the memory that the pattern takes.
func (p *Pattern24) Bytes() int64 {
	return int64(len(p.meta)+4*len(p.controls.words)) + p.rows.bytes() + p.columns.bytes()
}

// Forward24 computes out = x·wᵀ for x (n, C), a 2:4 weight w (OC, C) with the
// given values (OC, C/2), and out (n, OC), at half the multiplications of the
// dense product. values and x have the same type: float32, bfloat16 or float16, the
// narrow ones widened where the engine has no product of its own; out may have any
// of them. The epilogue may be nil.
func (c *Context) Forward24(p *Pattern24, values, x, out Matrix, n int, e Epilogue) {
	c.multiplySparse(&p.rows, p, values, x, out, n, e)
}

// InputGrad24 computes dx = dout·w for dout (n, OC) and dx (n, C); otherwise like
// Forward24.
func (c *Context) InputGrad24(p *Pattern24, values, dout, dx Matrix, n int, e Epilogue) {
	c.multiplySparse(&p.columns, p, values, dout, dx, n, e)
}

// WeightGrad24 computes dvalues += doutᵀ·x at the kept places only, for dout (n,
// OC), x (n, C) of the same type and float32 dvalues (OC, C/2). Where the engine
// cannot select what is kept, it multiplies densely and keeps half.
func (c *Context) WeightGrad24(p *Pattern24, dvalues, dout, x Matrix, n int) {
	if !dvalues.fits(p.oc, p.c/2) || dvalues.typ != F32 || dvalues.trans || x.typ > F16 {
		panic("gemm: 2:4 gradient is not float32, transposed or too short, or its operands are not floats")
	}
	product := Product{M: p.oc, N: p.c, K: n, A: dout.T(), B: x, C: Matrix{typ: F32}}
	product.checkOperands()
	if n == 0 {
		return
	}
	c.mask = mask{p, dvalues}
	c.job.plan(product, c.engines[x.typ], &c.mask, c.team.Size())
	c.run(&c.job)
	c.job, c.mask = job{}, mask{}
}
