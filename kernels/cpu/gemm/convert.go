package gemm

import (
	"math"
	"unsafe"
)

// goRow holds the portable row conversions.
var goRow = rowOps{dequantizeGo, addBF16Go, addF16Go, storeBF16Go, storeF16Go}

func dequantizeGo(dst, acc []float32, scaleA float32, scaleB []float32) {
	for i, v := range acc {
		dst[i] = scaleA * float32(int32(math.Float32bits(v))) * scaleB[i]
	}
}

func addBF16Go(acc []float32, c []uint16) {
	for i, v := range c {
		acc[i] += bf16ToF32(v)
	}
}

func addF16Go(acc []float32, c []uint16) {
	for i, v := range c {
		acc[i] += f16ToF32(v)
	}
}

func storeBF16Go(c []uint16, acc []float32) {
	for i, v := range acc {
		c[i] = f32ToBF16(v)
	}
}

func storeF16Go(c []uint16, acc []float32) {
	for i, v := range acc {
		c[i] = f32ToF16(v)
	}
}

func bf16ToF32(v uint16) float32 { return math.Float32frombits(uint32(v) << 16) }

// f32ToBF16 rounds to nearest, ties to even; a NaN stays a NaN.
func f32ToBF16(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// f16ToF32 widens exactly. A subnormal is an integer multiple of 2^-24.
func f16ToF32(v uint16) float32 {
	sign, exp, frac := uint32(v>>15)<<31, uint32(v>>10&31), uint32(v&0x3ff)
	switch exp {
	case 0:
		return math.Float32frombits(math.Float32bits(float32(frac)*0x1p-24) | sign)
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	default:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	}
}

// f32ToF16 rounds to nearest, ties to even, to infinity from 65520 on; a NaN
// stays a NaN.
func f32ToF16(v float32) uint16 {
	b := math.Float32bits(v)
	sign, mag := uint16(b>>16&0x8000), b&0x7fffffff
	switch {
	case mag > 0x7f800000:
		return sign | 0x7e00 | uint16(mag>>13&0x3ff)
	case mag >= 0x477ff000:
		return sign | 0x7c00
	case mag < 0x38800000:
		// Adding 0.5 leaves the rounded multiple of 2^-24 in the low bits.
		sum := math.Float32frombits(mag) + 0.5
		return sign | uint16(math.Float32bits(sum)-0x3f000000)
	default:
		return sign | uint16((mag-0x38000000+0xfff+mag>>13&1)>>13)
	}
}

// The unit functions of the packers: see packer.unit.

func unitF32(p unsafe.Pointer, _ uintptr, _ int) uint32 { return *(*uint32)(p) }

func unitBF16(p unsafe.Pointer, _ uintptr, _ int) uint32 { return uint32(*(*uint16)(p)) << 16 }

func unitF16(p unsafe.Pointer, _ uintptr, _ int) uint32 {
	return math.Float32bits(f16ToF32(*(*uint16)(p)))
}

func unitI8(p unsafe.Pointer, _ uintptr, _ int) uint32 { return uint32(int32(*(*int8)(p))) }

// unitPair packs two bfloat16.
func unitPair(p unsafe.Pointer, step uintptr, n int) uint32 {
	v := uint32(*(*uint16)(p))
	if n > 1 {
		v |= uint32(*(*uint16)(unsafe.Add(p, step))) << 16
	}
	return v
}

// unitI16 packs two int8 as int16.
func unitI16(p unsafe.Pointer, step uintptr, n int) uint32 {
	v := uint32(uint16(*(*int8)(p)))
	if n > 1 {
		v |= uint32(*(*int8)(unsafe.Add(p, step))) << 16
	}
	return v
}

// unitQuad packs four int8.
func unitQuad(p unsafe.Pointer, step uintptr, n int) uint32 {
	var v uint32
	for i := range n {
		v |= uint32(*(*uint8)(unsafe.Add(p, uintptr(i)*step))) << (8 * i)
	}
	return v
}

// unitU8 packs four int8, 128 added to each.
func unitU8(p unsafe.Pointer, step uintptr, n int) uint32 {
	return unitQuad(p, step, n) ^ 0x80808080
}
