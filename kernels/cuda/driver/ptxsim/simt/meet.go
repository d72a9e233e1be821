package simt

import (
	"slices"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// meetings gives for each branch of a kernel the instruction where lanes that it parted meet again: the start of the immediate post-dominator of its
// basic block; the body's length where they only meet at the end.
func meetings(k *ptx.Kernel) []int {
	starts := blockStarts(k)
	blockOf := func(pc int) int {
		i, found := slices.BinarySearch(starts, pc)
		if !found {
			i--
		}
		return i
	}
	end := len(starts) // the block behind all others
	next := make([][]int, end)
	for b := range starts {
		last := len(k.Body) - 1
		if b+1 < end {
			last = starts[b+1] - 1
		}
		in := k.Body[last]
		switch {
		case in.Op == "bra":
			if to, ok := k.Labels[in.Args[0].Name]; ok {
				next[b] = append(next[b], blockOf(to))
			}
		case in.Op == "ret" || in.Op == "exit":
			next[b] = append(next[b], end)
		}
		if in.Guard != "" || len(next[b]) == 0 {
			next[b] = append(next[b], min(b+1, end))
		}
	}
	post := postDominators(next)
	meets := make([]int, len(k.Body))
	for pc, in := range k.Body {
		if in.Op != "bra" {
			continue
		}
		meets[pc] = len(k.Body)
		if p := post[blockOf(pc)]; p < end {
			meets[pc] = starts[p]
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
