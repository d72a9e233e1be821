// Casts: one pass over memory, in packs of 16 bytes of the wider type where alignment allows (suffix _packed).
#pragma once
#include "common.cuh"

template <typename D, typename S, int N> INLINE void cast(D *out, const S *x, i64 n) {
    for (i64 i = gridThread() * N; i < n; i += gridThreads() * N) {
        float v[N];
        load(v, x + i);
        store(out + i, v);
    }
}

#define CAST(D, S)                                                                                                    \
    KERNEL __launch_bounds__(256) cast_##D##_##S(D *out, const S *x, i64 n) { cast<D, S, 1>(out, x, n); }             \
    KERNEL __launch_bounds__(256) cast_##D##_##S##_packed(D *out, const S *x, i64 n) { cast<D, S, 4>(out, x, n); }
