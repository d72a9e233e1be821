package perfetto

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ofpeak/bench/waterfall"
)

// Create writes an empty trace, so that an unusable path is found before anything is measured. It never touches an existing file.
func Create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return errors.New("exists already; choose another file")
	case err != nil:
		return fmt.Errorf("cannot be created: %w; choose a writable place", cause(err))
	}
	if err := f.Close(); err != nil {
		return err
	}
	return New().write(path)
}

// Append adds a step of a case to the trace in a file. The file is valid before and after, whatever happens in between.
func Append(path, name string, step waterfall.Step) error {
	f, err := Read(path)
	if err != nil {
		return err
	}
	f.Add(name, step)
	return f.write(path)
}

// Read reads a trace that Create and Append wrote.
func Read(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %w", path, cause(err))
	}
	f := &File{}
	if err := json.Unmarshal(data, f); err != nil || f.Version != version {
		return nil, fmt.Errorf("%s: is no trace; name a file that ofpeak run --trace has written", path)
	}
	if err := f.Check(); err != nil {
		return nil, fmt.Errorf("%s: is broken: %w", path, err)
	}
	return f, nil
}

// write replaces the file at once.
func (f *File) write(path string) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("%s: cannot be written: %w", path, cause(err))
	}
	_, err = tmp.Write(append(data, '\n'))
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("%s: cannot be written: %w; free space or choose another place with --trace", path, cause(err))
	}
	return nil
}

// cause drops what os puts around an error, since messages name the path already.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}
