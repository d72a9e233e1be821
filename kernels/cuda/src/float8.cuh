// 8-bit floats (Micikevicius et al., "FP8 Formats for Deep Learning", arXiv:2209.05433, table 1), by integer arithmetic: PTX for 8.0 has no instruction for them.
#pragma once
#include "common.cuh"

struct e4m3 { u8 bits; };
struct e5m2 { u8 bits; };

// To nearest even, saturating; every NaN becomes 0x7f (kernels.E4M3FromF32 explains it).
template <int FRACTION, int BIAS, u32 LARGEST> INLINE u8 toFloat8(float x) {
    const u32 b = __float_as_uint(x), sign = b >> 24 & 0x80, drop = 23 - FRACTION;
    u32 mag = b & 0x7fffffff;
    if (mag > 0x7f800000) return 0x7f;
    if (mag < (128 - BIAS) << 23) { // below the smallest normal number
        const u32 last = (151 - BIAS - FRACTION) << 23;
        return sign | (__float_as_uint(__uint_as_float(mag) + __uint_as_float(last)) - last);
    }
    mag += (1 << (drop - 1)) - 1 + (mag >> drop & 1);
    return sign | min((mag - ((127 - BIAS) << 23)) >> drop, LARGEST);
}
INLINE void narrow(e4m3 &y, float x) { y.bits = toFloat8<3, 7, 0x7e>(x); }
INLINE void narrow(e5m2 &y, float x) { y.bits = toFloat8<2, 15, 0x7b>(x); }

// e5m2 is the upper half of an fp16, and e4m3 but for its NaNs 2^-8 of one.
INLINE float widen(e5m2 x) {
    f16 half;
    half.bits = x.bits << 8;
    return widen(half);
}
INLINE float widen(e4m3 x) {
    f16 half;
    half.bits = (x.bits & 0x80) << 8 | (x.bits & 0x7f) << 7;
    return (x.bits & 0x7f) == 0x7f ? __uint_as_float(0x7fffffff) : widen(half) * 256;
}

// The exponent of a format's largest value, 1.75·2^n.
INLINE int largest(e4m3) { return 8; }
INLINE int largest(e5m2) { return 15; }

// kernels.Scale8 of the bits of a tensor's largest magnitude.
template <typename E> INLINE float scale8(u32 top) {
    if (top == 0) return 1;
    if (top >= 0x7f800000) return __uint_as_float(0x7fffffff);
    const int power = largest(E()) + 127 - (int)(top >> 23) - ((top & 0x7fffff) > 0x600000);
    return __uint_as_float((u32)(min(power, 100) + 127) << 23);
}
