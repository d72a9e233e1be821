package ptxsim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
	"ofpeak/kernels/cuda/driver/ptxsim/simt"
)

// context implements driver.Context.
type context struct {
	driver *Driver
	device int
	memory *simt.Memory
	peers  []*context
	pinned [][]byte
	live   map[any]string // what is not closed yet, by what it is
	lost   error          // of the kernel that failed
	closed bool
}

// enter takes the lock for a call and tells why the call cannot be made. The caller unlocks in any case.
func (c *context) enter(call string) error {
	c.driver.mu.Lock()
	return c.usable(call)
}

// usable is enter where the lock is held.
func (c *context) usable(call string) error {
	switch {
	case c.closed:
		return fmt.Errorf("ptxsim: %s: %w", call, driver.ErrInvalidContext)
	case c.lost != nil:
		return c.lost
	}
	err := c.driver.injected(call)
	var code driver.Error
	if errors.As(err, &code) && code.Sticky() {
		c.lose(err)
	}
	return err
}

// lose notes the failure that the context does not survive. Whoever waits for its streams need not wait any more.
func (c *context) lose(err error) {
	c.lost = err
	c.driver.changed.Broadcast()
}

// enterIdle is enter for a call that is not permitted while a stream of the context is captured.
func (c *context) enterIdle(call string) error {
	if err := c.enter(call); err != nil {
		return err
	}
	return c.refuse(call)
}

// refuse fails a call, and the capture, where a stream of the context is captured.
func (c *context) refuse(call string) error {
	for _, s := range c.streams() {
		if err := s.capture.refuse(call); err != nil {
			return err
		}
	}
	return nil
}

func (c *context) leave() { c.driver.mu.Unlock() }

func (c *context) Device() int { return c.device }

func (c *context) MemInfo() (free, total int64, err error) {
	defer c.leave()
	if err := c.enter("MemInfo"); err != nil {
		return 0, 0, err
	}
	return c.driver.config.Memory - c.memory.Used(), c.driver.config.Memory, nil
}

func (c *context) Alloc(bytes int64) (driver.Ptr, error) {
	defer c.leave()
	if err := c.enterIdle("Alloc"); err != nil {
		return 0, err
	}
	p, err := c.memory.Alloc(bytes)
	if err != nil {
		return 0, fmt.Errorf("ptxsim: device %d: %w", c.device, err)
	}
	c.live[driver.Ptr(p)] = "allocation"
	return driver.Ptr(p), nil
}

// Free works on a lost context too: it is how a failed run cleans up.
func (c *context) Free(p driver.Ptr) error {
	c.driver.mu.Lock()
	defer c.leave()
	if c.live[p] == "" {
		return fmt.Errorf("ptxsim: Free: %#x is no allocation: %w", uint64(p), driver.ErrInvalidValue)
	}
	if err := c.refuse("Free"); err != nil {
		return err
	}
	c.driver.idle(c)
	c.waited(c.streams()...)
	delete(c.live, p)
	return c.memory.Free(uint64(p))
}

func (c *context) AllocHost(bytes int) ([]byte, error) {
	defer c.leave()
	if err := c.enterIdle("AllocHost"); err != nil {
		return nil, err
	}
	if bytes <= 0 {
		return nil, fmt.Errorf("ptxsim: AllocHost of %d bytes: %w", bytes, driver.ErrInvalidValue)
	}
	b := make([]byte, bytes)
	c.pinned = append(c.pinned, b)
	c.live[unsafe.SliceData(b)] = "host allocation"
	return b, nil
}

func (c *context) FreeHost(b []byte) error {
	c.driver.mu.Lock()
	defer c.leave()
	i := slices.IndexFunc(c.pinned, func(p []byte) bool { return unsafe.SliceData(p) == unsafe.SliceData(b) })
	if i < 0 {
		return fmt.Errorf("ptxsim: FreeHost: not what AllocHost gave: %w", driver.ErrInvalidValue)
	}
	if err := c.refuse("FreeHost"); err != nil {
		return err
	}
	c.driver.idle(c)
	c.pinned = slices.Delete(c.pinned, i, i+1)
	delete(c.live, unsafe.SliceData(b))
	return nil
}

