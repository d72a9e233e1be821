// Products of dense float matrices on tensor cores, which take 11 of a factor's 24 digits (NVIDIA, "A100 Tensor Core GPU Architecture", 2020, section "A100 Tensor Cores
// Accelerate HPC": TF32). Sums are in float.
#include "linear_tile.cuh"

// To linear_tile.cuh a float is two 16-bit halves, so that a step is 16 of k. Where k is contiguous that is all: a row of a tile is 16 floats, and a register of a fragment is one,
// as ldmatrix brings it.
//
// Floats is an operand with k apart. Its tile in shared memory is 16 rows of TILE floats, 8 longer than their data: the four rows of k by eight columns that a warp reads at once lie in
// different banks.
template <bool APART> struct Floats;

template <> struct Floats<false> : Operand<tf32, false> {
    INLINE Floats(const float *x, int first, int size, int k) : Operand<tf32, false>((const tf32 *)x, first, size, 2 * k) {}
};

enum { FLOATS = TILE + 8, DEEP = STEP / 2 };

template <> struct Floats<true> {
    static const bool apart = true;
    const float *x;
    int first, size, k;
    bool fast;

    INLINE Floats(const float *x, int first, int size, int k) : x(x), first(first), size(size), k(k), fast((u64)x % 16 == 0 && size % 4 == 0) {}

    INLINE void settle(u16 *) const {}
    INLINE void fetch(u16 *halves, int k0) const {
        float *tile = (float *)halves;
        if (fast) {
#pragma unroll
            for (int i = 0; i < TILE * DEEP / 4 / 256; i++) {
                const int e = (threadIdx.x + i * 256) * 4, row = first + e % TILE, col = k0 / 2 + e / TILE;
                const bool there = row < size && col < k;
                copyAsync(tile + e / TILE * FLOATS + e % TILE, there ? x + (i64)col * size + row : x, there);
            }
            return;
        }
#pragma unroll 1
        for (int i = 0; i < TILE * DEEP / 256; i++) {
            const int e = threadIdx.x + i * 256, row = first + e % TILE, col = k0 / 2 + e / TILE;
            tile[e / TILE * FLOATS + e % TILE] = row < size && col < k ? x[(i64)col * size + row] : 0;
        }
    }
};

INLINE void round(u32 (&r)[4]) {
#pragma unroll
    for (int i = 0; i < 4; i++) r[i] = toTF32(__uint_as_float(r[i]));
}

// Lane l has row l/4 and column l%4 of each quarter of A: rows 8 further in registers 1 and 3, columns 4 further in 2 and 3. In B columns and rows change places.
template <bool APART> INLINE void left(u32 (&a)[4], const u16 *tile, int row, int k, tf32) {
    if (APART) {
        const int l = threadIdx.x % 32;
        const u32 *at = (const u32 *)tile + (k / 2 + l % 4) * FLOATS + row + l / 4;
#pragma unroll
        for (int i = 0; i < 4; i++) a[i] = at[i / 2 * 4 * FLOATS + i % 2 * 8];
    } else fragmentA(a, tile, STEP + PAD, row, k);
    round(a);
}
template <bool APART> INLINE void right(u32 (&b)[4], const u16 *tile, int col, int k, tf32) {
    if (APART) {
        const int l = threadIdx.x % 32;
        const u32 *at = (const u32 *)tile + (k / 2 + l % 4) * FLOATS + col + l / 4;
#pragma unroll
        for (int i = 0; i < 4; i++) b[i] = at[i % 2 * 4 * FLOATS + i / 2 * 8];
    } else fragmentB(b, tile, STEP + PAD, col, k);
    round(b);
}

template <typename T, bool A_APART, bool B_APART, typename Epilogue>
INLINE void product(const T *pa, const T *pb, int m, int n, int k, const Epilogue &epilogue) {
    const Floats<A_APART> a(pa, blockIdx.y * TILE, m, k);
    const Floats<B_APART> b(pb, blockIdx.x * TILE, n, k);
    product<tf32>(a, b, m, n, 2 * k, epilogue);
}

// Two blocks share a multiprocessor.
PASSES(product, tf32, float, 256, 2)
