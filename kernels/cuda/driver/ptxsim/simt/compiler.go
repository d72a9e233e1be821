package simt

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// compiler translates one kernel, one instruction at a time. It panics with a *CompileError.
type compiler struct {
	source  *ptx.Kernel
	kernel  *Kernel
	symbols map[string]symbol
	regs    map[string]int
	preds   map[string]int
	consts  map[uint64]int

	in   *ptx.Instr
	mods []string   // of in, not yet understood
	uses []variable // that the instruction reads
	sets []variable // that it writes
}

// symbol is a variable's space and address, or a parameter's cell.
type symbol struct {
	space string // also "param"
	addr  uint64
	size  int
}

func (c *compiler) fail(format string, args ...any) {
	op := strings.Join(append([]string{c.in.Op}, c.in.Mods...), ".")
	panic(&CompileError{c.kernel.Name, c.in.Line, op, fmt.Sprintf(format, args...)})
}

// layout places the kernel's variables. Of the module's shared ones it has those that it names: clang declares each kernel's there.
func (c *compiler) layout(m *ptx.Module, globals map[string]uint64) {
	k := c.kernel
	for i, p := range c.source.Params {
		k.params = append(k.params, p.Type.Size())
		c.symbols[p.Name] = symbol{"param", uint64(i * 8), p.Type.Size()}
	}
	var dynamic []ptx.Var
	named := names(c.source)
	for _, v := range append(append([]ptx.Var(nil), m.Vars...), c.source.Vars...) {
		switch {
		case v.Space == "shared" && !named[v.Name]:
		case v.Space == "global" || v.Space == "const":
			c.symbols[v.Name] = symbol{v.Space, globals[v.Name], v.Size}
		case v.Dynamic:
			dynamic = append(dynamic, v)
		case v.Space == "shared":
			k.Shared = alignUp(k.Shared, v.Align)
			c.symbols[v.Name] = symbol{"shared", sharedStart + uint64(k.Shared), v.Size}
			k.Shared += v.Size
		case v.Space == "local":
			k.Local = alignUp(k.Local, v.Align)
			c.symbols[v.Name] = symbol{"local", localStart + uint64(k.Local), v.Size}
			k.Local += v.Size
		}
	}
	for _, v := range dynamic { // all of them name the same memory
		k.dynamic = alignUp(max(k.dynamic, k.Shared), v.Align)
	}
	for _, v := range dynamic {
		c.symbols[v.Name] = symbol{"shared", sharedStart + uint64(k.dynamic), 0}
	}
}

// names are the symbols in a kernel's operands.
func names(k *ptx.Kernel) map[string]bool {
	found := map[string]bool{}
	var note func([]ptx.Operand)
	note = func(operands []ptx.Operand) {
		for _, o := range operands {
			found[o.Name] = true
			note(o.Sub)
		}
	}
	for _, in := range k.Body {
		note(in.Args)
	}
	return found
}

func alignUp(n, to int) int { return (n + to - 1) / to * to }

// has takes a modifier if it is there.
func (c *compiler) has(mod string) bool {
	if i := slices.Index(c.mods, mod); i >= 0 {
		c.mods = slices.Delete(c.mods, i, i+1)
		return true
	}
	return false
}

// need takes a modifier that must be there.
func (c *compiler) need(mod string) {
	if !c.has(mod) {
		c.fail("only the form with .%s is supported", mod)
	}
}

// one takes the modifier of a list that is there, "" if none is.
func (c *compiler) one(mods ...string) string {
	for _, m := range mods {
		if c.has(m) {
			return m
		}
	}
	return ""
}

// typ takes the next type.
func (c *compiler) typ() ptx.Type {
	for i, m := range c.mods {
		if ptx.IsType(m) {
			c.mods = slices.Delete(c.mods, i, i+1)
			return ptx.Type(m)
		}
	}
	c.fail("a type is missing")
	return ""
}

func (c *compiler) arg(i int) ptx.Operand {
	if i >= len(c.in.Args) {
		c.fail("operand %d is missing", i+1)
	}
	return c.in.Args[i]
}

// src is the register that holds source operand i, read as type t.
func (c *compiler) src(i int, t ptx.Type) int { return c.value(c.arg(i), t) }

