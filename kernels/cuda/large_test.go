package cuda

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/kernels/kerneltest"
	"ofpeak/kernels/ref"
	"ofpeak/kernels/verify"
)

// The shapes here have several tiles along each dim, the last of them cut, and operands on 16 bytes: what tensor-core kernels copy asynchronously.

// bench makes equal operands on a simulated GPU and on the reference.
type bench struct {
	t          *testing.T
	random     *rand.Rand
	gpu, truth kernels.Device
	s, exact   kernels.Stream
}

func newBench(t *testing.T, seed uint64) *bench { return newBenchOn(t, ptxsim.Config{Seed: seed}) }

func newBenchOn(t *testing.T, config ptxsim.Config) *bench {
	b := &bench{t: t, random: rand.New(rand.NewPCG(config.Seed, 5)), truth: ref.New()}
	gpu := simulated(t, config)
	t.Cleanup(func() {
		if err := gpu.Close(); err != nil {
			t.Error(err)
		}
	})
	b.gpu = gpu
	b.s, b.exact = kerneltest.Stream(t, b.gpu), kerneltest.Stream(t, b.truth)
	return b
}

// both is one operand on both devices.
type both struct{ gpu, truth kernels.Tensor }

// make gives both devices the same normal values of type dt.
func (b *bench) make(dt kernels.DType, std float64, shape ...int) both {
	n := 1
	for _, d := range shape {
		n *= d
	}
	v := make([]float64, n)
	for i := range v {
		v[i] = verify.Round(dt, std*b.random.NormFloat64())
	}
	return both{kerneltest.Upload(b.t, b.gpu, b.s, stored(dt), v, shape...), kerneltest.Upload(b.t, b.truth, b.exact, exact(dt), v, shape...)}
}

// stored is the type of a tensor of values of a type.
func stored(dt kernels.DType) kernels.DType {
	if dt == kernels.TF32 {
		return kernels.F32
	}
	return dt
}

// exact is the type in which the reference has them.
func exact(dt kernels.DType) kernels.DType {
	if dt == kernels.I32 {
		return dt
	}
	return kernels.F64
}

// weight gives both devices the same weight of normal values, stored by a layout.
func (b *bench) weight(layout kernels.Layout, dt kernels.DType, oc, c int) (gpu, truth kernels.Weight) {
	dense, n := b.make(dt, 1, oc, c).truth, layout.ValueLen(oc, c)
	truth = kernels.Weight{Layout: layout, OC: oc, C: c, Values: kerneltest.Alloc(b.t, b.truth, kernels.F64, n)}
	metas, mt := layout.MetaLen(oc, c)
	if metas > 0 {
		truth.Meta = kerneltest.Alloc(b.t, b.truth, mt, metas)
	}
	b.exact.Encode(truth, dense)
	gpu = truth
	gpu.Values = kerneltest.Upload(b.t, b.gpu, b.s, stored(dt), kerneltest.Read(b.t, b.exact, truth.Values), n)
	if metas > 0 {
		gpu.Meta = kerneltest.Upload(b.t, b.gpu, b.s, mt, kerneltest.Read(b.t, b.exact, truth.Meta), metas)
	}
	return gpu, truth
}

// agree gives the reference the GPU's values.
func (b *bench) agree(o both) {
	b.exact.Upload(o.truth, verify.Dense(kernels.F64, kerneltest.Read(b.t, b.s, o.gpu)))
}

// near compares one operand; terms is how many products its sums have.
func (b *bench) near(name string, o both, dt kernels.DType, terms int) {
	b.t.Helper()
	tolerance := 4*dt.Eps() + 1e-6*float64(terms)
	kerneltest.Near(b.t, name, kerneltest.Read(b.t, b.s, o.gpu), kerneltest.Read(b.t, b.exact, o.truth), tolerance)
}

