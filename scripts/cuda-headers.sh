#!/usr/bin/env bash
# Fetch what the tests of kernels/cuda/driver/cudriver hold ours against, from NVIDIA's Python wheels: for several versions of CUDA cuda.h and nvml.h (DIR/VERSION),
# cublasLt.h with what it includes (DIR/VERSION/include), and the library for all but the oldest (DIR/VERSION/lib; 750 and 550 MB); for several of NCCL and cuSPARSELt
# the header, and for one of each the library (DIR/nccl-VERSION, DIR/cusparselt-VERSION).
# Needs Python 3 with pip, and no GPU. What is there already is not fetched again.
set -euo pipefail
dir=${1:?usage: scripts/cuda-headers.sh DIR}

wheel() { # PACKAGE FOLDER [PATTERN...]: what of a package fits a pattern, all without one
	python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$2" "$1"
	python3 - "$2/wheel" "$2"/*.whl "${@:3}" <<-'PYTHON'
		import fnmatch, sys, zipfile
		into, archive, *patterns = sys.argv[1:]
		with zipfile.ZipFile(archive) as z:
		    z.extractall(into, [n for n in z.namelist() if any(fnmatch.fnmatch(n, p) for p in patterns or ["*"])])
	PYTHON
}

# pick PACKAGE FOLDER FILE...: files of a package, wherever they lie in it
pick() {
	local tmp into=$dir/$2
	[ -s "$into/${*: -1}" ] && return
	tmp=$(mktemp -d)
	wheel "$1" "$tmp" "${@/#/*/}"
	mkdir -p "$into"
	for file in "${@:3}"; do
		find "$tmp/wheel" -path "*/$file" -exec mv {} "$into/" \;
		test -s "$into/$file"
	done
	rm -r "$tmp"
}

# toolkit VERSION FILE PACKAGE...: the headers of packages, and of the last one FILE, which shows that all are there
toolkit() {
	[ -s "$dir/$1/$2" ] && return
	local tmp into=$dir/$1 last=$2
	mkdir -p "$into"
	for package in "${@:3}"; do
		tmp=$(mktemp -d)
		wheel "$package" "$tmp" '*/include/*' "*/$last"
		for part in "$tmp"/wheel/nvidia/*/{include,lib}; do
			if [ -d "$part" ]; then cp -r "$part" "$into"; fi
		done
		rm -r "$tmp"
	done
	test -s "$into/$last"
}

pick nvidia-cuda-runtime-cu11==11.8.89 11.8 cuda.h
pick nvidia-cuda-runtime-cu12==12.9.79 12.9 cuda.h
pick nvidia-cuda-runtime==13.5.37 13.5 cuda.h
toolkit 11.8 include/cublasLt.h nvidia-cuda-runtime-cu11==11.8.89 nvidia-cuda-nvcc-cu11==11.8.89 nvidia-cublas-cu11==11.11.3.6
toolkit 12.9 lib/libcublasLt.so.12 nvidia-cuda-runtime-cu12==12.9.79 nvidia-cuda-nvcc-cu12==12.9.86 nvidia-cuda-cccl-cu12==12.9.27 nvidia-cublas-cu12==12.9.3.13
toolkit 13.5 lib/libcublasLt.so.13 nvidia-cuda-runtime==13.5.37 nvidia-cuda-crt==13.5.37 nvidia-cublas==13.10.0.20
pick nvidia-nvml-dev-cu11==11.8.86 11.8 nvml.h
pick nvidia-nvml-dev-cu12==12.9.79 12.9 nvml.h
pick nvidia-nvml-dev==13.5.37 13.5 nvml.h
pick nvidia-nccl-cu12==2.18.1 nccl-2.18.1 nccl.h libnccl.so.2
pick nvidia-nccl-cu13==2.32.3 nccl-2.32.3 nccl.h
pick nvidia-cusparselt-cu12==0.7.1 cusparselt-0.7.1 cusparseLt.h
pick nvidia-cusparselt-cu12==0.8.1 cusparselt-0.8.1 cusparseLt.h
pick nvidia-cusparselt-cu13==0.10.0 cusparselt-0.10.0 cusparseLt.h cusparseLt_cusparse_stub.h libcusparseLt.so.0
