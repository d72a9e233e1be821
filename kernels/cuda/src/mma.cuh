// Tensor-core instructions on 16-bit types as PTX (PTX ISA, sections "ldmatrix", "mma" and "cp.async").
#pragma once
#include "common.cuh"

INLINE u32 sharedAddress(const void *p) { return (u32)__cvta_generic_to_shared(p); }

// Four 8x8 matrices; lane 8i+r points at row r of matrix i.
INLINE void loadMatrix(u32 (&r)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(sharedAddress(row)) : "memory");
}

// The same, each matrix transposed.
INLINE void loadMatrixTrans(u32 (&r)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(sharedAddress(row)) : "memory");
}

// c (16,8) += a (16,16)·b (16,8), sums in float.
INLINE void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1, f16) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
INLINE void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1, bf16) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Half of a float of which a product takes 11 digits, rounded to nearest (PTX ISA, section "cvt", .rna.tf32): two of them are a register of a fragment.
struct tf32 { u16 bits; };

// c (16,8) += a (16,8)·b (8,8), sums in float.
INLINE void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1, tf32) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
INLINE u32 toTF32(float x) {
    u32 y;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
    return y;
}

// Two 8-bit integers. Fragments of them lie as those of 16-bit types.
struct s8x2 { u16 bits; };

// c (16,8) += a (16,32)·b (32,8) of 8-bit integers.
INLINE void mma(int (&c)[4], const u32 (&a)[4], u32 b0, u32 b1, s8x2) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// c (16,8) += a (16,32)·b (32,8) where a is 2:4 sparse, of which the fragment holds the stored values, (16,16). meta, of a lane 4r or 4r+1, says where those of rows r (lower half) and r+8 belong,
// in columns 0 to 15 or 16 to 31; see kernels.Sparse24 for its nibbles. Other lanes' is not read.
#define MMA_SPARSE(T)                                                                                                    \
    INLINE void mmaSparse(float (&c)[4], const u32 (&a)[4], const u32 (&b)[4], u32 meta, T) {                            \
        asm("mma.sp.sync.aligned.m16n8k32.row.col.f32." #T "." #T ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9,%10,%11}, " \
            "{%0,%1,%2,%3}, %12, 0x0;"                                                                                   \
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                                             \
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(b[2]), "r"(b[3]), "r"(meta));        \
    }
MMA_SPARSE(f16)
MMA_SPARSE(bf16)

// Copies 16 bytes to shared memory without waiting; where there is none, they become zero and p is not read.
INLINE void copyAsync(void *to, const void *p, bool there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(sharedAddress(to)), "l"(p), "r"(there ? 16 : 0) : "memory");
}
INLINE void copyAsync4(void *to, const void *p) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(sharedAddress(to)), "l"(p) : "memory");
}
INLINE void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most N of the committed groups are in flight.
template <int N> INLINE void waitCopies() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

// Fragments from tiles in shared memory whose rows are ld elements apart. A is 16 by 16, B 16 by 16 as two neighbouring groups of 8 columns: registers 0 and 1, 2 and 3.

// A from rows of A, at its row and column.
INLINE void fragmentA(u32 (&r)[4], const u16 *tile, int ld, int row, int k) {
    const int l = threadIdx.x % 32;
    loadMatrix(r, tile + (row + l % 16) * ld + k + l / 16 * 8);
}

// A from a tile of its columns.
INLINE void fragmentATrans(u32 (&r)[4], const u16 *tile, int ld, int row, int k) {
    const int l = threadIdx.x % 32;
    loadMatrixTrans(r, tile + (k + l % 8 + l / 16 * 8) * ld + row + l / 8 % 2 * 8);
}

// B from a tile of its columns, which have k neighbouring.
INLINE void fragmentB(u32 (&r)[4], const u16 *tile, int ld, int col, int k) {
    const int l = threadIdx.x % 32;
    loadMatrix(r, tile + (col + l % 8 + l / 16 * 8) * ld + k + l / 8 % 2 * 8);
}

// B from a tile of its rows.
INLINE void fragmentBTrans(u32 (&r)[4], const u16 *tile, int ld, int col, int k) {
    const int l = threadIdx.x % 32;
    loadMatrixTrans(r, tile + (k + l % 16) * ld + col + l / 16 * 8);
}

// Two floats rounded to a pair of 16-bit values, lo in the low half.
INLINE u32 pair(float lo, float hi, f16) {
    u32 r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
    return r;
}
INLINE u32 pair(float lo, float hi, bf16) {
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
    return r;
}
