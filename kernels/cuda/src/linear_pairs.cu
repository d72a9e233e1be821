// Products with 2:4 sparse weights of 16-bit types on tensor cores (Mishra et al., arXiv:2104.08378, section 3).
#include "linear_tile.cuh"
#include "sparse.cuh"

// Forward: the pattern lies along the sum, where mma.sp skips what is not stored. It takes the sparse operand on the left, so a block computes the transposed tile: 128 output channels, of which a warp has
// 64, by 128 rows of x, of which it has 32. A step is 32 of C, which is one instruction's.
enum { HALF = STEP / 2, VALUES = TILE * (HALF + PAD), META = TILE * 2, STAGE = SIZE + VALUES + META }; // in u16

// A tile's stored values, and a word of meta for each of its rows.
template <typename T> struct PairsRows {
    const T *values;
    const u8 *meta;
    int first, oc, c;
    bool fast; // whole steps at aligned addresses

    INLINE PairsRows(const T *values, const u8 *meta, int first, int oc, int c)
        : values(values), meta(meta), first(first), oc(oc), c(c), fast((u64)values % 16 == 0 && (u64)meta % 4 == 0 && c % STEP == 0) {}

    INLINE void fetch(u16 *tile, u32 *words, int k0) const {
        if (fast) {
            const int r = threadIdx.x / 2, e = threadIdx.x % 2 * 8, row = first + r;
            const bool there = row < oc;
            copyAsync(tile + r * (HALF + PAD) + e, there ? values + (i64)row * (c / 2) + k0 / 2 + e : values, there);
            if (threadIdx.x >= TILE) return;
            if (first + threadIdx.x < oc) copyAsync4(words + threadIdx.x, meta + (i64)(first + threadIdx.x) * (c / 8) + k0 / 8);
            else words[threadIdx.x] = NONE;
            return;
        }
#pragma unroll 1
        for (int e = threadIdx.x; e < TILE * HALF; e += 256) {
            const int row = first + e / HALF, col = k0 / 2 + e % HALF;
            tile[e / HALF * (HALF + PAD) + e % HALF] = row < oc && col < c / 2 ? values[(i64)row * (c / 2) + col].bits : 0;
        }
#pragma unroll 1
        for (int e = threadIdx.x; e < TILE * 4; e += 256) {
            const int row = first + e / 4, byte = k0 / 8 + e % 4;
            ((u8 *)words)[e] = row < oc && byte < c / 8 ? meta[(i64)row * (c / 8) + byte] : (u8)NONE;
        }
    }

    static const u32 NONE = 0x44444444; // positions must be valid even where the values are zero
};

template <typename T>
INLINE void multiplyPairs(float (&sum)[4][4][4], const u16 *values, const u32 *words, const u16 *xs, int row0, int col0) {
    const int lane = threadIdx.x % 32;
    u32 b[4][4];
#pragma unroll
    for (int j = 0; j < 2; j++) {
        u32 lo[4], hi[4]; // of two groups of 8 columns
        fragmentB(lo, xs, STEP + PAD, col0 + 16 * j, 0);
        fragmentB(hi, xs, STEP + PAD, col0 + 16 * j, 16);
#pragma unroll
        for (int g = 0; g < 2; g++) {
            b[2 * j + g][0] = lo[2 * g], b[2 * j + g][1] = lo[2 * g + 1];
            b[2 * j + g][2] = hi[2 * g], b[2 * j + g][3] = hi[2 * g + 1];
        }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int row = row0 + 16 * i;
        u32 a[4];
        fragmentA(a, values, HALF + PAD, row, 0);
        const u32 meta = __byte_perm(words[row + lane / 4], words[row + 8 + lane / 4], lane % 2 ? 0x7632 : 0x5410);
#pragma unroll
        for (int j = 0; j < 4; j++) mmaSparse(sum[i][j], a, b[j], meta, T());
    }
}

// Hands a warp's transposed sums to the epilogue, 8 of its columns, which are rows of C, at a time.
template <typename Epilogue>
INLINE void finishTransposed(const float (&sum)[4][4][4], int row0, int col0, int m, int n, const Epilogue &epilogue) {
    const int lane = threadIdx.x % 32;
    float (*rows)[68] = (float (*)[68])pool + threadIdx.x / 32 * 8; // 4 more than the data: no bank conflicts
#pragma unroll
    for (int j = 0; j < 4; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int e = 0; e < 4; e++) rows[lane % 4 * 2 + e % 2][16 * i + lane / 4 + e / 2 * 8] = sum[i][j][e];
        __syncwarp();
#pragma unroll 1
        for (int e = lane; e < 8 * 64; e += 32)
            if (row0 + 8 * j + e / 64 < m && col0 + e % 64 < n) epilogue.put(row0 + 8 * j + e / 64, col0 + e % 64, rows[e / 64][e % 64]);
        __syncwarp();
    }
}

