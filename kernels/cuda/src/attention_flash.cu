// Attention of 16-bit types on tensor cores, for heads of 64 and 128 elements (Dao, "FlashAttention-2", arXiv:2307.08691). Scores live in registers only. The backward
// pass computes them once for dq and once for dk and dv, instead of adding to dq atomically, so that its sums have a fixed order. The attention is causal or, where EXTEND is set, goes on from another with keys and values of u further positions, which every query sees.
#include "mma.cuh"

extern __shared__ __align__(16) u16 pool[];

// A block of 4 warps owns 64 rows of one head, 16 a warp, and walks over the rows on the other side in tiles. Rows in shared memory are 16 bytes longer than their data,
// which keeps ldmatrix free of bank conflicts.
enum { ROWS = 64, THREADS = 128, PAD = 8 };
#define LOG2E 1.4426950409f
#define LOW __int_as_float(0xff800000)

// Rows are those of one head in qkv or in an output: t of them, stride elements apart.
template <typename T> struct Rows {
    T *x;
    i64 stride;
    int t;
    INLINE T *at(int row) const { return x + row * stride; }
};

// which of qkv (B,T,3,NH,D), or of PARTS others, for the b and h of blockIdx.y.
template <int D, int PARTS = 3, typename T> INLINE Rows<T> part(T *qkv, int which, int t, int nh) {
    const i64 b = blockIdx.y / nh, h = blockIdx.y % nh;
    return {qkv + ((b * t * PARTS + which) * nh + h) * D, (i64)PARTS * nh * D, t};
}

// The keys or values, which is 0 or 1, in qkv or, where EXTEND is set, in kv (B,U,2,NH,D).
template <int D, bool EXTEND, typename T> INLINE Rows<T> keysOf(T *qkv, T *kv, int which, int t, int u, int nh) {
    return EXTEND ? part<D, 2>(kv, which, u, nh) : part<D>(qkv, 1 + which, t, nh);
}

// The same head's rows of out (B,T,NH,D).
template <int D, typename T> INLINE Rows<T> output(T *out, int t, int nh) {
    const i64 b = blockIdx.y / nh, h = blockIdx.y % nh;
    return {out + (b * t * nh + h) * D, (i64)nh * D, t};
}

// fetch starts copying N rows from first on; rows past the last become zero.
template <int N, int D, typename T> INLINE void fetch(u16 *tile, const Rows<const T> &rows, int first) {
#pragma unroll
    for (int i = 0; i < N * D / 8 / THREADS; i++) {
        const int e = (threadIdx.x + i * THREADS) * 8, r = e / D, there = first + r < rows.t;
        copyAsync(tile + r * (D + PAD) + e % D, there ? rows.at(first + r) + e % D : rows.x, there);
    }
}

// s (16,N) = a·bᵀ over D, for the 16 rows of tile a that belong to the warp and N rows of tile b.
template <int N, int D, typename T> INLINE void scores(float (&s)[N / 8][4], const u16 *a, const u16 *b) {
    const int row = threadIdx.x / 32 * 16;
#pragma unroll
    for (int i = 0; i < N / 8; i++)
#pragma unroll
        for (int e = 0; e < 4; e++) s[i][e] = 0;
#pragma unroll
    for (int k = 0; k < D; k += 16) {
        u32 fa[4], fb[4];
        fragmentA(fa, a, D + PAD, row, k);
#pragma unroll
        for (int n = 0; n < N; n += 16) {
            fragmentB(fb, b, D + PAD, n, k);
            mma(s[n / 8], fa, fb[0], fb[1], T());
            mma(s[n / 8 + 1], fa, fb[2], fb[3], T());
        }
    }
}

// o (16,D) += p·b for p (16,N), rounded to T, and N rows of tile b.
template <int N, int D, typename T> INLINE void accumulate(float (&o)[D / 8][4], const float (&p)[N / 8][4], const u16 *b) {
#pragma unroll
    for (int k = 0; k < N; k += 16) {
        const float(&lo)[4] = p[k / 8], (&hi)[4] = p[k / 8 + 1];
        const u32 fa[4] = {pair(lo[0], lo[1], T()), pair(lo[2], lo[3], T()), pair(hi[0], hi[1], T()), pair(hi[2], hi[3], T())};
#pragma unroll
        for (int n = 0; n < D; n += 16) {
            u32 fb[4];
            fragmentBTrans(fb, b, D + PAD, n, k);
            mma(o[n / 8], fa, fb[0], fb[1], T());
            mma(o[n / 8 + 1], fa, fb[2], fb[3], T());
        }
    }
}

