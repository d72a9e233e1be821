package main

import (
	"bytes"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/ref"
	"ofpeak/kernels/verify"
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
	if err := (verifier{dev: single{ref.New(), kernels.F64}, seed: 1}).print(&out, render.CSV); err != nil {
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
	err := (verifier{dev: lazy{single{ref.New(), kernels.F32}}, seed: 1}).print(&out, render.CSV)
	if err == nil || !strings.Contains(err.Error(), "differ from the reference, first ") || !strings.Contains(err.Error(), "adamw/") {
		t.Errorf("got %v", err)
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "adamw,") != strings.HasSuffix(line, " wrong\n") {
			t.Errorf("got %s", line)
		}
	}
}

// optimizer is a device that does nothing but AdamW, to keep a test short.
type optimizer struct{ kernels.Device }

func (d optimizer) Supports(op kernels.Op, t kernels.DType, f kernels.Format) error {
	if op != kernels.OpAdamW {
		return kernels.ErrUnsupported
	}
	return d.Device.Supports(op, t, f)
}

// Outputs that one device recorded, another's are held against: its own differ nowhere, those of one that forgets the update wherever there is one.
func TestVerifyCountsDifferencesFromAnotherDevice(t *testing.T) {
	exact := verifier{dev: optimizer{single{ref.New(), kernels.F32}}, seed: 3, record: verify.NewGolden("the reference", 3)}
	if err := exact.print(io.Discard, render.CSV); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "golden")
	if err := writeGolden(path, exact.record); err != nil {
		t.Fatal(err)
	}
	recorded, err := readGolden(path, 3)
	if err != nil {
		t.Fatal(err)
	}
	for want, dev := range map[string]kernels.Device{
		`adamw,loops,fp32,,\d+,[^,]+,ok,0 of \d\d,0`: exact.dev, `adamw,loops,fp32,,\d+,[^,]+,\d wrong,\d+ of \d\d,0\.[0-9]+`: lazy{exact.dev},
	} {
		var out bytes.Buffer
		err := verifier{dev: dev, seed: 3, against: recorded}.print(&out, render.CSV)
		if (err == nil) != (dev == exact.dev) {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^[^\n]+,differ from the reference,at most\n` + want + `\n$`).MatchString(out.String()) {
			t.Errorf("not like %s:\n%s", want, out.String())
		}
	}
	if _, err := readGolden(path, 4); err == nil || !strings.Contains(err.Error(), "pass --seed 3") {
		t.Errorf("another seed: %v", err)
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
