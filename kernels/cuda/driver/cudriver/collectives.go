//go:build gpu

package cudriver

// #include <stdlib.h>
// #include <cuda.h>
// #include "collectives.h"
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"ofpeak/kernels/cuda/driver"
)

// ncclName is NCCL's file since its version 2; oldestNCCL the version from which all of its functions that are called are there, as ncclGetVersion tells it.
const (
	ncclName   = "libnccl.so.2"
	oldestNCCL = 21800
)

// openNCCL loads NCCL once in a process, and gives its version.
var openNCCL = sync.OnceValues(func() (int, error) {
	name := C.CString(ncclName)
	defer C.free(unsafe.Pointer(name))
	if problem := C.nccl_open(name); problem != nil {
		return 0, fmt.Errorf("cudriver: no NCCL (%s); where it is installed elsewhere, set LD_LIBRARY_PATH: %w", C.GoString(problem), driver.ErrNotSupported)
	}
	var version C.int
	if err := nccl("ncclGetVersion", C.nccl_version(&version)); err != nil {
		return 0, err
	}
	if version < oldestNCCL {
		return 0, fmt.Errorf("cudriver: NCCL %s is older than %s: %w", ncclVersion(int(version)), ncclVersion(oldestNCCL), driver.ErrNotSupported)
	}
	return int(version), nil
})

// ncclVersion is a version as people write it; its digits are grouped so since NCCL 2.9 (NCCL_VERSION in nccl.h).
func ncclVersion(v int) string { return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100) }

// collectives implements driver.Collectives by NCCL.
type collectives struct{ version int }

// Collectives opens NCCL.
func (d *Driver) Collectives() (driver.Collectives, error) {
	version, err := openNCCL()
	if err != nil {
		return nil, err
	}
	return &collectives{version}, nil
}

func (l *collectives) Library() string { return "NCCL " + ncclVersion(l.version) }

func (l *collectives) NewID() ([]byte, error) {
	id := make([]byte, C.NCCL_UNIQUE_ID_BYTES)
	if err := nccl("ncclGetUniqueId", C.nccl_id((*C.char)(unsafe.Pointer(&id[0])))); err != nil {
		return nil, err
	}
	return id, nil
}

func (l *collectives) Join(id []byte, ranks int, seats []driver.Seat) ([]driver.Group, error) {
	if len(id) != C.NCCL_UNIQUE_ID_BYTES || len(seats) == 0 {
		return nil, fmt.Errorf("cudriver: Join: %d seats by a name of %d bytes: %w", len(seats), len(id), driver.ErrInvalidValue)
	}
	raw, contexts := make([]C.struct_nccl_seat, len(seats)), make([]*context, len(seats))
	for i, s := range seats {
		c, err := usable("Join", s.Context)
		if err != nil {
			return nil, err
		}
		contexts[i] = c
		raw[i] = C.struct_nccl_seat{context: c.raw(), rank: C.int32_t(s.Rank)}
	}
	err := onThread(func() error {
		return nccl("ncclCommInitRank", C.nccl_join((*C.char)(unsafe.Pointer(&id[0])), C.int(ranks), &raw[0], C.int(len(raw))))
	})
	if err != nil {
		return nil, err
	}
	return seated(raw, contexts)
}

func (l *collectives) Split(parts []driver.Part) ([]driver.Group, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("cudriver: Split of no groups: %w", driver.ErrInvalidValue)
	}
	raw, contexts := make([]C.struct_nccl_seat, len(parts)), make([]*context, len(parts))
	for i, p := range parts {
		g, ok := p.Group.(*group)
		if !ok {
			return nil, fmt.Errorf("cudriver: Split: a group of another driver: %w", driver.ErrInvalidHandle)
		}
		if err := g.take("Split"); err != nil {
			return nil, err
		}
		defer g.leave()
		contexts[i] = g.context
		raw[i] = C.struct_nccl_seat{context: g.context.raw(), from: g.handle, color: C.int32_t(p.Color), key: C.int32_t(p.Key)}
	}
	err := onThread(func() error { return nccl("ncclCommSplit", C.nccl_split(&raw[0], C.int(len(raw)))) })
	if err != nil {
		return nil, err
	}
	return seated(raw, contexts)
}

// usable is a context of this driver that is open and not lost.
func usable(call string, given driver.Context) (*context, error) {
	c, ok := given.(*context)
	if !ok {
		return nil, fmt.Errorf("cudriver: %s: a context of another driver: %w", call, driver.ErrInvalidContext)
	}
	return c, c.do(call, func() error { return nil })
}

// onThread runs calls that make several contexts current, one after another.
func onThread(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return f()
}

// seated are the groups that seats were given, nil for those that got none.
func seated(raw []C.struct_nccl_seat, contexts []*context) ([]driver.Group, error) {
	groups := make([]driver.Group, len(raw))
	for i := range raw {
		if raw[i].made == nil {
			continue
		}
		g := &group{context: contexts[i], handle: raw[i].made, busy: make(chan struct{}, 1), over: make(chan struct{})}
		var rank, size C.int
		if err := nccl("ncclCommUserRank", C.nccl_place(g.handle, &rank, &size)); err != nil {
			for _, made := range raw {
				if made.made != nil {
					C.nccl_abort(made.made)
				}
			}
			return nil, err
		}
		g.rank, g.size = int(rank), int(size)
		groups[i] = g
	}
	for _, g := range groups {
		if g, ok := g.(*group); ok {
			g.context.give(g, "group of collectives")
		}
	}
	return groups, nil
}

