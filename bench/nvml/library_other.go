//go:build !gpu

package nvml

import "errors"

// Open has no library in this build, which drives no GPUs either.
func Open(string) (Reader, error) { return nil, errors.New("nvml: this build has no NVML") }
