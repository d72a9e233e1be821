package dp

import (
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/events"
)

// Sharded is ZeRO (Rajbhandari et al., arXiv:1910.02054, sections 5 and 7): each rank updates its part of every bucket with its part of the
// optimizer state. Level 1 sums gradients like Bucketed, but leaves each rank its part of the sums only, and gathers the weights after
// the update. Level 2 also keeps only that part: the backward pass writes a layer's gradients to one of two slots, from which they are
// summed while it works on the layer before. Level 3 also keeps only parts of the weights: a layer's are gathered into one of two slots while the
// pass works on its neighbour. What no other rank holds stays where it is: experts, where no ranks hold the same ones.
type Sharded struct {
	compute, reduce kernels.Stream
	wait            func(kernels.Event)
	st              *block.Stage
	layers          [][]piece
	events          *events.Pool

	// Of the step under way:
	backward bool
	held     [2]int           // by slot: layer whose weights it holds, or waits for; -1: none
	here     [2]kernels.Event // by slot: the weights are there
	sent     [2]kernels.Event // by slot: its gradients are summed; nil: none yet
	layer    int              // in backward
	next     int              // its next bucket to sum
}

// piece is a bucket, and this rank's part of it.
type piece struct {
	lo                  int
	comm                comm.Communicator // nil: the part is all of it
	grads, ownGrads     kernels.Tensor    // to be summed, and where the part's sum goes
	slotGrads           kernels.Tensor    // the part in the slot, where there are slots
	weights, ownWeights kernels.Tensor
	update              kernels.AdamWArgs
}

// NewSharded prepares the exchange of a stage whose Shards are the groups'. wait makes the compute stream wait for an event; the caller may
// time it.
func NewSharded(dev kernels.Device, g Groups, compute, reduce kernels.Stream, st *block.Stage, h block.Hyper, wait func(kernels.Event)) (*Sharded, error) {
	made, err := events.NewPool(dev)
	if err != nil {
		return nil, err
	}
	z := &Sharded{compute: compute, reduce: reduce, wait: wait, st: st, events: made}
	for i := range st.Len() {
		var pieces []piece
		for _, b := range st.Buckets(i) {
			p := piece{
				lo: b.Lo, grads: st.LayerGrads(i, b), ownGrads: st.Own(st.Grads, b),
				weights: st.LayerWeights(i, b), ownWeights: st.Own(st.Weights, b), update: st.UpdateArgs(h, b),
			}
			if b.Ranks > 1 {
				p.comm = g.of(b)
			}
			if p.comm != nil && st.Shards.Level >= 2 {
				n := p.ownGrads.Size()
				p.slotGrads = p.grads.At(b.Rank*n, n)
			}
			pieces = append(pieces, p)
		}
		z.layers = append(z.layers, pieces)
	}
	z.Start()
	return z, nil
}

// Start forgets the last step, whose events have completed and whose weights are out of date.
func (z *Sharded) Start() {
	z.events.Start()
	z.held, z.sent = [2]int{-1, -1}, [2]kernels.Event{}
}

// Forward gives the hooks that fetch weights, from level 3 on.
func (z *Sharded) Forward() block.Hooks {
	if z.st.Shards.Level < 3 {
		return nil
	}
	z.backward = false
	return z
}

// Backward gives the hooks that sum gradients: after each pass where only a part of them is kept, else after the last.
func (z *Sharded) Backward(last bool) block.Hooks {
	if z.st.Shards.Level < 2 && !last {
		return nil
	}
	z.backward = true
	return z
}

// Gather makes a layer's slots ready for a pass, and fetches the weights of the layer that comes next.
func (z *Sharded) Gather(layer int) {
	if z.st.Shards.Level == 3 {
		z.fetch(layer)
		z.wait(z.here[layer%2])
		if z.backward {
			z.fetch(layer - 1)
		} else {
			z.fetch(layer + 1)
		}
	}
	if z.backward {
		z.layer, z.next = layer, 0
		z.clear(layer)
	}
}

// fetch gathers a layer's weights, if it has any that are not there. What is enqueued so far is done with the slot.
func (z *Sharded) fetch(layer int) {
	if layer < 0 || layer >= len(z.layers) || len(z.layers[layer]) == 0 || z.held[layer%2] == layer {
		return
	}
	z.after(z.compute, z.reduce)
	for i := range z.layers[layer] {
		z.gather(&z.layers[layer][i])
	}
	z.held[layer%2], z.here[layer%2] = layer, z.events.Record(z.reduce)
}

// gather gives a piece's weights to all its ranks.
func (z *Sharded) gather(p *piece) {
	if p.comm != nil {
		p.comm.AllGather(z.reduce, p.weights, p.ownWeights)
	}
}

// clear starts a layer's gradients in its slot: from what this rank's parts summed up to so far in the step, and zero elsewhere.
func (z *Sharded) clear(layer int) {
	if z.st.Shards.Level < 2 {
		return
	}
	if e := z.sent[layer%2]; e != nil {
		z.wait(e)
	}
	for i := range z.layers[layer] {
		if p := &z.layers[layer][i]; p.comm != nil {
			z.compute.Fill(p.grads, 0)
			z.compute.Copy(p.slotGrads, p.ownGrads)
		}
	}
}

// Ready sums the buckets of the layer in backward that lie from an element on.
func (z *Sharded) Ready(from int) {
	pieces := z.layers[z.layer]
	for ; z.next < len(pieces) && pieces[z.next].lo >= from; z.next++ {
		if p := &pieces[z.next]; p.comm != nil {
			z.after(z.compute, z.reduce)
			p.comm.ReduceScatter(z.reduce, p.ownGrads, p.grads)
		}
		if z.next == len(pieces)-1 {
			z.sent[z.layer%2] = z.events.Record(z.reduce)
		}
	}
}

// Wait holds the compute stream until all sums are there.
func (z *Sharded) Wait() { z.compute.Wait(z.events.Record(z.reduce)) }

// Update enqueues AdamW on this rank's parts, and gathers what every rank holds whole.
func (z *Sharded) Update() {
	for _, pieces := range z.layers {
		for i := range pieces {
			p := &pieces[i]
			z.compute.AdamW(p.update)
			if p.comm != nil && z.st.Shards.Level < 3 {
				z.after(z.compute, z.reduce)
				z.gather(p)
			}
		}
	}
}

// Updated completes when the weights are there.
func (z *Sharded) Updated() kernels.Event { return z.events.Record(z.reduce) }

// Collect gathers a layer's gradients and weights where the passes have them, for reading. All ranks call it, between steps.
func (z *Sharded) Collect(layer int) {
	z.Start()
	for i := range z.layers[layer] {
		if p := &z.layers[layer][i]; p.comm != nil {
			p.comm.AllGather(z.reduce, p.grads, p.ownGrads)
			z.gather(p)
		}
	}
	z.Wait()
}

// after makes a stream wait for what another has been given so far.
func (z *Sharded) after(first, then kernels.Stream) { then.Wait(z.events.Record(first)) }

// Err is the first failure to make an event.
func (z *Sharded) Err() error { return z.events.Err() }

// Close frees the events. The streams are idle.
func (z *Sharded) Close() { z.events.Close() }
