package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// devices and communicators are concrete: only what wires the command, and what compares them, may name them.
var concrete = []string{"kernels/ref", "kernels/cpu", "kernels/cuda", "kernels/gograph", "parallel/comm/local", "parallel/comm/peer", "parallel/comm/mpi", "parallel/comm/nccl"}

// wiring starts devices and worlds for the command.
var wiring = []string{"bench/rig"}

// comparing holds devices against the reference, and strategies against one device, which they must name for that.
var comparing = []string{"kernels/verify", "kernels/kerneltest", "parallel/paralleltest", "scripts/peers"}

// NCCL's communicator moves what lies on GPUs, so it speaks to their driver, through the interface that every driver implements.
var driven = [2]string{"parallel/comm/nccl", "kernels/cuda/driver"}

// siblings never import each other.
var siblings = [][]string{
	{"kernels/ref", "kernels/cpu", "kernels/cuda", "kernels/gograph"},
	{"parallel/dp", "parallel/tp", "parallel/pp", "parallel/cp"},
	{"parallel/comm/local", "parallel/comm/peer", "parallel/comm/mpi", "parallel/comm/nccl"},
}

// allowed says which top-level directories each may import.
var allowed = map[string][]string{
	"bench":    {"bench", "parallel", "kernels", "results", "docs"},
	"parallel": {"parallel", "kernels"},
	"kernels":  {"kernels"},
	"results":  {"results"},
	"docs":     nil,
	"scripts":  {"scripts", "parallel", "kernels"}, // the peers' counterpart
}

// forbidden is why from must not import to (both without the module's name), or "".
func forbidden(from, to string) string {
	top, _, _ := strings.Cut(from, "/")
	if !within(to, allowed[top]...) {
		return "data flows one way: bench -> parallel -> kernels, bench -> results"
	}
	if from == "kernels" || from == "results" {
		return "the contract imports nothing of ours"
	}
	for _, family := range siblings {
		if a, b := member(from, family), member(to, family); a != "" && b != "" && a != b {
			return "siblings do not import each other"
		}
	}
	if [2]string{from, to} == driven {
		return ""
	}
	if c := member(to, concrete); c != "" && from != "bench" && !within(from, slices.Concat(wiring, comparing, []string{c})...) {
		return "only the command's wiring and tests name a concrete device or communicator"
	}
	return ""
}

// within reports whether a package is one of dirs or below one.
func within(pkg string, dirs ...string) bool { return member(pkg, dirs) != "" }

func member(pkg string, dirs []string) string {
	for _, dir := range dirs {
		if pkg == dir || strings.HasPrefix(pkg, dir+"/") {
			return dir
		}
	}
	return ""
}

func TestImports(t *testing.T) {
	for _, tags := range []string{"", "gpu"} {
		t.Run("tags "+tags, func(t *testing.T) { checkImports(t, tags) })
	}
}

func checkImports(t *testing.T, tags string) {
	cmd := exec.Command("go", "list", "-deps", "-tags", tags, "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "ofpeak/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1") // cgo files count; nothing is compiled
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	var drivers []string
	for line := range strings.Lines(string(out)) {
		imports := strings.Fields(line)
		if slices.Contains(imports[1:], "gorgonia.org/cu") {
			drivers = append(drivers, imports[0])
		}
		from, ours := strings.CutPrefix(imports[0], "ofpeak/")
		if !ours {
			continue
		}
		checked++
		for _, name := range imports[1:] {
			if to, ours := strings.CutPrefix(name, "ofpeak/"); ours {
				if why := forbidden(from, to); why != "" {
					t.Errorf("%s imports %s: %s", from, to, why)
				}
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d packages were looked at", checked)
	}
	// cu ends a process that has no GPU.
	want := map[string][]string{"gpu": {"ofpeak/kernels/cuda/driver/cudriver"}}[tags]
	if !slices.Equal(drivers, want) {
		t.Errorf("gorgonia.org/cu is imported by %q, want %q", drivers, want)
	}
}

func TestForbidden(t *testing.T) {
	for _, ok := range []string{"bench kernels/cpu", "bench/workload kernels/block", "parallel/dp kernels", "parallel/dp parallel/comm", "kernels/cpu kernels",
		"kernels/cpu/gemm kernels/cpu/isa", "results/stats results", "bench/sweep results", "bench/workload docs", "kernels/verify kernels/ref",
		"bench kernels/cuda/driver/cudriver", "kernels/cuda kernels/cuda/driver", "parallel/comm/nccl kernels/cuda/driver"} {
		from, to, _ := strings.Cut(ok, " ")
		if why := forbidden(from, to); why != "" {
			t.Errorf("%s: %s", ok, why)
		}
	}
	for _, bad := range []string{"kernels kernels/block", "results results/stats", "kernels/cpu kernels/ref", "kernels/block kernels/cpu", "kernels/cpu parallel",
		"parallel bench/measure", "results/stats kernels", "parallel results", "bench/sweep kernels/cpu/isa", "parallel/dp parallel/tp", "parallel/pp parallel/comm/local",
		"docs results", "scripts/peers bench", "kernels scripts/peers", "bench/handover kernels/cuda/driver/cudriver", "kernels/cuda/driver kernels/cpu",
		"parallel/comm/nccl kernels/cuda", "parallel/comm/nccl kernels/cuda/driver/ptxsim", "parallel/comm kernels/cuda/driver"} {
		from, to, _ := strings.Cut(bad, " ")
		if forbidden(from, to) == "" {
			t.Errorf("%s is let through", bad)
		}
	}
}
