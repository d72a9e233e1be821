// Package cpu is the CPU device of the kernels contract: buffers in host memory, streams that run their operators on a team of
// threads, and each operator in portable Go and, on amd64, AVX2 and AVX-512 (packages vec and gemm).
//
// Operators compute in float32 whatever the storage type: rows are widened on the way in and rounded once on the way out. Work is
// split over the team by output, or into partial sums that are added in a fixed order, so that a result depends on the variant and
// the number of threads but never on timing.
//
// It is not a thread pool for others and not a tensor library: the block in kernels/block, written against kernels.Stream, is its
// caller.
package cpu
