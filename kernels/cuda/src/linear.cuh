// What the product kernels share. All compute C(m,n) = Σ_k A(m,k)·B(n,k) for three passes of a linear layer with weights W (OC,C):
//
//   forward          out = x·Wᵀ    A = x     B = W      both with k contiguous
//   backward input   dx = dout·W   A = dout  B = Wᵀ     B with n contiguous
//   backward weight  dw += doutᵀ·x A = doutᵀ B = xᵀ     both with k apart, m and n contiguous
#pragma once
#include "common.cuh"

// GELU in its tanh form and its derivative (arXiv:1606.08415, section 2), by z = exp(-2|u|) for tanh's argument u: no difference of near numbers is taken.
INLINE float geluArgument(float x) { return 0.7978845608f * (x + 0.044715f * x * x * x); }
INLINE float gelu(float x) {
    const float u = geluArgument(x), z = expf(-2 * fabsf(u)), share = 1 / (1 + z); // (1 + tanh|u|)/2
    return x * (u < 0 ? z * share : share);
}
INLINE float geluGrad(float x) {
    const float u = geluArgument(x), z = expf(-2 * fabsf(u)), share = 1 / (1 + z);
    return (u < 0 ? z * share : share) + 2 * x * z * share * share * 0.7978845608f * (1 + 3 * 0.044715f * x * x);
}

// Epilogues store one element of C, whose rows have n elements.

// out = gelu(C + bias) + residual; aux keeps C + bias where it is there, and only then is GELU applied. Each pointer but out may be null.
template <typename T> struct Forward {
    T *out;
    const T *bias;
    T *aux;
    const T *residual;
    int n;
    INLINE void put(int row, int col, float v) const {
        const i64 at = (i64)row * n + col;
        if (bias) v += widen(bias[col]);
        if (aux) {
            narrow(aux[at], v);
            v = gelu(v);
        }
        if (residual) v += widen(residual[at]);
        narrow(out[at], v);
    }
};

// dx = C·gelu'(aux), or C where aux is null.
template <typename T> struct Input {
    T *dx;
    const T *aux;
    int n;
    INLINE void put(int row, int col, float v) const {
        const i64 at = (i64)row * n + col;
        if (aux) v *= geluGrad(widen(aux[at]));
        narrow(dx[at], v);
    }
};

// dw += C.
struct Gradient {
    float *dw;
    int n;
    INLINE void put(int row, int col, float v) const { dw[(i64)row * n + col] += v; }
};

// PASSES defines the kernels of one product template for one type, with its launch bounds.
#define PASSES(product, name, T, ...)                                                                                 \
    KERNEL __launch_bounds__(__VA_ARGS__)                                                                             \
    name##_forward_##T(T *out, const T *x, const T *w, const T *bias, T *aux, const T *residual, int m, int n, int k) { \
        product<T, false, false>(x, w, m, n, k, Forward<T>{out, bias, aux, residual, n});                             \
    }                                                                                                                 \
    KERNEL __launch_bounds__(__VA_ARGS__)                                                                             \
    name##_input_##T(T *dx, const T *dout, const T *w, const T *aux, int m, int n, int k) {                           \
        product<T, false, true>(dout, w, m, n, k, Input<T>{dx, aux, n});                                              \
    }                                                                                                                 \
    KERNEL __launch_bounds__(__VA_ARGS__)                                                                             \
    name##_weight_##T(float *dw, const T *dout, const T *x, int m, int n, int k) {                                    \
        product<T, true, true>(dout, x, m, n, k, Gradient{dw, n});                                                    \
    }
