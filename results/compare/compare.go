// Package compare sets the same cases of several results files side by side: which is faster, by how much, and whether that can be told at all.
//
// Compare makes a Table, which is plain data; the renderers and the gate only read it. Rows are compared if what was asked for is the same, and refused with
// the reason otherwise; a row that is not ok is listed and never compared. Samples are taken as independent. docs/compare.md has the rules.
package compare

import (
	"errors"
	"fmt"
	"slices"

	"ofpeak/results"
	"ofpeak/results/stats"
)

// DefaultThresholdPct is the difference, in percent, below which two speeds are called the same.
const DefaultThresholdPct = 1

// Options say how to judge.
type Options struct {
	ThresholdPct float64  // in [0, 100)
	Filter       *Filter  // rows to compare; nil: all
	Row, Col     []string // keys of the matrix; nil: technique and hardware
}

func (o Options) rowKeys() []string {
	if o.Row == nil {
		return []string{"technique"}
	}
	return o.Row
}

func (o Options) colKeys() []string {
	if o.Col == nil {
		return []string{"hardware"}
	}
	return o.Col
}

// Table is the comparison of every file with the first.
type Table struct {
	Options Options
	Files   []*results.File
	Pairs   []Pair    // in the order of the base file, then of the files
	Refused []Refusal // ok rows that have no partner, or none that they may be compared with
	NotOK   []NotOK
}

// Ref is a row of one of the files.
type Ref struct {
	File int // index into Table.Files
	Line int // in that file, from 1
	Row  *results.Row
}

// Pair is one case in the base file and in another.
type Pair struct {
	Base, Other Ref
	Ratio       stats.Ratio // throughput of Other / throughput of Base
	Verdict     Verdict
	Notes       []string // why the verdict is Unclear, and what differs that is not a setting
}

// Refusal is a row that was not compared with those of another file.
type Refusal struct {
	Ref
	With   int // index of the file that has no partner for it
	Reason string
}

// NotOK is a row whose status forbids a comparison.
type NotOK struct {
	Ref
	Reason string
	Lost   bool // the base file has the same case, and there it is ok
}

// Compare compares the files with the first of them.
func Compare(files []*results.File, opt Options) (*Table, error) {
	if len(files) < 2 {
		return nil, errors.New("compare needs at least two results files, the base first")
	}
	if !(opt.ThresholdPct >= 0 && opt.ThresholdPct < 100) {
		return nil, errors.New("the threshold must be at least 0 % and below 100 %")
	}
	t := &Table{Options: opt, Files: slices.Clone(files)}
	for i, f := range t.Files {
		if opt.Filter == nil {
			break
		}
		var err error
		if t.Files[i], err = opt.Filter.keep(f); err != nil {
			return nil, err
		}
	}
	base := t.load(0)
	for i := 1; i < len(files); i++ {
		t.match(base, t.load(i))
	}
	t.sortPairs()
	return t, nil
}

// compare judges two rows that may be compared.
func (t *Table) compare(base, other Ref, notes []string) {
	// The step times are inverse to the throughput, since both did the same work per step.
	r := stats.Compare(samples(base.Row), samples(other.Row))
	verdict, why := Judge(r, t.Options.ThresholdPct)
	if why != "" {
		notes = append([]string{why}, notes...)
	}
	t.Pairs = append(t.Pairs, Pair{base, other, r, verdict, notes})
}

// WithBaseline moves the file of that path to the front.
func WithBaseline(files []*results.File, path string) ([]*results.File, error) {
	i := slices.IndexFunc(files, func(f *results.File) bool { return f.Path == path })
	if i < 0 {
		return nil, fmt.Errorf("--baseline %q: is none of the files; name one of them", path)
	}
	return slices.Concat(files[i:i+1], files[:i], files[i+1:]), nil
}

// hardwareOf are the kinds of hardware in a file.
func hardwareOf(f *results.File) []string {
	out := []string{}
	for i := range f.Rows {
		if h := Hardware(&f.Rows[i]); !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}
