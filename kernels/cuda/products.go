package cuda

import (
	"errors"
	"fmt"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// productMemory is what cuBLASLt may use for one product. NVIDIA recommends 32 MiB for Hopper and 4 MiB for others (cuBLAS documentation, section cublasSetWorkspace).
const productMemory = 32 << 20

// library is the variant of dense products that cuBLASLt computes.
const library = "cublaslt"

// openLibraries takes the libraries that are installed; noProducts and noSparse say why the others are not there. One that is there and does not start is an error.
func (d *Device) openLibraries() error {
	if d.products, d.noProducts = d.ctx.Products(); d.noProducts != nil {
		d.products = nil
	}
	if d.sparse, d.noSparse = d.ctx.SparseProducts(); d.noSparse != nil {
		d.sparse = nil
	}
	for _, err := range []error{d.noProducts, d.noSparse} {
		if err != nil && !errors.Is(err, driver.ErrNotSupported) {
			return err
		}
	}
	return nil
}

// Library is the name and version of the library of matrix products, or why there is none.
func (d *Device) Library() (string, error) {
	if d.noProducts != nil {
		return "", d.noProducts
	}
	return d.products.Library(), nil
}

// hasLibrary tells whether dense products go to the library.
func (s *stream) hasLibrary(w kernels.Weight) bool {
	chosen := s.dev.selected[kernels.OpLinear]
	return w.Format == kernels.Dense && (w.Math != kernels.FP8 || s.dev.Multiplies8()) && s.dev.products != nil && (chosen == "" || chosen == library || chosen == sparseLibrary)
}

// multiply enqueues a product in the library, and tells whether it did: it has no kernel for every alignment and shape.
func (s *stream) multiply(p driver.Product) bool {
	var err error
	if p.Work, err = s.workspace(productMemory); err != nil {
		s.fail(fmt.Errorf("cuda: workspace of products: %w", err))
		return true
	}
	p.WorkSize = int64(s.workSize)
	return s.enqueue(p)
}

// enqueue is multiply with the product's own workspace.
func (s *stream) enqueue(p driver.Product) bool {
	err := s.dev.products.Multiply(s.s, p)
	if errors.Is(err, driver.ErrNotSupported) {
		return false
	}
	if err != nil {
		s.fail(fmt.Errorf("cuda: product of %d x %d x %d: %w", p.M, p.N, p.K, err))
	}
	return true
}

// libraryForward lets the library do LinearForward. It adds before GELU, we after it, so that both together are left to our kernels.
func (s *stream) libraryForward(out, x kernels.Tensor, w kernels.Weight, e kernels.Epilogue) bool {
	switch {
	case !s.hasLibrary(w):
		return false
	case w.Math == kernels.FP8:
		return s.float8Forward(out, x, w, e)
	case e.Act == kernels.GELU && !e.Residual.None():
		return false
	}
	p := driver.Product{
		M: x.Rows(), N: w.OC, K: w.C, A: address(x), B: address(w.Values), TransB: true, In: productType(x), InB: productType(x), TF32: w.Math == kernels.TF32,
		C: address(out), Addend: address(e.Residual), Bias: address(e.Bias), Out: productType(out),
	}
	if e.Act == kernels.GELU {
		p.Epilogue, p.Aux = driver.GELU, address(e.Aux)
	}
	return s.multiply(p)
}

// libraryInput lets the library do LinearBackwardInput.
func (s *stream) libraryInput(dx, dout kernels.Tensor, w kernels.Weight, e kernels.Epilogue) bool {
	if !s.hasLibrary(w) {
		return false
	}
	if w.Math == kernels.FP8 {
		return s.float8Input(dx, dout, w, e)
	}
	p := driver.Product{
		M: dout.Rows(), N: w.C, K: w.OC, A: address(dout), B: address(w.Values), In: productType(dout), InB: productType(dout), TF32: w.Math == kernels.TF32,
		C: address(dx), Out: productType(dx),
	}
	if e.Act == kernels.GELU {
		p.Epilogue, p.Aux = driver.GELUGradient, address(e.Aux)
	}
	return s.multiply(p)
}

// libraryWeight lets the library do LinearBackwardWeight, but for the gradient of the bias.
func (s *stream) libraryWeight(dw kernels.Weight, dout, x kernels.Tensor) bool {
	if !s.hasLibrary(dw) {
		return false
	}
	if dw.Math == kernels.FP8 {
		return s.float8Weight(dw, dout, x)
	}
	return s.multiply(driver.Product{
		M: dw.OC, N: dw.C, K: x.Rows(), A: address(dout), TransA: true, B: address(x), In: productType(x), InB: productType(x), TF32: dw.Math == kernels.TF32,
		C: address(dw.Values), Addend: address(dw.Values), Out: productType(dw.Values),
	})
}

func productType(t kernels.Tensor) driver.Type { return driverType(t.DType()) }

func driverType(t kernels.DType) driver.Type {
	switch t {
	case kernels.F16:
		return driver.Float16
	case kernels.BF16:
		return driver.BFloat16
	case kernels.E4M3:
		return driver.E4M3
	case kernels.E5M2:
		return driver.E5M2
	}
	return driver.Float32
}
