package simt

import (
	"fmt"
	"strings"
	"sync"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

const warpSize = 32

// full is the mask of a warp without inactive lanes.
const full = ^uint32(0)

// lanes are one register of a warp: the bits of each lane, zero-extended from the register's width.
type lanes [warpSize]uint64

// step executes one instruction on the lanes of a mask, which is never empty.
type step func(w *warp, mask uint32)

// flow says what an instruction does to the program counter.
type flow uint8

const (
	straight flow = iota
	branch
	exit
	barrier
)

// inst is a compiled instruction.
type inst struct {
	run      step
	first    step // on all lanes of the path, before the guard; mostly nil
	flow     flow
	guard    int // predicate, or -1
	guardNot bool
	target   int                      // of a branch
	meet     int                      // of a branch: where diverged lanes meet again
	release  func(w *warp, votes int) // of a barrier that counts votes
	line     int
	name     string
}

// Kernel is a compiled kernel. It may run on several devices at once.
type Kernel struct {
	Name       string
	MaxThreads int // of a block
	Shared     int // bytes of static shared memory
	Local      int // bytes of local memory a thread

	params   []int // sizes in bytes
	code     []inst
	regs     int
	preds    int
	consts   []constant
	specials []special
	dynamic  int       // offset of dynamic shared memory, or -1
	watched  int       // variables that are watched while the kernel runs
	idle     sync.Pool // of *block
}

// constant is a register that holds the same bits in every lane from the start.
type constant struct {
	reg  int
	bits uint64
}

// special is a register that a warp's place in the launch determines.
type special struct {
	reg int
	of  func(w *warp, lane int) uint64
}

// Compile translates a module's kernels. globals gives the address of each variable of the global and const spaces.
func Compile(m *ptx.Module, globals map[string]uint64) (map[string]*Kernel, error) {
	kernels := map[string]*Kernel{}
	for _, k := range m.Kernels {
		compiled, err := compile(m, k, globals)
		if err != nil {
			return nil, err
		}
		kernels[k.Name] = compiled
	}
	return kernels, nil
}

// CompileError is an instruction that the interpreter does not know.
type CompileError struct {
	Kernel string
	Line   int
	Op     string
	What   string
}

func (e *CompileError) Error() string {
	return fmt.Sprintf("kernel %s, PTX line %d (%s): %s", e.Kernel, e.Line, e.Op, e.What)
}

func compile(m *ptx.Module, k *ptx.Kernel, globals map[string]uint64) (out *Kernel, err error) {
	c := &compiler{
		source: k, symbols: map[string]symbol{}, regs: map[string]int{}, preds: map[string]int{}, consts: map[uint64]int{},
		kernel: &Kernel{Name: k.Name, MaxThreads: k.MaxThreads, dynamic: -1},
	}
	if c.kernel.MaxThreads == 0 {
		c.kernel.MaxThreads = 1024
	}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*CompileError)
			if !ok {
				panic(r)
			}
			out, err = nil, e
		}
	}()
	c.layout(m, globals)
	g := newGraph(k)
	meets := g.meetings(k)
	var accesses []variables // of each instruction
	for i, in := range k.Body {
		c.in, c.mods = &k.Body[i], append([]string(nil), in.Mods...)
		c.uses, c.sets = nil, nil
		op := inst{guard: -1, line: in.Line, name: strings.Join(append([]string{in.Op}, in.Mods...), "."), meet: meets[i]}
		if in.Guard != "" {
			op.guard, op.guardNot = c.pred(in.Guard), in.GuardNot
			c.uses = append(c.uses, predicate(op.guard))
		}
		c.emit(&op)
		c.kernel.code = append(c.kernel.code, op)
		accesses = append(accesses, variables{c.uses, c.sets})
	}
	c.watchUnset(g, accesses)
	return c.kernel, nil
}

// emit compiles the current instruction.
func (c *compiler) emit(op *inst) {
	switch c.in.Op {
	case "bra":
		c.has("uni")
		op.flow = branch
		at, ok := c.source.Labels[c.arg(0).Name]
		if !ok {
			c.fail("no label %s", c.arg(0).Name)
		}
		op.target = at
	case "ret", "exit":
		c.has("uni")
		op.flow = exit
	case "bar", "barrier":
		if c.has("warp") {
			op.run = c.warpSync()
			break
		}
		op.flow = barrier
		c.blockBarrier(op)
	default:
		f, ok := opcodes[c.in.Op]
		if !ok {
			c.fail("unknown opcode")
		}
		op.run = f(c)
	}
	if len(c.mods) > 0 {
		c.fail("unknown modifier .%s", c.mods[0])
	}
}

// blockBarrier compiles a barrier of the whole block, which may count the threads whose predicate holds.
func (c *compiler) blockBarrier(op *inst) {
	c.has("cta")
	c.has("aligned")
	if c.has("red") {
		c.countVotes(op)
		return
	}
	c.need("sync")
	if len(c.in.Args) != 1 {
		c.fail("barriers of a part of a block are not supported")
	}
}

// countVotes compiles bar.red: whether any or all threads vote, or how many.
func (c *compiler) countVotes(op *inst) {
	mode, t := c.one("popc", "and", "or"), c.typ()
	if len(c.in.Args) != 3 {
		c.fail("barriers of a part of a block are not supported")
	}
	p := c.predSrc(c.arg(2))
	op.run = func(w *warp, mask uint32) { w.votes = p(w) & mask }
	if t != "pred" {
		d, _ := c.dst(0)
		op.release = func(w *warp, votes int) { w.setAll(d, w.live, uint64(votes)) }
		return
	}
	set := c.predDst(c.arg(0))
	op.release = func(w *warp, votes int) {
		set(w, w.live, -uint32(boolBit(mode == "or" && votes > 0 || mode == "and" && votes == w.block.threads)))
	}
}

// opcodes compile everything that does not touch the program counter.
var opcodes map[string]func(*compiler) step

func init() {
	opcodes = map[string]func(*compiler) step{}
	for _, group := range []map[string]func(*compiler) step{
		integerOps, logicOps, floatOps, compareOps, moveOps, memoryOps, warpOps,
	} {
		for name, f := range group {
			opcodes[name] = f
		}
	}
}
