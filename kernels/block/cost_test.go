package block_test

import (
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/ref"
)

func precision(t testing.TB, name string) kernels.Precision {
	p, ok := kernels.PrecisionNamed(name)
	if !ok {
		t.Fatalf("no precision %q", name)
	}
	return p
}

// C=8, NH=2, T=3, B=2: N=6 tokens, 12·C² = 768 weights in the four matrices, 2·3·4/2 = 12 pairs, so 2·12·8 = 192 FLOPs for one attention product.
func TestWorkByHand(t *testing.T) {
	sparse := kernels.Layout{Format: kernels.Sparse24}
	half := kernels.Layout{Format: kernels.BlockSparse, Block: 4, Keep: 0.5}
	four := block.Experts{Count: 4, TopK: 1, Capacity: 1}
	type counts struct{ model, dense, executed float64 }
	for _, c := range []struct {
		name              string
		cfg               block.Config
		layer             int
		dtype             kernels.DType
		forward, backward counts
	}{
		{
			"block", block.Config{L: 1, Precision: precision(t, "fp32")}, 0, kernels.F32,
			counts{9216 + 384, 9216 + 384, 9216 + 384}, counts{18432 + 768, 18432 + 768, 18432 + 960},
		},
		{
			"2:4", block.Config{L: 1, Precision: precision(t, "bf16"), Layout: sparse}, 0, kernels.BF16,
			counts{4608 + 384, 9216 + 384, 4608 + 384}, counts{9216 + 768, 18432 + 768, 9216 + 960},
		},
		{
			"half of the blocks", block.Config{L: 1, Precision: precision(t, "fp32"), Layout: half}, 0, kernels.F32,
			counts{4608 + 384, 9216 + 384, 4608 + 384}, counts{9216 + 768, 18432 + 768, 9216 + 960},
		},
		{
			"one of two tensor-parallel ranks", block.Config{L: 1, Precision: precision(t, "fp32"), TP: 2}, 0, kernels.F32,
			counts{4608 + 192, 4608 + 192, 4608 + 192}, counts{9216 + 384, 9216 + 384, 9216 + 480},
		},
		{ // again: 12·C² - 4·C² = 512 weights, 6144 FLOPs, and both products of attention
			"recompute", block.Config{L: 1, Precision: precision(t, "fp32"), Recompute: true}, 0, kernels.F32,
			counts{9216 + 384, 9216 + 384, 9216 + 384}, counts{18432 + 768, 18432 + 768, 18432 + 960 + 6144 + 384},
		},
		{ // 256 weights besides the experts' and the router's 32; 512 an expert, on 6 tokens, and on 8 rows: one for each expert and sequence
			"experts", block.Config{L: 1, Precision: precision(t, "fp32"), Experts: four}, 0, kernels.F32,
			counts{3840 + 6*1024, 3840 + 24*1024, 3840 + 8*1024}, counts{7680 + 12*1024, 7680 + 48*1024, 7872 + 16*1024},
		},
		{
			"2:4 experts", block.Config{L: 1, Precision: precision(t, "fp32"), Experts: four, Layout: sparse}, 0, kernels.F32,
			counts{2304 + 6*512, 3840 + 24*1024, 2304 + 8*512}, counts{4608 + 12*512, 7680 + 48*1024, 4800 + 16*512},
		},
		{"mse", block.Config{L: 1, Precision: precision(t, "fp32")}, 1, kernels.F32, counts{}, counts{}},
		{"embedding", block.Config{L: 1, V: 10, Precision: precision(t, "fp32")}, 0, kernels.F32, counts{}, counts{}},
		{
			"head", block.Config{L: 1, V: 10, Precision: precision(t, "fp32")}, 2, kernels.F32, // 2·6·10·8
			counts{960, 960, 960}, counts{1920, 1920, 1920},
		},
		{
			"inference", block.Config{L: 1, Precision: precision(t, "fp32"), Forward: true}, 0, kernels.F32,
			counts{9600, 9600, 9600}, counts{},
		},
		{
			"fp8 products", block.Config{L: 1, Precision: precision(t, "fp8")}, 0, kernels.FP8,
			counts{9216, 9216, 9216}, counts{18432, 18432, 18432},
		},
		{
			"fp8's attention", block.Config{L: 1, Precision: precision(t, "fp8")}, 0, kernels.BF16,
			counts{384, 384, 384}, counts{768, 768, 960},
		},
		{
			"fp8's head", block.Config{L: 1, V: 10, Precision: precision(t, "fp8")}, 2, kernels.BF16,
			counts{960, 960, 960}, counts{1920, 1920, 1920},
		},
		{
			"int8 products", block.Config{L: 1, Precision: precision(t, "int8"), Forward: true, Layout: kernels.Layout{Format: kernels.Int8}}, 0, kernels.I8,
			counts{9216, 9216, 9216}, counts{},
		},
		{
			"int8's attention", block.Config{L: 1, Precision: precision(t, "int8"), Forward: true, Layout: kernels.Layout{Format: kernels.Int8}}, 0, kernels.F32,
			counts{384, 384, 384}, counts{},
		},
	} {
		c.cfg.C, c.cfg.NH, c.cfg.T, c.cfg.Batch = 8, 2, 3, 2
		l := c.cfg.Costs()[c.layer]
		for _, pass := range []struct {
			name string
			got  block.Work
			want counts
		}{{"forward", l.Forward, c.forward}, {"backward", l.Backward, c.backward}} {
			got := counts{pass.got.Model[c.dtype], pass.got.Dense[c.dtype], pass.got.Executed[c.dtype]}
			if got != pass.want {
				t.Errorf("%s %s: %+v, want %+v", c.name, pass.name, got, pass.want)
			}
		}
	}
}

