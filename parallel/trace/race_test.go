//go:build race

package trace_test

// raced: the race detector makes sync.Pool forget what it was given, so that allocations mean nothing.
const raced = true
