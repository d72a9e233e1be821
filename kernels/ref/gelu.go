package ref

import "math"

// Constants of GELU's tanh form.
const (
	geluScale = 0.7978845608028653558798921198687637 // √(2/π)
	geluCubic = 0.044715
)

// gelu is x·s with s = (1 + tanh u)/2, computed as 1/(1 + exp(-2u)), which keeps its digits where tanh u comes near -1.
func gelu(x float64) float64 {
	s, _ := geluGate(x)
	return x * s
}

// geluGrad is gelu's derivative, s + x·s', with s' = 2·s·(1-s)·u'.
func geluGrad(x float64) float64 {
	s, rest := geluGate(x)
	if s == 0 || rest == 0 {
		return s // s' is 0 too, and x³ may have overflowed
	}
	return s + x*2*s*rest*geluScale*(1+3*geluCubic*x*x)
}

// geluGate is s and 1-s at x.
func geluGate(x float64) (s, rest float64) {
	u := geluScale * (x + geluCubic*x*x*x)
	return 1 / (1 + math.Exp(-2*u)), 1 / (1 + math.Exp(2*u))
}
