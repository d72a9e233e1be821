// Products by fused multiply-adds in float, for every storage type: the reference on the device, and the one for fp32.
#include "linear.cuh"

// A block of 256 threads computes a tile of 64 by 64, each thread 4 by 4 of it, in steps of 16 along k.
enum { TILE = 64, STEP = 16, PAD = 4 };

// fill reads a tile of STEP by TILE into shared memory as float, zero outside the matrix of size by k. A matrix with k apart has size contiguous.
template <typename T, bool APART> INLINE void fill(float (&tile)[STEP][TILE + PAD], const T *x, int first, int k0, int size, int k) {
#pragma unroll
    for (int i = 0; i < TILE * STEP / 256; i++) {
        const int e = threadIdx.x + i * 256;
        const int dk = APART ? e / TILE : e % STEP, d = APART ? e % TILE : e / STEP;
        const int row = first + d, col = k0 + dk;
        float v = 0;
        if (row < size && col < k) v = widen(x[APART ? (i64)col * size + row : (i64)row * k + col]);
        tile[dk][d] = v;
    }
}

template <typename T, bool A_APART, bool B_APART, typename Epilogue>
INLINE void product(const T *a, const T *b, int m, int n, int k, Epilogue epilogue) {
    __shared__ __align__(16) float as[STEP][TILE + PAD], bs[STEP][TILE + PAD];
    const int row0 = blockIdx.y * TILE, col0 = blockIdx.x * TILE;
    const int y = threadIdx.x / 16 * 4, x = threadIdx.x % 16 * 4;
    float sum[4][4] = {};
    for (int k0 = 0; k0 < k; k0 += STEP) {
        fill<T, A_APART>(as, a, row0, k0, m, k);
        fill<T, B_APART>(bs, b, col0, k0, n, k);
        __syncthreads();
#pragma unroll
        for (int i = 0; i < STEP; i++) {
            float u[4], v[4];
            load(u, &as[i][y]);
            load(v, &bs[i][x]);
#pragma unroll
            for (int r = 0; r < 4; r++)
#pragma unroll
                for (int c = 0; c < 4; c++) sum[r][c] += u[r] * v[c];
        }
        __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < 4; r++)
#pragma unroll
        for (int c = 0; c < 4; c++)
            if (row0 + y + r < m && col0 + x + c < n) epilogue.put(row0 + y + r, col0 + x + c, sum[r][c]);
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
