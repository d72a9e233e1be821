// Package auto finds the fastest way to split a case over its ranks: of all that make sense and fit, those that the cost model says are fastest, to be measured.
// The search is a pure function of a table of costs.
package auto

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"ofpeak/bench/workload"
	"ofpeak/parallel/costmodel"
)

// Finalists are measured: enough that the fastest is among them if the model is wrong by as much as it is, and few enough to be measured in a minute.
const Finalists = 4

// perMesh is how many of them may be of the same product of axes. What the model gets wrong about a product it gets wrong alike for all of them.
const perMesh = 2

// Candidate is a case with what is predicted of it.
type Candidate struct {
	Case   workload.Case
	Memory int64 // of the rank that takes most, bytes
	Step   costmodel.Step
}

// Rejection is a reason for which cases were left out.
type Rejection struct {
	Count   int
	Example workload.Case // the first
	Why     string        // of the example
}

// Result is what a search found.
type Result struct {
	Considered int
	Best       []Candidate // the fastest first
	Fit        int         // cases that make sense and fit
	Rejected   []Rejection // what applies to most first
}

// Search looks at every split of a case. Those whose bound is no better than what was found need no schedule to be run on the clock.
func Search(c workload.Case, check func(workload.Case) error, table *costmodel.Table) Result {
	var r Result
	reasons := map[string]int{} // index into r.Rejected
	for _, split := range c.Splits() {
		r.Considered++
		candidate, err := r.consider(split, check, table)
		if err != nil {
			r.reject(split, err, reasons)
			continue
		}
		r.Fit++
		if candidate != nil {
			r.Best = insert(r.Best, *candidate)
		}
	}
	slices.SortStableFunc(r.Rejected, func(a, b Rejection) int { return cmp.Compare(b.Count, a.Count) })
	return r
}

// consider predicts a split; nil if it is slower than what was found.
func (r *Result) consider(split workload.Case, check func(workload.Case) error, table *costmodel.Table) (*Candidate, error) {
	if err := split.Validate(); err != nil {
		return nil, err
	}
	if err := check(split); err != nil {
		return nil, err
	}
	need, err := split.RankMemory()
	if err != nil {
		return nil, err
	}
	if limit := int64(split.Memory); limit > 0 && need > limit {
		return nil, fmt.Errorf("a rank needs %d bytes of the %s that it may allocate", need, split.Memory)
	}
	model, err := costmodel.New(split.Training(), split.Strategy(), table)
	if err != nil {
		return nil, err
	}
	candidate := Candidate{Case: split, Memory: need, Step: costmodel.Step{Total: model.Bound()}}
	if !enters(r.Best, candidate) {
		return nil, nil
	}
	candidate.Step = model.Predict()
	return &candidate, nil
}

// enters reports whether a candidate would be among the best.
func enters(best []Candidate, c Candidate) bool {
	return slices.ContainsFunc(insert(slices.Clone(best), c), func(b Candidate) bool { return b.Case == c.Case })
}

// insert adds a candidate to the best, of which there are no more than Finalists in all and perMesh of a mesh.
func insert(best []Candidate, c Candidate) []Candidate {
	at := slices.IndexFunc(best, func(b Candidate) bool { return c.Step.Total < b.Step.Total })
	if at < 0 {
		at = len(best)
	}
	best = slices.Insert(best, at, c)
	same := 0
	for i, b := range best {
		if mesh(b.Case) != mesh(c.Case) {
			continue
		}
		if same++; same > perMesh {
			best = slices.Delete(best, i, i+1)
			break
		}
	}
	return best[:min(len(best), Finalists)]
}

// mesh is a case's product of axes.
func mesh(c workload.Case) [5]int { return [5]int{c.DP, c.TP, c.PP, c.EP, c.CP} }

var numbers = regexp.MustCompile(`[0-9]+`)

// reject counts a reason. Reasons that differ in numbers are one.
func (r *Result) reject(c workload.Case, err error, reasons map[string]int) {
	why, _, _ := strings.Cut(err.Error(), ";")
	kind := numbers.ReplaceAllString(why, "N")
	i, known := reasons[kind]
	if !known {
		i = len(r.Rejected)
		reasons[kind] = i
		r.Rejected = append(r.Rejected, Rejection{Example: c, Why: why})
	}
	r.Rejected[i].Count++
}

// ErrNone is what a search without a candidate says.
var ErrNone = errors.New("no split fits")

// None is why there is no candidate, in one line.
func (r Result) None() error {
	var why []string
	for _, j := range r.Rejected {
		why = append(why, fmt.Sprintf("%d: %s", j.Count, j.Why))
	}
	return fmt.Errorf("%w: of %d, %s", ErrNone, r.Considered, strings.Join(why, "; "))
}
