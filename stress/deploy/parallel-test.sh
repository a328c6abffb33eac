#!/usr/bin/env bash
# GNU parallel runs a campaign in eight shards; one of them is ended by SIGTERM in the middle; the same line
# once more goes on with it; and what the files come to is what the uncut campaign says.
# GC_STRESS says which program (built if it is not given).
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v parallel >/dev/null; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends parallel >/dev/null
fi
if [ -z "${GC_STRESS:-}" ]; then
  cargo build --release --locked -q -p stress
  GC_STRESS=${CARGO_TARGET_DIR:-target}/release/gc-stress
fi
GC_STRESS=$(realpath "$GC_STRESS")
export GC_STRESS GC_SHARDS=8
cases=0..160
work=$(mktemp -d)
out=$work/campaign
trap 'rm -rf "$work"' EXIT
fail() { echo "parallel-test: FAILED: $*"; exit 1; }
lines() { [ ! -e "$1" ] || wc -l <"$1"; }

# A program that says which process it is before it becomes a shard.
cat >"$work/shard" <<SHARD
#!/bin/sh
echo \$\$ >"$work/pid-\${PARALLEL_SEQ:-0}"
exec "$GC_STRESS" "\$@"
SHARD
chmod +x "$work/shard"

# All eight; when some cases of shard 2 are there, it is told to end.
code=0
GC_STRESS=$work/shard stress/deploy/parallel.sh "$out" "$cases" >"$work/first" &
all=$!
victim=$out/shard-0002-of-0008.jsonl
until [ -e "$victim" ] && [ "$(wc -l <"$victim")" -ge 4 ]; do
  kill -0 "$all" || fail "everything was over before shard 2 was told to end"
  sleep 0.02
done
kill -TERM "$(cat "$work/pid-3")"
wait "$all" || code=$?
[ "$code" -eq 1 ] || fail "exit $code of GNU parallel, wanted 1: the number of jobs that did not end well"
awk 'NR > 1 { print $7 }' "$out.log" | sort | uniq -c | awk '{ printf "%d shards with exit code %d\n", $1, $2 }'
grep '^shard 2/8 (PARALLEL_SEQ): interrupted' "$work/first" || fail "shard 2 was not interrupted"
"$GC_STRESS" merge "$out" >"$work/merged" && fail "files with gaps were called whole" || code=$?
[ "$code" -eq 75 ] || fail "exit $code of a merge with gaps, wanted 75"
tail -n 1 "$work/merged"

# The same line once more: the shard that was ended goes on, the others have nothing to do.
code=0
stress/deploy/parallel.sh "$out" "$cases" >"$work/second" || code=$?
grep '^shard' "$work/second"
[ "$(grep -c '^shard ./8 (PARALLEL_SEQ): complete: 20 of 20 cases, 20 of them from before' "$work/second")" -eq 7 ] || fail "seven shards had something to do"
grep -q '^shard 2/8 (PARALLEL_SEQ): complete: 20 of 20 cases, [1-9][0-9]* of them' "$work/second" || fail "shard 2 did not go on"

merged=0 uncut=0
"$GC_STRESS" merge "$out" --format json >"$work/merged" || merged=$?
"$GC_STRESS" campaign --shard none --cases "$cases" --json >"$work/uncut" || uncut=$?
head -n 1 "$work/merged"
tail -n +2 "$work/merged" | cmp - "$work/uncut" || fail "the merged verdict is not that of the uncut campaign"
[ "$merged" -eq "$uncut" ] || fail "exit $merged of the merge, $uncut of the uncut campaign"
tail -n 1 "$work/uncut"
echo "parallel-test: ok: eight shards by GNU parallel, one of them ended and gone on with, say what the uncut campaign says"
