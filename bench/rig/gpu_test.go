package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"ofpeak/bench/measure"
	"ofpeak/bench/nvml"
	"ofpeak/bench/sweep"
	"ofpeak/bench/workload"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/drivertest"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/parallel/comm/nccl"
	"ofpeak/parallel/comm/rendezvous/env"
	"ofpeak/results"
)

// onGPUs is a rig on so many simulated GPUs.
func onGPUs(t *testing.T, gpus int, memory int64) (*Rig, *ptxsim.Driver) {
	t.Helper()
	d := ptxsim.New(ptxsim.Config{Devices: gpus, Memory: memory, Seed: 2})
	r, err := New(Options{Rule: brief, Driver: d})
	if err != nil {
		t.Fatal(err)
	}
	return r, d
}

// simulated is the line of a case small enough for the interpreter.
func simulated(rest string) string { return "device=sim model=C=16,NH=2,T=4,L=2,B=4 " + rest }

func TestSimulatedGPUsAreVerifiedAndTellNoTime(t *testing.T) {
	r, _ := onGPUs(t, 4, 0)
	if m := r.Machine(); m.Device != results.Sim || m.GPUs != 4 || m.Name != "simulated GPU" || m.Chip != "" {
		t.Errorf("the machine is %+v", m)
	}
	for _, line := range []string{"precision=fp16", "dp=2 zero=3", "dp=2 pp=2 schedule=1f1b microbatches=2", "precision=bf16 layout=2:4 experts=2x1@1.25 ep=2"} {
		row := run(t, r, simulated(line))
		if row.Status != results.OK {
			t.Errorf("%s: %s: %s", line, row.Status, row.Reason)
			continue
		}
		for name, right := range map[string]bool{
			"device": row.Device == results.Sim, "device_name": row.DeviceName == "simulated GPU", "max_rel_error": row.MaxRelError.Or(0) > 0,
			"peak_bytes_per_rank": row.PeakBytesPerRank.Or(0) > 0, "comm_bytes": (row.CommBytes.Or(-1) > 0) == (row.Ranks > 1),
			"collectives": row.Collectives == map[bool]string{true: "peer-copies"}[row.Ranks > 1], "model_flops_per_step": row.ModelFLOPsPerStep.Known(),
			"step_median_s": !row.StepMedianS.Known(), "process_peak_bytes": !row.ProcessPeakBytes.Known(), "final_loss": !row.FinalLoss.Known(),
			"reason": row.Reason == "", "run_delay_pct": !row.RunDelayPct.Known(),
			"variants_used": strings.Contains(row.VariantsUsed, "linear="),
		} {
			if !right {
				t.Errorf("%s: %s is missing or wrong", line, name)
			}
		}
	}
}

// A library of collectives is used where there is one, and its row names it; without one a row of real GPUs says so.
func TestALibraryOfCollectivesIsUsed(t *testing.T) {
	r, err := New(Options{Rule: brief, Driver: ptxsim.New(ptxsim.Config{Devices: 2, Seed: 4, Collectives: true})})
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{"dp=2": "stand-in for NCCL", "": ""} {
		if row := run(t, r, simulated(line)); row.Status != results.OK || row.Collectives != want {
			t.Errorf("%s: %s (%s) by %q", line, row.Status, row.Reason, row.Collectives)
		}
	}
	without, _ := onGPUs(t, 2, 0)
	c, err := workload.ParseCase(simulated("dp=2"))
	if err != nil {
		t.Fatal(err)
	}
	for rig, want := range map[*Rig]bool{r: false, without: true} {
		notes := strings.Join(rig.cautions(c, measurement{}, &results.Row{}), "; ")
		if strings.Contains(notes, "collectives are copies of our own: ptxsim: simulated GPUs have no library of collectives") != want {
			t.Errorf("cautions are %q", notes)
		}
	}
}

