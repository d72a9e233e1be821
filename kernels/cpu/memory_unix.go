//go:build unix

package cpu

import "golang.org/x/sys/unix"

// hugePage is the size from which transparent huge pages pay: below it none fits.
const hugePage = 2 << 20

// mapMemory gives zeroed pages from the system, outside the garbage collector's heap.
func mapMemory(bytes int) ([]byte, error) {
	raw, err := unix.Mmap(-1, 0, max(bytes, 1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil && bytes >= hugePage {
		adviseHuge(raw)
	}
	return raw, err
}

func unmapMemory(raw []byte) {
	if err := unix.Munmap(raw); err != nil {
		panic("cpu: unmap of memory that is not mapped")
	}
}
