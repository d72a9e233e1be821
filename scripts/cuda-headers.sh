#!/usr/bin/env bash
# Fetch what the tests of kernels/cuda/driver/cudriver hold ours against, from NVIDIA's Python wheels: of several CUDA versions cuda.h as DIR/VERSION/cuda.h, of
# cuBLASLt the headers (DIR/VERSION/include) and for one version the library (DIR/VERSION/lib; 750 MB), and of NCCL the header and for the oldest version the library (DIR/nccl-VERSION).
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

products() { # VERSION LIBRARY PACKAGE...
	[ -s "$dir/$1/lib/$2" ] && return
	local tmp into=$dir/$1 library=$2
	mkdir -p "$into/lib"
	for package in "${@:3}"; do
		tmp=$(mktemp -d)
		wheel "$package" "$tmp" '*/include/*' "*/$library"
		cp -r "$tmp"/wheel/nvidia/*/include "$into"
		find "$tmp/wheel" -name "$library" -exec mv {} "$into/lib/" \;
		rm -r "$tmp"
	done
	test -s "$into/lib/$library"
}

pick nvidia-cuda-runtime-cu11==11.8.89 11.8 cuda.h
pick nvidia-cuda-runtime-cu12==12.9.79 12.9 cuda.h
pick nvidia-cuda-runtime==13.5.37 13.5 cuda.h
products 12.9 libcublasLt.so.12 nvidia-cuda-runtime-cu12==12.9.79 nvidia-cuda-nvcc-cu12==12.9.86 nvidia-cuda-cccl-cu12==12.9.27 nvidia-cublas-cu12==12.9.3.13
pick nvidia-nccl-cu12==2.18.1 nccl-2.18.1 nccl.h libnccl.so.2
pick nvidia-nccl-cu13==2.32.3 nccl-2.32.3 nccl.h
