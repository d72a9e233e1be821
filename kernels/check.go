package kernels

// Each Check function holds what the operator of its name asks of its operands: shapes, types, and outputs that stay apart from inputs. Every
// device calls it first, so that a wrong call fails the same way everywhere. They panic with constant messages and do not allocate.
//
// A matrix (N,C) may have any leading dims whose product is N.

// StatsOf is the type of statistics, losses and parameter gradients where products compute in t.
func StatsOf(t DType) DType {
	if t == F64 {
		return F64
	}
	return F32
}

// CheckEmbeddingForward checks the operands of Ops.EmbeddingForward.
func CheckEmbeddingForward(out, ids, wte, wpe Tensor) {
	const op = "kernels: EmbeddingForward: "
	require(len(ids.Shape) == 2 && len(wte.Shape) == 2, op+badRank)
	b, t, v, c := ids.Shape[0], ids.Shape[1], wte.Shape[0], wte.Shape[1]
	require(is(ids, b, t) && is(wte, v, c) && isMatrix(out, b*t, c) && is(wpe, t, c), op+badShape)
	require(isFloat(out) && typed(out.DType(), wte, wpe) && typed(I32, ids), op+badType)
	require(apart(out, ids, wte, wpe), op+badOverlap)
}

// CheckEmbeddingBackward checks the operands of Ops.EmbeddingBackward.
func CheckEmbeddingBackward(dwte, dwpe, dout, ids Tensor) {
	const op = "kernels: EmbeddingBackward: "
	require(len(ids.Shape) == 2 && len(dwte.Shape) == 2, op+badRank)
	b, t, v, c := ids.Shape[0], ids.Shape[1], dwte.Shape[0], dwte.Shape[1]
	require(is(ids, b, t) && is(dwte, v, c) && isMatrix(dout, b*t, c) && is(dwpe, t, c), op+badShape)
	require(isFloat(dout) && typed(StatsOf(dout.DType()), dwte, dwpe) && typed(I32, ids), op+badType)
	require(apart(dwte, dwpe, dout, ids) && apart(dwpe, dout, ids), op+badOverlap)
}

// CheckLayerNormForward checks the operands of Ops.LayerNormForward.
func CheckLayerNormForward(out, mean, rstd, x, gain, bias Tensor) {
	const op = "kernels: LayerNormForward: "
	n, c := matrix(x, op+badRank)
	require(isMatrix(out, n, c) && hasSize(n, mean, rstd) && hasSize(c, gain, bias), op+badShape)
	require(isFloat(x) && typed(x.DType(), out, gain, bias) && typed(StatsOf(x.DType()), mean, rstd), op+badType)
	require(apart(out, mean, rstd, x, gain, bias) && apart(mean, rstd, x, gain, bias) && apart(rstd, x, gain, bias), op+badOverlap)
}

// CheckLayerNormBackward checks the operands of Ops.LayerNormBackward.
func CheckLayerNormBackward(dx, dgain, dbias, dout, x, mean, rstd, gain, residual Tensor) {
	const op = "kernels: LayerNormBackward: "
	n, c := matrix(x, op+badRank)
	require(isMatrix(dx, n, c) && isMatrix(dout, n, c) && hasSize(c, dgain, dbias, gain) && hasSize(n, mean, rstd), op+badShape)
	require(residual.None() || isMatrix(residual, n, c), op+badShape)
	require(isFloat(x) && typed(x.DType(), dx, dout, gain, residual), op+badType)
	require(typed(StatsOf(x.DType()), dgain, dbias, mean, rstd), op+badType)
	require(apart(dx, dgain, dbias, dout, x, mean, rstd, gain) && apartOrSame(dx, residual), op+badOverlap)
	require(apart(dgain, dbias, dout, x, mean, rstd, gain, residual), op+badOverlap)
	require(apart(dbias, dout, x, mean, rstd, gain, residual), op+badOverlap)
}

