package ref

import "math"

// Constants of GELU's tanh form.
const (
	geluScale = 0.7978845608028653558798921198687637 // √(2/π)
	geluCubic = 0.044715
)

func gelu(x float64) float64 {
	return 0.5 * x * (1 + math.Tanh(geluScale*(x+geluCubic*x*x*x)))
}

// geluGrad is gelu's derivative. tanh' = 1 - tanh².
func geluGrad(x float64) float64 {
	t := math.Tanh(geluScale * (x + geluCubic*x*x*x))
	return 0.5*(1+t) + 0.5*x*(1-t*t)*geluScale*(1+3*geluCubic*x*x)
}
