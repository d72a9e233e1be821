// Package isa says which instruction sets the CPU kernels may use: what the
// processor and the operating system offer, capped by the environment variable
// OFPEAK_ISA (go, avx2 or avx512; on arm64 go or neon). Every kernel package asks here, so that one
// setting forces one path everywhere. It does not choose kernels.
package isa

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// Env names the environment variable that caps the instruction set.
const Env = "OFPEAK_ISA"

// Level is a family of instruction sets, each including those before it of the same architecture.
type Level uint8

const (
	Go     Level = iota // portable Go
	NEON                // arm64's Advanced SIMD, which every arm64 has
	AVX2                // AVX2, FMA3, F16C and BMI2
	AVX512              // AVX-512 F, BW, DQ, VL
)

var names = []string{"go", "neon", "avx2", "avx512"}

// levelsOf lists the levels of an architecture, ascending.
func levelsOf(arch string) []Level {
	switch arch {
	case "amd64":
		return []Level{Go, AVX2, AVX512}
	case "arm64":
		return []Level{Go, NEON}
	}
	return []Level{Go}
}

// String returns the name that OFPEAK_ISA uses.
func (l Level) String() string { return names[l] }

var (
	best   = detect()
	envErr error
)

func init() {
	limit, err := parse(os.Getenv(Env), levelsOf(runtime.GOARCH))
	best, envErr = min(best, limit), err
}

// Best returns the highest level in use.
func Best() Level { return best }

// Known lists the levels of all architectures.
func Known() []string { return slices.Clone(names) }

// Names lists the levels that this process can use, slowest first.
func Names() []string {
	var usable []string
	for _, l := range levelsOf(runtime.GOARCH) {
		if l <= best {
			usable = append(usable, l.String())
		}
	}
	return usable
}

// Named returns the level of a name, among those that this architecture has.
func Named(name string) (Level, error) { return named(name, levelsOf(runtime.GOARCH)) }

// BF16 reports whether AVX512_BF16 (VDPBF16PS) may be used.
func BF16() bool { return best == AVX512 && cpuid.CPU.Supports(cpuid.AVX512BF16) }

// VNNI reports whether AVX512_VNNI (VPDPBUSD on 512 bits) may be used.
func VNNI() bool { return best == AVX512 && cpuid.CPU.Supports(cpuid.AVX512VNNI) }

// Check returns an error if OFPEAK_ISA holds an unknown name, which is ignored.
func Check() error { return envErr }

func detect() Level {
	switch c := cpuid.CPU; {
	case runtime.GOARCH == "arm64":
		return NEON
	case !c.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.BMI2):
		return Go
	case !c.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL):
		return AVX2
	default:
		return AVX512
	}
}

// parse returns the cap that s names among an architecture's levels; the empty string caps nothing.
func parse(s string, levels []Level) (Level, error) {
	if s == "" {
		return AVX512, nil
	}
	l, err := named(s, levels)
	if err != nil {
		return AVX512, fmt.Errorf("%s: %w", Env, err)
	}
	return l, nil
}

func named(name string, levels []Level) (Level, error) {
	var known []string
	for _, l := range levels {
		if l.String() == name {
			return l, nil
		}
		known = append(known, l.String())
	}
	return Go, fmt.Errorf("instruction set %q is unknown here; use %s", name, strings.Join(known, " or "))
}
