package gemm

// mask adds the kept elements of rows of a dense result to 2:4 values.
type mask struct {
	pattern *Pattern24
	values  Matrix
}

// add adds a row's part from column col, a multiple of four, on.
func (m *mask) add(row, col int, acc []float32) {
	values := m.values.float32s(row, col/2, len(acc)/2)
	for i := 0; i < len(values); i += 2 {
		first, second := m.pattern.group(row, (col+2*i)/4)
		values[i] += acc[2*i+first]
		values[i+1] += acc[2*i+second]
	}
}

// sweepMasked adds the kept elements of a packed panel of A times every panel of
// the block of B to the values.
func (w *worker) sweepMasked(j *job, a *uint32, b rect, units int) {
	p, values := j.mask.pattern, &j.mask.values
	stride, at := ceil(p.c, 8), 0
	w.sums.grow(4 * panel * units)
	j.eng.spread(&w.sums.data[0], a, units)
	for col := b.col0; col < b.col1; {
		cols := j.eng.columns(b.col1 - col)
		vectors := ceil(cols, j.eng.lanes)
		j.eng.masked[vectors-1](units, &w.sums.data[0], &w.b.data[at], &p.meta[b.row0*stride+col/8], stride,
			(*float32)(values.at(b.row0, col/2)), values.stride, b.row1-b.row0, cols)
		at += stripWords(vectors*j.eng.lanes, units)
		col += cols
	}
}