// Row, from first on, and column of element e of accumulator tile i.
INLINE int rowOf(int e) { return threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + e / 2 * 8; }
INLINE int colOf(int i, int e) { return 8 * i + threadIdx.x % 4 * 2 + e % 2; }

// take sets the warp's o to rows that are there; rows past the last become zero.
template <int D, typename T> INLINE void take(float (&o)[D / 8][4], const Rows<T> &rows, int first) {
#pragma unroll
    for (int i = 0; i < D / 8; i++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const int r = first + rowOf(e);
            o[i][e] = r < rows.t ? widen(rows.at(r)[colOf(i, e)]) : 0;
        }
}

// save stores the warp's rows, times a factor for each of a lane's two.
template <int D, typename T> INLINE void save(const Rows<T> &out, int first, const float (&o)[D / 8][4], float f0, float f1) {
#pragma unroll
    for (int i = 0; i < D / 8; i++) {
        const int r0 = first + rowOf(0), r1 = first + rowOf(2);
        if (r0 < out.t) *(u32 *)(out.at(r0) + colOf(i, 0)) = pair(o[i][0] * f0, o[i][1] * f0, T());
        if (r1 < out.t) *(u32 *)(out.at(r1) + colOf(i, 0)) = pair(o[i][2] * f1, o[i][3] * f1, T());
    }
}

// Over the four lanes that share rows.
INLINE float quadSum(float x) {
    x += __shfl_xor_sync(~0u, x, 1);
    return x + __shfl_xor_sync(~0u, x, 2);
}
INLINE float quadMax(float x) {
    x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
    return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}

template <int D, bool EXTEND, typename T>
INLINE void forward(T *out, float *lse, const T *qkv, const T *kv, float scale, int t, int u, int nh) {
    enum { KEYS = 64, TILE = 64 * (D + PAD) };
    const Rows<const T> q = part<D>(qkv, 0, t, nh), k = keysOf<D, EXTEND>(qkv, kv, 0, t, u, nh), v = keysOf<D, EXTEND>(qkv, kv, 1, t, u, nh);
    const Rows<T> y = output<D>(out, t, nh);
    const int first = (gridDim.x - 1 - blockIdx.x) * ROWS; // the longest rows start first
    const int tiles = EXTEND ? (u + KEYS - 1) / KEYS : first / KEYS + 1;
    lse += (i64)blockIdx.y * t;
    u16 *qs = pool, *stages = pool + TILE;
    fetch<ROWS, D>(qs, q, first);
    fetch<KEYS, D>(stages, k, 0);
    fetch<KEYS, D>(stages + TILE, v, 0);
    commitCopies();
    float o[D / 8][4] = {}, top[2] = {LOW, LOW}, sum[2] = {0, 0};
    if (EXTEND) {
        take<D>(o, y, first);
#pragma unroll
        for (int h = 0; h < 2; h++)
            if (first + rowOf(2 * h) < t) {
                top[h] = lse[first + rowOf(2 * h)] * LOG2E;
                sum[h] = threadIdx.x % 4 == 0; // once for the four lanes of a row
            }
    }
    for (int j = 0; j < tiles; j++) {
        waitCopies<0>();
        __syncthreads(); // tile j is there for all, and all are done with the one before
        if (j + 1 < tiles) {
            u16 *next = stages + (j + 1) % 2 * 2 * TILE;
            fetch<KEYS, D>(next, k, (j + 1) * KEYS);
            fetch<KEYS, D>(next + TILE, v, (j + 1) * KEYS);
        }
        commitCopies();
        const u16 *ks = stages + j % 2 * 2 * TILE, *vs = ks + TILE;
        float s[KEYS / 8][4];
        scores<KEYS, D, T>(s, qs, ks);
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float highest = top[h];
#pragma unroll
            for (int i = 0; i < KEYS / 8; i++)
#pragma unroll
                for (int e = 2 * h; e < 2 * h + 2; e++) {
                    s[i][e] = j * KEYS + colOf(i, e) < (EXTEND ? u : first + rowOf(e) + 1) ? s[i][e] * (scale * LOG2E) : LOW;
                    highest = fmaxf(highest, s[i][e]);
                }
            highest = quadMax(highest);
            const float shrink = exp2f(top[h] - highest);
            top[h] = highest;
            sum[h] *= shrink;
#pragma unroll
            for (int i = 0; i < KEYS / 8; i++)
#pragma unroll
                for (int e = 2 * h; e < 2 * h + 2; e++) {
                    s[i][e] = exp2f(s[i][e] - highest);
                    sum[h] += s[i][e];
                }
#pragma unroll
            for (int i = 0; i < D / 8; i++) {
                o[i][2 * h] *= shrink;
                o[i][2 * h + 1] *= shrink;
            }
        }
        accumulate<KEYS, D, T>(o, s, vs);
    }
    sum[0] = quadSum(sum[0]);
    sum[1] = quadSum(sum[1]);
    save<D>(y, first, o, 1 / sum[0], 1 / sum[1]);
    if (threadIdx.x % 4 == 0)
        for (int h = 0; h < 2; h++)
            if (first + rowOf(2 * h) < t) lse[first + rowOf(2 * h)] = (top[h] + log2f(sum[h])) / LOG2E;
}

