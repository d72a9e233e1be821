package comm

import "time"

// Op names a collective.
type Op uint8

const (
	AllReduce Op = iota
	ReduceScatter
	AllGather
	Broadcast
	AllToAll
	SendRecv
	Barrier
	opCount
)

// Ops lists the collectives.
var Ops = []Op{AllReduce, ReduceScatter, AllGather, Broadcast, AllToAll, SendRecv, Barrier}

// String is the name used in tables.
func (o Op) String() string {
	return [...]string{"all-reduce", "reduce-scatter", "all-gather", "broadcast", "all-to-all", "send-recv", "barrier"}[o]
}

// Counts is the number of calls of each collective and the algorithm bytes that they moved: the size of the larger of a call's two
// buffers, as in nccl-tests (doc/PERFORMANCE.md, "Algorithm bandwidth"). A Send and a Recv count once each, on their own rank.
type Counts struct {
	Calls [opCount]int64
	Bytes [opCount]int64
}

// Add counts one call.
func (c *Counts) Add(op Op, bytes int64) {
	c.Calls[op]++
	c.Bytes[op] += bytes
}

// Plus is the sum of two counts.
func (c Counts) Plus(d Counts) Counts {
	for op := range c.Calls {
		c.Calls[op] += d.Calls[op]
		c.Bytes[op] += d.Bytes[op]
	}
	return c
}

// Total is the bytes of all collectives.
func (c Counts) Total() int64 {
	var n int64
	for _, b := range c.Bytes {
		n += b
	}
	return n
}

// BusFactor turns algorithm bandwidth into bus bandwidth, the rate at which the busiest link must move data whatever the algorithm, so
// that it can be held against the hardware's. nccl-tests derives it in doc/PERFORMANCE.md, "Bus bandwidth"; p ranks, S algorithm
// bytes:
//
//	all-reduce      2(p-1)/p  each element is sent p-1 times to be summed and p-1 times to be returned, over p links
//	reduce-scatter  (p-1)/p   only summed
//	all-gather      (p-1)/p   only returned
//	all-to-all      (p-1)/p   a rank keeps its own part
//	broadcast       1         the root's link carries all S
//	send-recv       1
//	barrier         0         moves nothing
func BusFactor(op Op, p int) float64 {
	if p < 1 {
		panic("comm: bus factor of less than one rank")
	}
	share := float64(p-1) / float64(p)
	switch op {
	case AllReduce:
		return 2 * share
	case ReduceScatter, AllGather, AllToAll:
		return share
	case Broadcast, SendRecv:
		return 1
	}
	return 0
}

// Bandwidth is the algorithm and the bus bandwidth of one call, in bytes per second.
func Bandwidth(op Op, p int, bytes int64, d time.Duration) (alg, bus float64) {
	alg = float64(bytes) / d.Seconds()
	return alg, alg * BusFactor(op, p)
}
