package cuda

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// Rate is how fast the whole device multiplies and adds with nothing else to do.
type Rate struct {
	Type     kernels.DType // of the factors: F32, TF32, F16, BF16 or I8
	Sparse24 bool          // the left factor is 2:4 sparse; operations count its zeros, as vendors' figures do
	Variant  string        // "fma", "mma.sync" or "mma.sp": that instruction on registers; "cublaslt" or "cusparselt": a large product
	TOPS     float64       // 10^12 operations a second, a multiplication and an addition being two; 0 on a simulated device
}

// Bandwidth is how fast the device's memory is read, or read and written.
type Bandwidth struct {
	Kind  string  // "read" or "copy", which counts the bytes read and those written
	Bytes int64   // that one pass moves
	GBps  float64 // 10^9 bytes a second; 0 on a simulated device
}

// Ceilings are what a device can do at most: figures to divide by, not what any real work reaches.
type Ceilings struct {
	Rates      []Rate
	Bandwidths []Bandwidth
}

// Ceilings measures every figure for the given time, the best of many short runs each. What is timed has been checked: each loop's sums and each stream's bytes. A simulated
// device has no speed: there the checks are all that is done.
func (d *Device) Ceilings(each time.Duration) (c Ceilings, err error) {
	m := &meter{dev: d, each: each, random: fixed()}
	defer func() {
		if cerr := m.close(); err == nil && cerr != nil {
			err = fmt.Errorf("cuda: measuring ceilings: %w", cerr)
		}
	}()
	if err := m.open(); err != nil {
		return c, fmt.Errorf("cuda: measuring ceilings: %w", err)
	}
	for _, l := range loops {
		rate, err := m.loop(l)
		if err != nil {
			return c, fmt.Errorf("cuda: %s: %w", l.kernel, err)
		}
		c.Rates = append(c.Rates, rate)
	}
	products, err := m.products()
	if err != nil {
		return c, fmt.Errorf("cuda: a large product: %w", err)
	}
	sparse, err := m.sparseProducts()
	if err != nil {
		return c, fmt.Errorf("cuda: a large 2:4 product: %w", err)
	}
	c.Rates = append(append(c.Rates, products...), sparse...)
	if c.Bandwidths, err = m.bandwidths(); err != nil {
		return c, fmt.Errorf("cuda: a stream over memory: %w", err)
	}
	return c, nil
}

// meter times work on a stream of its own.
type meter struct {
	dev        *Device
	each       time.Duration
	random     *rand.Rand
	s          *stream
	start, end driver.Event
	memory     []kernels.Buffer
}

func (m *meter) open() error {
	s, err := m.dev.NewStream()
	if err != nil {
		return err
	}
	m.s = s.(*stream)
	if m.start, err = m.dev.ctx.NewEvent(true); err != nil {
		return err
	}
	m.end, err = m.dev.ctx.NewEvent(true)
	return err
}

func (m *meter) close() error {
	m.free()
	var errs []error
	for _, e := range []driver.Event{m.start, m.end} {
		if e != nil {
			errs = append(errs, e.Close())
		}
	}
	if m.s != nil {
		errs = append(errs, m.s.Close())
	}
	return errors.Join(errs...)
}

// alloc gives memory until free.
func (m *meter) alloc(t kernels.DType, n int) (kernels.Tensor, error) {
	b, err := m.dev.Alloc(t, n)
	if err != nil {
		return kernels.Tensor{}, err
	}
	m.memory = append(m.memory, b)
	return kernels.Of(b, n), nil
}

func (m *meter) free() {
	for _, b := range m.memory {
		b.Free()
	}
	m.memory = nil
}

// took is the time that the device spends on what is enqueued.
func (m *meter) took(enqueue func()) (time.Duration, error) {
	m.s.fail(m.s.s.Record(m.start))
	enqueue()
	m.s.fail(m.s.s.Record(m.end))
	if err := m.s.Sync(); err != nil {
		return 0, err
	}
	return m.end.Since(m.start)
}

// shortest repeats work for the meter's time, at least three times, and returns its shortest time in seconds: 0 on a simulated device, which has no speed.
func (m *meter) shortest(enqueue func()) (float64, error) {
	if m.dev.info.Simulated {
		return 0, nil
	}
	best, spent := time.Duration(math.MaxInt64), time.Duration(0)
	for i := 0; i < 3 || spent < m.each; i++ {
		t, err := m.took(enqueue)
		if err != nil {
			return 0, err
		}
		if t <= 0 {
			return 0, errors.New("the device's events tell no time")
		}
		best, spent = min(best, t), spent+t
	}
	return best.Seconds(), nil
}

// perSecond is a rate in 10^12 a second, 0 where there is no time.
func perSecond(n, seconds float64) float64 {
	if seconds == 0 {
		return 0
	}
	return n / seconds / 1e12
}

