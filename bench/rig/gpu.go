package rig

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"ofpeak/bench/host"
	"ofpeak/bench/measure"
	"ofpeak/bench/nvml"
	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/kernels/cuda"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/nccl"
	"ofpeak/parallel/comm/peer"
	"ofpeak/results"
	"ofpeak/results/chips"
)

// gpus are the devices of a driver that a rig measures on: one for each rank, all of one kind.
type gpus struct {
	driver.Driver
	info      driver.DeviceInfo
	count     int    // of all processes
	own       int    // the one device that this process of a job drives; -1: it drives all, the device of a rank's number for each
	libraries string // name=version joined by ";"
	ceilings  gpuCeilings
	readers   func(pci string) (nvml.Reader, error)

	collectives   driver.Collectives // nil: none
	noCollectives error              // why
}

// findGPUs takes the first so many devices of a driver, or all (0) that are of the first one's kind.
func findGPUs(d driver.Driver, count int) (*gpus, error) {
	n, err := devices(d)
	if err != nil {
		return nil, err
	}
	g := newGPUs(d, -1)
	if g.info, err = d.Device(0); err != nil {
		return nil, err
	}
	for g.count = 1; g.count < n; g.count++ {
		info, err := d.Device(g.count)
		if err != nil {
			return nil, err
		}
		if !info.Alike(g.info) {
			break
		}
	}
	switch {
	case count < 0 || count > n:
		return nil, fmt.Errorf("--gpus %d: there are %d", count, n)
	case count > g.count:
		return nil, fmt.Errorf("--gpus %d: only the first %d are alike; choose others with CUDA_VISIBLE_DEVICES", count, g.count)
	case count > 0:
		g.count = count
	}
	return g, g.meet()
}

// findGPU takes one device for this process of a job: that of its number among those of its host, in turn where there are fewer.
func findGPU(d driver.Driver, count int, job comm.Processes, local int) (*gpus, error) {
	n, err := devices(d)
	if err != nil {
		return nil, err
	}
	if count < 0 || count > job.Size() {
		return nil, fmt.Errorf("--gpus %d: the job has %d processes, for a GPU each", count, job.Size())
	}
	if local < 0 {
		local = job.Rank()
	}
	g := newGPUs(d, local%n)
	g.count = cmp.Or(count, job.Size())
	if g.info, err = d.Device(g.own); err != nil {
		return nil, err
	}
	return g, g.meet()
}

func devices(d driver.Driver) (int, error) {
	n, err := d.Devices()
	if err == nil && n == 0 {
		err = errors.New("the driver finds no GPU")
	}
	return n, err
}

func newGPUs(d driver.Driver, own int) *gpus {
	g := &gpus{Driver: d, own: own, readers: nvml.Open}
	g.collectives, g.noCollectives = d.Collectives()
	return g
}

// device is a rank's.
func (g *gpus) device(rank int) int {
	if g.own >= 0 {
		return g.own
	}
	return rank
}

// meet opens a device, which tells whether it can be used at all, and notes the versions of what computes on it.
func (g *gpus) meet() error {
	dev, err := cuda.Open(g.Driver, g.device(0))
	if err != nil {
		return err
	}
	if g.info.Simulated {
		return dev.Close()
	}
	version, err := g.Version()
	if err != nil {
		return errors.Join(err, dev.Close())
	}
	g.libraries = fmt.Sprintf("cuda-driver=%d.%d", version/1000, version%1000/10)
	if release := host.NVIDIA(os.DirFS("/")).Release(); release != "" {
		g.libraries += ";nvidia-driver=" + release
	}
	for _, ask := range []func() (string, error){dev.Library, dev.SparseLibrary} {
		if library, err := ask(); err == nil {
			g.libraries += ";" + strings.Replace(library, " ", "=", 1)
		}
	}
	if g.collectives != nil {
		g.libraries += ";" + strings.Replace(g.collectives.Library(), " ", "=", 1)
	}
	return dev.Close()
}

// engine is NCCL where that is, else copies of our own.
func (g *gpus) engine() engine {
	if g.collectives != nil {
		return engine{g.collectives.Library(), nccl.New(g.collectives)}
	}
	return engine{peer.Name, peer.New}
}

// cautions are what a reader of a good row of several GPUs should know.
func (g *gpus) cautions() []string {
	if g.noCollectives == nil {
		return nil
	}
	return []string{"collectives are copies of our own: " + firstLine(g.noCollectives)}
}

// use makes a rig measure on GPUs. The chip is the one of the driver's name, unless the user named one.
func (r *Rig) use(g *gpus) {
	r.gpus = g
	r.machine.Device, r.machine.Name, r.machine.GPUs = results.CUDA, g.info.Name, g.count
	r.machine.Libraries = g.libraries
	if g.info.Simulated {
		r.machine.Device = results.Sim
		r.rule = measure.Rule{MinSamples: 1, MaxSamples: 1} // a second step would tell nothing but its time
		return
	}
	if r.machine.Chip == "" {
		if chip, ok := chips.Builtin().Lookup(g.info.Name); ok {
			r.chip, r.machine.Chip = chip, chip.Name
		}
	}
}

// failedToOpen is why a device that has been opened before cannot be opened now, which tells nothing of what it supports.
type failedToOpen struct{ error }

func (f failedToOpen) Unwrap() error { return f.error }

// open is one rank's device, with the case's variant of every operator that has it.
func (g *gpus) open(c workload.Case, rank int) (kernels.Device, error) {
	dev, err := cuda.Open(g.Driver, g.device(rank))
	if err != nil && !errors.Is(err, kernels.ErrUnsupported) {
		err = failedToOpen{err}
	}
	if err != nil {
		return nil, err
	}
	if err := choose(dev, c.ISA); err != nil {
		return nil, errors.Join(err, dev.Close())
	}
	return dev, nil
}

// watch begins to read what a rank's GPU does; the function that it returns says what it did. Where that cannot be read, it says nothing.
func (g *gpus) watch(rank int) func() nvml.Summary {
	unknown := func() nvml.Summary { return nvml.Summary{} }
	info, err := g.Device(g.device(rank))
	if err != nil || info.PCI == "" {
		return unknown
	}
	reader, err := g.readers(info.PCI)
	if err != nil {
		return unknown
	}
	return nvml.Watch(reader)
}

func choose(dev *cuda.Device, variant string) error {
	if variant == "" {
		return nil
	}
	var known []string
	found := false
	for _, op := range kernels.OpNames {
		for _, name := range dev.Variants(op) {
			known = append(known, name)
			if name == variant {
				found = true
				if err := dev.Select(op, name); err != nil {
					return err
				}
			}
		}
	}
	for name, ask := range map[string]func() (string, error){"cublaslt": dev.Library, "cusparselt": dev.SparseLibrary} {
		if _, err := ask(); !found && err != nil && variant == name {
			return fmt.Errorf("--isa %s: %w", name, err)
		}
	}
	if !found {
		return fmt.Errorf("--isa %q is no variant of the GPU's kernels; take one of %s", variant, strings.Join(known, ", "))
	}
	return nil
}

// check is nil, or why the GPUs cannot run a case.
func (g *gpus) check(c workload.Case) error {
	switch {
	case c.World() > g.count:
		return fmt.Errorf("needs %d GPUs, and %d are used; take fewer --ranks or more --gpus", c.World(), g.count)
	case c.Threads > 0:
		return fmt.Errorf("--threads %d: ranks on GPUs have no threads of their own; drop it", c.Threads)
	}
	return c.CheckMemory(g.info.Memory)
}
