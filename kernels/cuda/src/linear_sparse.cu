// Products with 2:4 sparse, block-sparse and 8-bit weights by fused multiply-adds: the reference on the device. It reads what is stored and no more, but multiplies by the zeros
// between.
#include "fma.cuh"
#include "sparse.cuh"

// Columns of W along k, and rows of W along k.
template <typename W> struct AlongC {
    static const bool apart = false;
    static const int unroll = 1;
    W w;
    INLINE float get(int row, int col) const {
        const i64 i = w.find(row, col);
        return i < 0 ? 0 : widen(w.values[i]);
    }
};
template <typename W> struct AlongOC {
    static const bool apart = true;
    static const int unroll = 1;
    W w;
    INLINE float get(int row, int col) const {
        const i64 i = w.find(col, row);
        return i < 0 ? 0 : widen(w.values[i]);
    }
};

template <typename T, typename W>
INLINE void sparseForward(W w, T *out, const T *x, const T *bias, T *aux, const T *residual, int m, int n, int k) {
    multiply(Dense<T, false>{x, m, k}, AlongC<W>{w}, m, n, k, Forward<T>{out, bias, aux, residual, n});
}
template <typename T, typename W> INLINE void sparseInput(W w, T *dx, const T *dout, const T *aux, int m, int n, int k) {
    multiply(Dense<T, false>{dout, m, k}, AlongOC<W>{w}, m, n, k, Input<T>{dx, aux, n});
}
template <typename T, typename W> INLINE void sparseWeight(W dw, const T *dout, const T *x, int m, int n, int k) {
    multiply(Dense<T, true>{dout, m, k}, Dense<T, true>{x, n, k}, m, n, k, Stored<W>{dw});
}

#define SPARSE(T)                                                                                                     \
    KERNEL __launch_bounds__(256) pairs_forward_##T(T *out, const T *x, const T *values, const T *bias, T *aux,       \
                                                    const T *residual, int m, int n, int k, const u8 *meta) {         \
        sparseForward(Pairs<const T>{values, meta, k}, out, x, bias, aux, residual, m, n, k);                         \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    pairs_input_##T(T *dx, const T *dout, const T *values, const T *aux, int m, int n, int k, const u8 *meta) {       \
        sparseInput(Pairs<const T>{values, meta, n}, dx, dout, aux, m, n, k);                                         \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    pairs_weight_##T(float *values, const T *dout, const T *x, int m, int n, int k, const u8 *meta) {                 \
        sparseWeight(Pairs<float>{values, meta, n}, dout, x, m, n, k);                                                \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    blocks_forward_##T(T *out, const T *x, const T *values, const T *bias, T *aux, const T *residual, int m, int n,   \
                       int k, const int *meta, int edge, int keep) {                                                  \
        sparseForward(Blocks<const T>{values, meta, edge, keep}, out, x, bias, aux, residual, m, n, k);               \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) blocks_input_##T(T *dx, const T *dout, const T *values, const T *aux, int m, int n, \
                                                   int k, const int *meta, int edge, int keep) {                      \
        sparseInput(Blocks<const T>{values, meta, edge, keep}, dx, dout, aux, m, n, k);                               \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) blocks_weight_##T(float *values, const T *dout, const T *x, int m, int n, int k,    \
                                                    const int *meta, int edge, int keep) {                            \
        sparseWeight(Blocks<float>{values, meta, edge, keep}, dout, x, m, n, k);                                      \
    }

SPARSE(float)
SPARSE(f16)
SPARSE(bf16)

// Quantized is x (N,C) as 8-bit integers over a scale for each row (Dettmers et al., "LLM.int8()", arXiv:2208.07339, section 2.1).
template <typename T> struct Quantized {
    static const bool apart = false;
    static const int unroll = 1;
    const T *x;
    const float *scales;
    int k;
    INLINE float get(int row, int col) const {
        const float s = scales[row];
        return s > 0 ? rintf(widen(x[(i64)row * k + col]) / s) : 0;
    }
};

struct Bytes {
    static const bool apart = false;
    static const int unroll = 1;
    const signed char *values;
    int k;
    INLINE float get(int row, int col) const { return values[(i64)row * k + col]; }
};

// Scaled turns sums of integers into those of what they stand for.
template <typename T> struct Scaled {
    Forward<T> forward;
    const float *rows, *cols;
    INLINE void put(int row, int col, float v) const { forward.put(row, col, v * (rows[row] * cols[col])); }
};

// The scale that maps a row's largest magnitude to 127, a block for each row.
template <typename T> INLINE float rowScale(const T *x, int c) {
    float top = 0;
    for (int i = threadIdx.x; i < c; i += blockDim.x) top = fmaxf(top, fabsf(widen(x[i])));
    return blockMax(top) / 127;
}

#define INT8(T)                                                                                                       \
    KERNEL __launch_bounds__(256) int8_scales_##T(float *scales, const T *x, int c) {                                 \
        const float s = rowScale(x + (i64)blockIdx.x * c, c);                                                         \
        if (threadIdx.x == 0) scales[blockIdx.x] = s;                                                                 \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    int8_forward_##T(T *out, const T *x, const signed char *values, const T *bias, T *aux, const T *residual, int m,  \
                     int n, int k, const float *rows, const float *cols) {                                            \
        multiply(Quantized<T>{x, rows, k}, Bytes{values, k}, m, n, k,                                                 \
                 Scaled<T>{Forward<T>{out, bias, aux, residual, n}, rows, cols});                                     \
    }

INT8(float)
INT8(f16)
INT8(bf16)
