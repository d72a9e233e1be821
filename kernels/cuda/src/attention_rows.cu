// Attention by one warp for each row, for every storage type and heads of up to 256 elements: the reference on the device. Its softmax is online, so that nothing
// of T by T is stored (Dao, "FlashAttention-2", arXiv:2307.08691, section 3.1). It is causal or, where EXTEND is set, goes on from an attention with keys and values
// of u further positions, which every query sees.
#include "common.cuh"

enum { WARPS = 8, PER = 8 }; // warps of a block; elements of a head that a lane holds, at most

// Heads addresses qkv (B,T,3,NH,HS), kv (B,U,2,NH,HS), out (B,T,NH,HS) and lse (B,NH,T) for the b and h of blockIdx.y.
struct Heads {
    int t, nh, hs, b, h;
    INLINE Heads(int t, int nh, int hs) : t(t), nh(nh), hs(hs), b(blockIdx.y / nh), h(blockIdx.y % nh) {}
    INLINE i64 qkv(int row, int which) const { return ((((i64)b * t + row) * 3 + which) * nh + h) * hs; }
    INLINE i64 kv(int row, int u, int which) const { return ((((i64)b * u + row) * 2 + which) * nh + h) * hs; }
    INLINE i64 out(int row) const { return (((i64)b * t + row) * nh + h) * hs; }
    INLINE i64 stat(int row) const { return ((i64)b * nh + h) * t + row; }
};

// Keys are those of a head and its values, stride elements apart.
template <typename T> struct Keys {
    T *k, *v;
    i64 stride;
};
template <bool EXTEND, typename T> INLINE Keys<T> keysOf(const Heads &at, T *qkv, T *kv, int u) {
    if (EXTEND) return {kv + at.kv(0, u, 0), kv + at.kv(0, u, 1), 2 * (i64)at.nh * at.hs};
    return {qkv + at.qkv(0, 1), qkv + at.qkv(0, 2), 3 * (i64)at.nh * at.hs};
}

template <typename T> INLINE float dot(const T *a, const T *b, int n) {
    float sum = 0;
    for (int i = 0; i < n; i++) sum += widen(a[i]) * widen(b[i]);
    return sum;
}

// acc, of which each lane holds elements lane, lane+32, ..., += Σ over lanes of weight·row, for the lanes of a mask. Lane i's row is at x + i·stride.
template <typename T> INLINE void accumulate(float (&acc)[PER], float weight, const T *x, i64 stride, int count, int hs) {
    const int lane = threadIdx.x % 32;
    for (int i = 0; i < count; i++) {
        const float w = __shfl_sync(~0u, weight, i);
#pragma unroll
        for (int j = 0; j < PER; j++)
            if (lane + 32 * j < hs) acc[j] += w * widen(x[i * stride + lane + 32 * j]);
    }
}

template <typename T> INLINE void put(T *out, const float (&acc)[PER], float factor, int hs) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int j = 0; j < PER; j++)
        if (lane + 32 * j < hs) narrow(out[lane + 32 * j], acc[j] * factor);
}

// get sets acc to a row, or to zero if it does not count.
template <bool COUNTS, typename T> INLINE void get(float (&acc)[PER], const T *row, int hs) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int j = 0; j < PER; j++) acc[j] = COUNTS && lane + 32 * j < hs ? widen(row[lane + 32 * j]) : 0;
}

INLINE int warpRow() { return blockIdx.x * WARPS + threadIdx.x / 32; }

template <bool EXTEND, typename T>
INLINE void forward(T *out, float *lse, const T *qkv, const T *kv, float scale, int t, int u, int nh, int hs) {
    const Heads at(t, nh, hs);
    const int row = warpRow(), lane = threadIdx.x % 32;
    if (row >= t) return;
    const T *q = qkv + at.qkv(row, 0);
    const Keys<const T> keys = keysOf<EXTEND>(at, qkv, kv, u);
    const int end = EXTEND ? u : row + 1;
    const float low = __int_as_float(0xff800000);
    float top = EXTEND ? lse[at.stat(row)] : low, sum = EXTEND ? 1 : 0, acc[PER];
    get<EXTEND>(acc, out + at.out(row), hs);
    for (int u0 = 0; u0 < end; u0 += 32) {
        const bool seen = u0 + lane < end;
        const float score = seen ? scale * dot(q, keys.k + (u0 + lane) * keys.stride, hs) : low;
        const float highest = fmaxf(top, warpMax(score)), shrink = expf(top - highest), p = seen ? expf(score - highest) : 0;
        sum = sum * shrink + warpSum(p);
        top = highest;
#pragma unroll
        for (int j = 0; j < PER; j++) acc[j] *= shrink;
        accumulate(acc, p, keys.v + u0 * keys.stride, keys.stride, min(32, end - u0), hs);
    }
    put(out + at.out(row), acc, 1 / sum, hs);
    if (lane == 0) lse[at.stat(row)] = top + logf(sum);
}

// rows = Σ dout·out (arXiv:2307.08691, section 3.2).
template <typename T> INLINE void rowSums(float *rows, const T *dout, const T *out, int t, int nh, int hs) {
    const Heads at(t, nh, hs);
    const int row = warpRow(), lane = threadIdx.x % 32;
    if (row >= t) return;
    float sum = 0;
    for (int i = lane; i < hs; i += 32) sum += widen(dout[at.out(row) + i]) * widen(out[at.out(row) + i]);
    sum = warpSum(sum);
    if (lane == 0) rows[at.stat(row)] = sum;
}

