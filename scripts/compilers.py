#!/usr/bin/env python3
"""Run the kernels' tests on the PTX that other compilers make of the same sources.

    python3 scripts/compilers.py            NVRTC and clang, for sm_80 and sm_90
    python3 scripts/compilers.py clang      those whose name holds the word

The committed PTX is NVRTC's for sm_80; two compilers that agree are a second opinion on the sources, and on the interpreter. Each compiler's PTX is laid over the
committed one with Go's -overlay, so nothing in the tree changes.

NVRTC is found as by scripts/ptx.py. clang-19 (or the one that $CLANG names) also needs CUDA's headers and libdevice, without a CUDA installation: the packages
nvidia-cuda-runtime-cu12, nvidia-cuda-nvcc-cu12, nvidia-cuda-cccl-cu12 and nvidia-curand-cu12, where Python finds packages.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import ptx  # noqa: E402: after the line that keeps it from leaving files in the tree

ROOT = ptx.SOURCES.parent.parent.parent


def by_nvrtc(arch, folder):
    """Compile with NVRTC into a folder."""
    lib = ptx.nvrtc()
    for source in sorted(ptx.SOURCES.glob("*.cu")):
        (folder / f"{source.stem}.ptx").write_text(ptx.compile_ptx(lib, source, arch=f"compute_{arch}"))


def toolkit(folder):
    """Lay NVIDIA's packages out as the CUDA installation that clang looks for."""
    for package in [p for place in sys.path for p in pathlib.Path(place).glob("nvidia/*")]:
        for part in ("include", "nvvm"):
            if (package / part).exists():
                shutil.copytree(package / part, folder / part, dirs_exist_ok=True)
    if not (folder / "nvvm" / "libdevice").exists() or not (folder / "include" / "cuda.h").exists():
        sys.exit("compilers.py: no CUDA headers or libdevice; pip install nvidia-cuda-{runtime,nvcc,cccl}-cu12 nvidia-curand-cu12")
    for empty in ("bin", "lib64"):
        (folder / empty).mkdir()


def by_clang(arch, folder):
    """Compile with clang into a folder."""
    clang = os.environ.get("CLANG", "clang-19")
    if not shutil.which(clang):
        sys.exit(f"compilers.py: no {clang}; apt install clang-19, or name another in $CLANG")
    with tempfile.TemporaryDirectory() as cuda:
        toolkit(pathlib.Path(cuda))
        for source in sorted(ptx.SOURCES.glob("*.cu")):
            subprocess.run([clang, "-x", "cuda", "--cuda-device-only", "-S", "-O3", f"--cuda-gpu-arch=sm_{arch}", f"--cuda-path={cuda}", "-std=c++14",
                            "-Wno-unknown-cuda-version", "-o", str(folder / f"{source.stem}.ptx"), str(source)], check=True)


# NVRTC's for sm_80 is the committed PTX, which go test runs anyway.
COMPILERS = [("nvrtc sm_90", by_nvrtc, 90), ("clang sm_80", by_clang, 80), ("clang sm_90", by_clang, 90)]


def main():
    words, failed = sys.argv[1:], []
    for name, compiler, arch in COMPILERS:
        if words and not any(w in name for w in words):
            continue
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            compiler(arch, folder)
            replace = {str(ptx.SOURCES / p.name): str(p) for p in sorted(folder.glob("*.ptx"))}
            overlay = folder / "overlay.json"
            overlay.write_text(json.dumps({"Replace": replace}))
            run = subprocess.run(["go", "test", "-timeout", "30m", "-overlay", str(overlay), "-run", "Contract|TrainingSteps|TensorCore|Flash", "./kernels/cuda"], cwd=ROOT)
        print(f"{name}: {len(replace)} files, {'FAILED' if run.returncode else 'passed'}", flush=True)
        if run.returncode:
            failed.append(name)
    sys.exit(", ".join(failed) and f"compilers.py: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
