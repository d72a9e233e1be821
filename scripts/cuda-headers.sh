#!/usr/bin/env bash
# Fetch what the tests of kernels/cuda/driver/cudriver hold ours against, from NVIDIA's Python wheels: cuda.h of several CUDA versions as DIR/VERSION/cuda.h, and of
# cuBLASLt the headers (DIR/VERSION/include) and for one version the library (DIR/VERSION/lib; 750 MB).
# Needs Python 3 with pip, and no GPU. What is there already is not fetched again.
set -euo pipefail
dir=${1:?usage: scripts/cuda-headers.sh DIR}

wheel() { # PACKAGE FOLDER
	python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$2" "$1"
	python3 -m zipfile -e "$2"/*.whl "$2/wheel"
}

fetch() { # VERSION PACKAGE
	[ -s "$dir/$1/cuda.h" ] && return
	local tmp
	tmp=$(mktemp -d)
	wheel "$2" "$tmp"
	mkdir -p "$dir/$1"
	find "$tmp/wheel" -path '*/include/cuda.h' -exec cp {} "$dir/$1/" \;
	rm -r "$tmp"
	test -s "$dir/$1/cuda.h"
}

products() { # VERSION LIBRARY PACKAGE...
	[ -s "$dir/$1/lib/$2" ] && return
	local tmp into=$dir/$1 library=$2
	mkdir -p "$into/lib"
	for package in "${@:3}"; do
		tmp=$(mktemp -d)
		wheel "$package" "$tmp"
		cp -r "$tmp"/wheel/nvidia/*/include "$into"
		find "$tmp/wheel" -name "$library" -exec mv {} "$into/lib/" \;
		rm -r "$tmp"
	done
	test -s "$into/lib/$library"
}

fetch 11.8 nvidia-cuda-runtime-cu11==11.8.89
fetch 12.9 nvidia-cuda-runtime-cu12==12.9.79
fetch 13.5 nvidia-cuda-runtime==13.5.37
products 12.9 libcublasLt.so.12 nvidia-cuda-runtime-cu12==12.9.79 nvidia-cuda-nvcc-cu12==12.9.86 nvidia-cuda-cccl-cu12==12.9.27 nvidia-cublas-cu12==12.9.3.13
