//go:build gpu

package main

// #include "calls.h"
import "C"

import (
	"io"
	"sync"
	"time"
	"unsafe"

	"ofpeak/kernels/cuda/driver"
)

//export sim_devices
func sim_devices() C.int { return C.int(deviceCount()) }

//export sim_version
func sim_version() C.int {
	v, _ := simulated().Version() // cannot fail
	return C.int(v)
}

//export sim_describe
func sim_describe(d *C.struct_sim_device) {
	info, _ := simulated().Device(0) // there is one, or nobody asks
	for i, b := range []byte(info.Name) {
		d.name[i] = C.char(b)
	}
	d.memory, d.major, d.minor = C.uint64_t(info.Memory), C.int(info.Major), C.int(info.Minor)
	d.multiprocessors, d.shared = C.int(info.Multiprocessors), C.int(info.SharedPerBlock)
}

// primary are the devices' contexts.
var primary = struct {
	sync.Mutex
	of map[C.int]*retained
}{of: map[C.int]*retained{}}

type retained struct {
	handle C.uintptr_t
	count  int
}

//export sim_retain
func sim_retain(device C.int, context *C.uintptr_t) C.int {
	primary.Lock()
	defer primary.Unlock()
	r := primary.of[device]
	if r == nil {
		c, err := simulated().NewContext(int(device))
		if err != nil {
			return status(err)
		}
		r = &retained{handle: give(c)}
		primary.of[device] = r
	}
	r.count++
	*context = r.handle
	return 0
}

//export sim_release
func sim_release(device C.int) C.int {
	primary.Lock()
	defer primary.Unlock()
	r := primary.of[device]
	if r == nil {
		return status(driver.ErrInvalidContext)
	}
	if r.count--; r.count > 0 {
		return 0
	}
	delete(primary.of, device)
	defer drop(r.handle)
	return on(r.handle, func(c driver.Context) error { return c.Close() })
}

//export sim_synchronize
func sim_synchronize(context C.uintptr_t) C.int {
	return on(context, func(c driver.Context) error { return c.Synchronize() })
}

//export sim_enable_peer
func sim_enable_peer(context, peer C.uintptr_t) C.int {
	return on(peer, func(p driver.Context) error {
		c, err := find[driver.Context](context)
		if err != nil {
			return err
		}
		return c.EnablePeer(p)
	})
}

//export sim_mem_info
func sim_mem_info(context C.uintptr_t, unused, total *C.size_t) C.int {
	return on(context, func(c driver.Context) error {
		free, all, err := c.MemInfo()
		*unused, *total = C.size_t(free), C.size_t(all)
		return err
	})
}

//export sim_alloc
func sim_alloc(context C.uintptr_t, at *C.uint64_t, n C.size_t) C.int {
	return on(context, func(c driver.Context) error {
		p, err := c.Alloc(int64(n))
		*at = C.uint64_t(p)
		return err
	})
}

//export sim_free
func sim_free(context C.uintptr_t, at C.uint64_t) C.int {
	return on(context, func(c driver.Context) error { return c.Free(driver.Ptr(at)) })
}

// host views page-locked memory.
func host(memory C.uintptr_t, n C.size_t) []byte {
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&memory)), n)
}

