package rig

import (
	"encoding/json"
	"maps"

	"ofpeak/kernels/cpu/peak"
)

// Carry is the ceilings that were measured so far. A sweep divides all its rows by the same, also where each case has a process of its own.
func (r *Rig) Carry() ([]byte, error) { return json.Marshal(r.rates) }

// Recall takes over what another rig of the same machine carries.
func (r *Rig) Recall(carried []byte) error {
	rates := map[int][]peak.Rate{}
	if err := json.Unmarshal(carried, &rates); err != nil {
		return err
	}
	maps.Copy(r.rates, rates)
	return nil
}
