#!/usr/bin/env bash
# A campaign as a Slurm array: eight tasks, each a shard, whose files meet in one folder.
#
#   sbatch --export=ALL,OUT=/shared/campaign,CASES=0..4000 stress/deploy/slurm-array.sh
#
# A task that was cancelled, preempted or lost is submitted again alone, and goes on with its file:
#
#   sbatch --array=3 --export=ALL,OUT=/shared/campaign,CASES=0..4000 stress/deploy/slurm-array.sh
#
# Then: gc-stress merge /shared/campaign
#SBATCH --job-name=gc-stress-campaign
#SBATCH --array=0-7
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
# So many seconds before the limit the shard is told to end; --requeue brings it back.
#SBATCH --signal=B:TERM@60
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

# How many shards there are is said here, and not taken from the array, so that a part of it can be submitted.
export GC_SHARDS=${GC_SHARDS:-8}

# In the place of the shell: signals reach it.
exec "${GC_STRESS:-gc-stress}" campaign \
  --cases "${CASES:-0..4000}" --jobs "${SLURM_CPUS_PER_TASK:-1}" --out "${OUT:?say in which folder: OUT=DIR}"
