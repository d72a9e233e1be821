package kernels

import "fmt"

// Format is how a weight matrix is stored.
type Format uint8

const (
	// Dense: Values (OC, C).
	Dense Format = iota
	// Sparse24 keeps the two largest magnitudes of every four along C (Mishra et al., "Accelerating Sparse Deep Neural Networks",
	// arXiv:2104.08378, section 3). Values (OC, C/2); Meta uint8 (OC, C/8): one byte for two groups of four, the even group in the
	// low nibble; in a nibble, bits 0-1 are the position of the first kept value and bits 2-3 of the second, ascending.
	Sparse24
	// BlockSparse keeps, in every block row, the Keep blocks of largest Frobenius norm (the block layout of Gray et al., "GPU Kernels
	// for Block-Sparse Weights", 2017; an equal count per row balances the work). Values (OC/Block·Keep, Block, Block); Meta int32
	// (OC/Block, Keep): block columns, ascending.
	BlockSparse
	// Int8 holds one scale per output channel: w[o,c] ≈ Values[o,c]·Scale[o], Values int8 (OC, C) in [-127, 127], Scale (OC). Its
	// products quantize each token's activations likewise (Dettmers et al., "LLM.int8()", arXiv:2208.07339, section 2.1, without the
	// outlier split).
	Int8
)

// String is the name used in flags and CSVs.
func (f Format) String() string { return [...]string{"dense", "2:4", "block", "int8"}[f] }

// Layout says how the weights of a model are stored.
type Layout struct {
	Format Format
	Block  int     // BlockSparse: edge of a block
	Keep   float64 // BlockSparse: share of the blocks kept, in (0, 1]
}

// Check is nil if a weight of oc by c can be stored so.
func (l Layout) Check(oc, c int) error {
	switch l.Format {
	case Sparse24:
		if c%8 != 0 {
			return fmt.Errorf("2:4 sparsity needs C divisible by 8, not %d", c)
		}
	case BlockSparse:
		if l.Block <= 0 || oc%l.Block != 0 || c%l.Block != 0 {
			return fmt.Errorf("block sparsity needs a weight divisible by its block of %d, not %dx%d", l.Block, oc, c)
		}
		if !(l.Keep > 0 && l.Keep <= 1) {
			return fmt.Errorf("block sparsity keeps a share in (0, 1], not %g", l.Keep)
		}
	}
	return nil
}

// KeepBlocks is the number of blocks kept in a block row of a weight with c columns, at least one.
func (l Layout) KeepBlocks(c int) int { return max(1, int(l.Keep*float64(c/l.Block)+0.5)) }

// Density is the share of a weight's elements that is stored and multiplied.
func (l Layout) Density(c int) float64 {
	switch l.Format {
	case Sparse24:
		return 0.5
	case BlockSparse:
		return float64(l.KeepBlocks(c)) / float64(c/l.Block)
	}
	return 1
}

// ValueLen is the number of stored values of a weight of oc by c.
func (l Layout) ValueLen(oc, c int) int {
	switch l.Format {
	case Sparse24:
		return oc * c / 2
	case BlockSparse:
		return oc * l.KeepBlocks(c) * l.Block
	}
	return oc * c
}

// MetaLen is the number and type of the elements that say where the values belong.
func (l Layout) MetaLen(oc, c int) (int, DType) {
	switch l.Format {
	case Sparse24:
		return oc * c / 8, U8
	case BlockSparse:
		return oc / l.Block * l.KeepBlocks(c), I32
	}
	return 0, U8
}

// Weight is a matrix of OC output by C input channels (as in PyTorch's nn.Linear), or its gradient, stored by its Layout. A gradient has the
// Meta of its weight: only stored positions have one.
type Weight struct {
	Layout
	OC, C  int
	Values Tensor
	Meta   Tensor // Sparse24, BlockSparse
	Scale  Tensor // Int8
	// Math is what products with this weight, or of this gradient, round their factors to. 0: nothing. TF32, of float32 factors, is leave to do so: a device without such
	// arithmetic keeps all digits; where only the arithmetic asked for will do, ask its Supports about operands of this type. FP8, of bfloat16 factors and dense weights, is
	// rounded to on every device that Supports it, be it by other arithmetic.
	Math DType
}

// Factors is the type of the factors of a product with operands of type t.
func (w Weight) Factors(t DType) DType {
	switch {
	case w.Format == Int8:
		return I8
	case w.Math != 0:
		return w.Math
	}
	return t
}
