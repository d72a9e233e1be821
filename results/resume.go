package results

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Resume opens a CSV to add rows, or creates it where there is none. It returns the rows that stay and, as warnings, what it repaired: a last line that an
// interrupted write left incomplete is cut off. Rows that again reports (nil: none) are taken out, to be measured anew. A file of another schema is refused
// and left as it is.
func Resume(path string, again func(*Row) bool) (*Writer, *File, error) {
	w, err := reopen(path)
	if errors.Is(err, fs.ErrNotExist) {
		w, err = Create(path)
		return w, &File{Path: path, Header: Columns()}, err
	}
	if err != nil {
		return nil, nil, err
	}
	found, err := w.repair(again)
	if err != nil {
		w.Close()
		return nil, nil, err
	}
	return w, found, nil
}

// reopen opens and locks an existing file. One that was replaced before the lock was got is opened again.
func reopen(path string) (*Writer, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
		if err != nil {
			return nil, fmt.Errorf("%s: cannot be added to: %w; choose a writable place with --out", path, Cause(err))
		}
		w := &Writer{file: f, path: path}
		if err := w.lock(); err != nil {
			f.Close()
			return nil, err
		}
		mine, err := f.Stat()
		if err == nil {
			if now, err := os.Stat(path); err == nil && os.SameFile(mine, now) {
				return w, nil
			}
		}
		f.Close()
	}
}

// repair leaves whole lines only, without the rows that are wanted again.
func (w *Writer) repair(again func(*Row) bool) (*File, error) {
	data, err := readAll(w.file, w.path)
	if err != nil {
		return nil, err
	}
	if header := csvLine(Columns()); len(data) < len(header) && bytes.HasPrefix(header, data) {
		return w.restart(len(data))
	}
	found, err := Parse(w.path, data)
	if err == nil {
		err = sameHeader(w.path, found)
	}
	if err != nil {
		return nil, err
	}
	whole := wholeLines(data)
	w.size = int64(len(whole))
	if kept := found.without(whole, again); len(kept) < len(whole) {
		return found, w.replace(kept)
	}
	if len(whole) == len(data) {
		return found, nil
	}
	return found, w.must(w.file.Truncate(w.size))
}

// restart writes the header that a crash left incomplete after so many bytes.
func (w *Writer) restart(bytes int) (*File, error) {
	f := &File{Path: w.path, Header: Columns()}
	f.warnf("%s:1: has an incomplete header of %d bytes (an interrupted write?); it is written anew", w.path, bytes)
	if err := w.must(w.file.Truncate(0)); err != nil {
		return nil, err
	}
	return f, w.save(Columns())
}

// without takes the rows that again reports out of the file, and returns the lines that stay. Every row is one line.
func (f *File) without(whole []byte, again func(*Row) bool) []byte {
	if again == nil {
		return whole
	}
	lines := slices.Collect(bytes.Lines(whole))
	var rows []Row
	var at []int
	for i := range f.Rows {
		if again(&f.Rows[i]) {
			lines[f.Lines[i]-1] = nil
			continue
		}
		rows, at = append(rows, f.Rows[i]), append(at, f.Lines[i]-(i-len(rows)))
	}
	f.Rows, f.Lines = rows, at
	return bytes.Join(lines, nil)
}

// replace puts a new file in the place of the writer's, all of it or nothing. The lock goes over to it.
func (w *Writer) replace(data []byte) error {
	name := filepath.Join(filepath.Dir(w.path), "."+strings.TrimPrefix(filepath.Base(w.path), ".")+".new")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return w.must(err)
	}
	next := &Writer{file: f, path: w.path, size: int64(len(data))}
	if err = next.lock(); err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(name, w.path)
	}
	if err != nil {
		f.Close()
		os.Remove(name)
		return w.must(err)
	}
	syncDir(w.path)
	w.file.Close()
	*w = *next
	return nil
}

// must words an error of changing the file.
func (w *Writer) must(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: cannot be repaired: %w; free space or choose another place with --out", w.path, Cause(err))
}

// syncDir lets the file's name survive a power cut, where the system can do that.
func syncDir(path string) {
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		_ = d.Sync()
		d.Close()
	}
}
