package main

import "errors"

// thisBuild drives the CPU only.
var thisBuild capabilities

// openRunner starts the device named by --device.
func openRunner(runnerOptions) (runner, error) {
	return nil, errors.New("this build drives no device")
}
