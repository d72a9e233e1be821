package workload

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// What a search makes as large as the memory of a rank allows.
const (
	Depth = "L" // the model's layers
	Batch = "B" // the sequences of a step
)

// Searched are the dims that a search can be for.
var Searched = []string{Depth, Batch}

// Sized is the case with n of what is searched for: layers, or of the least batch that its ranks and microbatches can share.
func (c Case) Sized(dim string, n int) Case {
	switch dim {
	case Depth:
		c.Model.L = n
	case Batch:
		c.Model.B = n * c.DP * c.EP * c.Microbatches
	}
	c.Model = c.Model.named()
	return c
}

// Size is n of Sized.
func (c Case) Size(dim string) int {
	if dim == Batch {
		return c.Model.B / (c.DP * c.EP * c.Microbatches)
	}
	return c.Model.L
}

// Smallest is the case where a search for the largest dim starts.
func (c Case) Smallest(dim string) Case {
	if dim == Depth {
		return c.Sized(dim, c.PP*c.Chunks)
	}
	return c.Sized(dim, 1)
}

// roomFor is how often the least thing that a search makes larger fits one dense fp32 rank, about, if the user sets no limit: few enough to be tried in no time, and enough
// to tell techniques apart.
const roomFor = 4

// room is the limit of a search for which the user set none: what one dense fp32 rank needs for roomFor layers, or roomFor times the model's
// batch. All strategies of a model get the same.
func (c Case) room(dim string) Bytes {
	base := BaselineOf(c)
	if dim == Depth {
		base.Model.L = roomFor
	} else {
		base.Model.B *= roomFor
	}
	need, err := base.RankMemory()
	if err != nil { // of a model that makes no sense, as its searches say
		need = int64(base.memory())
	}
	return roundUp(Bytes(need))
}

// roundUp leaves an amount four significant bits, so that it can be read.
func roundUp(b Bytes) Bytes {
	step := Bytes(1) << max(0, bits.Len64(uint64(b))-4)
	return (b + step - 1) / step * step
}

// search is the plan's entry for the largest dim of a case that trains within its memory.
func (c Case) search(dim string) Planned {
	if c.Memory == 0 {
		c.Memory = c.room(dim)
	}
	c = c.Smallest(dim)
	return Planned{Case: c, Skip: c.Validate(), Largest: dim}
}

// Search is a case's search for the largest dim that its ranks' memory holds.
func (c Case) Search(dim string) (Planned, error) {
	if err := checkSearched(dim); err != nil {
		return Planned{}, err
	}
	p := c.search(dim)
	return p, p.Skip
}

func checkSearched(dim string) error {
	if !slices.Contains(Searched, dim) {
		return fmt.Errorf("--largest %s is unknown; take one of %s", dim, strings.Join(Searched, ", "))
	}
	return nil
}
