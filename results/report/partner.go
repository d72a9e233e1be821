package report

import (
	"cmp"
	"slices"

	"ofpeak/results"
	"ofpeak/results/compare"
)

// parallelSettings are what a split over ranks decides.
var parallelSettings = []string{"technique", "dp", "tp", "pp", "ranks", "threads_per_rank", "sequence_parallel", "overlap", "schedule", "chunks", "microbatches", "bucket_bytes", "zero"}

// plain says how to take a technique back: the settings that are its own, and what a row without it looks like.
var plain = map[results.Technique]struct {
	own []string
	is  func(*results.Row) bool
}{
	results.MixedPrecision: {[]string{"technique", "precision"}, func(r *results.Row) bool { return r.Precision == "fp32" }},
	results.Sparse:         {[]string{"technique", "sparse_format", "sparse_density"}, func(r *results.Row) bool { return r.SparseFormat == "" }},
	results.DataParallel:   {parallelSettings, func(r *results.Row) bool { return r.Ranks == 1 }},
	results.ModelParallel:  {parallelSettings, func(r *results.Row) bool { return r.Ranks == 1 }},
	results.Distributed:    {parallelSettings, func(r *results.Row) bool { return r.Ranks == 1 }},
}

// hardware says how much of it the row without the technique must have.
type hardware func(row, plain *results.Row) bool

// sameInAll gives both rows the same hardware, so that a technique is not credited with more of it: on a CPU the same cores. GPUs are the ranks.
func sameInAll(row, plain *results.Row) bool { return row.CoresUsed == plain.CoresUsed }

// samePerRank gives one rank what each of several has: one device against several.
func samePerRank(row, plain *results.Row) bool { return row.ThreadsPerRank == plain.ThreadsPerRank }

// partner is the measured row of the same file that differs from e in nothing but the technique, or nil; of two that fit, neither.
func (m *Machine) partner(e *Entry, t results.Technique, fair hardware) *Entry {
	technique, ok := plain[t]
	if !ok {
		return nil
	}
	want := kept(e.Row, technique.own)
	var found []*Entry
	for _, o := range m.measured() {
		if o != e && o.File == e.File && fair(e.Row, o.Row) && technique.is(o.Row) && slices.Equal(kept(o.Row, technique.own), want) {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		return nil
	}
	return found[0]
}

// kept are a row's settings less those named, and what makes two rows' numbers the same quantity.
func kept(r *results.Row, less []string) []compare.Setting {
	settings := slices.DeleteFunc(compare.Settings(r), func(s compare.Setting) bool { return slices.Contains(less, s.Name) })
	return append(settings, compare.Setting{Name: "flops_formula", Value: r.FLOPsFormula})
}

// byTechnique sorts entries as reports list them; rows of one technique and precision keep their order.
func byTechnique(entries []*Entry) []*Entry {
	sorted := slices.Clone(entries)
	slices.SortStableFunc(sorted, func(a, b *Entry) int {
		return cmp.Or(
			cmp.Compare(slices.Index(results.Techniques, a.Row.Technique), slices.Index(results.Techniques, b.Row.Technique)),
			cmp.Compare(slices.Index(results.Precisions, a.Row.Precision), slices.Index(results.Precisions, b.Row.Precision)))
	})
	return sorted
}
