package results

import (
	"encoding/csv"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseErrorsNameFileLineAndColumn(t *testing.T) {
	good := sample(t)
	tests := []struct{ name, text, want string }{
		{"empty file", "", "a.csv: holds no header; is it a results CSV of ofpeak?"},
		{"only a half header", "schema,ca", "a.csv: holds no header; is it a results CSV of ofpeak?"},
		{"no schema", "x,y\n", "a.csv:1: column schema: is missing; is it a results CSV of ofpeak?"},
		{"missing column", without(t, good, "tokens_per_s"), "a.csv:1: column tokens_per_s: is missing"},
		{"missing newer column", without(t, good, "wf_host_s"), "a.csv:1: column wf_host_s: is missing"},
		{"bad operator", with(t, good, "ops", "linear:1:2"), `a.csv:2: column ops: "linear:1:2" is not name:seconds:FLOPs:bytes`},
		{"column twice", strings.Replace(good, "tokens_per_s,", "comm_s,", 1), `a.csv:1: column "comm_s": occurs twice`},
		{"newer schema", with(t, good, "schema", "3"), "a.csv:2: column schema: 3 was made by a newer ofpeak (this one reads 2); update"},
		{"newer schema without our columns", "schema,other\n7,x\n", "a.csv:2: column schema: 7 was made by a newer ofpeak (this one reads 2); update"},
		{"bad schema", with(t, good, "schema", "one"), `a.csv:2: column schema: "one" is not a schema version`},
		{"schema zero", with(t, good, "schema", "0"), `a.csv:2: column schema: "0" is not a schema version`},
		{"unknown status", with(t, good, "status", "fine"), `a.csv:2: column status: "fine" is unknown; known are ok, skipped, failed, wrong, suspect, imported`},
		{"unknown technique", with(t, good, "technique", ""), `a.csv:2: column technique: "" is unknown; known are baseline, mixed-precision, data-parallel, model-parallel, sparse, distributed`},
		{"bad number", with(t, good, "step_median_s", "fast"), `a.csv:2: column step_median_s: "fast" is not a number`},
		{"infinite number", with(t, good, "final_loss", "Inf"), `a.csv:2: column final_loss: "Inf" is not a number`},
		{"bad integer", with(t, good, "ranks", "2.5"), `a.csv:2: column ranks: "2.5" is not a number`},
		{"too large", with(t, good, "ranks", strings.Repeat("9", 60)), `a.csv:2: column ranks: "` + strings.Repeat("9", 40) + `…" is not a number`},
		{"bad sample", with(t, good, "step_samples_s", "1;;2"), `a.csv:2: column step_samples_s: "" is not a number`},
		{"bad time", with(t, good, "utc_time", "yesterday"), `a.csv:2: column utc_time: "yesterday" is not a time such as 2026-01-31T23:59:59Z`},
		{"impossible row", with(t, good, "share_measured_pct", "120"), "a.csv:2: column share_measured_pct: is over 100 %, which no row with status ok may have"},
		{"short line", good + "1,x\n", "a.csv:3: has more or fewer cells than the header"},
		{"stray quote", good + "1,\"x\"y\n", `a.csv:3: character 5: extraneous or missing " in quoted-field`},
		{"binary", "\x00\x01\x02\n\xff\n", "a.csv:1: column schema: is missing; is it a results CSV of ofpeak?"},
	}
	for _, test := range tests {
		_, err := Parse("a.csv", []byte(test.text))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %s", test.name, err, test.want)
		}
	}
}

func TestParseKeepsCompleteRows(t *testing.T) {
	good := sample(t)
	row := good[strings.Index(good, "\n")+1:]
	for cut := 1; cut < len(row); cut += 7 {
		f, err := Parse("a.csv", []byte(good+row[:cut]))
		if err != nil || len(f.Rows) != 1 || len(f.Warnings) != 1 || !strings.HasPrefix(f.Warnings[0], "a.csv:3: has no line end") {
			t.Fatalf("cut after %d bytes: %+v, %v", cut, f, err)
		}
	}
}

