package rig

import (
	"encoding/json"
	"maps"

	"ofpeak/kernels/cpu/peak"
)

// carried is what all rows of a sweep have in common and a process of its own would measure again.
type carried struct {
	Rates      map[int][]peak.Rate `json:"rates,omitempty"`
	Bandwidths map[int]float64     `json:"bandwidths,omitempty"`
}

// Carry is the ceilings that were measured so far. A sweep divides all its rows by the same, also where each case has a process of its own.
func (r *Rig) Carry() ([]byte, error) {
	return json.Marshal(carried{Rates: r.rates, Bandwidths: r.bandwidths})
}

// Recall takes over what another rig of the same machine carries.
func (r *Rig) Recall(text []byte) error {
	var c carried
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	maps.Copy(r.rates, c.Rates)
	maps.Copy(r.bandwidths, c.Bandwidths)
	return nil
}
