// What all kernels share: storage types without NVIDIA's headers, packs for vectorized accesses, reductions.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

// Storage types of 16 bits. Arithmetic is in float.
struct f16 { u16 bits; };
struct bf16 { u16 bits; };

#define KERNEL extern "C" __global__ void
#define INLINE __device__ __forceinline__

INLINE float widen(float x) { return x; }
INLINE float widen(bf16 x) { return __uint_as_float((u32)x.bits << 16); }
INLINE float widen(f16 x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}

// narrow rounds to nearest even.
INLINE void narrow(float &y, float x) { y = x; }
INLINE void narrow(f16 &y, float x) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x)); }
INLINE void narrow(bf16 &y, float x) { asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x)); }

// Pack is N neighbouring elements, read and written at once; N times the element's size is at most 16 bytes.
template <typename T, int N> struct __align__(sizeof(T) * N) Pack { T v[N]; };

template <typename T, int N> INLINE void load(float (&x)[N], const T *p) {
    Pack<T, N> a = *(const Pack<T, N> *)p;
#pragma unroll
    for (int i = 0; i < N; i++) x[i] = widen(a.v[i]);
}

template <typename T, int N> INLINE void store(T *p, const float (&x)[N]) {
    Pack<T, N> a;
#pragma unroll
    for (int i = 0; i < N; i++) narrow(a.v[i], x[i]);
    *(Pack<T, N> *)p = a;
}

// Global index and number of threads, for loops that stride over the grid.
INLINE i64 gridThread() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }
INLINE i64 gridThreads() { return (i64)gridDim.x * blockDim.x; }

template <typename F> INLINE F warpSum(F x) {
#pragma unroll
    for (int m = 16; m > 0; m >>= 1) x += __shfl_xor_sync(~0u, x, m);
    return x;
}

INLINE float warpMax(float x) {
#pragma unroll
    for (int m = 16; m > 0; m >>= 1) x = fmaxf(x, __shfl_xor_sync(~0u, x, m));
    return x;
}

// blockSum gives every thread the sum of x over the block, whose size is a multiple of 32. The order of the sum is fixed. It starts and ends
// with a barrier, so that calls may follow one another.
template <typename F> INLINE F blockSum(F x) {
    __shared__ F parts[32];
    const int warps = blockDim.x / 32;
    x = warpSum(x);
    __syncthreads();
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    F sum = 0;
    for (int i = 0; i < warps; i++) sum += parts[i];
    return sum;
}

INLINE float blockMax(float x) {
    __shared__ float parts[32];
    const int warps = blockDim.x / 32;
    x = warpMax(x);
    __syncthreads();
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    float top = parts[0];
    for (int i = 1; i < warps; i++) top = fmaxf(top, parts[i]);
    return top;
}
