package kernels

// CheckAdamW checks the operands of Ops.AdamW.
func CheckAdamW(a AdamWArgs) {
	const op = "kernels: AdamW: "
	require(!a.Master.None(), op+badShape)
	n, t := a.Master.Size(), a.Master.DType()
	require(hasSize(n, a.Grad, a.M, a.V) && hasSize(StateLen, a.State), op+badShape)
	require(a.Param.None() || hasSize(n, a.Param) && isFloat(a.Param) && StatsOf(a.Param.DType()) == t, op+badType)
	require(isStats(t) && typed(t, a.Grad, a.M, a.V, a.State), op+badType)
	require(apart(a.Param, a.Master, a.Grad, a.M, a.V, a.State) && apart(a.Master, a.Grad, a.M, a.V, a.State), op+badOverlap)
	require(apart(a.M, a.Grad, a.V, a.State) && apart(a.V, a.Grad, a.State), op+badOverlap)
}

// CheckFindNonFinite checks the operands of Ops.FindNonFinite.
func CheckFindNonFinite(state, x Tensor) {
	const op = "kernels: FindNonFinite: "
	require(!x.None() && hasSize(StateLen, state), op+badShape)
	require(isFloat(x) && typed(StatsOf(x.DType()), state), op+badType)
	require(apart(state, x), op+badOverlap)
}

// CheckUpdateScale checks the operand of Ops.UpdateScale.
func CheckUpdateScale(state Tensor) {
	const op = "kernels: UpdateScale: "
	require(hasSize(StateLen, state), op+badShape)
	require(isStats(state.DType()), op+badType)
}

// CheckEncode checks the operands of Ops.Encode.
func CheckEncode(w Weight, dense Tensor) {
	const op = "kernels: Encode: "
	require(isMatrix(dense, w.OC, w.C), op+badShape)
	t := decodedType(w, op+badWeight)
	require(dense.DType() == StatsOf(t), op+badType)
	checkWeight(w, t, op+badWeight)
	require(apart(dense, w.Values, w.Meta, w.Scale), op+badOverlap)
}

// CheckDecode checks the operands of Ops.Decode.
func CheckDecode(dense Tensor, w Weight) {
	const op = "kernels: Decode: "
	require(isMatrix(dense, w.OC, w.C), op+badShape)
	require(isFloat(dense), op+badType)
	checkWeight(w, decodedType(w, op+badWeight), op+badWeight)
	require(apart(dense, w.Values, w.Meta, w.Scale), op+badOverlap)
}

// CheckCast checks the operands of Ops.Cast.
func CheckCast(dst, src Tensor) {
	const op = "kernels: Cast: "
	require(!src.None() && hasSize(src.Size(), dst), op+badShape)
	require(castable(src) && castable(dst), op+badType)
	require(apart(dst, src), op+badOverlap)
}

// CheckFill checks the operand of Ops.Fill.
func CheckFill(dst Tensor) { require(!dst.None(), "kernels: Fill: "+badShape) }

// CheckCopy checks the operands of Ops.Copy.
func CheckCopy(dst, src Tensor) {
	const op = "kernels: Copy: "
	require(!src.None() && hasSize(src.Size(), dst), op+badShape)
	require(typed(src.DType(), dst), op+badType)
	require(apart(dst, src), op+badOverlap)
}

// CheckCopyColumns checks the operands of Ops.CopyColumns.
func CheckCopyColumns(dst, src Tensor, to, from, n int) {
	const op = "kernels: CopyColumns: "
	rows, c := matrix(src, op+badRank)
	require(!dst.None() && len(dst.Shape) > 1 && dst.Rows() == rows, op+badShape)
	require(n > 0 && from >= 0 && from+n <= c && to >= 0 && to+n <= dst.Dim(-1), op+badColumns)
	require(isFloat(src) && typed(src.DType(), dst), op+badType)
	require(apart(dst, src), op+badOverlap)
}

// CheckSumParts checks the operands of PeerStream.SumParts.
func CheckSumParts(dst, parts Tensor) {
	const op = "kernels: SumParts: "
	require(len(parts.Shape) == 2 && parts.Dim(0) > 0 && !dst.None() && dst.Size() == parts.Dim(1), op+badShape)
	require(typed(parts.DType(), dst), op+badType)
	require(apart(dst, parts), op+badOverlap)
}

