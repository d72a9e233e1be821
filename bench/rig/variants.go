package rig

import (
	"strings"

	"ofpeak/kernels"
)

// variantsOf lists the implementation of each operator that a device has chosen, as "attention=flash linear=avx512bf16".
func variantsOf(dev kernels.Device) string {
	var chosen []string
	for _, op := range kernels.OpNames {
		if v := dev.Variants(op); len(v) > 0 {
			chosen = append(chosen, string(op)+"="+v[len(v)-1])
		}
	}
	return strings.Join(chosen, " ")
}
