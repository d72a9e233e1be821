// What products of 8-bit integers share (Dettmers et al., "LLM.int8()", arXiv:2208.07339, section 2.1): a scale for each row of x, and one for each output channel.
#pragma once
#include "linear.cuh"

// Scaled turns sums of integers into those of what they stand for.
template <typename T> struct Scaled {
    Forward<T> forward;
    const float *rows, *cols;
    INLINE void put(int row, int col, float v) const { forward.put(row, col, v * (rows[row] * cols[col])); }
};

// The scale that maps a row's largest magnitude to 127, a block for each row.
template <typename T> INLINE float rowScale(const T *x, int c) {
    float top = 0;
    for (int i = threadIdx.x; i < c; i += blockDim.x) top = fmaxf(top, fabsf(widen(x[i])));
    return blockMax(top) / 127;
}