// isPinned tells whether b lies in page-locked memory of any context.
func (d *Driver) isPinned(b []byte) bool {
	for _, c := range d.open {
		if c == nil {
			continue
		}
		for _, p := range c.pinned {
			first, at := uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(unsafe.Pointer(unsafe.SliceData(b)))
			if at >= first && at+uintptr(len(b)) <= first+uintptr(len(p)) {
				return true
			}
		}
	}
	return false
}

func (c *context) NewStream() (driver.Stream, error) {
	defer c.leave()
	if err := c.enter("NewStream"); err != nil {
		return nil, err
	}
	s := &stream{context: c, number: c.driver.made}
	c.driver.made++
	c.driver.streams = append(c.driver.streams, s)
	c.live[s] = "stream"
	return s, nil
}

// streams are the context's own.
func (c *context) streams() (own []*stream) {
	for _, s := range c.driver.streams {
		if s.context == c {
			own = append(own, s)
		}
	}
	return own
}

func (c *context) NewEvent(timing bool) (driver.Event, error) {
	defer c.leave()
	if err := c.enter("NewEvent"); err != nil {
		return nil, err
	}
	e := &event{context: c, timing: timing, noted: -1}
	c.live[e] = "event"
	return e, nil
}

func (c *context) LoadModule(text string) (driver.Module, error) {
	defer c.leave()
	if err := c.enterIdle("LoadModule"); err != nil {
		return nil, err
	}
	m := &module{context: c, globals: map[string]global{}}
	if err := m.load(text); err != nil {
		return nil, err
	}
	c.live[m] = "module"
	return m, nil
}

func (m *module) load(text string) error {
	if kernels, ok := compiled.Load(text); ok {
		m.kernels = kernels.(map[string]*simt.Kernel)
		return nil
	}
	source, err := ptx.Parse(text)
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrInvalidPTX, err)
	}
	addresses := map[string]uint64{}
	for _, v := range source.Vars {
		if v.Space != "global" && v.Space != "const" {
			continue
		}
		p, err := m.context.memory.Alloc(int64(v.Size))
		if err != nil {
			m.unload()
			return fmt.Errorf("ptxsim: variable %s: %w", v.Name, err)
		}
		m.globals[v.Name] = global{driver.Ptr(p), int64(v.Size)}
		addresses[v.Name] = p
		m.context.memory.Write(p, append(slices.Clone(v.Init), make([]byte, v.Size-len(v.Init))...))
	}
	if m.kernels, err = simt.Compile(source, addresses); err != nil {
		m.unload()
		return fmt.Errorf("%w: %w", driver.ErrInvalidPTX, err)
	}
	if len(addresses) == 0 {
		compiled.Store(text, m.kernels)
	}
	return nil
}

// compiled keeps the kernels of texts without variables: they are the same on every device.
var compiled sync.Map // text to map[string]*simt.Kernel

func (c *context) EnablePeer(peer driver.Context) error {
	defer c.leave()
	if err := c.enter("EnablePeer"); err != nil {
		return err
	}
	p, ok := peer.(*context)
	switch {
	case !ok || p == c || p.closed || p.driver != c.driver:
		return fmt.Errorf("ptxsim: EnablePeer: no other open device: %w", driver.ErrInvalidContext)
	case slices.Contains(c.peers, p):
		return fmt.Errorf("ptxsim: EnablePeer: %w", driver.ErrPeerEnabled)
	}
	c.peers = append(c.peers, p)
	c.memory.AddPeer(p.memory)
	return nil
}

func (c *context) Synchronize() error {
	defer c.leave()
	if err := c.enterIdle("Synchronize"); err != nil {
		return err
	}
	c.driver.idle(c)
	c.waited(c.streams()...)
	return c.lost
}

func (c *context) Close() error {
	c.driver.mu.Lock()
	defer c.leave()
	if c.closed {
		return fmt.Errorf("ptxsim: Close: %w", driver.ErrInvalidContext)
	}
	c.driver.idle(c)
	c.closed = true
	c.driver.open[c.device] = nil
	c.driver.streams = slices.DeleteFunc(c.driver.streams, func(s *stream) bool { return s.context == c })
	if len(c.live) == 0 {
		return nil
	}
	counts := map[string]int{}
	for _, what := range c.live {
		counts[what]++
	}
	var left []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		left = append(left, fmt.Sprintf("%d %s(s)", counts[what], what))
	}
	return fmt.Errorf("ptxsim: device %d: %s: %w", c.device, strings.Join(left, ", "), driver.ErrNotReleased)
}
