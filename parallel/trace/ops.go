package trace

import (
	"gorgonia.org/tensor"

	"ofpeak/kernels"
)

// size is the bytes of tensors that are there.
func size(ts ...kernels.Tensor) float64 {
	sum := 0
	for _, t := range ts {
		if !t.None() {
			sum += t.Size() * t.DType().Size()
		}
	}
	return float64(sum)
}

func weightSize(w kernels.Weight) float64 { return size(w.Values, w.Meta, w.Scale) }

// memory notes an operator that is bound by memory.
func (s *stream) memory(op string, bytes float64) { s.begin(Span{Op: op, Kind: Memory, Bytes: bytes}) }

// product notes a matrix product of so many rows with a weight.
func (s *stream) product(op string, rows int, x kernels.Tensor, w kernels.Weight, bytes float64) {
	flops := 2 * float64(rows) * float64(w.OC) * float64(w.C) * w.Density(w.C)
	s.begin(Span{Op: op, Kind: Product, DType: w.Factors(x.DType()), FLOPs: flops, Model: flops, Bytes: bytes})
}

// attention notes the products of attention: so many that the model needs and so many that run, each of T(T+1)/2 pairs a head.
func (s *stream) attention(op string, qkv kernels.Tensor, model, executed, bytes float64) {
	b, t, nh, hs := qkv.Dim(0), qkv.Dim(1), qkv.Dim(3), qkv.Dim(4)
	flops := 2 * float64(b) * float64(t) * float64(t+1) / 2 * float64(nh*hs)
	s.begin(Span{Op: op, Kind: Attention, DType: qkv.DType(), FLOPs: executed * flops, Model: model * flops, Bytes: bytes})
}

// EmbeddingForward notes the call.
func (s *stream) EmbeddingForward(out, ids, wte, wpe kernels.Tensor) {
	s.memory("embedding.forward", 2*size(out)+size(ids, wpe)) // a row of wte for each of out
	s.inner.EmbeddingForward(out, ids, wte, wpe)
	s.end()
}

// EmbeddingBackward notes the call.
func (s *stream) EmbeddingBackward(dwte, dwpe, dout, ids kernels.Tensor) {
	s.memory("embedding.backward", 3*size(dout)+size(ids)+2*size(dwpe))
	s.inner.EmbeddingBackward(dwte, dwpe, dout, ids)
	s.end()
}

// LayerNormForward notes the call.
func (s *stream) LayerNormForward(out, mean, rstd, x, gain, bias kernels.Tensor) {
	s.memory("layernorm.forward", size(out, mean, rstd, x, gain, bias))
	s.inner.LayerNormForward(out, mean, rstd, x, gain, bias)
	s.end()
}

// LayerNormBackward notes the call.
func (s *stream) LayerNormBackward(dx, dgain, dbias, dout, x, mean, rstd, gain, residual kernels.Tensor) {
	s.memory("layernorm.backward", size(dx, dout, x, mean, rstd, gain, residual)+2*size(dgain, dbias))
	s.inner.LayerNormBackward(dx, dgain, dbias, dout, x, mean, rstd, gain, residual)
	s.end()
}

// LinearForward notes the call.
func (s *stream) LinearForward(out, x kernels.Tensor, w kernels.Weight, e kernels.Epilogue) {
	s.product("linear.forward", x.Rows(), x, w, size(out, x, e.Bias, e.Aux, e.Residual)+weightSize(w))
	s.inner.LinearForward(out, x, w, e)
	s.end()
}

// LinearBackwardInput notes the call.
func (s *stream) LinearBackwardInput(dx, dout kernels.Tensor, w kernels.Weight, e kernels.Epilogue) {
	s.product("linear.backward-input", dout.Rows(), dout, w, size(dx, dout, e.Aux)+weightSize(w))
	s.inner.LinearBackwardInput(dx, dout, w, e)
	s.end()
}

