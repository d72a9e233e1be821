#!/usr/bin/env python3
"""Compile the CUDA kernels to the PTX that is committed beside them.

    python3 scripts/ptx.py            rewrite kernels/cuda/src/*.ptx
    python3 scripts/ptx.py --check    fail if they are not what the sources give

It needs NVRTC 11.8, no GPU and no CUDA toolkit: pip install nvidia-cuda-nvrtc-cu11==11.8.89, or a libnvrtc.so.11.2 that
the loader finds. That version is pinned because its PTX (7.8) loads on every driver since CUDA 11.8 and knows sm_90; another
version writes other text.
"""

import argparse
import ctypes
import pathlib
import sys

ARCH = "compute_80"
VERSION = (11, 8)
SOURCES = pathlib.Path(__file__).resolve().parent.parent / "kernels" / "cuda" / "src"


def nvrtc():
    """Load NVRTC from where Python finds packages, or from the system."""
    places = (pathlib.Path(p) / "nvidia" / "cuda_nvrtc" / "lib" / "libnvrtc.so.11.2" for p in sys.path)
    try:
        lib = ctypes.CDLL(next((str(p) for p in places if p.exists()), "libnvrtc.so.11.2"))
    except OSError as e:
        sys.exit(f"ptx.py: no NVRTC ({e}); pip install nvidia-cuda-nvrtc-cu11==11.8.89")
    lib.nvrtcGetErrorString.restype = ctypes.c_char_p
    major, minor = ctypes.c_int(), ctypes.c_int()
    lib.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    if (major.value, minor.value) != VERSION:
        sys.exit(f"ptx.py: NVRTC {major.value}.{minor.value} found, {VERSION[0]}.{VERSION[1]} needed")
    return lib


def text(lib, program, what):
    """One of the program's texts: its log or its PTX."""
    size = ctypes.c_size_t()
    getattr(lib, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    getattr(lib, f"nvrtcGet{what}")(program, buffer)
    return buffer.value.decode()


def compile_ptx(lib, path, changed=None, arch=ARCH):
    """The PTX of one source file. changed gives other contents for files, by name."""
    def read(file):
        return (changed or {}).get(file.name, file.read_text(encoding="utf-8")).encode()

    headers = sorted(SOURCES.glob("*.cuh"))
    contents = (ctypes.c_char_p * len(headers))(*map(read, headers))
    names = (ctypes.c_char_p * len(headers))(*(h.name.encode() for h in headers))
    program = ctypes.c_void_p()
    lib.nvrtcCreateProgram(ctypes.byref(program), read(path), path.name.encode(), len(headers), contents, names)
    options = [f"--gpu-architecture={arch}".encode(), b"--std=c++14"]
    failed = lib.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    log = text(lib, program, "ProgramLog").strip()
    if failed or log and not changed:
        sys.exit(f"{log}\nptx.py: {path.name}: {lib.nvrtcGetErrorString(failed).decode()}")
    ptx = text(lib, program, "PTX")
    lib.nvrtcDestroyProgram(ctypes.byref(program))
    return "\n".join(line.rstrip() for line in ptx.splitlines()).strip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("names", nargs="*", help="sources, without .cu; all if none")
    args = parser.parse_args()
    lib, stale = nvrtc(), []
    for path in sorted(SOURCES.glob("*.cu")):
        if args.names and path.stem not in args.names:
            continue
        out, ptx = path.with_suffix(".ptx"), compile_ptx(lib, path)
        if args.check and (not out.exists() or out.read_text(encoding="utf-8") != ptx):
            stale.append(out.name)
        elif not args.check:
            out.write_text(ptx, encoding="utf-8")
    if stale:
        sys.exit(f"ptx.py: stale: {', '.join(stale)}; run make ptx")


if __name__ == "__main__":
    main()
