package rig

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"time"

	"ofpeak/bench/sweep"
	"ofpeak/bench/workload"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/trace"
)

// What all ranks of a case do together.
const (
	stepping = "step"     // measure
	probing  = "probe"    // the first steps
	checking = "check"    // one step to verify
	learning = "learn"    // the training check
	talking  = "exchange" // collectives
	costing  = "costs"    // what layers and collectives take
)

// order is how the first process of a job tells the others what to take part in.
type order struct {
	Task, Case string
	Sizes      []int64       // of collectives
	Each       time.Duration // likewise
}

// body is one rank's part.
type body = func(ctx context.Context, rank *parallel.Rank) error

// joined reports whether a case's ranks are processes.
func (r *Rig) joined(c workload.Case) bool { return r.job != nil && c.World() > 1 }

// launch runs b as every rank of a case: goroutines, or the processes of the job, of which the first tells the others. Recorded devices and communicators can
// be traced.
func (r *Rig) launch(ctx context.Context, o order, c workload.Case, recorded bool, b body) error {
	l := r.launcher(c)
	if recorded {
		l = r.recorded(c)
	}
	if !r.joined(c) {
		return l.Run(ctx, c.Strategy(), b)
	}
	if err := r.job.Lost(); err != nil {
		return fmt.Errorf("an earlier case cost the job a rank (%w); run with --launcher, which gives each case a job of its own", err)
	}
	if r.job.Rank() == 0 {
		o.Case = c.String()
		told, err := encode(o)
		if err != nil {
			return err
		}
		if _, err := r.job.Share(ctx, told); err != nil {
			return err
		}
	}
	p := parallel.Joined{Processes: r.job, Open: l.Open}
	if recorded {
		p.Wrap = func(c comm.Communicator) comm.Communicator { return trace.Connect([]comm.Communicator{c})[0] }
	}
	return p.Run(ctx, c.Strategy(), b)
}

// Follow takes part, in a process that is not the first, in what that measures, until it has ended.
func (r *Rig) Follow(ctx context.Context) error {
	for {
		b, err := r.job.Share(ctx, nil)
		if ctx.Err() != nil {
			return sweep.ErrInterrupted
		}
		if err != nil {
			if r.job.Lost() != nil {
				time.Sleep(parallel.Grace)
			}
			return err
		}
		if len(b) == 0 {
			return nil
		}
		var o order
		if err := decode(b, &o); err != nil {
			return err
		}
		c, err := workload.ParseCase(o.Case)
		if err != nil {
			return err
		}
		r.follow(ctx, o, c)
		if err := r.job.Lost(); err != nil {
			time.Sleep(parallel.Grace) // for the first process to write its row
			return err
		}
	}
}

// follow does one task. Its error is the first process's to tell, which it reaches as the world's.
func (r *Rig) follow(ctx context.Context, o order, c workload.Case) {
	switch o.Task {
	case stepping:
		_, _ = r.measure(ctx, c)
	case probing:
		_, _ = r.firstSteps(ctx, c)
	case checking:
		_, _ = r.snapshot(ctx, c)
	case learning:
		delete(r.learned, c)
		_, _ = r.curve(ctx, c)
	case costing:
		_, _ = r.Costs(ctx, c)
	case talking:
		_, _ = r.Collectives(ctx, c.World(), o.Sizes, o.Each)
	}
}

// Processes is the number of processes that the ranks of a case can be; 1 without a job.
func (r *Rig) Processes() int {
	if r.job == nil {
		return 1
	}
	return r.job.Size()
}

// Following reports whether this process is one of a job, and not the first: it follows, and reports nothing.
func (r *Rig) Following() bool { return r.job != nil && r.job.Rank() > 0 }

// leave ends this process's part in the job. Where a rank will not come back it ends the job.
func (r *Rig) leave() error {
	switch {
	case r.job == nil:
		return nil
	case r.job.Lost() != nil:
		r.job.Die(1)
	case r.job.Rank() == 0:
		if _, err := r.job.Share(context.Background(), nil); err != nil {
			return err
		}
	}
	end := make(chan error, 1)
	go func() { end <- r.job.Stop() }()
	select {
	case err := <-end:
		return err
	case <-time.After(parallel.Grace): // some process has not come to leave
		r.job.Die(1)
		return nil
	}
}

// merge gives the first of several processes what the others have of a case, each in its turn. Ranks of one process share it anyway.
func merge[T any](r *Rig, c workload.Case, rank *parallel.Rank, mine T, add func(T)) error {
	if !r.joined(c) {
		return nil
	}
	b, err := encode(mine)
	if err != nil {
		return err
	}
	all, err := rank.Gather(b)
	if err != nil {
		return err
	}
	for i, b := range all {
		if i == rank.ID {
			continue
		}
		var other T
		if err := decode(b, &other); err != nil {
			return err
		}
		add(other)
	}
	return nil
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

func decode(b []byte, v any) error { return gob.NewDecoder(bytes.NewReader(b)).Decode(v) }

// rankCores are the cores of one rank: its share of those that this process may use. Ranks that are processes of one host are told apart by their number there.
func (r *Rig) rankCores(c workload.Case, rank int) []int {
	if r.joined(c) && r.localRank >= 0 {
		rank = r.localRank
	}
	threads := c.RankThreads(len(r.cores))
	cores := make([]int, threads)
	for i := range cores {
		cores[i] = r.cores[(rank*threads+i)%len(r.cores)]
	}
	return cores
}

// Engine names what moves data between so many ranks.
func (r *Rig) Engine(ranks int) string {
	c := workload.Default(workload.Model{})
	c.DP, c.Device = ranks, string(r.machine.Device)
	return r.engine(c).name
}