// LinearBackwardWeight notes the call.
func (s *stream) LinearBackwardWeight(dw kernels.Weight, dbias, dout, x kernels.Tensor) {
	s.product("linear.backward-weight", dout.Rows(), x, dw, 2*size(dw.Values, dbias)+size(dw.Meta, dout, x))
	s.inner.LinearBackwardWeight(dw, dbias, dout, x)
	s.end()
}

// AttentionForward notes the call: QKᵀ and PV.
func (s *stream) AttentionForward(out, lse, qkv kernels.Tensor) {
	s.attention("attention.forward", qkv, 2, 2, size(out, lse, qkv))
	s.inner.AttentionForward(out, lse, qkv)
	s.end()
}

// AttentionBackward notes the call: four products, and QKᵀ once more.
func (s *stream) AttentionBackward(dqkv, scratch, dout, out, lse, qkv kernels.Tensor) {
	s.attention("attention.backward", qkv, 4, 5, size(dqkv, scratch, dout, out, lse, qkv))
	s.inner.AttentionBackward(dqkv, scratch, dout, out, lse, qkv)
	s.end()
}

// extension notes the products of every query of qkv with every key of kv.
func (s *stream) extension(op string, qkv, kv kernels.Tensor, model, executed, bytes float64) {
	flops := 2 * float64(qkv.Dim(0)*qkv.Dim(1)) * float64(kv.Dim(1)) * float64(qkv.Dim(3)*qkv.Dim(4))
	s.begin(Span{Op: op, Kind: Attention, DType: qkv.DType(), FLOPs: executed * flops, Model: model * flops, Bytes: bytes})
}

// AttentionExtendForward notes the call. Of qkv it reads the queries only.
func (s *stream) AttentionExtendForward(out, lse, qkv, kv kernels.Tensor) {
	s.extension("attention-extend.forward", qkv, kv, 2, 2, 2*size(out, lse)+size(qkv)/3+size(kv))
	s.inner.AttentionExtendForward(out, lse, qkv, kv)
	s.end()
}

// AttentionExtendBackward notes the call.
func (s *stream) AttentionExtendBackward(dqkv, dkv, scratch, dout, lse, qkv, kv kernels.Tensor) {
	s.extension("attention-extend.backward", qkv, kv, 4, 5, 2*size(dkv)+size(dqkv)+size(scratch, dout, lse, kv))
	s.inner.AttentionExtendBackward(dqkv, dkv, scratch, dout, lse, qkv, kv)
	s.end()
}

// Add notes the call. What adds to out is told from a sum that out receives.
func (s *stream) Add(out, x, bias, residual kernels.Tensor) {
	op := "add"
	if out.Buf == residual.Buf && out.Off == residual.Off {
		op = "accumulate"
	}
	s.memory(op, size(out, x, bias, residual))
	s.inner.Add(out, x, bias, residual)
	s.end()
}

// MSE notes the call.
func (s *stream) MSE(loss, dx, x, target kernels.Tensor, n int, state kernels.Tensor) {
	s.memory("mse", size(dx, x, target))
	s.inner.MSE(loss, dx, x, target, n, state)
	s.end()
}

// CrossEntropy notes the call.
func (s *stream) CrossEntropy(loss, dlogits, logits, targets kernels.Tensor, n int, state kernels.Tensor) {
	s.memory("cross-entropy", size(dlogits, logits, targets))
	s.inner.CrossEntropy(loss, dlogits, logits, targets, n, state)
	s.end()
}

// AdamW notes the call.
func (s *stream) AdamW(a kernels.AdamWArgs) {
	s.begin(Span{Op: "adamw", Kind: Update, Bytes: 2*size(a.Master, a.M, a.V) + size(a.Param, a.Grad)})
	s.inner.AdamW(a)
	s.end()
}

// FindNonFinite notes the call.
func (s *stream) FindNonFinite(state, x kernels.Tensor) {
	s.begin(Span{Op: "find-non-finite", Kind: Update, Bytes: size(x)})
	s.inner.FindNonFinite(state, x)
	s.end()
}

