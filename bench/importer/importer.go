// Package importer makes rows of results that were measured elsewhere, on chips that this tool cannot drive.
//
// The input is a small CSV (docs/import.md): the case as ofpeak writes it, what the device took for it, and who says so. The rows have status imported, the
// source as their reason, and whatever follows from the case: FLOPs, throughput and shares of published peaks. Nothing else is filled in.
package importer

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jszwec/csvutil"

	"ofpeak/bench/rig"
	"ofpeak/bench/sweep"
	"ofpeak/bench/workload"
	"ofpeak/results"
	"ofpeak/results/chips"
	"ofpeak/results/stats"
)

// line is one line of the input.
type line struct {
	Case             string               `csv:"case"`
	DeviceName       string               `csv:"device_name"`
	Source           string               `csv:"source"`
	UTCTime          time.Time            `csv:"utc_time"`
	StepMedianS      results.Opt[float64] `csv:"step_median_s"`
	StepSamplesS     results.Samples      `csv:"step_samples_s,omitempty"`
	Chip             string               `csv:"chip,omitempty"`
	Host             string               `csv:"host,omitempty"`
	PeakBytesPerRank results.Opt[int64]   `csv:"peak_bytes_per_rank,omitempty"`
	CommBytes        results.Opt[int64]   `csv:"comm_bytes,omitempty"`
}

// required are the columns without which a file says too little; the others may be left out.
var required = []string{"case", "device_name", "source", "utc_time", "step_median_s"}

// Columns are all columns of the input.
func Columns() []string {
	names, err := csvutil.Header(line{}, "csv")
	if err != nil {
		panic("importer: a line has no header")
	}
	return names
}

// Read reads a file. An error is one line that names the file, the line and the column.
func Read(path string, table chips.Table) ([]results.Row, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %w", path, results.Cause(err))
	}
	return Parse(path, data, table)
}

// Parse reads the text of a file; path is for messages.
func Parse(path string, data []byte, table chips.Table) ([]results.Row, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	dec, err := csvutil.NewDecoder(r)
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:1: holds no header; write one with %s", path, strings.Join(Columns(), ", "))
	}
	if err != nil {
		return nil, results.CSVError(path, err)
	}
	if err := checkHeader(path, dec.Header()); err != nil {
		return nil, err
	}
	var rows []results.Row
	for {
		var l line
		err := dec.Decode(&l)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, results.CSVError(path, err)
		}
		at, _ := r.FieldPos(0)
		row, err := l.row(table)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, at, err)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s:1: holds a header and no row; add some", path)
	}
	return rows, nil
}

func checkHeader(path string, header []string) error {
	for i, name := range header {
		switch {
		case !slices.Contains(Columns(), name):
			return fmt.Errorf("%s:1: column %.40q: is unknown; use only %s", path, name, strings.Join(Columns(), ", "))
		case slices.Contains(header[:i], name):
			return fmt.Errorf("%s:1: column %s: occurs twice", path, name)
		}
	}
	for _, name := range required {
		if !slices.Contains(header, name) {
			return fmt.Errorf("%s:1: column %s: is missing", path, name)
		}
	}
	return nil
}

// row is the line as a row of results.
func (l line) row(table chips.Table) (results.Row, error) {
	fail := func(column, format string, args ...any) (results.Row, error) {
		return results.Row{}, &results.ColumnError{Column: column, Err: fmt.Errorf(format, args...)}
	}
	c, err := workload.ParseCase(l.Case)
	if err == nil {
		err = c.Validate()
	}
	median, timed := l.StepMedianS.Get()
	switch {
	case err != nil:
		return fail("case", "%w", err)
	case c.Device != workload.CPU || c.Threads != 0 || c.ISA != "":
		return fail("case", "device, threads and isa are of the machine; leave them out")
	case strings.TrimSpace(l.DeviceName) == "":
		return fail("device_name", "is empty")
	case strings.TrimSpace(l.Source) == "":
		return fail("source", "is empty; say where the numbers come from")
	case l.UTCTime.IsZero():
		return fail("utc_time", "is empty")
	case timed && !(median > 0):
		return fail("step_median_s", "%v is not a time", median)
	case !timed && len(l.StepSamplesS) == 0:
		return fail("step_median_s", "is empty, and so is step_samples_s")
	case timed && len(l.StepSamplesS) > 0:
		return fail("step_median_s", "is given beside step_samples_s, which it follows from; leave one empty")
	}
	m := sweep.Machine{Device: results.Other, Name: strings.TrimSpace(l.DeviceName)}
	if l.Chip != "" {
		chip, known := table.Lookup(l.Chip)
		if !known {
			return fail("chip", "%.40q is not in the table; see ofpeak chips, or add it with --chips", l.Chip)
		}
		m.Chip = chip.Name
	}
	row := sweep.NewRow(c, m, sweep.Environment{Host: l.Host}, l.UTCTime)
	l.fill(&row, c, table)
	row.Settle(results.Imported, l.Source)
	return row, row.Validate()
}

// fill sets what was measured there, and what follows from it.
func (l line) fill(row *results.Row, c workload.Case, table chips.Table) {
	row.StepMedianS, row.StepSamplesS = l.StepMedianS, l.StepSamplesS
	if n := len(l.StepSamplesS); n > 0 {
		row.SampleCount = results.Some(n)
		if slices.Min(l.StepSamplesS) > 0 {
			s := stats.Summarize(l.StepSamplesS)
			row.StepMedianS, row.StepCILowS, row.StepCIHighS, row.StepSpreadPct = results.Some(s.Median), s.Low, s.High, s.SpreadPct
		}
	}
	row.PeakBytesPerRank, row.CommBytes = l.PeakBytesPerRank, l.CommBytes
	if row.StepMedianS.Known() {
		chip, _ := table.Lookup(row.Chip)
		rig.FillPublished(row, c, chip)
	}
}
