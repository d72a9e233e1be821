// Rounding to 8-bit floats: casts, and the factors of products, each tensor by a power of two of its own (kernels.FP8).
#include "cast.cuh"
#include "float8.cuh"

#define CASTS(E)                                                                                                      \
    CAST(E, float)                                                                                                    \
    CAST(E, f16)                                                                                                      \
    CAST(E, bf16)                                                                                                     \
    CAST(float, E)                                                                                                    \
    CAST(f16, E)                                                                                                      \
    CAST(bf16, E)

CASTS(e4m3)
CASTS(e5m2)
CAST(e4m3, e5m2)
CAST(e5m2, e4m3)

// Raises *top to the bits of x's largest magnitude. Without their signs, bits of floats are ordered as their magnitudes are, infinities and NaNs above all.
template <int N> INLINE void topOf(u32 *top, const bf16 *x, i64 n) {
    u32 most = 0;
    for (i64 i = gridThread() * N; i < n; i += gridThreads() * N) {
        const Pack<bf16, N> a = *(const Pack<bf16, N> *)(x + i);
#pragma unroll
        for (int j = 0; j < N; j++) most = max(most, (u32)a.v[j].bits & 0x7fff);
    }
    most = (u32)blockMax((float)most); // exact in float
    if (threadIdx.x == 0) atomicMax(top, most << 16);
}
KERNEL __launch_bounds__(256) fp8_top(u32 *top, const bf16 *x, i64 n) { topOf<1>(top, x, n); }
KERNEL __launch_bounds__(256) fp8_top_packed(u32 *top, const bf16 *x, i64 n) { topOf<8>(top, x, n); }

// out = x rounded to E and back. bf16 holds all values of E times a power of two.
template <typename E, int N> INLINE void roundTo(bf16 *out, const bf16 *x, const u32 *top, i64 n) {
    const float scale = scale8<E>(*top), inverse = 1 / scale;
    for (i64 i = gridThread() * N; i < n; i += gridThreads() * N) {
        float v[N];
        load(v, x + i);
#pragma unroll
        for (int j = 0; j < N; j++) {
            E e;
            narrow(e, v[j] * scale);
            v[j] = widen(e) * inverse;
        }
        store(out + i, v);
    }
}

#define ROUND(E)                                                                                                      \
    KERNEL __launch_bounds__(256) fp8_round_##E(bf16 *out, const bf16 *x, const u32 *top, i64 n) {                    \
        roundTo<E, 1>(out, x, top, n);                                                                                \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) fp8_round_##E##_packed(bf16 *out, const bf16 *x, const u32 *top, i64 n) {           \
        roundTo<E, 8>(out, x, top, n);                                                                                \
    }

ROUND(e4m3)
ROUND(e5m2)
