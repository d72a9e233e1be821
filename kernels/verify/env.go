package verify

import (
	"fmt"
	"math/rand/v2"

	"ofpeak/kernels"
)

// env runs one case on one device: it makes operands between guard words, and reads them back. A case runs twice, with equal random numbers:
// on the device, and with exact set on the reference, where every float type is float64 and holds values rounded to the type asked for.
type env struct {
	dev    kernels.Device
	s      kernels.Stream
	exact  bool
	random *rand.Rand
	shift  int // elements by which views miss the buffer's alignment
	// scale is the size of the terms that the outputs made next are sums of; see kernels.RelErrorAt.
	scale float64
	// math is what products round their factors to, see kernels.Weight; near makes factors that lose nothing by it, see factors.
	math kernels.DType
	near bool

	operands []operand
}

// operand is a view between two guards. host is the buffer as it was uploaded.
type operand struct {
	name      string
	stored    kernels.DType // as asked for
	t         kernels.Tensor
	host      []float64
	tolerance float64
	scale     float64
	output    bool
}

// output is a result read back.
type output struct {
	name      string
	values    []float64
	tolerance float64
	scale     float64
}

const (
	// guardLen is a multiple of every vector, so that only shift decides alignment.
	guardLen = 64
	// outputGuard is exact in every type.
	outputGuard = 96
)

// allocFailure carries an Alloc's error through a case's build function.
type allocFailure struct{ error }

// try runs build and returns its failed allocation, if any.
func (e *env) try(build func(e *env)) (err error) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(allocFailure)
			if !ok {
				panic(r)
			}
			err = f.error
		}
	}()
	build(e)
	return nil
}

// in makes an input. Its guards are NaN, so that a read outside shows in the result.
func (e *env) in(name string, t kernels.DType, values []float64, shape ...int) kernels.Tensor {
	return e.make(operand{name: name}, t, values, nan, shape)
}

// out makes an output that is assigned: it starts as NaN.
func (e *env) out(name string, t kernels.DType, tolerance float64, shape ...int) kernels.Tensor {
	poison := make([]float64, size(shape))
	for i := range poison {
		poison[i] = nan
	}
	return e.inOut(name, t, tolerance, poison, shape...)
}

// sum makes an output that is added to: it starts random.
func (e *env) sum(name string, t kernels.DType, tolerance float64, shape ...int) kernels.Tensor {
	return e.inOut(name, t, tolerance, e.normal(size(shape), 0, 1), shape...)
}

// inOut makes an output that starts as given.
func (e *env) inOut(name string, t kernels.DType, tolerance float64, values []float64, shape ...int) kernels.Tensor {
	return e.make(operand{name: name, output: true, tolerance: tolerance}, t, values, outputGuard, shape)
}

func (e *env) make(o operand, t kernels.DType, values []float64, guard float64, shape []int) kernels.Tensor {
	o.stored, o.scale = t, e.scale
	n, before := size(shape), guardLen+e.shift
	o.host = make([]float64, before+n+guardLen)
	for i := range o.host {
		o.host[i] = guard
		if t.Eps() == 0 {
			o.host[i] = outputGuard
		}
	}
	for i, v := range values {
		o.host[before+i] = Round(t, v)
	}
	stored := t
	if e.exact && t.Eps() > 0 {
		stored = kernels.F64
	}
	b, err := e.dev.Alloc(stored, len(o.host))
	if err != nil {
		panic(allocFailure{err})
	}
	o.t = kernels.Of(b, len(o.host)).At(before, shape...)
	e.operands = append(e.operands, o)
	e.s.Upload(kernels.Of(b, len(o.host)), Dense(stored, o.host))
	return o.t
}

// results reads every operand back: inputs and guards must be unchanged.
func (e *env) results() ([]output, error) {
	var outs []output
	for _, o := range e.operands {
		got, err := Read(e.s, kernels.Of(o.t.Buf, len(o.host)))
		if err != nil {
			return nil, err
		}
		lo, hi := o.t.Off, o.t.Off+o.t.Size()
		for i, v := range got {
			inside := i >= lo && i < hi
			if v == o.host[i] || v != v && o.host[i] != o.host[i] || o.output && inside {
				continue
			}
			if inside {
				return nil, fmt.Errorf("input %s changed at %d", o.name, i-lo)
			}
			return nil, fmt.Errorf("the guard of %s was overwritten at %d of %d", o.name, i-lo, hi-lo)
		}
		if o.output {
			outs = append(outs, output{o.name, overflowed(o.stored, got[lo:hi]), o.tolerance, o.scale})
		}
	}
	return outs, nil
}

func (e *env) free() {
	for _, o := range e.operands {
		o.t.Buf.Free()
	}
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
