package ref

import (
	"testing"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
)

// eachFixture runs a test on a fixture of both shapes of scripts/golden.py.
func eachFixture(t *testing.T, name string, run func(f *fixture)) {
	for _, shape := range []string{"small", "wide"} {
		t.Run(shape, func(t *testing.T) { run(load(t, name+"_"+shape)) })
	}
}

func (f *fixture) dense(name string) kernels.Weight {
	a := f.array(name)
	return kernels.Weight{OC: a.shape[0], C: a.shape[1], Values: f.in(name)}
}

func (f *fixture) denseZeros(name string) kernels.Weight {
	w := f.dense(name)
	f.s.Fill(w.Values, 0)
	return w
}

func TestGoldenLinear(t *testing.T) {
	eachFixture(t, "linear", func(f *fixture) {
		x, dout, w, dw := f.in("x"), f.in("dout"), f.dense("w"), f.denseZeros("w")
		out, dx, dbias := f.like("out"), f.like("x"), f.like("bias")
		f.s.LinearForward(out, x, w, kernels.Epilogue{Bias: f.in("bias"), Residual: f.in("residual")})
		f.s.LinearBackwardInput(dx, dout, w, kernels.Epilogue{})
		f.s.LinearBackwardWeight(dw, dbias, dout, x)
		f.equal("out", read(out))
		f.equal("dx", read(dx))
		f.equal("dw", read(dw.Values))
		f.equal("dbias", read(dbias))
	})
}

func TestGoldenLinearGELU(t *testing.T) {
	eachFixture(t, "linear_gelu", func(f *fixture) {
		x, dout, w, w2 := f.in("x"), f.in("dout"), f.dense("w"), f.dense("w2")
		act, pre, out, dpre, dx := f.like("act"), f.like("pre"), f.like("out"), f.like("pre"), f.like("x")
		f.s.LinearForward(act, x, w, kernels.Epilogue{Bias: f.in("bias"), Act: kernels.GELU, Aux: pre})
		f.s.LinearForward(out, act, w2, kernels.Epilogue{})
		f.s.LinearBackwardInput(dpre, dout, w2, kernels.Epilogue{Act: kernels.GELU, Aux: pre})
		f.s.LinearBackwardInput(dx, dpre, w, kernels.Epilogue{})
		dw, dw2, dbias := f.denseZeros("w"), f.denseZeros("w2"), f.like("bias")
		f.s.LinearBackwardWeight(dw, dbias, dpre, x)
		f.s.LinearBackwardWeight(dw2, kernels.Tensor{}, dout, act)
		for name, got := range map[string]kernels.Tensor{
			"pre": pre, "act": act, "out": out, "dx": dx, "dw": dw.Values, "dw2": dw2.Values, "dbias": dbias,
		} {
			f.equal(name, read(got))
		}
	})
}

func TestGoldenLayerNorm(t *testing.T) {
	eachFixture(t, "layernorm", func(f *fixture) {
		x, gain, out, dx := f.in("x"), f.in("gain"), f.like("out"), f.like("x")
		mean, rstd := f.zeros(kernels.F64, x.Dim(0)), f.zeros(kernels.F64, x.Dim(0))
		dgain, dbias := f.like("gain"), f.like("bias")
		f.s.LayerNormForward(out, mean, rstd, x, gain, f.in("bias"))
		f.s.LayerNormBackward(dx, dgain, dbias, f.in("dout"), x, mean, rstd, gain, kernels.Tensor{})
		f.equal("out", read(out))
		f.equal("dx", read(dx))
		f.equal("dgain", read(dgain))
		f.equal("dbias", read(dbias))
	})
}

func TestGoldenAttention(t *testing.T) {
	eachFixture(t, "attention", func(f *fixture) {
		qkv, out, dqkv := f.in("qkv"), f.like("out"), f.like("qkv")
		lse, scratch := f.zeros(kernels.F64, qkv.Dim(0), qkv.Dim(3), qkv.Dim(1)), f.zeros(kernels.F64, qkv.Dim(0), qkv.Dim(3), qkv.Dim(1))
		f.s.AttentionForward(out, lse, qkv)
		f.s.AttentionBackward(dqkv, scratch, f.in("dout"), out, lse, qkv)
		f.equal("out", read(out))
		f.equal("dqkv", read(dqkv))
	})
}

func TestGoldenEmbedding(t *testing.T) {
	eachFixture(t, "embedding", func(f *fixture) {
		ids, out, dwte, dwpe := f.ids("ids"), f.like("out"), f.like("wte"), f.like("wpe")
		f.s.EmbeddingForward(out, ids, f.in("wte"), f.in("wpe"))
		f.s.EmbeddingBackward(dwte, dwpe, f.in("dout"), ids)
		f.equal("out", read(out))
		f.equal("dwte", read(dwte))
		f.equal("dwpe", read(dwpe))
	})
}

func TestGoldenLosses(t *testing.T) {
	eachFixture(t, "mse", func(f *fixture) {
		x, dx, loss := f.in("x"), f.like("x"), f.zeros(kernels.F64, 1)
		f.s.MSE(loss, dx, x, f.in("target"), x.Size(), f.state())
		f.equal("loss", read(loss))
		f.equal("dx", read(dx))
	})
	eachFixture(t, "cross_entropy", func(f *fixture) {
		x, loss := f.in("logits"), f.zeros(kernels.F64, 1)
		f.s.CrossEntropy(loss, x, x, f.ids("targets"), x.Dim(0), f.state())
		f.equal("loss", read(loss))
		f.equal("dlogits", read(x))
	})
}