// loop is a kernel of peak.cu that repeats one instruction.
type loop struct {
	t        kernels.DType
	sparse24 bool
	variant  string
	kernel   string
	ops      int // of a warp in one iteration
}

// An iteration of a warp is 256 multiply-adds a lane, or eight products of 16 by k and k by 8.
var loops = []loop{
	{kernels.F32, false, "fma", "peak_fma", 2 * 256 * 32},
	{kernels.TF32, false, "mma.sync", "peak_mma_tf32", 8 * 2 * 16 * 8 * 8},
	{kernels.F16, false, "mma.sync", "peak_mma_f16", 8 * 2 * 16 * 8 * 16},
	{kernels.BF16, false, "mma.sync", "peak_mma_bf16", 8 * 2 * 16 * 8 * 16},
	{kernels.I8, false, "mma.sync", "peak_mma_s8", 8 * 2 * 16 * 8 * 32},
	{kernels.F16, true, "mma.sp", "peak_sparse_f16", 8 * 2 * 16 * 8 * 32},
	{kernels.BF16, true, "mma.sp", "peak_sparse_bf16", 8 * 2 * 16 * 8 * 32},
}

// A warp's operands: eight words of A and four of B for each of 32 lanes.
const wordsA, wordsB, lanes = 8, 4, 32

// checkedIterations are few, so that all sums are exact.
const checkedIterations = 3

// shape fills the device: two blocks a multiprocessor, of eight warps each.
func (m *meter) shape() shape { return shape{gridX: 2 * m.dev.info.Multiprocessors, threads: threads} }

func (m *meter) loop(l loop) (Rate, error) {
	rate := Rate{Type: l.t, Sparse24: l.sparse24, Variant: l.variant}
	defer m.free()
	sh := m.shape()
	out, err := m.alloc(kernels.I32, sh.gridX*sh.threads)
	if err != nil {
		return rate, err
	}
	operands, err := m.alloc(kernels.I32, (wordsA+wordsB)*lanes)
	if err != nil {
		return rate, err
	}
	words, sum := m.operands(l.t)
	m.s.Upload(operands, tensor.New(tensor.WithShape(len(words)), tensor.WithBacking(words)))
	run := func(n int) { m.s.launch("peak", l.kernel, sh, out, operands, n) }
	run(checkedIterations)
	if err := m.checkSums(l.t, out, checkedIterations*sum); err != nil {
		return rate, err
	}
	n := 16
	for !m.dev.info.Simulated { // as many as take longer than a launch by far
		t, err := m.took(func() { run(n) })
		if err != nil {
			return rate, err
		}
		if t >= 2*time.Millisecond || n >= 1<<24 {
			break
		}
		n *= 2
	}
	seconds, err := m.shortest(func() { run(n) })
	rate.TOPS = perSecond(float64(n)*float64(l.ops)*float64(sh.gridX*sh.threads/lanes), seconds)
	return rate, err
}

// operands draws small integers for the elements of A, and for each word of B one that all its elements have; and gives what one iteration adds to a warp's sums: see peak.cu.
func (m *meter) operands(t kernels.DType) (words []int32, sum int) {
	per := 4 / t.Size() // elements of a word
	sumA, sumB := 0, 0
	for range wordsA * lanes {
		word := uint32(0)
		for e := range per {
			v := m.random.IntN(9) - 4
			sumA += v
			word |= elementBits(t, v) << (32 / per * e)
		}
		words = append(words, int32(word))
	}
	for range wordsB {
		v, word := m.random.IntN(9)-4, uint32(0)
		sumB += v
		for e := range per {
			word |= elementBits(t, v) << (32 / per * e)
		}
		for range lanes {
			words = append(words, int32(word))
		}
	}
	return words, 8 * sumA * sumB
}

func elementBits(t kernels.DType, v int) uint32 {
	switch t {
	case kernels.F16:
		return uint32(kernels.F16FromF32(float32(v)))
	case kernels.BF16:
		return uint32(kernels.BF16FromF32(float32(v)))
	case kernels.I8:
		return uint32(uint8(v))
	}
	return math.Float32bits(float32(v))
}

// checkSums holds each warp's sum to the one that its operands give.
func (m *meter) checkSums(t kernels.DType, out kernels.Tensor, want int) error {
	words := make([]int32, out.Size())
	if err := m.s.Download(tensor.New(tensor.WithShape(len(words)), tensor.WithBacking(words)), out); err != nil {
		return err
	}
	got := 0.0
	for i, w := range words {
		if t == kernels.I8 {
			got += float64(w)
		} else {
			got += float64(math.Float32frombits(uint32(w)))
		}
		if i%lanes == lanes-1 {
			if got != float64(want) {
				return fmt.Errorf("the sums of warp %d are %g, not %d", i/lanes, got, want)
			}
			got = 0
		}
	}
	return nil
}

// fixed draws the same numbers each time.
func fixed() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
