package block

import (
	"slices"

	"ofpeak/kernels"
)

// Shards says how a stage's state is spread over the ranks that hold it alike (Rajbhandari et al., "ZeRO", arXiv:1910.02054, section 5). The zero
// Shards keeps everything on every rank.
type Shards struct {
	// All are the ranks that hold the same stage, experts aside; Same those of them that also hold the same experts, where expert parallelism spreads
	// these (Kim et al., "Scalable and Efficient MoE Training", arXiv:2109.10465, section 3.1).
	All, Same Group
	// Level is ZeRO's stage: 1 spreads the master copy and the moments, 2 the gradients too, 3 the weights too.
	Level int
	// Bucket is the number of elements that ranks exchange in one call, rounded up to what divides among them; 0 means a whole segment.
	Bucket int
}

// Group is a number of ranks, and this one's place among them.
type Group struct{ Ranks, Rank int }

// normal fills in the defaults.
func (s Shards) normal() Shards {
	if s.Level == 0 {
		s = Shards{}
	}
	s.All.Ranks, s.Same.Ranks = max(s.All.Ranks, 1), max(s.Same.Ranks, 1)
	return s
}

// Range is elements Lo to Hi of a stage's parameters.
type Range struct{ Lo, Hi int }

// Len is the number of elements.
func (r Range) Len() int { return r.Hi - r.Lo }

// Buckets cuts a range from the end, where the backward pass completes gradients first, into ranges of so many elements; the last bucket, at
// the start, has what remains.
func Buckets(whole Range, each int) []Range {
	var bs []Range
	for hi := whole.Hi; hi > whole.Lo; hi -= each {
		bs = append(bs, Range{max(whole.Lo, hi-each), hi})
	}
	return bs
}

// roundUp is the next multiple of unit.
func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// Segment is a range of a layer's parameters that the same ranks hold alike: experts, or all else. Each of its group's ranks owns an equal part of it, in
// rank order. A bucket is a segment too.
type Segment struct {
	Range
	Expert bool // of experts that other ranks do not hold
	Group
	own int // where an arena that holds parts only has this rank's
}

// unit is what a segment's or a bucket's length divides by: whole cache lines for each rank.
func (s Segment) unit() int { return align * s.Ranks }

// buckets cuts a segment from the end.
func (s Segment) buckets(each int) []Segment {
	if each == 0 {
		return []Segment{s}
	}
	var bs []Segment
	for _, r := range Buckets(s.Range, roundUp(each, s.unit())) {
		bs = append(bs, Segment{r, s.Expert, s.Group, s.own + (r.Lo-s.Lo)/s.Ranks})
	}
	return bs
}

// elements is the size of segments: of this rank's parts, or of all.
func elements(segments []Segment, parts bool) int {
	n := 0
	for _, s := range segments {
		if parts {
			n += s.Len() / s.Ranks
		} else {
			n += s.Len()
		}
	}
	return n
}

// exchanged is the size of a layer up to the last segment of which ranks hold parts: what a slot must hold.
func exchanged(layer []Segment) int {
	n := 0
	for _, s := range layer {
		if s.Ranks > 1 {
			n = s.Hi - layer[0].Lo
		}
	}
	return n
}

// Buckets are a layer's, from its end. Layers count from the stage's first.
func (st *Stage) Buckets(layer int) []Segment {
	var bs []Segment
	for _, s := range slices.Backward(st.layers[layer]) {
		bs = append(bs, s.buckets(st.Shards.Bucket)...)
	}
	return bs
}

// Whole is all parameters, where nothing is spread.
func (st *Stage) Whole() Segment { return Segment{Range: Range{0, st.size}, Group: Group{Ranks: 1}} }

// Own is this rank's part of a bucket in an arena, which is whole or holds parts only.
func (st *Stage) Own(arena kernels.Tensor, bucket Segment) kernels.Tensor {
	n := bucket.Len() / bucket.Ranks
	if arena.Size() == st.size {
		return arena.At(bucket.Lo+bucket.Rank*n, n)
	}
	return arena.At(bucket.own, n)
}

// shared is the number of elements of an arena that is spread from a level on.
func (st *Stage) shared(level int) int {
	return elements(slices.Concat(st.layers...), st.Shards.Level >= level)
}

