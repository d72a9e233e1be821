//go:build race

package mpitest

const raced = true