// CheckLinearForward checks the operands of Ops.LinearForward.
func CheckLinearForward(out, x Tensor, w Weight, e Epilogue) {
	const op = "kernels: LinearForward: "
	n, c := matrix(x, op+badRank)
	require(c == w.C && isMatrix(out, n, w.OC), op+badShape)
	require(isFloat(x) && typed(x.DType(), out, e.Bias, e.Aux, e.Residual), op+badType)
	checkWeight(w, x.DType(), op+badWeight)
	checkMath(w, x.DType(), op+badMath)
	require(e.Bias.None() || hasSize(w.OC, e.Bias), op+badShape)
	require(e.Residual.None() || isMatrix(e.Residual, n, w.OC), op+badShape)
	checkAct(e, n, w.OC, op+badAct)
	require(apart(out, x, w.Values, w.Meta, w.Scale, e.Bias, e.Aux) && apartOrSame(out, e.Residual), op+badOverlap)
	require(apart(e.Aux, x, w.Values, w.Meta, w.Scale, e.Bias, e.Residual), op+badOverlap)
}

// CheckLinearBackwardInput checks the operands of Ops.LinearBackwardInput.
func CheckLinearBackwardInput(dx, dout Tensor, w Weight, e Epilogue) {
	const op = "kernels: LinearBackwardInput: "
	n, oc := matrix(dout, op+badRank)
	require(oc == w.OC && isMatrix(dx, n, w.C), op+badShape)
	require(isFloat(dout) && typed(dout.DType(), dx, e.Aux), op+badType)
	require(w.Format != Int8, op+"int8 weights have no backward pass")
	checkWeight(w, dout.DType(), op+badWeight)
	checkMath(w, dout.DType(), op+badMath)
	require(e.Bias.None() && e.Residual.None(), op+"bias and residual belong to the forward pass")
	checkAct(e, n, w.C, op+badAct)
	require(apart(dx, dout, w.Values, w.Meta, e.Aux), op+badOverlap)
}

// CheckLinearBackwardWeight checks the operands of Ops.LinearBackwardWeight.
func CheckLinearBackwardWeight(dw Weight, dbias, dout, x Tensor) {
	const op = "kernels: LinearBackwardWeight: "
	n, c := matrix(x, op+badRank)
	require(c == dw.C && isMatrix(dout, n, dw.OC), op+badShape)
	require(dbias.None() || hasSize(dw.OC, dbias), op+badShape)
	require(isFloat(x) && typed(x.DType(), dout) && typed(StatsOf(x.DType()), dbias), op+badType)
	require(dw.Format != Int8, op+"int8 weights have no backward pass")
	checkWeight(dw, StatsOf(x.DType()), op+badWeight)
	checkMath(dw, x.DType(), op+badMath)
	require(apart(dw.Values, dw.Meta, dbias, dout, x) && apart(dbias, dw.Meta, dout, x), op+badOverlap)
}

// CheckAttentionForward checks the operands of Ops.AttentionForward.
func CheckAttentionForward(out, lse, qkv Tensor) {
	const op = "kernels: AttentionForward: "
	require(len(qkv.Shape) == 5, op+badRank)
	b, t, nh, hs := qkv.Shape[0], qkv.Shape[1], qkv.Shape[3], qkv.Shape[4]
	require(is(qkv, b, t, 3, nh, hs) && is(out, b, t, nh, hs) && is(lse, b, nh, t), op+badShape)
	require(isFloat(qkv) && typed(qkv.DType(), out) && typed(StatsOf(qkv.DType()), lse), op+badType)
	require(apart(out, lse, qkv) && apart(lse, qkv), op+badOverlap)
}

// CheckAttentionBackward checks the operands of Ops.AttentionBackward.
func CheckAttentionBackward(dqkv, scratch, dout, out, lse, qkv Tensor) {
	const op = "kernels: AttentionBackward: "
	require(len(qkv.Shape) == 5, op+badRank)
	b, t, nh, hs := qkv.Shape[0], qkv.Shape[1], qkv.Shape[3], qkv.Shape[4]
	require(is(qkv, b, t, 3, nh, hs) && is(dqkv, b, t, 3, nh, hs), op+badShape)
	require(is(out, b, t, nh, hs) && is(dout, b, t, nh, hs) && is(lse, b, nh, t) && is(scratch, b, nh, t), op+badShape)
	require(isFloat(qkv) && typed(qkv.DType(), dqkv, dout, out) && typed(StatsOf(qkv.DType()), scratch, lse), op+badType)
	require(apart(dqkv, scratch, dout, out, lse, qkv) && apart(scratch, dout, out, lse, qkv), op+badOverlap)
}

