package chips

import (
	"slices"
	"strings"

	"ofpeak/results"
)

// Work is what one device computes of one type in one step. FLOPs of work that runs on 2:4-sparse hardware (Sparse24) count the skipped zeros, as vendors'
// sparse figures do; sparse work on dense hardware is dense work without its zeros.
type Work struct {
	DType    string
	Sparse24 bool
	FLOPs    float64
}

// Peak finds the peak of a type; Chip.Vendor is one, and so is a table of measured ceilings.
type Peak func(dtype string, sparse24 bool) (Figure, bool)

// SurveyPeak is Survey as a Peak: the survey has one figure per type, whatever it counts.
func (c Chip) SurveyPeak(dtype string, _ bool) (Figure, bool) { return c.Survey(dtype) }

// Share returns which share of its ceiling, in percent, a device reached that did the work in the given time, and the basis in words. Where types mix, the
// ceiling is weighted by FLOPs: the share is the time that each type's work needs at that type's peak, summed, over the time that it took. If the peak of
// any type is missing, so is the share.
func Share(work []Work, seconds float64, peak Peak) (results.Opt[float64], string) {
	if !(seconds > 0) {
		panic("chips: no time")
	}
	atPeak := 0.0
	var bases []string
	for _, w := range work {
		if w.FLOPs == 0 {
			continue
		}
		figure, ok := peak(w.DType, w.Sparse24)
		if !ok {
			return results.Opt[float64]{}, ""
		}
		atPeak += w.FLOPs / (figure.TOPS * 1e12)
		if !slices.Contains(bases, figure.Basis) {
			bases = append(bases, figure.Basis)
		}
	}
	if len(bases) == 0 {
		return results.Opt[float64]{}, ""
	}
	basis := strings.Join(bases, " + ")
	if len(bases) > 1 {
		basis += ", weighted by FLOPs"
	}
	return results.Finite(atPeak / seconds * 100), basis
}
