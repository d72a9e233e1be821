package cpu_test

import (
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu"
	"ofpeak/kernels/cpu/team"
	"ofpeak/kernels/kerneltest"
)

// A failing operator names itself, later ones are skipped until Sync, and events and Do go on.
func TestErrorSticks(t *testing.T) {
	dev := open(t, cpu.Config{Threads: 2})
	s := kerneltest.Stream(t, dev).(kernels.HostStream)
	ids, wte, wpe := kerneltest.Alloc(t, dev, kernels.I32, 1, 1), kerneltest.Alloc(t, dev, kernels.F32, 2, 4), kerneltest.Alloc(t, dev, kernels.F32, 1, 4)
	out := kerneltest.Alloc(t, dev, kernels.F32, 1, 4)
	event, err := dev.NewEvent()
	if err != nil {
		t.Fatal(err)
	}
	s.Fill(ids, 2) // outside the vocabulary of 2
	s.EmbeddingForward(out, ids, wte, wpe)
	s.Fill(out, 1)
	s.Record(event)
	s.Wait(event)
	done := false
	s.Do(func() error { done = true; return errors.New("later") })
	err = s.Sync()
	if err == nil || !strings.Contains(err.Error(), "embeddingForward") || !strings.Contains(err.Error(), "vocabulary") {
		t.Errorf("Sync gave %v, want the operator and the reason", err)
	}
	if !done {
		t.Error("Do did not run after the error")
	}
	if v := kerneltest.Read(t, s, out); v[0] != 0 {
		t.Error("an operator ran after the error")
	}
	s.Fill(out, 1)
	if v := kerneltest.Read(t, s, out); v[0] != 1 {
		t.Error("no operator runs after Sync took the error")
	}
}

// The use of a freed buffer is an error that names the operator, not the end of the process.
func TestUseAfterFree(t *testing.T) {
	dev := open(t, cpu.Config{Threads: 2})
	s := kerneltest.Stream(t, dev)
	for _, n := range []int{16, 1 << 20} {
		b, err := dev.Alloc(kernels.F32, n)
		if err != nil {
			t.Fatal(err)
		}
		x := kernels.Of(b, n)
		b.Free()
		s.Add(x, x, kernels.Tensor{}, kernels.Tensor{})
		if err := s.Sync(); err == nil || !strings.Contains(err.Error(), "add") {
			t.Errorf("%d elements: Sync gave %v, want an error that names add", n, err)
		}
	}
}

// Communication may wait for a long time on a second stream without holding up the first, and the other way round.
func TestSecondStreamDoesNotBlock(t *testing.T) {
	dev := open(t, cpu.Config{Threads: 2})
	first, second := kerneltest.Stream(t, dev).(kernels.HostStream), kerneltest.Stream(t, dev).(kernels.HostStream)
	x, y := kerneltest.Alloc(t, dev, kernels.F32, 1<<16), kerneltest.Alloc(t, dev, kernels.F32, 1<<16)
	for _, pair := range [][2]kernels.HostStream{{first, second}, {second, first}} {
		release := make(chan struct{})
		pair[0].Do(func() error { <-release; return nil })
		for range 100 {
			pair[1].Add(y, x, kernels.Tensor{}, y)
		}
		if err := pair[1].Sync(); err != nil {
			t.Error(err)
		}
		close(release)
		if err := pair[0].Sync(); err != nil {
			t.Error(err)
		}
	}
}

// Wait holds for the record that was issued before it, not for a later one of the same event.
func TestWaitTakesTheLastRecord(t *testing.T) {
	dev := open(t, cpu.Config{Threads: 1})
	a, b := kerneltest.Stream(t, dev).(kernels.HostStream), kerneltest.Stream(t, dev).(kernels.HostStream)
	event, err := dev.NewEvent()
	if err != nil {
		t.Fatal(err)
	}
	b.Wait(event) // never recorded: holds nothing
	if err := b.Sync(); err != nil {
		t.Fatal(err)
	}
	for round := range 50 {
		value := -1
		a.Do(func() error { time.Sleep(100 * time.Microsecond); value = round; return nil })
		a.Record(event)
		b.Wait(event)
		seen := -2
		b.Do(func() error { seen = value; return nil })
		if err := b.Sync(); err != nil || seen != round {
			t.Fatalf("round %d: saw %d, error %v", round, seen, err)
		}
	}
}

func TestAlloc(t *testing.T) {
	dev := open(t, cpu.Config{Threads: 1})
	for _, dt := range []kernels.DType{kernels.F32, kernels.F16, kernels.BF16, kernels.I32, kernels.I8, kernels.U8} {
		for _, n := range []int{0, 1, 1000, 3 << 20} {
			b, err := dev.Alloc(dt, n)
			if err != nil {
				t.Fatal(err)
			}
			if b.Len() != n || b.DType() != dt || dev.Memory().Current != int64(n*dt.Size()) {
				t.Errorf("%v: %d elements of %v, %d bytes counted", dt, b.Len(), b.DType(), dev.Memory().Current)
			}
			if f, ok := b.(kernels.HostBuffer).Data().([]float32); ok && n > 0 && uintptr(unsafe.Pointer(&f[0]))%64 != 0 {
				t.Errorf("%v: not aligned to 64 bytes", dt)
			}
			b.Free()
		}
	}
	if _, err := dev.Alloc(kernels.F64, 1); !errors.Is(err, kernels.ErrUnsupported) {
		t.Errorf("fp64 gave %v", err)
	}
	dev.LimitMemory(1000)
	if _, err := dev.Alloc(kernels.F32, 251); !errors.Is(err, kernels.ErrOutOfMemory) {
		t.Errorf("past the limit: %v", err)
	}
	dev.LimitMemory(0)
	if _, err := dev.Alloc(kernels.F32, 1<<50); !errors.Is(err, kernels.ErrOutOfMemory) {
		t.Errorf("past the machine: %v", err)
	}
	if m := dev.Memory(); m.Current != 0 || m.Peak != 4*3<<20 {
		t.Errorf("memory is %+v after all was freed", m)
	}
}

