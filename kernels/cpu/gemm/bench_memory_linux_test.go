package gemm

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// deviceMemory gives words as a device's buffers lie: from the system, at the start of
// a page, in huge pages where it has some.
func deviceMemory(b testing.TB, words int) []uint32 {
	const huge = 2 << 20
	raw, err := unix.Mmap(-1, 0, 4*words+huge, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := unix.Munmap(raw); err != nil {
			b.Error(err)
		}
	})
	_ = unix.Madvise(raw, unix.MADV_HUGEPAGE) // without them it is slower
	skip := -uintptr(unsafe.Pointer(&raw[0])) % huge
	return unsafe.Slice((*uint32)(unsafe.Pointer(&raw[skip])), words)
}
