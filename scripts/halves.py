#!/usr/bin/env python3
"""Print digests of NVIDIA's own conversions between float and 16 and 8 bits.

    python3 scripts/halves.py INCLUDE

INCLUDE holds cuda_fp16.h, cuda_bf16.h and cuda_fp8.h (pip download nvidia-cuda-runtime-cu11==11.8.89), and crt/ (of nvidia-cuda-nvcc-cu11==11.8.89). Their host functions convert a sweep of float32 bit patterns; each
digest is the FNV-1a hash of the results, and stands in kernels/cuda/driver/ptxsim/simt/convert_test.go, which converts the same sweep with the interpreter; those of 8 bits,
and of all 256 values of each format widened, stand in kernels/float8_test.go too.
"""

import pathlib
import subprocess
import sys
import tempfile

PROGRAM = r"""
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

template <typename F> void digest(const char *name, int bytes, F convert) {
    uint64_t hash = 0xcbf29ce484222325;
    for (uint64_t i = 0; i < 1 << 18; i++) {
        const uint32_t bits = (uint32_t)(i * 16411);
        float x;
        memcpy(&x, &bits, 4);
        const auto y = convert(x);
        uint16_t v = 0;
        memcpy(&v, &y, bytes);
        for (int b = 0; b < bytes; b++) hash = (hash ^ (v >> 8 * b & 0xff)) * 0x100000001b3;
    }
    printf("%-24s %#018llx\n", name, (unsigned long long)hash);
}

// All values of an 8-bit format as halves, which hold them exactly; every NaN counts as 0x7fff.
void widened(const char *name, __nv_fp8_interpretation_t format) {
    uint64_t hash = 0xcbf29ce484222325;
    for (int i = 0; i < 256; i++) {
        uint16_t v = __nv_cvt_fp8_to_halfraw((__nv_fp8_storage_t)i, format).x;
        if ((v & 0x7fff) > 0x7c00) v = 0x7fff;
        for (int b = 0; b < 2; b++) hash = (hash ^ (v >> 8 * b & 0xff)) * 0x100000001b3;
    }
    printf("%-24s %#018llx\n", name, (unsigned long long)hash);
}

#define DIGEST(name, bytes, call) digest(name, bytes, [](float x) { return call; })

int main() {
    DIGEST("rn.f16", 2, __float2half_rn(x));
    DIGEST("rz.f16", 2, __float2half_rz(x));
    DIGEST("rm.f16", 2, __float2half_rd(x));
    DIGEST("rp.f16", 2, __float2half_ru(x));
    DIGEST("rn.bf16", 2, __float2bfloat16_rn(x));
    DIGEST("rz.bf16", 2, __float2bfloat16_rz(x));
    DIGEST("rm.bf16", 2, __float2bfloat16_rd(x));
    DIGEST("rp.bf16", 2, __float2bfloat16_ru(x));
    DIGEST("rn.satfinite.e4m3x2", 1, __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3));
    DIGEST("rn.satfinite.e5m2x2", 1, __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E5M2));
    widened("f16.e4m3", __NV_E4M3);
    widened("f16.e5m2", __NV_E5M2);
}
"""


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder, "halves.cpp"), pathlib.Path(folder, "halves")
        source.write_text(PROGRAM)
        subprocess.run(["c++", "-std=c++14", "-O1", "-I", sys.argv[1], "-o", program, source], check=True)
        subprocess.run([program], check=True)


if __name__ == "__main__":
    main()
