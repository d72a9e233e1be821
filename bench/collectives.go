package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"ofpeak/bench/rig"
	"ofpeak/parallel/comm"
	"ofpeak/results/render"
)

// sweepSizes are from a call's latency to what fills no cache.
var sweepSizes = []int64{1 << 10, 16 << 10, 256 << 10, 4 << 20, 64 << 20}

// collectiveTable has a row for each collective and size between the processes of this job, or one rank a core: time, and algorithm and bus bandwidth by nccl-tests' factors. In
// a process that is not the job's first it is empty.
func collectiveTable(ctx context.Context, stderr io.Writer, each time.Duration) (t render.Table, err error) {
	job, local, err := join(stderr, comm.DefaultStall)
	if err != nil {
		return t, err
	}
	r, err := rig.New(rig.Options{Job: job, LocalRank: local, Stall: comm.DefaultStall})
	if err != nil {
		return t, err
	}
	defer r.Close()
	if r.Following() {
		return t, r.Follow(ctx)
	}
	ranks := r.Machine().Cores
	if job != nil {
		ranks = job.Size()
	}
	return collectivesOf(ctx, r, ranks, each)
}

// collectivesOf is collectiveTable of so many ranks of a rig.
func collectivesOf(ctx context.Context, r *rig.Rig, ranks int, each time.Duration) (render.Table, error) {
	if ranks < 2 {
		return bandwidthTable("", nil), fmt.Errorf("one rank has no one to talk to; take a launcher with -np 2 or more, or two GPUs")
	}
	measured, err := r.Collectives(ctx, ranks, sweepSizes, each)
	return bandwidthTable(r.Engine(ranks), measured), err
}

func bandwidthTable(engine string, measured []rig.Collective) render.Table {
	t := render.Table{Header: []string{"engine", "collective", "ranks", "bytes", "us", "algbw_gb_per_s", "busbw_gb_per_s"}, Right: []int{2, 3, 4, 5, 6}}
	for _, c := range measured {
		t.Rows = append(t.Rows, []string{engine, c.Op.String(), fmt.Sprint(c.Ranks), fmt.Sprint(c.Bytes), fmt.Sprintf("%.1f", float64(c.Time)/1e3), digits(c.AlgGBps), digits(c.BusGBps)})
	}
	return t
}
