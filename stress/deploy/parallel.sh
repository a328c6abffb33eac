#!/usr/bin/env bash
# A campaign by GNU parallel: eight shards, two at a time, on this machine or on others.
#
#   stress/deploy/parallel.sh DIR [CASES]
#
# Run it again to go on. On several machines that share DIR: add --sshloginfile hosts --env GC_SHARDS.
set -euo pipefail
out=${1:?say in which folder} cases=${2:-0..4000}
export GC_SHARDS=${GC_SHARDS:-8}

# --termseq leaves a shard the time to finish its cases in flight when parallel itself is ended.
seq "$GC_SHARDS" | parallel -N0 --jobs "${JOBS:-2}" --joblog "$out.log" --termseq TERM,60000,KILL,25 \
  "${GC_STRESS:-gc-stress}" campaign --cases "$cases" --jobs 1 --out "$out"
"${GC_STRESS:-gc-stress}" merge "$out"
