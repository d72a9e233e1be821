package ref

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ofpeak/kernels"
)

// fixture is a .npz file of scripts/golden.py: float64 and int64 arrays by name.
type fixture struct {
	t      *testing.T
	dev    *Device
	s      kernels.Stream
	name   string
	arrays map[string]array
}

type array struct {
	shape  []int
	values []float64
}

var npyHeader = regexp.MustCompile(`'descr': '<([fi])8', 'fortran_order': False, 'shape': \(([^)]*)\)`)

func load(t *testing.T, name string) *fixture {
	t.Helper()
	z, err := zip.OpenReader("../testdata/" + name + ".npz")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	f := &fixture{t, New(), nil, name, map[string]array{}}
	f.s, _ = f.dev.NewStream()
	for _, file := range z.File {
		r, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		f.arrays[strings.TrimSuffix(file.Name, ".npy")] = parse(t, raw)
	}
	return f
}

// parse reads version 1.0 of the .npy format: ten bytes, of which the last two are the header's length, the header, the elements.
func parse(t *testing.T, raw []byte) array {
	t.Helper()
	start := 10 + int(binary.LittleEndian.Uint16(raw[8:]))
	m := npyHeader.FindSubmatch(raw[:start])
	if m == nil || !bytes.HasPrefix(raw, []byte("\x93NUMPY\x01")) {
		t.Fatalf("not an array of golden.py: %q", raw[:start])
	}
	a := array{}
	for _, d := range strings.FieldsFunc(string(m[2]), func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := strconv.Atoi(d)
		if err != nil {
			t.Fatal(err)
		}
		a.shape = append(a.shape, n)
	}
	for b := raw[start:]; len(b) > 0; b = b[8:] {
		bits := binary.LittleEndian.Uint64(b)
		if m[1][0] == 'i' {
			a.values = append(a.values, float64(int64(bits)))
		} else {
			a.values = append(a.values, math.Float64frombits(bits))
		}
	}
	return a
}

func (f *fixture) array(name string) array {
	f.t.Helper()
	a, ok := f.arrays[name]
	if !ok {
		f.t.Fatalf("%s has no %s", f.name, name)
	}
	return a
}

// in uploads an array as float64.
func (f *fixture) in(name string) kernels.Tensor {
	f.t.Helper()
	a := f.array(name)
	x := f.zeros(kernels.F64, a.shape...)
	write(x, a.values)
	return x
}

// ids uploads an array as int32.
func (f *fixture) ids(name string) kernels.Tensor {
	f.t.Helper()
	a := f.array(name)
	x := f.zeros(kernels.I32, a.shape...)
	for i, v := range a.values {
		ints[int32](x)[i] = int32(v)
	}
	return x
}

// zeros makes a tensor.
func (f *fixture) zeros(t kernels.DType, shape ...int) kernels.Tensor {
	f.t.Helper()
	n := 1
	for _, d := range shape {
		n *= d
	}
	b, err := f.dev.Alloc(t, n)
	if err != nil {
		f.t.Fatal(err)
	}
	return kernels.Of(b, shape...)
}

// like makes a float64 tensor of an array's shape.
func (f *fixture) like(name string) kernels.Tensor {
	f.t.Helper()
	return f.zeros(kernels.F64, f.array(name).shape...)
}

// state makes a loss-scale state of scale 1.
func (f *fixture) state() kernels.Tensor {
	f.t.Helper()
	state := f.zeros(kernels.F64, kernels.StateLen)
	f.s.Fill(state.At(kernels.StateScale, 1), 1)
	return state
}

// equal compares a result with the array of that name.
func (f *fixture) equal(name string, got []float64) {
	f.t.Helper()
	if e := kernels.RelError(got, f.array(name).values); !(e <= 1e-12) {
		f.t.Errorf("%s: %s is off by %.3g", f.name, name, e)
	}
}
