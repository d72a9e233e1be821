package rig

import (
	"encoding/json"
	"maps"

	"ofpeak/kernels/cpu/peak"
)

// carried is what one rig tells another of the same machine, by the cores in use.
type carried struct {
	Rates      map[int][]peak.Rate
	Bandwidths map[int]float64
	Clocks     map[int]float64
}

// Carry is the ceilings that were measured so far. A sweep divides all its rows by the same, also where each case has a process of its own.
func (r *Rig) Carry() ([]byte, error) { return json.Marshal(carried{r.rates, r.bandwidths, r.clocks}) }

// Recall takes over what another rig of the same machine carries.
func (r *Rig) Recall(data []byte) error {
	var c carried
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	maps.Copy(r.rates, c.Rates)
	maps.Copy(r.bandwidths, c.Bandwidths)
	maps.Copy(r.clocks, c.Clocks)
	return nil
}