template <typename T, typename Epilogue>
INLINE void pairsForward(const T *px, const T *values, const u8 *meta, int m, int n, int k, const Epilogue &epilogue) {
    const PairsRows<T> w(values, meta, blockIdx.x * TILE, n, k);
    const Operand<T, false> x(px, blockIdx.y * TILE, m, k);
    const int warp = threadIdx.x / 32, row0 = warp / 4 * 64, col0 = warp % 4 * 32, steps = (k + STEP - 1) / STEP;
    float sum[4][4][4] = {};
    for (int s = 0; s < STAGES - 1; s++) {
        u16 *stage = pool + s * STAGE;
        if (s < steps) {
            x.fetch(stage, s * STEP);
            w.fetch(stage + SIZE, (u32 *)(stage + SIZE + VALUES), s * STEP);
        }
        commitCopies();
    }
    for (int s = 0; s < steps; s++) {
        waitCopies<STAGES - 2>();
        __syncthreads(); // as in product
        const int next = s + STAGES - 1;
        if (next < steps) {
            u16 *filled = pool + next % STAGES * STAGE;
            x.fetch(filled, next * STEP);
            w.fetch(filled + SIZE, (u32 *)(filled + SIZE + VALUES), next * STEP);
        }
        commitCopies();
        const u16 *stage = pool + s % STAGES * STAGE;
        multiplyPairs<T>(sum, stage + SIZE, (const u32 *)(stage + SIZE + VALUES), stage, row0, col0);
    }
    __syncthreads(); // the stages are free
    finishTransposed(sum, blockIdx.y * TILE + col0, blockIdx.x * TILE + row0, m, n, epilogue);
}

// Backward input: the sum is over output channels, along which there is no pattern that mma.sp could use. The weights are read in their stored form and written out dense in shared memory.
// A thread has two bytes of meta, each for 8 columns; they are on their way in registers while the tile before is multiplied.
template <typename T> struct PairsOut {
    static const bool apart = true;
    const T *values;
    const u8 *meta;
    int first, c, oc;
    Pack<T, 4> stored[2];
    u32 bits[2];

    INLINE PairsOut(const T *values, const u8 *meta, int first, int c, int oc) : values(values), meta(meta), first(first), c(c), oc(oc) {}

    INLINE void fetch(u16 *, int k0) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int e = threadIdx.x + i * 256, row = k0 + e / (TILE / 8), col = first + e % (TILE / 8) * 8;
            stored[i] = Pack<T, 4>();
            bits[i] = 0x44;
            if (row >= oc || col >= c) continue;
            const i64 at = (i64)row * (c / 8) + col / 8;
            bits[i] = meta[at];
            if ((u64)values % 8 == 0) stored[i] = *(const Pack<T, 4> *)(values + 4 * at);
            else
                for (int j = 0; j < 4; j++) stored[i].v[j] = values[4 * at + j];
        }
    }
    // Four columns of which two are stored.
    static INLINE u64 four(T lo, T hi, u32 nibble) { return (u64)lo.bits << 16 * (nibble & 3) | (u64)hi.bits << 16 * (nibble >> 2 & 3); }
    INLINE void settle(u16 *tile) const {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int e = threadIdx.x + i * 256;
            Pack<u64, 2> dense;
            dense.v[0] = four(stored[i].v[0], stored[i].v[1], bits[i]);
            dense.v[1] = four(stored[i].v[2], stored[i].v[3], bits[i] >> 4);
            *(Pack<u64, 2> *)(tile + e / (TILE / 8) * (TILE + PAD) + e % (TILE / 8) * 8) = dense;
        }
    }
};

template <typename T, typename Epilogue>
INLINE void pairsInput(const T *dout, const T *values, const u8 *meta, int m, int n, int k, const Epilogue &epilogue) {
    const Operand<T, false> a(dout, blockIdx.y * TILE, m, k);
    PairsOut<T> b(values, meta, blockIdx.x * TILE, n, k);
    product<T>(a, b, m, n, k, epilogue);
}

// Backward weight: a dense product, of which the stored half is kept.
template <typename T> INLINE void pairsWeight(const Pairs<float> &dw, const T *dout, const T *x, int m, int n, int k) {
    const Operand<T, true> a(dout, blockIdx.y * TILE, m, k), b(x, blockIdx.x * TILE, n, k);
    product<T>(a, b, m, n, k, Stored<Pairs<float>>{dw});
}

#define PAIRS(T)                                                                                                      \
    KERNEL __launch_bounds__(256, 2)                                                                                  \
    pairs_mma_forward_##T(T *out, const T *x, const T *values, const T *bias, T *aux, const T *residual, int m,       \
                          int n, int k, const u8 *meta) {                                                             \
        pairsForward(x, values, meta, m, n, k, Forward<T>{out, bias, aux, residual, n});                              \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256, 2)                                                                                  \
    pairs_mma_input_##T(T *dx, const T *dout, const T *values, const T *aux, int m, int n, int k, const u8 *meta) {   \
        pairsInput(dout, values, meta, m, n, k, Input<T>{dx, aux, n});                                                \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256, 2)                                                                                  \
    pairs_mma_weight_##T(float *values, const T *dout, const T *x, int m, int n, int k, const u8 *meta) {             \
        pairsWeight(Pairs<float>{values, meta, n}, dout, x, m, n, k);                                                 \
    }

PAIRS(f16)
PAIRS(bf16)
