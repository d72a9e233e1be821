package team

import (
	"math"
	"sync/atomic"
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

// Wait sleeps until the bell has rung more often than rings says. It may return before.
func (b *Bell) Wait(rings uint32) {
	b.asleep.Add(1)
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&b.rings)), futexWait, uintptr(rings), 0, 0, 0)
	b.asleep.Add(-1)
}

// Ring wakes all who sleep.
func (b *Bell) Ring() {
	b.rings.Add(1)
	if b.asleep.Load() > 0 {
		unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&b.rings)), futexWake, math.MaxInt32, 0, 0, 0)
	}
}
