package block

import (
	"math"
	"slices"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
)

// Margin is the closest call among the choices that the blocks' routers made in the last pass of a: the least difference of logits, over all tokens, between a chosen expert and
// the next in rank. Rounding by less changes no choice. It is infinite where nothing is chosen.
func (a *Acts) Margin(s kernels.Stream) (float64, error) {
	least := math.Inf(1)
	for _, b := range a.blocks {
		probs := b.mixture.r.Probs
		if probs.None() {
			continue
		}
		host := make([]float64, probs.Size())
		if err := s.Download(tensor.New(tensor.WithShape(probs.Shape...), tensor.WithBacking(host)), probs); err != nil {
			return 0, err
		}
		_, experts, choices, _ := b.mixture.r.Sizes()
		for token := range slices.Chunk(host, experts) {
			slices.Sort(token)
			for i := experts - 1; i > 0 && i >= experts-choices; i-- {
				least = min(least, math.Log(token[i]/token[i-1]))
			}
		}
	}
	return least, nil
}
