package cpu_test

import (
	"testing"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu"
	"ofpeak/kernels/kerneltest"
)

// After the first steps a step allocates nothing: neither enqueuing nor running.
func TestStepsDoNotAllocate(t *testing.T) {
	if raced {
		t.Skip("the race detector makes pools allocate")
	}
	for _, dt := range types {
		dev := open(t, cpu.Config{Threads: 2})
		s := kerneltest.Stream(t, dev).(kernels.HostStream)
		event, err := dev.NewEvent()
		if err != nil {
			t.Fatal(err)
		}
		step := everyOperator(t, dev, s, dt)
		noop := func() error { return nil }
		run := func() {
			step()
			s.Record(event)
			s.Wait(event)
			s.Do(noop)
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			run()
		}
		if n := kerneltest.Allocs(20, run); n > 0 {
			t.Errorf("%v: %g allocations in a step", dt, n)
		}
	}
}

// everyOperator gives a step that calls each operator, every weight format and every optional operand, on shapes that fork the team.
func everyOperator(t *testing.T, dev kernels.Device, s kernels.HostStream, dt kernels.DType) func() {
	const b, length, nh, hs, v = 2, 70, 2, 32, 50
	const n, c, oc = b * length, nh * hs, 96
	alloc := func(dt kernels.DType, shape ...int) kernels.Tensor { return kerneltest.Alloc(t, dev, dt, shape...) }
	f32 := kernels.F32
	ids, wte, wpe, x := alloc(kernels.I32, b, length), alloc(dt, v, c), alloc(dt, length, c), alloc(dt, n, c)
	dwte, dwpe := alloc(f32, v, c), alloc(f32, length, c)
	y, aux, res, dx := alloc(dt, n, oc), alloc(dt, n, oc), alloc(dt, n, oc), alloc(dt, n, c)
	mean, rstd, gain, bias := alloc(f32, n), alloc(f32, n), alloc(dt, c), alloc(dt, c)
	dgain, dbias, obias, dobias := alloc(f32, c), alloc(f32, c), alloc(dt, oc), alloc(f32, oc)
	qkv, dqkv, att, datt := alloc(dt, b, length, 3, nh, hs), alloc(dt, b, length, 3, nh, hs), alloc(dt, b, length, nh, hs), alloc(dt, b, length, nh, hs)
	kv, dkv := alloc(dt, b, length, 2, nh, hs), alloc(dt, b, length, 2, nh, hs)
	kvRows, qkvRows := kv.Reshape(n, 2*c), qkv.Reshape(n, 3*c)
	lse, dots := alloc(f32, b, nh, length), alloc(f32, b, nh, length)
	loss, state, dense, wide := alloc(f32, 1), alloc(f32, kernels.StateLen), alloc(f32, oc, c), alloc(f32, n, c)
	var weights []kernels.Weight
	for _, l := range []kernels.Layout{{}, {Format: kernels.Sparse24}, {Format: kernels.BlockSparse, Block: 16, Keep: 0.5}, {Format: kernels.Int8}} {
		w := kernels.Weight{Layout: l, OC: oc, C: c}
		stored := dt
		if l.Format == kernels.Int8 {
			stored, w.Scale = kernels.I8, alloc(f32, oc)
		}
		w.Values = alloc(stored, l.ValueLen(oc, c))
		if n, meta := l.MetaLen(oc, c); n > 0 {
			w.Meta = alloc(meta, n)
		}
		s.Encode(w, dense)
		weights = append(weights, w)
	}
	grads := make([]kernels.Weight, len(weights))
	for i, w := range weights {
		grads[i] = w
		grads[i].Values = alloc(f32, w.ValueLen(oc, c))
	}
	adam := kernels.AdamWArgs{Param: wte, Master: alloc(f32, v, c), Grad: dwte, M: alloc(f32, v, c), V: alloc(f32, v, c), State: state,
		LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
	srcs := []kernels.Tensor{x, dx}
	target, scale := alloc(dt, n, c), state.At(0, 1)
	targets, tail := ids.Reshape(n), x.Slice(0, n-1)
	tokens, host := tensor.New(tensor.WithShape(b, length), tensor.Of(tensor.Int32)), tensor.New(tensor.WithShape(n, c), tensor.Of(tensor.Float32))
	return func() {
		s.Fill(scale, 1)
		s.Upload(ids, tokens)
		s.Upload(x, host)
		if err := s.Download(host, x); err != nil {
			t.Error(err)
		}
		s.EmbeddingForward(x, ids, wte, wpe)
		s.EmbeddingBackward(dwte, dwpe, x, ids)
		s.LayerNormForward(dx, mean, rstd, x, gain, bias)
		s.LayerNormBackward(dx, dgain, dbias, target, x, mean, rstd, gain, dx)
		for i, w := range weights {
			s.Decode(dense, w)
			s.LinearForward(res, x, w, kernels.Epilogue{Bias: obias, Residual: res})
			s.LinearForward(y, x, w, kernels.Epilogue{Bias: obias, Act: kernels.GELU, Aux: aux, Residual: res})
			if w.Format != kernels.Int8 {
				s.LinearBackwardInput(dx, y, w, kernels.Epilogue{})
				s.LinearBackwardWeight(grads[i], dobias, y, x)
			}
		}
		s.AttentionForward(att, lse, qkv)
		s.AttentionBackward(dqkv, dots, datt, att, lse, qkv)
		s.CopyColumns(kvRows, qkvRows, 0, c, 2*c)
		s.AttentionExtendForward(att, lse, qkv, kv)
		s.AttentionExtendBackward(dqkv, dkv, dots, datt, lse, qkv, kv)
		s.Add(x, x, bias, dx)
		s.MSE(loss, dx, x, target, n*c, state)
		s.CrossEntropy(loss, x, x, targets, n, state)
		s.AdamW(adam)
		s.FindNonFinite(state, tail)
		s.UpdateScale(state, true)
		s.Cast(wide, x)
		s.Copy(dx, x)
		s.Sum(dx, srcs)
	}
}
