package cuda

import (
	"errors"
	"slices"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/kernels/kerneltest"
	"ofpeak/kernels/verify"
)

// sparseCalls counts what the library did.
type sparseCalls struct {
	driver.SparseProducts
	compressed, multiplied int
}

func (c *sparseCalls) Compress(s driver.Stream, p driver.SparseProduct, dense driver.Ptr) error {
	c.compressed++
	return c.SparseProducts.Compress(s, p, dense)
}

func (c *sparseCalls) Multiply(s driver.Stream, p driver.SparseProduct) error {
	c.multiplied++
	return c.SparseProducts.Multiply(s, p)
}

func withSparseLibrary(t *testing.T, seed uint64) (*Device, *sparseCalls) {
	dev := simulated(t, ptxsim.Config{Seed: seed, SparseProducts: true})
	if name, err := dev.SparseLibrary(); err != nil || name == "" {
		t.Fatalf("library %q, %v", name, err)
	}
	calls := &sparseCalls{SparseProducts: dev.sparse}
	dev.sparse = calls
	return dev, calls
}

// Products of the library agree with the reference, and what it does not take goes to our kernels.
func TestSparseLibraryProducts(t *testing.T) {
	dev, calls := withSparseLibrary(t, 4)
	for _, c := range verify.Cases(5) {
		if c.Op != kernels.OpLinear || c.Layout.Format != kernels.Sparse24 || c.Type == kernels.F64 {
			continue
		}
		if _, err := c.Run(dev); err != nil {
			t.Error(err)
		}
	}
	if calls.multiplied < 10 || calls.compressed == 0 {
		t.Errorf("the library compressed %d weights and did %d products", calls.compressed, calls.multiplied)
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
}

// The library's products take the same ways through several tiles' worth of rows, with and without GELU, in both types.
func TestSparseLibraryProductsOverManyTiles(t *testing.T) {
	pairs := kernels.Layout{Format: kernels.Sparse24}
	for i, dt := range []kernels.DType{kernels.BF16, kernels.F16} {
		productsAgree(t, ptxsim.Config{Seed: uint64(i), SparseProducts: true}, dt, pairs, 136, 272, 160)
	}
}

// A weight is compressed once for each time that it changes, whatever changes it, and on each stream.
func TestAWeightThatChangesIsCompressedAgain(t *testing.T) {
	const n, oc, c = 8, 16, 32
	dev, calls := withSparseLibrary(t, 2)
	s, other := kerneltest.Stream(t, dev).(*stream), kerneltest.Stream(t, dev).(*stream)
	dense := func(from int) []float64 {
		v := make([]float64, oc*c)
		for i := range v {
			v[i] = float64((from+7*i)%11 - 5)
		}
		return v
	}
	layout := kernels.Layout{Format: kernels.Sparse24}
	values := layout.ValueLen(oc, c)
	metas, _ := layout.MetaLen(oc, c)
	w := kernels.Weight{Layout: layout, OC: oc, C: c, Values: kerneltest.Alloc(t, dev, kernels.F16, values), Meta: kerneltest.Alloc(t, dev, kernels.U8, metas)}
	x, out := kerneltest.Upload(t, dev, s, kernels.F16, dense(3)[:n*c], n, c), kerneltest.Alloc(t, dev, kernels.F16, n, oc)
	source := func(from int) kernels.Tensor { return kerneltest.Upload(t, dev, s, kernels.F32, dense(from), oc, c) }
	stored := kerneltest.Upload(t, dev, s, kernels.F16, dense(8)[:values], values)
	master := kerneltest.Upload(t, dev, s, kernels.F32, dense(9)[:values], values)
	moments := [3]kernels.Tensor{}
	for i := range moments {
		moments[i] = kerneltest.Upload(t, dev, s, kernels.F32, dense(i)[:values], values)
	}
	s.Fill(moments[2], 1)
	state := kerneltest.Upload(t, dev, s, kernels.F32, []float64{kernels.StateScale: 1, kernels.StateSteps: 1, kernels.StateLen - 1: 0}, kernels.StateLen)
	forward := func(on *stream) []float64 {
		on.LinearForward(out, x, w, kernels.Epilogue{})
		return kerneltest.Read(t, on, out)
	}
	for _, change := range []struct {
		name string
		do   func()
	}{
		{"Encode", func() { s.Encode(w, source(1)) }},
		{"Upload", func() { s.Upload(w.Values, verify.Dense(kernels.F16, dense(2)[:values])) }},
		{"Copy", func() { s.Copy(w.Values, stored) }},
		{"CopyFrom", func() { s.Fill(stored, 2); s.CopyFrom(w.Values, stored) }},
		{"Cast", func() { s.Cast(w.Values, master) }},
		{"Fill", func() { s.Fill(w.Values, 1) }},
		{"a part of it", func() { s.Fill(w.Values.At(values-1, 1), 3) }},
		{"Add", func() { s.Add(w.Values, stored, kernels.Tensor{}, kernels.Tensor{}) }},
		{"SumParts", func() { s.SumParts(w.Values, kernels.Of(stored.Buf, 1, values)) }},
		{"CopyColumns", func() {
			s.Fill(stored, 4)
			s.CopyColumns(kernels.Of(w.Values.Buf, values/8, 8), kernels.Of(stored.Buf, values/8, 8), 2, 4, 3)
		}},
		{"AdamW", func() {
			s.AdamW(kernels.AdamWArgs{Param: w.Values, Master: master, Grad: moments[0], M: moments[1], V: moments[2], State: state, LR: 1, Beta1: 0.5, Beta2: 0.5, Eps: 1})
		}},
		{"a library of collectives", func() {
			s.Fill(stored, 5)
			_, below := s.Below()
			s.fail(below.Copy(s.Address(w.Values), s.Address(stored), int64(2*values)))
		}},
	} {
		change.do()
		before := calls.compressed
		got := forward(s)
		if again := forward(s); !slices.Equal(got, again) || calls.compressed != before+1 {
			t.Errorf("%s: the weight was compressed %d times for two products", change.name, calls.compressed-before)
		}
		if elsewhere := forward(other); !slices.Equal(got, elsewhere) {
			t.Errorf("%s: another stream has %v, not %v", change.name, elsewhere, got)
		}
		if err := dev.Select(kernels.OpLinear, "mma"); err != nil {
			t.Fatal(err)
		}
		if own := forward(s); !slices.Equal(got, own) { // small integers: exact, but for the sums of AdamW's
			kerneltest.Near(t, change.name, got, own, kernels.F16.Eps())
		}
		if err := dev.Select(kernels.OpLinear, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// A weight that is freed takes its compressed form along.
func TestAFreedWeightLeavesNothing(t *testing.T) {
	dev, _ := withSparseLibrary(t, 2)
	s := kerneltest.Stream(t, dev)
	layout := kernels.Layout{Format: kernels.Sparse24}
	x, out := kerneltest.Alloc(t, dev, kernels.BF16, 8, 16), kerneltest.Alloc(t, dev, kernels.BF16, 8, 16)
	for range 2 {
		metas, mt := layout.MetaLen(16, 16)
		values, err := dev.Alloc(kernels.BF16, layout.ValueLen(16, 16))
		if err != nil {
			t.Fatal(err)
		}
		meta, err := dev.Alloc(mt, metas)
		if err != nil {
			t.Fatal(err)
		}
		before := dev.Memory().Current
		w := kernels.Weight{Layout: layout, OC: 16, C: 16, Values: kernels.Of(values, values.Len()), Meta: kernels.Of(meta, metas)}
		s.Encode(w, kerneltest.Alloc(t, dev, kernels.F32, 16, 16))
		s.LinearForward(out, x, w, kernels.Epilogue{})
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		if dev.Memory().Current <= before {
			t.Error("the compressed form is not counted")
		}
		values.Free()
		meta.Free()
		if len(dev.compressed[s.(*stream)]) != 0 {
			t.Error("a compressed form is left")
		}
	}
}

// A library that is there and does not start fails the device; one that is not there does not.
func TestLibrariesThatDoNotStart(t *testing.T) {
	for n, want := range []error{driver.ErrNoDevice, driver.ErrNoDevice, nil} {
		sim := ptxsim.New(ptxsim.Config{Products: true, SparseProducts: true})
		sim.FailAt(3+n, driver.ErrNoDevice) // behind the context and its stream
		dev, err := Open(sim, 0)
		if !errors.Is(err, want) || want == nil && dev == nil {
			t.Errorf("failure of call %d: got %v", 3+n, err)
		}
		sim.FailAt(0, 0)
		if dev == nil {
			dev, err = Open(sim, 0) // nothing is left of the first
		}
		if err != nil || dev == nil {
			t.Errorf("afterwards: %v", err)
			continue
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}
}
