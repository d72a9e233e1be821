// Package kernels is the contract between the benchmarked training code and the devices that run it: Device, Buffer, Stream and
// the fused operators of a Transformer block, with the checks of operands that all devices share. The float64 reference is in ref,
// the CPU device in cpu, the CUDA device in cuda; the block itself, written once against Stream, is in block.
//
// It is not a tensor library and not a graph compiler: shapes are checked, never inferred, nothing is allocated by an operator, and
// what is enqueued is exactly what runs and is measured.
//
// Dims, throughout: B batch, T sequence length, N = B·T tokens, C channels, NH heads, HS head size (C = NH·HS), OC output channels,
// L layers, V vocabulary. dX is the gradient of X. Gradients of parameters accumulate (+=), so that microbatches add up; gradients
// of activations are assigned (=). Sums and statistics are at least float32 whatever the storage type; a float64 device uses float64.
package kernels
