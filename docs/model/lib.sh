# Sourced by .ci/model and .ci/model-large: runs one variant of docs/model/protocol.pml and judges it.
# shellcheck shell=bash

need() { # command, package
  command -v "$1" >/dev/null 2>&1 || {
    printf '== install %s\n' "$2"
    apt-get update && apt-get install -y --no-install-recommends "$2"
  }
}
need spin spin
need gcc gcc
echo '#include <stdlib.h>' | gcc -E - >/dev/null 2>&1 || need /nonexistent/libc-headers libc6-dev

memory_max=${MODEL_MEMORY_MB:-3500}
verbose=0 only=''
for argument in "$@"; do
  case $argument in
    -v) verbose=1 ;;
    *) only=$argument ;;
  esac
done

model=$PWD/docs/model/protocol.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
runs=0 failures=0 started=$SECONDS limit=''

fail() {
  failures=$((failures + 1))
  printf '   FAILED %s\n' "$*"
}

search() { # optimisation, switches; leaves its output in $out, sets states, depth, mebibytes, seconds and violated
  local switch defines=()
  for switch in $2; do defines+=("-D$switch"); done
  rm -rf "${work:?}/run" && mkdir "$work/run"
  cp "$model" "$work/run/protocol.pml"
  (
    cd "$work/run"
    spin "${defines[@]}" -a protocol.pml >spin.out 2>&1 || { cat spin.out; exit 1; }
    # Breadth first finds short counterexamples; depth first may search for hours beside one.
    gcc "$1" -w -DSAFETY -DNOCLAIM -DBFS -DMEMLIM="$memory_max" ${MODEL_GCC_FLAGS:-} -o pan pan.c
    # pan answers with 0 also for an error that it finds.
    ${limit:+timeout -s INT "$limit"} ./pan -m100000 >pan.out 2>&1 || true
  ) || { cat "$work/run/spin.out"; exit 1; }
  out=$work/run/pan.out
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$out")
  depth=$(sed -n 's/^State-vector.*depth reached \([0-9]*\),.*/\1/p' "$out")
  errors=$(sed -n 's/^State-vector.*errors: \([0-9]*\).*/\1/p' "$out")
  mebibytes=$(sed -n 's/^ *\([0-9]*\)\.[0-9]*.total actual memory usage.*/\1/p' "$out")
  seconds=$(sed -n 's/^pan: elapsed time \([0-9.e+-]*\) seconds.*/\1/p' "$out")
  violated=$(grep -oE 'assertion violated.*|invalid end state.*at depth.*' "$out" | head -n 1 || true)
  # Stopped early: no memory, depth, or an error.
  exhausted=1
  if grep -qE 'Search not completed|max search depth too small|out of memory|reached -DMEMLIM' "$out"; then exhausted=0; fi
  runs=$((runs + 1))
}

line() { # name, verdict, switches
  printf '%-23s %10s states %4s deep %5s MB %6s s  %-34s %s\n' \
    "$1" "${states:-?}" "${depth:-?}" "${mebibytes:-?}" "${seconds:-?}" "$2" "$3"
}

selected() { [[ -z $only || $1 == *"$only"* ]]; }

correct() { # name, switches
  selected "$1" || return 0
  search -O2 "$2"
  if [[ ${errors:-} == 0 && $exhausted == 1 && -z $violated ]]; then
    line "$1" 'exhausted, no error' "$2"
  else
    line "$1" "${violated:-not exhausted}" "$2"
    fail "$1 has to be searched to the end without an error"
    tail -n 30 "$out"
  fi
}

bounded() { # name, seconds, switches: too large to exhaust; no error may be found in the time
  selected "$1" || return 0
  limit=$2
  search -O2 "$3"
  limit=''
  if [[ ${errors:-} == 0 && -z $violated ]]; then
    if ((exhausted)); then line "$1" 'exhausted, no error' "$3"; else line "$1" 'NOT exhausted, no error' "$3"; fi
  else
    line "$1" "${violated:-no result}" "$3"
    fail "$1 has to be searched without an error"
  fi
}

broken() { # name, the assertion, switches
  selected "$1" || return 0
  search -O1 "$3"   # a counterexample is found sooner than -O2 compiles
  if [[ ${errors:-} == 1 && $violated == *"$2"* ]]; then
    line "$1" "violates $2" "$3"
    if ((verbose)); then (cd "$work/run" && ./pan -r -n 2>/dev/null | head -n 400) || true; fi
  else
    line "$1" "${violated:-no counterexample}" "$3"
    fail "$1 has to violate $2"
  fi
}

summary() {
  printf '%d searches, %d failed, %d s\n' "$runs" "$failures" "$((SECONDS - started))"
  ((runs > 0 && failures == 0))
}
