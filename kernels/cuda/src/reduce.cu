// Sums of several ranks' parts: out[i] = the sum over p of x[p·n + i], in the order of p, in float. The packed form reads and writes 16 bytes at once.
#include "common.cuh"

template <typename T, int N> INLINE void sumParts(T *out, const T *x, i64 parts, i64 n) {
    for (i64 i = gridThread() * N; i < n; i += gridThreads() * N) {
        float sum[N], v[N];
        load(sum, x + i);
        for (i64 p = 1; p < parts; p++) {
            load(v, x + p * n + i);
#pragma unroll
            for (int j = 0; j < N; j++) sum[j] += v[j];
        }
        store(out + i, sum);
    }
}

#define SUM_PARTS(T, N)                                                                                                                  \
    KERNEL __launch_bounds__(256) sum_parts_##T(T *out, const T *x, i64 parts, i64 n) { sumParts<T, 1>(out, x, parts, n); }              \
    KERNEL __launch_bounds__(256) sum_parts_##T##_packed(T *out, const T *x, i64 parts, i64 n) { sumParts<T, N>(out, x, parts, n); }

SUM_PARTS(float, 4)
SUM_PARTS(f16, 8)
SUM_PARTS(bf16, 8)
