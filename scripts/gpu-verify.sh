#!/usr/bin/env bash
# Prove or refute on a GPU host what was only interpreted: kernels, driver, libraries, rows. Needs nothing but the NVIDIA driver; lies beside the binaries that
# make gpu-bundle packs. It goes on after a failure, says what failed, and leaves one tarball. Under 8 minutes on one GPU.
#
#     scripts/gpu-verify.sh [OUT]     OUT: folder for the results, by default gpu-verify-HOST-TIME
set -uo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-gpu-verify-$(hostname)-$(date -u +%Y%m%dT%H%M%SZ)}
budget=${OFPEAK_VERIFY_SECONDS:-450} # for all steps together
mkdir -p "$out"
failed=()

# What comes late gets what is left of the time.
step() { # NAME SECONDS COMMAND...
	local name=$1 limit=$2 start=$SECONDS
	shift 2
	limit=$((limit < budget - SECONDS ? limit : budget - SECONDS))
	if ((limit <= 0)); then
		echo "FAILED  $name: no time is left" | tee -a "$out/summary.txt"
		failed+=("$name")
		return
	fi
	printf '== %s: %s\n' "$name" "$*"
	if timeout --kill-after=10 "$limit" "$@" >"$out/$name.txt" 2>"$out/$name.err"; then
		echo "ok      $name ($((SECONDS - start)) s)" | tee -a "$out/summary.txt"
	else
		echo "FAILED  $name (status $?, $((SECONDS - start)) s): $(tail -n 1 "$out/$name.err")" | tee -a "$out/summary.txt"
		failed+=("$name")
	fi
}

absent() { echo "absent  $1" | tee -a "$out/summary.txt"; }

ofpeak=$here/bin/ofpeak-cuda
step host 10 uname -a
if command -v nvidia-smi >/dev/null; then step nvidia-smi 30 nvidia-smi -q; else absent nvidia-smi; fi
step probe 30 "$ofpeak" probe
step doctor 30 "$ofpeak" doctor
if [ -x "$here/bin/cudriver.test" ]; then step driver 60 "$here/bin/cudriver.test" -test.run TestGPU -test.v; else absent driver-test; fi

# Every kernel on the inputs that the interpreter had; outputs are kept, and counted where they differ from the interpreter's.
against=()
if [ -f "$here/bin/sim.golden" ]; then against=(--against "$here/bin/sim.golden"); else absent golden-outputs; fi
step verify 100 "$ofpeak" verify --device cuda --format csv --record "$out/gpu.golden" "${against[@]}"

step peak 40 "$ofpeak" peak --device cuda --format csv
step run 200 "$ofpeak" run --device cuda --suite full --seconds 1 --out "$out/run.csv"
step report 20 "$ofpeak" report "$out/run.csv" -o "$out/report.html"
if python3 -c 'import torch' 2>/dev/null; then
	step pytorch 60 python3 "$here/scripts/peers/gpu.py" "$out/run.csv" --peak "$out/peak.txt" --out "$out/pytorch.csv" --seconds 0.3
else
	absent PyTorch
fi
if command -v compute-sanitizer >/dev/null; then
	step sanitizer 90 compute-sanitizer --error-exitcode 1 "$ofpeak" run --device cuda --suite smoke --gpus 1 --out "$out/sanitized.csv"
else
	absent compute-sanitizer
fi

tar czf "$out.tar.gz" "$out"
echo "results: $out.tar.gz"
if ((${#failed[@]})); then
	echo "failed: ${failed[*]}"
	exit 1
fi