func TestFlashAttentionOverManyTiles(t *testing.T) {
	for i, c := range []struct {
		dt                kernels.DType
		b, length, nh, hs int
		spread            float64
	}{
		{kernels.BF16, 1, 200, 2, 64, 1}, {kernels.F16, 2, 129, 1, 64, 4}, {kernels.BF16, 1, 161, 1, 128, 1}, {kernels.F16, 1, 192, 1, 128, 1},
	} {
		t.Run(fmt.Sprintf("%s/T=%d/HS=%d", c.dt, c.length, c.hs), func(t *testing.T) {
			b := newBench(t, uint64(i))
			qkv, dout := b.make(c.dt, c.spread, c.b, c.length, 3, c.nh, c.hs), b.make(c.dt, 1, c.b, c.length, c.nh, c.hs)
			out, lse := b.make(c.dt, 1, c.b, c.length, c.nh, c.hs), b.make(kernels.F32, 1, c.b, c.nh, c.length)
			dqkv, rows := b.make(c.dt, 1, c.b, c.length, 3, c.nh, c.hs), b.make(kernels.F32, 1, c.b, c.nh, c.length)
			if !b.s.(*stream).flash(qkv.gpu, out.gpu, dqkv.gpu, dout.gpu) {
				t.Fatal("not the kernel under test")
			}
			b.s.AttentionForward(out.gpu, lse.gpu, qkv.gpu)
			b.exact.AttentionForward(out.truth, lse.truth, qkv.truth)
			b.near("out", out, c.dt, c.hs)
			b.near("lse", lse, kernels.F32, c.hs)
			b.agree(out) // the backward pass is a function of whatever it is given
			b.agree(lse)
			b.s.AttentionBackward(dqkv.gpu, rows.gpu, dout.gpu, out.gpu, lse.gpu, qkv.gpu)
			b.exact.AttentionBackward(dqkv.truth, rows.truth, dout.truth, out.truth, lse.truth, qkv.truth)
			b.near("dqkv", dqkv, c.dt, c.length)
		})
	}
}

func TestFlashAttentionGoesOnOverManyTiles(t *testing.T) {
	for i, c := range []struct {
		dt                         kernels.DType
		b, length, further, nh, hs int
		spread                     float64
	}{
		{kernels.BF16, 1, 70, 200, 2, 64, 1}, {kernels.F16, 2, 129, 65, 1, 64, 3}, {kernels.BF16, 1, 65, 129, 1, 128, 1}, {kernels.F16, 1, 64, 128, 1, 128, 1},
	} {
		t.Run(fmt.Sprintf("%s/T=%d/U=%d/HS=%d", c.dt, c.length, c.further, c.hs), func(t *testing.T) {
			b := newBench(t, uint64(i))
			qkv, dout := b.make(c.dt, c.spread, c.b, c.length, 3, c.nh, c.hs), b.make(c.dt, 1, c.b, c.length, c.nh, c.hs)
			kv, dkv := b.make(c.dt, c.spread, c.b, c.further, 2, c.nh, c.hs), b.make(c.dt, 1, c.b, c.further, 2, c.nh, c.hs)
			out, lse := b.make(c.dt, 1, c.b, c.length, c.nh, c.hs), b.make(kernels.F32, 1, c.b, c.nh, c.length)
			dqkv, rows := b.make(c.dt, 1, c.b, c.length, 3, c.nh, c.hs), b.make(kernels.F32, 1, c.b, c.nh, c.length)
			if !b.s.(*stream).flash(qkv.gpu, out.gpu, kv.gpu, dkv.gpu, dqkv.gpu, dout.gpu) {
				t.Fatal("not the kernel under test")
			}
			b.s.AttentionExtendForward(out.gpu, lse.gpu, qkv.gpu, kv.gpu)
			b.exact.AttentionExtendForward(out.truth, lse.truth, qkv.truth, kv.truth)
			b.near("out", out, c.dt, c.hs)
			b.near("lse", lse, kernels.F32, c.hs)
			b.agree(lse)
			b.s.AttentionExtendBackward(dqkv.gpu, dkv.gpu, rows.gpu, dout.gpu, lse.gpu, qkv.gpu, kv.gpu)
			b.exact.AttentionExtendBackward(dqkv.truth, dkv.truth, rows.truth, dout.truth, lse.truth, qkv.truth, kv.truth)
			b.near("dqkv", dqkv, c.dt, c.further)
			b.near("dkv", dkv, c.dt, c.length)
		})
	}
}

func TestTensorCoreProductsOverManyTiles(t *testing.T) {
	pairs := kernels.Layout{Format: kernels.Sparse24}
	blocks := func(edge int) kernels.Layout {
		return kernels.Layout{Format: kernels.BlockSparse, Block: edge, Keep: 0.5}
	}
	few := kernels.Layout{Format: kernels.BlockSparse, Block: 16, Keep: 0.1} // columns of blocks that are empty, or have an odd number
	for i, c := range []struct {
		dt       kernels.DType
		layout   kernels.Layout
		n, oc, c int
	}{
		{kernels.BF16, kernels.Layout{}, 136, 264, 200}, {kernels.F16, kernels.Layout{}, 264, 136, 72}, {kernels.BF16, kernels.Layout{}, 130, 131, 133},
		{kernels.BF16, pairs, 136, 264, 160}, {kernels.F16, pairs, 264, 136, 288}, {kernels.BF16, pairs, 130, 131, 136},
		{kernels.TF32, kernels.Layout{}, 136, 264, 72}, {kernels.TF32, kernels.Layout{}, 264, 132, 40}, {kernels.TF32, kernels.Layout{}, 130, 131, 33},
		{kernels.BF16, blocks(16), 136, 64, 208}, {kernels.F16, blocks(32), 130, 96, 256}, {kernels.BF16, blocks(64), 264, 128, 448},
		{kernels.F16, few, 35, 80, 320}, {kernels.BF16, blocks(16), 33, 544, 32},
		{kernels.FP8, kernels.Layout{}, 1030, 16, 160}, {kernels.FP8, kernels.Layout{}, 43, 33, 401}, // more elements than threads
	} {
		productsAgree(t, ptxsim.Config{Seed: uint64(i)}, c.dt, c.layout, c.n, c.oc, c.c)
	}
}

