package simt

import (
	"slices"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// graph is a kernel's basic blocks: where each begins, and which may follow it. One behind all others is the end.
type graph struct {
	starts []int
	next   [][]int
}

func newGraph(k *ptx.Kernel) graph {
	starts := blockStarts(k)
	end := len(starts)
	g := graph{starts, make([][]int, end)}
	for b := range starts {
		in := k.Body[g.limit(b, k)-1]
		switch {
		case in.Op == "bra":
			if to, ok := k.Labels[in.Args[0].Name]; ok {
				g.next[b] = append(g.next[b], g.block(to))
			}
		case in.Op == "ret" || in.Op == "exit":
			g.next[b] = append(g.next[b], end)
		}
		if in.Guard != "" || len(g.next[b]) == 0 {
			g.next[b] = append(g.next[b], min(b+1, end))
		}
	}
	return g
}

// block is the one that holds an instruction.
func (g graph) block(pc int) int {
	i, found := slices.BinarySearch(g.starts, pc)
	if !found {
		i--
	}
	return i
}

// limit is the instruction behind a block's last one.
func (g graph) limit(b int, k *ptx.Kernel) int {
	if b+1 < len(g.starts) {
		return g.starts[b+1]
	}
	return len(k.Body)
}

// meetings gives for each branch of a kernel the instruction where lanes that it parted meet again: the start of the immediate post-dominator of its
// basic block; the body's length where they only meet at the end.
func (g graph) meetings(k *ptx.Kernel) []int {
	end := len(g.starts)
	post := postDominators(g.next)
	meets := make([]int, len(k.Body))
	for pc, in := range k.Body {
		if in.Op != "bra" {
			continue
		}
		meets[pc] = len(k.Body)
		if p := post[g.block(pc)]; p < end {
			meets[pc] = g.starts[p]
		}
	}
	return meets
}

// blockStarts lists the first instruction of each basic block, ascending.
func blockStarts(k *ptx.Kernel) []int {
	starts := []int{0}
	for _, at := range k.Labels {
		starts = append(starts, at)
	}
	for pc, in := range k.Body {
		if (in.Op == "bra" || in.Op == "ret" || in.Op == "exit") && pc+1 < len(k.Body) {
			starts = append(starts, pc+1)
		}
	}
	slices.Sort(starts)
	return slices.Compact(starts)
}

// postDominators gives each block's immediate post-dominator, given its successors; len(next) is the block behind all. It is the iterative method of Cooper, Harvey
// and Kennedy, "A Simple, Fast Dominance Algorithm" (2001), on the reversed graph.
func postDominators(next [][]int) []int {
	end := len(next)
	order := postorder(next) // rank of each block in a walk from the end
	post := make([]int, end+1)
	for b := range end {
		post[b] = -1
	}
	post[end] = end
	for changed := true; changed; {
		changed = false
		for b := end - 1; b >= 0; b-- {
			to := -1
			for _, n := range next[b] {
				if post[n] < 0 {
					continue
				}
				if to < 0 {
					to = n
				}
				for a := n; a != to; {
					for order[a] < order[to] {
						a = post[a]
					}
					for order[to] < order[a] {
						to = post[to]
					}
				}
			}
			if to >= 0 && to != post[b] {
				post[b], changed = to, true
			}
		}
	}
	for b := range end {
		if post[b] < 0 { // an endless loop
			post[b] = end
		}
	}
	return post
}

// postorder ranks blocks in a depth-first walk against the edges from the end: the end is highest.
func postorder(next [][]int) []int {
	end := len(next)
	prev := make([][]int, end+1)
	for b, ns := range next {
		for _, n := range ns {
			prev[n] = append(prev[n], b)
		}
	}
	order, rank := make([]int, end+1), 1
	seen := make([]bool, end+1)
	var visit func(b int)
	visit = func(b int) {
		seen[b] = true
		for _, p := range prev[b] {
			if !seen[p] {
				visit(p)
			}
		}
		order[b] = rank
		rank++
	}
	visit(end)
	return order
}