// home is where parameters lie for the passes: element from of them is the first of t.
type home struct {
	t    kernels.Tensor
	from int
}

// slots hold whole layers of an arena that is spread, even and odd ones in turn, so that one can be exchanged while its neighbour is in use.
type slots [2]kernels.Tensor

func (st *Stage) newSlots(t kernels.DType) slots {
	n := slotSizes(st.layers)
	return slots{st.heap.tensor(t, n[0]), st.heap.tensor(t, n[1])}
}

// slotSizes are the elements of the two slots.
func slotSizes(layers [][]Segment) [2]int {
	var largest [2]int
	for i, l := range layers {
		largest[i%2] = max(largest[i%2], exchanged(l))
	}
	return largest
}

// in is the home of a layer's segment: in slots, or in the arena where there are none or no other rank has a part.
func (st *Stage) in(arena kernels.Tensor, s slots, layer int, segment Segment) home {
	switch {
	case s[0].None() && s[1].None():
		return home{arena, 0}
	case segment.Ranks == 1:
		return home{arena, segment.Lo - segment.own}
	}
	return home{s[layer%2], st.layers[layer][0].Lo}
}

// LayerWeights is where a bucket of a layer's weights lies for the passes.
func (st *Stage) LayerWeights(layer int, bucket Segment) kernels.Tensor {
	return st.in(st.Weights, st.weightSlots, layer, bucket).at(bucket.Range)
}

// LayerGrads is where the backward pass leaves a bucket of a layer's gradients.
func (st *Stage) LayerGrads(layer int, bucket Segment) kernels.Tensor {
	return st.in(st.Grads, st.gradSlots, layer, bucket).at(bucket.Range)
}

// homeOf is where the passes find a parameter that lies in an arena, or in slots.
func (st *Stage) homeOf(p Param, arena kernels.Tensor, s slots) home {
	layer := st.Local(p.Layer)
	i := slices.IndexFunc(st.layers[layer], func(s Segment) bool { return p.Off < s.Hi })
	return st.in(arena, s, layer, st.layers[layer][max(0, i)])
}

func (h home) at(r Range) kernels.Tensor { return h.t.At(r.Lo-h.from, r.Len()) }

// keep stores a parameter's values (Len) in an arena, or what of them this rank owns.
func (st *Stage) keep(s kernels.Stream, arena kernels.Tensor, p Param, values kernels.Tensor) {
	st.pieces(arena, p, func(piece kernels.Tensor, from int) { s.Cast(piece, values.At(from, piece.Size())) })
}

// pieces calls f with each piece of a parameter that an arena holds, and the element that it starts with.
func (st *Stage) pieces(arena kernels.Tensor, p Param, f func(piece kernels.Tensor, from int)) {
	if arena.Size() == st.size {
		f(arena.At(p.Off, p.Len), 0)
		return
	}
	for _, b := range st.Buckets(st.Local(p.Layer)) {
		n := b.Len() / b.Ranks
		first := b.Lo + b.Rank*n
		lo, hi := max(p.Off, first), min(p.Off+p.Len, first+n)
		if lo < hi {
			f(arena.At(b.own+lo-first, hi-lo), lo-p.Off)
		}
	}
}

// Segments tile the parameters in order, each as long as the same ranks hold alike what follows.
func (st *Stage) Segments() []Segment {
	var all []Segment
	for _, s := range slices.Concat(st.layers...) {
		if n := len(all); n > 0 && all[n-1].Expert == s.Expert {
			all[n-1].Hi = s.Hi
		} else {
			all = append(all, s)
		}
	}
	return all
}

// Partials are the gradients, as far as Grads holds them, to which each tensor-parallel rank adds for its own tokens only: with
// Config.Sequence, the norms'. Their sum over those ranks is due before the optimizer.
func (st *Stage) Partials() []kernels.Tensor {
	var ts []kernels.Tensor
	for _, p := range st.Params {
		if st.Sequence && p.partial {
			st.pieces(st.Grads, p, func(piece kernels.Tensor, _ int) { ts = append(ts, piece) })
		}
	}
	return ts
}
