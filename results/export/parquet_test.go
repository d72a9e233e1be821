package export

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"ofpeak/results"
)

// TestParquet reads back what was written: every column in its place, each value with its type, what is missing as null.
func TestParquet(t *testing.T) {
	failed := newRow("technique=sparse seed=2")
	failed.StepSamplesS, failed.Ops, failed.SampleCount = nil, nil, results.Opt[int]{}
	failed.Settle(results.Failed, "out of memory")
	text := write(t, Parquet, newFile(newRow("technique=sparse"), failed))
	file, err := parquet.OpenFile(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range file.Schema().Fields() {
		names = append(names, f.Name())
	}
	if want := append(results.Columns(), "file", "line"); !slices.Equal(names, want) {
		t.Errorf("columns %q; want %q", names, want)
	}
	type record struct {
		Technique   *string    `parquet:"technique,optional"`
		Chip        *string    `parquet:"chip,optional"`
		C           *int64     `parquet:"c,optional"`
		PeakBytes   *int64     `parquet:"peak_bytes_per_rank,optional"`
		Vocab       *int64     `parquet:"vocab,optional"`
		StepMedianS *float64   `parquet:"step_median_s,optional"`
		ShareVendor *float64   `parquet:"share_vendor_pct,optional"`
		Samples     []float64  `parquet:"step_samples_s,optional,list"`
		Ops         []operator `parquet:"ops,optional,list"`
		UTCTime     time.Time  `parquet:"utc_time,timestamp(millisecond)"`
		Line        *int64     `parquet:"line,optional"`
	}
	got, err := parquet.Read[record](strings.NewReader(text), int64(len(text)))
	if err != nil || len(got) != 2 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	a, b := got[0], got[1]
	if *a.Technique != "sparse" || *a.C != 64 || *a.PeakBytes != 9007199254740993 || *a.StepMedianS != 0.5 || *a.Line != 2 ||
		!a.UTCTime.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) || !slices.Equal(a.Samples, []float64{0.5, 0.4, 0.625}) ||
		!slices.Equal(a.Ops, []operator{{"linear", 0.25, 10, 20}}) {
		t.Errorf("%+v", a)
	}
	if a.Chip != nil || a.Vocab != nil || a.ShareVendor != nil || b.Samples != nil || b.Ops != nil {
		t.Errorf("what is missing is not null: %+v, %+v", a, b)
	}
}

// TestParquetOfNoRows is a file with a schema and no record.
func TestParquetOfNoRows(t *testing.T) {
	text := write(t, Parquet, newFile())
	file, err := parquet.OpenFile(strings.NewReader(text), int64(len(text)))
	if err != nil || file.NumRows() != 0 || len(file.Schema().Fields()) != len(results.Columns())+2 {
		t.Errorf("%+v, %v", file, err)
	}
}
