// Products of dense matrices by fused multiply-adds, for every storage type: the reference on the device, and the one for fp32.
#include "fma.cuh"

template <typename T, bool A_APART, bool B_APART, typename Epilogue>
INLINE void product(const T *a, const T *b, int m, int n, int k, const Epilogue &epilogue) {
    multiply(Dense<T, A_APART>{a, m, k}, Dense<T, B_APART>{b, n, k}, m, n, k, epilogue);
}

PASSES(product, fma, float, 256)
PASSES(product, fma, f16, 256)
PASSES(product, fma, bf16, 256)

// dbias += Σ_rows dout. A block of 32 by 8 threads owns 32 columns; the order of each sum is fixed.
template <typename T> INLINE void bias(float *dbias, const T *dout, int n, int c) {
    __shared__ float parts[8][32];
    const int col = blockIdx.x * 32 + threadIdx.x;
    float sum = 0;
    if (col < c)
        for (i64 i = threadIdx.y; i < n; i += 8) sum += widen(dout[i * c + col]);
    parts[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && col < c) {
        sum = 0;
#pragma unroll
        for (int i = 0; i < 8; i++) sum += parts[i][threadIdx.x];
        dbias[col] += sum;
    }
}

KERNEL __launch_bounds__(256) bias_float(float *dbias, const float *dout, int n, int c) { bias(dbias, dout, n, c); }
KERNEL __launch_bounds__(256) bias_f16(float *dbias, const f16 *dout, int n, int c) { bias(dbias, dout, n, c); }
KERNEL __launch_bounds__(256) bias_bf16(float *dbias, const bf16 *dout, int n, int c) { bias(dbias, dout, n, c); }
