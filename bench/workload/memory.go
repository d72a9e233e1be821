package workload

import (
	"fmt"
	"math"
	"slices"

	"ofpeak/kernels"
	"ofpeak/parallel/trainer"
)

// CheckMemory is nil if the case's need fits the available bytes: of each GPU, or of the host that all ranks share.
func (c Case) CheckMemory(available int64) error {
	ranks := 1
	if !c.OnGPU() {
		ranks = c.World()
	}
	need := c.memory() * float64(ranks)
	if need <= float64(available) { // so small that it can be added up to the byte
		if stages, err := trainer.Memory(c.Training(), c.Strategy()); err == nil {
			need = float64(slices.Max(stages))
			if !c.OnGPU() {
				need = float64(total(stages) * int64(ranks/c.PP))
			}
		}
	}
	if need <= float64(available) {
		return nil
	}
	return fmt.Errorf("needs about %.3g GB of memory and %.3g GB are free; take a smaller --model or more devices", need/1e9, float64(available)/1e9)
}

func total(bytes []int64) int64 {
	sum := int64(0)
	for _, b := range bytes {
		sum += b
	}
	return sum
}

// RankMemory is what the rank that takes most allocates for itself, in bytes, collectives aside: trainer.Memory.
func (c Case) RankMemory() (int64, error) {
	stages, err := trainer.Memory(c.Training(), c.Strategy())
	if err != nil {
		return 0, err
	}
	return slices.Max(stages), nil
}

// memory estimates, for models of any size, what a rank holds at least, in bytes: weights of its stage, gradients and optimizer state when training, activations of the
// microbatches that are in flight, and what one block needs in its backward pass.
func (c Case) memory() float64 {
	m := c.Model
	C, tp := float64(m.C), float64(c.TP)
	layers := math.Ceil(float64(m.L) / float64(c.PP))
	tokens := float64(m.Tokens()) / float64(c.Replicas()*c.Microbatches)
	rest, experts := c.matrixParams()
	rest, experts = layers*(rest+13*C)+float64(m.V+m.T)*C*min(1, float64(m.V)), layers*experts

	p, _ := kernels.PrecisionNamed(c.Precision)
	compute, stats, master := float64(p.Compute.Size()), float64(p.Stats.Size()), float64(p.Master.Size())
	perParam := [2]float64{compute, compute} // of an expert, of all else
	if p.Int8 {
		perParam = [2]float64{1, 1}
	}
	wide, all := C, 0.0 // of a token outside of the products; for the tokens of all tensor-parallel ranks, and for the ring
	if c.Sequence {
		wide, all = C/tp, C*compute
	}
	if c.CP > 1 { // keys and values of two hops
		all += 2 * 2 * C / tp * compute
	}
	inside := (3*wide + 12*C/tp) * compute
	perToken, transient := wide*compute, all
	if c.Recompute == None {
		perToken += inside
	} else {
		transient += inside
	}
	if c.Pass == Train {
		optimizer := 2 * master
		if p.Master != p.Compute {
			optimizer += master
		}
		for i, ranks := range [2]int{c.DP * c.CP, c.Replicas()} {
			perParam[i] = c.part(3, ranks)*compute + c.part(2, ranks)*stats + c.part(1, ranks)*optimizer
		}
		transient += (2*wide + 8*C/tp) * compute
		if c.CP > 1 { // their gradients, and what is added to these
			transient += 3 * 2 * C / tp * compute
		}
	}
	return experts*perParam[0] + rest*perParam[1] + tokens*(perToken*layers*float64(c.inFlight())+transient+float64(m.V)*compute)
}

// matrixParams are the stored ones of a block's matrices on one rank, and of its experts, of which it holds a part.
func (c Case) matrixParams() (rest, experts float64) {
	if c.Experts == (Experts{}) {
		rest, _ = c.weights(1)
		return rest, 0
	}
	rest, _ = c.weights(0)
	all, _ := c.weights(c.Experts.Count / c.EP)
	return rest, all - rest
}

// part is the share of what ranks hold alike that one of them keeps where ZeRO shares it from a level on.
func (c Case) part(level, ranks int) float64 {
	if c.ZeRO >= level {
		return 1 / float64(ranks)
	}
	return 1
}

// inFlight is how many microbatches' activations a rank keeps at most: all of them under GPipe, one per stage under 1F1B, more where it is interleaved, and
// one more under ZB-H1.
func (c Case) inFlight() int {
	switch {
	case c.Pass == Forward: // one more is received meanwhile
		return min(c.Microbatches, 2)
	case c.Schedule == GPipe:
		return c.Microbatches
	case c.Schedule == F1B1:
		return min(c.Microbatches, c.PP)
	case c.Schedule == Inter: // chunks of microbatches, each of a part of the rank's layers
		return min(c.Microbatches, (2*(c.PP-1)+(c.Chunks-1)*c.PP+1+c.Chunks-1)/c.Chunks)
	case c.Schedule == ZBH1:
		return min(c.Microbatches, c.PP+1)
	}
	return 1
}
