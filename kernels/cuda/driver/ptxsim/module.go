package ptxsim

import (
	"fmt"

	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim/simt"
)

// module implements driver.Module.
type module struct {
	context *context
	kernels map[string]*simt.Kernel
	globals map[string]global
	closed  bool
}

// global is a variable's memory.
type global struct {
	at   driver.Ptr
	size int64
}

// enter takes the lock for a call on the module.
func (m *module) enter(call string) error {
	if err := m.context.enter(call); err != nil {
		return err
	}
	if m.closed {
		return fmt.Errorf("ptxsim: %s: %w", call, driver.ErrInvalidHandle)
	}
	return nil
}

func (m *module) Function(name string) (driver.Function, error) {
	defer m.context.leave()
	if err := m.enter("Function"); err != nil {
		return nil, err
	}
	k, ok := m.kernels[name]
	if !ok {
		return nil, fmt.Errorf("ptxsim: kernel %q: %w", name, driver.ErrNotFound)
	}
	return &function{module: m, kernel: k, allowed: staticShared}, nil
}

func (m *module) Global(name string) (driver.Ptr, int64, error) {
	defer m.context.leave()
	if err := m.enter("Global"); err != nil {
		return 0, 0, err
	}
	g, ok := m.globals[name]
	if !ok {
		return 0, 0, fmt.Errorf("ptxsim: variable %q: %w", name, driver.ErrNotFound)
	}
	return g.at, g.size, nil
}

func (m *module) Close() error {
	m.context.driver.mu.Lock()
	defer m.context.leave()
	if m.closed {
		return fmt.Errorf("ptxsim: module closed twice: %w", driver.ErrInvalidHandle)
	}
	m.context.driver.idle(m.context)
	m.unload()
	m.closed = true
	delete(m.context.live, m)
	return nil
}

// unload frees the module's variables.
func (m *module) unload() {
	for _, g := range m.globals {
		m.context.memory.Free(uint64(g.at))
	}
	m.globals = nil
}

// function implements driver.Function.
type function struct {
	module  *module
	kernel  *simt.Kernel
	allowed int // bytes of dynamic shared memory
}

func (f *function) Info() driver.FunctionInfo {
	return driver.FunctionInfo{Name: f.kernel.Name, MaxThreads: f.kernel.MaxThreads, Shared: f.kernel.Shared, Local: f.kernel.Local}
}

// Parameters is how many cells a launch takes.
func (f *function) Parameters() int { return f.kernel.Parameters() }

func (f *function) AllowShared(bytes int) error {
	defer f.module.context.leave()
	if err := f.module.enter("AllowShared"); err != nil {
		return err
	}
	if bytes < 0 || bytes+f.kernel.Shared > maxShared {
		return fmt.Errorf("ptxsim: %s: %d bytes of dynamic shared memory: %w", f.kernel.Name, bytes, driver.ErrInvalidValue)
	}
	f.allowed = bytes
	return nil
}
