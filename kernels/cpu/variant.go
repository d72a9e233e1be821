package cpu

import (
	"fmt"
	"slices"
	"strings"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/gemm"
	"ofpeak/kernels/cpu/isa"
	"ofpeak/kernels/cpu/vec"
)

// variant is one implementation of an operator.
type variant struct {
	name  string
	set   *vec.Set
	naive bool // attention: row by row, without tiles
	bf16  bool // attention: products of bfloat16 where the operands are
}

// variants lists what the device's instruction set can run, reference first.
func (d *Device) variants(op kernels.Op) []variant {
	var all []variant
	switch op {
	case kernels.OpLinear:
		for _, name := range productVariants() {
			if level := levelOf(name); level <= d.level {
				all = append(all, variant{name: name, set: vec.Of(level)})
			}
		}
		return all
	case kernels.OpAttention:
		all = append(all, variant{name: "naive", set: vec.Of(isa.Go), naive: true})
	}
	for _, set := range vec.Sets() {
		if set.Level() > d.level {
			continue
		}
		name := set.Name()
		if op == kernels.OpAttention {
			name = "flash-" + name
		}
		all = append(all, variant{name: name, set: set})
		if op == kernels.OpAttention && set.HasBF16() {
			all = append(all, variant{name: name + "bf16", set: set, bf16: true})
		}
	}
	return all
}

// productVariants lists the products' implementations for all types, slowest first. Those for some types only come last.
func productVariants() []string {
	var names []string
	for _, t := range productTypes {
		for _, name := range gemm.Variants(t) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

var productTypes = []gemm.Type{gemm.F32, gemm.BF16, gemm.F16, gemm.I8}

// levelOf is the instruction set of a product's variant, with which the variant's name starts.
func levelOf(name string) isa.Level {
	level := isa.Go
	for l := isa.Go; l <= isa.AVX512; l++ {
		if strings.HasPrefix(name, l.String()) {
			level = l
		}
	}
	return level
}

// Variants lists op's implementations: one for each instruction set; for attention also the untiled algorithm.
func (d *Device) Variants(op kernels.Op) []string {
	var names []string
	for _, v := range d.variants(op) {
		names = append(names, v.name)
	}
	return names
}

// Select makes later calls of op use a variant; "" picks the fastest.
func (d *Device) Select(op kernels.Op, name string) error {
	if _, ok := d.chosen[op]; !ok {
		return fmt.Errorf("cpu: operator %q: %w: there is none of this name", op, kernels.ErrUnsupported)
	}
	all := d.variants(op)
	if name == "" {
		d.chosen[op] = all[len(all)-1]
		return nil
	}
	for _, v := range all {
		if v.name == name {
			d.chosen[op] = v
			return nil
		}
	}
	return fmt.Errorf("cpu: %s has no variant %q: %w: use one of %v", op, name, kernels.ErrUnsupported, d.Variants(op))
}
