// Losses and the gradients that start the backward pass. Each block leaves its share of the loss in parts, and add_parts sums them in order.
#include "common.cuh"

template <typename T>
INLINE void mse(float *parts, T *dx, const T *x, const T *target, const float *state, float inverse, i64 n) {
    const float factor = 2 * inverse * state[0];
    float sum = 0;
    for (i64 i = gridThread(); i < n; i += gridThreads()) {
        const float d = widen(x[i]) - widen(target[i]);
        sum += d * d;
        if (dx) narrow(dx[i], d * factor);
    }
    sum = blockSum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum * inverse;
}

// Rows of v logits, a block each; blocks stride over rows. One pass finds the largest logit and the sum of exponentials (Milakov & Gimelshein, "Online normalizer
// calculation for softmax", arXiv:1805.02867, algorithm 3), a second writes the gradient. A target outside the vocabulary sets *wrong and its row counts nothing.
template <typename T>
INLINE void crossEntropy(float *parts, T *dlogits, const T *logits, const int *targets, const float *state, float inverse, int *wrong, i64 rows, int v) {
    float loss = 0;
    for (i64 r = blockIdx.x; r < rows; r += gridDim.x) {
        const int target = targets[r];
        if (target < 0 || target >= v) {
            if (threadIdx.x == 0) *wrong = 1;
            continue;
        }
        const T *x = logits + r * v;
        const float low = __int_as_float(0xff800000); // -Inf
        float top = low, sum = 0;
        for (int i = threadIdx.x; i < v; i += blockDim.x) {
            const float a = widen(x[i]);
            if (a > top) {
                sum *= expf(top - a);
                top = a;
            }
            if (a != low) sum += expf(a - top);
        }
        const float highest = blockMax(top);
        if (top != low) sum *= expf(top - highest); // else the thread has no logits above -Inf
        sum = blockSum(sum);
        const float lse = logf(sum); // beside highest
        loss += (lse - (widen(x[target]) - highest)) * inverse;
        if (!dlogits) continue;
        __syncthreads(); // dlogits may be logits: all have read their target
        T *d = dlogits + r * v;
        const float factor = inverse * state[0];
        for (int i = threadIdx.x; i < v; i += blockDim.x) {
            const float p = expf(widen(x[i]) - highest - lse);
            narrow(d[i], (p - (i == target ? 1.f : 0.f)) * factor);
        }
    }
    if (threadIdx.x == 0) parts[blockIdx.x] = loss;
}

#define LOSS(T)                                                                                                       \
    KERNEL __launch_bounds__(256)                                                                                     \
    mse_##T(float *parts, T *dx, const T *x, const T *target, const float *state, float inverse, i64 n) {             \
        mse(parts, dx, x, target, state, inverse, n);                                                                 \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    cross_entropy_##T(float *parts, T *dlogits, const T *logits, const int *targets, const float *state,              \
                      float inverse, int *wrong, i64 rows, int v) {                                                   \
        crossEntropy(parts, dlogits, logits, targets, state, inverse, wrong, rows, v);                                \
    }

LOSS(float)
LOSS(f16)
LOSS(bf16)

// loss[0] += Σ parts, by one block.
KERNEL __launch_bounds__(256) add_parts(float *loss, const float *parts, int n) {
    float sum = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += parts[i];
    sum = blockSum(sum);
    if (threadIdx.x == 0) loss[0] += sum;
}