// UpdateScale notes the call.
func (s *stream) UpdateScale(state kernels.Tensor, dynamic bool) {
	s.begin(Span{Op: "update-scale", Kind: Update, Bytes: 2 * size(state)})
	s.inner.UpdateScale(state, dynamic)
	s.end()
}

// Encode notes the call.
func (s *stream) Encode(w kernels.Weight, dense kernels.Tensor) {
	s.memory("encode", weightSize(w)+size(dense))
	s.inner.Encode(w, dense)
	s.end()
}

// Decode notes the call.
func (s *stream) Decode(dense kernels.Tensor, w kernels.Weight) {
	s.memory("decode", weightSize(w)+size(dense))
	s.inner.Decode(dense, w)
	s.end()
}

// Cast notes the call.
func (s *stream) Cast(dst, src kernels.Tensor) {
	s.memory("cast", size(dst, src))
	s.inner.Cast(dst, src)
	s.end()
}

// Fill notes the call.
func (s *stream) Fill(dst kernels.Tensor, v float64) {
	s.memory("fill", size(dst))
	s.inner.Fill(dst, v)
	s.end()
}

// Copy notes the call.
func (s *stream) Copy(dst, src kernels.Tensor) {
	s.memory("copy", size(dst, src))
	s.inner.Copy(dst, src)
	s.end()
}

// CopyColumns notes the call.
func (s *stream) CopyColumns(dst, src kernels.Tensor, to, from, n int) {
	s.memory("copy-columns", 2*float64(src.Rows()*n*src.DType().Size()))
	s.inner.CopyColumns(dst, src, to, from, n)
	s.end()
}

// Upload notes the call.
func (s *stream) Upload(dst kernels.Tensor, src *tensor.Dense) {
	s.memory("upload", size(dst))
	s.inner.Upload(dst, src)
	s.end()
}

// Download notes the call.
func (s *stream) Download(dst *tensor.Dense, src kernels.Tensor) error {
	s.memory("download", size(src))
	err := s.inner.Download(dst, src)
	s.end()
	return err
}

// routing is the bytes of a routing's integers and gates.
func routing(r kernels.Routing) float64 { return size(r.Gates, r.Rows, r.Tokens) }

// RouteForward notes the call.
func (s *stream) RouteForward(r kernels.Routing, stats, logits kernels.Tensor, groups int) {
	s.memory("experts.route", size(logits, r.Probs, r.Choices)+routing(r))
	s.inner.RouteForward(r, stats, logits, groups)
	s.end()
}

// RouteBackward notes the call.
func (s *stream) RouteBackward(dlogits, dgates kernels.Tensor, r kernels.Routing, weight float64, groups int, state kernels.Tensor) {
	s.memory("experts.route-backward", size(dlogits, dgates, r.Probs, r.Choices, r.Gates))
	s.inner.RouteBackward(dlogits, dgates, r, weight, groups, state)
	s.end()
}

// Dispatch notes the call.
func (s *stream) Dispatch(out, x kernels.Tensor, r kernels.Routing, weighted bool) {
	s.memory("experts.dispatch", size(out, x)+routing(r))
	s.inner.Dispatch(out, x, r, weighted)
	s.end()
}

// Combine notes the call.
func (s *stream) Combine(out, y, residual kernels.Tensor, r kernels.Routing, weighted bool) {
	s.memory("experts.combine", size(out, y, residual)+routing(r))
	s.inner.Combine(out, y, residual, r, weighted)
	s.end()
}

// GateBackward notes the call.
func (s *stream) GateBackward(dgates, dout, y kernels.Tensor, r kernels.Routing) {
	s.memory("experts.gate-backward", size(dgates, dout, y, r.Rows))
	s.inner.GateBackward(dgates, dout, y, r)
	s.end()
}
