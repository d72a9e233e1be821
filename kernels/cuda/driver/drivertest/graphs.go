package drivertest

import (
	"encoding/binary"
	"testing"

	"ofpeak/kernels/cuda/driver"
)

// words are what a device holds from an address on.
func (r *rig) words(at driver.Ptr, n int) []uint32 {
	r.t.Helper()
	host := must(r.ctx.AllocHost(4 * n))(r.t)
	check(r.t, r.stream.CopyToHost(host, at))
	check(r.t, r.stream.Synchronize())
	words := make([]uint32, n)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(host[4*i:])
	}
	check(r.t, r.ctx.FreeHost(host))
	return words
}

func (r *rig) expect(what string, at driver.Ptr, want ...uint32) {
	r.t.Helper()
	for i, got := range r.words(at, len(want)) {
		if got != want[i] {
			r.t.Errorf("%s: word %d is %d, want %d", what, i, got, want[i])
		}
	}
}

// graphs do at each launch what was captured, which by itself did nothing: with the parameters of then, and with what memory, the host's too, holds by now.
func graphs(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	p, host := must(r.ctx.Alloc(16))(t), must(r.ctx.AllocHost(4))(t)
	begin, end := must(r.ctx.NewEvent(true))(t), must(r.ctx.NewEvent(true))(t)
	check(t, r.stream.Memset32(p, 1, 4))
	check(t, r.stream.Synchronize())
	host[0], host[1], host[2], host[3] = 9, 0, 0, 0

	params := []uint64{uint64(p), 10, 2}
	check(t, r.stream.BeginCapture())
	check(t, r.stream.RecordNode(begin))
	check(t, r.stream.Launch(r.add, one, params...))
	check(t, r.stream.Copy(p+8, p, 4))
	check(t, r.stream.CopyToDevice(p+12, host))
	check(t, r.stream.Memset8(p+4, 0, 1))
	check(t, r.stream.RecordNode(end))
	params[1] = 99 // which the launch has by value
	g := must(r.stream.EndCapture())(t)
	r.expect("captured", p, 1, 1, 1, 1)
	want(t, "an event that no launch has recorded", fails(end.Since(begin)), driver.ErrInvalidHandle)

	check(t, g.Launch(r.stream))
	r.expect("launched", p, 11, 0, 11, 9)
	if passed := must(end.Since(begin))(t); passed < 0 {
		t.Errorf("the graph took %v", passed)
	}
	host[0] = 7
	other := must(r.ctx.NewStream())(t)
	check(t, r.stream.Memset32(p+4, 5, 1))
	check(t, g.Launch(r.stream))
	check(t, r.stream.Record(begin)) // an event of the graph may be recorded outside of it as well
	check(t, other.Wait(begin))
	check(t, g.Launch(other))
	check(t, other.Record(end))
	check(t, r.stream.Wait(end))
	r.expect("launched three times", p, 31, 0, 31, 7)

	check(t, g.Close())
	check(t, other.Close())
	for _, e := range []driver.Event{begin, end} {
		check(t, e.Close())
	}
	check(t, r.ctx.FreeHost(host))
	check(t, r.ctx.Free(p))
	r.close()
}

// graphsOverStreams fork and join by events, and run in the order that these tell, whatever else the streams do.
func graphsOverStreams(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	side := must(r.ctx.NewStream())(t)
	p := must(r.ctx.Alloc(8))(t)
	fork, join := must(r.ctx.NewEvent(false))(t), must(r.ctx.NewEvent(false))(t)
	check(t, r.stream.BeginCapture())
	check(t, r.stream.Memset32(p, 1, 1))
	check(t, r.stream.Record(fork))
	check(t, side.Wait(fork))
	check(t, side.Launch(r.add, one, uint64(p), 2, 1))
	check(t, side.Record(join))
	check(t, r.stream.Memset32(p+4, 4, 1))
	check(t, r.stream.Wait(join))
	check(t, r.stream.Launch(r.add, one, uint64(p), 3, 2))
	g := must(r.stream.EndCapture())(t)
	for range 3 {
		check(t, g.Launch(r.stream))
	}
	check(t, side.Synchronize()) // it is no longer captured, nor part of what was launched
	r.expect("after three launches", p, 6, 7)
	check(t, r.stream.Record(join)) // an event that served the capture serves again
	check(t, side.Wait(join))
	check(t, g.Close())
	check(t, side.Close())
	check(t, fork.Close())
	check(t, join.Close())
	check(t, r.ctx.Free(p))
	r.close()
}

