#!/usr/bin/env bash
# Fetch axe-core, which the test of the report's accessibility runs, from npm into a folder: scripts/axe.sh DIR. Then OFPEAK_AXE=DIR/axe.min.js.
set -euo pipefail
version=4.10.3
dir=$1
[ -s "$dir/axe.min.js" ] && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "axe-core@$version" >/dev/null && tar xzf axe-core-*.tgz)
mkdir -p "$dir"
mv "$work/package/axe.min.js" "$dir/"
