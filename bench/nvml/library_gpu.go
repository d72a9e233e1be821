//go:build gpu

package nvml

import (
	"fmt"
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"ofpeak/results"
)

// start opens the library, once for the process.
var start = sync.OnceValues(func() (nvml.Interface, error) {
	library := nvml.New()
	if status := library.Init(); status != nvml.SUCCESS {
		return nil, fmt.Errorf("nvml: libnvidia-ml.so.1 does not start: %w", status)
	}
	return library, nil
})

// Open finds the GPU at a PCI address, such as 00000000:3b:00.0: NVML counts all GPUs, in an order of its own, where CUDA counts those that CUDA_VISIBLE_DEVICES
// leaves. The error is that of a library that is not there, or does not know the GPU.
func Open(bus string) (Reader, error) {
	library, err := start()
	if err != nil {
		return nil, err
	}
	dev, status := library.DeviceGetHandleByPciBusId(bus)
	if status != nvml.SUCCESS {
		return nil, fmt.Errorf("nvml: no GPU at %s: %w", bus, status)
	}
	g := &gpu{Device: dev}
	// A call of what a driver's library lacks would end the process.
	g.has = func(function string) bool { return library.Extensions().LookupSymbol(function) == nil }
	if g.has("nvmlDeviceGetMigMode") {
		mode, _, status := dev.GetMigMode()
		g.sliced = status == nvml.SUCCESS && mode == nvml.DEVICE_MIG_ENABLE
	}
	return g, nil
}

// gpu reads one GPU. Of one that is cut into slices (MIG) power, energy and memory are those of all slices, whoever uses them, so they are left out.
type gpu struct {
	nvml.Device
	has    func(function string) bool
	sliced bool
}

// Read asks for everything.
func (g *gpu) Read() State {
	s := State{
		ClockMHz:     ask(g, "nvmlDeviceGetClockInfo", 1, func() (uint32, nvml.Return) { return g.GetClockInfo(nvml.CLOCK_SM) }),
		MaxClockMHz:  ask(g, "nvmlDeviceGetMaxClockInfo", 1, func() (uint32, nvml.Return) { return g.GetMaxClockInfo(nvml.CLOCK_SM) }),
		TemperatureC: ask(g, "nvmlDeviceGetTemperature", 1, func() (uint32, nvml.Return) { return g.GetTemperature(nvml.TEMPERATURE_GPU) }),
	}
	// The newer name of the same, nvmlDeviceGetCurrentClocksEventReasons, is not in drivers before 535.
	if g.has("nvmlDeviceGetCurrentClocksThrottleReasons") {
		if bits, status := g.GetCurrentClocksThrottleReasons(); status == nvml.SUCCESS {
			s.Slowed = SlowedBy(bits)
		}
	}
	if g.sliced {
		return s
	}
	s.PowerW = ask(g, "nvmlDeviceGetPowerUsage", 1e-3, g.GetPowerUsage)
	s.EnergyJ = ask(g, "nvmlDeviceGetTotalEnergyConsumption", 1e-3, g.GetTotalEnergyConsumption)
	if g.has("nvmlDeviceGetMemoryInfo") {
		if memory, status := g.GetMemoryInfo(); status == nvml.SUCCESS {
			s.MemoryBytes = results.Some(int64(memory.Used))
		}
	}
	return s
}

// ask is what a function of the library tells, times unit, or missing.
func ask[T uint32 | uint64](g *gpu, function string, unit float64, call func() (T, nvml.Return)) results.Opt[float64] {
	if !g.has(function) {
		return results.Opt[float64]{}
	}
	v, status := call()
	if status != nvml.SUCCESS {
		return results.Opt[float64]{}
	}
	return results.Some(float64(v) * unit)
}
