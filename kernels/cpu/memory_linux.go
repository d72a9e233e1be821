package cpu

import "golang.org/x/sys/unix"

// adviseHuge asks for huge pages. Without them the memory works as well, with more TLB misses, so a refusal does not matter.
func adviseHuge(raw []byte) { _ = unix.Madvise(raw, unix.MADV_HUGEPAGE) }
