package cuda

import (
	"math"
	"strings"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/drivertest"
	"ofpeak/kernels/cuda/driver/ptxsim"
)

// Every loop and stream, as its PTX ships, does what its rate counts; on a simulated device no rate is told.
func TestCeilingsAreCheckedAndHaveNoSpeed(t *testing.T) {
	dev, err := Open(ptxsim.New(ptxsim.Config{Seed: 1, Products: true, SparseProducts: true, Capability: 89}), 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dev.Ceilings(0)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Rates) != len(loops)+5+2 || len(c.Bandwidths) != 2 {
		t.Errorf("got %+v", c)
	}
	for _, r := range c.Rates {
		if r.TOPS != 0 {
			t.Errorf("%+v has a speed", r)
		}
	}
	for _, b := range c.Bandwidths {
		if b.GBps != 0 || b.Bytes == 0 {
			t.Errorf("%+v", b)
		}
	}
	if err := dev.Close(); err != nil { // which tells what is not released
		t.Error(err)
	}
}

// executed are the multiply-adds, times two, that a warp executes of an opcode, by its first words; of sparse ones with the zeros.
var executed = map[string]int{
	"mma.sync.aligned.m16n8k8.": 2 * 16 * 8 * 8, "mma.sync.aligned.m16n8k16.": 2 * 16 * 8 * 16, "mma.sync.aligned.m16n8k32.": 2 * 16 * 8 * 32,
	"mma.sp.sync.aligned.m16n8k32.": 2 * 16 * 8 * 32, "fma.rn.f32": 2 * 32,
}

// What a rate counts is what the loop's instructions do: the text between the loop's label and the branch back to it.
func TestLoopsDoWhatTheirRatesCount(t *testing.T) {
	text, err := sources.ReadFile("src/peak.ptx")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range loops {
		_, body, _ := strings.Cut(string(text), ".entry "+l.kernel+"(")
		body, _, _ = strings.Cut(body, "\n}")
		ops := 0
		for line := range strings.Lines(loopOf(t, body)) {
			for opcode, n := range executed {
				if strings.HasPrefix(strings.TrimSpace(line), opcode) {
					ops += n
				}
			}
		}
		if ops != l.ops {
			t.Errorf("%s: an iteration does %d operations, its rate counts %d", l.kernel, ops, l.ops)
		}
	}
}

// loopOf is the part of a kernel's text from the label that a later branch goes back to, up to that branch.
func loopOf(t *testing.T, body string) string {
	t.Helper()
	lines := strings.Split(body, "\n")
	labels := map[string]int{}
	for i, line := range lines {
		if label, ok := strings.CutSuffix(strings.TrimSpace(line), ":"); ok {
			labels[label] = i
		}
		if _, target, ok := strings.Cut(line, "bra \t"); ok {
			if at, back := labels[strings.TrimSuffix(strings.TrimSpace(target), ";")]; back {
				return strings.Join(lines[at:i], "\n")
			}
		}
	}
	t.Fatal("no loop")
	return ""
}

// slow is a driver whose GPUs have a speed.
type slow struct{ driver.Driver }

func (s slow) Device(i int) (driver.DeviceInfo, error) {
	info, err := s.Driver.Device(i)
	info.Simulated, info.Multiprocessors = false, 1
	return info, err
}

// A rate is operations over the shortest time, whatever takes how long.
func TestRatesAreOperationsOverTime(t *testing.T) {
	dev, err := Open(slow{ptxsim.New(ptxsim.Config{Memory: 5 << 20})}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	m := &meter{dev: dev, random: fixed()}
	if err := m.open(); err != nil {
		t.Fatal(err)
	}
	defer m.close()
	r, err := m.loop(loops[2])
	if err != nil || !(r.TOPS > 0) || r.TOPS > 1 || r.Type != kernels.F16 {
		t.Errorf("%+v, %v", r, err)
	}
	b, err := m.bandwidths()
	if err != nil || len(b) != 2 || !(b[0].GBps > 0) || math.IsInf(b[1].GBps, 0) || b[1].Bytes != 2*b[0].Bytes {
		t.Errorf("%+v, %v", b, err)
	}
}

// A kernel whose sums or bytes are not right has no rate.
func TestWrongSumsHaveNoRate(t *testing.T) {
	for kernel, want := range map[string]string{"peak_mma_bf16": "the sums of warp 0", "stream_copy": "exclusive or", "peak_fma": "the sums of warp 0"} {
		tap := &drivertest.Tap{Driver: ptxsim.New(ptxsim.Config{})}
		dev, err := Open(tap, 0)
		if err != nil {
			t.Fatal(err)
		}
		tap.Launch = func(name string, params []uint64) {
			if name == kernel {
				params[2]--
			}
		}
		if _, err := dev.Ceilings(0); err == nil || !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), "never written") && !strings.Contains(err.Error(), "before they are written") {
			t.Errorf("%s: got %v", kernel, err)
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}
}
