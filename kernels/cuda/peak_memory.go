package cuda

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// A stream walks over this many bytes at least, and over eight times the L2 cache: what a cache holds between passes is little then.
const minStreamed = 256 << 20

// streamed is the number of 4-byte words of a pattern, and how many copies of it a stream reads. The number is odd, so that the exclusive or of all words is the pattern's.
func (m *meter) streamed() (pattern, copies int, err error) {
	pattern = 1 << 18
	bytes := int64(max(minStreamed, 8*m.dev.info.L2))
	free, _, err := m.dev.ctx.MemInfo()
	if m.dev.info.Simulated {
		pattern, bytes = 1<<12+4, 520<<10 // more than a pass over all threads, four accesses each
	}
	bytes = min(bytes, free/4)
	return pattern, int(bytes/int64(4*pattern))/2*2 + 1, err
}

// bandwidths measures a read of one array and a copy of it to another.
func (m *meter) bandwidths() ([]Bandwidth, error) {
	defer m.free()
	pattern, copies, err := m.streamed()
	if err != nil {
		return nil, err
	}
	words := make([]int32, pattern)
	for i := range words {
		words[i] = int32(m.random.Uint32())
	}
	x, err := m.repeated(words, copies)
	if err != nil {
		return nil, err
	}
	to, err := m.alloc(kernels.I32, x.Size())
	if err != nil {
		return nil, err
	}
	sh := shape{gridX: 8 * m.dev.info.Multiprocessors, threads: threads} // all threads that a multiprocessor holds
	read, err := m.alloc(kernels.I32, sh.gridX*sh.threads)
	if err != nil {
		return nil, err
	}
	list := []Bandwidth{{Kind: "read", Bytes: int64(4 * x.Size())}, {Kind: "copy", Bytes: int64(8 * x.Size())}}
	passes := []func(){
		func() { m.s.launch("peak", "stream_read", sh, read, x, x.Size()/4) },
		func() { m.s.launch("peak", "stream_copy", sh, to, x, x.Size()/4) },
	}
	for i, pass := range passes {
		pass()
		seconds, err := m.shortest(pass)
		if err != nil {
			return nil, err
		}
		list[i].GBps = 1e3 * perSecond(float64(list[i].Bytes), seconds)
	}
	if err := m.checkRead(read, words); err != nil {
		return nil, err
	}
	m.s.launch("peak", "stream_read", sh, read, to, to.Size()/4)
	if err := m.checkRead(read, words); err != nil {
		return nil, fmt.Errorf("of the copy: %w", err)
	}
	return list, m.checkCopy(to, words)
}

// repeated is device memory that holds so many copies of a pattern.
func (m *meter) repeated(words []int32, copies int) (kernels.Tensor, error) {
	x, err := m.alloc(kernels.I32, len(words)*copies)
	if err != nil {
		return x, err
	}
	m.s.Upload(x.At(0, len(words)), tensor.New(tensor.WithShape(len(words)), tensor.WithBacking(words)))
	at, size := address(x), 4*len(words)
	for done := size; done < size*copies; {
		n := min(done, size*copies-done)
		m.s.fail(m.s.s.Copy(at+driver.Ptr(done), at, int64(n)))
		done += n
	}
	return x, m.s.Sync()
}

// checkRead holds the exclusive or of what the threads read to the pattern's.
func (m *meter) checkRead(read kernels.Tensor, pattern []int32) error {
	threads := make([]int32, read.Size())
	if err := m.s.Download(tensor.New(tensor.WithShape(len(threads)), tensor.WithBacking(threads)), read); err != nil {
		return err
	}
	all, want := int32(0), int32(0)
	for _, v := range threads {
		all ^= v
	}
	for _, v := range pattern {
		want ^= v
	}
	if all != want {
		return fmt.Errorf("the exclusive or of all words read is %#x, not %#x", uint32(all), uint32(want))
	}
	return nil
}

// checkCopy holds the copy's first and last pattern to what was copied.
func (m *meter) checkCopy(to kernels.Tensor, pattern []int32) error {
	for _, first := range []int{0, to.Size() - len(pattern)} {
		got := make([]int32, len(pattern))
		if err := m.s.Download(tensor.New(tensor.WithShape(len(got)), tensor.WithBacking(got)), to.At(first, len(got))); err != nil {
			return err
		}
		if !slices.Equal(got, pattern) {
			return fmt.Errorf("the copy differs from word %d on", first)
		}
	}
	return nil
}
