package results

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/jszwec/csvutil"
)

// File is what a results CSV holds.
type File struct {
	Path     string
	Header   []string
	Rows     []Row
	Lines    []int    // Lines[i] is the line on which Rows[i] begins, from 1
	Warnings []string // what was dropped or ignored, each naming file and line
}

// maxFileBytes keeps a file that is no results CSV from filling the memory; a row has a few kilobytes.
const maxFileBytes = 1 << 30

// Read reads a results CSV. An error is one line that names the file, the line and the column. A last line without line end, as a crash in the middle of
// a write leaves it, is a warning; the rows before it are kept.
func Read(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %w", path, Cause(err))
	}
	defer f.Close()
	data, err := readAll(f, path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

func readAll(f *os.File, path string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: cannot be read: %w", path, Cause(err))
	case len(data) > maxFileBytes:
		return nil, fmt.Errorf("%s: is larger than %d bytes and no results CSV", path, maxFileBytes)
	}
	return data, nil
}

// Parse reads the text of a results CSV; path is for messages.
func Parse(path string, data []byte) (*File, error) {
	f := &File{Path: path}
	whole := wholeLines(data)
	if tail := len(data) - len(whole); tail > 0 {
		f.warnf("%s:%d: has no line end (an interrupted write?); its %d bytes are dropped", path, bytes.Count(whole, []byte("\n"))+1, tail)
	}
	whole = bytes.TrimPrefix(whole, []byte("\ufeff")) // spreadsheets put it there
	r := csv.NewReader(bytes.NewReader(whole))
	dec, err := csvutil.NewDecoder(r)
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: holds no header; is it a results CSV of ofpeak?", path)
	}
	if err != nil {
		return nil, CSVError(path, err)
	}
	f.Header = dec.Header()
	if err := f.checkHeader(whole); err != nil {
		return nil, err
	}
	for {
		var row Row
		err := dec.Decode(&row)
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return nil, CSVError(path, err)
		}
		line, _ := r.FieldPos(0)
		if err := row.Validate(); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, line, err)
		}
		f.Rows = append(f.Rows, row)
		f.Lines = append(f.Lines, line)
	}
}

// wholeLines is data up to its last line end.
func wholeLines(data []byte) []byte { return data[:bytes.LastIndexByte(data, '\n')+1] }

func (f *File) warnf(format string, args ...any) {
	f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...))
}

// checkHeader looks at the schema first: a newer file may lack columns or have others, and its version is the true reason.
func (f *File) checkHeader(data []byte) error {
	at := slices.Index(f.Header, "schema")
	if at < 0 {
		return fmt.Errorf("%s:1: column schema: is missing; is it a results CSV of ofpeak?", f.Path)
	}
	schema, err := f.checkSchema(data, at)
	if err != nil {
		return err
	}
	columns := Columns()
	seen := map[string]bool{}
	for _, name := range f.Header {
		if seen[name] {
			return fmt.Errorf("%s:1: column %s: occurs twice", f.Path, quote(name))
		}
		seen[name] = true
		if !slices.Contains(columns, name) {
			f.warnf("%s:1: column %s: is unknown and ignored", f.Path, quote(name))
		}
	}
	for _, name := range earlierColumns(schema) {
		if !seen[name] {
			return fmt.Errorf("%s:1: column %s: is missing", f.Path, name)
		}
	}
	return nil
}

// checkSchema reads the schema of every line; at is its column. It returns the highest, or 1 for a file without rows.
func (f *File) checkSchema(data []byte, at int) (highest int, err error) {
	highest = 1
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	for header := true; ; header = false {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return highest, nil
		}
		if err != nil {
			return 0, CSVError(f.Path, err)
		}
		if header || at >= len(record) {
			continue
		}
		line, _ := r.FieldPos(at)
		version, err := strconv.Atoi(record[at])
		switch {
		case err != nil || version < 1:
			return 0, fmt.Errorf("%s:%d: column schema: %s is not a schema version", f.Path, line, quote(record[at]))
		case version > SchemaVersion:
			return 0, fmt.Errorf("%s:%d: column schema: %d was made by a newer ofpeak (this one reads %d); update", f.Path, line, version, SchemaVersion)
		}
		highest = max(highest, version)
	}
}

// CSVError turns the errors of encoding/csv and csvutil into one line that names file, line and column.
func CSVError(path string, err error) error {
	var syntax *csv.ParseError
	var cell *csvutil.DecodeError
	switch {
	case errors.As(err, &syntax) && errors.Is(err, csv.ErrFieldCount):
		return fmt.Errorf("%s:%d: has more or fewer cells than the header", path, syntax.StartLine)
	case errors.As(err, &syntax):
		return fmt.Errorf("%s:%d: character %d: %w", path, syntax.Line, syntax.Column, syntax.Err)
	case errors.As(err, &cell):
		return fmt.Errorf("%s:%d: column %s: %s", path, cell.Line, cell.Field, plain(cell.Err))
	}
	return fmt.Errorf("%s: %w", path, err)
}

// plain words a conversion error of csvutil without Go's type names.
func plain(err error) string {
	var number *csvutil.UnmarshalTypeError
	var date *time.ParseError
	switch {
	case errors.As(err, &number):
		return badNumber([]byte(number.Value)).Error()
	case errors.As(err, &date):
		return quote(date.Value) + " is not a time such as 2026-01-31T23:59:59Z"
	}
	return err.Error()
}
