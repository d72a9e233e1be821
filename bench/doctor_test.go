package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"ofpeak/kernels/cpu/isa"
)

func nowhere(string) (string, error) { return "", errors.New("not found") }

func TestDoctor(t *testing.T) {
	gpuHost := fstest.MapFS{}
	for name, text := range map[string]string{
		"proc/meminfo":                                   "MemTotal: 1000000 kB\nMemAvailable: 500000 kB\n",
		"proc/driver/nvidia/version":                     "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54\n",
		"proc/driver/nvidia/gpus/0/information":          "Model: NVIDIA H100 NVL\n",
		"usr/lib64/libcuda.so.1":                         "",
		"usr/local/lib/libcublasLt.so.12":                "",
		"sys/devices/system/node/node0/cpulist":          "0",
		"sys/devices/system/node/node1/cpulist":          "1",
		"sys/devices/system/cpu/cpu0/cache/index0/size":  "48K",
		"sys/devices/system/cpu/cpu0/cache/index0/level": "1",
		"sys/devices/system/cpu/cpu0/cache/index0/type":  "Data",
	} {
		gpuHost[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for _, test := range []struct {
		golden string
		s      surroundings
	}{
		{"doctor-bare.txt", surroundings{root: fstest.MapFS{}, lookPath: nowhere, cpu: processor{name: "riscv64", cores: 1, level: isa.Go}}},
		{"doctor-gpu.txt", surroundings{
			root: gpuHost, lookPath: func(p string) (string, error) { return "/usr/bin/" + p, nil },
			cpu:    processor{name: "Example 9000", features: []string{"AVX2", "AVX512F"}, cores: 64, level: isa.AVX512, bf16: true, vnni: true},
			drives: capabilities{cuda: true, mpi: true},
		}},
		{"doctor-capped.txt", surroundings{root: fstest.MapFS{}, lookPath: nowhere, drives: capabilities{cuda: true, mpi: true},
			cpu: processor{name: "Example 9000", features: []string{"AVX2"}, cores: 2, level: isa.AVX2, capped: "avx2"}}},
	} {
		var out bytes.Buffer
		if err := test.s.diagnose(&out); err != nil {
			t.Fatal(err)
		}
		golden(t, test.golden, strings.ReplaceAll(out.String(), platform(), "OS/ARCH"))
	}
}
