package cuda

import (
	"fmt"
	"math"

	"ofpeak/kernels"
)

// maxHead is the largest head size of attention_rows.cu.
const maxHead = 256

// heads is the shape of a grid with a warp for each row of each head, or the reason why there is none.
func (s *stream) heads(qkv kernels.Tensor) (sh shape, ok bool) {
	b, t, nh, hs := qkv.Dim(0), qkv.Dim(1), qkv.Dim(3), qkv.Dim(4)
	if !s.supported(kernels.OpAttention, qkv.DType(), kernels.Dense) {
		return shape{}, false
	}
	if hs > maxHead {
		s.fail(fmt.Errorf("%w: attention of head size %d on CUDA, at most %d", kernels.ErrUnsupported, hs, maxHead))
		return shape{}, false
	}
	return shape{gridX: (t + 7) / 8, gridY: b * nh, threads: 256}, true
}

// scoreScale is 1/√HS.
func scoreScale(qkv kernels.Tensor) float32 { return float32(1 / math.Sqrt(float64(qkv.Dim(4)))) }

func (s *stream) AttentionForward(out, lse, qkv kernels.Tensor) {
	kernels.CheckAttentionForward(out, lse, qkv)
	sh, ok := s.heads(qkv)
	if !ok {
		return
	}
	s.launch("attention_rows", "rows_forward_"+suffix(qkv.DType()), sh, out, lse, qkv, scoreScale(qkv), qkv.Dim(1), qkv.Dim(3), qkv.Dim(4))
}

func (s *stream) AttentionBackward(dqkv, scratch, dout, out, lse, qkv kernels.Tensor) {
	kernels.CheckAttentionBackward(dqkv, scratch, dout, out, lse, qkv)
	sh, ok := s.heads(qkv)
	if !ok {
		return
	}
	t, length, nh, hs := suffix(qkv.DType()), qkv.Dim(1), qkv.Dim(3), qkv.Dim(4)
	s.launch("attention_rows", "rows_sums_"+t, sh, scratch, dout, out, length, nh, hs)
	for _, name := range []string{"rows_queries_", "rows_keys_"} {
		s.launch("attention_rows", name+t, sh, dqkv, qkv, dout, lse, scratch, scoreScale(qkv), length, nh, hs)
	}
}
