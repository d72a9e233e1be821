package compare

import (
	"fmt"
	"strings"

	"ofpeak/results"
)

// Setting is one thing that was asked for: a column and its cell.
type Setting struct{ Name, Value string }

// Settings are the independent columns of a row, in their order: what must agree for a comparison to mean anything.
func Settings(r *results.Row) []Setting {
	return []Setting{
		{"technique", string(r.Technique)},
		{"precision", string(r.Precision)},
		{"model", r.Model},
		{"engine", r.Engine},
		{"pass", string(r.Pass)},
		{"c", fmt.Sprint(r.C)},
		{"nh", fmt.Sprint(r.NH)},
		{"t", fmt.Sprint(r.T)},
		{"l", fmt.Sprint(r.L)},
		{"b", fmt.Sprint(r.B)},
		{"vocab", r.Vocab.String()},
		{"dp", fmt.Sprint(r.DP)},
		{"tp", fmt.Sprint(r.TP)},
		{"pp", fmt.Sprint(r.PP)},
		{"ranks", fmt.Sprint(r.Ranks)},
		{threads, r.ThreadsPerRank.String()},
		{"ep", r.EP.String()},
		{"cp", r.CP.String()},
		{"sequence_parallel", r.SequenceParallel},
		{"overlap", r.Overlap},
		{"schedule", r.Schedule},
		{"chunks", r.Chunks.String()},
		{"cut", r.Cut},
		{"microbatches", r.Microbatches.String()},
		{"bucket_bytes", r.BucketBytes.String()},
		{"zero", r.ZeRO.String()},
		{"recompute", r.Recompute},
		{"sparse_format", r.SparseFormat},
		{"sparse_density", r.SparseDensity.String()},
		{"experts", r.Experts},
		{"memory_limit_bytes", r.MemoryLimitBytes.String()},
		{"variants", r.Variants},
		{"seed", fmt.Sprint(r.Seed)},
	}
}

// threads is the one setting that follows from the hardware: a case that takes all cores takes more of them on a larger machine.
const threads = "threads_per_rank"

// named is how many of the first settings say what a case is about: a relative shares them, and differs in others.
const named = 3

// key is equal for rows with equal settings; loose leaves out threads.
func key(r *results.Row, loose bool) string {
	var b strings.Builder
	for _, s := range Settings(r) {
		if loose && s.Name == threads {
			continue
		}
		fmt.Fprintf(&b, "%q,", s.Value)
	}
	return b.String()
}

// differences lists the settings that differ, as "name: a, b".
func differences(a, b *results.Row) []string {
	var out []string
	other := Settings(b)
	for i, s := range Settings(a) {
		if s.Value != other[i].Value {
			out = append(out, fmt.Sprintf("%s: %s, %s", s.Name, orNone(s.Value), orNone(other[i].Value)))
		}
	}
	return out
}

// sameHardware reports whether both rows ran on the same kind of device, so that threads is a choice and not the machine's.
func sameHardware(a, b *results.Row) bool {
	return a.Device == b.Device && a.DeviceName == b.DeviceName
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
