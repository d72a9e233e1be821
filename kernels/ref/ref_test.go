package ref

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
)

var (
	_ kernels.Device     = (*Device)(nil)
	_ kernels.HostStream = (*stream)(nil)
	_ kernels.HostBuffer = (*buffer)(nil)
)

func TestAllocCounts(t *testing.T) {
	d := New()
	d.LimitMemory(100)
	a, err := d.Alloc(kernels.F32, 20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Alloc(kernels.U8, 21); !errors.Is(err, kernels.ErrOutOfMemory) {
		t.Errorf("over the limit: %v", err)
	}
	if d.Close() == nil {
		t.Error("Close did not report a leak")
	}
	a.Free()
	if m := d.Memory(); m.Current != 0 || m.Peak != 80 {
		t.Errorf("counted %+v", m)
	}
	d.ResetPeak()
	if d.Memory().Peak != 0 || d.Close() != nil {
		t.Error("not empty after Free")
	}
}

func TestTokenOutsideVocabularyIsReported(t *testing.T) {
	d := New()
	s, _ := d.NewStream()
	of := func(ty kernels.DType, shape ...int) kernels.Tensor {
		n := 1
		for _, e := range shape {
			n *= e
		}
		b, err := d.Alloc(ty, n)
		if err != nil {
			t.Fatal(err)
		}
		return kernels.Of(b, shape...)
	}
	ids := of(kernels.I32, 1, 2)
	s.Upload(ids, tensor.New(tensor.WithBacking([]int32{3, 4})))
	s.EmbeddingForward(of(kernels.F64, 2, 3), ids, of(kernels.F64, 4, 3), of(kernels.F64, 2, 3))
	if err := s.Sync(); err == nil || !strings.Contains(err.Error(), "token 4 outside a vocabulary of 4") {
		t.Errorf("got %v", err)
	}
	if err := s.Sync(); err != nil {
		t.Errorf("reported twice: %v", err)
	}
}

// A float64 just beside the midpoint of two halves would round to the wrong one by way of float32.
func TestWriteRoundsOnce(t *testing.T) {
	d := New()
	for _, c := range []struct {
		t       kernels.DType
		v, want float64
	}{
		{kernels.BF16, 1 + 0x1p-8, 1},
		{kernels.BF16, 1 + 0x1p-8 + 0x1p-50, 1 + 0x1p-7},
		{kernels.BF16, -(1 + 3*0x1p-8 - 0x1p-50), -(1 + 0x1p-7)},
		{kernels.F16, 1 + 0x1p-11 + 0x1p-50, 1 + 0x1p-10},
		{kernels.F16, 65519.99999999, 65504},
		{kernels.F16, 65520, math.Inf(1)},
		{kernels.BF16, math.MaxFloat64, math.Inf(1)},
		{kernels.F16, 0x1p-25 + 0x1p-70, 0x1p-24},
		{kernels.F32, 0x1p-200, 0},
	} {
		b, _ := d.Alloc(c.t, 1)
		x := kernels.Of(b, 1)
		write(x, []float64{c.v})
		if got := read(x)[0]; got != c.want {
			t.Errorf("%g as %s: got %g, want %g", c.v, c.t, got, c.want)
		}
	}
}

func TestEncodeChoosesByMagnitude(t *testing.T) {
	d := New()
	of := func(ty kernels.DType, n int) kernels.Tensor {
		b, _ := d.Alloc(ty, n)
		return kernels.Of(b, n)
	}
	s, _ := d.NewStream()
	dense := of(kernels.F64, 16).Reshape(2, 8)
	values := []float64{1, -4, 3, 2, 5, 5, 5, 5, 0, 0, 0, 0, -1, 2, -3, -4}
	s.Upload(dense, tensor.New(tensor.WithBacking(values)))

	pairs := kernels.Weight{Layout: kernels.Layout{Format: kernels.Sparse24}, OC: 2, C: 8, Values: of(kernels.F64, 8), Meta: of(kernels.U8, 2)}
	s.Encode(pairs, dense)
	// Kept positions: 1,2 | 0,1 (ties) and 0,1 (ties) | 2,3.
	if m := ints[uint8](pairs.Meta); m[0] != 0b0100_1001 || m[1] != 0b1110_0100 {
		t.Errorf("meta %08b", m)
	}
	check(t, "pairs", read(pairs.Values), []float64{-4, 3, 5, 5, 0, 0, -3, -4})
	check(t, "decoded pairs", decode(pairs), []float64{0, -4, 3, 0, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0, -3, -4})

	blocks := kernels.Weight{Layout: kernels.Layout{Format: kernels.BlockSparse, Block: 2, Keep: 0.5}, OC: 2, C: 8, Values: of(kernels.F64, 8), Meta: of(kernels.I32, 2)}
	s.Encode(blocks, dense) // squared norms 17, 13, 55, 75
	if m := ints[int32](blocks.Meta); m[0] != 2 || m[1] != 3 {
		t.Errorf("blocks %v", m)
	}
	check(t, "blocks", read(blocks.Values), []float64{5, 5, -1, 2, 5, 5, -3, -4})

	int8s := kernels.Weight{Layout: kernels.Layout{Format: kernels.Int8}, OC: 2, C: 8, Values: of(kernels.I8, 16), Scale: of(kernels.F64, 2)}
	s.Fill(dense.Slice(1, 2), 0)
	s.Encode(int8s, dense)
	check(t, "scales", read(int8s.Scale), []float64{5.0 / 127, 0})
	if q := ints[int8](int8s.Values); q[0] != 25 || q[1] != -102 || q[4] != 127 || q[8] != 0 {
		t.Errorf("quantized %v", q)
	}
}

func check(t *testing.T, name string, got, want []float64) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s: got %v, want %v", name, got, want)
			return
		}
	}
}

func TestGELUFarFromZero(t *testing.T) {
	for _, c := range []struct{ x, value, slope float64 }{
		{0, 0, 0.5},
		{40, 40, 1},
		{1e200, 1e200, 1},
		{-1e200, 0, 0},
		{-40, 0, 0}, // below the smallest number
		// The formula and its derivative in 60 decimal digits.
		{-9.791359901428223, -1.304891174599937e-35, -2.8728683700594172e-34},
	} {
		if got := gelu(c.x); !(math.Abs(got-c.value) <= 1e-12*math.Abs(c.value)) {
			t.Errorf("gelu(%g) is %g, want %g", c.x, got, c.value)
		}
		if got := geluGrad(c.x); !(math.Abs(got-c.slope) <= 1e-12*math.Abs(c.slope)) {
			t.Errorf("gelu'(%g) is %g, want %g", c.x, got, c.slope)
		}
	}
}
