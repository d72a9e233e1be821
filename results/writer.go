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

// Writer appends rows to a CSV, each on the disk before Append returns, so that an interrupted run keeps every finished row. While it is open no other
// Writer, of any process, can open the same file. It is not safe for concurrent use.
type Writer struct {
	file *os.File
	path string
	size int64 // of the whole lines
}

// Create makes a new CSV and writes its header, so that an unusable path is found before any work is done. It never touches an existing file.
func Create(path string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, errors.New(path + ": exists already, and results are never overwritten; go on with it with --resume, or choose another file with --out")
	case err != nil:
		return nil, fmt.Errorf("%s: cannot be created: %w; choose a writable place with --out", path, Cause(err))
	}
	w := &Writer{file: f, path: path}
	if err := w.lock(); err != nil {
		f.Close()
		return nil, err
	}
	if err := w.save(Columns()); err != nil {
		f.Close()
		os.Remove(path)
		return nil, err
	}
	syncDir(path)
	return w, nil
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
func (w *Writer) Path() string { return w.path }

// Close closes the file; every row is saved already.
func (w *Writer) Close() error { return w.file.Close() }

// save writes the record with a single call, so that a crash leaves at most one incomplete line, and waits for the disk. What could be written only in part
// is taken back.
func (w *Writer) save(record []string) error {
	n, err := w.file.Write(csvLine(record))
	if err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		_ = w.file.Truncate(w.size) // else Resume repairs it
		return fmt.Errorf("%s: cannot be written: %w; free space or choose another place with --out", w.path, Cause(err))
	}
	w.size += int64(n)
	return nil
}

// Rescue keeps a row that its file has no place for in a new CSV in the system's folder for temporary files, and returns its path.
func Rescue(r *Row) (path string, err error) {
	line, err := r.record()
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp("", "ofpeak-*.csv")
	if err != nil {
		return "", err
	}
	defer f.Close()
	w := &Writer{file: f, path: f.Name()}
	if err = w.save(Columns()); err == nil {
		err = w.save(line)
	}
	return w.path, err
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

// Cause drops the operation and the path that os puts around an error, since the message names the path already.
func Cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Encode returns a results CSV of these rows, which Parse reads.
func Encode(rows ...Row) ([]byte, error) {
	text := csvLine(Columns())
	for i := range rows {
		line, err := rows[i].record()
		if err != nil {
			return nil, err
		}
		text = append(text, csvLine(line)...)
	}
	return text, nil
}