// Each lane's probability p of key u for query row, and the gradient of its score.
template <typename T>
INLINE void pair(float &p, float &ds, const Heads &at, const T *qkv, const Keys<const T> &keys, const T *dout, const float *lse, const float *rows, float scale, int row, int u) {
    p = expf(scale * dot(qkv + at.qkv(row, 0), keys.k + u * keys.stride, at.hs) - lse[at.stat(row)]);
    ds = p * (dot(dout + at.out(row), keys.v + u * keys.stride, at.hs) - rows[at.stat(row)]) * scale;
}

template <bool EXTEND, typename T>
INLINE void queries(T *dqkv, const T *qkv, const T *kv, const T *dout, const float *lse, const float *rows, float scale, int t, int u, int nh, int hs) {
    const Heads at(t, nh, hs);
    const int row = warpRow(), lane = threadIdx.x % 32;
    if (row >= t) return;
    const Keys<const T> keys = keysOf<EXTEND>(at, qkv, kv, u);
    const int end = EXTEND ? u : row + 1;
    float acc[PER];
    get<EXTEND>(acc, dqkv + at.qkv(row, 0), hs);
    for (int u0 = 0; u0 < end; u0 += 32) {
        float p = 0, ds = 0;
        if (u0 + lane < end) pair(p, ds, at, qkv, keys, dout, lse, rows, scale, row, u0 + lane);
        accumulate(acc, ds, keys.k + u0 * keys.stride, keys.stride, min(32, end - u0), hs);
    }
    put(dqkv + at.qkv(row, 0), acc, 1, hs);
}

// dkv has the keys' and values' gradients, which are in dqkv unless EXTEND is set.
template <bool EXTEND, typename T>
INLINE void keys(T *dqkv, T *dkv, const T *qkv, const T *kv, const T *dout, const float *lse, const float *rows, float scale, int t, int u, int nh, int hs) {
    const Heads at(t, nh, hs);
    const int key = warpRow(), lane = threadIdx.x % 32;
    if (key >= (EXTEND ? u : t)) return;
    const Keys<const T> keys = keysOf<EXTEND>(at, qkv, kv, u);
    const Keys<T> grads = keysOf<EXTEND>(at, dqkv, dkv, u);
    float dk[PER], dv[PER];
    get<EXTEND>(dk, grads.k + key * grads.stride, hs);
    get<EXTEND>(dv, grads.v + key * grads.stride, hs);
    for (int r0 = EXTEND ? 0 : key; r0 < t; r0 += 32) {
        float p = 0, ds = 0;
        if (r0 + lane < t) pair(p, ds, at, qkv, keys, dout, lse, rows, scale, r0 + lane, key);
        const int count = min(32, t - r0);
        accumulate(dk, ds, qkv + at.qkv(r0, 0), at.qkv(1, 0) - at.qkv(0, 0), count, hs);
        accumulate(dv, p, dout + at.out(r0), at.out(1) - at.out(0), count, hs);
    }
    put(grads.k + key * grads.stride, dk, 1, hs);
    put(grads.v + key * grads.stride, dv, 1, hs);
}

#define ATTENTION(T)                                                                                                  \
    KERNEL __launch_bounds__(256)                                                                                     \
    rows_forward_##T(T *out, float *lse, const T *qkv, float scale, int t, int nh, int hs) {                          \
        forward<false, T>(out, lse, qkv, nullptr, scale, t, t, nh, hs);                                               \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) rows_sums_##T(float *rows, const T *dout, const T *out, int t, int nh, int hs) {    \
        rowSums(rows, dout, out, t, nh, hs);                                                                          \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) rows_queries_##T(T *dqkv, const T *qkv, const T *dout, const float *lse,            \
                                                   const float *rows, float scale, int t, int nh, int hs) {           \
        queries<false, T>(dqkv, qkv, nullptr, dout, lse, rows, scale, t, t, nh, hs);                                  \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) rows_keys_##T(T *dqkv, const T *qkv, const T *dout, const float *lse,               \
                                                const float *rows, float scale, int t, int nh, int hs) {              \
        keys<false, T>(dqkv, nullptr, qkv, nullptr, dout, lse, rows, scale, t, t, nh, hs);                            \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) rows_extend_forward_##T(T *out, float *lse, const T *qkv, const T *kv, float scale, \
                                                          int t, int u, int nh, int hs) {                             \
        forward<true, T>(out, lse, qkv, kv, scale, t, u, nh, hs);                                                     \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    rows_extend_queries_##T(T *dqkv, const T *qkv, const T *kv, const T *dout, const float *lse, const float *rows,   \
                            float scale, int t, int u, int nh, int hs) {                                              \
        queries<true, T>(dqkv, qkv, kv, dout, lse, rows, scale, t, u, nh, hs);                                        \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    rows_extend_keys_##T(T *dkv, const T *qkv, const T *kv, const T *dout, const float *lse, const float *rows,       \
                         float scale, int t, int u, int nh, int hs) {                                                 \
        keys<true, T>(nullptr, dkv, qkv, kv, dout, lse, rows, scale, t, u, nh, hs);                                   \
    }

ATTENTION(float)
ATTENTION(f16)
ATTENTION(bf16)
