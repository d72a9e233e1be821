//go:build gpu

package cudriver

// #cgo CFLAGS: -I${SRCDIR}/include
// #cgo LDFLAGS: -lcuda
// #include <cuda.h>
import "C"

import (
	"fmt"
	"sync"

	"gorgonia.org/cu"

	"ofpeak/kernels/cuda/driver"
)

// Driver implements driver.Driver. CUDA is one per process, so there is one value of it.
type Driver struct {
	mu     sync.Mutex
	open   map[int]*context
	pinned pinnedMemory
}

var only = &Driver{open: map[int]*context{}}

// New gives the process's driver, which cu has initialised.
func New() *Driver { return only }

// Version is the CUDA version that the driver supports.
func (d *Driver) Version() (int, error) {
	v := cu.Version()
	if v < 0 {
		return 0, fmt.Errorf("cudriver: Version: %w", driver.ErrNotSupported)
	}
	return v, nil
}

// Devices counts what CUDA_VISIBLE_DEVICES leaves.
func (d *Driver) Devices() (int, error) {
	n, err := cu.NumDevices()
	return n, failure("Devices", err)
}

// Device describes device i.
func (d *Driver) Device(i int) (driver.DeviceInfo, error) {
	var info driver.DeviceInfo
	dev, err := device(i)
	if err != nil {
		return info, failure("Device", err)
	}
	if info.Name, err = dev.Name(); err != nil {
		return info, failure("Device", err)
	}
	if info.Memory, err = dev.TotalMem(); err != nil {
		return info, failure("Device", err)
	}
	var domain, bus, slot int
	for _, a := range []struct {
		attribute cu.DeviceAttribute
		to        *int
	}{
		{cu.ComputeCapabilityMajor, &info.Major},
		{cu.ComputeCapabilityMinor, &info.Minor},
		{cu.MultiprocessorCount, &info.Multiprocessors},
		{C.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &info.SharedPerBlock},
		{cu.L2CacheSize, &info.L2},
		{cu.ClockRate, &info.ClockKHz},
		{cu.PciDomainID, &domain},
		{cu.PciBusID, &bus},
		{cu.PciDeviceID, &slot},
	} {
		if *a.to, err = dev.Attribute(a.attribute); err != nil {
			return info, failure("Device", err)
		}
	}
	info.Simulated = info.Name == driver.SimulatedName
	info.PCI = fmt.Sprintf("%08x:%02x:%02x.0", domain, bus, slot)
	return info, nil
}

// device refuses an index that the driver might take for something else.
func device(i int) (cu.Device, error) {
	if i < 0 {
		return cu.BadDevice, driver.ErrInvalidDevice
	}
	return cu.GetDevice(i)
}

// NewContext opens device i by its primary context, the one that NVIDIA's libraries share.
func (d *Driver) NewContext(i int) (driver.Context, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dev, err := device(i)
	if err != nil {
		return nil, failure("NewContext", err)
	}
	if d.open[i] != nil {
		return nil, fmt.Errorf("cudriver: NewContext: device %d is open: %w", i, driver.ErrInvalidValue)
	}
	handle, err := dev.RetainPrimaryCtx()
	if err != nil {
		return nil, failure("NewContext", err)
	}
	c := &context{driver: d, device: i, dev: dev, handle: handle, live: map[any]string{}}
	d.open[i] = c
	return c, nil
}
