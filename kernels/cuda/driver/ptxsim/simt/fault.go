package simt

import (
	"fmt"

	"ofpeak/kernels/cuda/driver"
)

// Fault is what a kernel did wrong, and where.
type Fault struct {
	Kernel string
	Line   int    // in the PTX text
	Op     string // the instruction's opcode
	Block  [3]int
	Thread [3]int
	What   string
	Code   driver.Error
}

func (f *Fault) Error() string {
	return fmt.Sprintf("kernel %s, PTX line %d (%s), block %v, thread %v: %s", f.Kernel, f.Line, f.Op, f.Block, f.Thread, f.What)
}

// Unwrap is the CUDA error code.
func (f *Fault) Unwrap() error { return f.Code }

// fault ends the run. lane is the thread at fault, in the warp.
func (w *warp) fault(lane int, code driver.Error, format string, args ...any) {
	panic(&Fault{
		Kernel: w.kernel.Name, Line: w.kernel.code[w.pc].line, Op: w.kernel.code[w.pc].name,
		Block: w.block.id, Thread: w.block.thread(w.index*warpSize + lane), What: fmt.Sprintf(format, args...), Code: code,
	})
}

// firstLane is the lowest lane of a mask.
func firstLane(mask uint32) int {
	for l := range warpSize {
		if mask>>l&1 == 1 {
			return l
		}
	}
	return 0
}
