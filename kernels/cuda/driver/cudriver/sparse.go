//go:build gpu

package cudriver

// #cgo LDFLAGS: -ldl
// #include <stdlib.h>
// #include <cuda.h>
// #include "sparse.h"
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"ofpeak/kernels/cuda/driver"
)

// sparseLibrary is cuSPARSELt's name, whatever CUDA it is for.
const sparseLibrary = "libcusparseLt.so.0"

// openSparse loads cuSPARSELt once in a process. Releases before 0.7 have larger structures, and before 0.5 another type of sums.
var openSparse = sync.OnceValue(func() error {
	c := C.CString(sparseLibrary)
	defer C.free(unsafe.Pointer(c))
	if problem := C.sparse_open(c); problem != nil {
		return fmt.Errorf("cudriver: no cuSPARSELt (%s); where it is installed elsewhere, set LD_LIBRARY_PATH: %w", C.GoString(problem), driver.ErrNotSupported)
	}
	if v := sparseVersion(); v[0] == 0 && v[1] < 7 {
		return fmt.Errorf("cudriver: cuSPARSELt %d.%d.%d is older than 0.7: %w", v[0], v[1], v[2], driver.ErrNotSupported)
	}
	return nil
})

func sparseVersion() (v [3]C.int) {
	C.sparse_version(&v[0])
	return v
}

// sparseProducts implements driver.SparseProducts by cuSPARSELt. What the library keeps addresses of lies in C's memory.
type sparseProducts struct {
	context *context
	handle  *C.cusparseLtHandle_t

	mu    sync.Mutex
	plans map[C.struct_sparse_product]*sparsePlan
}

// sparsePlan is a product's descriptors, or the status with which the library refused it.
type sparsePlan struct {
	at     *C.struct_sparse_plan
	status C.int
}

func (c *context) SparseProducts() (driver.SparseProducts, error) {
	if err := openSparse(); err != nil {
		return nil, err
	}
	p := &sparseProducts{context: c, handle: (*C.cusparseLtHandle_t)(alignedMemory(C.sizeof_cusparseLtHandle_t)), plans: map[C.struct_sparse_product]*sparsePlan{}}
	if err := c.do("SparseProducts", func() error { return sparseStatus("cusparseLtInit", C.sparse_create(p.handle)) }); err != nil {
		C.free(unsafe.Pointer(p.handle))
		return nil, err
	}
	c.give(p, "library of sparse products")
	return p, nil
}

// alignedMemory is C's, and aligned to 16 bytes, as malloc's is on 64-bit systems.
func alignedMemory(size C.size_t) unsafe.Pointer { return C.calloc(1, size) }

func (p *sparseProducts) Library() string {
	v := sparseVersion()
	return fmt.Sprintf("cuSPARSELt %d.%d.%d", v[0], v[1], v[2])
}

func (p *sparseProducts) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.context.release("SparseProducts.Close", p, func() error {
		var errs []error
		for _, plan := range p.plans {
			errs = append(errs, sparseStatus("ending a plan", C.sparse_end(plan.at)))
		}
		return errors.Join(append(errs, sparseStatus("cusparseLtDestroy", C.sparse_destroy(p.handle)))...)
	})
	for _, plan := range p.plans {
		C.free(unsafe.Pointer(plan.at))
	}
	C.free(unsafe.Pointer(p.handle))
	p.handle, p.plans = nil, nil
	return err
}

func (p *sparseProducts) Sizes(q driver.SparseProduct) (compressed, work int64, err error) {
	err = p.with("Sizes", q, nil, func(_ *C.struct_sparse_product, plan *sparsePlan, _ unsafe.Pointer) (string, C.int) {
		compressed, work = int64(plan.at.compressed), int64(plan.at.work)
		return "", 0
	})
	return compressed, work, err
}

