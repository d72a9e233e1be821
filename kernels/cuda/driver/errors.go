package driver

import "fmt"

// Error is a CUDA error code (CUresult); the numbers are the driver API's own.
type Error int

const (
	ErrInvalidValue      Error = 1
	ErrOutOfMemory       Error = 2
	ErrNoDevice          Error = 100
	ErrInvalidDevice     Error = 101
	ErrInvalidContext    Error = 201
	ErrNoBinaryForGPU    Error = 209
	ErrUncorrectableECC  Error = 214
	ErrPeerUnsupported   Error = 217
	ErrInvalidPTX        Error = 218
	ErrNVLink            Error = 220
	ErrInvalidHandle     Error = 400
	ErrNotFound          Error = 500
	ErrNotReady          Error = 600
	ErrIllegalAddress    Error = 700
	ErrLaunchResources   Error = 701
	ErrLaunchTimeout     Error = 702
	ErrPeerEnabled       Error = 704
	ErrAssert            Error = 710
	ErrHardwareStack     Error = 714
	ErrIllegalInstr      Error = 715
	ErrMisalignedAddress Error = 716
	ErrAddressSpace      Error = 717
	ErrInvalidPC         Error = 718
	ErrLaunchFailed      Error = 719
	ErrNotSupported      Error = 801

	ErrCaptureUnsupported Error = 900
	ErrCaptureInvalidated Error = 901
	ErrCaptureMerge       Error = 902
	ErrCaptureUnmatched   Error = 903
	ErrCaptureUnjoined    Error = 904
	ErrCaptureIsolation   Error = 905
	ErrCapturedEvent      Error = 907
)

// ErrNotReleased says that a context was closed before all that it gave out came back. It has no CUDA code of its own.
const ErrNotReleased Error = -1

var messages = map[Error]string{
	ErrInvalidValue:      "invalid value",
	ErrOutOfMemory:       "out of device memory",
	ErrNoDevice:          "no CUDA device",
	ErrInvalidDevice:     "no such device",
	ErrInvalidContext:    "context is closed",
	ErrNoBinaryForGPU:    "no code for this device",
	ErrUncorrectableECC:  "uncorrectable memory error",
	ErrPeerUnsupported:   "no access between these devices",
	ErrInvalidPTX:        "invalid PTX",
	ErrNVLink:            "uncorrectable NVLink error",
	ErrInvalidHandle:     "handle is closed, or of another context",
	ErrNotFound:          "no such name in the module",
	ErrNotReady:          "not ready",
	ErrIllegalAddress:    "illegal address",
	ErrLaunchResources:   "launch asks for more than the device has",
	ErrLaunchTimeout:     "kernel ran too long",
	ErrPeerEnabled:       "peer access is already enabled",
	ErrAssert:            "assertion in a kernel failed",
	ErrHardwareStack:     "corrupted call stack",
	ErrIllegalInstr:      "illegal instruction",
	ErrMisalignedAddress: "misaligned address",
	ErrAddressSpace:      "access to the wrong address space",
	ErrInvalidPC:         "invalid program counter",
	ErrLaunchFailed:      "kernel failed",
	ErrNotSupported:      "not supported",

	ErrCaptureUnsupported: "not permitted while a stream is captured",
	ErrCaptureInvalidated: "the capture was invalidated by an earlier error",
	ErrCaptureMerge:       "two captures would become one",
	ErrCaptureUnmatched:   "the stream's capture was not begun here",
	ErrCaptureUnjoined:    "a captured stream was not joined to the first",
	ErrCaptureIsolation:   "a captured stream would wait for work outside of the capture",
	ErrCapturedEvent:      "the event was last recorded in a capture",

	ErrNotReleased: "closed with resources not released",
}

// Error names the code.
func (e Error) Error() string {
	if m, ok := messages[e]; ok {
		return fmt.Sprintf("cuda: %s (%d)", m, int(e))
	}
	return fmt.Sprintf("cuda: error %d", int(e))
}

// Sticky tells whether the error loses its context: a kernel that failed, or memory or a link that did (CUDA driver API, "Data types", CUresult: "the process
// is left in an inconsistent state").
func (e Error) Sticky() bool {
	switch e {
	case ErrUncorrectableECC, ErrNVLink, ErrIllegalAddress, ErrLaunchTimeout, ErrAssert, ErrHardwareStack, ErrIllegalInstr, ErrMisalignedAddress,
		ErrAddressSpace, ErrInvalidPC, ErrLaunchFailed:
		return true
	}
	return false
}
