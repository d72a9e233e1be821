//go:build mpi

package mpi

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include <stdint.h>
#include "shim/shim.h"

typedef const struct shim *(*shim_entry)(void);

static const struct shim *shim_open(const char *path, const char **why) {
	void *lib = dlopen(path, RTLD_NOW | RTLD_GLOBAL); // Open MPI's own plugins look up its symbols globally
	shim_entry entry = lib ? (shim_entry)dlsym(lib, "ofpeak_shim") : NULL;
	if (!entry) {
		*why = dlerror();
		return NULL;
	}
	return entry();
}

static int shim_init(const struct shim *s, int crowded, int *rank, int *size, char *library, int len, char *why) { return s->init(crowded, rank, size, library, len, why); }
static int shim_finalize(const struct shim *s, char *why) { return s->finalize(why); }
static void shim_die(const struct shim *s, int status) { s->die(status); }
static int shim_split(const struct shim *s, void *comm, int color, int key, void **made, int *rank, int *size, char *why) { return s->split(comm, color, key, made, rank, size, why); }
static int shim_close(const struct shim *s, void *comm, char *why) { return s->close(comm, why); }
static int shim_run(const struct shim *s, void *comm, const struct shim_call *calls, int n, long patience, const int *stop, char *why) { return s->run(comm, calls, n, patience, stop, why); }
static int shim_tell(const struct shim *s, const void *note, int len, int to, int kind, char *why) { return s->tell(note, len, to, kind, why); }
static int shim_hear(const struct shim *s, void *note, int len, int *from, char *why) { return s->hear(note, len, from, why); }
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// handle is a communicator of MPI's.
type handle = unsafe.Pointer

// cCall is a call as the shim takes it.
type cCall = C.struct_shim_call

// reason is where the shim leaves why a call failed.
type reason [C.SHIM_WHY]C.char

// library is an opened shim.
type library struct{ table *C.struct_shim }

// open loads the first shim that can be, from the folder of this program.
func open(flavors []string) (*library, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("where this binary lies is unknown: %w", err)
	}
	var errs []error
	for _, flavor := range flavors {
		path := filepath.Join(filepath.Dir(self), "ofpeak-mpi-"+flavor+".so")
		l, err := load(path)
		if err == nil {
			return l, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func load(path string) (*library, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("there is no %s beside this command; make mpi builds it where that MPI's mpicc is", filepath.Base(path))
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var why *C.char
	table := C.shim_open(name, &why)
	if table == nil {
		text, _, _ := strings.Cut(C.GoString(why), "\n")
		return nil, fmt.Errorf("the MPI library does not load: %s", text)
	}
	if table.abi != C.SHIM_ABI {
		return nil, fmt.Errorf("%s is of another version of this command; run make mpi", filepath.Base(path))
	}
	return &library{table}, nil
}

// result is nil, or the reason that a call of the shim left.
func result(status C.int, why *reason) error {
	if status == 0 {
		return nil
	}
	return errors.New(C.GoString(&why[0]))
}

// init starts MPI.
func (l *library) init(w *World) error {
	var why reason
	var text [8192]C.char
	var rank, size, crowded C.int
	if w.launch.LocalSize >= 2*w.cores { // of fewer ranks those that yield fall behind whatever else runs here
		crowded = 1
	}
	if err := result(C.shim_init(l.table, crowded, &rank, &size, &text[0], C.int(len(text)), &why[0]), &why); err != nil {
		return err
	}
	w.rank, w.size, w.version = int(rank), int(size), shortVersion(C.GoString(&text[0]))
	return nil
}

func (l *library) finalize() error {
	var why reason
	return result(C.shim_finalize(l.table, &why[0]), &why)
}

func (l *library) die(status int) { C.shim_die(l.table, C.int(status)) }

func (l *library) split(from handle, color, key int) (made handle, rank, size int, err error) {
	var why reason
	var r, n C.int
	err = result(C.shim_split(l.table, from, C.int(color), C.int(key), &made, &r, &n, &why[0]), &why)
	return made, int(r), int(n), err
}

func (l *library) close(h handle) error {
	var why reason
	return result(C.shim_close(l.table, h, &why[0]), &why)
}

// run starts calls and waits for them, or until *stop, keeping its core for as long as patience lasts.
func (l *library) run(h handle, b *batch, patience time.Duration, stop *int32) (stopped bool, err error) {
	status := C.shim_run(l.table, h, &b.calls[0], C.int(len(b.calls)), C.long(patience), (*C.int)(stop), &b.why[0])
	if status == C.SHIM_STOPPED {
		return true, nil
	}
	return false, result(status, &b.why)
}

// tell sends a note on its way.
func (l *library) tell(note []byte, to, kind int) error {
	var why reason
	return result(C.shim_tell(l.table, unsafe.Pointer(&note[0]), C.int(len(note)), C.int(to), C.int(kind), &why[0]), &why)
}

// hear takes a note that has come; from is -1 if there is none.
func (l *library) hear(note []byte) (from int, err error) {
	var why reason
	var f C.int
	err = result(C.shim_hear(l.table, unsafe.Pointer(&note[0]), C.int(len(note)), &f, &why[0]), &why)
	return int(f), err
}

// newFlag is a zero in memory that C may look at as long as it likes.
func (l *library) newFlag() *int32 { return (*int32)(C.calloc(1, 4)) }

func (l *library) freeFlag(f *int32) { C.free(unsafe.Pointer(f)) }

var types = map[kernels.DType]C.int{kernels.F64: C.SHIM_F64, kernels.F32: C.SHIM_F32, kernels.F16: C.SHIM_F16, kernels.BF16: C.SHIM_BF16, kernels.I32: C.SHIM_I32,
	kernels.I8: C.SHIM_I8, kernels.U8: C.SHIM_U8}

var ops = map[comm.Op]C.int{comm.AllReduce: C.SHIM_ALL_REDUCE, comm.ReduceScatter: C.SHIM_REDUCE_SCATTER, comm.AllGather: C.SHIM_ALL_GATHER,
	comm.Broadcast: C.SHIM_BROADCAST, comm.AllToAll: C.SHIM_ALL_TO_ALL, comm.SendRecv: C.SHIM_RECV, comm.Barrier: C.SHIM_BARRIER}

// newCall is a call of n elements.
func newCall(op comm.Op, sends bool, dst, src unsafe.Pointer, n int, t kernels.DType, peer int) cCall {
	k := cCall{dst: dst, src: src, n: C.long(n), op: ops[op], _type: types[t], peer: C.int(peer)}
	if sends {
		k.op = C.SHIM_SEND
	}
	return k
}
