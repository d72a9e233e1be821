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

// out = x·scale as E, and *inverse = 1/scale, for products that take 8-bit factors.
template <typename E, int N> INLINE void quantize(E *out, float *inverse, const bf16 *x, const u32 *top, i64 n) {
    const float scale = scale8<E>(*top);
    if (gridThread() == 0) *inverse = 1 / scale;
    for (i64 i = gridThread() * N; i < n; i += gridThreads() * N) {
        float v[N];
        load(v, x + i);
#pragma unroll
        for (int j = 0; j < N; j++) v[j] *= scale;
        store(out + i, v);
    }
}

// The same, transposed: x is (rows, cols), out (cols, rows). A block of 32 by 8 threads brings 128 rows of 32 columns; rows is a multiple of 4.
template <typename E> INLINE void transpose(E *out, float *inverse, const bf16 *x, const u32 *top, int rows, int cols) {
    __shared__ __align__(4) E tile[32][128 + 4];
    const float scale = scale8<E>(*top);
    const int row0 = blockIdx.y * 128, col0 = blockIdx.x * 32, col = col0 + threadIdx.x, row = row0 + 4 * threadIdx.x;
    if (blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x == 0 && threadIdx.y == 0) *inverse = 1 / scale;
    for (int r = threadIdx.y; r < 128; r += 8)
        if (row0 + r < rows && col < cols) narrow(tile[threadIdx.x][r], widen(x[(i64)(row0 + r) * cols + col]) * scale);
    __syncthreads();
    for (int c = threadIdx.y; c < 32; c += 8)
        if (col0 + c < cols && row < rows) *(u32 *)(out + (i64)(col0 + c) * rows + row) = *(u32 *)&tile[c][4 * threadIdx.x];
}

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
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) fp8_quantize_##E(E *out, float *inverse, const bf16 *x, const u32 *top, i64 n) {    \
        quantize<E, 1>(out, inverse, x, top, n);                                                                      \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) fp8_quantize_##E##_packed(E *out, float *inverse, const bf16 *x, const u32 *top, i64 n) { \
        quantize<E, 8>(out, inverse, x, top, n);                                                                      \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    fp8_transpose_##E(E *out, float *inverse, const bf16 *x, const u32 *top, int rows, int cols) {                    \
        transpose(out, inverse, x, top, rows, cols);                                                                  \
    }

ROUND(e4m3)
ROUND(e5m2)
