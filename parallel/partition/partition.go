// Package partition cuts a model's layer graph into pipeline stages. The graph of a Transformer is a chain, so a stage is a range of it, and the
// cut that makes the slowest stage fastest is found exactly by dynamic programming (the linear partitioning problem; used for
// pipelines by Narayanan et al., "PipeDream", arXiv:1806.03377, section 3.1).
//
// Costs are inputs: modelled or measured, in any unit of time. Branching graphs are outside its scope.
package partition

import (
	"fmt"
	"math"
)

// Layer is what one layer costs.
type Layer struct {
	Time   float64 // forward and backward of one microbatch
	Static int64   // bytes whatever the schedule: weights, gradients, optimizer state
	Live   int64   // bytes for each microbatch in flight: activations
}

// Problem is a chain to cut.
type Problem struct {
	Layers []Layer
	Stages int
	// InFlight is the number of microbatches that a stage holds at once, by the schedule. Nil means 1.
	InFlight func(stage int) int
	// Limit is the memory of one stage in bytes; 0 means any.
	Limit int64
}

// Optimal is the cut whose slowest stage is fastest, in the form of the first layer of each stage, followed by the number of layers. Of
// equal cuts it takes the one whose earlier stages are shortest.
func Optimal(p Problem) ([]int, error) {
	n := len(p.Layers)
	if err := p.check(); err != nil {
		return nil, err
	}
	sum := p.prefix()
	// best[s][j] is the slowest of stages 0..s if they hold layers 0..j-1; from[s][j] is where stage s then starts.
	best, from := grid[float64](p.Stages, n+1), grid[int](p.Stages, n+1)
	for s := range p.Stages {
		for j := range n + 1 {
			best[s][j] = math.Inf(1)
			for i := s; i < j && (s > 0 || i == 0); i++ {
				before := 0.0
				if s > 0 {
					before = best[s-1][i]
				}
				if t := max(before, sum[j].Time-sum[i].Time); t < best[s][j] && p.fits(sum, s, i, j) {
					best[s][j], from[s][j] = t, i
				}
			}
		}
	}
	if math.IsInf(best[p.Stages-1][n], 1) {
		return nil, fmt.Errorf("no cut of %d layers into %d stages fits %d bytes a stage: raise the limit or the number of stages", n, p.Stages, p.Limit)
	}
	cuts := make([]int, p.Stages+1)
	cuts[p.Stages] = n
	for s := p.Stages - 1; s > 0; s-- {
		cuts[s] = from[s][cuts[s+1]]
	}
	return cuts, nil
}

// Equal is the naive cut, by equal counts of layers; the first stages take what is left over.
func Equal(p Problem) ([]int, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	n := len(p.Layers)
	cuts := make([]int, p.Stages+1)
	for s := range p.Stages {
		cuts[s+1] = cuts[s] + (n+p.Stages-1-s)/p.Stages
	}
	sum := p.prefix()
	for s := range p.Stages {
		if !p.fits(sum, s, cuts[s], cuts[s+1]) {
			return nil, fmt.Errorf("stage %d of an equal cut does not fit %d bytes: raise the limit or cut by cost", s, p.Limit)
		}
	}
	return cuts, nil
}

// Slowest is the time of a cut's slowest stage.
func Slowest(layers []Layer, cuts []int) float64 {
	slowest := 0.0
	for s := range len(cuts) - 1 {
		t := 0.0
		for _, l := range layers[cuts[s]:cuts[s+1]] {
			t += l.Time
		}
		slowest = max(slowest, t)
	}
	return slowest
}

func (p Problem) check() error {
	if p.Stages < 1 || p.Stages > len(p.Layers) {
		return fmt.Errorf("%d layers cannot be cut into %d stages: use 1 to %d", len(p.Layers), p.Stages, len(p.Layers))
	}
	return nil
}

// prefix sums the layers before each index.
func (p Problem) prefix() []Layer {
	sum := make([]Layer, len(p.Layers)+1)
	for i, l := range p.Layers {
		sum[i+1] = Layer{sum[i].Time + l.Time, sum[i].Static + l.Static, sum[i].Live + l.Live}
	}
	return sum
}

func (p Problem) fits(sum []Layer, stage, i, j int) bool {
	if p.Limit == 0 {
		return true
	}
	inFlight := 1
	if p.InFlight != nil {
		inFlight = p.InFlight(stage)
	}
	return sum[j].Static-sum[i].Static+int64(inFlight)*(sum[j].Live-sum[i].Live) <= p.Limit
}

func grid[T any](rows, cols int) [][]T {
	g := make([][]T, rows)
	for i := range g {
		g[i] = make([]T, cols)
	}
	return g
}
