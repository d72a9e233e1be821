package team

import (
	"math"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bell wakes threads that sleep until it rings. Goroutines that are bound to threads are woken by way of another thread of Go's scheduler, which has to get a core first;
// here the system wakes the sleeper itself.
type Bell struct {
	rings  atomic.Uint32
	asleep atomic.Int32
}

// Linux's futex operations for threads of one process.
const (
	futexWait = 0x80
	futexWake = 0x81
)

// Rings counts how often the bell has rung.
func (b *Bell) Rings() uint32 { return b.rings.Load() }

// nap bounds a sleep, for Go's collector where signals must not preempt (GODEBUG=asyncpreemptoff=1): it has to wait until a sleeper is back.
var nap = unix.NsecToTimespec(int64(100 * time.Millisecond))

// Wait sleeps until the bell has rung more often than rings says. It may return before, as it does when Go's scheduler or collector asks for the thread.
//
// The scheduler is not told of the sleep, so the thread keeps the processor that its stream brought. Told, it would take that after 10 ms, and its monitor would then wake up
// every 60 µs for a while on a core that computes: that made steps of two pipeline stages 4 % longer.
func (b *Bell) Wait(rings uint32) {
	b.asleep.Add(1)
	unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&b.rings)), futexWait, uintptr(rings), uintptr(unsafe.Pointer(&nap)), 0, 0)
	b.asleep.Add(-1)
}

// Ring wakes all who sleep.
func (b *Bell) Ring() {
	b.rings.Add(1)
	if b.asleep.Load() > 0 {
		unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&b.rings)), futexWake, math.MaxInt32, 0, 0, 0)
	}
}
