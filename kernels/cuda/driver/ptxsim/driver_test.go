package ptxsim

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"ofpeak/kernels/cuda/driver"
)

// A module with a variable and a kernel that adds its parameter to n words.
const addText = `.version 7.8
.target sm_80
.address_size 64
.global .align 4 .u32 bias[2] = {7};
.extern .shared .align 4 .b8 pool[];
.entry add(.param .u64 at, .param .u32 by, .param .u32 n) {
.reg .pred %p; .reg .b32 %r<6>; .reg .b64 %d<3>;
ld.param.u64 %d0, [at]; ld.param.u32 %r0, [by]; ld.param.u32 %r1, [n];
mov.u64 %d2, pool; mov.u32 %r2, %tid.x; setp.ge.u32 %p, %r2, %r1; @%p ret;
mul.wide.u32 %d1, %r2, 4; add.s64 %d0, %d0, %d1; ld.global.u32 %r3, [%d0]; add.u32 %r3, %r3, %r0; st.global.u32 [%d0], %r3;
}`

// rig is an open device with what a test needs.
type rig struct {
	t      *testing.T
	driver *Driver
	ctx    driver.Context
	stream driver.Stream
	module driver.Module
	add    driver.Function
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, d *Driver, device int) *rig {
	t.Helper()
	r := &rig{t: t, driver: d}
	r.ctx = must(d.NewContext(device))(t)
	r.stream = must(r.ctx.NewStream())(t)
	r.module = must(r.ctx.LoadModule(addText))(t)
	r.add = must(r.module.Function("add"))(t)
	return r
}

func (r *rig) close() {
	r.t.Helper()
	check(r.t, r.module.Close())
	check(r.t, r.stream.Close())
	check(r.t, r.ctx.Close())
}

func (r *rig) launch(s driver.Stream, at driver.Ptr, by uint64, n int) error {
	return s.Launch(r.add, driver.Launch{Grid: driver.Dim3{X: 1, Y: 1, Z: 1}, Block: driver.Dim3{X: 32, Y: 1, Z: 1}}, uint64(at), by, uint64(n))
}

func TestCopyLaunchCopy(t *testing.T) {
	for seed := range uint64(20) {
		r := open(t, New(Config{Seed: seed}), 0)
		p, host := must(r.ctx.Alloc(16))(t), must(r.ctx.AllocHost(16))(t)
		copy(host, "\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00")
		check(t, r.stream.CopyToDevice(p, host))
		check(t, r.launch(r.stream, p, 10, 3))
		check(t, r.stream.Memset8(p+12, 9, 2))
		check(t, r.stream.Memset32(p, 5, 1))
		check(t, r.stream.Copy(p+4, p+8, 4))
		check(t, r.stream.CopyToHost(host, p))
		check(t, r.stream.Synchronize())
		if want := []byte{5, 0, 0, 0, 13, 0, 0, 0, 13, 0, 0, 0, 9, 9, 0, 0}; !bytes.Equal(host, want) {
			t.Fatalf("seed %d: got %v, want %v", seed, host, want)
		}
		at, size, err := r.module.Global("bias")
		check(t, err)
		check(t, r.stream.CopyToHost(host[:size], at))
		check(t, r.ctx.Synchronize())
		if want := []byte{7, 0, 0, 0, 0, 0, 0, 0}; !bytes.Equal(host[:8], want) {
			t.Errorf("the variable holds %v, want %v", host[:8], want)
		}
		check(t, r.ctx.FreeHost(host))
		check(t, r.ctx.Free(p))
		r.close()
	}
}

// Two streams add to one word, or copy it; an event orders them. Without it some order gives another result.
func TestEventsOrderStreams(t *testing.T) {
	run := func(seed uint64, wait bool) byte {
		r := open(t, New(Config{Seed: seed}), 0)
		defer r.close()
		other, e := must(r.ctx.NewStream())(t), must(r.ctx.NewEvent(false))(t)
		p, host := must(r.ctx.Alloc(4))(t), must(r.ctx.AllocHost(4))(t)
		check(t, r.stream.Memset32(p, 1, 1))
		check(t, r.stream.Synchronize())
		check(t, r.launch(r.stream, p, 1, 1))
		check(t, r.stream.Record(e))
		if wait {
			check(t, other.Wait(e))
		}
		check(t, other.CopyToHost(host, p))
		check(t, other.Synchronize())
		got := host[0]
		check(t, other.Close())
		check(t, e.Close())
		check(t, r.ctx.Free(p))
		check(t, r.ctx.FreeHost(host))
		return got
	}
	early := 0
	for seed := range uint64(30) {
		if got := run(seed, true); got != 2 {
			t.Fatalf("seed %d: with the event the copy took %d, want 2", seed, got)
		}
		if run(seed, false) == 1 {
			early++
		}
	}
	if early == 0 || early == 30 {
		t.Errorf("of 30 seeds %d show the missing wait, want some, not all", early)
	}
}

