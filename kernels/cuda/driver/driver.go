// Package driver is the part of the CUDA driver API that training kernels need, as small Go interfaces. A Driver finds devices; a Context
// owns memory, streams, events and modules of one device; a Stream runs copies and launches in order.
//
// Every call is safe from any goroutine; an implementation over the real API makes its context current by itself. Calls return an Error, wrapped
// or plain. After a kernel has failed, or the hardware below it, its context is lost (see Error.Sticky): every later call returns that error, and only
// Close is left, as on hardware.
//
// It is not a binding of all of CUDA: no textures, no managed memory, no default stream.
package driver

import "time"

// Ptr is an address on a device. The host cannot read through it.
type Ptr uint64

// Driver is one installation of CUDA, real or simulated.
type Driver interface {
	// Version is the CUDA version that the driver supports, as 1000·major + 10·minor.
	Version() (int, error)
	// Devices is the number of devices that this process may use.
	Devices() (int, error)
	// Device describes device i.
	Device(i int) (DeviceInfo, error)
	// NewContext opens device i.
	NewContext(i int) (Context, error)
	// Collectives opens the library of collectives between devices. The error is ErrNotSupported, wrapped with the reason, where it is not installed.
	Collectives() (Collectives, error)
}

// DeviceInfo is what the driver tells of a device.
type DeviceInfo struct {
	Name            string
	Major, Minor    int    // compute capability
	Multiprocessors int    // SMs
	Memory          int64  // bytes
	SharedPerBlock  int    // bytes of shared memory that a block may ask for, dynamic opt-in included
	L2              int    // bytes
	ClockKHz        int    // peak SM clock; 0 where unknown
	Simulated       bool   // an interpreter: it computes, but has no speed
	PCI             string // address, such as 00000000:3b:00.0; "" of an interpreter
}

// SimulatedName is what an interpreter calls its devices, also where it is reached as a library, so that nobody takes its speed for a GPU's.
const SimulatedName = "simulated GPU"

// Alike reports whether two devices differ in nothing but their place.
func (d DeviceInfo) Alike(other DeviceInfo) bool {
	other.PCI = d.PCI
	return d == other
}

// Context is one device opened by this process.
type Context interface {
	// Device is the index given to NewContext.
	Device() int
	// MemInfo is the free and total memory in bytes.
	MemInfo() (free, total int64, err error)
	// Alloc gives device memory with undefined contents, aligned to 256 bytes.
	Alloc(bytes int64) (Ptr, error)
	// Free returns memory that Alloc gave, after all work of the context that was enqueued before.
	Free(p Ptr) error
	// AllocHost gives page-locked host memory, the only host memory that streams copy.
	AllocHost(bytes int) ([]byte, error)
	// FreeHost returns what AllocHost gave.
	FreeHost(b []byte) error
	// NewStream makes a stream that does not wait for the default stream.
	NewStream() (Stream, error)
	// NewEvent makes an event; one without timing is cheaper to record.
	NewEvent(timing bool) (Event, error)
	// LoadModule compiles and loads a PTX text.
	LoadModule(ptx string) (Module, error)
	// Products opens the library of matrix products. The error is ErrNotSupported, wrapped with the reason, where it is not installed.
	Products() (Products, error)
	// SparseProducts opens the library of products with 2:4 sparse weights. The error is ErrNotSupported, wrapped with the reason, where it is not installed.
	SparseProducts() (SparseProducts, error)
	// EnablePeer lets this context's kernels and copies reach the peer's memory.
	EnablePeer(peer Context) error
	// Synchronize waits for all work of the context.
	Synchronize() error
	// Close releases the device. It returns ErrNotReleased, wrapped with what is left, if anything was not freed or closed.
	Close() error
}

// Stream is a queue of work, run in order. Calls enqueue and return.
type Stream interface {
	// CopyToDevice copies page-locked host memory, which must keep its contents until the copy has run.
	CopyToDevice(dst Ptr, src []byte) error
	// CopyToHost copies into page-locked host memory.
	CopyToHost(dst []byte, src Ptr) error
	// Copy copies n bytes between device addresses, of peers too. The ranges must not overlap.
	Copy(dst, src Ptr, n int64) error
	// CopyPeer copies n bytes from another context of the same driver: directly where this one was enabled to reach it, else by way of the host.
	CopyPeer(dst, src Ptr, from Context, n int64) error
	// Memset8 sets n bytes to v.
	Memset8(dst Ptr, v uint8, n int64) error
	// Memset32 sets n words of four bytes to v.
	Memset32(dst Ptr, v uint32, n int64) error
	// Launch runs a kernel. Each parameter takes one 8-byte cell: integers as they are, floats by their bits in the low end.
	Launch(f Function, c Launch, params ...uint64) error
	// Record completes e when all that was enqueued before has run.
	Record(e Event) error
	// Wait holds later work until e's last Record has completed.
	Wait(e Event) error
	// Query is nil if the stream is idle, ErrNotReady if not.
	Query() error
	// Synchronize waits until the stream is idle.
	Synchronize() error
	// BeginCapture makes nodes of a graph, instead of work, of the later calls of this stream and of every stream from when it waits for an event that was recorded in the
	// capture. Until EndCapture nothing may allocate or free on these streams' contexts, wait for them or ask about them: such a call fails, and so does the capture.
	BeginCapture() error
	// EndCapture makes a graph of what was captured, and copies into or out of host memory are of what that holds at each launch. The other streams have been joined: this
	// one waits for events that were recorded behind their last calls. After a failure nothing is left of the capture.
	EndCapture() (Graph, error)
	// RecordNode makes every launch of the graph that is captured complete e, as Record does outside of a capture. In a capture Record does no more than give Wait a place.
	RecordNode(e Event) error
	Close() error
}

// Graph is captured work that can be launched again and again, with the parameters that it was captured with.
type Graph interface {
	// Launch runs the graph on a stream of the context in which its capture began, as one piece of the stream's work, after its own earlier launches.
	Launch(s Stream) error
	Close() error
}

// Dim3 counts blocks or threads along x, y and z.
type Dim3 struct{ X, Y, Z int }

// Launch is the shape of one kernel launch.
type Launch struct {
	Grid, Block Dim3
	Shared      int // bytes of dynamic shared memory
}

// Event marks a place in a stream.
type Event interface {
	// Query is nil if the last Record has completed, ErrNotReady if not.
	Query() error
	// Synchronize waits for the last Record.
	Synchronize() error
	// Since is the time between two completed events with timing.
	Since(start Event) (time.Duration, error)
	Close() error
}

// Module is loaded device code.
type Module interface {
	// Function finds a kernel by its name.
	Function(name string) (Function, error)
	// Global finds a variable: its address and size in bytes.
	Global(name string) (Ptr, int64, error)
	Close() error
}

// Function is one kernel.
type Function interface {
	Info() FunctionInfo
	// AllowShared raises the limit on dynamic shared memory from 48 KB to so many bytes.
	AllowShared(bytes int) error
}

// FunctionInfo is what a kernel needs.
type FunctionInfo struct {
	Name       string
	MaxThreads int // of a block
	Shared     int // bytes of static shared memory
	Local      int // bytes of local memory a thread
}
