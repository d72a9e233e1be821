// Layer normalization (Ba et al., arXiv:1607.06450, equation 4). A block normalizes one row, which it keeps in shared memory as float, so that global memory is
// read once.
#include "common.cuh"

extern __shared__ float row[];

template <typename T> INLINE void forward(T *out, float *mean, float *rstd, const T *x, const T *gain, const T *bias, int c) {
    const i64 n = blockIdx.x;
    x += n * c;
    out += n * c;
    float sum = 0;
    for (int i = threadIdx.x; i < c; i += blockDim.x) {
        row[i] = widen(x[i]);
        sum += row[i];
    }
    const float m = blockSum(sum) / c;
    float squares = 0;
    for (int i = threadIdx.x; i < c; i += blockDim.x) {
        const float d = row[i] - m;
        squares += d * d;
    }
    const float r = 1 / sqrtf(blockSum(squares) / c + 1e-5f);
    for (int i = threadIdx.x; i < c; i += blockDim.x) narrow(out[i], (row[i] - m) * r * widen(gain[i]) + widen(bias[i]));
    if (threadIdx.x == 0) {
        mean[n] = m;
        rstd[n] = r;
    }
}

// dx = residual + rstd·(g - mean(g) - x̂·mean(g·x̂)) with g = dout·gain. residual may be null, or dx itself. row holds g and then x - mean. The difference cancels
// where a row is short or g is nearly linear in x, so sums and differences are in double; the kernel waits for memory all the same.
template <typename T>
INLINE void backward(T *dx, const T *dout, const T *x, const float *mean, const float *rstd, const T *gain, const T *residual, int c) {
    const i64 n = blockIdx.x, at = n * c;
    const float m = mean[n], r = rstd[n];
    double sum = 0, moment = 0;
    for (int i = threadIdx.x; i < c; i += blockDim.x) {
        const float g = widen(dout[at + i]) * widen(gain[i]), d = widen(x[at + i]) - m;
        row[i] = g;
        row[c + i] = d;
        sum += g;
        moment += (double)g * d;
    }
    sum = blockSum(sum) / c;
    moment = blockSum(moment) * r * r / c;
    for (int i = threadIdx.x; i < c; i += blockDim.x) {
        float v = (float)(r * (row[i] - sum - row[c + i] * moment));
        if (residual) v += widen(residual[at + i]);
        narrow(dx[at + i], v);
    }
}

// dgain += Σ dout·x̂ and dbias += Σ dout over rows. A block of 32 by 8 threads owns 32 columns; the order of each sum is fixed.
template <typename T>
INLINE void parameters(float *dgain, float *dbias, const T *dout, const T *x, const float *mean, const float *rstd, int n, int c) {
    __shared__ float parts[2][8][32];
    const int col = blockIdx.x * 32 + threadIdx.x;
    float gain = 0, bias = 0;
    if (col < c) {
        for (i64 i = threadIdx.y; i < n; i += 8) {
            const float d = widen(dout[i * c + col]);
            gain += d * ((widen(x[i * c + col]) - mean[i]) * rstd[i]);
            bias += d;
        }
    }
    parts[0][threadIdx.y][threadIdx.x] = gain;
    parts[1][threadIdx.y][threadIdx.x] = bias;
    __syncthreads();
    if (threadIdx.y < 2 && col < c) {
        float sum = 0;
#pragma unroll
        for (int i = 0; i < 8; i++) sum += parts[threadIdx.y][i][threadIdx.x];
        float *out = threadIdx.y == 0 ? dgain : dbias;
        out[col] += sum;
    }
}

#define LAYERNORM(T)                                                                                                  \
    KERNEL __launch_bounds__(256)                                                                                     \
    layernorm_forward_##T(T *out, float *mean, float *rstd, const T *x, const T *gain, const T *bias, int c) {        \
        forward(out, mean, rstd, x, gain, bias, c);                                                                   \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) layernorm_backward_##T(T *dx, const T *dout, const T *x, const float *mean,         \
                                                         const float *rstd, const T *gain, const T *residual, int c) { \
        backward(dx, dout, x, mean, rstd, gain, residual, c);                                                         \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) layernorm_parameters_##T(float *dgain, float *dbias, const T *dout, const T *x,     \
                                                           const float *mean, const float *rstd, int n, int c) {      \
        parameters(dgain, dbias, dout, x, mean, rstd, n, c);                                                          \
    }

LAYERNORM(float)
LAYERNORM(f16)
LAYERNORM(bf16)
