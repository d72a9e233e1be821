// Package block is a pre-LN Transformer stack written once against kernels.Stream: parameters, activations, forward, backward and
// AdamW. It runs alike on every device, on one rank or as one rank's part of a tensor- and pipeline-parallel model.
//
// A model is a list of layers: an optional token embedding, L blocks, and a head that ends in a loss: mean squared error against a
// given target, or a language model's cross-entropy. A Stage is a contiguous range of that list.
//
// It is not a model zoo: one architecture (GPT-2's, Radford et al. 2019, with learned positions), measured in many ways.
package block

import (
	"fmt"
	"slices"
	"strings"

	"ofpeak/kernels"
)

// Config fixes a model and one rank's part of it.
type Config struct {
	C, NH, T, L int
	V           int // vocabulary of the language model; 0: no embedding, and the head compares with a target
	Precision   kernels.Precision
	Layout      kernels.Layout // of the weight matrices of each block, but for a router
	Seed        uint64

	Experts Experts // of each block's MLP; none: a dense one

	Batch      int // sequences of one microbatch on this rank
	TP, TPRank int // tensor-parallel size and rank; TP 0 means 1
	// Sequence spreads the tokens over the tensor-parallel ranks wherever a block has no product: norms, residuals, and what they keep
	// (Korthikanti et al., arXiv:2205.05198, section 4.2.2). Which of a microbatch's tokens a rank holds, Tokens tells.
	Sequence bool
	// Pieces of the tokens into which tensor-parallel sums and gathers fall; see Region. 0 means 1.
	Pieces int
	// CP, CPRank is the context-parallel size and rank; CP 0 means 1. From 2 on a rank holds two chunks of each sequence; see Config.Place.
	CP, CPRank int
	Shards     Shards
	// Lo, Hi is this stage's range of Layers(); both 0 means all.
	Lo, Hi int
	// Chunks are the ranges of Layers() of a stage that holds several, in ascending order; Lo and Hi are then not used. Each chunk is a pass of its own.
	Chunks []Range
	// Forward leaves out gradients and optimizer state.
	Forward bool
	// Recompute keeps only the input of each block, and computes its other activations again when the backward pass needs them (Chen et al.,
	// "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174, section 4.1, with blocks as segments).
	Recompute bool
	// UnitGain starts each matrix at a standard deviation of 1/√C, so that its outputs have the scale of its inputs (LeCun et al., "Efficient
	// BackProp", 1998, section 4.6). Such a block changes its input a lot, as a teacher should.
	UnitGain bool
}

// LayerKind is a node of the model's layer graph.
type LayerKind uint8

const (
	Embedding LayerKind = iota
	Block
	MSEHead
	LMHead
)

// String names a kind.
func (k LayerKind) String() string { return [...]string{"embedding", "block", "mse", "head"}[k] }

// Layers is the whole model's layer list, in forward order.
func (c Config) Layers() []LayerKind {
	var ls []LayerKind
	if c.V > 0 {
		ls = append(ls, Embedding)
	}
	for range c.L {
		ls = append(ls, Block)
	}
	if c.V > 0 {
		return append(ls, LMHead)
	}
	return append(ls, MSEHead)
}

// depth is the number of layers of the whole model.
func (c Config) depth() int {
	if c.V > 0 {
		return c.L + 2
	}
	return c.L + 1
}

// normal fills in the defaults.
func (c Config) normal() Config {
	c.TP, c.CP, c.Pieces = max(c.TP, 1), max(c.CP, 1), max(c.Pieces, 1)
	c.Shards = c.Shards.normal()
	c.Experts = c.Experts.normal(c.Batch)
	if len(c.Chunks) > 0 {
		c.Lo, c.Hi = c.Chunks[0].Lo, c.Chunks[len(c.Chunks)-1].Hi
		return c
	}
	if c.Lo == 0 && c.Hi == 0 {
		c.Hi = c.depth()
	}
	c.Chunks = []Range{{c.Lo, c.Hi}}
	return c
}

