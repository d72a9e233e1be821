package gograph

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"ofpeak/kernels/block"
)

// builder makes nodes; the first error sticks, and later calls return nil.
type builder struct {
	cfg    block.Config
	g      *G.ExprGraph
	t      tensor.Dtype
	params map[string][]*G.Node // by block's names; a fused weight has one node for each of its parts
	names  []string
	err    error
}

// leaf makes a matrix of zeros.
func (b *builder) leaf(name string, rows, cols int) *G.Node {
	return G.NewMatrix(b.g, b.t, G.WithShape(rows, cols), G.WithName(name), G.WithInit(G.Zeroes()))
}

// param makes a parameter of block's shape (parts·OC,C) as parts matrices (C,OC): products then need no transpose.
func (b *builder) param(name string, parts, oc, c int) []*G.Node {
	var nodes []*G.Node
	for i := range parts {
		nodes = append(nodes, b.leaf(fmt.Sprintf("%s.%d", name, i), c, oc))
	}
	b.params[name] = nodes
	b.names = append(b.names, name)
	return nodes
}

// do applies f unless an earlier step failed.
func (b *builder) do(f func() (*G.Node, error)) *G.Node {
	if b.err != nil {
		return nil
	}
	n, err := f()
	b.err = err
	return n
}

// scalar is a constant of the graph's type.
func (b *builder) scalar(v float64) *G.Node {
	if b.t == tensor.Float32 {
		return G.NewConstant(float32(v))
	}
	return G.NewConstant(v)
}

func (b *builder) add(x, y *G.Node) *G.Node {
	return b.do(func() (*G.Node, error) { return G.Add(x, y) })
}

func (b *builder) sub(x, y *G.Node) *G.Node {
	return b.do(func() (*G.Node, error) { return G.Sub(x, y) })
}

// times is the elementwise product; either may be a scalar.
func (b *builder) times(x, y *G.Node) *G.Node {
	return b.do(func() (*G.Node, error) { return G.HadamardProd(x, y) })
}

func (b *builder) mul(x, y *G.Node) *G.Node {
	return b.do(func() (*G.Node, error) { return G.Mul(x, y) })
}

func (b *builder) reshape(x *G.Node, shape ...int) *G.Node {
	return b.do(func() (*G.Node, error) { return G.Reshape(x, shape) })
}

func (b *builder) transpose(x *G.Node, axes ...int) *G.Node {
	return b.do(func() (*G.Node, error) { return G.Transpose(x, axes...) })
}

// ones is a constant matrix. Rows and columns are repeated, and summed over, by products with it.
func (b *builder) ones(rows, cols int, v float64) *G.Node {
	var m *tensor.Dense
	if b.t == tensor.Float32 {
		m = tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(filled(rows*cols, float32(v))))
	} else {
		m = tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(filled(rows*cols, v)))
	}
	return G.NewConstant(m)
}

func filled[E any](n int, v E) []E {
	s := make([]E, n)
	for i := range s {
		s[i] = v
	}
	return s
}

// stack is L blocks over x (N,C).
func (b *builder) stack(x *G.Node) *G.Node {
	for l := range b.cfg.L {
		x = b.block(fmt.Sprintf("h%d.", l), x)
	}
	return x
}

// block is one pre-LN block; parameters are made in block's order.
func (b *builder) block(h string, x *G.Node) *G.Node {
	c := b.cfg.C
	y := b.norm(h+"ln1", x)
	qkvW, qkvB := b.param(h+"qkv.weight", 3, c, c), b.param(h+"qkv.bias", 3, c, 1)
	var qkv [3]*G.Node
	for i := range qkv {
		qkv[i] = b.heads(b.bias(b.mul(y, qkvW[i]), qkvB[i]))
	}
	x = b.add(x, b.linear(h+"proj", c, c, b.attention(qkv)))
	y = b.norm(h+"ln2", x)
	return b.add(x, b.linear(h+"out", c, 4*c, b.gelu(b.linear(h+"fc", 4*c, c, y))))
}

