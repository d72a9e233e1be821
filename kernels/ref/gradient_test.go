package ref

import (
	"math"
	"math/rand/v2"
	"testing"

	"ofpeak/kernels"
)

// A gradient case is a function from inputs to outputs, and its backward pass, which gives each input's gradient for random
// output gradients. Every element of every input is checked by central differences of L = Σ dout·out.
type differentiable struct {
	*fixture
	inputs   []kernels.Tensor
	grads    []kernels.Tensor // one for each input
	out      kernels.Tensor
	dout     kernels.Tensor // absent: out is a loss
	forward  func()
	backward func()
}

func (d *differentiable) check(t *testing.T) {
	t.Helper()
	d.forward()
	d.backward()
	loss := func() float64 {
		d.forward()
		if d.dout.None() {
			return read(d.out)[0]
		}
		return dot(read(d.out), read(d.dout))
	}
	for k, x := range d.inputs {
		const h = 1e-4
		v, want := read(x), make([]float64, x.Size())
		for i, keep := range v {
			slope := func(h float64) float64 {
				v[i] = keep + h
				up := loss()
				v[i] = keep - h
				down := loss()
				v[i] = keep
				return (up - down) / (2 * h)
			}
			want[i] = (4*slope(h) - slope(2*h)) / 3 // Richardson: the error is of order h⁴
		}
		if e := kernels.RelError(read(d.grads[k]), want); !(e < 1e-8) {
			t.Errorf("gradient of input %d is off by %.3g", k, e)
		}
	}
	if err := d.s.Sync(); err != nil {
		t.Error(err)
	}
}

func newDifferentiable(t *testing.T) *differentiable {
	d := &differentiable{fixture: &fixture{t: t, dev: New()}}
	d.s, _ = d.dev.NewStream()
	return d
}

// random makes a tensor of normal values.
func (d *differentiable) random(r *rand.Rand, shape ...int) kernels.Tensor {
	x := d.zeros(kernels.F64, shape...)
	for i, v := 0, read(x); i < len(v); i++ {
		v[i] = r.NormFloat64()
	}
	return x
}

// input makes a random input and its zeroed gradient.
func (d *differentiable) input(r *rand.Rand, shape ...int) (x, dx kernels.Tensor) {
	x, dx = d.random(r, shape...), d.zeros(kernels.F64, shape...)
	d.inputs, d.grads = append(d.inputs, x), append(d.grads, dx)
	return x, dx
}

// output makes the output and its random gradient.
func (d *differentiable) output(r *rand.Rand, shape ...int) {
	d.out, d.dout = d.zeros(kernels.F64, shape...), d.random(r, shape...)
}

func TestGradients(t *testing.T) {
	ops := map[string]func(d *differentiable, r *rand.Rand){
		"embedding": embeddingGradient, "layernorm": layerNormGradient, "attention": attentionGradient, "extended attention": extendedGradient,
		"experts": expertsGradient, "balance": balanceGradient, "mse": mseGradient, "cross entropy": crossEntropyGradient, "gelu": geluGradient,
		"dense": func(d *differentiable, r *rand.Rand) { linearGradient(d, r, kernels.Layout{}) },
		"2:4":   func(d *differentiable, r *rand.Rand) { linearGradient(d, r, kernels.Layout{Format: kernels.Sparse24}) },
		"block sparse": func(d *differentiable, r *rand.Rand) {
			linearGradient(d, r, kernels.Layout{Format: kernels.BlockSparse, Block: 4, Keep: 0.5})
		},
	}
	for name, op := range ops {
		for seed := range uint64(4) {
			t.Run(name, func(t *testing.T) {
				d := newDifferentiable(t)
				op(d, rand.New(rand.NewPCG(seed, 4)))
				d.check(t)
			})
		}
	}
}

// routing makes a routing of two groups of odd numbers of tokens over an even number of experts: an even spread would have no gradient.
func (d *differentiable) routing(r *rand.Rand) kernels.Routing {
	group, e, k, capacity := 1+2*r.IntN(3), 2+2*r.IntN(2), 1+r.IntN(2), 1+r.IntN(3)
	n := 2 * group
	return kernels.Routing{
		Group: group, Capacity: capacity, Probs: d.zeros(kernels.F64, n, e), Gates: d.zeros(kernels.F64, n, k),
		Choices: d.zeros(kernels.I32, n, k), Rows: d.zeros(kernels.I32, n, k), Tokens: d.zeros(kernels.I32, e*2*capacity),
	}
}

