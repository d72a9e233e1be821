package results

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/jszwec/csvutil"
)

// Writer appends rows to a CSV, each on the disk before Append returns, so that an interrupted run keeps every finished row.
// It is not safe for concurrent use.
type Writer struct {
	file *os.File
}

// Create makes a new CSV and writes its header, so that an unusable path is found before any work is done. It never touches an existing file.
func Create(path string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, errors.New(path + ": exists already, and results are never overwritten; choose another file with --out")
	case err != nil:
		return nil, fmt.Errorf("%s: cannot be created: %w; choose a writable place with --out", path, cause(err))
	}
	w := &Writer{f}
	if err := w.save(Columns()); err != nil {
		f.Close()
		os.Remove(path)
		return nil, err
	}
	return w, nil
}

// Append opens an existing CSV to add rows. It returns the rows and warnings that Read finds there, refuses a file of another schema, and cuts off a last
// line that an interrupted write left incomplete.
func Append(path string) (*Writer, *File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: cannot be added to: %w; choose a writable place with --out", path, cause(err))
	}
	data, err := readAll(f, path)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	found, err := Parse(path, data)
	if err == nil {
		err = sameHeader(path, found)
	}
	if err == nil {
		err = f.Truncate(int64(len(wholeLines(data))))
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return &Writer{f}, found, nil
}

// sameHeader refuses a file whose columns are not exactly Row's, in order.
func sameHeader(path string, f *File) error {
	columns := Columns()
	if len(f.Header) < len(columns) {
		return fmt.Errorf("%s:1: has not all the columns of schema %d; choose another file with --out", path, SchemaVersion)
	}
	for i, name := range f.Header {
		if i >= len(columns) || columns[i] != name {
			return fmt.Errorf("%s:1: column %s: is not where schema %d has it; choose another file with --out", path, quote(name), SchemaVersion)
		}
	}
	return nil
}

// Append validates the row and writes it as one line.
func (w *Writer) Append(r *Row) error {
	line, err := r.record()
	if err != nil {
		return fmt.Errorf("row %s not written: %w", quote(r.Case), err)
	}
	return w.save(line)
}

// record validates the row and returns its cells.
func (r *Row) record() ([]string, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	var line recorder
	enc := csvutil.NewEncoder(&line)
	enc.AutoHeader = false
	err := enc.Encode(r)
	return line, err
}

// Path is the name of the file.
func (w *Writer) Path() string { return w.file.Name() }

// Close closes the file; every row is saved already.
func (w *Writer) Close() error { return w.file.Close() }

// save writes the record with a single call, so that a crash leaves at most one incomplete line, and waits for the disk.
func (w *Writer) save(record []string) error {
	_, err := w.file.Write(csvLine(record))
	if err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("%s: cannot be written: %w; free space or choose another place with --out", w.Path(), cause(err))
	}
	return nil
}

func csvLine(record []string) []byte {
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	w.Write(record) // into memory: cannot fail
	w.Flush()
	return buf.Bytes()
}

// recorder takes the cells that csvutil encodes.
type recorder []string

// Write keeps a copy, since csvutil may use the record again.
func (r *recorder) Write(record []string) error {
	*r = slices.Clone(record)
	return nil
}

// cause drops the operation and the path that os puts around an error, since the message names the path already.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}
