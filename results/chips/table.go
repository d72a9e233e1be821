package chips

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/jszwec/csvutil"

	"ofpeak/results"
)

//go:embed chips.csv
var builtinCSV string

// Table is a list of chips with distinct names.
type Table []Chip

// Builtin is the table that comes with ofpeak.
func Builtin() Table { return slices.Clone(builtin()) }

var builtin = sync.OnceValue(func() Table {
	t, err := parse("chips.csv", strings.NewReader(builtinCSV), nil)
	if err != nil {
		panic("chips: bad built-in table")
	}
	return t
})

// With returns the table with the chips of a CSV of the same columns added. An error is one line that names the file, the line and the column.
func (t Table) With(path string) (Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--chips: %w; name a CSV with the columns of ofpeak's chip table", err)
	}
	defer f.Close()
	return parse(path, f, t)
}

// Lookup finds a chip by the name of its row or by a name under which a driver reports that very chip, in any case. A partial match is none: a slice of
// a GPU (MIG), another memory size and another form factor are other chips.
func (t Table) Lookup(name string) (Chip, bool) {
	name = strings.TrimSpace(name)
	if c, ok := t.row(name); ok {
		return c, true
	}
	for device, row := range aliases {
		if strings.EqualFold(device, name) {
			return t.row(row)
		}
	}
	return Chip{}, false
}

func (t Table) row(name string) (Chip, bool) {
	i := slices.IndexFunc(t, func(c Chip) bool { return strings.EqualFold(c.Name, name) })
	if i < 0 {
		return Chip{}, false
	}
	return t[i], true
}

// Names are the names of the rows.
func (t Table) Names() []string {
	names := make([]string, len(t))
	for i, c := range t {
		names[i] = c.Name
	}
	return names
}

// aliases are names that drivers report (NVML, ROCm), and the row that each stands for. Left out on purpose: the 40 GB A100s and the export variants
// A800, H800 and H20, which have no row; MI250 and MI250X, where a driver reports one die and the row counts two; Ascend, whose bins differ.
var aliases = map[string]string{
	"NVIDIA A100 80GB PCIe": "A100 80GB PCIe",
	"NVIDIA A100-SXM4-80GB": "A100 80GB SXM",
	"A100-SXM4-80GB":        "A100 80GB SXM", // drivers before 470
	"NVIDIA H100 80GB HBM3": "H100 SXM",
	"NVIDIA H100 PCIe":      "H100 PCIe",
	"NVIDIA H100 NVL":       "H100 NVL",
	"AMD Instinct MI300X":   "Instinct MI300",
}

// parse reads chips and appends them to base.
func parse(path string, r io.Reader, base Table) (Table, error) {
	reader := csv.NewReader(r)
	dec, err := csvutil.NewDecoder(reader)
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: holds no header; a chip table has %s", path, strings.Join(Columns(), ","))
	}
	if err != nil {
		return nil, results.CSVError(path, err)
	}
	if err := checkHeader(path, dec.Header()); err != nil {
		return nil, err
	}
	table := slices.Clone(base)
	for {
		var c Chip
		err := dec.Decode(&c)
		if errors.Is(err, io.EOF) {
			return table, nil
		}
		if err != nil {
			return nil, results.CSVError(path, err)
		}
		if err := c.check(table); err != nil {
			line, _ := reader.FieldPos(0)
			return nil, fmt.Errorf("%s:%d: %w", path, line, err)
		}
		table = append(table, c)
	}
}

// Columns are the columns of a chip table.
func Columns() []string {
	columns, err := csvutil.Header(Chip{}, "csv")
	if err != nil {
		panic("chips: Chip has no header")
	}
	return columns
}

func checkHeader(path string, header []string) error {
	columns := Columns()
	for _, name := range columns {
		if !slices.Contains(header, name) {
			return fmt.Errorf("%s:1: column %s: is missing; a chip table has %s", path, name, strings.Join(columns, ","))
		}
	}
	for i, name := range header {
		if !slices.Contains(columns, name) {
			return fmt.Errorf("%s:1: column %q: is unknown; a chip table has %s", path, name, strings.Join(columns, ","))
		}
		if slices.Contains(header[:i], name) {
			return fmt.Errorf("%s:1: column %s: occurs twice", path, name)
		}
	}
	return nil
}

// check refuses a chip that the table has already, a rate that is none, and a survey figure without a basis.
func (c Chip) check(table Table) error {
	if c.Name == "" || c.Name != strings.TrimSpace(c.Name) {
		return &results.ColumnError{Column: "chip", Err: fmt.Errorf("%q is not a name", c.Name)}
	}
	if _, found := table.Lookup(c.Name); found {
		return &results.ColumnError{Column: "chip", Err: fmt.Errorf("%q is in the table already", c.Name)}
	}
	rates := []results.Opt[float64]{c.SurveyINT8, c.SurveyFP16, c.FP32, c.TF32, c.FP16, c.BF16, c.FP8, c.INT8, c.SparseFP16, c.SparseINT8, c.MemTBPerS}
	for i, column := range []string{"survey_int8_tops", "survey_fp16_tflops", "fp32_tflops", "tf32_tflops", "fp16_tflops", "bf16_tflops", "fp8_tflops",
		"int8_tops", "sparse_fp16_tflops", "sparse_int8_tops", "mem_tb_per_s"} {
		if v, known := rates[i].Get(); known && v <= 0 {
			return &results.ColumnError{Column: column, Err: fmt.Errorf("%v is not a rate; leave an unknown figure empty", v)}
		}
	}
	if c.SurveyBasis == "" && (c.SurveyINT8.Known() || c.SurveyFP16.Known()) {
		return &results.ColumnError{Column: "survey_basis", Err: errors.New("is empty, but the survey's figure is not")}
	}
	if c.Source == "" {
		return &results.ColumnError{Column: "source", Err: errors.New("is empty; a figure needs its source")}
	}
	return nil
}
