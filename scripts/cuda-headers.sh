#!/usr/bin/env bash
# Fetch NVIDIA's cuda.h of several CUDA versions from its Python wheels, as DIR/VERSION/cuda.h, for the tests of kernels/cuda/driver/cudriver.
# Needs Python 3 with pip, and no GPU. What is there already is not fetched again.
set -euo pipefail
dir=${1:?usage: scripts/cuda-headers.sh DIR}

fetch() { # VERSION PACKAGE
	[ -s "$dir/$1/cuda.h" ] && return
	local tmp
	tmp=$(mktemp -d)
	python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$tmp" "$2"
	python3 -m zipfile -e "$tmp"/*.whl "$tmp/wheel"
	mkdir -p "$dir/$1"
	find "$tmp/wheel" -path '*/include/cuda.h' -exec cp {} "$dir/$1/" \;
	rm -r "$tmp"
	test -s "$dir/$1/cuda.h"
}

fetch 11.8 nvidia-cuda-runtime-cu11==11.8.89
fetch 12.9 nvidia-cuda-runtime-cu12==12.9.79
fetch 13.5 nvidia-cuda-runtime==13.5.37