// Check is nil, or says which sizes do not fit together.
func (c Config) Check() error {
	c = c.normal()
	switch {
	case c.C <= 0 || c.NH <= 0 || c.T <= 0 || c.L <= 0 || c.Batch <= 0:
		return fmt.Errorf("C, NH, T, L and B must be positive, not C=%d NH=%d T=%d L=%d B=%d", c.C, c.NH, c.T, c.L, c.Batch)
	case c.C%c.NH != 0:
		return fmt.Errorf("C=%d is not divisible by NH=%d", c.C, c.NH)
	case c.NH%c.TP != 0:
		return fmt.Errorf("NH=%d is not divisible by tp=%d", c.NH, c.TP)
	case c.CP > 1 && c.T%(2*c.CP) != 0:
		return fmt.Errorf("T=%d does not divide into two chunks for each of cp=%d ranks", c.T, c.CP)
	case c.Sequence && c.TP == 1:
		return fmt.Errorf("tokens spread over tensor-parallel ranks: use tp of 2 or more")
	case c.Sequence && c.all()%c.TP != 0:
		return fmt.Errorf("a microbatch of %d tokens is not divisible by tp=%d", c.all(), c.TP)
	case c.tokens()%c.Pieces != 0:
		return fmt.Errorf("the %d tokens of a rank do not fall into %d pieces", c.tokens(), c.Pieces)
	case !c.chunksFit():
		return fmt.Errorf("a stage of layers %s does not lie in the model's %d", c.Held(), c.depth())
	case c.Layout.Format == kernels.BlockSparse && c.TP > 1:
		return fmt.Errorf("block sparsity picks blocks over a whole weight row, which tp=%d would cut", c.TP)
	case c.Precision.Int8 != (c.Layout.Format == kernels.Int8):
		return fmt.Errorf("precision int8 and weight format int8 go together")
	case c.Shards.Level < 0 || c.Shards.Level > 3:
		return fmt.Errorf("zero=%d is none of ZeRO's stages 1 to 3, nor 0 for none", c.Shards.Level)
	case c.Shards.Level > 0 && c.Forward:
		return fmt.Errorf("zero=%d spreads what training keeps, and a forward pass keeps none of it", c.Shards.Level)
	case c.Recompute && c.Forward:
		return fmt.Errorf("a forward pass keeps nothing that could be computed again")
	case c.Precision.Math == kernels.FP8 && c.Layout.Format != kernels.Dense:
		return fmt.Errorf("fp8 products have dense weights only")
	case c.Precision.Int8 && !c.Forward:
		return fmt.Errorf("int8 has no backward pass")
	}
	if err := c.checkExperts(); err != nil {
		return err
	}
	for _, w := range c.matrices() {
		if err := c.Layout.Check(w[0], w[1]); err != nil {
			return err
		}
	}
	return nil
}

// chunksFit reports whether the stage's chunks are ranges of the model's layers in ascending order.
func (c Config) chunksFit() bool {
	at := 0
	for _, r := range c.Chunks {
		if r.Lo < at || r.Hi <= r.Lo {
			return false
		}
		at = r.Hi
	}
	return at <= c.depth()
}

// Held names the stage's layers, as "0 to 3, 6 to 9".
func (c Config) Held() string {
	var parts []string
	for _, r := range c.normal().Chunks {
		parts = append(parts, fmt.Sprintf("%d to %d", r.Lo, r.Hi))
	}
	return strings.Join(parts, ", ")
}

// held are the indices of the stage's layers in Layers().
func (c Config) held() []int {
	var ls []int
	for _, r := range c.Chunks {
		for i := r.Lo; i < r.Hi; i++ {
			ls = append(ls, i)
		}
	}
	return ls
}

// HasBlocks reports whether the stage holds a Transformer block.
func (c Config) HasBlocks() bool {
	c = c.normal()
	return slices.ContainsFunc(c.held(), func(layer int) bool { return c.Layers()[layer] == Block })
}

// Local is the index, among the stage's layers, of a layer that it holds.
func (c Config) Local(layer int) int {
	before := 0
	for _, r := range c.Chunks {
		if layer < r.Hi {
			return before + layer - r.Lo
		}
		before += r.Len()
	}
	panic("block: a layer that the stage does not hold")
}

// matrices are the (OC, C) of a block's four weights on one tensor-parallel rank, of an expert's where there are experts.
func (c Config) matrices() [4][2]int {
	p, h := c.C/c.TP, c.hidden()/c.TP
	return [4][2]int{{3 * p, c.C}, {c.C, p}, {h, c.C}, {c.C, h}}
}
