package results

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// resumed appends a row to a file that holds text, and returns what is then in it, with the warnings of the repair.
func resumed(t *testing.T, text string, again func(*Row) bool) (rows []string, warnings []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.csv")
	writeText(t, path, text)
	w, found, err := Resume(path, again)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	row := okRow()
	row.Case = "added"
	if err := w.Append(&row); err != nil {
		t.Fatal(err)
	}
	f, err := Read(path)
	if err != nil || len(f.Warnings) > 0 {
		t.Fatalf("the repaired file: %v, %q", err, f.Warnings)
	}
	if again, err := Parse(path, []byte(text)); err == nil && len(found.Rows) > len(again.Rows) {
		t.Errorf("%d rows are said to stay of %d", len(found.Rows), len(again.Rows))
	}
	for i, r := range f.Rows {
		rows = append(rows, r.Case)
		if i < len(found.Rows) && (found.Rows[i].Case != r.Case || found.Lines[i] != f.Lines[i]) {
			t.Errorf("row %d is said to be %s on line %d, and is %s on line %d", i, found.Rows[i].Case, found.Lines[i], r.Case, f.Lines[i])
		}
	}
	return rows, found.Warnings
}

// text is a CSV of rows with these cases, those that begin with "failed" of that status.
func text(t *testing.T, cases ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text.csv")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, c := range cases {
		row := okRow()
		if strings.HasPrefix(c, "failed") {
			row = notOK(Failed)
		}
		row.Case = c
		if err := w.Append(&row); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Whatever byte a crash cut the file at, the whole rows stay, the rest is reported, and rows can be added.
func TestResumeRepairsEveryCut(t *testing.T) {
	whole := text(t, "first", "second")
	header, ends := strings.Index(whole, "\n")+1, []int{}
	for i, c := range whole {
		if c == '\n' {
			ends = append(ends, i+1)
		}
	}
	for cut := 0; cut <= len(whole); cut += 1 + cut%31 {
		rows, warnings := resumed(t, whole[:cut], nil)
		want := []string{"first", "second"}[:max(0, len(slices.DeleteFunc(slices.Clone(ends), func(e int) bool { return e > cut }))-1)]
		if !slices.Equal(rows, append(slices.Clone(want), "added")) {
			t.Fatalf("cut at %d: rows %q", cut, rows)
		}
		clean := cut >= header && slices.Contains(ends, cut)
		if len(warnings) != map[bool]int{true: 0, false: 1}[clean] {
			t.Fatalf("cut at %d: warnings %q", cut, warnings)
		}
	}
}

func TestResumeTakesRowsOut(t *testing.T) {
	failed := func(r *Row) bool { return r.Status == Failed }
	for _, test := range []struct{ before, after []string }{
		{nil, nil},
		{[]string{"a", "b"}, []string{"a", "b"}},
		{[]string{"failed 1", "a", "failed 2", "b", "failed 3"}, []string{"a", "b"}},
		{[]string{"failed 1"}, nil},
	} {
		for _, tail := range []string{"", "1,cut off in the mid"} {
			rows, warnings := resumed(t, text(t, test.before...)+tail, failed)
			if !slices.Equal(rows, append(slices.Clone(test.after), "added")) || len(warnings) != min(1, len(tail)) {
				t.Errorf("%q and %q: rows %q, warnings %q", test.before, tail, rows, warnings)
			}
		}
	}
}

func TestResumeCreates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	w, found, err := Resume(path, nil)
	if err != nil || len(found.Rows) != 0 {
		t.Fatalf("found %+v, %v", found, err)
	}
	w.Close()
	if f, err := Read(path); err != nil || len(f.Rows) != 0 {
		t.Errorf("got %+v, %v", f, err)
	}
	if _, _, err := Resume(filepath.Join(path, "none.csv"), nil); err == nil || !strings.Contains(err.Error(), "--out") {
		t.Errorf("no folder: error %v", err)
	}
}

func TestResumeRefusesOtherFiles(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"newer schema", with(t, sample(t), "schema", "3"), "newer ofpeak"},
		{"an older schema", without(t, with(t, sample(t), "schema", "1"), "energy_basis"), "has not all the columns of schema 2"},
		{"another column order", strings.Replace(sample(t), "schema,case", "case,schema", 1), "schema"},
		{"another CSV", "a,b\n1,2\n", "column schema: is missing"},
		{"no CSV", "notes", "holds no header"},
	}
	for _, test := range tests {
		path := filepath.Join(t.TempDir(), "a.csv")
		writeText(t, path, test.text)
		if _, _, err := Resume(path, func(*Row) bool { return true }); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v; want %q in it", test.name, err, test.want)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != test.text {
			t.Errorf("%s: the file was changed, %v", test.name, err)
		}
	}
}

// Two writers do not mix, also not after one of them has put a new file in the place of the old one.
func TestSecondWriterIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	refused := func(when string) {
		t.Helper()
		if _, _, err := Resume(path, nil); err == nil || !strings.Contains(err.Error(), "another ofpeak is writing it") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", when, err)
		}
	}
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	refused("after Create")
	row := notOK(Failed)
	if err := w.Append(&row); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if w, _, err = Resume(path, func(*Row) bool { return true }); err != nil {
		t.Fatal(err)
	}
	refused("after Resume")
	w.Close()
	w, found, err := Resume(path, nil)
	if err != nil || len(found.Rows) != 0 {
		t.Fatalf("after both are closed: %+v, %v", found, err)
	}
	w.Close()
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRescue(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	row := okRow()
	path, err := Rescue(&row)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := Read(path); err != nil || len(f.Rows) != 1 || f.Rows[0].Case != row.Case {
		t.Errorf("got %+v, %v", f, err)
	}
	t.Setenv("TMPDIR", filepath.Join(path, "none"))
	if _, err := Rescue(&row); err == nil {
		t.Error("a row is rescued to nowhere")
	}
}