func (p *sparseProducts) Compress(on driver.Stream, q driver.SparseProduct, dense driver.Ptr) error {
	return p.with("Compress", q, on, func(raw *C.struct_sparse_product, plan *sparsePlan, stream unsafe.Pointer) (string, C.int) {
		return "cusparseLtSpMMACompress2", C.sparse_compress(p.handle, plan.at, raw, C.uint64_t(dense), stream)
	})
}

func (p *sparseProducts) Multiply(on driver.Stream, q driver.SparseProduct) error {
	return p.with("SparseProducts.Multiply", q, on, func(raw *C.struct_sparse_product, plan *sparsePlan, stream unsafe.Pointer) (string, C.int) {
		return "cusparseLtMatmul", C.sparse_multiply(p.handle, plan.at, raw, stream)
	})
}

// with makes a call of the library with a product's plan, on a stream or none.
func (p *sparseProducts) with(call string, q driver.SparseProduct, on driver.Stream, fn func(raw *C.struct_sparse_product, plan *sparsePlan, stream unsafe.Pointer) (string, C.int)) error {
	if err := p.context.holds(call, p); err != nil {
		return err
	}
	if err := q.Refused(); err != nil {
		return fmt.Errorf("cudriver: %s: %w", call, err)
	}
	do, handle := p.context.do, unsafe.Pointer(nil)
	if on != nil {
		s, ok := on.(*stream)
		if !ok || s.context != p.context {
			return fmt.Errorf("cudriver: %s: a stream of another context: %w", call, driver.ErrInvalidHandle)
		}
		do, handle = s.do, unsafe.Pointer(*(*C.CUstream)(unsafe.Pointer(&s.handle)))
	}
	raw := C.struct_sparse_product{
		m: C.int64_t(q.M), n: C.int64_t(q.N), k: C.int64_t(q.K), _type: C.int32_t(q.Type),
		in: C.uint64_t(q.In), weight: C.uint64_t(q.Weight), out: C.uint64_t(q.Out), addend: C.uint64_t(q.Addend), bias: C.uint64_t(q.Bias), work: C.uint64_t(q.Work),
	}
	return do(call, func() error {
		plan := p.plan(raw)
		if plan.status != 0 {
			return sparseStatus("describing the product", plan.status)
		}
		what, status := fn(&raw, plan, handle)
		return sparseStatus(what, status)
	})
}

// plan makes a product's descriptors once. The library takes the bias's address when they are made.
func (p *sparseProducts) plan(raw C.struct_sparse_product) *sparsePlan {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := C.struct_sparse_product{m: raw.m, n: raw.n, k: raw.k, _type: raw._type, bias: raw.bias}
	plan, ok := p.plans[key]
	if !ok {
		plan = &sparsePlan{at: (*C.struct_sparse_plan)(alignedMemory(C.sizeof_struct_sparse_plan))}
		if plan.status = C.sparse_begin(p.handle, &raw, plan.at); plan.status != 0 {
			C.sparse_end(plan.at)
		}
		p.plans[key] = plan
	}
	return plan
}

// sparseStatus turns a cusparseStatus_t into an error.
func sparseStatus(call string, status C.int) error {
	switch status {
	case C.CUSPARSE_STATUS_SUCCESS:
		return nil
	case C.CUSPARSE_STATUS_NOT_SUPPORTED, C.CUSPARSE_STATUS_INVALID_VALUE, C.CUSPARSE_STATUS_ARCH_MISMATCH, C.CUSPARSE_STATUS_MATRIX_TYPE_NOT_SUPPORTED:
		return fmt.Errorf("%s: cuSPARSE status %d: %w", call, status, driver.ErrNotSupported)
	case C.CUSPARSE_STATUS_ALLOC_FAILED:
		return fmt.Errorf("%s: cuSPARSE status %d: %w", call, status, driver.ErrOutOfMemory)
	case C.CUSPARSE_STATUS_EXECUTION_FAILED:
		return fmt.Errorf("%s: cuSPARSE status %d: %w", call, status, driver.ErrLaunchFailed)
	}
	return fmt.Errorf("%s: cuSPARSE status %d", call, status)
}
