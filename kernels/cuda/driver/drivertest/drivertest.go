// Package drivertest is what any driver.Driver must do, as a test: the interpreter, a stand-in for libcuda and a real GPU alike. It holds no driver to times
// or to an order of streams, which only the interpreter can force.
package drivertest

import (
	"errors"
	"testing"

	"ofpeak/kernels/cuda/driver"
)

// Module has a variable and a kernel that adds to n words, one a thread of a block.
const Module = `.version 7.0
.target sm_80
.address_size 64
.visible .global .align 4 .u32 bias[2] = {7};
.extern .shared .align 4 .b8 pool[];
.visible .entry add(.param .u64 at, .param .u32 by, .param .u32 n) {
.reg .pred %p; .reg .b32 %r<6>; .reg .b64 %d<3>;
ld.param.u64 %d0, [at]; ld.param.u32 %r0, [by]; ld.param.u32 %r1, [n];
mov.u64 %d2, pool; mov.u32 %r2, %tid.x; setp.ge.u32 %p, %r2, %r1; @%p ret;
mul.wide.u32 %d1, %r2, 4; add.s64 %d0, %d0, %d1; ld.global.u32 %r3, [%d0]; add.u32 %r3, %r3, %r0; st.global.u32 [%d0], %r3;
ret;
}`

// Run tests a driver. Each part opens what it needs and closes it.
func Run(t *testing.T, open func(t *testing.T) driver.Driver) {
	for _, part := range []struct {
		name string
		test func(*testing.T, driver.Driver)
	}{
		{"devices", devices},
		{"copy, launch, copy", copyLaunchCopy},
		{"events", events},
		{"streams", streams},
		{"out of memory", outOfMemory},
		{"misuse", misuse},
		{"shared memory", sharedMemory},
		{"leaks", leaks},
		{"graphs", graphs},
		{"graphs over streams", graphsOverStreams},
		{"graphs over devices", graphsOverDevices},
		{"what a capture refuses", captureRefuses},
		{"captures that cannot be", impossibleCaptures},
		{"use after close", useAfterClose},
		{"products", products},
		{"sparse products", sparseProducts},
		{"peers", peers},
		{"collectives", collectives},
		{"failed kernel", failedKernel},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t)) })
	}
}

// rig is an open device with what most parts need.
type rig struct {
	t      *testing.T
	ctx    driver.Context
	stream driver.Stream
	module driver.Module
	add    driver.Function
}

func newRig(t *testing.T, d driver.Driver, device int) *rig {
	t.Helper()
	r := &rig{t: t, ctx: must(d.NewContext(device))(t)}
	r.stream = must(r.ctx.NewStream())(t)
	r.module = must(r.ctx.LoadModule(Module))(t)
	r.add = must(r.module.Function("add"))(t)
	return r
}

func (r *rig) close() {
	r.t.Helper()
	check(r.t, r.module.Close())
	check(r.t, r.stream.Close())
	check(r.t, r.ctx.Close())
}

var one = driver.Launch{Grid: driver.Dim3{X: 1, Y: 1, Z: 1}, Block: driver.Dim3{X: 32, Y: 1, Z: 1}}

func (r *rig) launch(at driver.Ptr, by, n uint64) error {
	return r.stream.Launch(r.add, one, uint64(at), by, n)
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		check(t, err)
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, what string, err error, code driver.Error) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Errorf("%s: got %v, want %v", what, err, code)
	}
}

// fails drops the value of a call that is to fail.
func fails[T any](_ T, err error) error { return err }