// gradients turns scores s and gradients g of probabilities into probabilities and gradients of scores. row and column of element e of tile i give query and key.
template <int N, bool KEYS_ARE_ROWS, bool EXTEND>
INLINE void gradients(float (&s)[N / 8][4], float (&g)[N / 8][4], const float *lse, const float *rows, float scale, int row0, int col0, int t, int u) {
#pragma unroll
    for (int i = 0; i < N / 8; i++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const int row = row0 + rowOf(e), col = col0 + colOf(i, e), query = KEYS_ARE_ROWS ? col : row, key = KEYS_ARE_ROWS ? row : col;
            const bool seen = key < (EXTEND ? u : query + 1) && query < t;
            const float p = seen ? exp2f((s[i][e] * scale - lse[query]) * LOG2E) : 0;
            s[i][e] = p;
            g[i][e] = seen ? p * (g[i][e] - rows[query]) * scale : 0;
        }
}

template <int D, bool EXTEND, typename T>
INLINE void queries(T *dqkv, const T *qkv, const T *kv, const T *dout, const float *lse, const float *rows, float scale, int t, int u, int nh) {
    enum { KEYS = 32, TILE = ROWS * (D + PAD), STAGE = KEYS * (D + PAD) };
    const Rows<const T> q = part<D>(qkv, 0, t, nh), d = output<D>(dout, t, nh);
    const Rows<const T> k = keysOf<D, EXTEND>(qkv, kv, 0, t, u, nh), v = keysOf<D, EXTEND>(qkv, kv, 1, t, u, nh);
    const int first = (gridDim.x - 1 - blockIdx.x) * ROWS;
    const int tiles = ((EXTEND ? u : min(first + ROWS, t)) + KEYS - 1) / KEYS;
    lse += (i64)blockIdx.y * t;
    rows += (i64)blockIdx.y * t;
    u16 *qs = pool, *ds = pool + TILE, *stages = pool + 2 * TILE;
    fetch<ROWS, D>(qs, q, first);
    fetch<ROWS, D>(ds, d, first);
    fetch<KEYS, D>(stages, k, 0);
    fetch<KEYS, D>(stages + STAGE, v, 0);
    commitCopies();
    float dq[D / 8][4] = {};
    if (EXTEND) take<D>(dq, part<D>(dqkv, 0, t, nh), first);
    for (int j = 0; j < tiles; j++) {
        waitCopies<0>();
        __syncthreads();
        if (j + 1 < tiles) {
            u16 *next = stages + (j + 1) % 2 * 2 * STAGE;
            fetch<KEYS, D>(next, k, (j + 1) * KEYS);
            fetch<KEYS, D>(next + STAGE, v, (j + 1) * KEYS);
        }
        commitCopies();
        const u16 *ks = stages + j % 2 * 2 * STAGE, *vs = ks + STAGE;
        float s[KEYS / 8][4], g[KEYS / 8][4];
        scores<KEYS, D, T>(s, qs, ks);
        scores<KEYS, D, T>(g, ds, vs);
        gradients<KEYS, false, EXTEND>(s, g, lse, rows, scale, first, j * KEYS, t, u);
        accumulate<KEYS, D, T>(dq, g, ks);
    }
    save<D>(part<D>(dqkv, 0, t, nh), first, dq, 1, 1);
}

