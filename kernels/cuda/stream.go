package cuda

import (
	"errors"
	"fmt"
	"math"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// stream implements kernels.Stream.
type stream struct {
	dev     *Device
	s       driver.Stream
	err     error
	staging []byte // page-locked, for copies to and from the host

	// scratch holds maxParts floats, the blocks' shares of a sum, and behind them a word that kernels set for a token outside the vocabulary.
	scratch driver.Ptr
	tokens  bool // a kernel that checks tokens was enqueued since the last Sync
	repeats bool // or is part of a graph

	work     driver.Ptr // see workspace
	workSize int
	retired  []driver.Ptr // earlier workspaces, which graphs still use

	capture  *capture // the last that it was part of; nil: none
	captured bool     // there has been one

	ended func() error // see Guard; nil: none
}

const (
	stagingSize = 256 << 10
	maxParts    = 1024
)

// NewStream makes a stream.
func (d *Device) NewStream() (kernels.Stream, error) {
	s := &stream{dev: d}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("cuda: making a stream: %w", err), s.Close())
	}
	return s, nil
}

func (s *stream) open() (err error) {
	if s.s, err = s.dev.ctx.NewStream(); err != nil {
		return err
	}
	if s.staging, err = s.dev.ctx.AllocHost(stagingSize); err != nil {
		return err
	}
	const size = 4 * (maxParts + 1)
	if s.scratch, err = s.dev.ctx.Alloc(size); err != nil {
		return err
	}
	return s.s.Memset8(s.scratch, 0, size)
}

// Close releases what is there.
func (s *stream) Close() error {
	errs := []error{s.closeWorkspace()}
	if s.scratch != 0 {
		errs = append(errs, s.dev.ctx.Free(s.scratch))
	}
	if s.staging != nil {
		errs = append(errs, s.dev.ctx.FreeHost(s.staging))
	}
	if s.s != nil {
		errs = append(errs, s.s.Close())
	}
	return errors.Join(errs...)
}

// fail keeps the first error for Sync.
func (s *stream) fail(err error) {
	if s.err == nil && err != nil {
		s.err = err
	}
}

// Sync waits until the stream is idle.
func (s *stream) Sync() error {
	s.fail(s.s.Synchronize())
	if s.tokens && s.err == nil {
		s.fail(s.checkTokens())
	}
	s.tokens = s.repeats
	if s.ended != nil {
		s.fail(s.ended())
	}
	err := s.err
	s.err = nil
	return err
}

// wrong is the word that a kernel sets for a token outside the vocabulary, to be looked at by the next Sync; by every later one if the kernel is part of a graph.
func (s *stream) wrong() driver.Ptr {
	s.tokens, s.repeats = true, s.repeats || s.capturing() != nil
	return s.scratch + 4*maxParts
}

// checkTokens reports a token outside the vocabulary since the last Sync.
func (s *stream) checkTokens() error {
	host, wrong := s.staging[:4], s.wrong()
	if err := errors.Join(s.s.CopyToHost(host, wrong), s.s.Synchronize()); err != nil {
		return err
	}
	if host[0] == 0 {
		return nil
	}
	if err := s.s.Memset32(wrong, 0, 1); err != nil {
		return err
	}
	return errors.New("cuda: a token lies outside the vocabulary")
}

// shape is a grid of blocks and their threads, in x and y, and a block's dynamic shared memory in bytes.
type shape struct {
	gridX, gridY, gridZ int
	threads, threadsY   int
	shared              int
}

// launch enqueues a kernel. Arguments are tensors, device addresses, ints, float32 and float64.
func (s *stream) launch(file, name string, sh shape, args ...any) {
	f, err := s.dev.kernel(file, name)
	if err == nil && sh.shared > 48<<10 {
		err = f.AllowShared(sh.shared)
	}
	if err != nil {
		s.fail(fmt.Errorf("cuda: %s: %w", name, err))
		return
	}
	cells := make([]uint64, len(args))
	for i, a := range args {
		cells[i] = cell(a)
	}
	l := driver.Launch{
		Grid:   driver.Dim3{X: sh.gridX, Y: max(sh.gridY, 1), Z: max(sh.gridZ, 1)},
		Block:  driver.Dim3{X: sh.threads, Y: max(sh.threadsY, 1), Z: 1},
		Shared: sh.shared,
	}
	if err := s.s.Launch(f, l, cells...); err != nil {
		s.fail(fmt.Errorf("cuda: %s: %w", name, err))
	}
}

// cell is a kernel parameter's bits.
func cell(a any) uint64 {
	switch v := a.(type) {
	case kernels.Tensor:
		return uint64(address(v))
	case driver.Ptr:
		return uint64(v)
	case int:
		return uint64(v)
	case bool:
		if v {
			return 1
		}
		return 0
	case float32:
		return uint64(math.Float32bits(v))
	case float64:
		return math.Float64bits(v)
	}
	panic("cuda: a kernel argument of unknown type")
}

// threads is the size of a block for n-element loops.
const threads = 256

// over is the shape of a loop over n items that strides over the grid: enough blocks to fill the device, no more than there is work.
func (s *stream) over(n int) shape {
	blocks := (n + threads - 1) / threads
	return shape{gridX: max(1, min(blocks, 16*s.dev.info.Multiprocessors)), threads: threads}
}

// supported tells whether a call on t can go on; if not, the stream fails.
func (s *stream) supported(op kernels.Op, t kernels.DType, f kernels.Format) bool {
	err := s.dev.Supports(op, t, f)
	s.fail(err)
	return err == nil
}
