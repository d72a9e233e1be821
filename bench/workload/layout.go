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

// Density is the share of the elements of the block's four matrices that is stored and multiplied, each rank's shard by its own width.
func (c Case) Density() float64 {
	C, l := c.Model.C, c.Layout
	return (7*l.Density(C) + l.Density(C/c.TP) + 4*l.Density(4*C/c.TP)) / 12
}
