package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"ofpeak/bench/host"
	"ofpeak/kernels/cpu/isa"
	"ofpeak/results/render"
)

// surroundings are what the doctor looks at; a test gives it others.
type surroundings struct {
	root     fs.FS // the file system from /
	ldPath   string
	lookPath func(program string) (string, error)
	cpu      processor
	drives   capabilities
}

// capabilities are what a build can drive besides the CPU. Help for the rest would promise too much.
type capabilities struct{ cuda, mpi bool }

// processor is what this process may use of the CPU.
type processor struct {
	name       string
	features   []string
	cores      int
	level      isa.Level
	capped     string // value of OFPEAK_ISA
	bf16, vnni bool
}

func newDoctorCmd(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Show what was found on this machine, what is used, and what to install to get more",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := isa.Check(); err != nil {
				return err
			}
			return thisMachine().diagnose(stdout)
		},
	}
}

func thisMachine() surroundings {
	return surroundings{
		root: os.DirFS("/"), ldPath: os.Getenv("LD_LIBRARY_PATH"), lookPath: exec.LookPath,
		cpu:    processor{name: isa.Processor(), features: host.CPUFeatures(), cores: host.Cores(), level: isa.Best(), capped: os.Getenv(isa.Env), bf16: isa.BF16(), vnni: isa.VNNI()},
		drives: thisBuild,
	}
}

// diagnose prints three parts: what was found, what is used, what would help.
func (s surroundings) diagnose(w io.Writer) error {
	found := render.Table{Header: []string{"found", ""}}
	var advice []string
	add := func(name, value string, help ...string) {
		found.Rows = append(found.Rows, []string{name, value})
		advice = append(advice, help...)
	}
	s.processor(add)
	s.memory(add)
	if s.cpu.capped != "" {
		advice = append(advice, "unset "+isa.Env+" to use the fastest instructions of this processor")
	}
	s.gpu(add)
	s.launchers(add)
	if err := found.Write(w, render.Text, render.Width(w)); err != nil {
		return err
	}
	used := render.Table{Header: []string{"used", ""}, Rows: s.used()}
	fmt.Fprintln(w)
	if err := used.Write(w, render.Text, render.Width(w)); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nto get more")
	if len(advice) == 0 {
		advice = []string{"nothing: all that can be used is here"}
	}
	for _, line := range advice {
		if _, err := fmt.Fprintln(w, render.Wrap("- "+line, render.Width(w), "  ")); err != nil {
			return err
		}
	}
	return nil
}

// adder takes a finding and what would improve it.
type adder func(name, value string, help ...string)

func (s surroundings) processor(add adder) {
	add("processor", s.cpu.name)
	add("features", or(strings.Join(s.cpu.features, " "), "none that the kernels use"))
	add("cores", fmt.Sprintf("%d usable", s.cpu.cores))
	add("caches", or(strings.Join(host.Caches(s.root), ", "), "unknown"))
	if n := host.NUMANodes(s.root); n > 1 {
		add("NUMA nodes", fmt.Sprint(n), "bind the run to one NUMA node for steadier numbers: numactl -N 0 -m 0 ofpeak run")
	}
}

func (s surroundings) memory(add adder) {
	total, available := host.Memory(s.root)
	if total == 0 {
		add("memory", "unknown")
		return
	}
	add("memory", fmt.Sprintf("%.1f GB, %.1f GB free", float64(total)/1e9, float64(available)/1e9))
}

// libraries are opened at run time by the CUDA build.
var libraries = []struct{ name, purpose, help string }{
	{"libcuda.so", "the driver's interface", "libcuda.so: it comes with the driver; in a container, set NVIDIA_DRIVER_CAPABILITIES=compute,utility"},
	{"libcublasLt.so", "dense matrix products", "cuBLASLt: install the CUDA toolkit's libcublas (12 or later)"},
	{"libcusparseLt.so", "2:4 sparse matrix products", "cuSPARSELt: install libcusparselt0 from NVIDIA's repository"},
	{"libnccl.so", "collectives between GPUs", "NCCL: install libnccl2 from NVIDIA's repository"},
}

func (s surroundings) gpu(add adder) {
	g := host.NVIDIA(s.root)
	if !s.drives.cuda {
		add("NVIDIA driver", or(g.Driver, "none")+"; GPUs are not driven by this build")
		return
	}
	if g.Driver == "" {
		add("NVIDIA driver", "none", "to measure NVIDIA GPUs, install their driver; in a container, start it with the GPUs (docker run --gpus all)")
		return
	}
	add("NVIDIA driver", g.Driver)
	add("GPUs", or(strings.Join(g.Models, ", "), "none"))
	for _, l := range libraries {
		if path := host.Library(s.root, s.ldPath, l.name); path != "" {
			add(l.name, path+" ("+l.purpose+")")
		} else {
			add(l.name, "not found ("+l.purpose+")", l.help)
		}
	}
}

func (s surroundings) launchers(add adder) {
	var found []string
	for _, program := range []string{"mpirun", "mpiexec", "srun"} {
		if path, err := s.lookPath(program); err == nil {
			found = append(found, path)
		}
	}
	if !s.drives.mpi {
		add("MPI launchers", or(strings.Join(found, ", "), "none")+"; ranks of this build are threads of one process")
		return
	}
	if len(found) == 0 {
		add("MPI launchers", "none", "to run ranks as processes or on several machines, install an MPI: apt install openmpi-bin libopenmpi-dev")
		return
	}
	add("MPI launchers", strings.Join(found, ", "))
}

// used says which kernels the CPU device takes, by precision.
func (s surroundings) used() [][]string {
	widened := map[isa.Level]string{isa.Go: "portable Go", isa.NEON: "NEON", isa.AVX2: "AVX2", isa.AVX512: "AVX-512"}[s.cpu.level]
	bf16, int8 := "widened to fp32, "+widened, widened
	if s.cpu.bf16 {
		bf16 = "AVX512_BF16"
	}
	switch {
	case s.cpu.level == isa.NEON:
		int8 = "portable Go"
	case s.cpu.vnni:
		int8 = "AVX512_VNNI"
	}
	rows := [][]string{
		{"device", fmt.Sprintf("cpu, %d cores (%s)", s.cpu.cores, platform())},
		{"fp32 products", widened},
		{"bf16 products", bf16},
		{"fp16 products", "widened to fp32, " + widened},
		{"fp8 products", "rounded to fp8, multiplied as bf16"},
		{"int8 products", int8},
	}
	if s.cpu.capped != "" {
		rows = append(rows, []string{"capped by", isa.Env + "=" + s.cpu.capped})
	}
	return rows
}

func or(s, missing string) string {
	if s == "" {
		return missing
	}
	return s
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }
