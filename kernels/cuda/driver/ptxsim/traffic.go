package ptxsim

import "ofpeak/kernels/cuda/driver/ptxsim/simt"

// Traffic is what a kernel launch or another piece of work did.
type Traffic struct {
	Name string // of the kernel, or of the call
	simt.Work
	Read, Written int64 // bytes of different words that it read and that it wrote: what a cache that held everything would leave to memory
}

// Traffic is what each piece of work since Watch did that has run, in the order of the calls.
func (h *History) Traffic() []Traffic {
	var all []Traffic
	for _, c := range h.calls {
		if c.kind != work {
			continue
		}
		t := Traffic{Name: c.name, Work: c.does}
		for _, r := range c.ranges {
			if n := int64(4 * (r.Hi - r.Lo)); r.Read && r.Write {
				t.Read, t.Written = t.Read+n, t.Written+n
			} else if r.Write {
				t.Written += n
			} else {
				t.Read += n
			}
		}
		all = append(all, t)
	}
	return all
}
