package drivertest

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"ofpeak/kernels/cuda/driver"
)

func devices(t *testing.T, d driver.Driver) {
	if v := must(d.Version())(t); v < 11000 {
		t.Errorf("the version is %d", v)
	}
	n := must(d.Devices())(t)
	if n < 1 {
		t.Fatalf("%d devices", n)
	}
	for i := range n {
		info := must(d.Device(i))(t)
		if info.Name == "" || info.Major < 1 || info.Multiprocessors < 1 || info.Memory < 1<<20 || info.SharedPerBlock < 48<<10 {
			t.Errorf("device %d: got %+v", i, info)
		}
	}
	want(t, "device past the last", fails(d.Device(n)), driver.ErrInvalidDevice)
	want(t, "device -1", fails(d.Device(-1)), driver.ErrInvalidDevice)
	want(t, "context past the last", fails(d.NewContext(n)), driver.ErrInvalidDevice)
}

func copyLaunchCopy(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	p, host := must(r.ctx.Alloc(16))(t), must(r.ctx.AllocHost(16))(t)
	if p%256 != 0 {
		t.Errorf("the allocation at %#x is not aligned", uint64(p))
	}
	copy(host, "\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00")
	check(t, r.stream.CopyToDevice(p, host))
	check(t, r.launch(p, 0xffffffff0000000a, 3)) // the upper half of a cell is not part of a 32-bit parameter
	check(t, r.stream.Memset8(p+12, 9, 2))
	check(t, r.stream.Memset32(p, 5, 1))
	check(t, r.stream.Copy(p+4, p+8, 4))
	check(t, r.stream.CopyToHost(host, p))
	check(t, r.stream.Synchronize())
	if want := []byte{5, 0, 0, 0, 13, 0, 0, 0, 13, 0, 0, 0, 9, 9, 0, 0}; !bytes.Equal(host, want) {
		t.Errorf("got %v, want %v", host, want)
	}
	at, size, err := r.module.Global("bias")
	check(t, err)
	check(t, r.stream.CopyToHost(host[:size], at))
	check(t, r.ctx.Synchronize())
	if want := []byte{7, 0, 0, 0, 0, 0, 0, 0}; !bytes.Equal(host[:size], want) {
		t.Errorf("the variable holds %v, want %v", host[:size], want)
	}
	if info := r.add.Info(); info.Name != "add" || info.MaxThreads < 32 {
		t.Errorf("got %+v", info)
	}
	check(t, r.ctx.FreeHost(host))
	check(t, r.ctx.Free(p))
	r.close()
}

func events(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	a, b, untimed := must(r.ctx.NewEvent(true))(t), must(r.ctx.NewEvent(true))(t), must(r.ctx.NewEvent(false))(t)
	want(t, "events never recorded", fails(b.Since(a)), driver.ErrInvalidHandle)
	check(t, r.stream.Record(a))
	check(t, r.stream.Record(b))
	check(t, r.stream.Record(untimed))
	check(t, untimed.Synchronize())
	check(t, b.Synchronize())
	check(t, b.Query())
	if passed := must(b.Since(a))(t); passed < 0 {
		t.Errorf("the later event is %v before the earlier", passed)
	}
	want(t, "event without timing", fails(untimed.Since(a)), driver.ErrInvalidHandle)
	other := must(r.ctx.NewStream())(t)
	check(t, other.Wait(b))
	check(t, other.Synchronize())
	check(t, other.Close())
	for _, e := range []driver.Event{a, b, untimed} {
		check(t, e.Close())
	}
	want(t, "event closed twice", a.Close(), driver.ErrInvalidHandle)
	want(t, "closed event", r.stream.Record(a), driver.ErrInvalidHandle)
	r.close()
}

// streams are idle once all has run, and busy before, if at all.
func streams(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	p := must(r.ctx.Alloc(4))(t)
	for range 5 {
		check(t, r.stream.Memset32(p, 1, 1))
	}
	for err := r.stream.Query(); err != nil; err = r.stream.Query() {
		if err != driver.ErrNotReady {
			t.Fatal(err)
		}
	}
	check(t, r.ctx.Free(p))
	r.close()
}

func outOfMemory(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	before, total, err := r.ctx.MemInfo()
	check(t, err)
	want(t, "more than there is", fails(r.ctx.Alloc(2*total)), driver.ErrOutOfMemory)
	p := must(r.ctx.Alloc(before / 4))(t)
	if free, _, err := r.ctx.MemInfo(); err != nil || free > before-before/4 || total < before {
		t.Errorf("of %d bytes, %d were free, and after taking a quarter %d, %v", total, before, free, err)
	}
	check(t, r.ctx.Free(p))
	r.close()
}

