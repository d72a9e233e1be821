package block

import "ofpeak/kernels"

// Region is where one tensor-parallel rank's block meets its peers: the conjugate pair f and g of Shoeybi et al., "Megatron-LM",
// arXiv:1909.08053, section 3, or with Config.Sequence g and its conjugate of Korthikanti et al., arXiv:2205.05198, section 4.2.2. A nil Region
// means one rank holds the whole block.
//
// Outside of a block's products a rank holds all tokens or, with Config.Sequence, its own. Whole, Partial and Fetched may give out the same memory each time:
// what they gave is used up before the next call.
//
// Calls fall into Config.Pieces of the tokens, each of which is exchanged while another is computed. Where a method takes i and n, it is about piece i of n, and n is that number or 1.
type Region interface {
	// Pieces is Config.Pieces.
	Pieces() int
	// Piece is that of x (R,C) or (R), rows i·R/n to (i+1)·R/n.
	Piece(x kernels.Tensor, i, n int) kernels.Tensor
	// Whole is x for all tokens, from each rank's own: what enters the products, forward, and leaves them, backward.
	Whole(s kernels.Stream, x kernels.Tensor) kernels.Tensor
	// Partial is where this rank leaves its summand of x, for all tokens.
	Partial(x kernels.Tensor) kernels.Tensor
	// StartSum makes a piece of x, for the tokens that it has, the sum over ranks of what they left in that piece of Partial(x). s may go on before it is there, up to EndSum;
	// both are left alone meanwhile.
	StartSum(s kernels.Stream, x kernels.Tensor, i, n int)
	// EndSum waits for the sum of piece i that was started.
	EndSum(s kernels.Stream, i int)
	// Prefetch says that Fetched(x) is next to be asked for, so that it can be on its way meanwhile, and tells in how many pieces it comes. In between there are no calls but
	// StartSum and EndSum.
	Prefetch(s kernels.Stream, x kernels.Tensor) int
	// Fetched is a piece of Whole(x), which was prefetched.
	Fetched(s kernels.Stream, x kernels.Tensor, i, n int) kernels.Tensor
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

// prefetch is tp.Prefetch, or 1 where one rank holds the whole block.
func prefetch(s kernels.Stream, x kernels.Tensor, tp Region) int {
	if tp == nil {
		return 1
	}
	return tp.Prefetch(s, x)
}

// fetched is tp.Fetched of all pieces, or x where one rank holds the whole block.
func fetched(s kernels.Stream, x kernels.Tensor, tp Region) kernels.Tensor {
	if tp == nil {
		return x
	}
	return tp.Fetched(s, x, 0, 1)
}

// endSum is tp.EndSum of all pieces where several ranks hold the block.
func endSum(s kernels.Stream, tp Region) {
	if tp != nil {
		tp.EndSum(s, 0)
	}
}

// piece is tp.Piece, or x where it is whole or absent.
func piece(x kernels.Tensor, i, n int, tp Region) kernels.Tensor {
	if n == 1 || x.None() {
		return x
	}
	return tp.Piece(x, i, n)
}

// tokens is the number of tokens of a microbatch that a rank holds outside of the blocks' products.
func (c Config) tokens() int {
	if c.Sequence {
		return c.all() / c.TP
	}
	return c.all()
}

// Tokens are those of a microbatch that this rank's In and Out hold, in order: all or, with Config.Sequence, the rank's part of each of Config.Pieces. So a piece is a range both of all
// tokens and of those of each rank, and what is gathered or summed by pieces has its order.
func (c Config) Tokens() []int {
	own := make([]int, 0, c.tokens())
	for i := range c.runs() {
		first, n := 0, c.tokens()/c.runs()
		if c.Sequence {
			first = (i*c.TP + c.TPRank) * n
		}
		for j := range n {
			own = append(own, first+j)
		}
	}
	return own
}

// runs is the number of ranges that Tokens consist of.
func (c Config) runs() int {
	if c.Sequence {
		return c.Pieces
	}
	return 1
}

// own are the rows of a tensor of all tokens that are in range i of Tokens.
func (c Config) own(x kernels.Tensor, i int, tp Region) kernels.Tensor {
	if !c.Sequence {
		return x
	}
	return tp.Piece(tp.Piece(x, i, c.Pieces), c.TPRank, c.TP)
}
