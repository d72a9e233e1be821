package cuda

import "ofpeak/kernels"

// Encode of a dense weight is a cast; other layouts have no kernel.
func (s *stream) Encode(w kernels.Weight, dense kernels.Tensor) {
	kernels.CheckEncode(w, dense)
	if s.supported(kernels.OpLinear, dense.DType(), w.Format) {
		s.Cast(w.Values, dense)
	}
}

func (s *stream) Decode(dense kernels.Tensor, w kernels.Weight) {
	kernels.CheckDecode(dense, w)
	if s.supported(kernels.OpLinear, dense.DType(), w.Format) {
		s.Cast(dense, w.Values)
	}
}
