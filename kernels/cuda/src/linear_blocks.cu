// Forward products with block-sparse weights of 16-bit types on tensor cores: blocks that are not there are neither read nor multiplied (Gray et al., "GPU Kernels for Block-Sparse Weights", 2017).
#include "linear_tile.cuh"

// A block of 8 warps computes 128 rows of out by the EDGE output channels of one row of blocks, each warp 16 rows of it. The sum runs over the stored columns, keep·EDGE, in steps of 32.
enum { ROWS = TILE * (STEP + PAD) };

// Brings a step of x and of the weights; both lie on 16 bytes. Eight neighbouring columns are of one block.
template <int EDGE, typename T>
INLINE void fetchBlocks(u16 *stage, const T *x, const T *values, const int *columns, int m, int c, int stored, int k0) {
    const int col = threadIdx.x % (STEP / 8) * 8, k = k0 + col, r = threadIdx.x / (STEP / 8);
    const bool inside = k < stored;
    const int from = inside ? columns[k / EDGE] * EDGE + k % EDGE : 0; // the column of x
#pragma unroll
    for (int i = 0; i < TILE; i += 64) {
        const int row = blockIdx.y * TILE + r + i;
        const bool there = inside && row < m;
        copyAsync(stage + (r + i) * (STEP + PAD) + col, there ? x + (i64)row * c + from : x, there);
    }
    if (r >= EDGE) return;
    copyAsync(stage + ROWS + r * (STEP + PAD) + col, inside ? values + ((i64)(k / EDGE) * EDGE + r) * EDGE + k % EDGE : values, inside);
}

template <int EDGE, typename T>
INLINE void blocksForward(const T *x, const T *values, const int *meta, int keep, int m, int n, int c, const Forward<T> &epilogue) {
    const int size = ROWS + EDGE * (STEP + PAD), stored = keep * EDGE, steps = (stored + STEP - 1) / STEP, row0 = threadIdx.x / 32 * 16, lane = threadIdx.x % 32;
    const int *columns = meta + (i64)blockIdx.x * keep;
    values += (i64)blockIdx.x * keep * EDGE * EDGE;
    float sum[EDGE / 8][4] = {};
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) fetchBlocks<EDGE>(pool + s * size, x, values, columns, m, c, stored, s * STEP);
        commitCopies();
    }
    for (int s = 0; s < steps; s++) {
        waitCopies<STAGES - 2>();
        __syncthreads(); // as in product
        const int next = s + STAGES - 1;
        if (next < steps) fetchBlocks<EDGE>(pool + next % STAGES * size, x, values, columns, m, c, stored, next * STEP);
        commitCopies();
        const u16 *stage = pool + s % STAGES * size;
#pragma unroll
        for (int k0 = 0; k0 < STEP; k0 += 16) {
            u32 a[4], b[4];
            fragmentA(a, stage, STEP + PAD, row0, k0);
#pragma unroll
            for (int j = 0; j < EDGE / 16; j++) {
                fragmentB(b, stage + ROWS, STEP + PAD, 16 * j, k0);
                mma(sum[2 * j], a, b[0], b[1], T());
                mma(sum[2 * j + 1], a, b[2], b[3], T());
            }
        }
    }
#pragma unroll
    for (int j = 0; j < EDGE / 8; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const int row = blockIdx.y * TILE + row0 + lane / 4 + e / 2 * 8;
            if (row < m) epilogue.put(row, blockIdx.x * EDGE + 8 * j + lane % 4 * 2 + e % 2, sum[j][e]);
        }
}

#define BLOCKS(EDGE, T)                                                                                               \
    KERNEL __launch_bounds__(256, 2)                                                                                  \
    blocks##EDGE##_mma_forward_##T(T *out, const T *x, const T *values, const T *bias, T *aux, const T *residual,     \
                                   int m, int n, int k, const int *meta, int keep) {                                  \
        blocksForward<EDGE>(x, values, meta, keep, m, n, k, Forward<T>{out, bias, aux, residual, n});                 \
    }

BLOCKS(16, f16)
BLOCKS(32, f16)
BLOCKS(64, f16)
BLOCKS(16, bf16)
BLOCKS(32, bf16)
BLOCKS(64, bf16)
