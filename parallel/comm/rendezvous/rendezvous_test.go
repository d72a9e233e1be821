package rendezvous

import (
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ofpeak/parallel/comm"
)

func TestGroupsFollowColorKeyAndRank(t *testing.T) {
	got := Groups([]Ask{{0, 1, 0}, {1, 0, 5}, {2, 1, -1}, {3, -1, 0}, {4, 0, 5}, {5, -2, 0}})
	if want := [][]int{{1, 4}, {2, 0}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Groups([]Ask{{0, -1, 0}}); len(got) != 0 {
		t.Errorf("no color gave %v", got)
	}
}

// No rank is let go before the last has come, round after round.
func TestBarrierHoldsAll(t *testing.T) {
	const ranks, rounds = 5, 200
	b, done := NewBarrier(ranks), make(chan struct{})
	var came atomic.Int32
	var all sync.WaitGroup
	for r := range ranks {
		all.Go(func() {
			for round := range rounds {
				came.Add(1)
				if !b.WaitPatiently(r, done, time.Duration(round%3)*time.Millisecond) {
					t.Error("cut short")
				}
				if n := int(came.Load()); n < ranks*(round+1) {
					t.Errorf("rank %d left round %d when %d had come", r, round, n)
				}
			}
		})
	}
	all.Wait()
}

func TestFaultReachesWhoeverWaits(t *testing.T) {
	f, b, cause := NewFault(), NewBarrier(2), errors.New("rank 1 died")
	if f.Get() != nil {
		t.Fatal("a new world is aborted")
	}
	left := make(chan bool)
	go func() { left <- b.Wait(0, f.Done()) }()
	f.Set(cause)
	f.Set(errors.New("too late"))
	if <-left {
		t.Error("the barrier let a rank through")
	}
	if err := f.Get(); !errors.Is(err, cause) || !errors.Is(err, comm.ErrAborted) {
		t.Errorf("got %v", err)
	}
}