func TestParseAcceptsSpreadsheetFiles(t *testing.T) {
	f, err := Parse("a.csv", []byte("\ufeff"+strings.ReplaceAll(sample(t), "\n", "\r\n")))
	if err != nil || len(f.Rows) != 1 || !reflect.DeepEqual(f.Rows[0], okRow()) {
		t.Errorf("read %+v, %v", f, err)
	}
	f, err = Parse("a.csv", []byte(strings.ReplaceAll(sample(t), "\n", ",my notes\n")))
	if err != nil || len(f.Rows) != 1 || !slices.Equal(f.Warnings, []string{`a.csv:1: column "my notes": is unknown and ignored`}) {
		t.Errorf("read %+v, %v", f, err)
	}
}

// A file of version 1 lacks the columns that came later: they are empty.
func TestParseReadsVersion1(t *testing.T) {
	text := with(t, sample(t), "schema", "1")
	for _, column := range Columns() {
		if !slices.Contains(earlierColumns(1), column) {
			text = without(t, text, column)
		}
	}
	f, err := Parse("a.csv", []byte(text))
	if err != nil || len(f.Rows) != 1 || len(f.Warnings) > 0 {
		t.Fatalf("read %+v, %v", f, err)
	}
	if r := &f.Rows[0]; r.Schema != 1 || r.Waterfall() != nil || r.Ops != nil || !r.TokensPerS.Known() {
		t.Errorf("read %+v", r)
	}
	if _, err := Parse("a.csv", []byte(without(t, text, "tokens_per_s"))); err == nil {
		t.Error("a version 1 file without one of its own columns is read")
	}
}

func TestReadNamesAMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.csv")
	if _, err := Read(path); err == nil || err.Error() != path+": cannot be read: no such file or directory" {
		t.Errorf("error %v", err)
	}
}

// FuzzParse holds that no input crashes the reader, that errors are one line that names the file, and that what is read can be written and read again.
func FuzzParse(f *testing.F) {
	good := sample(f)
	f.Add(good)
	f.Add(good[:len(good)-9])
	f.Add("\ufeff" + good)
	f.Add("schema\n1\n")
	f.Add("schema,case\n2,\"x\n\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse("a.csv", []byte(text))
		if err != nil {
			if msg := err.Error(); !strings.HasPrefix(msg, "a.csv:") || strings.Contains(msg, "\n") {
				t.Fatalf("error %q", msg)
			}
			return
		}
		written := csvLine(Columns())
		for i := range file.Rows {
			record, err := file.Rows[i].record()
			if err != nil {
				t.Fatalf("a row that was read is not written: %v", err)
			}
			written = append(written, csvLine(record)...)
		}
		again, err := Parse("b.csv", written)
		if err != nil || !reflect.DeepEqual(again.Rows, file.Rows) {
			t.Fatalf("read again as %+v, %v; want %+v", again, err, file.Rows)
		}
	})
}

// with returns the text with one cell of its last row replaced.
func with(t *testing.T, text, column, value string) string {
	return edit(t, text, func(header, row []string) ([]string, []string) {
		row[slices.Index(header, column)] = value
		return header, row
	})
}

// without returns the text less one column.
func without(t *testing.T, text, column string) string {
	return edit(t, text, func(header, row []string) ([]string, []string) {
		i := slices.Index(header, column)
		return slices.Delete(header, i, i+1), slices.Delete(row, i, i+1)
	})
}

func edit(t *testing.T, text string, change func(header, row []string) ([]string, []string)) string {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	header, row := change(records[0], records[1])
	var out strings.Builder
	if err := csv.NewWriter(&out).WriteAll([][]string{header, row}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A column that came to the version later may be missing, and is then empty.
func TestColumnThatCameLaterMayBeMissing(t *testing.T) {
	file, err := Parse("a.csv", []byte(without(t, sample(t), "clock_change_pct")))
	if err != nil || len(file.Rows) != 1 || file.Rows[0].ClockChangePct.Known() {
		t.Errorf("%+v, %v", file, err)
	}
}
