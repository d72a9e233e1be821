// Package simt runs kernels given as PTX the way a GPU does, as far as results can tell: blocks of threads in warps of 32 lanes that share a
// program counter, diverge, meet again at post-dominators, and wait at barriers. Each instruction becomes one Go closure over the lanes of a warp.
//
// It is stricter than hardware. A run ends with a Fault at the first access out of bounds, misaligned or before a write, at the first barrier
// that not all threads reach, at the first pair of accesses to shared memory that no barrier orders, and when a launch exceeds its budget of
// instructions. Warps and blocks run in an order drawn from a seed. An opcode or modifier that it does not know fails when the kernel is compiled.
//
// It does not model time, caches, the weak order of global memory, or the rounding of the hardware's approximate functions and tensor cores: those are
// computed in float64 and rounded once.
package simt
