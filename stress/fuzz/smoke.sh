#!/usr/bin/env bash
# Builds the fuzz target with the installed toolchain and lets it search twice, from the corpus that is checked in. Once for
# a minute in the heap as it is: fails when it finds something, or when nothing that the corpus does not have is covered. And
# once, for as long at most, in a heap whose write barrier does nothing: fails unless that is found. What the searches add
# goes elsewhere.
#
# libFuzzer comes with a crate, which needs a C++ compiler, and coverage with flags of LLVM that a stable compiler passes
# on. Arguments: seconds, 60 unless they are given.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
host=$(rustc -vV | sed -n 's/^host: //p')
# Build scripts and macros are built without them, since a target is named.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing"
cargo build --release --locked -q --target "$host"
program=$PWD/${CARGO_TARGET_DIR:-target}/$host/release/programs

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/clean" "$work/planted"
for each in clean planted; do cp -r corpus/programs "$work/$each/corpus"; done
seeds=$(find "$work/clean/corpus" -type f | wc -l)

cd "$work/clean"
"$program" corpus -max_total_time="$seconds" -max_len=4096 -timeout=30 -print_final_stats=1 >log 2>&1 || {
  tail -n 60 log
  echo "fuzz: FAILED: what was found is in $work/clean"
  trap - EXIT
  exit 1
}
grep -E 'INITED|DONE|stat::number_of_executed_units' log
units=$(find corpus -type f | wc -l)
[ "$units" -gt "$seeds" ] || { echo "fuzz: FAILED: coverage does not grow, so the search is blind"; exit 1; }
echo "fuzz: ok: $seconds s, $((units - seeds)) inputs added to $seeds, nothing found"

cd "$work/planted"
if SOFTFAIL_FUZZ_FAULT=barrier-skipped "$program" corpus -max_total_time="$seconds" -max_len=4096 -timeout=30 \
  -print_final_stats=1 >log 2>&1; then
  tail -n 20 log
  echo "fuzz: FAILED: a heap without its write barrier was searched for $seconds s, and nothing was found: the search is blind"
  exit 1
fi
ls crash-* >/dev/null || {
  tail -n 60 log
  echo "fuzz: FAILED: the target ended, and not with a finding"
  exit 1
}
grep -E '^(lost|reported|accounts|panicked|refused): |SUMMARY' log
grep -E 'stat::number_of_executed_units' log
"$program" crash-* >again 2>&1 || {
  tail -n 60 again
  echo "fuzz: FAILED: what was found is found in the heap as it is, too"
  exit 1
}
echo "fuzz: ok: a heap without its write barrier is found out"