// group implements driver.Group. NCCL's calls on one communicator come one at a time.
type group struct {
	context    *context
	handle     C.ncclComm_t
	rank, size int
	busy       chan struct{} // holds one while a call is under way
	ended      atomic.Bool
	over       chan struct{} // closed when NCCL has ended it
}

// stuck is how long an Abort waits for a call that is under way in another goroutine, before it ends the group under it. NCCL allows that, for it is the only way out of a call that
// waits for a rank which will not come.
const stuck = 500 * time.Millisecond

func (g *group) Rank() int { return g.rank }
func (g *group) Size() int { return g.size }

// take waits for the group's turn, which leave ends.
func (g *group) take(call string) error {
	g.busy <- struct{}{}
	if g.ended.Load() {
		g.leave()
		return fmt.Errorf("cudriver: %s: the group was aborted or closed: %w", call, driver.ErrInvalidHandle)
	}
	return nil
}

func (g *group) leave() { <-g.busy }

func (g *group) Enqueue(on driver.Stream, calls ...driver.Collective) error {
	s, ok := on.(*stream)
	if !ok || s.context != g.context {
		return fmt.Errorf("cudriver: Enqueue: a stream of another context: %w", driver.ErrInvalidHandle)
	}
	if len(calls) == 0 {
		return nil
	}
	raw := make([]C.struct_nccl_call, len(calls))
	for i, c := range calls {
		t, err := ncclType(c.Type)
		if err != nil {
			return err
		}
		raw[i] = C.struct_nccl_call{op: C.int32_t(c.Op), _type: t, peer: C.int32_t(c.Peer), dst: C.uint64_t(c.Dst), src: C.uint64_t(c.Src), n: C.uint64_t(c.N)}
	}
	if err := g.take("Enqueue"); err != nil {
		return err
	}
	defer g.leave()
	return s.do("Enqueue", func() error {
		return nccl("nccl"+calls[0].Op.String(), C.nccl_enqueue(g.handle, &raw[0], C.int(len(raw)), unsafe.Pointer(*(*C.CUstream)(unsafe.Pointer(&s.handle)))))
	})
}

func (g *group) Err() error {
	if err := g.take("Err"); err != nil {
		return nil // whoever ended it knows why
	}
	defer g.leave()
	return nccl("ncclCommGetAsyncError", C.nccl_error(g.handle))
}

func (g *group) Abort() error {
	if g.ended.Swap(true) {
		<-g.over
		return nil
	}
	select {
	case g.busy <- struct{}{}:
		defer g.leave()
	case <-time.After(stuck):
	}
	return g.end("ncclCommAbort", func() C.int { return C.nccl_abort(g.handle) })
}

func (g *group) Close() error {
	if g.ended.Swap(true) {
		<-g.over
		return nil
	}
	g.busy <- struct{}{}
	defer g.leave()
	return g.end("ncclCommDestroy", func() C.int { return C.nccl_close(g.handle) })
}

// end gives the group's memory back, on a lost context too: NCCL has threads and host memory besides.
func (g *group) end(call string, f func() C.int) error {
	c := g.context
	c.mu.Lock()
	delete(c.live, g)
	lost := c.lost
	c.mu.Unlock()
	defer close(g.over)
	err := onThread(func() error {
		C.cuCtxSetCurrent(c.raw())
		return nccl(call, f())
	})
	if lost != nil {
		return nil
	}
	return err
}

// raw is the context as C has it.
func (c *context) raw() C.CUcontext { return *(*C.CUcontext)(unsafe.Pointer(&c.handle)) }

func ncclType(t driver.Type) (C.int32_t, error) {
	switch t {
	case driver.Float32:
		return C.ncclFloat32, nil
	case driver.Float16:
		return C.ncclFloat16, nil
	case driver.BFloat16:
		return C.ncclBfloat16, nil
	case driver.Float64:
		return C.ncclFloat64, nil
	case driver.Int32:
		return C.ncclInt32, nil
	case driver.Int8:
		return C.ncclInt8, nil
	case driver.Uint8:
		return C.ncclUint8, nil
	}
	return 0, fmt.Errorf("cudriver: collectives of type %d: %w", t, driver.ErrNotSupported)
}

// nccl turns an ncclResult_t into an error, with what NCCL says of it. A failure of CUDA's stands for itself when the context is used next.
func nccl(call string, status C.int) error {
	switch status {
	case C.ncclSuccess:
		return nil
	case C.ncclInvalidArgument, C.ncclInvalidUsage:
		return fmt.Errorf("%s: %s: %s: %w", call, C.GoString(C.nccl_text(status)), C.GoString(C.nccl_reason()), driver.ErrInvalidValue)
	}
	return fmt.Errorf("%s: %s: %s", call, C.GoString(C.nccl_text(status)), C.GoString(C.nccl_reason()))
}
