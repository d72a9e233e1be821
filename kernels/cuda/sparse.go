package cuda

import (
	"errors"
	"fmt"
	"slices"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// sparseLibrary is the variant of products with 2:4 weights that cuSPARSELt computes: forward ones. Those of the backward pass sum along other dims than the pattern's.
const sparseLibrary = "cusparselt"

// SparseLibrary is the name and version of the library of products with 2:4 weights, or why there is none.
func (d *Device) SparseLibrary() (string, error) {
	if d.noSparse != nil {
		return "", d.noSparse
	}
	return d.sparse.Library(), nil
}

// hasSparseLibrary tells whether forward products of a weight go to the library.
func (s *stream) hasSparseLibrary(w kernels.Weight) bool {
	chosen := s.dev.selected[kernels.OpLinear]
	return w.Format == kernels.Sparse24 && w.Values.DType() != kernels.F32 && s.dev.sparse != nil && (chosen == "" || chosen == sparseLibrary)
}

// sparseForward lets the library do LinearForward, but for GELU, whose input it does not keep. It tells whether it did.
func (s *stream) sparseForward(out, x kernels.Tensor, w kernels.Weight, e kernels.Epilogue) bool {
	if !s.hasSparseLibrary(w) {
		return false
	}
	p := driver.SparseProduct{
		M: x.Rows(), N: w.OC, K: w.C, Type: productType(x), In: address(x), Out: address(out), Addend: address(e.Residual), Bias: address(e.Bias),
	}
	if e.Act == kernels.GELU {
		p.Out, p.Addend = address(e.Aux), 0
	}
	bytes, work, err := s.dev.sparse.Sizes(p)
	if errors.Is(err, driver.ErrNotSupported) {
		return false
	}
	if err == nil {
		err = s.multiplySparse(p, w, bytes, work)
	}
	if err != nil {
		s.fail(fmt.Errorf("cuda: 2:4 product of %d x %d x %d: %w", p.M, p.N, p.K, err))
		return true
	}
	if e.Act == kernels.GELU {
		s.gelu(out, e.Aux, e.Residual)
	}
	return true
}

// multiplySparse enqueues a product, and before it, if the weight is not compressed as it is now, what does that.
func (s *stream) multiplySparse(p driver.SparseProduct, w kernels.Weight, bytes, work int64) (err error) {
	dense := lines(int(work)) // where the weight is written out in full, behind what the library works in
	if p.Work, err = s.workspace(dense + 2*w.OC*w.C); err != nil {
		return err
	}
	c, err := s.compressed(w, int(bytes))
	if err != nil {
		return err
	}
	p.Weight = address(c.form)
	if c.stale {
		t := suffix(w.Values.DType())
		full := p.Work + driver.Ptr(dense)
		s.launch("weight", "decode_pairs_"+t+"_"+t, s.over(w.Meta.Size()), full, w.Values, w.Meta, w.Meta.Size())
		if err := s.dev.sparse.Compress(s.s, p, full); err != nil {
			return err
		}
		c.stale = false
	}
	return s.dev.sparse.Multiply(s.s, p)
}

// compressedWeight is a 2:4 weight as the library stores it, for one stream, so that no other one has to be waited for.
type compressedWeight struct {
	w     kernels.Weight
	form  kernels.Tensor
	stale bool // the weight has changed
}

// compressed finds a weight's compressed form, or makes room for one.
func (s *stream) compressed(w kernels.Weight, bytes int) (*compressedWeight, error) {
	same := func(a, b kernels.Tensor) bool { return a.Buf == b.Buf && a.Off == b.Off }
	for _, c := range s.dev.compressed[s] {
		if same(c.w.Values, w.Values) && same(c.w.Meta, w.Meta) && c.w.OC == w.OC && c.w.C == w.C {
			return c, nil
		}
	}
	buf, err := s.dev.Alloc(kernels.U8, bytes)
	if err != nil {
		return nil, err
	}
	c := &compressedWeight{w: w, form: kernels.Of(buf, bytes), stale: true}
	s.dev.compressed[s] = append(s.dev.compressed[s], c)
	return c, nil
}

// written tells that a tensor's values change, by work that is enqueued on any stream: by whatever can write a weight.
func (d *Device) written(t kernels.Tensor) {
	for _, weights := range d.compressed {
		for _, c := range weights {
			c.stale = c.stale || overlap(t, c.w.Values) || overlap(t, c.w.Meta)
		}
	}
}

func overlap(a, b kernels.Tensor) bool {
	return !a.None() && !b.None() && a.Buf == b.Buf && a.Off < b.Off+b.Size() && b.Off < a.Off+a.Size()
}

// fresh are the forms that calls to come will take as they are.
func (d *Device) fresh() (forms []*compressedWeight) {
	for _, weights := range d.compressed {
		for _, c := range weights {
			if !c.stale {
				forms = append(forms, c)
			}
		}
	}
	return forms
}

// others are the forms that are not among some.
func (d *Device) others(some []*compressedWeight) (forms []*compressedWeight) {
	for _, weights := range d.compressed {
		for _, c := range weights {
			if !slices.Contains(some, c) {
				forms = append(forms, c)
			}
		}
	}
	return forms
}

// forget frees the compressed forms of weights in a buffer that is freed.
func (d *Device) forget(b *buffer) {
	var gone []*compressedWeight
	for s, weights := range d.compressed {
		var left []*compressedWeight
		for _, c := range weights {
			if c.w.Values.Buf == b || c.w.Meta.Buf == b {
				gone = append(gone, c)
			} else {
				left = append(left, c)
			}
		}
		d.compressed[s] = left
	}
	for _, c := range gone {
		c.form.Buf.Free()
	}
}

// closeCompressed frees those of a stream.
func (s *stream) closeCompressed() {
	weights := s.dev.compressed[s]
	delete(s.dev.compressed, s)
	for _, c := range weights {
		c.form.Buf.Free()
	}
}
