package dp

import (
	"slices"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
)

// Bucketed sums each bucket on a stream of its own as soon as the backward pass has completed it, while that goes on (Li et al., "PyTorch
// Distributed: Experiences on Accelerating Data Parallel Training", arXiv:2006.15704, section 3.2.3).
type Bucketed struct {
	compute, reduce kernels.Stream
	buckets         []Part          // from the end
	ready           []kernels.Event // by bucket
	done            kernels.Event
	next            int
}

// Elements is the number of elements of a type in a bucket of so many bytes, rounded up to whole cache lines.
func Elements(bytes int64, t kernels.DType) int {
	const line = 64
	return int(max(1, (bytes+line-1)/line) * line / int64(t.Size()))
}

// NewBucketed cuts gradients of a type into buckets of so many bytes, rounded up to whole cache lines.
func NewBucketed(dev kernels.Device, compute, reduce kernels.Stream, parts []Part, t kernels.DType, bytes int64) (*Bucketed, error) {
	b := &Bucketed{compute: compute, reduce: reduce}
	for _, p := range slices.Backward(parts) {
		for _, r := range block.Buckets(p.Range, Elements(bytes, t)) {
			b.buckets = append(b.buckets, Part{r, p.Comm, p.Grads.At(r.Lo-p.Lo, r.Len())})
		}
	}
	var err error
	if b.done, err = dev.NewEvent(); err != nil {
		return nil, err
	}
	for range b.buckets {
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
		k := b.buckets[i]
		k.Comm.AllReduce(b.reduce, k.Grads, k.Grads)
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
