package workload

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"ofpeak/kernels"
)

// LayoutString is the layout as it stands in flags and CSVs: dense, 2:4, or block:EDGE@KEEP as in block:32@0.5.
func LayoutString(l kernels.Layout) string {
	if l.Format != kernels.BlockSparse {
		return l.Format.String()
	}
	return fmt.Sprintf("block:%d@%s", l.Block, strconv.FormatFloat(l.Keep, 'g', -1, 64))
}

// ParseLayout is LayoutString's inverse.
func ParseLayout(s string) (kernels.Layout, error) {
	switch s {
	case kernels.Dense.String():
		return kernels.Layout{}, nil
	case kernels.Sparse24.String():
		return kernels.Layout{Format: kernels.Sparse24}, nil
	}
	const want = "take dense, 2:4, or block:EDGE@KEEP as in block:32@0.5"
	rest, isBlock := strings.CutPrefix(s, "block:")
	edge, keep, hasKeep := strings.Cut(rest, "@")
	if !isBlock || !hasKeep {
		return kernels.Layout{}, fmt.Errorf("--layout %s is unknown; %s", s, want)
	}
	n, err := strconv.Atoi(edge)
	if err != nil || n < 1 || n > maxDim {
		return kernels.Layout{}, fmt.Errorf("--layout %s: the block's edge %q is no positive number; %s", s, edge, want)
	}
	k, err := strconv.ParseFloat(keep, 64)
	if err != nil || math.IsNaN(k) || k <= 0 || k > 1 {
		return kernels.Layout{}, fmt.Errorf("--layout %s: the kept share %q is outside (0, 1]; %s", s, keep, want)
	}
	return kernels.Layout{Format: kernels.BlockSparse, Block: n, Keep: k}, nil
}

// Density is the share of the elements of the block's matrices that is stored, each rank's shard by its own width; a router's are not counted.
func (c Case) Density() float64 {
	stored, all := c.weights(max(1, c.Experts.Count))
	return stored / all
}

// weights are the elements of a block's matrices with so many experts, or one MLP: those stored, and all.
func (c Case) weights(experts int) (stored, all float64) {
	for i, w := range c.matrices() {
		n := float64(w[0] * w[1])
		if i >= 2 {
			n *= float64(experts)
		}
		stored, all = stored+n*c.Layout.Density(w[1]), all+n
	}
	return stored, all
}

// matrices are the output and input channels of each rank's shards of the block's four matrices, of an expert's where there are experts: QKV and the MLP's first are split by
// output channels, the projections behind them by input channels.
func (c Case) matrices() [4][2]int {
	C, tp := c.Model.C, c.TP
	width := 4 * C / max(1, c.Experts.TopK)
	return [4][2]int{{3 * C / tp, C}, {C, C / tp}, {width / tp, C}, {C, width / tp}}
}
