#!/usr/bin/env bash
# A Slurm of one node, started by hand: an array of eight tasks runs a campaign; one task is cancelled in the
# middle and submitted again alone; and what the files come to is what the uncut campaign says.
# Needs root. Debian's slurm-wlm and munge are installed if they are missing; daemons listen on 127.0.0.1,
# keep everything in a folder of their own, and are ended at the end.
# CASES says which cases, GC_STRESS which program (built if it is not given).
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v slurmctld >/dev/null || ! command -v slurmd >/dev/null || ! command -v munged >/dev/null; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null
fi
if [ -z "${GC_STRESS:-}" ]; then
  cargo build --release --locked -q -p stress
  GC_STRESS=${CARGO_TARGET_DIR:-target}/release/gc-stress
fi
GC_STRESS=$(realpath "$GC_STRESS")
cases=${CASES:-0..160}
work=$(mktemp -d) pids=()
chmod 755 "$work"
finish() {
  if [ -n "${job:-}" ]; then
    scancel --quiet --signal=KILL --full "$job" ${again:+"$again"} 2>/dev/null || true
    for tries in $(seq 100); do
      [ -n "$(squeue -h 2>/dev/null)" ] || break
      sleep 0.1
    done
  fi
  for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null || true; done
  for pid in ${pids[@]+"${pids[@]}"}; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
fail() { echo "slurm-test: FAILED: $*"; tail -n 20 "$work"/*.log 2>/dev/null; exit 1; }
# Asks again until it is so, half a minute at most.
await() {
  local what=$1 tries
  shift
  for tries in $(seq 300); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  fail "$what"
}

# A key and a socket of our own.
mkdir -m 700 "$work/munge" "$work/state" "$work/spool"
dd if=/dev/urandom of="$work/munge/key" bs=1024 count=1 status=none
chmod 400 "$work/munge/key"
chmod 755 "$work/munge"
munged --foreground --force --key-file "$work/munge/key" --socket "$work/munge/socket" \
  --pid-file "$work/munge/pid" --seed-file "$work/munge/seed" --log-file "$work/munge/log" 2>"$work/munged.log" &
pids+=($!)

host=$(hostname -s)
cat >"$work/slurm.conf" <<CONF
ClusterName=softfail
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CryptoType=crypto/munge
SlurmctldPort=${SLURM_PORT:-16817}
SlurmdPort=$((${SLURM_PORT:-16817} + 1))
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=60
MinJobAge=600
SchedulerParameters=sched_interval=1,batch_sched_delay=1
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$work/slurm.conf
await "munged does not answer" test -S "$work/munge/socket"
slurmctld -D -c 2>/dev/null &
pids+=($!)
slurmd -D -c 2>/dev/null &
pids+=($!)
is_up() { sinfo -h -o %t | grep -qE '^(idle|mix|alloc)'; }
await "the node does not come up" is_up
sinfo

out=$work/campaign
mkdir "$out"
submit() { sbatch --parsable --output="$work/task-%a.out" --export="ALL,GC_STRESS=$GC_STRESS,OUT=$out,CASES=$cases" "$@" stress/deploy/slurm-array.sh; }
has_lines() { [ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]; }
is_over() { [ -z "$(squeue -h -j "$1" 2>/dev/null)" ]; }

# Task 0 is among the first to run: told to end as soon as it has some cases.
job=$(submit)
echo "submitted array $job"
await "task 0 does not begin" has_lines "$out/shard-0000-of-0008.jsonl" 3
scancel "${job}_0"
await "the array does not end" is_over "$job"
squeue -h -t all -j "$job" -r -o '%i %T' | sort -V | tail -n 8
grep -q 'interrupted' "$work/task-0.out" || fail "task 0 was not interrupted: $(cat "$work/task-0.out")"
code=0
"$GC_STRESS" merge "$out" >"$work/merged" || code=$?
[ "$code" -eq 75 ] || fail "exit $code of a merge with gaps, wanted 75"
tail -n 1 "$work/merged"

again=$(submit --array=0)
echo "submitted task 0 again as $again"
await "the task does not end" is_over "$again"
cat "$work"/task-*.out | grep '^shard'
grep -q 'complete: .* [1-9][0-9]* of them from before' "$work/task-0.out" || fail "task 0 did not go on"

merged=0 uncut=0
"$GC_STRESS" merge "$out" --format json >"$work/merged" || merged=$?
"$GC_STRESS" campaign --shard none --cases "$cases" --json >"$work/uncut" || uncut=$?
head -n 1 "$work/merged"
tail -n +2 "$work/merged" | cmp - "$work/uncut" || fail "the merged verdict is not that of the uncut campaign"
[ "$merged" -eq "$uncut" ] || fail "exit $merged of the merge, $uncut of the uncut campaign"
echo "slurm-test: ok: an array of eight tasks, one of them cancelled and submitted again, says what the uncut campaign says"
