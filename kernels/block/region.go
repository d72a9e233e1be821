package block

import "ofpeak/kernels"

// Region is where one tensor-parallel rank's block meets its peers: the conjugate pair f and g of Shoeybi et al., "Megatron-LM",
// arXiv:1909.08053, section 3, or with Config.Sequence g and its conjugate of Korthikanti et al., arXiv:2205.05198, section 4.2.2. A nil Region
// means one rank holds the whole block.
//
// Outside of a block's products a rank holds all tokens or, with Config.Sequence, its own. Whole and Partial may give out the same memory each time:
// what they gave is used up before the next call.
type Region interface {
	// Whole is x for all tokens, from each rank's own: what enters the products, forward, and leaves them, backward.
	Whole(s kernels.Stream, x kernels.Tensor) kernels.Tensor
	// Partial is where this rank leaves its summand of x, for all tokens.
	Partial(x kernels.Tensor) kernels.Tensor
	// Sum makes x, for the tokens that it has, the sum over ranks of what they left in Partial(x).
	Sum(s kernels.Stream, x kernels.Tensor)
	// SumWhole makes x, of which every rank has a summand for all tokens, the sum over ranks.
	SumWhole(s kernels.Stream, x kernels.Tensor)
}

// whole is tp.Whole, or x where one rank holds the whole block.
func whole(s kernels.Stream, x kernels.Tensor, tp Region) kernels.Tensor {
	if tp == nil {
		return x
	}
	return tp.Whole(s, x)
}

// tokens is the number of tokens of a microbatch that a rank holds outside of the blocks' products.
func (c Config) tokens() int {
	if c.Sequence {
		return c.all() / c.TP
	}
	return c.all()
}

// own are the rows of a tensor of all tokens that this rank holds outside of the blocks' products.
func (c Config) own(x kernels.Tensor) kernels.Tensor {
	n := c.tokens()
	if n == x.Rows() {
		return x
	}
	return x.Slice(c.TPRank*n, (c.TPRank+1)*n)
}

// Tokens are the range of a microbatch's tokens that this rank's In and Out hold.
func (c Config) Tokens() Range {
	n := c.tokens()
	if !c.Sequence {
		return Range{0, n}
	}
	return Range{c.TPRank * n, (c.TPRank + 1) * n}
}
