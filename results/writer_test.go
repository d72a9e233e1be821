package results

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestRowsSurviveTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := Read(path)
	if err != nil || len(empty.Rows) != 0 || len(empty.Warnings) != 0 {
		t.Fatalf("a file without rows is read as %+v, %v", empty, err)
	}
	rows := []Row{okRow(), notOK(Skipped), notOK(Wrong)}
	rows[1].Reason = `needs "AVX-512", which this CPU lacks`
	for i := range rows {
		if err := w.Append(&rows[i]); err != nil {
			t.Fatal(err)
		}
		// Each row is on the disk before the next begins.
		f, err := Read(path)
		if err != nil || len(f.Rows) != i+1 {
			t.Fatalf("after row %d: %d rows, %v", i+1, len(f.Rows), err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f.Rows, rows) {
		t.Errorf("read\n%+v\nwant\n%+v", f.Rows, rows)
	}
	if !reflect.DeepEqual(f.Lines, []int{2, 3, 4}) || len(f.Warnings) != 0 {
		t.Errorf("lines %v, warnings %q", f.Lines, f.Warnings)
	}
}

func TestUnmeasuredIsEmpty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	row := notOK(Failed)
	if err := w.Append(&row); err != nil {
		t.Fatal(err)
	}
	line := cellsOf(t, path)
	for _, column := range []string{"vocab", "tokens_per_s", "share_vendor_pct", "share_measured_pct", "share_measured_basis", "peak_bytes_per_rank", "final_loss"} {
		if line[column] != "" {
			t.Errorf("%s is %q; want an empty cell", column, line[column])
		}
	}
	if line["comm_bytes"] != "0" {
		t.Errorf("comm_bytes is %q; a measured zero must stay", line["comm_bytes"])
	}
}

// cellsOf returns the first row of a CSV by column name.
func cellsOf(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	cells := map[string]string{}
	for i, column := range records[0] {
		cells[column] = records[1][i]
	}
	return cells
}

func TestAppendRefusesAnInvalidRow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	row := okRow()
	row.ShareMeasuredPct = Some(150.0)
	if err := w.Append(&row); err == nil || !strings.Contains(err.Error(), "share_measured_pct") {
		t.Errorf("error %v", err)
	}
	if f, err := Read(path); err != nil || len(f.Rows) != 0 {
		t.Errorf("the file holds %d rows, %v", len(f.Rows), err)
	}
}

func TestCreateNamesThePathAndTheWayOut(t *testing.T) {
	dir := t.TempDir()
	existing := filepath.Join(dir, "old.csv")
	if err := os.WriteFile(existing, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{existing, dir, filepath.Join(dir, "no", "such", "dir.csv"), filepath.Join(existing, "x.csv"), ""} {
		w, err := Create(path)
		if err == nil {
			w.Close()
			t.Errorf("%q is created", path)
			continue
		}
		if !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), "--out") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %q", path, err)
		}
	}
	if data, err := os.ReadFile(existing); err != nil || string(data) != "mine" {
		t.Errorf("the existing file holds %q, %v", data, err)
	}
}

// sample is the text of a CSV with one valid row.
func sample(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sample.csv")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	row := okRow()
	if err := w.Append(&row); err != nil {
		t.Fatal(err)
	}
	w.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
