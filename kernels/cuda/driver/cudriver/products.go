//go:build gpu

package cudriver

// #cgo LDFLAGS: -ldl
// #include <stdlib.h>
// #include <cuda.h>
// #include "lt.h"
import "C"

import (
	"fmt"
	"sync"
	"unsafe"

	"ofpeak/kernels/cuda/driver"
)

// libraries are cuBLASLt's names in CUDA 13, 12 and 11; the first that the loader finds is used.
var libraries = []string{"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11"}

// openLibrary loads cuBLASLt once in a process.
var openLibrary = sync.OnceValue(func() error {
	var first error
	for _, name := range libraries {
		c := C.CString(name)
		problem := C.lt_open(c)
		C.free(unsafe.Pointer(c))
		if problem == nil {
			return nil
		}
		if first == nil {
			first = fmt.Errorf("cudriver: no cuBLASLt (%s); where it is installed elsewhere, set LD_LIBRARY_PATH: %w", C.GoString(problem), driver.ErrNotSupported)
		}
	}
	return first
})

// products implements driver.Products by cuBLASLt.
type products struct {
	context *context
	handle  C.cublasLtHandle_t

	mu    sync.Mutex
	found map[C.struct_lt_product]choice
}

// choice is the algorithm that cuBLASLt's heuristics give for a shape, or that there is none.
type choice struct {
	algo   C.cublasLtMatmulAlgo_t
	status C.int
}

func (c *context) Products() (driver.Products, error) {
	if err := openLibrary(); err != nil {
		return nil, err
	}
	p := &products{context: c, found: map[C.struct_lt_product]choice{}}
	if err := c.do("Products", func() error { return library("cublasLtCreate", C.lt_create(&p.handle)) }); err != nil {
		return nil, err
	}
	c.give(p, "library of products")
	return p, nil
}

func (p *products) Library() string {
	var v [3]C.int
	C.lt_version(&v[0])
	return fmt.Sprintf("cuBLASLt %d.%d.%d", v[0], v[1], v[2])
}

func (p *products) Close() error {
	return p.context.release("Products.Close", p, func() error { return library("cublasLtDestroy", C.lt_destroy(p.handle)) })
}

func (p *products) Multiply(on driver.Stream, q driver.Product) error {
	s, ok := on.(*stream)
	if !ok || s.context != p.context {
		return fmt.Errorf("cudriver: Multiply: a stream of another context: %w", driver.ErrInvalidHandle)
	}
	if err := p.context.holds("Multiply", p); err != nil {
		return err
	}
	raw := rawProduct(q)
	return s.do("Multiply", func() error {
		c := p.choose(raw)
		if c.status != 0 {
			return library("cublasLtMatmulAlgoGetHeuristic", c.status)
		}
		return library("cublasLtMatmul", C.lt_multiply(p.handle, &raw, &c.algo, unsafe.Pointer(*(*C.CUstream)(unsafe.Pointer(&s.handle)))))
	})
}

func (p *products) Supports(q driver.Product) error {
	if err := p.context.holds("Supports", p); err != nil {
		return err
	}
	return p.context.do("Supports", func() error { return library("cublasLtMatmulAlgoGetHeuristic", p.choose(rawProduct(q)).status) })
}

// choose asks cuBLASLt once for each shape.
func (p *products) choose(raw C.struct_lt_product) choice {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := shapeOf(raw)
	c, ok := p.found[key]
	if !ok {
		c.status = C.lt_find(p.handle, &raw, &c.algo)
		p.found[key] = c
	}
	return c
}

// shapeOf leaves of the addresses what an algorithm depends on: whether they are there, and their alignment.
func shapeOf(raw C.struct_lt_product) C.struct_lt_product {
	for _, at := range []*C.uint64_t{&raw.a, &raw.b, &raw.c, &raw.addend, &raw.bias, &raw.aux, &raw.scale_a, &raw.scale_b, &raw.work} {
		if *at != 0 {
			*at = min(*at&-*at, 256)
		}
	}
	return raw
}

func rawProduct(q driver.Product) C.struct_lt_product {
	return C.struct_lt_product{
		m: C.int64_t(q.M), n: C.int64_t(q.N), k: C.int64_t(q.K),
		a: C.uint64_t(q.A), b: C.uint64_t(q.B), c: C.uint64_t(q.C), addend: C.uint64_t(q.Addend), bias: C.uint64_t(q.Bias), aux: C.uint64_t(q.Aux),
		scale_a: C.uint64_t(q.ScaleA), scale_b: C.uint64_t(q.ScaleB), work: C.uint64_t(q.Work), work_size: C.int64_t(q.WorkSize),
		trans_a: flag(q.TransA), trans_b: flag(q.TransB), in: C.int32_t(q.In), in_b: C.int32_t(q.InB), out: C.int32_t(q.Out), epilogue: C.int32_t(q.Epilogue), tf32: flag(q.TF32),
	}
}

func flag(b bool) C.int32_t {
	if b {
		return 1
	}
	return 0
}

// library turns a cublasStatus_t into an error.
func library(call string, status C.int) error {
	switch status {
	case C.CUBLAS_STATUS_SUCCESS:
		return nil
	case C.CUBLAS_STATUS_NOT_SUPPORTED, C.CUBLAS_STATUS_INVALID_VALUE, C.CUBLAS_STATUS_ARCH_MISMATCH:
		return fmt.Errorf("%s: cuBLAS status %d: %w", call, status, driver.ErrNotSupported)
	case C.CUBLAS_STATUS_ALLOC_FAILED:
		return fmt.Errorf("%s: cuBLAS status %d: %w", call, status, driver.ErrOutOfMemory)
	case C.CUBLAS_STATUS_EXECUTION_FAILED:
		return fmt.Errorf("%s: cuBLAS status %d: %w", call, status, driver.ErrLaunchFailed)
	}
	return fmt.Errorf("%s: cuBLAS status %d", call, status)
}