// dkv has the keys' and values' gradients, which are in dqkv unless EXTEND is set.
template <int D, bool EXTEND, typename T>
INLINE void keys(T *dqkv, T *dkv, const T *qkv, const T *kv, const T *dout, const float *lse, const float *rows, float scale, int t, int u, int nh) {
    enum { QUERIES = 32, TILE = ROWS * (D + PAD), STAGE = QUERIES * (D + PAD) };
    const Rows<const T> q = part<D>(qkv, 0, t, nh), d = output<D>(dout, t, nh);
    const Rows<const T> k = keysOf<D, EXTEND>(qkv, kv, 0, t, u, nh), v = keysOf<D, EXTEND>(qkv, kv, 1, t, u, nh);
    const Rows<T> gk = keysOf<D, EXTEND>(dqkv, dkv, 0, t, u, nh), gv = keysOf<D, EXTEND>(dqkv, dkv, 1, t, u, nh);
    const int first = blockIdx.x * ROWS, begin = EXTEND ? 0 : first / QUERIES, tiles = (t + QUERIES - 1) / QUERIES;
    lse += (i64)blockIdx.y * t;
    rows += (i64)blockIdx.y * t;
    u16 *ks = pool, *vs = pool + TILE, *stages = pool + 2 * TILE;
    fetch<ROWS, D>(ks, k, first);
    fetch<ROWS, D>(vs, v, first);
    fetch<QUERIES, D>(stages, q, begin * QUERIES);
    fetch<QUERIES, D>(stages + STAGE, d, begin * QUERIES);
    commitCopies();
    float dk[D / 8][4] = {}, dv[D / 8][4] = {};
    if (EXTEND) {
        take<D>(dk, gk, first);
        take<D>(dv, gv, first);
    }
    for (int j = begin; j < tiles; j++) {
        waitCopies<0>();
        __syncthreads();
        if (j + 1 < tiles) {
            u16 *next = stages + (j + 1 - begin) % 2 * 2 * STAGE;
            fetch<QUERIES, D>(next, q, (j + 1) * QUERIES);
            fetch<QUERIES, D>(next + STAGE, d, (j + 1) * QUERIES);
        }
        commitCopies();
        const u16 *qs = stages + (j - begin) % 2 * 2 * STAGE, *ds = qs + STAGE;
        float s[QUERIES / 8][4], g[QUERIES / 8][4];
        scores<QUERIES, D, T>(s, ks, qs);
        scores<QUERIES, D, T>(g, vs, ds);
        gradients<QUERIES, true, EXTEND>(s, g, lse, rows, scale, first, j * QUERIES, t, u);
        accumulate<QUERIES, D, T>(dv, s, ds);
        accumulate<QUERIES, D, T>(dk, g, qs);
    }
    save<D>(gk, first, dk, 1, 1);
    save<D>(gv, first, dv, 1, 1);
}

#define FLASH(D, T)                                                                                                   \
    KERNEL __launch_bounds__(THREADS)                                                                                 \
    flash_forward_##D##_##T(T *out, float *lse, const T *qkv, float scale, int t, int nh) {                           \
        forward<D, false, T>(out, lse, qkv, nullptr, scale, t, t, nh);                                                \
    }                                                                                                                 \
    KERNEL __launch_bounds__(THREADS) flash_queries_##D##_##T(T *dqkv, const T *qkv, const T *dout, const float *lse, \
                                                              const float *rows, float scale, int t, int nh) {        \
        queries<D, false, T>(dqkv, qkv, nullptr, dout, lse, rows, scale, t, t, nh);                                   \
    }                                                                                                                 \
    KERNEL __launch_bounds__(THREADS) flash_keys_##D##_##T(T *dqkv, const T *qkv, const T *dout, const float *lse,    \
                                                           const float *rows, float scale, int t, int nh) {           \
        keys<D, false, T>(dqkv, nullptr, qkv, nullptr, dout, lse, rows, scale, t, t, nh);                             \
    }                                                                                                                 \
    KERNEL __launch_bounds__(THREADS) flash_extend_forward_##D##_##T(T *out, float *lse, const T *qkv, const T *kv,   \
                                                                     float scale, int t, int u, int nh) {             \
        forward<D, true, T>(out, lse, qkv, kv, scale, t, u, nh);                                                      \
    }                                                                                                                 \
    KERNEL __launch_bounds__(THREADS)                                                                                 \
    flash_extend_queries_##D##_##T(T *dqkv, const T *qkv, const T *kv, const T *dout, const float *lse,               \
                                   const float *rows, float scale, int t, int u, int nh) {                            \
        queries<D, true, T>(dqkv, qkv, kv, dout, lse, rows, scale, t, u, nh);                                         \
    }                                                                                                                 \
    KERNEL __launch_bounds__(THREADS)                                                                                 \
    flash_extend_keys_##D##_##T(T *dkv, const T *qkv, const T *kv, const T *dout, const float *lse,                   \
                                const float *rows, float scale, int t, int u, int nh) {                               \
        keys<D, true, T>(nullptr, dkv, qkv, kv, dout, lse, rows, scale, t, u, nh);                                    \
    }

FLASH(64, f16)
FLASH(64, bf16)
FLASH(128, f16)
FLASH(128, bf16)