func TestEventTimes(t *testing.T) {
	r := open(t, New(Config{}), 0)
	defer r.close()
	a, b := must(r.ctx.NewEvent(true))(t), must(r.ctx.NewEvent(true))(t)
	if _, err := b.Since(a); !errors.Is(err, driver.ErrInvalidHandle) {
		t.Errorf("events never recorded: got %v", err)
	}
	check(t, r.stream.Record(a))
	check(t, r.stream.Record(b))
	check(t, b.Synchronize())
	check(t, b.Query())
	if d := must(b.Since(a))(t); d < 0 {
		t.Errorf("the later event is %v before the earlier", d)
	}
	check(t, a.Close())
	check(t, b.Close())
}

func TestQueryTellsWhatIsLeft(t *testing.T) {
	busy := 0
	for seed := range uint64(10) {
		r := open(t, New(Config{Seed: seed}), 0)
		p := must(r.ctx.Alloc(4))(t)
		for range 5 {
			check(t, r.stream.Memset32(p, 1, 1))
		}
		for n := 0; ; n++ {
			err := r.stream.Query()
			if err == nil {
				break
			}
			if !errors.Is(err, driver.ErrNotReady) || n > 5 {
				t.Fatalf("got %v after %d queries", err, n)
			}
			busy++
		}
		check(t, r.ctx.Free(p))
		r.close()
	}
	if busy == 0 {
		t.Error("the stream was never busy")
	}
}

// A failed kernel loses its context: later calls return its error, cleaning up still works, and other devices go on.
func TestFailedKernelLosesItsContext(t *testing.T) {
	d := New(Config{Devices: 2})
	r, peer := open(t, d, 0), open(t, d, 1)
	p, e := must(r.ctx.Alloc(8))(t), must(r.ctx.NewEvent(false))(t)
	check(t, r.launch(r.stream, p+4, 1, 4))
	check(t, r.stream.Record(e))
	check(t, peer.stream.Wait(e))
	err := r.stream.Synchronize()
	if !errors.Is(err, driver.ErrLaunchFailed) || !strings.Contains(err.Error(), "kernel add, PTX line 10 (ld.global.u32)") {
		t.Errorf("got %v", err)
	}
	if _, again := r.ctx.Alloc(4); again == nil || again.Error() != err.Error() {
		t.Errorf("the next call gave %v, want the kernel's error", again)
	}
	check(t, peer.stream.Synchronize())
	check(t, e.Close())
	check(t, r.ctx.Free(p))
	r.close()
	peer.close()
}

func TestOutOfMemory(t *testing.T) {
	r := open(t, New(Config{Memory: 1 << 10}), 0)
	p := must(r.ctx.Alloc(1000))(t)
	if _, err := r.ctx.Alloc(100); !errors.Is(err, driver.ErrOutOfMemory) {
		t.Errorf("got %v", err)
	}
	free, total, err := r.ctx.MemInfo()
	if err != nil || free != 1024-1000-8 || total != 1024 {
		t.Errorf("got %d of %d free, %v", free, total, err)
	}
	check(t, r.ctx.Free(p))
	check(t, r.ctx.Free(must(r.ctx.Alloc(1016))(t)))
	r.close()
}

func TestPeers(t *testing.T) {
	d := New(Config{Devices: 2})
	a, b := open(t, d, 0), open(t, d, 1)
	p, q := must(a.ctx.Alloc(4))(t), must(b.ctx.Alloc(4))(t)
	check(t, b.stream.Memset32(q, 40, 1))
	check(t, b.stream.Synchronize())
	check(t, a.ctx.EnablePeer(b.ctx))
	if err := a.ctx.EnablePeer(b.ctx); !errors.Is(err, driver.ErrPeerEnabled) {
		t.Errorf("enabling twice: got %v", err)
	}
	check(t, a.launch(a.stream, q, 2, 1))
	check(t, a.stream.Copy(p, q, 4))
	host := must(a.ctx.AllocHost(4))(t)
	check(t, a.stream.CopyToHost(host, p))
	check(t, a.stream.Synchronize())
	if host[0] != 42 {
		t.Errorf("got %d, want 42", host[0])
	}
	check(t, a.ctx.FreeHost(host))
	check(t, b.launch(b.stream, p, 1, 1))
	if err := b.stream.Synchronize(); !errors.Is(err, driver.ErrIllegalAddress) {
		t.Errorf("access that was not enabled: got %v", err)
	}
	check(t, a.ctx.Free(p))
	check(t, b.ctx.Free(q))
	a.close()
	b.close()
}

