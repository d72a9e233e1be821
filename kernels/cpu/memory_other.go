//go:build !unix

package cpu

import "unsafe"

const alignment = 64

// mapMemory gives zeroed memory of the Go heap.
func mapMemory(bytes int) ([]byte, error) {
	raw := make([]byte, bytes+alignment)
	skip := -uintptr(unsafe.Pointer(&raw[0])) % alignment
	return raw[skip : int(skip)+max(bytes, 1)], nil
}

func unmapMemory([]byte) {}
