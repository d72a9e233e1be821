package kerneltest

import (
	"errors"
	"math/rand/v2"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/verify"
)

// streams hands a value back and forth between two streams. Every hand-over needs its event.
func (h *harness) streams(t *testing.T) {
	dev := h.device(t)
	a, b := Stream(t, dev), Stream(t, dev)
	const n, rounds = 1 << 16, 20
	dt := h.Types[len(h.Types)-1]
	x, y := Alloc(t, dev, dt, n), Alloc(t, dev, dt, n)
	events := make([]kernels.Event, 2*rounds)
	for i := range events {
		e, err := dev.NewEvent()
		if err != nil {
			t.Fatal(err)
		}
		events[i] = e
		defer e.Close()
	}
	for i := range rounds {
		a.Fill(x, float64(i+1))
		a.Record(events[2*i])
		b.Wait(events[2*i])
		b.Copy(y, x)
		b.Record(events[2*i+1])
		a.Wait(events[2*i+1])
		a.Add(x, x, kernels.Tensor{}, y) // overwrites what b read
	}
	for i, v := range Read(t, a, x) {
		if v != 2*rounds {
			t.Fatalf("element %d is %g, want %d", i, v, 2*rounds)
		}
	}
	if err := b.Sync(); err != nil {
		t.Error(err)
	}
	if d := events[2*rounds-1].Since(events[0]); d < 0 {
		t.Errorf("the last event is %v before the first", -d)
	}
}

// host checks what collectives of one process are built on. Devices whose streams are no kernels.HostStream have none.
func (h *harness) host(t *testing.T) {
	dev := h.device(t)
	s, ok := Stream(t, dev).(kernels.HostStream)
	if !ok {
		t.Skip("no host stream")
	}
	broken := errors.New("broken")
	ran := 0
	s.Do(func() error { ran++; return broken })
	s.Do(func() error { ran *= 10; return errors.New("later") })
	if err := s.Sync(); !errors.Is(err, broken) || ran == 0 {
		t.Errorf("Sync gave %v, want the first error", err)
	}
	if err := s.Sync(); err != nil {
		t.Errorf("Sync gave an error twice: %v", err)
	}
	for _, dt := range h.Types {
		for _, n := range []int{1, 7, 1000} {
			for count := 1; count <= 5; count++ {
				for in := range count + 1 {
					sum(t, dev, s, dt, n, count, in)
				}
			}
		}
	}
}

// sum adds count tensors; dst is the one numbered in, or another if that is count.
func sum(t *testing.T, dev kernels.Device, s kernels.HostStream, dt kernels.DType, n, count, in int) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(n), uint64(count)))
	want, srcs := make([]float64, n), make([]kernels.Tensor, count)
	for i := range srcs {
		values := make([]float64, n+1)
		for j := range values {
			values[j] = verify.Round(dt, r.NormFloat64())
		}
		for j := range want {
			want[j] += values[1+j]
		}
		srcs[i] = Upload(t, dev, s, dt, values, n+1).At(1, n)
	}
	dst := Alloc(t, dev, dt, n)
	if in < count {
		dst = srcs[in]
	}
	s.Do(func() error {
		s.Sum(dst, srcs)
		return nil
	})
	Near(t, dt.String()+" sum", Read(t, s, dst), want, dt.Eps()+8*kernels.StatsOf(dt).Eps())
}

// repeatable checks that sums whose order is fixed give the same bits again.
func (h *harness) repeatable(t *testing.T) {
	dev := h.device(t)
	s := Stream(t, dev)
	r := rand.New(rand.NewPCG(h.Seed, 3))
	const b, length, v, c = 4, 33, 5, 64
	for _, dt := range h.Types {
		if dev.Supports(kernels.OpEmbedding, dt, kernels.Dense) != nil {
			continue
		}
		ids, dout := make([]float64, b*length), make([]float64, b*length*c)
		for i := range ids {
			ids[i] = float64(r.IntN(v))
		}
		for i := range dout {
			dout[i] = verify.Round(dt, r.NormFloat64())
		}
		id, d := Upload(t, dev, s, kernels.I32, ids, b, length), Upload(t, dev, s, dt, dout, b*length, c)
		var first []float64
		for range 3 {
			dwte, dwpe := Alloc(t, dev, kernels.StatsOf(dt), v, c), Alloc(t, dev, kernels.StatsOf(dt), length, c)
			s.EmbeddingBackward(dwte, dwpe, d, id)
			got := append(Read(t, s, dwte), Read(t, s, dwpe)...)
			if first == nil {
				first = got
			}
			same(t, dt.String(), got, first)
		}
	}
}

// checks makes sure that wrong calls panic at the call.
func (h *harness) checks(t *testing.T) {
	dev := h.device(t)
	s := Stream(t, dev)
	dt := h.Types[len(h.Types)-1]
	x, y, vec := Alloc(t, dev, dt, 4, 8), Alloc(t, dev, dt, 4, 7), Alloc(t, dev, dt, 8)
	stats := Alloc(t, dev, kernels.StatsOf(dt), 4)
	w := kernels.Weight{OC: 8, C: 8, Values: Alloc(t, dev, dt, 8, 8)}
	none := kernels.Tensor{}
	for name, call := range map[string]func(){
		"embedding forward":  func() { s.EmbeddingForward(x, stats, w.Values, vec) },
		"embedding backward": func() { s.EmbeddingBackward(w.Values, vec, x, stats) },
		"layernorm forward":  func() { s.LayerNormForward(y, stats, stats, x, vec, vec) },
		"layernorm backward": func() { s.LayerNormBackward(y, vec, vec, x, x, stats, stats, vec, none) },
		"linear forward":     func() { s.LinearForward(y, x, w, kernels.Epilogue{}) },
		"linear input":       func() { s.LinearBackwardInput(y, x, w, kernels.Epilogue{}) },
		"linear weight":      func() { s.LinearBackwardWeight(w, none, y, x) },
		"attention forward":  func() { s.AttentionForward(x, stats, x) },
		"attention backward": func() { s.AttentionBackward(x, stats, x, x, stats, x) },
		"add":                func() { s.Add(y, x, none, none) },
		"mse":                func() { s.MSE(stats, y, x, x, 1, stats) },
		"cross entropy":      func() { s.CrossEntropy(stats, x, x, vec, 1, stats) },
		"adamw":              func() { s.AdamW(kernels.AdamWArgs{Master: x, Grad: y, M: x, V: x, State: stats}) },
		"find":               func() { s.FindNonFinite(stats, x) },
		"update":             func() { s.UpdateScale(stats, true) },
		"encode":             func() { s.Encode(w, x) },
		"decode":             func() { s.Decode(x, w) },
		"cast":               func() { s.Cast(x, y) },
		"copy":               func() { s.Copy(x, y) },
		"overlap":            func() { s.Copy(x.Slice(0, 2), x.Slice(1, 3)) },
		"upload":             func() { s.Upload(x, verify.Dense(dt, make([]float64, 31))) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("a wrong call did not panic")
				}
			}()
			call()
		})
	}
}
