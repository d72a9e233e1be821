package isa

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// Processor is the CPU's name as it reports it, or its architecture. Hypervisors hide model numbers: an "AMD EPYC" may be of any generation, so a name
// without one is told apart by the family and model that CPUID gives.
func Processor() string { return processor(cpuid.CPU.BrandName, cpuid.CPU.Family, cpuid.CPU.Model) }

func processor(brand string, family, model int) string {
	name := strings.Join(strings.Fields(brand), " ")
	switch {
	case name == "":
		return runtime.GOARCH
	case strings.ContainsAny(name, "0123456789") || family == 0:
		return name
	}
	return fmt.Sprintf("%s (family %d, model %d)", name, family, model)
}