func TestGoldenSparse24(t *testing.T) {
	eachFixture(t, "sparse24", func(f *fixture) {
		x, dout, dense := f.in("x"), f.in("dout"), f.in("dense")
		w := kernels.Weight{Layout: kernels.Layout{Format: kernels.Sparse24}, OC: dense.Dim(0), C: dense.Dim(1)}
		w.Values, w.Meta = f.zeros(kernels.F64, w.OC, w.C/2), f.zeros(kernels.U8, w.OC, w.C/8)
		dw := w
		dw.Values = f.zeros(kernels.F64, w.OC, w.C/2)
		out, dx := f.like("out"), f.like("x")
		f.s.Encode(w, dense)
		f.s.LinearForward(out, x, w, kernels.Epilogue{})
		f.s.LinearBackwardInput(dx, dout, w, kernels.Epilogue{})
		f.s.LinearBackwardWeight(dw, kernels.Tensor{}, dout, x)
		f.equal("w", decode(w))
		f.equal("out", read(out))
		f.equal("dx", read(dx))
		f.equal("dw", decode(dw))
	})
}

func TestGoldenInt8(t *testing.T) {
	eachFixture(t, "int8", func(f *fixture) {
		dense, out := f.in("dense"), f.like("out")
		w := kernels.Weight{Layout: kernels.Layout{Format: kernels.Int8}, OC: dense.Dim(0), C: dense.Dim(1)}
		w.Values, w.Scale = f.zeros(kernels.I8, w.OC, w.C), f.zeros(kernels.F64, w.OC)
		f.s.Encode(w, dense)
		f.s.LinearForward(out, f.in("x"), w, kernels.Epilogue{Bias: f.in("bias")})
		for i, q := range ints[int8](w.Values) {
			if float64(q) != f.array("values").values[i] {
				t.Fatalf("%s: value %d is %d", f.name, i, q)
			}
		}
		f.equal("scale", read(w.Scale))
		f.equal("out", read(out))
	})
}

func TestGoldenAdamW(t *testing.T) {
	f := load(t, "adamw")
	grads, w, m, v, state := f.in("grads"), f.in("before"), f.like("m"), f.like("v"), f.state()
	for step := range grads.Dim(0) {
		f.s.AdamW(kernels.AdamWArgs{
			Master: w, Grad: grads.Slice(step, step+1), M: m, V: v, State: state,
			LR: 1e-2, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1,
		})
		f.s.UpdateScale(state, false)
	}
	f.equal("after", read(w))
	f.equal("m", read(m))
	f.equal("v", read(v))
}

func TestGoldenStack(t *testing.T) {
	eachFixture(t, "stack", func(f *fixture) {
		st, a := f.stage(block.Config{L: 2})
		n, c := f.array("x").shape[0], f.array("x").shape[1]
		d := f.like("x")
		write(a.In, f.array("x").values)
		write(a.Target, f.array("target").values)
		st.Run(f.s, a, nil, nil)
		st.AddLoss(f.s, a, d, n*c)
		st.Backward(f.s, a, d, nil, nil)
		f.equal("out", read(a.Out))
		f.equal("dx", read(d))
		f.modelEqual(st)
	})
}

func TestGoldenLanguageModel(t *testing.T) {
	eachFixture(t, "lm", func(f *fixture) {
		v := f.array("wte").shape[0]
		st, a := f.stage(block.Config{L: 1, V: v})
		copy(ints[int32](a.IDs), ints[int32](f.ids("ids")))
		copy(ints[int32](a.Target), ints[int32](f.ids("targets")))
		d := f.zeros(kernels.F64, a.Target.Size(), st.C)
		st.Run(f.s, a, nil, nil)
		st.AddLoss(f.s, a, d, a.Target.Size())
		st.Backward(f.s, a, d, nil, nil)
		f.modelEqual(st)
	})
}

// stage makes a float64 model with the fixture's parameters.
func (f *fixture) stage(c block.Config) (*block.Stage, *block.Acts) {
	f.t.Helper()
	c.Precision, _ = kernels.PrecisionNamed("fp64")
	c.Batch, c.T, c.C, c.NH = 2, 5, 12, 3
	if f.name == "stack_wide" || f.name == "lm_wide" {
		c.Batch, c.T, c.C, c.NH = 1, 17, 16, 2
	}
	st, err := block.New(f.dev, f.s, c)
	if err != nil {
		f.t.Fatal(err)
	}
	a, err := st.NewActs()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, p := range st.Params {
		f.s.Upload(st.Weights.At(p.Off, p.Len), tensor.New(tensor.WithBacking(f.array(p.Name).values)))
	}
	return st, a
}

// modelEqual compares the loss and every parameter's gradient.
func (f *fixture) modelEqual(st *block.Stage) {
	f.t.Helper()
	if err := f.s.Sync(); err != nil {
		f.t.Fatal(err)
	}
	f.equal("loss", read(st.Loss))
	for _, p := range st.Params {
		f.equal("d"+p.Name, read(st.Grads.At(p.Off, p.Len)))
	}
}
