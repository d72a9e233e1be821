// Fill, Cast, Add and CopyColumns: one pass over memory, in packs of 16 bytes of the wider type where alignment allows (suffix _packed).
#include "cast.cuh"

KERNEL __launch_bounds__(256) fill_u16(u16 *out, u32 v, i64 n) {
    for (i64 i = gridThread(); i < n; i += gridThreads()) out[i] = (u16)v;
}

CAST(float, f16)
CAST(float, bf16)
CAST(f16, float)
CAST(f16, bf16)
CAST(bf16, float)
CAST(bf16, f16)

// out = x + bias + residual over rows of c; bias and residual may be null. out may be x or residual, so no pointer is restricted.
template <typename T, int N> INLINE void add(T *out, const T *x, const T *bias, const T *residual, i64 n, i64 c) {
    for (i64 i = gridThread() * N; i < n; i += gridThreads() * N) {
        float v[N], w[N];
        load(v, x + i);
        if (bias) {
            load(w, bias + i % c);
#pragma unroll
            for (int j = 0; j < N; j++) v[j] += w[j];
        }
        if (residual) {
            load(w, residual + i);
#pragma unroll
            for (int j = 0; j < N; j++) v[j] += w[j];
        }
        store(out + i, v);
    }
}

#define ADD(T, N)                                                                                                     \
    KERNEL __launch_bounds__(256) add_##T(T *out, const T *x, const T *bias, const T *residual, i64 n, i64 c) {       \
        add<T, 1>(out, x, bias, residual, n, c);                                                                      \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) add_##T##_packed(T *out, const T *x, const T *bias, const T *residual, i64 n, i64 c) { \
        add<T, N>(out, x, bias, residual, n, c);                                                                      \
    }

ADD(float, 4)
ADD(f16, 8)
ADD(bf16, 8)

// copyColumns copies rows of n elements from rows of c to rows of d.
template <typename T> INLINE void copyColumns(T *out, const T *x, i64 rows, i64 n, i64 d, i64 c) {
    for (i64 i = gridThread(); i < rows * n; i += gridThreads()) out[i / n * d + i % n] = x[i / n * c + i % n];
}

struct __align__(16) pack { u32 words[4]; };

KERNEL __launch_bounds__(256) copy_columns_u16(u16 *out, const u16 *x, i64 rows, i64 n, i64 d, i64 c) { copyColumns(out, x, rows, n, d, c); }
KERNEL __launch_bounds__(256) copy_columns_u32(u32 *out, const u32 *x, i64 rows, i64 n, i64 d, i64 c) { copyColumns(out, x, rows, n, d, c); }
KERNEL __launch_bounds__(256) copy_columns_packed(pack *out, const pack *x, i64 rows, i64 n, i64 d, i64 c) { copyColumns(out, x, rows, n, d, c); }
