// What a multiprocessor can multiply and add at most, with nothing else to do: loops of one instruction whose operands stay in registers. And what memory can bring and take: streams over it.
#include "mma.cuh"

// A warp's operands are 12 words a lane: two fragments of A, and a word for each of four B, all of whose elements are that word's. Whatever B is, a loop's sums over a warp are known then
// without knowing where a fragment's elements lie: n times the sum of A's elements, times 8 columns, times the sum of the four words' values.
struct Fragments {
    u32 a[2][4], b[4];

    INLINE Fragments(const u32 *operands) {
        const int l = threadIdx.x % 32;
#pragma unroll
        for (int i = 0; i < 8; i++) a[i / 4][i % 4] = operands[32 * i + l];
#pragma unroll
        for (int j = 0; j < 4; j++) b[j] = operands[32 * (8 + j) + l];
    }
};

// Eight sums go on side by side, enough to hide one's latency; out has each thread's sum of its elements.
template <typename S, typename F> INLINE void spin(S *out, const u32 *operands, int n, const F &multiply) {
    const Fragments f(operands);
    S sum[2][4][4] = {};
#pragma unroll 1
    for (int i = 0; i < n; i++) {
#pragma unroll
        for (int j = 0; j < 8; j++) multiply(sum[j / 4][j % 4], f.a[j / 4], f.b[j % 4]);
    }
    S all = 0;
#pragma unroll
    for (int j = 0; j < 32; j++) all += sum[j / 16][j / 4 % 4][j % 4];
    out[gridThread()] = all;
}

template <typename T, typename S> struct Dense {
    INLINE void operator()(S (&c)[4], const u32 (&a)[4], u32 b) const { mma(c, a, b, b, T()); }
};

// Of each four columns of A, the first and the second are stored.
template <typename T> struct Pairs {
    INLINE void operator()(float (&c)[4], const u32 (&a)[4], u32 b) const {
        const u32 all[4] = {b, b, b, b};
        mmaSparse(c, a, all, 0x44444444, T());
    }
};

#define PEAK(NAME, S, MULTIPLY) \
    KERNEL __launch_bounds__(256, 2) peak_##NAME(S *out, const u32 *operands, int n) { spin(out, operands, n, MULTIPLY()); }
#define COMMA ,

PEAK(mma_tf32, float, Dense<tf32 COMMA float>)
PEAK(mma_f16, float, Dense<f16 COMMA float>)
PEAK(mma_bf16, float, Dense<bf16 COMMA float>)
PEAK(mma_s8, int, Dense<s8x2 COMMA int>)
PEAK(sparse_f16, float, Pairs<f16>)
PEAK(sparse_bf16, float, Pairs<bf16>)

// The same of fused multiply-adds: 32 sums of 8 words of A, as floats, by 4 of B, 8 times a turn so that the loop's own instructions do not count.
KERNEL __launch_bounds__(256, 2) peak_fma(float *out, const u32 *operands, int n) {
    const Fragments f(operands);
    float sum[8][4] = {};
#pragma unroll 1
    for (int i = 0; i < n; i++) {
#pragma unroll
        for (int j = 0; j < 8 * 32; j++) {
            float &s = sum[j / 4 % 8][j % 4];
            s = __fmaf_rn(__uint_as_float(f.a[j / 16 % 2][j / 4 % 4]), __uint_as_float(f.b[j % 4]), s);
        }
    }
    float all = 0;
#pragma unroll
    for (int j = 0; j < 32; j++) all += sum[j / 4][j % 4];
    out[gridThread()] = all;
}

// Streams move 16 bytes an access and keep four accesses of a thread in flight. n counts 16 bytes; x lies on them.
struct __align__(16) Words { u32 v[4]; };

KERNEL __launch_bounds__(256) stream_copy(Words *__restrict__ out, const Words *__restrict__ x, i64 n) {
    const i64 step = gridThreads();
    i64 i = gridThread();
    for (; i + 3 * step < n; i += 4 * step) {
        Words w[4];
#pragma unroll
        for (int j = 0; j < 4; j++) w[j] = x[i + j * step];
#pragma unroll
        for (int j = 0; j < 4; j++) out[i + j * step] = w[j];
    }
    for (; i < n; i += step) out[i] = x[i];
}

// out has each thread's exclusive or of what it read.
KERNEL __launch_bounds__(256) stream_read(u32 *__restrict__ out, const Words *__restrict__ x, i64 n) {
    const i64 step = gridThreads();
    i64 i = gridThread();
    u32 all = 0;
    for (; i + 3 * step < n; i += 4 * step) {
        Words w[4];
#pragma unroll
        for (int j = 0; j < 4; j++) w[j] = x[i + j * step];
#pragma unroll
        for (int j = 0; j < 16; j++) all ^= w[j / 4].v[j % 4];
    }
    for (; i < n; i += step) {
        const Words w = x[i];
        all ^= w.v[0] ^ w.v[1] ^ w.v[2] ^ w.v[3];
    }
    out[gridThread()] = all;
}
