// Weights between their dense form and how they are stored; see Pairs and Blocks in linear_sparse.cu.
#include "common.cuh"

// 2:4: the two largest magnitudes of every four, the lower index of equals. A thread makes one byte of meta from eight columns.
template <typename T> INLINE void encodePairs(T *values, u8 *meta, const float *dense, i64 bytes) {
    for (i64 i = gridThread(); i < bytes; i += gridThreads()) {
        u32 byte = 0;
        for (int g = 0; g < 2; g++) {
            const float *x = dense + i * 8 + g * 4;
            int first = 0, second = -1;
            for (int j = 1; j < 4; j++) {
                if (fabsf(x[j]) > fabsf(x[first])) second = first, first = j;
                else if (second < 0 || fabsf(x[j]) > fabsf(x[second])) second = j;
            }
            const int lo = min(first, second), hi = max(first, second);
            narrow(values[i * 4 + g * 2], x[lo]);
            narrow(values[i * 4 + g * 2 + 1], x[hi]);
            byte |= (lo | hi << 2) << (4 * g);
        }
        meta[i] = byte;
    }
}

template <typename D, typename T> INLINE void decodePairs(D *dense, const T *values, const u8 *meta, i64 bytes) {
    for (i64 i = gridThread(); i < bytes; i += gridThreads()) {
        const u32 byte = meta[i];
        for (int j = 0; j < 8; j++) {
            const u32 nibble = byte >> (j / 4 * 4);
            const T *pair = values + i * 4 + j / 4 * 2;
            float v = 0;
            if ((nibble & 3) == j % 4) v = widen(pair[0]);
            else if ((nibble >> 2 & 3) == j % 4) v = widen(pair[1]);
            narrow(dense[i * 8 + j], v);
        }
    }
}

extern __shared__ __align__(8) double norms[];

// Block-sparse: a block of threads for each row of blocks keeps the `keep` of largest Frobenius norm, the lower column of equals, ascending.
KERNEL __launch_bounds__(256) choose_blocks(int *meta, const float *dense, int c, int edge, int keep) {
    const int count = c / edge;
    const float *rows = dense + (i64)blockIdx.x * edge * c;
    for (int b = threadIdx.x; b < count; b += blockDim.x) {
        double sum = 0;
        for (int r = 0; r < edge; r++)
            for (int i = 0; i < edge; i++) {
                const double v = rows[(i64)r * c + b * edge + i];
                sum += v * v;
            }
        norms[b] = sum;
    }
    int *kept = (int *)(norms + count);
    __syncthreads();
    for (int b = threadIdx.x; b < count; b += blockDim.x) {
        int larger = 0;
        for (int o = 0; o < count; o++) larger += norms[o] > norms[b] || (norms[o] == norms[b] && o < b);
        kept[b] = larger < keep;
    }
    __syncthreads();
    for (int b = threadIdx.x; b < count; b += blockDim.x) {
        if (!kept[b]) continue;
        int place = 0;
        for (int o = 0; o < b; o++) place += kept[o];
        meta[(i64)blockIdx.x * keep + place] = b;
    }
}

// Place in the dense matrix of stored value i.
INLINE i64 placeOf(i64 i, const int *meta, int c, int edge, int keep) {
    const i64 block = i / (edge * edge), row = block / keep * edge + i / edge % edge;
    return row * c + (i64)meta[block] * edge + i % edge;
}

template <typename T> INLINE void encodeBlocks(T *values, const int *meta, const float *dense, i64 n, int c, int edge, int keep) {
    for (i64 i = gridThread(); i < n; i += gridThreads()) narrow(values[i], dense[placeOf(i, meta, c, edge, keep)]);
}

// dense is zero before.
template <typename D, typename T> INLINE void decodeBlocks(D *dense, const T *values, const int *meta, i64 n, int c, int edge, int keep) {
    for (i64 i = gridThread(); i < n; i += gridThreads()) narrow(dense[placeOf(i, meta, c, edge, keep)], widen(values[i]));
}

// int8: a block for each row, whose largest magnitude becomes 127.
KERNEL __launch_bounds__(256) encode_int8(signed char *values, float *scale, const float *dense, int c) {
    const float *x = dense + (i64)blockIdx.x * c;
    float top = 0;
    for (int i = threadIdx.x; i < c; i += blockDim.x) top = fmaxf(top, fabsf(x[i]));
    const float s = blockMax(top) / 127;
    for (int i = threadIdx.x; i < c; i += blockDim.x) values[(i64)blockIdx.x * c + i] = s > 0 ? (int)rintf(x[i] / s) : 0;
    if (threadIdx.x == 0) scale[blockIdx.x] = s;
}

template <typename D> INLINE void decodeInt8(D *dense, const signed char *values, const float *scale, i64 n, int c) {
    for (i64 i = gridThread(); i < n; i += gridThreads()) narrow(dense[i], values[i] * scale[i / c]);
}

#define DECODE(D, T)                                                                                                  \
    KERNEL __launch_bounds__(256) decode_pairs_##D##_##T(D *dense, const T *values, const u8 *meta, i64 bytes) {      \
        decodePairs(dense, values, meta, bytes);                                                                      \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    decode_blocks_##D##_##T(D *dense, const T *values, const int *meta, i64 n, int c, int edge, int keep) {           \
        decodeBlocks(dense, values, meta, n, c, edge, keep);                                                          \
    }

#define WEIGHT(T)                                                                                                     \
    KERNEL __launch_bounds__(256) encode_pairs_##T(T *values, u8 *meta, const float *dense, i64 bytes) {              \
        encodePairs(values, meta, dense, bytes);                                                                      \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    encode_blocks_##T(T *values, const int *meta, const float *dense, i64 n, int c, int edge, int keep) {             \
        encodeBlocks(values, meta, dense, n, c, edge, keep);                                                          \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    decode_int8_##T(T *dense, const signed char *values, const float *scale, i64 n, int c) {                          \
        decodeInt8(dense, values, scale, n, c);                                                                       \
    }                                                                                                                 \
    DECODE(T, float)                                                                                                  \
    DECODE(T, f16)                                                                                                    \
    DECODE(T, bf16)

WEIGHT(float)
WEIGHT(f16)
WEIGHT(bf16)