// CheckSum checks the operands of HostStream.Sum.
func CheckSum(dst Tensor, srcs []Tensor) {
	const op = "kernels: Sum: "
	require(!dst.None() && len(srcs) > 0, op+badShape)
	require(isFloat(dst) && typed(dst.DType(), srcs...), op+badType)
	for _, s := range srcs {
		require(hasSize(dst.Size(), s), op+badShape)
		require(apartOrSame(dst, s), op+badOverlap)
	}
}

const (
	badRank    = "an operand is absent or of the wrong rank"
	badShape   = "shapes do not fit"
	badType    = "types do not fit"
	badWeight  = "the weight's parts do not fit its layout"
	badMath    = "products round float32 factors to tf32 and, of dense weights, bfloat16 ones to fp8, and no others"
	badAct     = "an activation needs Aux of the output's shape, and nothing else has one"
	badCount   = "the element count must be positive"
	badRouting = "the routing's parts do not fit each other"
	badColumns = "the columns do not lie in both matrices"
	badOverlap = "an output overlaps another operand"
)

func require(ok bool, message string) {
	if !ok {
		panic(message)
	}
}

// checkWeight checks the parts of a weight whose products, or whose dense matrix, have type t.
func checkWeight(w Weight, t DType, message string) {
	require(w.OC > 0 && w.C > 0 && w.Layout.Check(w.OC, w.C) == nil, message)
	require(hasSize(w.ValueLen(w.OC, w.C), w.Values), message)
	if n, meta := w.MetaLen(w.OC, w.C); n > 0 {
		require(hasSize(n, w.Meta) && typed(meta, w.Meta), message)
	}
	if w.Format == Int8 {
		require(hasSize(w.OC, w.Scale) && typed(StatsOf(t), w.Scale) && typed(I8, w.Values), message)
		return
	}
	require(typed(t, w.Values), message)
}

// checkMath checks what a product of operands of type t rounds them to. The reference has them in float64.
func checkMath(w Weight, t DType, message string) {
	tf32, fp8 := w.Math == TF32 && (t == F32 || t == F64), w.Math == FP8 && (t == BF16 || t == F64) && w.Format == Dense
	require(w.Math == 0 || tf32 || fp8, message)
}

// decodedType is the float type of a weight's values, or for 8-bit values of their scales.
func decodedType(w Weight, message string) DType {
	t := w.Values
	if w.Format == Int8 {
		t = w.Scale
	}
	require(!t.None(), message)
	return t.DType()
}

// checkAct checks an epilogue's activation over a result of n by c.
func checkAct(e Epilogue, n, c int, message string) {
	require(e.Act <= GELU, message)
	require(e.Aux.None() == (e.Act == NoAct), message)
	require(e.Aux.None() || isMatrix(e.Aux, n, c), message)
}

// matrix gives a matrix's rows and columns.
func matrix(t Tensor, message string) (n, c int) {
	require(!t.None() && len(t.Shape) > 0, message)
	return t.Rows(), t.Dim(-1)
}

// is tells whether an operand is there with this very shape.
func is(t Tensor, shape ...int) bool {
	if t.None() || len(t.Shape) != len(shape) {
		return false
	}
	for i, d := range shape {
		if t.Shape[i] != d {
			return false
		}
	}
	return true
}

func isMatrix(t Tensor, n, c int) bool {
	return !t.None() && len(t.Shape) > 0 && t.Rows() == n && t.Dim(-1) == c
}

// hasSize tells whether all operands are there with n elements each.
func hasSize(n int, ts ...Tensor) bool {
	for _, t := range ts {
		if t.None() || t.Size() != n {
			return false
		}
	}
	return true
}

// typed tells whether all operands that are there have type d.
func typed(d DType, ts ...Tensor) bool {
	for _, t := range ts {
		if !t.None() && t.DType() != d {
			return false
		}
	}
	return true
}

func isFloat(t Tensor) bool { return t.DType() <= BF16 }

// castable tells whether a tensor's type is one that Cast rounds to.
func castable(t Tensor) bool { return isFloat(t) || t.DType() == E4M3 || t.DType() == E5M2 }

func isStats(d DType) bool { return d == F32 || d == F64 }

// apart tells whether a shares no memory with any of ts.
func apart(a Tensor, ts ...Tensor) bool {
	for _, t := range ts {
		if !a.None() && a.Buf == t.Buf && a.Off < t.Off+t.Size() && t.Off < a.Off+a.Size() {
			return false
		}
	}
	return true
}

// apartOrSame tells whether a and b share no memory or are the very same memory.
func apartOrSame(a, b Tensor) bool { return apart(a, b) || a.Off == b.Off && a.Size() == b.Size() }
