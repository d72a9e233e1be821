package block

import "ofpeak/kernels"

// Shards says how a stage's state is spread over the data-parallel ranks that hold the same stage (Rajbhandari et al., "ZeRO",
// arXiv:1910.02054, section 5). The zero Shards keeps everything on every rank.
type Shards struct {
	Ranks, Rank int
	// Level is ZeRO's stage: 1 spreads the master copy and the moments, 2 the gradients too, 3 the weights too.
	Level int
	// Bucket is the number of elements that ranks exchange in one call, rounded up to what divides among them; 0 means a whole layer.
	Bucket int
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

// unit is what the start and the length of every layer and bucket divide by: whole cache lines for each rank.
func (s Shards) unit() int { return align * s.Ranks }

// roundUp is the next multiple of unit.
func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// Buckets are a layer's, from its end. Each belongs to all ranks in equal parts, in rank order. Layers count from the stage's first.
func (st *Stage) Buckets(layer int) []Range {
	r := st.layers[layer]
	if st.Shards.Bucket == 0 {
		return Buckets(r, max(1, r.Len()))
	}
	return Buckets(r, roundUp(st.Shards.Bucket, st.Shards.unit()))
}

// Own is this rank's part of a bucket in an arena: part Rank of the bucket where the arena is whole, else where the shard holds that part.
func (st *Stage) Own(arena kernels.Tensor, bucket Range) kernels.Tensor {
	n := bucket.Len() / st.Shards.Ranks
	if arena.Size() == st.size {
		return arena.At(bucket.Lo+st.Shards.Rank*n, n)
	}
	return arena.At(bucket.Lo/st.Shards.Ranks, n)
}

// shared is the number of elements of an arena that is spread from a level on.
func (st *Stage) shared(level int) int {
	if st.Shards.Level >= level {
		return st.size / st.Shards.Ranks
	}
	return st.size
}

// home is where parameters lie for the passes: element from of them is the first of t.
type home struct {
	t    kernels.Tensor
	from int
}

// slots hold whole layers of an arena that is spread, even and odd ones in turn, so that one can be exchanged while its neighbour is in use.
type slots [2]kernels.Tensor

func (st *Stage) newSlots(t kernels.DType) slots {
	var largest [2]int
	for i, r := range st.layers {
		largest[i%2] = max(largest[i%2], r.Len())
	}
	return slots{st.heap.tensor(t, largest[0]), st.heap.tensor(t, largest[1])}
}

// in is the home of a layer in slots, or in the arena where there are none.
func (st *Stage) in(arena kernels.Tensor, s slots, layer int) home {
	if s[0].None() && s[1].None() {
		return home{arena, 0}
	}
	return home{s[layer%2], st.layers[layer].Lo}
}

// LayerWeights is where a bucket of a layer's weights lies for the passes.
func (st *Stage) LayerWeights(layer int, bucket Range) kernels.Tensor {
	return st.in(st.Weights, st.weightSlots, layer).at(bucket)
}

// LayerGrads is where the backward pass leaves a bucket of a layer's gradients.
func (st *Stage) LayerGrads(layer int, bucket Range) kernels.Tensor {
	return st.in(st.Grads, st.gradSlots, layer).at(bucket)
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
		n := b.Len() / st.Shards.Ranks
		first := b.Lo + st.Shards.Rank*n
		lo, hi := max(p.Off, first), min(p.Off+p.Len, first+n)
		if lo < hi {
			f(arena.At(b.Lo/st.Shards.Ranks+lo-first, hi-lo), lo-p.Off)
		}
	}
}

// Segment is a range of the parameters, of experts or of what all expert-parallel ranks hold alike.
type Segment struct {
	Range
	Expert bool
}

// Segments tile the parameters in order. Where one rank holds all experts there is one.
func (st *Stage) Segments() []Segment {
	whole := []Segment{{Range: Range{0, st.size}}}
	if st.Experts.Ranks == 1 {
		return whole
	}
	var ss []Segment
	for _, p := range st.Params {
		if len(ss) == 0 || ss[len(ss)-1].Expert != p.Expert {
			ss = append(ss, Segment{Range{p.Off, p.Off}, p.Expert})
		}
		last := &ss[len(ss)-1]
		last.Hi = p.Off + roundUp(p.Len, align)
	}
	return ss
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
