// Command vec generates the assembly of kernels/cpu/vec for one instruction set: maps, sums, exponentials, normalization, the
// optimizer step, conversions, and the small product of attention tiles.
package main

import (
	"flag"

	. "github.com/mmcloughlin/avo/build"
)

var isaFlag = flag.String("isa", "avx512", "instruction set: avx2 or avx512")

func main() {
	flag.Parse()
	target = map[string]isa{"avx2": avx2, "avx512": avx512}[*isaFlag]
	ConstraintExpr("amd64")
	maps()
	sums()
	activations()
	norms()
	steps()
	rounding()
	halves()
	gathers()
	transpose()
	panels()
	if wide() {
		native()
	}
	Generate()
}
