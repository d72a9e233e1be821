package main

import (
	"fmt"

	"ofpeak/bench/rig"
	"ofpeak/bench/workload"
)

// thisBuild drives the CPU only.
var thisBuild capabilities

// openRunner starts the device named by --device.
func openRunner(o runnerOptions) (runner, error) {
	if o.Device == workload.CUDA {
		return nil, fmt.Errorf("--device cuda: this build drives the CPU only; pass --device cpu")
	}
	return rig.New(rig.Options{Chip: o.Chip, Data: o.Data, Rule: o.Rule})
}
