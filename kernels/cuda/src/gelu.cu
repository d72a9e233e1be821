// GELU apart from the product before it, where a library computes that one and has no such epilogue: in packs of 16 bytes where alignment allows (suffix _packed).
#include "linear.cuh"

// out = gelu(aux) + residual, which may be null. out may be residual.
template <typename T, int N> INLINE void forward(T *out, const T *aux, const T *residual, i64 n) {
    for (i64 i = gridThread() * N; i < n; i += gridThreads() * N) {
        float v[N], r[N];
        load(v, aux + i);
        if (residual) load(r, residual + i);
#pragma unroll
        for (int j = 0; j < N; j++) v[j] = gelu(v[j]) + (residual ? r[j] : 0);
        store(out + i, v);
    }
}

// dx *= gelu'(aux).
template <typename T, int N> INLINE void backward(T *dx, const T *aux, i64 n) {
    for (i64 i = gridThread() * N; i < n; i += gridThreads() * N) {
        float d[N], v[N];
        load(d, dx + i);
        load(v, aux + i);
#pragma unroll
        for (int j = 0; j < N; j++) d[j] *= geluGrad(v[j]);
        store(dx + i, d);
    }
}

#define GELU(T)                                                                                                                                               \
    KERNEL __launch_bounds__(256) gelu_forward_##T(T *out, const T *aux, const T *residual, i64 n) { forward<T, 1>(out, aux, residual, n); }                    \
    KERNEL __launch_bounds__(256) gelu_forward_##T##_packed(T *out, const T *aux, const T *residual, i64 n) { forward<T, 16 / sizeof(T)>(out, aux, residual, n); } \
    KERNEL __launch_bounds__(256) gelu_backward_##T(T *dx, const T *aux, i64 n) { backward<T, 1>(dx, aux, n); }                                                 \
    KERNEL __launch_bounds__(256) gelu_backward_##T##_packed(T *dx, const T *aux, i64 n) { backward<T, 16 / sizeof(T)>(dx, aux, n); }

GELU(f16)
GELU(bf16)
