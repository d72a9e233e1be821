// Products on tensor cores: C(m,n) = Σ_k A(m,k)·B(n,k) for operands that bring tiles of 16-bit elements, or of pairs of 8-bit ones, to shared memory.
#pragma once
#include "linear.cuh"
#include "mma.cuh"

// A block of 8 warps computes a tile of 128 by 128, each warp 64 by 32 of it, in steps of 32 along k, of which two are on their way in. Rows in shared memory
// are 16 bytes longer than their data, which keeps ldmatrix free of bank conflicts.
enum { TILE = 128, STEP = 32, STAGES = 3, PAD = 8, SIZE = TILE * (STEP + PAD) };

extern __shared__ __align__(16) u16 pool[];

// Operand is A or B: rows of k elements, or with k apart k rows of `size` elements. Its tile in shared memory lies the same way.
template <typename T, bool APART> struct Operand {
    const T *x;
    int first, size, k; // the tile's first row, of how many, of length k
    bool fast;          // 16 bytes at a time: aligned, and no row ends inside of 8 elements

    INLINE Operand(const T *x, int first, int size, int k)
        : x(x), first(first), size(size), k(k), fast((u64)x % 16 == 0 && (APART ? size : k) % 8 == 0) {}

    static const bool apart = APART;
    static const int LONG = APART ? TILE : STEP; // elements of a row in shared memory

    INLINE bool inside(int row, int col) const { return row < size && col < k; }
    // Places of element e of the tile, in the order of memory.
    INLINE int row(int e) const { return first + (APART ? e % LONG : e / LONG); }
    INLINE int col(int e, int k0) const { return k0 + (APART ? e / LONG : e % LONG); }
    INLINE const T *at(int row, int col) const { return x + (APART ? (i64)col * size + row : (i64)row * k + col); }

    // fetch starts to bring the tile at k0; settle ends what cannot be done by asynchronous copies.
    INLINE void settle(u16 *tile) const {}
    INLINE void fetch(u16 *tile, int k0) const {
        if (fast) {
#pragma unroll
            for (int i = 0; i < TILE * STEP / 8 / 256; i++) {
                const int e = (threadIdx.x + i * 256) * 8, r = row(e), c = col(e, k0);
                const bool there = inside(r, c);
                copyAsync(tile + e / LONG * (LONG + PAD) + e % LONG, there ? at(r, c) : x, there);
            }
            return;
        }
#pragma unroll 1
        for (int i = 0; i < TILE * STEP / 256; i++) {
            const int e = threadIdx.x + i * 256, r = row(e), c = col(e, k0);
            tile[e / LONG * (LONG + PAD) + e % LONG] = inside(r, c) ? at(r, c)->bits : 0;
        }
    }
};

// Sums of products of T.
template <typename T> struct Sum { typedef float type; };
template <> struct Sum<s8x2> { typedef int type; };

// Fragments of tiles that lie as Operand's do: A's 16 rows, B's 16 columns. linear_tf32.cu has others.
template <bool APART, typename T> INLINE void left(u32 (&a)[4], const u16 *tile, int row, int k, T) {
    if (APART) fragmentATrans(a, tile, TILE + PAD, row, k);
    else fragmentA(a, tile, STEP + PAD, row, k);
}
template <bool APART, typename T> INLINE void right(u32 (&b)[4], const u16 *tile, int col, int k, T) {
    if (APART) fragmentBTrans(b, tile, TILE + PAD, col, k);
    else fragmentB(b, tile, STEP + PAD, col, k);
}

template <typename T, bool A_APART, bool B_APART>
INLINE void multiply(typename Sum<T>::type (&sum)[4][4][4], const u16 *as, const u16 *bs, int row0, int col0) {
#pragma unroll
    for (int k0 = 0; k0 < STEP; k0 += 16) {
        u32 a[4][4], b[2][4];
#pragma unroll
        for (int i = 0; i < 4; i++) left<A_APART>(a[i], as, row0 + 16 * i, k0, T());
#pragma unroll
        for (int j = 0; j < 2; j++) right<B_APART>(b[j], bs, col0 + 16 * j, k0, T());
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) mma(sum[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1], T());
    }
}

// Hands a warp's 64 by 32 sums to the epilogue, 16 rows at a time through shared memory, so that a warp's accesses to global memory are of neighbouring elements.
template <typename S, typename Epilogue> INLINE void finish(const S (&sum)[4][4][4], int row0, int col0, int m, int n, Epilogue epilogue) {
    const int lane = threadIdx.x % 32;
    float (*rows)[33] = (float (*)[33])pool + threadIdx.x / 32 * 16;
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int e = 0; e < 4; e++) rows[lane / 4 + e / 2 * 8][8 * j + lane % 4 * 2 + e % 2] = sum[i][j][e];
        __syncwarp();
#pragma unroll 1
        for (int r = 0; r < 16; r++)
            if (row0 + 16 * i + r < m && col0 + lane < n) epilogue.put(row0 + 16 * i + r, col0 + lane, rows[r][lane]);
        __syncwarp();
    }
}

template <typename T, typename A, typename B, typename Epilogue>
INLINE void product(const A &a, B &b, int m, int n, int k, const Epilogue &epilogue) {
    const int warp = threadIdx.x / 32, row0 = warp / 4 * 64, col0 = warp % 4 * 32, steps = (k + STEP - 1) / STEP;
    typename Sum<T>::type sum[4][4][4] = {};
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) {
            a.fetch(pool + 2 * s * SIZE, s * STEP);
            b.fetch(pool + (2 * s + 1) * SIZE, s * STEP);
            b.settle(pool + (2 * s + 1) * SIZE);
        }
        commitCopies();
    }
    for (int s = 0; s < steps; s++) {
        waitCopies<STAGES - 2>();
        __syncthreads(); // step s is there for all, and all are done with the stage that is filled next
        const int next = s + STAGES - 1;
        u16 *filled = pool + 2 * (next % STAGES) * SIZE;
        if (next < steps) {
            a.fetch(filled, next * STEP);
            b.fetch(filled + SIZE, next * STEP);
        }
        commitCopies();
        const u16 *stage = pool + 2 * (s % STAGES) * SIZE;
        multiply<T, A::apart, B::apart>(sum, stage, stage + SIZE, row0, col0);
        if (next < steps) b.settle(filled + SIZE);
    }
    __syncthreads(); // the stages are free
    finish(sum, blockIdx.y * TILE + row0, blockIdx.x * TILE + col0, m, n, epilogue);
}
