package simt

import (
	"math/bits"

	"ofpeak/kernels/cuda/driver"
)

// warp is 32 threads that share a program counter.
type warp struct {
	kernel *Kernel
	block  *block
	index  int // in the block
	regs   []lanes
	preds  []uint32
	set    []uint32 // lanes in which each watched variable has a value
	live   uint32   // lanes that have not returned
	stack  []frame  // of diverged paths; the last one runs
	pc     int      // of the instruction that runs
	held   bool     // at a barrier, the instruction at pc
	votes  uint32   // of its threads, at a barrier that counts them
	synced uint32   // the block's clock at this warp's last own barrier
	local  []local  // of each lane
	copies copies
	near   *segment // that the last access to global memory hit
	issued int64    // instructions of warps
	before int64    // issued before this block
	lanes  int64    // instructions of threads
	counts []int64  // see grid
}

// frame is a path of execution: the lanes of mask run from pc until they reach end.
type frame struct {
	pc, end int
	mask    uint32
}

func newWarp(b *block, index int) *warp {
	k := b.kernel
	w := &warp{kernel: k, block: b, index: index, regs: make([]lanes, k.regs), preds: make([]uint32, k.preds), set: make([]uint32, k.watched)}
	for _, c := range k.consts {
		for l := range w.regs[c.reg] {
			w.regs[c.reg][l] = c.bits
		}
	}
	if k.Local > 0 {
		w.local = make([]local, warpSize)
		for l := range w.local {
			w.local[l] = newLocal(k.Local)
		}
	}
	return w
}

// start makes the warp ready for a new block.
func (w *warp) start() {
	w.live = full
	if n := w.block.threads - w.index*warpSize; n < warpSize {
		w.live = 1<<n - 1
	}
	w.stack = append(w.stack[:0], frame{0, len(w.kernel.code), w.live})
	w.held, w.synced = false, w.block.clock
	w.copies.reset()
	w.before = w.issued
	clear(w.set)
	for l := range w.local {
		clear(w.local[l].written)
	}
	for _, s := range w.kernel.specials {
		for l := range w.regs[s.reg] {
			w.regs[s.reg][l] = s.of(w, l)
		}
	}
}

// done tells whether all threads have returned.
func (w *warp) done() bool { return len(w.stack) == 0 }

// run executes until all threads have returned or the warp is at a barrier.
func (w *warp) run() {
	code := w.kernel.code
	for len(w.stack) > 0 {
		f := &w.stack[len(w.stack)-1]
		for f.mask != 0 && f.pc != f.end {
			in := &code[f.pc]
			w.pc = f.pc
			f.pc++
			mask := f.mask
			if in.first != nil {
				in.first(w, mask)
			}
			if in.guard >= 0 {
				p := w.preds[in.guard]
				if in.guardNot {
					p = ^p
				}
				mask &= p
			}
			w.issued++
			threads := int64(bits.OnesCount32(mask))
			w.lanes += threads
			if w.counts != nil {
				w.counts[w.pc] += threads
			}
			if in.flow == straight {
				if mask != 0 {
					in.run(w, mask)
				}
				continue
			}
			if w.turn(in, f, mask) {
				break
			}
		}
		if w.held {
			return
		}
		w.spend()
		if f = &w.stack[len(w.stack)-1]; f.mask == 0 || f.pc == f.end {
			w.stack = w.stack[:len(w.stack)-1]
		}
	}
}

// turn executes an instruction that moves the program counter, and tells whether the stack changed.
func (w *warp) turn(in *inst, f *frame, mask uint32) bool {
	switch in.flow {
	case exit:
		w.live &^= mask
		for i := range w.stack {
			w.stack[i].mask &^= mask
		}
		return true
	case barrier:
		if mask != w.live {
			w.fault(firstLane(w.live&^mask), driver.ErrLaunchFailed, "the barrier is divergent: of the warp's %d threads only %d reach it",
				bits.OnesCount32(w.live), bits.OnesCount32(mask))
		}
		w.held = true
		if in.run != nil {
			in.run(w, mask)
		}
		return true
	}
	rest := f.mask &^ mask
	switch {
	case rest == 0:
		if in.target < f.pc {
			w.spend()
		}
		f.pc = in.target
		return false
	case mask == 0:
		return false
	}
	w.diverge(in.target, mask, f.pc, rest, in.meet)
	return true
}

// diverge splits the running path in two that end where they meet; lanes that are there already just wait.
func (w *warp) diverge(target int, taken uint32, next int, rest uint32, meet int) {
	top := len(w.stack) - 1
	if w.stack[top].end == meet {
		w.stack = w.stack[:top] // the path beneath goes on from there with all lanes
	} else {
		w.stack[top].pc = meet
	}
	paths := [2]frame{{target, meet, taken}, {next, meet, rest}}
	if w.block.takenLast {
		paths[0], paths[1] = paths[1], paths[0]
	}
	for _, p := range paths {
		if p.pc != meet {
			w.stack = append(w.stack, p)
		}
	}
}

// spend ends a run once a warp has issued more instructions in its block than the launch allows.
func (w *warp) spend() {
	if n := w.issued - w.before; n > w.block.grid.budget {
		w.fault(firstLane(w.live), driver.ErrLaunchTimeout, "still running after %d instructions of one warp", n)
	}
}
