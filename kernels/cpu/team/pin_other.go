//go:build !linux

package team

import "runtime"

func setAffinity(int) error { return nil }

// Cores returns the numbers of the cores that the system counts.
func Cores() ([]int, error) {
	cores := make([]int, runtime.NumCPU())
	for i := range cores {
		cores[i] = i
	}
	return cores, nil
}

// Yield lets another goroutine run.
func Yield() { runtime.Gosched() }

// Prompt does nothing here.
func Prompt() {}
