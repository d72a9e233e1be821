// Package isa says which instruction sets the CPU kernels may use: what the
// processor and the operating system offer, capped by the environment variable
// OFPEAK_ISA (go, avx2 or avx512). Every kernel package asks here, so that one
// setting forces one path everywhere. It does not choose kernels.
package isa

import (
	"fmt"
	"os"

	"github.com/klauspost/cpuid/v2"
)

// Env names the environment variable that caps the instruction set.
const Env = "OFPEAK_ISA"

// Level is a family of instruction sets, each including those before it.
type Level uint8

const (
	Go     Level = iota // portable Go
	AVX2                // AVX2, FMA3 and F16C
	AVX512              // AVX-512 F, BW, DQ, VL
)

var names = []string{"go", "avx2", "avx512"}

// String returns the name that OFPEAK_ISA uses.
func (l Level) String() string { return names[l] }

var (
	best   = detect()
	envErr error
)

func init() {
	limit, err := parse(os.Getenv(Env))
	best, envErr = min(best, limit), err
}

// Best returns the highest level in use.
func Best() Level { return best }

// BF16 reports whether AVX512_BF16 (VDPBF16PS) may be used.
func BF16() bool { return best == AVX512 && cpuid.CPU.Supports(cpuid.AVX512BF16) }

// VNNI reports whether AVX512_VNNI (VPDPBUSD on 512 bits) may be used.
func VNNI() bool { return best == AVX512 && cpuid.CPU.Supports(cpuid.AVX512VNNI) }

// Check returns an error if OFPEAK_ISA holds an unknown name, which is ignored.
func Check() error { return envErr }

func detect() Level {
	switch c := cpuid.CPU; {
	case !c.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C):
		return Go
	case !c.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL):
		return AVX2
	default:
		return AVX512
	}
}

// parse returns the cap that s names; the empty string caps nothing.
func parse(s string) (Level, error) {
	if s == "" {
		return AVX512, nil
	}
	for i, name := range names {
		if s == name {
			return Level(i), nil
		}
	}
	return AVX512, fmt.Errorf("%s=%q: unknown instruction set; use go, avx2 or avx512", Env, s)
}
