//go:build race

package cpu_test

// raced: the race detector makes sync.Pool forget what it was given, so that allocations mean nothing.
const raced = true
