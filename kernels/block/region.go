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
	// StartSum is Sum, except that s may go on before x holds it, up to EndSum. x and Partial(x) are left alone meanwhile.
	StartSum(s kernels.Stream, x kernels.Tensor)
	// EndSum waits for the sum that was started.
	EndSum(s kernels.Stream)
	// Prefetch says that Fetched(x) is next to be asked for, so that it can be on its way meanwhile. In between there are no calls but StartSum and EndSum.
	Prefetch(s kernels.Stream, x kernels.Tensor)
	// Fetched is Whole of what was prefetched.
	Fetched(s kernels.Stream, x kernels.Tensor) kernels.Tensor
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

// prefetch is tp.Prefetch where several ranks hold the block.
func prefetch(s kernels.Stream, x kernels.Tensor, tp Region) {
	if tp != nil {
		tp.Prefetch(s, x)
	}
}

// fetched is tp.Fetched, or x where one rank holds the whole block.
func fetched(s kernels.Stream, x kernels.Tensor, tp Region) kernels.Tensor {
	if tp == nil {
		return x
	}
	return tp.Fetched(s, x)
}

// endSum is tp.EndSum where several ranks hold the block.
func endSum(s kernels.Stream, tp Region) {
	if tp != nil {
		tp.EndSum(s)
	}
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
