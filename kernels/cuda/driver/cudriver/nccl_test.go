package cudriver

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ncclVersions are those that our header is held against: the oldest that is taken, and a new one.
var ncclVersions = []string{"2.18.1", "2.32.3"}

// ncclHeader includes NVIDIA's header, which includes some of CUDA's.
func ncclHeader(t *testing.T, version string) (source, include string) {
	header := fetched(t, filepath.Join("nccl-"+version, "nccl.h"))
	return fmt.Sprintf("#define __CUDA_BF16_TYPES_EXIST__ /* which the older one asks for */\n#include %q\n", header), "-I" + filepath.Dir(fetched(t, "12.9/include/cuda_runtime.h"))
}

func TestCollectiveFunctionsAgreeWithNVIDIA(t *testing.T) {
	for _, version := range ncclVersions {
		t.Run(version, func(t *testing.T) {
			source, include := ncclHeader(t, version)
			agree(t, source, "nccl_functions.h", "NCCL_FUNCTION", "type", include)
		})
	}
}

func TestCollectiveValuesAndSizesAgreeWithNVIDIA(t *testing.T) {
	assertions := constants(t, "nccl.h", 18, "sizeof(ncclUniqueId) == 128", "sizeof(ncclResult_t) == 4", "sizeof(ncclDataType_t) == 4", "sizeof(ncclRedOp_t) == 4")
	for _, version := range ncclVersions {
		t.Run(version, func(t *testing.T) {
			source, include := ncclHeader(t, version)
			if err := cc(t, source+assertions, include, "-fsyntax-only"); err != nil {
				t.Error(err)
			}
		})
	}
}

// tryNCCL opens a real library, makes two names, and joins a group of one rank, for which there is no GPU.
const tryNCCL = `
#include "collectives.h"
#include <stdio.h>
#include <string.h>
CUresult cuCtxSetCurrent(CUcontext context) { return CUDA_SUCCESS; }
int main(int argc, char **argv)
{
	const char *problem = nccl_open(argv[1]);
	char names[2][NCCL_UNIQUE_ID_BYTES] = {{0}};
	struct nccl_seat seat = {0};
	int version = 0, status;
	if (problem)
		return puts(problem), 1;
	nccl_version(&version);
	if (nccl_id(names[0]) || nccl_id(names[1]) || !memcmp(names[0], names[1], sizeof names[0]))
		return puts("no names"), 1;
	status = nccl_join(names[0], 1, &seat, 1);
	return printf("version %d, join %d, %s, %s, made %p\n", version, status, nccl_text(status), nccl_reason(), (void *)seat.made), 0;
}
`

// A NCCL as NVIDIA ships it has our functions and takes our calls, as far as they come without a GPU. It is the oldest one: newer ones need glibc 2.38.
func TestNCCLTakesOurCalls(t *testing.T) {
	library := fetched(t, "nccl-2.18.1/libnccl.so.2")
	program := filepath.Join(t.TempDir(), "try")
	if err := cc(t, tryNCCL, "-Iinclude", "-o", program, "-x", "c", "collectives.c", "-ldl"); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, library).CombinedOutput()
	if got := string(out); err != nil || !strings.HasPrefix(got, "version 21801, join 1, unhandled cuda error (run with NCCL_DEBUG=INFO for details), ") || !strings.HasSuffix(got, ", made (nil)\n") {
		t.Errorf("%s, %v", got, err)
	}
}
