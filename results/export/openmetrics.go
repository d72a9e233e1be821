package export

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"ofpeak/results"
)

// identity are the columns that become labels; with the file and the line they make every sample's labels unique.
var identity = []string{"technique", "precision", "engine", "model", "pass", "case", "host", "device", "device_name", "chip", "status"}

// writeOpenMetrics writes each numeric result as a gauge ofpeak_COLUMN, with a sample for each row that has it, at the time of the row.
func writeOpenMetrics(w io.Writer, files []*results.File) error {
	var out bytes.Buffer
	columns := results.Columns()
	for at, column := range columns {
		if slices.Index(columns, "status") > at {
			continue // what was asked for, and where
		}
		var samples bytes.Buffer
		for _, f := range files {
			for i := range f.Rows {
				if line, ok := sample(column, f, i); ok {
					samples.WriteString(line)
				}
			}
		}
		if samples.Len() > 0 {
			fmt.Fprintf(&out, "# TYPE ofpeak_%s gauge\n# HELP ofpeak_%s Column %s of docs/csv.md.\n%s", column, column, column, samples.String())
		}
	}
	out.WriteString("# EOF\n")
	_, err := w.Write(out.Bytes())
	return err
}

// sample is the line of one row, if the column holds a number there.
func sample(column string, f *results.File, i int) (string, bool) {
	var value string
	labels := []string{label("file", f.Path), label("line", strconv.Itoa(f.Lines[i]))}
	for _, c := range cells(&f.Rows[i]) {
		if slices.Contains(identity, c.column) && c.value != nil {
			labels = append(labels, label(c.column, fmt.Sprint(c.value)))
		}
		if c.column != column {
			continue
		}
		switch v := c.value.(type) {
		case float64:
			value = strconv.FormatFloat(v, 'g', -1, 64)
		case int:
			value = strconv.Itoa(v)
		case int64:
			value = strconv.FormatInt(v, 10)
		}
	}
	return fmt.Sprintf("ofpeak_%s{%s} %s %d\n", column, strings.Join(labels, ","), value, f.Rows[i].UTCTime.Unix()), value != ""
}

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func label(name, value string) string { return name + `="` + escapes.Replace(value) + `"` }
