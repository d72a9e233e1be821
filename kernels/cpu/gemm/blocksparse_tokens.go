package gemm

import "unsafe"

// cutTokens decides whether the tokens of a weight gradient are cut into parts, one for
// each worker. If workers share out the block rows instead, each packs all of x, which
// takes long where few blocks are kept; and then there are few sums of the parts to add up.
func (g *blockGradJob) cutTokens(workers int) {
	p := g.pattern
	blocks := (p.oc / p.block) * (p.c / p.block)
	g.parts = 1
	if g.eng.strips != nil && 8*p.kept() <= blocks && g.K >= 2*workers*g.kc {
		g.parts = workers
	}
}

// tokenPart adds one worker's tokens: the first worker's to the gradient, others' to sums
// of their own.
func (g *blockGradJob) tokenPart(w *worker, id int) {
	p, own := g.pattern, &w.grad
	*own = *g
	lo, hi := bounds(ceil(g.K, g.kc), g.parts, id)
	own.K = min(hi*g.kc, g.K)
	if id > 0 {
		n := p.kept() * p.block * p.block
		w.sums.grow(n)
		clear(w.sums.data[:n])
		own.C = NewF32(unsafe.Slice(w.sums.float(), n), p.block)
	}
	own.stripPart(w, 0, p.oc/p.block, lo*g.kc)
	*own = blockGradJob{}
}

// blockSumsJob adds the other workers' sums to the gradient.
type blockSumsJob struct {
	eng     *engine
	workers []*worker
	to      Matrix
	lines   int
}

func (s *blockSumsJob) part(_ *worker, id, workers int) {
	lo, hi := bounds(s.lines, workers, id)
	for _, w := range s.workers {
		if lo < hi {
			s.eng.addLines((*float32)(s.to.at(0, lo*lineWords)), after(w.sums.float(), lo*lineWords), hi-lo)
		}
	}
}
