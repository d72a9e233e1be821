//go:build gpu

package cudriver

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"ofpeak/kernels/cuda/driver"
)

// Whichever call of cuBLASLt or cuSPARSELt fails, whoever multiplies is told so, by a failure that no other kernel makes good, and nothing is left. Only stand-ins fail when
// they are asked to.
func TestGPUProductsThatFail(t *testing.T) {
	if os.Getenv("OFPEAK_STANDIN") == "" {
		t.Skip("needs the stand-in for the driver: make test-cuda")
	}
	for _, l := range []struct {
		once  func(c driver.Context) error
		named string // in an error
		calls map[string]int
	}{
		{multiplyOnce, "cuBLAS status 14", map[string]int{
			"cublasLtCreate": 1, "cublasLtDestroy": 1, "cublasLtMatmulDescCreate": 4, "cublasLtMatmulDescDestroy": 4, "cublasLtMatmulDescSetAttribute": 24, "cublasLtMatrixLayoutCreate": 12,
			"cublasLtMatrixLayoutDestroy": 12, "cublasLtMatmulPreferenceCreate": 2, "cublasLtMatmulPreferenceDestroy": 2, "cublasLtMatmulPreferenceSetAttribute": 12,
			"cublasLtMatmulAlgoGetHeuristic": 2, "cublasLtMatmul": 2,
		}},
		{multiplySparseOnce, "cuSPARSE status 7", map[string]int{
			"cusparseLtInit": 1, "cusparseLtDestroy": 1, "cusparseLtDenseDescriptorInit": 2, "cusparseLtStructuredDescriptorInit": 1, "cusparseLtMatDescriptorDestroy": 3,
			"cusparseLtMatmulDescriptorInit": 1, "cusparseLtMatmulDescSetAttribute": 1, "cusparseLtMatmulAlgSelectionInit": 1, "cusparseLtMatmulAlgSelectionDestroy": 1,
			"cusparseLtMatmulPlanInit": 1, "cusparseLtMatmulPlanDestroy": 1, "cusparseLtMatmulGetWorkspace": 1, "cusparseLtSpMMACompressedSize2": 1, "cusparseLtSpMMACompress2": 1,
			"cusparseLtMatmul": 1,
		}},
	} {
		try := func() (err error) {
			c, err := New().NewContext(0)
			if err != nil {
				t.Fatal(err)
			}
			err = l.once(c)
			if left := c.Close(); left != nil {
				t.Error(left)
			}
			return err
		}
		for call, times := range l.calls {
			for n := 1; n <= times; n++ {
				t.Setenv("OFPEAK_STANDIN_FAIL", fmt.Sprintf("%s:%d", call, n))
				if err := try(); err == nil || !strings.Contains(err.Error(), l.named) || errors.Is(err, driver.ErrNotSupported) {
					t.Errorf("call %d of %s failed: got %v", n, call, err)
				}
			}
			t.Setenv("OFPEAK_STANDIN_FAIL", fmt.Sprintf("%s:%d", call, times+1))
			if err := try(); err != nil {
				t.Errorf("%s is called more than %d times: %v", call, times, err)
			}
		}
		t.Setenv("OFPEAK_STANDIN_FAIL", "")
		if err := try(); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	}
}

// memory is device memory and a stream, until done.
type memory struct {
	c    driver.Context
	s    driver.Stream
	p    driver.Ptr
	errs []error
}

const piece = 1 << 12

func newMemory(c driver.Context) *memory {
	m := &memory{c: c}
	var err error
	m.s, err = c.NewStream()
	m.errs = append(m.errs, err)
	m.p, err = c.Alloc(8 * piece)
	m.errs = append(m.errs, err, m.s.Memset8(m.p, 0, 8*piece))
	return m
}

func (m *memory) at(i int) driver.Ptr { return m.p + driver.Ptr(i*piece) }

func (m *memory) done(err error) error {
	return errors.Join(append(m.errs, err, m.c.Free(m.p), m.s.Close())...)
}

// multiplyOnce makes one product with an epilogue, and one of 8-bit floats, and gives up at the first failure.
func multiplyOnce(c driver.Context) (err error) {
	p, err := c.Products()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	m := newMemory(c)
	one := driver.Product{
		M: 16, N: 16, K: 16, A: m.at(0), B: m.at(1), In: driver.Float32, InB: driver.Float32, Out: driver.Float32, C: m.at(2), Bias: m.at(3), Epilogue: driver.GELU, Aux: m.at(4),
		Work: m.at(5), WorkSize: piece,
	}
	eight := one
	eight.In, eight.InB, eight.TransB, eight.ScaleA, eight.ScaleB, eight.Out = driver.E4M3, driver.E5M2, true, m.at(6), m.at(6), driver.BFloat16
	eight.Epilogue, eight.Aux = driver.NoEpilogue, 0
	m.errs = append(m.errs, m.s.Memset32(m.at(6), 0x3f800000, 1))
	for _, q := range []driver.Product{one, eight} {
		if err := p.Multiply(m.s, q); err != nil {
			return m.done(err)
		}
	}
	return m.done(m.s.Synchronize())
}

// multiplySparseOnce compresses a weight and multiplies by it.
func multiplySparseOnce(c driver.Context) (err error) {
	p, err := c.SparseProducts()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	m := newMemory(c)
	q := driver.SparseProduct{M: 8, N: 16, K: 16, Type: driver.Float16, In: m.at(0), Weight: m.at(1), Out: m.at(2), Bias: m.at(3), Work: m.at(4)}
	compressed, work, err := p.Sizes(q)
	if err == nil && (compressed > piece || work > piece) {
		err = fmt.Errorf("%d and %d bytes are asked for", compressed, work)
	}
	if err == nil {
		err = p.Compress(m.s, q, m.at(5))
	}
	if err == nil {
		err = p.Multiply(m.s, q)
	}
	return m.done(err)
}
