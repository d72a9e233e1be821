package kerneltest

import "testing"

// Allocs returns how often f allocates in the long run: the least of several counts. A single count may be off, because a goroutine that parks
// takes its wait record from a cache of its processor and returns it to another's, so the runtime makes new ones until all caches are full.
func Allocs(runs int, f func()) float64 {
	const tries = 20
	least := testing.AllocsPerRun(runs, f)
	for i := 1; i < tries && least > 0; i++ {
		least = min(least, testing.AllocsPerRun(runs, f))
	}
	return least
}
