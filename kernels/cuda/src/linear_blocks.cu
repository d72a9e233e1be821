// Products with block-sparse weights of 16-bit types on tensor cores: blocks that are not there are neither read nor multiplied (Gray et al., "GPU Kernels for Block-Sparse Weights", 2017).
// All operands lie on 16 bytes; eight neighbouring columns are of one block.
#include "linear_tile.cuh"

// Runs steps of 32 along the sum through three stages of shared memory, of so many u16 each: fetch(stage, s) starts to bring step s, multiply(stage) takes one that is there.
template <typename Fetch, typename Multiply> INLINE void pipeline(int steps, int size, const Fetch &fetch, const Multiply &multiply) {
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) fetch(pool + s * size, s);
        commitCopies();
    }
    for (int s = 0; s < steps; s++) {
        waitCopies<STAGES - 2>();
        __syncthreads(); // as in product
        const int next = s + STAGES - 1;
        if (next < steps) fetch(pool + next % STAGES * size, next);
        commitCopies();
        multiply(pool + s % STAGES * size);
    }
}

// Forward and backward input: a block of 8 warps computes 128 rows of the result by the EDGE columns of one row, or column, of blocks, each warp 16 rows of it. The sum runs over the stored
// blocks' columns, or rows, alone.
enum { ROWS = TILE * (STEP + PAD) };

// Brings 128 rows of the dense operand, of which lines of EDGE columns count: line(i) is the i-th. A thread brings eight columns of two rows.
template <int EDGE, typename T, typename Line>
INLINE void fetchRows(u16 *stage, const T *x, int m, int width, int stored, int k0, const Line &line) {
    const int col = threadIdx.x % (STEP / 8) * 8, k = k0 + col, r = threadIdx.x / (STEP / 8);
    const bool inside = k < stored;
    const int from = inside ? line(k / EDGE) * EDGE + k % EDGE : 0;
#pragma unroll
    for (int i = 0; i < TILE; i += 64) {
        const int row = blockIdx.y * TILE + r + i;
        const bool there = inside && row < m;
        copyAsync(stage + (r + i) * (STEP + PAD) + col, there ? x + (i64)row * width + from : x, there);
    }
}

template <int EDGE, bool APART, typename T> INLINE void multiplyRows(float (&sum)[EDGE / 8][4], const u16 *stage) {
#pragma unroll
    for (int k0 = 0; k0 < STEP; k0 += 16) {
        u32 a[4], b[4];
        fragmentA(a, stage, STEP + PAD, threadIdx.x / 32 * 16, k0);
#pragma unroll
        for (int j = 0; j < EDGE / 16; j++) {
            if (APART) fragmentBTrans(b, stage + ROWS, EDGE + PAD, 16 * j, k0);
            else fragmentB(b, stage + ROWS, STEP + PAD, 16 * j, k0);
            mma(sum[2 * j], a, b[0], b[1], T());
            mma(sum[2 * j + 1], a, b[2], b[3], T());
        }
    }
}

template <int EDGE, typename Epilogue> INLINE void finishRows(const float (&sum)[EDGE / 8][4], int m, const Epilogue &epilogue) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int j = 0; j < EDGE / 8; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const int row = blockIdx.y * TILE + threadIdx.x / 32 * 16 + lane / 4 + e / 2 * 8;
            if (row < m) epilogue.put(row, blockIdx.x * EDGE + 8 * j + lane % 4 * 2 + e % 2, sum[j][e]);
        }
}

template <int EDGE, typename T>
INLINE void blocksForward(const T *x, const T *values, const int *meta, int keep, int m, int c, const Forward<T> &epilogue) {
    const int stored = keep * EDGE, r = threadIdx.x / (STEP / 8), col = threadIdx.x % (STEP / 8) * 8;
    const int *columns = meta + (i64)blockIdx.x * keep;
    values += (i64)blockIdx.x * keep * EDGE * EDGE;
    float sum[EDGE / 8][4] = {};
    pipeline((stored + STEP - 1) / STEP, ROWS + EDGE * (STEP + PAD), [&](u16 *stage, int s) {
        fetchRows<EDGE>(stage, x, m, c, stored, s * STEP, [&](int i) { return columns[i]; });
        if (r >= EDGE) return;
        const int k = s * STEP + col;
        const bool there = k < stored;
        copyAsync(stage + ROWS + r * (STEP + PAD) + col, there ? values + ((i64)(k / EDGE) * EDGE + r) * EDGE + k % EDGE : values, there);
    }, [&](const u16 *stage) { multiplyRows<EDGE, false, T>(sum, stage); });
    finishRows<EDGE>(sum, m, epilogue);
}

// Writes which stored blocks lie in a column of blocks, ascending, and gives their number. One warp looks for the column in every row of blocks.
INLINE int findBlocks(int *found, const int *meta, int rows, int keep, int column) {
    __shared__ int count;
    if (threadIdx.x < 32) {
        int n = 0;
        for (int first = 0; first < rows; first += 32) {
            const int row = first + threadIdx.x;
            const int *columns = meta + (i64)row * keep;
            int lo = 0, hi = row < rows ? keep : 0;
            while (lo < hi) {
                const int mid = (lo + hi) / 2;
                if (columns[mid] < column) lo = mid + 1;
                else hi = mid;
            }
            const bool there = row < rows && lo < keep && columns[lo] == column;
            const u32 all = __ballot_sync(~0u, there);
            if (there) found[n + __popc(all & ((1u << threadIdx.x) - 1))] = row * keep + lo;
            n += __popc(all);
        }
        if (threadIdx.x == 0) count = n;
    }
    __syncthreads();
    return count;
}