// expertsGradient is of experts that add a constant of each row.
func expertsGradient(d *differentiable, r *rand.Rand) {
	to := d.routing(r)
	n, e, k, rows := to.Sizes()
	c := 1 + r.IntN(5)
	x, dx := d.input(r, n, c)
	logits, dlogits := d.input(r, n, e)
	d.output(r, n, c)
	stats, state := d.zeros(kernels.F64, kernels.RouteLen), d.scaleState()
	y, constant, dy, dgates := d.zeros(kernels.F64, rows, c), d.random(r, rows, c), d.zeros(kernels.F64, rows, c), d.zeros(kernels.F64, n, k)
	d.forward = func() {
		d.s.RouteForward(to, stats, logits, 2)
		d.s.Dispatch(y, x, to, false)
		d.s.Add(y, y, kernels.Tensor{}, constant)
		d.s.Combine(d.out, y, kernels.Tensor{}, to, true)
	}
	d.backward = func() {
		d.s.GateBackward(dgates, d.dout, y, to)
		d.s.Dispatch(dy, d.dout, to, true)
		d.s.Combine(dx, dy, kernels.Tensor{}, to, false)
		d.s.RouteBackward(dlogits, dgates, to, 0, 2, state)
	}
}

// balanceGradient is of the load-balancing loss alone.
func balanceGradient(d *differentiable, r *rand.Rand) {
	to := d.routing(r)
	n, e, k, _ := to.Sizes()
	logits, dlogits := d.input(r, n, e)
	state, dgates := d.scaleState(), d.zeros(kernels.F64, n, k)
	stats := d.zeros(kernels.F64, kernels.RouteLen)
	d.out = stats.At(kernels.RouteBalance, 1)
	d.forward = func() {
		clear(read(stats))
		d.s.RouteForward(to, stats, logits, 2)
	}
	d.backward = func() { d.s.RouteBackward(dlogits, dgates, to, 1, 2, state) }
}

// scaleState is a state without loss scaling.
func (d *differentiable) scaleState() kernels.Tensor {
	state := d.zeros(kernels.F64, kernels.StateLen)
	read(state)[kernels.StateScale] = 1
	return state
}

func embeddingGradient(d *differentiable, r *rand.Rand) {
	b, length, v, c := 1+r.IntN(3), 1+r.IntN(4), 1+r.IntN(5), 1+r.IntN(5)
	ids := d.zeros(kernels.I32, b, length)
	for i := range ints[int32](ids) {
		ints[int32](ids)[i] = int32(r.IntN(v))
	}
	wte, dwte := d.input(r, v, c)
	wpe, dwpe := d.input(r, length, c)
	d.output(r, b*length, c)
	d.forward = func() { d.s.EmbeddingForward(d.out, ids, wte, wpe) }
	d.backward = func() { d.s.EmbeddingBackward(dwte, dwpe, d.dout, ids) }
}

func layerNormGradient(d *differentiable, r *rand.Rand) {
	n, c := 1+r.IntN(4), 2+r.IntN(7)
	x, dx := d.input(r, n, c)
	gain, dgain := d.input(r, c)
	bias, dbias := d.input(r, c)
	d.output(r, n, c)
	mean, rstd := d.zeros(kernels.F64, n), d.zeros(kernels.F64, n)
	d.forward = func() { d.s.LayerNormForward(d.out, mean, rstd, x, gain, bias) }
	d.backward = func() { d.s.LayerNormBackward(dx, dgain, dbias, d.dout, x, mean, rstd, gain, kernels.Tensor{}) }
}

func linearGradient(d *differentiable, r *rand.Rand, layout kernels.Layout) {
	n, oc, c := 1+r.IntN(4), 4*(1+r.IntN(3)), 8*(1+r.IntN(2))
	w := kernels.Weight{Layout: layout, OC: oc, C: c}
	k, meta := layout.MetaLen(oc, c)
	w.Meta = d.zeros(meta, k)
	dw := w
	w.Values, dw.Values = d.input(r, layout.ValueLen(oc, c))
	d.s.Encode(w, d.random(r, oc, c))
	x, dx := d.input(r, n, c)
	bias, dbias := d.input(r, oc)
	d.output(r, n, oc)
	d.forward = func() { d.s.LinearForward(d.out, x, w, kernels.Epilogue{Bias: bias}) }
	d.backward = func() {
		d.s.LinearBackwardInput(dx, d.dout, w, kernels.Epilogue{})
		d.s.LinearBackwardWeight(dw, dbias, d.dout, x)
	}
}

