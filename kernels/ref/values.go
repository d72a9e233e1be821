package ref

import (
	"math"

	"ofpeak/kernels"
)

// read gives a float tensor's elements: the memory itself in float64, a widened copy of any other type, nil if it is absent. A result
// computed in what read gave is kept by write.
func read(t kernels.Tensor) []float64 {
	if t.None() {
		return nil
	}
	lo, hi := t.Off, t.Off+t.Size()
	switch d := data(t).(type) {
	case []float64:
		return d[lo:hi:hi]
	case []float32:
		v := make([]float64, hi-lo)
		for i, x := range d[lo:hi] {
			v[i] = float64(x)
		}
		return v
	case []uint16:
		v, widen := make([]float64, hi-lo), kernels.F32FromF16
		if t.DType() == kernels.BF16 {
			widen = kernels.F32FromBF16
		}
		for i, x := range d[lo:hi] {
			v[i] = float64(widen(x))
		}
		return v
	case []uint8:
		v := make([]float64, hi-lo)
		for i, x := range d[lo:hi] {
			v[i] = widen8(t.DType(), x)
		}
		return v
	}
	panic("ref: not a float tensor")
}

// write stores v, each element rounded once to t's type, to nearest even.
func write(t kernels.Tensor, v []float64) {
	lo, hi := t.Off, t.Off+t.Size()
	switch d := data(t).(type) {
	case []float64:
		copy(d[lo:hi], v) // of itself, where v came from read
	case []float32:
		for i, x := range v {
			d[lo+i] = float32(x)
		}
	case []uint16:
		narrow := kernels.F16FromF32
		if t.DType() == kernels.BF16 {
			narrow = kernels.BF16FromF32
		}
		for i, x := range v {
			d[lo+i] = narrow(roundToOdd(x))
		}
	case []uint8:
		for i, x := range v {
			d[lo+i] = narrow8(t.DType(), x)
		}
	default:
		panic("ref: not a float tensor")
	}
}

// roundToOdd is x in float32, with the last bit set where x is not exact, so that a second rounding to at most 22 bits gives what one
// rounding of x would (Boldo & Melquiond, "Emulation of a FMA and correctly rounded sums", 2008, section 3).
func roundToOdd(x float64) float32 {
	f := float32(x)
	if float64(f) == x || x != x {
		return f
	}
	if math.Abs(float64(f)) > math.Abs(x) {
		f = math.Nextafter32(f, 0)
	}
	return math.Float32frombits(math.Float32bits(f) | 1)
}

func data(t kernels.Tensor) any {
	b, ok := t.Buf.(*buffer)
	if !ok || b.data == nil {
		panic("ref: a tensor of another device, or freed")
	}
	return b.data
}

// ints is an integer tensor's memory.
func ints[E int32 | int8 | uint8](t kernels.Tensor) []E {
	return data(t).([]E)[t.Off : t.Off+t.Size()]
}
