//go:build gpu

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ofpeak/bench/host"
	"ofpeak/bench/nvml"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/results"
)

func TestGPUsAreDescribed(t *testing.T) {
	got, err := describe(ptxsim.New(ptxsim.Config{Devices: 3}))
	if err != nil || !strings.HasPrefix(got, "3 x simulated GPU, compute capability 8.0, 1.1 GB, driver for CUDA ") {
		t.Errorf("got %q, %v", got, err)
	}
}

// NVML is asked about the GPUs that CUDA gives this process, by their addresses. On the stand-in and on a GPU alike.
func TestGPUsAreKnownToNVML(t *testing.T) {
	d, err := gpuDriver()
	if err != nil {
		t.Fatal(err)
	}
	n, err := d.Devices()
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]bool{}
	sliced := false // slices have their GPU's address
	for i := range n {
		info, err := d.Device(i)
		if err != nil {
			t.Fatal(err)
		}
		gpu, err := nvml.Open(info.PCI)
		if err != nil {
			t.Fatal(err)
		}
		if state := gpu.Read(); state.TemperatureC.Or(25) < 1 || state.TemperatureC.Or(25) > 120 || state.PowerW.Or(1) > 5000 || state.ClockMHz.Or(1000) > 10000 {
			t.Errorf("device %d at %s: %+v", i, info.PCI, state)
		}
		places[info.PCI] = true
		sliced = sliced || strings.Contains(info.Name, " MIG ")
	}
	if len(places) != n && !sliced {
		t.Errorf("%d devices are at %v", n, places)
	}
}

// standin is the folder with the stand-in for the driver.
func standin(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("OFPEAK_STANDIN")
	if dir == "" {
		t.Skip("needs the stand-in for the driver: make test-cuda")
	}
	return dir
}

// commands copies binaries that make has built to a folder of their own, and returns the path that ofpeak has there.
func commands(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join("..", "bin", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "ofpeak")
}

// environment is this process's without what tells the loader and CUDA of devices, and with set.
func environment(set ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains([]string{"LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "OFPEAK_STANDIN_DEVICES"}, name)
	})
	return append(env, set...)
}

func output(t *testing.T, cmd *exec.Cmd) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// Whatever the host has or lacks is one line, and then the CPU is used.
func TestGPUBinaries(t *testing.T) {
	alone, both, load := commands(t, "ofpeak"), commands(t, "ofpeak", "ofpeak-cuda"), "LD_LIBRARY_PATH="+standin(t)
	for _, c := range []struct {
		name, command string
		env           []string
		why           string
		cuda          int // exit status of ofpeak-cuda run by itself
	}{
		{"no ofpeak-cuda", alone, nil, "there is no ofpeak-cuda beside this command; where there is a C compiler, make cuda builds it", -1},
		{"no driver", both, nil, "there is no NVIDIA driver (the loader finds no libcuda.so.1); in a container, start it with the GPUs", 127},
		{"no GPU", both, []string{load, "OFPEAK_STANDIN_DEVICES=0"}, "the NVIDIA driver finds no GPU", 1},
		{"hidden", both, []string{load, "CUDA_VISIBLE_DEVICES="}, `CUDA_VISIBLE_DEVICES="" leaves no GPU`, 1},
		{"GPUs", both, []string{load, "OFPEAK_STANDIN_DEVICES=2"}, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "no driver" && host.Library(os.DirFS("/"), "", "libcuda.so") != "" {
				t.Skip("this host has a driver")
			}
			run := func(args ...string) (int, string, string) {
				cmd := exec.Command(c.command, args...)
				cmd.Env = environment(c.env...)
				return output(t, cmd)
			}
			device, why, asked, refused := "", "ofpeak: measuring the CPU: "+c.why+"\n", 1, "ofpeak: --device cuda: "+c.why+"; pass --device cpu\n"
			if c.why == "" {
				device, why, asked, refused = " device=cuda", "", 0, ""
			}
			if status, stdout, stderr := run("run", "--list", "--suite", "smoke"); status != 0 || stderr != why || !strings.HasPrefix(stdout, "technique=baseline precision=fp32 model=tiny"+device+"\n") {
				t.Errorf("status %d, %s%s", status, stdout, stderr)
			}
			if status, _, stderr := run("run", "--list", "--suite", "smoke", "--device", "cuda"); status != asked || stderr != refused {
				t.Errorf("--device cuda: status %d, %s", status, stderr)
			}
			if status, _, stderr := run("run", "--list", "--suite", "smoke", "--device", "cpu"); status != 0 || stderr != "" {
				t.Errorf("--device cpu: status %d, %s", status, stderr)
			}
			if c.cuda < 0 {
				return
			}
			for _, now := range []string{"", "1"} {
				cuda := exec.Command(c.command+"-cuda", "run", "--list", "--suite", "smoke")
				cuda.Env = environment(append(c.env, "LD_BIND_NOW="+now)...)
				if status, stdout, stderr := output(t, cuda); status != 0 || stderr != why || !strings.HasPrefix(stdout, "technique=") {
					t.Errorf("ofpeak-cuda started by itself, LD_BIND_NOW=%s: status %d, %s%s", now, status, stdout, stderr)
				}
			}
			probe := exec.Command(c.command+"-cuda", "probe")
			probe.Env = environment(c.env...)
			if status, stdout, _ := output(t, probe); status != c.cuda || status == 0 && strings.Count(stdout, "\n") != 1 {
				t.Errorf("ofpeak-cuda probe: status %d, %q", status, stdout)
			}
		})
	}
}

