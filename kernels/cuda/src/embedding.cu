// Token and position embeddings. A token outside the vocabulary sets *wrong, and nothing is read or written for it.
#include "common.cuh"

template <typename T> INLINE void forward(T *out, const int *ids, const T *wte, const T *wpe, int *wrong, int t, int v, int c) {
    const i64 n = blockIdx.x;
    const int id = ids[n];
    if (id < 0 || id >= v) {
        if (threadIdx.x == 0) *wrong = 1;
        return;
    }
    const T *token = wte + (i64)id * c, *position = wpe + (n % t) * c;
    for (int i = threadIdx.x; i < c; i += blockDim.x) narrow(out[n * c + i], widen(token[i]) + widen(position[i]));
}

// A block for each of the n tokens. The block of a token's first occurrence sums the rows of all of them, in order; the others leave.
template <typename T> INLINE void tokens(float *dwte, const T *dout, const int *ids, int *wrong, int n, int v, int c) {
    const int first = blockIdx.x, id = ids[first];
    if (id < 0 || id >= v) {
        if (threadIdx.x == 0) *wrong = 1;
        return;
    }
    bool seen = false;
    for (int i = threadIdx.x; i < first; i += blockDim.x) seen |= ids[i] == id;
    if (__syncthreads_or(seen)) return;
    for (int i = threadIdx.x; i < c; i += blockDim.x) {
        float sum = 0;
        for (i64 m = first; m < n; m++)
            if (ids[m] == id) sum += widen(dout[m * c + i]);
        dwte[(i64)id * c + i] += sum;
    }
}

// A block for each position: the sum over the b sequences, in order.
template <typename T> INLINE void positions(float *dwpe, const T *dout, int b, int t, int c) {
    for (int i = threadIdx.x; i < c; i += blockDim.x) {
        float sum = 0;
        for (i64 s = 0; s < b; s++) sum += widen(dout[(s * t + blockIdx.x) * c + i]);
        dwpe[(i64)blockIdx.x * c + i] += sum;
    }
}

#define EMBEDDING(T)                                                                                                  \
    KERNEL __launch_bounds__(256)                                                                                     \
    embedding_forward_##T(T *out, const int *ids, const T *wte, const T *wpe, int *wrong, int t, int v, int c) {      \
        forward(out, ids, wte, wpe, wrong, t, v, c);                                                                  \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    embedding_tokens_##T(float *dwte, const T *dout, const int *ids, int *wrong, int n, int v, int c) {               \
        tokens(dwte, dout, ids, wrong, n, v, c);                                                                      \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) embedding_positions_##T(float *dwpe, const T *dout, int b, int t, int c) {          \
        positions(dwpe, dout, b, t, c);                                                                               \
    }

EMBEDDING(float)
EMBEDDING(f16)
EMBEDDING(bf16)