func (b *builder) linear(name string, oc, c int, x *G.Node) *G.Node {
	w := b.param(name+".weight", 1, oc, c)[0]
	return b.bias(b.mul(x, w), b.param(name+".bias", 1, oc, 1)[0])
}

// bias adds a row (1,OC) to each row.
func (b *builder) bias(x, row *G.Node) *G.Node {
	return b.do(func() (*G.Node, error) { return G.BroadcastAdd(x, row, nil, []byte{0}) })
}

// norm is LayerNorm over rows of x (N,C).
func (b *builder) norm(name string, x *G.Node) *G.Node {
	c := b.cfg.C
	gain, bias := b.param(name+".gain", 1, c, 1)[0], b.param(name+".bias", 1, c, 1)[0]
	average := b.ones(c, 1, 1/float64(c))
	centered := b.do(func() (*G.Node, error) { return G.BroadcastSub(x, b.mul(x, average), nil, []byte{1}) })
	variance := b.mul(b.times(centered, centered), average)
	deviation := b.do(func() (*G.Node, error) { return G.Sqrt(b.add(variance, b.scalar(1e-5))) })
	unit := b.do(func() (*G.Node, error) { return G.BroadcastHadamardDiv(centered, deviation, nil, []byte{1}) })
	scaled := b.do(func() (*G.Node, error) { return G.BroadcastHadamardProd(unit, gain, nil, []byte{0}) })
	return b.bias(scaled, bias)
}

// heads splits x (N,C) into (B·NH,T,HS).
func (b *builder) heads(x *G.Node) *G.Node {
	c := b.cfg
	y := b.transpose(b.reshape(x, c.Batch, c.T, c.NH, c.C/c.NH), 0, 2, 1, 3)
	return b.reshape(y, c.Batch*c.NH, c.T, c.C/c.NH)
}

// attention is causal softmax(q·kᵀ/√HS)·v of heads, put together as (N,C).
func (b *builder) attention(qkv [3]*G.Node) *G.Node {
	c := b.cfg
	scores := b.do(func() (*G.Node, error) { return G.BatchedMatMul(qkv[0], qkv[1], false, true) })
	rows := b.reshape(scores, c.Batch*c.NH*c.T, c.T)
	rows = b.add(b.times(rows, b.scalar(1/math.Sqrt(float64(c.C/c.NH)))), b.causal())
	p := b.do(func() (*G.Node, error) { return G.SoftMax(rows, 1) })
	p = b.reshape(p, c.Batch*c.NH, c.T, c.T)
	y := b.do(func() (*G.Node, error) { return G.BatchedMatMul(p, qkv[2]) })
	y = b.transpose(b.reshape(y, c.Batch, c.NH, c.T, c.C/c.NH), 0, 2, 1, 3)
	return b.reshape(y, c.Batch*c.T, c.C)
}

// causal is the mask (B·NH·T,T) added to scores: a score so low that its exponential is 0 wherever a key comes after its query.
func (b *builder) causal() *G.Node {
	const never = -1e30
	c := b.cfg
	mask := b.ones(c.Batch*c.NH*c.T, c.T, 0)
	for i := range c.Batch * c.NH * c.T * c.T {
		if i%c.T > i/c.T%c.T {
			switch d := mask.Value().Data().(type) {
			case []float32:
				d[i] = never
			case []float64:
				d[i] = never
			}
		}
	}
	return mask
}

// gelu is the tanh form, as kernels.GELU.
func (b *builder) gelu(x *G.Node) *G.Node {
	cube := b.times(b.times(x, x), x)
	inner := b.times(b.add(x, b.times(cube, b.scalar(0.044715))), b.scalar(math.Sqrt(2/math.Pi)))
	t := b.do(func() (*G.Node, error) { return G.Tanh(inner) })
	return b.times(b.times(x, b.scalar(0.5)), b.add(t, b.scalar(1)))
}

// mse is the mean squared difference.
func (b *builder) mse(x, target *G.Node) *G.Node {
	d := b.sub(x, target)
	return b.do(func() (*G.Node, error) { return G.Mean(b.times(d, d)) })
}
