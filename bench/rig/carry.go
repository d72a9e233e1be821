package rig

import (
	"encoding/json"
	"maps"
)

// carried is what one rig tells another of the same machine, by the cores in use.
type carried struct {
	Ceilings   map[int]map[string]ceiling
	Bandwidths map[int]float64
	Handoffs   map[int]float64
}

// Carry is the ceilings that were measured so far, and the least handoffs. A sweep holds all its rows against the same, also where each case has a process of its own.
func (r *Rig) Carry() ([]byte, error) {
	return json.Marshal(carried{r.ceilings, r.bandwidths, r.handoffs})
}

// Recall takes over what another rig of the same machine carries.
func (r *Rig) Recall(data []byte) error {
	var c carried
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	for cores, types := range c.Ceilings {
		for typ, measured := range types {
			r.keep(cores, typ, measured)
		}
	}
	maps.Copy(r.bandwidths, c.Bandwidths)
	for cores, ns := range c.Handoffs {
		r.keepHandoff(cores, ns)
	}
	return nil
}
