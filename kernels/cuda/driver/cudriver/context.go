//go:build gpu

package cudriver

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"gorgonia.org/cu"

	"ofpeak/kernels/cuda/driver"
)

// context implements driver.Context.
type context struct {
	driver *Driver
	device int
	dev    cu.Device
	handle cu.CUContext

	mu     sync.Mutex
	lost   error // of the kernel that failed
	closed bool
	live   map[any]string // what was given out and has not come back, by its kind
}

// do runs a call of the API with the context current, which CUDA keeps per thread.
func (c *context) do(call string, fn func() error) error {
	c.mu.Lock()
	closed, lost := c.closed, c.lost
	c.mu.Unlock()
	switch {
	case closed:
		return fmt.Errorf("cudriver: %s: %w", call, driver.ErrInvalidContext)
	case lost != nil:
		return lost
	}
	return c.current(call, fn)
}

// current runs a call and notes an error that loses the context.
func (c *context) current(call string, fn func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := failure(call, cu.SetCurrentContext(c.handle))
	if err == nil {
		err = failure(call, fn())
	}
	if sticky(err) {
		c.mu.Lock()
		c.lost = err
		c.mu.Unlock()
	}
	return err
}

// release gives back something that was handed out. On a lost context it always works: all goes with the context.
func (c *context) release(call string, key any, fn func() error) error {
	c.mu.Lock()
	kind, ok := c.live[key]
	closed, lost := c.closed, c.lost
	delete(c.live, key)
	c.mu.Unlock()
	switch {
	case closed:
		return fmt.Errorf("cudriver: %s: %w", call, driver.ErrInvalidContext)
	case !ok:
		return fmt.Errorf("cudriver: %s: not given out by this context, or back already: %w", call, missing(key))
	case lost != nil:
		return nil
	}
	err := c.current(call, fn)
	if errors.Is(err, driver.ErrCaptureUnsupported) {
		c.give(key, kind) // it was refused, and can come back later
	}
	return err
}

// missing is the error for a key that is not live: memory is a value, the rest are handles.
func missing(key any) driver.Error {
	switch key.(type) {
	case driver.Ptr, *byte:
		return driver.ErrInvalidValue
	}
	return driver.ErrInvalidHandle
}

// give notes what is handed out.
func (c *context) give(key any, kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live[key] = kind
}

// holds is nil if the key was handed out and has not come back.
func (c *context) holds(call string, key any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return fmt.Errorf("cudriver: %s: %w", call, driver.ErrInvalidContext)
	case c.live[key] == "":
		return fmt.Errorf("cudriver: %s: %w", call, driver.ErrInvalidHandle)
	}
	return nil
}

func (c *context) Device() int { return c.device }

func (c *context) MemInfo() (free, total int64, err error) {
	err = c.do("MemInfo", func() (err error) {
		free, total, err = cu.MemInfo()
		return err
	})
	return free, total, err
}

func (c *context) Alloc(bytes int64) (driver.Ptr, error) {
	if bytes <= 0 {
		return 0, fmt.Errorf("cudriver: Alloc of %d bytes: %w", bytes, driver.ErrInvalidValue)
	}
	var p cu.DevicePtr
	err := c.do("Alloc", func() (err error) {
		p, err = cu.MemAlloc(bytes)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("%w, for %d bytes on device %d", err, bytes, c.device)
	}
	c.give(driver.Ptr(p), "allocation")
	return driver.Ptr(p), nil
}

// Free waits for the device, as cuMemFree does.
func (c *context) Free(p driver.Ptr) error {
	return c.release("Free", p, func() error { return cu.MemFree(cu.DevicePtr(p)) })
}

func (c *context) EnablePeer(peer driver.Context) error {
	p, ok := peer.(*context)
	if !ok || p == c {
		return fmt.Errorf("cudriver: EnablePeer: no other device: %w", driver.ErrInvalidContext)
	}
	return c.do("EnablePeer", func() error {
		able, err := c.dev.CanAccessPeer(p.dev)
		if err == nil && able == 0 {
			err = driver.ErrPeerUnsupported
		}
		if err != nil {
			return err
		}
		return p.handle.EnablePeerAccess(0)
	})
}

func (c *context) Synchronize() error { return c.do("Synchronize", cu.Synchronize) }

// Close gives the primary context back; with the last holder CUDA destroys it and all that is in it.
func (c *context) Close() error {
	c.driver.mu.Lock()
	defer c.driver.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("cudriver: Close: %w", driver.ErrInvalidContext)
	}
	c.closed = true
	delete(c.driver.open, c.device)
	c.driver.pinned.forget(c)
	err := failure("Close", c.dev.ReleasePrimaryCtx())
	if c.lost != nil {
		err = nil // the context's own error again
	}
	return errors.Join(err, c.notReleased())
}

func (c *context) notReleased() error {
	counts := map[string]int{}
	for _, kind := range c.live {
		counts[kind]++
	}
	var left []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		left = append(left, fmt.Sprintf("%d %s(s)", counts[kind], kind))
	}
	if left == nil {
		return nil
	}
	return fmt.Errorf("cudriver: device %d: %s: %w", c.device, strings.Join(left, ", "), driver.ErrNotReleased)
}
