//go:build !race

package mpitest

// raced says that this test was built with the race detector.
const raced = false