// CheckAttentionExtendForward checks the operands of Ops.AttentionExtendForward.
func CheckAttentionExtendForward(out, lse, qkv, kv Tensor) {
	const op = "kernels: AttentionExtendForward: "
	require(len(qkv.Shape) == 5 && len(kv.Shape) == 5, op+badRank)
	b, t, u, nh, hs := qkv.Shape[0], qkv.Shape[1], kv.Shape[1], qkv.Shape[3], qkv.Shape[4]
	require(is(qkv, b, t, 3, nh, hs) && is(kv, b, u, 2, nh, hs) && is(out, b, t, nh, hs) && is(lse, b, nh, t), op+badShape)
	require(isFloat(qkv) && typed(qkv.DType(), out, kv) && typed(StatsOf(qkv.DType()), lse), op+badType)
	require(apart(out, lse, qkv, kv) && apart(lse, qkv, kv), op+badOverlap)
}

// CheckAttentionExtendBackward checks the operands of Ops.AttentionExtendBackward.
func CheckAttentionExtendBackward(dqkv, dkv, scratch, dout, lse, qkv, kv Tensor) {
	const op = "kernels: AttentionExtendBackward: "
	require(len(qkv.Shape) == 5 && len(kv.Shape) == 5, op+badRank)
	b, t, u, nh, hs := qkv.Shape[0], qkv.Shape[1], kv.Shape[1], qkv.Shape[3], qkv.Shape[4]
	require(is(qkv, b, t, 3, nh, hs) && is(dqkv, b, t, 3, nh, hs) && is(kv, b, u, 2, nh, hs) && is(dkv, b, u, 2, nh, hs), op+badShape)
	require(is(dout, b, t, nh, hs) && is(lse, b, nh, t) && is(scratch, b, nh, t), op+badShape)
	require(isFloat(qkv) && typed(qkv.DType(), dqkv, dkv, dout, kv) && typed(StatsOf(qkv.DType()), scratch, lse), op+badType)
	require(apart(dqkv, dkv, scratch, dout, lse, qkv, kv) && apart(dkv, scratch, dout, lse, qkv, kv), op+badOverlap)
}

// CheckAdd checks the operands of Ops.Add.
func CheckAdd(out, x, bias, residual Tensor) {
	const op = "kernels: Add: "
	n, c := matrix(x, op+badRank)
	require(isMatrix(out, n, c), op+badShape)
	require(bias.None() || hasSize(c, bias), op+badShape)
	require(residual.None() || isMatrix(residual, n, c), op+badShape)
	require(isFloat(x) && typed(x.DType(), out, bias, residual), op+badType)
	require(apart(out, bias) && apartOrSame(out, x) && apartOrSame(out, residual), op+badOverlap)
}

// CheckMSE checks the operands of Ops.MSE.
func CheckMSE(loss, dx, x, target Tensor, n int, state Tensor) {
	const op = "kernels: MSE: "
	require(!x.None() && hasSize(x.Size(), target) && hasSize(1, loss) && hasSize(StateLen, state), op+badShape)
	require(dx.None() || hasSize(x.Size(), dx), op+badShape)
	require(n > 0, op+badCount)
	require(isFloat(x) && typed(x.DType(), dx, target) && typed(StatsOf(x.DType()), loss, state), op+badType)
	require(apart(dx, loss, x, target, state) && apart(loss, x, target, state), op+badOverlap)
}

// CheckCrossEntropy checks the operands of Ops.CrossEntropy.
func CheckCrossEntropy(loss, dlogits, logits, targets Tensor, n int, state Tensor) {
	const op = "kernels: CrossEntropy: "
	rows, v := matrix(logits, op+badRank)
	require(hasSize(rows, targets) && hasSize(1, loss) && hasSize(StateLen, state), op+badShape)
	require(dlogits.None() || isMatrix(dlogits, rows, v), op+badShape)
	require(n > 0, op+badCount)
	require(isFloat(logits) && typed(logits.DType(), dlogits) && typed(I32, targets), op+badType)
	require(typed(StatsOf(logits.DType()), loss, state), op+badType)
	require(apart(dlogits, loss, targets, state) && apartOrSame(dlogits, logits) && apart(loss, logits, targets, state), op+badOverlap)
}