// graphsOverDevices copy between them and run kernels on both.
func graphsOverDevices(t *testing.T, d driver.Driver) {
	if n := must(d.Devices())(t); n < 2 {
		t.Skip("one device")
	}
	a, b := newRig(t, d, 0), newRig(t, d, 1)
	p, q := must(a.ctx.Alloc(4))(t), must(b.ctx.Alloc(4))(t)
	fork, join := must(a.ctx.NewEvent(false))(t), must(b.ctx.NewEvent(false))(t)
	check(t, a.stream.Memset32(p, 1, 1))
	check(t, a.stream.Synchronize())
	check(t, a.stream.BeginCapture())
	check(t, a.launch(p, 5, 1))
	check(t, a.stream.Record(fork))
	check(t, b.stream.Wait(fork))
	check(t, b.stream.CopyPeer(q, p, a.ctx, 4))
	check(t, b.launch(q, 100, 1))
	check(t, b.stream.Record(join))
	check(t, a.stream.Wait(join))
	check(t, a.stream.CopyPeer(p, q, b.ctx, 4))
	g := must(a.stream.EndCapture())(t)
	check(t, g.Launch(a.stream))
	check(t, g.Launch(a.stream))
	a.expect("two launches", p, 211)
	want(t, "a launch where the capture did not begin", g.Launch(b.stream), driver.ErrInvalidHandle)
	check(t, g.Close())
	check(t, fork.Close())
	check(t, join.Close())
	check(t, a.ctx.Free(p))
	check(t, b.ctx.Free(q))
	a.close()
	b.close()
}

// captureRefuses what would wait for the device, ask about it, or wait for work that is not captured; the capture fails with it, and all is as before.
func captureRefuses(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	p, host := must(r.ctx.Alloc(8))(t), must(r.ctx.AllocHost(4))(t)
	before, inside := must(r.ctx.NewEvent(true))(t), must(r.ctx.NewEvent(true))(t)
	check(t, r.stream.Memset32(p, 1, 2))
	check(t, r.stream.Record(before))
	check(t, r.stream.Synchronize())
	pageable := make([]byte, 4)
	for _, c := range []struct {
		what string
		call func() error
		code driver.Error
	}{
		{"Stream.Synchronize", r.stream.Synchronize, driver.ErrCaptureUnsupported},
		{"Stream.Query", r.stream.Query, driver.ErrCaptureUnsupported},
		{"Context.Synchronize", r.ctx.Synchronize, driver.ErrCaptureUnsupported},
		{"Alloc", func() error { return fails(r.ctx.Alloc(4)) }, driver.ErrCaptureUnsupported},
		{"Free", func() error { return r.ctx.Free(p) }, driver.ErrCaptureUnsupported},
		{"AllocHost", func() error { return fails(r.ctx.AllocHost(4)) }, driver.ErrCaptureUnsupported},
		{"Event.Query", inside.Query, driver.ErrCapturedEvent},
		{"Event.Synchronize", inside.Synchronize, driver.ErrCapturedEvent},
		{"Wait for earlier work", func() error { return r.stream.Wait(before) }, driver.ErrCaptureIsolation},
	} {
		check(t, r.stream.BeginCapture())
		check(t, r.launch(p, 1, 2))
		check(t, r.stream.Record(inside))
		want(t, c.what, c.call(), c.code)
		want(t, "a call after "+c.what, r.launch(p, 1, 2), driver.ErrCaptureInvalidated)
		want(t, "EndCapture after "+c.what, fails(r.stream.EndCapture()), driver.ErrCaptureInvalidated)
		r.expect("after "+c.what, p, 1, 1)
	}
	check(t, r.stream.BeginCapture())
	want(t, "pageable memory", r.stream.CopyToDevice(p, pageable), driver.ErrInvalidValue)
	g := must(r.stream.EndCapture())(t) // that was no call of CUDA's
	check(t, g.Close())
	want(t, "a graph closed twice", g.Close(), driver.ErrInvalidHandle)
	want(t, "a launch of a closed graph", g.Launch(r.stream), driver.ErrInvalidHandle)
	check(t, before.Close())
	check(t, inside.Close())
	check(t, r.ctx.FreeHost(host))
	check(t, r.ctx.Free(p))
	r.close()
}

// impossibleCaptures end without a graph.
func impossibleCaptures(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	side := must(r.ctx.NewStream())(t)
	p, e := must(r.ctx.Alloc(4))(t), must(r.ctx.NewEvent(false))(t)
	want(t, "EndCapture of a stream that is not captured", fails(r.stream.EndCapture()), driver.ErrCaptureUnmatched)
	if r.stream.RecordNode(e) == nil {
		t.Error("a node without a capture")
	}

	check(t, r.stream.BeginCapture())
	check(t, r.stream.Record(e))
	check(t, side.Wait(e))
	check(t, side.Memset32(p, 1, 1))
	want(t, "a stream that is not joined", fails(r.stream.EndCapture()), driver.ErrCaptureUnjoined)

	check(t, r.stream.BeginCapture())
	check(t, r.stream.Record(e))
	check(t, side.BeginCapture())
	want(t, "a wait for another capture", side.Wait(e), driver.ErrCaptureMerge)
	want(t, "the one", fails(r.stream.EndCapture()), driver.ErrCaptureInvalidated)
	want(t, "the other", fails(side.EndCapture()), driver.ErrCaptureInvalidated)

	check(t, r.stream.BeginCapture())
	check(t, r.stream.Memset32(p, 3, 1))
	g := must(r.stream.EndCapture())(t)
	check(t, g.Launch(r.stream))
	r.expect("what was captured at last", p, 3)
	check(t, side.Close())
	check(t, e.Close())
	check(t, r.ctx.Free(p))
	check(t, r.module.Close())
	check(t, r.stream.Close())
	want(t, "a context with a graph left", r.ctx.Close(), driver.ErrNotReleased)
}