func TestMisuse(t *testing.T) {
	r := open(t, New(Config{}), 0)
	p, host := must(r.ctx.Alloc(8))(t), must(r.ctx.AllocHost(8))(t)
	shape := driver.Launch{Grid: driver.Dim3{X: 1, Y: 1, Z: 1}, Block: driver.Dim3{X: 1, Y: 1, Z: 1}}
	huge := shape
	huge.Shared = 60 << 10
	for name, c := range map[string]struct {
		err  error
		want driver.Error
	}{
		"pageable memory":  {r.stream.CopyToDevice(p, make([]byte, 8)), driver.ErrInvalidValue},
		"past the end":     {r.stream.CopyToDevice(p+4, host), driver.ErrInvalidValue},
		"host as device":   {r.stream.Memset8(12, 0, 1), driver.ErrInvalidValue},
		"free inside":      {r.ctx.Free(p + 4), driver.ErrInvalidValue},
		"free host inside": {r.ctx.FreeHost(host[1:]), driver.ErrInvalidValue},
		"parameters":       {r.stream.Launch(r.add, shape, 1), driver.ErrInvalidValue},
		"shared memory":    {r.stream.Launch(r.add, huge, uint64(p), 0, 0), driver.ErrInvalidValue},
		"too much shared":  {r.add.AllowShared(200 << 10), driver.ErrInvalidValue},
		"no function":      {second(r.module.Function("sub")), driver.ErrNotFound},
		"no PTX":           {second(r.ctx.LoadModule("hello")), driver.ErrInvalidPTX},
		"unknown opcode":   {second(r.ctx.LoadModule(".entry k() { tex.1d; }")), driver.ErrInvalidPTX},
		"no device":        {second(r.driver.NewContext(1)), driver.ErrInvalidDevice},
		"open twice":       {second(r.driver.NewContext(0)), driver.ErrInvalidValue},
		"empty allocation": {second(r.ctx.Alloc(0)), driver.ErrInvalidValue},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: got %v, want %v", name, c.err, c.want)
		}
	}
	check(t, r.add.AllowShared(100<<10))
	check(t, r.stream.Launch(r.add, huge, uint64(p), 0, 0))
	check(t, r.stream.Synchronize())
	check(t, r.stream.CopyToHost(host, p))
	if err := r.stream.Synchronize(); !errors.Is(err, driver.ErrIllegalAddress) || !strings.Contains(err.Error(), "never written") {
		t.Errorf("reading unwritten memory: got %v", err)
	}
	check(t, r.ctx.FreeHost(host))
	check(t, r.ctx.Free(p))
	r.close()
}

func second[T any](_ T, err error) error { return err }

func TestCloseTellsWhatIsLeft(t *testing.T) {
	r := open(t, New(Config{}), 0)
	must(r.ctx.Alloc(8))(t)
	must(r.ctx.NewEvent(false))(t)
	err := r.ctx.Close()
	if !errors.Is(err, driver.ErrNotReleased) || !strings.Contains(err.Error(), "1 allocation(s), 1 event(s), 1 module(s), 1 stream(s)") {
		t.Errorf("got %v", err)
	}
	if _, err := r.ctx.Alloc(4); !errors.Is(err, driver.ErrInvalidContext) {
		t.Errorf("a closed context gave %v", err)
	}
}

func TestInjectedFailure(t *testing.T) {
	d := New(Config{})
	r := open(t, d, 0)
	d.FailAt(2, driver.ErrOutOfMemory)
	p := must(r.ctx.Alloc(4))(t)
	if err := r.stream.Memset32(p, 0, 1); !errors.Is(err, driver.ErrOutOfMemory) {
		t.Errorf("the second call gave %v", err)
	}
	if d.Calls() != 0 {
		t.Errorf("%d calls are left", d.Calls())
	}
	check(t, r.stream.Memset32(p, 0, 1))
	check(t, r.ctx.Free(p))
	r.close()
}
