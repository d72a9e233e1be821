package cpu

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/isa"
	"ofpeak/kernels/cpu/team"
)

// Config says which part of the CPU a device uses.
type Config struct {
	// Cores are the cores to bind threads to, one each. Ranks of one process get disjoint cores, or they measure each other.
	Cores []int
	// Threads is the number of threads, scheduled freely, where Cores is empty; 0 is one for each core that the process may use.
	Threads int
	// ISA caps the instruction set: go, avx2 or avx512, on arm64 go or neon; "" is what the CPU has, capped by OFPEAK_ISA.
	ISA string
}

// Device is a share of the host's cores. It implements kernels.Device; its streams implement kernels.HostStream.
type Device struct {
	heap
	cores   []int // empty: not pinned
	threads int
	level   isa.Level
	chosen  map[kernels.Op]variant
	owner   *Stream // the stream that has the team
	streams atomic.Int64
}

// New gives a device, or an error if the configuration asks for what this machine lacks.
func New(c Config) (*Device, error) {
	if err := isa.Check(); err != nil {
		return nil, fmt.Errorf("cpu: %w", err)
	}
	level, err := levelNamed(c.ISA)
	if err != nil {
		return nil, err
	}
	d := &Device{cores: slices.Clone(c.Cores), threads: len(c.Cores), level: level, chosen: map[kernels.Op]variant{}}
	if d.threads == 0 {
		if d.threads, err = threadCount(c.Threads); err != nil {
			return nil, err
		}
	} else if err := checkCores(c.Cores); err != nil {
		return nil, err
	}
	for _, op := range kernels.OpNames {
		all := d.variants(op)
		d.chosen[op] = all[len(all)-1]
	}
	return d, nil
}

func levelNamed(name string) (isa.Level, error) {
	if name == "" {
		return isa.Best(), nil
	}
	l, err := isa.Named(name)
	switch {
	case err != nil:
		return 0, fmt.Errorf("cpu: %w", err)
	case l > isa.Best():
		return 0, fmt.Errorf("cpu: instruction set %s: this CPU or OFPEAK_ISA allows at most %s", name, isa.Best())
	}
	return l, nil
}

func threadCount(n int) (int, error) {
	if n < 0 {
		return 0, fmt.Errorf("cpu: %d threads; use 1 or more, or 0 for one per core", n)
	}
	if n > 0 {
		return n, nil
	}
	cores, err := team.Cores()
	if err != nil {
		return runtime.NumCPU(), nil
	}
	return len(cores), nil
}

func checkCores(want []int) error {
	have, err := team.Cores()
	if err != nil {
		return fmt.Errorf("cpu: %w", err)
	}
	for i, core := range want {
		if !slices.Contains(have, core) {
			return fmt.Errorf("cpu: core %d is not among the cores %v that the process may use", core, have)
		}
		if slices.Contains(want[:i], core) {
			return fmt.Errorf("cpu: core %d is named twice", core)
		}
	}
	return nil
}

// Info names the processor and the number of threads in use.
func (d *Device) Info() kernels.Info {
	return kernels.Info{Kind: "cpu", Name: isa.Processor(), Units: d.threads}
}

// Supports is nil for float32, float16 and bfloat16 in every format, and for products of dense weights that round to FP8.
func (d *Device) Supports(op kernels.Op, t kernels.DType, f kernels.Format) error {
	switch {
	case !slices.Contains(kernels.OpNames, op):
		return fmt.Errorf("cpu: operator %q: %w: there is none of this name", op, kernels.ErrUnsupported)
	case t == kernels.FP8 && op == kernels.OpLinear && f == kernels.Dense:
		return nil
	case !isFloat(t):
		return fmt.Errorf("cpu: %s in %s: %w: the CPU device computes in fp32, fp16 and bf16", op, t, kernels.ErrUnsupported)
	}
	return nil
}

func isFloat(t kernels.DType) bool { return t == kernels.F32 || t == kernels.F16 || t == kernels.BF16 }

// NewStream starts a stream. The first one open at a time has the device's team of threads; the operators of further ones run on
// one thread each, so that communication goes on beside computation without waiting for it. All threads keep to the device's cores.
func (d *Device) NewStream() (kernels.Stream, error) { return newStream(d) }

// NewEvent gives an event that was never recorded.
func (d *Device) NewEvent() (kernels.Event, error) { return newEvent(), nil }

// Close reports buffers and streams that were not given back; the device owns nothing else.
func (d *Device) Close() error {
	if m := d.Memory(); m.Current != 0 {
		return fmt.Errorf("cpu: closed with %d bytes not freed", m.Current)
	}
	if d.owner != nil {
		return errors.New("cpu: closed with a stream open")
	}
	return nil
}
