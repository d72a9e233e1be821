package cpu

import (
	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

// values is a float tensor's memory, read and written in runs of float32.
type values struct {
	t   kernels.DType
	f32 []float32
	f16 []uint16
	f8  []uint8
}

func bufferOf(t kernels.Tensor) *buffer {
	b, ok := t.Buf.(*buffer)
	if !ok {
		panic("cpu: a tensor of another device")
	}
	return b
}

// valuesOf opens a tensor; an absent one has no values.
func valuesOf(t kernels.Tensor) values {
	if t.None() {
		return values{}
	}
	b, lo, hi := bufferOf(t), t.Off, t.Off+t.Size()
	switch b.t {
	case kernels.F32:
		return values{t: b.t, f32: b.f32[lo:hi]}
	case kernels.E4M3, kernels.E5M2:
		return values{t: b.t, f8: b.u8[lo:hi]}
	}
	return values{t: b.t, f16: b.f16[lo:hi]}
}

// load gives n values from lo: the memory itself where it is float32, else buf with the widened values.
func (v values) load(set *vec.Set, lo, n int, buf []float32) []float32 {
	switch v.t {
	case kernels.F32:
		return v.f32[lo : lo+n]
	case kernels.F16:
		set.FromF16(buf[:n], v.f16[lo:lo+n])
	case kernels.E4M3, kernels.E5M2:
		widen8(v.t, buf[:n], v.f8[lo:lo+n])
	default:
		set.FromBF16(buf[:n], v.f16[lo:lo+n])
	}
	return buf[:n]
}

// gather widens rows of n values from lo on, stride apart, into dst, pitch apart.
func (v values) gather(set *vec.Set, dst []float32, pitch, lo, stride, rows, n int) {
	switch v.t {
	case kernels.F32:
		set.Gather(dst, pitch, v.f32[lo:], stride, rows, n)
	case kernels.F16:
		set.GatherF16(dst, pitch, v.f16[lo:], stride, rows, n)
	default:
		set.GatherBF16(dst, pitch, v.f16[lo:], stride, rows, n)
	}
}

// scatter writes rows of n values, which lie pitch apart in src, from lo on, stride apart, rounded.
func (v values) scatter(set *vec.Set, lo, stride int, src []float32, pitch, rows, n int) {
	switch v.t {
	case kernels.F32:
		set.Scatter(v.f32[lo:], stride, src, pitch, rows, n)
	case kernels.F16:
		set.ScatterF16(v.f16[lo:], stride, src, pitch, rows, n)
	default:
		set.ScatterBF16(v.f16[lo:], stride, src, pitch, rows, n)
	}
}

// dest gives where to compute the n values from lo: the memory itself where it is float32, else buf. store ends it.
func (v values) dest(lo, n int, buf []float32) []float32 {
	if v.t == kernels.F32 {
		return v.f32[lo : lo+n]
	}
	return buf[:n]
}

// store writes values from lo, rounded. It does nothing for a float32 run that dest gave.
func (v values) store(set *vec.Set, lo int, x []float32) {
	if len(x) == 0 {
		return
	}
	switch v.t {
	case kernels.F32:
		if dst := v.f32[lo : lo+len(x)]; &dst[0] != &x[0] {
			copy(dst, x)
		}
	case kernels.F16:
		set.ToF16(v.f16[lo:lo+len(x)], x)
	case kernels.E4M3, kernels.E5M2:
		narrow8(v.t, v.f8[lo:lo+len(x)], x)
	default:
		set.ToBF16(v.f16[lo:lo+len(x)], x)
	}
}

// widen8 and narrow8 are casts alone: products round to 8 bits by factors8.
func widen8[F float32 | float64](t kernels.DType, dst []F, x []uint8) {
	widen := kernels.F32FromE4M3
	if t == kernels.E5M2 {
		widen = kernels.F32FromE5M2
	}
	for i, v := range x {
		dst[i] = F(widen(v))
	}
}

func narrow8[F float32 | float64](t kernels.DType, dst []uint8, x []F) {
	narrow := kernels.E4M3FromF32
	if t == kernels.E5M2 {
		narrow = kernels.E5M2FromF32
	}
	for i, v := range x {
		dst[i] = narrow(float32(v))
	}
}

func floats(t kernels.Tensor) []float32 { return bufferOf(t).f32[t.Off : t.Off+t.Size()] }
func ints(t kernels.Tensor) []int32     { return bufferOf(t).i32[t.Off : t.Off+t.Size()] }
func int8s(t kernels.Tensor) []int8     { return bufferOf(t).i8[t.Off : t.Off+t.Size()] }
func bytesOf(t kernels.Tensor) []uint8  { return bufferOf(t).u8[t.Off : t.Off+t.Size()] }