// Without a GPU and without the plain build, one line says what is missing.
func TestGPUBinaryAlone(t *testing.T) {
	load := "LD_LIBRARY_PATH=" + standin(t)
	alone := commands(t, "ofpeak-cuda") + "-cuda"
	for want, env := range map[string][]string{
		"libcuda.so.1":      {"LD_LIBRARY_PATH=/nowhere"},
		"CUDA finds no GPU": {load, "CUDA_VISIBLE_DEVICES="},
	} {
		if want == "libcuda.so.1" && host.Library(os.DirFS("/"), "", "libcuda.so") != "" {
			continue // this host has a driver
		}
		cmd := exec.Command(alone, "run", "--list")
		cmd.Env = environment(env...)
		status, stdout, stderr := output(t, cmd)
		if status != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, want) || !strings.Contains(stderr, "does not lie beside") {
			t.Errorf("status %d, %s%s", status, stdout, stderr)
		}
	}
}

// A driver that compiles none of our kernels, as the stand-in, makes failed rows with the reason, one for each case.
func TestGPURowsAreNotMadeUp(t *testing.T) {
	cmd := exec.Command(commands(t, "ofpeak", "ofpeak-cuda"), "run", "--suite", "smoke", "--technique", "mixed-precision", "--precision", "bf16,fp16", "--seconds", "0.01")
	cmd.Env = environment("LD_LIBRARY_PATH="+standin(t), "OFPEAK_STANDIN_DEVICES=2")
	path := filepath.Join(t.TempDir(), "rows.csv")
	cmd.Args = append(cmd.Args, "--out", path)
	status, _, stderr := output(t, cmd)
	file, err := results.Read(path)
	if status != 1 || err != nil || len(file.Rows) != 6 {
		t.Fatalf("status %d, %d rows, %v\n%s", status, len(file.Rows), err, stderr)
	}
	for _, row := range file.Rows {
		if row.Device != results.CUDA || row.DeviceName != "stand-in 0" || row.Chip != "" || row.Status != results.Failed || !strings.Contains(row.Reason, "loading ") ||
			!strings.Contains(row.LibraryVersions, "cuda-driver=12.4") {
			t.Errorf("got %+v", row)
		}
	}
}

// A library that is there and does not start ends a case as a failed row with its own reason; the next case is not its business.
func TestGPURowsSayWhichLibraryFailed(t *testing.T) {
	for call, want := range map[string]string{"cublasLtCreate": "cublasLtCreate: cuBLAS status 14", "cusparseLtInit": "cusparseLtInit: cuSPARSE status 7"} {
		rows, stderr := gpuRows(t, "LD_LIBRARY_PATH="+standin(t), "OFPEAK_STANDIN_FAIL="+call+":3") // behind a look at the device, and at what it supports
		if len(rows) != 2 || rows[0].Status != results.Failed || !strings.Contains(rows[0].Reason, want) || rows[1].Status != results.Failed || strings.Contains(rows[1].Reason, want) {
			t.Errorf("%s: got %+v\n%s", call, rows, stderr)
		}
	}
}

// Whichever call of libcuda fails, through cu and the C interface, its case is a failed row with CUDA's reason, and the next one runs as if nothing had been.
func TestGPURowsSayWhatLibcudaSaid(t *testing.T) {
	dir := simulatedDriver(t)
	codes := []struct {
		number int
		text   string
	}{{2, "out of device memory (2)"}, {700, "illegal address (700)"}, {719, "kernel failed (719)"}, {999, "cuda: error 999"}}
	failed := 0
	for i := range 12 {
		n, code := 30+91*i, codes[i%len(codes)]
		rows, stderr := gpuRows(t, "LD_LIBRARY_PATH="+dir, fmt.Sprintf("OFPEAK_SIMULATED_FAIL=%d:%d", n, code.number))
		bad := slices.DeleteFunc(slices.Clone(rows), func(r results.Row) bool { return r.Status == results.OK })
		if len(rows) != 2 || len(bad) > 1 || len(bad) == 1 && (bad[0].Status != results.Failed || !strings.Contains(bad[0].Reason, code.text) || strings.Contains(bad[0].Reason, "not released")) {
			t.Errorf("call %d failed with %d: got %+v\n%s", n, code.number, rows, stderr)
		}
		failed += len(bad)
	}
	if failed < 6 {
		t.Errorf("only %d rows failed", failed)
	}
}

