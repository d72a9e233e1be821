package pp

import (
	"cmp"
	"slices"
)

// Interleaved is 1F1B where each rank holds several stages of the model, chunks of it, that lie one round of the ranks apart: chunk c of rank i is
// stage c·stages+i (Narayanan et al., arXiv:2104.04473, section 2.2.2, figure 4 bottom). The pipeline fills in steps of a chunk instead of a whole
// rank's layers, so its bubble shrinks by the number of chunks; a microbatch crosses it as many times more often.
//
// Microbatches take turns in groups, of as many as there are ranks; the last group also takes what is left over. In a group each
// chunk runs all microbatches before the next chunk begins. The paper asks for whole groups; any number runs here.
func Interleaved(chunks int) Schedule {
	return func(stage, stages, microbatches int) []Action {
		if chunks == 1 {
			return OneFOneB(stage, stages, microbatches)
		}
		return interleave(stages, microbatches, chunks)[stage]
	}
}

// interleave gives all ranks' actions.
func interleave(stages, microbatches, chunks int) [][]Action {
	var orders [][]Action
	for i := range stages {
		orders = append(orders, interleaved(i, stages, microbatches, chunks))
	}
	return weave(orders, chunks)
}

// InterleavedInference is the forward half of Interleaved.
func InterleavedInference(chunks int) Schedule {
	return func(stage, stages, microbatches int) []Action {
		if chunks == 1 {
			return Inference(stage, stages, microbatches)
		}
		var orders [][]Action
		for range stages {
			orders = append(orders, rounds(Forward, stages, microbatches, chunks))
		}
		return weave(orders, chunks)[stage]
	}
}

// interleaved is the order of one rank's passes: forwards until the pipeline is full, then one forward and one backward in turn, then the backwards
// that are left. The largest group, which is the last, decides when the last chunk has results to start from.
func interleaved(stage, stages, microbatches, chunks int) []Action {
	forwards := rounds(Forward, stages, microbatches, chunks)
	backwards := rounds(Backward, stages, microbatches, chunks)
	sizes := groups(stages, microbatches)
	warm := min(len(forwards), 2*(stages-1-stage)+(chunks-1)*sizes[len(sizes)-1])
	order := slices.Clone(forwards[:warm])
	for i, f := range forwards[warm:] {
		order = append(order, f, backwards[i])
	}
	return append(order, backwards[len(forwards)-warm:]...)
}

// rounds are all passes of a kind: forward from the first chunk on, backward from the last.
func rounds(k Kind, stages, microbatches, chunks int) []Action {
	var passes []Action
	first := 0
	for _, size := range groups(stages, microbatches) {
		for i := range chunks {
			c := i
			if k == Backward {
				c = chunks - 1 - i
			}
			for m := first; m < first+size; m++ {
				passes = append(passes, Action{k, m, c})
			}
		}
		first += size
	}
	return passes
}

// groups are the sizes of the groups that microbatches take turns in.
func groups(stages, microbatches int) []int {
	var sizes []int
	for left := microbatches; left > 0; left -= sizes[len(sizes)-1] {
		if left < 2*stages {
			sizes = append(sizes, left)
		} else {
			sizes = append(sizes, stages)
		}
	}
	return sizes
}

// weave adds the transfers to each rank's passes. It runs all ranks on a clock where a forward takes 1 and a backward 2, and puts every transfer in front
// of the pass that needs it. All ranks' actions then are parts of one order in which each Send meets its Recv, so no rank can wait for another that
// waits for it, even where a Send waits for its Recv.
func weave(orders [][]Action, chunks int) [][]Action {
	var all []woven
	done := make(map[place]int, len(orders)*len(orders[0])) // when passes end
	clock, next := make([]int, len(orders)), make([]int, len(orders))
	for moved := true; moved; {
		moved = false
		for i, order := range orders {
			for ; next[i] < len(order); next[i]++ {
				w := woven{rank: i, pass: order[next[i]]}
				ready := 0
				if from, needs := w.source(len(orders), chunks); needs {
					if ready = done[from.place()]; ready == 0 {
						break
					}
				}
				w.time = max(clock[i], ready)
				clock[i] = w.time + 1
				if w.pass.Kind == Backward {
					clock[i]++
				}
				done[w.place()] = clock[i]
				all = append(all, w)
				moved = true
			}
		}
	}
	return separate(all, len(orders), chunks)
}

// woven is a pass of a rank, and when it starts.
type woven struct {
	time, rank int
	pass       Action
}

// place tells passes apart in few bytes.
type place [4]uint16

func (w woven) place() place {
	return place{uint16(w.rank), uint16(w.pass.Kind), uint16(w.pass.Microbatch), uint16(w.pass.Chunk)}
}

// source is the pass, of another rank, whose result w starts from, unless w is an end of the pipeline.
func (w woven) source(ranks, chunks int) (woven, bool) {
	step, ends := -1, w.rank == 0 && w.pass.Chunk == 0
	if w.pass.Kind == Backward {
		step, ends = 1, w.rank == ranks-1 && w.pass.Chunk == chunks-1
	}
	from := woven{rank: (w.rank + step + ranks) % ranks, pass: w.pass}
	if from.rank != w.rank+step {
		from.pass.Chunk += step
	}
	return from, !ends
}

// separate gives each rank its part of all passes in the order of their start, with the transfers.
func separate(all []woven, ranks, chunks int) [][]Action {
	slices.SortStableFunc(all, func(a, b woven) int { return cmp.Or(a.time-b.time, a.rank-b.rank) })
	out := make([][]Action, ranks)
	for len(all) > 0 {
		same := 1
		for same < len(all) && all[same].time == all[0].time {
			same++
		}
		for _, w := range all[:same] {
			send, recv := SendAct, RecvAct
			if w.pass.Kind == Backward {
				send, recv = SendGrad, RecvGrad
			}
			if from, needs := w.source(ranks, chunks); needs {
				out[from.rank] = append(out[from.rank], Action{send, from.pass.Microbatch, from.pass.Chunk})
				out[w.rank] = append(out[w.rank], Action{recv, w.pass.Microbatch, w.pass.Chunk})
			}
		}
		for _, w := range all[:same] {
			out[w.rank] = append(out[w.rank], w.pass)
		}
		all = all[same:]
	}
	return out
}
