package block

import "ofpeak/kernels"

// heap allocates a stage's tensors and frees them together. The first failure sticks.
type heap struct {
	dev  kernels.Device
	bufs []kernels.Buffer
	err  error
}

func (h *heap) tensor(t kernels.DType, shape ...int) kernels.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	if h.err != nil || n == 0 {
		return kernels.Tensor{}
	}
	b, err := h.dev.Alloc(t, n)
	if err != nil {
		h.err = err
		return kernels.Tensor{}
	}
	h.bufs = append(h.bufs, b)
	return kernels.Of(b, shape...)
}

func (h *heap) free() {
	for _, b := range h.bufs {
		b.Free()
	}
	h.bufs = nil
}
