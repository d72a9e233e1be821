package simt

// Footprint notes which global memory a piece of work touches, in words of four bytes. It serves one worker at a time.
type Footprint struct{ touched []*segment }

// Range is a run of words of one allocation that a piece of work reads or, perhaps also, writes.
type Range struct {
	Alloc  uint64 // its address, which no other allocation ever has
	Lo, Hi int    // words
	Write  bool
}

const (
	wordRead  = 1
	wordWrite = 2
)

// Watch makes accesses to this memory be noted; nil ends it.
func (m *Memory) Watch(f *Footprint) { m.watch = f }

// note marks n bytes of a segment.
func (f *Footprint) note(s *segment, off, n uint64, write bool) {
	if f == nil || n == 0 {
		return
	}
	if s.touch == nil {
		s.touch = make([]byte, (len(s.data)+3)/4)
	}
	if !s.noted {
		s.noted = true
		f.touched = append(f.touched, s)
	}
	mark := byte(wordRead)
	if write {
		mark = wordWrite
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
				all = append(all, Range{s.base, lo, i, mark&wordWrite != 0})
			}
		}
		s.noted = false
	}
	f.touched = f.touched[:0]
	return all
}
