// Package gograph is the Transformer stack of kernels/block as a Gorgonia expression graph with symbolic differentiation. It is an
// independent oracle for the hand-written gradients, and a second engine to measure: the same numbers by a general tensor library.
//
// It covers the dense stack with a mean squared error, on one rank, in float32 or float64. The language model, sparse weights and mixed precision
// are block's alone. docs/gorgonia.md lists what this graph had to work around.
package gograph

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
)

// UseBLAS makes the products of every graph in this process call another BLAS, and returns a call that brings the former one back.
// Gorgonia starts with gonum's.
func UseBLAS(b G.BLAS) (restore func()) {
	former := G.WhichBLAS()
	G.Use(b)
	return func() { G.Use(former) }
}

// Engine is one model with its graph, gradients and optimizer state.
type Engine struct {
	cfg    block.Config
	b      builder
	vm     G.VM
	x      *G.Node // (N,C)
	target *G.Node // (N,C)
	out    G.Value // (N,C)
	loss   G.Value
	grads  map[string][]G.Value // in the order of builder.params' nodes
	opt    map[*G.Node]*moments
	steps  int
}

// New builds the graph of cfg's forward pass, its loss, and the gradient of every parameter. Parameters, input and target start as zeros; see
// Load. It fails, wrapping kernels.ErrUnsupported, where the graph does not cover cfg.
func New(cfg block.Config) (*Engine, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	of, err := dtype(cfg)
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, grads: map[string][]G.Value{}, opt: map[*G.Node]*moments{}}
	e.b = builder{cfg: cfg, g: G.NewGraph(), t: of, params: map[string][]*G.Node{}}
	e.x, e.target = e.b.leaf("x", cfg.Batch*cfg.T, cfg.C), e.b.leaf("target", cfg.Batch*cfg.T, cfg.C)
	out := e.b.stack(e.x)
	loss := e.b.mse(out, e.target)
	if e.b.err != nil {
		return nil, fmt.Errorf("gorgonia graph: %w", e.b.err)
	}
	G.Read(out, &e.out)
	G.Read(loss, &e.loss)
	if err := e.differentiate(loss); err != nil {
		return nil, fmt.Errorf("gorgonia gradients: %w", err)
	}
	e.vm = G.NewTapeMachine(e.b.g)
	return e, nil
}

func dtype(c block.Config) (tensor.Dtype, error) {
	switch {
	case c.V > 0 || c.TP > 1 || c.Lo != 0 || c.Hi != 0 || c.Forward:
		return tensor.Dtype{}, fmt.Errorf("%w: the gorgonia graph is a whole block stack in training", kernels.ErrUnsupported)
	case c.Layout.Format != kernels.Dense:
		return tensor.Dtype{}, fmt.Errorf("%w: the gorgonia graph has dense weights only, not %s", kernels.ErrUnsupported, c.Layout.Format)
	case c.Precision.Name == "fp32":
		return tensor.Float32, nil
	case c.Precision.Name == "fp64":
		return tensor.Float64, nil
	}
	return tensor.Dtype{}, fmt.Errorf("%w: gorgonia computes in fp32 and fp64, not %s", kernels.ErrUnsupported, c.Precision.Name)
}

// differentiate extends the graph by the gradients of all parameters, in block's order.
func (e *Engine) differentiate(loss *G.Node) error {
	var nodes G.Nodes
	for _, name := range e.b.names {
		nodes = append(nodes, e.b.params[name]...)
	}
	grads, err := G.Grad(loss, nodes...)
	if err != nil {
		return err
	}
	for _, name := range e.b.names {
		values := make([]G.Value, len(e.b.params[name]))
		for i := range values {
			G.Read(grads[0], &values[i])
			grads = grads[1:]
		}
		e.grads[name] = values
	}
	return nil
}

// Names lists the parameters, named and ordered as in block.
func (e *Engine) Names() []string { return e.b.names }

// Load sets a parameter (OC,C) by block's name, or "x" or "target" (N,C).
func (e *Engine) Load(name string, values []float64) {
	switch name {
	case "x":
		store(e.x.Value(), values)
		return
	case "target":
		store(e.target.Value(), values)
		return
	}
	nodes := e.b.params[name]
	if len(nodes) == 0 {
		panic("gograph: no parameter of that name")
	}
	part := len(values) / len(nodes)
	for i, n := range nodes {
		store(n.Value(), transposed(values[i*part:(i+1)*part], n.Shape()[1], n.Shape()[0]))
	}
}

// LoadStage copies all parameters of a stage.
func (e *Engine) LoadStage(s kernels.Stream, st *block.Stage) error {
	for i, p := range st.Params {
		v, err := st.ReadWeights(s, i)
		if err != nil {
			return err
		}
		e.Load(p.Name, v)
	}
	return nil
}

// Run is one forward and backward pass; it returns the loss.
func (e *Engine) Run() (float64, error) {
	e.vm.Reset()
	if err := e.vm.RunAll(); err != nil {
		return 0, fmt.Errorf("gorgonia: %w", err)
	}
	return load(e.loss)[0], nil
}

// Out is the last run's output (N,C).
func (e *Engine) Out() []float64 { return load(e.out) }

// Grad is the last run's gradient of a parameter (OC,C).
func (e *Engine) Grad(name string) []float64 {
	return e.joined(name, func(i int) G.Value { return e.grads[name][i] })
}

// Param is a parameter (OC,C).
func (e *Engine) Param(name string) []float64 {
	return e.joined(name, func(i int) G.Value { return e.b.params[name][i].Value() })
}

// joined puts a parameter's parts together in block's layout.
func (e *Engine) joined(name string, part func(i int) G.Value) []float64 {
	var all []float64
	for i, n := range e.b.params[name] {
		all = append(all, transposed(load(part(i)), n.Shape()[0], n.Shape()[1])...)
	}
	return all
}

// Close releases the graph's machine.
func (e *Engine) Close() error { return e.vm.Close() }

// load widens a value's elements.
func load(v G.Value) []float64 {
	switch d := v.Data().(type) {
	case float64:
		return []float64{d}
	case float32:
		return []float64{float64(d)}
	case []float64:
		return d
	case []float32:
		wide := make([]float64, len(d))
		for i, x := range d {
			wide[i] = float64(x)
		}
		return wide
	}
	panic("gograph: not a float value")
}

// store rounds values into a value's elements.
func store(v G.Value, values []float64) {
	switch d := v.Data().(type) {
	case []float64:
		copy(d, values)
	case []float32:
		for i, x := range values {
			d[i] = float32(x)
		}
	}
}

// transposed is the transpose of a matrix of r rows and c columns.
func transposed(m []float64, r, c int) []float64 {
	t := make([]float64, len(m))
	for i := range m {
		t[i%c*r+i/c] = m[i]
	}
	return t
}
