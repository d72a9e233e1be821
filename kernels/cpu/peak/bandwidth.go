package peak

import (
	"time"
	"unsafe"

	"github.com/klauspost/cpuid/v2"

	"ofpeak/kernels/cpu/team"
)

// Bounds of the working set, for CPUs that do not tell their caches.
const (
	minWorkingSet = 128 << 20
	maxWorkingSet = 1 << 30
)

// WorkingSet returns the bytes that a bandwidth measurement walks over: four
// times the last cache.
func WorkingSet() int64 {
	return min(max(4*int64(cpuid.CPU.Cache.L3), minWorkingSet), maxWorkingSet)
}

// Bandwidths measures the read and triad bandwidth over a working set of some
// bytes, which it allocates for the time of the call.
func Bandwidths(t *team.Team, each time.Duration, bytes int64) []Bandwidth {
	arrays := newArrays(bytes)
	alone := team.NewUnpinned(1)
	defer alone.Close()
	measure := func(kind string, t *team.Team) float64 {
		s := &stream{arrays: arrays, kind: kind}
		t.Run(s) // bring the pages in
		return float64(arrays.bytes()) / float64(shortest(each, func() { t.Run(s) }).Nanoseconds())
	}
	var list []Bandwidth
	for _, kind := range []string{"read", "triad"} {
		list = append(list, Bandwidth{
			Kind: kind, Bytes: arrays.bytes(),
			One: measure(kind, alone), All: measure(kind, t),
		})
	}
	return list
}

// chunk is the float32 elements of one iteration of a stream.
const chunk = 32

// arrays are three arrays of equal length, a whole number of chunks, aligned to
// cache lines.
type arrays struct{ a, b, c []float32 }

func newArrays(bytes int64) arrays {
	n := max(int(bytes/12)/chunk, 1) * chunk
	all := make([]float32, 3*n+16)
	skip := -uintptr(unsafe.Pointer(&all[0])) / 4 % 16
	all = all[skip:]
	for i := range all {
		all[i] = float32(i&15) + 1
	}
	return arrays{all[:n:n], all[n : 2*n : 2*n], all[2*n : 3*n : 3*n]}
}

func (a arrays) bytes() int64 { return 12 * int64(len(a.a)) }

// stream walks over arrays, each worker over its own part.
type stream struct {
	arrays
	kind string
}

// Part runs one worker's part.
func (s *stream) Part(worker, workers int) {
	chunks := len(s.a) / chunk
	lo, hi := chunks*worker/workers*chunk, chunks*(worker+1)/workers*chunk
	if lo == hi {
		return
	}
	a, b, c := s.a[lo:hi], s.b[lo:hi], s.c[lo:hi]
	if s.kind == "triad" {
		triad(a, b, c)
		return
	}
	read(a, b, c)
}

// triadGo is STREAM's triad. Its stores also read the lines they write, which
// the figure does not count: it is the lower for it.
func triadGo(a, b, c []float32) {
	b, c = b[:len(a)], c[:len(a)]
	for i := range a {
		a[i] = b[i] + 3*c[i]
	}
}

// readGo loads eight bytes at a time from three streams.
func readGo(a, b, c []float32) {
	x, y, z := words(a), words(b), words(c)
	y, z = y[:len(x)], z[:len(x)]
	var s0, s1, s2 uint64
	for i := range x {
		s0 += x[i][0] ^ x[i][1] ^ x[i][2] ^ x[i][3]
		s1 += y[i][0] ^ y[i][1] ^ y[i][2] ^ y[i][3]
		s2 += z[i][0] ^ z[i][1] ^ z[i][2] ^ z[i][3]
	}
	keep(s0 + s1 + s2)
}

// words views whole chunks as groups of four words.
func words(p []float32) [][4]uint64 {
	return unsafe.Slice((*[4]uint64)(unsafe.Pointer(unsafe.SliceData(p))), len(p)/8)
}
