// Products by fused multiply-adds in float: C(m,n) = Σ_k A(m,k)·B(n,k) for sources A and B that give any element.
#pragma once
#include "linear.cuh"

// A block of 256 threads computes a tile of 64 by 64, each thread 4 by 4 of it, in steps of 16 along k.
enum { TILE = 64, STEP = 16, PAD = 4 };

// Dense is a matrix of size by k, with k contiguous, or with k apart and size contiguous.
template <typename T, bool APART> struct Dense {
    static const bool apart = APART;
    static const int unroll = 4;
    const T *x;
    int size, k;
    INLINE float get(int row, int col) const { return widen(x[APART ? (i64)col * size + row : (i64)row * k + col]); }
};

// fill reads a tile of STEP by TILE into shared memory, zero outside the matrix of size by k. Neighbouring threads take what is contiguous in memory.
template <typename Source> INLINE void fill(float (&tile)[STEP][TILE + PAD], const Source &source, int first, int k0, int size, int k) {
#pragma unroll Source::unroll
    for (int i = 0; i < TILE * STEP / 256; i++) {
        const int e = threadIdx.x + i * 256;
        const int dk = Source::apart ? e / TILE : e % STEP, d = Source::apart ? e % TILE : e / STEP;
        tile[dk][d] = first + d < size && k0 + dk < k ? source.get(first + d, k0 + dk) : 0;
    }
}

template <typename A, typename B, typename Epilogue> INLINE void multiply(const A &a, const B &b, int m, int n, int k, const Epilogue &epilogue) {
    __shared__ __align__(16) float as[STEP][TILE + PAD], bs[STEP][TILE + PAD];
    __shared__ float sums[TILE][TILE + 1];
    const int row0 = blockIdx.y * TILE, col0 = blockIdx.x * TILE;
    const int y = threadIdx.x / 16 * 4, x = threadIdx.x % 16 * 4;
    float sum[4][4] = {};
    for (int k0 = 0; k0 < k; k0 += STEP) {
        fill(as, a, row0, k0, m, k);
        fill(bs, b, col0, k0, n, k);
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
    // Through shared memory, so that neighbouring threads have neighbouring elements, and the epilogue is there once.
#pragma unroll
    for (int r = 0; r < 4; r++)
#pragma unroll
        for (int c = 0; c < 4; c++) sums[y + r][x + c] = sum[r][c];
    __syncthreads();
#pragma unroll 1
    for (int e = threadIdx.x; e < TILE * TILE; e += 256)
        if (row0 + e / TILE < m && col0 + e % TILE < n) epilogue.put(row0 + e / TILE, col0 + e % TILE, sums[e / TILE][e % TILE]);
}
