// Package verify compares any kernels.Device with the float64 reference: one operator, one set of inputs, one type at a time. Inputs are
// rounded to the type first, so that what remains is the operator's own error. They are hostile: rows far from zero, large logits,
// tiny moments, odd sizes, views at odd offsets between guard words.
//
// It needs no testing.T, so that a user can run it on any machine; kernels/kerneltest runs it as a test, and checks what has no
// error measure: memory, streams, casts.
package verify

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"ofpeak/kernels"
	"ofpeak/kernels/ref"
)

// Case is one operator call, or a few that belong together, on fixed inputs.
type Case struct {
	Op     kernels.Op
	Type   kernels.DType
	Layout kernels.Layout // of weights
	Name   string
	seed   uint64
	// build allocates the operands and calls the operator.
	build func(e *env)
}

// String names the case among all.
func (c Case) String() string {
	return fmt.Sprintf("%s/%s/%s/%s", c.Op, c.Type, c.Layout.Format, c.Name)
}

// Run calls the operator on dev and on the reference. It returns the largest kernels.RelErrorAt of any output, and an error if that is
// over the output's tolerance, if an input or a guard word changed, or if the device failed.
func (c Case) Run(dev kernels.Device) (relError float64, err error) {
	relError, _, err = c.RunOutputs(dev)
	return relError, err
}

// RunOutputs is Run with what dev wrote, as far as it came.
func (c Case) RunOutputs(dev kernels.Device) (relError float64, outs []Output, err error) {
	s, err := dev.NewStream()
	if err != nil {
		return 0, nil, fmt.Errorf("%v: %w", c, err)
	}
	defer func() {
		if cerr := s.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("%v: %w", c, cerr)
		}
	}()
	want, err := c.Expect()
	if err != nil {
		return 0, nil, err
	}
	return c.Check(dev, s, want)
}

// Expected is what a case's outputs should be.
type Expected []output

// Expect calls the operator on the reference.
func (c Case) Expect() (Expected, error) {
	dev := ref.New()
	s, err := dev.NewStream()
	if err != nil {
		return nil, fmt.Errorf("%v: reference: %w", c, err)
	}
	want, err := c.run(dev, s, true)
	if err = errors.Join(err, s.Close()); err != nil {
		return nil, fmt.Errorf("%v: reference: %w", c, err)
	}
	return want, nil
}

// Check is RunOutputs against what Expect returned, so that variants and devices share the reference's work, on a stream that other cases use as well.
func (c Case) Check(dev kernels.Device, s kernels.Stream, want Expected) (relError float64, outs []Output, err error) {
	got, err := c.run(dev, s, false)
	if err != nil {
		return 0, nil, fmt.Errorf("%v: %w", c, err)
	}
	for i, g := range got {
		outs = append(outs, Output{g.name, g.values, g.scale})
		e := kernels.RelErrorAt(g.values, want[i].values, g.scale)
		relError = max(relError, e)
		if !(e <= g.tolerance) && err == nil {
			err = fmt.Errorf("%v: %s is off by %.3g, more than %.3g", c, g.name, e, g.tolerance)
		}
	}
	return relError, outs, err
}

func (c Case) run(dev kernels.Device, s kernels.Stream, exact bool) ([]output, error) {
	e := &env{dev: dev, s: s, exact: exact, random: rand.New(rand.NewPCG(c.seed, 1))}
	defer e.free()
	err := e.try(c.build)
	if serr := s.Sync(); err == nil { // also after a failed allocation, since memory in use is about to be freed
		err = serr
	}
	if err != nil {
		return nil, err
	}
	return e.results()
}

// Cases lists every case; the ones a device cannot run are those that its Supports refuses. seed varies inputs and fuzzed shapes.
func Cases(seed uint64) []Case {
	l := &list{seed: seed}
	for _, t := range []kernels.DType{kernels.F64, kernels.F32, kernels.F16, kernels.BF16} {
		l.t = t
		l.embedding()
		l.layerNorm()
		l.linear()
		l.narrowBlocks()
		l.weights()
		l.add()
		l.attention()
		l.extensions()
		l.loss()
		l.experts()
		l.adamW()
		l.nonFinite()
	}
	l.tf32()
	l.fp8()
	return l.cases
}

// list collects cases.
type list struct {
	seed  uint64
	t     kernels.DType
	cases []Case
}

func (l *list) append(op kernels.Op, layout kernels.Layout, build func(e *env), format string, args ...any) {
	c := Case{Op: op, Type: l.t, Layout: layout, Name: fmt.Sprintf(format, args...), build: build}
	// By name, so that a further case leaves the others' inputs as they were.
	h := fnv.New64a()
	fmt.Fprint(h, c)
	c.seed = l.seed ^ h.Sum64()
	l.cases = append(l.cases, c)
}

// fuzz is a deterministic source of shapes.
func (l *list) fuzz() *rand.Rand { return rand.New(rand.NewPCG(l.seed, 2)) }