template <int EDGE, typename T>
INLINE void blocksInput(const T *dout, const T *values, const int *meta, int keep, int m, int oc, const Input<T> &epilogue) {
    const int size = ROWS + STEP * (EDGE + PAD), r = threadIdx.x / (EDGE / 8), col = threadIdx.x % (EDGE / 8) * 8;
    int *found = (int *)(pool + STAGES * size);
    const int stored = findBlocks(found, meta, oc / EDGE, keep, blockIdx.x) * EDGE;
    float sum[EDGE / 8][4] = {};
    pipeline((stored + STEP - 1) / STEP, size, [&](u16 *stage, int s) {
        fetchRows<EDGE>(stage, dout, m, oc, stored, s * STEP, [&](int i) { return found[i] / keep; });
        if (r >= STEP) return;
        const int k = s * STEP + r;
        const bool there = k < stored;
        copyAsync(stage + ROWS + r * (EDGE + PAD) + col, there ? values + ((i64)found[k / EDGE] * EDGE + k % EDGE) * EDGE + col : values, there);
    }, [&](const u16 *stage) { multiplyRows<EDGE, true, T>(sum, stage); });
    finishRows<EDGE>(sum, m, epilogue);
}

// Backward weight: a block computes the EDGE output channels of one row of blocks by 128 stored columns of it, each warp 16 of these. The sum runs over the rows of dout and x.
template <int EDGE, typename T>
INLINE void blocksWeight(float *values, const T *dout, const T *x, const int *meta, int keep, int oc, int c, int n) {
    const int left = STEP * (EDGE + PAD), size = left + STEP * (TILE + PAD), lane = threadIdx.x % 32, col0 = threadIdx.x / 32 * 16;
    const int first = blockIdx.x * TILE, stored = keep * EDGE; // columns of the row of blocks
    const int *columns = meta + (i64)blockIdx.y * keep;
    values += (i64)blockIdx.y * stored * EDGE;
    float sum[EDGE / 16][2][4] = {};
    pipeline((n + STEP - 1) / STEP, size, [&](u16 *stage, int s) {
        const int r = threadIdx.x / (EDGE / 8), col = threadIdx.x % (EDGE / 8) * 8, row = s * STEP + r;
        if (r < STEP) copyAsync(stage + r * (EDGE + PAD) + col, row < n ? dout + (i64)row * oc + blockIdx.y * EDGE + col : dout, row < n);
#pragma unroll
        for (int i = 0; i < STEP * TILE / 8 / 256; i++) {
            const int e = (threadIdx.x + i * 256) * 8, at = first + e % TILE, token = s * STEP + e / TILE;
            const bool there = at < stored && token < n;
            copyAsync(stage + left + e / TILE * (TILE + PAD) + e % TILE, there ? x + (i64)token * c + columns[at / EDGE] * EDGE + at % EDGE : x, there);
        }
    }, [&](const u16 *stage) {
#pragma unroll
        for (int k0 = 0; k0 < STEP; k0 += 16) {
            u32 a[4], b[4];
            fragmentBTrans(b, stage + left, TILE + PAD, col0, k0);
#pragma unroll
            for (int i = 0; i < EDGE / 16; i++) {
                fragmentATrans(a, stage, EDGE + PAD, 16 * i, k0);
                mma(sum[i][0], a, b[0], b[1], T());
                mma(sum[i][1], a, b[2], b[3], T());
            }
        }
    });
#pragma unroll
    for (int i = 0; i < EDGE / 16; i++)
#pragma unroll
        for (int j = 0; j < 2; j++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const int row = 16 * i + lane / 4 + e / 2 * 8, at = first + col0 + 8 * j + lane % 4 * 2 + e % 2;
                if (at < stored) values[((i64)(at / EDGE) * EDGE + row) * EDGE + at % EDGE] += sum[i][j][e];
            }
}

#define BLOCKS(EDGE, T)                                                                                               \
    KERNEL __launch_bounds__(256, 2)                                                                                  \
    blocks##EDGE##_mma_forward_##T(T *out, const T *x, const T *values, const T *bias, T *aux, const T *residual,     \
                                   int m, int n, int k, const int *meta, int keep) {                                  \
        blocksForward<EDGE>(x, values, meta, keep, m, k, Forward<T>{out, bias, aux, residual, n});                    \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256, 2)                                                                                  \
    blocks##EDGE##_mma_input_##T(T *dx, const T *dout, const T *values, const T *aux, int m, int n, int k,            \
                                 const int *meta, int keep) {                                                         \
        blocksInput<EDGE>(dout, values, meta, keep, m, k, Input<T>{dx, aux, n});                                      \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256, 2)                                                                                  \
    blocks##EDGE##_mma_weight_##T(float *values, const T *dout, const T *x, int m, int n, int k, const int *meta,     \
                                  int keep) {                                                                         \
        blocksWeight<EDGE>(values, dout, x, meta, keep, m, n, k);                                                     \
    }

BLOCKS(16, f16)
BLOCKS(32, f16)
BLOCKS(64, f16)
BLOCKS(16, bf16)
BLOCKS(32, bf16)
BLOCKS(64, bf16)
