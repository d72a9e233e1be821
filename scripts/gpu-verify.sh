#!/usr/bin/env bash
# Prove or refute on a GPU host what was only interpreted: kernels, driver, libraries, rows. Needs nothing but the NVIDIA driver; lies beside the binaries that
# make gpu-bundle packs. It goes on after a failure, says what failed, and leaves one tarball. Under 8 minutes on one GPU.
#
#     scripts/gpu-verify.sh [OUT]     OUT: folder for the results, by default gpu-verify-HOST-TIME
set -uo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-gpu-verify-$(hostname)-$(date -u +%Y%m%dT%H%M%SZ)}
mkdir -p "$out"
failed=()

step() { # NAME SECONDS COMMAND...
	local name=$1 limit=$2 start=$SECONDS
	shift 2
	printf '== %s: %s\n' "$name" "$*"
	if timeout --kill-after=10 "$limit" "$@" >"$out/$name.txt" 2>"$out/$name.err"; then
		echo "ok      $name ($((SECONDS - start)) s)" | tee -a "$out/summary.txt"
	else
		echo "FAILED  $name (status $?, $((SECONDS - start)) s): $(tail -n 1 "$out/$name.err")" | tee -a "$out/summary.txt"
		failed+=("$name")
	fi
}

absent() { echo "absent  $1" | tee -a "$out/summary.txt"; }

step host 10 uname -a
if command -v nvidia-smi >/dev/null; then step nvidia-smi 30 nvidia-smi -q; else absent nvidia-smi; fi
step probe 30 "$here/bin/ofpeak-cuda" probe
step doctor 30 "$here/bin/ofpeak-cuda" doctor
if [ -x "$here/bin/cudriver.test" ]; then step driver 60 "$here/bin/cudriver.test" -test.run TestGPU -test.v; else absent driver-test; fi
step verify 120 "$here/bin/ofpeak-cuda" verify --device cuda --format csv
if command -v compute-sanitizer >/dev/null; then
	step sanitizer 90 compute-sanitizer --error-exitcode 1 "$here/bin/ofpeak-cuda" run --device cuda --suite smoke --gpus 1 --out "$out/sanitized.csv"
else
	absent compute-sanitizer
fi
step run 240 "$here/bin/ofpeak-cuda" run --device cuda --suite full --seconds 1 --out "$out/run.csv"
step report 30 "$here/bin/ofpeak-cuda" report "$out/run.csv" -o "$out/report.html"

tar czf "$out.tar.gz" "$out"
echo "results: $out.tar.gz"
if ((${#failed[@]})); then
	echo "failed: ${failed[*]}"
	exit 1
fi
