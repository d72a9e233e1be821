package export

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"

	"ofpeak/results"
)

// cell is a column's value.
type cell struct {
	column string
	value  any // nil: missing
}

// cells are the row's columns in order. Numbers are numbers, lists are arrays, times are times, a missing value is nil.
func cells(r *results.Row) []cell {
	var out []cell
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		out = append(out, cell{v.Type().Field(i).Tag.Get("csv"), plain(v.Field(i))})
	}
	return out
}

func plain(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case results.Opt[float64]:
		return known(x)
	case results.Opt[int64]:
		return known(x)
	case results.Opt[int]:
		return known(x)
	case results.Samples:
		if len(x) == 0 {
			return nil
		}
		return []float64(x)
	case results.OpTimes:
		if len(x) == 0 {
			return nil
		}
		return operators(x)
	}
	if v.Kind() == reflect.String && v.Len() == 0 {
		return nil
	}
	return v.Interface()
}

func known[T int | int64 | float64](o results.Opt[T]) any {
	if x, ok := o.Get(); ok {
		return x
	}
	return nil
}

// operator is an entry of the column ops.
type operator struct {
	Name    string  `json:"name" parquet:"name"`
	Seconds float64 `json:"seconds" parquet:"seconds"`
	FLOPs   float64 `json:"flops" parquet:"flops"`
	Bytes   float64 `json:"bytes" parquet:"bytes"`
}

func operators(ops results.OpTimes) []operator {
	out := make([]operator, len(ops))
	for i, op := range ops {
		out[i] = operator(op)
	}
	return out
}

// writeJSONLines writes one object a row, with every column in its order, and the row's file and line.
func writeJSONLines(w io.Writer, files []*results.File) error {
	var buf bytes.Buffer
	for _, f := range files {
		for i := range f.Rows {
			buf.Reset()
			line := append(cells(&f.Rows[i]), cell{"file", f.Path}, cell{"line", f.Lines[i]})
			for j, c := range line {
				buf.WriteByte("{,"[min(j, 1)])
				text, err := json.Marshal(c.value)
				if err != nil {
					return err
				}
				buf.WriteString(`"` + c.column + `":`)
				buf.Write(text)
			}
			buf.WriteString("}\n")
			if _, err := w.Write(buf.Bytes()); err != nil {
				return err
			}
		}
	}
	return nil
}
