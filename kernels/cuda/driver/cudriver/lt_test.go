package cudriver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ltVersion of CUDA has the cuBLASLt that ours is held against.
const ltVersion = "12.9"

// fetched is a file that scripts/cuda-headers.sh fetches.
func fetched(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(os.Getenv(headersEnv), name)
	if _, err := os.Stat(path); err != nil || os.Getenv(headersEnv) == "" {
		lacking(t, fmt.Sprintf("no %s: run scripts/cuda-headers.sh DIR and set %s=DIR", name, headersEnv))
	}
	return path
}

// ltHeader includes NVIDIA's header. cuda.h is ours: nothing in cublasLt.h depends on it.
func ltHeader(t *testing.T) (source string, include string) {
	header := fetched(t, ltVersion+"/include/cublasLt.h")
	return fmt.Sprintf("#include <stddef.h>\n#include %q\n", header), "-I" + filepath.Dir(header)
}

func TestProductFunctionsAgreeWithNVIDIA(t *testing.T) {
	source, include := ltHeader(t)
	source += `
#define LT_FUNCTION(name, parameters) typedef __typeof__(name) *declared_##name;
#include "include/cublaslt_functions.h"
#undef LT_FUNCTION
#define LT_FUNCTION(name, parameters) extern cublasStatus_t name parameters;
#include "include/cublaslt_functions.h"
`
	if err := cc(t, source, include, "-fsyntax-only"); err != nil {
		t.Error(err)
	}
	wrong := strings.Replace(source, "extern cublasStatus_t name parameters", "extern int *name parameters", 1)
	if cc(t, wrong, include, "-fsyntax-only") == nil {
		t.Error("another return type was accepted")
	}
}

func TestProductValuesAndLayoutsAgreeWithNVIDIA(t *testing.T) {
	source, include := ltHeader(t)
	ours := read(t, "cublaslt.h")
	values := regexp.MustCompile(`(?m)^\t([A-Z]\w+) = (\d+),$`).FindAllStringSubmatch(ours, -1)
	if len(values) < 30 {
		t.Fatalf("only %d values were found", len(values))
	}
	for _, m := range values {
		source += fmt.Sprintf("_Static_assert(%s == %s, \"%s\");\n", m[1], m[2], m[1])
	}
	for expression, value := range map[string]int{
		"sizeof(cublasLtMatmulAlgo_t)":                             64,
		"sizeof(cublasLtMatmulHeuristicResult_t)":                  96,
		"offsetof(cublasLtMatmulHeuristicResult_t, algo)":          0,
		"offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize)": 64,
		"offsetof(cublasLtMatmulHeuristicResult_t, state)":         72,
	} {
		source += fmt.Sprintf("_Static_assert(%s == %d, \"%s\");\n", expression, value, expression)
		if err := cc(t, fmt.Sprintf("#include <stddef.h>\n#include \"include/cublaslt.h\"\n_Static_assert(%s == %d, \"\");", expression, value), "-fsyntax-only"); err != nil {
			t.Errorf("ours: %v", err)
		}
	}
	if err := cc(t, source, include, "-fsyntax-only"); err != nil {
		t.Error(err)
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
			.work = 8192, .work_size = 1 << 25, .trans_a = i >> 1 & 1, .trans_b = i >> 2 & 1, .in = types[i >> 3 & 3][0], .out = types[i >> 3 & 3][1],
			.epilogue = i >> 5 & 3, .tf32 = i >= 96};
		int status = lt_describe(&p);
		if (status)
			return printf("product %d: status %d\n", i, status), 1;
	}
	lt_version(version);
	return printf("version %d\n", version[0]), 0;
}
`

// A cuBLASLt as NVIDIA ships it takes our descriptors; it has no handle without a GPU.
func TestCublasLtTakesOurDescriptors(t *testing.T) {
	library := fetched(t, ltVersion+"/lib/libcublasLt.so.12")
	describe := func(name string, change ...string) (string, error) {
		text, err := os.ReadFile("lt.c")
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		lt := strings.NewReplacer(append(change, `"include/`, `"`+must(os.Getwd())(t)+`/include/`, `"lt.h"`, `"`+must(os.Getwd())(t)+`/lt.h"`)...).Replace(string(text))
		if err := os.WriteFile(filepath.Join(dir, "lt.c"), []byte(lt), 0o644); err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(dir, name)
		if err := cc(t, describeAll, "-o", program, "-x", "c", filepath.Join(dir, "lt.c"), "-ldl"); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(program, library).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if out, err := describe("ours"); err != nil || out != "version 12" {
		t.Errorf("%s, %v", out, err)
	}
	if out, err := describe("wrong size", "&last, sizeof last", "&last, 8"); err == nil {
		t.Errorf("an attribute of another size was accepted: %s", out)
	}
	if out, err := describe("wrong name", "CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK", "99"); err == nil {
		t.Errorf("an attribute that does not exist was accepted: %s", out)
	}
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
