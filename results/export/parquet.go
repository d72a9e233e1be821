package export

import (
	"io"
	"reflect"
	"time"

	"github.com/parquet-go/parquet-go"

	"ofpeak/results"
)

// writeParquet writes one record a row, with every column in its order and of its own type, and the row's file and line. A missing value is null.
func writeParquet(w io.Writer, files []*results.File) error {
	record := recordType()
	out := parquet.NewWriter(w, parquet.SchemaOf(reflect.Zero(record).Interface()), parquet.Compression(&parquet.Snappy))
	for _, f := range files {
		for i := range f.Rows {
			row := append(cells(&f.Rows[i]), cell{"file", f.Path}, cell{"line", f.Lines[i]})
			if err := out.Write(newRecord(record, row).Interface()); err != nil {
				return err
			}
		}
	}
	return out.Close()
}

// recordType is a struct of the row's columns, since the library takes a schema's order from a struct only.
func recordType() reflect.Type {
	var fields []reflect.StructField
	add := func(f reflect.StructField, column string) {
		t, options := columnType(f.Type)
		fields = append(fields, reflect.StructField{Name: f.Name, Type: t, Tag: reflect.StructTag(`parquet:"` + column + options + `"`)})
	}
	row := reflect.TypeFor[results.Row]()
	for i := range row.NumField() {
		add(row.Field(i), row.Field(i).Tag.Get("csv"))
	}
	add(reflect.StructField{Name: "File", Type: reflect.TypeFor[string]()}, "file")
	add(reflect.StructField{Name: "Line", Type: reflect.TypeFor[int]()}, "line")
	return reflect.StructOf(fields)
}

// columnType is the type in a record of what is such a field in a row, and the options of its tag.
func columnType(field reflect.Type) (t reflect.Type, options string) {
	switch field {
	case reflect.TypeFor[results.Opt[float64]]():
		return reflect.TypeFor[*float64](), ",optional"
	case reflect.TypeFor[results.Opt[int64]](), reflect.TypeFor[results.Opt[int]](), reflect.TypeFor[int64](), reflect.TypeFor[int]():
		return reflect.TypeFor[*int64](), ",optional"
	case reflect.TypeFor[results.Samples]():
		return reflect.TypeFor[[]float64](), ",optional,list"
	case reflect.TypeFor[results.OpTimes]():
		return reflect.TypeFor[[]operator](), ",optional,list"
	case reflect.TypeFor[time.Time]():
		return field, ",timestamp(millisecond)"
	}
	if field.Kind() != reflect.String {
		panic("export: a column of a row has a type without a Parquet type")
	}
	return reflect.TypeFor[*string](), ",optional"
}

// newRecord fills a record with a row's cells.
func newRecord(record reflect.Type, row []cell) reflect.Value {
	out := reflect.New(record).Elem()
	for i, c := range row {
		field := out.Field(i)
		if c.value == nil {
			continue
		}
		if field.Kind() == reflect.Pointer {
			field.Set(reflect.New(field.Type().Elem()))
			field = field.Elem()
		}
		field.Set(reflect.ValueOf(c.value).Convert(field.Type()))
	}
	return out
}
