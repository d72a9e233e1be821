package team

import (
	"errors"
	"ofpeak/kernels/kerneltest"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// tally counts the calls of each worker.
type tally struct{ calls [8]atomic.Int64 }

func (c *tally) Part(worker, workers int) { c.calls[worker].Add(1) }

func TestRunCallsEveryWorkerOnce(t *testing.T) {
	for _, size := range []int{1, 2, 3, 5} {
		tm := NewUnpinned(size)
		var c tally
		const rounds = 500
		for range rounds {
			tm.Run(&c)
		}
		tm.Close()
		for w := range c.calls {
			want := int64(0)
			if w < size {
				want = rounds
			}
			if got := c.calls[w].Load(); got != want {
				t.Errorf("size %d: worker %d ran %d times, want %d", size, w, got, want)
			}
		}
	}
}

// Workers that have parked must wake as surely as those that spin.
func TestRunAfterIdle(t *testing.T) {
	tm := NewUnpinned(3)
	defer tm.Close()
	var c tally
	for range 20 {
		tm.Run(&c)
		time.Sleep(time.Millisecond)
	}
	if got := c.calls[2].Load(); got != 20 {
		t.Errorf("worker 2 ran %d times, want 20", got)
	}
}

// The caller must park, and be woken, when another worker is far slower.
func TestSlowWorker(t *testing.T) {
	tm := NewUnpinned(2)
	defer tm.Close()
	var done atomic.Bool
	tm.Run(Func(func(worker, _ int) {
		if worker == 1 {
			time.Sleep(20 * time.Millisecond)
			done.Store(true)
		}
	}))
	if !done.Load() {
		t.Error("Run returned before worker 1 was done")
	}
}

func TestPanics(t *testing.T) {
	tm := NewUnpinned(2)
	defer tm.Close()
	for _, culprit := range []int{0, 1} {
		var other atomic.Bool
		v := recovered(func() {
			tm.Run(Func(func(worker, _ int) {
				if worker == culprit {
					panic("broken")
				}
				time.Sleep(5 * time.Millisecond)
				other.Store(true)
			}))
		})
		if !other.Load() {
			t.Errorf("culprit %d: the panic left before the other worker was done", culprit)
		}
		if p, ok := v.(*Panic); ok {
			v = p.Value
		}
		if v != "broken" {
			t.Errorf("culprit %d: recovered %v, want broken", culprit, v)
		}
	}
	var c tally
	tm.Run(&c)
	if c.calls[1].Load() != 1 {
		t.Error("the team is dead after a panic")
	}
}

func TestPanicError(t *testing.T) {
	var err error = &Panic{Worker: 3, Value: "broken"}
	var p *Panic
	if !errors.As(err, &p) || err.Error() == "" {
		t.Errorf("not an error: %v", err)
	}
}

func TestMisuse(t *testing.T) {
	closed := NewUnpinned(2)
	closed.Close()
	closed.Close()
	for name, f := range map[string]func(){
		"no cores":  func() { New(nil) },
		"size zero": func() { NewUnpinned(0) },
		"closed":    func() { closed.Run(&tally{}) },
		"core -1":   func() { _ = Pin(-1) },
	} {
		if recovered(f) == nil {
			t.Errorf("%s: no panic", name)
		}
	}
}

func TestPinned(t *testing.T) {
	cores, err := Cores()
	if err != nil || len(cores) == 0 {
		t.Fatalf("Cores() = %v, %v", cores, err)
	}
	core := cores[len(cores)-1]
	tm := New([]int{cores[0], core})
	defer tm.Close()
	if err := tm.PinErr(); err != nil {
		t.Fatal(err)
	}
	var seen []int
	tm.Run(Func(func(worker, _ int) {
		if worker == 1 {
			seen, err = Cores()
		}
	}))
	if err != nil || !slices.Equal(seen, []int{core}) && len(cores) > 1 {
		t.Errorf("worker 1 may run on %v (%v), want only %d", seen, err, core)
	}
}

func TestRunDoesNotAllocate(t *testing.T) {
	tm := NewUnpinned(2)
	defer tm.Close()
	var c tally
	if n := kerneltest.Allocs(100, func() { tm.Run(&c) }); n != 0 {
		t.Errorf("%v allocations per Run", n)
	}
}

func BenchmarkRun(b *testing.B) {
	tm := NewUnpinned(2)
	defer tm.Close()
	var c tally
	for b.Loop() {
		tm.Run(&c)
	}
}

func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}