// geluGradient puts GELU between two products; the first is by the identity.
func geluGradient(d *differentiable, r *rand.Rand) {
	n, c, oc := 1+r.IntN(4), 1+r.IntN(6), 1+r.IntN(4)
	one := kernels.Weight{OC: c, C: c, Values: d.zeros(kernels.F64, c, c)}
	for i := range c {
		d.s.Fill(one.Values.At(i*c+i, 1), 1)
	}
	w := kernels.Weight{OC: oc, C: c, Values: d.random(r, oc, c)}
	x, dx := d.input(r, n, c)
	d.output(r, n, oc)
	act, pre := d.zeros(kernels.F64, n, c), d.zeros(kernels.F64, n, c)
	d.forward = func() {
		d.s.LinearForward(act, x, one, kernels.Epilogue{Act: kernels.GELU, Aux: pre})
		d.s.LinearForward(d.out, act, w, kernels.Epilogue{})
	}
	d.backward = func() { d.s.LinearBackwardInput(dx, d.dout, w, kernels.Epilogue{Act: kernels.GELU, Aux: pre}) }
}

func attentionGradient(d *differentiable, r *rand.Rand) {
	b, length, nh, hs := 1+r.IntN(2), 1+r.IntN(6), 1+r.IntN(3), 1+r.IntN(4)
	qkv, dqkv := d.input(r, b, length, 3, nh, hs)
	d.output(r, b, length, nh, hs)
	lse, scratch := d.zeros(kernels.F64, b, nh, length), d.zeros(kernels.F64, b, nh, length)
	d.forward = func() { d.s.AttentionForward(d.out, lse, qkv) }
	d.backward = func() { d.s.AttentionBackward(dqkv, scratch, d.dout, d.out, lse, qkv) }
}

// Attention to positions of its own and then to two further pieces, whose gradients start from what the other pieces left.
func extendedGradient(d *differentiable, r *rand.Rand) {
	b, length, nh, hs := 1+r.IntN(2), 1+r.IntN(5), 1+r.IntN(3), 1+r.IntN(4)
	qkv, dqkv := d.input(r, b, length, 3, nh, hs)
	var kv, dkv [2]kernels.Tensor
	for i := range kv {
		kv[i], dkv[i] = d.input(r, b, 1+r.IntN(5), 2, nh, hs)
	}
	d.output(r, b, length, nh, hs)
	lse, scratch := d.zeros(kernels.F64, b, nh, length), d.zeros(kernels.F64, b, nh, length)
	d.forward = func() {
		d.s.AttentionForward(d.out, lse, qkv)
		for _, piece := range kv {
			d.s.AttentionExtendForward(d.out, lse, qkv, piece)
		}
	}
	d.backward = func() {
		d.s.AttentionBackward(dqkv, scratch, d.dout, d.out, lse, qkv)
		for i := range kv {
			d.s.AttentionExtendBackward(dqkv, dkv[i], scratch, d.dout, lse, qkv, kv[i])
		}
	}
}

func mseGradient(d *differentiable, r *rand.Rand) {
	n, c := 1+r.IntN(4), 1+r.IntN(6)
	target, state := d.random(r, n, c), d.state()
	x, dx := d.input(r, n, c)
	d.out = d.zeros(kernels.F64, 1)
	d.forward = func() {
		d.s.Fill(d.out, 0)
		d.s.MSE(d.out, kernels.Tensor{}, x, target, 3*n*c, state)
	}
	d.backward = func() { d.s.MSE(d.out, dx, x, target, 3*n*c, state) }
}

func crossEntropyGradient(d *differentiable, r *rand.Rand) {
	n, v := 1+r.IntN(4), 2+r.IntN(6)
	targets, state := d.zeros(kernels.I32, n), d.state()
	for i := range ints[int32](targets) {
		ints[int32](targets)[i] = int32(r.IntN(v))
	}
	x, dx := d.input(r, n, v)
	d.out = d.zeros(kernels.F64, 1)
	d.forward = func() {
		d.s.Fill(d.out, 0)
		d.s.CrossEntropy(d.out, kernels.Tensor{}, x, targets, 3*n, state)
	}
	d.backward = func() { d.s.CrossEntropy(d.out, dx, x, targets, 3*n, state) }
}

// The scale multiplies gradients and leaves the loss alone.
func TestLossScale(t *testing.T) {
	d := newDifferentiable(t)
	r := rand.New(rand.NewPCG(1, 5))
	x, target, state := d.random(r, 3, 4), d.random(r, 3, 4), d.state()
	plain, scaled := d.zeros(kernels.F64, 3, 4), d.zeros(kernels.F64, 3, 4)
	losses := d.zeros(kernels.F64, 2)
	d.s.MSE(losses.Slice(0, 1), plain, x, target, 12, state)
	d.s.Fill(state.At(kernels.StateScale, 1), 1024)
	d.s.MSE(losses.Slice(1, 2), scaled, x, target, 12, state)
	if l := read(losses); l[0] != l[1] || l[0] == 0 {
		t.Errorf("losses %v", l)
	}
	for i, v := range read(plain) {
		if got := read(scaled)[i]; math.Abs(got-1024*v) > 1e-12*math.Abs(got) {
			t.Errorf("gradient %g became %g", v, got)
		}
	}
}
