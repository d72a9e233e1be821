// Package comm is the contract of collective communication between ranks, with NCCL's semantics: a call enqueues on a stream and
// returns, the ranks of a communicator make the same calls in the same order, and the first failure sticks. What a collective costs is
// counted here too, by the rules of nccl-tests.
//
// It moves and sums tensors; it is not a message queue, and it does not start processes.
package comm

import (
	"errors"

	"ofpeak/kernels"
)

// ErrAborted is wrapped by every error that a communicator reports after an Abort.
var ErrAborted = errors.New("communicator aborted")

// Communicator connects the ranks of one group. All calls of one communicator go to one stream, or to streams ordered by events. Tensors of
// one call have the same type and size on every rank; p is Size(). Only sums are reduced: in rank order, in at least float32, so that
// every rank gets the same bits.
type Communicator interface {
	Rank() int
	Size() int

	// Bind tells the communicator of a world the rank's device, by one of its streams. All ranks call it before they call anything else, and wait for each other.
	Bind(s kernels.Stream) error

	// AllReduce: dst (n) = Σ over ranks of src (n); dst may be src.
	AllReduce(s kernels.Stream, dst, src kernels.Tensor)
	// ReduceScatter: dst (n) = part Rank() of Σ over ranks of src (p·n); dst may be part Rank() of src.
	ReduceScatter(s kernels.Stream, dst, src kernels.Tensor)
	// AllGather: part r of dst (p·n) = src (n) of rank r; src may be part Rank() of dst.
	AllGather(s kernels.Stream, dst, src kernels.Tensor)
	// Broadcast: buf = buf of root.
	Broadcast(s kernels.Stream, buf kernels.Tensor, root int)
	// AllToAll: part r of dst (p·n) = part Rank() of rank r's src (p·n).
	AllToAll(s kernels.Stream, dst, src kernels.Tensor)
	// Send returns, in stream order, when peer's Recv has taken src.
	Send(s kernels.Stream, src kernels.Tensor, peer int)
	// Recv fills dst from peer's Send.
	Recv(s kernels.Stream, dst kernels.Tensor, peer int)
	// Group makes one call of the Sends and Recvs that f enqueues on s, at most one of each for a peer: all are under way at once, so that ranks
	// can exchange in any order, as between NCCL's ncclGroupStart and ncclGroupEnd.
	Group(s kernels.Stream, f func())
	// Barrier holds the stream until every rank's stream is there.
	Barrier(s kernels.Stream)

	// Split makes one communicator for every color, its ranks ordered by key and then by rank. It is called by all ranks and waits for
	// them. A rank with a negative color gets nil.
	Split(color, key int) (Communicator, error)
	// Abort makes all pending and later calls of this communicator, and of all others made from the same world, fail with err.
	Abort(err error)
	// Counts is what this rank's calls have moved so far.
	Counts() Counts
	Close() error
}

// As is a communicator, or the first of those that it wraps, which has the methods of T too.
func As[T any](c Communicator) (T, bool) {
	for {
		if t, ok := c.(T); ok {
			return t, true
		}
		w, ok := c.(interface{ Unwrap() Communicator })
		if !ok {
			var none T
			return none, false
		}
		c = w.Unwrap()
	}
}