// The parts of a pipeline add up to the whole, and a step's total is its layers'.
func TestTotalWork(t *testing.T) {
	c := block.Config{C: 8, NH: 2, T: 3, L: 3, V: 10, Batch: 2, Precision: precision(t, "fp32")}
	whole := c.TotalWork()
	if got, want := whole.Model.Total(), 3*(9600+19200)+2880.; got != want {
		t.Errorf("model FLOPs %g, want %g", got, want)
	}
	if got, want := whole.Executed.Total(), 3*(9600+19392)+2880.; got != want {
		t.Errorf("executed FLOPs %g, want %g", got, want)
	}
	var sum block.Work
	for _, r := range [][2]int{{0, 2}, {2, 3}, {3, 5}} {
		c.Lo, c.Hi = r[0], r[1]
		sum = sum.Plus(c.TotalWork())
	}
	if sum != whole {
		t.Errorf("stages add up to %+v, the whole is %+v", sum, whole)
	}
	if got := whole.Times(2).Dense.Total(); got != 2*whole.Dense.Total() {
		t.Errorf("two steps are %g", got)
	}
}

// Modelled memory is what a device gives out, to the byte.
func TestMemoryIsWhatIsAllocated(t *testing.T) {
	base := block.Config{C: 16, NH: 4, T: 5, L: 2, Batch: 3}
	for name, change := range map[string]func(*block.Config){
		"mse":    func(c *block.Config) {},
		"head":   func(c *block.Config) { c.V = 11 },
		"bf16":   func(c *block.Config) { c.V, c.Precision = 11, precision(t, "bf16") },
		"2:4":    func(c *block.Config) { c.Layout.Format = kernels.Sparse24 },
		"block":  func(c *block.Config) { c.Layout = kernels.Layout{Format: kernels.BlockSparse, Block: 8, Keep: 0.5} },
		"tensor": func(c *block.Config) { c.TP, c.TPRank = 2, 1 },
		"zero 1": func(c *block.Config) {
			c.Precision, c.Shards = precision(t, "bf16"), block.Shards{All: block.Group{Ranks: 3, Rank: 1}, Level: 1}
		},
		"zero 2": func(c *block.Config) {
			c.V, c.Shards = 11, block.Shards{All: block.Group{Ranks: 2}, Level: 2, Bucket: 100}
		},
		"zero 3": func(c *block.Config) { c.V, c.Shards = 11, block.Shards{All: block.Group{Ranks: 5, Rank: 4}, Level: 3} },
		"spread experts": func(c *block.Config) {
			c.Experts = block.Experts{Count: 4, TopK: 1, Capacity: 1, Ranks: 2, Rank: 1}
			c.Shards = block.Shards{All: block.Group{Ranks: 6, Rank: 3}, Same: block.Group{Ranks: 3, Rank: 1}, Level: 3}
		},
		"own experts": func(c *block.Config) {
			c.Experts = block.Experts{Count: 4, TopK: 1, Capacity: 1, Ranks: 2}
			c.Shards = block.Shards{All: block.Group{Ranks: 2}, Level: 2}
		},
		"recompute":    func(c *block.Config) { c.V, c.Recompute, c.TP = 11, true, 2 },
		"inference":    func(c *block.Config) { c.V, c.Forward = 11, true },
		"first stage":  func(c *block.Config) { c.V, c.Hi = 11, 2 },
		"last stage":   func(c *block.Config) { c.V, c.Lo, c.Hi = 11, 2, 4 },
		"middle stage": func(c *block.Config) { c.V, c.Lo, c.Hi = 11, 1, 2 },
	} {
		c := base
		c.Precision = precision(t, "fp32")
		change(&c)
		dev := ref.New()
		s, err := dev.NewStream()
		if err != nil {
			t.Fatal(err)
		}
		st, err := block.New(dev, s, c)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var params, acts int64
		for _, l := range c.Costs() {
			params += l.Weights + l.Grads + l.Optimizer
			acts += l.Acts
		}
		state := int64(kernels.StateLen+1) * int64(c.Precision.Stats.Size())
		if c.Experts.Count > 0 {
			state += 2 * kernels.RouteLen * int64(c.Precision.Stats.Size())
		}
		if got, want := dev.Memory().Current, params+state+c.ScratchBytes()+c.SlotBytes(); got != want {
			t.Errorf("%s: a stage takes %d bytes, modelled %d", name, got, want)
		}
		before := dev.Memory().Current
		a, err := st.NewActs()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, want := dev.Memory().Current-before, acts+c.InputBytes(); got != want {
			t.Errorf("%s: activations take %d bytes, modelled %d", name, got, want)
		}
		a.Free()
		st.Close()
		if err := dev.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
