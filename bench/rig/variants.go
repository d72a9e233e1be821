package rig

import (
	"strings"

	"ofpeak/kernels"
)

// variantsOf lists the implementation of each operator that a device runs in a precision, as "linear=avx512bf16 attention=flash-avx512bf16".
func variantsOf(dev kernels.Device, p kernels.Precision) string {
	var ran []string
	for _, op := range kernels.OpNames {
		if name := variantFor(dev.Variants(op), p); name != "" {
			ran = append(ran, string(op)+"="+name)
		}
	}
	return strings.Join(ran, " ")
}

// variantFor is the last variant that computes in the precision: one named after an instruction for 16-bit or 8-bit operands does other types' work
// as the variant before it does.
func variantFor(variants []string, p kernels.Precision) string {
	name := ""
	for _, v := range variants {
		switch {
		case strings.HasSuffix(v, "bf16") && p.Compute != kernels.BF16:
		case strings.HasSuffix(v, "vnni") && !p.Int8:
		default:
			name = v
		}
	}
	return name
}
