package gemm

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// pairer pairs the rows of a band by what they keep in a chunk. It holds scratch
// memory.
type pairer struct {
	order []int
	sets  []columnSet
	pairs []rowPair
	parted
}

// parted are the kept weights of a pair: those at places that both rows keep, and
// those of each row alone.
type parted struct {
	both [][2]kept
	a, b []kept
}

// columnSet is a set of columns of a chunk.
type columnSet [(chunkRows + 63) / 64]uint64

// pair passes all rows in pairs, those that take equal steps together: then the ends of
// their loops are predicted. A row that is left over comes with an empty one behind the
// last.
func (p *pairer) pair(runs [][]kept, add func(first, second int, kept *parted)) {
	p.match(runs)
	slices.SortStableFunc(p.pairs, func(a, b rowPair) int {
		return cmp.Or(cmp.Compare(a.mixed, b.mixed), cmp.Compare(a.shared, b.shared), cmp.Compare(a.apart, b.apart))
	})
	for _, pair := range p.pairs {
		p.part(runs[pair.first], runOf(runs, int(pair.second)))
		add(int(pair.first), int(pair.second), &p.parted)
	}
}

// runOf returns a run, or an empty one behind the last.
func runOf(runs [][]kept, i int) []kept {
	if i == len(runs) {
		return nil
	}
	return runs[i]
}

// match chooses the pairs.
func (p *pairer) match(runs [][]kept) {
	p.order, p.sets, p.pairs = p.order[:0], p.sets[:0], p.pairs[:0]
	for i, run := range runs {
		p.order, p.sets = append(p.order, i), append(p.sets, columnsOf(run))
	}
	slices.SortStableFunc(p.order, func(a, b int) int { return len(runs[a]) - len(runs[b]) })
	for order := p.order; len(order) > 0; {
		first, second := order[0], len(runs)
		order = order[1:]
		if len(order) > 0 {
			at := p.partner(first, order, runs)
			second = order[at]
			order = slices.Delete(order, at, at+1)
		}
		p.part(runs[first], runOf(runs, second))
		mixed, shared, apart := steps(len(p.both), len(p.a), len(p.b))
		p.pairs = append(p.pairs, rowPair{uint16(first), uint16(second), uint16(mixed), uint16(shared), uint16(apart)})
	}
}

// window is how many rows are tried as partners of one.
const window = 32

// unusualCost is the cost of steps that are not usual ones, in the unit of partner.
const unusualCost = 20

// partner returns which of the next rows suits a row best: the one with which the
// steps waste least time. In the widest vectors, mixed steps take as long as their 16
// multiply-adds each; a shared one makes 8, of which each waits for the last step's, and
// an apart one 8, but needs more than 8 loads.
func (p *pairer) partner(first int, next []int, runs [][]kept) int {
	n := len(runs[first])
	best, bestCost := 0, math.MaxInt
	for i, row := range next[:min(len(next), window)] {
		both := p.sets[first].shared(p.sets[row])
		mixed, shared, apart := steps(both, n-both, len(runs[row])-both)
		cost := 16*mixedSteps*mixed + 9*shared + 10*apart - 4*(n+len(runs[row]))
		if m, s, a := usual(n, len(runs[row])); mixed != m || shared != s || apart != a {
			cost += unusualCost
		}
		if cost < bestCost {
			best, bestCost = i, cost
		}
	}
	return best
}

// part parts the kept weights of two rows.
func (p *parted) part(a, b []kept) {
	p.both, p.a, p.b = p.both[:0], p.a[:0], p.b[:0]
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].column == b[0].column:
			p.both = append(p.both, [2]kept{a[0], b[0]})
			a, b = a[1:], b[1:]
		case a[0].column < b[0].column:
			p.a, a = append(p.a, a[0]), a[1:]
		default:
			p.b, b = append(p.b, b[0]), b[1:]
		}
	}
	p.a, p.b = append(p.a, a...), append(p.b, b...)
}

// columnsOf returns the columns of a run.
func columnsOf(run []kept) (set columnSet) {
	for _, k := range run {
		set[k.column/64] |= 1 << (k.column % 64)
	}
	return set
}

// shared returns how many columns two sets share.
func (s columnSet) shared(t columnSet) (n int) {
	for i := range s {
		n += bits.OnesCount64(s[i] & t[i])
	}
	return n
}

// usual returns the steps that most pairs are to take that keep so many places each: what
// follows after the same steps is predicted.
func usual(a, b int) (mixed, shared, apart int) {
	all := max(a, b)
	mixed = min(all, chunkRows/2) / (2 * mixedSteps)
	rest := all - 2*mixedSteps*mixed
	if all < chunkRows/2 {
		return mixed, 0, rest
	}
	return mixed, rest, 0
}
