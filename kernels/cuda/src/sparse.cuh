// How sparse weights are stored.
#pragma once
#include "common.cuh"

// Pairs is W (OC,C) of format 2:4: of each four columns two are stored, values (OC,C/2), and a nibble says where they belong, meta (OC,C/8).
template <typename T> struct Pairs {
    T *values;
    const u8 *meta;
    int c;
    // Index of the stored value at (row, col), or -1.
    INLINE i64 find(int row, int col) const {
        const u32 nibble = meta[(i64)row * (c / 8) + col / 8] >> (col / 4 % 2 * 4);
        const i64 first = (i64)row * (c / 2) + col / 4 * 2;
        if ((nibble & 3) == col % 4) return first;
        return (nibble >> 2 & 3) == col % 4 ? first + 1 : -1;
    }
};

// Blocks is W (OC,C) of which every row of square blocks stores `keep`: values (OC/edge·keep, edge, edge), and their columns, ascending, in meta (OC/edge, keep).
template <typename T> struct Blocks {
    T *values;
    const int *meta;
    int edge, keep;
    INLINE i64 find(int row, int col) const {
        const int *columns = meta + (i64)(row / edge) * keep;
        int lo = 0, hi = keep;
        while (lo < hi) {
            const int mid = (lo + hi) / 2;
            if (columns[mid] < col / edge) lo = mid + 1;
            else hi = mid;
        }
        if (lo == keep || columns[lo] != col / edge) return -1;
        return (((i64)(row / edge) * keep + lo) * edge + row % edge) * edge + col % edge;
    }
};

// dw += C where a value is stored.
template <typename W> struct Stored {
    W w;
    INLINE void put(int row, int col, float v) const {
        const i64 i = w.find(row, col);
        if (i >= 0) w.values[i] += v;
    }
};
