package dp

import (
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel/comm"
)

// Bucket is a range of the gradients that is summed in one call.
type Bucket struct{ Lo, Hi int } // elements

// Buckets cuts n gradients from the end, where the backward pass completes them first, into ranges of so many elements; the last bucket, at the
// start, has what remains.
func Buckets(n, each int) []Bucket {
	var bs []Bucket
	for hi := n; hi > 0; hi -= each {
		bs = append(bs, Bucket{max(0, hi-each), hi})
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

// NewBucketed cuts a stage's gradients into buckets of so many bytes, rounded up to whole cache lines.
func NewBucketed(dev kernels.Device, c comm.Communicator, compute, reduce kernels.Stream, st *block.Stage, bytes int64) (*Bucketed, error) {
	const line = 64
	each := max(1, (bytes+line-1)/line) * line / int64(st.Precision.Stats.Size())
	b := &Bucketed{comm: c, compute: compute, reduce: reduce, buckets: Buckets(st.Size(), int(each))}
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
