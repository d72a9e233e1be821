// Command gemm generates the assembly of kernels/cpu/gemm: the register tiles
// of the matrix product, the packing of its operands, the conversions of its
// results, what int8 sums start at, and the products of sparse rows.
package main

import (
	. "github.com/mmcloughlin/avo/build"
)

func main() {
	ConstraintExpr("amd64")
	tiles()
	packs()
	rows()
	starts()
	sparse()
	gather()
	masked()
	selected()
	strips()
	turned()
	Generate()
}
