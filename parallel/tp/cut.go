package tp

import "ofpeak/kernels"

// Cut is how a region's calls fall into pieces of the tokens.
type Cut struct {
	pieces int
	shapes map[[3]int][]int // of pieces, by their dims and the size of a row: a step that cuts what the one before did allocates nothing
}

// NewCut is a cut into so many pieces.
func NewCut(pieces int) *Cut { return &Cut{pieces, map[[3]int][]int{}} }

// Pieces is their number.
func (c *Cut) Pieces() int { return c.pieces }

// Piece is number i of n of the rows of x.
func (c *Cut) Piece(x kernels.Tensor, i, n int) kernels.Tensor {
	if n == 1 {
		return x
	}
	lo, hi := i*x.Dim(0)/n, (i+1)*x.Dim(0)/n
	row := x.Size() / x.Dim(0)
	key := [3]int{len(x.Shape), hi - lo, row}
	shape := c.shapes[key]
	if shape == nil {
		shape = append([]int{hi - lo}, x.Shape[1:]...)
		c.shapes[key] = shape
	}
	return x.At(lo*row, shape...)
}
