package simt

// Footprint notes which global memory a piece of work touches, in words of four bytes, and what it executes. It serves one worker at a time.
type Footprint struct {
	Work
	touched []*segment
}

// Work is what a launch executes.
type Work struct {
	Loaded, Stored int64            // bytes of global memory that threads load and store, each as often as they do
	Ops            map[string]int64 // instructions of threads, by opcode with its modifiers
}

// executed adds a launch's instructions, counted by their place in the kernel.
func (f *Footprint) executed(k *Kernel, counts []int64) {
	if f.Ops == nil {
		f.Ops = map[string]int64{}
	}
	for pc, n := range counts {
		f.Ops[k.code[pc].name] += n
	}
}

// Range is a run of words of one allocation that a piece of work reads, writes, or both.
type Range struct {
	Alloc       uint64 // its address, which no other allocation ever has
	Lo, Hi      int    // words
	Read, Write bool
}

const (
	wordRead  = 1
	wordWrite = 2
)

// Watch makes accesses to this memory be noted; nil ends it.
func (m *Memory) Watch(f *Footprint) { m.watch = f }

// note marks n bytes of a segment. An atomic operation reads and writes them.
func (f *Footprint) note(s *segment, off, n uint64, read, write bool) {
	if f == nil || n == 0 {
		return
	}
	mark := byte(0)
	if read {
		f.Loaded += int64(n)
		mark |= wordRead
	}
	if write {
		f.Stored += int64(n)
		mark |= wordWrite
	}
	if s.touch == nil {
		s.touch = make([]byte, (len(s.data)+3)/4)
	}
	if !s.noted {
		s.noted = true
		f.touched = append(f.touched, s)
	}
	for i := off / 4; i <= (off+n-1)/4; i++ {
		s.touch[i] |= mark
	}
}

// Take is what was noted since the last Take.
func (f *Footprint) Take() []Range {
	var all []Range
	for _, s := range f.touched {
		for i := 0; i < len(s.touch); {
			lo, mark := i, s.touch[i]
			for i < len(s.touch) && s.touch[i] == mark {
				s.touch[i] = 0
				i++
			}
			if mark != 0 {
				all = append(all, Range{s.base, lo, i, mark&wordRead != 0, mark&wordWrite != 0})
			}
		}
		s.noted = false
	}
	f.touched = f.touched[:0]
	return all
}
