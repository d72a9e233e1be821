package team

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestBell has sleepers follow a counter that is raised before each ring: no ring may be missed, or they would sleep for ever.
func TestBell(t *testing.T) {
	const last = 20000
	var b Bell
	var raised atomic.Int64
	var sleepers sync.WaitGroup
	for range 3 {
		sleepers.Go(func() {
			for seen := int64(0); seen < last; seen = raised.Load() {
				for rings := b.Rings(); raised.Load() == seen; rings = b.Rings() {
					b.Wait(rings)
				}
			}
		})
	}
	for range last {
		raised.Add(1)
		b.Ring()
	}
	done := make(chan struct{})
	go func() { sleepers.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("a sleeper missed the last ring")
	}
}

// TestBellSleeps has a bell ring long after its sleeper has come.
func TestBellSleeps(t *testing.T) {
	var b Bell
	const pause = 20 * time.Millisecond
	start, rings := time.Now(), b.Rings()
	time.AfterFunc(pause, b.Ring)
	for b.Rings() == rings {
		b.Wait(rings)
	}
	if waited := time.Since(start); waited < pause {
		t.Errorf("woken after %v, before the bell rang", waited)
	}
}

// TestBellLetsCollect has the garbage collector run, which stops all goroutines, while some sleep: it must not wait for a ring.
func TestBellLetsCollect(t *testing.T) {
	var b Bell
	var sleepers sync.WaitGroup
	var rung atomic.Bool
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 3)) // as the streams whose threads these are would
	for range 3 {
		sleepers.Go(func() {
			runtime.LockOSThread()
			for rings := b.Rings(); !rung.Load(); rings = b.Rings() {
				b.Wait(rings)
			}
		})
	}
	collected := make(chan struct{})
	go func() {
		for range 20 {
			runtime.GC()
		}
		close(collected)
	}()
	select {
	case <-collected:
	case <-time.After(time.Minute):
		t.Error("no collection within a minute while threads slept")
	}
	rung.Store(true)
	b.Ring()
	sleepers.Wait()
}
