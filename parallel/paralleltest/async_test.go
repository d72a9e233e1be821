package paralleltest_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/ref"
)

// asyncDevice is the reference with streams that run behind the host, each on a goroutine of its own and at its own random pace, so that a
// missing event wait becomes a wrong result, and a data race for the detector.
type asyncDevice struct {
	*ref.Device
	seed   uint64
	count  atomic.Uint64
	failed atomic.Bool // a collective was cut short: another rank may still be reading what operators here would write
}

func openAsync(rank, world int) (kernels.Device, error) {
	return &asyncDevice{Device: ref.New(), seed: uint64(rank)}, nil
}

func (d *asyncDevice) NewStream() (kernels.Stream, error) {
	inner, err := d.Device.NewStream()
	if err != nil {
		return nil, err
	}
	s := &asyncStream{dev: d, in: inner.(kernels.HostStream), queue: make(chan func(), 1<<16)}
	pace := rand.New(rand.NewPCG(d.seed, d.count.Add(1)))
	go func() {
		for f := range s.queue {
			if pace.IntN(20) == 0 {
				time.Sleep(time.Duration(pace.IntN(100)) * time.Microsecond)
			}
			f()
			s.busy.Done()
		}
	}()
	return s, nil
}

func (d *asyncDevice) NewEvent() (kernels.Event, error) {
	inner, err := d.Device.NewEvent()
	return &asyncEvent{in: inner}, err
}

// asyncEvent holds the channel that its last Record closes.
type asyncEvent struct {
	in   kernels.Event
	done chan struct{}
}

func (e *asyncEvent) Since(start kernels.Event) time.Duration {
	<-e.done
	<-start.(*asyncEvent).done
	return e.in.Since(start.(*asyncEvent).in)
}

func (e *asyncEvent) Close() error { return e.in.Close() }

type asyncStream struct {
	dev   *asyncDevice
	in    kernels.HostStream
	queue chan func()
	busy  sync.WaitGroup
}

// do enqueues what runs even after a failure, as events must.
func (s *asyncStream) do(f func()) {
	s.busy.Add(1)
	s.queue <- f
}

// op enqueues an operator, which is skipped after a failure.
func (s *asyncStream) op(f func()) {
	s.do(func() {
		if !s.dev.failed.Load() {
			f()
		}
	})
}

func (s *asyncStream) Record(k kernels.Event) {
	e := k.(*asyncEvent)
	if e.done != nil {
		select {
		case <-e.done:
		default:
			panic("an event is recorded again before its last record completed")
		}
	}
	done := make(chan struct{})
	e.done = done
	s.do(func() { s.in.Record(e.in); close(done) })
}

func (s *asyncStream) Wait(k kernels.Event) {
	done := k.(*asyncEvent).done
	if done == nil {
		panic("wait for an event that was never recorded")
	}
	s.do(func() { <-done })
}

func (s *asyncStream) Sync() error {
	s.busy.Wait()
	return s.in.Sync()
}

func (s *asyncStream) Close() error {
	close(s.queue)
	return s.in.Close()
}

func (s *asyncStream) Download(dst *tensor.Dense, src kernels.Tensor) error {
	s.busy.Wait()
	return s.in.Download(dst, src)
}

func (s *asyncStream) Sum(dst kernels.Tensor, srcs []kernels.Tensor) { s.in.Sum(dst, srcs) }

func (s *asyncStream) Do(f func() error) {
	s.do(func() {
		s.in.Do(func() error {
			err := f()
			if err != nil {
				s.dev.failed.Store(true)
			}
			return err
		})
	})
}

func (s *asyncStream) Upload(dst kernels.Tensor, src *tensor.Dense) {
	s.op(func() { s.in.Upload(dst, src) })
}

func (s *asyncStream) EmbeddingForward(out, ids, wte, wpe kernels.Tensor) {
	s.op(func() { s.in.EmbeddingForward(out, ids, wte, wpe) })
}

func (s *asyncStream) EmbeddingBackward(dwte, dwpe, dout, ids kernels.Tensor) {
	s.op(func() { s.in.EmbeddingBackward(dwte, dwpe, dout, ids) })
}

func (s *asyncStream) LayerNormForward(out, mean, rstd, x, gain, bias kernels.Tensor) {
	s.op(func() { s.in.LayerNormForward(out, mean, rstd, x, gain, bias) })
}

func (s *asyncStream) LayerNormBackward(dx, dgain, dbias, dout, x, mean, rstd, gain, residual kernels.Tensor) {
	s.op(func() { s.in.LayerNormBackward(dx, dgain, dbias, dout, x, mean, rstd, gain, residual) })
}

