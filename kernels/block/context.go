package block

import "ofpeak/kernels"

// Ring is the attention of a rank that holds some chunks of each sequence, and meets the other chunks' keys and values on their way around the ranks
// (Liu et al., "Ring Attention with Blockwise Transformers for Near-Infinite Context", arXiv:2310.01889, section 3). The operands are those of
// kernels.Ops' AttentionForward and AttentionBackward, for this rank's tokens.
type Ring interface {
	Forward(s kernels.Stream, out, lse, qkv kernels.Tensor)
	Backward(s kernels.Stream, dqkv, scratch, dout, out, lse, qkv kernels.Tensor)
}

// attend is the attention of a's queries to all that they see.
func (t *transformer) attend(s kernels.Stream, a *blockActs) {
	if ring := *t.ring; ring != nil {
		ring.Forward(s, a.att, a.lse, a.qkv)
		return
	}
	s.AttentionForward(a.att, a.lse, a.qkv)
}

// attendBackward leaves the gradient of attend in g.qkv.
func (t *transformer) attendBackward(s kernels.Stream, a *blockActs, g *blockGrads) {
	if ring := *t.ring; ring != nil {
		ring.Backward(s, g.qkv, g.rows, g.att, a.att, a.lse, a.qkv)
		return
	}
	s.AttentionBackward(g.qkv, g.rows, g.att, a.att, a.lse, a.qkv)
}

// Grid is the shape of a rank's tokens of a microbatch: whole sequences, or with context parallelism 2·Batch chunks.
func (c Config) Grid() (rows, length int) {
	if c.CP <= 1 {
		return c.Batch, c.T
	}
	return 2 * c.Batch, c.T / (2 * c.CP)
}

// Place is the sequence of the microbatch that token i of a rank's Grid belongs to, and its position there. Of the 2·CP chunks that context parallelism
// cuts a sequence into, rank r holds number r, in the first Batch rows of the grid, and number 2·CP-1-r, in the others: then all ranks have as
// many pairs of queries and keys under the causal mask (Dubey et al., "The Llama 3 Herd of Models", arXiv:2407.21783, section 3.3.2).
func (c Config) Place(i int) (sequence, position int) {
	_, length := c.Grid()
	row := i / length
	return row % c.Batch, c.chunk(row/c.Batch)*length + i%length
}

// chunk is the number of a rank's first or second chunk among the sequence's.
func (c Config) chunk(second int) int {
	if second == 0 {
		return c.CPRank
	}
	return 2*c.CP - 1 - c.CPRank
}

// all is the number of a microbatch's tokens that enter a rank's products.
func (c Config) all() int {
	rows, length := c.Grid()
	return rows * length
}
