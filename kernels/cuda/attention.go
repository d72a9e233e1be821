package cuda

import (
	"fmt"
	"math"

	"ofpeak/kernels"
)

// maxHead is the largest head size of attention_rows.cu.
const maxHead = 256

// scoreScale is 1/√HS.
func scoreScale(qkv kernels.Tensor) float32 { return float32(1 / math.Sqrt(float64(qkv.Dim(4)))) }

// headSupported tells whether attention of qkv can go on; if not, the stream fails.
func (s *stream) headSupported(qkv kernels.Tensor) bool {
	if !s.supported(kernels.OpAttention, qkv.DType(), kernels.Dense) {
		return false
	}
	if hs := qkv.Dim(4); hs > maxHead {
		s.fail(fmt.Errorf("%w: attention of head size %d on CUDA, at most %d", kernels.ErrUnsupported, hs, maxHead))
		return false
	}
	return true
}

// rowWarps is the shape of a grid with a warp for each row of each head of qkv or kv.
func rowWarps(qkv kernels.Tensor) shape {
	return shape{gridX: (qkv.Dim(1) + 7) / 8, gridY: qkv.Dim(0) * qkv.Dim(3), threads: 256}
}

// flash tells whether attention_flash.cu takes these operands: 16-bit types, heads of 64 or 128 elements, on 16 bytes.
func (s *stream) flash(qkv kernels.Tensor, others ...kernels.Tensor) bool {
	hs := qkv.Dim(4)
	return s.dev.selected[kernels.OpAttention] != "rows" && qkv.DType() != kernels.F32 && (hs == 64 || hs == 128) &&
		aligned(8, qkv) && aligned(8, others...)
}

// flashTiles is the shape of its grid: 4 warps own 64 rows, and keep so many rows of their own and of the other side in shared memory.
func flashTiles(qkv kernels.Tensor, rows int) shape {
	return shape{gridX: (qkv.Dim(1) + 63) / 64, gridY: qkv.Dim(0) * qkv.Dim(3), threads: 128, shared: 2 * rows * (qkv.Dim(4) + 8)}
}

func (s *stream) AttentionForward(out, lse, qkv kernels.Tensor) {
	kernels.CheckAttentionForward(out, lse, qkv)
	if !s.headSupported(qkv) {
		return
	}
	t, length, nh, hs := suffix(qkv.DType()), qkv.Dim(1), qkv.Dim(3), qkv.Dim(4)
	if s.flash(qkv, out) {
		const rows = 64 + 2*2*64 // queries, two stages of keys and values
		s.launch("attention_flash", fmt.Sprintf("flash_forward_%d_%s", hs, t), flashTiles(qkv, rows), out, lse, qkv, scoreScale(qkv), length, nh)
		return
	}
	s.launch("attention_rows", "rows_forward_"+t, rowWarps(qkv), out, lse, qkv, scoreScale(qkv), length, nh, hs)
}

func (s *stream) AttentionBackward(dqkv, scratch, dout, out, lse, qkv kernels.Tensor) {
	kernels.CheckAttentionBackward(dqkv, scratch, dout, out, lse, qkv)
	if !s.headSupported(qkv) {
		return
	}
	t, length, nh, hs := suffix(qkv.DType()), qkv.Dim(1), qkv.Dim(3), qkv.Dim(4)
	s.launch("attention_rows", "rows_sums_"+t, rowWarps(qkv), scratch, dout, out, length, nh, hs)
	for _, side := range []string{"queries", "keys"} {
		if s.flash(qkv, dqkv, dout) {
			const rows = 2*64 + 2*2*32 // two own tiles, two stages of two of the other side
			s.launch("attention_flash", fmt.Sprintf("flash_%s_%d_%s", side, hs, t), flashTiles(qkv, rows), dqkv, qkv, dout, lse, scratch, scoreScale(qkv), length, nh)
			continue
		}
		s.launch("attention_rows", "rows_"+side+"_"+t, rowWarps(qkv), dqkv, qkv, dout, lse, scratch, scoreScale(qkv), length, nh, hs)
	}
}

func (s *stream) AttentionExtendForward(out, lse, qkv, kv kernels.Tensor) {
	kernels.CheckAttentionExtendForward(out, lse, qkv, kv)
	if !s.headSupported(qkv) {
		return
	}
	t, length, further, nh, hs := suffix(qkv.DType()), qkv.Dim(1), kv.Dim(1), qkv.Dim(3), qkv.Dim(4)
	if s.flash(qkv, out, kv) {
		const rows = 64 + 2*2*64
		s.launch("attention_flash", fmt.Sprintf("flash_extend_forward_%d_%s", hs, t), flashTiles(qkv, rows), out, lse, qkv, kv, scoreScale(qkv), length, further, nh)
		return
	}
	s.launch("attention_rows", "rows_extend_forward_"+t, rowWarps(qkv), out, lse, qkv, kv, scoreScale(qkv), length, further, nh, hs)
}

func (s *stream) AttentionExtendBackward(dqkv, dkv, scratch, dout, lse, qkv, kv kernels.Tensor) {
	kernels.CheckAttentionExtendBackward(dqkv, dkv, scratch, dout, lse, qkv, kv)
	if !s.headSupported(qkv) {
		return
	}
	t, length, further, nh, hs := suffix(qkv.DType()), qkv.Dim(1), kv.Dim(1), qkv.Dim(3), qkv.Dim(4)
	for _, side := range []struct {
		name      string
		grad, own kernels.Tensor // own has the rows that the grid is over
	}{{"queries", dqkv, qkv}, {"keys", dkv, kv}} {
		if s.flash(qkv, dqkv, dkv, dout, kv) {
			const rows = 2*64 + 2*2*32
			s.launch("attention_flash", fmt.Sprintf("flash_extend_%s_%d_%s", side.name, hs, t), flashTiles(side.own, rows),
				side.grad, qkv, kv, dout, lse, scratch, scoreScale(qkv), length, further, nh)
			continue
		}
		s.launch("attention_rows", "rows_extend_"+side.name+"_"+t, rowWarps(side.own),
			side.grad, qkv, kv, dout, lse, scratch, scoreScale(qkv), length, further, nh, hs)
	}
}
