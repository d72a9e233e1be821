package parallel

import (
	"errors"
	"fmt"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// Rank is what one of a world's ranks works with: a device, streams and communicators. Each communicator is used from one stream only, but for TP, whose calls on two are ordered by events.
type Rank struct {
	ID, World int
	Coord
	Strategy Strategy // with its defaults filled in
	Device   kernels.Device

	// Compute runs the model, and the collectives that it waits for; Reduce the gradient all-reduce; Pipe the transfers between stages; Ring those
	// of keys and values; Aside the tensor-parallel calls that go on beside products. What the strategy does not need is nil.
	Compute, Reduce, Pipe, Ring, Aside kernels.Stream

	// All is the world. On the axes: TP connects the ranks that differ in their part of each layer only, PP in their stage, EP in their data and their
	// experts, CP in their positions of the same sequences, in order. DP connects those that hold the same parameters (the product of DP and CP).
	All, DP, TP, PP, EP, CP comm.Communicator
	// Model connects the ranks that hold one copy of the model but for its experts (the product of TP and PP), Data those that hold the same part of
	// each layer, experts aside (the product of DP, EP, CP and PP), Grads those among them of one stage (the product of DP, EP and CP).
	Model, Data, Grads comm.Communicator

	cleanups []func()
}

// Defer keeps f until the rank's streams are idle and no other rank can read its memory any more; then all f run, the last first. It
// is the place to free device memory.
func (r *Rank) Defer(f func()) { r.cleanups = append(r.cleanups, f) }

// Counts is what this rank's communicators have moved.
func (r *Rank) Counts() comm.Counts {
	var sum comm.Counts
	for _, c := range r.communicators() {
		if c != nil {
			sum = sum.Plus(c.Counts())
		}
	}
	return sum
}

// communicators are those of the axes, then the world's; nil where open failed before.
func (r *Rank) communicators() [9]comm.Communicator {
	return [9]comm.Communicator{r.DP, r.TP, r.PP, r.EP, r.CP, r.Model, r.Data, r.Grads, r.All}
}

// Sync waits for all streams, and gives the first one's error.
func (r *Rank) Sync() error {
	var first error
	for _, s := range r.streams() {
		if s == nil {
			continue
		}
		if err := s.Sync(); first == nil {
			first = err
		}
	}
	return first
}

func (r *Rank) streams() [5]kernels.Stream {
	return [5]kernels.Stream{r.Compute, r.Reduce, r.Pipe, r.Ring, r.Aside}
}

// Others are the streams beside Compute.
func (r *Rank) Others() (others []kernels.Stream) {
	for _, s := range r.streams() {
		if s != nil && s != r.Compute {
			others = append(others, s)
		}
	}
	return others
}

// open makes streams and communicators. All ranks call it at the same time.
func (r *Rank) open() error {
	for _, s := range []struct {
		stream *kernels.Stream
		needed bool
	}{
		{&r.Compute, true}, // first, for a CPU gives its team of threads to its first stream
		{&r.Reduce, r.Strategy.DP*r.Strategy.EP*r.Strategy.CP > 1},
		{&r.Pipe, r.Strategy.PP > 1},
		{&r.Ring, r.Strategy.CP > 1 && !r.Strategy.Naive},
		{&r.Aside, r.Strategy.Aside},
	} {
		if !s.needed {
			continue
		}
		var err error
		if *s.stream, err = r.Device.NewStream(); err != nil {
			return fmt.Errorf("stream: %w", err)
		}
		r.follow(*s.stream)
	}
	if err := r.All.Bind(r.Compute); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	c := r.Coord
	for _, axis := range []struct {
		comm *comm.Communicator
		same Coord // ranks with equal values here form a group
	}{
		{&r.DP, Coord{TP: c.TP, PP: c.PP, EP: c.EP}},
		{&r.TP, Coord{DP: c.DP, PP: c.PP, EP: c.EP, CP: c.CP}},
		{&r.PP, Coord{DP: c.DP, TP: c.TP, EP: c.EP, CP: c.CP}},
		{&r.EP, Coord{DP: c.DP, TP: c.TP, PP: c.PP, CP: c.CP}},
		{&r.CP, Coord{DP: c.DP, TP: c.TP, PP: c.PP, EP: c.EP}},
		{&r.Model, Coord{DP: c.DP, EP: c.EP, CP: c.CP}},
		{&r.Data, Coord{TP: c.TP}},
		{&r.Grads, Coord{TP: c.TP, PP: c.PP}},
	} {
		var err error
		if *axis.comm, err = r.All.Split(r.Strategy.Mesh().Rank(axis.same), r.ID); err != nil {
			return fmt.Errorf("split: %w", err)
		}
	}
	return nil
}

// follow makes a stream's operators part of what the rank's journal tells.
func (r *Rank) follow(s kernels.Stream) {
	if w, ok := s.(kernels.WatchedStream); ok {
		if j := comm.JournalOf(r.All); j != nil {
			j.Follow(w)
		}
	}
}

// close releases everything. The world has ended: all ranks' streams are idle.
func (r *Rank) close() error {
	var errs []error
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		r.cleanups[i]()
	}
	for _, c := range r.communicators() {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	for _, s := range r.streams() {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	if r.Device != nil {
		errs = append(errs, r.Device.Close())
	}
	return errors.Join(errs...)
}
