package kernels

import (
	"strings"
	"testing"
)

// fake is memory that only has a type and a length.
type fake struct {
	t DType
	n int
}

func (f *fake) DType() DType { return f.t }
func (f *fake) Len() int     { return f.n }
func (f *fake) Free()        {}

func made(t DType, shape ...int) Tensor { return Of(&fake{t, sizeOf(shape)}, shape...) }

func dense(t DType, oc, c int) Weight { return Weight{OC: oc, C: c, Values: made(t, oc, c)} }

func TestChecksAcceptRightCalls(t *testing.T) {
	x, out, w := made(BF16, 2, 3, 8), made(BF16, 6, 16), dense(BF16, 16, 8)
	sparse := Weight{Layout: Layout{Format: Sparse24}, OC: 16, C: 8, Values: made(F32, 16, 4), Meta: made(U8, 16, 1)}
	int8s := Weight{Layout: Layout{Format: Int8}, OC: 16, C: 8, Values: made(I8, 16, 8), Scale: made(F32, 16)}
	epilogue := Epilogue{Bias: made(BF16, 16), Act: GELU, Aux: made(BF16, 6, 16), Residual: out}
	stats, gain, dgain := made(F32, 6), made(BF16, 8), made(F32, 8)
	calls := func() {
		CheckLinearForward(out, x, w, epilogue)
		CheckLinearForward(out, x, int8s, Epilogue{})
		CheckLinearBackwardWeight(sparse, Tensor{}, out, x)
		CheckLayerNormBackward(x, dgain, made(F32, 8), made(BF16, 6, 8), made(BF16, 6, 8), stats, made(F32, 6), gain, x)
		CheckAdd(out, out, Tensor{}, out)
		CheckDecode(made(F32, 16, 8), int8s)
		CheckCast(made(E4M3, 96), made(E5M2, 96))
		eight := w
		eight.Math = FP8
		CheckLinearForward(out, x, eight, epilogue)
	}
	calls()
	if n := testing.AllocsPerRun(10, func() { CheckLinearForward(out, x, w, epilogue) }); n != 0 {
		t.Errorf("a check allocates %v times", n)
	}
}

func TestChecksRejectWrongCalls(t *testing.T) {
	x, out, w := made(F32, 6, 8), made(F32, 6, 16), dense(F32, 16, 8)
	both := &fake{F32, 200}
	for _, c := range []struct {
		name, message string
		call          func()
	}{
		{"absent", badRank, func() { CheckLinearForward(out, Tensor{}, w, Epilogue{}) }},
		{"absent output", badShape, func() { CheckLinearForward(Tensor{}, x, w, Epilogue{}) }},
		{"columns", badShape, func() { CheckLinearForward(out, made(F32, 6, 7), w, Epilogue{}) }},
		{"rows", badShape, func() { CheckLinearForward(made(F32, 5, 16), x, w, Epilogue{}) }},
		{"type of x", badType, func() { CheckLinearForward(out, made(BF16, 6, 8), w, Epilogue{}) }},
		{"type of weight", badWeight, func() { CheckLinearForward(out, x, dense(BF16, 16, 8), Epilogue{}) }},
		{"GELU without Aux", badAct, func() { CheckLinearForward(out, x, w, Epilogue{Act: GELU}) }},
		{"Aux without GELU", badAct, func() { CheckLinearForward(out, x, w, Epilogue{Aux: made(F32, 6, 16)}) }},
		{"overlap", badOverlap, func() { CheckLinearForward(Of(both, 6, 16), Tensor{both, 90, []int{6, 8}}, w, Epilogue{}) }},
		{"shifted residual", badOverlap, func() { CheckAdd(Of(both, 6, 16), out, Tensor{}, Tensor{both, 1, []int{6, 16}}) }},
		{"int8 backward", "no backward", func() {
			CheckLinearBackwardInput(x, out, Weight{Layout: Layout{Format: Int8}, OC: 16, C: 8, Values: made(I8, 16, 8)}, Epilogue{})
		}},
		{"gradient in half", badWeight, func() { CheckLinearBackwardWeight(dense(BF16, 16, 8), Tensor{}, made(BF16, 6, 16), made(BF16, 6, 8)) }},
		{"fp8 of float32 factors", badMath, func() {
			w := dense(F32, 16, 8)
			w.Math = FP8
			CheckLinearForward(out, x, w, Epilogue{})
		}},
		{"tf32 of bfloat16 factors", badMath, func() {
			w := dense(BF16, 16, 8)
			w.Math = TF32
			CheckLinearForward(made(BF16, 6, 16), made(BF16, 6, 8), w, Epilogue{})
		}},
		{"fp8 of 2:4 weights", badMath, func() {
			w := Weight{Layout: Layout{Format: Sparse24}, OC: 16, C: 8, Values: made(BF16, 16, 4), Meta: made(U8, 16, 1), Math: FP8}
			CheckLinearForward(made(BF16, 6, 16), made(BF16, 6, 8), w, Epilogue{})
		}},
		{"rank of qkv", badRank, func() { CheckAttentionForward(out, x, made(F32, 2, 3, 24)) }},
		{"count", badCount, func() { CheckMSE(made(F32, 1), out, made(F32, 6, 16), made(F32, 6, 16), 0, made(F32, StateLen)) }},
		{"cast of integers", badType, func() { CheckCast(out, made(I32, 96)) }},
		{"empty sum", badShape, func() { CheckSum(out, nil) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if m, _ := recover().(string); !strings.Contains(m, c.message) || !strings.HasPrefix(m, "kernels: ") {
					t.Errorf("panic %q, want %q", m, c.message)
				}
			}()
			c.call()
		})
	}
}
