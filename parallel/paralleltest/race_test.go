//go:build race

package paralleltest_test

const raceDetector = true
