package cudriver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ltVersions of CUDA have the cuBLASLt that ours is held against. Of all but the first the library is there too.
var ltVersions = []string{"11.8", "12.9", "13.5"}

// fetched is a file that scripts/cuda-headers.sh fetches.
func fetched(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(os.Getenv(headersEnv), name)
	if _, err := os.Stat(path); err != nil || os.Getenv(headersEnv) == "" {
		lacking(t, fmt.Sprintf("no %s: run scripts/cuda-headers.sh DIR and set %s=DIR", name, headersEnv))
	}
	return path
}

// ltHeader includes NVIDIA's header, without what it needs not of those that it includes itself.
func ltHeader(t *testing.T, version string) (source string, args []string) {
	header := fetched(t, version+"/include/cublasLt.h")
	return fmt.Sprintf("#include %q\n", header), []string{"-I" + filepath.Dir(header), "-D__CUDA_FP16_H__", "-D__CUDA_BF16_H__"}
}

func TestProductFunctionsAgreeWithNVIDIA(t *testing.T) {
	for _, version := range ltVersions {
		t.Run(version, func(t *testing.T) {
			source, args := ltHeader(t, version)
			agree(t, source, "cublaslt_functions.h", "LT_FUNCTION", "cublasStatus_t", args...)
		})
	}
}

func TestProductValuesAndLayoutsAgreeWithNVIDIA(t *testing.T) {
	assertions := constants(t, "cublaslt.h", 40, "sizeof(cublasLtMatmulAlgo_t) == 64", "sizeof(cublasLtMatmulHeuristicResult_t) == 96",
		"offsetof(cublasLtMatmulHeuristicResult_t, algo) == 0", "offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize) == 64",
		"offsetof(cublasLtMatmulHeuristicResult_t, state) == 72")
	for _, version := range ltVersions {
		t.Run(version, func(t *testing.T) {
			source, args := ltHeader(t, version)
			if err := cc(t, source+assertions, append(args, "-fsyntax-only")...); err != nil {
				t.Error(err)
			}
		})
	}
}

// describeAll makes the descriptors of every kind of product in the library that it is given, and prints what it was and the first status that is not 0.
const describeAll = `
#include "lt.h"
#include <stdio.h>
int main(int argc, char **argv)
{
	const char *problem = lt_open(argv[1]);
	int version[3], types[][2] = {{CUDA_R_32F, CUDA_R_32F}, {CUDA_R_16F, CUDA_R_16F}, {CUDA_R_16BF, CUDA_R_16BF}, {CUDA_R_16BF, CUDA_R_32F}};
	if (problem)
		return puts(problem), 1;
	for (int i = 0; i < 4 * 4 * 3 * 2 * 2; i++) {
		struct lt_product p = {.m = 33, .n = 64, .k = 48, .a = 256, .b = 512, .c = 1040, .addend = 1040, .bias = i & 1 ? 2048 : 0, .aux = 4096,
			.work = 8192, .work_size = 1 << 25, .trans_a = i >> 1 & 1, .trans_b = i >> 2 & 1, .in = types[i >> 3 & 3][0], .in_b = types[i >> 3 & 3][0], .out = types[i >> 3 & 3][1],
			.epilogue = i >> 5 & 3, .tf32 = i >= 96};
		int status = lt_describe(&p);
		if (status)
			return printf("product %d: status %d\n", i, status), 1;
	}
	for (int i = 0; i < 3 * 4; i++) {
		int eight[][2] = {{CUDA_R_8F_E4M3, CUDA_R_8F_E4M3}, {CUDA_R_8F_E5M2, CUDA_R_8F_E4M3}, {CUDA_R_8F_E4M3, CUDA_R_8F_E5M2}};
		struct lt_product p = {.m = 32, .n = 64, .k = 48, .a = 256, .b = 512, .c = 1040, .addend = i & 2 ? 1040 : 0, .bias = i & 1 ? 2048 : 0, .scale_a = 4096,
			.scale_b = 4100, .work = 8192, .work_size = 1 << 25, .trans_b = 1, .in = eight[i >> 2][0], .in_b = eight[i >> 2][1], .out = CUDA_R_16BF};
		int status = lt_describe(&p);
		if (status)
			return printf("product %d of 8-bit floats: status %d\n", i, status), 1;
	}
	lt_version(version);
	return printf("version %d\n", version[0]), 0;
}
`

// A cuBLASLt as NVIDIA ships it takes our descriptors; it has no handle without a GPU.
func TestCublasLtTakesOurDescriptors(t *testing.T) {
	for _, version := range ltVersions[1:] {
		major, _, _ := strings.Cut(version, ".")
		t.Run(version, func(t *testing.T) {
			takesDescriptors(t, fetched(t, version+"/lib/libcublasLt.so."+major), "version "+major)
		})
	}
}

func takesDescriptors(t *testing.T, library, want string) {
	describe := func(name string, change ...string) (string, error) {
		program := changed(t, name, describeAll, "lt", change...)
		out, err := exec.Command(program, library).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if out, err := describe("ours"); err != nil || out != want {
		t.Errorf("%s, %v", out, err)
	}
	if out, err := describe("wrong size", "&last, sizeof last", "&last, 8"); err == nil {
		t.Errorf("an attribute of another size was accepted: %s", out)
	}
	if out, err := describe("wrong scale", "&p->scale_a, sizeof p->scale_a", "&p->scale_a, 4"); err == nil {
		t.Errorf("the address of a scale of another size was accepted: %s", out)
	}
	if out, err := describe("wrong name", "CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK", "99"); err == nil {
		t.Errorf("an attribute that does not exist was accepted: %s", out)
	}
}

// changed builds a program of a text and of one of our sources, in which some words are others.
func changed(t *testing.T, name, text, source string, change ...string) (program string) {
	t.Helper()
	ours, err := os.ReadFile(source + ".c")
	if err != nil {
		t.Fatal(err)
	}
	dir, here := t.TempDir(), must(os.Getwd())(t)
	path, program := filepath.Join(dir, source+".c"), filepath.Join(dir, name)
	include := strings.NewReplacer(append(change, `"include/`, `"`+here+`/include/`, `"`+source+`.h"`, `"`+here+"/"+source+`.h"`)...)
	if err := os.WriteFile(path, []byte(include.Replace(string(ours))), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := cc(t, text, "-o", program, "-x", "c", path, "-ldl"); err != nil {
		t.Fatal(err)
	}
	return program
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