//export sim_alloc_host
func sim_alloc_host(context C.uintptr_t, memory *C.uintptr_t, n C.size_t) C.int {
	return on(context, func(c driver.Context) error {
		b, err := c.AllocHost(int(n)) // which the context keeps alive, where it is
		*memory = C.uintptr_t(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
		return err
	})
}

//export sim_free_host
func sim_free_host(context, memory C.uintptr_t) C.int {
	return on(context, func(c driver.Context) error { return c.FreeHost(host(memory, 1)) })
}

//export sim_stream
func sim_stream(context C.uintptr_t, stream *C.uintptr_t) C.int {
	return on(context, func(c driver.Context) error {
		s, err := c.NewStream()
		return made(stream, s, err)
	})
}

//export sim_event
func sim_event(context C.uintptr_t, timing C.int, event *C.uintptr_t) C.int {
	return on(context, func(c driver.Context) error {
		e, err := c.NewEvent(timing != 0)
		return made(event, e, err)
	})
}

//export sim_module
func sim_module(context C.uintptr_t, ptx, log *C.char, size C.size_t, module *C.uintptr_t) C.int {
	return on(context, func(c driver.Context) error {
		m, err := c.LoadModule(C.GoString(ptx))
		if err != nil && size > 0 {
			text := unsafe.Slice((*byte)(unsafe.Pointer(log)), size)
			text[copy(text[:size-1], err.Error())] = 0
		}
		return made(module, m, err)
	})
}

//export sim_close
func sim_close(handle C.uintptr_t) C.int {
	defer drop(handle)
	return on(handle, func(x io.Closer) error { return x.Close() })
}

//export sim_query
func sim_query(handle C.uintptr_t) C.int {
	return on(handle, func(x interface{ Query() error }) error { return x.Query() })
}

//export sim_wait
func sim_wait(handle C.uintptr_t) C.int {
	return on(handle, func(x interface{ Synchronize() error }) error { return x.Synchronize() })
}

// both calls f with a stream and an event.
func both(stream, event C.uintptr_t, f func(driver.Stream, driver.Event) error) C.int {
	return on(stream, func(s driver.Stream) error {
		e, err := find[driver.Event](event)
		if err != nil {
			return err
		}
		return f(s, e)
	})
}

//export sim_wait_event
func sim_wait_event(stream, event C.uintptr_t) C.int {
	return both(stream, event, driver.Stream.Wait)
}

//export sim_record
func sim_record(stream, event C.uintptr_t) C.int {
	return both(stream, event, driver.Stream.Record)
}

//export sim_elapsed
func sim_elapsed(milliseconds *C.float, start, end C.uintptr_t) C.int {
	return on(end, func(e driver.Event) error {
		s, err := find[driver.Event](start)
		if err != nil {
			return err
		}
		d, err := e.Since(s)
		*milliseconds = C.float(float64(d) / float64(time.Millisecond))
		return err
	})
}

//export sim_to_device
func sim_to_device(stream C.uintptr_t, to C.uint64_t, from C.uintptr_t, n C.size_t) C.int {
	return on(stream, func(s driver.Stream) error { return s.CopyToDevice(driver.Ptr(to), host(from, n)) })
}

//export sim_to_host
func sim_to_host(stream, to C.uintptr_t, from C.uint64_t, n C.size_t) C.int {
	return on(stream, func(s driver.Stream) error { return s.CopyToHost(host(to, n), driver.Ptr(from)) })
}

//export sim_copy
func sim_copy(stream C.uintptr_t, to, from C.uint64_t, n C.size_t) C.int {
	return on(stream, func(s driver.Stream) error { return s.Copy(driver.Ptr(to), driver.Ptr(from), int64(n)) })
}

//export sim_copy_peer
func sim_copy_peer(stream C.uintptr_t, to C.uint64_t, context C.uintptr_t, from C.uint64_t, n C.size_t) C.int {
	return on(stream, func(s driver.Stream) error {
		c, err := find[driver.Context](context)
		if err != nil {
			return err
		}
		return s.CopyPeer(driver.Ptr(to), driver.Ptr(from), c, int64(n))
	})
}

//export sim_fill
func sim_fill(stream C.uintptr_t, to C.uint64_t, value C.uint32_t, size C.int, n C.size_t) C.int {
	return on(stream, func(s driver.Stream) error {
		if size == 1 {
			return s.Memset8(driver.Ptr(to), uint8(value), int64(n))
		}
		return s.Memset32(driver.Ptr(to), uint32(value), int64(n))
	})
}

//export sim_function
func sim_function(module C.uintptr_t, name *C.char, function *C.uintptr_t) C.int {
	return on(module, func(m driver.Module) error {
		f, err := m.Function(C.GoString(name))
		return made(function, f, err)
	})
}

//export sim_global
func sim_global(module C.uintptr_t, name *C.char, at *C.uint64_t, n *C.size_t) C.int {
	return on(module, func(m driver.Module) error {
		p, size, err := m.Global(C.GoString(name))
		*at, *n = C.uint64_t(p), C.size_t(size)
		return err
	})
}

//export sim_describe_function
func sim_describe_function(function C.uintptr_t, d *C.struct_sim_function) C.int {
	return on(function, func(f driver.Function) error {
		info := f.Info()
		d.threads, d.shared, d.local = C.int(info.MaxThreads), C.int(info.Shared), C.int(info.Local)
		return nil
	})
}

//export sim_allow_shared
func sim_allow_shared(function C.uintptr_t, bytes C.int) C.int {
	return on(function, func(f driver.Function) error { return f.AllowShared(int(bytes)) })
}

// sim_launch reads as many parameters as the kernel has, each an 8-byte cell as cu passes them.
//
//export sim_launch
func sim_launch(stream, function C.uintptr_t, shape *C.uint, shared C.uint, parameters *unsafe.Pointer) C.int {
	return on(function, func(f interface {
		driver.Function
		Parameters() int
	}) error {
		s, err := find[driver.Stream](stream)
		if err != nil {
			return err
		}
		cells := make([]uint64, f.Parameters())
		for i, p := range unsafe.Slice(parameters, len(cells)) {
			cells[i] = *(*uint64)(p)
		}
		dim := unsafe.Slice(shape, 6)
		l := driver.Launch{
			Grid:   driver.Dim3{X: int(dim[0]), Y: int(dim[1]), Z: int(dim[2])},
			Block:  driver.Dim3{X: int(dim[3]), Y: int(dim[4]), Z: int(dim[5])},
			Shared: int(shared),
		}
		return s.Launch(f, l, cells...)
	})
}
