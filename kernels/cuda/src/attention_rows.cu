// Causal attention by one warp for each row, for every storage type and heads of up to 256 elements: the reference on the device. Its softmax is online, so that nothing
// of T by T is stored (Dao, "FlashAttention-2", arXiv:2307.08691, section 3.1).
#include "common.cuh"

enum { WARPS = 8, PER = 8 }; // warps of a block; elements of a head that a lane holds, at most

// Heads addresses qkv (B,T,3,NH,HS), out (B,T,NH,HS) and lse (B,NH,T) for the b and h of blockIdx.y.
struct Heads {
    int t, nh, hs, b, h;
    INLINE Heads(int t, int nh, int hs) : t(t), nh(nh), hs(hs), b(blockIdx.y / nh), h(blockIdx.y % nh) {}
    INLINE i64 qkv(int row, int which) const { return ((((i64)b * t + row) * 3 + which) * nh + h) * hs; }
    INLINE i64 out(int row) const { return (((i64)b * t + row) * nh + h) * hs; }
    INLINE i64 stat(int row) const { return ((i64)b * nh + h) * t + row; }
};

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

INLINE int warpRow() { return blockIdx.x * WARPS + threadIdx.x / 32; }

template <typename T> INLINE void forward(T *out, float *lse, const T *qkv, float scale, int t, int nh, int hs) {
    const Heads at(t, nh, hs);
    const int row = warpRow(), lane = threadIdx.x % 32;
    if (row >= t) return;
    const T *q = qkv + at.qkv(row, 0);
    const i64 stride = at.qkv(1, 0) - at.qkv(0, 0);
    const float low = __int_as_float(0xff800000);
    float top = low, sum = 0, acc[PER] = {};
    for (int u0 = 0; u0 <= row; u0 += 32) {
        const bool seen = u0 + lane <= row;
        const float score = seen ? scale * dot(q, qkv + at.qkv(u0 + lane, 1), hs) : low;
        const float highest = fmaxf(top, warpMax(score)), shrink = expf(top - highest), p = seen ? expf(score - highest) : 0;
        sum = sum * shrink + warpSum(p);
        top = highest;
#pragma unroll
        for (int j = 0; j < PER; j++) acc[j] *= shrink;
        accumulate(acc, p, qkv + at.qkv(u0, 2), stride, min(32, row + 1 - u0), hs);
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
INLINE void pair(float &p, float &ds, const Heads &at, const T *qkv, const T *dout, const float *lse, const float *rows, float scale, int row, int u) {
    p = expf(scale * dot(qkv + at.qkv(row, 0), qkv + at.qkv(u, 1), at.hs) - lse[at.stat(row)]);
    ds = p * (dot(dout + at.out(row), qkv + at.qkv(u, 2), at.hs) - rows[at.stat(row)]) * scale;
}

template <typename T>
INLINE void queries(T *dqkv, const T *qkv, const T *dout, const float *lse, const float *rows, float scale, int t, int nh, int hs) {
    const Heads at(t, nh, hs);
    const int row = warpRow(), lane = threadIdx.x % 32;
    if (row >= t) return;
    const i64 stride = at.qkv(1, 0) - at.qkv(0, 0);
    float acc[PER] = {};
    for (int u0 = 0; u0 <= row; u0 += 32) {
        float p = 0, ds = 0;
        if (u0 + lane <= row) pair(p, ds, at, qkv, dout, lse, rows, scale, row, u0 + lane);
        accumulate(acc, ds, qkv + at.qkv(u0, 1), stride, min(32, row + 1 - u0), hs);
    }
    put(dqkv + at.qkv(row, 0), acc, 1, hs);
}

template <typename T>
INLINE void keys(T *dqkv, const T *qkv, const T *dout, const float *lse, const float *rows, float scale, int t, int nh, int hs) {
    const Heads at(t, nh, hs);
    const int u = warpRow(), lane = threadIdx.x % 32;
    if (u >= t) return;
    float dk[PER] = {}, dv[PER] = {};
    for (int r0 = u; r0 < t; r0 += 32) {
        float p = 0, ds = 0;
        if (r0 + lane < t) pair(p, ds, at, qkv, dout, lse, rows, scale, r0 + lane, u);
        const int count = min(32, t - r0);
        accumulate(dk, ds, qkv + at.qkv(r0, 0), at.qkv(1, 0) - at.qkv(0, 0), count, hs);
        accumulate(dv, p, dout + at.out(r0), at.out(1) - at.out(0), count, hs);
    }
    put(dqkv + at.qkv(u, 1), dk, 1, hs);
    put(dqkv + at.qkv(u, 2), dv, 1, hs);
}

#define ATTENTION(T)                                                                                                  \
    KERNEL __launch_bounds__(256)                                                                                     \
    rows_forward_##T(T *out, float *lse, const T *qkv, float scale, int t, int nh, int hs) {                          \
        forward(out, lse, qkv, scale, t, nh, hs);                                                                     \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) rows_sums_##T(float *rows, const T *dout, const T *out, int t, int nh, int hs) {    \
        rowSums(rows, dout, out, t, nh, hs);                                                                          \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) rows_queries_##T(T *dqkv, const T *qkv, const T *dout, const float *lse,            \
                                                   const float *rows, float scale, int t, int nh, int hs) {           \
        queries(dqkv, qkv, dout, lse, rows, scale, t, nh, hs);                                                        \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) rows_keys_##T(T *dqkv, const T *qkv, const T *dout, const float *lse,               \
                                                const float *rows, float scale, int t, int nh, int hs) {              \
        keys(dqkv, qkv, dout, lse, rows, scale, t, nh, hs);                                                           \
    }

ATTENTION(float)
ATTENTION(f16)
ATTENTION(bf16)
