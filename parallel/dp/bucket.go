package dp

import (
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel/comm"
)

// Bucket is a range of the gradients that is summed in one call.
type Bucket struct {
	Lo, Hi int // elements
	Layer  int // the bucket is complete when this layer, its first, is
}

// Buckets gathers layers from the last to the first, the order in which the backward pass completes them, into ranges of at least
// so many elements; only the first layers' may be smaller. ranges are the layers' places in the gradients, one behind another.
func Buckets(ranges [][2]int, atLeast int) []Bucket {
	var bs []Bucket
	open := false
	for layer := len(ranges) - 1; layer >= 0; layer-- {
		lo, hi := ranges[layer][0], ranges[layer][1]
		if lo == hi {
			continue
		}
		if !open {
			bs = append(bs, Bucket{Hi: hi})
		}
		b := &bs[len(bs)-1]
		b.Lo, b.Layer = lo, layer
		open = b.Hi-b.Lo < atLeast
	}
	return bs
}

// Bucketed sums each bucket on a stream of its own as soon as the backward pass has completed it, while that goes on (Li et al., "PyTorch
// Distributed: Experiences on Accelerating Data Parallel Training", arXiv:2006.15704, section 3.2.3).
type Bucketed struct {
	comm            comm.Communicator
	compute, reduce kernels.Stream
	buckets         []Bucket
	grads           []kernels.Tensor // by bucket
	ready           []kernels.Event  // by bucket
	done            kernels.Event
	next            int
}

// NewBucketed cuts a stage's gradients into buckets of at least so many bytes.
func NewBucketed(dev kernels.Device, c comm.Communicator, compute, reduce kernels.Stream, st *block.Stage, bytes int64) (*Bucketed, error) {
	ranges := make([][2]int, st.LayerCount())
	for i := range ranges {
		ranges[i][0], ranges[i][1] = st.LayerRange(i)
	}
	size := int64(st.Precision.Stats.Size())
	b := &Bucketed{comm: c, compute: compute, reduce: reduce, buckets: Buckets(ranges, int((bytes+size-1)/size))}
	var err error
	if b.done, err = dev.NewEvent(); err != nil {
		return nil, err
	}
	for _, k := range b.buckets {
		b.grads = append(b.grads, st.Grads.At(k.Lo, k.Hi-k.Lo))
		e, err := dev.NewEvent()
		if err != nil {
			b.Close()
			return nil, err
		}
		b.ready = append(b.ready, e)
	}
	return b, nil
}

// Gather has nothing to fetch: every rank holds its parameters.
func (b *Bucketed) Gather(int) {}

// Ready starts the sum of the bucket that the layer completes, if it completes one.
func (b *Bucketed) Ready(layer int) {
	i := b.next
	if i == len(b.buckets) || b.buckets[i].Layer != layer {
		return
	}
	b.compute.Record(b.ready[i])
	b.reduce.Wait(b.ready[i])
	b.comm.AllReduce(b.reduce, b.grads[i], b.grads[i])
	b.next++
}

// Wait holds the compute stream until all buckets are summed.
func (b *Bucketed) Wait() {
	if b.next != len(b.buckets) {
		panic("dp: a bucket was never complete: the hooks did not see the last backward pass")
	}
	b.next = 0
	b.reduce.Record(b.done)
	b.compute.Wait(b.done)
}

// Close frees the events. The streams are idle.
func (b *Bucketed) Close() {
	for _, e := range append(b.ready, b.done) {
		e.Close()
	}
}
