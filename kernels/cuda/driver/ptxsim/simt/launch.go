package simt

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"

	"ofpeak/kernels/cuda/driver"
)

// Launch is the shape of a grid and its parameters, one cell each.
type Launch struct {
	Grid, Block [3]int
	Shared      int // bytes of dynamic shared memory
	Params      []uint64
}

// Options say how a launch is run.
type Options struct {
	Seed    uint64 // of the order of blocks, warps and diverged paths
	Workers int    // blocks that run at once; 0: GOMAXPROCS
	Budget  int64  // instructions that a warp may issue; 0: 1<<30
}

// Stats count what a launch executed.
type Stats struct {
	WarpInstructions   int64
	ThreadInstructions int64
}

// grid is one launch.
type grid struct {
	Launch
	kernel *Kernel
	memory *Memory
	budget int64
	launch uint64  // number of the launch
	counts []int64 // where the memory is watched: instructions of threads, by their place in the kernel
}

// place is a block's index as text.
func (g *grid) place(n int) string { return fmt.Sprint(g.index(n)) }

// index is that of block n of the grid.
func (g *grid) index(n int) [3]int {
	return [3]int{n % g.Grid[0], n / g.Grid[0] % g.Grid[1], n / (g.Grid[0] * g.Grid[1])}
}

// sharedSize is the shared memory of a block in bytes.
func (g *grid) sharedSize() int {
	if g.kernel.dynamic >= 0 {
		return g.kernel.dynamic + g.Shared
	}
	return g.kernel.Shared
}

// Parameters is how many a launch has.
func (k *Kernel) Parameters() int { return len(k.params) }

// Check tells why a launch is not possible.
func (k *Kernel) Check(l Launch) error {
	blocks, threads := l.blocks(), l.Block[0]*l.Block[1]*l.Block[2]
	switch {
	case blocks <= 0 || threads <= 0:
		return fmt.Errorf("kernel %s: grid %v of blocks %v is empty: %w", k.Name, l.Grid, l.Block, driver.ErrInvalidValue)
	case threads > k.MaxThreads:
		return fmt.Errorf("kernel %s: %d threads a block, it allows %d: %w", k.Name, threads, k.MaxThreads, driver.ErrLaunchResources)
	case len(l.Params) != len(k.params):
		return fmt.Errorf("kernel %s: %d parameters, it takes %d: %w", k.Name, len(l.Params), len(k.params), driver.ErrInvalidValue)
	case l.Shared > 0 && k.dynamic < 0:
		return fmt.Errorf("kernel %s: %d bytes of dynamic shared memory, it uses none: %w", k.Name, l.Shared, driver.ErrInvalidValue)
	}
	return nil
}

func (l Launch) blocks() int { return l.Grid[0] * l.Grid[1] * l.Grid[2] }

// Run executes a launch and waits for its end. Its error is a *Fault, or what Check says.
func (k *Kernel) Run(m *Memory, l Launch, o Options) (Stats, error) {
	if err := k.Check(l); err != nil {
		return Stats{}, err
	}
	g := &grid{Launch: l, kernel: k, memory: m, budget: o.Budget, launch: launches.Add(1)}
	if g.budget == 0 {
		g.budget = 1 << 30
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if m.watch == nil {
		return g.run(l.blocks(), min(o.Workers, l.blocks()), o.Seed)
	}
	g.counts = make([]int64, len(k.code))
	defer func() { m.watch.executed(k, g.counts) }()
	return g.run(l.blocks(), 1, o.Seed)
}

// run shares the blocks out to workers, in an order that visits each once: steps of a stride that has no factor in common with their number.
func (g *grid) run(blocks, workers int, seed uint64) (Stats, error) {
	r := rand.New(rand.NewPCG(seed, 0))
	start, stride := r.IntN(blocks), 1+r.IntN(blocks)
	for gcd(stride, blocks) != 1 {
		stride++
	}
	var next atomic.Int64
	var failed atomic.Pointer[Fault]
	var mu sync.Mutex
	var total Stats
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			b := g.room(seed + uint64(i)<<32)
			for failed.Load() == nil {
				n := int(next.Add(1)) - 1
				if n >= blocks {
					break
				}
				at := (start + n*stride) % blocks
				if b.number = uint64(at) + 1; blocks >= several {
					b.number = 0
				}
				if f := b.try(g.index(at)); f != nil {
					failed.CompareAndSwap(nil, f)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for _, w := range b.warps {
				total.WarpInstructions += w.issued
				total.ThreadInstructions += w.lanes
			}
			if failed.Load() == nil {
				b.leave()
			}
		})
	}
	all.Wait()
	if f := failed.Load(); f != nil {
		return total, f
	}
	return total, nil
}

// try runs a block and catches its fault.
func (b *block) try(id [3]int) (f *Fault) {
	defer func() {
		if r := recover(); r != nil {
			var ok bool
			if f, ok = r.(*Fault); !ok {
				panic(r)
			}
		}
	}()
	b.run(id)
	return nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
