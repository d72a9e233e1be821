package cudriver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// sparseVersions of cuSPARSELt are those that our header is held against, from the oldest that is taken on, and the CUDA whose headers theirs include.
var sparseVersions = map[string]string{"0.7.1": "12.9", "0.8.1": "12.9", "0.10.0": "13.5"}

// sparseHeader includes NVIDIA's header. cusparse.h, of a package of its own, is the part of it that the newest brings along; C++'s <cstddef> is what one of them asks for.
func sparseHeader(t *testing.T, version string) (source string, args []string) {
	header := fetched(t, filepath.Join("cusparselt-"+version, "cusparseLt.h"))
	stub := fetched(t, "cusparselt-0.10.0/cusparseLt_cusparse_stub.h")
	dir := t.TempDir()
	for name, text := range map[string]string{"cusparse.h": fmt.Sprintf("#include %q\n", stub), "cstddef": "#include <stddef.h>\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	include := filepath.Dir(fetched(t, sparseVersions[version]+"/include/driver_types.h"))
	source = fmt.Sprintf("#include <stdalign.h>\n#include %q\n#define SPARSE_SINCE_0_8 SPARSE_FUNCTION\n", header)
	if version == "0.7.1" {
		source += "#undef SPARSE_SINCE_0_8\n#define SPARSE_SINCE_0_8(name, parameters)\n"
	}
	return source, []string{"-I" + dir, "-I" + include}
}

func TestSparseFunctionsAgreeWithNVIDIA(t *testing.T) {
	for version := range sparseVersions {
		t.Run(version, func(t *testing.T) {
			source, args := sparseHeader(t, version)
			agree(t, source, "cusparselt_functions.h", "SPARSE_FUNCTION", "cusparseStatus_t", args...)
		})
	}
}

func TestSparseValuesAndLayoutsAgreeWithNVIDIA(t *testing.T) {
	var facts []string
	for _, opaque := range []string{"Handle", "MatDescriptor", "MatmulDescriptor", "MatmulAlgSelection", "MatmulPlan"} {
		facts = append(facts, "sizeof(cusparseLt"+opaque+"_t) <= 1024", "_Alignof(cusparseLt"+opaque+"_t) <= 16")
	}
	assertions := constants(t, "cusparselt.h", 16, facts...)
	for version := range sparseVersions {
		t.Run(version, func(t *testing.T) {
			source, args := sparseHeader(t, version)
			if err := cc(t, source+assertions, append(args, "-fsyntax-only")...); err != nil {
				t.Error(err)
			}
		})
	}
}

// trySparse opens a real library and asks for a handle, which it does not give without a GPU, and nothing without a handle.
const trySparse = `
#include "sparse.h"
#include <stdio.h>
int main(int argc, char **argv)
{
	const char *problem = sparse_open(argv[1]);
	static cusparseLtHandle_t handle;
	static struct sparse_plan plan;
	struct sparse_product p = {.m = 64, .n = 64, .k = 64, .type = CUDA_R_16F};
	int version[3], made, described;
	if (problem)
		return puts(problem), 1;
	sparse_version(version);
	made = sparse_create(&handle);
	described = sparse_begin(&handle, &p, &plan);
	return printf("version %d.%d, handle %d, descriptors %d, made %d, end %d\n", version[0], version[1], made, described, plan.made, sparse_end(&plan)), 0;
}
`

// A cuSPARSELt as NVIDIA ships it loads and has all our functions. Without a GPU it gives no handle (status 1), and takes no descriptor without one (3): those only our stand-in has read.
func TestCusparseLtHasOurFunctions(t *testing.T) {
	library := fetched(t, "cusparselt-0.10.0/libcusparseLt.so.0")
	out, err := exec.Command(changed(t, "try", trySparse, "sparse"), library).Output()
	if got := string(out); err != nil || got != "version 0.10, handle 1, descriptors 3, made 0, end 0\n" {
		t.Errorf("%s, %v", got, err)
	}
}
