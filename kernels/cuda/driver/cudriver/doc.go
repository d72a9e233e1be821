// Package cudriver is the driver.Driver of real NVIDIA GPUs, on gorgonia.org/cu. It has code under the build tag gpu only, which needs cgo; folder
// include holds a cuda.h of our own, and folder stub what is linked in place of libcuda, so that it builds without a CUDA toolkit (make cuda).
//
// Importing it initialises CUDA: cu's init ends the process where there is no driver or no GPU, with a line on the standard output. So only a binary that
// is started for a GPU may link it.
package cudriver