func (s *asyncStream) LinearForward(out, x kernels.Tensor, w kernels.Weight, e kernels.Epilogue) {
	s.op(func() { s.in.LinearForward(out, x, w, e) })
}

func (s *asyncStream) LinearBackwardInput(dx, dout kernels.Tensor, w kernels.Weight, e kernels.Epilogue) {
	s.op(func() { s.in.LinearBackwardInput(dx, dout, w, e) })
}

func (s *asyncStream) LinearBackwardWeight(dw kernels.Weight, dbias, dout, x kernels.Tensor) {
	s.op(func() { s.in.LinearBackwardWeight(dw, dbias, dout, x) })
}

func (s *asyncStream) AttentionForward(out, lse, qkv kernels.Tensor) {
	s.op(func() { s.in.AttentionForward(out, lse, qkv) })
}

func (s *asyncStream) AttentionBackward(dqkv, scratch, dout, out, lse, qkv kernels.Tensor) {
	s.op(func() { s.in.AttentionBackward(dqkv, scratch, dout, out, lse, qkv) })
}

func (s *asyncStream) AttentionExtendForward(out, lse, qkv, kv kernels.Tensor) {
	s.op(func() { s.in.AttentionExtendForward(out, lse, qkv, kv) })
}

func (s *asyncStream) AttentionExtendBackward(dqkv, dkv, scratch, dout, lse, qkv, kv kernels.Tensor) {
	s.op(func() { s.in.AttentionExtendBackward(dqkv, dkv, scratch, dout, lse, qkv, kv) })
}

func (s *asyncStream) Add(out, x, bias, residual kernels.Tensor) {
	s.op(func() { s.in.Add(out, x, bias, residual) })
}

func (s *asyncStream) MSE(loss, dx, x, target kernels.Tensor, n int, state kernels.Tensor) {
	s.op(func() { s.in.MSE(loss, dx, x, target, n, state) })
}

func (s *asyncStream) CrossEntropy(loss, dlogits, logits, targets kernels.Tensor, n int, state kernels.Tensor) {
	s.op(func() { s.in.CrossEntropy(loss, dlogits, logits, targets, n, state) })
}

func (s *asyncStream) AdamW(a kernels.AdamWArgs) { s.op(func() { s.in.AdamW(a) }) }

func (s *asyncStream) FindNonFinite(state, x kernels.Tensor) {
	s.op(func() { s.in.FindNonFinite(state, x) })
}

func (s *asyncStream) UpdateScale(state kernels.Tensor, dynamic bool) {
	s.op(func() { s.in.UpdateScale(state, dynamic) })
}

func (s *asyncStream) Encode(w kernels.Weight, dense kernels.Tensor) {
	s.op(func() { s.in.Encode(w, dense) })
}

func (s *asyncStream) Decode(dense kernels.Tensor, w kernels.Weight) {
	s.op(func() { s.in.Decode(dense, w) })
}

func (s *asyncStream) Cast(dst, src kernels.Tensor) { s.op(func() { s.in.Cast(dst, src) }) }

func (s *asyncStream) Fill(dst kernels.Tensor, v float64) { s.op(func() { s.in.Fill(dst, v) }) }

func (s *asyncStream) Copy(dst, src kernels.Tensor) { s.op(func() { s.in.Copy(dst, src) }) }

func (s *asyncStream) CopyColumns(dst, src kernels.Tensor, to, from, n int) {
	s.op(func() { s.in.CopyColumns(dst, src, to, from, n) })
}

func (s *asyncStream) RouteForward(r kernels.Routing, stats, logits kernels.Tensor, groups int) {
	s.op(func() { s.in.RouteForward(r, stats, logits, groups) })
}

func (s *asyncStream) RouteBackward(dlogits, dgates kernels.Tensor, r kernels.Routing, weight float64, groups int, state kernels.Tensor) {
	s.op(func() { s.in.RouteBackward(dlogits, dgates, r, weight, groups, state) })
}

func (s *asyncStream) Dispatch(out, x kernels.Tensor, r kernels.Routing, weighted bool) {
	s.op(func() { s.in.Dispatch(out, x, r, weighted) })
}

func (s *asyncStream) Combine(out, y, residual kernels.Tensor, r kernels.Routing, weighted bool) {
	s.op(func() { s.in.Combine(out, y, residual, r, weighted) })
}

func (s *asyncStream) GateBackward(dgates, dout, y kernels.Tensor, r kernels.Routing) {
	s.op(func() { s.in.GateBackward(dgates, dout, y, r) })
}
