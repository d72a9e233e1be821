package gograph

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/kerneltest"
	"ofpeak/kernels/ref"
)

func config(precision string) block.Config {
	p, _ := kernels.PrecisionNamed(precision)
	return block.Config{C: 12, NH: 3, T: 5, L: 2, Batch: 2, Precision: p, Seed: 1}
}

// pair is the same model, input and target on the reference and in a graph.
type pair struct {
	st *block.Stage
	a  *block.Acts
	s  kernels.Stream
	e  *Engine
	d  kernels.Tensor
}

func newPair(t *testing.T, cfg, graph block.Config) *pair {
	t.Helper()
	dev := ref.New()
	p := &pair{s: kerneltest.Stream(t, dev)}
	var err error
	if p.st, err = block.New(dev, p.s, cfg); err != nil {
		t.Fatal(err)
	}
	if p.a, err = p.st.NewActs(); err != nil {
		t.Fatal(err)
	}
	if p.e, err = New(graph); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.e.Close(); err != nil {
			t.Error(err)
		}
	})
	r := rand.New(rand.NewPCG(1, 6))
	for _, param := range p.st.Params { // initial biases are zero and gains one, which would hide mistakes
		w := kernels.Of(p.st.Weights.Buf, p.st.Weights.Buf.Len()).At(param.Off, param.Len)
		load64(w, r, 0.3)
	}
	load64(p.a.In, r, 1)
	load64(p.a.Target, r, 1)
	p.d = kerneltest.Alloc(t, dev, kernels.F64, p.a.In.Shape...)
	if err := p.e.LoadStage(p.s, p.st); err != nil {
		t.Fatal(err)
	}
	p.e.Load("x", kerneltest.Read(t, p.s, p.a.In))
	p.e.Load("target", kerneltest.Read(t, p.s, p.a.Target))
	return p
}

// load64 fills a float64 host tensor with normal values.
func load64(x kernels.Tensor, r *rand.Rand, std float64) {
	d := x.Buf.(kernels.HostBuffer).Data().([]float64)
	for i := range x.Size() {
		d[x.Off+i] = std * r.NormFloat64()
	}
}

func (p *pair) backward() {
	p.st.ZeroGrads(p.s)
	p.st.Run(p.s, p.a, nil, nil)
	p.st.AddLoss(p.s, p.a, p.d, p.a.Out.Size())
	p.st.Backward(p.s, p.a, p.d, nil, nil)
}

func TestGradientsEqualTheBlocks(t *testing.T) {
	for _, c := range []block.Config{
		config("fp64"),
		{C: 16, NH: 2, T: 17, L: 1, Batch: 1, Precision: kernels.Precisions[0]},
		{C: 8, NH: 1, T: 1, L: 1, Batch: 3, Precision: kernels.Precisions[0]},
	} {
		p := newPair(t, c, c)
		p.backward()
		loss, err := p.e.Run()
		if err != nil {
			t.Fatal(err)
		}
		kerneltest.Near(t, "loss", []float64{loss}, kerneltest.Read(t, p.s, p.st.Loss), 1e-12)
		kerneltest.Near(t, "out", p.e.Out(), kerneltest.Read(t, p.s, p.a.Out), 1e-12)
		for i, param := range p.st.Params {
			want, err := p.st.ReadGrads(p.s, i)
			if err != nil {
				t.Fatal(err)
			}
			kerneltest.Near(t, param.Name, p.e.Grad(param.Name), want, 1e-9)
		}
	}
}

// Three steps, so that a gradient that accumulates or a value that goes stale between runs shows.
func TestStepsEqualTheBlocks(t *testing.T) {
	for precision, tolerance := range map[string]float64{"fp64": 1e-9, "fp32": 1e-4} {
		p := newPair(t, config("fp64"), config(precision))
		for range 3 {
			p.backward()
			p.st.Update(p.s, block.DefaultHyper, 0, p.st.Size())
			p.st.EndStep(p.s)
			loss, err := p.e.Step(block.DefaultHyper)
			if err != nil {
				t.Fatal(err)
			}
			kerneltest.Near(t, precision+" loss", []float64{loss}, kerneltest.Read(t, p.s, p.st.Loss), tolerance)
		}
		for i, param := range p.st.Params {
			want, err := p.st.ReadWeights(p.s, i)
			if err != nil {
				t.Fatal(err)
			}
			tol := tolerance
			if precision == "fp32" && strings.HasSuffix(param.Name, "qkv.bias") {
				// A key's bias moves all scores of a row alike, so its gradient is 0 but for rounding, which AdamW takes for a direction.
				tol = 3 * 2 * block.DefaultHyper.LR
			}
			kerneltest.Near(t, precision+" "+param.Name, p.e.Param(param.Name), want, tol)
		}
	}
}

func TestUnsupported(t *testing.T) {
	for name, change := range map[string]func(c *block.Config){
		"bf16":           func(c *block.Config) { c.Precision, _ = kernels.PrecisionNamed("bf16") },
		"sparse":         func(c *block.Config) { c.C, c.Layout.Format = 24, kernels.Sparse24 },
		"language model": func(c *block.Config) { c.V = 11 },
		"shard":          func(c *block.Config) { c.TP = 3 },
	} {
		c := config("fp32")
		change(&c)
		if _, err := New(c); !errors.Is(err, kernels.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// counting is gonum's BLAS with a count of its single-precision products, in all and by shape.
type counting struct {
	gonum.Implementation
	calls  *int
	shapes map[[3]int]int // m, n, k
}

func (c counting) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, d []float32, ldc int) {
	*c.calls++
	c.shapes[[3]int{m, n, k}]++
	c.Implementation.Sgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, d, ldc)
}

func TestUseBLAS(t *testing.T) {
	e, err := New(config("fp32"))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	calls, shapes := 0, map[[3]int]int{}
	restore := UseBLAS(counting{calls: &calls, shapes: shapes})
	if _, err := e.Run(); err != nil {
		t.Fatal(err)
	}
	restore()
	with := calls
	if _, err := e.Run(); err != nil {
		t.Fatal(err)
	}
	if with == 0 || calls != with {
		t.Errorf("%d products with the other BLAS, %d after it was replaced", with, calls-with)
	}
	// The batched products of attention are one call for each head: scores and the gradient of their softmax; values and three more gradients.
	c := e.cfg
	hs, heads := c.C/c.NH, c.L*c.Batch*c.NH
	if scores, values := shapes[[3]int{c.T, c.T, hs}], shapes[[3]int{c.T, hs, c.T}]; scores != 2*heads || values != 4*heads {
		t.Errorf("%d heads: %d products of (T,HS)·(HS,T), %d of (T,T)·(T,HS)", heads, scores, values)
	}
}
