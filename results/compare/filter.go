package compare

import (
	"fmt"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchproc"

	"ofpeak/results"
)

// Filter chooses rows by an expression in benchstat's language over the columns that say what ran and where, such as
// "technique:sparse -precision:fp32 device_name:/H100/".
type Filter struct{ filter *benchproc.Filter }

// ParseFilter reads an expression; "" chooses all rows.
func ParseFilter(expression string) (*Filter, error) {
	if strings.TrimSpace(expression) == "" {
		expression = "*"
	}
	f, err := benchproc.NewFilter(expression)
	if err != nil {
		return nil, fmt.Errorf("--filter %q: %s; write column:value, column:/pattern/ or -column:value", expression, oneLine(err))
	}
	if column, ok := unknownKey(expression); ok {
		return nil, fmt.Errorf("--filter %q: %q is no column to choose by; use %s", expression, column, strings.Join(Keys(), ", "))
	}
	return &Filter{f}, nil
}

// oneLine is an error's first line: benchproc adds a picture of the place.
func oneLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// unknownKey finds a key in the expression that no row has. Quoted and regular parts are skipped.
func unknownKey(expression string) (string, bool) {
	for word := range strings.FieldsFuncSeq(expression, func(r rune) bool { return strings.ContainsRune(" ()-", r) }) {
		key, _, found := strings.Cut(word, ":")
		if found && !strings.ContainsAny(key, `"/`) && !isKey(key) {
			return key, true
		}
	}
	return "", false
}

// keep returns the file with only the rows that the filter chooses.
func (f *Filter) keep(file *results.File) (*results.File, error) {
	kept := *file
	kept.Rows, kept.Lines = nil, nil
	for i := range file.Rows {
		match, err := f.filter.Match(asResult(file.Path, &file.Rows[i]))
		if err != nil {
			return nil, err
		}
		if match.All() {
			kept.Rows, kept.Lines = append(kept.Rows, file.Rows[i]), append(kept.Lines, file.Lines[i])
		}
	}
	return &kept, nil
}

// asResult gives benchproc a row to match: its keys are the configuration. The one value stands for the row.
func asResult(path string, r *results.Row) *benchfmt.Result {
	out := &benchfmt.Result{Name: benchfmt.Name("Step"), Iters: 1, Values: []benchfmt.Value{{Value: 1, Unit: "row"}}}
	for _, k := range Keys() {
		out.SetConfig(k, keyOf(k, path, r))
	}
	return out
}

// place are the keys that say where a row comes from; the others are the settings.
var place = []struct {
	name string
	of   func(path string, r *results.Row) string
}{
	{"file", func(path string, _ *results.Row) string { return path }},
	{"hardware", func(_ string, r *results.Row) string { return Hardware(r) }},
	{"host", func(_ string, r *results.Row) string { return r.Host }},
	{"device", func(_ string, r *results.Row) string { return string(r.Device) }},
	{"device_name", func(_ string, r *results.Row) string { return r.DeviceName }},
	{"chip", func(_ string, r *results.Row) string { return r.Chip }},
	{"commit", func(_ string, r *results.Row) string { return r.Commit }},
	{"status", func(_ string, r *results.Row) string { return string(r.Status) }},
}

// Hardware is the chip of the table, or the device as it reports itself.
func Hardware(r *results.Row) string {
	if r.Chip != "" {
		return r.Chip
	}
	return orUnknown(r.DeviceName)
}

// Keys are what rows can be chosen and grouped by.
func Keys() []string {
	var out []string
	for _, s := range Settings(&results.Row{}) {
		out = append(out, s.Name)
	}
	for _, p := range place {
		out = append(out, p.name)
	}
	return out
}

func isKey(name string) bool {
	for _, k := range Keys() {
		if k == name {
			return true
		}
	}
	return false
}

// keyOf is a row's value of a key.
func keyOf(name, path string, r *results.Row) string {
	for _, p := range place {
		if p.name == name {
			return p.of(path, r)
		}
	}
	for _, s := range Settings(r) {
		if s.Name == name {
			return s.Value
		}
	}
	panic("compare: unknown key")
}