func (c *compiler) value(o ptx.Operand, t ptx.Type) int {
	switch o.Kind {
	case ptx.Reg:
		if of, ok := specials[o.Name]; ok {
			return c.special(o.Name, of)
		}
		r := c.reg(o.Name)
		c.uses = append(c.uses, register(r))
		return r
	case ptx.Int:
		bits := o.Bits
		if n := t.Size(); n > 0 && n < 8 {
			bits &= 1<<(8*n) - 1
		}
		return c.constant(bits)
	case ptx.Float32:
		if t == "f64" {
			return c.constant(math.Float64bits(float64(math.Float32frombits(uint32(o.Bits)))))
		}
		return c.constant(o.Bits)
	case ptx.Float64:
		if t == "f32" {
			return c.constant(uint64(math.Float32bits(float32(math.Float64frombits(o.Bits)))))
		}
		return c.constant(o.Bits)
	case ptx.Symbol:
		if o.Name == "WARP_SZ" {
			return c.constant(warpSize)
		}
		return c.constant(c.symbol(o.Name).addr + uint64(o.Off))
	}
	c.fail("an operand of this kind is not supported")
	return 0
}

func (c *compiler) symbol(name string) symbol {
	s, ok := c.symbols[name]
	if !ok {
		c.fail("nothing is called %s", name)
	}
	return s
}

// dst is the register of destination i, and the mask of its width.
func (c *compiler) dst(i int) (reg int, mask uint64) { return c.target(c.arg(i)) }

func (c *compiler) target(o ptx.Operand) (reg int, mask uint64) {
	if o.Kind == ptx.Sink {
		c.kernel.regs++
		return c.kernel.regs - 1, ^uint64(0)
	}
	t := c.source.Regs[o.Name]
	if o.Kind != ptx.Reg || t.Size() == 0 {
		c.fail("a destination is no register")
	}
	r := c.reg(o.Name)
	c.sets = append(c.sets, register(r))
	return r, widthMask(t)
}

func widthMask(t ptx.Type) uint64 {
	if t.Size() >= 8 {
		return ^uint64(0)
	}
	return 1<<(8*t.Size()) - 1
}

func (c *compiler) reg(name string) int {
	if t := c.source.Regs[name]; t.Size() == 0 {
		c.fail("%s is no register", name)
	}
	return index(c.regs, name, &c.kernel.regs)
}

func (c *compiler) pred(name string) int {
	if c.source.Regs[name] != "pred" {
		c.fail("%s is no predicate", name)
	}
	return index(c.preds, name, &c.kernel.preds)
}

func (c *compiler) constant(bits uint64) int {
	r, ok := c.consts[bits]
	if !ok {
		r = c.kernel.regs
		c.kernel.regs++
		c.consts[bits] = r
		c.kernel.consts = append(c.kernel.consts, constant{r, bits})
	}
	return r
}

func (c *compiler) special(name string, of func(*warp, int) uint64) int {
	if r, ok := c.regs[name]; ok {
		return r
	}
	r := index(c.regs, name, &c.kernel.regs)
	c.kernel.specials = append(c.kernel.specials, special{r, of})
	return r
}

// index gives every key a number of its own.
func index[K comparable](m map[K]int, key K, n *int) int {
	i, ok := m[key]
	if !ok {
		i = *n
		m[key] = i
		*n++
	}
	return i
}

// predSrc reads a predicate operand, negated or not, or a constant.
func (c *compiler) predSrc(o ptx.Operand) func(w *warp) uint32 {
	if o.Kind == ptx.Int {
		v := uint32(0)
		if o.Bits != 0 {
			v = full
		}
		return func(*warp) uint32 { return v }
	}
	p := c.pred(o.Name)
	c.uses = append(c.uses, predicate(p))
	if o.Not {
		return func(w *warp) uint32 { return ^w.preds[p] }
	}
	return func(w *warp) uint32 { return w.preds[p] }
}

// predDst writes a predicate under a mask; a sink takes it too.
func (c *compiler) predDst(o ptx.Operand) func(w *warp, mask, v uint32) {
	if o.Kind == ptx.Sink {
		return func(*warp, uint32, uint32) {}
	}
	p := c.pred(o.Name)
	c.sets = append(c.sets, predicate(p))
	return func(w *warp, mask, v uint32) { w.preds[p] = w.preds[p]&^mask | v&mask }
}