// Factors are rounded to 8 bits, and transposed, over several tiles before the library multiplies them.
func TestLibraryProductsOverManyTiles(t *testing.T) {
	for i, c := range []struct{ n, oc, c int }{{144, 272, 48}, {400, 32, 80}, {16, 144, 1040}} {
		productsAgree(t, ptxsim.Config{Seed: uint64(i), Products: true, Capability: 90}, kernels.FP8, kernels.Layout{}, c.n, c.oc, c.c)
	}
}

// productsAgree holds the three products of a linear layer against the reference.
func productsAgree(t *testing.T, config ptxsim.Config, dt kernels.DType, layout kernels.Layout, n, oc, c int) {
	t.Run(fmt.Sprintf("%s/%s/%dx%dx%d", layout.Format, dt, n, oc, c), func(t *testing.T) {
		b, math, factors := newBenchOn(t, config), kernels.DType(0), dt
		switch dt {
		case kernels.TF32: // float32, of values that the rounding of factors keeps
			math, dt = dt, kernels.F32
		case kernels.FP8:
			math, dt, factors = dt, kernels.BF16, kernels.BF16
		}
		x, bias := b.make(factors, 1, n, c), b.make(dt, 1, oc)
		out, dout, dx := b.make(dt, 1, n, oc), b.make(factors, 1, n, oc), b.make(dt, 1, n, c)
		gpu, truth := b.weight(layout, factors, oc, c)
		gpu.Math, truth.Math = math, math
		dw, dbias := b.make(kernels.F32, 1, layout.ValueLen(oc, c)), b.make(kernels.F32, 1, oc)
		run := func(s kernels.Stream, weight kernels.Weight, pick func(both) kernels.Tensor) {
			grad := weight
			grad.Values = pick(dw)
			s.LinearForward(pick(out), pick(x), weight, kernels.Epilogue{Bias: pick(bias), Residual: pick(out)})
			s.LinearBackwardInput(pick(dx), pick(dout), weight, kernels.Epilogue{})
			s.LinearBackwardWeight(grad, pick(dbias), pick(dout), pick(x))
		}
		run(b.s, gpu, func(o both) kernels.Tensor { return o.gpu })
		run(b.exact, truth, func(o both) kernels.Tensor { return o.truth })
		b.near("out", out, dt, c)
		b.near("dx", dx, dt, oc)
		b.near("dw", dw, kernels.F32, n)
		b.near("dbias", dbias, kernels.F32, n)
	})
}

func TestInt8ProductsOverManyTiles(t *testing.T) {
	for i, c := range []struct {
		dt       kernels.DType
		n, oc, c int
	}{{kernels.BF16, 136, 264, 208}, {kernels.F16, 130, 131, 134}} {
		t.Run(fmt.Sprintf("%s/%dx%dx%d", c.dt, c.n, c.oc, c.c), func(t *testing.T) {
			b := newBench(t, uint64(i))
			// Rows whose largest magnitude is 127 have scale 1: their integers are themselves, and no rounding can fall either way.
			rows := func(n int) []float64 {
				v := make([]float64, n*c.c)
				for i := range v {
					if v[i] = float64(b.random.IntN(255) - 127); i%c.c == 0 {
						v[i] = 127
					}
				}
				return v
			}
			x, values, bias, out := rows(c.n), rows(c.oc), b.make(c.dt, 1, c.oc), b.make(c.dt, 1, c.n, c.oc)
			scale := b.make(kernels.F32, 0.001, c.oc)
			w := kernels.Weight{Layout: kernels.Layout{Format: kernels.Int8}, OC: c.oc, C: c.c}
			run := func(dev kernels.Device, s kernels.Stream, dt kernels.DType, pick func(both) kernels.Tensor) {
				w.Values, w.Scale = kerneltest.Upload(t, dev, s, kernels.I8, values, c.oc, c.c), pick(scale)
				s.LinearForward(pick(out), kerneltest.Upload(t, dev, s, dt, x, c.n, c.c), w, kernels.Epilogue{Bias: pick(bias), Residual: pick(out)})
			}
			run(b.gpu, b.s, c.dt, func(o both) kernels.Tensor { return o.gpu })
			run(b.truth, b.exact, kernels.F64, func(o both) kernels.Tensor { return o.truth })
			b.near("out", out, c.dt, c.c)
		})
	}
}
