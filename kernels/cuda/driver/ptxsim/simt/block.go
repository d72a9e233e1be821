package simt

import (
	"math/bits"
	"math/rand/v2"

	"ofpeak/kernels/cuda/driver"
)

// block is a place where the blocks of a grid run, one after another, with its warps and its shared memory.
type block struct {
	kernel    *Kernel
	grid      *grid
	id        [3]int
	number    uint64 // of the block in the grid, plus one; 0 where there are too many to tell apart
	threads   int
	warps     []*warp
	shared    *shared
	clock     uint32 // counts barriers of the block and of its warps, over all blocks that ran here
	began     uint32 // the clock at this block's start
	synced    uint32 // the clock at the last barrier of the block
	takenLast bool   // which side of a diverged branch runs first
	order     *rand.Rand
}

// room makes room for blocks of a grid, of that of an earlier launch if it has the same size: of small launches that is most of the work.
func (g *grid) room(seed uint64) *block {
	threads, shared := g.Block[0]*g.Block[1]*g.Block[2], g.sharedSize()
	b, ok := g.kernel.idle.Get().(*block)
	if !ok || b.threads != threads || len(b.shared.data) != shared {
		b = &block{kernel: g.kernel, threads: threads, shared: newShared(shared)}
		for i := range (threads + warpSize - 1) / warpSize {
			b.warps = append(b.warps, newWarp(b, i))
		}
	}
	b.grid, b.order = g, rand.New(rand.NewPCG(seed, 1))
	for _, w := range b.warps {
		w.near, w.issued, w.lanes, w.counts = nil, 0, 0, g.counts
	}
	return b
}

// leave keeps the room for later launches of the kernel, unless a fault has left it as it happened to be.
func (b *block) leave() {
	b.grid = nil
	for _, w := range b.warps {
		w.near, w.counts = nil, nil
	}
	b.kernel.idle.Put(b)
}

// thread is the index in the block of a linear thread number.
func (b *block) thread(n int) [3]int {
	d := b.grid.Block
	return [3]int{n % d[0], n / d[0] % d[1], n / (d[0] * d[1])}
}

// tick orders what happens after it behind all before it, for those whom the caller says.
func (b *block) tick() uint32 {
	b.clock++
	if b.clock == clockEnd {
		w := b.warps[0]
		w.fault(0, driver.ErrLaunchTimeout, "the block is past %d barriers", clockEnd/2)
	}
	return b.clock
}

// run executes one block of the grid, its warps in a random order between barriers.
func (b *block) run(id [3]int) {
	b.id = id
	if b.clock > clockEnd/2 {
		b.shared.forget()
		b.clock = 0
	}
	if b.shared.flying > 0 { // copies that the block before did not wait for
		clear(b.shared.inFlight)
		b.shared.flying = 0
	}
	b.began = b.tick()
	b.synced = b.began
	b.takenLast = b.order.Uint32()&1 == 1
	for _, w := range b.warps {
		w.start()
	}
	for b.round() {
	}
}

// round runs each warp to its next barrier, and tells whether any is left.
func (b *block) round() bool {
	for _, i := range b.order.Perm(len(b.warps)) {
		if w := b.warps[i]; !w.done() {
			w.run()
		}
	}
	var held, left *warp
	for _, w := range b.warps {
		switch {
		case w.done():
			left = w
		case held != nil && held.pc != w.pc:
			w.fault(firstLane(w.live), driver.ErrLaunchFailed, "the barrier is divergent: warp %d is at this one, warp %d at PTX line %d",
				w.index, held.index, held.kernel.code[held.pc].line)
		default:
			held = w
		}
	}
	if held == nil {
		return false
	}
	votes := 0
	for _, w := range b.warps {
		if left != nil {
			held.fault(firstLane(held.live), driver.ErrLaunchFailed, "the barrier is divergent: the threads of warp %d have returned without it", left.index)
		}
		if n := w.exited(); n >= 0 {
			w.fault(n, driver.ErrLaunchFailed, "the barrier is divergent: this thread has returned without it")
		}
		w.held = false
		votes += bits.OnesCount32(w.votes)
	}
	for _, w := range b.warps {
		if release := w.kernel.code[w.pc].release; release != nil {
			release(w, votes)
		}
	}
	b.synced = b.tick()
	return true
}

// exited is a lane that has returned before the rest of its warp, or -1.
func (w *warp) exited() int {
	all := full
	if n := w.block.threads - w.index*warpSize; n < warpSize {
		all = 1<<n - 1
	}
	if gone := all &^ w.live; gone != 0 {
		return firstLane(gone)
	}
	return -1
}
