package kernels

import (
	"errors"
	"time"

	"gorgonia.org/tensor"
)

// ErrUnsupported is wrapped by what a device cannot do; the case is then skipped with the reason.
var ErrUnsupported = errors.New("unsupported")

// ErrOutOfMemory is wrapped by an Alloc that did not fit.
var ErrOutOfMemory = errors.New("out of device memory")

// Info describes a device.
type Info struct {
	Kind  string // "ref", "cpu", "cuda", "sim"
	Name  string // as the hardware reports it
	Units int    // cores or multiprocessors that this device object uses
}

// Memory counts what a device's Alloc gave out, in bytes.
type Memory struct {
	Current, Peak int64
	Limit         int64 // 0: none of our own
}

// Device owns memory and streams. Its methods are safe for one goroutine at a time.
type Device interface {
	Info() Info
	// Supports is nil, or wraps ErrUnsupported with the reason why op cannot run on operands of type t and weights of format f.
	Supports(op Op, t DType, f Format) error
	// Variants lists op's implementations that this hardware can run, reference first, fastest last.
	Variants(op Op) []string
	// Select makes later calls of op use a variant; "" picks the fastest.
	Select(op Op, variant string) error
	// Alloc gives n zeroed elements, aligned to 64 bytes or more.
	Alloc(t DType, n int) (Buffer, error)
	// Memory is what is allocated now and was at most since ResetPeak.
	Memory() Memory
	// LimitMemory makes an Alloc past so many bytes fail with ErrOutOfMemory; 0 lifts the limit.
	LimitMemory(bytes int64)
	ResetPeak()
	NewStream() (Stream, error)
	NewEvent() (Event, error)
	// Close frees the device's own memory. Streams are closed before.
	Close() error
}

// Event marks a place in a stream.
type Event interface {
	// Since is the time between two recorded events that have both completed.
	Since(start Event) time.Duration
	Close() error
}

// Stream runs what is enqueued in order, apart from other streams of the same device.
type Stream interface {
	Ops
	// Upload copies host values (float64, float32, int32, int8 or uint8 backing) to the device, rounded to dst's type.
	Upload(dst Tensor, src *tensor.Dense)
	// Download copies device values to the host, widened to dst's type, and returns when they are there.
	Download(dst *tensor.Dense, src Tensor) error
	// Record completes e when all that was enqueued before it has run. An event is recorded again only after its last record completed.
	Record(e Event)
	// Wait holds what is enqueued later until e's last Record, of any stream of this device, has completed.
	Wait(e Event)
	// Sync returns when the stream is idle, with the first error since the last Sync.
	Sync() error
	Close() error
}

// GraphStream is a Stream whose calls a device can keep as a graph, and make again with less work for the host.
type GraphStream interface {
	Stream
	// Capture makes a graph of the calls of f, none of which runs: those on this stream and on others, also of other devices of the driver, that f makes wait for this one first and this one wait for at last. They
	// allocate nothing and wait for nothing on the host. The error, which wraps ErrUnsupported where the device has no graphs, leaves the streams as they were.
	Capture(f func()) (Graph, error)
}

// Graph is calls with the operands that they were captured with.
type Graph interface {
	// Launch enqueues the calls on the stream that captured them. Events that they recorded complete anew.
	Launch()
	// Close releases the graph. The stream is idle.
	Close() error
}

// TimedStream is a Stream that can tell when its calls ran, for a profiler that knows what they were.
type TimedStream interface {
	Stream
	// Observe makes the stream tell note, on a goroutine of its own, the begin and end of every later call that it enqueues, in their order:
	// operators, copies, Record, Wait, Do. nil ends that. The stream is idle.
	Observe(note func(begin, end time.Time))
}

// WatchedStream is a Stream that any goroutine may ask what it is doing, for whoever must tell one that stands still from one with much to do.
type WatchedStream interface {
	Stream
	Progress() Progress
}

// Progress is what a stream has done, and does.
type Progress struct {
	Ended   int64         // calls
	Op      string        // operator under way; "": none, or a call that waits for others
	Since   time.Time     // that it began
	Longest time.Duration // that an operator took so far
}

// HostStream is a Stream over host memory. Collectives between ranks of one process are built on it.
type HostStream interface {
	Stream
	// Do runs f in stream order; its error becomes the stream's. f may call Sum and touch the data of host buffers.
	Do(f func() error)
	// Sum computes, at once and on the calling goroutine, dst = Σ srcs in the order given, all of one type and size, summed in
	// at least float32; dst may be one of them.
	Sum(dst Tensor, srcs []Tensor)
}

// PatientStream is a Stream that knows whether its thread may wait for others by looking again and again.
type PatientStream interface {
	Stream
	// Patience is how long a wait in stream order should look before it sleeps; 0 where other threads of the process need the core.
	Patience() time.Duration
}

// PeerStream is a Stream of a device whose memory the other devices of its driver, in this process, can be given copies of. Collectives between such
// devices are built on it. Its Wait takes their events too, and stands for the last Record before it: the event may be recorded again at once.
type PeerStream interface {
	Stream
	// Device is the stream's.
	Device() Device
	// CopyFrom: dst = src, of the same type and size, where src may lie on another of those devices.
	CopyFrom(dst, src Tensor)
	// SumParts: dst (n) = Σ over p of parts (p, n), all of one type, in the order of p and in at least float32. dst lies apart from parts.
	SumParts(dst, parts Tensor)
	// Err is the first failure since the last Sync that is known by now.
	Err() error
	// Fail makes err that failure, unless there is one.
	Fail(err error)
}
