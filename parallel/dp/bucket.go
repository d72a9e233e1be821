package dp

import (
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel/comm"
)

// Bucketed sums each bucket on a stream of its own as soon as the backward pass has completed it, while that goes on (Li et al., "PyTorch
// Distributed: Experiences on Accelerating Data Parallel Training", arXiv:2006.15704, section 3.2.3).
type Bucketed struct {
	comm            comm.Communicator
	compute, reduce kernels.Stream
	buckets         []block.Range
	grads           []kernels.Tensor // by bucket
	ready           []kernels.Event  // by bucket
	done            kernels.Event
	next            int
}

// Elements is the number of elements of a type in a bucket of so many bytes, rounded up to whole cache lines.
func Elements(bytes int64, t kernels.DType) int {
	const line = 64
	return int(max(1, (bytes+line-1)/line) * line / int64(t.Size()))
}

// NewBucketed cuts a stage's gradients into buckets of so many bytes, rounded up to whole cache lines.
func NewBucketed(dev kernels.Device, c comm.Communicator, compute, reduce kernels.Stream, st *block.Stage, bytes int64) (*Bucketed, error) {
	each := Elements(bytes, st.Precision.Stats)
	b := &Bucketed{comm: c, compute: compute, reduce: reduce, buckets: block.Buckets(block.Range{Hi: st.Size()}, each)}
	var err error
	if b.done, err = dev.NewEvent(); err != nil {
		return nil, err
	}
	for _, k := range b.buckets {
		b.grads = append(b.grads, st.Grads.At(k.Lo, k.Len()))
		e, err := dev.NewEvent()
		if err != nil {
			b.Close()
			return nil, err
		}
		b.ready = append(b.ready, e)
	}
	return b, nil
}

// Forward needs no hooks: every rank holds its parameters.
func (b *Bucketed) Forward() block.Hooks { return nil }

// Backward gives hooks to the last pass, after which the gradients are complete.
func (b *Bucketed) Backward(last bool) block.Hooks {
	if last {
		return b
	}
	return nil
}

// Gather has nothing to fetch.
func (b *Bucketed) Gather(int) {}

// Ready starts the sums of the buckets that lie from an element on.
func (b *Bucketed) Ready(from int) {
	for ; b.next < len(b.buckets) && b.buckets[b.next].Lo >= from; b.next++ {
		i := b.next
		b.compute.Record(b.ready[i])
		b.reduce.Wait(b.ready[i])
		b.comm.AllReduce(b.reduce, b.grads[i], b.grads[i])
	}
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
