package kernels

import "math"

// RelError is how far got is from want: the largest of |got-want| / (|want| + rms(want)). Rounding want once to a type costs less
// than half of the type's Eps, however its elements are spread: elements above the rms count relative to themselves, smaller ones, which are what
// cancellation leaves, relative to the rms. It is +Inf where one has a NaN or an Inf that the other has not.
func RelError(got, want []float64) float64 { return RelErrorAt(got, want, 0) }

// RelErrorAt is RelError with an rms of at least scale, the size of the terms that the elements are sums of. Without it a result of one
// element, what is left where terms cancelled, would count as wrong for the rounding of the terms.
func RelErrorAt(got, want []float64, scale float64) float64 {
	if len(got) != len(want) {
		panic("kernels: RelError: lengths differ")
	}
	scale = max(scale, rms(want))
	worst := 0.0
	for i, w := range want {
		switch g := got[i]; {
		case g == w || g != g && w != w:
		case math.IsNaN(g) || math.IsNaN(w) || math.IsInf(g, 0) || math.IsInf(w, 0):
			return math.Inf(1)
		default:
			worst = max(worst, math.Abs(g-w)/(math.Abs(w)+scale))
		}
	}
	return worst
}

// NormError is how far got is from want in the root mean square, relative to want's. It is +Inf where one has a NaN or an Inf that the other has not, or want is zero and got
// is not.
func NormError(got, want []float64) float64 {
	if len(got) != len(want) {
		panic("kernels: NormError: lengths differ")
	}
	apart := make([]float64, len(want))
	for i, w := range want {
		switch g := got[i]; {
		case g == w || g != g && w != w:
		case math.IsNaN(g) || math.IsNaN(w) || math.IsInf(g, 0) || math.IsInf(w, 0):
			return math.Inf(1)
		default:
			apart[i] = g - w
		}
	}
	if e := rms(apart); e > 0 {
		return e / rms(want)
	}
	return 0
}

// rms is the root mean square of the finite elements.
func rms(x []float64) float64 {
	top, n := 0.0, 0
	for _, v := range x {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			top, n = max(top, math.Abs(v)), n+1
		}
	}
	if top == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range x {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			sum += (v / top) * (v / top) // neither overflows nor vanishes
		}
	}
	return top * math.Sqrt(sum/float64(n))
}
