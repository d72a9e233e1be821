//go:build gpu

// A libcuda.so.1 over the interpreter, as a C library: with it, a program that calls the CUDA driver API runs its PTX without a GPU. It serves tests: that gorgonia.org/cu and
// cudriver, as they are, reach a driver that runs our kernels. It has the functions that these call; all others return CUDA_ERROR_NOT_SUPPORTED.
//
// OFPEAK_STANDIN_DEVICES is the number of devices, one if it is not set; CUDA_VISIBLE_DEVICES hides all if it is empty. OFPEAK_SIMULATED_FAIL=N:CODE makes the Nth call of a
// process return a CUresult, of those that do not only close or free; one that CUDA calls sticky loses its context. NAME:N:CODE makes the Nth call of any function do so (cuda.c). What a kernel did wrong goes to stderr, since the API
// has only a number for it.
package main

// #cgo CFLAGS: -I${SRCDIR}/../../cudriver/include
// #include "calls.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/kernels/cuda/driver/ptxsim/simt"
)

// A library needs none.
func main() {}

// simulated is the driver, made at the first call.
var simulated = sync.OnceValue(func() *ptxsim.Driver {
	d := ptxsim.New(ptxsim.Config{Devices: deviceCount()})
	var n, code int
	if _, err := fmt.Sscanf(os.Getenv("OFPEAK_SIMULATED_FAIL"), "%d:%d", &n, &code); err == nil {
		d.FailAt(n, driver.Error(code))
	}
	return d
})

func deviceCount() int {
	if visible, set := os.LookupEnv("CUDA_VISIBLE_DEVICES"); set && visible == "" {
		return 0
	}
	n, err := strconv.Atoi(os.Getenv("OFPEAK_STANDIN_DEVICES"))
	if err != nil {
		return 1
	}
	return n
}

// objects are what handles stand for.
var objects = struct {
	sync.Mutex
	last uintptr
	of   map[uintptr]any
}{of: map[uintptr]any{}}

// give makes a handle.
func give(x any) C.uintptr_t {
	objects.Lock()
	defer objects.Unlock()
	objects.last++
	objects.of[objects.last] = x
	return C.uintptr_t(objects.last)
}

// find is what a handle stands for, as a T.
func find[T any](handle C.uintptr_t) (T, error) {
	objects.Lock()
	defer objects.Unlock()
	x, ok := objects.of[uintptr(handle)].(T)
	if !ok {
		return x, driver.ErrInvalidHandle
	}
	return x, nil
}

// on calls f with what a handle stands for.
func on[T any](handle C.uintptr_t, f func(T) error) C.int {
	x, err := find[T](handle)
	if err != nil {
		return status(err)
	}
	return status(f(x))
}

// made stores the handle of what a call made.
func made[T any](to *C.uintptr_t, x T, err error) error {
	if err == nil {
		*to = give(x)
	}
	return err
}

func drop(handle C.uintptr_t) {
	objects.Lock()
	defer objects.Unlock()
	delete(objects.of, uintptr(handle))
}

// unknown is CUDA_ERROR_UNKNOWN.
const unknown = 999

var (
	saidMu sync.Mutex
	said   = map[*simt.Fault]bool{}
)

// status is an error's number. What a kernel did wrong is said once.
func status(err error) C.int {
	if err == nil {
		return 0
	}
	var fault *simt.Fault
	if errors.As(err, &fault) {
		saidMu.Lock()
		defer saidMu.Unlock()
		if !said[fault] {
			said[fault] = true
			fmt.Fprintln(os.Stderr, "libcuda over ptxsim:", fault)
		}
	}
	var code driver.Error
	if errors.As(err, &code) && code > 0 {
		return C.int(code)
	}
	fmt.Fprintln(os.Stderr, "libcuda over ptxsim:", err)
	return unknown
}