// Processes of a GPU each measure and verify as one process of all GPUs does: here they are goroutines that share a driver, as far as they can tell another's device.
func TestProcessesOfOneGPUEach(t *testing.T) {
	const size = 2
	d := ptxsim.New(ptxsim.Config{Devices: size, Seed: 6, Collectives: true})
	library, err := d.Collectives()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	master := l.Addr().String()
	l.Close()
	rigs, errs := make([]*Rig, size), make([]error, size)
	var all sync.WaitGroup
	for rank := range size {
		all.Go(func() {
			peers, err := env.Start(env.Launch{Rank: rank, Size: size, Master: master})
			if err == nil {
				rigs[rank], err = New(Options{Rule: brief, Driver: d, Job: nccl.Join(library, peers), LocalRank: size - 1 - rank})
			}
			errs[rank] = err
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	first := rigs[0]
	if m := first.Machine(); m.GPUs != size || first.gpus.device(0) != 1 || rigs[1].gpus.device(1) != 0 {
		t.Errorf("the machine is %+v, on device %d", m, first.gpus.device(0))
	}
	all.Go(func() { errs[1] = errors.Join(rigs[1].Follow(t.Context()), rigs[1].Close()) })
	for _, line := range []string{"dp=2 zero=3", "", "pp=2 schedule=1f1b microbatches=2"} {
		row := run(t, first, simulated(line))
		if row.Status != results.OK || (row.Ranks > 1) != (row.Collectives == "stand-in for NCCL") || (row.Ranks > 1) != (row.CommBytes.Or(0) > 0) {
			t.Errorf("%s: %s (%s), by %q", line, row.Status, row.Reason, row.Collectives)
		}
	}
	c, err := workload.ParseCase(simulated("dp=4"))
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Check(c); err == nil || !strings.Contains(err.Error(), "needs 4 GPUs, and 2 are used") {
		t.Errorf("four ranks of two processes: %v", err)
	}
	errs[0] = first.Close()
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func TestWhatGPUsCannotDoIsSaid(t *testing.T) {
	r, _ := onGPUs(t, 2, 1<<22)
	for line, want := range map[string]string{
		simulated("dp=4"):           "needs 4 GPUs, and 2 are used",
		simulated("threads=2"):      "--threads 2: ranks on GPUs have no threads",
		simulated("isa=avx2"):       `--isa "avx2" is no variant of the GPU's kernels; take one of rows`,
		simulated("isa=cublaslt"):   "--isa cublaslt: ",
		simulated("isa=cusparselt"): "--isa cusparselt: ",
		"device=sim model=small":    "GB of memory",
		"model=tiny":                "--device cpu: this run is on the sim",
	} {
		c, err := workload.ParseCase(line)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Check(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
	if _, err := New(Options{Driver: ptxsim.New(ptxsim.Config{Devices: 2}), GPUs: 3}); err == nil || !strings.Contains(err.Error(), "--gpus 3: there are 2") {
		t.Errorf("three of two GPUs: %v", err)
	}
}

// Whatever fails in a case is its row's reason, and the next case runs: memory that is not there, a kernel that goes astray, a device that falls off the bus.
func TestAFailedCaseLeavesTheNextOneAlone(t *testing.T) {
	for name, c := range map[string]struct {
		code driver.Error
		want string
	}{
		"out of memory":  {driver.ErrOutOfMemory, "out of device memory"},
		"illegal access": {driver.ErrIllegalAddress, "illegal address"},
		"lost device":    {driver.ErrNVLink, "NVLink"},
		"no device":      {driver.ErrNoDevice, "no CUDA device"},
	} {
		t.Run(name, func(t *testing.T) {
			r, d := onGPUs(t, 2, 0)
			line := simulated("dp=2")
			parsed, err := workload.ParseCase(line)
			if err == nil {
				err = r.Check(parsed)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range []int{1, 30, 200} { // while opening, while building, in a step
				d.FailAt(at, c.code)
				row := sweep.NewRow(parsed, r.Machine(), sweep.Environment{}, anHour)
				r.Run(context.Background(), parsed, &row)
				if row.Status != results.Failed || !strings.Contains(row.Reason, c.want) || strings.Contains(row.Reason, "not released") {
					t.Errorf("call %d failed: the row is %s: %s", at, row.Status, row.Reason)
				}
			}
			if row := run(t, r, line); row.Status != results.OK {
				t.Errorf("the case after it is %s: %s", row.Status, row.Reason)
			}
		})
	}
}

// A device that fails to open while it is asked about a case is not one that does not support it: the case runs, or fails by itself.
func TestADeviceThatFailsToOpenIsAskedAgain(t *testing.T) {
	r, d := onGPUs(t, 1, 0)
	line := simulated("precision=bf16")
	c, err := workload.ParseCase(line)
	if err != nil {
		t.Fatal(err)
	}
	d.FailAt(1, driver.ErrNoDevice)
	if err := r.Check(c); err != nil || d.Calls() > 0 {
		t.Errorf("the case is refused: %v, %d calls are left", err, d.Calls())
	}
	d.FailAt(1, driver.ErrNoDevice)
	row := sweep.NewRow(c, r.Machine(), sweep.Environment{}, anHour)
	if r.Run(context.Background(), c, &row); row.Status != results.Failed || !strings.Contains(row.Reason, "no CUDA device") {
		t.Errorf("the row is %s: %s", row.Status, row.Reason)
	}
	if row := run(t, r, line); row.Status != results.OK {
		t.Errorf("the case after it is %s: %s", row.Status, row.Reason)
	}
}

// A kernel that goes astray ends its case, by name, with nothing left on the devices; the next case runs.
func TestAStrayKernelIsNamed(t *testing.T) {
	tap := &drivertest.Tap{Driver: ptxsim.New(ptxsim.Config{Devices: 2})}
	r, err := New(Options{Rule: brief, Driver: tap})
	if err != nil {
		t.Fatal(err)
	}
	tap.Launch = func(kernel string, params []uint64) {
		if strings.HasPrefix(kernel, "adamw") {
			params[1] += 1 << 40
		}
	}
	line := simulated("dp=2")
	row := run(t, r, line)
	if row.Status != results.Failed || !strings.Contains(row.Reason, "adamw_float") || !strings.Contains(row.Reason, "belong to no allocation") {
		t.Errorf("the row is %s: %s", row.Status, row.Reason)
	}
	if left := tap.Alive(); left != "" {
		t.Errorf("left on the devices: %s", left)
	}
	tap.Launch = nil
	if row := run(t, r, line); row.Status != results.OK {
		t.Errorf("the case after it is %s: %s", row.Status, row.Reason)
	}
}

// addressed is a driver whose GPUs have PCI addresses, as real ones do.
type addressed struct{ driver.Driver }

func (d addressed) Device(i int) (driver.DeviceInfo, error) {
	info, err := d.Driver.Device(i)
	info.PCI = fmt.Sprintf("00000000:%02x:00.0", 7-i) // not in NVML's order
	return info, err
}

// hot is a GPU at bus 7, any other one is cooler, and slower.
type hot string

func (h hot) Read() nvml.State {
	some := results.Some[float64]
	if h == "00000000:07:00.0" {
		return nvml.State{ClockMHz: some(1980), MaxClockMHz: some(1980), PowerW: some(700), TemperatureC: some(90), MemoryBytes: results.Some[int64](5), Slowed: nvml.SlowedBy(0)}
	}
	return nvml.State{ClockMHz: some(1200), MaxClockMHz: some(1980), PowerW: some(300), TemperatureC: some(60), MemoryBytes: results.Some[int64](9), Slowed: nvml.SlowedBy(4)}
}

// What the GPUs of a case do while it is stepped comes into its row: each rank's own, and no other's.
func TestGPUsAreWatched(t *testing.T) {
	r, err := New(Options{Rule: brief, Driver: addressed{ptxsim.New(ptxsim.Config{Devices: 3, Seed: 2})}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Machine().GPUs != 3 {
		t.Errorf("GPUs at other addresses are taken for another kind: %d are used", r.Machine().GPUs)
	}
	c, err := workload.ParseCase(simulated("dp=2"))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var asked []string
	r.gpus.readers = func(pci string) (nvml.Reader, error) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, pci)
		return hot(pci), nil
	}
	m, err := r.measure(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(asked); !slices.Equal(asked, []string{"00000000:06:00.0", "00000000:07:00.0"}) {
		t.Errorf("watched %q", asked)
	}
	var row results.Row
	r.fillConditions(&row, c, m)
	if row.GPUSMClockMHz.Or(0) != 1590 || row.GPULeastSMClockMHz.Or(0) != 1200 || row.GPUMaxSMClockMHz.Or(0) != 1980 || row.GPUPowerW.Or(0) != 500 ||
		row.GPUTemperatureC.Or(0) != 90 || row.GPUMemoryBytes.Or(0) != 9 || row.GPUThrottleReasons != "sw_power_cap" ||
		!(row.EnergyPerTokenJ.Or(0) > 0) || row.EnergyBasis != nvml.FromPower {
		t.Errorf("the row has %+v", row)
	}
	if row.ClockRatio.Known() {
		t.Errorf("a clock's ratio of %v to that of no measurement", row.ClockRatio)
	}
	r.measuredCeilings() // on the first GPU
	if r.fillConditions(&row, c, m); row.ClockRatio.Or(0) != 1590./1980 {
		t.Errorf("a clock's ratio of %v", row.ClockRatio)
	}
	if notes := strings.Join(r.cautions(c, m, &row), "; "); !strings.Contains(notes, "held down by sw_power_cap (to 1200 of 1980 MHz)") {
		t.Errorf("cautions are %q", notes)
	}
}

// Without the library, or an address to ask it about, nothing is known, and the case is measured.
func TestGPUsThatCannotBeWatched(t *testing.T) {
	r, _ := onGPUs(t, 1, 0)
	if sum := r.gpus.watch(0)(); sum != (nvml.Summary{}) {
		t.Errorf("without an address: %+v", sum)
	}
	r.gpus.Driver = addressed{r.gpus.Driver}
	for name, readers := range map[string]func(string) (nvml.Reader, error){
		"no library": func(string) (nvml.Reader, error) { return nil, errors.New("there is none") }, "this build": nvml.Open,
	} {
		r.gpus.readers = readers
		if row := run(t, r, simulated("pass=forward")); row.Status != results.OK || row.GPUPowerW.Known() || row.GPUThrottleReasons != "" {
			t.Errorf("%s: %s (%s), %v W, throttled by %q", name, row.Status, row.Reason, row.GPUPowerW, row.GPUThrottleReasons)
		}
	}
}

// A row says whether its steps were launches of a graph, and where that was asked for and cannot be, it has failed with the reason; by itself it goes on without, and warns.
func TestRowsSayWhetherStepsAreGraphs(t *testing.T) {
	for graphs, want := range map[string]string{GraphsOn: "on", GraphsOff: "off", GraphsAuto: "off", "": "off"} {
		r, err := New(Options{Rule: brief, Driver: ptxsim.New(ptxsim.Config{Devices: 2, Seed: 3}), Graphs: graphs})
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"precision=fp16", "dp=2 zero=2", "pass=forward precision=int8"} {
			if row := run(t, r, simulated(line)); row.Status != results.OK || row.Graphs != want || row.CommBytes.Or(-1) > 0 != (row.Ranks > 1) {
				t.Errorf("--graphs %s, %s: %s (%s), graphs %q", graphs, line, row.Status, row.Reason, row.Graphs)
			}
		}
	}
	without := &drivertest.Tap{Driver: ptxsim.New(ptxsim.Config{Devices: 2}), BeginCapture: func() error { return driver.ErrNotSupported }}
	for graphs, want := range map[string]string{GraphsOn: "--graphs on: cuda: capturing: cuda: not supported", GraphsAuto: "steps are enqueued call by call: cuda: capturing: cuda: not supported"} {
		r, err := New(Options{Rule: brief, Driver: unlike{without}, Graphs: graphs})
		if err != nil {
			t.Fatal(err)
		}
		r.rule = measure.Rule{MinSamples: 1, MaxSamples: 1}
		for _, line := range []string{"", "dp=2"} {
			c, err := workload.ParseCase("device=cuda model=C=16,NH=2,T=4,L=2,B=4 " + line)
			if err != nil {
				t.Fatal(err)
			}
			m, err := r.measure(t.Context(), c)
			got := fmt.Sprint(err, r.cautions(c, m, &results.Row{}))
			if m.graphs != GraphsOff || !strings.Contains(got, want) || (err != nil) != (graphs == GraphsOn) {
				t.Errorf("--graphs %s, %s: graphs %q, %s", graphs, line, m.graphs, got)
			}
		}
	}
	if left := without.Alive(); left != "" {
		t.Errorf("left on the devices: %s", left)
	}
}

// unlike has simulated GPUs pass for others.
type unlike struct{ driver.Driver }

func (d unlike) Device(i int) (driver.DeviceInfo, error) {
	info, err := d.Driver.Device(i)
	info.Simulated = false
	return info, err
}
