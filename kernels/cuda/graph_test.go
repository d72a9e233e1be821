package cuda

import (
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/kernels/kerneltest"
)

func captured(t *testing.T, s kernels.Stream, f func()) kernels.Graph {
	t.Helper()
	g, err := s.(kernels.GraphStream).Capture(f)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// A launch looks at its tokens as the calls would, with what the operands hold by then.
func TestGraphsCheckTokens(t *testing.T) {
	dev := simulated(t, ptxsim.Config{})
	s := kerneltest.Stream(t, dev)
	ids := kerneltest.Upload(t, dev, s, kernels.I32, []float64{0, 8}, 1, 2)
	wte, wpe := kerneltest.Alloc(t, dev, kernels.F32, 9, 4), kerneltest.Alloc(t, dev, kernels.F32, 2, 4)
	out := kerneltest.Alloc(t, dev, kernels.F32, 2, 4)
	embed := func() { s.EmbeddingForward(out, ids, wte, wpe) }
	embed()
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	g := captured(t, s, embed)
	for i, token := range []int32{8, 9, 3, -1} {
		s.Upload(ids, tensor.New(tensor.WithShape(2), tensor.WithBacking([]int32{token, 1})))
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		g.Launch()
		if err := s.Sync(); (err != nil) != (token < 0 || token > 8) {
			t.Errorf("launch %d, of token %d: %v", i, token, err)
		}
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// A call that needs a larger workspace than the graph's leaves that to the graph.
func TestGraphsKeepTheirWorkspace(t *testing.T) {
	dev := simulated(t, ptxsim.Config{})
	s := kerneltest.Stream(t, dev)
	product := func(n int) (out kernels.Tensor, run func()) {
		w := kernels.Weight{Layout: kernels.Layout{Format: kernels.Dense}, OC: 8, C: 8, Values: kerneltest.Alloc(t, dev, kernels.BF16, 64), Math: kernels.FP8}
		x := kerneltest.Alloc(t, dev, kernels.BF16, n, 8)
		out = kerneltest.Alloc(t, dev, kernels.BF16, n, 8)
		s.Fill(w.Values, 0.5)
		s.Fill(x, 2)
		return out, func() { s.LinearForward(out, x, w, kernels.Epilogue{}) }
	}
	small, run := product(1)
	_, runLarge := product(1000)
	run()
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	g := captured(t, s, run)
	runLarge()
	s.Fill(small, 0)
	g.Launch()
	got, err := download(s, small)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if v != 8 {
			t.Errorf("element %d is %g, want 8", i, v)
		}
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// What cannot be captured is said, and the stream goes on as if nothing had been.
func TestWhatCannotBeCapturedIsSaid(t *testing.T) {
	dev := simulated(t, ptxsim.Config{})
	s := kerneltest.Stream(t, dev)
	x := kerneltest.Alloc(t, dev, kernels.F32, 4)
	ints, two := kerneltest.Alloc(t, dev, kernels.I32, 2, 2), kerneltest.Alloc(t, dev, kernels.I32, 2)
	s.Fill(x, 1)
	host := tensor.New(tensor.WithShape(4), tensor.WithBacking(make([]float64, 4)))
	e := recorded(t, dev, s)
	for want, f := range map[string]func(){
		"not permitted while":         func() { s.Upload(x, host) },
		"work outside of the capture": func() { s.Wait(e) },
		"sums of int32":               func() { s.(kernels.PeerStream).SumParts(two, ints) },
	} {
		if _, err := s.(kernels.GraphStream).Capture(f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if got, err := download(s, x); err != nil || got[3] != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func recorded(t *testing.T, dev kernels.Device, s kernels.Stream) kernels.Event {
	t.Helper()
	e, err := dev.NewEvent()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	s.Record(e)
	return e
}

// A graph does not go on with what the library made of a 2:4 weight that has changed since.
func TestGraphsKnowTheirCompressedWeights(t *testing.T) {
	dev := simulated(t, ptxsim.Config{SparseProducts: true})
	if _, err := dev.SparseLibrary(); err != nil {
		t.Fatal(err)
	}
	s := kerneltest.Stream(t, dev)
	dense := kerneltest.Alloc(t, dev, kernels.F32, 16, 16)
	w := kernels.Weight{Layout: kernels.Layout{Format: kernels.Sparse24}, OC: 16, C: 16, Values: kerneltest.Alloc(t, dev, kernels.BF16, 128), Meta: kerneltest.Alloc(t, dev, kernels.U8, 32)}
	x, out := kerneltest.Alloc(t, dev, kernels.BF16, 8, 16), kerneltest.Alloc(t, dev, kernels.BF16, 8, 16)
	s.Fill(x, 1)
	encode := func(v float64) { s.Fill(dense, v); s.Encode(w, dense) }
	multiply := func() { s.LinearForward(out, x, w, kernels.Epilogue{}) }
	expect := func(what string, want float64) {
		t.Helper()
		if got, err := download(s, out); err != nil || got[0] != want {
			t.Errorf("%s: %v, %v; want %g", what, got, err, want)
		}
	}
	encode(1)
	multiply()
	expect("as it was", 8)
	g := captured(t, s, multiply)
	g.Launch()
	expect("launched", 8)
	encode(2)
	g.Launch()
	if err := s.Sync(); err == nil || !strings.Contains(err.Error(), "a 2:4 weight has changed") {
		t.Errorf("got %v", err)
	}
	multiply()
	expect("changed", 16)
	if _, err := s.(kernels.GraphStream).Capture(func() { multiply(); encode(3) }); err == nil || !strings.Contains(err.Error(), "calls change a 2:4 weight") {
		t.Errorf("got %v", err)
	}
	encode(4)
	both := captured(t, s, func() { multiply(); encode(5) })
	both.Launch()
	expect("before it is changed", 32)
	both.Launch()
	expect("after", 40)
	for _, g := range []kernels.Graph{g, both} {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What a graph compresses, and what weights it changes, counts for calls outside of it only as far as they look anew: whether it was launched or not.
func TestGraphsThatChangeWeightsLeaveNothingStale(t *testing.T) {
	const n, oc, c = 8, 16, 16
	dev := simulated(t, ptxsim.Config{SparseProducts: true})
	s := kerneltest.Stream(t, dev)
	w := kernels.Weight{Layout: kernels.Layout{Format: kernels.Sparse24}, OC: oc, C: c, Values: kerneltest.Alloc(t, dev, kernels.F16, oc*c/2), Meta: kerneltest.Alloc(t, dev, kernels.U8, oc*c/8)}
	dense := make([]float64, oc*c)
	for i := range dense {
		dense[i] = float64(i%5) - 2
	}
	x, next := kerneltest.Upload(t, dev, s, kernels.F16, dense[:n*c], n, c), kerneltest.Alloc(t, dev, kernels.F16, oc*c/2)
	inside, outside := kerneltest.Alloc(t, dev, kernels.F16, n, oc), kerneltest.Alloc(t, dev, kernels.F16, n, oc)
	s.Encode(w, kerneltest.Upload(t, dev, s, kernels.F32, dense, oc, c))
	s.Fill(next, 3)
	// forward are the results of the library and of our own kernel.
	forward := func() (library, own []float64) {
		s.LinearForward(outside, x, w, kernels.Epilogue{})
		library = kerneltest.Read(t, s, outside)
		for _, variant := range []string{"mma", ""} {
			if err := dev.Select(kernels.OpLinear, variant); err != nil {
				t.Fatal(err)
			}
			if variant == "mma" {
				s.LinearForward(outside, x, w, kernels.Epilogue{})
				own = kerneltest.Read(t, s, outside)
			}
		}
		return library, own
	}
	same := func(when string) {
		t.Helper()
		if library, own := forward(); !slices.Equal(library, own) {
			t.Errorf("%s: the library has %v, our kernel %v", when, library[:4], own[:4])
		}
	}
	same("at first") // which makes room for the compressed form
	s.Encode(w, kerneltest.Upload(t, dev, s, kernels.F32, dense, oc, c))
	g := captured(t, s, func() {
		s.LinearForward(inside, x, w, kernels.Epilogue{})
		s.Copy(w.Values, next)
	})
	same("captured, not launched")
	for i := range 3 {
		s.Fill(w.Values, float64(i))
		_, want := forward()
		g.Launch()
		if got := kerneltest.Read(t, s, inside); !slices.Equal(got, want) {
			t.Errorf("launch %d has %v, not %v", i, got[:4], want[:4])
		}
		same("launched")
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}
