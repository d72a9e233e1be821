package rig

import (
	"strings"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
)

// variantsOf lists the implementation of each operator that a device runs for a model, as "linear=avx512bf16 attention=flash-avx512bf16". forced is
// the variant that the user chose, or "".
func variantsOf(dev kernels.Device, m block.Config, forced string) string {
	var ran []string
	gpu, ok := dev.(interface{ Multiplies8() bool })
	eight := ok && gpu.Multiplies8()
	for _, op := range kernels.OpNames {
		if op == kernels.OpExperts && m.Experts.Count == 0 {
			continue
		}
		if name := variantFor(dev.Variants(op), m, forced, eight); name != "" {
			ran = append(ran, string(op)+"="+name)
		}
	}
	return strings.Join(ran, " ")
}

// variantFor is the last variant, up to the forced one, that computes the model: one named after an instruction for 16-bit or 8-bit operands does other types'
// work as the variant before it does, and so do those of tensor cores and libraries what they have no form for. eight tells whether a library multiplies 8-bit floats.
func variantFor(variants []string, m block.Config, forced string, eight bool) string {
	p, name := m.Precision, ""
	dense := m.Layout.Format == kernels.Dense && !p.Int8
	for _, v := range variants {
		switch {
		case strings.HasSuffix(v, "bf16") && p.Compute != kernels.BF16:
		case strings.HasSuffix(v, "vnni") && !p.Int8:
		case v == "mma" && !tensorCores(m):
		case v == "cublaslt" && (!dense || p.Math == kernels.FP8 && !eight):
		case v == "cusparselt" && (m.Layout.Format != kernels.Sparse24 || p.Compute != kernels.F16 && p.Compute != kernels.BF16):
		case v == "flash" && (p.Compute == kernels.F32 || m.C/m.NH != 64 && m.C/m.NH != 128):
		default:
			name = v
		}
		if v == forced {
			return name
		}
	}
	return name
}

// tensorCores reports whether CUDA's own products of a model have a form for its operands.
func tensorCores(m block.Config) bool {
	p, edge := m.Precision, m.Layout.Block
	return p.Factors() != kernels.F32 && (m.Layout.Format != kernels.BlockSparse || edge == 16 || edge == 32 || edge == 64)
}