func misuse(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	p, host := must(r.ctx.Alloc(8))(t), must(r.ctx.AllocHost(8))(t)
	for _, c := range []struct {
		what string
		err  error
		code driver.Error
	}{
		{"pageable source", r.stream.CopyToDevice(p, make([]byte, 8)), driver.ErrInvalidValue},
		{"pageable target", r.stream.CopyToHost(make([]byte, 8), p), driver.ErrInvalidValue},
		{"past the end", r.stream.CopyToDevice(p+4, host), driver.ErrInvalidValue},
		{"host as device", r.stream.Memset8(12, 0, 1), driver.ErrInvalidValue},
		{"free inside", r.ctx.Free(p + 4), driver.ErrInvalidValue},
		{"free host inside", r.ctx.FreeHost(host[1:]), driver.ErrInvalidValue},
		{"too few parameters", r.stream.Launch(r.add, one, 1), driver.ErrInvalidValue},
		{"no kernel", fails(r.module.Function("sub")), driver.ErrNotFound},
		{"no variable", third(r.module.Global("sub")), driver.ErrNotFound},
		{"no PTX", fails(r.ctx.LoadModule("hello")), driver.ErrInvalidPTX},
		{"open twice", fails(d.NewContext(0)), driver.ErrInvalidValue},
		{"empty allocation", fails(r.ctx.Alloc(0)), driver.ErrInvalidValue},
		{"negative host allocation", fails(r.ctx.AllocHost(-1)), driver.ErrInvalidValue},
	} {
		want(t, c.what, c.err, c.code)
	}
	check(t, r.ctx.FreeHost(host))
	want(t, "host memory freed twice", r.ctx.FreeHost(host), driver.ErrInvalidValue)
	check(t, r.ctx.Free(p))
	want(t, "memory freed twice", r.ctx.Free(p), driver.ErrInvalidValue)
	r.close()
}

func third[T, U any](_ T, _ U, err error) error { return err }

// sharedMemory above 48 KB must be allowed first.
func sharedMemory(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	p := must(r.ctx.Alloc(8))(t)
	large := one
	large.Shared = 60 << 10
	want(t, "not allowed", r.stream.Launch(r.add, large, uint64(p), 0, 0), driver.ErrInvalidValue)
	want(t, "more than there is", r.add.AllowShared(1<<20), driver.ErrInvalidValue)
	check(t, r.add.AllowShared(large.Shared))
	check(t, r.stream.Launch(r.add, large, uint64(p), 0, 0))
	check(t, r.stream.Synchronize())
	check(t, r.ctx.Free(p))
	r.close()
}

func leaks(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	must(r.ctx.Alloc(8))(t)
	must(r.ctx.AllocHost(8))(t)
	must(r.ctx.NewEvent(false))(t)
	err := r.ctx.Close()
	want(t, "leaks", err, driver.ErrNotReleased)
	if err == nil || !strings.Contains(err.Error(), "1 allocation(s), 1 event(s), 1 host allocation(s), 1 module(s), 1 stream(s)") {
		t.Errorf("got %v", err)
	}
	newRig(t, d, 0).close()
}

func useAfterClose(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	e := must(r.ctx.NewEvent(true))(t)
	check(t, e.Close())
	r.close()
	for what, err := range map[string]error{
		"Alloc":       fails(r.ctx.Alloc(4)),
		"NewStream":   fails(r.ctx.NewStream()),
		"Synchronize": r.stream.Synchronize(),
		"Launch":      r.launch(256, 1, 1),
		"Query":       e.Query(),
		"Close":       r.ctx.Close(),
	} {
		want(t, what, err, driver.ErrInvalidContext)
	}
}

func peers(t *testing.T, d driver.Driver) {
	if n := must(d.Devices())(t); n < 2 {
		t.Skipf("%d device", n)
	}
	a, b := newRig(t, d, 0), newRig(t, d, 1)
	p, q, host := must(a.ctx.Alloc(4))(t), must(b.ctx.Alloc(4))(t), must(a.ctx.AllocHost(4))(t)
	check(t, b.stream.Memset32(q, 40, 1))
	check(t, b.stream.Synchronize())
	check(t, a.stream.CopyPeer(p, q, b.ctx, 4))
	check(t, a.stream.CopyToHost(host, p))
	check(t, a.stream.Synchronize())
	if host[0] != 40 {
		t.Errorf("a copy from a device out of reach gave %d, want 40", host[0])
	}
	if err := a.ctx.EnablePeer(b.ctx); errors.Is(err, driver.ErrPeerUnsupported) {
		t.Skip(err)
	} else {
		check(t, err)
	}
	want(t, "enabled twice", a.ctx.EnablePeer(b.ctx), driver.ErrPeerEnabled)
	want(t, "its own peer", a.ctx.EnablePeer(a.ctx), driver.ErrInvalidContext)
	check(t, a.launch(q, 2, 1))
	check(t, a.stream.Copy(p, q, 4))
	check(t, a.stream.CopyToHost(host, p))
	check(t, a.stream.Synchronize())
	if host[0] != 42 {
		t.Errorf("got %d, want 42", host[0])
	}
	event := must(b.ctx.NewEvent(false))(t)
	check(t, b.stream.Record(event))
	check(t, a.stream.Wait(event))
	want(t, "an event of another device", a.stream.Record(event), driver.ErrInvalidHandle)
	check(t, event.Close())
	check(t, a.ctx.FreeHost(host))
	check(t, a.ctx.Free(p))
	check(t, b.ctx.Free(q))
	a.close()
	b.close()
}

// failedKernel comes last: a context that a kernel has lost must not stay so for the next one.
func failedKernel(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	p, host, e := must(r.ctx.Alloc(4))(t), must(r.ctx.AllocHost(4))(t), must(r.ctx.NewEvent(true))(t)
	check(t, r.launch(1<<40, 1, 1))
	err := r.stream.Synchronize()
	var code driver.Error
	if !errors.As(err, &code) || !code.Sticky() {
		t.Fatalf("got %v, want the kernel's failure", err)
	}
	want(t, "next call", fails(r.ctx.Alloc(4)), code)
	want(t, "next launch", r.launch(p, 1, 1), code)
	want(t, "next event", e.Query(), code)
	check(t, e.Close())
	check(t, r.ctx.FreeHost(host))
	check(t, r.ctx.Free(p))
	r.close()
	copyLaunchCopy(t, d)
}
