package gemm

import (
	"fmt"
	"strings"

	"ofpeak/kernels/cpu/team"
)

// Context multiplies on one team and owns the packing buffers, so that a call
// allocates nothing once a product of its size was seen. It serves one caller at
// a time.
type Context struct {
	team      *team.Team
	engines   [I8 + 1]*engine
	workers   []*worker
	task      task // what Part works on: one of those below
	job       job
	sparse    sparseJob
	selected  selectedJob
	gatherer  gatherJob
	block     blockJob
	blockGrad blockGradJob
	sums      blockSumsJob
	mask      mask
	values    buffer // sparse values in the order of their lists
}

// task is one kind of work, shared by the workers.
type task interface {
	part(w *worker, id, workers int)
}

// NewContext returns a context that uses the fastest variants.
func NewContext(t *team.Team) *Context {
	c := &Context{team: t, workers: make([]*worker, t.Size())}
	for i := range c.workers {
		c.workers[i] = &worker{}
	}
	for typ := range c.engines {
		c.engines[typ] = fastest(Type(typ))
	}
	return c
}

func fastest(t Type) *engine { return variants[t][len(variants[t])-1] }

// Variants returns the names of the implementations for operands of type t that
// this CPU can run: the pure Go reference first, the fastest last.
func Variants(t Type) []string {
	var names []string
	for _, e := range variants[t] {
		names = append(names, e.name)
	}
	return names
}

// Select makes products of operands of type t use a variant; the empty name
// stands for the fastest.
func (c *Context) Select(t Type, variant string) error {
	if variant == "" {
		c.engines[t] = fastest(t)
		return nil
	}
	for _, e := range variants[t] {
		if e.name == variant {
			c.engines[t] = e
			return nil
		}
	}
	return fmt.Errorf("gemm: no variant %q for %v here; choose %s", variant, t, strings.Join(Variants(t), ", "))
}

// Variant returns the name of the variant in use for operands of type t.
func (c *Context) Variant(t Type) string { return c.engines[t].name }

// Bytes returns the size of the buffers that the context holds.
func (c *Context) Bytes() int64 {
	n := c.values.bytes()
	for _, w := range c.workers {
		n += w.bytes()
	}
	return n
}

// Multiply computes p. NaN and infinity propagate as in the sum written out.
func (c *Context) Multiply(p Product) {
	p.check()
	if p.M == 0 || p.N == 0 {
		return
	}
	c.job.plan(p, c.engines[p.A.typ], nil, c.team.Size())
	c.run(&c.job)
	c.job = job{}
}

func (c *Context) run(t task) {
	c.task = t
	c.team.Run(c)
	c.task = nil
}

// Part does one worker's share of the current task. It is called by the team.
func (c *Context) Part(worker, workers int) {
	c.task.part(c.workers[worker], worker, workers)
}
