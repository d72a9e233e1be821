//go:build gpu

package cudriver

// #include <cuda.h>
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unsafe"

	"gorgonia.org/cu"

	"ofpeak/kernels/cuda/driver"
)

// module implements driver.Module.
type module struct {
	context    *context
	handle     cu.Module
	parameters map[string]int // of each kernel
}

// logSize is enough for the first errors of the driver's compiler.
const logSize = 4096

func (c *context) LoadModule(ptx string) (driver.Module, error) {
	m := &module{context: c, parameters: parameters(ptx)}
	// Memory of C's: a Go pointer may not lie in what is passed to C.
	log := unsafe.Slice((*byte)(C.calloc(logSize, 1)), logSize)
	defer C.free(unsafe.Pointer(unsafe.SliceData(log)))
	err := c.do("LoadModule", func() (err error) {
		m.handle, err = cu.LoadDataEx(ptx, &cu.JITErrorLogBuffer{Buffer: log})
		return err
	})
	if err != nil {
		text, _, _ := bytes.Cut(log, []byte{0})
		if line := strings.TrimSpace(string(text)); line != "" {
			err = fmt.Errorf("%w: %s", err, line)
		}
		return nil, err
	}
	c.give(m, "module")
	return m, nil
}

var entry = regexp.MustCompile(`\.entry\s+([\w$%]+)\s*(\([^)]*\))?`)

// parameters counts each kernel's parameters. The driver cannot check a launch's, and reads past their end if there are too few.
func parameters(ptx string) map[string]int {
	counts := map[string]int{}
	for _, m := range entry.FindAllStringSubmatch(ptx, -1) {
		counts[m[1]] = strings.Count(m[2], ".param")
	}
	return counts
}

func (m *module) Function(name string) (driver.Function, error) {
	if err := m.context.holds("Function", m); err != nil {
		return nil, err
	}
	f := &function{module: m, parameters: m.parameters[name], info: driver.FunctionInfo{Name: name}}
	err := m.context.do("Function", func() (err error) {
		if f.handle, err = m.handle.Function(name); err != nil {
			return err
		}
		return f.inquire()
	})
	if errors.Is(err, driver.ErrNotFound) {
		return nil, fmt.Errorf("%w: kernel %q", err, name)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (m *module) Global(name string) (driver.Ptr, int64, error) {
	if err := m.context.holds("Global", m); err != nil {
		return 0, 0, err
	}
	var at cu.DevicePtr
	var size int64
	err := m.context.do("Global", func() (err error) {
		at, size, err = m.handle.Global(name)
		return err
	})
	if errors.Is(err, driver.ErrNotFound) {
		err = fmt.Errorf("%w: variable %q", err, name)
	}
	return driver.Ptr(at), size, err
}

func (m *module) Close() error {
	return m.context.release("Module.Close", m, m.handle.Unload)
}

// function implements driver.Function.
type function struct {
	module     *module
	handle     cu.Function
	parameters int
	info       driver.FunctionInfo
}

// inquire fills in what the kernel needs.
func (f *function) inquire() (err error) {
	for _, a := range []struct {
		attribute cu.FunctionAttribute
		to        *int
	}{
		{cu.FnMaxThreadsPerBlock, &f.info.MaxThreads},
		{cu.SharedSizeBytes, &f.info.Shared},
		{cu.LocalSizeBytes, &f.info.Local},
	} {
		if *a.to, err = f.handle.Attribute(a.attribute); err != nil {
			return err
		}
	}
	return nil
}

func (f *function) Info() driver.FunctionInfo { return f.info }

// AllowShared calls cuFuncSetAttribute, which cu lacks; a cu.Function is nothing but the handle.
func (f *function) AllowShared(bytes int) error {
	if err := f.module.context.holds("AllowShared", f.module); err != nil {
		return err
	}
	handle := *(*C.CUfunction)(unsafe.Pointer(&f.handle))
	return f.module.context.do("AllowShared", func() error {
		return result(C.cuFuncSetAttribute(handle, C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, C.int(bytes)))
	})
}
