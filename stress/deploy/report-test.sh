#!/usr/bin/env bash
# The page of a campaign in a real browser: it loads without a word on the console, asks nobody for anything, and
# a click on a finding opens its timeline; a click on a step of a story repaints the map of the span.
# Debian's chromium and chromium-driver are installed if they are missing. GC_STRESS says which program (built if
# it is not given); with SCREENSHOTS=DIR, pictures of the page go there.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null
fi
if [ -z "${GC_STRESS:-}" ]; then
  cargo build --release --locked -q -p stress
  GC_STRESS=${CARGO_TARGET_DIR:-target}/release/gc-stress
fi
work=$(mktemp -d) driver=
finish() {
  [ -z "$driver" ] || { kill "$driver" 2>/dev/null || true; wait "$driver" 2>/dev/null || true; }
  rm -rf "$work"
}
trap finish EXIT

# A campaign, a recorded run, and what is left of it when it is shrunk.
dir=$work/campaign
"$GC_STRESS" campaign --shard 0/1 --cases 0..160 --out "$dir"
code=0
"$GC_STRESS" run makefunc --ops 400 --seed 1 --record "$dir/makefunc.gctrace" >/dev/null || code=$?
[ "$code" -eq 10 ] || [ "$code" -eq 11 ] || { echo "exit $code of the recorded run"; exit 1; }
"$GC_STRESS" shrink "$dir/makefunc.gctrace" -o "$dir/makefunc-small.gctrace" --json | tail -n 1
"$GC_STRESS" report "$dir" -o "$work/report.html"

port=${PORT:-19515}
chromedriver --port="$port" --log-path="$work/driver.log" >/dev/null &
driver=$!
python3 stress/deploy/report-test.py "http://127.0.0.1:$port" "file://$work/report.html" "$work/profile" "${SCREENSHOTS:-}" \
  || { tail -n 20 "$work/driver.log"; exit 1; }
