package ptxsim

import (
	"testing"

	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/drivertest"
)

func TestDoesWhatAnyDriverDoes(t *testing.T) {
	for seed := range uint64(5) {
		drivertest.Run(t, func(*testing.T) driver.Driver {
			return New(Config{Devices: 3, Seed: seed, Products: true, SparseProducts: true, Collectives: true})
		})
	}
}
