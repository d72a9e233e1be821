// Package ptxsim is a driver.Driver of simulated GPUs that interpret the PTX they are given (package simt). It serves tests and demonstrations on machines
// without a GPU: results are computed, time is not.
//
// It is as unkind as the CUDA API allows. What is enqueued on a stream runs at any later time, up to the call that waits for it, in an order among streams
// drawn from a seed; so a missing event wait gives a wrong result under some seed. Device addresses are no host addresses, each device's memory starts out
// undefined, and reading it before it was written is an error.
package ptxsim

import (
	"fmt"
	"math/rand/v2"
	"sync"

	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim/simt"
)

// Config says which GPUs to simulate.
type Config struct {
	Devices    int    // 0: one
	Memory     int64  // bytes of each; 0: 1 GiB
	Seed       uint64 // of the order of streams, blocks and warps
	Workers    int    // blocks that run at once; 0: GOMAXPROCS
	Budget     int64  // instructions that a warp may issue; 0: simt's default
	Capability int    // compute capability, as 10·major + minor; 0: 80
	// Products gives contexts a stand-in for cuBLASLt, to test its callers. Without it they run the kernels that ship.
	Products bool
	// SparseProducts gives contexts a stand-in for cuSPARSELt, likewise.
	SparseProducts bool
	// Collectives gives the driver a stand-in for NCCL, likewise.
	Collectives bool
}

// Driver is a set of simulated GPUs. One lock serves all of them, so that kernels run one at a time.
type Driver struct {
	config  Config
	mu      sync.Mutex
	changed *sync.Cond // something was enqueued or aborted, for which a goroutine waits whose work needs another rank's
	random  *rand.Rand
	open    []*context
	streams []*stream
	failIn  int // calls until one fails; 0: none
	failure driver.Error
	history *History
	made    int // streams so far
	cliques map[string]*clique
}

// New makes a driver.
func New(c Config) *Driver {
	c.Devices, c.Capability = max(c.Devices, 1), max(c.Capability, 80)
	if c.Memory == 0 {
		c.Memory = 1 << 30
	}
	d := &Driver{config: c, random: rand.New(rand.NewPCG(c.Seed, 7)), open: make([]*context, c.Devices), cliques: map[string]*clique{}}
	d.changed = sync.NewCond(&d.mu)
	return d
}

// FailAt makes the nth call from now on fail with err, once; n is 1 for the very next. Calls that only close or free do not count. An err that is sticky
// loses the call's context.
func (d *Driver) FailAt(n int, err driver.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failIn, d.failure = n, err
}

// Calls is how many of FailAt's n calls are left; 0 once it has happened.
func (d *Driver) Calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failIn
}

// injected is the failure that FailAt asked for, if this call is the one.
func (d *Driver) injected(call string) error {
	if d.failIn == 0 {
		return nil
	}
	if d.failIn--; d.failIn > 0 {
		return nil
	}
	return fmt.Errorf("ptxsim: %s: injected: %w", call, d.failure)
}

// Version is that of CUDA 11.8, whose PTX the interpreter reads.
func (d *Driver) Version() (int, error) { return 11080, nil }

// Devices is the number of simulated GPUs.
func (d *Driver) Devices() (int, error) { return d.config.Devices, nil }

// Device describes one of them: an A100 in what kernels can ask for.
func (d *Driver) Device(i int) (driver.DeviceInfo, error) {
	if i < 0 || i >= d.config.Devices {
		return driver.DeviceInfo{}, fmt.Errorf("ptxsim: device %d of %d: %w", i, d.config.Devices, driver.ErrInvalidDevice)
	}
	return driver.DeviceInfo{
		Name: driver.SimulatedName, Major: d.config.Capability / 10, Minor: d.config.Capability % 10, Multiprocessors: 4, Memory: d.config.Memory, SharedPerBlock: maxShared, Simulated: true,
	}, nil
}

// maxShared is what a block of compute capability 8.0 may ask for (CUDA C++ Programming Guide, table of technical specifications).
const (
	maxShared    = 163 << 10
	staticShared = 48 << 10 // without opting in to more
)

// NewContext opens a device.
func (d *Driver) NewContext(i int) (driver.Context, error) {
	if _, err := d.Device(i); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.injected("NewContext"); err != nil {
		return nil, err
	}
	if d.open[i] != nil {
		return nil, fmt.Errorf("ptxsim: device %d is open already: %w", i, driver.ErrInvalidValue)
	}
	c := &context{driver: d, device: i, memory: simt.NewMemory(0x7000_0000_0000+uint64(i)<<44, d.config.Memory), live: map[any]string{}}
	d.open[i] = c
	return c, nil
}