// A call that gives something back, or opens a device, can fail too: its case is a failed row, and the next one is measured.
func TestGPURowsSayWhatWasNotGivenBack(t *testing.T) {
	dir := simulatedDriver(t)
	for _, call := range []string{"cuMemFree_v2:1", "cuMemFreeHost:1", "cuEventDestroy_v2:2", "cuModuleUnload:1", "cuStreamDestroy_v2:3", "cuDevicePrimaryCtxRelease_v2:3", "cuDevicePrimaryCtxRetain:3"} {
		rows, stderr := gpuRows(t, "LD_LIBRARY_PATH="+dir, "OFPEAK_SIMULATED_FAIL="+call+":999")
		if len(rows) != 2 || rows[0].Status != results.Failed || !strings.HasSuffix(rows[0].Reason, "cuda: error 999") || rows[1].Status != results.OK {
			t.Errorf("%s: got %+v\n%s", call, rows, stderr)
		}
	}
}

// A driver that does not tell of its devices, or gives none, is one line, and the CPU is measured.
func TestGPUsThatTellNothingAreLeftAlone(t *testing.T) {
	dir, command := simulatedDriver(t), commands(t, "ofpeak", "ofpeak-cuda")
	for call, want := range map[string]string{
		"cuInit:1": "does not start: Unknown", "cuDeviceGetCount:1": "Devices: cuda: error 999", "cuDeviceGet:3": "Device: cuda: error 999", "cuDeviceGetName:1": "Device: cuda: error 999",
		"cuDeviceTotalMem_v2:3": "Device: cuda: error 999", "cuDeviceGetAttribute:20": "Device: cuda: error 999", "cuDriverGetVersion:1": "Version: cuda: not supported",
		"cuDevicePrimaryCtxRetain:1": "NewContext: cuda: error 999", "cuDevicePrimaryCtxRelease_v2:1": "closing device 0: cudriver: Close: cuda: error 999",
	} {
		cmd := exec.Command(command, "run", "--list", "--suite", "smoke")
		cmd.Env = environment("LD_LIBRARY_PATH="+dir, "OFPEAK_STANDIN_DEVICES=1", "OFPEAK_SIMULATED_FAIL="+call+":999")
		status, stdout, stderr := output(t, cmd)
		if status != 0 || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "ofpeak: measuring the CPU: ") || !strings.Contains(stderr, want) || strings.Contains(stdout, "device=") {
			t.Errorf("%s: status %d, %s%s", call, status, stdout, stderr)
		}
	}
}

// simulatedDriver is the folder with the interpreter as a driver.
func simulatedDriver(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("OFPEAK_SIMULATED")
	if dir == "" {
		t.Skip("needs the interpreter as a driver: make test-cuda")
	}
	return dir
}

// gpuRows are the rows of two small cases.
func gpuRows(t *testing.T, env ...string) ([]results.Row, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.csv")
	cmd := exec.Command(commands(t, "ofpeak", "ofpeak-cuda"), "run", "--suite", "smoke", "--technique", "baseline", "--precision", "fp32", "--model", "C=16,NH=2,T=4,L=1,B=2", "--out", path)
	cmd.Env = environment(append(env, "OFPEAK_STANDIN_DEVICES=1")...)
	_, _, stderr := output(t, cmd)
	file, err := results.Read(path)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	return file.Rows, stderr
}

// On the interpreter as a driver, reached through cu, a suite runs as on a GPU: two ranks, verified rows, and no speed.
func TestGPUSuiteRunsOnTheInterpreter(t *testing.T) {
	dir := simulatedDriver(t)
	path := filepath.Join(t.TempDir(), "rows.csv")
	cmd := exec.Command(commands(t, "ofpeak", "ofpeak-cuda"), "run", "--suite", "smoke", "--technique", "data-parallel", "--precision", "bf16", "--model", "C=16,NH=2,T=4,L=1,B=2", "--out", path)
	cmd.Env = environment("LD_LIBRARY_PATH="+dir, "OFPEAK_STANDIN_DEVICES=2")
	status, _, stderr := output(t, cmd)
	file, err := results.Read(path)
	if status != 0 || err != nil || len(file.Rows) != 3 || stderr == "" {
		t.Fatalf("status %d, %d rows, %v\n%s", status, len(file.Rows), err, stderr)
	}
	for _, row := range file.Rows {
		if row.Status != results.OK || row.Device != results.Sim || row.Ranks > 2 || row.Ranks == 2 && row.CommBytes.Or(0) == 0 || !row.MaxRelError.Known() || row.StepMedianS.Known() {
			t.Errorf("got %+v", row)
		}
	}
}
