// Products of 8-bit integers on tensor cores, with exact sums of 32 bits.
#include "int8.cuh"
#include "linear_tile.cuh"

// q = round(x / scale), a block for each row; the product reads it once for each tile along n.
template <typename T> INLINE void quantize(signed char *q, float *scales, const T *x, int c) {
    const i64 first = (i64)blockIdx.x * c;
    const float s = rowScale(x + first, c);
    for (int i = threadIdx.x; i < c; i += blockDim.x) q[first + i] = s > 0 ? (int)rintf(widen(x[first + i]) / s) : 0;
    if (threadIdx.x == 0) scales[blockIdx.x] = s;
}

// A row of k integers, k even, is one of k/2 pairs, which lie in fragments as 16-bit elements do.
template <typename T> INLINE void int8Forward(const s8x2 *q, const s8x2 *values, int m, int n, int k, const Scaled<T> &epilogue) {
    const Operand<s8x2, false> a(q, blockIdx.y * TILE, m, k / 2), b(values, blockIdx.x * TILE, n, k / 2);
    product<s8x2>(a, b, m, n, k / 2, epilogue);
}

#define INT8(T)                                                                                                       \
    KERNEL __launch_bounds__(256) int8_quantize_##T(signed char *q, float *scales, const T *x, int c) {               \
        quantize(q, scales, x, c);                                                                                    \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256, 2)                                                                                  \
    int8_mma_forward_##T(T *out, const s8x2 *q, const s8x2 *values, const T *bias, T *aux, const T *residual, int m,  \
                         int n, int k, const float *rows, const float *cols) {                                        \
        int8Forward(q, values, m, n, k, Scaled<T>{Forward<T>{out, bias, aux, residual, n}, rows, cols});              \
    }

INT8(float)
INT8(f16)
INT8(bf16)
