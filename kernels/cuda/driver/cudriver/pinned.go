//go:build gpu

package cudriver

// #include <cuda.h>
import "C"

import (
	"fmt"
	"sync"
	"unsafe"

	"gorgonia.org/cu"

	"ofpeak/kernels/cuda/driver"
)

// pinnedMemory is the page-locked memory of all contexts. An asynchronous copy of any other host memory would let the device write where Go's
// garbage collector may have put something else.
type pinnedMemory struct {
	mu     sync.Mutex
	blocks []pinnedBlock
}

type pinnedBlock struct {
	context *context
	memory  []byte
}

func (p *pinnedMemory) add(c *context, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocks = append(p.blocks, pinnedBlock{c, b})
}

// drop keeps the blocks that are not chosen.
func (p *pinnedMemory) drop(chosen func(pinnedBlock) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var kept []pinnedBlock
	for _, b := range p.blocks {
		if !chosen(b) {
			kept = append(kept, b)
		}
	}
	p.blocks = kept
}

func (p *pinnedMemory) forget(c *context) { p.drop(func(b pinnedBlock) bool { return b.context == c }) }

// holds tells whether all of b is page-locked.
func (p *pinnedMemory) holds(b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for _, block := range p.blocks {
		first := uintptr(unsafe.Pointer(unsafe.SliceData(block.memory)))
		if at >= first && at+uintptr(len(b)) <= first+uintptr(len(block.memory)) {
			return true
		}
	}
	return false
}

func (c *context) AllocHost(bytes int) ([]byte, error) {
	if bytes <= 0 {
		return nil, fmt.Errorf("cudriver: AllocHost of %d bytes: %w", bytes, driver.ErrInvalidValue)
	}
	var p unsafe.Pointer
	if err := c.do("AllocHost", func() error { return result(C.cuMemAllocHost(&p, C.size_t(bytes))) }); err != nil {
		return nil, err
	}
	b := unsafe.Slice((*byte)(p), bytes)
	c.driver.pinned.add(c, b)
	c.give(unsafe.SliceData(b), "host allocation")
	return b, nil
}

func (c *context) FreeHost(b []byte) error {
	first := unsafe.SliceData(b)
	err := c.release("FreeHost", first, func() error { return cu.MemFreeHost(unsafe.Pointer(first)) })
	if err == nil {
		c.driver.pinned.drop(func(block pinnedBlock) bool {
			return block.context == c && unsafe.SliceData(block.memory) == first
		})
	}
	return err
}

// result turns a call's status into an error.
func result(r C.CUresult) error {
	if r == C.CUDA_SUCCESS {
		return nil
	}
	return driver.Error(r)
}
