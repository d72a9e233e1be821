// Products of dense matrices of 16-bit types on tensor cores.
#include "linear_tile.cuh"

template <typename T, bool A_APART, bool B_APART, typename Epilogue>
INLINE void product(const T *pa, const T *pb, int m, int n, int k, const Epilogue &epilogue) {
    const Operand<T, A_APART> a(pa, blockIdx.y * TILE, m, k);
    const Operand<T, B_APART> b(pb, blockIdx.x * TILE, n, k);
    product<T>(a, b, m, n, k, epilogue);
}

// Two blocks share a multiprocessor.
PASSES(product, mma, f16, 256, 2)
PASSES(product, mma, bf16, 256, 2)
