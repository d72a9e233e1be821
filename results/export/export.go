// Package export writes results in the formats of other tools: the Go benchmark format for benchstat, JSON lines for scripts, Parquet for data frames and
// databases, and OpenMetrics for monitoring. What a row lacks is left out or null, never zero.
package export

import (
	"fmt"
	"io"
	"slices"

	"ofpeak/results"
)

// Format names what to write.
type Format string

// Formats.
const (
	BenchFmt    Format = "benchfmt"
	JSONLines   Format = "jsonl"
	Parquet     Format = "parquet"
	OpenMetrics Format = "openmetrics"
)

var formats = []Format{BenchFmt, JSONLines, Parquet, OpenMetrics}

// ParseFormat reads the value of a --format flag.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); {
	case slices.Contains(formats, f):
		return f, nil
	case s == "":
		return "", fmt.Errorf("--format: is needed; use benchfmt, jsonl, parquet or openmetrics")
	}
	return "", fmt.Errorf("--format %.40q: is unknown; use benchfmt, jsonl, parquet or openmetrics", s)
}

// Write writes the rows of the files.
func Write(w io.Writer, f Format, files []*results.File) error {
	switch f {
	case BenchFmt:
		return writeBenchFmt(w, files)
	case JSONLines:
		return writeJSONLines(w, files)
	case Parquet:
		return writeParquet(w, files)
	case OpenMetrics:
		return writeOpenMetrics(w, files)
	}
	panic("export: unknown format")
}
