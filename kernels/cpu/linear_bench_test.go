//go:build unix

package cpu_test

import (
	"testing"

	"ofpeak/kernels"
)

// The widest layer of a gpt2 block at 1024 tokens.
const linearN, linearC, linearOC = 1024, 768, 3072

// BenchmarkLinear is each product of a layer with each epilogue.
func BenchmarkLinear(b *testing.B) {
	const flops = 2 * linearN * linearC * linearOC
	for _, dt := range []kernels.DType{kernels.F32, kernels.BF16, kernels.F16} {
		for _, e := range []string{"", "bias", "bias+GELU", "bias+residual"} {
			b.Run("forward/"+dt.String()+"/"+e, func(b *testing.B) {
				benchmark(b, dt, func(b bench) (func(), int, int) {
					x, out, epilogue := b.normal(dt, linearN, linearC), b.normal(dt, linearN, linearOC), b.epilogue(dt, e)
					w := kernels.Weight{OC: linearOC, C: linearC, Values: b.normal(dt, linearOC, linearC)}
					return func() { b.s.LinearForward(out, x, w, epilogue) }, 0, flops
				})
			})
		}
		for _, e := range []string{"", "GELU"} {
			b.Run("input/"+dt.String()+"/"+e, func(b *testing.B) {
				benchmark(b, dt, func(b bench) (func(), int, int) { // the layer after the GELU: its input is wide
					dx, dout := b.normal(dt, linearN, linearOC), b.normal(dt, linearN, linearC)
					w := kernels.Weight{OC: linearC, C: linearOC, Values: b.normal(dt, linearC, linearOC)}
					epilogue := kernels.Epilogue{}
					if e == "GELU" {
						epilogue = kernels.Epilogue{Act: kernels.GELU, Aux: b.normal(dt, linearN, linearOC)}
					}
					return func() { b.s.LinearBackwardInput(dx, dout, w, epilogue) }, 0, flops
				})
			})
		}
		for _, e := range []string{"", "bias"} {
			b.Run("weight/"+dt.String()+"/"+e, func(b *testing.B) {
				benchmark(b, dt, func(b bench) (func(), int, int) {
					x, dout := b.normal(dt, linearN, linearC), b.normal(dt, linearN, linearOC)
					dw := kernels.Weight{OC: linearOC, C: linearC, Values: b.normal(kernels.F32, linearOC, linearC)}
					var dbias kernels.Tensor
					if e == "bias" {
						dbias = b.normal(kernels.F32, linearOC)
					}
					return func() { b.s.LinearBackwardWeight(dw, dbias, dout, x) }, 0, flops
				})
			})
		}
	}
	b.Run("forward/int8", func(b *testing.B) {
		benchmark(b, kernels.I8, func(b bench) (func(), int, int) {
			x, out := b.normal(kernels.F32, linearN, linearC), b.normal(kernels.F32, linearN, linearOC)
			values, err := b.dev.Alloc(kernels.I8, linearOC*linearC)
			if err != nil {
				b.Fatal(err)
			}
			w := kernels.Weight{Layout: kernels.Layout{Format: kernels.Int8}, OC: linearOC, C: linearC,
				Values: kernels.Of(values, linearOC, linearC), Scale: b.normal(kernels.F32, linearOC)}
			b.s.Encode(w, b.normal(kernels.F32, linearOC, linearC))
			return func() { b.s.LinearForward(out, x, w, kernels.Epilogue{}) }, 0, flops
		})
	})
}

// epilogue has the operands that its name says.
func (b bench) epilogue(dt kernels.DType, name string) kernels.Epilogue {
	if name == "" {
		return kernels.Epilogue{}
	}
	e := kernels.Epilogue{Bias: b.normal(dt, linearOC)}
	switch name {
	case "bias+GELU":
		e.Act, e.Aux = kernels.GELU, b.normal(dt, linearN, linearOC)
	case "bias+residual":
		e.Residual = b.normal(dt, linearN, linearOC)
	}
	return e
}
