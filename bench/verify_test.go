package main

import (
	"bytes"
	"strings"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/ref"
	"ofpeak/results/render"
)

// single is a device of one type, to keep the tests short.
type single struct {
	kernels.Device
	dtype kernels.DType
}

func (d single) Supports(op kernels.Op, t kernels.DType, f kernels.Format) error {
	if t != d.dtype {
		return kernels.ErrUnsupported
	}
	return d.Device.Supports(op, t, f)
}

// The reference passes against itself.
func TestVerifyReference(t *testing.T) {
	var out bytes.Buffer
	if err := verifyDevice(&out, render.CSV, single{ref.New(), kernels.F64}, 1); err != nil {
		t.Fatal(err)
	}
	for _, op := range kernels.OpNames {
		if !strings.Contains(out.String(), "\n"+string(op)+",") {
			t.Errorf("%s is not in the table:\n%s", op, out.String())
		}
	}
	if !strings.Contains(out.String(), ",2:4,") || strings.Contains(out.String(), "wrong") {
		t.Errorf("got\n%s", out.String())
	}
}

// lazy is a device that forgets to update parameters.
type lazy struct{ kernels.Device }

func (l lazy) NewStream() (kernels.Stream, error) {
	s, err := l.Device.NewStream()
	return lazyStream{s}, err
}

type lazyStream struct{ kernels.Stream }

func (lazyStream) AdamW(kernels.AdamWArgs) {}

func TestVerifyFindsWrongOperators(t *testing.T) {
	var out bytes.Buffer
	err := verifyDevice(&out, render.CSV, lazy{single{ref.New(), kernels.F32}}, 1)
	if err == nil || !strings.Contains(err.Error(), "differ from the reference, first ") || !strings.Contains(err.Error(), "adamw/") {
		t.Errorf("got %v", err)
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "adamw,") != strings.HasSuffix(line, " wrong\n") {
			t.Errorf("got %s", line)
		}
	}
}

// A simulated GPU is a device like another.
func TestVerifyOpensTheDeviceThatIsNamed(t *testing.T) {
	for name, kind := range map[string]string{"cpu": "cpu", "sim": "sim"} {
		dev, err := openVerified(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := dev.Info().Kind; got != kind {
			t.Errorf("--device %s opens %s", name, got)
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}
}
