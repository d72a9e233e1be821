package rig

import (
	"context"
	"slices"
	"time"

	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
)

// Collective is how fast the ranks of this machine carry out one collective, each rank on a core of its own.
type Collective struct {
	Op      comm.Op
	Ranks   int
	Bytes   int64         // of the larger buffer of a call
	Time    time.Duration // median of one call, of the slowest rank
	AlgGBps float64       // bytes / time, 1e9 bytes a second
	BusGBps float64       // nccl-tests' bus bandwidth
}

// CollectiveSizes are of a gradient bucket that is small, and of one that fills no cache.
var CollectiveSizes = []int64{64 << 10, 4 << 20, 64 << 20}

// Collectives measures every collective that moves data between so many ranks, on float32, at each size for the given time.
func (r *Rig) Collectives(ctx context.Context, ranks int, sizes []int64, each time.Duration) ([]Collective, error) {
	tiny, err := workload.ParseModel("tiny") // any will do
	if err != nil {
		return nil, err
	}
	c := workload.Default(tiny)
	c.TP, c.Device = ranks, string(r.machine.Device) // on this axis a rank has one stream, which may keep its core
	if !c.OnGPU() {
		c.Threads = 1
	}
	c.Technique = workload.Classify(c)
	var out []Collective
	err = r.launch(ctx, order{Task: talking, Sizes: sizes, Each: each}, c, false, func(ctx context.Context, rank *parallel.Rank) error {
		for _, op := range comm.Ops {
			if comm.BusFactor(op, ranks) == 0 {
				continue
			}
			for _, size := range sizes {
				one, err := timeCollective(ctx, rank, op, size, each)
				if err != nil {
					return err
				}
				if rank.ID == 0 {
					out = append(out, one)
				}
			}
		}
		return nil
	})
	return out, err
}

// callsAtOnce are enqueued together, so that the streams of all ranks are awake.
const callsAtOnce = 7

// timeCollective repeats one call, each behind a barrier of the ranks' streams, at least seven times, and takes the median of the slowest rank's times between events on its stream.
func timeCollective(ctx context.Context, rank *parallel.Rank, op comm.Op, size int64, each time.Duration) (Collective, error) {
	p := rank.World
	n := max(1, int(size)/kernels.F32.Size()/p) * p
	call, err := prepare(rank, op, n)
	if err != nil {
		return Collective{}, err
	}
	x, err := newExchange(rank)
	if err != nil {
		return Collective{}, err
	}
	events, err := newMarks(rank, 2*callsAtOnce)
	if err != nil {
		return Collective{}, err
	}
	var times []float64
	for begin, spent := time.Now(), 0.0; len(times) < callsAtOnce || spent < each.Seconds(); {
		if err := ctx.Err(); err != nil {
			return Collective{}, err
		}
		for i := range callsAtOnce {
			rank.All.Barrier(rank.Compute)
			rank.Compute.Record(events[2*i])
			call()
			rank.Compute.Record(events[2*i+1])
		}
		if err := rank.Compute.Sync(); err != nil {
			return Collective{}, err
		}
		for i := range callsAtOnce {
			slowest, err := x.largest(events[2*i+1].Since(events[2*i]).Seconds())
			if err != nil {
				return Collective{}, err
			}
			times = append(times, slowest)
		}
		if spent, err = x.largest(time.Since(begin).Seconds()); err != nil {
			return Collective{}, err
		}
	}
	times = times[1:] // the first call touches its memory for the first time
	slices.Sort(times)
	median := time.Duration(times[len(times)/2] * 1e9)
	bytes := int64(n * kernels.F32.Size())
	alg, bus := comm.Bandwidth(op, p, bytes, median)
	return Collective{Op: op, Ranks: p, Bytes: bytes, Time: median, AlgGBps: alg / 1e9, BusGBps: bus / 1e9}, nil
}

// newMarks are events of a rank's device, for as long as the rank is there.
func newMarks(rank *parallel.Rank, n int) ([]kernels.Event, error) {
	var events []kernels.Event
	for range n {
		e, err := rank.Device.NewEvent()
		if err != nil {
			return nil, err
		}
		rank.Defer(func() { e.Close() })
		events = append(events, e)
	}
	return events, nil
}

// prepare allocates the buffers of a collective whose larger one has n elements, and returns the call.
func prepare(rank *parallel.Rank, op comm.Op, n int) (call func(), err error) {
	var bufs [2]kernels.Tensor
	for i := range bufs {
		b, err := rank.Device.Alloc(kernels.F32, n)
		if err != nil {
			return nil, err
		}
		rank.Defer(b.Free)
		bufs[i] = kernels.Of(b, n)
	}
	s, all, whole, other, part := rank.Compute, rank.All, bufs[0], bufs[1], bufs[1].At(0, n/rank.World)
	switch op {
	case comm.AllReduce:
		return func() { all.AllReduce(s, whole, whole) }, nil
	case comm.ReduceScatter:
		return func() { all.ReduceScatter(s, part, whole) }, nil
	case comm.AllGather:
		return func() { all.AllGather(s, whole, part) }, nil
	case comm.Broadcast:
		return func() { all.Broadcast(s, whole, 0) }, nil
	case comm.AllToAll:
		return func() { all.AllToAll(s, other, whole) }, nil
	case comm.SendRecv:
		if rank.ID%2 == 0 && rank.ID+1 < rank.World {
			return func() { all.Send(s, whole, rank.ID+1) }, nil
		}
		if rank.ID%2 == 1 {
			return func() { all.Recv(s, whole, rank.ID-1) }, nil
		}
		return func() {}, nil // an odd rank out
	}
	panic("rig: a collective that moves nothing")
}