func TestNew(t *testing.T) {
	for name, c := range map[string]cpu.Config{
		"a core that is not there": {Cores: []int{1 << 20}},
		"a core twice":             {Cores: []int{0, 0}},
		"negative threads":         {Threads: -1},
		"unknown instruction set":  {ISA: "neon"},
	} {
		if _, err := cpu.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	dev := open(t, cpu.Config{Threads: 3, ISA: "go"})
	if got := dev.Info(); got.Kind != "cpu" || got.Name == "" || got.Units != 3 {
		t.Errorf("Info is %+v", got)
	}
	if v := dev.Variants(kernels.OpLinear); len(v) != 1 || v[0] != "go" {
		t.Errorf("capped to portable Go, linear has variants %v", v)
	}
	if err := dev.Select(kernels.OpLinear, "avx512"); !errors.Is(err, kernels.ErrUnsupported) {
		t.Errorf("Select past the cap gave %v", err)
	}
	if err := dev.Supports(kernels.OpLinear, kernels.F64, kernels.Dense); !errors.Is(err, kernels.ErrUnsupported) {
		t.Errorf("fp64 gave %v", err)
	}
}

// Streams keep to the device's cores: the first to the first of them, further ones to the last.
func TestPinned(t *testing.T) {
	cores, err := team.Cores()
	if err != nil || len(cores) < 2 || runtime.GOOS != "linux" {
		t.Skipf("needs two cores to choose from: %v %v", cores, err)
	}
	dev := open(t, cpu.Config{Cores: []int{cores[1], cores[0]}})
	for i, want := range []int{cores[1], cores[0], cores[0]} {
		s := kerneltest.Stream(t, dev).(kernels.HostStream)
		var got []int
		s.Do(func() (err error) { got, err = team.Cores(); return err })
		if err := s.Sync(); err != nil || !slices.Equal(got, []int{want}) {
			t.Errorf("stream %d may run on %v (%v), want core %d", i, got, err, want)
		}
	}
}

// Threads that compute do not take the runtime's processors from others.
func TestProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	dev := open(t, cpu.Config{Threads: 3})
	var streams []kernels.Stream
	for _, want := range []int{3, 4} { // the first has the team
		s, err := dev.NewStream()
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
		if got := runtime.GOMAXPROCS(0) - before; got != want {
			t.Errorf("%d streams add %d processors, want %d", len(streams), got, want)
		}
	}
	for _, s := range streams {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("%d processors after closing, want %d", got, before)
	}
}

func TestHostTensors(t *testing.T) {
	dev := open(t, cpu.Config{Threads: 2})
	s := kerneltest.Stream(t, dev)
	x := kerneltest.Alloc(t, dev, kernels.BF16, 2, 3)
	for name, host := range map[string]*tensor.Dense{
		"another size": tensor.New(tensor.WithShape(5), tensor.Of(tensor.Float32)),
		"another type": tensor.New(tensor.WithShape(6), tensor.Of(tensor.Int64)),
		"transposed":   transposed(t, tensor.New(tensor.WithShape(2, 3), tensor.Of(tensor.Float32))),
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			s.Upload(x, host)
		}()
	}
	s.Upload(x, tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float64{1, 1 + 0x1p-9, -2, math.Inf(1), 0x1p-130, 3})))
	back := tensor.New(tensor.WithShape(2, 3), tensor.Of(tensor.Float32))
	if err := s.Download(back, x); err != nil {
		t.Fatal(err)
	}
	want := []float32{1, 1, -2, float32(math.Inf(1)), 0x1p-130, 3}
	for i, v := range back.Float32s() {
		if v != want[i] {
			t.Errorf("element %d is %g, want %g", i, v, want[i])
		}
	}
}

func transposed(t *testing.T, d *tensor.Dense) *tensor.Dense {
	t.Helper()
	if err := d.T(); err != nil {
		t.Fatal(err)
	}
	return d
}

// A stream may look instead of sleeping only where nothing else of the process wants its core.
func TestPatience(t *testing.T) {
	crowd := open(t, cpu.Config{Threads: runtime.NumCPU() + 1})
	if p := kerneltest.Stream(t, crowd).(kernels.PatientStream).Patience(); p != 0 {
		t.Errorf("with more threads than cores: %v", p)
	}
}

func TestPatienceOfTheOnlyStream(t *testing.T) {
	dev := open(t, cpu.Config{Threads: 1})
	s := kerneltest.Stream(t, dev).(kernels.PatientStream)
	if s.Patience() <= 0 {
		t.Error("alone on its core, it does not look")
	}
	second, err := dev.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	if s.Patience() != 0 || second.(kernels.PatientStream).Patience() != 0 {
		t.Error("two streams of one core look")
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if s.Patience() <= 0 {
		t.Error("alone again, it does not look")
	}
}
